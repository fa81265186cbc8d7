/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * calendar.c - days as dates.
 *
 * Years begin in March here, so that a leap day is a year's last; 400 years
 * have 146,097 days.
 */
#include "parsers/calendar.h"

#include <inttypes.h>
#include <stdio.h>

#define DAYS_TO_MARCH_0000 719468 /* from 0000-03-01 to 1970-01-01 */
#define ERA_DAYS	   146097

void calendar_put(struct buffer *out, int64_t days)
{
	char text[64];
	int64_t era, day, year, month;
	int length;

	days += DAYS_TO_MARCH_0000;
	era = (days >= 0 ? days : days - (ERA_DAYS - 1)) / ERA_DAYS;
	day = days - era * ERA_DAYS;
	year = (day - day / 1460 + day / 36524 - day / (ERA_DAYS - 1)) / 365;
	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5 - 1;
	month += month < 10 ? 3 : -9;
	year += era * 400 + (month <= 2);
	length = snprintf(text, sizeof(text),
			  "%04" PRId64 "-%02" PRId64 "-%02" PRId64, year,
			  month, day);
	buffer_append(out, text, (size_t)length);
}
