/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng.h - capture files in the pcapng format, and what ours say in them.
 *
 * libpcap reads pcapng too, but gives no comments of packets and refuses files
 * whose interfaces differ in link type; so blocks are read here.
 * Source: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/
 *
 * Our own files say whose a connection is in a comment (opt_comment) on the
 * first packet of each connection, and again where something of it changes:
 *
 *	datasnoop: pid=4121 tid=4125 uid=1000 comm=support-bot exe=python3
 *	args=python3%20bot.py user=bot container=4f... runtime=docker
 *	tls=openssl end=source took=20512
 *
 * all in one line.  A field that is not known is left out; fields may come in
 * any order, and unknown ones are skipped.  `end` tells which end of that
 * packet the process is: its source or its target; `took`, of that packet's
 * bytes alone, how many nanoseconds before its time the first of them moved.  A
 * comment may be on any packet to say that.  Bytes of a value that are
 * not printable ASCII, a space or '%' are written %XX.
 *
 * The two ends of a connection, both traced on one host, have the same
 * addresses.  They are told apart by interface: in a section whose
 * shb_userappl begins with PCAPNG_APPLICATION, and only there, packets of
 * different interfaces are of different connections (`view` of the packet).
 * There, too, packets of a direction are in order, so that what is missing is
 * not waited for, and an address of PCAPNG_STAND_IN with port 0 stands for one
 * that is not known.
 */
#ifndef DATASNOOP_STREAMS_PCAPNG_H
#define DATASNOOP_STREAMS_PCAPNG_H

#include <stdio.h>

#include "streams/connection.h"
#include "streams/pcap_packet.h"

#define PCAPNG_APPLICATION "datasnoop"
/* The first bytes of 100::/64, which no packet is sent to or from (RFC 6666). */
#define PCAPNG_STAND_IN	      { 0x01, 0, 0, 0, 0, 0, 0, 0 }
#define PCAPNG_STAND_IN_BYTES 8
#define PCAPNG_BLOCK_BYTES_MAX (16u << 20) /* as libpcap's; larger: damaged */
#define PCAPNG_INTERFACES_MAX  4096	   /* of a section: 64 KB */

/* The byte that all pcapng files begin with, and no pcap file does. */
#define PCAPNG_FIRST_BYTE 0x0a

struct pcapng;

/* A reader at the file's beginning, which stays the caller's; NULL: OOM. */
struct pcapng *pcapng_new(FILE *file);
void pcapng_free(struct pcapng *pcapng);

/*
 * pcapng_read - the next packet, of an enhanced, simple or old packet block
 *
 * 1: *packet is filled in, valid until the next call; 0: the file has ended;
 * -1: it is damaged, cut off or unreadable, and pcapng_error() says how.
 */
int pcapng_read(struct pcapng *pcapng, struct packet *packet);
const char *pcapng_error(const struct pcapng *pcapng);

enum note_end { NOTE_END_UNKNOWN, NOTE_END_SOURCE, NOTE_END_TARGET };

/* What a comment says; zero and "" where it says nothing. */
struct pcapng_note {
	/* Not written: start_ns, cgroup_id, cgroup_tells. */
	struct process process;
	uint32_t tid;
	uint32_t peer_pid;
	bool address_inferred;
	/*
	 * The ends' addresses where they are none of IP, in local= and remote=,
	 * and which sockets these are, in local_socket= and remote_socket=.
	 */
	struct endpoint local, remote;
	uint8_t tls; /* enum batch_tls */
	enum note_end end;
	/*
	 * The packet's bytes were moved in several calls, the first of them so
	 * long before the packet's time.
	 */
	uint64_t took_ns;
};

/* All fields with every byte as %XX, and their names. */
#define PCAPNG_NOTE_BYTES_MAX 4096

/*
 * pcapng_note_encode - the comment's text, terminated
 *
 * Returns its length; 0: `size` is too small, PCAPNG_NOTE_BYTES_MAX never is.
 */
size_t pcapng_note_encode(const struct pcapng_note *note, char *text,
			  size_t size);

/*
 * pcapng_note_decode - false: the comment is none of ours, or damaged
 *
 * Values longer than their field are cut; their bytes are not to be trusted.
 */
bool pcapng_note_decode(const char *text, size_t length,
			struct pcapng_note *note);

#endif
