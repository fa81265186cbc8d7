/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_amqp.c - the AMQP parser on recorded and on written conversations.
 */
#include <stdarg.h>

#include "tests/unit/pen.h"

#define CAPTURES "tests/captures/amqp/"

static struct pen pen;

static const char *const captures[] = { "fail", "work" };

static void begin_frame(uint8_t type, uint16_t channel)
{
	pen_be(&pen, 1, type);
	pen_be(&pen, 2, channel);
	pen_be(&pen, 4, 0);
}

/* Fills in the length of the frame that began at `start`. */
static void end_frame(size_t start)
{
	size_t length = pen.length - start - 7;

	for (int i = 0; i < 4; i++)
		pen.bytes[start + 3 + i] = (uint8_t)(length >> (24 - 8 * i));
	pen_be(&pen, 1, 0xce);
}

static void string(const char *text)
{
	pen_be(&pen, 1, strlen(text));
	pen_text(&pen, text);
}

/*
 * A method frame; arguments as in amqp_methods.c, each with its value: s and S
 * text, others numbers; t an empty table.
 */
static void method(uint16_t channel, unsigned class, unsigned id,
		   const char *arguments, ...)
{
	size_t start = pen.length;
	const char *text;
	va_list list;

	begin_frame(1, channel);
	pen_be(&pen, 2, class);
	pen_be(&pen, 2, id);
	va_start(list, arguments);
	for (; *arguments; arguments++) {
		switch (*arguments) {
		case 's':
			string(va_arg(list, const char *));
			break;
		case 'S':
			text = va_arg(list, const char *);
			pen_be(&pen, 4, strlen(text));
			pen_text(&pen, text);
			break;
		case 't':
			pen_be(&pen, 4, 0);
			break;
		default:
			pen_be(&pen, *arguments == 'o' ? 1 :
				     *arguments == 'h' ? 2 :
				     *arguments == 'l' ? 4 : 8,
			       (uint64_t)va_arg(list, int));
		}
	}
	va_end(list);
	end_frame(start);
}

static void header(uint16_t channel, uint64_t size, const char *type)
{
	size_t start = pen.length;

	begin_frame(2, channel);
	pen_be(&pen, 2, 60);
	pen_be(&pen, 2, 0);
	pen_be(&pen, 8, size);
	pen_be(&pen, 2, type ? 0x8000 : 0);
	if (type)
		string(type);
	end_frame(start);
}

static void body(uint16_t channel, const char *bytes, size_t length)
{
	size_t start = pen.length;

	begin_frame(3, channel);
	pen_bytes(&pen, bytes, length);
	end_frame(start);
}

/* Calls of a client on one channel, each answered. */
static struct recording conversation(void)
{
	struct recording r = { .piece_count = 0 };

	method(1, 20, 10, "s", "");
	pen_send(&pen, &r, SIDE_CLIENT);
	method(1, 20, 11, "S", "");
	pen_send(&pen, &r, SIDE_SERVER);
	method(1, 50, 10, "hsot", 0, "jobs", 2);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(1, 50, 11, "sll", "jobs", 5, 1);
	pen_send(&pen, &r, SIDE_SERVER);
	method(1, 60, 70, "hso", 0, "jobs", 0);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(1, 60, 71, "Lossl", 7, 0, "", "jobs", 4);
	header(1, 11, "text/plain");
	body(1, "hello ", 6);
	pen_send(&pen, &r, SIDE_SERVER);
	begin_frame(8, 0);
	end_frame(0);
	body(1, "world", 5);
	pen_send(&pen, &r, SIDE_SERVER);
	method(1, 60, 70, "hso", 0, "jobs", 0);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(1, 60, 72, "s", "");
	pen_send(&pen, &r, SIDE_SERVER);
	method(1, 50, 40, "hso", 0, "jobs", 0);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(1, 50, 41, "l", 4);
	pen_send(&pen, &r, SIDE_SERVER);
	return r;
}

#define LINE(operation, status, message, target, class, method, channel, by) \
	operation " status=" status message " rows=-1 affected=-1 results=1" \
	target " messaging.system=\"amqp\" messaging.operation.name=\"" method \
	"\" amqp.class=\"" class "\" amqp.method=\"" method \
	"\" amqp.channel=" channel " amqp.sender=\"" by "\""
#define INDEX(index) " amqp.index=" #index
#define ANSWER(method, index) " amqp.response.method=\"" method \
	"\" amqp.response.index=" #index
#define JOBS " targets:1 =\"jobs\""
#define QUEUE(name) " amqp.queue=\"" name "\""
#define TO(name) " messaging.destination.name=\"" name "\""

START_TEST(conversation_is_told)
{
	struct recording r = conversation();

	pen_expect(&amqp_parser, &r,
	       LINE("Channel.Open", "0", "", "", "Channel", "Open", "1",
		    "client") INDEX(1) ANSWER("Open-Ok", 2) "\n"
	       LINE("Queue.Declare", "0", "", JOBS, "Queue", "Declare", "1",
		    "client") INDEX(3) ANSWER("Declare-Ok", 4) QUEUE("jobs")
	       TO("jobs") " amqp.message_count=5 amqp.consumer_count=1\n"
	       "\tvalue -1 =\"hello world\"\n"
	       LINE("Basic.Get", "0", "", JOBS, "Basic", "Get", "1", "client")
	       INDEX(5) ANSWER("Get-Ok", 6) QUEUE("jobs")
	       " amqp.routing_key=\"jobs\"" TO("jobs")
	       " messaging.message.body.size=11"
	       " amqp.content_type=\"text/plain\""
	       " amqp.body=\"hello world\"(value)"
	       " amqp.message_count=4 amqp.delivery_tag=7\n"
	       LINE("Basic.Get", "0", "", JOBS, "Basic", "Get", "1", "client")
	       INDEX(7) ANSWER("Get-Empty", 8) QUEUE("jobs") TO("jobs") "\n"
	       LINE("Queue.Delete", "0", "", JOBS, "Queue", "Delete", "1",
		    "client") INDEX(9) ANSWER("Delete-Ok", 10) QUEUE("jobs")
	       TO("jobs") " amqp.message_count=4\n");
}
END_TEST

/* Removes ` amqp.index=N`, ` amqp.response.index=N`: a gap changes them. */
static void drop_indexes(char *lines)
{
	char *at;

	while ((at = strstr(lines, "index="))) {
		char *start = at;

		while (*start != ' ')
			start--;
		at += strcspn(at, " \n");
		memmove(start, at, strlen(at) + 1);
	}
}

START_TEST(captures_give_what_is_expected)
{
	struct recording r;
	char path[256], *expected, *lines;

	snprintf(path, sizeof(path), CAPTURES "%s.amqp", captures[_i]);
	ck_assert_msg(recording_load(&r, path), "no %s", path);
	snprintf(path, sizeof(path), CAPTURES "%s.expected", captures[_i]);
	expected = law_file(path);
	lines = pen_lines(&amqp_parser, &r, 0);
	law_same(lines, expected, path, 0);
	free(lines);
	free(expected);
	law_cuts(&amqp_parser, &r);
	pen_noise(&amqp_parser, &r, 50);
	recording_free(&r);
}
END_TEST

/* All lengths at each place: what does not touch the gap is right. */
START_TEST(gaps_spoil_their_own_call_alone)
{
	static const size_t sizes[] = { 1, 9, 40, 100 };
	struct recording r = conversation();
	struct drive d = { .recording = &r, .parser = &amqp_parser };
	char *whole = drive_lines(&d), *lines, what[64];

	drop_indexes(whole);
	for (size_t i = 0; i < 4 * (r.length[0] + r.length[1]); i++) {
		bool server = i / 4 >= r.length[0];
		enum side side = server ? SIDE_SERVER : SIDE_CLIENT;
		size_t at = i / 4 - (server ? r.length[0] : 0);
		size_t n = sizes[i % 4];

		if (n > r.length[side] - at)
			n = r.length[side] - at;
		d.gaps[0] = (struct drive_gap){ side, at, n };
		d.gap_count = 1;
		lines = drive_lines(&d);
		drop_indexes(lines);
		snprintf(what, sizeof(what), "side %d gap at %zu of %zu",
			 side, at, n);
		law_others(&r, whole, lines,
			   law_turn(&r, law_piece(&r, side, at)),
			   law_turn(&r, law_piece(&r, side, at + n - 1)),
			   false, what);
		free(lines);
	}
	free(whole);
	recording_free(&r);
}
END_TEST

START_TEST(laws_hold)
{
	struct recording r = conversation();

	law_cuts(&amqp_parser, &r);
	law_truncation(&amqp_parser, &r, " none=\"");
	pen_noise(&amqp_parser, &r, 2000);
	recording_free(&r);
}
END_TEST

/* The password of PLAIN and the text of a challenge are nowhere. */
START_TEST(login_tells_the_user_alone)
{
	struct recording r = { .piece_count = 0 };
	size_t start;
	char *lines;

	pen_bytes(&pen, "AMQP\0\0\x09\x01", 8);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(0, 10, 10, "ootSS", 0, 9, "PLAIN", "en_US");
	pen_send(&pen, &r, SIDE_SERVER);
	start = pen.length;
	begin_frame(1, 0);
	pen_be(&pen, 2, 10);
	pen_be(&pen, 2, 11);
	pen_be(&pen, 4, 0);
	string("PLAIN");
	pen_be(&pen, 4, 13);
	pen_bytes(&pen, "\0alice\0secret", 13);
	string("en_US");
	end_frame(start);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(0, 10, 40, "sso", "/shop", "", 0);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(0, 10, 41, "s", "");
	pen_send(&pen, &r, SIDE_SERVER);
	law_cuts(&amqp_parser, &r);
	lines = pen_lines(&amqp_parser, &r, 0);
	ck_assert_ptr_null(strstr(lines, "secret"));
	free(lines);
	pen_expect(&amqp_parser, &r,
	       LINE("Connection.Start", "0", "", " user=\"alice\"",
		    "Connection", "Start", "0", "server") INDEX(1)
	       ANSWER("Start-Ok", 2)
	       " amqp.mechanism=\"PLAIN\" amqp.user=\"alice\"\n"
	       LINE("Connection.Open", "0", "", "", "Connection", "Open", "0",
		    "client") INDEX(3) ANSWER("Open-Ok", 4)
	       " amqp.vhost=\"/shop\"\n");
}
END_TEST


START_TEST(channels_are_interleaved)
{
	struct recording r = { .piece_count = 0 };

	method(1, 60, 40, "hsso", 0, "logs", "a.b", 0);
	header(1, 6, NULL);
	method(2, 60, 40, "hsso", 0, "", "jobs", 0);
	body(1, "abc", 3);
	header(2, 0, NULL);
	body(1, "def", 3);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(2, 60, 60, "sLoss", "tag", 3, 0, "logs", "a.b");
	header(2, 2, NULL);
	body(2, "xy", 2);
	pen_send(&pen, &r, SIDE_SERVER);
	method(2, 60, 80, "Lo", 3, 0);
	pen_send(&pen, &r, SIDE_CLIENT);
	law_cuts(&amqp_parser, &r);
	pen_expect(&amqp_parser, &r,
	       LINE("Basic.Publish", "-1", "", JOBS, "Basic", "Publish", "2",
		    "client") INDEX(2) " amqp.routing_key=\"jobs\"" TO("jobs")
	       " messaging.message.body.size=0\n"
	       "\tvalue -1 =\"abcdef\"\n"
	       LINE("Basic.Publish", "-1", "", " targets:1 =\"logs\"", "Basic",
		    "Publish", "1", "client") INDEX(1)
	       " amqp.exchange=\"logs\" amqp.routing_key=\"a.b\"" TO("logs")
	       " messaging.message.body.size=6 amqp.body=\"abcdef\"(value)\n"
	       "\tvalue -1 =\"xy\"\n"
	       LINE("Basic.Deliver", "-1", "", " targets:1 =\"logs\"", "Basic",
		    "Deliver", "2", "server") INDEX(3)
	       " amqp.exchange=\"logs\" amqp.routing_key=\"a.b\""
	       " amqp.consumer_tag=\"tag\"" TO("logs")
	       " messaging.message.body.size=2 amqp.body=\"xy\"(value)"
	       " amqp.delivery_tag=3\n"
	       LINE("Basic.Ack", "-1", "", "", "Basic", "Ack", "2", "client")
	       INDEX(4) " amqp.delivery_tag=3\n");
}
END_TEST

/* The server closes the channel: what was asked has failed. */
START_TEST(close_fails_what_was_asked)
{
	struct recording r = { .piece_count = 0 };

	method(3, 50, 10, "hsot", 0, "nope", 1);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(3, 20, 40, "hshh", 404, "NOT_FOUND", 50, 10);
	pen_send(&pen, &r, SIDE_SERVER);
	method(3, 20, 41, "");
	pen_send(&pen, &r, SIDE_CLIENT);
	pen_expect(&amqp_parser, &r,
	       LINE("Queue.Declare", "404", " failed message=\"NOT_FOUND\"",
		    " targets:1 =\"nope\"", "Queue", "Declare", "3", "client")
	       INDEX(1) QUEUE("nope") TO("nope")
	       " amqp.reply_code=404 amqp.reply_text=\"NOT_FOUND\"\n"
	       LINE("Channel.Close", "404", " failed message=\"NOT_FOUND\"",
		    "", "Channel", "Close", "3", "server") INDEX(2)
	       ANSWER("Close-Ok", 3)
	       " amqp.reply_code=404 amqp.reply_text=\"NOT_FOUND\"\n");
}
END_TEST

/* no-wait: nothing follows, the next answer is the next call's. */
START_TEST(no_wait_is_not_waited_for)
{
	struct recording r = { .piece_count = 0 };
	char *lines;

	method(1, 50, 10, "hsot", 0, "a", 16);
	method(1, 50, 10, "hsot", 0, "b", 0);
	pen_send(&pen, &r, SIDE_CLIENT);
	method(1, 50, 11, "sll", "b", 0, 0);
	pen_send(&pen, &r, SIDE_SERVER);
	lines = pen_lines(&amqp_parser, &r, 0);
	ck_assert_ptr_null(strstr(lines, "incomplete"));
	ck_assert_ptr_nonnull(strstr(lines, "amqp.queue=\"b\""));
	free(lines);
	recording_free(&r);
}
END_TEST

START_TEST(other_versions_are_left_alone)
{
	static const char *const greetings[] = {
		"AMQP\0\1\0\0", "AMQP\3\1\0\0", "AMQP\2\1\0\0", "AMQP\1\1\x8\0",
	};
	bool client_out;

	for (size_t i = 0; i < 4; i++) {
		struct recording r = { .piece_count = 0 };
		char *lines;

		ck_assert_int_eq(pen_probe(&amqp_parser, greetings[i], 8, "",
					   0, &client_out), PROBE_YES);
		ck_assert(client_out);
		pen_bytes(&pen, greetings[i], 8);
		pen_text(&pen, "what follows is of no interest");
		pen_send(&pen, &r, SIDE_CLIENT);
		lines = pen_lines(&amqp_parser, &r, 0);
		ck_assert_str_eq(lines, "");
		free(lines);
		recording_free(&r);
	}
}
END_TEST

START_TEST(ends_are_told_by_methods)
{
	struct recording r = { .piece_count = 0 };
	bool client_out = true;

	begin_frame(8, 0);
	end_frame(0);
	method(1, 60, 80, "Lo", 3, 0);
	pen_send(&pen, &r, SIDE_SERVER);
	ck_assert_int_eq(pen_probe(&amqp_parser, r.bytes[1], r.length[1], "",
				   0, &client_out), PROBE_MORE);
	method(1, 60, 60, "sLoss", "tag", 3, 0, "logs", "a.b");
	pen_send(&pen, &r, SIDE_SERVER);
	ck_assert_int_eq(pen_probe(&amqp_parser, r.bytes[1], r.length[1], "",
				   0, &client_out), PROBE_YES);
	ck_assert(!client_out);
	r.bytes[1][r.length[1] - 1] ^= 1;
	ck_assert_int_eq(pen_probe(&amqp_parser, r.bytes[1], r.length[1], "",
				   0, &client_out), PROBE_NO);
	ck_assert_int_eq(pen_probe(&amqp_parser, "GET / HTTP/1.1\r\n\r\n", 18,
				   "\1\0\0\1\0\0\0\2\0\0\0\0", 12,
				   &client_out), PROBE_NO);
	recording_free(&r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("amqp");
	TCase *tcase = tcase_create("amqp");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, captures_give_what_is_expected, 0, 2);
	tcase_add_test(tcase, conversation_is_told);
	tcase_add_test(tcase, gaps_spoil_their_own_call_alone);
	tcase_add_test(tcase, laws_hold);
	tcase_add_test(tcase, login_tells_the_user_alone);
	tcase_add_test(tcase, channels_are_interleaved);
	tcase_add_test(tcase, close_fails_what_was_asked);
	tcase_add_test(tcase, no_wait_is_not_waited_for);
	tcase_add_test(tcase, other_versions_are_left_alone);
	tcase_add_test(tcase, ends_are_told_by_methods);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
