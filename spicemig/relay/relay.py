# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The relay: its clients, and where they are brought to.

A client's tickets end here, and the relay's own begin; a client never learns
where its server is.
"""

from __future__ import annotations

import secrets
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from spicemig.channels.keys import KeyPool
from spicemig.channels.limits import AUTHENTICATION_SECONDS, LinkCounter, LinkLimits
from spicemig.channels.link import ANY_WAY, LinkPolicy, LinkRequest
from spicemig.channels.tickets import Ticket
from spicemig.client.hosts import EndpointMaker
from spicemig.errors import LinkError, ProtocolError
from spicemig.relay.candidate import Candidate
from spicemig.relay.handover import Stage
from spicemig.relay.routes import Routes
from spicemig.relay.session import MAIN, RelayedSession
from spicemig.relay.silence import Silence
from spicemig.relay.tally import RelayTally
from spicemig.wire.declare import CHANNEL_TYPES
from spicemig.wire.messages import main

if TYPE_CHECKING:
    from spicemig.relay.client import ClientConnection

CHANNELS = frozenset(CHANNEL_TYPES) - {"migration"}  # that are passed on
GOODBYE_SECONDS = 2.0  # for clients to go when they are told to come again


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """What an operator may decide; made by ``daemons.relay_config``."""

    max_clients: int = 1000
    link_seconds: float = 5.0  # for a link to a server
    handover_seconds: float = 10.0  # for all links to a target, and for all channels to leave a source
    hold_seconds: float = 30.0  # for a server to come that takes a client whose server has gone
    silence_seconds: float = 20.0  # before a server is asked whether it is there; 0: it never is


DEFAULT_SETTINGS = RelaySettings()


class Relay:
    """
    All clients of this relay.

    ``network`` makes endpoints to servers. ``ticket`` is None where no ticket is asked for.
    """

    log = Logger()
    channels = tuple(name for name in CHANNEL_TYPES if name in CHANNELS)

    def __init__(
        self,
        routes: Routes,
        network: EndpointMaker,
        keys: KeyPool,
        clock: Any,
        settings: RelaySettings = DEFAULT_SETTINGS,
        ticket: Ticket | None = None,
        policy: LinkPolicy = ANY_WAY,
    ) -> None:
        self.routes = routes
        self.network = network
        self.keys = keys
        self.clock = clock
        self.ticket = ticket
        self.policy = policy
        self.counter = LinkCounter(LinkLimits())
        self.sessions: dict[int, RelayedSession] = {}
        self.tally = RelayTally()
        self.silence = Silence(self)
        self.take(settings)

    def take(self, settings: RelaySettings) -> None:
        """Go by these from now on."""
        self.settings = settings
        # a link that goes on to a server takes as long as that, too
        seconds = AUTHENTICATION_SECONDS + 2 * settings.link_seconds
        self.counter.limits = LinkLimits(authentication_seconds=seconds)
        self.silence.end()
        if self.sessions:
            self.silence.begin()

    def authenticate(self, password: bytes, now: float) -> bool:
        """Whether the password opens the relay."""
        return self.ticket is None or self.ticket.check(password, now)

    def candidate(self, request: LinkRequest, keys: Iterable[str]) -> Candidate:
        """What a link that is asked for would belong to; raises ``ProtocolError``."""
        if request.channel not in CHANNELS:
            raise ProtocolError(LinkError.CHANNEL_NOT_AVAILABLE, f"{request.channel} is not passed on")
        if request.connection_id:
            return Candidate(self, request, self._known(request))
        if (request.channel, request.channel_id) != MAIN:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "the main channel comes first")
        route = self.routes.find(*keys)
        if route is None:
            raise ProtocolError(LinkError.ERROR, "there is no route from here")
        self._check_room()
        return Candidate(self, request, RelayedSession(self, route, self._new_id(), request.address))

    def _known(self, request: LinkRequest) -> RelayedSession:
        session = self.sessions.get(request.connection_id)
        key = request.channel, request.channel_id
        if session is None or session.closed or key == MAIN:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "no client has this connection id")
        if key in session.pipes or key in session.links_under_way:
            raise ProtocolError(LinkError.ERROR, f"channel {request.channel} is linked already")
        return session

    def _check_room(self) -> None:
        if len(self.sessions) >= self.settings.max_clients:
            raise ProtocolError(LinkError.ERROR, f"{len(self.sessions)} clients, the limit of this relay")

    def _new_id(self) -> int:
        while True:
            connection_id = secrets.randbits(32)
            if connection_id and connection_id not in self.sessions:
                return connection_id

    def session_opened(self, session: RelayedSession) -> None:
        """A client's main channel is linked."""
        self.sessions[session.connection_id] = session
        self.silence.begin()
        self.log.info("client {client}: connected", client=session.peer)

    def session_closed(self, session: RelayedSession) -> None:
        """A client is gone."""
        if self.sessions.get(session.connection_id) is session:
            del self.sessions[session.connection_id]
            if not self.sessions:
                self.silence.end()
            self.log.info("client {client}: gone", client=session.peer)

    def sessions_by_stage(self) -> dict[str, int]:
        """How many clients are on their way from one server to another, or are not, by the stage's name."""
        counts: dict[Stage, int] = {stage: 0 for stage in Stage if stage is not Stage.LOST}
        for session in self.sessions.values():
            counts[session.stage] += 1
        return {stage.value: count for stage, count in counts.items()}

    def send_again(self, ports: Container[int]) -> Deferred[Any]:
        """
        Have the clients that came by these ports connect again.

        Fires when they are gone, or soon if they do not go.
        """
        going = []
        for session in list(self.sessions.values()):
            clients = [pipe.client for pipe in session.pipes.values()]
            if any(getattr(client.transport.getHost(), "port", None) in ports for client in clients):
                going += [client.when_lost() for client in clients]
                session.send_again()
        return DeferredList(going, consumeErrors=True).addTimeout(
            GOODBYE_SECONDS, self.clock, lambda result, timeout: None
        )

    def close(self) -> None:
        """End all sessions."""
        for session in list(self.sessions.values()):
            session.close()

    def destination(self, client: ClientConnection) -> Any:
        """The message that sends a client to this relay again; None if no address means anything to it."""
        here = client.transport.getHost()
        if isinstance(here, UNIXAddress):
            return None
        host, number = client.named or (here.host, here.port)
        port, sport = (0, number) if client.by_tls else (number, 0)
        return main.MigrateSwitchHost(port, sport, host.encode())
