/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_align.c - which request does a response answer, and is that sure?
 *
 * While no packet is missing, the n-th response answers the n-th request: they
 * are counted.  Once bytes are lost on either side the count is worth nothing,
 * and only times are left.  They prove a pair where requests aren't pipelined,
 * a response being younger than its request and older than the next one, if
 *   - the client's bytes are whole from the request to the next one, and the
 *     response began between the two; or
 *   - the server's bytes are whole from before the request to the response.
 * From a proven pair on they are counted again.  A pair without a proof is
 * reported as incomplete: wrong answers are worse than none.  Times are those
 * of batches, from the first fragment to the last: both ends must agree.  Two
 * requests or responses in one batch are a sign of pipelining: for a while
 * then nothing is proven.
 */
#include "parsers/mysql.h"

struct command *mysql_align_answered(struct mysql *my, uint64_t ns)
{
	struct command *command, *answered = NULL;
	size_t i = my->response.started ? 1 : 0;

	for (; (command = mysql_command_at(my, i)); i++) {
		if (mysql_is_silent(command) || (ns && command->start_ns > ns))
			continue;
		answered = command;
		/* Who pipelines may be answered the next; who does not, the
		 * last. */
		if (my->pipelined || !ns)
			break;
	}
	return answered;
}

/* Reports the commands before the one that is answered. */
static void skip_unanswered(struct mysql *my, uint64_t ns)
{
	const struct command *answered = mysql_align_answered(my, ns);
	struct command *head;

	while ((head = mysql_head(my)) && head != answered) {
		if (!mysql_is_silent(head)) {
			head->damaged = true;
			head->missed += my->server_missed;
			my->server_missed = 0;
		}
		mysql_report(my);
	}
	my->server_missed = 0;
}

/* Is it proven that the response which is being read answers the head? */
static enum pairing prove(struct mysql *my)
{
	struct command *head = mysql_head(my), *next;
	bool idle = !my->response.started &&
		    my->flows[SIDE_SERVER].last_ns < head->start_ns;

	if (my->pipelined || my->crowded || !head->start_ns ||
	    !my->answer_first_ns || head->sent_ns > my->answer_first_ns)
		return PAIRING_UNSURE;
	/* What was lost of the same write would have been answered first. */
	if (idle && !head->near_gap)
		return PAIRING_TIMED;
	for (size_t i = 1; (next = mysql_command_at(my, i)); i++) {
		if (next->after_gap)
			return PAIRING_UNSURE;
		if (next->start_ns > my->answer_last_ns)
			return PAIRING_TIMED;
		if (!mysql_is_silent(next))
			return PAIRING_UNSURE;
	}
	head->alone |= idle;
	return my->client_gap ? PAIRING_UNSURE : PAIRING_OPEN;
}

void mysql_align_watch(struct mysql *my, const struct window *window)
{
	const struct command *head = mysql_head(my);
	uint64_t before = my->flows[SIDE_SERVER].last_ns;

	if (before == UINT64_MAX)
		return;
	if (before && window_first_ns(window, 0) <= before)
		my->crowded = CROWDED_RESPONSES;
	else if (my->crowded && head && before < head->start_ns)
		my->crowded--;
}

static void set_pairing(struct mysql *my, enum pairing pairing)
{
	mysql_head(my)->pairing = pairing;
	/* Unless more was lost behind the response. */
	if (my->flows[SIDE_SERVER].place != FLOW_UNSYNCED)
		my->doubt = pairing != PAIRING_TIMED;
}

void mysql_align_begin(struct mysql *my, const struct window *window)
{
	struct command *head;

	my->answer_first_ns = window_first_ns(window, 0);
	my->answer_last_ns = window_last_ns(window, 0);
	if (mysql_head(my) != mysql_align_answered(my, my->answer_last_ns))
		my->doubt = true;
	skip_unanswered(my, my->answer_last_ns);
	head = mysql_head(my);
	if (head->after_gap)
		my->doubt = true;
	if (head->after_gap)
		my->namespace_known = false;
	if (my->doubt && head->code != COMMAND_UNKNOWN)
		set_pairing(my, prove(my));
}

/* Did the client send the next request before it was answered? */
static bool was_overtaken(struct mysql *my)
{
	const struct command *next;
	size_t i = 1;

	while ((next = mysql_command_at(my, i)) && mysql_is_silent(next))
		i++;
	return next && next->sent_ns &&
	       next->sent_ns < my->response.first_ns;
}

void mysql_align_end(struct mysql *my)
{
	struct command *head = mysql_head(my);

	if (head->pairing == PAIRING_OPEN)
		set_pairing(my, prove(my));
	if (head->pairing == PAIRING_COUNTED && !head->damaged &&
	    !my->doubt && was_overtaken(my))
		my->pipelined = true;
	if (head->pairing == PAIRING_OPEN)
		my->held = true;
	else
		mysql_report(my);
}

void mysql_align_settle(struct mysql *my, bool sure)
{
	const struct command *head = mysql_head(my);

	if (!head || head->pairing != PAIRING_OPEN || !my->response.started)
		return;
	set_pairing(my, sure ? PAIRING_TIMED : PAIRING_UNSURE);
	if (my->held)
		mysql_report(my);
}

void mysql_align_close(struct mysql *my)
{
	if (my->held)
		mysql_align_settle(my, mysql_head(my)->alone);
}

void mysql_align_next(struct mysql *my, const struct window *window)
{
	mysql_align_settle(my, window_first_ns(window, 0) >
				       my->answer_last_ns);
}
