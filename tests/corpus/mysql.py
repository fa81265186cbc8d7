# SPDX-License-Identifier: GPL-2.0-or-later
"""mysql.py - MySQL's records, and conversations given as traced calls."""
from corpus import common

OPERATIONS = {
    "CONNECT": "connect", "LOGIN": "login", "COM_PING": "ping",
    "COM_QUIT": "quit", "COM_INIT_DB": "init_db", "PREPARE": "prepare",
    "COM_FIELD_LIST": "field_list", "COM_CHANGE_USER": "change_user",
    "COM_STATISTICS": "statistics", "COM_STMT_CLOSE": "stmt_close",
    "COM_STMT_RESET": "stmt_reset", "COM_STMT_FETCH": "fetch",
    "COM_STMT_EXECUTE": "execute", "COM_STMT_SEND_LONG_DATA": "long_data",
    "COM_RESET_CONNECTION": "reset_connection",
    "COM_SET_OPTION": "set_option",
}


def operation(record):
    name = record["db.operation.name"]
    # An execution's operation is its statement's verb; so is a PREPARE's in
    # SQL, which has no statement of the protocol.
    if "mysql.statement_id" in record:
        if name in ("COM_STMT_FETCH", "COM_STMT_CLOSE"):
            return OPERATIONS[name]
        return "prepare" if "mysql.parameters" in record else "execute"
    if name == "PREPARE" and not record.get("db.query.text", "").upper() \
            .lstrip().startswith("PREPARE"):
        return "prepare"
    if name in OPERATIONS and name != "PREPARE":
        return OPERATIONS[name]
    return "query" if "db.query.text" in record else name.lower()


def text(record, op):
    if op == "init_db":
        return record.get("db.namespace")
    if op == "field_list":
        return record.get("db.collection.name")
    return record.get("db.query.text")


def line_of(record):
    op = operation(record)
    line = {"op": op, "text": text(record, op)}
    common.copy(record, line, {
        "db.response.returned_rows": "rows",
        "datasnoop.columns_total": "columns",
        "datasnoop.affected_rows": "affected",
        "datasnoop.sqlstate": "sqlstate", "error.message": "message",
        "datasnoop.db.user": "user", "mysql.auth_plugin": "auth_plugin",
        "mysql.statement_id": "stmt_id", "mysql.parameters": "nparams",
        "mysql.insert_id": "insert_id", "mysql.warnings": "warnings",
        "datasnoop.results": "results",
    })
    if op in ("login", "change_user"):
        common.copy(record, line, {"db.namespace": "db"})
    common.status(record, line)
    if op == "execute":
        line["args"] = common.parameters(record)
    if op == "prepare":
        line.setdefault("columns", 0)
    if "mysql.query_attributes" in record:
        line["attrs"] = dict(pair.split("=", 1) for pair in common.many(
            record["mysql.query_attributes"]))
    return line


def lines(record):
    if record.get("db.system.name") == "mysql":
        yield line_of(record)


ELSEWHERE = "packets cut or with a length that is not theirs: test_mysql"


def talk(vector):
    """None where the client's bytes are not whole packets."""
    pieces = common.traced_calls(vector) or []
    client = b"".join(data for is_client, data in pieces if is_client)
    while len(client) >= 4:
        size = 4 + int.from_bytes(client[:3], "little")
        if size > len(client):
            break
        client = client[size:]
    return pieces if pieces and not client else None


def judge(_vector, expected, records):
    """The statements, in order, and which of them failed."""
    wanted = [(t["sql"], t["is_error"]) for line in expected
              for t in line["transactions"] if "sql" in t]
    found = [(r.get("db.query.text"), "error.type" in r) for r in records
             if "db.query.text" in r]
    return common.difference("statements", wanted, found)
