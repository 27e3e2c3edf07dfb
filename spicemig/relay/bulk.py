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

    def flush(self) -> None:
        """Deliver what is still gathered."""

    def write(self, data: bytes) -> None:
        """Write; the transport keeps what the socket does not take."""
        self.transport.write(data)
        if self.socket is not None and not self.socket.disconnecting:
            self.socket.doWrite()


class SecureBulk(Bulk):
    """
    The same over TLS: all records of a turn are delivered together, and all of a batch sent together.

    TLS itself, its alerts and its end stay Twisted's business; so does whatever OpenSSL
    does not take at once.
    """

    def __init__(self, transport: TLSMemoryBIOProtocol, deliver: Callable[[bytes], None], clock: Any) -> None:
        super().__init__(transport, deliver)
        self._clock = clock
        self._gathered: list[bytes] = []
        self._direct = False
        clock.callLater(0, self._go_direct)

    def _go_direct(self) -> None:
        """Twisted has nothing more in its buffer of small writes, which it empties once a turn."""
        self._direct = self.socket is not None

    def received(self, data: bytes) -> None:
        self._gathered.append(data)
        if len(data) < RECORD_BYTES:
            self.flush()  # it is the end of what the peer has written
        elif len(self._gathered) == 1:
            self._clock.callLater(0, self.flush)

    def flush(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self.deliver(b"".join(gathered))

    def write(self, data: bytes) -> None:
        rest = self._encrypt(data) if self._direct else data
        if rest:
            super().write(rest)

    def _encrypt(self, data: bytes) -> bytes:
        """Send this; gives back what OpenSSL has not taken."""
        connection, view = self.transport.getHandle(), memoryview(data)
        try:
            while view:
                view = view[connection.send(view[:RECORD_BYTES]) :]
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
        if not self.socket.disconnecting:
            self.socket.doWrite()
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
