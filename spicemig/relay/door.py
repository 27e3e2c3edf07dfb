# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One port for all that clients speak: SPICE, SPICE over WebSocket, and both over TLS.

The first byte tells them apart. Browsers speak WebSocket (RFC 6455), with the
subprotocol "binary"; what is in its binary messages is the channel's stream. Who
asks for a page instead may be given the one of a viewer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import ITLSTransport
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.resource import NoResource
from twisted.web.server import Site
from twisted.web.static import File

try:
    import wsproto
    from wsproto import events
except ImportError:  # Debian: python3-wsproto
    wsproto = None  # type: ignore[assignment]

SUBPROTOCOL = "binary"
UPGRADE = re.compile(rb"^upgrade:[ \t]*websocket", re.IGNORECASE | re.MULTILINE)
HEAD_END = b"\r\n\r\n"
HEAD_MAX_BYTES = 16384
PAGE_SECONDS = 10.0  # for a browser to ask for the next page on a connection
TLS_HANDSHAKE = b"\x16"  # the content type with which a TLS connection begins
HTTP_GET = b"G"


def why_not() -> str | None:
    """Why WebSocket cannot be spoken here; None if it can."""
    return None if wsproto is not None else "needs wsproto (Debian: python3-wsproto)"


def pages(directory: Path) -> Site:
    """What serves the files of a directory; their list is nobody's business."""
    root = File(str(directory))
    root.directoryListing = lambda: NoResource("there is no such page")  # type: ignore[method-assign]
    site = Site(root, timeout=PAGE_SECONDS)
    site.noisy = False
    return site


class Door(ProtocolWrapper):
    """Takes a connection's first byte, then stands between it and the protocol that it is for."""

    log = Logger()
    factory: DoorFactory

    def __init__(self, factory: DoorFactory, wrappedProtocol: Any) -> None:
        super().__init__(factory, wrappedProtocol)
        self._receive: Callable[[bytes], None] = self._tell_apart
        self._websocket: Any = None
        self._page: Any = None  # the protocol that serves one
        self._head = b""  # of an HTTP request

    def dataReceived(self, data: bytes) -> None:
        self._receive(data)

    def _tell_apart(self, data: bytes) -> None:
        first = data[:1]
        if first == TLS_HANDSHAKE and self.factory.tls is not None and self._can_start_tls():
            self.transport.startTLS(self.factory.tls)
            self.wrappedProtocol.secured()
            self.transport.protocol.dataReceived(data)
        elif first == HTTP_GET and wsproto is not None:
            self._receive = self._hear_head
            self._hear_head(data)
        else:
            self._receive = self.wrappedProtocol.dataReceived
            self._receive(data)

    def _can_start_tls(self) -> bool:
        return ITLSTransport.providedBy(self.transport) and not self.transport.TLS

    def _hear_head(self, data: bytes) -> None:
        """What is asked for is known when the head of the request is there."""
        self._head += data
        if HEAD_END not in self._head:
            if len(self._head) > HEAD_MAX_BYTES:
                self.abortConnection()
            return
        head, self._head = self._head, b""
        if UPGRADE.search(head) or self.factory.pages is None:
            self._websocket = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
            self._receive = self._hear_websocket
        else:
            self.wrappedProtocol.no_channel()
            self._page = self.factory.pages.buildProtocol(self.getPeer())
            self._page.makeConnection(self.transport)
            self._receive = self._page.dataReceived
        self._receive(head)

    def connectionLost(self, reason: Any) -> None:
        if self._page is not None:
            self._page.connectionLost(reason)
        super().connectionLost(reason)

    # WebSocket

    def _hear_websocket(self, data: bytes) -> None:
        try:
            self._websocket.receive_data(data)
            for event in self._websocket.events():
                self._handle(event)
        except wsproto.utilities.ProtocolError as error:
            self.log.info("{peer} speaks no WebSocket: {error}", peer=self.getPeer(), error=error)
            self.abortConnection()

    def _handle(self, event: Any) -> None:
        if isinstance(event, events.BytesMessage):
            if event.data:
                self.wrappedProtocol.dataReceived(bytes(event.data))
        elif isinstance(event, events.Request):
            chosen = SUBPROTOCOL if SUBPROTOCOL in event.subprotocols else None
            self._say(events.AcceptConnection(subprotocol=chosen))
        elif isinstance(event, events.Ping):
            self._say(event.response())
        elif isinstance(event, events.CloseConnection):
            if self._websocket.state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                self._say(event.response())
            self.transport.loseConnection()
        elif isinstance(event, events.TextMessage):
            self._say(events.CloseConnection(wsproto.frame_protocol.CloseReason.UNSUPPORTED_DATA))
            self.transport.loseConnection()

    def _say(self, event: Any) -> None:
        self.transport.write(self._websocket.send(event))

    @property
    def _open(self) -> bool:
        return self._websocket.state is wsproto.connection.ConnectionState.OPEN

    # what the protocol does with its transport

    def write(self, data: bytes) -> None:
        if self._websocket is None:
            self.transport.write(data)
        elif self._open:
            self._say(events.BytesMessage(data=data))

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if self._websocket is not None and self._open:
            self._say(events.CloseConnection(wsproto.frame_protocol.CloseReason.NORMAL_CLOSURE))
        super().loseConnection()


class DoorFactory(WrappingFactory):
    """
    Doors before the protocols of a factory.

    ``tls`` is the context for connections that begin with TLS; ``directory`` holds
    the pages that anybody may see.
    """

    noisy = False
    protocol = Door

    def __init__(self, wrappedFactory: Any, tls: Any = None, directory: Path | None = None) -> None:
        super().__init__(wrappedFactory)
        self.tls = tls
        self.pages = None if directory is None else pages(directory)

    def buildProtocol(self, addr: Any) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)
