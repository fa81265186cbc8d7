# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_many.py - many connections, and many processes.

Connections (group "connections"): is each exchange of each seen, does the
account close, does memory stay?  Processes ("discovery"): how soon does
tracing begin among them, and what does it take while all of them sleep?
"""

import subprocess
import time

from bench_common import broken_line, render, show, spread, summed_up
from bench_loads import SERVER_COMM, Connections, sleepers
from bench_tracer import Datasnoop, account_figures

SAMPLE_SECONDS = 5
SETTLE_SECONDS = 1  # after the start, before the idle is measured


# ---- connections ----

def connection_rows(options):
    """Each end counts as one: both ends are twice as many."""
    ends = 2 * (options.hold + options.rate)
    room = 1 << (ends - 1).bit_length()
    return {"both ends": [], "the server's": ["-c", SERVER_COMM],
            "both, room for all": ["--max-connections", room]}


def sample_until_over(tracer, process):
    """Memory in MB, each few seconds while the load runs: RSS, and maps."""
    samples = [(tracer.rss_mb(), tracer.maps_mb())]
    while True:
        try:
            process.wait(SAMPLE_SECONDS)
        except subprocess.TimeoutExpired:
            samples.append((tracer.rss_mb(), tracer.maps_mb()))
            continue
        return samples


def count_records(tracer):
    records = [record.get("datasnoop.complete", False)
               for record in tracer.records()
               if record.get("db.system.name") == "redis"]
    return {"records": len(records), "records_complete": sum(records)}


def memory_figures(idle, samples):
    rss, maps = zip(*samples)
    return {"rss_idle_mb": idle, "rss_first_mb": rss[0],
            "rss_last_mb": rss[-1], "rss_max_mb": max(rss),
            "maps_first_mb": maps[0], "maps_last_mb": maps[-1],
            "maps_max_mb": max(maps), "rss_samples_mb": rss}


def run_connections(bench, flags):
    options = bench.options
    load = Connections(options.hold, options.rate, options.churn_seconds)
    with Datasnoop(options, bench.directory, flags) as tracer:
        idle, cpu = tracer.rss_mb(), tracer.cpu_seconds()
        with load.held() as process:
            samples = sample_until_over(tracer, process)
            done = load.finish(process)
        cpu = tracer.cpu_seconds() - cpu
        tracer.stop()
        summary = tracer.summary()
        records = count_records(tracer)
    return {**account_figures(summary), **records,
            **memory_figures(idle, samples), "rate": done["rate"],
            "connections": done["connections"], "asked": done["exchanges"],
            "refused": summary["capture.connections_refused"],
            "tracer_cpu_s": cpu}


def measure_connections(bench):
    return {"connections": summed_up(bench.repeat(
        [(name, run_connections, flags)
         for name, flags in connection_rows(bench.options).items()]))}


def tables_connections(results):
    head = ["ends traced", "opened", "new/s", "asked", "seen", "whole",
            "bytes lost", "min-max", "refused", "RSS MB idle", "held",
            "last", "max", "maps MB", "max", "CPU s"]
    lines = []
    for name, row in results["connections"].items():
        figures = row["figures"]
        lines.append([name, *(show(figures, key) for key in (
            "connections", "rate", "asked", "records", "records_complete",
            "bytes_lost")), spread(figures, "bytes_lost"),
            *(show(figures, key) for key in (
                "refused", "rss_idle_mb", "rss_first_mb", "rss_last_mb",
                "rss_max_mb")),
            *(show(figures, key, "{:.1f}") for key in (
                "maps_first_mb", "maps_max_mb", "tracer_cpu_s"))])
    yield f"{render(head, lines)}\n\n{LEGEND}"
    yield from broken_line(results["connections"])


LEGEND = """\
seen: exchanges shown, of those asked; whole: with nothing missing; refused:
connections that found no place; RSS: the tracer's, before the load, with the
first connections held, at the end and at most; maps: in the kernel"""


# ---- processes ----

def run_idle(bench, count):
    """Seconds until tracing begins; its part of a processor from then on."""
    with sleepers(count), \
            Datasnoop(bench.options, bench.directory, []) as tracer:
        time.sleep(SETTLE_SECONDS)
        cpu, started = tracer.cpu_seconds(), time.monotonic()
        time.sleep(bench.seconds)
        cpu = tracer.cpu_seconds() - cpu
        seconds = time.monotonic() - started
        rss = tracer.rss_mb()
        tracer.stop()
        summary = tracer.summary()
    return {**account_figures(summary), "ready_s": tracer.ready_s,
            "idle_percent": 100 * cpu / seconds, "rss_mb": rss}


def measure_discovery(bench):
    return {"discovery": summed_up(bench.repeat(
        [(f"{count:,} more processes", run_idle, count)
         for count in (0, bench.options.processes)]))}


def tables_discovery(results):
    head = ["host", "ready s", "min-max", "% of a processor", "min-max",
            "RSS MB"]
    yield render(head, [
        [name, show(row["figures"], "ready_s", "{:.2f}"),
         spread(row["figures"], "ready_s", "{:.2f}"),
         show(row["figures"], "idle_percent", "{:.2f}"),
         spread(row["figures"], "idle_percent", "{:.2f}"),
         show(row["figures"], "rss_mb")]
        for name, row in results["discovery"].items()])
    yield from broken_line(results["discovery"])
