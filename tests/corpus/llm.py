# SPDX-License-Identifier: GPL-2.0-or-later
"""llm.py - calls of language models, over HTTP."""
import json

from corpus import common, http1

OWN = "datasnoop.gen_ai."
FIELDS = {
    "gen_ai.provider.name": "provider", "url.path": "path",
    "http.response.status_code": "status", "gen_ai.request.model": "model",
    "gen_ai.request.stream": "stream",
    OWN + "request.messages": "n_input_messages",
    "gen_ai.response.model": "response_model",
    "gen_ai.response.id": "response_id",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    OWN + "completion": "output_text",
    "datasnoop.http.sse_events": "sse_events",
    OWN + "response.events": "sse_events",
    OWN + "response.ndjson_lines": "ndjson_lines",
    OWN + "response.done": "done_marker",
}


def plain(text):
    """JSON in one spelling."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def tool_calls(record):
    names = common.many(record["gen_ai.tool.name"])
    arguments = common.many(record.get("gen_ai.tool.call.arguments", []))
    return [{"name": name, "arguments": plain(argument)}
            for name, argument in zip(names, arguments)]


def line_of(record):
    line = {"op": "call"}
    common.copy(record, line, FIELDS)
    line["req_body_len"] = http1.body_length(record, "request")
    line["resp_body_len"] = http1.body_length(record, "response")
    if "gen_ai.response.finish_reasons" in record:
        line["finish_reason"] = common.many(
            record["gen_ai.response.finish_reasons"])[0]
    if "gen_ai.tool.name" in record:
        line["tool_calls"] = tool_calls(record)
    return line


def expected(line):
    for call in line.get("tool_calls", []):
        call["arguments"] = plain(call["arguments"])
    return line


def lines(record):
    if record.get("datasnoop.application") == "llm":
        yield line_of(record)
