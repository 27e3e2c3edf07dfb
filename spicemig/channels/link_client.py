# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's side of a link: the opening exchange of a connection.

Used between hosts for the migration channel, and by everything that is a client itself.

Source: ``spice/protocol.h`` of spice-protocol 0.14.3; spice-gtk 0.42, spice-channel.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key

from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.capabilities import CommonCap
from spicemig.wire.declare import CHANNEL_TYPES
from spicemig.wire.link import RESULT, LinkMess, LinkReply, take_link_message

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
    """What is waited for; the value is the method that takes it."""

    REPLY = "_reply"
    TICKET = "_hold"
    RESULT = "_result"
    LINKED = "_nothing"


class LinkClient:
    """
    One link, from our first byte to the server's result.

    ``receive`` yields one :class:`Linked`, or raises ``ProtocolError`` with the error that the server gave.
    With ``hold_ticket`` it stops when :attr:`offered` says what the server can do, until :meth:`show_ticket`.
    """

    def __init__(
        self,
        channel: str,
        channel_id: int = 0,
        connection_id: int = 0,
        password: bytes = b"",
        common_caps: Iterable[int] = COMMON_CAPS,
        channel_caps: Iterable[int] = (),
        hold_ticket: bool = False,
    ) -> None:
        self.stage = LinkClientStage.REPLY
        self._password = bytes(password)
        self._hold_ticket = hold_ticket
        self._reply_taken: LinkReply | None = None
        self._common_caps = frozenset(common_caps)
        self._server_caps: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())
        self._buffer = bytearray()
        asked = LinkMess(
            connection_id, CHANNEL_TYPES[channel], channel_id, self._common_caps, frozenset(channel_caps)
        )
        self._out = [asked.pack()]

    @property
    def offered(self) -> tuple[frozenset[int], frozenset[int]] | None:
        """The server's capabilities, common ones first, while it waits for the ticket."""
        return self._server_caps if self.stage is LinkClientStage.TICKET else None

    def data_to_send(self) -> list[bytes]:
        """Take what is to be sent."""
        out, self._out = self._out, []
        return out

    def receive(self, data: bytes) -> Iterator[Linked]:
        """Take bytes from the server."""
        self._buffer += data
        while getattr(self, self.stage.value)():
            pass
        if self.stage is LinkClientStage.LINKED:
            leftover, self._buffer = bytes(self._buffer), bytearray()
            common, own = self._server_caps
            mini = CommonCap.MINI_HEADER in common and CommonCap.MINI_HEADER in self._common_caps
            yield Linked(common, own, mini, leftover)

    def _nothing(self) -> bool:
        return False

    def _hold(self) -> bool:
        if self._buffer:
            raise ProtocolError(LinkError.INVALID_DATA, "the server speaks out of turn")
        return False

    def _reply(self) -> bool:
        taken = take_link_message(bytes(self._buffer), REPLY_MAX_BYTES)
        if taken is None:
            return False
        body, size = taken
        del self._buffer[:size]
        reply = LinkReply.unpack(body)
        _check(reply.error)
        self._server_caps = reply.common_caps, reply.channel_caps
        self._reply_taken = reply
        self.stage = LinkClientStage.TICKET
        if not self._hold_ticket:
            self.show_ticket()
        return True

    def show_ticket(self) -> None:
        """Go on with a link that is held."""
        reply, self._reply_taken = self._reply_taken, None
        assert reply is not None, "a ticket that the server does not wait for"
        if CommonCap.PROTOCOL_AUTH_SELECTION in reply.common_caps & self._common_caps:
            if CommonCap.AUTH_SPICE not in reply.common_caps:
                raise ProtocolError(LinkError.INVALID_DATA, "the server takes no tickets")
            self._out.append(RESULT.pack(CommonCap.AUTH_SPICE))
        self._out.append(_encrypted(self._password, reply.pub_key))
        self.stage = LinkClientStage.RESULT

    def _result(self) -> bool:
        if len(self._buffer) < RESULT.size:
            return False
        (error,) = RESULT.unpack_from(self._buffer)
        del self._buffer[: RESULT.size]
        _check(error)
        self.stage = LinkClientStage.LINKED
        return True


def _check(error: int) -> None:
    if error != LinkError.OK:
        known = LinkError(error) if error in list(LinkError) else LinkError.ERROR
        raise ProtocolError(known, f"the server refused the link: {known.name} ({error})")


def _encrypted(password: bytes, public_key: bytes) -> bytes:
    try:
        key = load_der_public_key(public_key)
        if not isinstance(key, RSAPublicKey):
            raise ProtocolError(LinkError.INVALID_DATA, "the server's key is none of RSA")
        return key.encrypt(password + b"\0", OAEP(MGF1(SHA1()), SHA1(), None))
    except ValueError as error:
        raise ProtocolError(LinkError.INVALID_DATA, f"the ticket cannot be encrypted: {error}") from error
