# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the port that takes SPICE, HTTP and, over it, WebSocket."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from spicemig.channels import websocket
from spicemig.channels.door import ASKED_MAX_BYTES, HEAD_MAX_BYTES, DoorFactory
from spicemig.channels.limits import LinkCounter, LinkLimits
from spicemig.channels.protocol import LinkFactory, LinkProtocol
from spicemig.client.hosts import Address
from spicemig.client.session import ViewerSession
from spicemig.errors import LinkError, ProtocolError
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.hosts import PORT, OneKey, TwoHosts
from spicemig.wire.link import LinkMess
from tests.door_clients import DoorNetwork, SpeakerFactory, TunnellerFactory

ADDRESS = IPv4Address("TCP", "192.0.2.1", 50000)
LIMITS = LinkLimits()
LINK = LinkMess(0, 1, 0).pack()
PAGE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CONNECT = (
    b"CONNECT desk.example:5900 HTTP/1.0\r\nHost: desk.example:5900\r\nProxy-Connection: keep-alive\r\n\r\n"
)
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
HANDSHAKE = (
    b"GET /websockify HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: binary\r\n\r\n"
)
FRAME = b"\x82" + bytes([0x80 | len(LINK)]) + bytes(4) + LINK  # its mask is 0


class Nobody:
    """A host that lets nobody in."""

    def admit(self, request: Any) -> Any:
        """Refuse."""
        raise ProtocolError(LinkError.ERROR, "there is nobody")


class Told(Protocol):
    """Remembers what it is told; ``all`` fires at the end."""

    def __init__(self) -> None:
        self.data = b""
        self.all: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.all.callback(self.data)


class Remembering(LinkProtocol):
    """A link that remembers what it was told."""

    heard = b""
    named: tuple[str, int] | None = None
    leads = True  # whether CONNECT does

    def asked_for(self, host: str, port: int) -> bool:
        self.named = host, port
        return self.leads and super().asked_for(host, port)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        super().dataReceived(data)


class RememberingFactory(LinkFactory):
    """Makes them."""

    def buildProtocol(self, addr: Any) -> Any:
        made = super().buildProtocol(addr)
        return made and Remembering(self, made._counted_as, made._about)


class Transport(StringTransport):
    """As lenient as real ones."""

    def unregisterProducer(self) -> None:
        self.producer = None

    def _checkState(self) -> None:
        """Reading may be paused and resumed while it is closing."""


class DoorCase(SynchronousTestCase):
    """Connections of strangers."""

    if websocket.wsproto is None:
        skip = websocket.why_not()

    def setUp(self) -> None:
        self.clock = Clock()
        self.counter = LinkCounter(LIMITS)
        links = RememberingFactory(Nobody(), keys=OneKey(), counter=self.counter, clock=self.clock)
        self.factory = DoorFactory(links, self.clock)

    def door(self) -> tuple[Any, StringTransport]:
        """A door that nobody has come through yet."""
        opened = self.factory.buildProtocol(ADDRESS)
        transport = Transport(peerAddress=ADDRESS)
        opened.makeConnection(transport)
        self.addCleanup(self.leave, opened)
        return opened, transport

    def leave(self, opened: Any) -> None:
        """The connection is gone."""
        if opened.wrappedProtocol is not None:
            opened.connectionLost(Failure(ConnectionDone()))

    def answer(self, *said: bytes) -> bytes:
        """What a stranger is told who says this."""
        opened, transport = self.door()
        for data in said:
            opened.dataReceived(data)
        return transport.value()

    def refusal(self, *said: bytes) -> tuple[int, str]:
        """Status and text for a stranger whose request leads nowhere, and who is then let go."""
        opened, transport = self.door()
        for data in said:
            opened.dataReceived(data)
        self.assertTrue(transport.disconnecting, said[0][:40])
        self.assertEqual(opened.wrappedProtocol.heard, b"")
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"\r\nContent-Length: %d" % len(body), head)
        return int(head.split()[1]), body.decode()


class StrangerTests(DoorCase):
    """What strangers say to a door."""

    def test_spice(self) -> None:
        """What begins like SPICE goes through untouched, and so does what begins like nothing."""
        for said in (b"REDQ\0G\x16", b"\x16nothing that TLS would be", b"\0", b"get / HTTP/1.1\r\n\r\n"):
            opened, transport = self.door()
            opened.dataReceived(said[:1])
            opened.dataReceived(said[1:])
            self.assertEqual(opened.wrappedProtocol.heard, said)
            transport.clear()
            opened.wrappedProtocol.transport.write(b"answer")
            self.assertEqual(transport.value(), b"answer")

    def test_websocket(self) -> None:
        """What is in the messages of a WebSocket goes through, however the bytes arrive."""
        for said in ([HANDSHAKE, FRAME], [HANDSHAKE + FRAME], [bytes([each]) for each in HANDSHAKE + FRAME]):
            opened, transport = self.door()
            for data in said:
                opened.dataReceived(data)
            self.assertEqual(opened.wrappedProtocol.heard, LINK)
            head, _, frames = transport.value().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 101 "))
            self.assertIn(b"REDQ", frames)
        said = HANDSHAKE.replace(b"binary", b"base64")
        self.assertEqual(self.refusal(said), (400, 'the subprotocol is "binary" or none\n'))

    def test_no_http(self) -> None:
        """What begins like HTTP and is none is told so."""
        for said in (
            b"GARBAGE\r\n\r\n",
            b"C\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/1.1 \r\n\r\n",
            b"GET /\xff HTTP/1.1\r\n\r\n",
        ):
            self.assertEqual(self.refusal(said), (400, "this is neither HTTP/1.1 nor SPICE\n"), said)

    def test_too_long(self) -> None:
        """A head without end is not kept."""
        long = b"GET / HTTP/1.1\r\nA: " + bytes(HEAD_MAX_BYTES) + b"\r\n\r\n"
        for said in ([b"G" * 100_000], [b"GET / HTTP/1.1\r\n"] + [b"A: b\r\n" * 100] * 100, [long]):
            self.assertEqual(self.refusal(*said)[0], 431)
        opened, _transport = self.door()
        for _ in range(100):
            opened.dataReceived(b"G" * 1000)
            self.assertLess(len(opened._head), HEAD_MAX_BYTES + 1000)

    def test_methods(self) -> None:
        """Nothing can be sent to the pages."""
        for said in (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n"):
            self.assertEqual(self.refusal(said)[0], 405)
            self.assertIn(b"\r\nAllow: GET, HEAD, CONNECT\r\n", self.answer(said))
        for header in (b"Content-Length: 1", b"content-length:x", b"Transfer-Encoding: chunked"):
            self.assertEqual(self.refusal(b"GET / HTTP/1.1\r\n" + header + b"\r\n\r\n")[0], 400)
        self.assertIn(b" 404 ", self.answer(b"GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n"))

    def test_no_pages(self) -> None:
        """Where there are no pages, none is found."""
        for path in (b"/", b"/spice.html", b"http://elsewhere.example/"):
            self.assertIn(b"HTTP/1.1 404 ", self.answer(PAGE.replace(b"/", path, 1)))
        self.assertTrue(self.answer(PAGE.replace(b"GET", b"HEAD")).endswith(b"\r\n\r\n"))

    def test_many(self) -> None:
        """Requests for pages are taken in, answered or not, up to a limit."""
        opened, transport = self.door()
        asked = PAGE.replace(b"a", b"a" * 1000)
        for _ in range(ASKED_MAX_BYTES // len(asked)):
            opened.dataReceived(asked)
        self.assertFalse(transport.disconnecting)
        self.assertNotIn(b" 429 ", transport.value())
        opened.dataReceived(asked)
        self.assertTrue(transport.disconnecting)
        self.assertIn(b"HTTP/1.1 429 ", transport.value())


class PageTests(TestCase):
    """Where there are pages, whoever asks for one is answered, but with nothing beside them."""

    if websocket.wsproto is None:
        skip = websocket.why_not()

    def setUp(self) -> None:
        self.pages = Path(self.mktemp())
        (self.pages / "more").mkdir(parents=True)
        (self.pages / "spice_auto.html").write_text("the viewer")
        (self.pages / "more" / "a.js").write_text("a part")
        (self.pages.parent / "secret").write_text("not for you")
        self.open()

    def open(self) -> None:
        """A door at a port of this machine."""
        factory = DoorFactory(LinkFactory(Nobody(), keys=OneKey()), reactor, directory=self.pages)
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    @inlineCallbacks
    def answer(self, said: bytes) -> Any:
        """What somebody is told who says this, until the connection is closed."""
        endpoint = clientFromString(reactor, f"tcp:127.0.0.1:{self.port.getHost().port}")
        told = yield connectProtocol(endpoint, Told())
        told.transport.write(said)
        return (yield told.all.addTimeout(10, reactor))

    def get(self, path: bytes, method: bytes = b"GET") -> Any:
        """The answer for a path."""
        return self.answer(method + b" " + path + b" HTTP/1.0\r\nHost: a\r\n\r\n")

    @inlineCallbacks
    def test_pages(self) -> Any:
        """Files are given; lists of them, and files outside, are not."""
        for path, status, text in (
            (b"/spice_auto.html", b"200", b"the viewer"),
            (b"/spice_auto.html?host=a", b"200", b"the viewer"),
            (b"/more/a.js", b"200", b"a part"),
            (b"/more/", b"404", b"no such page"),
            (b"/b.js", b"404", b"no such page"),
            (b"/../secret", b"404", b""),
            (b"/%2e%2e/secret", b"404", b""),
            (b"/..%2fsecret", b"404", b""),
            (b"/more//etc/passwd", b"404", b""),
        ):
            answer = yield self.get(path)
            self.assertEqual(answer.split()[1], status, path)
            self.assertIn(text, answer)
            self.assertNotIn(b"not for you", answer)
        head = yield self.get(b"/spice_auto.html", b"HEAD")
        self.assertEqual((head.split()[1], head.partition(b"\r\n\r\n")[2]), (b"200", b""))

    @inlineCallbacks
    def test_first(self) -> Any:
        """The address alone leads to the viewer's page."""
        answer = yield self.get(b"/")
        self.assertEqual(answer.split()[1], b"302")
        self.assertIn(b"\r\nlocation: spice_auto.html\r\n", answer.lower())
        (self.pages / "index.html").write_text("the first")
        self.open()
        answer = yield self.get(b"/")
        self.assertIn(b"\r\nlocation: index.html\r\n", answer.lower())

    @inlineCallbacks
    def test_many_on_one_connection(self) -> Any:
        """A browser asks for one page after the other; what is no request for one ends that."""
        asked = b"GET /spice_auto.html HTTP/1.1\r\nHost: a\r\n\r\n"
        last = asked.replace(b"Host", b"Connection: close\r\nHost")
        answer = yield self.answer(asked + asked + last)
        self.assertEqual(answer.count(b"the viewer"), 3)
        for more in (CONNECT, HANDSHAKE, b"POST / HTTP/1.1\r\n\r\n", b"GARBAGE\r\n\r\n"):
            answer = yield self.answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + more)
            self.assertEqual(
                (answer.count(b" 302 "), answer.count(b"\r\nConnection: close\r\n")), (1, 1), more
            )


class ConnectTests(DoorCase):
    """HTTP CONNECT leads to the guest that it names, and nowhere else."""

    def test_spice(self) -> None:
        """After the answer the connection is as new, however the bytes arrive."""
        for said in ([CONNECT, LINK], [CONNECT + LINK], [bytes([each]) for each in CONNECT + LINK]):
            opened, transport = self.door()
            for data in said:
                opened.dataReceived(data)
            self.assertEqual(opened.wrappedProtocol.named, ("desk.example", 5900))
            self.assertEqual(opened.wrappedProtocol.heard, LINK)
            self.assertTrue(transport.value().startswith(ESTABLISHED + b"REDQ"))

    def test_http_inside(self) -> None:
        """Pages and WebSocket are had as well, but no second CONNECT."""
        self.assertIn(b" 404 ", self.answer(CONNECT, PAGE).removeprefix(ESTABLISHED))
        self.assertIn(b" 101 ", self.answer(CONNECT + HANDSHAKE).removeprefix(ESTABLISHED))
        self.assertIn(b" 400 ", self.answer(CONNECT, CONNECT).removeprefix(ESTABLISHED))

    def test_names(self) -> None:
        """The name is read in any way that it may be written."""
        for target, named in (
            (b"Desk.Example:5900", ("desk.example", 5900)),
            (b"192.0.2.7:1", ("192.0.2.7", 1)),
            (b"[2001:DB8::1]:65535", ("2001:db8::1", 65535)),
            (b"2001:db8::1:5900", ("2001:db8::1", 5900)),  # as GLib has it
        ):
            opened, transport = self.door()
            opened.dataReceived(b"CONNECT " + target + b" HTTP/1.1\r\n\r\n")
            self.assertEqual(transport.value(), ESTABLISHED)
            self.assertEqual(opened.wrappedProtocol.named, named)

    def test_no_names(self) -> None:
        """What is no host and port is refused."""
        for target in (b"desk", b"desk:", b":5900", b"desk:0", b"desk:65536", b"desk:5x", b"a/b:1", b"a@b:1"):
            self.assertEqual(self.refusal(b"CONNECT " + target + b" HTTP/1.1\r\n\r\n")[0], 400, target)

    def test_nowhere(self) -> None:
        """Who names what leads nowhere is told so and let go."""
        self.patch(Remembering, "leads", False)
        said = (404, "there is no route to desk.example:5900 from here\n")
        self.assertEqual(self.refusal(CONNECT), said)
        self.assertEqual(self.refusal(CONNECT + LINK), said)


class TimeTests(DoorCase):
    """Strangers are counted, and let go when their time is over, whatever they are at."""

    def assert_seconds(self, seconds: float, *said: bytes) -> None:
        """Who says only this is cut off after this time."""
        opened, transport = self.door()
        for data in said:
            opened.dataReceived(data)
        self.assertFalse(transport.disconnecting)
        for _ in range(10):
            self.clock.advance(seconds / 10 - 0.01)
        self.assertFalse(transport.disconnected, said)
        self.clock.advance(0.2)
        self.assertTrue(transport.disconnected, said)
        self.leave(opened)

    def test_every_state(self) -> None:
        """Nothing, half a head, half a handshake, a WebSocket and a tunnel without a link."""
        self.assert_seconds(LIMITS.first_byte_seconds)
        for said in (
            [b"G"],
            [CONNECT[:-1]],
            [CONNECT],
            [CONNECT, HANDSHAKE[:20]],
            [HANDSHAKE[:-1]],
            [HANDSHAKE],
            [HANDSHAKE, FRAME[:-1]],
            [CONNECT, LINK[:-1]],
        ):
            self.assert_seconds(LIMITS.authentication_seconds, *said)

    def test_pages(self) -> None:
        """Who asks for page after page must come anew now and then."""
        opened, transport = self.door()
        for _ in range(12):
            opened.dataReceived(PAGE)
            self.assertFalse(transport.disconnected)
            self.clock.advance(LIMITS.page_seconds / 12)
        self.assertTrue(transport.disconnected)
        self.leave(opened)
        self.assertEqual(self.counter.refused, {})  # it was no link

    def test_counted(self) -> None:
        """There may be only so many at once, whatever they are at; who goes makes room."""
        doors = []
        for number in range(LIMITS.per_address):
            opened, _transport = self.door()
            opened.dataReceived((b"G", PAGE, HANDSHAKE, CONNECT)[number % 4])
            doors.append(opened)
        self.assertIsNone(self.factory.buildProtocol(ADDRESS))
        for opened in doors:
            self.leave(opened)
        self.door()


class FuzzTests(DoorCase):
    """Nothing that is said to a door does more than close the connection."""

    def assert_harmless(self, said: bytes, pieces: random.Random) -> None:
        opened, transport = self.door()
        while said and not transport.disconnecting and not transport.disconnected:
            size = pieces.randint(1, len(said))
            opened.dataReceived(said[:size])
            said = said[size:]
        self.clock.advance(LIMITS.page_seconds + 1)
        self.assertTrue(transport.disconnecting or transport.disconnected)
        self.leave(opened)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def conversations(self) -> Iterator[bytes]:
        """What reasonable clients say."""
        yield PAGE + PAGE
        yield CONNECT + LINK
        yield HANDSHAKE + FRAME
        yield CONNECT + HANDSHAKE + b"\x89\x80abcd" + b"\x02\x80abcd" + b"\x80\x80abcd" + FRAME
        yield HANDSHAKE + FRAME + b"\x88\x82" + bytes(4) + b"\x03\xe8"

    def test_cut_short(self) -> None:
        """Every beginning of a conversation."""
        pieces = random.Random(1)
        for said in self.conversations():
            for end in range(len(said) + 1):
                self.assert_harmless(said[:end], pieces)

    def test_changed(self) -> None:
        """Bytes that are others, missing or there twice."""
        random_ = random.Random(2)
        for said in self.conversations():
            for _ in range(600):
                changed = bytearray(said)
                for _ in range(random_.randint(1, 4)):
                    at = random_.randint(0, len(changed))
                    end = min(len(changed), at + random_.randint(0, 30))
                    changed[at:end] = random_.choice(
                        (
                            b"",
                            bytes([random_.randrange(256)]),
                            changed[at:end] * 2,
                            random_.choice(
                                (b"\r\n", b":", b" ", b"\0", b"\xff", b"Content-Length: 9", b"%00")
                            ),
                        )
                    )
                self.assert_harmless(bytes(changed), random_)


class ServedTests(SynchronousTestCase):
    """Browsers, and viewers behind a firewall, at the door of a server."""

    if websocket.wsproto is None:
        skip = websocket.why_not()

    def setUp(self) -> None:
        self.hosts = TwoHosts(self.mktemp())
        links = LinkFactory(self.hosts.source.sessions, keys=OneKey(), clock=self.hosts.clock)
        self.hosts.network.listen("door", PORT, DoorFactory(links, self.hosts.clock))

    def viewer(self, *layers: Any) -> ViewerSession:
        """A client that has come through the door and shows the picture."""
        viewer = ViewerSession(DoorNetwork(self.hosts.network, *layers), b"", self.hosts.clock)
        self.hosts.wait(viewer.connect(Address("door", PORT)))
        self.hosts.wait(viewer.until(lambda: viewer.display.marked))
        return viewer

    def test_ways(self) -> None:
        """All see the same picture, and type."""

        def tunnel(factory: Any) -> Any:
            return TunnellerFactory(factory, "anything.example:1")

        ways: tuple[tuple[Any, ...], ...] = ((), (SpeakerFactory,), (tunnel,), (SpeakerFactory, tunnel))
        viewers = [self.viewer(*way) for way in ways]
        guest = self.hosts.source.guest
        guest.draw(fill(3, 5, 60, 70, 0x654321), copy(picture(5, 80, 60), 7, 9))
        for viewer in viewers:
            viewer.type_keys(30)
            self.hosts.run(0.05)
            self.assertEqual(viewer.screen().tobytes(), self.hosts.source.screen().tobytes())
        self.assertEqual(len(guest.inputs), 2 * len(ways))

    def test_slow_browser(self) -> None:
        """What a browser does not read stays with the channel, which drops what was drawn over."""
        viewer = self.viewer(SpeakerFactory)
        display = viewer.connections[2, 0]
        display.park()
        (client,) = self.hosts.source.sessions.clients.values()
        (core,) = client.channels("display")
        for seed in range(60):
            self.hosts.source.guest.draw(copy(picture(100 + seed, 100, 100, seed=seed), 0, 0))
            self.hosts.run(0.001)
        self.assertTrue(core.transport_paused)
        waiting = sum(end.unread_bytes for end in self.hosts.network.connections("client"))
        self.assertLess(waiting, 1_000_000)
        display.transport.resumeProducing()
        self.hosts.run(0.5)
        self.assertEqual(viewer.screen().tobytes(), self.hosts.source.screen().tobytes())
