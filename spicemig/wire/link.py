# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Link messages: the opening exchange of a connection.

The client sends a :class:`LinkMess`, the server a :class:`LinkReply`; then the
client names its mechanism (if both have PROTOCOL_AUTH_SELECTION) and sends the
encrypted ticket, and the server answers with a :class:`LinkError` as one u32.

Source: ``spice/protocol.h``; limits: spice-server 0.15.1, ``server/reds.cpp``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Any

from spicemig.errors import LinkError, ProtocolError, WireError
from spicemig.wire.capabilities import caps_to_words, words_to_caps
from spicemig.wire.declare import Buffer

MAGIC = b"REDQ"
VERSION_MAJOR = 2
VERSION_MINOR = 2
HEADER = Struct("<4sIII")  # magic, major and minor version, size

PUBLIC_KEY_BITS = 1024
PUBLIC_KEY_BYTES = 162  # SubjectPublicKeyInfo
TICKET_BYTES = 128
MAX_PASSWORD_BYTES = 60
MAX_MESS_BYTES = 4096
MAX_CAPS_WORDS = 1024  # of each kind

RESULT = Struct("<I")  # LinkError, and the mechanism before the ticket

MESS_HEAD = Struct(
    "<IBBIII"
)  # connection id, channel type and id, words of common and of channel caps, their offset
REPLY_HEAD = Struct(f"<I{PUBLIC_KEY_BYTES}sIII")


@dataclass(frozen=True)
class LinkMess:
    """Asks for one channel; ``connection_id`` 0 begins a session."""

    connection_id: int
    channel_type: int
    channel_id: int
    common_caps: frozenset[int] = frozenset()
    channel_caps: frozenset[int] = frozenset()

    def pack(self) -> bytes:
        """The message with its link header."""
        head = (self.connection_id, self.channel_type, self.channel_id)
        return _packed(MESS_HEAD, head, self.common_caps, self.channel_caps)

    @classmethod
    def unpack(cls, body: Buffer) -> LinkMess:
        """From what follows the link header; raises :class:`WireError`."""
        head, common, channel = _unpacked("LinkMess", MESS_HEAD, body)
        connection_id, channel_type, channel_id = head
        return cls(connection_id, channel_type, channel_id, common, channel)


@dataclass(frozen=True)
class LinkReply:
    """The server's answer; with an error the key means nothing, and the connection closes."""

    error: LinkError
    pub_key: bytes = bytes(PUBLIC_KEY_BYTES)
    common_caps: frozenset[int] = frozenset()
    channel_caps: frozenset[int] = frozenset()

    def pack(self) -> bytes:
        """The message with its link header."""
        if len(self.pub_key) != PUBLIC_KEY_BYTES:
            raise WireError("LinkReply", "pub_key", -1, f"must have {PUBLIC_KEY_BYTES} bytes")
        return _packed(REPLY_HEAD, (self.error, self.pub_key), self.common_caps, self.channel_caps)

    @classmethod
    def unpack(cls, body: Buffer) -> LinkReply:
        """From what follows the link header; raises :class:`WireError`."""
        (error, key), common, channel = _unpacked("LinkReply", REPLY_HEAD, body)
        known = error in LinkError._value2member_map_
        return cls(LinkError(error) if known else LinkError.ERROR, key, common, channel)


def take_link_message(data: Buffer, max_body_bytes: int = MAX_MESS_BYTES) -> tuple[memoryview, int] | None:
    """
    The body of the link message at the start of ``data`` and how many bytes it
    took with its header, or None if it is not all there.

    Raises :class:`ProtocolError` with the code to be sent: INVALID_MAGIC at the
    first wrong byte, VERSION_MISMATCH, INVALID_DATA for an impossible size.
    """
    view = memoryview(data)
    if bytes(view[: len(MAGIC)]) != MAGIC[: len(view)]:
        raise ProtocolError(LinkError.INVALID_MAGIC, "this is no SPICE link")
    if len(view) < HEADER.size:
        return None
    _magic, major, minor, size = HEADER.unpack_from(view)
    if major != VERSION_MAJOR:
        raise ProtocolError(LinkError.VERSION_MISMATCH, f"the peer speaks version {major}.{minor}")
    if size > max_body_bytes:
        raise ProtocolError(LinkError.INVALID_DATA, f"a link message of {size} bytes")
    end = HEADER.size + size
    return (view[HEADER.size : end], end) if len(view) >= end else None


def _packed(head: Struct, values: tuple[Any, ...], common: Iterable[int], channel: Iterable[int]) -> bytes:
    common_words, channel_words = caps_to_words(common), caps_to_words(channel)
    words = common_words + channel_words
    body = head.pack(*values, len(common_words), len(channel_words), head.size)
    body += Struct(f"<{len(words)}I").pack(*words)
    return HEADER.pack(MAGIC, VERSION_MAJOR, VERSION_MINOR, len(body)) + body


def _unpacked(
    name: str, head: Struct, body: Buffer
) -> tuple[tuple[Any, ...], frozenset[int], frozenset[int]]:
    if len(body) < head.size:
        raise WireError(name, "", len(body), "the body ends here")
    *values, common, channel, offset = head.unpack_from(body)
    if common > MAX_CAPS_WORDS or channel > MAX_CAPS_WORDS:
        raise WireError(name, "caps", head.size - 12, f"{common} and {channel} words of capabilities")
    if offset < head.size or offset > len(body) or 4 * (common + channel) > len(body) - offset:
        raise WireError(name, "caps", head.size - 4, f"offset {offset} is outside the body")
    words = Struct(f"<{common + channel}I").unpack_from(body, offset)
    return tuple(values), words_to_caps(words[:common]), words_to_caps(words[common:])
