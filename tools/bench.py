#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench.py - what tracing costs, and what it loses, side by side.

`make bench` runs it, as root, on a machine that is otherwise idle: private
servers and loads on loopback, at the highest rate that the machine reaches.
Tables on standard output, and all figures of all runs in a JSON file, where a
group that is not measured keeps what it has of the same host.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import platform
import signal
import sys
import tempfile

sys.dont_write_bytecode = True

import bench_many
import bench_offline
import bench_plain
import bench_tls
from bench_common import ROOT, Bench

# measure(bench): what the file holds of it; tables(results): lines of text.
Group = collections.namedtuple("Group", "measure tables")
GROUPS = {
    "plain": Group(bench_plain.measure_plain, bench_plain.tables_plain),
    "idle": Group(bench_plain.measure_idle, bench_plain.tables_idle),
    "connections": Group(bench_many.measure_connections,
                         bench_many.tables_connections),
    "discovery": Group(bench_many.measure_discovery,
                       bench_many.tables_discovery),
    "tls": Group(bench_tls.measure, bench_tls.tables),
    "offline": Group(bench_offline.measure, bench_offline.tables),
}
OFFLINE = "offline"  # needs no root, and much room: only when asked for
SETTINGS = {
    "plain": ("seconds", "runs", "agents", "ring_mb"),
    "idle": ("seconds", "runs", "ring_mb"),
    "connections": ("hold", "rate", "churn_seconds", "runs", "ring_mb"),
    "discovery": ("processes", "seconds", "runs", "ring_mb"),
    "tls": ("seconds", "runs", "agents", "ring_mb"),
    "offline": ("offline_mb", "tshark_mb", "runs"),
}


def groups_of(text):
    """The argument of --only."""
    names = text.split(",")
    for name in names:
        if name not in GROUPS:
            raise argparse.ArgumentTypeError(
                f"no group {name!r}; there are: {', '.join(GROUPS)}")
    return [name for name in GROUPS if name in names]


def parse_options():
    parser = argparse.ArgumentParser(
        description="What tracing costs, and what it loses, side by side.")
    add = parser.add_argument
    add("--only", type=groups_of, metavar="GROUP,...",
        default=[name for name in GROUPS if name != OFFLINE],
        help=f"of {', '.join(GROUPS)} (all but {OFFLINE})")
    add("--offline", action="store_const", dest="only", const=[OFFLINE],
        help="only the reading of capture files, against tshark")
    add("--seconds", type=float, default=8, help="length of a run (8)")
    add("--quick", action="store_true", help="3 s a run, one run of each")
    add("--runs", type=int, default=3, help="runs of each (3)")
    add("--limit", type=float, default=2400,
        help="begin no run after so many seconds (2400)")
    add("--agents", type=int, default=2 * os.cpu_count(),
        help="connections of the load (two a processor)")
    add("--ring-mb", type=int, default=8, help="size of the ring (8)")
    add("--hold", type=int, default=10000,
        help="connections that stay open (10000)")
    add("--rate", type=int, default=2000,
        help="new connections a second beside them (2000)")
    add("--churn-seconds", type=float, default=60,
        help="how long these come (60)")
    add("--processes", type=int, default=5000,
        help="processes that sleep (5000)")
    add("--datasnoop", type=pathlib.Path, default=ROOT / "datasnoop")
    add("--sslsniff", type=pathlib.Path, help="bcc's tool, for a row of it")
    add("--output", type=pathlib.Path, default=ROOT / "bench/results.json")
    add("--offline-mb", type=int, default=1000,
        help="size of a capture file (1000)")
    add("--tshark-mb", type=int, default=50,
        help="size of what tshark reads of the same kind (50)")
    add("--directory", help="for output and capture files (TMPDIR)")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.runs, options.churn_seconds = 3, 1, 10
    return options


def earlier_results(path, host):
    """What the file holds of this host."""
    try:
        results = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return results if results.get("host") == host else {}


def settings_of(options, name):
    settings = {key: getattr(options, key) for key in SETTINGS[name]}
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"measured": now.isoformat(timespec="seconds"), **settings}


def heading(name, settings):
    words = ", ".join(f"{key.replace('_', ' ')} {value:,}"
                      for key, value in settings.items()
                      if key != "measured")
    return f"\n{name} ({words}; medians)\n"


def measure(bench):
    """Each group: its table, and its place in the file, once it is done."""
    options = bench.options
    host = {"kernel": platform.release(), "machine": platform.machine(),
            "cpus": os.cpu_count()}
    results = {"settings": {}, **earlier_results(options.output, host),
               "host": host, "troubles": bench.troubles}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        settings = settings_of(options, name)
        figures = bench.attempt(name, GROUPS[name].measure)
        if figures is None:
            continue
        results["settings"][name] = settings
        results.update(figures)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
        print(heading(name, settings))
        for line in GROUPS[name].tables(figures):
            print(line, flush=True)


def main():
    options = parse_options()
    # As an exception, so that the server and the tracer end with the bench.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid() and options.only != [OFFLINE]:
        sys.exit("bench: must be root, as the tracer must")
    try:
        with tempfile.TemporaryDirectory(prefix="datasnoop-bench.",
                                         dir=options.directory) as directory:
            bench = Bench(options, pathlib.Path(directory))
            measure(bench)
    except KeyboardInterrupt:
        sys.exit(130)
    print()
    for line in bench.troubles:
        print(f"not measured: {line}")
    print(f"all runs: {options.output}")
    if bench.troubles:
        sys.exit("bench: incomplete, see above")


if __name__ == "__main__":
    main()
