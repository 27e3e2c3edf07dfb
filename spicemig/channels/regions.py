# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Parts of a client's surfaces that are remembered: what it is owed, what it has only nearly.

A bounded number of rectangles for each surface. There may be more in them than was put
there, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spicemig.channels import regions_reference
from spicemig.channels.display_kernels import kernel
from spicemig.channels.regions_reference import BOX, add_rect, around, holds, pixels_of
from spicemig.wire.drawing import Rect

MAX_RECTS = 32  # per surface; one more is united with that which grows least


_add_boxes = kernel(regions_reference.add_boxes)


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
            add_rect(self._regions.setdefault(surface, []), rect, MAX_RECTS)

    def add_boxes(self, surface: int, boxes: bytes) -> None:
        """These parts, too; each is packed as in a message."""
        known = self._regions.get(surface, ())
        packed = b"".join(BOX.pack(rect.top, rect.left, rect.bottom, rect.right) for rect in known)
        rects = [Rect(*sides) for sides in BOX.iter_unpack(_add_boxes(packed, boxes, MAX_RECTS))]
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
        rects[:] = _trimmed(rects, piece)
        if not rects:
            del self._regions[surface]
        return {surface: [piece]}


def _trimmed(rects: list[Rect], cut: Rect) -> list[Rect]:
    """Rectangles less what lies in another one, where that leaves no more of them."""
    left = []
    for rect in rects:
        parts = without(rect, cut)
        if len(parts) < 2:
            left += parts
        else:
            left.append(rect)
    return left


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


def without(rect: Rect, cut: Rect) -> list[Rect]:
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


__all__ = [
    "MAX_RECTS",
    "Regions",
    "around",
    "common",
    "holds",
    "less",
    "meet",
    "moved",
    "pixels_of",
    "without",
]
