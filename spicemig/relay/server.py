# SPDX-License-Identifier: LGPL-2.1-or-later
"""The relay's connection to a server, for one channel: the client's side of a link."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from spicemig.channels.link_client import COMMON_CAPS, LinkClient
from spicemig.client.hosts import Address, EndpointMaker
from spicemig.errors import LinkError, ProtocolError
from spicemig.relay.connection import RelayConnection
from spicemig.relay.routes import Caps, secure
from spicemig.relay.scan import number_and_size
from spicemig.wire.capabilities import CommonCap
from spicemig.wire.framing import HEADER_FULL, HEADER_MINI, frame
from spicemig.wire.messages import main

if TYPE_CHECKING:
    from spicemig.relay.pipe import Pipe

EARLY_BYTES = 1 << 16  # kept of what a server says before its channel is joined to a client

#: what a target may answer, and whether it agrees
SEAMLESS_ANSWERS = {main.MigrateDstSeamlessAck.number: True, main.MigrateDstSeamlessNack.number: False}


class ServerConnection(RelayConnection):
    """
    One channel's connection. Between its link and :meth:`join` little is read from it,
    so that a loss is seen. ``watch`` is called when a connection that is not joined is lost after its link.
    """

    def __init__(self, link: LinkClient, address: Address, clock: Any) -> None:
        self.link = link
        self.address = address
        self.clock = clock
        self.mini = True
        self.caps: Caps = (frozenset(), frozenset())
        self.watch: Any = None
        self.broken = False  # lost, and not because the server has closed it
        self._linked = False
        self._early = b""
        self._waiting: Deferred[Any] | None = None
        self._asking = False  # for the answer to DST_DO_SEAMLESS

    # the link

    def wait(self) -> Deferred[Any]:
        """Fires when the server has offered, accepted or answered, whatever is next."""
        self._waiting = Deferred(lambda _: self.abort())
        return self._waiting

    def _tell(self, value: Any) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(value)

    def _fail(self, reason: Failure) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.errback(reason)

    def connectionMade(self) -> None:
        super().connectionMade()
        self.write(self.link.data_to_send())

    def show_ticket(self) -> Deferred[Any]:
        """Fires when the server has accepted; for a link that is held."""
        self.link.show_ticket()
        waiting = self.wait()
        if self.lost:
            self._fail(Failure(LinkBroken("the server closed the connection during the link")))
        self.write(self.link.data_to_send())
        return waiting

    def hand_on(self, pipe: Pipe, data: bytes) -> None:
        pipe.server_said(data)

    def hear_link(self, data: bytes) -> None:
        if self._linked:
            self._keep(data)
            return
        try:
            for linked in self.link.receive(data):
                self._linked = True
                self.mini = linked.mini
                self.caps = linked.common_caps, linked.channel_caps
                self._early = bytes(linked.leftover)
        except ProtocolError as error:
            self._fail(Failure(error))
            self.abort()
            return
        self.write(self.link.data_to_send())
        if self._linked:
            self._tell(self)
        elif self.link.offered is not None:
            self._tell(self)

    # between link and channel

    def _keep(self, data: bytes) -> None:
        self._early += data
        if self._asking:
            self._look_for_answer()
        elif len(self._early) > EARLY_BYTES:
            self.transport.pauseProducing()

    def ask_seamless(self, version: int) -> Deferred[bool]:
        """Ask a target's main channel whether it takes state over from a source of this version."""
        waiting = self.wait()
        self._asking = True
        self.write(frame(main.MigrateDstDoSeamless(version), self.mini, 1))
        self._look_for_answer()
        return waiting

    def _look_for_answer(self) -> None:
        header = HEADER_MINI if self.mini else HEADER_FULL
        if len(self._early) < header.size:
            return
        number, size = number_and_size(self._early, 0, self.mini)
        if number not in SEAMLESS_ANSWERS or size:
            self._fail(
                Failure(ProtocolError(LinkError.INVALID_DATA, f"the target answers with message {number}"))
            )
            self.abort()
            return
        self._asking = False
        self._early = self._early[header.size :]
        self._tell(SEAMLESS_ANSWERS[number])

    def join(self, pipe: Pipe) -> bytes:
        super().join(pipe)
        early, self._early = self._early, b""
        return early

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        # spice-server does not say goodbye over TLS, so there it means nothing
        self.broken = bool(reason.check(ConnectionLost)) and not secure(self.address)
        if reason.check(ConnectionDone):
            reason = Failure(LinkBroken("the server closed the connection during the link"))
        self._fail(reason)
        if self.pipe is not None:
            self.pipe.server_lost(self)
        elif self._linked and self.watch is not None:
            self.watch()


class LinkBroken(ConnectionError):
    """The server closed the connection before it had said yes or no."""


class _ServerFactory(Factory):
    """Makes the one connection it was made for."""

    noisy = False

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    def buildProtocol(self, address: Any) -> ServerConnection:
        return self.connection


def dial(
    network: EndpointMaker,
    clock: Any,
    address: Address,
    link: LinkClient,
    seconds: float,
) -> Deferred[ServerConnection]:
    """
    Connect, and link as far as the link goes by itself; fires with the connection.

    Fails with ``ProtocolError`` if the server refuses, else as connections fail.
    """

    async def connect() -> ServerConnection:
        connection = ServerConnection(link, address, clock)
        waiting = connection.wait()
        try:
            await network(address, secure(address)).connect(_ServerFactory(connection))
            return await waiting
        except BaseException:
            connection.abort()
            raise

    return ensureDeferred(connect()).addTimeout(seconds, clock)


def make_link(
    channel: str,
    channel_id: int,
    connection_id: int,
    password: bytes,
    mini: bool,
    channel_caps: Iterable[int],
    *,
    hold_ticket: bool = False,
) -> LinkClient:
    """The client's side of a link that agrees on the same headers as the client behind us."""
    common = COMMON_CAPS if mini else COMMON_CAPS - {CommonCap.MINI_HEADER}
    return LinkClient(channel, channel_id, connection_id, password, common, channel_caps, hold_ticket)
