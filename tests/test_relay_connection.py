# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what the relay's connections on both sides share."""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from spicemig.relay.connection import RelayConnection


class Socket(FileDescriptor):
    """A socket whose kernel takes only so many bytes at a time."""

    connected = True
    takes = 0

    def writeSomeData(self, data: Any) -> int:
        return min(len(data), self.takes)

    def getPeer(self) -> None:
        """Nobody."""


class UnsentTests(SynchronousTestCase):
    """How much the other side has not been given yet."""

    def setUp(self) -> None:
        self.socket = Socket(MemoryReactorClock())
        self.connection = RelayConnection()

    def assert_counted(self) -> None:
        """Nothing is counted twice, and nothing is forgotten."""
        self.assertEqual(self.connection.unsent_bytes, 0)
        self.connection.write([b"x" * 1000, b"y" * 500])
        self.assertEqual(self.connection.unsent_bytes, 1500)
        self.socket.takes = 600
        self.socket.doWrite()
        self.assertEqual(self.connection.unsent_bytes, 900)
        self.connection.write([b"z" * 100])
        self.assertEqual(self.connection.unsent_bytes, 1000)
        for _ in range(2):
            self.socket.doWrite()
        self.assertEqual(self.connection.unsent_bytes, 0)

    def test_socket(self) -> None:
        """What the kernel has taken does not count, whatever was written when."""
        self.connection.makeConnection(self.socket)
        self.assert_counted()

    def test_wrapped(self) -> None:
        """Nor does it where something stands between, as TLS and WebSocket do."""
        wrapper = ProtocolWrapper(WrappingFactory(None), self.connection)
        wrapper.makeConnection(self.socket)
        self.assertIs(self.connection.transport, wrapper)
        self.assert_counted()

    def test_not_connected(self) -> None:
        """A connection that has no socket yet has nothing to send."""
        self.assertEqual(self.connection.unsent_bytes, 0)
