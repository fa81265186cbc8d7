# SPDX-License-Identifier: GPL-2.0-or-later
"""bench_offline.py - how fast capture files are read, against tshark.

Needs no root and no server; the first run of each warms the page cache.
"""

import os
import shutil
import subprocess
import time

from bench_common import ROOT, Trouble, medians

GENCAPTURE = ROOT / "build/tools/gencapture"
# What tshark is to print of a capture: what datasnoop works out, at the least.
OFFLINE = {"mysql": ["mysql.query", "mysql.affected_rows"],
           "http": ["http.request.uri", "http.response.code"]}


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


def run_offline(bench, kind):
    """A large file by datasnoop; by tshark its first part, which is scaled."""
    options, directory = bench.options, bench.directory
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


def measure(bench):
    return {"offline": {kind: bench.attempt(f"a capture file: {kind}",
                                            run_offline, kind)
                        for kind in OFFLINE}}


def tables(results):
    for kind, result in results["offline"].items():
        if result:
            yield from offline_line(kind, result)
