# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's side of a link: the opening exchange of a connection.

Used between hosts for the migration channel, and by everything that is a client itself.

Source: ``spice/protocol.h`` of spice-protocol 0.14.3; spice-gtk 0.42, spice-channel.c.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Iterable, Iterator

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key

from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.capabilities import CommonCap, caps_to_words, words_to_caps
from spicemig.wire.declare import CHANNEL_TYPES
from spicemig.wire.link import (
    MAGIC,
    VERSION_MAJOR,
    VERSION_MINOR,
    AuthMechanism,
    LinkHeader,
    LinkMess,
    LinkReply,
    LinkResult,
)

COMMON_CAPS = frozenset({CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE, CommonCap.MINI_HEADER})
REPLY_MAX_BYTES = 4096  # a server's reply has below 300


@dataclass(frozen=True, slots=True)
class Linked:
    """The server lets us in; ``leftover`` is what it said after that."""

    common_caps: frozenset[int]
    channel_caps: frozenset[int]
    mini: bool
    leftover: bytes


class LinkClientStage(Enum):
    """What is waited for; the value is what is called when enough is there."""

    HEADER = "_header"
    REPLY = "_reply"
    RESULT = "_result"
    LINKED = "linked"


class LinkClient:
    """
    One link, from our first byte to the server's result.

    ``receive`` yields one :class:`Linked`, or raises ``ProtocolError`` with the error that the server gave.
    """

    def __init__(
        self,
        channel: str,
        channel_id: int = 0,
        connection_id: int = 0,
        password: bytes = b"",
        common_caps: Iterable[int] = COMMON_CAPS,
        channel_caps: Iterable[int] = (),
    ) -> None:
        self.stage = LinkClientStage.HEADER
        self._password = bytes(password)
        self._common_caps = frozenset(common_caps)
        self._server_caps: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())
        self._buffer = bytearray()
        self._wanted = LinkHeader.SIZE
        body = LinkMess(
            connection_id=connection_id,
            channel_type=CHANNEL_TYPES[channel],
            channel_id=channel_id,
            common_caps=caps_to_words(self._common_caps),
            channel_caps=caps_to_words(channel_caps),
        ).pack()
        self._out = [LinkHeader(MAGIC, VERSION_MAJOR, VERSION_MINOR, len(body)).pack(), body]

    def data_to_send(self) -> list[bytes]:
        """Take what is to be sent."""
        out, self._out = self._out, []
        return out

    def receive(self, data: bytes) -> Iterator[Linked]:
        """Take bytes from the server."""
        self._buffer += data
        while self.stage is not LinkClientStage.LINKED and len(self._buffer) >= self._wanted:
            taken = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            getattr(self, self.stage.value)(taken)
            if self.stage is LinkClientStage.LINKED:
                leftover, self._buffer = bytes(self._buffer), bytearray()
                common, own = self._server_caps
                mini = CommonCap.MINI_HEADER in common and CommonCap.MINI_HEADER in self._common_caps
                yield Linked(common, own, mini, leftover)

    def _want(self, stage: LinkClientStage, count: int) -> None:
        self.stage = stage
        self._wanted = count

    def _header(self, data: bytes) -> None:
        if data[: len(MAGIC)] != MAGIC:
            raise ProtocolError(LinkError.INVALID_MAGIC, "this is no SPICE server")
        header = LinkHeader.unpack(data)
        if header.major_version != VERSION_MAJOR:
            raise ProtocolError(LinkError.VERSION_MISMATCH, f"the server speaks SPICE {header.major_version}")
        if header.size > REPLY_MAX_BYTES:
            raise ProtocolError(LinkError.INVALID_DATA, f"a link reply of {header.size} bytes")
        self._want(LinkClientStage.REPLY, header.size)

    def _reply(self, data: bytes) -> None:
        reply = LinkReply.unpack(data)
        _check(reply.error)
        self._server_caps = words_to_caps(reply.common_caps), words_to_caps(reply.channel_caps)
        if CommonCap.PROTOCOL_AUTH_SELECTION in self._server_caps[0] & self._common_caps:
            if CommonCap.AUTH_SPICE not in self._server_caps[0]:
                raise ProtocolError(LinkError.INVALID_DATA, "the server takes no tickets")
            self._out.append(AuthMechanism(CommonCap.AUTH_SPICE).pack())
        self._out.append(_encrypted(self._password, bytes(reply.pub_key)))
        self._want(LinkClientStage.RESULT, LinkResult.SIZE)

    def _result(self, data: bytes) -> None:
        _check(LinkResult.unpack(data).error)
        self.stage = LinkClientStage.LINKED


def _check(error: int) -> None:
    if error == LinkError.OK:
        return
    try:
        raise ProtocolError(LinkError(error), f"the server refused the link: {LinkError(error).name}")
    except ValueError:
        raise ProtocolError(LinkError.ERROR, f"the server refused the link: error {error}") from None


def _encrypted(password: bytes, public_key: bytes) -> bytes:
    try:
        key = load_der_public_key(public_key)
        if not isinstance(key, RSAPublicKey):
            raise ProtocolError(LinkError.INVALID_DATA, "the server's key is none of RSA")
        return key.encrypt(password + b"\0", OAEP(MGF1(SHA1()), SHA1(), None))
    except ValueError as error:
        raise ProtocolError(LinkError.INVALID_DATA, f"the ticket cannot be encrypted: {error}") from error
