/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_conversation.c - detection, order, gaps and the parsers' law.
 *
 * The toy protocol: requests "REQ n\n", one at a time; responses "RES n\n";
 * "BYE\n" ends it.
 */
#define _GNU_SOURCE /* memmem() */
#include <check.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/conversation.h"
#include "tests/unit/suite.h"

static struct account account;
static struct connection_table *table;
static struct conversation_settings settings;
static char told[4096]; /* what the toy parser was told and reported */
static unsigned probes, opened, closed;

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	size_t length = strlen(told);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(told + length, sizeof(told) - length, format, arguments);
	va_end(arguments);
}

struct toy {
	const struct observer *observer;
	int pending; /* 0: no request */
	bool holed;
	bool stray; /* a response to nothing is not waited for: dropped */
	uint64_t start_ns;
};

static enum verdict toy_head(const struct window *window, const char *word)
{
	size_t length = window->length < 4 ? window->length : 4;

	if (memcmp(window->bytes, word, length))
		return PROBE_NO;
	return length < 4 ? PROBE_MORE : PROBE_YES;
}

static enum verdict toy_probe(const struct opening *opening, bool *client_out)
{
	enum verdict verdict = PROBE_NO;

	probes++;
	if (opening->out.length)
		verdict = toy_head(&opening->out, "REQ ");
	*client_out = verdict == PROBE_YES;
	if (verdict == PROBE_NO && opening->in.length)
		verdict = toy_head(&opening->in, "REQ ");
	return verdict;
}

static void *toy_open(bool from_start, const struct observer *observer)
{
	struct toy *toy = calloc(1, sizeof(*toy));

	opened++;
	toy->observer = observer;
	tell(from_start ? "start " : "middle ");
	return toy;
}

static void toy_report(struct toy *toy, bool complete, uint64_t end_ns)
{
	struct exchange exchange = { .lists = NULL };
	struct span value = { "v", 1 };

	exchange_reset(&exchange, "toy", FAMILY_OTHER);
	exchange.status = toy->pending;
	exchange.complete = complete && !toy->holed;
	exchange.start_ns = toy->start_ns;
	exchange.end_ns = end_ns;
	if (toy->observer->value)
		toy->observer->value(toy->observer->context, &exchange, 0,
				     value);
	toy->observer->exchange(toy->observer->context, &exchange);
	exchange_done(&exchange);
	toy->pending = 0;
	toy->holed = false;
}

static struct step toy_line(struct toy *toy, enum side side, int n,
			    const struct window *window, size_t used)
{
	if (side == SIDE_CLIENT && toy->pending)
		return (struct step){ PARSE_WAIT, 0 };
	if (side == SIDE_SERVER && toy->pending != n) {
		if (n > toy->pending && !toy->stray)
			return (struct step){ PARSE_WAIT, 0 };
		toy->stray = false;
	} else if (side == SIDE_SERVER) {
		toy_report(toy, true, window_last_ns(window, used - 1));
	} else {
		toy->pending = n;
		toy->start_ns = window_first_ns(window, 0);
	}
	return (struct step){ PARSE_TOOK, used };
}

static struct step toy_parse(void *state, enum side side,
			     const struct window *window)
{
	const char *word = side == SIDE_CLIENT ? "REQ %d" : "RES %d";
	const uint8_t *end;
	char line[64];
	size_t length;
	int n;

	end = memchr(window->bytes, '\n', window->length);
	length = end ? (size_t)(end - window->bytes) : window->length;
	if (length >= sizeof(line))
		return (struct step){ PARSE_LOST, 0 };
	if (!end)
		return (struct step){ PARSE_MORE, 0 };
	memcpy(line, window->bytes, length);
	line[length] = '\0';
	if (!strcmp(line, "BYE"))
		return (struct step){ PARSE_DONE, length + 1 };
	if (sscanf(line, word, &n) != 1)
		return (struct step){ PARSE_LOST, 0 };
	return toy_line(state, side, n, window, length + 1);
}

static size_t toy_resync(void *state, enum side side,
			 const struct window *window)
{
	const char *word = side == SIDE_CLIENT ? "REQ " : "RES ";
	const uint8_t *at;

	(void)state;
	at = memmem(window->bytes, window->length, word, 4);
	return at ? (size_t)(at - window->bytes) : window->length;
}

static void toy_gap(void *state, enum side side, uint64_t missed)
{
	struct toy *toy = state;

	tell("gap-%c:%" PRIu64 " ", side == SIDE_CLIENT ? 'c' : 's', missed);
	toy->holed = true;
	if (!missed && toy->pending)
		toy_report(toy, false, 0);
	else if (!missed && side == SIDE_SERVER)
		toy->stray = true;
}

static void toy_close(void *state)
{
	struct toy *toy = state;

	closed++;
	if (toy->pending)
		toy_report(toy, false, 0);
	free(toy);
}

static const struct parser toy = {
	.name = "toy",
	.probe = toy_probe,
	.open = toy_open,
	.parse = toy_parse,
	.resync = toy_resync,
	.gap = toy_gap,
	.close = toy_close,
};

/* Of the random test: what was given of each exchange, whole. */
#define EXCHANGES_MAX 300
static bool whole[2][EXCHANGES_MAX + 1];
static int last_reported;

static bool check_exchange(void *context, const struct connection *connection,
			   enum side traced, const struct exchange *exchange)
{
	int n = exchange->status;

	(void)context;
	(void)connection;
	ck_assert_int_eq(traced, SIDE_CLIENT);
	ck_assert_int_gt(n, last_reported);
	ck_assert_int_le(n, EXCHANGES_MAX);
	ck_assert(whole[BATCH_OUT][n]);
	if (exchange->complete)
		ck_assert(whole[BATCH_IN][n]);
	last_reported = n;
	return true;
}

static bool on_exchange(void *context, const struct connection *connection,
			enum side traced, const struct exchange *exchange)
{
	ck_assert_ptr_eq(context, &settings);
	ck_assert_uint_eq(connection->id, 1);
	tell("%" PRId64 "%s%c ", exchange->status,
	     exchange->complete ? "" : "?", traced == SIDE_CLIENT ? 'c' : 's');
	return true;
}

static void on_value(void *context, const struct connection *connection,
		     const struct exchange *exchange, int column,
		     struct span value)
{
	ck_assert_ptr_eq(context, &settings);
	ck_assert_uint_eq(connection->id, 1);
	ck_assert_uint_eq(value.length, 1);
	tell("%.*s%" PRId64 "=", (int)value.length, value.bytes,
	     exchange->status);
	ck_assert_int_eq(column, 0);
}

static void use_parser(const struct parser *parser)
{
	static const struct parser *parsers[1];

	parsers[0] = parser;
	settings = (struct conversation_settings){
		.parsers = parsers,
		.parser_count = 1,
		.exchange = on_exchange,
		.context = &settings,
		.account = &account,
	};
}

static bool muted; /* what visit() says of it first */
static bool left;  /* and last */

static void setup(void)
{
	account = (struct account){ 0 };
	told[0] = '\0';
	probes = opened = closed = 0;
	muted = left = false;
	table = connection_table_new(&account, 10, 8 << 20, 16 << 20);
	ck_assert_ptr_nonnull(table);
	use_parser(&toy);
}

static bool over; /* of the last conversation that ran */

static void visit(void *context, struct connection *c)
{
	(void)context;
	if (!c->conversation)
		c->conversation = conversation_new(&settings);
	conversation_mute(c->conversation, muted);
	conversation_run(c->conversation, c);
	if (left)
		conversation_leave(c->conversation, c);
	over = conversation_over(c->conversation);
	if (c->closed)
		conversation_end(c->conversation, c);
}

static void pass(void)
{
	connection_table_pass(table, false, visit, NULL);
}

static void finish(void)
{
	connection_table_pass(table, true, visit, NULL);
}

static void teardown(void)
{
	finish();
	connection_table_free(table);
	ck_assert_uint_eq(opened, closed);
}

static uint64_t offsets[2], clock_ns;

static void give(enum batch_direction direction, const void *bytes,
		 size_t length)
{
	struct batch batch = { .version = BATCH_VERSION,
			       .kind = BATCH_DATA,
			       .direction = direction,
			       .length = length,
			       .connection = 1,
			       .offset = offsets[direction],
			       .first_ns = ++clock_ns,
			       .last_ns = clock_ns };
	uint8_t *record = malloc(sizeof(batch) + length);

	memcpy(record, &batch, sizeof(batch));
	memcpy(record + sizeof(batch), bytes, length);
	ck_assert_ptr_nonnull(connection_table_receive(table, record,
						       sizeof(batch) + length));
	free(record);
	offsets[direction] += length;
}

/* The kernel's word that bytes will not come: a gap at once. */
static void lose(enum batch_direction direction, size_t length)
{
	struct batch batch = { .version = BATCH_VERSION,
			       .kind = BATCH_DATA,
			       .direction = direction,
			       .connection = 1,
			       .offset = offsets[direction],
			       .missed = length,
			       .missed_cause = LOSS_OVER_LIMIT };

	ck_assert_ptr_nonnull(
		connection_table_receive(table, &batch, sizeof(batch)));
	offsets[direction] += length;
}

/* A connection that is known, so that the first pass visits it. */
static void begin(void)
{
	struct {
		struct batch batch;
		struct batch_open open;
	} record = {
		.batch = { .version = BATCH_VERSION,
			   .kind = BATCH_OPEN,
			   .length = sizeof(record.open),
			   .connection = 1 },
	};

	offsets[0] = offsets[1] = clock_ns = 0;
	ck_assert_ptr_nonnull(
		connection_table_receive(table, &record, sizeof(record)));
}

static void out(const char *text)
{
	give(BATCH_OUT, text, strlen(text));
}

static void in(const char *text)
{
	give(BATCH_IN, text, strlen(text));
}

START_TEST(traced_is_the_client)
{
	begin();
	out("REQ 1\n");
	pass();
	in("RES 1\n");
	out("REQ 2\n");
	in("RES 2\n");
	pass();
	ck_assert_str_eq(told, "start 1c 2c ");
	ck_assert_uint_eq(account.exchanges, 2);
	ck_assert_uint_eq(account.exchanges_incomplete, 0);
	ck_assert_uint_eq(account.bytes_unparsed, 0);
	finish();
	ck_assert_str_eq(told, "start 1c 2c ");
}
END_TEST

START_TEST(traced_is_the_server)
{
	settings.value = on_value;
	begin();
	in("REQ 1\n");
	out("RES 1\n");
	in("REQ 2\n");
	pass();
	finish();
	ck_assert_str_eq(told, "start v1=1s v2=2?s ");
	ck_assert_uint_eq(account.exchanges_incomplete, 1);
}
END_TEST

START_TEST(muted_it_is_silent_and_goes_on_at_the_next_message)
{
	begin();
	in("REQ 1\n");
	out("RES 1\n");
	in("REQ 2\n"); /* begun, not told: counts as mirrored at the end */
	pass();
	muted = true;
	out("RES 2\n");
	in("REQ 3\n");
	out("RES 3\n");
	pass();
	ck_assert_str_eq(told, "start 1s ");
	ck_assert_uint_eq(account.bytes_mirrored, 18);
	ck_assert_uint_eq(account.exchanges, 1);
	muted = false;
	in("REQ 4\n");
	out("RES 4\n");
	pass();
	ck_assert_ptr_nonnull(strstr(told, "4s "));
	ck_assert_ptr_null(strstr(told, "3s "));
	ck_assert_uint_eq(account.bytes_unparsed, 0);
}
END_TEST

START_TEST(muted_to_the_end_nothing_is_incomplete)
{
	begin();
	in("REQ 1\n");
	pass();
	muted = true;
	out("RES 1\n");
	finish();
	ck_assert_str_eq(told, "start ");
	ck_assert_uint_eq(account.exchanges, 0);
	ck_assert_uint_eq(account.exchanges_incomplete, 0);
	ck_assert_uint_eq(account.exchanges_mirrored, 1);
}
END_TEST

START_TEST(left_alone_its_parser_is_closed_at_once)
{
	begin();
	in("REQ 1\n");
	pass();
	muted = left = true;
	out("RES 1\n");
	pass();
	ck_assert_uint_eq(closed, 1);
	ck_assert(over);
	out("RES 2\n");
	pass();
	ck_assert_uint_eq(account.exchanges_mirrored, 1);
	ck_assert_uint_eq(account.bytes_mirrored, 12);
	ck_assert_uint_eq(account.exchanges + account.bytes_unparsed, 0);
	finish();
	ck_assert_uint_eq(closed, 1);
}
END_TEST

/* An idle connection costs little: long lists are allocated when needed. */
START_TEST(a_parser_begins_small)
{
	static const char *const larger[] = { "http2", "mssql", "cassandra" };
	const struct observer observer = { .exchange = NULL };
	const struct parser *parser = parser_registry[_i];
	void *state = parser->open(true, &observer);
	size_t bound = 4096;

	for (int i = 0; i < COUNT(larger); i++)
		if (!strcmp(parser->name, larger[i]))
			bound = 16384;
	ck_assert_ptr_nonnull(state);
	ck_assert_msg(malloc_usable_size(state) <= bound, "%s: %zu",
		      parser->name, malloc_usable_size(state));
	parser->close(state);
}
END_TEST

START_TEST(an_exchange_has_lists_until_it_is_done)
{
	struct exchange exchange = { .lists = NULL };

	exchange_reset(&exchange, "toy", FAMILY_OTHER);
	ck_assert(!exchange_is_void(&exchange));
	exchange_number(&exchange, "n", 1);
	exchange.columns[EXCHANGE_COLUMNS_MAX - 1] = span_string("c");
	exchange.column_count = EXCHANGE_COLUMNS_MAX;
	ck_assert_uint_eq(exchange.attribute_count, 1);
	exchange_done(&exchange);
	exchange_done(&exchange);
	ck_assert(exchange_is_void(&exchange));
	ck_assert_uint_eq(exchange.attribute_count + exchange.column_count, 0);
	exchange_number(&exchange, "n", 1); /* nowhere */
	exchange_reset(&exchange, "toy", FAMILY_OTHER);
	ck_assert_uint_eq(exchange.attribute_count, 0);
	exchange_done(&exchange);
}
END_TEST

START_TEST(pipelined_requests_wait_for_their_turn)
{
	begin();
	out("REQ 1\nREQ 2\nREQ 3\n");
	in("RES 1\nRES 2\n");
	pass();
	ck_assert_str_eq(told, "start 1c 2c ");
	in("RES 3\n");
	pass();
	ck_assert_str_eq(told, "start 1c 2c 3c ");
}
END_TEST

START_TEST(cut_anywhere)
{
	static const char requests[] = "REQ 1\nREQ 22\nREQ 333\n";
	static const char responses[] = "RES 1\nRES 22\nRES 333\n";
	size_t i, j, step, length = sizeof(requests) - 1;

	for (step = 1; step < length; step++) {
		teardown();
		setup();
		begin();
		for (i = 0; i < length; i += step) {
			j = i + step > length ? length - i : step;
			give(BATCH_OUT, requests + i, j);
			pass();
			give(BATCH_IN, responses + i, j);
			if (step & 1)
				pass();
		}
		pass();
		ck_assert_str_eq(told, "start 1c 22c 333c ");
	}
}
END_TEST

START_TEST(a_gap_of_a_response)
{
	begin();
	out("REQ 1\n");
	in("RES 1\n");
	out("REQ 2\n");
	in("RE");
	offsets[BATCH_IN] += 4; /* "S 2\n" is lost */
	out("REQ 3\n");
	in("RES 3\n");
	pass();
	ck_assert_str_eq(told, "start 1c ");
	pass();
	/* the two bytes before the gap can't be used without those in it */
	ck_assert_str_eq(told, "start 1c gap-s:6 gap-c:0 2?c 3c ");
	ck_assert_uint_eq(account.exchanges, 3);
	ck_assert_uint_eq(account.exchanges_incomplete, 1);
}
END_TEST

START_TEST(a_gap_is_told_behind_what_the_other_side_said_before)
{
	begin();
	out("REQ 1\n");
	lose(BATCH_OUT, 6);
	in("RES 1\n");
	out("xx\nREQ 3\n");
	in("RES 3\n");
	pass();
	/* then what resync() drops is told as well */
	ck_assert_str_eq(told, "start 1c gap-c:6 gap-c:3 3?c ");
}
END_TEST

START_TEST(behind_a_gap_a_beginning_is_looked_for)
{
	begin();
	out("REQ 1\n");
	in("RES 1\n");
	lose(BATCH_OUT, 6);
	out("REQ\t2\nREQ 3\n"); /* parse() would take it, resync() does not */
	in("RES 3\n");
	pass();
	ck_assert_str_eq(told, "start 1c gap-c:6 gap-c:6 3?c ");
}
END_TEST

START_TEST(lost_and_found)
{
	begin();
	out("REQ 1\n");
	in("RES 1\n");
	out("nonsense\nREQ 2\n");
	in("RES 2\n");
	pass();
	ck_assert_str_eq(told, "start 1c gap-c:9 2?c ");
	out("rubbish\n");
	pass();
	out("more REQ 3\n");
	pass();
	in("RES 3\n");
	pass();
	ck_assert_str_eq(told, "start 1c gap-c:9 2?c gap-c:8 gap-c:5 3?c ");
	ck_assert_uint_eq(account.parser_errors, 0);
}
END_TEST

START_TEST(lost_where_resync_says_to_begin)
{
	begin();
	out("REQ 1\n");
	in("RES 1\n");
	out("REQ x\nREQ 2\n");
	in("RES 2\n");
	pass();
	/* one byte against resync()'s word, then what it finds behind */
	ck_assert_str_eq(told, "start 1c gap-c:1 gap-c:5 2?c ");
}
END_TEST

START_TEST(both_wait)
{
	begin();
	out("REQ 1\nREQ 2\n");
	in("RES 2\n");
	pass();
	ck_assert_str_eq(told, "start gap-c:0 1?c 2c ");
	out("REQ 3\n");
	pass();
	in("RES 4\n"); /* now the server's bytes are the older ones */
	out("REQ 4\n");
	pass();
	ck_assert_str_eq(told, "start gap-c:0 1?c 2c gap-s:0 3?c 4c ");
}
END_TEST

START_TEST(the_end_ends_a_wait)
{
	begin();
	out("REQ 1\nREQ 2\n");
	pass();
	ck_assert_str_eq(told, "start ");
	finish();
	ck_assert_str_eq(told, "start gap-c:0 1?c 2?c ");
}
END_TEST

START_TEST(done)
{
	begin();
	out("REQ 1\n");
	in("RES 1\n");
	pass();
	ck_assert(!over);
	out("BYE\nsecret");
	pass();
	ck_assert(over);
	ck_assert_uint_eq(closed, 1);
	in("more");
	pass();
	ck_assert_str_eq(told, "start 1c ");
	ck_assert_uint_eq(account.bytes_unparsed, 10);
}
END_TEST

START_TEST(a_short_head_is_waited_for)
{
	begin();
	out("RE");
	pass();
	ck_assert_uint_eq(account.bytes_unparsed, 0);
	out("Q 5\n");
	pass();
	in("RES 5\n");
	pass();
	ck_assert_str_eq(told, "start 5c ");
}
END_TEST

START_TEST(a_short_head_before_a_gap_is_not)
{
	begin();
	out("RE");
	offsets[BATCH_OUT] += 4;
	out("REQ 6\n");
	pass();
	pass();
	in("RES 6\n");
	pass();
	ck_assert_str_eq(told, "middle 6c ");
	ck_assert_uint_eq(account.bytes_unparsed, 2);
}
END_TEST

START_TEST(begun_in_the_middle)
{
	begin();
	in("rest of a response\n");
	pass();
	out("REQ 7\n");
	in("RES 7\n");
	pass();
	ck_assert_str_eq(told, "middle 7c ");
	ck_assert_uint_eq(account.bytes_unparsed, 19);
}
END_TEST

START_TEST(unknown_protocol)
{
	int i;

	begin();
	for (i = 0; i < 1000; i++) {
		out("HELLO");
		in("WORLD!");
		pass();
	}
	out("REQ 1\n"); /* too late: it was judged */
	in("RES 1\n");
	offsets[BATCH_IN] += 100;
	in("x");
	pass();
	pass();
	ck_assert(over);
	ck_assert_uint_eq(account.bytes_unparsed, 11013);
	ck_assert_uint_eq(probes, CONVERSATION_PROBES_MAX);
	ck_assert_uint_eq(account.exchanges, 0);
	ck_assert_uint_eq(opened, 0);
}
END_TEST

static enum verdict more_probe(const struct opening *opening,
			       bool *client_out)
{
	(void)opening;
	*client_out = false;
	probes++;
	return PROBE_MORE;
}

START_TEST(no_probe_waits_beyond_a_window)
{
	static const char bytes[1000];
	struct parser undecided = toy;
	uint64_t i;

	undecided.probe = more_probe;
	use_parser(&undecided);
	begin();
	for (i = 0; i < 66; i++) {
		ck_assert_uint_eq(account.bytes_unparsed, 0);
		give(BATCH_OUT, bytes, sizeof(bytes));
		pass();
	}
	ck_assert(account.bytes_unparsed >= 1000);
	for (i = 0; i < 40; i++)
		give(BATCH_OUT, bytes, sizeof(bytes));
	pass();
	ck_assert_uint_eq(account.bytes_unparsed, 106000);
}
END_TEST

static uint32_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % bound;
}

/* A message in one piece or two, of which some are lost. */
static void give_randomly(enum batch_direction direction, const char *word,
			  int n, unsigned loss_percent)
{
	char line[32];
	size_t length = snprintf(line, sizeof(line), "%s %d\n", word, n);
	size_t cut = random_below(length);
	bool lost[2];

	lost[0] = cut && random_below(100) < loss_percent;
	lost[1] = random_below(100) < loss_percent;
	whole[direction][n] = !lost[0] && !lost[1];
	if (lost[0])
		offsets[direction] += cut;
	else if (cut)
		give(direction, line, cut);
	if (!random_below(4))
		pass();
	if (lost[1])
		offsets[direction] += length - cut;
	else
		give(direction, line + cut, length - cut);
}

START_TEST(random_losses)
{
	unsigned seed;
	int n;

	for (seed = 1; seed <= 60; seed++) {
		teardown();
		setup();
		settings.exchange = check_exchange;
		random_state = seed * 2654435761u;
		last_reported = 0;
		begin();
		for (n = 1; n <= EXCHANGES_MAX; n++) {
			unsigned loss = n == 1 ? 0 : seed % 3 * 8;

			give_randomly(BATCH_OUT, "REQ", n, loss);
			give_randomly(BATCH_IN, "RES", n, loss);
			if (!random_below(3))
				pass();
		}
		finish();
		ck_assert_uint_eq(account.parser_errors, 0);
		ck_assert_uint_gt(account.exchanges, EXCHANGES_MAX / 2);
		if (seed % 3)
			continue;
		ck_assert_uint_eq(account.exchanges, EXCHANGES_MAX);
		ck_assert_uint_eq(account.exchanges_incomplete, 0);
	}
}
END_TEST

START_TEST(the_registry_is_asked_when_none_is_named)
{
	settings.parsers = NULL;
	settings.parser_count = 0;
	begin();
	out("HELLO, this is no protocol that anyone would know of\n");
	pass();
	finish();
	ck_assert_uint_eq(account.bytes_unparsed, 53);
	ck_assert_uint_eq(account.exchanges, 0);
}
END_TEST

/* What nobody asked for is told by its first bytes, and left alone. */
START_TEST(a_protocol_that_is_not_enabled_is_not_waited_for)
{
	begin();
	out("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	pass();
	ck_assert_uint_eq(account.bytes_unparsed, 27);
	out("more");
	pass();
	ck_assert_uint_eq(probes, 1);
	finish();
	ck_assert_uint_eq(account.bytes_unparsed, 31);
	ck_assert_uint_eq(account.exchanges, 0);
}
END_TEST

/* Ways to break the law. */
static struct step broken_step;

static struct step broken_parse(void *state, enum side side,
				const struct window *window)
{
	(void)state;
	(void)side;
	(void)window;
	return broken_step;
}

static size_t broken_resync(void *state, enum side side,
			    const struct window *window)
{
	(void)state;
	(void)side;
	return window->length + 1;
}

START_TEST(law_breakers_are_closed)
{
	static const struct step steps[] = {
		{ PARSE_TOOK, 0 },  { PARSE_TOOK, 7 }, { PARSE_MORE, 1 },
		{ PARSE_WAIT, 1 },  { PARSE_LOST, 1 }, { PARSE_DONE, 7 },
		{ PARSE_LOST, 0 }, /* by its resync() */
		{ 99, 0 },
	};
	struct parser broken = toy;
	size_t i;

	broken.parse = broken_parse;
	broken.resync = broken_resync;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		teardown();
		setup();
		use_parser(&broken);
		broken_step = steps[i];
		begin();
		out("REQ 1\n");
		pass();
		ck_assert_uint_eq(account.parser_errors, 1);
		ck_assert_uint_eq(closed, 1);
		ck_assert_uint_eq(account.bytes_unparsed, 6);
	}
}
END_TEST

START_TEST(more_than_a_window_is_never_asked)
{
	struct parser broken = toy;
	char *bytes = calloc(1, PARSER_WINDOW_MAX);

	broken.parse = broken_parse;
	use_parser(&broken);
	broken_step = (struct step){ PARSE_MORE, 0 };
	begin();
	out("REQ ");
	give(BATCH_OUT, bytes, PARSER_WINDOW_MAX - 5);
	pass();
	ck_assert_uint_eq(account.parser_errors, 0);
	give(BATCH_OUT, bytes, 1);
	pass();
	ck_assert_uint_eq(account.parser_errors, 1);
	ck_assert_uint_eq(account.bytes_unparsed, PARSER_WINDOW_MAX);
	free(bytes);
}
END_TEST

START_TEST(a_wait_without_end_is_ended)
{
	struct parser broken = toy;

	broken.parse = broken_parse;
	use_parser(&broken);
	broken_step = (struct step){ PARSE_WAIT, 0 };
	begin();
	out("REQ 1\n");
	pass();
	ck_assert_uint_eq(account.parser_errors, 0);
	in("RES 1\n");
	pass();
	ck_assert_uint_eq(account.parser_errors, 1);
	ck_assert_uint_eq(account.bytes_unparsed, 12);
}
END_TEST

static void add_tests(TCase *tcase)
{
	int parsers;

	tcase_add_test(tcase, traced_is_the_client);
	tcase_add_test(tcase, traced_is_the_server);
	tcase_add_test(tcase,
		       muted_it_is_silent_and_goes_on_at_the_next_message);
	tcase_add_test(tcase, muted_to_the_end_nothing_is_incomplete);
	tcase_add_test(tcase, left_alone_its_parser_is_closed_at_once);
	for (parsers = 0; parser_registry[parsers]; parsers++)
		;
	tcase_add_loop_test(tcase, a_parser_begins_small, 0, parsers);
	tcase_add_test(tcase, an_exchange_has_lists_until_it_is_done);
	tcase_add_test(tcase, pipelined_requests_wait_for_their_turn);
	tcase_add_test(tcase, cut_anywhere);
	tcase_add_test(tcase, a_gap_of_a_response);
	tcase_add_test(tcase,
		       a_gap_is_told_behind_what_the_other_side_said_before);
	tcase_add_test(tcase, behind_a_gap_a_beginning_is_looked_for);
	tcase_add_test(tcase, lost_and_found);
	tcase_add_test(tcase, lost_where_resync_says_to_begin);
	tcase_add_test(tcase, both_wait);
	tcase_add_test(tcase, the_end_ends_a_wait);
	tcase_add_test(tcase, done);
	tcase_add_test(tcase, a_short_head_is_waited_for);
	tcase_add_test(tcase, a_short_head_before_a_gap_is_not);
	tcase_add_test(tcase, begun_in_the_middle);
	tcase_add_test(tcase, unknown_protocol);
	tcase_add_test(tcase, no_probe_waits_beyond_a_window);
	tcase_add_test(tcase, random_losses);
	tcase_add_test(tcase, the_registry_is_asked_when_none_is_named);
	tcase_add_test(tcase,
		       a_protocol_that_is_not_enabled_is_not_waited_for);
	tcase_add_test(tcase, law_breakers_are_closed);
	tcase_add_test(tcase, more_than_a_window_is_never_asked);
	tcase_add_test(tcase, a_wait_without_end_is_ended);
}

int main(void)
{
	Suite *suite = suite_create("conversation");
	TCase *tcase = tcase_create("conversation");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
