# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what one can ask of a relay in its manhole: tables, and what channels wait for."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from spicemig.client.session import ViewerSession
from spicemig.control.inspection import guide_lines
from spicemig.control.relay_inspection import RelayInspection
from spicemig.relay import channel as relay_channel
from spicemig.relay.pipe import Pipe
from spicemig.relay.routes import Route
from spicemig.testing.channels import framed
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.hosts import PORT
from spicemig.testing.network import MemoryTransport
from spicemig.wire.enums import MigrateFlags
from spicemig.wire.messages import base, inputs, main
from spicemig.wire.messages.main import Destination
from tests.test_relay_session import RelayCase

NEVER = "silent"  # a host that takes connections and says nothing


class InspectionCase(RelayCase):
    """A relay before two hosts, and somebody who looks."""

    def set_up(self, **options: Any) -> None:
        super().set_up(**options)
        self.hosts.network.listen(NEVER, PORT, Factory.forProtocol(Protocol))
        self.inspection = RelayInspection(SimpleNamespace(relay=self.relay, reactor=self.hosts.clock))

    def waits(self) -> dict[str, tuple[str, float]]:
        """What channels wait for now: by the cause, which and for how long already."""
        now = self.hosts.clock.seconds()
        return {
            wait.cause.name: (wait.channel.core.name, round(now - wait.since, 2))
            for wait in self.inspection.watch.look()
        }

    def says(self, name: str, *arguments: Any) -> list[str]:
        """The lines that one of the functions prints."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            getattr(self.inspection, name)(*arguments)
        return out.getvalue().splitlines()

    def pipe(self, channel: str = "main") -> Pipe:
        """A channel of the only client."""
        (session,) = self.relay.sessions.values()
        return session.pipes[channel, 0]

    def server_says(self, channel: str, message: Any) -> None:
        """A server says this, as no host of ours would."""
        self.pipe(channel).server_said(framed(message))

    def fill_up(self, viewer: ViewerSession) -> None:
        """The client reads its display channel no more, and the guest draws a lot."""
        viewer.connections[2, 0].park()
        self.inspection.watch.look()
        for seed in range(60):
            self.hosts.source.guest.draw(copy(picture(100 + seed, 100, 100, seed=seed), 0, 0))
            self.hosts.run(0.001)


class WaitTests(InspectionCase):
    """What channels wait for is found, and since when."""

    def test_nothing(self) -> None:
        """A channel that has said all it had to say waits for nothing, however long that is ago."""
        self.viewer()
        self.hosts.run(20)
        self.assertEqual(self.waits(), {})

    def test_client(self) -> None:
        """A client that does not read is found, and is found no more when it does."""
        viewer = self.viewer()
        self.fill_up(viewer)
        self.assertEqual(self.waits(), {"client": ("display", 0.0)})
        self.hosts.run(3.0)
        self.assertEqual(self.waits(), {"client": ("display", 3.0)})
        viewer.connections[2, 0].transport.resumeProducing()
        self.hosts.run(0.5)
        self.assertEqual(self.waits(), {})

    def test_acknowledgements(self) -> None:
        """A client that stands still is found even if its line never fills: the server's window is."""
        self.viewer().connections[2, 0].park()
        for row in range(60):
            self.hosts.source.guest.draw(*[fill(column, row, 1, 1, column) for column in range(20)])
            self.hosts.run(0.001)
        self.assertEqual(self.waits(), {"acks": ("display", 0.0)})
        self.hosts.run(2.0)
        self.assertEqual(self.waits(), {"acks": ("display", 2.0)})
        self.assertIn("window 256", " ".join(self.says("stuck", 1.9)))

    def test_slow_is_not_stuck(self) -> None:
        """A client that reads something now and then does not wait since it began to be slow."""
        viewer = self.viewer()
        self.fill_up(viewer)
        self.waits()
        self.hosts.run(3.0)
        self.pipe("display").core.server_scan.messages += 1
        self.assertEqual(self.waits(), {"client": ("display", 0.0)})

    def test_server(self) -> None:
        """So is a server that does not read."""
        viewer = self.viewer()
        server = self.pipe("inputs").server.transport.other
        server.pauseProducing()
        viewer.connections[3, 0].transport.write(framed(inputs.MousePosition(5, 5, 0, 0)) * 6000)
        self.hosts.run(0.01)
        self.assertEqual(self.waits(), {"server": ("inputs", 0.0)})
        server.resumeProducing()
        self.hosts.run(0.01)
        self.assertEqual(self.waits(), {})

    def test_handover(self) -> None:
        """In a handover it is told what each channel is waiting for, until nothing is waited for any more."""
        self.set_up(latency_seconds=0.003)
        self.viewer()
        seen: set[str] = set()
        self.hosts.network.watcher = lambda _: seen.update(self.waits())
        self.move()
        self.assertTrue({"links", "handover", "Migrate"} <= seen, seen)
        self.assertEqual(self.waits(), {})

    def test_linking(self) -> None:
        """A target that does not answer is found; the channels that leave without it are, too."""
        self.viewer()
        self.server_says("main", main.MigrateBegin(Destination(PORT, 0, NEVER.encode())))
        self.hosts.run(0.1)
        self.assertEqual(set(self.waits()), {"links"})
        self.server_says("inputs", base.Migrate(MigrateFlags.NEED_DATA_TRANSFER))
        self.server_says("cursor", base.Migrate(MigrateFlags(0)))
        self.hosts.run(2.0)
        self.assertEqual(self.waits()["migrate data"], ("inputs", 0.0))
        self.hosts.run(1.5)
        waits = self.waits()
        self.assertEqual(waits["links"][0], "main")
        self.assertEqual(waits["target"], ("cursor", 1.5))
        self.assertEqual(waits["migrate data"], ("inputs", 1.5))

    def test_half_of_the_client(self) -> None:
        """A client that keeps half a message is found."""
        viewer = self.viewer()
        viewer.connections[3, 0].transport.write(framed(inputs.KeyDown(30))[:-3])
        self.hosts.run(0.001)
        self.server_says("main", main.MigrateBegin(Destination(PORT, 0, NEVER.encode())))
        self.server_says("inputs", base.Migrate(MigrateFlags(0)))
        self.assertEqual(self.waits()["client's message"], ("inputs", 0.0))
        self.assertIn("3 bytes", " ".join(self.says("stuck", 0)))

    def test_half_of_the_server(self) -> None:
        """A server that is left in the middle of a large message is found."""
        self.patch(relay_channel, "WHOLE_MAX_BYTES", 200)
        self.viewer()
        display = self.pipe("display").server.transport
        cut = [False]

        def lose_the_rest(end: MemoryTransport) -> None:
            if end is display:
                end.lose(keep=0 if cut[0] else end.unread_bytes - 3)
                cut[0] = True

        self.hosts.network.watcher = lose_the_rest
        self.hosts.source.guest.draw(copy(picture(5, 30, 20), 7, 9))
        self.hosts.run(0.1)
        self.server_says("main", main.MigrateSwitchHost(PORT, 0, NEVER.encode()))
        waits = self.waits()
        self.assertEqual(waits["server's message"], ("display", 0.0))
        self.assertIn("next server", waits)

    def test_server_gone(self) -> None:
        """A client whose server is gone waits for the next one, on every channel."""
        self.viewer()
        self.hosts.network.cut("source")
        self.hosts.run(3.0)
        self.assertEqual(set(self.waits()), {"next server"})
        self.hosts.run(2.0)
        self.assertEqual(len(self.says("stuck")), 1 + 4 + 1)

    def test_nothing_kept(self) -> None:
        """What was seen of clients that are gone is forgotten."""
        viewer = self.viewer()
        self.fill_up(viewer)
        self.waits()
        self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        self.assertEqual(self.waits(), {})
        self.assertEqual(self.inspection.watch._seen, {})


class TableTests(InspectionCase):
    """What the functions print."""

    def test_stuck(self) -> None:
        """One line says which channel of whom waits for what and since when, and what that means."""
        viewer = self.viewer()
        self.fill_up(viewer)
        self.assertEqual(self.says("stuck"), ["No channel waits for 2 s or longer."])
        self.hosts.run(2.5)
        _head, row, meaning = self.says("stuck")
        self.assertEqual(row.split()[:5], [str(viewer.connection_id), "display:0", "client", "2.5", "s"])
        self.assertTrue(meaning.startswith("client: the client to read"))

    def test_who_holds_back_whom(self) -> None:
        """A client that does not read keeps its server from being read, for so long; others are read."""
        viewer = self.viewer()
        self.fill_up(viewer)
        self.says("channels")
        self.hosts.run(2.0)
        rows = {line.split()[1]: line for line in self.says("channels", viewer.connection_id)[1:]}
        self.assertEqual(set(rows), {"main:0", "display:0", "inputs:0", "cursor:0"})
        self.assertTrue(rows["display:0"].endswith("  yes          no, 2.0 s"), rows["display:0"])
        self.assertTrue(rows["inputs:0"].endswith("  yes          yes"), rows["inputs:0"])
        self.hosts.network.cut("source")
        self.hosts.run(1.0)
        self.assertIn("  no, ", next(line for line in self.says("channels") if "main:0" in line))

    def test_all(self) -> None:
        """Every function prints something, with a client and without."""
        for viewers in range(2):
            for name in ("sessions", "channels", "queues", "routes", "handovers", "stages", "guide"):
                self.assertTrue(self.says(name), name)
            if not viewers:
                viewer = self.viewer()
        self.assertEqual(len(self.says("channels")), 5)
        self.assertEqual(self.says("channels", viewer.connection_id + 1), ["None."])
        self.assertIs(self.inspection.channel(viewer.connection_id, "display"), self.pipe("display"))

    def test_sessions(self) -> None:
        """A client that was handed over is at its new server, and the count says so."""
        self.viewer()
        self.move()
        row = self.says("sessions")[1]
        self.assertIn(str(self.hosts.target.address), row)
        self.assertRegex(row, r"settled +0 s +4 +0 +1 +0 +-$")

    def test_between(self) -> None:
        """Who is on the way to another server is listed with how long that may still take."""
        viewer = self.viewer()
        self.assertEqual(self.says("handovers"), ["No client is between two servers."])
        self.server_says("main", main.MigrateBegin(Destination(PORT, 0, NEVER.encode())))
        self.hosts.run(1.0)
        row = self.says("handovers")[1]
        for text in (str(viewer.connection_id), "linking", f"{NEVER}:{PORT}", "in 9.0 s"):
            self.assertIn(text, row)

    def test_stages(self) -> None:
        """The stage tables count who is where."""
        self.viewer()
        self.viewer()
        here = [line.split()[:2] for line in self.says("stages") if line[:1].isdigit()]
        self.assertEqual({tuple(each) for each in here}, {("2", "settled"), ("8", "forwarding")})
        self.assertNotIn("channels:", self.says("stages", "client"))
        self.assertNotIn("clients:", self.says("stages", "channel"))

    def test_routes(self) -> None:
        """Routes say where they lead, and for how many; one that is dropped stays while it has clients."""
        self.route.password = b"sesame"
        self.viewer()
        self.assertRegex(self.says("routes")[1], r"^\* +source:5900 target:5900 +source:5900 +yes +1$")
        self.relay.routes.replace([Route("desk", (self.hosts.target.address,))])
        lines = self.says("routes")
        self.assertRegex(lines[1], r"^desk +target:5900 +- +no +0$")
        self.assertTrue(lines[2].startswith("* (no more)"))
        self.assertNotIn("sesame", "".join(lines))

    def test_namespace(self) -> None:
        """The guide names everything that is there, and nothing else."""
        names = {line.split("(")[0] for line, _text in guide_lines(RelayInspection)}
        self.assertEqual(names, set(self.inspection.namespace()))
