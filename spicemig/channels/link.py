# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The server's side of a link: the opening exchange of a connection.

Until it is through, the peer is a stranger: it gets a few kilobytes of memory,
a few seconds and no answer that tells it more than spice-server would.

Source: spice-server 0.15.1, reds.cpp; ``spice/protocol.h`` of spice-protocol 0.14.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from spicemig.channels.keys import KeyPool, TicketKey
from spicemig.channels.limits import CLOSED, DEFAULT_LIMITS, TIMEOUT, LinkLimits, reason_word
from spicemig.errors import LinkError, ProtocolError, WireError
from spicemig.wire.capabilities import CommonCap
from spicemig.wire.declare import channel_name
from spicemig.wire.link import (
    HEADER,
    MAGIC,
    MAX_MESS_BYTES,
    MAX_PASSWORD_BYTES,
    MESS_HEAD,
    PUBLIC_KEY_BYTES,
    REPLY_HEAD,
    RESULT,
    TICKET_BYTES,
    VERSION_MAJOR,
    VERSION_MINOR,
    LinkMess,
    LinkReply,
)

COMMON_CAPS = frozenset({CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE, CommonCap.MINI_HEADER})


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """Which channels must, and which must not, be linked over TLS."""

    secure_channels: frozenset[str] = frozenset()
    plain_channels: frozenset[str] = frozenset()

    def check(self, channel: str, secure: bool) -> LinkError:
        """What is wrong with linking this channel in this way."""
        if not secure and channel in self.secure_channels:
            return LinkError.NEED_SECURED
        if secure and channel in self.plain_channels:
            return LinkError.NEED_UNSECURED
        return LinkError.OK


ANY_WAY = LinkPolicy()


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What a client asks for when it links."""

    connection_id: int  # 0: a new session
    channel: str
    channel_id: int
    common_caps: frozenset[int]
    channel_caps: frozenset[int]
    secure: bool = False
    address: str = ""  # of the client, for people
    local: bool = False  # came over a unix socket
    transport: Any = None

    @property
    def mini(self) -> bool:
        """Whether mini headers are used: we offer them always."""
        return CommonCap.MINI_HEADER in self.common_caps


@dataclass(frozen=True, slots=True)
class LinkAsked:
    """A client asks for a channel; answer with :meth:`LinkCore.offer` or :meth:`LinkCore.refuse`."""

    request: LinkRequest


@dataclass(frozen=True, slots=True)
class PasswordShown:
    """The client sent its ticket; answer with :meth:`LinkCore.accept` or :meth:`LinkCore.deny`."""

    request: LinkRequest
    password: bytes


class LinkStage(Enum):
    """What a link waits for; the value is what the core calls when enough is there."""

    MAGIC = "_magic"
    HEADER = "_header"
    MESSAGE = "_message"
    MECHANISM = "_mechanism"
    TICKET = "_ticket"
    LINKED = "linked"
    CLOSED = "closed"


class LinkCore:
    """
    One link, from the first byte to the result.

    ``about`` are the fields of :class:`LinkRequest` that the connection itself
    gives. The core is to be closed when :attr:`closed`; when :attr:`linked`,
    :meth:`leftover` belongs to the channel.
    """

    def __init__(
        self,
        keys: KeyPool,
        policy: LinkPolicy = ANY_WAY,
        limits: LinkLimits = DEFAULT_LIMITS,
        **about: Any,
    ) -> None:
        self.stage = LinkStage.MAGIC
        self._keys = keys
        self._policy = policy
        self._limits = limits
        self._about = about
        self._buffer = bytearray()
        self._wanted = len(MAGIC)
        self._out: list[bytes] = []
        self._started: float | None = None
        self._seconds = limits.first_byte_seconds
        self._request: LinkRequest | None = None
        self._key: TicketKey | None = None
        self._refusal = LinkError.OK
        self._ended = CLOSED  # why, unless it is linked or none was wanted

    @property
    def linked(self) -> bool:
        """Whether the client has been told that it is in."""
        return self.stage is LinkStage.LINKED

    @property
    def closed(self) -> bool:
        """Whether the connection is to be closed, once what is to be sent is sent."""
        return self.stage is LinkStage.CLOSED

    @property
    def refused(self) -> str:
        """In a word why the link has come to nothing, if it ends now; empty if it has not."""
        return "" if self.linked else self._ended

    def secured(self) -> None:
        """TLS has begun under the link, before its first byte."""
        self._about["secure"] = True

    # time

    def start(self, now: float) -> None:
        """The connection is there."""
        self._started = now

    def heard(self) -> None:
        """The first byte is there, if not of the link itself."""
        self._seconds = self._limits.authentication_seconds

    def no_link(self) -> None:
        """The connection is for pages, and goes on to count as that of a stranger."""
        self._seconds = self._limits.page_seconds
        self._ended = ""

    def next_deadline(self) -> float | None:
        """When the client must have gone on."""
        if self._started is None or self.linked or self.closed:
            return None
        return self._started + self._seconds

    def deadline_passed(self, now: float) -> None:
        """Close a link whose time is over."""
        deadline = self.next_deadline()
        if deadline is not None and now >= deadline:
            self._ended = self._ended and TIMEOUT
            self.stage = LinkStage.CLOSED

    # bytes

    def receive(self, data: bytes) -> Iterator[LinkAsked | PasswordShown]:
        """Take bytes from the client; each event is to be answered before the next is asked for."""
        self.heard()
        self._buffer += data
        while not self.linked and not self.closed and len(self._buffer) >= self._wanted:
            taken = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            events = getattr(self, self.stage.value)(taken)
            if events is not None:
                yield from events
        if self.closed:
            self._buffer.clear()

    def leftover(self) -> bytes:
        """What the client said after its ticket."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def data_to_send(self) -> list[bytes]:
        """Take what is to be sent."""
        out, self._out = self._out, []
        return out

    def _want(self, stage: LinkStage, count: int) -> None:
        self.stage = stage
        self._wanted = count

    def _close(self, error: LinkError | None = None) -> None:
        if error is not None:  # said as spice-server says it, with nothing else in the reply
            header = HEADER.pack(MAGIC, VERSION_MAJOR, VERSION_MINOR, REPLY_HEAD.size)
            self._out.append(header + REPLY_HEAD.pack(error, bytes(PUBLIC_KEY_BYTES), 0, 0, 0))
            self._ended = reason_word(error)
        self.stage = LinkStage.CLOSED

    # the steps

    def _magic(self, data: bytes) -> None:
        if data != MAGIC:
            self._close(LinkError.INVALID_MAGIC)
        else:
            self._want(LinkStage.HEADER, HEADER.size - len(MAGIC))

    def _header(self, data: bytes) -> None:
        _magic, major, _minor, size = HEADER.unpack(MAGIC + data)
        if major != VERSION_MAJOR:
            self._close(LinkError.VERSION_MISMATCH if major else None)
        elif not MESS_HEAD.size <= size <= MAX_MESS_BYTES:
            self._close(LinkError.INVALID_DATA)
        else:
            self._want(LinkStage.MESSAGE, size)

    def _message(self, data: bytes) -> Iterator[LinkAsked]:
        try:
            message = LinkMess.unpack(data)
        except WireError as error:
            self._close(error.code)
            return
        request = LinkRequest(
            message.connection_id,
            channel_name(message.channel_type),
            message.channel_id,
            message.common_caps,
            message.channel_caps,
            **self._about,
        )
        objection = self._policy.check(request.channel, request.secure)
        if objection != LinkError.OK:
            self._close(objection)
            return
        self._request = request
        yield LinkAsked(request)
        assert self.stage is not LinkStage.MESSAGE, "a link that was asked for was not answered"

    def offer(self, channel_caps: Iterable[int], common_caps: Iterable[int] = COMMON_CAPS) -> None:
        """Answer a link that was asked for: name our capabilities, and ask for the ticket."""
        assert self._request is not None
        self._key = self._keys.take()
        self._out.append(
            LinkReply(LinkError.OK, self._key.public, frozenset(common_caps), frozenset(channel_caps)).pack()
        )
        if CommonCap.PROTOCOL_AUTH_SELECTION in self._request.common_caps:
            self._want(LinkStage.MECHANISM, RESULT.size)
        else:
            self._want(LinkStage.TICKET, TICKET_BYTES)

    def refuse(self, error: ProtocolError) -> None:
        """Refuse a link that was asked for. As with spice-server one hears of it only with a right ticket."""
        self._refusal = error.code
        self.offer(())

    def _mechanism(self, data: bytes) -> None:
        if RESULT.unpack(data)[0] != CommonCap.AUTH_SPICE:
            self._close(LinkError.INVALID_DATA)
        else:
            self._want(LinkStage.TICKET, TICKET_BYTES)

    def _ticket(self, data: bytes) -> Iterator[PasswordShown]:
        assert self._key is not None and self._request is not None
        password = self._key.decrypt(data)
        if password is None or len(password) > MAX_PASSWORD_BYTES:
            self.deny()
            return
        yield PasswordShown(self._request, password)
        assert self.stage is not LinkStage.TICKET, "a ticket was not answered"

    def accept(self) -> None:
        """The ticket is right: let the client in, or tell it why the link is refused all the same."""
        self._result(self._refusal)

    def deny(self) -> None:
        """The ticket is wrong."""
        self._result(LinkError.PERMISSION_DENIED)

    def fail(self, error: ProtocolError) -> None:
        """The ticket is right, but the link goes no further."""
        self._result(error.code)

    def _result(self, error: LinkError) -> None:
        self._out.append(RESULT.pack(error))
        self._ended = reason_word(error)
        self.stage = LinkStage.LINKED if error == LinkError.OK else LinkStage.CLOSED
