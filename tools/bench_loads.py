# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_loads.py - the private servers, and the loads on them.

Each load ends by itself at its time, and with its context before that.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from bench_common import COMM, ROOT, Trouble

TOOLS = ROOT / "tools"
LOADGEN = ROOT / "build/tools/loadgen"
CONNECTIONS = TOOLS / "connections.py"
SERVER_COMM = f"serve-{os.getpid()}"  # of the server of CONNECTIONS
SLEEP_SECONDS = 900  # of a process that only sleeps, should none end it
TABLE_ROWS = 10000
PLAIN = {**os.environ, "LC_ALL": "C"}  # what programs print is read


@contextlib.contextmanager
def server(script, *options):
    """A private server; yields its environment, and the directory it is in."""
    directory = tempfile.mkdtemp(prefix="datasnoop-bench.", dir="/tmp")
    script = TOOLS / script
    try:
        done = subprocess.run([script, "start", directory, *options],
                              check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Trouble(f"{script.name}: the server did not start")
        pairs = (line.split("=", 1) for line in done.stdout.splitlines())
        yield dict(pairs), pathlib.Path(directory)
    finally:
        subprocess.run([script, "stop", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def running(command, **pipes):
    """A program's process; it is gone behind the block."""
    with subprocess.Popen([str(word) for word in command], text=True,
                          env=PLAIN, **pipes) as process:
        try:
            yield process
        finally:
            process.terminate()


def output_of(command):
    """What a load prints; a Trouble when it fails."""
    with running(command, stdout=subprocess.PIPE,
                 stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate()
    if process.returncode:
        raise Trouble(f"{command[0]} failed:\n{output[-1000:]}")
    return output


def number_in(pattern, text):
    """The number that a program tells in these words."""
    found = re.search(pattern, text)
    if not found:
        raise Trouble(f"no {pattern!r} in:\n{text[-1000:]}")
    return float(found.group(1))


def whole(seconds):
    """For those who know no fractions, and take 0 for no end."""
    return max(1, round(seconds))


class Load:
    """The load generator against a MariaDB, over TLS."""

    def __init__(self, env):
        self.command = [LOADGEN, "--host", env["HOST"], "--port", env["PORT"],
                        "--ca", env["CA"], "--user", env["USER"],
                        "--password", env["PASSWORD"], "--name", COMM]

    def running(self, seconds, *options):
        return running([*self.command, "--duration", seconds, *options],
                       stdout=subprocess.PIPE)

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


class Sysbench:
    """sysbench against a MariaDB, over plain sockets, at the highest rate."""

    def __init__(self, env):
        self.options = ["--db-driver=mysql", f"--mysql-host={env['HOST']}",
                        f"--mysql-port={env['PORT']}",
                        f"--mysql-user={env['USER']}",
                        f"--mysql-password={env['PASSWORD']}",
                        f"--mysql-db={env['DATABASE']}", "--tables=1",
                        f"--table-size={TABLE_ROWS}"]

    def prepare(self):
        output_of(["sysbench", "oltp_read_only", *self.options,
                   "--create_secondary=off", "prepare"])

    def run(self, kind, seconds, threads):
        """Transactions a second, and how many queries they were in all."""
        text = output_of(["sysbench", kind, *self.options,
                          f"--threads={threads}", f"--time={whole(seconds)}",
                          "run"])
        return {"rate": number_in(r"transactions: .*\(([\d.]+) per", text),
                "operations": int(number_in(r"queries: +(\d+) ", text))}


def fetch_pages(env, seconds, connections):
    """Requests a second of wrk, which asks for the same file again."""
    text = output_of(["wrk", "-t1", f"-c{connections}", f"-d{whole(seconds)}s",
                      f"http://{env['HOST']}:{env['PORT']}/page"])
    if "Socket errors" in text or "Non-2xx" in text:
        raise Trouble(f"wrk: not each request was answered:\n{text}")
    return {"rate": number_in(r"Requests/sec: +([\d.]+)", text),
            "operations": int(number_in(r"(\d+) requests in", text))}


def copy_through_pipe(size, seconds):
    """MB/s from one dd to another, with blocks of that size."""
    # timeout's interrupt: dd tells what it has done, and ends.
    with running(["timeout", "-s", "INT", seconds, "dd", "if=/dev/zero",
                  f"bs={size}"], stdout=subprocess.PIPE,
                 stderr=subprocess.DEVNULL) as writer, \
            running(["dd", "of=/dev/null", f"bs={size}"], stdin=writer.stdout,
                    stderr=subprocess.PIPE) as reader:
        writer.stdout.close()  # the reader's alone
        text = reader.stderr.read()
    return {"rate": number_in(r"(\d+) bytes", text) /
                    number_in(r"copied, ([\d.]+) s", text) / 1e6}


class Connections:
    """Many connections of Redis' protocol, held and new ones."""

    def __init__(self, hold, rate, seconds):
        self.command = [CONNECTIONS, "--hold", hold, "--rate", rate,
                        "--seconds", seconds, "--name", COMM,
                        "--server-name", SERVER_COMM]

    @contextlib.contextmanager
    def held(self):
        """The process, once the connections to hold are open."""
        with running(self.command, stdout=subprocess.PIPE) as process:
            if process.stdout.readline() != "held\n":
                raise Trouble("connections.py: did not open its connections")
            yield process

    @staticmethod
    def finish(process):
        text = process.stdout.read()
        if process.wait():
            raise Trouble("connections.py failed")
        return json.loads(text)


def spawn_sleeper():
    try:
        return os.posix_spawnp("sleep", ["sleep", str(SLEEP_SECONDS)],
                               os.environ)
    except OSError as error:
        raise Trouble(f"no more processes: {error.strerror}") from None


@contextlib.contextmanager
def sleepers(count):
    """So many processes that do nothing."""
    pids = []
    try:
        while len(pids) < count:
            pids.append(spawn_sleeper())
        time.sleep(1)  # until the last has become what it is to be
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        for pid in pids:
            os.waitpid(pid, 0)
