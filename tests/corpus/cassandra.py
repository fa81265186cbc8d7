# SPDX-License-Identifier: GPL-2.0-or-later
"""cassandra.py - Cassandra's records."""
from corpus import common

UNORDERED = True


def lines(record):
    if record.get("db.system.name") != "cassandra":
        return
    line = {"op": record["db.operation.name"].lower()}
    common.copy(record, line, {
        "cassandra.stream": "stream", "cassandra.version": "version",
        "cassandra.response": "response", "db.query.text": "text",
    })
    common.status(record, line)
    # The references' decoder stops at version 4 of the protocol.
    line["unasserted"] = record["cassandra.version"] > 4
    yield line
