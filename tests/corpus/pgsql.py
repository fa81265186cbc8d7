# SPDX-License-Identifier: GPL-2.0-or-later
"""pgsql.py - PostgreSQL's records."""
from corpus import common

ELSEWHERE = "single messages: test_pgsql"
FIELDS = {
    "db.query.text": "text", "db.response.returned_rows": "rows",
    "datasnoop.columns_total": "columns",
    "datasnoop.sqlstate": "sqlstate", "error.message": "message",
    "postgresql.tag": "tag", "postgresql.severity": "severity",
    "postgresql.statement": "stmt", "postgresql.copy": "copy",
    "postgresql.copy.rows": "copy_rows", "postgresql.suspended": "suspended",
    "postgresql.reply": "reply", "postgresql.channel": "channel",
    "postgresql.payload": "payload",
}
LOGIN = {
    "datasnoop.db.user": "user", "db.namespace": "db",
    "postgresql.application_name": "application",
    "postgresql.protocol_version": "version",
    "postgresql.authentication": "auth",
}
OPERATIONS = {
    "LOGIN": "login", "STARTUP": "login", "PARSE": "parse",
    "PREPARE": "parse", "DESCRIBE": "describe", "CLOSE": "close",
    "TERMINATE": "terminate", "SSL_REQUEST": "ssl_request",
    "SSLREQUEST": "ssl_request", "GSSENC_REQUEST": "gssenc_request",
    "CANCEL_REQUEST": "cancel_request", "CANCEL": "cancel_request",
    "NOTIFICATION": "notification", "FUNCTION_CALL": "function_call",
}


def operation(record):
    name = record["db.operation.name"]
    if "postgresql.command" in record:
        return record["postgresql.command"]
    return OPERATIONS.get(name, "query")


def notices(record):
    states = common.many(record["postgresql.notice.sqlstate"])
    texts = common.many(record.get("postgresql.notice.message", []))
    return [{"sqlstate": state, "message": text}
            for state, text in zip(states, texts)]


def line_of(record):
    line = {"op": operation(record)}
    common.copy(record, line, FIELDS)
    if line["op"] == "login":
        common.copy(record, line, LOGIN)
    if line["op"] == "execute":
        line.setdefault("stmt", "")
        line.setdefault("rows", 0)
        line["args"] = common.parameters(record)
    common.status(record, line)
    if "postgresql.notice.sqlstate" in record:
        line["notices"] = notices(record)
    return line


def lines(record):
    if record.get("db.system.name") == "postgresql":
        yield line_of(record)
