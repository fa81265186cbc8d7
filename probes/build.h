/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * build.h - from options to BPF programs that the kernel has accepted.
 */
#ifndef DATASNOOP_PROBES_BUILD_H
#define DATASNOOP_PROBES_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"
#include "probes/headers.h"
#include "probes/kernel.h"
#include "probes/program.h"

struct build {
	struct program *program;   /* compiled, its maps made, loaded */
	enum headers_source types; /* whose types it was compiled with */
	bool ring;		   /* its transport: ring or perf buffer */
	double compile_s, load_s;
};

/*
 * build_check - is all there without which nothing need be tried?
 *
 * 0; or -EINVAL with one line in `why` of what is missing and what to do.
 */
int build_check(const struct options *options, const struct kernel *kernel,
		char *why, size_t why_size);

/*
 * build_program - compile with the first source of types that works, load
 * @kernel: probed, and build_check() content with it
 * @warn: gets the compiler's or the verifier's words with -v; may be long
 *
 * 0; or -errno with one line in `why`.  The caller frees build->program.
 * Temporary trees of types are gone when it returns.
 */
int build_program(struct build *build, const struct options *options,
		  const struct kernel *kernel,
		  void (*warn)(void *context, const char *message),
		  void *context, char *why, size_t why_size);

#endif
