/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_tcp.c - TCP segments of a capture file -> connections' byte streams.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "streams/pcap_segment.h"
#include "streams/pcap_tcp.h"
#include "streams/pcapng.h"

/*
 * Offset of the first byte seen where the beginning was not: there must be
 * room before it for packets that are late.
 */
#define MIDSTREAM_START (1LL << 32)
#define REWIND_BYTES_MAX (256 << 10) /* so late may they be */
/* Further off than any window (RFC 7323, 2.3): of another connection. */
#define SEQUENCE_FAR (1LL << 30)
/* So many in a row, and the old connection is gone. */
#define STRAYS_MAX 3
#define SWEEP_NS 1000000000ULL /* between looks at holes, in packet time */

/* The bytes that one end sends. */
struct direction {
	bool known; /* the sequence number of `high` is */
	bool hole;  /* something between `next` and what is to come lacks */
	bool ack_known;
	uint8_t strays;	   /* segments of unlikely numbers, in a row */
	uint32_t high_seq; /* sequence number at offset `high` */
	uint32_t ack_seq;  /* the other end's, while !known */
	int64_t start;	   /* offset of the first byte */
	int64_t next;	   /* all before it has come or is a gap */
	int64_t high;	   /* end of the furthest byte sent */
	int64_t acked;	   /* by the other end */
	int64_t fin;	   /* offset of the end, -1: not known */
	uint32_t packets;  /* with data */
	uint32_t hole_packets; /* `packets` when the hole appeared */
	uint64_t hole_ns;
};

struct flow {
	struct tcp_key key;
	struct direction directions[2]; /* by the end that sends */
	struct connection *connection;	/* NULL: no bytes yet, or over */
	unsigned local;	 /* the end that is connection->local */
	bool from_start;
	bool refused; /* no connection could be had */
	bool closed;
	bool shown;    /* told of as news: see TCP_MIDSTREAM_PACKETS */
	bool troubled; /* in the list of those */
	uint32_t packets;
	uint32_t tid;  /* of the process, as a comment said last */
	uint64_t first_ns, last_ns;
	uint64_t reset_ns; /* 0: it was not reset */
	struct flow *prev, *next; /* in `live` or `closed`, oldest first */
	struct flow *troubled_prev, *troubled_next;
	UT_hash_handle hh;
};

struct tcp_table {
	struct tcp_settings settings;
	struct flow *flows;
	struct flow *live, *closed;
	struct flow *troubled; /* with a hole, reset, or not shown yet */
	const struct flow *last; /* of the last segment; not to be followed */
	uint64_t now_ns, swept_ns;
};

struct tcp_table *tcp_table_new(const struct tcp_settings *settings)
{
	struct tcp_table *table = calloc(1, sizeof(*table));

	if (table)
		table->settings = *settings;
	return table;
}

static void flow_free(struct tcp_table *table, struct flow *flow)
{
	if (flow->closed)
		DL_DELETE(table->closed, flow);
	else
		DL_DELETE(table->live, flow);
	if (flow->troubled)
		DL_DELETE2(table->troubled, flow, troubled_prev,
			   troubled_next);
	HASH_DEL(table->flows, flow);
	free(flow);
}

void tcp_table_free(struct tcp_table *table)
{
	struct flow *flow, *next;

	if (!table)
		return;
	HASH_ITER (hh, table->flows, flow, next)
		flow_free(table, flow);
	free(table);
}

uint64_t tcp_time(const struct tcp_table *table)
{
	return table->now_ns;
}

/* A number's offset: within 2 GB of the furthest byte, before or behind. */
static int64_t offset_of(const struct direction *direction, uint32_t seq)
{
	return direction->high + (int32_t)(seq - direction->high_seq);
}

static bool is_far(const struct direction *direction, int64_t offset)
{
	int64_t distance = offset - direction->high;

	return distance > SEQUENCE_FAR || distance < -SEQUENCE_FAR;
}

static struct stream *flow_stream(const struct flow *flow, unsigned end)
{
	return flow->connection
		->streams[end == flow->local ? BATCH_OUT : BATCH_IN];
}

/* What the end sends begins with that sequence number. */
static void direction_begin(struct flow *flow, unsigned end, uint32_t seq)
{
	struct direction *direction = &flow->directions[end];
	int64_t start = flow->from_start ? 0 : MIDSTREAM_START;

	direction->known = true;
	direction->high_seq = seq;
	direction->start = direction->next = direction->high = start;
	direction->acked = start;
	direction->fin = -1;
	if (flow->connection)
		stream_begin(flow_stream(flow, end), (uint64_t)start);
}

/* Where a direction ends, as far as the packets tell. */
static int64_t direction_end(const struct direction *direction)
{
	if (direction->fin >= 0)
		return direction->fin;
	/* One more than was seen: a FIN that is not in the file. */
	if (direction->acked > direction->high + 1)
		return direction->acked;
	return direction->high;
}

/* Put the flow on the list that is swept, or off it. */
static void flow_trouble(struct tcp_table *table, struct flow *flow)
{
	bool troubled = !flow->closed &&
			(flow->reset_ns || flow->directions[0].hole ||
			 flow->directions[1].hole ||
			 (flow->connection && !flow->shown));

	if (troubled == flow->troubled)
		return;
	flow->troubled = troubled;
	if (troubled)
		DL_APPEND2(table->troubled, flow, troubled_prev,
			   troubled_next);
	else
		DL_DELETE2(table->troubled, flow, troubled_prev,
			   troubled_next);
}

/* The connection has something new, and may be shown by now. */
static void flow_news(struct tcp_table *table, struct flow *flow)
{
	flow->shown = flow->shown || flow->from_start ||
		      flow->packets >= TCP_MIDSTREAM_PACKETS ||
		      table->now_ns >= flow->first_ns + TCP_MIDSTREAM_NS;
	if (flow->shown && flow->connection)
		connection_table_news(table->settings.connections,
				      flow->connection);
}

/* Both ends have said all, and it is all there. */
static bool is_complete(const struct flow *flow)
{
	const struct direction *d = flow->directions;

	return d[0].known && d[1].known && d[0].fin >= 0 && d[1].fin >= 0 &&
	       d[0].next >= d[0].fin && d[1].next >= d[1].fin;
}

/* Its connection has ended; the addresses are remembered for a while. */
static void flow_close(struct tcp_table *table, struct flow *flow)
{
	struct account *account = table->settings.account;
	unsigned end;

	if (flow->closed)
		return;
	for (end = 0; end < 2 && flow->connection; end++) {
		const struct direction *d = &flow->directions[end];

		if (!d->known)
			continue;
		account->bytes_seen += (uint64_t)(direction_end(d) - d->start);
		stream_expect(flow_stream(flow, end),
			      (uint64_t)direction_end(d));
	}
	if (flow->connection) {
		flow->connection->ended = is_complete(flow) || flow->reset_ns;
		connection_table_end(table->settings.connections,
				     flow->connection);
	}
	flow->connection = NULL;
	DL_DELETE(table->live, flow);
	flow->closed = true;
	DL_APPEND(table->closed, flow);
	flow_trouble(table, flow);
}

static void flow_end(struct tcp_table *table, struct flow *flow)
{
	flow_close(table, flow);
	flow_free(table, flow);
}

/* In a file of our own: does that end's address stand for an unknown one? */
static bool is_stand_in(const struct tcp_key *key, unsigned end)
{
	static const uint8_t prefix[] = PCAPNG_STAND_IN;

	return key->view && key->family == AF_INET6 && !key->ports[end] &&
	       !memcmp(key->addresses[end], prefix, sizeof(prefix));
}

/* What the note says of the connection; of an address what IP does not. */
static void note_apply(struct connection *c, const struct pcapng_note *note)
{
	if (note->process.pid)
		c->process = note->process;
	if (note->tls)
		c->tls = connection_tls_name(note->tls);
	if (*note->local.address || note->local.socket)
		c->local = note->local;
	if (*note->remote.address || note->remote.socket)
		c->remote = note->remote;
	if (note->peer_pid)
		c->peer_pid = note->peer_pid;
	c->address_inferred = c->address_inferred || note->address_inferred;
}

/* The flow's connection, made when there is something to tell of it. */
static struct connection *flow_connect(struct tcp_table *table,
				       struct flow *flow,
				       const struct pcapng_note *note)
{
	const struct tcp_key *key = &flow->key;
	struct endpoint ends[2] = { { .port = 0 } };
	struct connection *c;
	unsigned end;

	if (flow->connection || flow->refused)
		return flow->connection;
	for (end = 0; end < 2; end++)
		if (!is_stand_in(key, end))
			connection_endpoint(&ends[end], key->family,
					    key->addresses[end],
					    key->ports[end]);
	c = connection_table_add(table->settings.connections,
				 &ends[flow->local], &ends[!flow->local],
				 note ? &note->process : NULL,
				 note ? connection_tls_name(note->tls) : NULL);
	flow->connection = c;
	flow->refused = !c;
	if (!c)
		return NULL;
	if (note)
		note_apply(c, note);
	c->midstream = !flow->from_start;
	for (end = 0; end < 2; end++)
		if (flow->directions[end].known)
			stream_begin(flow_stream(flow, end),
				     (uint64_t)flow->directions[end].start);
	if (c->process.pid && table->settings.opened)
		table->settings.opened(table->settings.context, c);
	return c;
}

/* Is it, by its own word, of a process?  Then the connection is made now. */
static void flow_note(struct tcp_table *table, struct flow *flow,
		      const struct tcp_segment *segment)
{
	const struct pcapng_note *note = segment->note;

	if (note->tid)
		flow->tid = note->tid;
	if (flow->connection) {
		note_apply(flow->connection, note);
		return;
	}
	if (note->end == NOTE_END_SOURCE)
		flow->local = segment->from;
	else if (note->end == NOTE_END_TARGET)
		flow->local = !segment->from;
	flow_connect(table, flow, note);
}

static struct flow *flow_new(struct tcp_table *table,
			     const struct tcp_segment *segment)
{
	struct flow *flow;

	if (HASH_COUNT(table->flows) >= table->settings.bound)
		flow_end(table, table->closed ? table->closed : table->live);
	flow = calloc(1, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->key = segment->key;
	flow->local = segment->from;
	HASH_ADD(hh, table->flows, key, sizeof(flow->key), flow);
	if (!flow->hh.tbl) {
		free(flow);
		return NULL;
	}
	DL_APPEND(table->live, flow);
	return flow;
}

/* A SYN on known addresses: is it no repetition of the one that was seen? */
static bool syn_is_new(const struct flow *flow,
		       const struct tcp_segment *segment)
{
	const struct direction *own = &flow->directions[segment->from];
	const struct direction *peer = &flow->directions[!segment->from];
	int64_t acked;

	if (own->known)
		return offset_of(own, segment->seq + 1) != own->start;
	if (!peer->known)
		return false;
	if (!(segment->flags & TCP_ACK))
		return peer->high > peer->start;
	/* Data may have come with the SYN (RFC 7413). */
	acked = offset_of(peer, segment->ack);
	return acked < peer->start || acked > peer->high;
}

/* Does the segment show that the addresses are used anew? */
static bool is_new_connection(struct flow *flow,
			      const struct tcp_segment *segment)
{
	struct direction *own = &flow->directions[segment->from];
	int64_t offset;

	if (segment->flags & TCP_SYN)
		return syn_is_new(flow, segment);
	if (!own->known)
		return flow->closed && segment->data.length;
	offset = offset_of(own, segment->seq);
	if (!is_far(own, offset))
		return flow->closed && segment->data.length && own->fin >= 0 &&
		       offset >= own->fin && !flow->reset_ns;
	if (own->strays < STRAYS_MAX)
		own->strays++;
	return segment->data.length &&
	       (flow->closed || own->strays >= STRAYS_MAX);
}

/* The segment's flow, made when new; NULL: none, and none is wanted. */
static struct flow *flow_of(struct tcp_table *table,
			    const struct tcp_segment *segment)
{
	struct flow *flow;

	HASH_FIND(hh, table->flows, &segment->key, sizeof(segment->key), flow);
	if (flow && is_new_connection(flow, segment)) {
		flow_end(table, flow);
		flow = NULL;
	}
	if (!flow && (segment->flags & TCP_RST || (segment->flags & TCP_FIN &&
						   !segment->data.length)))
		return NULL;
	if (!flow)
		flow = flow_new(table, segment);
	return flow;
}

/* A SYN says where a direction begins, its ACK where the other one does. */
static void take_syn(struct flow *flow, const struct tcp_segment *segment)
{
	unsigned from = segment->from;
	bool answers = segment->flags & TCP_ACK;

	if (!flow->directions[0].known && !flow->directions[1].known) {
		flow->from_start = true;
		if (!flow->connection)
			flow->local = answers ? !from : from;
	}
	if (!flow->directions[from].known) {
		direction_begin(flow, from, segment->seq + 1);
	} else if (!answers && !flow->from_start) {
		/* Late in the file: what came before it was the beginning. */
		flow->from_start = true;
		if (flow->connection)
			flow->connection->midstream = false;
	}
	if (answers && !flow->directions[!from].known)
		direction_begin(flow, !from, segment->ack);
}

/*
 * Where a direction whose SYN was not seen begins; false: nowhere, the
 * segment is a keep-alive whose byte is none of the stream's.
 */
static bool begin_unseen(struct flow *flow, const struct tcp_segment *segment)
{
	const struct direction *own = &flow->directions[segment->from];
	uint32_t behind = segment->seq - own->ack_seq;

	if (own->ack_known && segment->data.length == 1 &&
	    behind == UINT32_MAX)
		return false;
	/* The other end's first ACK tells what is missing since the SYN. */
	direction_begin(flow, segment->from,
			flow->from_start && own->ack_known &&
					behind <= REWIND_BYTES_MAX ?
				own->ack_seq : segment->seq);
	return true;
}

/* The first bytes of which nothing is known though they were sent. */
static bool find_hole(const struct flow *flow, unsigned end, uint64_t *from,
		      uint64_t *to)
{
	const struct direction *direction = &flow->directions[end];

	if (stream_hole(flow_stream(flow, end), from, to))
		return true;
	*to = (uint64_t)direction_end(direction);
	return *from < *to;
}

/* Is the hole that ends at offset `to` waited for no longer? */
static bool hole_is_old(const struct tcp_table *table,
			const struct direction *direction, int64_t to,
			bool quiet)
{
	uint32_t packets = direction->packets - direction->hole_packets;
	int64_t bytes = direction->high - direction->next;

	if (packets >= TCP_UNACKED_PACKETS_MAX ||
	    bytes >= TCP_UNACKED_BYTES_MAX)
		return true;
	return direction->acked >= to &&
	       (quiet || packets >= TCP_ACKED_PACKETS_MAX ||
		bytes >= TCP_ACKED_BYTES_MAX ||
		table->now_ns >= direction->hole_ns + TCP_ACKED_NS_MAX);
}

/* Look for holes in a direction; old ones become gaps. */
static void judge_holes(struct tcp_table *table, struct flow *flow,
			unsigned end, bool quiet)
{
	struct direction *direction = &flow->directions[end];
	uint64_t from, to;

	if (!direction->known || !flow_connect(table, flow, NULL))
		return;
	while (find_hole(flow, end, &from, &to)) {
		if (!direction->hole || direction->next != (int64_t)from) {
			direction->hole = true;
			direction->next = (int64_t)from;
			direction->hole_ns = table->now_ns;
			direction->hole_packets = direction->packets;
		}
		if (!flow->key.view &&
		    !hole_is_old(table, direction, (int64_t)to, quiet))
			return;
		stream_lose(flow_stream(flow, end), from, to - from,
			    LOSS_NOT_IN_FILE);
		flow_news(table, flow);
		if ((int64_t)to > direction->high) {
			direction->high_seq += (uint32_t)((int64_t)to -
							  direction->high);
			direction->high = (int64_t)to;
		}
	}
	direction->hole = false;
	direction->next = (int64_t)from;
}

/* Bytes [offset, end) of the segment's data, which begins at `first`. */
static void store(struct tcp_table *table, struct flow *flow,
		  const struct tcp_segment *segment, int64_t first,
		  int64_t offset, int64_t end)
{
	struct stream *stream = flow_stream(flow, segment->from);
	int64_t captured = first + (int64_t)segment->data.captured;
	struct piece piece = {
		.bytes = segment->data.bytes + (offset - first),
		.offset = (uint64_t)offset,
		.first_ns = segment->time_ns,
		.last_ns = segment->time_ns,
		.tid = flow->tid,
	};

	if (segment->note && segment->note->took_ns < segment->time_ns)
		piece.first_ns -= segment->note->took_ns;
	if (captured > end)
		captured = end;
	if (captured < offset)
		captured = offset;
	piece.length = (size_t)(captured - offset);
	if (piece.length)
		stream_add(stream, &piece);
	stream_lose(stream, (uint64_t)captured, (uint64_t)(end - captured),
		    LOSS_SNAP_LENGTH);
	flow_news(table, flow);
}

/* No connection could be had for the bytes: all that are new are lost. */
static void refuse(struct tcp_table *table, const struct direction *direction,
		   int64_t end)
{
	struct account *account = table->settings.account;

	if (end <= direction->high)
		return;
	account->bytes_seen += (uint64_t)(end - direction->high);
	account->lost[LOSS_STREAM_FULL] += (uint64_t)(end - direction->high);
}

/* The segment's data, as far as it is of the stream. */
static void take_data(struct tcp_table *table, struct flow *flow,
		      const struct tcp_segment *segment)
{
	struct direction *direction = &flow->directions[segment->from];
	int64_t first = offset_of(direction, segment->seq), offset = first;
	int64_t end = first + (int64_t)segment->data.length;

	if (direction->fin >= 0 && end > direction->fin)
		end = direction->fin;
	if (!flow_connect(table, flow, NULL))
		refuse(table, direction, end);
	else if (offset < direction->start && !flow->from_start &&
		 direction->start - offset <= REWIND_BYTES_MAX &&
		 stream_begin(flow_stream(flow, segment->from),
			      (uint64_t)offset))
		direction->start = direction->next = offset;
	if (offset < direction->start)
		offset = direction->start;
	if (offset >= end)
		return;
	direction->packets++;
	if (flow->connection)
		store(table, flow, segment, first, offset, end);
	if (end > direction->high) {
		direction->high_seq = segment->seq + (uint32_t)(end - first);
		direction->high = end;
	}
	if (!direction->hole && offset <= direction->next &&
	    direction->high == end)
		direction->next = end;
	else
		judge_holes(table, flow, segment->from, false);
}

/* The other direction's bytes have arrived up to there. */
static void take_ack(struct tcp_table *table, struct flow *flow,
		     const struct tcp_segment *segment)
{
	struct direction *peer = &flow->directions[!segment->from];
	int64_t acked;

	if (!peer->known) {
		if (!peer->ack_known ||
		    (int32_t)(segment->ack - peer->ack_seq) < 0)
			peer->ack_seq = segment->ack;
		peer->ack_known = true;
		return;
	}
	acked = offset_of(peer, segment->ack);
	if (acked <= peer->acked || is_far(peer, acked))
		return;
	peer->acked = acked;
	if (!peer->hole && direction_end(peer) > peer->next)
		judge_holes(table, flow, !segment->from, false);
}

/* The direction ends behind the segment's data. */
static void take_fin(struct tcp_table *table, struct flow *flow,
		     const struct tcp_segment *segment)
{
	struct direction *direction = &flow->directions[segment->from];
	int64_t fin;

	if (!direction->known)
		direction_begin(flow, segment->from, segment->seq);
	if (direction->fin >= 0)
		return;
	fin = offset_of(direction, segment->seq) +
	      (int64_t)segment->data.length;
	if (fin < direction->high)
		return;
	direction->fin = fin;
	direction->high_seq += (uint32_t)(fin - direction->high);
	direction->high = fin;
	if (fin > direction->next)
		judge_holes(table, flow, segment->from, false);
}

/* The segment is of this flow: take from it what it says, in order. */
static void flow_take(struct tcp_table *table, struct flow *flow,
		      const struct tcp_segment *segment)
{
	struct direction *own = &flow->directions[segment->from];
	struct tcp_segment rest = *segment;

	if (segment->flags & TCP_SYN) {
		take_syn(flow, segment);
		rest.seq++;
	}
	if (segment->note)
		flow_note(table, flow, segment);
	if (rest.data.length &&
	    (own->known || begin_unseen(flow, &rest)))
		take_data(table, flow, &rest);
	if (segment->flags & TCP_FIN)
		take_fin(table, flow, &rest);
	if (segment->flags & TCP_ACK)
		take_ack(table, flow, segment);
	if (segment->flags & TCP_RST && !flow->reset_ns)
		flow->reset_ns = table->now_ns ? table->now_ns : 1;
	if (is_complete(flow))
		flow_close(table, flow);
	flow_trouble(table, flow);
}

/* It was used now: it goes to the end of its list. */
static void flow_touch(struct tcp_table *table, struct flow *flow)
{
	flow->last_ns = table->now_ns;
	if (!flow->packets++)
		flow->first_ns = table->now_ns;
	if (flow->closed || !flow->next)
		return;
	DL_DELETE(table->live, flow);
	DL_APPEND(table->live, flow);
}

bool tcp_add(struct tcp_table *table, const struct ip_packet *ip,
	     const struct packet *packet)
{
	struct account *account = table->settings.account;
	struct tcp_segment segment = { .note = NULL };
	struct pcapng_note note;
	struct flow *flow;
	bool is_other;

	if (!tcp_segment_read(&segment, ip, packet)) {
		account->packets_bad++;
		return false;
	}
	if (packet->comment && pcapng_note_decode(packet->comment,
						  packet->comment_length,
						  &note))
		segment.note = &note;
	if (packet->time_ns > table->now_ns)
		table->now_ns = packet->time_ns;
	flow = flow_of(table, &segment);
	if (flow && flow->directions[segment.from].known &&
	    is_far(&flow->directions[segment.from],
		   offset_of(&flow->directions[segment.from], segment.seq))) {
		account->packets_stray++;
		return false;
	}
	account->packets_tcp++;
	if (segment.data.captured < segment.data.length)
		account->packets_cut++;
	if (!flow)
		return false;
	is_other = flow != table->last;
	table->last = flow;
	flow->directions[segment.from].strays = 0;
	flow_touch(table, flow);
	if (!flow->closed)
		flow_take(table, flow, &segment);
	return is_other;
}

/* A troubled flow is looked at: its holes, its beginning, its end. */
static void flow_sweep(struct tcp_table *table, struct flow *flow, bool quiet)
{
	unsigned end;

	if (!flow->shown) {
		flow->shown = quiet;
		flow_news(table, flow);
	}
	for (end = 0; end < 2; end++)
		if (flow->directions[end].hole)
			judge_holes(table, flow, end, quiet);
	if (is_complete(flow) ||
	    (flow->reset_ns &&
	     (quiet || table->now_ns >= flow->reset_ns + TCP_RESET_NS)))
		flow_close(table, flow);
	else
		flow_trouble(table, flow);
}

static void sweep_troubled(struct tcp_table *table, bool quiet)
{
	struct flow *flow, *next;

	DL_FOREACH_SAFE2 (table->troubled, flow, next, troubled_next)
		flow_sweep(table, flow, quiet);
}

void tcp_sweep(struct tcp_table *table)
{
	uint64_t now = table->now_ns;

	if (now < table->swept_ns + SWEEP_NS)
		return;
	table->swept_ns = now;
	while (table->live && now > table->live->last_ns + TCP_IDLE_NS)
		flow_end(table, table->live);
	while (table->closed && now > table->closed->last_ns + TCP_CLOSED_NS)
		flow_end(table, table->closed);
	sweep_troubled(table, false);
}

void tcp_settle(struct tcp_table *table)
{
	sweep_troubled(table, true);
}

void tcp_end(struct tcp_table *table)
{
	while (table->live)
		flow_end(table, table->live);
	while (table->closed)
		flow_end(table, table->closed);
}
