/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap_tcp.h - TCP segments of a capture file -> connections' byte streams.
 *
 * Sequence numbers become 64-bit stream offsets; the streams put bytes in
 * order.  Nobody retransmits what is missing from a file, but packets may be
 * out of order in it: a hole becomes a gap only when the other side has
 * acknowledged what is in it and enough came behind, or the connection ends.
 * Source: RFC 9293.
 */
#ifndef DATASNOOP_STREAMS_PCAP_TCP_H
#define DATASNOOP_STREAMS_PCAP_TCP_H

#include "streams/connection.h"
#include "streams/pcap_ip.h"

/*
 * How long a hole is waited for: packets of its direction, bytes behind it,
 * time.  Acknowledged, its bytes can only be late in the file; capture queues
 * disorder by milliseconds.  Not acknowledged, they will be sent again: up to
 * the largest receive windows in use.
 */
#define TCP_ACKED_PACKETS_MAX	256
#define TCP_ACKED_BYTES_MAX	(1 << 20)
#define TCP_ACKED_NS_MAX	2000000000ULL
#define TCP_UNACKED_PACKETS_MAX 4096
#define TCP_UNACKED_BYTES_MAX	(4 << 20)
/*
 * Nothing of a connection that began before the file is shown for so long:
 * its first packet in the file may not have been the first on the wire.
 */
#define TCP_MIDSTREAM_PACKETS 64
#define TCP_MIDSTREAM_NS      1000000000ULL
/* A connection reset: what was under way may come behind the reset. */
#define TCP_RESET_NS 1000000000ULL
/* A connection without a packet for so long is over, as Suricata has it. */
#define TCP_IDLE_NS 3600000000000ULL
/* How long the addresses of an ended one are known, for late repetitions. */
#define TCP_CLOSED_NS 60000000000ULL

struct tcp_table;

struct tcp_settings {
	struct connection_table *connections;
	struct account *account;
	size_t bound; /* connections at once: beyond it the idlest is ended */
	/* A connection with a process appeared; NULL: nobody asks. */
	void (*opened)(void *context, const struct connection *connection);
	void *context;
};

/* No connections yet; NULL: out of memory. */
struct tcp_table *tcp_table_new(const struct tcp_settings *settings);
/* Connections not ended stay with the connection table. */
void tcp_table_free(struct tcp_table *table);

/*
 * tcp_add - a TCP segment: ip->payload begins with its header
 *
 * The end that sent the SYN, or the first packet seen, is the connection's
 * local one, unless a comment names the process (pcapng.h).  A connection
 * whose SYN was not seen is marked midstream.  Checksums are not looked at:
 * those of a host's own packets are often filled in behind the capture.
 *
 * Returns whether it is of another connection than the one before: exchanges
 * come out in the order of the file when a pass is made then.
 */
bool tcp_add(struct tcp_table *table, const struct ip_packet *ip,
	     const struct packet *packet);

/* Ends what is over, judges holes; to be called between packets. */
void tcp_sweep(struct tcp_table *table);
/* The input is quiet: what is acknowledged, or reset, is not waited for. */
void tcp_settle(struct tcp_table *table);
/* The file has ended: all connections have. */
void tcp_end(struct tcp_table *table);

/* Time of the latest packet, since 1970; 0: none yet. */
uint64_t tcp_time(const struct tcp_table *table);

#endif
