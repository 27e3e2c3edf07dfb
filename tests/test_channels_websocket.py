# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the server's side of WebSocket, against wsproto as client and bytes of our own."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import websocket
from spicemig.channels.websocket import LINGER_SECONDS, Refused, WebSocketFactory, accept
from spicemig.testing.network import HIGH_WATER_BYTES, MemoryNetwork
from tests.test_channels_door import HANDSHAKE

if websocket.wsproto is not None:
    import wsproto
    from wsproto import events

BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, last: bool = True, size: int | None = None) -> bytes:
    """A browser's frame; its mask changes nothing. ``size`` is what it says to be, if it lies."""
    size = len(payload) if size is None else size
    if size < 126:
        head = struct.pack("!BB", opcode | (0x80 if last else 0), 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", opcode | (0x80 if last else 0), 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", opcode | (0x80 if last else 0), 0x80 | 127, size)
    return head + bytes(4) + payload


class Inside(Protocol):
    """What is behind a WebSocket; remembers what it heard."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.paused = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def pauseProducing(self) -> None:
        """As a producer."""
        self.paused = True

    def resumeProducing(self) -> None:
        """As a producer."""
        self.paused = False

    def stopProducing(self) -> None:
        """As a producer."""


class Browser(Protocol):
    """Keeps the bytes that it is sent, as far as it reads."""

    def __init__(self) -> None:
        self.told = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.told += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


class HandshakeTests(SynchronousTestCase):
    """Which requests lead to a WebSocket."""

    if websocket.wsproto is None:
        skip = websocket.why_not()

    def answer(self, asked: bytes = HANDSHAKE) -> bytes:
        """The answer to a request."""
        return accept(asked)[1]

    def test_subprotocol(self) -> None:
        """Who offers "binary", among others or alone, gets it; who offers none, none."""
        binary = b"Sec-WebSocket-Protocol: binary\r\n"
        for offered, chosen in (
            (binary, True),
            (binary.replace(b"binary", b"x, binary"), True),
            (b"", False),
        ):
            answer = self.answer(HANDSHAKE.replace(binary, offered))
            self.assertEqual(answer.split()[1], b"101")
            self.assertEqual(b"sec-websocket-protocol: binary\r\n" in answer.lower(), chosen)
        # the example of RFC 6455
        self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", self.answer())

    def test_refused(self) -> None:
        """What is no handshake, or for something else, is refused with the reason."""
        for wrong, reason in (
            (HANDSHAKE.replace(b"binary", b"base64"), 'the subprotocol is "binary" or none'),
            (HANDSHAKE.replace(b"Version: 13", b"Version: 8"), "Sec-WebSocket-Version"),
            (HANDSHAKE.replace(b"Connection: Upgrade\r\n", b""), "Connection"),
            (HANDSHAKE.replace(b"Sec-WebSocket-Key", b"X"), "Sec-WebSocket-Key"),
            (HANDSHAKE.replace(b"Host: a\r\n", b""), "Bad HTTP message"),
            (HANDSHAKE.replace(b"Host: a", b"Host: \xff"), "no WebSocket handshake"),
            (HANDSHAKE.replace(b"binary", b"\xff\xfe"), "no WebSocket handshake"),
            (HANDSHAKE.replace(b"Host: a", b"Host a"), "Bad HTTP message"),
        ):
            refused = self.assertRaises(Refused, accept, wrong)
            self.assertIn(reason, str(refused), wrong)

    def test_no_compression(self) -> None:
        """Extensions are not taken: what is compressed could be small and become large."""
        offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        answer = self.answer(HANDSHAKE[:-2] + offer)
        self.assertNotIn(b"extensions", answer.lower())


class StreamTests(SynchronousTestCase):
    """A WebSocket that was accepted."""

    if websocket.wsproto is None:
        skip = websocket.why_not()

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock)
        self.inside = Inside()
        accepted, _answer = accept(HANDSHAKE)
        layers = WebSocketFactory(Factory.forProtocol(lambda: self.inside), accepted, self.clock)
        self.network.listen("door", 1, layers)
        self.browser: Any = self.network.join("door", 1, Factory.forProtocol(Browser))

    def say(self, *frames: bytes) -> None:
        """The browser sends this."""
        for each in frames:
            self.browser.transport.write(each)
        self.network.settle()

    def told(self) -> list[Any]:
        """What the browser was told since the last time, as wsproto has it."""
        client = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT)
        data, self.browser.told = self.browser.told, b""
        client.receive_data(data)
        return list(client.events())

    def codes(self) -> list[int]:
        """The codes of the closes that the browser was told."""
        return [each.code for each in self.told() if isinstance(each, events.CloseConnection)]

    def test_fragments(self) -> None:
        """A message in any number of pieces, with pings between them, is a part of the stream."""
        said = (
            frame(BINARY, b"REDQ", last=False)
            + frame(PING, b"there?")
            + frame(0, last=False)
            + frame(0, b"\2\0\0", last=False)
            + frame(PONG, b"unasked")
            + frame(0, b"\0")
            + frame(BINARY)
            + frame(BINARY, b"and" * 100)
            + frame(BINARY, b"more" * 30000)
        )
        wanted = b"REDQ\2\0\0\0" + b"and" * 100 + b"more" * 30000
        self.say(said)
        self.assertEqual(self.inside.heard, wanted)
        self.assertEqual(self.told(), [events.Pong(b"there?")])
        self.setUp()
        self.say(*(said[at : at + 1] for at in range(400)), said[400:])
        self.assertEqual(self.inside.heard, wanted)

    def test_wsproto(self) -> None:
        """wsproto's own client is understood, with its masks."""
        client = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT)
        sizes = (1, 125, 126, 65535, 65536, 200_000)
        for size in sizes:
            self.say(client.send(events.BytesMessage(bytes(size), message_finished=False)))
            self.say(client.send(events.BytesMessage(b"x" * size)))
        self.assertEqual(self.inside.heard, b"".join(bytes(size) + b"x" * size for size in sizes))

    def test_written(self) -> None:
        """What is written becomes binary messages; nothing, none."""
        transport: Any = self.inside.transport
        transport.write(b"one")
        transport.write(b"")
        transport.writeSequence([b"t", b"wo"])
        transport.write(bytes(70000))
        self.network.settle()
        told = self.told()
        self.assertEqual([type(each) for each in told], [events.BytesMessage] * 3)
        self.assertEqual([bytes(each.data) for each in told], [b"one", b"two", bytes(70000)])

    def test_huge(self) -> None:
        """A message of any size passes as it comes, and is not kept."""
        self.inside.dataReceived = lambda data: None  # type: ignore[method-assign]
        self.say(frame(BINARY, b"", size=2**62))
        piece = bytes(60_000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(50):
            self.say(piece)
        kept, _most = tracemalloc.get_traced_memory()
        self.assertLess(kept, 10 * len(piece))
        self.assertFalse(self.browser.lost)

    def test_text(self) -> None:
        """SPICE is no text."""
        self.say(frame(TEXT, b"hello", last=False), frame(BINARY, b"late"))
        self.assertEqual(self.codes(), [1003])
        self.assertEqual(self.inside.heard, b"")
        self.assertTrue(self.browser.lost)

    def test_broken(self) -> None:
        """A frame that is none is told to be that, and closes the connection."""
        for said, code in (
            (b"\xff" * 20, 1002),
            (b"\x82\x04abcd", 1002),  # without a mask
            (frame(0, b"of nothing"), 1002),
            (frame(BINARY, b"a", last=False) + frame(BINARY, b"b"), 1002),
            (frame(PING, bytes(126)), 1002),
            (frame(PING, b"", last=False), 1002),
            (frame(CLOSE, b"\3"), 1002),
            (frame(CLOSE, b"\0\0"), 1002),
            (frame(CLOSE, b"\3\xe8\xff"), 1007),
            (frame(BINARY, b"", size=2**63), 1002),
        ):
            self.setUp()
            self.say(said)
            self.assertEqual(self.codes(), [code], said)
            self.assertTrue(self.browser.lost, said)

    def test_closed_by_the_browser(self) -> None:
        """A browser that closes is answered and closed; what it says after that is not heard."""
        for payload, code in ((b"\3\xe8bye", 1000), (b"", 1005), (b"\x0f\xa0", 4000)):
            self.setUp()
            self.say(frame(CLOSE, payload) + frame(BINARY, b"late"))
            self.assertEqual(self.codes(), [code])
            self.assertEqual(self.inside.heard, b"")
            self.assertTrue(self.browser.lost)
            self.clock.advance(2 * LINGER_SECONDS)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_here(self) -> None:
        """Who is closed is told so, after what was written before."""
        transport: Any = self.inside.transport
        (end,) = self.network.connections("door")
        transport.write(b"last")
        transport.loseConnection()
        self.assertIsNone(end._producer)  # TLS would wait for it
        transport.write(b"too late")
        transport.loseConnection()
        self.network.settle()
        told = self.told()
        self.assertEqual([type(each) for each in told], [events.BytesMessage, events.CloseConnection])
        self.assertEqual((bytes(told[0].data), told[1].code), (b"last", 1000))
        self.assertTrue(self.browser.lost)

    def test_closed_without_reading(self) -> None:
        """A browser that closes and does not read the answer is cut off."""
        self.browser.transport.pauseProducing()
        transport: Any = self.inside.transport
        layer = self.network.connections("door")[0].protocol
        layer.transport.loseConnection = lambda: None  # what was written would not go out
        transport.loseConnection()
        self.network.settle()
        self.assertFalse(self.browser.lost)
        self.clock.advance(LINGER_SECONDS)
        self.browser.transport.resumeProducing()
        self.network.settle()
        self.assertTrue(self.browser.lost)

    def test_pings_of_who_does_not_read(self) -> None:
        """Pongs do not pile up; once the browser reads, it has the answer to its last ping."""
        self.browser.transport.pauseProducing()
        for number in range(2000):
            self.say(frame(PING, b"%0125d" % number))
        self.assertLess(self.browser.transport.unread_bytes, HIGH_WATER_BYTES + 1000)
        self.browser.transport.resumeProducing()
        self.network.settle()
        told = self.told()
        self.assertEqual(told[0].payload, b"%0125d" % 0)
        self.assertEqual(told[-1].payload, b"%0125d" % 1999)

    def test_producer(self) -> None:
        """The producer behind is told whether the browser reads, from the moment it is there."""
        transport: Any = self.inside.transport
        self.browser.transport.pauseProducing()
        transport.write(bytes(HIGH_WATER_BYTES))
        transport.registerProducer(self.inside, True)
        self.assertTrue(self.inside.paused)
        self.browser.transport.resumeProducing()
        self.network.settle()
        self.assertFalse(self.inside.paused)
        self.browser.transport.pauseProducing()
        transport.write(bytes(HIGH_WATER_BYTES))
        self.assertTrue(self.inside.paused)
        transport.unregisterProducer()
        self.browser.transport.resumeProducing()
        self.network.settle()
        self.assertTrue(self.inside.paused)

    def test_held_back(self) -> None:
        """Behind it one can stop listening for a while."""
        transport: Any = self.inside.transport
        transport.pauseProducing()
        self.say(frame(BINARY, b"later"))
        self.assertEqual(self.inside.heard, b"")
        transport.resumeProducing()
        self.network.settle()
        self.assertEqual(self.inside.heard, b"later")
