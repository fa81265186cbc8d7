/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * batch.h - the record that crosses from the kernel to user space.
 *
 * Compiled by libbcc for the kernel side and by the C compiler for the user
 * side: fixed-width types, host byte order, no holes, no pointers, no
 * bit-fields.  A record is a struct batch and the `length` bytes behind it;
 * nothing else leaves the kernel (but padding in the naive scheme, unread).
 */
#ifndef DATASNOOP_PROBES_BATCH_H
#define DATASNOOP_PROBES_BATCH_H

#ifndef DATASNOOP_BPF
#include <linux/types.h>
#endif

#define BATCH_VERSION 1
#define BATCH_COMM_BYTES 16

enum batch_kind {
	BATCH_DATA = 1,	  /* payload: bytes of one direction of a connection */
	BATCH_OPEN = 2,	  /* payload: struct batch_open, whose connection this is */
	/*
	 * No payload: the connection has ended; `offset` and `missed` are the
	 * bytes it moved in all, BATCH_IN and BATCH_OUT.
	 */
	BATCH_CLOSE = 3,
	/* No payload: bytes wait in the kernel; `offset` is the TLS object. */
	BATCH_NOTE = 4,
	BATCH_LIBRARY = 5, /* payload: struct batch_library, an unknown file */
	/* Payload: the name of a process that has made itself an io_uring. */
	BATCH_IO_URING = 6,
	/* No payload: it closes descriptors, perhaps not the last of a socket. */
	BATCH_CLOSING = 7,
	/* No payload: it runs another program since `first_ns`. */
	BATCH_EXEC = 8
};

enum batch_direction {
	BATCH_IN = 0, /* towards the traced process: SSL_read */
	BATCH_OUT = 1 /* from the traced process: SSL_write */
};

enum batch_flag {
	BATCH_NO_OFFSET = 1, /* no connection state in the kernel: map full */
	BATCH_PEEKED = 2     /* made by user space from an accumulator */
};

/* Why bytes that a probed call moved were not delivered. */
enum batch_loss {
	LOSS_NONE = 0,
	LOSS_BUFFER_FULL, /* the ring or perf buffer had no room */
	LOSS_UNREADABLE,  /* the page could not be read from the probe */
	LOSS_OVER_LIMIT,  /* beyond --max-capture of one call */
	LOSS_MAP_FULL,	  /* sent without connection state, and not taken */
	LOSS_NO_ENTRY,	  /* the call's arguments were evicted or never seen */
	LOSS_ZERO_COPY,	  /* sendfile, splice: never in the process's memory */
	LOSS_STREAM_FULL, /* user space: a stream or the total was at its bound */
	LOSS_NOT_IN_FILE, /* a capture file lacks the packet */
	LOSS_SNAP_LENGTH, /* a capture file has the packet's beginning only */
	LOSS_REASONS
};

struct batch {
	__u8 version;	   /* BATCH_VERSION */
	__u8 kind;	   /* enum batch_kind */
	__u8 direction;	   /* enum batch_direction */
	__u8 flags;	   /* enum batch_flag */
	__u32 length;	   /* payload bytes behind this header */
	__u64 connection;  /* unique in a run: ns of its begin << 8 | CPU */
	__u64 offset;	   /* stream offset of the first byte, this direction */
	__u64 missed;	   /* bytes after the payload that were not captured */
	__u64 first_ns;	   /* CLOCK_MONOTONIC: first fragment moved */
	__u64 last_ns;	   /* CLOCK_MONOTONIC: last fragment moved */
	__u32 tgid;	   /* process id in the initial namespace */
	__u32 tid;	   /* thread id of the last fragment */
	__u32 fragments;   /* calls, or parts of calls, in this batch */
	__u8 missed_cause; /* enum batch_loss, of `missed` */
	__u8 tls;	   /* enum batch_tls */
	__u8 reserved[2];
};

/* The TLS library whose probe saw the connection. */
enum batch_tls {
	BATCH_TLS_NONE = 0,
	BATCH_TLS_OPENSSL = 1,
	BATCH_TLS_GO = 2, /* crypto/tls */
	BATCH_TLS_BORINGSSL = 3,
	BATCH_TLS_GNUTLS = 4,
	BATCH_TLS_NSS = 5,
	BATCH_TLS_MBEDTLS = 6,
	BATCH_TLS_WOLFSSL = 7,
	BATCH_TLS_S2N = 8
};

enum batch_open_flag {
	OPEN_INFERRED = 1,   /* the socket is the thread's last one, by guess */
	OPEN_PATH_LOCAL = 2, /* path is the local end's, else the remote's */
	OPEN_STDIO = 4	     /* the process's standard input and output */
};

#define BATCH_PATH_BYTES      112 /* of sun_path: 108 */
#define BATCH_NAME_BYTES      64
#define BATCH_CGROUP_BYTES    136
#define BATCH_ARGUMENTS_BYTES 256

struct batch_open {
	__u64 object;		/* accumulator_key's */
	__u64 start_ns;		/* process start, CLOCK_BOOTTIME */
	__u64 cgroup;		/* cgroup v2 id */
	__u32 uid;
	__u16 family;		/* AF_INET, AF_INET6, AF_UNIX; 0: not known (yet) */
	__u8 tls;		/* enum batch_tls */
	__u8 flags;		/* enum batch_open_flag */
	__u8 local_address[16]; /* network order; IPv4 in the first 4 */
	__u8 remote_address[16];
	__u16 local_port; /* host order */
	__u16 remote_port;
	__s32 fd;	  /* -1: not known */
	char comm[BATCH_COMM_BYTES]; /* of the process: its group leader */
	__u32 peer_pid;	  /* of an AF_UNIX socket: whose its other end was made */
	__u32 arguments_length;
	__u64 local_socket;  /* AF_UNIX: which socket this is, */
	__u64 remote_socket; /* and which its other end; 0: not known */
	char path[BATCH_PATH_BYTES];	   /* AF_UNIX; '\0' first: abstract */
	char executable[BATCH_NAME_BYTES]; /* its file's name */
	char cgroup_name[BATCH_CGROUP_BYTES]; /* the last part of its path */
	char arguments[BATCH_ARGUMENTS_BYTES]; /* NUL-separated, cut */
};

/*
 * A connection's state in the kernel, up to its payload buffer; user space
 * reads it to take the bytes of an idle accumulator and the final offsets.
 */
struct accumulator {
	__u64 version;	  /* odd while the kernel changes the value */
	__u64 offsets[2]; /* bytes seen so far, by enum batch_direction */
	__u64 unsent[2];  /* of those, lost since the last record that went */
	__u64 noted_ns;	  /* last BATCH_NOTE, CLOCK_MONOTONIC */
	__u64 socket;	  /* inode number of the socket; 0: not known */
	__s32 fd;	  /* of that socket; -1: not known */
	__u32 state;	  /* enum accumulator_state */
	__u32 exec_id;	  /* of its process then: each execve() gives another */
	__u32 reserved;
	/*
	 * Programs that are at it right now; from HOLDERS_JOURNEY on, those
	 * whose bytes go past it in pieces.
	 */
	__u64 holders;
	struct batch header; /* snapshot; header.length bytes are waiting */
};

#define HOLDERS_JOURNEY (1ULL << 32)

enum accumulator_state {
	ACCUMULATOR_OPENED = 1,	 /* its BATCH_OPEN went */
	ACCUMULATOR_MUTED = 2,	 /* filtered out, or its end was told */
	ACCUMULATOR_CLOSED = 4,	 /* over; its BATCH_CLOSE did not go yet */
	ACCUMULATOR_INFERRED = 8 /* fd and socket are a guess */
};

/*
 * Key of a connection's accumulator.  The object is the address of a TLS
 * object, or OBJECT_SOCKET and the socket's inode number, or OBJECT_STDIO.
 */
struct accumulator_key {
	__u64 object;
	__u64 tgid;
};

#define OBJECT_SOCKET (1ULL << 63)
#define OBJECT_STDIO  (1ULL << 62)

/*
 * What is not captured, by key.  Any other value is the id of a connection that
 * user space asked to be left alone: its BATCH_CLOSE is due; by its id, since
 * it may have ended meanwhile, and its key be another's.
 */
enum ignored {
	IGNORED_DONE = 1,
	IGNORED_TLS = 2 /* its bytes are TLS records */
};

/* What the kernel counts, on each CPU. */
struct counters {
	__u64 fragments;
	__u64 bytes_seen;
	__u64 batches;
	__u64 batch_bytes;
	__u64 direct;	   /* fragments sent without state: the map was full */
	__u64 unknown;	   /* calls that moved a number of bytes not readable */
	__u64 unwoken;	   /* bytes sent since user space was last woken */
	__u64 notices_lost;/* BATCH_NOTE, BATCH_LIBRARY ... that did not go */
	__u64 foreign;	   /* calls of 32-bit programs, not looked at */
	__u64 left;	   /* ended connections whose BATCH_CLOSE did not go */
	__u64 lost[LOSS_REASONS];   /* bytes */
	__u64 hidden[LOSS_REASONS]; /* of those: no later offset tells of them */
};

/* A file mapped executable that user space has not judged yet. */
struct batch_library {
	__u64 inode;
	__u64 size;
	__u32 device; /* kernel's dev_t: major << 20 | minor */
	__u32 generation;
};

#ifndef DATASNOOP_BPF
_Static_assert(sizeof(struct batch) == 64, "ABI: raise BATCH_VERSION");
_Static_assert(sizeof(struct batch_open) == 680, "ABI: raise BATCH_VERSION");
_Static_assert(sizeof(struct accumulator) == 144, "shared with BPF");
_Static_assert(sizeof(struct batch_library) == 24, "ABI: raise BATCH_VERSION");
#endif

#endif
