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
 * @options: --kernel-headers, --no-placement and -p are honoured
 *
 * Attaches and loads nothing that stays.  0: tracing can work here; 1: it
 * can't, and the last lines say what is missing and the fix.
 */
int doctor_print(FILE *out, const struct options *options);

#endif
