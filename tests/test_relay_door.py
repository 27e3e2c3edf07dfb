# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of a relay's port for all: browsers, and viewers that name their guest by HTTP CONNECT."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import websocket
from spicemig.channels.door import DoorFactory
from spicemig.client.hosts import Address
from spicemig.client.session import ViewerSession
from spicemig.relay.client import ClientFactory
from spicemig.relay.relay import Relay
from spicemig.relay.routes import Route, Routes
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.hosts import PORT, OneKey, TwoHosts
from tests.door_clients import DoorNetwork, SpeakerFactory, TunnellerFactory
from tests.test_relay_session import AT_RELAY, RelayCase


class BrowserTests(RelayCase):
    """Clients of both kinds on one port."""

    if websocket.wsproto is None:
        skip = websocket.why_not()

    def set_up(self, **settings: Any) -> None:
        super().set_up(**settings)
        door = DoorFactory(ClientFactory(self.relay), self.hosts.clock)
        self.hosts.network.listen("relay", PORT, door)

    def browser(self) -> ViewerSession:
        """A client that speaks WebSocket."""
        network = DoorNetwork(self.hosts.network, SpeakerFactory)
        viewer = ViewerSession(network, b"", self.hosts.clock)
        self.hosts.wait(viewer.connect(AT_RELAY))
        self.hosts.wait(viewer.until(lambda: viewer.display.marked))
        self.hosts.run(0.01)
        return viewer

    def test_both(self) -> None:
        """A viewer and a browser see the same picture, type, and notice no handover."""
        viewers = [self.browser(), self.viewer()]
        for number in range(3):
            self.owner().guest.draw(fill(number, 5, 60, 70, 0x654321), copy(picture(5, 80, 60), 7, 9))
            for viewer in viewers:
                before = len(self.owner().guest.inputs)
                viewer.type_keys(30)
                self.hosts.run(0.01)
                self.assertEqual(len(self.owner().guest.inputs), before + 2)
                self.assert_same_picture(viewer)
            if number < 2:
                self.move()
        for viewer in viewers:
            self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        self.assert_nothing_left()

    def test_slow_browser(self) -> None:
        """Back-pressure reaches the server through WebSocket, too."""
        viewer = self.browser()
        viewer.connections[2, 0].park()
        for seed in range(60):
            self.hosts.source.guest.draw(copy(picture(100 + seed, 100, 100, seed=seed), 0, 0))
            self.hosts.run(0.001)
        pipe = next(iter(self.relay.sessions.values())).pipes["display", 0]
        self.assertIn(pipe.from_server.SLOW, pipe.from_server.reasons)
        viewer.connections[2, 0].transport.resumeProducing()
        self.hosts.run(0.5)
        self.assert_same_picture(viewer)


class Told(Protocol):
    """Somebody who asks; remembers the answer."""

    def __init__(self, asks: bytes) -> None:
        self.asks = asks
        self.answer = b""
        self.lost = False

    def connectionMade(self) -> None:
        self.transport.write(self.asks)

    def dataReceived(self, data: bytes) -> None:
        self.answer += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


class NamedTests(SynchronousTestCase):
    """Two guests behind one port; the viewer's proxy setting says which is meant."""

    def setUp(self) -> None:
        self.hosts = hosts = TwoHosts(self.mktemp())
        hosts.target.power_on()
        self.guests = {"source": hosts.source, "target": hosts.target}
        self.route("desk.example:5901 target", "desk.example source", "[2001:db8::1]:5900 target")

    def route(self, *lines: str) -> None:
        """A relay with these routes."""
        hosts = self.hosts
        routes = [Route(key, (self.guests[name].address,)) for key, name in map(str.split, lines)]
        self.relay = Relay(Routes(routes), hosts.network, OneKey(), hosts.clock)
        hosts.network.listen("relay", PORT, DoorFactory(ClientFactory(self.relay), hosts.clock))

    def viewer(self, name: str) -> ViewerSession:
        """A client that names HOST:PORT."""
        network = DoorNetwork(self.hosts.network, lambda factory: TunnellerFactory(factory, name))
        viewer = ViewerSession(network, b"", self.hosts.clock)
        self.hosts.wait(viewer.connect(AT_RELAY))
        return viewer

    def leads_to(self, name: str) -> str:
        """Whose guest a client sees that names this."""
        viewer = self.viewer(name)
        (found,) = (each for each, host in self.guests.items() if host.sessions.clients)
        self.hosts.wait(viewer.disconnect())
        self.hosts.run(0.1)
        return found

    def refusal(self, name: str) -> bytes:
        """What somebody is told who names something else, and is let go."""
        asks = f"CONNECT {name} HTTP/1.0\r\n\r\n".encode()
        told: Any = self.hosts.network.join("relay", PORT, Factory.forProtocol(lambda: Told(asks)))
        self.hosts.run(0.01)
        self.assertTrue(told.lost)
        return told.answer

    def test_narrowest(self) -> None:
        """Host and port are more than the host alone."""
        self.assertEqual(self.leads_to("desk.example:5900"), "source")
        self.assertEqual(self.leads_to("DESK.example:5901"), "target")
        self.assertEqual(self.leads_to("[2001:DB8::1]:5900"), "target")

    def test_nowhere(self) -> None:
        """What no route names is not gone to, even if it could be reached."""
        for name in ("other.example:5900", "source:5900", "127.0.0.1:5900", "[2001:db8::1]:5901"):
            answer = self.refusal(name)
            self.assertEqual(answer.split()[1], b"404")
            self.assertIn(f"there is no route to {name} from here".encode(), answer)
        self.assertEqual(self.hosts.network.connections("source"), [])

    def test_anyhow(self) -> None:
        """A route for all, or for the port, takes those that name what no other route does."""
        for key in ("*", str(PORT)):
            self.route("desk.example source", f"{key} target")
            self.assertEqual(self.leads_to("other.example:1"), "target")
            self.assertEqual(self.leads_to("desk.example:1"), "source")

    def test_follows(self) -> None:
        """A handover goes on behind the name."""
        self.hosts = TwoHosts(self.mktemp())
        self.guests = {"source": self.hosts.source, "target": self.hosts.target}
        self.route("desk.example source")
        viewer = self.viewer("desk.example:5900")
        report = self.hosts.moved(self.hosts.source)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"])
        self.hosts.run(0.1)
        viewer.type_keys(30)
        self.hosts.run(0.1)
        self.assertEqual(self.hosts.target.guest.inputs, [("key_down", 30), ("key_up", 158)])
        self.assertEqual(viewer.moves, [])

    def test_told_to_come_again(self) -> None:
        """Who must connect anew is sent to what it has named, which leads here again, as it speaks there."""
        self.viewer("desk.example:5901")
        (session,) = self.relay.sessions.values()
        client = session.pipes["main", 0].client

        def again() -> Address:
            return Address.of(self.relay.destination(client))

        self.assertEqual(again(), Address("desk.example", 5901))
        client.secured()  # inside
        self.assertEqual(again(), Address("desk.example", tls_port=5901))
        client.asked_for("desk.example", 5901)  # that was outside
        self.assertEqual(again(), Address("desk.example", 5901))
