/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calendar.h - days as dates, for protocols that count them.
 */
#ifndef DATASNOOP_PARSERS_CALENDAR_H
#define DATASNOOP_PARSERS_CALENDAR_H

#include "parsers/buffer.h"

/* Appends days since 1970-01-01 as YYYY-MM-DD of the Gregorian calendar. */
void calendar_put(struct buffer *out, int64_t days);

#endif
