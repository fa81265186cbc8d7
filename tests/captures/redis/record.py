#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py DIR - record the sessions of this directory again.

Starts redis-server on a loopback port of the kernel's choice, with a data
directory of its own that is removed at the end, and speaks RESP itself.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

IDLE = 0.08  # seconds without a byte: the server has said all


def command(*words):
    data = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        data += b"$%d\r\n%s\r\n" % (len(word), word)
    return data


class Session:
    def __init__(self, port, path=None):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.out = open(path, "w", encoding="ascii") if path else None
        if self.out:
            self.out.write("# redis-server 7.0, recorded by record.py\n")

    def note(self, side, data):
        if self.out:
            self.out.write(side + " " + data.hex() + "\n")

    def send(self, data):
        self.note("C", data)
        self.socket.sendall(data)

    def read(self):
        data = b""
        self.socket.settimeout(5)
        try:
            while chunk := self.socket.recv(65536):
                self.note("S", chunk)
                data += chunk
                self.socket.settimeout(IDLE)
        except socket.timeout:
            pass
        return data

    def ask(self, *words):
        self.send(command(*words))
        return self.read()

    def close(self):
        self.socket.close()
        if self.out:
            self.out.close()


def plain(s, _):
    for words in (
            ("PING",), ("SELECT", 3), ("SET", "user:1", "Ada Lovelace"),
            ("GET", "user:1"), ("GET", "nobody"),
            ("MSET", "a", 1, "b", "two words", "c", b"\x00\xff\n"),
            ("MGET", "a", "b", "none", "c"), ("INCR", "a"), ("DEL", "a", "b"),
            ("HSET", "card:7", "name", "Bob", "number", "4111111111111111"),
            ("HGETALL", "card:7"), ("LPUSH", "list", "x", "y", "z"),
            ("LRANGE", "list", 0, -1), ("LPUSH", "card:7", "wrong"),
            ("XADD", "stream", "1-1", "rider", "Castilla"),
            ("XRANGE", "stream", "-", "+"),
            ("XREAD", "COUNT", 2, "STREAMS", "stream", "other", "0", "0"),
            ("ZADD", "scores", 1.5, "one", 2, "two"),
            ("ZRANGE", "scores", 0, -1, "WITHSCORES"),
            ("EVAL", "return {KEYS[1], ARGV[1], {1, 2}}", 1, "key", "arg"),
            ("ZUNIONSTORE", "dest", 2, "scores", "more", "WEIGHTS", 1, 2),
            ("OBJECT", "ENCODING", "scores"), ("NOSUCH", "thing"), ("QUIT",)):
        s.ask(*words)


def secrets(s, _):
    s.ask("CONFIG", "SET", "requirepass", "hunter2")
    s.ask("AUTH", "wrong-secret")
    s.ask("AUTH", "default", "hunter2")
    s.ask("HELLO", 2, "AUTH", "default", "hunter2", "SETNAME", "me")
    s.ask("CONFIG", "GET", "requirepass")
    s.ask("ACL", "SETUSER", "ann", "on", ">hunter3", "~*", "+@all")
    s.ask("ACL", "GETUSER", "ann")
    s.ask("MIGRATE", "127.0.0.1", 1, "nokey", 0, 10, "AUTH2", "u", "hunter4")
    s.ask("CONFIG", "SET", "requirepass", "")


def pipeline(s, _):
    s.send(b"".join(command("SET", "key:%d" % i, "v" * i) for i in range(12)) +
           command("GET", "key:11") + command("LRANGE", "list", 0, 5))
    s.read()
    s.ask("GET", "key:3")
    s.send(command("GET", "key:1") + b"PING\r\nSET inline \"two words\"\r\n" +
           command("GET", "inline"))
    s.read()


def transaction(s, port):
    for words in (("MULTI",), ("SET", "tx", "1"), ("INCRBY", "tx", 41),
                  ("MGET", "tx", "none"), ("LPUSH", "tx", "x"), ("EXEC",),
                  ("MULTI",), ("GET", "tx"), ("DISCARD",),
                  ("WATCH", "tx"), ("MULTI",), ("GET", "tx")):
        s.ask(*words)
    other = Session(port)
    other.ask("SET", "tx", "changed")
    other.close()
    s.ask("EXEC")
    s.ask("MULTI")
    s.ask("NOSUCH")
    s.ask("GET", "tx")
    s.ask("EXEC")
    s.send(command("MULTI") + command("SELECT", 5) + command("SET", "k", "v") +
           command("EXEC") + command("GET", "k"))
    s.read()


def pubsub(s, port):
    other = Session(port)
    s.ask("SUBSCRIBE", "news", "sport")
    s.ask("PSUBSCRIBE", "n*")
    other.ask("PUBLISH", "news", "hello ada@example.org")
    s.read()
    s.ask("PING")
    s.ask("UNSUBSCRIBE")
    s.ask("PUNSUBSCRIBE", "n*")
    s.ask("GET", "key")
    other.close()


def resp3(s, port):
    other = Session(port)
    s.ask("HELLO", 3)
    s.ask("HSET", "h", "f", "v", "g", "w")
    s.ask("HGETALL", "h")
    s.ask("SADD", "s", "m")
    s.ask("SMEMBERS", "s")
    s.ask("ZADD", "z", 1.5, "m")
    s.ask("ZSCORE", "z", "m")
    for kind in ("attrib", "bignum", "verbatim", "push", "map", "double",
                 "null", "true", "false"):
        s.ask("DEBUG", "PROTOCOL", kind)
    s.ask("SUBSCRIBE", "news")
    other.ask("PUBLISH", "news", "three")
    s.read()
    s.ask("CLIENT", "TRACKING", "ON")
    s.ask("GET", "h2")
    other.ask("SET", "h2", "x")
    s.read()
    s.ask("GET", "h2")
    other.close()


def silent(s, _):
    s.ask("SET", "k", "v")
    s.send(command("CLIENT", "REPLY", "SKIP") + command("SET", "k", "skipped") +
           command("GET", "k"))
    s.read()
    s.send(command("CLIENT", "REPLY", "OFF") + command("SET", "k", "w") +
           command("INCR", "n") + command("CLIENT", "REPLY", "ON") +
           command("GET", "k"))
    s.read()


def blocking(s, port):
    other = Session(port)
    s.send(command("BLPOP", "jobs", 5))
    time.sleep(0.02)
    other.ask("RPUSH", "jobs", "work")
    s.read()
    s.ask("GET", "x")
    other.close()


def monitor(s, port):
    other = Session(port)
    s.ask("MONITOR")
    other.ask("SET", "seen", "by monitor")
    s.read()
    s.ask("RESET")
    s.ask("GET", "x")
    other.close()


def replica(s, _):
    s.ask("REPLCONF", "listening-port", 6380)
    s.send(command("PSYNC", "?", -1))
    s.read()


def large(s, _):
    s.ask("SET", "big", b"0123456789abcdef" * 1200)
    s.ask("GET", "big")
    s.ask("STRLEN", "big")


SESSIONS = (plain, secrets, pipeline, transaction, pubsub, resp3, silent,
            blocking, monitor, replica, large)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    directory, data, port = sys.argv[1], tempfile.mkdtemp(), free_port()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--dir", data, "--save", "",
         "--bind", "127.0.0.1", "--enable-debug-command", "local",
         "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"],
        stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                Session(port).close()
                break
            except OSError:
                time.sleep(0.05)
        for session in SESSIONS:
            name = session.__name__ + ".redis"
            s = Session(port, os.path.join(directory, name))
            session(s, port)
            s.close()
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(data)


main()
