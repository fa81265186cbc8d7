# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_tls.py - TLS: what the ways to capture cost and lose, side by side.

The load is that of build/tools/loadgen on a private MariaDB over TLS, at the
highest rate that the machine reaches.  Both ends of each connection are on
this host and map the same TLS library, so both are traced: the tracer's
fragments, batches and bytes are those of client and server together.
"""

import collections
import contextlib
import datetime
import pathlib
import time

from bench_common import (COMM, Trouble, broken_line, render, show, spread,
                          summed_up)
from bench_loads import Load, server
from bench_tracer import (READY_SECONDS, Datasnoop, Sslsniff, bpf_objects,
                          capture_figures)

BPF_STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
FLUSH_SIZES = (1024, 2048, 4096, 8192, 16384)
MANY_CONNECTIONS = 200  # open at once, to see what one takes in the kernel
PROG_TYPE_KPROBE = "2"  # what uprobes are, to the kernel
MAP_TYPE_HASH = "1"
MAP_NO_PREALLOC = 1
FILTER_ENTRIES = 64  # of the maps of -p, -u, -c: not what grows

Row = collections.namedtuple("Row", "name flags")  # None: not datasnoop
SSLSNIFF = "bcc's sslsniff"
ROWS = (
    Row("no tracer", None),
    Row("naive", ["--no-accumulate"]),
    Row("accumulated", []),
    Row("  at the functions", ["--no-placement"]),
    Row("  perf buffer", ["--transport", "perf"]),
)


# ---- the cells of the table ----

def load_figures(load):
    return {"tps": load["tps"], "issued": load["statements"],
            "latency_p99_ms": load["latency_p99_ms"],
            "client_fragments": load["fragments"],
            "client_bytes": load["bytes_in"] + load["bytes_out"]}


def run_untraced(bench):
    load = bench.load.run(bench.seconds, "--agents", bench.options.agents)
    return {**load_figures(load),
            "fragments_per_s": load["fragments"] / load["seconds"]}


def run_datasnoop(bench, flags):
    with Datasnoop(bench.options, bench.directory, flags) as tracer:
        cpu = tracer.cpu_seconds()
        load = bench.load.run(bench.seconds, "--agents", bench.options.agents)
        cpu = tracer.cpu_seconds() - cpu
        tracer.stop()
        complete = [record.get("datasnoop.complete", False)
                    for record in tracer.exchanges()
                    if record.get("db.operation.name") == "SELECT"]
        return {**load_figures(load),
                **capture_figures(tracer.summary(), load),
                "seen": len(complete), "seen_complete": sum(complete),
                "tracer_cpu_s": cpu}


def run_sslsniff(bench):
    """It knows no bytes and no exchanges: its loss is that of events."""
    with Sslsniff(bench.options, bench.directory) as tracer:
        cpu = tracer.cpu_seconds()
        load = bench.load.run(bench.seconds, "--agents", bench.options.agents)
        cpu = tracer.cpu_seconds() - cpu
        tracer.stop()
        events = tracer.events()
        return {**load_figures(load), "tracer_cpu_s": cpu, "events": events,
                "fragments_per_s": load["fragments"] / load["seconds"],
                "lost_percent": 100 * (1 - events / load["fragments"])}


def run_row(bench, row):
    if row.name == SSLSNIFF:
        return run_sslsniff(bench)
    if row.flags is None:
        return run_untraced(bench)
    return run_datasnoop(bench, row.flags)


@contextlib.contextmanager
def bpf_statistics():
    """The kernel times each BPF program; that costs, so nowhere else."""
    before = BPF_STATS.read_text()
    BPF_STATS.write_text("1")
    try:
        yield
    finally:
        BPF_STATS.write_text(before)


def run_bpf_time(bench, flags):
    """Nanoseconds in BPF for a fragment: its entry and its return together."""
    with bpf_statistics(), \
            Datasnoop(bench.options, bench.directory, flags) as tracer:
        bench.load.run(bench.short, "--agents", bench.options.agents)
        programs = bpf_objects(tracer.process.pid, "prog").values()
        tracer.stop()
        fragments = max(tracer.summary()["capture.fragments"], 1)
    total = collections.Counter()
    for program in programs:
        uprobe = program["prog_type"] == PROG_TYPE_KPROBE
        total["uprobe" if uprobe else "other"] += int(program["run_time_ns"])
    return {"bpf_ns_per_fragment": total["uprobe"] / fragments,
            "bpf_ns_per_fragment_tracepoints": total["other"] / fragments,
            "programs": [{"type": program["prog_type"],
                          "runs": int(program["run_cnt"]),
                          "ns_per_run": int(program["run_time_ns"]) /
                                        max(int(program["run_cnt"]), 1)}
                         for program in programs]}


# ---- the other experiments ----

def call_cost_us(load):
    """CPU time of the client's thread for a call of SSL_read or SSL_write."""
    return load["cpu_seconds"] / load["fragments"] * 1e6


def run_probe_cost(bench):
    """What entry and return probe add to a call, with and without placement.

    From the CPU time of one agent, which the traps are charged to; so it does
    not depend on who else wants the processors.
    """
    figures = {"untraced": call_cost_us(bench.load.run(bench.short))}
    for name, flags in (("placed", []), ("not_placed", ["--no-placement"])):
        with Datasnoop(bench.options, bench.directory, flags) as tracer:
            figures[name] = call_cost_us(bench.load.run(bench.short))
            tracer.stop()
        figures[name] -= figures["untraced"]
    return figures


def run_start(bench):
    """Seconds from the start to the first request seen of a load that runs."""
    with bench.load.running(READY_SECONDS, "--rate", 200, "--agents", 2):
        started = time.time()
        with Datasnoop(bench.options, bench.directory, []) as tracer:
            ready = time.time() - started
            time.sleep(1)
            tracer.stop()
            first = min((record["timestamp"]
                         for record in tracer.exchanges()), default=None)
    if first is None:
        raise Trouble("datasnoop saw no exchange of a load of 200 a second")
    moment = datetime.datetime.fromisoformat(first.replace("Z", "+00:00"))
    return {"ready_s": ready, "first_fragment_s": moment.timestamp() - started}


def read_truth(path):
    """Each tagged statement's place: the connection's port, and its turn."""
    place = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            _, port, turn, statement, *_ = line.split("\t")
            place[statement] = (int(port), int(turn))
    return place


def compare_order(truth, records):
    """Is each statement there exactly once, in order per connection?"""
    seen = collections.Counter()
    last = {}
    disorder = wrong_port = 0
    for record in records:
        statement = record.get("db.query.text")
        if statement not in truth:
            continue
        port, turn = truth[statement]
        seen[statement] += 1
        disorder += turn <= last.get(port, 0)
        last[port] = max(turn, last.get(port, 0))
        wrong_port += record.get("client.port") != port
    return {"issued": len(truth), "seen": len(seen),
            "missing": len(truth) - len(seen),
            "repeated": sum(seen.values()) - len(seen),
            "out_of_order": disorder, "wrong_port": wrong_port}


def run_exactness(bench):
    """At the highest rate, statement by statement, against the load's truth."""
    truth = bench.directory / "truth"
    with Datasnoop(bench.options, bench.directory,
                   ["--show-values"]) as tracer:
        load = bench.load.run(bench.seconds, "--agents", bench.options.agents,
                              "--statement-tag", "--truth", truth)
        tracer.stop()
        summary = tracer.summary()
        result = compare_order(read_truth(truth), tracer.exchanges())
    truth.unlink()
    return {**result, "tps": load["tps"],
            "bytes_lost": summary["capture.bytes_lost"]}


def connection_memory(pid):
    """The map of connections: bytes it has locked, and an entry's share.

    The share is 0 for a map that grows.  The tracer's other tables, of calls
    and of files, keep their size.
    """
    maps = [info for info in bpf_objects(pid, "map").values()
            if info["map_type"] == MAP_TYPE_HASH and
            int(info["max_entries"]) > FILTER_ENTRIES]
    locked = sum(int(info["memlock"]) for info in maps)
    share = sum(int(info["memlock"]) / int(info["max_entries"])
                for info in maps
                if not int(info["map_flags"], 16) & MAP_NO_PREALLOC)
    return locked, share


def run_connections(bench, flags):
    """Kernel memory of a connection, and batches of an exchange, client only.

    A preallocated map has the memory of all its entries from the start; of
    one that grows, it is the growth with so many connections open.
    """
    with Datasnoop(bench.options, bench.directory,
                   [*flags, "-c", COMM]) as tracer:
        before, share = connection_memory(tracer.process.pid)
        with bench.load.running(bench.short, "--agents", MANY_CONNECTIONS,
                                "--rate", 2 * MANY_CONNECTIONS) as process:
            time.sleep(0.75 * bench.short)
            after, _ = connection_memory(tracer.process.pid)
            load = bench.load.finish(process)
        tracer.stop()
        summary = tracer.summary()
    each = share + (after - before) / MANY_CONNECTIONS
    return {"kernel_mb_10000_connections": each * 10000 / 1e6,
            "client_batches_per_exchange":
                summary["capture.batches"] / load["statements"]}


def run_flush_size(bench, size):
    flags = ["--flush-size", str(size), "--buffer-size", str(2 * size)]
    return {**run_datasnoop(bench, flags), **run_connections(bench, flags)}


def all_experiments(bench):
    """In the form of the JSON file."""
    rows = list(ROWS)
    if bench.options.sslsniff:
        rows.append(Row(SSLSNIFF, None))
    traced = [row for row in rows if row.flags is not None]
    bench.load.run(1, "--agents", bench.options.agents)  # warm
    return {
        "schemes": summed_up(bench.repeat(
            [(row.name, run_row, row) for row in rows])),
        "bpf_time": {row.name: bench.attempt(
            f"time in BPF: {row.name.strip()}", run_bpf_time, row.flags)
            for row in traced},
        "probe_cost_us": summed_up(bench.repeat(
            [("probe cost", run_probe_cost)])),
        "flush_sizes": summed_up(bench.repeat(
            [(str(size), run_flush_size, size) for size in FLUSH_SIZES])),
        "start": bench.attempt("start", run_start),
        "exactness": bench.attempt("each statement, once, in order",
                                   run_exactness),
    }


def measure(bench):
    with server("mariadb.sh") as (env, _):
        bench.load = Load(env)
        return all_experiments(bench)


# ---- the tables ----

def seen_of_issued(figures):
    if "seen" not in figures:
        return "-"
    return f"{show(figures, 'seen')}/{show(figures, 'issued')}"


def scheme_table(results):
    head = ["scheme", "TPS", "min-max", "fragments/s", "batches/s", "MB/s",
            "B/batch", "fill %", "lost %", "seen/issued", "whole", "CPU s",
            "BPF ns/frag"]
    lines = []
    for name, row in results["schemes"].items():
        figures = row["figures"]
        bpf = results["bpf_time"].get(name)
        lines.append([
            name, show(figures, "tps"), spread(figures, "tps"),
            show(figures, "fragments_per_s"), show(figures, "batches_per_s"),
            show(figures, "mb_per_s", "{:,.1f}"),
            show(figures, "bytes_per_batch"),
            show(figures, "fill_percent", "{:.1f}"),
            show(figures, "lost_percent", "{:.2f}"), seen_of_issued(figures),
            show(figures, "seen_complete"),
            show(figures, "tracer_cpu_s", "{:.2f}"),
            f"{bpf['bpf_ns_per_fragment']:,.0f}" if bpf else "-"])
    return render(head, lines)


def flush_table(results):
    head = ["flush size", "TPS", "min-max", "batches/exchange",
            "client's alone", "x payload", "lost %",
            "MB for 10,000 connections"]
    lines = []
    for size, row in results["flush_sizes"].items():
        figures = row["figures"]
        lines.append([
            size, show(figures, "tps"), spread(figures, "tps"),
            show(figures, "batches_per_exchange", "{:.1f}"),
            show(figures, "client_batches_per_exchange", "{:.1f}"),
            show(figures, "bytes_per_payload_byte", "{:.3f}"),
            show(figures, "lost_percent", "{:.2f}"),
            show(figures, "kernel_mb_10000_connections", "{:.1f}")])
    return render(head, lines)


def other_lines(results):
    """The experiments of one figure or two, a line each."""
    cost = results["probe_cost_us"].get("probe cost")
    if cost:
        figures = cost["figures"]
        ratio = (figures["not_placed"]["median"] /
                 max(figures["placed"]["median"], 1e-3))
        yield (f"probes of a call (entry and return, BPF included): "
               f"{show(figures, 'placed', '{:.2f}')} us placed, "
               f"{show(figures, 'not_placed', '{:.2f}')} us at the function "
               f"({ratio:.1f} times)")
    if results["start"]:
        yield ("start to ready {ready_s:.2f} s, to the first fragment "
               "{first_fragment_s:.2f} s".format(**results["start"]))
    if results["exactness"]:
        yield ("at {tps:,.0f} TPS, of {issued:,} statements: {missing} "
               "missing, {repeated} repeated, {out_of_order} out of order, "
               "{wrong_port} with a wrong port; {bytes_lost} bytes lost"
               .format(**results["exactness"]))
    yield from broken_line(results["schemes"])


LEGEND = """\
fragments/s: calls that moved bytes, of both ends (untraced: of the client)
B/batch: payload; fill: its share of what crosses; MB/s: all that crosses
lost: of the bytes that the calls moved; whole: seen, with nothing missing
CPU s: the tracer's, in a run"""
SSLSNIFF_LEGEND = "sslsniff: fragments/s and lost are of the client's calls"


def tables(results):
    yield f"{scheme_table(results)}\n\n{LEGEND}"
    if SSLSNIFF in results["schemes"]:
        yield SSLSNIFF_LEGEND
    yield f"\n{flush_table(results)}\n"
    yield from other_lines(results)
