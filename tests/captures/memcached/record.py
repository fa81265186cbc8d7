#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py DIR - record the sessions of this directory again.

Starts memcached on a loopback port of the kernel's choice and speaks both of
its protocols itself.
"""
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

IDLE = 0.08  # seconds without a byte: the server has said all
GET, SET, ADD, DELETE, INCR, QUIT, NOOP = 0, 1, 2, 4, 5, 7, 10
GETQ, GETK, STAT, SETQ, QUITQ, SASL_LIST, SASL_AUTH = 9, 12, 16, 17, 23, 32, 33


def packet(opcode, key=b"", value=b"", extras=b"", opaque=0):
    body = extras + key + value
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0,
                       len(body), opaque, 0) + body


class Session:
    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.out = open(path, "w", encoding="ascii")
        self.out.write("# memcached 1.6.18, recorded by record.py\n")

    def ask(self, data, wait=True):
        self.out.write("C " + data.hex() + "\n")
        self.socket.sendall(data)
        self.socket.settimeout(2 if wait else IDLE)
        try:
            while chunk := self.socket.recv(65536):
                self.out.write("S " + chunk.hex() + "\n")
                self.socket.settimeout(IDLE)
        except socket.timeout:
            pass

    def close(self):
        self.socket.close()
        self.out.close()


def text(s):
    for line in (b"version", b"get user:1",
                 b"set user:1 5 0 15\r\nada@example.org", b"get user:1",
                 b"add user:1 0 0 1\r\nx", b"add user:2 0 0 3\r\nb\r\n",
                 b"gets user:1 user:2 user:3", b"cas user:2 0 0 1 99\r\nx",
                 b"set n 0 0 1\r\n7", b"incr n 3", b"decr n 100",
                 b"incr user:1 1", b"append user:1 0 0 1\r\n!",
                 b"gat 100 user:1 n", b"touch n 5", b"delete user:2",
                 b"delete user:2", b"stats settings", b"get " + b"k" * 251,
                 b"flush_all 0", b"verbosity 0"):
        s.ask(line + b"\r\n")
    s.ask(b"quit\r\n", wait=False)


def errors(s):
    s.ask(b"nosuch command\r\n")
    s.ask(b"set user:1 0 0 x\r\n")
    s.ask(b"get\r\n")
    s.ask(b"get user:1\r\n")


def pipeline(s):
    s.ask(b"set a 0 0 1 noreply\r\n1\r\nset b 0 0 2 noreply\r\n22\r\n"
          b"get a b\r\nget c\r\nincr a 1\r\ndelete b noreply\r\nget b\r\n")
    s.ask(b"get a\r\n")
    s.ask(b"touch a 0 noreply\r\nversion\r\n")


def meta(s):
    s.ask(b"ms key 5 T0 F3\r\nhello\r\n")
    s.ask(b"mg key t f v\r\n")
    s.ask(b"mg none v\r\n")
    s.ask(b"mg key v q k Oa\r\nmg none v q k Ob\r\nmg key v q k Oc\r\nmn\r\n")
    s.ask(b"ma count N0 J13 v\r\n")
    s.ask(b"md key q\r\nmd none q\r\nmn\r\n")
    s.ask(b"me count\r\n")
    s.ask(b"ms key S\r\n")
    s.ask(b"mn\r\n")


def binary(s):
    zero = struct.pack(">II", 7, 0)
    s.ask(packet(SET, b"user:1", b"ada@example.org", zero, 1))
    s.ask(packet(GET, b"user:1", opaque=2))
    s.ask(packet(GET, b"none", opaque=3))
    s.ask(packet(ADD, b"user:1", b"x", zero, 4))
    s.ask(packet(GETK, b"user:1", opaque=5))
    s.ask(packet(INCR, b"n", extras=struct.pack(">QQI", 1, 41, 0), opaque=6))
    s.ask(packet(STAT, b"settings", opaque=7))
    s.ask(packet(SETQ, b"a", b"1", zero, 8) + packet(GETQ, b"a", opaque=9) +
          packet(GETQ, b"none", opaque=10) + packet(GETQ, b"a", opaque=11) +
          packet(NOOP, opaque=12))
    s.ask(packet(DELETE, b"a", opaque=13))
    s.ask(packet(SASL_LIST, opaque=14))
    s.ask(packet(SASL_AUTH, b"PLAIN", b"\0me\0hunter2", opaque=15))
    s.ask(packet(QUIT, opaque=16))


def large(s):
    s.ask(b"set big 0 0 30000\r\n" + b"0123456789" * 3000 + b"\r\n")
    s.ask(b"get big\r\n")
    s.ask(b"get small\r\n")


def password(s):
    s.ask(b"set auth 0 0 11\r\nann hunter2\r\n")
    s.ask(b"get key\r\n")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def serve(arguments, sessions):
    port = free_port()
    server = subprocess.Popen(["memcached", "-u", "nobody", "-U", "0", "-l",
                               "127.0.0.1", "-p", str(port)] + arguments)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        for session in sessions:
            name = session.__name__ + ".memcached"
            s = Session(port, os.path.join(sys.argv[1], name))
            session(s)
            s.close()
    finally:
        server.terminate()
        server.wait()


def main():
    serve([], (text, errors, pipeline, meta, binary, large))
    with tempfile.NamedTemporaryFile("w") as users:
        users.write("ann:hunter2\n")
        users.flush()
        os.chmod(users.name, 0o644)
        serve(["-Y", users.name], (password,))


main()
