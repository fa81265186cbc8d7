# SPDX-License-Identifier: GPL-2.0-or-later
"""amqp.py - AMQP's records: a method, and the one that answers it."""
from corpus import common

FIELDS = {
    "amqp.vhost": "vhost", "amqp.queue": "queue",
    "amqp.exchange": "exchange", "amqp.routing_key": "routing_key",
    "amqp.reply_code": "reply_code", "amqp.reply_text": "reply_text",
}


def lines(record):
    if record.get("network.protocol.name") != "amqp" or \
            "amqp.method" not in record:
        return
    client = record["amqp.sender"] == "client"
    line = {"op": "method", "dir": "c2s" if client else "s2c",
            "cls": record["amqp.class"], "method": record["amqp.method"],
            "channel": record["amqp.channel"],
            "place": record["amqp.index"]}
    answer = dict(line)
    common.copy(record, line, FIELDS)
    line["status"] = "error" if "error.type" in record else "ok"
    yield line
    if "amqp.response.method" in record:
        common.copy(record, answer, {"amqp.queue": "queue"})
        answer.update(method=record["amqp.response.method"],
                      dir="s2c" if client else "c2s",
                      place=record["amqp.response.index"])
        yield answer


def order(lines_of_all):
    """As the methods moved, not as the exchanges ended."""
    return sorted(lines_of_all, key=lambda line: line["place"])
