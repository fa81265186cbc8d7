# SPDX-License-Identifier: GPL-2.0-or-later
"""redis.py - Redis' records, and conversations given as traced calls."""
import json

from corpus import common

UNORDERED = {"push"}
# Commands with a secret among their arguments, which no record shows.
SECRET = {"AUTH", "HELLO", "MIGRATE", "ACL", "CONFIG"}
# Their replies begin with their own name.
NAMED = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE",
         "PUNSUBSCRIBE", "SUNSUBSCRIBE"}


def reply(record, kind):
    """As the expectations have it: numbers and lists as such."""
    text = record.get("redis.reply")
    if kind in ("array", "map", "set", "push", "int", "integer", "double"):
        try:
            return json.loads(text)
        except (TypeError, ValueError):
            return text
    return text


def arguments(record):
    """Shown ones, and `?` in the place of a secret."""
    found = common.parameters(record)
    if record["db.operation.name"] in SECRET:
        return found[:record["redis.arguments"] - 1] + ["?"]
    if "redis.inline" not in record:
        return found
    # The expectations cut a typed line at its blanks, quotes or not.
    return " ".join('"%s"' % argument if " " in argument else argument
                    for argument in found).split()


def line_of(record):
    kind = record.get("redis.reply.type")
    value = reply(record, "array" if "redis.push.kind" in record else kind)
    if "redis.push.kind" in record:
        return {"op": "push", "kind": record["redis.push.kind"],
                "payload": value[1:] if isinstance(value, list) else value}
    line = {"op": "command", "cmd": record["db.operation.name"].split()[0],
            "args": arguments(record), "reply_type": kind}
    common.copy(record, line, {"error.message": "message",
                               "redis.noreply": "noreply",
                               "redis.reply.length": "reply_json_len",
                               "db.response.returned_rows": "reply_len"})
    common.status(record, line)
    if line["cmd"] in NAMED and isinstance(value, list):
        value = value[1:]
    if value is not None:
        line["reply"] = value
    return line


def expected(line):
    """A secret is nobody's to show."""
    if line.get("cmd") in ("AUTH",) and line.get("args"):
        line["args"][-1] = "?"
    return line


def lines(record):
    if record.get("db.system.name") == "redis":
        yield line_of(record)


talk = common.traced_calls


def judge(_vector, wanted, records):
    """The commands, in order, and which of them failed."""
    right = [(t["redis_command"].upper(), t["is_error"])
             for line in wanted for t in line["transactions"]]
    found = [(r["db.operation.name"].upper(), "error.type" in r)
             for r in records if r.get("db.system.name") == "redis"]
    return common.difference("commands", right, found)
