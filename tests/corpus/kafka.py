# SPDX-License-Identifier: GPL-2.0-or-later
"""kafka.py - Kafka's records, and single requests."""
from corpus import common

UNORDERED = True
ELSEWHERE = "responses without their requests: test_kafka"
FIELDS = {
    "datasnoop.operation": "api", "kafka.api.version": "api_version",
    "kafka.api.key": "api_key", "kafka.correlation_id": "correlation_id",
    "messaging.client.id": "client_id", "kafka.error_code": "error_code",
    "messaging.consumer.group.name": "group",
}


def line_of(record):
    line = {"op": "request"}
    common.copy(record, line, FIELDS)
    if "messaging.destination.name" in record:
        line["topics"] = common.many(record["messaging.destination.name"])
    if record["datasnoop.complete"]:
        line["status"] = "error" if "error.type" in record else "ok"
    return line


def lines(record):
    if record.get("network.protocol.name") == "kafka":
        yield line_of(record)


def talk(vector):
    return [(True, bytes.fromhex(vector["hex"]))] \
        if vector["id"].endswith("Request") else None


def judge(_vector, expected, records):
    names = ("api", "api_key", "api_version", "correlation_id", "client_id")
    wanted = [{name: line.get(name) for name in names} for line in expected]
    found = [{name: line.get(name) for name in names}
             for record in records for line in lines(record)]
    return common.difference("requests", wanted, found)
