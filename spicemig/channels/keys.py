# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The RSA keys under which clients send their tickets.

A link needs a key at once, and making one takes longer than all the rest of a
link together. A pool keeps some ready, made in worker threads.

Source: spice-server 0.15.1, reds.cpp (SPICE_TICKET_KEY_PAIR_LENGTH); spice-html5
0.3.0, ticket.js and spicemsg.js.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spicemig.wire.link import PUBLIC_KEY_BITS

READY_KEYS = 16  # some four clients link without waiting
MAX_ZEROS_LEFT_OUT = 2  # that a ticket may begin with; more come once in sixteen million links

_PADDING = OAEP(mgf=MGF1(algorithm=SHA1()), algorithm=SHA1(), label=None)


class TicketKey:
    """One key pair; ``public`` is what the link reply carries."""

    __slots__ = ("_private", "public")

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=PUBLIC_KEY_BITS)
        self.public = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def decrypt(self, ticket: bytes) -> bytes | None:
        """
        The password in a ticket, up to its NUL; None if it was not encrypted for this key.

        spice-html5 leaves out the zeros that one ticket in 256 begins with, and fills up at the end.
        """
        for left_out in range(MAX_ZEROS_LEFT_OUT + 1):
            zeros = bytes(left_out)
            if not ticket.endswith(zeros):
                break
            try:
                plain = self._private.decrypt(zeros + ticket[: len(ticket) - left_out], _PADDING)
            except ValueError:
                continue
            return plain.split(b"\0", 1)[0]
        return None


class KeyPool:
    """
    Keeps keys ready.

    ``in_thread`` runs a function in a worker thread and returns a Deferred, as
    ``twisted.internet.threads.deferToThread`` does. Keys are made one after the
    other, so that a rush of links does not take all threads.
    """

    def __init__(self, in_thread: Callable[[Callable[[], Any]], Any], ready: int = READY_KEYS) -> None:
        self._in_thread = in_thread
        self._wanted = ready
        self._few = ready // 2
        self._ready: deque[TicketKey] = deque()
        self._last: TicketKey | None = None
        self._making = False

    def __len__(self) -> int:
        return len(self._ready)

    def fill(self) -> None:
        """Have keys made until enough are ready."""
        if self._making or len(self._ready) >= self._wanted:
            return
        self._making = True
        self._in_thread(TicketKey).addCallbacks(self._made, self._failed)

    def _made(self, key: TicketKey) -> None:
        self._making = False
        self._ready.append(key)
        self.fill()

    def _failed(self, failure: Any) -> Any:
        self._making = False  # the next link asks again
        return failure

    def take(self) -> TicketKey:
        """
        A key for one link. When none is ready the last one is given again; only
        before the very first is there anything to wait for. New ones are made
        when few are left, so as not to slow down the links of one client.
        """
        if self._ready:
            self._last = self._ready.popleft()
        elif self._last is None:
            self._last = TicketKey()
        if len(self._ready) <= self._few:
            self.fill()
        return self._last
