# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers that fall silent while their connections stand, in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spicemig.client.session import ViewerSession
from spicemig.relay.handover import Stage
from spicemig.relay.relay import RelaySettings
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.hosts import MIGRATION_PORT, PORT, Host
from spicemig.testing.network import MemoryTransport
from tests.test_relay_session import RelayCase


class Counting:
    """Counts the connections that a factory is asked for; ``answering``: whether they are heard."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory
        self.count = 0
        self.deaf: list[Any] = []
        self.answering = True

    def doStart(self) -> None:
        """For the network."""

    def buildProtocol(self, address: Any) -> Any:
        self.count += 1
        made = self.factory.buildProtocol(address)
        if not self.answering:
            made.dataReceived = lambda data: None
        return made


class SilenceTests(RelayCase):
    """A server that says nothing is asked; one that does not answer either has gone."""

    def set_up(self, **options: Any) -> None:
        super().set_up(**{"silence_seconds": 5.0, **options})
        self.door = Counting(self.factory_of(self.hosts.source))
        self.hosts.network.listen("source", PORT, self.door)

    def factory_of(self, host: Host) -> Any:
        """What takes the connections of a host's clients."""
        return self.hosts.network._listening[host.name, PORT]

    def stages(self) -> list[Stage]:
        """How far the sessions are."""
        return [session.stage for session in self.relay.sessions.values()]

    def renewals(self) -> list[int]:
        """How often each session was renewed."""
        return [session.renewals for session in self.relay.sessions.values()]

    def works(self, viewer: ViewerSession) -> None:
        """The client shows the guest's picture and types."""
        guest = self.owner().guest
        guest.draw(fill(3, 4, 50, 60, 0x998877), copy(picture(5, 30, 20), 70, 90))
        self.assert_same_picture(viewer)
        before = len(guest.inputs)
        viewer.type_keys(30)
        self.hosts.run(0.01)
        self.assertEqual(guest.inputs[before:], [("key_down", 30), ("key_up", 158)])
        self.assertEqual((viewer.moves, viewer.over, len(viewer.connections)), ([], False, 4))

    def test_stalled(self) -> None:
        """A server whose line stands still is missed, and its clients go on when it is back."""
        viewers = [self.viewer(), self.viewer()]
        self.hosts.network.stall("source")
        self.hosts.run(4)
        self.assertEqual(self.stages(), [Stage.SETTLED] * 2)
        self.hosts.run(5 * 5 / 4 + 5 - 4 + 0.1)  # a look late, and the time for a link
        self.assertEqual(self.stages(), [Stage.RENEWING] * 2)
        viewers[0].type_keys(31)
        self.hosts.run(10)
        self.hosts.network.resume("source")
        self.hosts.run(6)
        self.assertEqual((self.stages(), self.renewals()), ([Stage.SETTLED] * 2, [1, 1]))
        self.assertEqual(
            [step for step in self.hosts.source.guest.inputs if step[1] == 31], [("key_down", 31)]
        )
        for viewer in viewers:
            self.works(viewer)

    def test_stays_away(self) -> None:
        """Who is not taken by any server in time is let go."""
        self.set_up(hold_seconds=5.0)
        viewer = self.viewer()
        self.hosts.network.stall("source")
        self.hosts.run(11.3)
        self.assertFalse(viewer.over)
        self.hosts.network.settle(30, 0.01)
        self.assertTrue(viewer.over)
        self.assertEqual(self.relay.sessions, {})

    def test_another_has_the_guest(self) -> None:
        """While it stands still another server may take its clients."""
        viewer = self.viewer()
        self.hosts.network.stall("source")
        self.hosts.target.power_on()
        self.hosts.run(18)  # it is tried once more, first
        (session,) = self.relay.sessions.values()
        self.assertEqual((session.stage, session.address), (Stage.SETTLED, self.hosts.target.address))
        self.hosts.target.guest.draw(fill(3, 4, 50, 60, 0x998877))
        self.hosts.run(0.1)
        self.assertEqual(viewer.screen().tobytes(), self.hosts.target.screen().tobytes())

    def test_quiet(self) -> None:
        """A server that has nothing to say is asked once in that time for all clients, and left alone."""
        viewers = [self.viewer(), self.viewer()]
        before = self.door.count
        self.hosts.run(14)
        self.assertIn(self.door.count - before, (1, 2))
        self.assertEqual((self.stages(), self.renewals()), ([Stage.SETTLED] * 2, [0, 0]))
        for viewer in viewers:
            self.works(viewer)

    def test_busy(self) -> None:
        """A server that says something now and then is not asked."""
        self.viewer()
        before = self.door.count
        for number in range(10):
            self.hosts.source.guest.draw(fill(number, 0, 9, 9, 0xABCDEF))
            self.hosts.run(2)
        self.assertEqual(self.door.count, before)

    def test_speaks_while_asked(self) -> None:
        """Clients that hear their server while it does not answer are left with it; others are not."""
        first, second = self.viewer(), self.viewer()
        sessions = list(self.relay.sessions.values())
        unheard = {id(pipe.server.transport) for pipe in sessions[1].pipes.values()}

        def lose(end: MemoryTransport) -> None:
            if id(end) in unheard:
                end.lose()

        self.hosts.network.watcher = lose
        self.door.answering = False
        self.eventually(lambda: self.door.count > 8)
        self.hosts.source.guest.draw(fill(3, 4, 50, 60, 0x998877))
        self.hosts.run(5.1)
        self.assertEqual(self.stages(), [Stage.SETTLED, Stage.RENEWING])
        self.door.answering = True
        self.hosts.run(6)
        self.assertEqual((self.stages(), self.renewals()), ([Stage.SETTLED] * 2, [0, 1]))
        for viewer in (first, second):
            self.works(viewer)

    def eventually(self, reached: Callable[[], bool]) -> None:
        """Let time pass until this is so."""
        for _ in range(100):
            if reached():
                return
            self.hosts.run(0.1)
        self.fail("it never came to that")

    def test_left_behind(self) -> None:
        """A server may fall silent while its guest moves: clients follow the guest once that is noticed."""
        viewer = self.viewer()
        (session,) = self.relay.sessions.values()

        def stall(_: MemoryTransport) -> None:
            if session.stage is Stage.LINKED:
                self.hosts.network.watcher = None
                self.hosts.network.stall("source")

        self.hosts.network.watcher = stall
        self.hosts.migrate()
        self.hosts.run(5 * 5 / 4 + 5 + 0.2)
        self.assertIs(self.owner(), self.hosts.target)
        self.assertEqual((session.stage, session.renewals), (Stage.SETTLED, 1))
        self.assertEqual(session.address, self.hosts.target.address)
        self.works(viewer)

    def test_frozen_in_a_handover(self) -> None:
        """A source that stands still before it has given the guest away finds its clients waiting."""
        for stage in (Stage.LINKING, Stage.LINKED):
            self.set_up()
            viewer = self.viewer()
            (session,) = self.relay.sessions.values()

            def stall(_: MemoryTransport, session: Any = session, stage: Stage = stage) -> None:
                if session.stage is stage:
                    self.hosts.network.watcher = None
                    self.hosts.network.stall("source")
                    for end in self.hosts.network.connections("target"):
                        if end.here.port == MIGRATION_PORT:
                            end.abortConnection()

            self.hosts.network.watcher = stall
            self.hosts.migrate()
            self.hosts.run(14)
            self.assertIs(session.stage, Stage.RENEWING)
            self.hosts.network.resume("source")
            self.hosts.run(7)
            self.assertIs(self.owner(), self.hosts.source)
            self.assertEqual((session.stage, session.renewals), (Stage.SETTLED, 1))
            self.works(viewer)

    def test_off(self) -> None:
        """It can be left to the network to tell."""
        self.set_up(silence_seconds=0.0)
        self.viewer()
        before = self.door.count
        self.hosts.network.stall("source")
        self.hosts.network.settle(100, 0.1)
        self.assertEqual((self.stages(), self.door.count), ([Stage.SETTLED], before))

    def test_other_settings(self) -> None:
        """What is set while there are clients counts from then on."""
        self.viewer()
        self.relay.take(RelaySettings(silence_seconds=0.0))
        self.hosts.network.stall("source")
        self.hosts.network.settle(30, 0.1)
        self.assertEqual(self.stages(), [Stage.SETTLED])
        self.relay.take(RelaySettings(silence_seconds=1.0))
        self.hosts.network.settle(1.25 + 5 + 1, 0.1)
        self.assertEqual(self.stages(), [Stage.RENEWING])

    def test_nobody(self) -> None:
        """Without clients nothing is looked at, even if the last has gone while its server was asked."""
        viewer = self.viewer()
        self.hosts.network.stall("source")
        before = self.door.count
        self.hosts.run(7)
        self.assertEqual(self.door.count, before + 1)
        self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        self.assertEqual(self.hosts.network.connections("client"), [])
        self.hosts.network.settle(15, 0.1)
        self.assertEqual(self.door.count, before + 1)
        calls = [call for call in self.hosts.clock.getDelayedCalls() if "Silence" in str(call.func)]
        self.assertEqual(calls, [])
