# SPDX-License-Identifier: LGPL-2.1-or-later
"""What of a drawable's box is really drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import ClipType


class Box(NamedTuple):
    """A rectangle of pixels; right and bottom are the first that are not in it."""

    left: int
    top: int
    right: int
    bottom: int

    def __bool__(self) -> bool:
        return self.left < self.right and self.top < self.bottom

    @property
    def cols(self) -> int:
        """Its width."""
        return self.right - self.left

    @property
    def rows(self) -> int:
        """Its height."""
        return self.bottom - self.top

    def within(self, other: Box) -> Box:
        """What both have in common; may be empty."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def moved(self, dx: int, dy: int) -> Box:
        """The same size at another place."""
        return Box(self.left + dx, self.top + dy, self.right + dx, self.bottom + dy)

    def covers(self, other: Box) -> bool:
        """Whether all of ``other`` is in it."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )

    @classmethod
    def of(cls, rect: Any) -> Box:
        """The box of a :class:`spicemig.wire.drawing.Rect`, or of anything else with its sides."""
        return cls(rect.left, rect.top, rect.right, rect.bottom)


BOXES_LIMIT = 1 << 16  # of one clip; no driver sends so many
WORK_LIMIT = 1 << 20  # how often the boxes of one clip are looked at


def drawn_boxes(surface: Surface, base: Any) -> list[Box]:
    """
    The parts of the surface that a message with this ``DrawBase`` may touch.

    None of them is empty, and no two have a pixel in common. Raises ``ValueError`` if
    there would be too many.
    """
    box = Box.of(base.box).within(Box(0, 0, surface.width, surface.height))
    if base.clip.type == ClipType.NONE:
        return [box] if box else []
    if base.clip.type != ClipType.RECTS:
        raise ValueError(f"{base.clip.type} is not a type of clip")
    parts = (box.within(Box.of(rect)) for rect in base.clip.rects)
    return bands([part for part in parts if part])


def bands(boxes: list[Box]) -> list[Box]:
    """
    The same pixels as these boxes, each of them once, as boxes in bands.

    The boxes of a band have the same top and bottom, go from left to right and do
    not touch; bands go from the top down, and no two of them could be one. There
    is one such list for any set of pixels. Raises ``ValueError`` if making it is too much work.
    """
    if len(boxes) < 2:
        return boxes
    edges = sorted({box.top for box in boxes} | {box.bottom for box in boxes})
    waiting = sorted(boxes, key=lambda box: box.top, reverse=True)
    open_boxes: list[Box] = []
    result: list[Box] = []
    band: list[Box] = []
    work = 0
    for top, bottom in zip(edges, edges[1:], strict=False):
        open_boxes = [box for box in open_boxes if box.bottom > top]
        while waiting and waiting[-1].top == top:
            open_boxes.append(waiting.pop())
        work += len(open_boxes)
        row = [Box(left, top, right, bottom) for left, right in _joined(open_boxes)]
        sides = [(box.left, box.right) for box in row]
        if row and band and band[0].bottom == top and [(box.left, box.right) for box in band] == sides:
            band = [box._replace(bottom=bottom) for box in band]
        else:
            result += band
            band = row
        if len(result) > BOXES_LIMIT or work > WORK_LIMIT:
            raise ValueError("a clip has too many boxes")
    return result + band


def _joined(boxes: Iterable[Box]) -> list[tuple[int, int]]:
    """From where to where boxes reach, without overlaps."""
    pieces: list[tuple[int, int]] = []
    for left, right in sorted((box.left, box.right) for box in boxes):
        if pieces and left <= pieces[-1][1]:
            pieces[-1] = pieces[-1][0], max(pieces[-1][1], right)
        else:
            pieces.append((left, right))
    return pieces
