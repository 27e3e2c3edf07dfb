# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Twisted protocol around a client's link stage and channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from spicemig.channels.link_client import LinkClient, Linked
from spicemig.client.counters import Traffic
from spicemig.errors import ProtocolError

if TYPE_CHECKING:
    from spicemig.client.core import ClientChannel
    from spicemig.client.session import ViewerSession


class ChannelConnection(Protocol):
    """
    One connection of one channel: links, then waits unread until it is served.

    ``linked`` fires with this object once the ticket is accepted, or fails
    with the ``ProtocolError`` or connection failure that prevented it.
    """

    def __init__(
        self, session: ViewerSession, key: tuple[int, int], link: LinkClient, traffic: Traffic
    ) -> None:
        self.session = session
        self.key = key  # channel type and id
        self.link = link
        self.agreed: Linked | None = None  # once the ticket was accepted
        self.traffic = traffic
        self.core: ClientChannel | None = None
        self.linked: Deferred[ChannelConnection] = Deferred(lambda _: self.abort())
        self.closed: Deferred[None] = Deferred()
        self._early = b""

    @property
    def mini(self) -> bool:
        """Whether both sides know mini headers."""
        assert self.agreed is not None
        return self.agreed.mini

    @property
    def server_caps(self) -> frozenset[int]:
        """What the server can do on this channel."""
        assert self.agreed is not None
        return frozenset(self.agreed.channel_caps)

    def connectionMade(self) -> None:
        """Begin the link."""
        # Twisted 22.4 has unix sockets provide ITCPTransport
        if ITCPTransport.providedBy(self.transport) and not isinstance(self.transport.getPeer(), UNIXAddress):
            self.transport.setTcpNoDelay(True)
        self._write(self.link.data_to_send())

    def dataReceived(self, data: bytes) -> None:
        """Link, or hand on to the channel."""
        if self.core is not None:
            self.session.receive(self, data)
            self.flush()
        elif self.agreed is not None:
            self._early += data
        else:
            self._link(data)

    def _link(self, data: bytes) -> None:
        try:
            agreed = list(self.link.receive(data))
        except ProtocolError as error:
            self._fail(Failure(error))
            self.abort()
            return
        self._write(self.link.data_to_send())
        if agreed:
            self.agreed = agreed[0]
            self.traffic.linked = self.session.clock.seconds()
            self._early = bytes(self.agreed.leftover)
            self.park()
            self.linked.callback(self)

    def park(self) -> None:
        """Read nothing more until somebody serves this connection."""
        pause = getattr(self.transport, "pauseProducing", None)
        if pause is not None and self.transport.connected:
            pause()

    def serve(self, core: ClientChannel) -> None:
        """Hand everything from now on to this channel."""
        self.core = core
        self.flush()
        early, self._early = self._early, b""
        if early:
            self.session.receive(self, early)
        resume = getattr(self.transport, "resumeProducing", None)
        if resume is not None and self.transport.connected and self.core is core:
            resume()

    def flush(self) -> None:
        """Write what the channel has to say."""
        if self.core is not None:
            self._write(self.core.data_to_send())

    def abort(self) -> None:
        """Close now."""
        self.core = None
        if self.transport is not None:
            self.transport.abortConnection()

    def close(self) -> None:
        """Close after what was written."""
        self.core = None
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever cares."""
        self.traffic.closed = self.session.clock.seconds()
        if self.agreed is None:
            if reason.check(ConnectionDone):
                reason = Failure(LinkBroken("the server closed the connection during the link"))
            self._fail(reason)
        self.session.connection_lost(self, reason)
        self.closed.callback(None)

    def _fail(self, reason: Failure) -> None:
        if not self.linked.called:
            self.linked.errback(reason)

    def _write(self, buffers: list) -> None:
        if buffers:
            self.transport.write(b"".join(buffers))


class LinkBroken(ConnectionError):
    """The server closed the connection before it had said yes or no."""


class ChannelFactory(Factory):
    """Makes the one connection it was made for."""

    noisy = False

    def __init__(self, connection: ChannelConnection) -> None:
        self.connection = connection

    def buildProtocol(self, address: Any) -> ChannelConnection:
        """For Twisted."""
        self.connection.factory = self
        return self.connection
