# SPDX-License-Identifier: LGPL-2.1-or-later
"""
SPICE messages out of a packet capture, read with our own link and framing code.

``python -m tests.captured CAPTURE.pcap.gz PORT...`` writes one short body of each
kind of message as JSON lines: how ``tests/data/captures`` was made.
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spicemig.wire.capabilities import CommonCap
from spicemig.wire.declare import channel_name
from spicemig.wire.framing import Deframer, Frame
from spicemig.wire.link import RESULT, TICKET_BYTES, LinkMess, LinkReply, take_link_message

LONGEST = 4000  # bytes of a body in the excerpt
DRAW_COPY = 304
IMAGE_TYPE_AT = 65  # in a DrawCopy without clip


class Captured(NamedTuple):
    """A frame, and whose it is."""

    channel: str
    to: str
    frame: Frame


def segments(path: Path) -> Iterator[tuple[tuple[bytes, int, bytes, int], int, bool, bytes]]:
    """Addresses, sequence number, whether it opens the stream, and payload of each TCP segment over IPv4."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        magic, link_type = struct.unpack("<I16xI", file.read(24))
        if magic != 0xA1B2C3D4:
            raise ValueError(f"{path} is no little-endian classic pcap")
        skip = {0: 4, 1: 14, 101: 0, 113: 16}[link_type]
        while header := file.read(16):
            packet = file.read(struct.unpack("<8xI4x", header)[0])[skip:]
            if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != 6:
                continue
            ip_bytes = (packet[0] & 15) * 4
            total = struct.unpack_from(">H", packet, 2)[0] or len(packet)
            source, destination, sequence = struct.unpack_from(">HHI", packet, ip_bytes)
            data_at = ip_bytes + (packet[ip_bytes + 12] >> 4) * 4
            addresses = (packet[12:16], source, packet[16:20], destination)
            yield addresses, sequence, bool(packet[ip_bytes + 13] & 2), packet[data_at:total]


def streams(path: Path) -> dict[tuple[bytes, int, bytes, int], bytearray]:
    """The bytes of each direction of each connection, in order."""
    made: dict[tuple[bytes, int, bytes, int], bytearray] = {}
    first: dict[tuple[bytes, int, bytes, int], int] = {}
    for addresses, sequence, opens, payload in segments(path):
        if opens:
            first[addresses] = sequence + 1
            made[addresses] = bytearray()
        elif payload:
            stream = made[addresses]
            at = (sequence - first[addresses]) & 0xFFFFFFFF
            if at > len(stream):
                stream += bytes(at - len(stream))
            stream[at : at + len(payload)] = payload
    return made


def captured(path: Path, server_ports: set[int]) -> Iterator[Captured]:
    """All messages of all connections; every byte of every connection is accounted for."""
    made = streams(path)
    for addresses, to_server in made.items():
        source, source_port, destination, port = addresses
        if port in server_ports:
            yield from conversation(bytes(to_server), bytes(made[destination, port, source, source_port]))


def conversation(to_server: bytes, to_client: bytes) -> Iterator[Captured]:
    """The messages of one connection, from its link on."""
    body, used_by_client = take_link_message(to_server)
    mess = LinkMess.unpack(body)
    body, used_by_server = take_link_message(to_client)
    reply = LinkReply.unpack(body)
    both = mess.common_caps & reply.common_caps
    used_by_client += TICKET_BYTES + (RESULT.size if CommonCap.PROTOCOL_AUTH_SELECTION in both else 0)
    used_by_server += RESULT.size
    channel = channel_name(mess.channel_type)
    mini = CommonCap.MINI_HEADER in both
    for to, data in (("server", to_server[used_by_client:]), ("client", to_client[used_by_server:])):
        deframer = Deframer(channel, to, mini)
        for frame in deframer.feed(data):
            yield Captured(channel, to, frame)
        if deframer.buffered_bytes:
            raise ValueError(f"{deframer.buffered_bytes} bytes to the {to} of {channel} are left over")


def excerpt(path: Path, server_ports: set[int]) -> Iterator[str]:
    """The shortest body of each kind of message, and of each type of image."""
    shortest: dict[tuple[str, str, int, int], bytes] = {}
    for channel, to, frame in captured(path, server_ports):
        body = bytes(frame.body)
        draws_image = (channel, to, frame.number) == ("display", "client", DRAW_COPY) and len(
            body
        ) > IMAGE_TYPE_AT
        key = (channel, to, frame.number, body[IMAGE_TYPE_AT] if draws_image else -1)
        if len(body) <= LONGEST and len(body) < len(shortest.get(key, body + b" ")):
            shortest[key] = body
    for (channel, to, number, _image), body in sorted(shortest.items()):
        yield json.dumps([channel, to, number, body.hex()])


if __name__ == "__main__":
    print("\n".join(excerpt(Path(sys.argv[1]), {int(port) for port in sys.argv[2:]})))
