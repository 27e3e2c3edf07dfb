# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the connections on both sides of the relay share: how they are set up, held back and closed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from spicemig.relay.bulk import Bulk, bulk

if TYPE_CHECKING:
    from spicemig.relay.pipe import Pipe

LINGER_SECONDS = 5.0  # for a peer to read what it is told before the connection is cut

# A peer that cannot be reached is given up after this time, whether there is something to say to it or not.
GONE_SECONDS = 45
KEEPALIVE_IDLE_SECONDS = 20  # before its host is asked
KEEPALIVE_INTERVAL_SECONDS = 5  # between two questions

#: options of TCP, by name: not every system has them
TCP_OPTIONS = {
    "TCP_KEEPIDLE": KEEPALIVE_IDLE_SECONDS,
    "TCP_KEEPINTVL": KEEPALIVE_INTERVAL_SECONDS,
    "TCP_KEEPCNT": (GONE_SECONDS - KEEPALIVE_IDLE_SECONDS) // KEEPALIVE_INTERVAL_SECONDS,
    "TCP_USER_TIMEOUT": GONE_SECONDS * 1000,
}


def set_tcp_options(transport: Any) -> None:
    """Send at once what is written, and notice in time that nobody is there any more."""
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    connection = getattr(transport, "socket", None)  # under TLS, too
    if connection is not None:
        for name, value in TCP_OPTIONS.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


@implementer(IPushProducer)
class Valve:
    """
    Reads from one connection at a time, unless there is a reason not to.

    It is the producer of what is written on the other side.
    """

    SLOW = "the other side takes no more"

    def __init__(self) -> None:
        self.transport: Any = None
        self.reasons: set[str] = set()

    def attach(self, transport: Any) -> None:
        """From now on this is the connection."""
        self.transport = transport
        if self.reasons:
            transport.pauseProducing()
        else:
            transport.resumeProducing()

    def hold(self, reason: str) -> None:
        """Read nothing for now."""
        if not self.reasons:
            self.transport.pauseProducing()
        self.reasons.add(reason)

    def release(self, reason: str) -> None:
        """This is no reason any more."""
        if reason in self.reasons:
            self.reasons.discard(reason)
            if not self.reasons:
                self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        self.hold(self.SLOW)

    def resumeProducing(self) -> None:
        self.release(self.SLOW)

    def stopProducing(self) -> None:
        """The other side is closing; its ``connectionLost`` follows."""


class RelayConnection(Protocol):
    """One connection, to a client or to a server."""

    transport: Any
    clock: Any
    lost = False
    pipe: Pipe | None = None  # what everything is for, once the link is through
    _cutting: Any = None
    _bulk: Bulk | None = None
    _when_lost: Deferred[None] | None = None

    def connectionMade(self) -> None:
        # a unix socket's transport claims to be TCP in Twisted 22.4
        local = isinstance(self.transport.getPeer(), UNIXAddress)
        if ITCPTransport.providedBy(self.transport) and not local:
            set_tcp_options(self.transport)

    def join(self, pipe: Pipe) -> bytes:
        """The link is through: hand everything to this pipe from now on; returns what came before."""
        self.pipe = pipe
        self._bulk = bulk(self.transport, self._hand_on, self.clock)
        return b""

    def dataReceived(self, data: bytes) -> None:
        if self._bulk is not None:
            self._bulk.received(data)
        else:
            self.hear_link(data)

    def hear_link(self, data: bytes) -> None:
        """Hook: bytes that come before a pipe is joined."""

    def hand_on(self, pipe: Pipe, data: bytes) -> None:
        """Hook: bytes for the pipe."""

    def _hand_on(self, data: bytes) -> None:
        if self.pipe is not None:  # else nobody wants to know any more
            self.hand_on(self.pipe, data)

    @property
    def unsent_bytes(self) -> int:
        """What was written and the kernel has not taken: how many bytes, as they go over the line."""
        # Twisted has no word for it; TLS and doors pass the question on to the transport with the socket
        transport = self.transport
        whole, sent = len(getattr(transport, "dataBuffer", b"")), getattr(transport, "offset", 0)
        return whole - sent + getattr(transport, "_tempDataLen", 0)

    def write(self, buffers: list[Any]) -> None:
        """Send these."""
        if buffers and not self.lost:
            (self._bulk or self.transport).write(b"".join(buffers))

    def close(self) -> None:
        """Close after what was written, or soon even if it is not read."""
        if self.close_later():
            self.transport.loseConnection()

    def close_later(self) -> bool:
        """Leave it to the peer to close, but not for long; whether that is still to be."""
        if self.lost or self._cutting is not None or self.transport is None:
            return False
        self._cutting = self.clock.callLater(LINGER_SECONDS, self.transport.abortConnection)
        self.transport.unregisterProducer()  # TLS would wait for that
        self.transport.resumeProducing()  # to see it close
        return True

    def abort(self) -> None:
        """Close now."""
        if not self.lost and self.transport is not None:
            self.transport.abortConnection()

    def when_lost(self) -> Deferred[None]:
        """Fires, for whoever asks first, when the connection is gone."""
        self._when_lost = Deferred()
        if self.lost:
            self._when_lost.callback(None)
        return self._when_lost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        if self._when_lost is not None and not self._when_lost.called:
            self._when_lost.callback(None)
        if self._cutting is not None and self._cutting.active():
            self._cutting.cancel()
