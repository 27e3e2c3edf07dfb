# SPDX-License-Identifier: LGPL-2.1-or-later
"""What of a drawable's box is really drawn."""

from __future__ import annotations

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


def drawn_boxes(surface: Surface, base: Any) -> list[Box]:
    """The parts of the surface that a message with this ``DrawBase`` may touch; none of them empty."""
    box = Box.of(base.box).within(Box(0, 0, surface.width, surface.height))
    if base.clip.type == ClipType.NONE:
        return [box] if box else []
    parts = (box.within(Box.of(rect)) for rect in base.clip.rects)
    return [part for part in parts if part]
