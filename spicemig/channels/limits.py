# SPDX-License-Identifier: LGPL-2.1-or-later
"""What strangers may cost: connections that have not shown a ticket yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from spicemig.errors import LinkError

FIRST_BYTE_SECONDS = 3.0
AUTHENTICATION_SECONDS = 10.0
PAGE_SECONDS = 60.0  # for a connection on which pages are asked for


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How many links may be under way, in all and from one address, and for how long."""

    total: int = 256
    per_address: int = 48  # several clients may come from behind one address, each with all its channels
    first_byte_seconds: float = FIRST_BYTE_SECONDS
    authentication_seconds: float = AUTHENTICATION_SECONDS
    page_seconds: float = PAGE_SECONDS


DEFAULT_LIMITS = LinkLimits()


# why links end that no error is told of
CLOSED, TIMEOUT, TOO_MANY = "closed", "timeout", "too_many"


def reason_word(error: LinkError) -> str:
    """An error in a word, such as ``permission_denied``."""
    return error.name.lower()


#: all that :attr:`LinkCounter.refused` may have
REASONS = (*(reason_word(error) for error in LinkError if error), CLOSED, TIMEOUT, TOO_MANY)


class LinkCounter:
    """
    Counts the links under way; listeners that share one share its limits.

    ``refused`` counts links that came to nothing, by the reason in a word.
    """

    def __init__(self, limits: LinkLimits) -> None:
        self.limits = limits
        self._by_address: Counter[str] = Counter()
        self._total = 0
        self.refused: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        """How many there are."""
        return self._total

    def enter(self, address: str | None) -> bool:
        """Count a connection, unless it is one too many. Unix sockets have no address, they count in all."""
        full = self._total >= self.limits.total
        if full or (address is not None and self._by_address[address] >= self.limits.per_address):
            self.refused[TOO_MANY] += 1
            return False
        if address is not None:
            self._by_address[address] += 1
        self._total += 1
        return True

    def leave(self, address: str | None, refused: str = "") -> None:
        """A counted connection is through its link, or gone for some reason."""
        if refused:
            self.refused[refused] += 1
        self._total -= 1
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
