/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tls_libraries.bpf.c - BPF entry points at the functions of TLS libraries.
 *
 * Which of them runs where is the table in symbols.c.  An entry says what the
 * library is, and where the function's bytes are; returns differ only in what
 * the returned value means.
 */

/* ---- OpenSSL; BoringSSL has the same functions, but for the _ex ones */

int on_read(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_OPENSSL);
}

int on_read_ex(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, PT_REGS_PARM4(ctx), BATCH_TLS_OPENSSL);
}

int on_write(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, 0, BATCH_TLS_OPENSSL);
}

int on_write_ex(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, PT_REGS_PARM4(ctx), BATCH_TLS_OPENSSL);
}

int on_read_boring(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_BORINGSSL);
}

int on_write_boring(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, 0, BATCH_TLS_BORINGSSL);
}

/* ---- GnuTLS */

int on_read_gnutls(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_GNUTLS);
}

/*
 * What is sent while corked is captured as it is given.  To send nothing, from
 * nowhere, is to go on with what was given before and not taken: those bytes
 * are not known any more, and read from address 0 are an exact gap.
 */
int on_write_gnutls(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, 0, BATCH_TLS_GNUTLS);
}

/* gnutls_record_uncork: what it sends was captured when it was given. */
int on_uncork(struct pt_regs *ctx)
{
	return enter(ctx, FRAME_UNCORK, 0, BATCH_TLS_GNUTLS);
}

int on_uncork_return(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct call *call = calls.lookup(&id);

	if (call)
		close_frame(call, PT_REGS_SP(ctx));
	return 0;
}

/* ---- NSS: NSPR's calls on a descriptor that is a TLS socket */

struct nspr_descriptor { /* PRFileDesc */
	u64 methods;
	u64 secret;
	u64 lower;
	u64 higher;
};

#define NSPR_LAYERED 4 /* PR_DESC_LAYERED */

/*
 * is_tls_layer - may a descriptor's top layer be TLS?
 *
 * NSPR's functions serve files and plain sockets as well.  A TLS socket is one
 * with a layer upon it: its methods are of the layered type and it has a lower
 * layer.  One with a higher layer is not what the application holds: a call
 * on it is part of a call on the top.
 */
static __always_inline int is_tls_layer(u64 descriptor)
{
	struct nspr_descriptor top = {};
	u32 type = 0;

	bpf_probe_read_user(&top, sizeof(top), (void *)descriptor);
	bpf_probe_read_user(&type, sizeof(type), (void *)top.methods);
	return type == NSPR_LAYERED && top.lower && !top.higher;
}

int on_read_nss(struct pt_regs *ctx)
{
	if (!is_tls_layer(PT_REGS_PARM1(ctx)))
		return 0;
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_NSS);
}

/* PR_Recv: what is only peeked at (PR_MSG_PEEK) is read again. */
int on_recv_nss(struct pt_regs *ctx)
{
	if (PT_REGS_PARM4(ctx) & 2 || !is_tls_layer(PT_REGS_PARM1(ctx)))
		return 0;
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_NSS);
}

int on_write_nss(struct pt_regs *ctx)
{
	if (!is_tls_layer(PT_REGS_PARM1(ctx)))
		return 0;
	return enter(ctx, BATCH_OUT, 0, BATCH_TLS_NSS);
}

/* PR_Writev: one buffer is captured, several are an exact gap. */
int on_writev_nss(struct pt_regs *ctx)
{
	u64 from = 0;

	if (!is_tls_layer(PT_REGS_PARM1(ctx)))
		return 0;
	if (PT_REGS_PARM3(ctx) == 1)
		bpf_probe_read_user(&from, sizeof(from),
				    (void *)PT_REGS_PARM2(ctx));
	return enter_at(ctx, BATCH_OUT, from, 0, BATCH_TLS_NSS);
}

/* ---- Mbed TLS */

int on_read_mbedtls(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_MBEDTLS);
}

int on_write_mbedtls(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, 0, BATCH_TLS_MBEDTLS);
}

/* ---- wolfSSL */

int on_read_wolfssl(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_WOLFSSL);
}

int on_write_wolfssl(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, 0, BATCH_TLS_WOLFSSL);
}

/* ---- s2n */

int on_read_s2n(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_IN, 0, BATCH_TLS_S2N);
}

int on_write_s2n(struct pt_regs *ctx)
{
	return enter(ctx, BATCH_OUT, 0, BATCH_TLS_S2N);
}

/* ---- returns, of all libraries */

int on_return(struct pt_regs *ctx)
{
	return leave(ctx, RESULT_COUNT);
}

int on_return_ex(struct pt_regs *ctx)
{
	return leave(ctx, RESULT_EXTENDED);
}

int on_return_layer(struct pt_regs *ctx)
{
	return leave(ctx, RESULT_LAYER);
}

int on_return_packet(struct pt_regs *ctx)
{
	return leave(ctx, RESULT_PACKET);
}

/*
 * SSL_sendfile, gnutls_record_send_file: of a file, by the kernel (kTLS).
 * Where the library reads the file and sends it, the sending was captured.
 */
int on_return_kernel(struct pt_regs *ctx)
{
	return leave(ctx, RESULT_KERNEL);
}
