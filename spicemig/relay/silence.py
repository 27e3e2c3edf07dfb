# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Servers that fall silent while their connections stand: a host is frozen, a line is cut.

Nothing tells of those. So a server from which nothing has come for a while is
asked with a link, and what does not answer that either is taken as lost. All
servers are looked at together, by what their channels have counted anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from spicemig.client.hosts import Address
from spicemig.errors import ProtocolError
from spicemig.relay.handover import Stage
from spicemig.relay.main import OWN_CAPS
from spicemig.relay.renewal import MAIN
from spicemig.relay.server import ServerConnection, dial, make_link

if TYPE_CHECKING:
    from spicemig.relay.relay import Relay
    from spicemig.relay.session import RelayedSession

LOOKS = 4  # at a server in the time after which it counts as silent


@dataclass(slots=True)
class Server:
    """What a server's sessions had heard of it, and when; ``asked`` while it is asked whether it is there."""

    heard: dict[RelayedSession, tuple[int, int]]
    since: float
    asked: Deferred[Any] | None = None

    def spoke(self, heard: dict[RelayedSession, tuple[int, int]]) -> bool:
        """Whether any of these has heard something, or is new."""
        return any(self.heard.get(session) != each for session, each in heard.items())

    def forget(self) -> None:
        """Nobody wants to know any more."""
        if self.asked is not None:
            self.asked.cancel()


class Silence:
    """Looks at the servers of all sessions, as long as there are any."""

    log = Logger()

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self._servers: dict[Address, Server] = {}
        self._look_later: Any = None

    def begin(self) -> None:
        """There is a session."""
        seconds = self.relay.settings.silence_seconds
        if seconds and self._look_later is None:
            self._look_later = self.relay.clock.callLater(seconds / LOOKS, self._look)

    def end(self) -> None:
        """There is none any more."""
        if self._look_later is not None:
            self._look_later.cancel()
            self._look_later = None
        servers, self._servers = self._servers, {}
        for server in servers.values():
            server.forget()

    def _look(self) -> None:
        self._look_later = None
        self.begin()
        now = self.relay.clock.seconds()
        before, self._servers = self._servers, {}
        for address, heard in self._heard().items():
            server = before.pop(address, None)
            if server is None or (server.asked is None and server.spoke(heard)):
                server = Server(heard, now)
            self._servers[address] = server
        for server in before.values():
            server.forget()
        for address, server in list(self._servers.items()):
            if server.asked is None and now - server.since >= self.relay.settings.silence_seconds:
                self._ask(address, server)

    def _heard(self) -> dict[Address, dict[RelayedSession, tuple[int, int]]]:
        found: dict[Address, dict[RelayedSession, tuple[int, int]]] = {}
        for session in self.relay.sessions.values():
            if session.address is not None and session.stage is not Stage.RENEWING:
                found.setdefault(session.address, {})[session] = session.heard()
        return found

    def _ask(self, address: Address, server: Server) -> None:
        """Whether it offers a link; it is not shown a ticket, so that no session is made of it."""
        link = make_link(*MAIN, 0, b"", True, OWN_CAPS, hold_ticket=True)
        relay = self.relay
        server.asked = asked = dial(relay.network, relay.clock, address, link, relay.settings.link_seconds)
        asked.addCallbacks(ServerConnection.close, self._no_link, errbackArgs=(address, server))
        asked.addErrback(lambda failure: self.log.failure("asking {server}", failure, server=str(address)))
        asked.addCallback(lambda _: self._asked(server))

    def _asked(self, server: Server) -> None:
        server.asked = None
        server.since = self.relay.clock.seconds()

    def _no_link(self, failure: Failure, address: Address, server: Server) -> None:
        if failure.check(CancelledError, ProtocolError):
            return  # a refusal is an answer, too
        lost = [
            session
            for session, heard in self._heard().get(address, {}).items()
            if server.heard.get(session) == heard
        ]
        self.log.warn("{server} is silent: {count} clients are held", server=str(address), count=len(lost))
        for session in lost:
            session.server_silent()
