# SPDX-License-Identifier: LGPL-2.1-or-later
"""What streams through a relay, over sockets that are joined in pairs and open no port."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from spicemig.relay import bulk
from spicemig.relay.connection import RelayConnection, Valve
from tests.peers.certificates import Authority

SECONDS = 20.0
MUCH = 3 * bulk.BATCH_BYTES + 12345


class End(RelayConnection):
    """A relay's end of a connection; keeps what it hears, before the link is through and after."""

    clock = reactor

    def __init__(self) -> None:
        self.before: list[bytes] = []
        self.heard = b""
        self.pieces = 0
        self.ended: Deferred[None] = Deferred()
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def hear_link(self, data: bytes) -> None:
        self.before.append(data)

    def hand_on(self, pipe: Any, data: bytes) -> None:
        self.heard += data
        self.pieces += 1
        for waiting in list(self._waiting):
            if len(self.heard) >= waiting[0]:
                self._waiting.remove(waiting)
                waiting[1].callback(None)

    def until(self, count: int) -> Deferred[None]:
        """Fires when so many bytes were heard."""
        heard: Deferred[None] = Deferred()
        if len(self.heard) >= count:
            heard.callback(None)
        else:
            self._waiting.append((count, heard))
        return heard.addTimeout(SECONDS, reactor)

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        self.ended.callback(None)


class BulkCase(TestCase):
    """Two ends that are joined."""

    tls = False

    def setUp(self) -> Any:
        self.ends: list[Any] = []
        factories: list[Any] = [Factory.forProtocol(lambda: None), Factory.forProtocol(lambda: None)]
        for factory in factories:
            factory.noisy = False
            factory.buildProtocol = self._made
        if self.tls:
            authority = Authority(Path(self.mktemp()))
            pair = authority.sign("server")
            pem = pair.certificate.read_text() + pair.key.read_text()
            own = ssl.PrivateCertificate.loadPEM(pem).options()
            root = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(authority.ca.read_text())])
            wanted = ssl.optionsForClientTLS("localhost", trustRoot=root)
            factories[0] = TLSMemoryBIOFactory(own, False, factories[0])
            factories[1] = TLSMemoryBIOFactory(wanted, True, factories[1])
        for one, factory in zip(socket.socketpair(), factories, strict=True):
            one.setblocking(False)
            reactor.adoptStreamConnection(one.fileno(), socket.AF_UNIX, factory)
            one.close()
        self.addCleanup(self._end)

    def _made(self, address: Any) -> End:
        self.ends.append(End())
        return self.ends[-1]

    def _end(self) -> Any:
        for end in self.ends:
            end.abort()
        return gatherResults([end.ended.addTimeout(SECONDS, reactor) for end in self.ends])

    async def linked(self) -> tuple[End, End]:
        """Both ends, when each has heard a byte of the other."""
        for end in self.ends:
            end.write([b"?"])
        while not all(end.before for end in self.ends):
            await turn()
        return self.ends[0], self.ends[1]

    async def joined(self) -> tuple[End, End]:
        """Both ends, through their links."""
        for end in await self.linked():
            end.join(object())
        return self.ends[0], self.ends[1]

    def run_async(self, work: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(work).addTimeout(SECONDS, reactor)


def turn() -> Deferred[None]:
    """Fires when the reactor has come round."""
    turned: Deferred[None] = Deferred()
    reactor.callLater(0, turned.callback, None)
    return turned


class PlainTests(BulkCase):
    """Without TLS."""

    def test_in_order(self) -> Deferred[None]:
        """Small pieces and large ones come as they were sent, both ways at once."""

        async def work() -> None:
            said = [await self.speak(end) for end in await self.joined()]
            for end, expected in zip(self.ends, reversed(said), strict=True):
                await end.until(len(expected))
                self.assertEqual(end.heard, expected)

        return self.run_async(work())

    async def speak(self, end: End) -> bytes:
        """Say small and large things; all that was said."""
        generator, said = random.Random(7), b""
        while len(said) < MUCH:
            pieces = [generator.randbytes(generator.choice((1, 100, 20_000, 300_000))) for _ in range(3)]
            end.write(pieces)
            said += b"".join(pieces)
            await turn()
        return said

    def test_link_first(self) -> Deferred[None]:
        """What was said during the link comes before what is said after it, even in the same turn."""

        async def work() -> None:
            one, other = await self.linked()
            other.join(object())
            for number in range(10):
                one.write([b"link%d " % number])
            one.join(object())
            one.write([b"first " * 20_000])
            one.write([b"last"])
            expected = b"".join(b"link%d " % number for number in range(10)) + b"first " * 20_000 + b"last"
            await other.until(len(expected))
            self.assertEqual(other.heard, expected)

        return self.run_async(work())

    def test_slow_reader(self) -> Deferred[None]:
        """Who reads nothing is sent nothing more: its producer stands still until it reads on."""

        async def work() -> None:
            one, other = await self.joined()
            valve = Valve()
            valve.attach(Standing())
            one.transport.registerProducer(valve, True)
            other.transport.pauseProducing()
            sent = 0
            while not valve.reasons:
                one.write([bytes(50_000)])
                sent += 50_000
                await turn()
            self.assertLess(sent, 64 * bulk.BATCH_BYTES)
            other.transport.resumeProducing()
            await other.until(sent)
            while valve.reasons:
                await turn()

        return self.run_async(work())

    def test_end(self) -> Deferred[None]:
        """What was written before the end arrives, and then the end."""

        async def work() -> None:
            one, other = await self.joined()
            one.write([bytes(MUCH)])
            one.close()
            await other.ended
            self.assertEqual(len(other.heard), MUCH)
            other.ended = Deferred()
            other.ended.callback(None)

        return self.run_async(work())

    def test_lost(self) -> Deferred[None]:
        """Writing to who is gone does nothing."""

        async def work() -> None:
            one, other = await self.joined()
            other.abort()
            for _ in range(20):
                one.write([bytes(100_000)])
                await turn()
            await one.ended
            one.ended = Deferred()
            one.ended.callback(None)
            one.write([b"more"])

        return self.run_async(work())


class SecureTests(PlainTests):
    """With TLS."""

    tls = True

    def test_batches(self) -> Deferred[None]:
        """What comes in many records is handed on in few pieces."""

        async def work() -> None:
            one, other = await self.joined()
            one.write([bytes(MUCH)])
            await other.until(MUCH)
            self.assertLess(other.pieces, MUCH // bulk.RECORD_BYTES / 2)

        return self.run_async(work())

    def test_broken(self) -> Deferred[None]:
        """What OpenSSL does not take is left to Twisted, with all that follows."""

        async def work() -> None:
            one, other = await self.joined()
            await turn()
            handle = one.transport.getHandle()
            taken: list[int] = []

            class Reluctant:
                """Takes two records, and then wants to read first."""

                bio_read, bio_write, recv = handle.bio_read, handle.bio_write, handle.recv

                @staticmethod
                def send(data: bytes) -> int:
                    if len(taken) == 2:
                        raise SSL.WantReadError
                    taken.append(handle.send(data[: bulk.RECORD_BYTES]))
                    return taken[-1]

            one.transport.getHandle = Reluctant
            generator = random.Random(3)
            said = [generator.randbytes(100_000), generator.randbytes(10)]
            for each in said:
                one.write([each])
            await other.until(100_010)
            self.assertEqual(other.heard, b"".join(said))
            self.assertEqual(len(taken), 2)

        return self.run_async(work())


class Standing:
    """A transport that can be held."""

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
