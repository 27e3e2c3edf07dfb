# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The cursor shapes that a client keeps.

The client forgets a shape only when it is told to (spice-gtk 0.42,
channel-cursor.c), so the server decides: it stays below the number of shapes
that spice-server allows itself, and lets the one go that was not used longest.

Source: spice-server 0.15.1, cache-item.tmpl.cpp (CLIENT_CURSOR_CACHE_SIZE).
"""

from __future__ import annotations

from typing import Annotated

from spicemig.wire.declare import Counted, u16, u64

CURSOR_CACHE_SIZE = 256

CachedIds = Annotated[list[u64], Counted(u16)]  # as carried: the one used last comes last


class CursorCache:
    """What a client keeps, over the list of ids in its channel's state."""

    __slots__ = ("ids",)

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids

    def use(self, shape_id: int) -> bool:
        """Whether the client has this shape; it counts as used now."""
        if shape_id not in self.ids:
            return False
        self.ids.remove(shape_id)
        self.ids.append(shape_id)
        return True

    def add(self, shape_id: int) -> int | None:
        """The client will keep this shape. Returns the id of one that it is to forget first, if any."""
        forgotten = self.ids.pop(0) if len(self.ids) >= CURSOR_CACHE_SIZE else None
        self.ids.append(shape_id)
        return forgotten

    def clear(self) -> None:
        """The client has forgotten them all."""
        self.ids.clear()
