# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tickets: the password of a host, and what lets a target recognise it.

A ticket is compared in constant time and never shown. A target is told only a
verifier, a salted hash that is good for the clients that were announced to it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, field

from spicemig.errors import LinkError, ProtocolError

SALT_BYTES = 16
DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Ticket:
    """The password that opens this host, until ``expires_at`` (None: for ever) on the host's clock."""

    value: bytes = field(repr=False)
    expires_at: float | None = None

    def check(self, password: bytes, now: float) -> bool:
        """Whether this password opens the host now; an empty ticket opens nothing."""
        right = TicketVerifier.of(self.value).matches(password)
        return right and bool(self.value) and (self.expires_at is None or now <= self.expires_at)

    def verifier(self, password: bytes) -> TicketVerifier:
        """What recognises this password at a target, however long the ticket itself lives."""
        return TicketVerifier.of(password)


@dataclass(frozen=True, slots=True)
class TicketVerifier:
    """Recognises one password without knowing it."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, password: bytes) -> TicketVerifier:
        """A verifier with a salt of its own."""
        salt = os.urandom(SALT_BYTES)
        return cls(salt, _digest(salt, password))

    def matches(self, password: bytes) -> bool:
        """Whether this is the password, found out in constant time."""
        return hmac.compare_digest(self.digest, _digest(self.salt, password))

    def pack(self) -> bytes:
        """Bytes for the migration channel."""
        return self.salt + self.digest

    @classmethod
    def unpack(cls, data: bytes) -> TicketVerifier:
        """The verifier in these bytes; raises :class:`ProtocolError`."""
        if len(data) != SALT_BYTES + DIGEST_BYTES:
            raise ProtocolError(LinkError.INVALID_DATA, f"a ticket verifier of {len(data)} bytes")
        return cls(bytes(data[:SALT_BYTES]), bytes(data[SALT_BYTES:]))


def _digest(salt: bytes, password: bytes) -> bytes:
    return hmac.new(salt, password, hashlib.sha256).digest()
