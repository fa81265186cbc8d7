/* SPDX-License-Identifier: GPL-2.0-or-later */
/* embedded.S - the BPF sources as read-only data, in the order of inclusion. */
	.section .rodata
	.globl embedded_batch, embedded_batch_end
embedded_batch:
	.incbin "probes/batch.h"
embedded_batch_end:
	.globl embedded_accumulator, embedded_accumulator_end
embedded_accumulator:
	.incbin "probes/accumulator.bpf.h"
embedded_accumulator_end:
	.globl embedded_capture, embedded_capture_end
embedded_capture:
	.incbin "probes/capture.bpf.c"
embedded_capture_end:
	.section .note.GNU-stack,"",%progbits
