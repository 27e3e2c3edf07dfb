# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Parts of a client's surfaces that are remembered: what it is owed, what it has only nearly.

A bounded number of rectangles for each surface. There may be more in them than was put
there, never less.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from spicemig.channels.display_kernels import kernel
from spicemig.wire.drawing import Rect

MAX_RECTS = 32  # per surface; one more is united with that which grows least


_BOX = struct.Struct("<4i")  # top, left, bottom, right


def _add(rects: list[Rect], rect: Rect, most: int) -> None:
    """Put a rectangle that is not empty into a region of at most so many."""
    while True:
        for known in rects:
            if holds(known, rect):
                return
        rects[:] = [known for known in rects if not holds(rect, known)]
        if len(rects) < most:
            rects.append(rect)
            return
        nearest = min(rects, key=lambda known: pixels_of(around(known, rect)) - pixels_of(known))
        rects.remove(nearest)
        rect = around(nearest, rect)


def add_boxes(region: bytes, boxes: bytes, most: int) -> bytes:
    """A region of at most so many packed boxes, with these added one by one."""
    if len(region) % _BOX.size or len(boxes) % _BOX.size or not 0 < most or len(region) > most * _BOX.size:
        raise ValueError("region: not whole boxes, or too many")
    rects = [Rect(*sides) for sides in _BOX.iter_unpack(region)]
    for sides in _BOX.iter_unpack(boxes):
        rect = Rect(*sides)
        if rect.left < rect.right and rect.top < rect.bottom:
            _add(rects, rect, most)
    return b"".join(_BOX.pack(rect.top, rect.left, rect.bottom, rect.right) for rect in rects)


_add_boxes = kernel(add_boxes)


class Regions:
    """Rectangles by surface id, the oldest first; they may overlap."""

    def __init__(self) -> None:
        self._regions: dict[int, list[Rect]] = {}

    def __bool__(self) -> bool:
        return bool(self._regions)

    def __iter__(self) -> Iterator[tuple[int, list[Rect]]]:
        return iter(self._regions.items())

    def add(self, surface: int, rect: Rect) -> None:
        """This part, too."""
        if rect.left < rect.right and rect.top < rect.bottom:
            _add(self._regions.setdefault(surface, []), rect, MAX_RECTS)

    def add_boxes(self, surface: int, boxes: bytes) -> None:
        """These parts, too; each is packed as in a message."""
        known = self._regions.get(surface, ())
        packed = b"".join(_BOX.pack(rect.top, rect.left, rect.bottom, rect.right) for rect in known)
        rects = [Rect(*sides) for sides in _BOX.iter_unpack(_add_boxes(packed, boxes, MAX_RECTS))]
        if rects:
            self._regions[surface] = rects

    def remove(self, surface: int, rect: Rect) -> None:
        """Not this part; if what is left has too many corners, some of it stays."""
        rects = self._regions.get(surface)
        if rects is None or not any(meet(known, rect) for known in rects):
            return
        del self._regions[surface]
        for known in rects:
            for part in without(known, rect):
                self.add(surface, part)

    def forget(self, surface: int) -> None:
        """The surface is gone."""
        self._regions.pop(surface, None)

    def within(self, surface: int, rect: Rect) -> list[Rect]:
        """What of it lies in a rectangle."""
        found = (common(known, rect) for known in self._regions.get(surface, ()))
        return [part for part in found if part is not None]

    def touches(self, surface: int, rect: Rect) -> bool:
        """Whether anything of it lies in a rectangle."""
        return any(meet(known, rect) for known in self._regions.get(surface, ()))

    def take(self) -> dict[int, list[Rect]]:
        """All of it; nothing is left."""
        regions, self._regions = self._regions, {}
        return regions

    def take_piece(self, pixels: int, *, newest: bool = False) -> dict[int, list[Rect]]:
        """Some rows of the oldest part, or of the newest; of about so many pixels."""
        if not self._regions:
            return {}
        surface = list(self._regions)[-1 if newest else 0]
        rects = self._regions[surface]
        rect = rects[-1 if newest else 0]
        rows = max(1, pixels // (rect.right - rect.left))
        if rows < rect.bottom - rect.top:
            piece = Rect(top=rect.top, left=rect.left, bottom=rect.top + rows, right=rect.right)
            rects[-1 if newest else 0] = Rect(
                top=piece.bottom, left=rect.left, bottom=rect.bottom, right=rect.right
            )
        else:
            piece = rects.pop(-1 if newest else 0)
            if not rects:
                del self._regions[surface]
        return {surface: [piece]}


def pixels_of(rect: Rect) -> int:
    """How many pixels it has."""
    return (rect.right - rect.left) * (rect.bottom - rect.top)


def holds(outer: Rect, inner: Rect) -> bool:
    """Whether one lies in the other."""
    return bool(
        outer.top <= inner.top
        and outer.left <= inner.left
        and outer.bottom >= inner.bottom
        and outer.right >= inner.right
    )


def meet(a: Rect, b: Rect) -> bool:
    """Whether they have a pixel in common."""
    return bool(a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom)


def common(a: Rect, b: Rect) -> Rect | None:
    """What lies in both."""
    if not meet(a, b):
        return None
    return Rect(
        top=max(a.top, b.top),
        left=max(a.left, b.left),
        bottom=min(a.bottom, b.bottom),
        right=min(a.right, b.right),
    )


def around(a: Rect, b: Rect) -> Rect:
    """The smallest rectangle that holds both."""
    return Rect(
        top=min(a.top, b.top),
        left=min(a.left, b.left),
        bottom=max(a.bottom, b.bottom),
        right=max(a.right, b.right),
    )


def moved(rect: Rect, dx: int, dy: int) -> Rect:
    """The same rectangle elsewhere."""
    return Rect(top=rect.top + dy, left=rect.left + dx, bottom=rect.bottom + dy, right=rect.right + dx)


def less(rects: Iterable[Rect], cuts: Iterable[Rect]) -> list[Rect]:
    """What is left of rectangles where others are cut out; they overlap no more than before."""
    left = list(rects)
    for cut in cuts:
        if any(meet(rect, cut) for rect in left):
            left = [part for rect in left for part in without(rect, cut)]
    return left


def without(rect: Rect, cut: Rect) -> Iterable[Rect]:
    """What is left of a rectangle where another one is cut out: up to four."""
    inner = common(rect, cut)
    if inner is None:
        return [rect]
    left, right = rect.left, rect.right
    parts = (
        Rect(top=rect.top, left=left, bottom=inner.top, right=right),
        Rect(top=inner.top, left=left, bottom=inner.bottom, right=inner.left),
        Rect(top=inner.top, left=inner.right, bottom=inner.bottom, right=right),
        Rect(top=inner.bottom, left=left, bottom=rect.bottom, right=right),
    )
    return [part for part in parts if part.left < part.right and part.top < part.bottom]
