# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what one can ask in a manhole: tables, and what channels wait for."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.control.inspection import guide_lines, table
from spicemig.control.server_inspection import ServerInspection
from spicemig.control.server_waits import CAUSES
from spicemig.migration.stages import Stage
from spicemig.session.client import ClientSession
from spicemig.testing.guests import ListGuest, copy, fill, picture
from spicemig.testing.sessions import BareHost, seal_for
from spicemig.wire.messages import base


class InspectionCase(SynchronousTestCase):
    """A host with one client, and somebody who looks."""

    def setUp(self) -> None:
        self.migrations = SimpleNamespace(handovers={}, arrival=None)
        self.set_up(BareHost(ListGuest([fill(0, 0, 320, 200, 0x224466)])))
        self.host.turn(1.0)

    def set_up(self, host: BareHost) -> None:
        """This is the host."""
        self.host = host
        handovers = SimpleNamespace(migrations=self.migrations)
        daemon = SimpleNamespace(sessions=host.sessions, handovers=handovers, reactor=host.clock)
        self.inspection = ServerInspection(daemon)
        self.watch = self.inspection.watch

    def waits(self, channel: str = "display") -> dict[str, float]:
        """What a channel waits for now, and for how long already."""
        now = self.host.clock.seconds()
        return {
            wait.cause.name: now - wait.since
            for wait in self.watch.look()
            if wait.channel.channel == channel and wait.cause.name != "ping"
        }

    def says(self, name: str, *arguments: Any) -> list[str]:
        """The lines that one of the functions prints."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            getattr(self.inspection, name)(*arguments)
        return out.getvalue().splitlines()

    def draw(self, count: int = 1) -> None:
        """The guest draws, each time something that covers nothing."""
        for at in range(count):
            self.host.guest.draw(fill(at % 300, at // 300, 1, 1, at))


class WaitTests(InspectionCase):
    """What channels wait for is found, and since when."""

    def test_nothing(self) -> None:
        """A channel that has said all it had to say waits for nothing, however long that is ago."""
        self.host.client()
        self.host.turn(20)
        self.assertEqual(self.waits(), {})

    def test_acknowledgements(self) -> None:
        """A client that does not acknowledge is found once there is something that it cannot be sent."""
        peer = self.host.client()
        core = peer["display"].core
        core.flow = core.line.flow = None
        self.draw(2 * core.common.ack_window - 100)
        self.assertEqual(self.waits(), {})
        self.draw(200)
        self.assertEqual(self.waits(), {"acks": 0.0})
        self.host.turn(3.0)
        self.draw()
        self.assertEqual(self.waits(), {"acks": 3.0})

    def test_slow_is_not_stuck(self) -> None:
        """A wait that comes to its end and begins anew is another one."""
        peer = self.host.client()
        core = peer["display"].core
        core.flow = core.line.flow = None
        self.draw(2 * core.common.ack_window + 20)
        self.assertEqual(self.waits(), {"acks": 0.0})
        self.host.turn(3.0)
        peer["display"].say(base.AckSync(core.common.ack_generation), base.Ack())
        self.draw(2 * core.common.ack_window + 20)
        self.assertEqual(self.waits(), {"acks": 0.0})

    def test_line(self) -> None:
        """A line on which nothing arrives is found."""
        peer = self.host.client()
        core = peer["display"].core
        core.flow.bandwidth.window = 2000
        self.draw(100)
        self.assertEqual(self.waits(), {"line": 0.0})

    def test_socket(self) -> None:
        """A client that does not read is found."""
        peer = self.host.client()
        peer["inputs"].pause()
        peer["display"].pause()
        self.assertEqual(self.waits("inputs"), {"socket": 0.0})
        self.host.turn(2.5)
        self.assertEqual(self.waits(), {"socket": 2.5})
        peer["display"].resume()
        self.assertEqual(self.waits(), {})

    def test_encoding(self) -> None:
        """An image that no thread gets to is found."""
        self.set_up(BareHost(ListGuest([fill(0, 0, 1600, 1200, 0)]), workers_wait=True))
        self.host.client()
        self.host.work()
        self.assertEqual(self.waits(), {})
        self.host.guest.draw(copy(picture(1, 1500, 1000), 0, 0))
        self.assertEqual(self.waits(), {"encoding": 0.0})
        self.host.work()
        self.assertEqual(self.waits(), {})

    def test_silent_client(self) -> None:
        """A display channel whose client never sends its Init is found."""
        peer = self.host.client(("main",))
        self.host.link("display", peer.id)
        self.host.turn(4.0)
        self.waits()
        self.host.turn(4.0)
        self.assertEqual(self.waits(), {"init": 4.0})

    def test_handover(self) -> None:
        """What a handover holds up is found: standing still, then the client's flush mark."""
        peer = self.host.client()
        self.host.sessions.freeze()
        self.assertEqual(self.waits(), {"handover": 0.0})
        self.host.sessions.switch(peer.id, seal_for(peer.id))
        self.assertEqual(self.waits(), {"flush mark": 0.0})
        peer["display"].say(base.MigrateFlushMark())
        self.assertEqual(self.waits(), {"leaving": 0.0})

    def test_arriving(self) -> None:
        """A channel whose state has not come is found."""
        session = ClientSession(self.host.sessions, 5, arriving=True)
        request = self.host.request("inputs", 5)
        core = session.make_core(request)
        session.cores["inputs", 0] = core
        self.host.sessions.clients[5] = session
        self.assertEqual(self.waits("inputs"), {"state": 0.0})

    def test_ping(self) -> None:
        """An unanswered ping is a wait from the time at which it was sent."""
        self.host.client()
        self.host.turn(0.2)
        before = self.host.clock.seconds()
        self.host.turn(7.0)
        pings = [wait for wait in self.watch.look() if wait.cause.name == "ping"]
        self.assertTrue(pings)
        self.assertTrue(all(wait.since <= before for wait in pings))

    def test_nothing_kept(self) -> None:
        """What was seen of clients that are gone is forgotten."""
        peer = self.host.client()
        peer["display"].pause()
        self.watch.look()
        peer.lose()
        self.host.turn()
        self.assertEqual(self.watch.look(), [])
        self.assertEqual(self.inspection.watch._seen, {})


class TableTests(InspectionCase):
    """What the functions print."""

    def test_stuck(self) -> None:
        """One line says which channel of whom waits for what and since when, and what that means."""
        self.assertEqual(self.says("stuck"), ["No channel waits for 2 s or longer."])
        peer = self.host.client()
        peer["display"].pause()
        self.says("stuck")
        self.host.turn(1.5)
        self.assertNotIn("socket", " ".join(self.says("stuck")))
        self.host.turn(1.0)
        lines = [line for line in self.says("stuck") if "socket" in line]
        self.assertEqual(lines[0].split()[:5], [str(peer.id), "display:0", "socket", "2.5", "s"])
        self.assertIn("does not", next(each.help for each in CAUSES if each.name == "line"))
        self.assertTrue(lines[1].startswith("socket: "))

    def test_all(self) -> None:
        """Every function prints something, with a client and without."""
        for peers in range(2):
            for name in ("sessions", "channels", "queues", "device", "handovers", "stages", "guide"):
                self.assertTrue(self.says(name), name)
            if not peers:
                peer = self.host.client()
        self.assertEqual(len(self.says("channels")), 5)
        self.assertEqual(len(self.says("channels", peer.id + 1)), 1)
        self.assertIn("320x200", self.says("device")[-1])
        self.assertIs(self.inspection.channel(peer.id, "display"), peer["display"].core)

    def test_stages(self) -> None:
        """The stage table marks where a handover under way is."""
        self.assertNotIn("*", "".join(self.says("stages", "source")))
        self.migrations.handovers["x"] = SimpleNamespace(
            migration_id=b"\x12" * 16,
            side="source",
            stage=Stage.PRECOPY,
            ended=False,
            timeline=[(Stage.PRECOPY, -2.0)],
            failed_at=None,
            problems=[],
            next_deadline=lambda: None,
        )
        marked = [line for line in self.says("stages", "source") if line.startswith("*")]
        self.assertTrue(marked)
        self.assertEqual({line.split()[1] for line in marked}, {"precopy"})
        self.assertFalse([line for line in self.says("stages", "target") if line.startswith("*")])
        self.assertIn("12121212", self.says("handovers")[1])

    def test_namespace(self) -> None:
        """The guide names everything that is there, and nothing else."""
        names = {line.split("(")[0] for line, _text in guide_lines(ServerInspection)}
        self.assertEqual(names, set(self.inspection.namespace()))

    def test_columns(self) -> None:
        """Numbers stand to the right, words to the left."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            table(("a", "word"), [(5, "x"), (5000, "yy")])
        self.assertEqual(out.getvalue(), "   a  word\n   5  x\n5000  yy\n")
