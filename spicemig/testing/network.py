# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A network in memory: connections whose bytes travel when a fake clock moves.

It stands in for :class:`spicemig.client.hosts.Network`, keeps the rules of real
transports (nothing arrives inside ``write``; a paused reader is given nothing; a
closed side still delivers what it had written), and can be cut or stalled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IConsumer, IPushProducer, IStreamClientEndpoint, ITransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

ROUNDING_SECONDS = 1e-9  # of sums of times
SEGMENT_BYTES = 1448  # carried at a time where a line is slow
HIGH_WATER_BYTES = 65536  # unread bytes at which a producer is paused


@implementer(ITransport, IConsumer, IPushProducer)
class MemoryTransport:
    """One end of a connection."""

    def __init__(self, network: MemoryNetwork, here: IPv4Address, there: IPv4Address) -> None:
        self.network = network
        self.here = here
        self.there = there
        self.protocol: Any = None
        self.other: MemoryTransport
        self.connected = True
        self.disconnecting = False
        self.reading = True
        self._under_way: deque[tuple[float, bytes]] = deque()  # when it arrives, and what
        self._other_closed: Failure | None = None
        self._closed_here = False
        self._producer: Any = None
        self._producer_paused = False

    # ITransport

    def write(self, data: bytes) -> None:
        """Send bytes to the other end."""
        if self.connected and not self.disconnecting and data:
            for at, piece in self.network.carry(self.here.host, bytes(data)):
                self.other._under_way.append((at, piece))
                self.network.schedule(self.other, at)
            self._press()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send these."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close after what was written, as soon as no producer has more."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._close(ConnectionDone(), ConnectionDone())

    def abortConnection(self) -> None:
        """Close at once; what was written may be lost."""
        if self.connected:
            self.other._under_way.clear()
            self._close(ConnectionAborted(), ConnectionLost())

    def getPeer(self) -> IPv4Address:
        """The other end's address."""
        return self.there

    def getHost(self) -> IPv4Address:
        """This end's address."""
        return self.here

    # what TLS, laid over it, takes it to have

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing is delayed here."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing dies unnoticed here."""

    # IConsumer and IPushProducer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause it when the other end reads too slowly."""
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Forget it."""
        self._producer = None

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        self.reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        self.reading = True
        self.network.schedule(self)

    def stopProducing(self) -> None:
        """For the interface."""
        self.loseConnection()

    # the network's part

    def deliver(self) -> None:
        """Hand over what has arrived."""
        if self.network.stalled & {self.here.host, self.there.host} and not self._closed_here:
            return
        if self.connected and self.reading and self._under_way and self.network.watcher is not None:
            self.network.watcher(self)
        now = self.network.clock.seconds() + ROUNDING_SECONDS
        if self.connected and self.reading and self._under_way and self._under_way[0][0] <= now:
            data = b""
            while self._under_way and self._under_way[0][0] <= now:
                data += self._under_way.popleft()[1]
            self.other._press()
            self.protocol.dataReceived(data)
        if self.connected and self._other_closed is not None and not self._under_way:
            self.connected = False
            self.protocol.connectionLost(self._other_closed)

    @property
    def unread_bytes(self) -> int:
        """How much is on its way to this end, or waits there."""
        return sum(len(data) for _at, data in self._under_way)

    def lose(self, keep: int = 0) -> None:
        """What is on its way to this end is lost, but for the first bytes."""
        data = b"".join(piece for _at, piece in self._under_way)[:keep]
        self._under_way.clear()
        if data:
            self._under_way.append((self.network.clock.seconds(), data))

    def _press(self) -> None:
        """Pause or resume the producer by what the other end has not read."""
        full = self.other.unread_bytes >= HIGH_WATER_BYTES
        if self._producer is not None and full != self._producer_paused:
            self._producer_paused = full
            (self._producer.pauseProducing if full else self._producer.resumeProducing)()

    def _close(self, here: Exception, there: Exception) -> None:
        self.other._other_closed = self.other._other_closed or Failure(there)
        self.network.schedule(self.other)
        self._other_closed = Failure(here)
        self._closed_here = True
        self._under_way.clear()
        self.network.schedule(self)


class MemoryNetwork:
    """
    Hosts that can be reached by name and port, and the connections between them.

    ``latency_seconds`` is the time from one end to the other; all that a host says
    shares its ``bytes_per_second``, if these are given. Call it with an
    :class:`spicemig.client.hosts.Address` for an endpoint.
    """

    def __init__(
        self, clock: Clock, latency_seconds: float = 0.0, bytes_per_second: float | None = None
    ) -> None:
        self.clock = clock
        self.latency_seconds = latency_seconds
        self.bytes_per_second = bytes_per_second
        self._free_at: dict[str, float] = {}  # when a host's line has carried all it was given
        self.unreachable: set[str] = set()
        self.stalled: set[str] = set()
        self.watcher: Callable[[MemoryTransport], None] | None = None  # told before something is delivered
        self._listening: dict[tuple[str, int], Factory] = {}
        self._transports: list[MemoryTransport] = []
        self._next_port = 40000

    def listen(self, host: str, port: int, factory: Factory) -> None:
        """Take connections."""
        self._listening[host, port] = factory
        factory.doStart()

    def __call__(self, address: Any, secure: bool = False) -> IStreamClientEndpoint:
        port = address.tls_port if secure else address.port
        return self.endpoint(address.host, port)

    def endpoint(self, host: str, port: int) -> IStreamClientEndpoint:
        """The way to a host and port."""
        return MemoryEndpoint(self, host, port)

    def connections(self, host: str) -> list[MemoryTransport]:
        """The open ends at a host."""
        return [end for end in self._transports if end.connected and end.here.host == host]

    def cut(self, host: str) -> None:
        """A host falls silent for ever: its connections break, and nobody reaches it."""
        self.unreachable.add(host)
        for end in self.connections(host):
            end.abortConnection()

    def stall(self, host: str) -> None:
        """Nothing that a host says or is told arrives any more, and nobody hears of it."""
        self.stalled.add(host)

    def resume(self, host: str) -> None:
        """All that was said meanwhile arrives."""
        self.stalled.discard(host)
        for end in self._transports:
            if end.connected:
                self.schedule(end)

    def carry(self, host: str, data: bytes) -> Iterator[tuple[float, bytes]]:
        """When what a host says arrives, piece by piece."""
        now = self.clock.seconds()
        if self.bytes_per_second is None:
            yield now + self.latency_seconds, data
            return
        for start in range(0, len(data), SEGMENT_BYTES):
            piece = data[start : start + SEGMENT_BYTES]
            begins = max(now, self._free_at.get(host, 0.0))
            self._free_at[host] = begins + len(piece) / self.bytes_per_second
            yield self._free_at[host] + self.latency_seconds, piece

    def schedule(self, end: MemoryTransport, at: float | None = None) -> None:
        """Let an end look for what arrived: at a time, or after the latency."""
        now = self.clock.seconds()
        self.clock.callLater(self.latency_seconds if at is None else at - now, end.deliver)

    def settle(self, seconds: float = 0.0, step: float = 0.001) -> None:
        """Let time pass, and then let everything arrive that is under way."""
        for _ in range(max(1, round(seconds / step))):
            self.clock.advance(step if seconds else 0)
            while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
                self.clock.advance(0)

    def join(self, host: str, port: int, factory: Factory) -> Protocol:
        """Connect a client's factory; raises ``ConnectionRefusedError``."""
        server = self._listening.get((host, port))
        if server is None or host in self.unreachable:
            raise ConnectionRefusedError()
        self._next_port += 1
        near, far = IPv4Address("TCP", "client", self._next_port), IPv4Address("TCP", host, port)
        accepted = server.buildProtocol(near)
        if accepted is None:
            raise ConnectionRefusedError()
        asked = factory.buildProtocol(far)
        ours, theirs = MemoryTransport(self, near, far), MemoryTransport(self, far, near)
        ours.other, theirs.other = theirs, ours
        ours.protocol, theirs.protocol = asked, accepted
        self._transports += [ours, theirs]
        accepted.makeConnection(theirs)
        asked.makeConnection(ours)
        return asked


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """One address of a :class:`MemoryNetwork`."""

    def __init__(self, network: MemoryNetwork, host: str, port: int) -> None:
        self.network = network
        self.host = host
        self.port = port

    def connect(self, protocolFactory: Factory) -> Deferred:
        """Connect; fails as a real one does if nobody listens."""
        try:
            return succeed(self.network.join(self.host, self.port, protocolFactory))
        except ConnectionRefusedError as error:
            return fail(error)
