# SPDX-License-Identifier: GPL-2.0-or-later
"""tds.py - SQL Server's records."""
from corpus import common


def lines(record):
    if record.get("db.system.name") not in ("mssql", "microsoft.sql_server"):
        return
    call = "db.stored_procedure.name" in record or "tds.proc_id" in record
    line = {"op": "rpc" if call else "sql_batch"}
    if record.get("tds.request") not in (None, "sql_batch", "rpc", "batch",
                                         "SQL_BATCH", "RPC"):
        line["op"] = record["tds.request"].lower()
    common.copy(record, line, {"db.stored_procedure.name": "proc",
                               "tds.proc_id": "proc_id"})
    if not call:
        common.copy(record, line, {"db.query.text": "text"})
    if "proc_id" in line:
        line.pop("proc", None)
    yield line
    # The references count a line a packet, a message is one exchange.
    for _ in range(record.get("tds.packets", 1) - 1):
        yield {"op": line["op"], "unasserted": True}
