# SPDX-License-Identifier: LGPL-2.1-or-later
"""What strangers may cost: connections that have not shown a ticket yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

FIRST_BYTE_SECONDS = 3.0
AUTHENTICATION_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How many links may be under way, in all and from one address, and for how long."""

    total: int = 256
    per_address: int = 48  # several clients may come from behind one address, each with all its channels
    first_byte_seconds: float = FIRST_BYTE_SECONDS
    authentication_seconds: float = AUTHENTICATION_SECONDS


DEFAULT_LIMITS = LinkLimits()


class LinkCounter:
    """Counts the links under way; listeners that share one share its limits."""

    def __init__(self, limits: LinkLimits) -> None:
        self.limits = limits
        self._by_address: Counter[str] = Counter()
        self._total = 0

    def enter(self, address: str | None) -> bool:
        """Count a connection, unless it is one too many. Unix sockets have no address, they count in all."""
        if self._total >= self.limits.total:
            return False
        if address is not None:
            if self._by_address[address] >= self.limits.per_address:
                return False
            self._by_address[address] += 1
        self._total += 1
        return True

    def leave(self, address: str | None) -> None:
        """A counted connection is through its link, or gone."""
        self._total -= 1
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
