#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bench.py - what tracing costs, and what it loses, side by side.

`make bench` runs it, as root, on a machine that is otherwise idle.  The load
is that of build/tools/loadgen on a private MariaDB over TLS, at the highest
rate that the machine reaches.  A table on standard output, and all figures
of all runs in a JSON file.

Both ends of each connection are on this host and map the same TLS library, so
both are traced: the tracer's fragments, batches and bytes are those of client
and server together.
"""

import argparse
import collections
import contextlib
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOADGEN = ROOT / "build/tools/loadgen"
MARIADB = ROOT / "tools/mariadb.sh"
BPF_STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")

GENCAPTURE = ROOT / "build/tools/gencapture"
# What tshark is to print of a capture: what datasnoop works out, at the least.
OFFLINE = {"mysql": ["mysql.query", "mysql.affected_rows"],
           "http": ["http.request.uri", "http.response.code"]}

READY_SECONDS = 30  # compiling and attaching takes about one
STOP_SECONDS = 60   # a tracer that lags behind still has its ring to read
COMM = f"bench-{os.getpid()}"  # another load is not taken for this one
FLUSH_SIZE = 1024   # bytes, the default
FLUSH_SIZES = (1024, 2048, 4096, 8192, 16384)
MANY_CONNECTIONS = 200  # open at once, to see what one takes in the kernel
PROG_TYPE_KPROBE = "2"  # what uprobes are, to the kernel
MAP_TYPE_HASH = "1"
MAP_NO_PREALLOC = 1
FILTER_ENTRIES = 64  # of the maps of -p, -u, -c: not what grows
NS = 1e9

Row = collections.namedtuple("Row", "name flags")  # None: not datasnoop
SSLSNIFF = "bcc's sslsniff"
ROWS = (
    Row("no tracer", None),
    Row("naive", ["--no-accumulate"]),
    Row("accumulated", []),
    Row("  at the functions", ["--no-placement"]),
    Row("  perf buffer", ["--transport", "perf"]),
)


class Trouble(Exception):
    """What stops the bench; its text is for the user."""


# ---- the server and the load ----

@contextlib.contextmanager
def server():
    """A private MariaDB; yields its environment, and the directory it is in."""
    directory = tempfile.mkdtemp(prefix="datasnoop-bench.", dir="/tmp")
    try:
        done = subprocess.run([MARIADB, "start", directory], check=False,
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Trouble("the server did not start")
        pairs = (line.split("=", 1) for line in done.stdout.splitlines())
        yield dict(pairs), pathlib.Path(directory)
    finally:
        subprocess.run([MARIADB, "stop", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)


class Load:
    """The load generator against that server."""

    def __init__(self, env):
        self.command = [LOADGEN, "--host", env["HOST"], "--port", env["PORT"],
                        "--ca", env["CA"], "--user", env["USER"],
                        "--password", env["PASSWORD"], "--name", COMM]

    @contextlib.contextmanager
    def running(self, seconds, *options):
        """The load's process; it is gone behind the block."""
        with subprocess.Popen(
                [*self.command, "--duration", str(seconds),
                 *map(str, options)],
                stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.terminate()

    @staticmethod
    def finish(process):
        """What it reports when it has ended by itself."""
        output, _ = process.communicate()
        if process.returncode:
            raise Trouble("the load generator failed")
        return json.loads(output)

    def run(self, seconds, *options):
        with self.running(seconds, *options) as process:
            return self.finish(process)


# ---- a tracer's process ----

def bpf_objects(pid, kind):
    """The BPF programs ("prog") or maps ("map") that a process holds, by id."""
    found = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(fd) != f"anon_inode:bpf-{kind}":
                continue
            text = pathlib.Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text()
        except FileNotFoundError:
            continue
        info = dict(re.findall(r"^(\w+):\s*(\S+)", text, re.MULTILINE))
        found[info[f"{kind}_id"]] = info
    return found


class Process:
    """A tracer that runs; ended by stop(), or killed with its context."""

    def __init__(self, command, directory):
        self.command = [str(word) for word in command]
        self.output = directory / "tracer.out"
        self.errors = directory / "tracer.err"
        self.process = None

    def __enter__(self):
        with open(self.output, "wb") as out, open(self.errors, "wb") as err:
            self.process = subprocess.Popen(self.command, stdout=out,
                                            stderr=err)
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def is_ready(self):
        raise NotImplementedError

    def wait_until_ready(self):
        end = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                text = self.errors.read_text(errors="replace")
                raise Trouble(f"{' '.join(self.command)}: did not start:\n"
                              f"{text[-2000:]}")
            time.sleep(0.01)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self.command[0]}: did not end") from None

    def cpu_seconds(self):
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Datasnoop(Process):
    """datasnoop -j, with the same ring in each row."""

    def __init__(self, options, directory, flags):
        super().__init__([options.datasnoop, "-j", "--ring-mb",
                          options.ring_mb, *flags], directory)

    def is_ready(self):
        return b"datasnoop: tracing " in self.errors.read_bytes()

    def exchanges(self):
        """The exchanges that it printed as a client's of the load."""
        with open(self.output, encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if (record.get("process.command") == COMM and
                        record.get("datasnoop.role") == "client"):
                    yield record

    def summary(self):
        """The account, the last line that it printed."""
        with open(self.output, "rb") as file:
            last = collections.deque(file, maxlen=1)
        record = json.loads(last[0]) if last else {}
        if record.get("event.name") != "datasnoop.summary":
            raise Trouble("datasnoop ended without its account:\n" +
                          self.errors.read_text(errors="replace")[-2000:])
        return record


def link_of(path):
    """Where a link leads to; "" when it has gone meanwhile."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


class Sslsniff(Process):
    """bcc's sslsniff, which prints an event a call of the TLS library."""

    EVENT = re.compile(rb"^(READ/RECV|WRITE/SEND)\s+\S+\s+" + COMM.encode())

    def __init__(self, options, directory):
        super().__init__([options.sslsniff], directory)
        self.probes = (0, 0.0)  # how many, since when

    def is_ready(self):
        """It does not say; so: no new probe has appeared for a second."""
        fds = pathlib.Path(f"/proc/{self.process.pid}/fd")
        count = sum(1 for fd in fds.iterdir()
                    if link_of(fd) == "anon_inode:[perf_event]")
        if count != self.probes[0]:
            self.probes = (count, time.monotonic())
        return count > 0 and time.monotonic() - self.probes[1] > 1

    def events(self):
        with open(self.output, "rb") as lines:
            return sum(1 for line in lines if self.EVENT.match(line))


# ---- the cells of the table ----

def load_figures(load):
    return {"tps": load["tps"], "issued": load["statements"],
            "latency_p99_ms": load["latency_p99_ms"],
            "client_fragments": load["fragments"],
            "client_bytes": load["bytes_in"] + load["bytes_out"]}


def capture_figures(summary, load):
    """What the account says, against the load's seconds and statements."""
    seconds, statements = load["seconds"], load["statements"]
    count = {key: summary[f"capture.{key}"]
             for key in ("fragments", "batches", "batch_bytes", "bytes_seen",
                         "bytes_delivered", "bytes_lost")}
    return {
        "account": {key: value for key, value in summary.items()
                    if key.startswith("capture.")},
        "account_closes": count["bytes_seen"] ==
                          count["bytes_delivered"] + count["bytes_lost"],
        "fragments_per_s": count["fragments"] / seconds,
        "batches_per_s": count["batches"] / seconds,
        "batches_per_exchange": count["batches"] / max(statements, 1),
        "mb_per_s": count["batch_bytes"] / seconds / 1e6,
        "bytes_per_payload_byte": count["batch_bytes"] /
                                  max(count["bytes_delivered"], 1),
        "lost_percent": 100 * count["bytes_lost"] /
                        max(count["bytes_seen"], 1),
        "bytes_per_batch": count["bytes_delivered"] /
                           max(count["batches"], 1),
        "fill_percent": 100 * count["bytes_delivered"] /
                        max(count["batch_bytes"], 1),
    }


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


# ---- all runs ----

class Bench:
    def __init__(self, options, env, directory):
        self.options = options
        self.load = Load(env)
        self.directory = directory
        self.seconds = options.seconds
        self.short = min(2, options.seconds)
        self.end = time.monotonic() + options.limit
        self.troubles = []

    def attempt(self, what, run, *arguments):
        """A cell; None when it failed, or the time is up: the rest goes on."""
        if time.monotonic() > self.end:
            return self.trouble(f"no time left for: {what}")
        print(f"bench: {what}", file=sys.stderr, flush=True)
        try:
            return run(self, *arguments)
        except Trouble as trouble:
            return self.trouble(f"{what}: {trouble}".strip())

    def trouble(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)
        self.troubles.append(text)

    def repeat(self, cells):
        """All cells once, then all again: what drifts, drifts for all."""
        results = {name: [] for name, *_ in cells}
        for turn in range(1, self.options.runs + 1):
            for name, run, *arguments in cells:
                cell = self.attempt(f"run {turn}: {name.strip()}", run,
                                    *arguments)
                if cell is not None:
                    results[name].append(cell)
        return results


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def medians(cells):
    """The median of each figure, and its least and greatest value."""
    figures = {}
    for key in (key for key in cells[0] if is_number(cells[0][key])):
        values = [cell[key] for cell in cells]
        figures[key] = {"median": statistics.median(values),
                        "min": min(values), "max": max(values)}
    return figures


def summed_up(results):
    return {name: {"figures": medians(cells), "runs": cells}
            for name, cells in results.items() if cells}


def measure(bench):
    """All experiments, in the form of the JSON file."""
    rows = list(ROWS)
    if bench.options.sslsniff:
        rows.append(Row(SSLSNIFF, None))
    traced = [row for row in rows if row.flags is not None]
    bench.load.run(1, "--agents", bench.options.agents)  # warm
    results = {
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
    return {"troubles": bench.troubles,
            "host": {"kernel": platform.release(),
                     "machine": platform.machine(), "cpus": os.cpu_count()},
            "settings": {"seconds": bench.seconds,
                         "runs": bench.options.runs,
                         "agents": bench.options.agents,
                         "ring_mb": bench.options.ring_mb},
            **results}


# ---- reading capture files ----

def timed(command):
    """Wall and processor seconds of a command, and its largest size."""
    started = time.monotonic()
    with subprocess.Popen([str(word) for word in command],
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Trouble(f"{command[0]} failed:\n{errors[-1000:]}")
    return {"wall_s": time.monotonic() - started,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "rss_mb": usage.ru_maxrss / 1024}


def generate(kind, size, directory):
    path = directory / f"{kind}.pcap"
    subprocess.run([GENCAPTURE, kind, str(size), path], check=True,
                   stdout=subprocess.DEVNULL)
    return path, path.stat().st_size


def run_offline(options, kind, directory):
    """A large file by datasnoop; by tshark its first part, which is scaled."""
    command, fields = [options.datasnoop, "-q", "--no-records", "-r"], []
    for field in OFFLINE[kind]:
        fields += ["-e", field]
    path, size = generate(kind, options.offline_mb * 1000000, directory)
    result = {"bytes": size,
              "datasnoop": [timed([*command, path])
                            for _ in range(options.runs + 1)][1:]}
    path, small = generate(kind, options.tshark_mb * 1000000, directory)
    result["datasnoop_small"] = timed([*command, path])
    if shutil.which("tshark"):
        result["tshark_bytes"] = small
        result["tshark"] = [timed(["tshark", "-r", path, "-T", "fields",
                                   *fields]) for _ in range(options.runs)]
    path.unlink()
    return result


def offline_line(kind, result):
    head = f"{kind:6}"
    figures = medians(result["datasnoop"])
    speed = result["bytes"] / figures["cpu_s"]["median"] / 1e6
    yield (f"{head} {result['bytes'] / 1e6:,.0f} MB: "
           f"{figures['wall_s']['median']:.2f} s, "
           f"{figures['cpu_s']['median']:.2f} s of processor, "
           f"{speed:,.0f} MB/s; "
           f"{figures['rss_mb']['median']:.0f} MB resident, "
           f"{result['datasnoop_small']['rss_mb']:.0f} MB for the small file")
    if "tshark" in result:
        other = medians(result["tshark"])
        slow = result["tshark_bytes"] / other["cpu_s"]["median"] / 1e6
        yield (f"{head} tshark, {result['tshark_bytes'] / 1e6:,.0f} MB of the "
               f"same kind: {other['cpu_s']['median']:.2f} s of processor, "
               f"{slow:,.1f} MB/s, {other['rss_mb']['median']:.0f} MB "
               f"resident; datasnoop is {speed / slow:,.0f} times as fast")


def bench_offline(options):
    """Needs no root and no server; the first run warms the page cache."""
    results = {}
    with tempfile.TemporaryDirectory(prefix="datasnoop-bench.",
                                     dir=options.directory) as directory:
        for kind in OFFLINE:
            results[kind] = run_offline(options, kind,
                                        pathlib.Path(directory))
            for line in offline_line(kind, results[kind]):
                print(line, flush=True)
    return results


# ---- the tables ----

def render(head, lines):
    """A table with the first column to the left, all others to the right."""
    table = [head, *lines]
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    return "\n".join("  ".join(
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in table)


def show(figures, key, form="{:,.0f}"):
    """The median of a figure; a dash where the row has no such figure."""
    return form.format(figures[key]["median"]) if key in figures else "-"


def spread(figures, key):
    if key not in figures:
        return "-"
    return "{min:,.0f}-{max:,.0f}".format(**figures[key])


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
    broken = [name.strip() for name, row in results["schemes"].items()
              if not all(cell.get("account_closes", True)
                         for cell in row["runs"])]
    if broken:
        yield ("THE ACCOUNT DOES NOT CLOSE (seen != delivered + lost): " +
               ", ".join(broken))


LEGEND = """\
fragments/s: calls that moved bytes, of both ends (untraced: of the client)
B/batch: payload; fill: its share of what crosses; MB/s: all that crosses
lost: of the bytes that the calls moved; whole: seen, with nothing missing
CPU s: the tracer's, in a run"""
SSLSNIFF_LEGEND = "sslsniff: fragments/s and lost are of the client's calls"


def print_tables(results):
    print("\n{seconds} s a run, {runs} runs, medians; {agents} agents; ring "
          "of {ring_mb} MB in each row".format(**results["settings"]))
    print(f"\n{scheme_table(results)}\n\n{LEGEND}")
    if SSLSNIFF in results["schemes"]:
        print(SSLSNIFF_LEGEND)
    print(f"\n{flush_table(results)}\n")
    for line in other_lines(results):
        print(line)
    for line in results["troubles"]:
        print(f"not measured: {line}")


def parse_options():
    parser = argparse.ArgumentParser(
        description="What tracing costs, and what it loses, side by side.")
    add = parser.add_argument
    add("--seconds", type=float, default=8, help="length of a run (8)")
    add("--quick", action="store_true", help="3 s a run, one run of each")
    add("--runs", type=int, default=3, help="runs of each (3)")
    add("--limit", type=float, default=900,
        help="begin no run after so many seconds (900)")
    add("--agents", type=int, default=2 * os.cpu_count(),
        help="connections of the load (two a processor)")
    add("--ring-mb", type=int, default=8, help="size of the ring (8)")
    add("--datasnoop", type=pathlib.Path, default=ROOT / "datasnoop")
    add("--sslsniff", type=pathlib.Path, help="bcc's tool, for a row of it")
    add("--output", type=pathlib.Path, default=ROOT / "bench/results.json")
    add("--offline", action="store_true",
        help="only the reading of capture files, against tshark")
    add("--offline-mb", type=int, default=1000,
        help="size of a capture file (1000)")
    add("--tshark-mb", type=int, default=50,
        help="size of what tshark reads of the same kind (50)")
    add("--directory", help="where capture files go (TMPDIR)")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.runs = 3, 1
    return options


def main():
    options = parse_options()
    # As an exception, so that the server and the tracer end with the bench.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.offline:
            bench_offline(options)
            return
        if os.geteuid():
            raise Trouble("must be root, as the tracer must")
        with server() as (env, directory):
            results = measure(Bench(options, env, directory))
    except Trouble as trouble:
        sys.exit(f"bench: {trouble}")
    except KeyboardInterrupt:
        sys.exit(130)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1) + "\n")
    print_tables(results)
    print(f"\nall runs: {options.output}")
    if results["troubles"]:
        sys.exit("bench: incomplete, see above")


if __name__ == "__main__":
    main()
