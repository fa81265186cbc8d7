#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""pcapng_streams.py - the bytes of each TCP stream of a pcapng file.

    pcapng_streams.py FILE DIR

DIR/N gets the bytes that the Nth stream's segments have, in the order of their
sequence numbers; a stream is one direction of a connection on one interface.
Of what datasnoop -w writes: little endian, IP without a link's header.
"""

import pathlib
import struct
import sys

ENHANCED_PACKET, SECTION_HEADER = 6, 0x0A0D0D0A


def packets(data):
    """Interface and bytes of each packet."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == ENHANCED_PACKET:
            interface, _, _, captured, _ = struct.unpack_from("<5I", data,
                                                              at + 8)
            yield interface, data[at + 28:at + 28 + captured]
        else:
            assert at or kind == SECTION_HEADER
        at += size


def segment(packet):
    """Ends, sequence number and bytes of a TCP segment."""
    if packet[0] >> 4 == 4:
        length = (packet[0] & 15) * 4
        ends = packet[12:20]
    else:
        length = 40
        ends = packet[8:40]
    tcp = packet[length:]
    return ((ends, tcp[:4]), struct.unpack_from(">I", tcp, 4)[0],
            tcp[(tcp[12] >> 4) * 4:])


def main():
    streams = {}
    for interface, packet in packets(pathlib.Path(sys.argv[1]).read_bytes()):
        ends, sequence, data = segment(packet)
        if data:
            streams.setdefault((interface, ends), []).append((sequence, data))
    for number, pieces in enumerate(streams.values()):
        first = pieces[0][0]
        pieces.sort(key=lambda piece: piece[0] - first & 0xffffffff)
        pathlib.Path(sys.argv[2], str(number)).write_bytes(
            b"".join(data for _, data in pieces))


if __name__ == "__main__":
    main()
