# SPDX-License-Identifier: GPL-2.0-or-later
"""http1.py - HTTP/1's records; conversations as traced calls; messages."""
import re

from corpus import common

ELSEWHERE = "RTSP, ICE and HTTP/0.9, which are not read: test_http1"
VERSIONS = ("1.0", "1.1")
FIELDS = {
    "http.request.method": "method", "url.original": "uri",
    "network.protocol.version": "version",
    "http.request.header.host": "host",
    "user_agent.original": "user_agent",
    "http.request.header.content-type": "req_content_type",
    "http.response.header.content-type": "resp_content_type",
    "http.response.header.content-encoding": "resp_encoding",
    "http.response.status_code": "status",
    "datasnoop.http.reason": "reason",
    "datasnoop.http.response.chunked": "resp_chunked",
    "datasnoop.http.response.body.missed": "resp_gap",
}


def body_length(record, side):
    """Without chunks, and decoded where it was."""
    name = "http.%s.body.size" % side
    return record.get("datasnoop.http.%s.body.decoded_size" % side,
                      record.get(name, 0))


def line_of(record):
    line = {"op": "request"}
    common.copy(record, line, FIELDS)
    line["req_body_len"] = body_length(record, "request")
    line["resp_body_len"] = body_length(record, "response")
    if "http.response.body.size" in record:
        line["resp_body_raw"] = record["http.response.body.size"]
    if "datasnoop.http.interim" in record:
        line["interim"] = common.many(record["datasnoop.http.interim"])
    return line


def lines(record):
    if record.get("network.protocol.name") == "http" and \
            record.get("network.protocol.version") in VERSIONS:
        yield line_of(record)


def talk(vector):
    """An answer alone gets the plainest request before it."""
    if "events" in vector:
        return common.traced_calls(vector)
    data = bytes.fromhex(vector["hex"])
    if not re.search(rb"^[^\n]*HTTP/", data.lstrip()):
        return None
    if vector["type"].startswith("request"):
        return [(True, data)]
    return [(True, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"), (False, data)]


def judge_calls(vector, expected, records):
    sent = b"".join(data for client, data in common.traced_calls(vector)
                    if client)
    # A method that the vector's bytes have not whole can't be read there.
    wanted = [(t["http_method"] if t["http_method"].encode() + b" " in sent
               else sent.split()[0].decode(), t["http_url"],
               t["http_status_code"])
              for line in expected for t in line["transactions"]]
    found = [(r.get("http.request.method"), r.get("url.original"),
              r.get("http.response.status_code")) for r in records
             if r.get("network.protocol.name") == "http"]
    return common.difference("requests", wanted, found)


def without_password(value):
    """A secret is nobody's to show."""
    return re.sub(r"://([^:/@]*):[^@/]*@", r"://\1:***@", str(value)) \
        if isinstance(value, str) else value


def judge(vector, expected, records):
    if "events" in vector:
        return judge_calls(vector, expected, records)
    # What must be refused is told by no exchange; it must not end the run.
    if any("error" in line for line in expected):
        return []
    names = {"method": "http.request.method", "url": "url.original"}
    if not vector["type"].startswith("request"):
        names = {"status_code": "http.response.status_code"}
    wanted = [{name: without_password(m[name]) for name in names
               if name in m}
              for line in expected for m in line["messages"]
              if m.get("headers_complete")]
    found = [{name: r[names[name]] for name in names if names[name] in r}
             for r in records if r.get("network.protocol.name") == "http"]
    # One answer was asked for; a request that breaks off may be told.
    if not vector["type"].startswith("request"):
        wanted = wanted[:1]
    found = found[:len(wanted)]
    return common.difference("messages", wanted, found)
