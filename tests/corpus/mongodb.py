# SPDX-License-Identifier: GPL-2.0-or-later
"""mongodb.py - MongoDB's records."""
from corpus import common

UNORDERED = True
ELSEWHERE = "single messages: test_mongodb"


def lines(record):
    if record.get("db.system.name") != "mongodb":
        return
    line = {"op": "command", "cmd": record["db.operation.name"]}
    common.copy(record, line, {
        "db.namespace": "db", "db.collection.name": "collection",
        "mongodb.request_id": "request_id", "error.message": "message",
        "db.response.returned_rows": "nreturned",
    })
    common.status(record, line)
    yield line
