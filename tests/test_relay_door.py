# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the port that takes SPICE and SPICE over WebSocket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure

from spicemig.client.session import ViewerSession
from spicemig.relay import door
from spicemig.relay.client import ClientFactory
from spicemig.relay.door import DoorFactory
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.hosts import PORT
from spicemig.testing.network import MemoryNetwork
from tests.test_relay_session import AT_RELAY, RelayCase

if door.wsproto is not None:
    import wsproto
    from wsproto import events


class Speaker(ProtocolWrapper):
    """A client's connection over WebSocket; ``piece`` is how large its messages are."""

    piece = 7

    def makeConnection(self, transport: Any) -> None:
        self.websocket = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self.unsent: list[bytes] = []
        self.events: list[Any] = []
        super().makeConnection(transport)
        asked = events.Request(host="relay", target="/", subprotocols=["binary"])
        self.transport.write(self.websocket.send(asked))

    def dataReceived(self, data: bytes) -> None:
        self.websocket.receive_data(data)
        for event in self.websocket.events():
            self.events.append(event)
            if isinstance(event, events.AcceptConnection):
                waiting, self.unsent = self.unsent, []
                self.write(b"".join(waiting))
            elif isinstance(event, events.BytesMessage):
                self.wrappedProtocol.dataReceived(bytes(event.data))

    def write(self, data: bytes) -> None:
        if self.websocket.state is not wsproto.connection.ConnectionState.OPEN:
            self.unsent.append(data)
            return
        for start in range(0, len(data), self.piece):
            message = events.BytesMessage(data=data[start : start + self.piece])
            self.transport.write(self.websocket.send(message))


class SpeakerFactory(WrappingFactory):
    """For one client's connection."""

    noisy = False
    protocol = Speaker


class BrowserNetwork:
    """The network as a browser has it: only WebSocket."""

    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network

    def __call__(self, address: Any, secure: bool = False) -> BrowserNetwork:
        self.endpoint = self.network(address, secure)
        return self

    def connect(self, factory: Factory) -> Any:
        """Connect as an endpoint does; with the protocol inside, as it must be."""
        return self.endpoint.connect(SpeakerFactory(factory))


class DoorTests(RelayCase):
    """Clients of both kinds on one port."""

    if door.wsproto is None:
        skip = door.why_not()

    def set_up(self, **settings: Any) -> None:
        super().set_up(**settings)
        self.hosts.network.listen("relay", PORT, DoorFactory(ClientFactory(self.relay)))

    def browser(self) -> ViewerSession:
        """A client that speaks WebSocket."""
        viewer = ViewerSession(BrowserNetwork(self.hosts.network), b"", self.hosts.clock)
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


class Recorder(Protocol):
    """Remembers what it was told."""

    def no_channel(self) -> None:
        """As a client's connection."""

    def __init__(self) -> None:
        self.heard = b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class StrangerTests(RelayCase):
    """What strangers say to a door."""

    pages: Path | None = None

    if door.wsproto is None:
        skip = door.why_not()

    def door(self) -> tuple[Any, StringTransport]:
        """A door that nobody has come through yet."""
        opened = DoorFactory(Factory.forProtocol(Recorder), directory=self.pages).buildProtocol(None)
        transport = StringTransport()
        opened.makeConnection(transport)
        return opened, transport

    def upgraded(self) -> tuple[Any, StringTransport, Any]:
        """A door through which a browser has come, and the browser's side."""
        opened, transport = self.door()
        client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        opened.dataReceived(client.send(events.Request(host="a", target="/", subprotocols=["x", "binary"])))
        client.receive_data(transport.value())
        transport.clear()
        (accepted,) = client.events()
        self.assertEqual(accepted.subprotocol, "binary")
        return opened, transport, client

    def test_spice(self) -> None:
        """What begins like SPICE goes through untouched."""
        opened, transport = self.door()
        opened.dataReceived(b"R")
        opened.dataReceived(b"EDQ\0G\x16")
        self.assertEqual(opened.wrappedProtocol.heard, b"REDQ\0G\x16")
        opened.wrappedProtocol.transport.write(b"answer")
        self.assertEqual(transport.value(), b"answer")

    def test_no_upgrade(self) -> None:
        """A plain request for a page, and noise, are cut off."""
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GARBAGE\r\n\r\n", b"G" * 100_000):
            opened, transport = self.door()
            opened.dataReceived(data)
            self.assertTrue(transport.disconnected or transport.disconnecting, data[:20])
            self.assertEqual(opened.wrappedProtocol.heard, b"")

    def test_page(self) -> None:
        """Where there are pages, whoever asks for one is answered, but with nothing beside them."""
        self.pages = Path(self.mktemp())
        self.pages.mkdir()
        (self.pages.parent / "secret").write_text("not for you")
        for path, status, text in (
            (b"/", b"404", b"no such page"),
            (b"/../secret", b"404", b""),
            (b"/%2e%2e/secret", b"404", b""),
            (b"/..%2fsecret", b"404", b""),
        ):
            opened, transport = self.door()
            request = b"GET " + path + b" HTTP/1.0\r\nHost: a\r\n\r\n"
            opened.dataReceived(request[:9])
            opened.dataReceived(request[9:])
            answer = transport.value()
            self.assertEqual(answer.split()[1], status)
            self.assertIn(text, answer)
            self.assertEqual(opened.wrappedProtocol.heard, b"")
            opened.connectionLost(Failure(ConnectionDone()))

    def test_ping_and_close(self) -> None:
        """Pings are answered; a browser that closes is answered and closed."""
        opened, transport, client = self.upgraded()
        opened.dataReceived(client.send(events.Ping(b"abc")))
        client.receive_data(transport.value())
        transport.clear()
        self.assertEqual([type(each) for each in client.events()], [events.Pong])
        opened.dataReceived(client.send(events.CloseConnection(1000)))
        client.receive_data(transport.value())
        self.assertEqual([type(each) for each in client.events()], [events.CloseConnection])
        self.assertTrue(transport.disconnecting)

    def test_text(self) -> None:
        """SPICE is no text."""
        opened, transport, client = self.upgraded()
        opened.dataReceived(client.send(events.TextMessage("hello")))
        client.receive_data(transport.value())
        (closed,) = client.events()
        self.assertEqual(closed.code, 1003)
        self.assertEqual(opened.wrappedProtocol.heard, b"")

    def test_broken_frame(self) -> None:
        """A frame that is none is cut off."""
        opened, transport, _client = self.upgraded()
        opened.dataReceived(b"\xff" * 20)
        self.assertTrue(transport.disconnected or transport.disconnecting)
        self.assertEqual(opened.wrappedProtocol.heard, b"")
