# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A client's link that is under way, and the link to a server that it leads to.

What a server can do on a channel is not known before somebody has linked to it.
The first time the server is asked before the client has shown its ticket, and
told no more than it would be of any stranger; from then on only after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred

from spicemig.client.hosts import Address
from spicemig.errors import LinkError, ProtocolError
from spicemig.relay.channel import ChannelRelay
from spicemig.relay.main import OWN_CAPS, MainRelay
from spicemig.relay.pipe import ChannelKey, Pipe
from spicemig.relay.renewable import KINDS
from spicemig.relay.routes import Caps
from spicemig.relay.server import ServerConnection, dial, make_link
from spicemig.relay.session import MAIN, RelayedSession
from spicemig.wire.capabilities import CommonCap

if TYPE_CHECKING:
    from spicemig.channels.link import LinkRequest
    from spicemig.relay.client import ClientConnection
    from spicemig.relay.relay import Relay


class Candidate:
    """One link of a client that is under way: to which session and server it would belong."""

    def __init__(self, relay: Relay, request: LinkRequest, session: RelayedSession) -> None:
        self.relay = relay
        self.request = request
        self.session = session
        self.key: ChannelKey = (request.channel, request.channel_id)
        self._connection: ServerConnection | None = None  # that holds its ticket
        self._told: Caps | None = None
        self._linked: ServerConnection | None = None

    @property
    def new(self) -> bool:
        """Whether it would begin its session."""
        return self.key == MAIN

    def _servers(self) -> list[Address]:
        session = self.session
        if self.new:
            return session.route.candidates()
        assert session.address is not None
        return [session.address]

    async def offer(self) -> Caps:
        """What the client can be told that the server can do; fails as :func:`dial` does."""
        found: Caps | None = None
        error: Exception | None = None
        for address in self._servers():
            try:
                found = await self._offer_of(address)
            except CancelledError:
                raise
            except Exception as failed:
                error = failed
            else:
                if found[1] or not self.new:
                    break
                # A main channel without capabilities: a server without a guest, which it says later.
        if found is None:
            raise error or ProtocolError(LinkError.ERROR, "the route has no server")
        self._told = _offered(found)
        return self._told

    async def _offer_of(self, address: Address) -> Caps:
        offers, place = self.session.route.offers, (address, self.request.channel)
        if place not in offers:
            if self._connection is not None:
                self._connection.close()
            self._connection = await self._dial(address, hold_ticket=True)
            offered = self._connection.link.offered
            assert offered is not None
            if self.new and not offered[1]:
                return offered
            offers[place] = offered
        return offers[place]

    async def link(self) -> None:
        """The client has shown its ticket: link to the server, which raises the reason if it is not to be."""
        session = self.session
        if not self.new:
            await session.when_settled()
            if session.closed:
                raise ProtocolError(LinkError.BAD_CONNECTION_ID, "its session is over")
        session.link_begins(self.key)
        try:
            await self._link_to_any()
        except BaseException:
            session.link_ends(self.key)
            raise

    async def _link_to_any(self) -> None:
        error: Exception | None = None
        for address in self._servers():
            try:
                self._linked = await self._link_to(address)
            except CancelledError:
                raise
            except Exception as failed:
                error = failed
            else:
                if self.new:
                    self.session.route.moved(address)
                return
        raise error or ProtocolError(LinkError.ERROR, "the route has no server")

    async def _link_to(self, address: Address) -> ServerConnection:
        held, self._connection = self._connection, None
        if held is not None and held.address == address and not held.lost:
            connection = held
            await connection.show_ticket().addTimeout(self.relay.settings.link_seconds, self.relay.clock)
        else:
            if held is not None:
                held.close()
            connection = await self._dial(address)
        offer = connection.caps
        self.session.route.offers[address, self.request.channel] = offer
        if _offered(offer) != self._told:
            connection.close()
            raise ProtocolError(
                LinkError.ERROR, f"{address} offers something else than what the client was told"
            )
        return connection

    def _dial(self, address: Address, *, hold_ticket: bool = False) -> Deferred[ServerConnection]:
        request = self.request
        link = make_link(
            request.channel,
            request.channel_id,
            self.session.server_id,
            self.session.route.password,
            request.mini,
            self._caps(),
            hold_ticket=hold_ticket,
        )
        return dial(self.relay.network, self.relay.clock, address, link, self.relay.settings.link_seconds)

    def _caps(self) -> frozenset[int]:
        caps = self.request.channel_caps
        return caps | OWN_CAPS if self.new else caps

    def join(self, client: ClientConnection) -> None:
        """Both links are through: make them one channel."""
        server, self._linked = self._linked, None
        assert server is not None
        session, request = self.session, self.request
        core: ChannelRelay
        if self.new:
            core = session.main = MainRelay(server.mini, session.connection_id, request.channel_caps)
            self.relay.session_opened(session)
        else:
            kind = KINDS.get(request.channel, ChannelRelay)
            core = kind(request.channel, request.channel_id, server.mini)
        if session.closed or self.key in session.pipes:
            server.close()
            client.close()
        else:
            session.caps[self.key] = (server.mini, self._caps())
            pipe = Pipe(session, core, client, server)
            client.join(pipe)
            session.joined(pipe)
        session.link_ends(self.key)

    def drop(self) -> None:
        """The client is gone."""
        for connection in (self._connection, self._linked):
            if connection is not None:
                connection.close()
        if self._linked is not None:
            self.session.link_ends(self.key)


def _offered(caps: Caps) -> Caps:
    """What a client is told: the relay does the authentication, and knows no other kind than tickets."""
    common, own = caps
    ours = {CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE}
    return frozenset(ours | (common & {CommonCap.MINI_HEADER})), own
