# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A session that begins anew at a server without its client noticing.

So it goes where state cannot be carried (semi-seamless, switch-host), and when
a server has gone without a word. One that has gone but still takes links has
closed the session on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from spicemig.client.hosts import Address
from spicemig.errors import LinkError, ProtocolError
from spicemig.relay.channel import ChannelStage
from spicemig.relay.server import ServerConnection, dial, make_link

if TYPE_CHECKING:
    from spicemig.relay.pipe import ChannelKey, Pipe
    from spicemig.relay.session import RelayedSession

MAIN: ChannelKey = ("main", 0)
RETRY_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Target:
    """Where a session is invited to, and its links there."""

    address: Address
    version: int | None  # of the state to be carried; None: none is
    seamless: bool = False  # the target has agreed to take state
    connections: dict[ChannelKey, ServerConnection] = field(default_factory=dict)

    def parked_main(self) -> ServerConnection | None:
        """The main channel's link, if a session can begin anew on it; else the others are of no use."""
        if self.seamless or MAIN not in self.connections:  # one that takes state waits for that
            self.drop()
        return self.connections.pop(MAIN, None)

    def drop(self) -> None:
        """Close the links that were not used."""
        for connection in self.connections.values():
            connection.watch = None
            connection.close()
        self.connections.clear()


class Closed(ProtocolError):
    """The server does not want the session any more."""


class Renewal:
    """
    Brings a session to its target, or to whichever server of its route has the guest.

    ``silent`` is the server that has gone without a word. ``again``: it is not the
    first try, so it waits a moment. ``until`` is when it is given up.
    """

    def __init__(
        self,
        session: RelayedSession,
        target: Target | None,
        silent: Address | None,
        until: float,
        again: bool,
    ) -> None:
        self.session = session
        self.relay = session.relay
        self.target = target
        self.silent = silent
        self.until = until
        self.again = again

    async def run(self) -> Address:
        """Where the session is in the end; raises what has prevented it at last."""
        if self.silent is not None and await self._takes_links(self.silent):
            raise Closed(LinkError.ERROR, "the server has closed the session")
        if any(pipe.server.lost and not pipe.core.paused for pipe in self.session.pipes.values()):
            raise ProtocolError(LinkError.ERROR, "the server was lost in the middle of a message")
        error: Exception = ProtocolError(LinkError.ERROR, "no server has kept the session")
        while not self.again or self.relay.clock.seconds() + RETRY_SECONDS <= self.until:
            if self.again:
                await deferLater(self.relay.clock, RETRY_SECONDS, lambda: None)
            self.again = True
            try:
                return await self._try()
            except CancelledError:
                raise
            except Exception as failed:
                error = failed
        raise error

    async def _takes_links(self, address: Address) -> bool:
        try:
            connection = await self._dial(address, MAIN, hold_ticket=True)
        except CancelledError:
            raise
        except Exception:
            return False
        connection.close()
        return True

    async def _try(self) -> Address:
        """Renew all channels, the main channel first, which gives the session its id."""
        session, target = self.session, self.target
        for pipe in list(session.pipes.values()):
            if not pipe.core.renewable:
                session.channel_dropped(pipe)
            elif pipe.core.stage is not ChannelStage.RENEWING:  # at a server that was tried before
                pipe.leave_server()
        settings = self.relay.settings
        await session.when_paused().addTimeout(settings.handover_seconds, self.relay.clock)
        parked = None if target is None else target.parked_main()
        main = parked or await self._dial_any()
        session.server_id = 0
        began = session.expect_init()
        self._renew(main)
        if parked is not None and session.main is not None:
            session.main.go_over()
            session.pipes[MAIN].flush()
        await began.addTimeout(settings.link_seconds, self.relay.clock)
        for key in [key for key in session.pipes if key != MAIN]:
            await self._renew_channel(key, main.address)
        return main.address

    async def _renew_channel(self, key: ChannelKey, address: Address) -> None:
        target = self.target
        connection = None if target is None else target.connections.pop(key, None)
        if connection is None:
            try:
                connection = await self._dial(address, key)
            except ProtocolError as error:
                if error.code != LinkError.CHANNEL_NOT_AVAILABLE:
                    raise
                self.session.channel_dropped(self.session.pipes[key])
                return
        if key in self.session.pipes:
            self._renew(connection, key)
        else:
            connection.close()  # the client has closed it meanwhile

    def _renew(self, connection: ServerConnection, key: ChannelKey = MAIN) -> None:
        pipe: Pipe = self.session.pipes[key]
        connection.watch = None
        if connection.mini != pipe.core.mini:
            connection.close()
            raise ProtocolError(LinkError.INVALID_DATA, "the server has headers of another kind")
        pipe.renew(connection)

    async def _dial_any(self) -> ServerConnection:
        """The main channel at the target, or at the first server that has the guest."""
        error: Exception | None = None
        servers = self.session.route.candidates()
        if self.target is not None:
            servers = [self.target.address, *servers]
        for address in servers:
            try:
                return await self._dial(address, MAIN)
            except CancelledError:
                raise
            except Exception as failed:
                error = failed
        raise error or ProtocolError(LinkError.ERROR, "the route has no server")

    def _dial(
        self, address: Address, key: ChannelKey, *, hold_ticket: bool = False
    ) -> Deferred[ServerConnection]:
        session = self.session
        mini, caps = session.caps[key]
        connection_id = 0 if key == MAIN else session.server_id
        link = make_link(*key, connection_id, session.route.password, mini, caps, hold_ticket=hold_ticket)
        return dial(self.relay.network, self.relay.clock, address, link, self.relay.settings.link_seconds)
