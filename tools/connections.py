#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""connections.py - many plain connections, held and new, as a load.

    connections.py --hold N --rate N --seconds N [--name COMM]
                   [--server-name COMM]

A server and a client on loopback, a process each, speak Redis: PING, PONG.
First --hold connections are opened and kept, with one PING each; then --rate
new ones a second, each with one PING.  At the end all that are held say PING
once more.  Standard output gets the counts, as JSON; the line "held" comes
first, once the connections to keep are open.
"""

import argparse
import json
import os
import pathlib
import resource
import selectors
import signal
import socket
import sys
import time

PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"
ADDRESSES = 100  # of the client: each has ports of its own


def serve(listener):
    """Answer each PING, until killed."""
    selector = selectors.EpollSelector()
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                accept_all(listener, selector)
            elif key.fileobj.recv(len(PING)):
                key.fileobj.send(PONG)
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()


def accept_all(listener, selector):
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        selector.register(sock, selectors.EVENT_READ)


class Client:
    def __init__(self, address):
        self.address = address
        self.opened = self.pings = 0

    def open(self):
        sock = socket.socket()
        source = f"127.0.1.{1 + self.opened % ADDRESSES}"
        # The kernel chooses the port when it knows both ends.
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((source, 0))
        sock.connect(self.address)
        self.opened += 1
        self.ping(sock)
        return sock

    def ping(self, sock):
        sock.send(PING)
        if sock.recv(len(PONG)) != PONG:
            sys.exit("connections.py: the answer is not PONG")
        self.pings += 1

    def churn(self, rate, seconds):
        """So many a second, as far as the machine can."""
        begin = time.monotonic()
        end = begin + seconds
        done = 0
        while (now := time.monotonic()) < end:
            while done < (now - begin) * rate:
                self.open().close()
                done += 1
            time.sleep(0.001)
        return done / (time.monotonic() - begin)


def call_self(name):
    pathlib.Path("/proc/self/comm").write_text(name)


def parse_options():
    parser = argparse.ArgumentParser(description="Many plain connections.")
    parser.add_argument("--hold", type=int, default=100)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--name", default="connections")
    parser.add_argument("--server-name", help="default: as the client's")
    return parser.parse_args()


def main():
    options = parse_options()
    room = options.hold + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, max(
        room, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    # As an exception, so that the server ends too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    call_self(options.name)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    server = os.fork()
    if not server:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        call_self(options.server_name or options.name)
        serve(listener)
    try:
        client = Client(listener.getsockname())
        listener.close()
        held = [client.open() for _ in range(options.hold)]
        print("held", flush=True)
        rate = client.churn(options.rate, options.seconds)
        for sock in held:
            client.ping(sock)
        for sock in held:
            sock.close()
        print(json.dumps({"connections": client.opened, "rate": rate,
                          "exchanges": client.pings, "bytes": 2 *
                          client.pings * (len(PING) + len(PONG))}))
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)


if __name__ == "__main__":
    main()
