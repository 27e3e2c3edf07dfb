# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's part of a handover: a second set of links, and the swap.

Source: spice-gtk 0.42, channel-main.c (main_migrate_connect and what it calls)
and spice-session.c (spice_session_start_migrating ... _migrate_end).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from spicemig.client.counters import Move
from spicemig.client.events import LinkedToTarget, MigrateBegun
from spicemig.client.hosts import Address
from spicemig.client.main import MainChannel
from spicemig.wire.capabilities import MainCap
from spicemig.wire.declare import CHANNEL_TYPES

if TYPE_CHECKING:
    from spicemig.client.connection import ChannelConnection
    from spicemig.client.core import ClientChannel
    from spicemig.client.session import ViewerSession

MAIN = CHANNEL_TYPES["main"], 0


class Handover:
    """One migration, from the source's MIGRATE_BEGIN to the last channel's swap."""

    log = Logger()

    def __init__(self, session: ViewerSession, begun: MigrateBegun) -> None:
        self.session = session
        self.begun = begun
        self.address = Address.of(begun.destination)
        self.connections: dict[tuple[int, int], ChannelConnection] = {}
        self.handshake: MainChannel | None = None  # the target's, while it is asked to carry state
        self.seamless = begun.seamless
        self.complete = False  # all channels are linked
        self.waits_for_init = False
        self.left: set[tuple[int, int]] = set()
        self.old: list[ChannelConnection] = []
        self.move = Move(session.clock.seconds(), str(session.address), str(self.address), "")
        self._linking: Deferred | None = None
        self._answered: Deferred = Deferred(lambda _: None)
        self._dropped = False

    # -- the links ------------------------------------------------------------

    def begin(self) -> None:
        """Link all channels to the target, and tell the source of it."""
        self.session.main.held = True  # spice-gtk handles nothing on main meanwhile
        linking = self._linking = self._link_all()
        linking.addTimeout(self.session.link_seconds, self.session.clock)
        linking.addCallbacks(self._linked, self._failed)

    @inlineCallbacks
    def _link_all(self):
        session = self.session
        connection = yield self._link(*MAIN)
        waiting = [self._link(*key) for key in session.connections if key != MAIN]
        if self.seamless:
            waiting.append(self._ask(connection))
        together = gatherResults(waiting, consumeErrors=True)
        together.addErrback(lambda failure: failure.value.subFailure)  # FirstError says nothing by itself
        yield together

    def _link(self, channel_type: int, channel_id: int) -> Deferred:
        link = self.session.link(self.address, channel_type, channel_id, self.session.connection_id)
        return link.addCallback(self._keep)

    def _keep(self, connection: ChannelConnection) -> ChannelConnection:
        self.connections[connection.key] = connection
        return connection

    def _ask(self, connection: ChannelConnection) -> Deferred:
        """Ask the target's main channel for a seamless migration; fires when it has answered."""
        if MainCap.SEAMLESS_MIGRATE not in connection.server_caps:
            self.seamless = False
            return succeed(None)
        # spice-gtk's second session is not read-only even if the first one is
        handshake = self.handshake = MainChannel()
        handshake.attach(connection.mini, connection.server_caps, connection.traffic)
        handshake.do_seamless(self.begun.version or 0)
        connection.serve(handshake)
        return self._answered

    def answered(self, agreed: bool) -> None:
        """The target says whether it will carry state."""
        if self.handshake is None or self._answered.called:
            return
        self.seamless = agreed
        self.handshake.held = True
        connection = self.connections[MAIN]
        connection.core = None
        connection.park()
        self._answered.callback(None)

    def _linked(self, _: Any) -> None:
        session = self.session
        self._linking = None
        self.complete = True
        self.left = set(session.connections)
        self.move.how = "seamless" if self.seamless else "semi-seamless"
        self.move.linked = session.clock.seconds()
        session.main.tell_connected(self.seamless)
        session.tell(LinkedToTarget(True, self.seamless))
        self._release_main()

    def _failed(self, failure: Failure) -> None:
        session = self.session
        self._linking = None
        if self._dropped:
            return
        self.log.warn("linking to {host} failed: {error}", host=str(self.address), error=failure.value)
        self.drop()
        session.handover = None
        session.main.tell_connect_error()
        session.tell(LinkedToTarget(False, False))
        self._release_main()

    def _release_main(self) -> None:
        self.session.main.held = False
        self.session.go_on(self.session.main)

    def drop(self) -> None:
        """Forget the target."""
        self._dropped = True
        linking, self._linking = self._linking, None
        if linking is not None:
            linking.cancel()
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()

    # -- the swap ------------------------------------------------------------

    def swap(self, core: ClientChannel, block: bytes | None) -> None:
        """Seamless: this channel goes on with the target's connection."""
        new = self._exchange(core)
        handshake = self.handshake if core.channel == "main" else None
        core.swap(new.mini, new.server_caps, new.traffic, block, handshake)
        self._swapped(core, new)

    def end(self) -> None:
        """Semi-seamless: everything begins anew at the target, main first."""
        session = self.session
        for key in self.left:
            session.cores[key].reset()
        session.images.clear()
        session.glz_window.clear()
        main = session.main
        new = self._exchange(main)
        main.attach(new.mini, new.server_caps, new.traffic)
        if self.handshake is not None:
            main.take_over(self.handshake)
        main.tell_migrate_end()
        self.waits_for_init = True
        self._swapped(main, new)

    def raise_others(self) -> None:
        """Semi-seamless: the target has said INIT; now the other channels."""
        self.waits_for_init = False
        for key in sorted(self.left):
            core = self.session.cores[key]
            new = self._exchange(core)
            core.attach(new.mini, new.server_caps, new.traffic)
            core.up()
            self._swapped(core, new)

    def _exchange(self, core: ClientChannel) -> ChannelConnection:
        key = core.channel_type, core.channel_id
        old = self.session.connections.pop(key)
        old.core = None
        old.park()
        self.old.append(old)
        new = self.connections.pop(key)
        self.session.connections[key] = new
        return new

    def _swapped(self, core: ClientChannel, new: ChannelConnection) -> None:
        self.left.discard(new.key)
        self.move.swapped[core.name] = self.session.clock.seconds()
        if core.channel == "display" and core.channel_id == 0:
            self.move.before = next(old.traffic for old in self.old if old.key == new.key)
            self.move.after = new.traffic
        if not self.left:
            for old in self.old:
                old.close()
            self.session.moved(self.move, self.address)
        new.serve(core)
