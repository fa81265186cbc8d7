# SPDX-License-Identifier: GPL-2.0-or-later
"""common.py - what the protocols' mappings share."""


def copy(record, line, names):
    """line[theirs] = record[ours], of those that the record has."""
    for ours, theirs in names.items():
        if ours in record:
            line[theirs] = record[ours]


def number(text):
    """A code as the expectations have it; text that is no number remains."""
    try:
        return int(text)
    except (TypeError, ValueError):
        return text


def status(record, line):
    """status and code, of a response that is whole."""
    if "error.type" in record:
        line["status"] = "error"
        line["code"] = number(record.get("db.response.status_code"))
    elif "db.response.status_code" in record:
        line["status"] = "ok"


def many(value):
    """A key that comes once has its value, one that comes again a list."""
    return value if isinstance(value, list) else [value]


def parameters(record):
    """Parameters bound, as text."""
    found = []
    while "db.query.parameter.%d" % len(found) in record:
        found.append(record["db.query.parameter.%d" % len(found)])
    return found


def traced_calls(vector):
    """A conversation given as calls: the direction, and the bytes in hex."""
    if "events" not in vector:
        return None
    return [(event["dir"] == "c2s", bytes.fromhex(event["hex"]))
            for event in vector["events"]]


def difference(what, wanted, found):
    return [] if wanted == found else [
        "%s %r, expected %r" % (what, found, wanted)]
