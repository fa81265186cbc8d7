# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_tracer.py - a tracer's process, and what it and the kernel say of it.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

from bench_common import COMM, Trouble

READY_SECONDS = 30  # compiling and attaching takes about one
STOP_SECONDS = 60   # a tracer that lags behind still has its ring to read
SUMMARY_BYTES = 65536  # more than the last line of the output takes
RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


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
        self.ready_s = None  # from its start

    def __enter__(self):
        started = time.monotonic()
        with open(self.output, "wb") as out, open(self.errors, "wb") as err:
            self.process = subprocess.Popen(self.command, stdout=out,
                                            stderr=err)
        try:
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        self.ready_s = time.monotonic() - started
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

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.process.pid}/{name}").read_text()

    def cpu_seconds(self):
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self):
        return int(RESIDENT.search(self.proc("status")).group(1)) / 1024

    def maps_mb(self):
        """What its BPF maps have of the kernel's memory."""
        return sum(int(info["memlock"]) for info in bpf_objects(
            self.process.pid, "map").values()) / 1e6


class Datasnoop(Process):
    """datasnoop -j, with the same ring in each row."""

    def __init__(self, options, directory, flags):
        super().__init__([options.datasnoop, "-j", "--ring-mb",
                          options.ring_mb, *flags], directory)

    def is_ready(self):
        return b"datasnoop: tracing " in self.errors.read_bytes()

    def records(self):
        """All exchanges that it printed."""
        with open(self.output, encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if record.get("event.name") == "datasnoop.exchange":
                    yield record

    def exchanges(self):
        """The exchanges that it printed as a client's of the load."""
        for record in self.records():
            if (record.get("process.command") == COMM and
                    record.get("datasnoop.role") == "client"):
                yield record

    def summary(self):
        """The account, the last line that it printed."""
        with open(self.output, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - SUMMARY_BYTES))
            last = file.read().splitlines()[-1:]
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


def account_figures(summary):
    """The account, whether it closes, and how much of the bytes was lost."""
    seen, lost = summary["capture.bytes_seen"], summary["capture.bytes_lost"]
    return {
        "account": {key: value for key, value in summary.items()
                    if key.startswith("capture.")},
        "account_closes": seen == summary["capture.bytes_delivered"] + lost,
        "bytes_lost": lost,
        "lost_percent": 100 * lost / max(seen, 1),
        "exchanges_incomplete": summary["capture.exchanges_incomplete"],
    }


def capture_figures(summary, load):
    """What the account says, against the load's seconds and statements."""
    seconds, statements = load["seconds"], load["statements"]
    count = {key: summary[f"capture.{key}"]
             for key in ("fragments", "batches", "batch_bytes",
                         "bytes_delivered")}
    return {
        **account_figures(summary),
        "fragments_per_s": count["fragments"] / seconds,
        "batches_per_s": count["batches"] / seconds,
        "batches_per_exchange": count["batches"] / max(statements, 1),
        "mb_per_s": count["batch_bytes"] / seconds / 1e6,
        "bytes_per_payload_byte": count["batch_bytes"] /
                                  max(count["bytes_delivered"], 1),
        "bytes_per_batch": count["bytes_delivered"] /
                           max(count["batches"], 1),
        "fill_percent": 100 * count["bytes_delivered"] /
                        max(count["batch_bytes"], 1),
    }
