# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The palettes that a client keeps for one display channel.

Source: spice-server 0.15.1, dcc.cpp (128 palettes, whatever their size);
spice-gtk 0.42 keeps what it is told to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

CLIENT_PALETTES = 128


class PaletteCache:
    """Ids of palettes, the least recently used first."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict.fromkeys(list(ids)[-CLIENT_PALETTES:])

    def ids(self) -> list[int]:
        """All palettes at the client, the least recently used first."""
        return list(self._ids)

    def use(self, identity: int) -> bool:
        """Whether the client has this palette; it counts as used now."""
        if identity not in self._ids:
            return False
        self._ids.move_to_end(identity)
        return True

    def add(self, identity: int) -> int | None:
        """The client is sent a palette to keep; the id that must go first, if one must."""
        evicted = self._ids.popitem(last=False)[0] if len(self._ids) >= CLIENT_PALETTES else None
        self._ids[identity] = None
        return evicted
