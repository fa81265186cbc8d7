/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * privileges.h - give up what tracing does not need, once it runs.
 */
#ifndef DATASNOOP_PROBES_PRIVILEGES_H
#define DATASNOOP_PROBES_PRIVILEGES_H

/*
 * privileges_drop - keep the capabilities that are needed to read maps, to
 * look at processes and to attach to libraries that come later; no others,
 * and none for a program that this process might run
 *
 * 0 or -1.
 */
int privileges_drop(void);

#endif
