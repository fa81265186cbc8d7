#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""record.py DIR - record the sessions of this directory again.

The client is PyMongo (Debian's python3-pymongo, -snappy, -zstandard).  Debian 12
has no MongoDB server: what answers is written here, from the documents that the
server's manual shows.  The session `legacy` and `sections` speak the protocol
themselves.
"""
import os
import socket
import struct
import sys
import threading
import zlib

import bson
import pymongo
import snappy
import zstandard
from bson.son import SON

MSG, QUERY, REPLY, COMPRESSED = 2013, 2004, 1, 2012
PEOPLE = [SON([("_id", i), ("name", "Ada %d" % i),
               ("contact", SON([("email", "ada%d@example.org" % i)])),
               ("tags", ["a", "b"])]) for i in range(5)]
HELLO = SON([("helloOk", True), ("ismaster", True), ("isWritablePrimary", True),
             ("maxBsonObjectSize", 16777216), ("maxMessageSizeBytes", 48000000),
             ("maxWriteBatchSize", 100000), ("minWireVersion", 0),
             ("maxWireVersion", 13), ("readOnly", False)])


def answer(name, body, compressors):
    """The documents that answer a command: several of an exhaust cursor."""
    cursor = SON([("id", 77), ("ns", "shop." + str(body.get(name)))])
    if name in ("hello", "ismaster", "isMaster"):
        hello = SON(HELLO)
        hello["compression"] = compressors
        return [SON(list(hello.items()) + [("ok", 1.0)])]
    if name == "find" and body["find"] == "empty":
        return [SON([("cursor", SON([("firstBatch", []), ("id", 0),
                                     ("ns", "shop.empty")])), ("ok", 1.0)])]
    if name in ("find", "aggregate"):
        if body[name] == "forbidden":
            return [SON([("ok", 0.0), ("errmsg", "not authorized on shop"),
                         ("code", 13), ("codeName", "Unauthorized")])]
        return [SON([("cursor", SON([("firstBatch", PEOPLE[:3])] +
                                    list(cursor.items()))), ("ok", 1.0)])]
    if name == "getMore":
        return [SON([("cursor", SON([("nextBatch", PEOPLE[3:]), ("id", 0),
                                     ("ns", "shop.people")])), ("ok", 1.0)])]
    if name == "insert":
        if body["insert"] == "unique":
            return [SON([("n", 0), ("writeErrors", [
                SON([("index", 0), ("code", 11000), ("keyPattern", {"a": 1}),
                     ("errmsg", "E11000 duplicate key")])]), ("ok", 1.0)])]
        return [SON([("n", 2), ("ok", 1.0)])]
    if name == "update":
        return [SON([("n", 3), ("nModified", 2), ("ok", 1.0)])]
    if name == "delete":
        return [SON([("n", 4), ("ok", 1.0)])]
    if name == "saslStart":
        return [SON([("ok", 0.0), ("errmsg", "Authentication failed."),
                     ("code", 18), ("codeName", "AuthenticationFailed")])]
    return [SON([("ok", 1.0)])]


def compress(kind, data):
    if kind == 1:
        return snappy.compress(data)
    if kind == 2:
        return zlib.compress(data)
    return zstandard.ZstdCompressor().compress(data)


def expand(kind, data):
    if kind == 1:
        return snappy.uncompress(data)
    if kind == 2:
        return zlib.decompress(data)
    return zstandard.ZstdDecompressor().decompress(data, 1 << 20)


class Server(threading.Thread):
    def __init__(self, compressors=()):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.compressors = list(compressors)
        self.pieces = []  # of the connections that do more than greet
        self.start()

    def run(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(peer,),
                             daemon=True).start()

    @staticmethod
    def read(peer, size):
        data = b""
        while len(data) < size:
            chunk = peer.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def serve(self, peer):
        pieces, number, useful = [], 1000, False
        try:
            while True:
                head = self.read(peer, 16)
                size, ident, _, opcode = struct.unpack("<iiii", head)
                data = self.read(peer, size - 16)
                pieces.append(("C", head + data))
                kind = None
                if opcode == COMPRESSED:
                    opcode, _, kind = struct.unpack("<iiB", data[:9])
                    data = expand(kind, data[9:])
                name, replies = self.reply(opcode, data)
                useful = useful or name not in ("hello", "ismaster",
                                                "isMaster", "endSessions")
                if useful and pieces not in self.pieces:
                    self.pieces.append(pieces)
                to = ident
                for i, (code, flags, reply) in enumerate(replies):
                    number += 1
                    if kind:
                        reply = (struct.pack("<iiB", code, len(reply), kind) +
                                 compress(kind, reply))
                        code = COMPRESSED
                    out = struct.pack("<iiii", 16 + len(reply), number, to,
                                      code) + reply
                    to = number
                    pieces.append(("S", out))
                    peer.sendall(out)
        except (EOFError, OSError):
            pass

    def reply(self, opcode, data):
        if opcode == QUERY:
            at = data.index(0, 4) + 9
            body = bson.decode(data[at:], bson.CodecOptions(SON))
            name = next(iter(body))
            doc = answer(name, body, self.compressors)[0]
            return name, [(REPLY, 0, struct.pack("<iqii", 8, 0, 0, 1) +
                           bson.encode(doc))]
        flags, = struct.unpack("<I", data[:4])
        size, = struct.unpack("<i", data[5:9])
        body = bson.decode(data[5:5 + size], bson.CodecOptions(SON))
        name = next(iter(body))
        if flags & 2:
            return name, []
        docs = answer(name, body, self.compressors)
        return name, [(MSG, 0, struct.pack("<IB", 0, 0) + bson.encode(d))
                      for d in docs]


def connect(server, **options):
    return pymongo.MongoClient("127.0.0.1", server.port, directConnection=True,
                               maxPoolSize=1, serverSelectionTimeoutMS=5000,
                               heartbeatFrequencyMS=60000, **options)


def work(server, **options):
    client = connect(server, **options)
    db = client["shop"]
    list(db.people.find({"name": "Ada", "age": {"$gt": 18},
                         "$or": [{"a": 1}, {"b": 2}]}, {"name": 1}))
    list(db.empty.find({}))
    try:
        list(db.forbidden.find({"a": 1}))
    except pymongo.errors.OperationFailure:
        pass
    db.people.insert_many([{"_id": 1, "name": "x"}, {"_id": 2, "name": "y"}])
    try:
        db.unique.insert_one({"_id": 1, "a": 1})
    except pymongo.errors.PyMongoError:
        pass
    db.people.update_many({"name": "x"}, {"$set": {"name": "secret text"}})
    db.people.delete_many({"name": "x"})
    db.people.with_options(
        write_concern=pymongo.WriteConcern(w=0)).insert_one({"_id": 9})
    list(db.people.aggregate([{"$match": {"name": "Ada"}}]))
    db.command("createUser", "ann", pwd="hunter2", roles=[])
    db.command("saslContinue", 1, payload=b"hunter3")
    client.close()


def plain(server):
    work(server)


def snappied(server):
    work(server, compressors="snappy")


def zlibbed(server):
    work(server, compressors="zlib")


def zstded(server):
    work(server, compressors="zstd")


def message(ident, to, opcode, body):
    return struct.pack("<iiii", 16 + len(body), ident, to, opcode) + body


def legacy(server):
    """What drivers before 3.6 sent, and what servers answered."""
    name = b"shop.people\0"
    doc = bson.encode({"name": "Ada"})
    pieces = [
        ("C", message(1, 0, 2004, struct.pack("<i", 0) + name +
                      struct.pack("<ii", 0, 2) + doc)),
        ("S", message(9, 1, 1, struct.pack("<iqii", 8, 55, 0, 2) + doc + doc)),
        ("C", message(2, 0, 2005, struct.pack("<i", 0) + name +
                      struct.pack("<iq", 2, 55))),
        ("S", message(10, 2, 1, struct.pack("<iqii", 8, 0, 2, 1) + doc)),
        ("C", message(3, 0, 2002, struct.pack("<i", 0) + name + doc + doc)),
        ("C", message(4, 0, 2001, struct.pack("<i", 0) + name +
                      struct.pack("<i", 0) + doc + doc)),
        ("C", message(5, 0, 2006, struct.pack("<i", 0) + name +
                      struct.pack("<i", 1) + doc)),
        ("C", message(6, 0, 2007, struct.pack("<iiq", 0, 1, 55))),
        ("C", message(7, 0, 2004, struct.pack("<i", 0) + b"shop.$cmd\0" +
                      struct.pack("<ii", 0, -1) +
                      bson.encode(SON([("getLastError", 1), ("w", 1)])))),
        ("S", message(11, 7, 1, struct.pack("<iqii", 8, 0, 0, 1) +
                      bson.encode(SON([("n", 1), ("err", None), ("ok", 1)])))),
        ("C", message(8, 0, 2004, struct.pack("<i", 0) + name +
                      struct.pack("<ii", 0, 2) + bson.encode({"$bad": 1}))),
        ("S", message(12, 8, 1, struct.pack("<iqii", 2, 0, 0, 1) + bson.encode(
            SON([("$err", "bad query"), ("code", 2)])))),
    ]
    server.pieces.append(pieces)


def sections(server):
    """OP_MSG in its rarer forms: checksums, exhaust, overtaking answers."""
    def body(doc, flags=0, more=b""):
        return struct.pack("<IB", flags, 0) + bson.encode(doc) + more
    hello = SON([("hello", 1), ("$db", "admin")])
    find = SON([("find", "people"), ("filter", {"a": 1}), ("$db", "shop")])
    docs = bson.encode({"_id": 1}) + bson.encode({"_id": 2})
    batch = b"\1" + struct.pack("<i", 4 + 10 + len(docs)) + b"documents\0"
    insert = SON([("insert", "people"), ("$db", "shop")])
    result = {"cursor": SON([("firstBatch", [{"n": 5}]), ("id", 0)]), "ok": 1}
    server.pieces.append([
        ("C", message(1, 0, MSG, body(hello, 1 << 16))),
        ("S", message(50, 1, MSG, body({"ok": 1}, 2))),
        ("S", message(51, 50, MSG, body({"ok": 1}, 2))),
        ("S", message(52, 51, MSG, body({"ok": 1}))),
        ("C", message(2, 0, MSG, body(find, 1, b"\1\2\3\4"))),
        ("C", message(3, 0, MSG, body(insert, 0, batch + docs))),
        ("C", message(4, 0, MSG, struct.pack("<I", 0) + batch + docs +
                      b"\0" + bson.encode(insert))),
        ("S", message(53, 3, MSG, body(SON([("n", 2), ("ok", 1)])))),
        ("S", message(54, 2, MSG, body(result, 1, b"\5\6\7\10"))),
        ("S", message(55, 4, MSG, body(SON([("n", 2), ("ok", 1)])))),
    ])


def large(server):
    """A result larger than any window."""
    doc = SON([("_id", 1), ("text", "x" * 900)])
    huge = SON([("_id", 2), ("text", "y" * 70000)])
    batch = [doc] * 100 + [huge]
    reply = SON([("cursor", SON([("firstBatch", batch), ("id", 0),
                                 ("ns", "shop.big")])), ("ok", 1.0)])
    find = SON([("find", "big"), ("$db", "shop")])

    def body(document):
        return struct.pack("<IB", 0, 0) + bson.encode(document)
    server.pieces.append([
        ("C", message(1, 0, MSG, body(find))),
        ("S", message(9, 1, MSG, body(reply))),
        ("C", message(2, 0, MSG, body(find))),
        ("S", message(10, 2, MSG, body({"ok": 1.0}))),
    ])


def main():
    for session, kinds in ((plain, []), (snappied, ["snappy"]),
                           (zlibbed, ["zlib"]), (zstded, ["zstd"]),
                           (legacy, []), (sections, []), (large, [])):
        server = Server(kinds)
        session(server)
        path = os.path.join(sys.argv[1], session.__name__ + ".mongodb")
        with open(path, "w", encoding="ascii") as out:
            out.write("# PyMongo %s, recorded by record.py\n" % pymongo.version)
            for side, data in server.pieces[0]:
                out.write(side + " " + data.hex() + "\n")


main()
