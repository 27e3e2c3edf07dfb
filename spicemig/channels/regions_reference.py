# SPDX-License-Identifier: LGPL-2.1-or-later
"""The twin of the kernel that puts rectangles into a region, and what can be said of two of them."""

from __future__ import annotations

import struct

from spicemig.wire.drawing import Rect

BOX = struct.Struct("<4i")  # top, left, bottom, right


def holds(outer: Rect, inner: Rect) -> bool:
    """Whether one lies in the other."""
    return bool(
        outer.top <= inner.top
        and outer.left <= inner.left
        and outer.bottom >= inner.bottom
        and outer.right >= inner.right
    )


def pixels_of(rect: Rect) -> int:
    """How many pixels it has."""
    return (rect.right - rect.left) * (rect.bottom - rect.top)


def around(a: Rect, b: Rect) -> Rect:
    """The smallest rectangle that holds both."""
    return Rect(
        top=min(a.top, b.top),
        left=min(a.left, b.left),
        bottom=max(a.bottom, b.bottom),
        right=max(a.right, b.right),
    )


def add_rect(rects: list[Rect], rect: Rect, most: int) -> None:
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
    if len(region) % BOX.size or len(boxes) % BOX.size or not 0 < most or len(region) > most * BOX.size:
        raise ValueError("region: not whole boxes, or too many")
    rects = [Rect(*sides) for sides in BOX.iter_unpack(region)]
    for sides in BOX.iter_unpack(boxes):
        rect = Rect(*sides)
        if rect.left < rect.right and rect.top < rect.bottom:
            add_rect(rects, rect, most)
    return b"".join(BOX.pack(rect.top, rect.left, rect.bottom, rect.right) for rect in rects)
