/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach_golang.c - which BPF function goes where in a program written in Go.
 */
#include "probes/attach_golang.h"

#include <errno.h>
#include <stdlib.h>

#include "probes/golang.h"

/* What to run at a function's entry and its RETs: by ABI and function. */
static const struct {
	const char *entry, *on_return;
} programs[2][GOLANG_FUNCTIONS] = {
	{
		[GOLANG_READ] = {"on_go_read", "on_go_return"},
		[GOLANG_WRITE] = {"on_go_write", "on_go_return"},
		[GOLANG_CLOSE] = {"on_go_close", NULL},
	},
	{
		[GOLANG_READ] = {"on_go0_read", "on_go0_return"},
		[GOLANG_WRITE] = {"on_go0_write", "on_go0_return"},
		[GOLANG_CLOSE] = {"on_go0_close", NULL},
	},
};

/* Entry first: a return without an entry would be a call not understood. */
static int attach_function(struct program *program, const char *opened,
			   const struct golang *golang,
			   enum golang_function function)
{
	const struct golang_probe *probe = &golang->probes[function];
	bool old = golang->arguments_on_stack;
	int error = program_attach_uprobe(program,
					  programs[old][function].entry,
					  opened, probe->entry, false);

	for (unsigned i = 0; !error && i < probe->return_count; i++)
		error = program_attach_uprobe(program,
					      programs[old][function].on_return,
					      opened, probe->returns[i], false);
	return error;
}

int attach_golang(struct program *program, const char *opened,
		  unsigned *functions, const char **why)
{
	struct golang *golang = malloc(sizeof(*golang));
	int error = -ENOMEM;

	*why = "";
	if (!golang)
		return error;
	error = golang_read(opened, golang, why);
	for (int i = 0; !error && i < GOLANG_FUNCTIONS; i++) {
		error = attach_function(program, opened, golang, i);
		*functions += !error;
	}
	free(golang);
	return error;
}
