# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Moving much at a time through Twisted's transports, once a channel is through its link.

Twisted reads 64 KiB at most, writes when the reactor comes round again, and takes
TLS apart and together a record at a time. For what streams through a relay each
of these costs as much as the copying itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

BATCH_BYTES = 1 << 18  # that are read and written at a time
RECORD_BYTES = 1 << 14  # that fit into a record of TLS; RFC 8446, 5.1
SEAL_BYTES = 64  # and more than most ciphers add to one


class Bulk:
    """
    Writes to a transport at once, as far as its socket takes it, and reads in large pieces.

    ``deliver`` is called with what was read, which is to be fed to :meth:`received`.
    """

    def __init__(self, transport: Any, deliver: Callable[[bytes], None]) -> None:
        self.transport = transport
        self.deliver = deliver
        self.socket = _descriptor(transport)
        if self.socket is not None:
            self.socket.bufferSize = BATCH_BYTES
            self.socket.SEND_LIMIT = 2 * BATCH_BYTES  # more than a batch with what TLS adds

    def received(self, data: bytes) -> None:
        """The transport has read this."""
        self.deliver(data)

    def write(self, data: bytes) -> None:
        """Write; the transport keeps what the socket does not take."""
        self.transport.write(data)
        self._push()

    def _push(self) -> None:
        """Have the socket take what it can."""
        if self.socket is not None and not self.socket.disconnecting:
            self.socket.doWrite()


class SecureBulk(Bulk):
    """
    The same over TLS: all records that were read are delivered together, and all of a batch sent together.

    It stands between the socket and Twisted's TLS. What OpenSSL does not take at once is
    left to Twisted, and so is the end.
    """

    def __init__(self, transport: TLSMemoryBIOProtocol, deliver: Callable[[bytes], None], clock: Any) -> None:
        super().__init__(transport, deliver)
        self._direct = False
        self._protocol: Any = None  # the socket's before
        clock.callLater(0, self._go_direct)

    def _go_direct(self) -> None:
        """A turn later Twisted has nothing in its hands, neither records to deliver nor small writes."""
        if self.socket is not None and self.socket.connected:
            self._direct = True
            self._protocol, self.socket.protocol = self.socket.protocol, self

    def dataReceived(self, data: bytes) -> None:
        """The socket has read this."""
        connection, ended = self.transport.getHandle(), False
        connection.bio_write(data)
        pieces: list[bytes] = []
        try:
            while True:
                pieces.append(connection.recv(RECORD_BYTES))
        except SSL.WantReadError:
            pass  # that was all
        except SSL.Error:
            ended = True  # by the peer, or by what is no TLS
        if pieces:
            self.deliver(b"".join(pieces))
        if ended:
            self.socket.loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        """The socket is closed."""
        self._protocol.connectionLost(reason)

    def write(self, data: bytes) -> None:
        rest = self._encrypt(data) if self._direct else data
        if rest:
            super().write(rest)

    def _encrypt(self, data: bytes) -> bytes:
        """Send this; gives back what OpenSSL has not taken."""
        connection, view = self.transport.getHandle(), memoryview(data)
        try:
            while view:
                view = view[connection.send(view) :]
        except SSL.Error:
            self._direct = False
        try:
            # no larger than it must be: pyOpenSSL clears the room first
            room = len(data) + (len(data) // RECORD_BYTES + 2) * SEAL_BYTES
            while len(sealed := connection.bio_read(room)) == room:
                self.socket.write(sealed)
            self.socket.write(sealed)
        except SSL.WantReadError:
            pass  # there is nothing more
        self._push()
        return bytes(view)


def bulk(transport: Any, deliver: Callable[[bytes], None], clock: Any) -> Bulk:
    """What moves much over this transport."""
    if isinstance(transport, TLSMemoryBIOProtocol):
        return SecureBulk(transport, deliver, clock)
    return Bulk(transport, deliver)


def _descriptor(transport: Any) -> Any:
    """What has the socket, under all that is wrapped around it; None in memory."""
    while transport is not None and not isinstance(transport, FileDescriptor):
        transport = getattr(transport, "transport", None)
    return transport
