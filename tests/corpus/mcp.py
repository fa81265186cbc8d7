# SPDX-License-Identifier: GPL-2.0-or-later
"""mcp.py - messages of MCP, a line each as between a server and its pipes."""
import json

from corpus import common

ELSEWHERE = "responses without their requests: test_mcp"


def lines(record):
    if record.get("datasnoop.application") == "mcp" or \
            record.get("network.protocol.name") == "mcp":
        yield {"op": "message", "method": record.get("mcp.method.name")}


def talk(vector):
    """A response alone tells nothing of what was asked."""
    if "method" not in json.loads(vector["raw"]):
        return None
    return [(True, vector["raw"].replace("\n", " ").encode() + b"\n")]


def judge(_vector, expected, records):
    names = {"method": "mcp.method.name", "rpc_id": "jsonrpc.request.id",
             "tool": "gen_ai.tool.name", "uri": "mcp.resource.uri"}
    wanted = [{name: line[name] for name in names if name in line}
              for line in expected]
    asked = {name for line in wanted for name in line}
    found = [{name: record[ours] for name, ours in names.items()
              if ours in record and name in asked} for record in records]
    return common.difference("messages", wanted, found)
