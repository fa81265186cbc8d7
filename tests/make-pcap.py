#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""make-pcap.py FILE [SIZE] - capture file of a MySQL connection, on port 5000.

A login, a query of two rows, a query that fails, a farewell; a packet each
millisecond.  With SIZE no packet carries more bytes, and those of one message
come in reverse order.  Protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/,
"Client/Server Protocol"; file: https://datatracker.ietf.org/doc/
draft-ietf-opsawg-pcap/.
"""
import struct
import sys

START = 1700000000  # 2023-11-14T22:13:20Z
CLIENT, SERVER = 0, 1
ADDRESSES = (bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)))
PORTS = (40000, 5000)
FIN, SYN, ACK = 1, 2, 16
# LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
# PLUGIN_AUTH
CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000


def packet(sequence, payload):
    return struct.pack("<I", len(payload))[:3] + bytes((sequence,)) + payload


def text(value):
    return bytes((len(value),)) + value


def column(sequence, name):
    return packet(sequence, text(b"def") + text(b"shop") + text(b"users") * 2
                  + text(name) * 2 + b"\x0c"
                  + struct.pack("<HIBHBH", 33, 255, 0xfd, 0, 0, 0))


GREETING = packet(0, b"\x0a8.0.36\0" + struct.pack("<I", 9) + b"abcdefgh\0"
                  + struct.pack("<HBHHB", CAPABILITIES & 0xffff, 33, 2,
                                CAPABILITIES >> 16, 21)
                  + bytes(10) + b"ijklmnopqrst\0mysql_native_password\0")
LOGIN = packet(1, struct.pack("<IIB", CAPABILITIES, 1 << 24, 33) + bytes(23)
               + b"web\0" + text(b"x" * 20) + b"shop\0"
               + b"mysql_native_password\0")
END = b"\xfe\0\0\x02\0"
ROWS = (packet(1, b"\x02") + column(2, b"id") + column(3, b"name")
        + packet(4, END) + packet(5, text(b"1") + text(b"Ann"))
        + packet(6, text(b"2") + text(b"Bob")) + packet(7, END))
ERROR = packet(1, b"\xff" + struct.pack("<H", 1146) + b"#42S02no such table")

TALK = (
    (CLIENT, SYN, b""),
    (SERVER, SYN | ACK, b""),
    (SERVER, ACK, GREETING),
    (CLIENT, ACK, LOGIN),
    (SERVER, ACK, packet(2, b"\0\0\0\2\0\0\0")),
    (CLIENT, ACK, packet(0, b"\3SELECT id, name FROM users WHERE id = 7")),
    (SERVER, ACK, ROWS),
    (CLIENT, ACK, packet(0, b"\3SELECT * FROM nowhere")),
    (SERVER, ACK, ERROR),
    (CLIENT, ACK, packet(0, b"\1")),
    (CLIENT, FIN | ACK, b""),
    (SERVER, FIN | ACK, b""),
)


def segments(size):
    """Side, flags, sequence number, the other's, data, time in us."""
    numbers = [1000, 5000]
    for index, (side, flags, data) in enumerate(TALK):
        parts = [(0, data)]
        if size:
            parts = [(at, data[at:at + size])
                     for at in range(0, len(data) or 1, size)][::-1]
        for at, part in parts:
            yield (side, flags, numbers[side] + at, numbers[1 - side], part,
                   (index + 1) * 1000)
        numbers[side] += len(data) + (1 if flags & (SYN | FIN) else 0)


def main():
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with open(sys.argv[1], "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for side, flags, sequence, ack, data, time in segments(size):
            tcp = struct.pack(">HHIIBBHHH", PORTS[side], PORTS[1 - side],
                              sequence, ack, 0x50, flags, 65535, 0, 0)
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0x4000,
                             64, 6, 0)
            frame = (bytes(12) + b"\x08\x00" + ip + ADDRESSES[side]
                     + ADDRESSES[1 - side] + tcp + data)
            out.write(struct.pack("<IIII", START, time, len(frame),
                                  len(frame)) + frame)


main()
