# SPDX-License-Identifier: GPL-2.0-or-later
"""http2.py - HTTP/2's and gRPC's records."""
from corpus import common

ELSEWHERE = "single frames: test_http2_frame"
FIELDS = {
    "datasnoop.http.stream": "stream", "http.request.method": "method",
    "url.scheme": "scheme", "http.request.header.host": "authority",
    "url.original": "uri", "user_agent.original": "user_agent",
    "http.request.header.content-type": "req_content_type",
    "http.response.header.content-type": "resp_content_type",
    "http.response.header.content-encoding": "resp_encoding",
    "http.response.status_code": "status",
    "rpc.grpc.status_code": "grpc_status",
    "datasnoop.http.reset": "rst_stream",
}


def messages(record, side):
    sizes = record.get("datasnoop.grpc.%s.message_size" % side, [])
    return [{"len": size} for size in common.many(sizes)]


def line_of(record):
    line = {"op": "request",
            "place": (record.get("timestamp", ""),
                      record.get("datasnoop.http.stream", 0))}
    common.copy(record, line, FIELDS)
    line["req_body_len"] = record.get("http.request.body.size", 0)
    # Of a body that was cut the bytes there are, the reference whole frames.
    if record["datasnoop.complete"]:
        line["resp_body_raw"] = record.get("http.response.body.size", 0)
    line["resp_complete"] = record["datasnoop.complete"]
    if "datasnoop.http.pushed" in record:
        line["pushed"] = True
    if record.get("datasnoop.application") == "grpc":
        line["req_msgs"] = messages(record, "request")
        line["resp_msgs"] = messages(record, "response")
    return line


def lines(record):
    if record.get("network.protocol.name") == "http" and (
            record.get("network.protocol.version") == "2" or
            record.get("datasnoop.http.upgraded") == "h2c"):
        yield line_of(record)


def order(lines_of_all):
    """As the requests were sent: streams end in another order."""
    return sorted(lines_of_all, key=lambda line: line["place"])
