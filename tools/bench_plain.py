# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_plain.py - plain sockets, and what the tracer should not cost.

The same load without and with the tracer, by turns: queries that are of
interest (group "plain"), and work at full rate that is of none ("idle").
"""

import collections

from bench_common import broken_line, render, show, spread, summed_up
from bench_loads import Sysbench, copy_through_pipe, fetch_pages, server
from bench_tracer import Datasnoop, account_figures

# run(bench): the load, at its highest rate; it tells that "rate", in `unit`.
Workload = collections.namedtuple("Workload", "name unit run tracers")
# target: the part of the rate, in %, that is to be left; None: no target.
Tracer = collections.namedtuple("Tracer", "flags target")

PLAIN = (Tracer((), 90),)
IDLE = (Tracer(("-P", "mysql"), 95), Tracer((), 95))
# There HTTP is of interest, and has its price.
PAGES = (Tracer(("-P", "mysql"), 95), Tracer((), None))
NO_TRACER = "no tracer"
SYSBENCH = {"read-only transactions": "oltp_read_only",
            "point selects": "oltp_point_select"}
BLOCKS = ("512", "64k")
PAGE_CONNECTIONS = 16


def run_untraced(bench, workload):
    return workload.run(bench)


def run_traced(bench, workload, flags):
    with Datasnoop(bench.options, bench.directory, flags) as tracer:
        cpu = tracer.cpu_seconds()
        load = workload.run(bench)
        cpu = tracer.cpu_seconds() - cpu
        tracer.stop()
        summary = tracer.summary()
    return {**load, **account_figures(summary), "tracer_cpu_s": cpu,
            "bytes_seen": summary["capture.bytes_seen"],
            "exchanges": summary["capture.exchanges"],
            "rss_peak_mb": summary["capture.resident_peak_bytes"] / 1e6}


def compare(bench, workload):
    """The load without and with its tracers, by turns, in the file's form."""
    targets = {" ".join(("datasnoop", *tracer.flags)): tracer.target
               for tracer in workload.tracers}
    cells = [(NO_TRACER, run_untraced, workload)]
    for name, tracer in zip(targets, workload.tracers):
        cells.append((name, run_traced, workload, tracer.flags))
    rows = bench.repeat([(f"{workload.name}: {name}", *cell)
                         for name, *cell in cells])
    rows = {name.removeprefix(f"{workload.name}: "): row
            for name, row in summed_up(rows).items()}
    return {"unit": workload.unit, "targets": targets, "rows": rows}


def queries(sysbench, kind):
    return lambda bench: sysbench.run(kind, bench.seconds,
                                      bench.options.agents)


def measure_plain(bench):
    with server("mariadb.sh", "--plain") as (env, _):
        sysbench = Sysbench(env)
        sysbench.prepare()
        return {"plain": {
            name: compare(bench, Workload(name, "TPS",
                                          queries(sysbench, kind), PLAIN))
            for name, kind in SYSBENCH.items()}}


def copies(size):
    return lambda bench: copy_through_pipe(size, bench.seconds)


def measure_idle(bench):
    with server("nginx.sh") as (env, _):
        pages = Workload("nginx, a file of 40 KB", "requests/s",
                         lambda b: fetch_pages(env, b.seconds,
                                               PAGE_CONNECTIONS), PAGES)
        results = {pages.name: compare(bench, pages)}
    for size in BLOCKS:
        name = f"dd to dd, {size}"
        results[name] = compare(bench, Workload(name, "MB/s", copies(size),
                                                IDLE))
    return {"idle": results}


# ---- the tables ----

def kept(result, name):
    """What is left of the rate with that tracer, in %; None: cannot be said."""
    rows = result["rows"]
    if NO_TRACER not in rows or name == NO_TRACER:
        return None
    return 100 * (rows[name]["figures"]["rate"]["median"] /
                  rows[NO_TRACER]["figures"]["rate"]["median"])


def verdict(part, target):
    if part is None or target is None:
        return "-"
    return f">= {target}: {'met' if part >= target else 'NOT MET'}"


def lines_of(name, result):
    for tracer, row in result["rows"].items():
        figures = row["figures"]
        part = kept(result, tracer)
        yield [f"{name}: {tracer}", show(figures, "rate"),
               spread(figures, "rate"), result["unit"],
               "-" if part is None else f"{part:.1f}",
               verdict(part, result["targets"].get(tracer)),
               show(figures, "bytes_lost"), spread(figures, "bytes_lost"),
               show(figures, "operations"), show(figures, "exchanges"),
               show(figures, "exchanges_incomplete"),
               show(figures, "tracer_cpu_s", "{:.2f}"),
               show(figures, "rss_peak_mb")]


HEAD = ["load", "rate", "min-max", "", "kept %", "target", "bytes lost",
        "min-max", "asked", "exchanges", "incomplete", "CPU s", "RSS MB"]
LEGEND = """\
asked: by the load, of its server; exchanges: as datasnoop counts them, with
those that prepare and close; CPU s: the tracer's, in a run; RSS: its peak"""


def tables_of(results):
    lines = [line for name, result in results.items()
             for line in lines_of(name, result)]
    yield f"{render(HEAD, lines)}\n\n{LEGEND}"
    for name, result in results.items():
        for line in broken_line(result["rows"]):
            yield f"{name}: {line}"


def tables_plain(results):
    return tables_of(results["plain"])


def tables_idle(results):
    return tables_of(results["idle"])
