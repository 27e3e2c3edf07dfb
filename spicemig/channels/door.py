# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One port for all that clients speak: SPICE, SPICE over WebSocket, and both over TLS.

The first byte tells them apart. Who speaks HTTP asks for a WebSocket, for a page
of a viewer, or, with CONNECT, for a guest, as viewers do that are told to use a
proxy. There is none: CONNECT says which guest is meant, and what follows is told
apart again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from spicemig.channels.pages import site
from spicemig.channels.websocket import Refused, WebSocketFactory, accept
from spicemig.wire.link import MAGIC

TLS_HANDSHAKE = 0x16  # the content type with which a TLS connection begins
METHOD = re.compile(rb"[A-Z]")  # how HTTP begins, if not as SPICE does
HEAD_END = b"\r\n\r\n"
HEAD_MAX_BYTES = 16384
ASKED_MAX_BYTES = 65536  # of requests for pages on a connection: they wait if answers are not read
REQUEST = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.[01]\r\n")
UPGRADE = re.compile(rb"^upgrade:[ \t]*websocket", re.IGNORECASE | re.MULTILINE)
BODY = re.compile(rb"^(transfer-encoding|content-length:(?![ \t]*0+[ \t]*\r))", re.IGNORECASE | re.MULTILINE)
AUTHORITY = re.compile(rb"\[?([0-9A-Za-z._:%-]+?)\]?:([0-9]{1,5})")
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class _Level(Protocol):
    """Takes what comes from the network or out of a layer, for the next layer or for the door itself."""

    layer: Any = None

    def __init__(self, door: Door) -> None:
        self.door = door

    def dataReceived(self, data: bytes) -> None:
        (self.door.hear if self.layer is None else self.layer.dataReceived)(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        (self.door.lost if self.layer is None else self.layer.connectionLost)(reason)


class Door(ProtocolWrapper):
    """
    Finds out what a connection is for, then stands between it and the protocol behind.

    TLS and WebSocket are layers on the network's transport; :attr:`transport` is the
    innermost. The protocol behind has a ``link``, a :class:`LinkCore`, that keeps the
    time of strangers; it is told when TLS has begun, by ``secured()``, and of CONNECT by
    ``asked_for(host, port)``, which says whether that leads anywhere.
    """

    log = Logger()
    factory: DoorFactory
    transport: Any

    def __init__(self, factory: DoorFactory, wrappedProtocol: Any) -> None:
        super().__init__(factory, wrappedProtocol)
        self.hear: Callable[[bytes], None] = self._tell_apart
        self._outermost = self._innermost = _Level(self)
        self._tls_may_begin = True
        self._connected = False  # by CONNECT
        self._page: Any = None  # the protocol that serves pages
        self._asked_bytes = 0  # of it
        self._head = b""  # of an HTTP request

    def dataReceived(self, data: bytes) -> None:
        self._outermost.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._outermost.connectionLost(reason)

    def lost(self, reason: Failure) -> None:
        """All layers know that the connection is gone."""
        if self._page is not None:
            self._page.connectionLost(reason)
        super().connectionLost(reason)

    def _add(self, layers: WrappingFactory) -> Any:
        """A new innermost layer."""
        inside = _Level(self)
        layer: Any = layers.protocol(layers, inside)  # type: ignore[call-arg]
        layer.makeConnection(self.transport)
        self._innermost.layer, self._innermost = layer, inside
        self.transport = layer
        return layer

    def _tell_apart(self, data: bytes) -> None:
        self.wrappedProtocol.link.heard()
        if data[0] == TLS_HANDSHAKE and self._tls_may_begin and self._start_tls(data):
            return
        speaks_http = METHOD.match(data) and data[0] != MAGIC[0]
        self.hear = self._hear_head if speaks_http else self._pass
        self.hear(data)

    def _pass(self, data: bytes) -> None:
        self.wrappedProtocol.dataReceived(data)

    def _ignore(self, data: bytes) -> None:
        """All has been said."""

    def _start_tls(self, data: bytes) -> bool:
        context = self.factory.tls()
        if context is None:
            return False
        self._tls_may_begin = False
        self.wrappedProtocol.secured()
        self._add(TLSMemoryBIOFactory(context, False, self.factory)).dataReceived(data)
        return True

    # HTTP

    def _hear_head(self, data: bytes) -> None:
        """What is asked for is known when the head of the request is there; requests have no body."""
        self._head += data
        level = self._innermost
        while HEAD_END in self._head and self.hear == self._hear_head:
            head, _, self._head = self._head.partition(HEAD_END)
            self._answer(head + HEAD_END)
        if self.hear != self._hear_head:
            rest, self._head = self._head, b""
            if rest:
                level.dataReceived(rest)
        elif len(self._head) > HEAD_MAX_BYTES:
            self._answer(self._head)

    def _answer(self, head: bytes) -> None:
        found = REQUEST.match(head)
        if len(head) > HEAD_MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "this is too long")
        elif found is None:
            self._refuse(HTTPStatus.BAD_REQUEST, "this is neither HTTP/1.1 nor SPICE")
        elif found[1] == b"CONNECT":
            self._connect(found[2])
        elif found[1] not in (b"GET", b"HEAD"):
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "there is only GET, HEAD and CONNECT")
        elif BODY.search(head):
            self._refuse(HTTPStatus.BAD_REQUEST, "a request has no body here")
        elif UPGRADE.search(head):
            self._upgrade(head)
        else:
            self._give_page(head)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Say why a request leads nowhere, and close."""
        self.log.info("request of {peer} refused: {reason}", peer=self.getPeer(), reason=reason)
        body = f"{reason}\n".encode()
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            "Content-Type: text/plain",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD, CONNECT")
        self.hear = self._ignore
        self.transport.write("\r\n".join(lines).encode() + HEAD_END + body)
        self.transport.loseConnection()

    def _connect(self, target: bytes) -> None:
        found = AUTHORITY.fullmatch(target)
        if self._connected or self._page is not None:
            self._refuse(HTTPStatus.BAD_REQUEST, "CONNECT comes once, and first")
        elif found is None or not 0 < int(found[2]) < 65536:
            self._refuse(HTTPStatus.BAD_REQUEST, "CONNECT takes HOST:PORT")
        elif not self.wrappedProtocol.asked_for(found[1].decode().lower(), int(found[2])):
            self._refuse(HTTPStatus.NOT_FOUND, f"there is no route to {target.decode()} from here")
        else:
            self._connected = self._tls_may_begin = True
            self.hear = self._tell_apart
            self.transport.write(ESTABLISHED)

    def _upgrade(self, head: bytes) -> None:
        if self._page is not None:
            self._refuse(HTTPStatus.BAD_REQUEST, "WebSocket takes a connection of its own")
            return
        try:
            websocket, answer = accept(head)
        except Refused as refused:
            self._refuse(HTTPStatus.BAD_REQUEST, str(refused))
            return
        self.hear = self._pass
        self.transport.write(answer)
        self._add(WebSocketFactory(self.factory, websocket, self.factory.clock))

    def _give_page(self, head: bytes) -> None:
        self._asked_bytes += len(head)
        if self._asked_bytes > ASKED_MAX_BYTES:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "another connection may have more")
            return
        if self._page is None:
            self.wrappedProtocol.link.no_link()
            self._page = self.factory.pages.buildProtocol(self.getPeer())
            self._page.makeConnection(self.transport)
        self._page.dataReceived(head)


@implementer(IProtocolNegotiationFactory)
class DoorFactory(WrappingFactory):
    """
    Doors before the protocols of a factory.

    ``tls`` gives the context for connections that begin with TLS, or None; ``directory``
    holds the pages that anybody may see.
    """

    noisy = False
    protocol = Door

    def __init__(
        self,
        wrappedFactory: Any,
        clock: Any,
        tls: Callable[[], Any] = lambda: None,
        directory: Path | None = None,
    ) -> None:
        super().__init__(wrappedFactory)
        self.clock = clock
        self.tls = tls
        self.pages = site(directory, clock)

    def acceptableProtocols(self) -> list[bytes]:
        """What is spoken with those who ask for it with TLS (ALPN): browsers would prefer HTTP/2."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: Any) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)
