# SPDX-License-Identifier: LGPL-2.1-or-later
"""How clients of ours come through a door: over WebSocket, and by HTTP CONNECT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from spicemig.channels import websocket

if websocket.wsproto is not None:
    import wsproto
    from wsproto import events


class Speaker(ProtocolWrapper):
    """A client's connection over WebSocket; ``piece`` is how large its messages are."""

    piece = 7

    def makeConnection(self, transport: Any) -> None:
        self.websocket = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.unsent: list[bytes] = []
        self.events: list[Any] = []
        super().makeConnection(transport)
        asked = events.Request(host="relay", target="/", subprotocols=["binary"])
        self.transport.write(self.websocket.send(asked))

    def dataReceived(self, data: bytes) -> None:
        self.websocket.receive_data(data)
        for event in self.websocket.events():
            self.events.append(event)
            if isinstance(event, events.AcceptConnection):
                waiting, self.unsent = self.unsent, []
                self.write(b"".join(waiting))
            elif isinstance(event, events.BytesMessage):
                self.wrappedProtocol.dataReceived(bytes(event.data))

    def write(self, data: bytes) -> None:
        if self.websocket.state is not wsproto.connection.ConnectionState.OPEN:
            self.unsent.append(data)
            return
        for start in range(0, len(data), self.piece):
            message = events.BytesMessage(data=data[start : start + self.piece])
            self.transport.write(self.websocket.send(message))


class SpeakerFactory(WrappingFactory):
    """For one client's connection."""

    noisy = False
    protocol = Speaker


class Tunneller(ProtocolWrapper):
    """A client's connection that goes on after CONNECT; ``answer`` is what it was told."""

    def makeConnection(self, transport: Any) -> None:
        self.answer = b""
        self.unsent: list[bytes] | None = []
        super().makeConnection(transport)
        self.transport.write(
            b"CONNECT %s HTTP/1.0\r\nProxy-Authorization: Basic eDp5\r\n\r\n" % self.factory.to
        )

    def dataReceived(self, data: bytes) -> None:
        if self.unsent is None:
            self.wrappedProtocol.dataReceived(data)
            return
        self.answer += data
        head, end, rest = self.answer.partition(b"\r\n\r\n")
        if end and head.split()[1] == b"200":
            unsent, self.unsent = self.unsent, None
            self.transport.writeSequence(unsent)
            if rest:
                self.wrappedProtocol.dataReceived(rest)

    def write(self, data: bytes) -> None:
        if self.unsent is None:
            self.transport.write(data)
        else:
            self.unsent.append(data)

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))


class TunnellerFactory(WrappingFactory):
    """For connections that name a HOST:PORT; ``last`` is the newest of them."""

    noisy = False
    protocol = Tunneller

    def __init__(self, wrappedFactory: Any, to: str) -> None:
        super().__init__(wrappedFactory)
        self.to = to.encode()

    def buildProtocol(self, addr: Any) -> Any:
        made = super().buildProtocol(addr)
        self.last = made
        return made


class DoorNetwork:
    """
    A network on which all connections are made in one way.

    ``layers`` are functions from the factory of what is inside to that of what is
    outside, the innermost first: :class:`SpeakerFactory`, or one that makes TLS.
    """

    def __init__(self, network: Any, *layers: Callable[[Any], Any]) -> None:
        self.network = network
        self.layers = layers

    def __call__(self, address: Any, secure: bool = False) -> _Endpoint:
        return _Endpoint(self.network(address, secure), self.layers)


class _Endpoint:
    """One connection of it."""

    def __init__(self, endpoint: Any, layers: tuple[Callable[[Any], Any], ...]) -> None:
        self.endpoint = endpoint
        self.layers = layers

    def connect(self, factory: Factory) -> Any:
        """Connect as an endpoint does."""
        outside: Any = factory
        for layer in self.layers:
            outside = layer(outside)
        return self.endpoint.connect(outside)
