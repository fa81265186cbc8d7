/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * system_calls.bpf.h - what a system call has moved: number and registers say.
 *
 * Of x86-64's calls.  Those of 32-bit programs have numbers of their own and
 * are told apart, not read.
 */

/* The system calls concerned; numbers of x86-64. */
enum number {
	NUMBER_READ = 0,
	NUMBER_WRITE = 1,
	NUMBER_MMAP = 9,
	NUMBER_READV = 19,
	NUMBER_WRITEV = 20,
	NUMBER_SENDFILE = 40,
	NUMBER_SENDTO = 44,
	NUMBER_RECVFROM = 45,
	NUMBER_SENDMSG = 46,
	NUMBER_RECVMSG = 47,
	NUMBER_SPLICE = 275,
	NUMBER_RECVMMSG = 299,
	NUMBER_SENDMMSG = 307,
	NUMBER_PREADV2 = 327,
	NUMBER_PWRITEV2 = 328,
	NUMBER_IO_URING_SETUP = 425,
};

#define NUMBERS_BELOW_64                                               \
	(1ULL << NUMBER_READ | 1ULL << NUMBER_WRITE |                  \
	 1ULL << NUMBER_READV | 1ULL << NUMBER_WRITEV |                \
	 1ULL << NUMBER_SENDFILE | 1ULL << NUMBER_SENDTO |             \
	 1ULL << NUMBER_RECVFROM | 1ULL << NUMBER_SENDMSG |            \
	 1ULL << NUMBER_RECVMSG)

/* Calls that end in one send or receive of one socket. */
#define NUMBERS_OF_A_SOCKET                                            \
	(1ULL << NUMBER_READ | 1ULL << NUMBER_WRITE |                  \
	 1ULL << NUMBER_READV | 1ULL << NUMBER_WRITEV |                \
	 1ULL << NUMBER_SENDTO | 1ULL << NUMBER_RECVFROM |             \
	 1ULL << NUMBER_SENDMSG | 1ULL << NUMBER_RECVMSG)

/* Flags of recvfrom and its like that move nothing, or not the stream. */
#define MESSAGE_FLAGS_OTHER (0x01 /* OOB */ | 0x02 /* PEEK */ | \
			     0x2000 /* ERRQUEUE */)
#define MESSAGE_URGENT	  0x01 /* sent: the last byte is not of the stream */
#define MESSAGE_DISCARDED 0x20 /* MSG_TRUNC: TCP drops what is read */

/* Where the bytes of a call are. */
enum shape {
	SHAPE_NONE,    /* it moves none */
	SHAPE_BUFFER,  /* second argument */
	SHAPE_VECTOR,  /* second and third: struct vector[] */
	SHAPE_MESSAGE, /* second: struct message */
	SHAPE_MESSAGES, /* second, and the result: struct message_vector[] */
	SHAPE_KERNEL   /* never in the process's memory */
};

enum family { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10 };

struct vector {
	u64 from;
	u64 length;
};

struct message { /* struct user_msghdr */
	u64 name;
	u64 name_length;
	u64 vectors;
	u64 vector_count;
	u64 control;
	u64 control_length;
	u64 flags;
};

struct message_vector { /* struct mmsghdr */
	struct message message;
	u32 length; /* moved */
	u32 padding;
};

/* System calls of 32-bit programs, by their own numbers. */
enum foreign_number {
	FOREIGN_READ = 3,
	FOREIGN_WRITE = 4,
	FOREIGN_SOCKETCALL = 102,
	FOREIGN_READV = 145,
	FOREIGN_WRITEV = 146,
	FOREIGN_RECVMMSG = 337,
	FOREIGN_SENDMMSG = 345,
	FOREIGN_SENDTO = 369,
	FOREIGN_RECVMSG = 372, /* sendmsg and recvfrom between the two */
};

/* Of socketcall's: send, recv, sendto, recvfrom, *msg, *mmsg. */
#define SOCKETCALLS_MOVING                                             \
	(1U << 9 | 1U << 10 | 1U << 11 | 1U << 12 | 1U << 16 | 1U << 17 | \
	 1U << 19 | 1U << 20)

/* The first three arguments and the number, as struct pt_regs holds them. */
struct registers {
	u64 third; /* dx */
	u64 second;
	u64 first;
	u64 number;  /* orig_ax */
	u64 program; /* ip; 0: of the kernel's own thread */
};

struct moved {
	enum shape shape;
	u32 direction;
	u32 fd;
	u32 unread; /* enum batch_loss: why they can't be; SHAPE_KERNEL */
	u64 flags;  /* MSG_*, of the calls that receive */
	u64 urgent; /* bytes at the end that are not of the stream */
	struct sock *sk; /* that told of them; NULL: the call's end did */
};

/* fourth - the fourth argument of a system call */
static __always_inline u64 fourth(struct pt_regs *registers)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), &registers->r10);
	return value;
}

/* family_of - the address family of a socket's file */
static __always_inline u16 family_of(struct file *file)
{
	u16 family = 0, type;
	struct sock *sk = sock_of(file, &type);

	bpf_probe_read_kernel(&family, sizeof(family),
			      &sk->__sk_common.skc_family);
	return family;
}

/* classify - what a system call that succeeded has moved */
static __always_inline void classify(struct registers *r,
				     struct pt_regs *registers,
				     struct moved *m)
{
	u64 inode;

	m->fd = r->first;
	m->direction = BATCH_IN;
	switch (r->number) {
	case NUMBER_READ:
		m->shape = SHAPE_BUFFER;
		break;
	case NUMBER_WRITE:
		m->shape = SHAPE_BUFFER;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_SENDTO:
		m->shape = SHAPE_BUFFER;
		m->direction = BATCH_OUT;
		m->urgent = fourth(registers) & MESSAGE_URGENT;
		break;
	case NUMBER_RECVFROM:
		m->shape = SHAPE_BUFFER;
		m->flags = fourth(registers);
		break;
	case NUMBER_READV:
	case NUMBER_PREADV2:
		m->shape = SHAPE_VECTOR;
		break;
	case NUMBER_WRITEV:
	case NUMBER_PWRITEV2:
		m->shape = SHAPE_VECTOR;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_RECVMSG:
		m->shape = SHAPE_MESSAGE;
		m->flags = r->third;
		break;
	case NUMBER_SENDMSG:
		m->shape = SHAPE_MESSAGE;
		m->direction = BATCH_OUT;
		m->urgent = r->third & MESSAGE_URGENT;
		break;
	case NUMBER_RECVMMSG:
		m->shape = SHAPE_MESSAGES;
		m->flags = fourth(registers);
		break;
	case NUMBER_SENDMMSG:
		m->shape = SHAPE_MESSAGES;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_SENDFILE:
		m->shape = SHAPE_KERNEL;
		m->direction = BATCH_OUT;
		break;
	case NUMBER_SPLICE: /* one of the two is a pipe */
		m->shape = SHAPE_KERNEL;
		if (kind_of(open_file(r->first), &inode) != MODE_SOCKET) {
			m->fd = r->third;
			m->direction = BATCH_OUT;
		}
		break;
	}
	if (m->flags & MESSAGE_FLAGS_OTHER)
		m->shape = SHAPE_NONE;
	else if (m->shape == SHAPE_MESSAGES && m->unread == LOSS_NO_ENTRY)
		m->shape = SHAPE_KERNEL;
	else if (m->flags & MESSAGE_DISCARDED &&
		 family_of(open_file(r->first)) != FAMILY_UNIX)
		m->shape = SHAPE_KERNEL;
}

/* moves_bytes - of the numbers concerned: is it one that classify() knows? */
static __always_inline int moves_bytes(u64 number)
{
	return number < 64 || number == NUMBER_SPLICE ||
	       number == NUMBER_RECVMMSG || number == NUMBER_SENDMMSG ||
	       number == NUMBER_PREADV2 || number == NUMBER_PWRITEV2;
}

/* first_byte - the address of the first byte of what was moved */
static __always_inline u64 first_byte(struct registers *r, enum shape shape)
{
	u64 vectors = r->second, from = 0;

	if (shape == SHAPE_BUFFER)
		return vectors;
	if (shape == SHAPE_KERNEL)
		return 0;
	if (shape != SHAPE_VECTOR) {
		struct message *message = (void *)vectors;

		bpf_probe_read_user(&vectors, sizeof(vectors),
				    &message->vectors);
	}
	bpf_probe_read_user(&from, sizeof(from), (void *)vectors);
	return from;
}

/* looks_like_tls - do the bytes begin a TLS record (RFC 8446, 5.1)? */
static __always_inline int looks_like_tls(u64 from)
{
	u8 bytes[3] = {};

	bpf_probe_read_user(bytes, sizeof(bytes), (void *)from);
	return bytes[0] >= 20 && bytes[0] <= 23 && bytes[1] == 3 &&
	       bytes[2] <= 4;
}

/* is_foreign - a system call by the numbers of 32-bit programs? */
static __always_inline int is_foreign(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 status = 0;

	bpf_probe_read_kernel(&status, sizeof(status),
			      &task->thread_info.status);
	return status & 2; /* TS_COMPAT */
}

/* foreign_descriptor - of a call that moves bytes, by its 32-bit number; -1 */
static __always_inline s32 foreign_descriptor(struct registers *r,
					      struct pt_regs *registers)
{
	u64 first = 0;
	u32 fd = 0;

	bpf_probe_read_kernel(&first, sizeof(first), &registers->bx);
	if (r->number != FOREIGN_SOCKETCALL)
		return first;
	if (first > 31 || !(SOCKETCALLS_MOVING >> first & 1))
		return -1;
	bpf_probe_read_kernel(&first, sizeof(first), &registers->cx);
	bpf_probe_read_user(&fd, sizeof(fd), (void *)(u64)(u32)first);
	return fd;
}

/* may_be_foreign - could this number move bytes in a 32-bit program? */
static __always_inline int may_be_foreign(u64 number)
{
	return number == FOREIGN_READ || number == FOREIGN_WRITE ||
	       number == FOREIGN_SOCKETCALL || number == FOREIGN_READV ||
	       number == FOREIGN_WRITEV || number == FOREIGN_RECVMMSG ||
	       number == FOREIGN_SENDMMSG ||
	       (number >= FOREIGN_SENDTO && number <= FOREIGN_RECVMSG);
}

/* is_of_a_socket - does such a call, at a socket, end in one send or receive? */
static __always_inline int is_of_a_socket(u64 number)
{
	return number < 64 ? NUMBERS_OF_A_SOCKET >> number & 1 :
			     number == NUMBER_PREADV2 ||
				     number == NUMBER_PWRITEV2;
}
