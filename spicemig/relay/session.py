# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One client over all its channels, on the server that has its guest, and on the
way to the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from spicemig.client.hosts import Address
from spicemig.errors import LinkError, ProtocolError
from spicemig.relay.channel import ChannelStage, Leaves, Left, Paused
from spicemig.relay.handover import TRANSITIONS, Input, Stage
from spicemig.relay.main import (
    InvitationCancelled,
    Invited,
    MainRelay,
    SentElsewhere,
    SentOver,
    SessionBegan,
)
from spicemig.relay.pipe import ChannelKey, Pipe
from spicemig.relay.renewal import MAIN, Closed, Renewal, Target
from spicemig.relay.routes import Route, secure
from spicemig.relay.server import ServerConnection, dial, make_link
from spicemig.wire.capabilities import MainCap
from spicemig.wire.messages import main

if TYPE_CHECKING:
    from spicemig.relay.relay import Relay


PAUSED = (Stage.HURRIED, Stage.SWITCHING, Stage.RENEWING)  # the client waits for the next server
ORPHAN_SECONDS = 1.0  # for a server to lose its main channel after another one, if it is gone
BREAKS_APART_SECONDS = 60.0  # between two connections that are taken for broken, not closed


class RelayedSession:
    """
    One client. It exists from its main channel's link on.

    ``connection_id`` is the client's, ``server_id`` what its server calls it.
    """

    log = Logger()

    def __init__(self, relay: Relay, route: Route, connection_id: int, peer: str) -> None:
        self.relay = relay
        self.route = route
        self.connection_id = connection_id
        self.server_id = 0
        self.peer = peer
        self.address: Address | None = None  # its server
        self.stage = Stage.SETTLED
        self.pipes: dict[ChannelKey, Pipe] = {}
        self.main: MainRelay | None = None
        self.links_under_way: set[ChannelKey] = set()
        self.caps: dict[
            ChannelKey, tuple[bool, frozenset[int]]
        ] = {}  # the client's, with mini headers or not
        self.handovers = 0
        self.failures = 0  # of linking to a target
        self.renewals = 0
        self.connected_at = relay.clock.seconds()
        self._paused_at = 0.0
        self._target: Target | None = None
        self._invited_to: Address | None = None  # even if it cannot be linked to
        self._linking: Deferred[None] | None = None
        self._left: list[ServerConnection] = []  # connections to the source, until all channels are over
        self._deadline: Any = None
        self._renewing: Deferred[Any] | None = None
        self._hold_until: float | None = None
        self._renewed_at: float | None = None
        self._silent: Address | None = None  # the server that has gone without a word
        self._init: Deferred[None] | None = None
        self._waiting_paused: list[Deferred[None]] = []
        self._waiting_settled: list[Deferred[None]] = []
        self._waiting_links: list[Deferred[None]] = []

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self.stage is Stage.LOST

    @property
    def target(self) -> Target | None:
        """The server that it is invited to, or on the way to."""
        return self._target

    def next_deadline(self) -> float | None:
        """When it gives up what it is in the middle of, in seconds of the clock; None if it settled."""
        if self._deadline is not None and self._deadline.active():
            return self._deadline.getTime()
        return self._hold_until

    # channels

    def joined(self, pipe: Pipe) -> None:
        """A channel is linked on both sides."""
        self.pipes[pipe.key] = pipe
        self.address = pipe.server.address
        pipe.open()

    def channel_closed(self, pipe: Pipe) -> None:
        """The client has closed a channel; without its main channel it is gone whole."""
        if self.pipes.get(pipe.key) is not pipe:
            return
        del self.pipes[pipe.key]
        if self._target is not None:
            connection = self._target.connections.pop(pipe.key, None)
            if connection is not None:
                connection.close()
        if pipe.key == MAIN:
            self.close()
        elif self.stage is Stage.SWITCHING:
            self._look_whether_swapped()
        self._look_whether_paused()

    def server_lost(self, pipe: Pipe) -> None:
        """A server has closed a channel."""
        if self.stage is Stage.RENEWING and not pipe.core.renewable:
            self.channel_dropped(pipe)
        elif self.stage is Stage.RENEWING and pipe.core.stage is ChannelStage.RENEWING:
            if not pipe.core.paused:
                self._turn(Input.RENEWAL_FAILED)  # nobody can complete the message
        elif pipe.key == MAIN or pipe.core.leaving or self.stage is Stage.RENEWING:
            closed = self.stage is Stage.SETTLED and not self._line_broken(pipe.server)
            self._silent = self.address if closed else None
            self._turn(Input.SOURCE_LOST)
        else:  # the first of all, or the only one
            pipe.core.leave()
            pipe.flush()
            self.relay.clock.callLater(ORPHAN_SECONDS, self._drop_orphan, pipe, pipe.server)

    def server_silent(self) -> None:
        """Its server says nothing, and does not answer others either."""
        self._turn(Input.SOURCE_LOST)

    def heard(self) -> tuple[int, int]:
        """What the server has said, in numbers: they are others when it has said something more."""
        messages = owed_bytes = 0
        for pipe in self.pipes.values():
            scan = pipe.core.server_scan
            messages += scan.messages
            owed_bytes += scan.owed_bytes
        return messages, owed_bytes

    def _drop_orphan(self, pipe: Pipe, server: ServerConnection) -> None:
        if pipe.server is not server or self.closed or self.stage is Stage.RENEWING:
            return
        if self._line_broken(server) and pipe.core.renewable:
            self._turn(Input.SOURCE_LOST)
        else:
            self.channel_dropped(pipe)

    def _line_broken(self, server: ServerConnection) -> bool:
        """
        Whether a connection was lost that the server may not have closed.

        Servers give up a client in the same way that says nothing any more, or when another
        comes; so this is believed once in a while only.
        """
        now = self.relay.clock.seconds()
        believed = self._renewed_at is None or now - self._renewed_at > BREAKS_APART_SECONDS
        return server.broken and believed

    def channel_dropped(self, pipe: Pipe) -> None:
        """A channel ends from the servers' side."""
        pipe.close()
        self.channel_closed(pipe)

    def broken(self, pipe: Pipe, error: ProtocolError) -> None:
        """One of the two sides has broken the protocol."""
        self.log.info("client {client}: {error}", client=self.peer, error=error)
        self.close()

    def close(self, end: Callable[[Pipe], None] = Pipe.close) -> None:
        """End everything, and each channel in this way."""
        self.stage = Stage.LOST
        self._stop_deadline()
        self._drop_target()
        self._stop_renewing()
        pipes, self.pipes = self.pipes, {}
        for pipe in pipes.values():
            end(pipe)
        self._close_left()
        self.relay.session_closed(self)
        self._tell_waiting()

    def _close_left(self) -> None:
        left, self._left = self._left, []
        for connection in left:
            connection.close()

    def when_settled(self) -> Deferred[None]:
        """Fires when no handover is under way."""
        waiting = _wait_in(self._waiting_settled)
        self._tell_waiting()
        return waiting

    def _tell_waiting(self) -> None:
        if self.stage in (Stage.SETTLED, Stage.LOST):
            _fire(self._waiting_settled)

    def link_begins(self, key: ChannelKey) -> None:
        """A channel is being linked to the server."""
        self.links_under_way.add(key)

    def link_ends(self, key: ChannelKey) -> None:
        """It is linked, or will not be."""
        self.links_under_way.discard(key)
        if not self.links_under_way:
            _fire(self._waiting_links)

    # what the channels tell

    def handle(self, pipe: Pipe, event: Any) -> None:
        """A channel has something to tell."""
        if not self.closed:
            self._HANDLERS[type(event)](self, pipe, event)

    def _began(self, pipe: Pipe, event: SessionBegan) -> None:
        self.server_id = event.connection_id
        init, self._init = self._init, None
        if init is not None:
            init.callback(None)

    def _invited(self, pipe: Pipe, event: Invited) -> None:
        self._invited_to = address = self._of_same_kind(Address.of(event.destination))
        if self.stage is not Stage.RENEWING:
            self._drop_target()
            self._target = Target(address, event.version)
        self._turn(Input.INVITED)

    def _of_same_kind(self, address: Address) -> Address:
        """A target is linked to over TLS if the source is."""
        if self.address is not None and secure(self.address):
            return Address(address.host, 0, address.tls_port, address.subject)
        return address

    def _cancelled(self, pipe: Pipe, event: InvitationCancelled) -> None:
        self._invited_to = None
        self._turn(Input.CANCELLED)

    def _sent_over(self, pipe: Pipe, event: SentOver) -> None:
        self._sent(pipe, Input.SENT_AWAY)

    def _sent_elsewhere(self, pipe: Pipe, event: SentElsewhere) -> None:
        self._drop_target()
        self._target = Target(self._of_same_kind(Address.of(event.destination)), None)
        self._turn(Input.SENT_AWAY)

    def _leaves(self, pipe: Pipe, event: Leaves) -> None:
        self._sent(pipe, Input.CHANNEL_LEAVES)

    def _sent(self, pipe: Pipe, what: Input) -> None:
        """To the target, whether the server has heard already that the links there are lost or not."""
        if self._target is None and self._invited_to is not None:
            self._target, what = Target(self._invited_to, None), Input.SENT_AWAY
        if self._target is None:
            self.broken(pipe, ProtocolError(LinkError.INVALID_DATA, f"{what.value} without an invitation"))
        else:
            self._turn(what)

    def _paused(self, pipe: Pipe, event: Paused) -> None:
        pipe.drop_server()
        self._look_whether_paused()

    def _channel_left(self, pipe: Pipe, event: Left) -> None:
        self._turn(Input.CHANNEL_LEFT)

    _HANDLERS: dict[type, Callable[[RelayedSession, Pipe, Any], None]] = {
        SessionBegan: _began,
        Invited: _invited,
        InvitationCancelled: _cancelled,
        SentOver: _sent_over,
        SentElsewhere: _sent_elsewhere,
        Leaves: _leaves,
        Left: _channel_left,
        Paused: _paused,
    }

    # the handover

    def _turn(self, what: Input) -> None:
        step = TRANSITIONS.get((self.stage, what))
        if step is None:
            error = f"{what.value} while {self.stage.value}"
            self.log.info("client {client}: {error}", client=self.peer, error=error)
            self.close()
            return
        before, (self.stage, action) = self.stage, step
        if self.stage in PAUSED and before not in PAUSED:
            self._paused_at = self.relay.clock.seconds()
        if action is not None:
            getattr(self, action)()
        self._tell_waiting()

    def _set_deadline(self) -> None:
        self._stop_deadline()
        self._deadline = self.relay.clock.callLater(
            self.relay.settings.handover_seconds, self._turn, Input.DEADLINE_PASSED
        )

    def _stop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _link(self) -> None:
        target = self._target
        assert target is not None
        self.log.info("client {client}: linking to {target}", client=self.peer, target=str(target.address))
        self._set_deadline()
        self._linking = ensureDeferred(self._link_all(target))
        self._linking.addCallbacks(self._linked, self._not_linked, (target,), None, (target,))

    async def _link_all(self, target: Target) -> None:
        if self.links_under_way:
            await _wait_in(self._waiting_links)
        await self._link_channel(target, MAIN)
        others = [ensureDeferred(self._link_channel(target, key)) for key in self.pipes if key != MAIN]
        together = gatherResults(others, consumeErrors=True)
        together.addErrback(lambda failure: failure.value.subFailure)  # FirstError says nothing by itself
        await together
        connection = target.connections[MAIN]
        if target.version is not None and MainCap.SEAMLESS_MIGRATE in connection.caps[1]:
            target.seamless = await connection.ask_seamless(target.version)

    async def _link_channel(self, target: Target, key: ChannelKey) -> None:
        mini, caps = self.caps[key]
        link = make_link(*key, self.server_id, self.route.password, mini, caps)
        connection = await dial(
            self.relay.network, self.relay.clock, target.address, link, self.relay.settings.link_seconds
        )
        if target is not self._target or key not in self.pipes:
            connection.close()
        elif connection.mini != self.pipes[key].core.mini:
            connection.close()
            raise ProtocolError(LinkError.INVALID_DATA, "the target has headers of another kind")
        else:
            target.connections[key] = connection
            connection.watch = lambda: self._target_lost(target)

    def _linked(self, _: Any, target: Target) -> None:
        if target is self._target:
            self._linking = None
            self._turn(Input.ALL_LINKED)

    def _not_linked(self, failure: Failure, target: Target) -> None:
        if target is self._target:
            self._linking = None
            self.log.info(
                "client {client}: {target} cannot be linked to: {error}",
                client=self.peer,
                target=str(target.address),
                error=failure.getErrorMessage(),
            )
            self._turn(Input.LINKING_FAILED)

    def _target_lost(self, target: Target) -> None:
        if target is self._target:
            self._turn(Input.TARGET_LOST)

    def _tell_linked(self) -> None:
        assert self._target is not None
        self._stop_deadline()
        seamless = self._target.seamless
        self._answer(main.MigrateConnectedSeamless() if seamless else main.MigrateConnected())

    def _tell_failed(self) -> None:
        self.failures += 1
        self.relay.tally.handovers["failed"] += 1
        self._stop_deadline()
        self._drop_target()
        self._answer(main.MigrateConnectError())

    def _answer(self, message: Any) -> None:
        pipe = self.pipes.get(MAIN)
        if pipe is not None and self.main is not None:
            self.main.answer(message)
            pipe.flush()

    def _drop_target(self) -> None:
        target, self._target = self._target, None
        linking, self._linking = self._linking, None
        if linking is not None:
            linking.cancel()
        if target is not None:
            target.drop()

    def _switch(self) -> None:
        """The first channel is sent over; each follows when it has left the source."""
        self._set_deadline()

    def _switch_late(self) -> None:
        """The links came when channels had left already."""
        self._tell_linked()
        self._switch()
        self._swap()

    def _swap(self) -> None:
        target = self._target
        assert target is not None
        for key, pipe in list(self.pipes.items()):
            if pipe.core.stage is ChannelStage.READY and key in target.connections:
                connection = target.connections.pop(key)
                connection.watch = None
                self._left.append(pipe.swap(connection))
                if self.closed:
                    return
        self._look_whether_swapped()

    def _look_whether_swapped(self) -> None:
        if self._target is not None and not self._target.connections:
            self._turn(Input.ALL_SWAPPED)

    def _settle(self) -> None:
        """Everything is at the target."""
        assert self._target is not None
        self._stop_deadline()
        self.address, self._target = self._target.address, None
        self._invited_to = None
        self.handovers += 1
        self._moved("completed")
        self.route.moved(self.address)
        self.log.info("client {client}: now on {server}", client=self.peer, server=str(self.address))
        self._close_left()

    def _moved(self, how: str) -> None:
        self.relay.tally.moved(how, self.relay.clock.seconds() - self._paused_at)

    # beginning anew

    def _renew(self) -> None:
        """Bring the session to a server that knows nothing of it; see :class:`Renewal`."""
        self._stop_deadline()
        again = self._renewing is not None
        self._stop_renewing()
        linking, self._linking = self._linking, None
        if linking is not None:
            linking.cancel()
        self._close_left()
        target, self._target = self._target, None
        self._invited_to = None
        now = self.relay.clock.seconds()
        if self._hold_until is None:
            self._hold_until = now + self.relay.settings.hold_seconds
        silent, self._silent = self._silent, None
        self.log.info(
            "client {client}: it is to begin anew at {target}",
            client=self.peer,
            target="any server" if target is None else str(target.address),
        )
        for pipe in list(self.pipes.values()):
            if pipe.core.stage is not ChannelStage.RENEWING:
                pipe.leave_server()
        renewal = Renewal(self, target, silent, self._hold_until, again)
        self._renewing = renewing = ensureDeferred(renewal.run())

        def ended(result: Any) -> None:
            if target is not None:
                target.drop()
            if self._renewing is renewing:
                self._renewing = None
                self._renewal_ended(result)

        renewing.addBoth(ended)

    def _renewal_ended(self, result: Any) -> None:
        if isinstance(result, Failure):
            self.log.info("client {client}: {error}", client=self.peer, error=str(result.value))
            self._turn(Input.CLOSED if result.check(Closed) else Input.RENEWAL_FAILED)
        else:
            self.address = result
            self._turn(Input.RENEWED)

    def _stop_renewing(self) -> None:
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()

    def expect_init(self) -> Deferred[None]:
        """Fires when the server has given the session an id."""
        self._init = init = Deferred(lambda _: setattr(self, "_init", None))
        return init

    def when_paused(self) -> Deferred[None]:
        """Fires when no channel is in the middle of a message of a server that is left."""
        waiting = _wait_in(self._waiting_paused)
        self._look_whether_paused()
        return waiting

    def _look_whether_paused(self) -> None:
        if all(pipe.core.paused for pipe in self.pipes.values()):
            _fire(self._waiting_paused)

    def _settle_renewed(self) -> None:
        assert self.address is not None
        self._hold_until = None
        self.renewals += 1
        self._renewed_at = self.relay.clock.seconds()
        self._moved("renewed")
        self.route.moved(self.address)
        self.log.info("client {client}: anew on {server}", client=self.peer, server=str(self.address))

    def _begin_anew(self) -> None:
        """As the last resort, have the client come to the relay again."""
        self.relay.tally.handovers["lost"] += 1
        self.send_again()

    def send_again(self) -> None:
        """Have the client come to the relay again; one that knows no way is disconnected."""
        pipe = self.pipes.get(MAIN)
        destination = None if pipe is None or not pipe.core.paused else self.relay.destination(pipe.client)
        if pipe is None or destination is None:
            self.close()
        else:
            pipe.core.say(destination)
            pipe.flush()
            self.close(Pipe.leave_client)


def _wait_in(waiting: list[Deferred[None]]) -> Deferred[None]:
    """Something to await, that :func:`_fire` fires."""
    made: Deferred[None] = Deferred(lambda cancelled: waiting.remove(cancelled))
    waiting.append(made)
    return made


def _fire(waiting: list[Deferred[None]]) -> None:
    fired, waiting[:] = list(waiting), []
    for each in fired:
        each.callback(None)
