# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which parts of a surface changed since they were last carried to another host.

A surface is divided into tiles; a row of tiles is one integer with a bit for each.
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
    """The dirty tiles of one surface of ``width`` by ``height`` pixels."""

    __slots__ = ("_across", "_rows", "height", "width")

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._across = -(-width // TILE)
        self._rows = [0] * -(-height // TILE)

    def mark(self, left: int, top: int, right: int, bottom: int) -> None:
        """Everything in this box changed; what leaves the surface does not matter."""
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width), min(bottom, self.height)
        if left >= right or top >= bottom:
            return
        first, last = left // TILE, (right - 1) // TILE
        bits = (1 << last + 1) - (1 << first)
        for row in range(top // TILE, (bottom - 1) // TILE + 1):
            self._rows[row] |= bits

    def mark_all(self) -> None:
        """Everything changed."""
        self.mark(0, 0, self.width, self.height)

    def __bool__(self) -> bool:
        return any(self._rows)

    def areas(self) -> Iterator[Area]:
        """The dirty tiles from the top, those that lie side by side as one area."""
        for row, bits in enumerate(self._rows):
            top = row * TILE
            column = 0
            while bits >> column:
                column += ((bits >> column) & -(bits >> column)).bit_length() - 1
                length = (~(bits >> column) & (bits >> column) + 1).bit_length() - 1
                left = column * TILE
                right = min(left + length * TILE, self.width)
                yield Area(left, top, right - left, min(TILE, self.height - top))
                column += length

    def clean(self, area: Area) -> None:
        """This area, one of :meth:`areas`, was carried."""
        first, last = area.left // TILE, (area.left + area.cols - 1) // TILE
        self._rows[area.top // TILE] &= ~((1 << last + 1) - (1 << first))

    @property
    def pixels(self) -> int:
        """How many pixels the dirty tiles have."""
        return sum(area.pixels for area in self.areas())
