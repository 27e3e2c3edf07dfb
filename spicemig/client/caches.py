# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a client keeps because a server told it to: images, palettes, cursors.

Source: spice-gtk 0.42, spice-channel-cache.h and channel-display.c. The client
never drops anything by itself: the server, which knows the size that the client
asked for, says what goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Kept = TypeVar("Kept")


@dataclass(slots=True)
class _Entry(Generic[Kept]):
    value: Kept
    lossy: bool
    references: int


class Cache(Generic[Kept]):
    """
    Values by id; a value that is put again replaces the old one.

    In a ``counted`` cache every ``put`` of the same id needs a ``remove`` of its
    own, as spice-gtk has it for images that several display channels share.
    """

    def __init__(self, *, counted: bool = False) -> None:
        self.counted = counted
        self._entries: dict[int, _Entry[Kept]] = {}

    def __contains__(self, identity: int) -> bool:
        return identity in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def ids(self) -> set[int]:
        """The ids of everything kept."""
        return set(self._entries)

    def get(self, identity: int) -> Kept | None:
        """The value, or None."""
        entry = self._entries.get(identity)
        return None if entry is None else entry.value

    def is_lossy(self, identity: int) -> bool:
        """Whether the value is only like the original."""
        entry = self._entries.get(identity)
        return entry is not None and entry.lossy

    def put(self, identity: int, value: Kept, *, lossy: bool = False) -> bool:
        """Keep a value; tells whether there was one already."""
        old = self._entries.get(identity)
        references = old.references + 1 if old is not None and self.counted else 1
        self._entries[identity] = _Entry(value, lossy, references)
        return old is not None

    def replace(self, identity: int, value: Kept) -> None:
        """Put the original in the place of a lossy copy; counts no reference."""
        old = self._entries.get(identity)
        self._entries[identity] = _Entry(value, False, old.references if old is not None else 1)

    def remove(self, identity: int) -> bool:
        """Drop a value, or one reference to it; tells whether it was there."""
        entry = self._entries.get(identity)
        if entry is None:
            return False
        entry.references -= 1
        if not self.counted or entry.references == 0:
            del self._entries[identity]
        return True

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
