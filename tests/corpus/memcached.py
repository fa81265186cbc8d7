# SPDX-License-Identifier: GPL-2.0-or-later
"""memcached.py - memcached's records."""
from corpus import common


def lines(record):
    if record.get("db.system.name") != "memcached":
        return
    line = {"op": "command", "cmd": record["db.operation.name"].lower()}
    common.copy(record, line, {"db.collection.name": "key",
                               "memcached.response": "response"})
    if "key" in line and isinstance(line["key"], list):
        line["key"] = line["key"][0]
    yield line
