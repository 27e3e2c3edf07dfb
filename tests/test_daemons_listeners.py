# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a daemon listens with."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import ssl
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from spicemig.daemons.listeners import Listeners
from tests.peers.certificates import Authority

PEER = IPv4Address("TCP", "192.0.2.1", 1234)


class Choosy(Factory):
    """Takes one connection, as one does that is full."""

    noisy = False
    protocol = Protocol
    taken = False

    def buildProtocol(self, addr: object) -> Protocol | None:
        taken, self.taken = self.taken, True
        return None if taken else super().buildProtocol(addr)


class SecureTests(SynchronousTestCase):
    """Endpoints with TLS."""

    def test_refused(self) -> None:
        """A connection that the factory does not take is closed before TLS begins."""
        pair = Authority(Path(self.mktemp())).sign("server")
        pem = pair.certificate.read_text() + pair.key.read_text()
        reactor = MemoryReactorClock()
        listeners = Listeners(reactor)
        context = ssl.PrivateCertificate.loadPEM(pem).options()
        listeners.add("tls", ("listen", "tls"), "tcp:5901", Choosy(), context)
        self.successResultOf(listeners.open("source.ini"))
        (_port, factory, *_rest) = reactor.tcpServers[0]
        self.assertIsInstance(factory.buildProtocol(PEER).wrappedProtocol, Protocol)
        self.assertIsNone(factory.buildProtocol(PEER))
