# SPDX-License-Identifier: GPL-2.0-or-later
"""pcap.py - bytes that two ends said as a capture file of one connection.

Classic pcap with raw IPv4 packets: a handshake, a segment for each piece, and
the end of both directions.
"""
import struct

RAW_IP = 101
SEGMENT_MAX = 60000  # bytes of a piece in one packet
CLIENT, SERVER = ("192.0.2.1", 40000), ("192.0.2.2", 7777)
SYN, FIN, ACK = 2, 1, 16


def packet(source, target, sequence, acknowledged, flags, data=b""):
    tcp = struct.pack(">HHIIBBHHH", source[1], target[1], sequence & 0xffffffff,
                      acknowledged & 0xffffffff, 5 << 4, flags, 65535, 0, 0)
    addresses = b"".join(bytes(map(int, end[0].split(".")))
                         for end in (source, target))
    return struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0, 64, 6,
                       0) + addresses + tcp + data


def packets(talk, started):
    """`talk`: (from_client, bytes) in order; started: with a handshake."""
    ends, sequence = (SERVER, CLIENT), [5000, 1000]
    if started:
        yield packet(CLIENT, SERVER, 999, 0, SYN)
        yield packet(SERVER, CLIENT, 4999, 1000, SYN | ACK)
        yield packet(CLIENT, SERVER, 1000, 5000, ACK)
    for client, data in talk:
        for at in range(0, len(data), SEGMENT_MAX):
            piece = data[at:at + SEGMENT_MAX]
            yield packet(ends[client], ends[not client], sequence[client],
                         sequence[not client], ACK, piece)
            sequence[client] += len(piece)
    for client in (True, False):
        yield packet(ends[client], ends[not client], sequence[client],
                     sequence[not client], FIN | ACK)


def write(file, talk, started=True):
    """Packets are 1 ms apart."""
    file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, RAW_IP))
    for number, data in enumerate(packets(talk, started)):
        file.write(struct.pack("<IIII", 1700000000 + number // 1000,
                               number % 1000 * 1000, len(data), len(data)))
        file.write(data)
    file.flush()
