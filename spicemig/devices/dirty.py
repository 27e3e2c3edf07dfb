# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which parts of a surface changed since they were last carried to another host.

A surface is divided into tiles, with a byte for each that says whether it is dirty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TILE = 32  # pixels; a cursor-sized change carries one to four tiles of 4 KiB


@dataclass(frozen=True, slots=True)
class Area:
    """Some pixels of a surface, in its coordinates."""

    left: int
    top: int
    cols: int
    rows: int

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.cols * self.rows


class DirtyTiles:
    """
    The dirty tiles of one surface of ``width`` by ``height`` pixels.

    ``tiles`` has rows of ``across`` bytes, the top one first: 1 if a tile is dirty, else 0.
    """

    __slots__ = ("across", "height", "tiles", "width")

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.across = -(-width // TILE)
        self.tiles = bytearray(self.across * -(-height // TILE))

    def mark(self, left: int, top: int, right: int, bottom: int) -> None:
        """Everything in this box changed; what leaves the surface does not matter."""
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width), min(bottom, self.height)
        if left >= right or top >= bottom:
            return
        first, last = left // TILE, (right - 1) // TILE
        for row in range(top // TILE, (bottom - 1) // TILE + 1):
            start = row * self.across
            self.tiles[start + first : start + last + 1] = b"\1" * (last - first + 1)

    def mark_all(self) -> None:
        """Everything changed."""
        self.tiles[:] = b"\1" * len(self.tiles)

    def __bool__(self) -> bool:
        return 1 in self.tiles

    def areas(self) -> Iterator[Area]:
        """The dirty tiles from the top, those that lie side by side as one area."""
        across = self.across
        start = self.tiles.find(1)
        while start >= 0:
            row, column = divmod(start, across)
            end = self.tiles.find(0, start, (row + 1) * across)
            if end < 0:
                end = (row + 1) * across
            left, top = column * TILE, row * TILE
            right = min((end - row * across) * TILE, self.width)
            yield Area(left, top, right - left, min(TILE, self.height - top))
            start = self.tiles.find(1, end)

    def clean(self, area: Area) -> None:
        """This area, one of :meth:`areas`, was carried."""
        first, last = area.left // TILE, (area.left + area.cols - 1) // TILE
        start = area.top // TILE * self.across
        self.tiles[start + first : start + last + 1] = bytes(last - first + 1)

    @property
    def pixels(self) -> int:
        """How many pixels the dirty tiles have."""
        return sum(area.pixels for area in self.areas())
