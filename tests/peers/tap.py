# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A proxy on loopback that notes every SPICE message that goes by.

It stands between clients and plain-text servers, and follows them: a migration
message that names a server it stands for is changed to name the proxy's port
for that server. So a test sees both hosts of a handover on one clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from spicemig.wire.capabilities import CommonCap
from spicemig.wire.declare import catalogue, channel_name
from spicemig.wire.enums import ImageFlags, ImageType
from spicemig.wire.framing import Deframer, frame, frame_body
from spicemig.wire.link import HEADER, RESULT, TICKET_BYTES, LinkMess, LinkReply

MAX_BODY_BYTES = 256 * 1024 * 1024
INVALIDATIONS = frozenset(
    {"InvalList", "InvalAllPixmaps", "InvalPalette", "InvalAllPalettes", "InvalOne", "InvalAll"}
)
REDIRECTIONS = frozenset({"MigrateBegin", "MigrateBeginSeamless", "MigrateSwitchHost"})


@dataclass(slots=True)
class Noted:
    """One message: when, on which connection, from which server, to whom, how large with its header."""

    time: float
    connection: int
    server: str
    channel: str
    to: str
    name: str
    size: int
    images: tuple[tuple[int, int, int], ...] = ()  # id, type, flags of the images in a draw

    @property
    def draws(self) -> bool:
        """Whether it changes pixels at the client."""
        return self.to == "client" and (self.name.startswith("Draw") or self.name == "CopyBits")

    @property
    def invalidates(self) -> bool:
        """Whether it makes the client forget something."""
        return self.to == "client" and self.name in INVALIDATIONS


@dataclass(slots=True)
class Connection:
    """One connection that went through; ``linked_seconds`` is from its first byte to the server's yes."""

    number: int
    server: str
    opened: float
    channel: str = "?"
    connection_id: int = 0
    linked_seconds: float | None = None
    result: int | None = None
    closed: float | None = None


@dataclass
class Tap:
    """
    Proxies for any number of servers. ``log`` has all messages, ``connections`` all
    connections. Times are ``time.time()``.
    """

    reactor: Any
    log: list[Noted] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    drawn: Callable[[str, Any], None] | None = None  # told of every draw: the server, the message

    def __post_init__(self) -> None:
        self._stands_for: dict[int, int] = {}  # server's port: ours
        self._listening: list[Any] = []
        self._open: set[Protocol] = set()

    async def stand_for(self, name: str, port: int) -> int:
        """Listen for clients of a server on 127.0.0.1; gives our port."""
        endpoint = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        listening = await endpoint.listen(Factory.forProtocol(lambda: _Near(self, name, port)))
        self._listening.append(listening)
        self._stands_for[port] = listening.getHost().port
        return self._stands_for[port]

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        for listening in self._listening:
            await listening.stopListening()
        for protocol in list(self._open):
            if protocol.transport is not None:
                protocol.transport.abortConnection()
        gone: Deferred[None] = Deferred()
        self.reactor.callLater(0, gone.callback, None)
        await gone

    def messages(
        self,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        channel: str | None = None,
        server: str | None = None,
        to: str | None = None,
    ) -> list[Noted]:
        """The messages of these kinds and times."""
        return [
            noted
            for noted in self.log
            if since <= noted.time < until
            and channel in (None, noted.channel)
            and server in (None, noted.server)
            and to in (None, noted.to)
        ]

    def resent_images(self, since: float) -> list[Noted]:
        """Draws after ``since`` with the pixels of an image that the client had been told to keep."""
        kept: set[int] = set()
        found = []
        for noted in self.log:
            if noted.to != "client" or noted.channel != "display":
                continue
            if noted.name in ("InvalAllPixmaps", "InvalList"):
                kept.clear()  # cautious: what may be gone is not counted
            for identity, kind, flags in noted.images:
                carried = kind not in (ImageType.FROM_CACHE, ImageType.FROM_CACHE_LOSSLESS, ImageType.SURFACE)
                if carried and identity in kept and noted.time >= since:
                    found.append(noted)
                if flags & ImageFlags.CACHE_ME:
                    kept.add(identity)
        return found

    def pause_seconds(self, source: str, target: str) -> float:
        """From the last draw of one server to the first one after it of another."""
        first = None
        for noted in reversed(self.log):
            if not noted.draws:
                continue
            if noted.server == target:
                first = noted.time
            elif noted.server == source and first is not None:
                return first - noted.time
        raise LookupError(f"no draw of {source} before one of {target}")

    def port_for(self, port: int) -> int:
        """The port to name to clients in place of a server's."""
        return self._stands_for.get(port, port)


class _Near(Protocol):
    """The side of the client."""

    def __init__(self, tap: Tap, server: str, port: int) -> None:
        self.tap = tap
        self.server = server
        self.port = port
        self.far: _Far | None = None
        self.waiting = b""
        self.closed = False

    def connectionMade(self) -> None:
        self.tap._open.add(self)
        self.transport.setTcpNoDelay(True)
        self.note = Connection(len(self.tap.connections), self.server, time.time())
        self.tap.connections.append(self.note)
        self.reader = _Reader(self.tap, self.note)
        endpoint = TCP4ClientEndpoint(self.tap.reactor, "127.0.0.1", self.port)
        endpoint.connect(Factory.forProtocol(lambda: _Far(self))).addCallbacks(
            self._connected, lambda failure: self.transport.abortConnection()
        )

    def _connected(self, far: _Far) -> None:
        self.far = far
        if self.closed:
            far.transport.abortConnection()
            return
        # so a client that has stopped reading is felt by the server, and the other way round
        far.transport.registerProducer(self.transport, True)
        self.transport.registerProducer(far.transport, True)
        far.transport.write(self.waiting)
        self.waiting = b""

    def dataReceived(self, data: bytes) -> None:
        out = self.reader.from_client(data)
        if self.far is None:
            self.waiting += out
        else:
            self.far.transport.write(out)

    def connectionLost(self, reason: Any = None) -> None:
        self.tap._open.discard(self)
        self.closed = True
        self.note.closed = time.time()
        if self.far is not None:
            self.far.transport.unregisterProducer()
            self.far.transport.loseConnection()


class _Far(Protocol):
    """The side of the server."""

    def __init__(self, near: _Near) -> None:
        self.near = near

    def connectionMade(self) -> None:
        self.near.tap._open.add(self)
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.near.transport.write(self.near.reader.from_server(data))

    def connectionLost(self, reason: Any = None) -> None:
        self.near.tap._open.discard(self)
        self.near.transport.unregisterProducer()
        self.near.transport.loseConnection()


class _Reader:
    """Reads both directions of one connection; what it returns is to be sent on."""

    def __init__(self, tap: Tap, note: Connection) -> None:
        self.tap = tap
        self.note = note
        self._from_client = _Exchange(self._client_exchange())
        self._from_server = _Exchange(self._server_exchange())
        self._client_caps: frozenset[int] = frozenset()
        self._server_caps: frozenset[int] = frozenset()

    def from_client(self, data: bytes) -> bytes:
        return self._from_client.take(data, self._messages_to_server)

    def from_server(self, data: bytes) -> bytes:
        return self._from_server.take(data, self._messages_to_client)

    def _client_exchange(self):
        header = HEADER.unpack((yield HEADER.size))
        asked = LinkMess.unpack((yield header[3]))
        self.note.channel = channel_name(asked.channel_type)
        self.note.connection_id = asked.connection_id
        self._client_caps = asked.common_caps
        if CommonCap.PROTOCOL_AUTH_SELECTION in self._client_caps:
            yield RESULT.size  # the mechanism
        yield TICKET_BYTES

    def _server_exchange(self):
        header = HEADER.unpack((yield HEADER.size))
        reply = LinkReply.unpack((yield header[3]))
        self._server_caps = reply.common_caps
        self.note.result = reply.error
        if reply.error == 0:
            (self.note.result,) = RESULT.unpack((yield RESULT.size))
            if self.note.result == 0:
                self.note.linked_seconds = time.time() - self.note.opened

    @property
    def _mini(self) -> bool:
        return CommonCap.MINI_HEADER in self._client_caps & self._server_caps

    def _messages_to_server(self) -> Callable[[bytes], bytes]:
        return self._passer("server")

    def _messages_to_client(self) -> Callable[[bytes], bytes]:
        return self._passer("client")

    def _passer(self, to: str) -> Callable[[bytes], bytes]:
        deframer = Deframer(self.note.channel, to, self._mini, MAX_BODY_BYTES)

        def unchanged(data: bytes) -> bytes:
            for received in deframer.feed(data):
                self._note(to, received)
            return data

        def redirected(data: bytes) -> bytes:
            return b"".join(self._redirect(received) for received in deframer.feed(data))

        # only the server's main channel says where to go
        return redirected if to == "client" and self.note.channel == "main" else unchanged

    def _note(self, to: str, received: Any) -> None:
        declared = catalogue.find(self.note.channel, to, received.number)
        name = declared.__name__ if declared is not None else str(received.number)
        images: tuple[tuple[int, int, int], ...] = ()
        if declared is not None and to == "client" and name.startswith("Draw"):
            message = declared.unpack(received.body)
            images = tuple(_images(message))
            if self.tap.drawn is not None:
                self.tap.drawn(self.note.server, message)
        size = (6 if self._mini else 18) + len(received.body)
        note = self.note
        self.tap.log.append(
            Noted(time.time(), note.number, note.server, note.channel, to, name, size, images)
        )

    def _redirect(self, received: Any) -> bytes:
        self._note("client", received)
        declared = catalogue.find("main", "client", received.number)
        if declared is None or declared.__name__ not in REDIRECTIONS:
            return b"".join(frame_body(received.number, [received.body], self._mini, received.serial))
        message = declared.unpack(received.body)
        where = getattr(message, "dst_info", message)
        where.port = self.tap.port_for(where.port)
        return b"".join(frame(message, self._mini, received.serial))


class _Exchange:
    """The link's bytes in pieces of known size, then messages; see :class:`_Reader`."""

    def __init__(self, steps: Any) -> None:
        self._steps = steps
        self._wanted: int | None = next(steps)
        self._have = b""
        self._pass: Callable[[bytes], bytes] | None = None

    def take(self, data: bytes, messages: Callable[[], Callable[[bytes], bytes]]) -> bytes:
        if self._pass is not None:
            return self._pass(data)
        self._have += data
        passed = b""
        while self._wanted is not None and len(self._have) >= self._wanted:
            piece, self._have = self._have[: self._wanted], self._have[self._wanted :]
            passed += piece
            try:
                self._wanted = self._steps.send(piece)
            except StopIteration:
                self._wanted = None
        if self._wanted is None:
            self._pass = messages()
            rest, self._have = self._have, b""
            passed += self._pass(rest)
        return passed


def _images(message: Any) -> Iterable[tuple[int, int, int]]:
    """Id, type and flags of the images in a draw."""
    brush = getattr(message, "brush", None)
    pattern = getattr(brush, "pattern", None)
    candidates = (getattr(message, "src_bitmap", None), getattr(message, "mask_bitmap", None))
    for image in (*candidates, getattr(pattern, "pat", None)):
        if image is not None:
            yield image.descriptor.id, int(image.descriptor.type), int(image.descriptor.flags)
