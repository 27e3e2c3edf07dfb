# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients behind a relay between hosts in memory: as a whole, and with every connection broken once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.tickets import Ticket
from spicemig.client.hosts import Address
from spicemig.client.session import STOCK, Abilities, ViewerSession
from spicemig.errors import LinkError, ProtocolError
from spicemig.migration.stages import Stage as LeavingStage
from spicemig.relay.client import ClientFactory
from spicemig.relay.handover import Stage
from spicemig.relay.relay import Relay, RelaySettings
from spicemig.relay.routes import Route, Routes
from spicemig.session.settings import SessionSettings
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.hosts import PORT, OneKey, TwoHosts
from spicemig.testing.network import MemoryTransport

AT_RELAY = Address("relay", PORT)
OLD = Abilities(seamless=False, semi_seamless=False, mini_header=False)


class RelayCase(SynchronousTestCase):
    """Two hosts with a relay before them."""

    def setUp(self) -> None:
        self.set_up()

    def set_up(
        self,
        *,
        both: bool = True,
        ticket: bytes | None = None,
        latency_seconds: float = 0.0,
        compression: str = "lz4",
        **settings: Any,
    ) -> None:
        """A relay with a route to the source, or to both hosts."""
        of_hosts = SessionSettings(image_compression=compression)
        self.hosts = hosts = TwoHosts(self.mktemp(), latency_seconds=latency_seconds, settings=of_hosts)
        servers = (hosts.source.address, hosts.target.address) if both else (hosts.source.address,)
        self.route = Route("*", servers)
        self.relay = Relay(
            Routes([self.route]),
            hosts.network,
            OneKey(),
            hosts.clock,
            RelaySettings(**settings),
            None if ticket is None else Ticket(ticket),
        )
        hosts.network.listen("relay", PORT, ClientFactory(self.relay))

    def viewer(self, abilities: Abilities = STOCK, password: bytes = b"") -> ViewerSession:
        """A client that is connected to the relay and shows the picture."""
        viewer = ViewerSession(self.hosts.network, password, self.hosts.clock, abilities=abilities)
        self.hosts.wait(viewer.connect(AT_RELAY))
        self.hosts.wait(viewer.until(lambda: viewer.display.marked))
        self.hosts.run(0.01)
        return viewer

    def owner(self) -> Any:
        """The host that has the guest."""
        hosts = [host for host in (self.hosts.source, self.hosts.target) if host.owner]
        self.assertEqual(len(hosts), 1)
        return hosts[0]

    def move(self) -> None:
        """Hand the guest over to the other host."""
        report = self.hosts.moved(self.owner())
        self.assertEqual(report["outcome"], "completed", report)
        self.assertEqual({client["mode"] for client in report["clients"]} - {"seamless"}, set())
        self.hosts.run(0.1)

    def assert_same_picture(self, viewer: ViewerSession) -> None:
        """Client and guest show the same."""
        self.hosts.run(0.05)
        self.assertEqual(viewer.screen().tobytes(), self.owner().screen().tobytes())

    def assert_nothing_left(self) -> None:
        """Nobody is connected anywhere, and nothing will happen any more."""
        self.assertEqual(self.relay.sessions, {})
        for host in (self.hosts.source, self.hosts.target):
            self.assertEqual(host.sessions.clients, {})
        for name in ("relay", "source", "target"):
            self.assertEqual(self.hosts.network.connections(name), [])


class ServedTests(RelayCase):
    """A client is served as if there were no relay."""

    def test_picture_and_keys(self) -> None:
        """The picture comes, keys go."""
        viewer = self.viewer()
        self.hosts.source.guest.draw(fill(0, 0, 10, 10, 0xFF00FF), copy(picture(5, 30, 20), 7, 9))
        viewer.type_keys(30)
        self.assert_same_picture(viewer)
        self.assertEqual(self.hosts.source.guest.inputs, [("key_down", 30), ("key_up", 158)])

    def test_its_own_id(self) -> None:
        """The relay's id of a client is not the server's."""
        viewer = self.viewer()
        self.assertIn(viewer.connection_id, self.relay.sessions)
        self.assertNotIn(viewer.connection_id, self.hosts.source.sessions.clients)

    def test_leaving(self) -> None:
        """When the client goes, so do its connections to the server."""
        viewer = self.viewer()
        self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        self.assert_nothing_left()

    def test_server_leaves(self) -> None:
        """When the server drops the client, so does the relay."""
        viewer = self.viewer()
        for client in list(self.hosts.source.sessions.clients.values()):
            client.close()
        self.hosts.wait(viewer.when_over())
        self.hosts.run(0.1)
        self.assert_nothing_left()

    def test_come_again(self) -> None:
        """Clients can be told to connect again, those that came by certain ports."""
        viewers = [self.viewer() for _ in range(2)]
        before = set(self.relay.sessions)
        self.hosts.wait(self.relay.send_again({PORT + 1}))
        self.assertEqual(set(self.relay.sessions), before)
        self.hosts.wait(self.relay.send_again({PORT}), 1)
        self.hosts.run(1)
        self.assertEqual((len(self.relay.sessions), before & set(self.relay.sessions)), (2, set()))
        for viewer in viewers:
            self.assertEqual([move.target for move in viewer.moves], [str(AT_RELAY)])
            self.assert_same_picture(viewer)

    def test_come_again_unheard(self) -> None:
        """Who does not go when it is told to is not waited for."""
        self.viewer()
        self.hosts.network.stall("relay")
        self.hosts.wait(self.relay.send_again({PORT}), 3)

    def test_many(self) -> None:
        """Several clients at once, each with its own channels."""
        viewers = [self.viewer(abilities) for abilities in (STOCK, OLD, Abilities(read_only=True))]
        self.assertEqual(len(self.hosts.source.sessions.clients), 3)
        self.hosts.source.guest.draw(fill(0, 0, 99, 99, 0x123456))
        for viewer in viewers:
            self.assert_same_picture(viewer)

    def test_slow_client(self) -> None:
        """A client that does not read makes the relay stop reading, not collect."""
        viewer = self.viewer()
        display = viewer.connections[2, 0]
        display.park()
        for seed in range(60):
            self.hosts.source.guest.draw(copy(picture(100 + seed, 100, 100, seed=seed), 0, 0))
            self.hosts.run(0.001)
        ends = self.hosts.network.connections("relay") + self.hosts.network.connections("client")
        waiting = sum(end.unread_bytes for end in ends)
        pipe = next(iter(self.relay.sessions.values())).pipes["display", 0]
        self.assertIn(pipe.from_server.SLOW, pipe.from_server.reasons)
        self.assertLess(waiting, 1_000_000)
        display.transport.resumeProducing()
        self.hosts.run(0.5)
        self.assert_same_picture(viewer)


class RefusedTests(RelayCase):
    """Who is not let in, and how it is told."""

    def refused(self, password: bytes = b"") -> LinkError:
        viewer = ViewerSession(self.hosts.network, password, self.hosts.clock)
        with self.assertRaises(ProtocolError) as caught:
            self.hosts.wait(viewer.connect(AT_RELAY))
        self.hosts.run(0.1)
        self.assert_nothing_left()
        return caught.exception.code

    def test_ticket(self) -> None:
        """The relay has a ticket of its own; with a wrong one no session is made at the server."""
        self.set_up(ticket=b"sesame")
        self.assertEqual(self.refused(b"barley"), LinkError.PERMISSION_DENIED)
        self.viewer(password=b"sesame")

    def test_servers_ticket(self) -> None:
        """A server that does not take the relay's ticket is not the client's fault."""
        self.hosts.source.sessions.ticket = Ticket(b"unknown")
        self.hosts.target.sessions.ticket = Ticket(b"unknown")
        self.assertEqual(self.refused(), LinkError.ERROR)

    def test_no_server(self) -> None:
        """Where nobody listens there is an error."""
        self.hosts.network.unreachable |= {"source", "target"}
        self.assertEqual(self.refused(), LinkError.ERROR)

    def test_no_route(self) -> None:
        """Without a route there is an error."""
        self.relay.routes = Routes([])
        self.assertEqual(self.refused(), LinkError.ERROR)

    def test_full(self) -> None:
        """One client more than there may be is refused."""
        self.set_up(max_clients=1)
        self.viewer()
        other = ViewerSession(self.hosts.network, b"", self.hosts.clock)
        with self.assertRaises(ProtocolError) as caught:
            self.hosts.wait(other.connect(AT_RELAY))
        self.assertEqual(caught.exception.code, LinkError.ERROR)

    def test_silent_server(self) -> None:
        """A server that takes connections and says nothing costs the client a few seconds."""
        self.hosts.network.listen("source", PORT, _Silence())
        self.hosts.network.listen("target", PORT, _Silence())
        began = self.hosts.clock.seconds()
        self.set_seconds(2.0)
        self.assertEqual(self.refused(), LinkError.ERROR)
        self.assertLess(self.hosts.clock.seconds() - began, 5)

    def set_seconds(self, seconds: float) -> None:
        """Have the relay wait for servers only so long."""
        self.relay.settings = RelaySettings(link_seconds=seconds)


class _Silence:
    """A factory of servers that say nothing."""

    def doStart(self) -> None:
        """For the network."""

    def buildProtocol(self, address: Any) -> Any:
        from twisted.internet.protocol import Protocol

        return Protocol()


class MovedTests(RelayCase):
    """The guest moves, the client does not notice."""

    def test_there_and_back(self) -> None:
        """Whatever a client knows of migration, it sees the same pictures and types the same keys."""
        viewers = [self.viewer(abilities) for abilities in (STOCK, OLD, Abilities(read_only=True))]
        for number in range(4):
            self.owner().guest.draw(
                fill(number, 0, 40, 40, 0x112233 * number), copy(picture(5, 30, 20), 7, 9)
            )
            self.move()
            viewers[0].type_keys(30 + number)
        for viewer in viewers:
            self.assert_same_picture(viewer)
            self.assertEqual(viewer.moves, [])
            self.assertEqual(viewer.counters.surprises()["images_received_again"], 0)
        keys = [step for number in range(4) for step in (("key_down", 30 + number), ("key_up", 158 + number))]
        self.assertEqual(self.owner().guest.inputs[-2:], keys[-2:])

    def test_follows(self) -> None:
        """A client that comes later is brought to where the guest is now."""
        first = self.viewer()
        self.move()
        self.assertEqual(self.route.candidates()[0], self.hosts.target.address)
        second = self.viewer()
        for viewer in (first, second):
            self.assert_same_picture(viewer)

    def test_unseen_move(self) -> None:
        """It is found by trying, too, if nobody was connected when the guest moved."""
        self.move()
        self.assert_same_picture(self.viewer())
        self.assertEqual(self.route.candidates()[0], self.hosts.target.address)

    def test_while_linking(self) -> None:
        """A guest that moves while a client is still opening its channels takes it along."""
        for step in range(1, 12):
            self.set_up(latency_seconds=0.003)
            viewer = ViewerSession(self.hosts.network, b"", self.hosts.clock)
            connected = viewer.connect(AT_RELAY)
            self.hosts.run(0.006 * step)
            report = self.hosts.moved(self.owner())
            self.assertEqual(report["outcome"], "completed", report)
            self.hosts.wait(connected)
            self.hosts.wait(viewer.until(lambda viewer=viewer: viewer.display.marked))
            self.hosts.run(0.5)
            self.assert_same_picture(viewer)
            self.assertEqual(viewer.moves, [])

    def test_target_silent(self) -> None:
        """A target that does not say whether it takes the state is given up."""
        self.set_up(handover_seconds=0.5)
        self.viewer()
        (session,) = self.relay.sessions.values()

        def deafen(end: MemoryTransport) -> None:
            if end.there.host == "target" and session.stage is Stage.LINKING:
                end.lose()

        self.hosts.network.watcher = deafen
        self.hosts.migrate()
        self.hosts.run(0.4)
        self.assertEqual((session.stage, session.failures), (Stage.LINKING, 0))
        self.hosts.run(0.3)
        self.assertEqual(session.failures, 1)

    def test_target_lost(self) -> None:
        """The source hears at once if the target is lost after everything was linked."""
        self.viewer()
        (session,) = self.relay.sessions.values()

        def cut(_: MemoryTransport) -> None:
            if session.stage is Stage.LINKED:
                self.hosts.network.watcher = None
                for end in self.hosts.network.connections("target"):
                    if end.here.port == PORT:
                        end.abortConnection()

        self.hosts.network.watcher = cut
        self.hosts.migrate()
        self.hosts.run(0.1)
        self.assertEqual(session.failures, 1)

    def test_target_lost_late(self) -> None:
        """If the source hears it too late, the session begins anew where it is sent."""
        for stage in (LeavingStage.PRECOPY, LeavingStage.STOP):
            self.set_up()
            viewer = self.viewer()
            (session,) = self.relay.sessions.values()

            def cut(side: str, reached: LeavingStage, stage: LeavingStage = stage) -> None:
                if reached is stage:
                    for end in self.hosts.network.connections("target"):
                        if end.here.port == PORT:
                            end.abortConnection()

            self.hosts.source.migrations.stage_hook = cut
            report = self.hosts.moved()
            self.assertEqual(report["outcome"], "completed", report)
            self.hosts.run(1)
            self.assertEqual((session.failures, session.renewals, viewer.over), (1, 1, False))
            self.assert_same_picture(viewer)

    def test_unreachable_target(self) -> None:
        """If the relay cannot reach the target in time, the session begins anew when the guest is there."""
        viewer = self.viewer()
        (session,) = self.relay.sessions.values()
        handover = self.hosts.migrate()
        self.hosts.network.unreachable.add("target")

        def reach(_: MemoryTransport) -> None:
            if session.failures:
                self.hosts.network.unreachable.clear()

        self.hosts.network.watcher = reach
        report = self.hosts.wait(handover.done)
        self.assertEqual([client["mode"] for client in report["clients"]], ["switch-host"])
        self.hosts.run(1)
        self.assertEqual((viewer.moves, session.renewals), ([], 1))
        self.assert_same_picture(viewer)

    def test_cancelled(self) -> None:
        """A handover that is cancelled leaves everything as it was."""
        viewer = self.viewer()
        (session,) = self.relay.sessions.values()
        handover = self.hosts.migrate()

        def cancel(_: MemoryTransport) -> None:
            if session.stage is Stage.LINKED:
                self.hosts.network.watcher = None
                handover.cancel()

        self.hosts.network.watcher = cancel
        self.assertEqual(self.hosts.wait(handover.done)["outcome"], "cancelled")
        self.hosts.run(1)
        viewer.type_keys(30)
        self.assert_same_picture(viewer)
        self.assertIs(session.stage, Stage.SETTLED)
        self.move()
        self.assert_same_picture(viewer)


class BrokenTests(RelayCase):
    """Every connection is broken at every message of a handover."""

    def deliveries(self, act: Callable[[int, MemoryTransport], None]) -> None:
        """Hand over; ``act`` hears of each delivery to or from the relay, by its number."""
        count = 0

        def delivering(end: MemoryTransport) -> None:
            nonlocal count
            if PORT in (end.here.port, end.there.port):
                act(count, end)
                count += 1

        self.hosts.network.watcher = delivering
        self.hosts.wait(self.hosts.migrate().done, 60)
        self.hosts.network.watcher = None
        self.hosts.network.settle(60, 0.5)
        self.count = count

    def check(self, viewer: ViewerSession, what: str) -> None:
        """The client goes on, or is gone whole; who comes then is served."""
        owner = self.owner()
        for session in self.relay.sessions.values():
            self.assertEqual(session.address, owner.address, what)
        self.assertEqual(len(owner.sessions.clients), len(self.relay.sessions), what)
        if not viewer.over and len(viewer.connections) == 4:
            self.survived += 1
            owner.guest.draw(fill(0, 0, 50, 50, 0xABCDEF))
            self.assert_same_picture(viewer)
        self.check_end(viewer, what)

    def check_end(self, viewer: ViewerSession, what: str) -> None:
        """No session is half way; when the client goes, nothing is left; who comes then is served."""
        for session in self.relay.sessions.values():
            self.assertIs(session.stage, Stage.SETTLED, what)
        self.hosts.wait(viewer.disconnect())
        again = self.viewer()
        self.assert_same_picture(again)
        self.hosts.wait(again.disconnect())
        self.hosts.network.settle(10, 0.5)
        self.assert_nothing_left()

    def test_every_message(self) -> None:
        """No session is left half way, nothing stays open, the next client is served."""
        self.survived = 0
        viewer = self.viewer()
        self.deliveries(lambda number, end: None)
        self.check(viewer, "nothing")
        total = self.count
        self.assertGreater(total, 40)
        self.survived = 0
        for broken in range(total):
            self.set_up()
            viewer = self.viewer()

            def act(number: int, end: MemoryTransport, broken: int = broken) -> None:
                if number == broken:
                    end.abortConnection()

            self.deliveries(act)
            self.check(viewer, f"message {broken}")
        self.assertGreater(self.survived, 0)

    def test_every_silence(self) -> None:
        """One end of a connection is never told anything again: every wait has an end."""
        viewer = self.viewer()
        self.deliveries(lambda number, end: None)
        for first in range(0, self.count, 2):
            self.set_up()
            viewer = self.viewer()
            deaf: list[MemoryTransport] = []

            def act(number: int, end: MemoryTransport, first: int = first, deaf: list = deaf) -> None:
                if number == first:
                    deaf.append(end)
                if end in deaf:
                    end.lose()

            self.deliveries(act)
            self.check_end(viewer, f"message {first}")
