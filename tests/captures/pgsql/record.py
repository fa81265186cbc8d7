#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py DIRECTORY: records NAME.pgsql anew, as the README here says.

Starts a PostgreSQL of its own (initdb in a temporary directory, a socket
there, no port) as the user postgres, speaks the protocol itself, and stops it.
"""
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

BIN = "/usr/lib/postgresql/15/bin/"
HBA = "local all pw scram-sha-256\nlocal all all trust\n" \
      "local replication all trust\n"
SCHEMA = """
DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int PRIMARY KEY, name text, email varchar(60),
 born date, balance numeric(10,2), seen timestamptz, rate float8, flags bool[],
 note bytea, doc jsonb, key uuid, small int2, big int8, span interval,
 ip inet, at time, plain timestamp, part float4);
INSERT INTO shop.customers VALUES
 (1,'Ada','ada@example.org','1815-12-10',12.50,'2024-02-29 12:30:45.000123+00',
  0.1,'{t,f}','\\x0001ff','{"a": 1}','11111111-2222-3333-4444-555555555555',
  -2,9000000000,'1 mon 2 days 03:04:05.6','10.0.0.0/8','13:14:15.5',
  '1999-12-31 23:59:59',1.25),
 (2,'Bob',NULL,NULL,-12345.67,NULL,1e100,NULL,NULL,'[]',NULL,NULL,NULL,NULL,
  '::1','00:00:00','infinity',NULL),
 (3,'Eve','eve@example.org','0044-03-15 BC',0.05,NULL,NULL,'{}','',NULL,NULL,
  NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE shop.tickets (id serial PRIMARY KEY, customer int, t text);
DROP ROLE IF EXISTS pw; CREATE ROLE pw LOGIN SUPERUSER PASSWORD 'open sesame';
ALTER DATABASE postgres SET search_path = shop, pg_catalog;
"""


def text(value):
    return value.encode() + b"\0"


def message(kind, body=b""):
    return kind + struct.pack(">i", len(body) + 4) + body


def query(statement):
    return message(b"Q", text(statement))


def parse(name, statement, types=()):
    return message(b"P", text(name) + text(statement) +
                   struct.pack(">h", len(types)) +
                   b"".join(struct.pack(">i", t) for t in types))


def bind(portal, name, values=(), formats=(), results=()):
    body = text(portal) + text(name)
    body += struct.pack(">h", len(formats))
    body += b"".join(struct.pack(">h", f) for f in formats)
    body += struct.pack(">h", len(values))
    for value in values:
        body += struct.pack(">i", -1) if value is None else \
            struct.pack(">i", len(value)) + value
    body += struct.pack(">h", len(results))
    return message(b"B", body + b"".join(struct.pack(">h", f)
                                         for f in results))


def describe(kind, name=""):
    return message(b"D", kind + text(name))


def execute(portal="", rows=0):
    return message(b"E", text(portal) + struct.pack(">i", rows))


def close(kind, name):
    return message(b"C", kind + text(name))


SYNC, FLUSH = message(b"S"), message(b"H")


class Session:
    def __init__(self, path, capture):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(10)
        self.out = open(capture, "w", encoding="ascii")
        self.out.write("# PostgreSQL 15, recorded by record.py\n")
        self.rest = b""

    def send(self, *messages):
        data = b"".join(messages)
        self.out.write("C " + data.hex() + "\n")
        self.socket.sendall(data)

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.out.write("S " + data.hex() + "\n")
        self.rest += data

    def byte(self):
        self.receive()
        byte, self.rest = self.rest[:1], self.rest[1:]
        return byte

    def message(self):
        while True:
            if len(self.rest) >= 5:
                size = 1 + struct.unpack(">i", self.rest[1:5])[0]
                if len(self.rest) >= size:
                    kind, body = self.rest[:1], self.rest[5:size]
                    self.rest = self.rest[size:]
                    return kind, body
            self.receive()

    def until(self, kind=b"Z", times=1):
        while times:
            got, body = self.message()
            times -= got == kind
        return body

    def login(self, version=3 << 16, **keys):
        body = struct.pack(">i", version)
        for key, value in dict({"user": "postgres"}, **keys).items():
            body += text(key) + text(value)
        self.send(struct.pack(">i", len(body) + 5) + body + b"\0")
        self.until()

    def query(self, statement):
        self.send(query(statement))
        self.until()

    def end(self):
        self.send(message(b"X"))
        self.out.close()
        self.socket.close()


def simple(path, capture):
    s = Session(path, capture)
    s.send(struct.pack(">ii", 8, 80877103))
    assert s.byte() == b"N"
    s.send(struct.pack(">ii", 8, 80877104))
    assert s.byte() == b"N"
    s.login(application_name="recorder")
    s.query("SELECT id, name, email AS mail, 1 + 1 FROM customers WHERE id < 3")
    s.query("INSERT INTO tickets (customer, t) VALUES (1,'broken'),(2,E'l\\'')"
            " RETURNING id")
    s.query("SELECT x FROM nowhere WHERE secret = 'value'")
    s.query("SELECT 1; UPDATE tickets SET t = $$x$$; SELECT id FROM tickets")
    s.query("SELECT 1; SELECT 1/0; SELECT 3")
    s.query("SELECT 100 / (3 - id) FROM customers ORDER BY id")
    s.query("")
    s.query("DROP TABLE IF EXISTS absent, gone")
    s.query("WITH c AS (SELECT * FROM tickets) SELECT * FROM c JOIN "
            "\"customers\" k ON k.id = c.customer WHERE c.t LIKE 'b%'")
    s.query("ALTER ROLE pw PASSWORD 'open sesame'")
    s.query("LISTEN news")
    s.query("NOTIFY news, 'hello'")
    s.query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM customers")
    s.query("FETCH 2 FROM c")
    s.query("COMMIT")
    s.end()


def copying(path, capture):
    s = Session(path, capture)
    s.login()
    s.query("COPY customers (id, name) TO STDOUT")
    s.query("COPY (SELECT id FROM customers) TO STDOUT (FORMAT binary)")
    s.send(query("COPY tickets (customer, t) FROM STDIN"))
    s.until(b"G")
    s.send(message(b"d", b"1\tfirst\n2\tsec"), message(b"d", b"ond\n"),
           message(b"c"))
    s.until()
    s.send(query("COPY tickets (customer, t) FROM STDIN"))
    s.until(b"G")
    s.send(message(b"d", b"1\tx\n"), message(b"f", text("changed my mind")))
    s.until()
    s.send(parse("", "COPY tickets (t) FROM STDIN"), bind("", ""), execute(),
           SYNC)
    s.until(b"G")
    s.send(message(b"d", b"only\n"), message(b"c"), SYNC)
    s.until()
    s.query("SELECT count(*) FROM tickets")
    s.end()


BINARY = [
    (23, struct.pack(">i", -5)), (20, struct.pack(">q", 1 << 40)),
    (21, struct.pack(">h", 7)), (16, b"\1"), (701, struct.pack(">d", 0.1)),
    (700, struct.pack(">f", 1.25)), (25, b"t\xc3\xa9xt"), (17, b"\0\1\xff"),
    (1114, struct.pack(">q", 762525045000123)), (1082, struct.pack(">i", -67)),
    (1700, struct.pack(">HhHH3H", 3, 1, 0x4000, 2, 1, 2345, 6700)),
    (2950, bytes(range(16))), (3802, b"\1{\"a\": 1}"), (114, b"[1]"),
    (1007, struct.pack(">iiiii", 1, 0, 23, 2, 1) + struct.pack(">iiii", 4, 1,
                                                                 4, 2)),
    (869, b"\2\x20\0\4\x7f\0\0\1"),
]


def extended(path, capture):
    s = Session(path, capture)
    s.login()
    s.send(parse("one", "SELECT * FROM customers WHERE id = $1"),
           describe(b"S", "one"), SYNC)
    s.until()
    s.send(bind("", "one", [struct.pack(">i", 1)], [1], [1]), execute(), SYNC)
    s.until()
    s.send(bind("", "one", [b"2"]), execute(), SYNC)
    s.until()
    s.send(parse("", "INSERT INTO tickets (customer, t) VALUES ($1, $2)"),
           bind("", "", [b"7", None]), describe(b"P"), execute(), SYNC)
    s.until()
    s.send(parse("", "SELECT " + ", ".join(
        "$%d" % (i + 1) for i in range(len(BINARY))),
        [t for t, _ in BINARY]),
        bind("", "", [v for _, v in BINARY], [1], [1]), describe(b"P"),
        execute(), SYNC)
    s.until()
    s.send(parse("", "SELECT id FROM customers ORDER BY id"), SYNC)
    s.until()
    s.query("BEGIN")
    s.send(parse("", "SELECT id FROM customers ORDER BY id"),
           bind("p", ""), describe(b"P", "p"), execute("p", 2), SYNC)
    s.until()
    s.send(execute("p", 2), FLUSH)
    s.until(b"C")
    s.send(close(b"P", "p"), SYNC)
    s.until()
    s.query("COMMIT")
    s.send(parse("", "SELECT broken FROM customers"), bind("", ""),
           describe(b"P"), execute(), SYNC)
    s.until()
    s.send(parse("two", "SELECT nothing FROM nowhere"), SYNC)
    s.until()
    s.send(bind("", "never"), execute(), SYNC)
    s.until()
    s.send(bind("", "one", [b"x"]), execute(), SYNC)
    s.until()
    s.send(close(b"S", "one"), SYNC)
    s.until()
    s.send(parse("", ""), bind("", ""), execute(), SYNC)
    s.until()
    s.send(message(b"F", struct.pack(">ihhii", 1598, 0, 0, 0, 0)[:10]))
    s.until()
    s.end()


def pipelined(path, capture):
    s = Session(path, capture)
    s.login()
    run = [bind("", "ins", [b"%d" % i, b"t%d" % i]) + execute()
           for i in range(4)]
    s.send(parse("ins", "INSERT INTO tickets (customer, t) VALUES ($1, $2)"),
           *run, SYNC)
    s.until()
    good = parse("", "SELECT id FROM customers WHERE id <= $1") + \
        bind("", "", [b"2"]) + describe(b"P") + execute()
    bad = parse("", "SELECT id / 0 FROM customers") + bind("", "") + \
        describe(b"P") + execute()
    s.send(good, SYNC, good, bad, good, SYNC, good, SYNC,
           query("SELECT count(*) FROM customers"), good, SYNC)
    s.until(times=5)
    s.send(query("SELECT 1"), query("SELECT 2"), query("SELECT 3"))
    s.until(times=3)
    s.end()


def replication(path, capture):
    s = Session(path, capture)
    s.login(replication="true")
    s.send(query("IDENTIFY_SYSTEM"))
    row = s.until(b"D")
    s.until()
    high, low = re.search(b"([0-9A-F]+)/([0-9A-F]+)", row).groups()
    s.query("SHOW wal_level")
    s.send(query("START_REPLICATION PHYSICAL %s/%X" %
                 (high.decode(), int(low, 16) - 512)))
    s.until(b"W")
    s.until(b"d")
    s.send(message(b"d", b"r" + bytes(33)))
    s.send(message(b"c"))
    s.until()
    s.end()


def plain(path, capture):
    """Nothing that one exchange leaves to the next; for the gaps."""
    s = Session(path, capture)
    s.login()
    s.query("SELECT id, name, email FROM customers WHERE id < 3")
    s.query("INSERT INTO tickets (customer, t) VALUES (1, 'broken')")
    s.query("SELECT repeat('a', 300), repeat('b', 20) FROM customers c")
    s.send(parse("", "SELECT customer, t FROM tickets WHERE t LIKE $1"),
           bind("", "", [b"b%"]), describe(b"P"), execute(), SYNC)
    s.until()
    s.query("SELECT x FROM nowhere")
    s.query("UPDATE customers SET rate = 2 WHERE id = 3")
    s.query("COPY customers (id, name) TO STDOUT")
    s.query("SELECT id, note FROM customers ORDER BY id")
    s.end()


def psql(path, capture):
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
    subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-U", "pw", "-p",
                    str(relay.getsockname()[1]), "postgres",
                    "-c", "SELECT name FROM customers",
                    "-c", "DELETE FROM tickets WHERE id = 1",
                    "-c", "\\copy customers (id, name) TO /dev/null"],
                   check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, PGPASSWORD="open sesame"))
    thread.join()
    s.out.close()


def as_postgres(*command):
    subprocess.run(["runuser", "-u", "postgres", "--", *command], check=True,
                   stdout=subprocess.DEVNULL, cwd="/")


def main():
    out, data = sys.argv[1], tempfile.mkdtemp()
    shutil.chown(data, "postgres")
    as_postgres(BIN + "initdb", "-N", "-D", data + "/d", "-E", "UTF8",
                "--locale=C.UTF-8")
    with open(data + "/d/pg_hba.conf", "w", encoding="ascii") as hba:
        hba.write(HBA)
    as_postgres(BIN + "pg_ctl", "-D", data + "/d", "-w", "-l", data + "/log",
                "-o", "-c listen_addresses= -k " + data, "start")
    try:
        for session in (simple, copying, extended, pipelined, replication,
                        plain, psql):
            as_postgres("psql", "-X", "-q", "-h", data, "-c", SCHEMA)
            session(data + "/.s.PGSQL.5432",
                    os.path.join(out, session.__name__ + ".pgsql"))
    finally:
        as_postgres(BIN + "pg_ctl", "-D", data + "/d", "-m", "immediate",
                    "stop")
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
