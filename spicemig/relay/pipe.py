# SPDX-License-Identifier: LGPL-2.1-or-later
"""One channel's two connections, joined; each is read only as fast as the other takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from spicemig.errors import ProtocolError
from spicemig.relay.channel import ChannelRelay
from spicemig.relay.connection import RelayConnection, Valve
from spicemig.relay.server import ServerConnection

if TYPE_CHECKING:
    from spicemig.relay.session import RelayedSession

ChannelKey = tuple[str, int]


class Pipe:
    """
    Joins a client's connection and a server's through a :class:`ChannelRelay`.

    What the core has to tell goes to the session, after what it said has been written.
    """

    HELD = "the channel is between two servers"

    def __init__(
        self, session: RelayedSession, core: ChannelRelay, client: RelayConnection, server: ServerConnection
    ) -> None:
        self.session = session
        self.tally = session.relay.tally
        self.core = core
        self.client = client
        self.server = server
        self.from_client = Valve()
        self.from_server = Valve()
        self.gone = False

    @property
    def key(self) -> ChannelKey:
        """Channel and id."""
        return self.core.name, self.core.channel_id

    def open(self) -> None:
        """Begin, with what the server has said already."""
        self.client.transport.registerProducer(self.from_server, True)
        self.from_client.attach(self.client.transport)
        self._attach_server(self.server)

    def _attach_server(self, server: ServerConnection) -> None:
        self.server = server
        early = server.join(self)
        if server.lost:
            self.server_lost(server)
            return
        server.transport.registerProducer(self.from_client, True)
        self.from_server.attach(server.transport)
        if early:
            self.server_said(early)

    def client_said(self, data: bytes) -> None:
        """Bytes of the client."""
        if not self.gone:
            self.tally.from_client[self.core.name] += len(data)
            self._run(self.core.from_client, data)

    def server_said(self, data: bytes) -> None:
        """Bytes of the server."""
        if not self.gone:
            self.tally.from_server[self.core.name] += len(data)
            self._run(self.core.from_server, data)

    def _run(self, take: Callable[..., Any], *arguments: Any) -> None:
        try:
            events = list(take(*arguments))
        except ProtocolError as error:
            self.flush()
            self.session.broken(self, error)
            return
        self.flush()
        for event in events:
            self.session.handle(self, event)

    def flush(self) -> None:
        """Write what the core has to say."""
        core = self.core
        if core.to_client:
            said, core.to_client = core.to_client, []
            self.client.write(said)
        if core.to_server:
            said, core.to_server = core.to_server, []
            self.server.write(said)
        if core.client_held:
            self.from_client.hold(self.HELD)

    def swap(self, server: ServerConnection) -> ServerConnection:
        """Go on with another server; returns the one before, which is said nothing more."""
        self.flush()
        before = self.server
        before.pipe = None
        before.transport.unregisterProducer()
        self.from_client.release(Valve.SLOW)
        self.server = server
        self._run(self.core.swap)
        self._attach_server(server)
        if not self.core.client_held:
            self.from_client.release(self.HELD)
        return before

    def leave_server(self) -> None:
        """This server is of no use any more; see :meth:`ChannelRelay.leave`."""
        self.core.leave()
        self.flush()
        if self.core.paused:
            self.drop_server()

    def drop_server(self) -> None:
        """Close the server's connection, whose loss means nothing any more."""
        self.server.pipe = None
        self.server.close()
        self.from_client.release(Valve.SLOW)

    def renew(self, server: ServerConnection) -> None:
        """Go on with a server that knows nothing of the channel."""
        self.server = server
        self._run(self.core.renew, server.caps[1])
        self._attach_server(server)
        self.from_client.release(self.HELD)

    def client_lost(self) -> None:
        """The client's connection is gone."""
        self._end()
        self.server.close()
        self.session.channel_closed(self)

    def server_lost(self, server: ServerConnection) -> None:
        """A server's connection is gone."""
        if server is self.server and not self.gone:
            self.session.server_lost(self)

    def close(self) -> None:
        """End both connections, after what was written."""
        self._end()
        self.client.close()
        self.server.close()

    def leave_client(self) -> None:
        """End the server's connection, and leave it to the client to end its own."""
        self._end()
        self.client.close_later()
        self.server.close()

    def _end(self) -> None:
        self.gone = True
        self.core.lost()
