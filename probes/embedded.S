/* SPDX-License-Identifier: GPL-2.0-or-later */
/* embedded.S - the BPF sources as read-only data, in the order of inclusion. */
	.macro part file
	.section .rodata
91:	.asciz "\file"
92:	.incbin "\file"
93:
	.section .data.rel.ro, "aw"
	.balign 8
	.quad 91b, 92b, 93b
	.endm

	.section .data.rel.ro, "aw"
	.balign 8
	.globl embedded
embedded:
	part probes/batch.h
	part probes/accumulator.bpf.h
	part probes/connection.bpf.h
	part probes/fragment.bpf.h
	part probes/muted.bpf.h
	part probes/tls.bpf.c
	part probes/tls_libraries.bpf.c
	part probes/golang.bpf.c
	part probes/system_calls.bpf.h
	part probes/mapped.bpf.c
	part probes/stdio.bpf.h
	part probes/vectors.bpf.c
	part probes/descriptors.bpf.c
	part probes/sockets.bpf.c
	.quad 0, 0, 0
	.section .note.GNU-stack,"",%progbits
