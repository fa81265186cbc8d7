/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor.h - what this host offers, and what would be attached: --doctor.
 */
#ifndef DATASNOOP_PROBES_DOCTOR_H
#define DATASNOOP_PROBES_DOCTOR_H

#include <stdio.h>

#include "options.h"

/*
 * doctor_print - a page for a human
 * @options: as for tracing; -p narrows the list of libraries too
 *
 * Compiles and loads what tracing would, attaches nothing, and leaves nothing
 * behind.  0: all of that worked; 1: it did not, and the last lines say what
 * is missing and the fix.
 */
int doctor_print(FILE *out, const struct options *options);

#endif
