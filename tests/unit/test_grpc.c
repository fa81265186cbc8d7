/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_grpc.c - gRPC and gRPC-Web calls, as HTTP carries them.
 *
 * Calls of a real client and server: test_http2.c, tests/captures/http2.
 */
#define _GNU_SOURCE
#include <check.h>

#include "tests/unit/http_call.h"
#include "tests/unit/suite.h"

#define ONE   "\0\0\0\0\x03" "abc"
#define TWO   "\0\0\0\0\x03" "abc" "\1\0\0\0\x02" "zz"
#define SIZED(bytes) bytes, sizeof(bytes) - 1

static const struct call unary = {
	.method = "POST", .target = "/shop.Customers/Get",
	.request = { "content-type", "application/grpc+proto",
		     "te", "trailers", "grpc-encoding", "gzip",
		     "authorization", "Bearer s3cr3t" },
	SIZED(ONE), .status = 200,
	.response = { "content-type", "application/grpc" },
	.answer = TWO, .answer_length = sizeof(TWO) - 1,
	.trailers = { "grpc-status", "0" },
};

START_TEST(messages_are_measured)
{
	CALL_EXPECT(unary, "+Get status=0 application=grpc",
		    "+status-name=\"OK\"", "+rpc.system=\"grpc\"",
		    "+rpc.service=\"shop.Customers\"", "+rpc.method=\"Get\"",
		    "+rpc.grpc.status_code=0",
		    "+grpc.request.messages=1 "
		    "datasnoop.grpc.request.message_size=3 ",
		    "+grpc.response.messages=2 "
		    "datasnoop.grpc.response.message_size=3 "
		    "datasnoop.grpc.response.message_size=2 "
		    "datasnoop.grpc.response.compressed=1",
		    "+datasnoop.grpc.streaming=\"server\"",
		    "+datasnoop.grpc.encoding=\"gzip\"", "-failed", "-s3cr3t");
}
END_TEST

START_TEST(error_in_trailers)
{
	struct call call = unary;

	call.trailers[1] = "5";
	call.trailers[2] = "grpc-message";
	call.trailers[3] = "no%20such%0Acustomer 100%";
	CALL_EXPECT(call, "+status=5 failed", "+status-name=\"NOT_FOUND\"",
		    "+message=\"no such\\x0acustomer 100%\"");
}
END_TEST

START_TEST(error_in_trailers_only)
{
	struct call call = unary;

	call.answer = NULL;
	call.answer_length = 0;
	call.trailers[0] = NULL;
	call.response[2] = "grpc-status";
	call.response[3] = "16";
	CALL_EXPECT(call, "+status=16 failed",
		    "+status-name=\"UNAUTHENTICATED\"",
		    "+grpc.response.messages=0");
}
END_TEST

START_TEST(no_status_is_no_success)
{
	struct call call = unary;

	call.trailers[0] = NULL;
	CALL_EXPECT(call, "+Get status=-1", "-rpc.grpc.status_code");
	call.status = 503;
	call.response[1] = "text/plain";
	CALL_EXPECT(call, "+Get status=503 failed", "-rpc.grpc.status_code");
}
END_TEST

START_TEST(status_out_of_range)
{
	struct call call = unary;

	call.trailers[1] = "99";
	CALL_EXPECT(call, "+status=99 failed", "-status-name");
	call.trailers[1] = "-1";
	CALL_EXPECT(call, "+status=-1", "-rpc.grpc.status_code");
	call.trailers[1] = "123456789012345678901234567890";
	CALL_EXPECT(call, "+status=-1", "-rpc.grpc.status_code");
}
END_TEST

/* Where HPACK's table was lost: the answer proves it, or nobody does. */
START_TEST(unknown_type_needs_proof)
{
	struct call call = unary;

	call.incomplete = true;
	call.request[0] = NULL;
	CALL_EXPECT(call, "+application=grpc", "+rpc.method=\"Get\"");
	call.target = NULL;
	CALL_EXPECT(call, "+application=grpc", "-rpc.method",
		    "+rpc.grpc.status_code=0");
	call.response[0] = call.trailers[0] = NULL;
	CALL_EXPECT(call, "-application=grpc", "-rpc.system");
}
END_TEST

START_TEST(others_are_left_alone)
{
	struct call call = unary;

	call.request[1] = "application/json";
	call.response[1] = "application/json";
	call.trailers[0] = NULL;
	CALL_EXPECT(call, "+POST", "-grpc.");
	call.request[1] = "application/grpcish";
	CALL_EXPECT(call, "+POST", "-application=grpc", "-rpc.");
}
END_TEST

START_TEST(gap_ends_counting)
{
	struct call call = unary;

	call.gap = 8;
	CALL_EXPECT(call, "+incomplete", "+grpc.response.messages=1");
	/* Begun, and not whole. */
	call.gap = 7;
	CALL_EXPECT(call, "+incomplete", "-grpc.response.messages");
}
END_TEST

START_TEST(bytes_that_are_no_messages)
{
	struct call call = unary;

	call.body = "\x7f\xff\xff\xff\xff garbage";
	call.body_length = 13;
	CALL_EXPECT(call, "+Get", "-grpc.request.messages");
}
END_TEST

START_TEST(web_trailers_are_in_the_body)
{
	static const char answer[] = ONE "\x80\0\0\0\x24"
		"grpc-status: 5\r\nGrpc-Message: gone\r\n";
	struct call call = unary;

	call.request[1] = call.response[1] = "application/grpc-web+proto";
	call.answer = answer;
	call.answer_length = sizeof(answer) - 1;
	call.trailers[0] = NULL;
	CALL_EXPECT(call, "+Get status=5 failed", "+message=\"gone\"",
		    "+grpc.response.messages=1");
	call.request[1] = "application/grpc-web-text";
	CALL_EXPECT(call, "+application=grpc", "-message_size");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("grpc");
	TCase *tcase = tcase_create("calls");

	tcase_add_test(tcase, messages_are_measured);
	tcase_add_test(tcase, error_in_trailers);
	tcase_add_test(tcase, error_in_trailers_only);
	tcase_add_test(tcase, no_status_is_no_success);
	tcase_add_test(tcase, status_out_of_range);
	tcase_add_test(tcase, unknown_type_needs_proof);
	tcase_add_test(tcase, others_are_left_alone);
	tcase_add_test(tcase, gap_ends_counting);
	tcase_add_test(tcase, bytes_that_are_no_messages);
	tcase_add_test(tcase, web_trailers_are_in_the_body);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
