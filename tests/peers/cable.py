# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A line on loopback that can be cut, stalled and taken out.

It listens on an address of its own, on the same port as the server that it leads
to: so servers can name it to clients, and clients be led by it to the next one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

SERVERS, CABLES = "127.0.0.1", "127.0.0.2"
TO_SERVER, TO_CLIENT = "to the server", "to the client"


class Cable:
    """A line from 127.0.0.2 to a port of 127.0.0.1."""

    def __init__(self, reactor: Any, port: int) -> None:
        self.reactor = reactor
        self.port = port
        self.ends: set[End] = set()
        self.stalled: set[str] = set()
        self.passed = {TO_SERVER: 0, TO_CLIENT: 0}  # bytes
        self.taken = 0  # connections
        self.tears = False
        self._listening: Any = None

    async def up(self) -> Cable:
        """Take connections."""
        endpoint = TCP4ServerEndpoint(self.reactor, self.port, interface=CABLES)
        self._listening = await endpoint.listen(Factory.forProtocol(lambda: Near(self)))
        return self

    async def drop(self) -> None:
        """Refuse connections from now on; those that are open go on."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.stopListening()

    def cut(self) -> None:
        """Break all connections."""
        for end in list(self.ends):
            end.transport.abortConnection()

    def stall(self, *directions: str) -> None:
        """Connections stay, and new ones are taken, but nothing goes through, or not in this direction."""
        self.stalled.update(directions or (TO_SERVER, TO_CLIENT))
        self._look()

    def tear(self) -> None:
        """Half of what the server says next comes through, and then nothing; see ``stalled``."""
        self.tears = True

    def resume(self) -> None:
        """All that was held back goes through."""
        self.stalled.clear()
        self._look()

    def _look(self) -> None:
        for end in list(self.ends):
            end.look()

    async def end(self) -> None:
        """Be no more."""
        await self.drop()
        self.cut()


@implementer(IPushProducer)
class End(Protocol):
    """One of the two connections of a line; what it hears, the other one says."""

    transport: Any
    direction: str  # of what it hears

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        self.other: End | None = None
        self.full = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.cable.ends.add(self)
        self.look()

    def meet(self, other: End) -> None:
        """From now on this is the other end."""
        self.other = other
        self.transport.registerProducer(other, True)
        self.look()

    def look(self) -> None:
        """Read, or do not."""
        read = self.other is not None and not self.full and self.direction not in self.cable.stalled
        (self.transport.resumeProducing if read else self.transport.pauseProducing)()

    def pauseProducing(self) -> None:
        self.full = True
        self.look()

    def resumeProducing(self) -> None:
        self.full = False
        self.look()

    def stopProducing(self) -> None:
        """The other end has gone; its ``connectionLost`` follows."""

    def dataReceived(self, data: bytes) -> None:
        assert self.other is not None
        if self.cable.tears and self.direction == TO_CLIENT:
            self.cable.tears = False
            data = data[: len(data) // 2]
            self.cable.stall()
        self.cable.passed[self.direction] += len(data)
        self.other.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.cable.ends.discard(self)
        if self.other is not None:
            self.other.transport.unregisterProducer()
            self.other.transport.loseConnection()


class Near(End):
    """The client's side."""

    direction = TO_SERVER

    def connectionMade(self) -> None:
        super().connectionMade()
        self.cable.taken += 1
        endpoint = TCP4ClientEndpoint(self.cable.reactor, SERVERS, self.cable.port)
        connecting = endpoint.connect(Factory.forProtocol(lambda: Far(self.cable)))
        connecting.addCallbacks(self._connected, lambda _: self.transport.abortConnection())

    def _connected(self, far: Far) -> None:
        if self not in self.cable.ends:
            far.transport.abortConnection()
            return
        far.meet(self)
        self.meet(far)


class Far(End):
    """The server's side."""

    direction = TO_CLIENT
