/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * build.c - from options to BPF programs that the kernel has accepted.
 */
#include "probes/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What one attempt needs, and where its words go. */
struct attempt {
	struct build *build;
	const struct options *options;
	const struct kernel *kernel;
	void (*warn)(void *context, const char *message);
	void *context;
};

static double now_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

__attribute__((format(printf, 3, 4))) static int fail(char *why, size_t size,
						      const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, size, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int build_check(const struct options *options, const struct kernel *kernel,
		char *why, size_t why_size)
{
	if (!kernel->capable)
		return fail(why, why_size,
			    "needs root, or CAP_BPF and CAP_PERFMON (before "
			    "Linux 5.8: CAP_SYS_ADMIN)");
	if (!kernel->bpf)
		return fail(why, why_size,
			    "this kernel refuses bpf(): no CONFIG_BPF_SYSCALL, "
			    "or locked down (see datasnoop --doctor)");
	if (!kernel->host_pids)
		return fail(why, why_size,
			    "this is a container's PID namespace: run it on "
			    "the host, or with the host's (docker run "
			    "--pid=host)");
	if (!kernel->tracefs)
		return fail(why, why_size,
			    "tracefs is not mounted: mount -t tracefs nodev "
			    "/sys/kernel/tracing");
	if (options->transport == TRANSPORT_RING && !kernel->ring_buffer)
		return fail(why, why_size,
			    "--transport ring: this kernel has no BPF ring "
			    "buffer; use --transport perf");
	return 0;
}

/* Words of clang or the verifier: many lines, for who asked for them. */
static void explain(const struct attempt *attempt, const char *words)
{
	if (words && attempt->options->verbose)
		attempt->warn(attempt->context, words);
}

/* One source of types: prepare, compile.  0 or -errno; adds to `tried`. */
static int compile_from(struct attempt *attempt, enum headers_source source,
			char *tried, size_t size)
{
	const struct options *options = attempt->options;
	struct program_variant variant = {
		.ring = attempt->build->ring,
		.old_reads = !attempt->kernel->probe_read_user,
		.socket_tracepoints = attempt->kernel->socket_tracepoints &&
				      options->socket_tracepoints,
		.on_demand = attempt->kernel->on_demand &&
			     options->socket_tracepoints,
	};
	size_t used = strlen(tried);
	struct headers headers;
	char *messages;
	int error;

	error = headers_prepare(&headers, source, options->kernel_headers,
				tried + used, size - used);
	if (error) {
		used = strlen(tried);
		snprintf(tried + used, size - used, "; ");
		return error;
	}
	tried[used] = '\0';
	attempt->build->program =
		program_compile(options, &variant, &headers, &messages);
	/* All of it is in memory now. */
	headers_release(&headers);
	if (!attempt->build->program) {
		snprintf(tried + used, size - used, "%s: does not compile%s; ",
			 headers_source_name(source),
			 options->verbose ? "" : " (-v shows the messages)");
		explain(attempt, messages);
		error = -EINVAL;
	}
	free(messages);
	return error;
}

static int compile(struct attempt *attempt, char *why, size_t size)
{
	int source = HEADERS_BTF, last = HEADERS_KHEADERS;
	char tried[2048] = "";
	double start = now_s();

	if (attempt->options->kernel_headers)
		source = last = HEADERS_USER;
	for (; source <= last; source++) {
		if (compile_from(attempt, source, tried, sizeof(tried)))
			continue;
		attempt->build->types = source;
		attempt->build->compile_s = now_s() - start;
		return 0;
	}
	return fail(why, size,
		    "no usable types of kernel %s: tried %sinstall the package "
		    "linux-headers-%s, or name a tree with --kernel-headers",
		    attempt->kernel->release, tried, attempt->kernel->release);
}

static int load(struct attempt *attempt, char *why, size_t size)
{
	double start = now_s();
	char *log;
	int error = program_load(attempt->build->program, &log);

	if (error) {
		explain(attempt, log);
		fail(why, size, "the kernel refuses a BPF program: %s%s",
		     strerror(-error),
		     attempt->options->verbose
			     ? ""
			     : " (-v shows the verifier's log)");
	}
	free(log);
	attempt->build->load_s = now_s() - start;
	return error;
}

int build_program(struct build *build, const struct options *options,
		  const struct kernel *kernel,
		  void (*warn)(void *context, const char *message),
		  void *context, char *why, size_t why_size)
{
	struct attempt attempt = {
		.build = build,
		.options = options,
		.kernel = kernel,
		.warn = warn,
		.context = context,
	};
	int error;

	memset(build, 0, sizeof(*build));
	build->ring =
		options->transport != TRANSPORT_PERF && kernel->ring_buffer;
	error = compile(&attempt, why, why_size);
	if (!error)
		error = load(&attempt, why, why_size);
	if (error) {
		program_free(build->program);
		build->program = NULL;
	}
	return error;
}
