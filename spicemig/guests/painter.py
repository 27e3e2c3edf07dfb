# SPDX-License-Identifier: LGPL-2.1-or-later
"""For guests that have no commands of their own: fills, copies and copy-bits, collected in a batch."""

from __future__ import annotations

from typing import Any

from spicemig.devices.drawables import Batch, DeviceImage, Placeholder
from spicemig.devices.surfaces import PRIMARY
from spicemig.wire.drawing import Brush, DrawBase, Point, Rect
from spicemig.wire.enums import BrushType, ImageScaleMode, Ropd
from spicemig.wire.messages.display import CopyBits, DrawCopy, DrawFill

Box = tuple[int, int, int, int]  # left, top, right, bottom


def _base(surface: int, box: Box) -> DrawBase:
    left, top, right, bottom = box
    return DrawBase(surface, Rect(top=top, left=left, bottom=bottom, right=right))


class Painter:
    """
    Draws on one surface of a device.

    What is drawn waits until :meth:`flush`, which gives it to the device as one batch.
    """

    def __init__(self, device: Any, surface: int = PRIMARY) -> None:
        self._device = device
        self._surface = surface
        self._batch = Batch()

    def fill(self, box: Box, colour: tuple[int, int, int]) -> None:
        """One colour, given as red, green and blue, into the box."""
        red, green, blue = colour
        brush = Brush(BrushType.SOLID, color=red << 16 | green << 8 | blue)
        self._batch.append(DrawFill(_base(self._surface, box), brush, Ropd.OP_PUT))

    def picture(self, x: int, y: int, image: DeviceImage, part: Box | None = None) -> None:
        """An image, or a part of it, with its left upper corner at this place."""
        left, top, right, bottom = part or (0, 0, image.width, image.height)
        self._batch.append(
            DrawCopy(
                _base(self._surface, (x, y, x + right - left, y + bottom - top)),
                Placeholder(image),
                Rect(top=top, left=left, bottom=bottom, right=right),
                scale_mode=ImageScaleMode.NEAREST,
            )
        )

    def move(self, box: Box, dx: int, dy: int) -> None:
        """What is in the box appears moved by this much as well; with negative values to the left and up."""
        left, top, right, bottom = box
        target = (left + dx, top + dy, right + dx, bottom + dy)
        self._batch.append(CopyBits(_base(self._surface, target), Point(left, top)))

    def flush(self) -> None:
        """Draw what was collected."""
        batch, self._batch = self._batch, Batch()
        self._device.draw(batch)
