#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""sockets_gaps.py - is what was captured what was moved, but for its gaps?

    sockets_gaps.py TRUTH DUMP

TRUTH has the files of duplex, DUMP those of streamdump.  Each connection that
was captured of a process of TRUTH must be one of that process's: every byte is
right, or in a gap.  Prints the bytes in gaps; exit status 1: one is not so.
"""

import collections
import pathlib
import sys


def connections(directory):
    """The stems of the files, by process."""
    found = collections.defaultdict(list)
    for path in sorted(pathlib.Path(directory).glob("*.about")):
        found[path.name.split(".")[0]].append(path.with_suffix(""))
    return found


def part(stem, name):
    return pathlib.Path(f"{stem}.{name}").read_bytes()


def with_gaps(stem, way):
    """(position in the stream, bytes) of each run; the stream's length."""
    data, at, shift, runs = part(stem, way), 0, 0, []
    for line in part(stem, "gaps").decode().splitlines():
        direction, before, length = line.split()
        if direction == way:
            runs.append((at + shift, data[at:int(before)]))
            at = int(before)
            shift += int(length)
    runs.append((at + shift, data[at:]))
    return runs, len(data) + shift


def fits(captured, truth):
    for way in ("in", "out"):
        runs, length = with_gaps(captured, way)
        moved = part(truth, way)
        if length != len(moved) or any(
                moved[at:at + len(run)] != run for at, run in runs):
            return False
    return True


def main():
    truth, dump = (connections(path) for path in sys.argv[1:3])
    lost = 0
    for pid, moved in truth.items():
        for captured in dump[pid]:
            match = [one for one in moved if fits(captured, one)]
            if not match:
                sys.exit(f"{captured}: not what any connection moved")
            moved.remove(match[0])
            lost += sum(with_gaps(captured, way)[1] - len(part(captured, way))
                        for way in ("in", "out"))
        lost += sum(len(part(one, way)) for one in moved
                    for way in ("in", "out"))
    print(lost)


if __name__ == "__main__":
    main()
