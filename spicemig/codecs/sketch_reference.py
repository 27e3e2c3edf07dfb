# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/sketch.c`` in Python: images known again by hashes of their places.

A place is some pixels of a row. Of an image that is noted, one in each small square
counts; of one that is looked up, all places of a few squares, so that it is found
wherever it was moved to. Places of one colour say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SIDE = 4  # of a square
LENGTH = 8  # pixels of a place; even
SPOTS = 6  # squares looked at, in each direction
MOST_LOG = 24  # of the slots

COLOUR_BITS = 24
_FACTOR = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class _Sketched:
    """An image and the table, checked."""

    def __init__(
        self, slots: Any, src: Any, stride: int, width: int, height: int, pixel_bytes: int, kind: int
    ) -> None:
        self.slots, self.rows = memoryview(slots), memoryview(src)
        self.log = (len(self.slots) // 4).bit_length() - 1
        if not 1 <= self.log <= MOST_LOG or len(self.slots) != 4 << self.log:
            raise ValueError("slots: a power of two of them is wanted")
        if pixel_bytes not in (2, 3, 4):
            raise ValueError(f"pixel_bytes: no pixels have {pixel_bytes}")
        if not (1 <= width <= 0xFFFF and 1 <= height <= 0xFFFF):
            raise ValueError("width: an image has 1 to 65535 pixels either way")
        if stride < width * pixel_bytes or (height - 1) * stride + width * pixel_bytes > len(self.rows):
            raise ValueError("src: the rows do not fit into the buffer")
        self.stride, self.width, self.height = stride, width, height
        self.pixel_bytes, self.kind = pixel_bytes, kind

    def place(self, x: int, y: int) -> tuple[int, bytes] | None:
        """Where a place is noted, and as what; None if it has one colour."""
        at = y * self.stride + x * self.pixel_bytes
        colours = []
        for first in range(at, at + LENGTH * self.pixel_bytes, self.pixel_bytes):
            colours.append(int.from_bytes(self.rows[first : first + min(3, self.pixel_bytes)], "little"))
        if len(set(colours)) == 1:
            return None
        hash = self.kind
        for one, other in zip(colours[::2], colours[1::2], strict=True):
            hash = (hash ^ one ^ other << COLOUR_BITS) * _FACTOR & _MASK
            hash ^= hash >> 29
        return 4 * (hash >> (64 - self.log)), (hash & 0xFFFFFFFF | 1).to_bytes(4, "little")

    def square(self, left: int, top: int) -> Iterator[tuple[int, bytes]]:
        """The places of a square that are not of one colour."""
        for y in range(top, min(top + SIDE, self.height)):
            for x in range(left, min(left + SIDE, self.width - LENGTH + 1)):
                place = self.place(x, y)
                if place is not None:
                    yield place


def sketch_add(
    slots: bytearray, src: Any, stride: int, width: int, height: int, pixel_bytes: int, kind: int
) -> None:
    """Note an image; ``kind``, a byte, keeps apart what has nothing in common."""
    image = _Sketched(slots, src, stride, width, height, pixel_bytes, kind)
    for y in range(0, height, SIDE):
        for x in range(0, width - LENGTH + 1, SIDE):
            place = image.place(x, y)
            if place is not None:
                slots[place[0] : place[0] + 4] = place[1]


def sketch_find(
    slots: Any, src: Any, stride: int, width: int, height: int, pixel_bytes: int, kind: int
) -> tuple[int, int]:
    """How many squares of an image were noted, and how many were looked at."""
    image = _Sketched(slots, src, stride, width, height, pixel_bytes, kind)
    found = tried = 0
    if width < LENGTH:
        return 0, 0
    for row in range(SPOTS):
        for column in range(SPOTS):
            places = list(image.square(column * (width - LENGTH) // SPOTS, row * height // SPOTS))
            tried += bool(places)
            found += any(image.slots[at : at + 4] == tag for at, tag in places)
    return found, tried
