#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py SOCKET DIR [NAME...] - record the sessions of this directory again.

Speaks the protocol itself to a private MariaDB whose root has no password, so
that each packet is the one that a test wants; what the server answers is the
server's own.  The session `cli` is the mariadb client's, through a relay.
"""
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import zlib

SCHEMA = """
DROP DATABASE IF EXISTS shop; CREATE DATABASE shop; USE shop;
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40), email VARCHAR(60),
 born DATE, balance DECIMAL(10,2), seen DATETIME(6), rate DOUBLE, span TIME(3),
 flags TINYINT UNSIGNED, note BLOB);
INSERT INTO customers VALUES
 (1,'Ada','ada@example.org','1815-12-10',12.50,'2024-02-29 12:30:45.000123',
  0.1,'-101:30:15.250',255,'x'),
 (2,'Bob',NULL,NULL,-3.00,'2024-01-01 00:00:00',1e100,'00:00:00',0,NULL),
 (3,'Eve','eve@example.org','1970-01-01',0,NULL,NULL,NULL,NULL,'y');
CREATE TABLE tickets (id INT PRIMARY KEY AUTO_INCREMENT, customer INT, t TEXT);
CREATE VIEW people AS SELECT id, name FROM customers;
CREATE PROCEDURE two() BEGIN SELECT id FROM customers; SELECT t FROM tickets; END;
CREATE OR REPLACE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret');
GRANT ALL ON shop.* TO ed@'%';
"""
BASE = 0x00000001 | 0x4 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x30000 | 0x80000
DEPRECATE_EOF, SESSION_TRACK, WITH_DB = 1 << 24, 1 << 23, 8
COMPRESS = 0x20
BULK, EXTENDED, CACHE = 1 << 34, 1 << 35, 1 << 36


def lenenc(data):
    assert len(data) < 251
    return bytes([len(data)]) + data


class Session:
    def __init__(self, path, capture):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.out = open(capture, "w", encoding="ascii")
        self.out.write("# MariaDB 10.11, recorded by record.py\n")
        self.rest = self.frames = b""
        self.compressed = False

    def send(self, *payloads, seq=0):
        data = b"".join(struct.pack("<I", len(p))[:3] + bytes([seq + i]) + p
                        for i, p in enumerate(payloads))
        self.raw(data)

    def raw(self, data):
        if self.compressed:
            packed = zlib.compress(data) if len(data) >= 50 else data
            plain = len(data) if len(packed) < len(data) else 0
            data = packed if plain else data
            data = (struct.pack("<I", len(data))[:3] + b"\0" +
                    struct.pack("<I", plain)[:3] + data)
        self.out.write("C " + data.hex() + "\n")
        self.socket.sendall(data)

    def packet(self):
        while True:
            if len(self.rest) >= 4:
                size = 4 + int.from_bytes(self.rest[:3], "little")
                if len(self.rest) >= size:
                    packet, self.rest = self.rest[:size], self.rest[size:]
                    return packet[4:]
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.out.write("S " + data.hex() + "\n")
            if self.compressed:
                self.frames += data
                self.unpack()
            else:
                self.rest += data

    def unpack(self):
        while len(self.frames) >= 7:
            size = 7 + int.from_bytes(self.frames[:3], "little")
            if len(self.frames) < size:
                return
            body = self.frames[7:size]
            if any(self.frames[4:7]):
                body = zlib.decompress(body)
            self.rest += body
            self.frames = self.frames[size:]

    def login(self, caps, user=b"root", database=b""):
        greeting = self.packet()
        assert greeting[0] == 10
        at = greeting.index(0) + 1
        self.thread, = struct.unpack("<I", greeting[at:at + 4])
        caps |= BASE | (WITH_DB if database else 0)
        if caps >> 32:
            caps &= ~1
        body = struct.pack("<IIB", caps & 0xffffffff, 1 << 24, 45) + bytes(19)
        body += struct.pack("<I", caps >> 32) + user + b"\0" + b"\0"
        body += (database + b"\0" if database else b"")
        self.send(body + b"mysql_native_password\0", seq=1)
        self.caps = caps
        answer = self.packet()
        self.compressed = bool(caps & COMPRESS)
        return answer

    def simple(self, payload):
        self.send(payload)
        return self.packet()

    def result(self):
        """Reads one response with all its results; the status of the last."""
        while True:
            first = self.packet()
            if first[0] in (0, 0xff):
                if first[0] == 0xff or not first[3] & 8:
                    return first
                continue
            if first[0] == 0xfb:
                return first
            follow = len(first) == 1 or first[1]
            for _ in range(first[0] if follow else 0):
                self.packet()
            ends = 1 if self.caps & DEPRECATE_EOF else 2
            while ends:
                last = self.packet()
                if last[0] == 0xff:
                    return last
                if last[0] == 0xfe and len(last) < 64:
                    ends -= 1
                    if len(last) == 5 and last[3] & 0x40:
                        return last
            status = last[3] if len(last) == 5 else last[3]
            if not status & 8:
                return last

    def query(self, text):
        self.send(b"\x03" + text.encode())
        return self.result()

    def prepare(self, text):
        self.send(b"\x16" + text.encode())
        ok = self.packet()
        if ok[0]:
            return ok
        identity, columns, parameters = struct.unpack("<IHH", ok[1:9])
        classic = not self.caps & DEPRECATE_EOF
        for count in (parameters, columns):
            for _ in range(count + (classic and count > 0)):
                self.packet()
        return identity

    def execute(self, identity, types, values, nulls=0, flags=0, bound=True):
        body = struct.pack("<BIBI", 0x17, identity, flags, 1)
        if types:
            body += nulls.to_bytes((len(types) + 7) // 8, "little")
            body += bytes([bound]) + (b"".join(
                struct.pack("<H", t) for t in types) if bound else b"")
        self.send(body + values)
        return self.result()

    def end(self):
        self.send(b"\x01")
        self.out.close()
        self.socket.close()


def text(path, capture, caps):
    s = Session(path, capture)
    s.login(caps, database=b"shop")
    s.query("SELECT id, name, email AS mail, 1+1 FROM customers WHERE id < 3")
    s.query("INSERT INTO tickets (customer, t) VALUES (1,'broken'),(2,'late')")
    s.query("SELECT name FROM people p JOIN tickets t ON t.customer = p.id")
    s.query("SELECT x FROM nowhere WHERE secret = 'value'")
    s.query("SELECT 1; UPDATE tickets SET t = 'x'; SELECT id FROM tickets")
    s.query("CALL two()")
    s.query("SET PASSWORD FOR ed@'%' = PASSWORD('hunter2')")
    s.query("USE mysql")
    s.query("SELECT id FROM shop.customers")
    s.simple(b"\x02shop")
    s.simple(b"\x0e")
    s.send(b"\x09")
    s.packet()
    s.send(b"\x04tickets\0")
    while s.packet()[0] != 0xfe:
        pass
    s.simple(b"\x1f")
    s.send(b"\x1b\x00\x00")
    s.packet()
    s.simple(b"\x02nowhere")
    s.query("SELECT * FROM customers WHERE id = 99")
    s.end()


def prepared(path, capture, caps):
    s = Session(path, capture)
    s.login(caps, database=b"shop")
    one = s.prepare("SELECT * FROM customers WHERE id = ?")
    s.execute(one, [3], struct.pack("<i", 1))
    s.execute(one, [3], struct.pack("<i", 2), bound=False)
    two = s.prepare("INSERT INTO tickets (customer, t) VALUES (?, ?)")
    s.execute(two, [0x8001, 253], b"\x02" + lenenc(b"hello"))
    s.execute(two, [3, 253], struct.pack("<i", 7), nulls=2)
    s.send(struct.pack("<BIH", 0x18, two, 1) + b"long ")
    s.send(struct.pack("<BIH", 0x18, two, 1) + b"text")
    s.execute(two, [3, 252], struct.pack("<i", 8))
    many = s.prepare("SELECT ?, ?, ?, ?, ?, ?, ?, ?")
    s.execute(many, [246, 10, 12, 11, 5, 4, 8, 2],
              lenenc(b"12.30") + bytes([4]) + struct.pack("<HBB", 2024, 2, 29) +
              bytes([11]) + struct.pack("<HBBBBBI", 2024, 2, 29, 1, 2, 3, 456) +
              bytes([8]) + struct.pack("<BIBBB", 1, 4, 5, 6, 7) +
              struct.pack("<d", 0.1) + struct.pack("<f", 1.25) +
              struct.pack("<q", -5) + struct.pack("<h", -2))
    s.execute(one, [3], struct.pack("<i", 3), flags=1)
    s.send(struct.pack("<BII", 0x1c, one, 5))
    while s.packet()[0] != 0xfe:
        pass
    s.simple(struct.pack("<BI", 0x1a, one))
    s.send(struct.pack("<BI", 0x19, two))
    s.prepare("SELECT nothing FROM nowhere")
    s.send(struct.pack("<BIBI", 0x17, 4711, 0, 1))
    s.packet()
    bulk = s.prepare("INSERT INTO tickets (customer, t) VALUES (?, ?)")
    s.send(struct.pack("<BIH", 0xfa, bulk, 128) + struct.pack("<HH", 3, 253) +
           b"".join(b"\0" + struct.pack("<i", i) + b"\0" + lenenc(b"b%d" % i)
                    for i in range(3)) + b"\0" + struct.pack("<i", 9) + b"\1")
    s.result()
    s.end()


def pipelined(path, capture, caps):
    s = Session(path, capture)
    s.login(caps, database=b"shop")
    batch = [b"\x03SELECT id FROM customers", b"\x0e",
             b"\x03SELECT t FROM tickets LIMIT 2", b"\x03SELECT broken"]
    s.raw(b"".join(struct.pack("<I", len(p)) + p for p in batch))
    s.result(), s.packet(), s.result(), s.result()
    text_of = b"\x16SELECT name FROM customers WHERE id = ?"
    run = struct.pack("<BIBIBBHi", 0x17, 0xffffffff, 0, 1, 0, 1, 3, 2)
    s.raw(struct.pack("<I", len(text_of)) + text_of +
          struct.pack("<I", len(run)) + run)
    for _ in range(1 + 1 + 1 + (0 if caps & DEPRECATE_EOF else 2)):
        s.packet()
    s.result()
    s.end()


def load(path, capture, caps):
    s = Session(path, capture)
    s.login(caps, database=b"shop")
    assert s.query("LOAD DATA LOCAL INFILE '/f' INTO TABLE tickets "
                   "(customer, t)")[0] == 0xfb
    s.send(b"1\tfirst\n", b"2\tsecond\n", b"", seq=2)
    s.result()
    s.query("SELECT COUNT(*) FROM tickets")
    # 300 packets: their numbers run over 255 and through 0.
    s.query("LOAD DATA LOCAL INFILE '/g' INTO TABLE tickets (customer, t)")
    s.raw(b"".join(b"\x04\0\0" + bytes([(2 + i) & 255]) + b"5\tz\n"
                   for i in range(300)) + b"\0\0\0" + bytes([302 & 255]))
    s.result()
    s.end()


def users(path, capture, caps):
    s = Session(path, capture)
    ok = s.login(caps, user=b"ed", database=b"shop")
    assert ok[0] == 0xfe
    s.send(b"\x5a" * 64, seq=3)
    try:
        s.packet()
    except EOFError:
        pass
    s.out.close()


def change(path, capture, caps):
    s = Session(path, capture)
    s.login(caps)
    s.query("SELECT 1")
    s.simple(b"\x11root\0\0mysql\0" + b"\x2d\0mysql_native_password\0")
    s.send(b"", seq=2)
    s.packet()
    s.query("SELECT user FROM user WHERE user = 'root'")
    s.simple(b"\x11ed\0\0shop\0" + b"\x2d\0mysql_native_password\0")
    s.send(bytes(20), seq=2)
    s.packet()
    s.out.close()


def plain(path, capture, caps):
    """Nothing that one exchange leaves to the next; for the gaps."""
    s = Session(path, capture)
    s.login(caps, database=b"shop")
    s.query("SELECT id, name, email FROM customers WHERE id < 3")
    s.simple(b"\x0e")
    s.query("SELECT REPEAT('a', 300), REPEAT('b', 20) FROM customers c")
    s.query("INSERT INTO tickets (customer, t) VALUES (1, 'broken')")
    s.query("SELECT customer, t FROM tickets WHERE t LIKE 'b%'")
    s.query("SELECT x FROM nowhere")
    s.query("SELECT 1; SELECT name FROM customers; SELECT 3")
    s.query("UPDATE customers SET rate = 2 WHERE id = 3")
    s.query("SELECT id, note FROM customers ORDER BY id")
    s.end()


def compressed(path, capture, caps):
    """Frames of both kinds, several for a result, several packets in one."""
    plain(path, capture, caps | COMPRESS)


def replica(path, capture, caps):
    """Registers, and reads a binary log to its end, without waiting."""
    s = Session(path, capture)
    s.login(caps)
    s.query("RESET MASTER")
    s.query("INSERT INTO shop.tickets (customer, t) VALUES (1, 'logged')")
    s.query("SET @master_binlog_checksum = 'NONE', @mariadb_slave_capability=4")
    s.simple(struct.pack("<BI", 0x15, 77) + b"\4host\4repl\6secret" +
             struct.pack("<HII", 3306, 0, 0))
    s.send(struct.pack("<BIHI", 0x12, 4, 1, 77) + b"log.000001")
    while s.packet()[0] not in (0xfe, 0xff):
        pass
    s.out.close()


def cli(path, capture, caps):
    relay = socket.socket()
    relay.bind(("127.0.0.1", 0))
    relay.listen(1)
    s = Session(path, capture)

    def run():
        client, _ = relay.accept()
        ends = {client: ("C ", s.socket), s.socket: ("S ", client)}
        while True:
            for end in select.select(list(ends), [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                s.out.write(ends[end][0] + data.hex() + "\n")
                ends[end][1].sendall(data)

    thread = threading.Thread(target=run)
    thread.start()
    subprocess.run(["mariadb", "--no-defaults", "-h127.0.0.1", "-uroot",
                    "-P%d" % relay.getsockname()[1], "--skip-ssl", "shop",
                    "--compress" if caps & COMPRESS else "--skip-compress",
                    "-e", "SELECT * FROM customers; SELECT id, t FROM tickets "
                    "WHERE customer = 1; DELETE FROM tickets WHERE id = 1"],
                   check=True, stdout=subprocess.DEVNULL)
    thread.join()
    s.out.close()


def main():
    path, directory, *names = sys.argv[1:]
    track = SESSION_TRACK
    sessions = [
        ("text-eof", text, 0), ("text-ok", text, DEPRECATE_EOF | track),
        ("prepared-eof", prepared, EXTENDED | CACHE),
        ("prepared-ok", prepared, DEPRECATE_EOF | track),
        ("prepared-cached", prepared, DEPRECATE_EOF | CACHE | EXTENDED | BULK),
        ("pipelined-eof", pipelined, 0),
        ("pipelined-ok", pipelined, DEPRECATE_EOF),
        ("load", load, DEPRECATE_EOF), ("ed25519", users, 0),
        ("change-user", change, DEPRECATE_EOF | track),
        ("plain-eof", plain, 0), ("plain-ok", plain, DEPRECATE_EOF),
        ("cli", cli, 0), ("cli-compressed", cli, COMPRESS),
        ("compressed-eof", compressed, 0),
        ("compressed-ok", compressed, DEPRECATE_EOF),
        ("binlog", replica, 0),
    ]
    for name, session, caps in sessions:
        if names and name not in names:
            continue
        subprocess.run(["mariadb", "--no-defaults", "-S", path, "-uroot",
                        "--delimiter=;;", "-e", SCHEMA], check=True)
        session(path, os.path.join(directory, name + ".mysql"), caps)


if __name__ == "__main__":
    main()
