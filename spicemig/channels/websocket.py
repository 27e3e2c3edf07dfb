# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The server's side of WebSocket (RFC 6455), as a layer of a connection.

What is in the browser's binary messages, of the subprotocol "binary", is the
stream that the layer gives and takes; where one message ends and the next begins
means nothing. Messages pass as they come, so that none is too large.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

try:
    import h11
    import wsproto
    from wsproto import events
    from wsproto.connection import ConnectionState
    from wsproto.frame_protocol import CloseReason
except ImportError:  # Debian: python3-wsproto
    wsproto = None  # type: ignore[assignment]

SUBPROTOCOL = "binary"
LINGER_SECONDS = 5.0  # for a browser to read what it is told before the connection is cut


def why_not() -> str | None:
    """Why WebSocket cannot be spoken here; None if it can."""
    return None if wsproto is not None else "needs wsproto (Debian: python3-wsproto)"


class Refused(Exception):
    """A request that asks for no WebSocket that could be had; the text is for the browser."""


def accept(request: bytes) -> tuple[Any, bytes]:
    """
    A new WebSocket for the head of a browser's request, and the answer to it.

    Raises :class:`Refused`.
    """
    websocket = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    asked: Any  # one Request; the head of one is all that there is
    try:
        websocket.receive_data(request)
        (asked,) = websocket.events()
        if asked.subprotocols and SUBPROTOCOL not in asked.subprotocols:
            raise Refused(f'the subprotocol is "{SUBPROTOCOL}" or none')
        chosen = SUBPROTOCOL if asked.subprotocols else None
        return websocket, websocket.send(events.AcceptConnection(subprotocol=chosen))
    except (wsproto.utilities.ProtocolError, h11.ProtocolError, ValueError) as error:
        raise Refused(f"this is no WebSocket handshake: {error}") from error


@implementer(IPushProducer)
class _Outflow:
    """Whether the browser takes what it is sent; stands before the producer of that."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._pong: Any = None  # owed since the browser read no more
        self.producer: Any = None
        self.full = False

    def answer(self, ping: Any) -> None:
        """Say the pong, or remember it; the last one is the answer to all pings before."""
        if self.full:
            self._pong = ping.response()
        else:
            self._websocket.say(ping.response())

    def pauseProducing(self) -> None:
        self.full = True
        if self.producer is not None:
            self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        self.full = False
        pong, self._pong = self._pong, None
        if pong is not None:
            self._websocket.say(pong)
        if self.producer is not None and not self.full:
            self.producer.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is closing."""
        if self.producer is not None:
            self.producer.stopProducing()


class WebSocket(ProtocolWrapper):
    """One browser's connection, once it was accepted."""

    factory: WebSocketFactory

    def makeConnection(self, transport: Any) -> None:
        self._websocket = self.factory.websocket
        self._outflow = _Outflow(self)
        self._cutting: Any = None
        super().makeConnection(transport)
        transport.registerProducer(self._outflow, True)

    def dataReceived(self, data: bytes) -> None:
        if self.disconnecting:
            return
        self._websocket.receive_data(data)
        for event in self._websocket.events():
            if self.disconnecting:
                return
            self._handle(event)

    def _handle(self, event: Any) -> None:
        if isinstance(event, events.BytesMessage):
            if event.data:
                self.wrappedProtocol.dataReceived(bytes(event.data))
        elif isinstance(event, events.Ping):
            self._outflow.answer(event)
        elif isinstance(event, events.CloseConnection):  # which also stands for a frame that is none
            self._close(event.code)
        elif isinstance(event, events.TextMessage):
            self._close(CloseReason.UNSUPPORTED_DATA)

    def say(self, event: Any) -> None:
        """Send a frame."""
        self.transport.write(self._websocket.send(event))

    def _close(self, code: int) -> None:
        """Close with this code, or answer the browser that does; whether it reads that or not."""
        if self._websocket.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            self.say(events.CloseConnection(code))
        self._cutting = self._cutting or self.factory.clock.callLater(
            LINGER_SECONDS, self.transport.abortConnection
        )
        self.transport.unregisterProducer()  # TLS would wait for that
        super().loseConnection()

    def connectionLost(self, reason: Any) -> None:
        if self._cutting is not None and self._cutting.active():
            self._cutting.cancel()
        super().connectionLost(reason)

    # the transport of what is inside

    def write(self, data: bytes) -> None:
        if self._websocket.state is ConnectionState.OPEN and data:
            self.say(events.BytesMessage(data=data))

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self._close(CloseReason.NORMAL_CLOSURE)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self._outflow.producer = producer
        if self._outflow.full:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._outflow.producer = None


class WebSocketFactory(WrappingFactory):
    """Makes the layer for a WebSocket that was accepted."""

    noisy = False
    protocol = WebSocket

    def __init__(self, wrappedFactory: Any, websocket: Any, clock: Any) -> None:
        super().__init__(wrappedFactory)
        self.websocket = websocket
        self.clock = clock
