#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""demo_agent.py - an AI agent, its tools and its model, for the demo.

    demo_agent.py port                  print a TCP port that is free
    demo_agent.py model PORT            stand-in for a language model's API
    demo_agent.py tools REDIS           an MCP server on its standard streams
    demo_agent.py agent REDIS MODEL SECONDS

The agent asks its tools for a customer, whom they read from Redis, looks for
the customer's session there by itself, and sends what it was told on to the
model.  REDIS and MODEL are ports on 127.0.0.1.  The model answers always the
same: nothing is computed, and nothing leaves the host.
"""

import http.client
import http.server
import json
import pathlib
import socket
import subprocess
import sys
import time

HOST = "127.0.0.1"
CUSTOMERS = 5
PAUSE_SECONDS = 2
LINE_BYTES_MAX = 65536  # of a reply or message; the demo's have some hundred


def call_myself(name):
    """The name that ps and datasnoop show; at most 15 bytes."""
    pathlib.Path("/proc/self/comm").write_text(name, encoding="ascii")


# ---- Redis

class Redis:
    """A connection; commands of words, replies of strings and lists."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port))
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        """One command, and its reply."""
        text = f"*{len(words)}\r\n"
        for word in words:
            text += f"${len(word.encode())}\r\n{word}\r\n"
        self.socket.sendall(text.encode())
        return self.reply()

    def reply(self):
        """A string, a number's text, None, or a list of these."""
        line = self.file.readline(LINE_BYTES_MAX).decode().rstrip("\r\n")
        kind, rest = line[:1], line[1:]
        if kind == "*":
            return [self.reply() for _ in range(int(rest))]
        if kind != "$":
            return rest
        if rest == "-1":
            return None
        return self.file.read(int(rest) + 2)[:-2].decode()


# ---- the model

class Model(http.server.BaseHTTPRequestHandler):
    """Chat completions; tokens are counted as words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        """The only request there is."""
        request = json.loads(self.rfile.read(
            int(self.headers["Content-Length"])))
        words = sum(len(message["content"].split())
                    for message in request["messages"])
        answer = "Your order is on its way."
        body = json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion",
            "model": request["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": answer}}],
            "usage": {"prompt_tokens": words,
                      "completion_tokens": len(answer.split()),
                      "total_tokens": words + len(answer.split())},
        }).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nobody reads it."""


def model(port):
    """Serve until killed."""
    call_myself("model")
    http.server.ThreadingHTTPServer((HOST, port), Model).serve_forever()


# ---- the tools: a message of JSON-RPC a line

def tool_result(redis, message):
    """What a request is answered with."""
    if message["method"] == "initialize":
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "crm", "version": "1.0"}}
    key = "customer:" + str(message["params"]["arguments"]["id"])
    text = json.dumps(redis.ask("HGETALL", key))
    return {"content": [{"type": "text", "text": text}]}


def tools(port):
    """Answer until standard input ends."""
    call_myself("crm-tools")
    redis = Redis(port)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"],
                              "result": tool_result(redis, message)}),
                  flush=True)


# ---- the agent

class Tools:
    """The agent's end of its tools' standard streams."""

    def __init__(self, port):
        self.child = subprocess.Popen(
            [sys.executable, __file__, "tools", str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.number = 0
        self.ask("initialize", {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "support-ai", "version": "1.0"}})

    def ask(self, method, parameters):
        """A request, and its result."""
        self.number += 1
        self.child.stdin.write(json.dumps({
            "jsonrpc": "2.0", "id": self.number, "method": method,
            "params": parameters}) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())["result"]

    def end(self):
        """The end of their input ends them."""
        self.child.stdin.close()
        self.child.wait()


def complete(connection, text):
    """Send the text on to the model."""
    connection.request("POST", "/v1/chat/completions", json.dumps({
        "model": "stand-in-1", "messages": [
            {"role": "system", "content": "Answer the customer."},
            {"role": "user", "content": text}],
    }), {"Content-Type": "application/json",
         "Authorization": "Bearer only-for-tests"})
    connection.getresponse().read()


def agent(redis_port, model_port, seconds):
    """One customer after the other."""
    call_myself("support-ai")
    redis = Redis(redis_port)
    crm = Tools(redis_port)
    connection = http.client.HTTPConnection(HOST, model_port)
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        customer = number % CUSTOMERS + 1
        number += 1
        record = crm.ask("tools/call", {
            "name": "get_customer", "arguments": {"id": customer}})
        session = redis.ask("GET", f"session:{customer}")
        complete(connection, f"{record['content'][0]['text']} {session}")
        time.sleep(PAUSE_SECONDS)
    crm.end()


def main():
    """The role, and its numbers."""
    role, *numbers = sys.argv[1:]
    if role == "port":
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            print(probe.getsockname()[1])
        return
    {"model": model, "tools": tools, "agent": agent}[role](
        *(int(number) for number in numbers))


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError, ConnectionError):
        sys.exit(1)
