/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_elasticsearch.c - Elasticsearch's and OpenSearch's APIs.
 *
 * Requests and answers as their documentation has them.
 * Source: https://www.elastic.co/docs/api/doc/elasticsearch/
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/http_call.h"
#include "tests/unit/suite.h"

#define SHARDS "\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0}"

static const struct call search = {
	.method = "POST", .target = "/customers,orders/_search?pretty",
	.request = { "content-type", "application/json",
		     "authorization", "ApiKey s3cr3t" },
	.body = "{\"query\":{\"bool\":{\"filter\":[{\"term\":"
		"{\"email\":\"ada@example.org\"}},{\"range\":{\"age\":"
		"{\"gte\":18}}}]}},\"size\":2,\"fields\":[true,null]}",
	.status = 200,
	.response = { "content-type", "application/json" },
	.answer = "{\"took\":3,\"timed_out\":false," SHARDS ",\"hits\":{"
		  "\"total\":{\"value\":120,\"relation\":\"eq\"},\"hits\":["
		  "{\"_index\":\"customers-v2\",\"_id\":\"1\",\"_source\":"
		  "{\"took\":99,\"hits\":{\"hits\":[{}]}}},"
		  "{\"_index\":\"orders\",\"_id\":\"2\",\"_source\":{}}]}}",
};

START_TEST(search_is_masked_and_counted)
{
	CALL_EXPECT(search, "+search status=200 application=elasticsearch",
		    "+targets:3 =\"customers\" =\"orders\" =\"customers-v2\"",
		    "+rows=2 ", "+took_ms=3", "+total_hits=120",
		    "+masked=\"{\\x22query\\x22:{\\x22bool\\x22:{\\x22filter"
		    "\\x22:[{\\x22term\\x22:{\\x22email\\x22:?}},{\\x22range"
		    "\\x22:{\\x22age\\x22:{\\x22gte\\x22:?}}}]}},"
		    "\\x22size\\x22:?,\\x22fields\\x22:[?,?]}\"",
		    "-s3cr3t", "-failed");
}
END_TEST

/* The answer proves it where no header does; where nothing does it is HTTP. */
START_TEST(proof_is_needed)
{
	struct call call = search;

	call.answer = "{\"took\":3,\"results\":[]}";
	CALL_EXPECT(call, "+POST status=200", "-elasticsearch");
	call.response[2] = "x-elastic-product";
	call.response[3] = "Elasticsearch";
	CALL_EXPECT(call, "+search", "+application=elasticsearch");
	call.response[2] = NULL;
	call.request[2] = "user-agent";
	call.request[3] = "opensearch-py/2.4.2 (Python 3.11)";
	CALL_EXPECT(call, "+search", "+application=elasticsearch");
	call.target = "/shop/basket";
	call.request[2] = NULL;
	call.answer = search.answer;
	CALL_EXPECT(call, "+POST status=200", "-elasticsearch");
}
END_TEST

START_TEST(bulk_is_counted_not_told)
{
	struct call call = search;

	call.target = "/customers/_bulk";
	call.body = "{\"index\":{\"_id\":\"1\"}}\n"
		    "{\"email\":\"ada@example.org\",\"index\":{\"_index\":"
		    "\"no\"}}\n"
		    "{\"delete\":{\"_index\":\"old\",\"_id\":\"2\"}}\n"
		    "{\"create\":{\"_index\":\"new\"}}\n"
		    "{\"delete\":{\"email\":\"bob@example.org\"}}\n"
		    "{\"update\":{\"_id\":\"3\"}}\n{\"doc\":{\"a\":1}}\n";
	call.answer = "{\"took\":7,\"errors\":true,\"items\":["
		      "{\"index\":{\"_index\":\"customers\",\"status\":201}},"
		      "{\"delete\":{\"status\":404}},"
		      "{\"create\":{\"status\":409,\"error\":{\"type\":"
		      "\"version_conflict_engine_exception\"}}},"
		      "{\"update\":{\"status\":200}}]}";
	CALL_EXPECT(call, "+bulk status=200 failed", "+affected=3",
		    "+bulk.items=4", "+bulk.errors=1",
		    "+targets:3 =\"customers\" =\"old\" =\"new\"",
		    "-example.org", "-masked=", "-\"no\"");
}
END_TEST

START_TEST(documents)
{
	static const struct {
		const char *method, *target, *answer, *word;
	} calls[] = {
		{ "GET", "/customers/_doc/1",
		  "{\"_index\":\"customers\",\"_id\":\"1\",\"found\":true,"
		  "\"_source\":{\"found\":false}}", "+get status=200" },
		{ "PUT", "/customers/_doc/1",
		  "{\"_index\":\"customers\",\"result\":\"created\"," SHARDS
		  "}", "+index status=200" },
		{ "DELETE", "/customers/_doc/1",
		  "{\"_index\":\"customers\",\"result\":\"deleted\"," SHARDS
		  "}", "+delete status=200" },
		{ "POST", "/customers/_update/1",
		  "{\"_index\":\"customers\",\"result\":\"updated\"," SHARDS
		  "}", "+update status=200" },
	};
	struct call call = search;

	call.method = calls[_i].method;
	call.target = calls[_i].target;
	call.answer = calls[_i].answer;
	call.body = "{\"email\":\"ada@example.org\"}";
	CALL_EXPECT(call, calls[_i].word, "+targets:1 =\"customers\"",
		    *call.method == 'G' ? "+rows=1 " : "+affected=1 ",
		    "-example.org", "-masked=");
}
END_TEST

START_TEST(several_searches)
{
	struct call call = search;

	call.target = "/_msearch";
	call.body = "{\"index\":\"customers\"}\n{\"query\":{\"match\":"
		    "{\"a\":\"secret\"}}}\n{}\n{\"size\":1}\n";
	call.answer = "{\"took\":2,\"responses\":[{\"hits\":{\"hits\":"
		      "[{\"_index\":\"customers\"}]}},{\"hits\":{\"hits\":"
		      "[{\"_index\":\"orders\"},{\"_index\":\"orders\"}]}}]}";
	CALL_EXPECT(call, "+msearch", "+rows=3 ",
		    "+targets:2 =\"customers\" =\"orders\"",
		    "+:?}}}\\x0a{}\\x0a{\\x22size\\x22:?}\"");
}
END_TEST

START_TEST(errors_name_indices_not_values)
{
	struct call call = search;

	call.target = "/nothing/_search";
	call.status = 404;
	call.answer = "{\"error\":{\"root_cause\":[{\"type\":"
		      "\"index_not_found_exception\"}],\"type\":"
		      "\"index_not_found_exception\",\"reason\":\"no such "
		      "index [nothing] for [ada@example.org]\"},"
		      "\"status\":404}";
	CALL_EXPECT(call, "+search status=404 failed",
		    "+status-name=\"index_not_found_exception\"",
		    "+message=\"no such index [nothing] for [?]\"");
}
END_TEST

START_TEST(names_of_operations)
{
	static const struct {
		const char *method, *target, *word;
	} calls[] = {
		{ "GET", "/", "+info status" },
		{ "PUT", "/customers", "+indices.create status" },
		{ "HEAD", "/customers", "+indices.exists status" },
		{ "DELETE", "/customers", "+indices.delete status" },
		{ "GET", "/_cat/indices?v", "+cat.indices status" },
		{ "GET", "/_cluster/health", "+cluster.health status" },
		{ "POST", "/_search/scroll", "+scroll status" },
		{ "GET", "/a%2Cb/_count", "+targets:2 =\"a\" =\"b\"" },
		{ "POST", "/a/type/_search", "+search status" },
		{ "POST", "/_all/_refresh", "+indices.refresh status" },
		{ "POST", "/_plugins/_sql", "+plugins.sql status" },
	};
	struct call call = { .method = calls[_i].method,
			     .target = calls[_i].target, .status = 200,
			     .response = { "x-elastic-product",
					   "Elasticsearch" } };

	CALL_EXPECT(call, calls[_i].word, "+application=elasticsearch");
}
END_TEST

/* What is no JSON, nested without end, or cut. */
START_TEST(hostile_bodies)
{
	static char deep[3000];
	struct call call = search;

	memset(deep, '[', sizeof(deep));
	call.body = deep;
	call.body_length = sizeof(deep);
	CALL_EXPECT(call, "+search", "+rows=2 ");
	call.body = "{\"query\":{\"a\":\"secr";
	call.body_length = 0;
	CALL_EXPECT(call, "+masked=\"{\\x22query\\x22:{\\x22a\\x22\"");
	call.body = search.body;
	call.answer = deep;
	call.answer_length = sizeof(deep);
	CALL_EXPECT(call, "-application=elasticsearch");
	call = search;
	call.gap = 20;
	CALL_EXPECT(call, "+incomplete", "-rows=2");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("elasticsearch");
	TCase *tcase = tcase_create("calls");

	tcase_add_test(tcase, search_is_masked_and_counted);
	tcase_add_test(tcase, proof_is_needed);
	tcase_add_test(tcase, bulk_is_counted_not_told);
	tcase_add_loop_test(tcase, documents, 0, 4);
	tcase_add_test(tcase, several_searches);
	tcase_add_test(tcase, errors_name_indices_not_values);
	tcase_add_loop_test(tcase, names_of_operations, 0, 11);
	tcase_add_test(tcase, hostile_bodies);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
