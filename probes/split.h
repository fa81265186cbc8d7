/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * split.h - one kernel tree out of the two halves of a split one.
 *
 * Debian installs what the build generated (include/generated, for one
 * architecture) and what it read (include/linux) as two trees; so does a
 * build with O=.  The generated half names the other.
 */
#ifndef DATASNOOP_PROBES_SPLIT_H
#define DATASNOOP_PROBES_SPLIT_H

#include <limits.h>

/*
 * split_source - the half that `build`, the generated one, was made from
 *
 * 0; -ENOENT when it names none, or one that is not there: `source` then is
 * the one it named, or "".
 */
int split_source(const char *build, char source[PATH_MAX]);

/*
 * split_build - a generated half that was made from `source`: 0 or -ENOENT
 *
 * Looks at Debian's names only: X-common and, beside it, X-amd64.
 */
int split_build(const char *source, char build[PATH_MAX]);

/*
 * split_merge - directories and symbolic links in `into`, which exists, that
 * make the headers of both halves one tree; paths absolute
 *
 * 0 or -errno; what was made before a failure stays.
 */
int split_merge(const char *build, const char *source, const char *into);

#endif
