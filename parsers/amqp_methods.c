/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amqp_methods.c - the methods of AMQP 0-9-1 and what of them is read.
 *
 * Arguments, in order: h l L integers of 2, 4, 8 bytes, o an octet or bits,
 * s a short string, S a long one, t a table, w bits of which the digit's is
 * no-wait; p the answer to a challenge of SASL.  =X keeps it, see keep_text()
 * and keep_number().
 */
#include "parsers/amqp.h"

#define CLIENT AMQP_BY_CLIENT
#define SERVER AMQP_BY_SERVER
#define EITHER (AMQP_BY_CLIENT | AMQP_BY_SERVER)

static const struct amqp_method methods[] = {
	{ 10, 10, SERVER, 0, 0, 1, "Connection", "Start", "o o t S S" },
	{ 10, 11, CLIENT, 0, 10, 0, "Connection", "Start-Ok", "t s=M p s" },
	{ 10, 20, SERVER, 0, 0, 1, "Connection", "Secure", "S" },
	{ 10, 21, CLIENT, 0, 20, 0, "Connection", "Secure-Ok", "S" },
	{ 10, 30, SERVER, 0, 0, 1, "Connection", "Tune", "h l h" },
	{ 10, 31, CLIENT, 0, 30, 0, "Connection", "Tune-Ok", "h l h" },
	{ 10, 40, CLIENT, 0, 0, 1, "Connection", "Open", "s=V s o" },
	{ 10, 41, SERVER, 0, 40, 0, "Connection", "Open-Ok", "s" },
	{ 10, 50, EITHER, 0, 0, 1, "Connection", "Close", "h=R s=T h=c h=m" },
	{ 10, 51, EITHER, 0, 50, 0, "Connection", "Close-Ok", "" },
	{ 10, 60, SERVER, 0, 0, 0, "Connection", "Blocked", "s=T" },
	{ 10, 61, SERVER, 0, 0, 0, "Connection", "Unblocked", "" },
	{ 10, 70, CLIENT, 0, 0, 1, "Connection", "Update-Secret", "S s" },
	{ 10, 71, SERVER, 0, 70, 0, "Connection", "Update-Secret-Ok", "" },
	{ 20, 10, CLIENT, 0, 0, 1, "Channel", "Open", "s" },
	{ 20, 11, SERVER, 0, 10, 0, "Channel", "Open-Ok", "S" },
	{ 20, 20, EITHER, 0, 0, 1, "Channel", "Flow", "o" },
	{ 20, 21, EITHER, 0, 20, 0, "Channel", "Flow-Ok", "o" },
	{ 20, 40, EITHER, 0, 0, 1, "Channel", "Close", "h=R s=T h=c h=m" },
	{ 20, 41, EITHER, 0, 40, 0, "Channel", "Close-Ok", "" },
	{ 40, 10, CLIENT, 0, 0, 1, "Exchange", "Declare", "h s=E s w4 t" },
	{ 40, 11, SERVER, 0, 10, 0, "Exchange", "Declare-Ok", "" },
	{ 40, 20, CLIENT, 0, 0, 1, "Exchange", "Delete", "h s=E w1" },
	{ 40, 21, SERVER, 0, 20, 0, "Exchange", "Delete-Ok", "" },
	{ 40, 30, CLIENT, 0, 0, 1, "Exchange", "Bind", "h s=E s s=K w0 t" },
	{ 40, 31, SERVER, 0, 30, 0, "Exchange", "Bind-Ok", "" },
	{ 40, 40, CLIENT, 0, 0, 1, "Exchange", "Unbind", "h s=E s s=K w0 t" },
	{ 40, 51, SERVER, 0, 40, 0, "Exchange", "Unbind-Ok", "" },
	{ 50, 10, CLIENT, 0, 0, 1, "Queue", "Declare", "h s=Q w4 t" },
	{ 50, 11, SERVER, 0, 10, 0, "Queue", "Declare-Ok", "s=Q l=N l=C" },
	{ 50, 20, CLIENT, 0, 0, 1, "Queue", "Bind", "h s=Q s=E s=K w0 t" },
	{ 50, 21, SERVER, 0, 20, 0, "Queue", "Bind-Ok", "" },
	{ 50, 30, CLIENT, 0, 0, 1, "Queue", "Purge", "h s=Q w0" },
	{ 50, 31, SERVER, 0, 30, 0, "Queue", "Purge-Ok", "l=N" },
	{ 50, 40, CLIENT, 0, 0, 1, "Queue", "Delete", "h s=Q w2" },
	{ 50, 41, SERVER, 0, 40, 0, "Queue", "Delete-Ok", "l=N" },
	{ 50, 50, CLIENT, 0, 0, 1, "Queue", "Unbind", "h s=Q s=E s=K t" },
	{ 50, 51, SERVER, 0, 50, 0, "Queue", "Unbind-Ok", "" },
	{ 60, 10, CLIENT, 0, 0, 1, "Basic", "Qos", "l h o" },
	{ 60, 11, SERVER, 0, 10, 0, "Basic", "Qos-Ok", "" },
	{ 60, 20, CLIENT, 0, 0, 1, "Basic", "Consume", "h s=Q s=G w3 t" },
	{ 60, 21, SERVER, 0, 20, 0, "Basic", "Consume-Ok", "s=G" },
	{ 60, 30, EITHER, 0, 0, 1, "Basic", "Cancel", "s=G w0" },
	{ 60, 31, EITHER, 0, 30, 0, "Basic", "Cancel-Ok", "s=G" },
	{ 60, 40, CLIENT, 1, 0, 0, "Basic", "Publish", "h s=E s=K o" },
	{ 60, 50, SERVER, 1, 0, 0, "Basic", "Return", "h=R s=T s=E s=K" },
	{ 60, 60, SERVER, 1, 0, 0, "Basic", "Deliver", "s=G L=D o s=E s=K" },
	{ 60, 70, CLIENT, 0, 0, 1, "Basic", "Get", "h s=Q o" },
	{ 60, 71, SERVER, 1, 70, 0, "Basic", "Get-Ok", "L=D o s=E s=K l=N" },
	{ 60, 72, SERVER, 0, 70, 0, "Basic", "Get-Empty", "s" },
	{ 60, 80, EITHER, 0, 0, 0, "Basic", "Ack", "L=D o" },
	{ 60, 90, CLIENT, 0, 0, 0, "Basic", "Reject", "L=D o" },
	{ 60, 100, CLIENT, 0, 0, 0, "Basic", "Recover-Async", "o" },
	{ 60, 110, CLIENT, 0, 0, 1, "Basic", "Recover", "o" },
	{ 60, 111, SERVER, 0, 110, 0, "Basic", "Recover-Ok", "" },
	{ 60, 120, EITHER, 0, 0, 0, "Basic", "Nack", "L=D o" },
	{ 85, 10, CLIENT, 0, 0, 1, "Confirm", "Select", "w0" },
	{ 85, 11, SERVER, 0, 10, 0, "Confirm", "Select-Ok", "" },
	{ 90, 10, CLIENT, 0, 0, 1, "Tx", "Select", "" },
	{ 90, 11, SERVER, 0, 10, 0, "Tx", "Select-Ok", "" },
	{ 90, 20, CLIENT, 0, 0, 1, "Tx", "Commit", "" },
	{ 90, 21, SERVER, 0, 20, 0, "Tx", "Commit-Ok", "" },
	{ 90, 30, CLIENT, 0, 0, 1, "Tx", "Rollback", "" },
	{ 90, 31, SERVER, 0, 30, 0, "Tx", "Rollback-Ok", "" },
};

const struct amqp_method *amqp_method_of(unsigned class, unsigned method)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (methods[i].class == class && methods[i].method == method)
			return &methods[i];
	return NULL;
}

static void keep_text(struct amqp_arguments *arguments, char role,
		      struct span text)
{
	switch (role) {
	case 'E':
		arguments->exchange = text;
		break;
	case 'Q':
		arguments->queue = text;
		break;
	case 'K':
		arguments->routing_key = text;
		break;
	case 'V':
		arguments->vhost = text;
		break;
	case 'G':
		arguments->consumer = text;
		break;
	case 'M':
		arguments->mechanism = text;
		break;
	case 'T':
		arguments->reply_text = text;
		break;
	}
}

static void keep_number(struct amqp_arguments *arguments, char role,
			uint64_t number)
{
	switch (role) {
	case 'R':
		arguments->reply_code = (int64_t)number;
		break;
	case 'N':
		arguments->message_count = (int64_t)number;
		break;
	case 'C':
		arguments->consumer_count = (int64_t)number;
		break;
	case 'D':
		arguments->delivery_tag = (int64_t)number;
		break;
	case 'c':
		arguments->class = (uint16_t)number;
		break;
	case 'm':
		arguments->method = (uint16_t)number;
		break;
	}
}

/* PLAIN's answer is identity NUL user NUL password (RFC 4616): the user. */
static struct span plain_user(struct span mechanism, struct span answer)
{
	struct cursor c = cursor_of((const uint8_t *)answer.bytes,
				    answer.length);
	struct span user;

	if (!span_is(mechanism, "PLAIN"))
		return (struct span){ NULL, 0 };
	cursor_nul_string(&c);
	user = cursor_nul_string(&c);
	return c.bad ? (struct span){ NULL, 0 } : user;
}

static void read_argument(struct cursor *c, const char *argument,
			  struct amqp_arguments *arguments)
{
	char role = argument[1] == '=' ? argument[2] : '\0';
	struct span text;

	switch (argument[0]) {
	case 's':
		text = cursor_span(c, cursor_uint(c, 1));
		if (!c->bad)
			keep_text(arguments, role, text);
		break;
	case 'S':
	case 't':
		cursor_take(c, cursor_uint_be(c, 4));
		break;
	case 'p':
		text = cursor_span(c, cursor_uint_be(c, 4));
		if (!c->bad)
			arguments->user = plain_user(arguments->mechanism,
						     text);
		break;
	case 'w':
		arguments->no_wait = cursor_uint(c, 1) >>
				     (argument[1] - '0') & 1;
		break;
	case 'o':
		cursor_take(c, 1);
		break;
	default:
		keep_number(arguments, role,
			    cursor_uint_be(c, argument[0] == 'h' ? 2 :
					      argument[0] == 'l' ? 4 : 8));
	}
}

bool amqp_arguments_read(const struct amqp_method *method, struct cursor *c,
			 struct amqp_arguments *arguments)
{
	const char *argument = method->arguments;

	*arguments = (struct amqp_arguments){
		.reply_code = -1,
		.message_count = -1,
		.consumer_count = -1,
		.delivery_tag = -1,
	};
	while (*argument && !c->bad) {
		read_argument(c, argument, arguments);
		while (*argument && *argument != ' ')
			argument++;
		while (*argument == ' ')
			argument++;
	}
	return !c->bad;
}
