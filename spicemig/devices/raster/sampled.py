# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Images as the operations that calculate read them: turned, scaled, repeated.

Source: pixman 0.42, what it takes for granted of an image before it draws
(analyze_extent, compute_image_info), as far as it changes the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.images import Pixels
from spicemig.devices.raster.reference_composite import NORMAL, PAD, REFLECT, REPEAT_NONE

ONE = 0x10000  # 1 in 16.16
IDENTITY = (ONE, 0, 0, 0, ONE, 0)

_FIXED = range(-(2**31), 2**31)
_PLACES = range(-(2**15), 2**15)
_LARGEST_IMAGE = 0x7FFE


@dataclass(frozen=True, slots=True)
class Sampled:
    """
    An image, and where in it the pixels come from.

    The pixel that is (col, row) from the top left of what is drawn has its centre at
    ``matrix * (x + col + 1/2, y + row + 1/2, 1)`` of the image; the matrix is in
    16.16 fixed point, row by row.
    """

    pixels: Pixels
    has_alpha: bool
    x: int = 0
    y: int = 0
    matrix: tuple[int, ...] = IDENTITY
    bilinear: bool = False
    repeat: int = REPEAT_NONE
    green_bits: int = 8  # 5 or 6 if the pixels were 555 or 565
    by_parts: bool = False  # as a mask: it has an alpha for each part of a pixel

    def arguments(self, dx: int, dy: int) -> tuple[Any, ...]:
        """For the kernel, which draws from (dx, dy) of what is drawn."""
        pixels = self.pixels
        return (
            pixels.data,
            pixels.stride,
            pixels.width,
            pixels.height,
            self.has_alpha,
            self.green_bits,
            self.bilinear,
            self.repeat,
            self.matrix,
            self.x + dx,
            self.y + dy,
        )

    def can_be_read(self, part: Box) -> bool:
        """Whether all places for this part of a drawing can be calculated; if not, nothing is drawn."""
        left, top, right, bottom = part.moved(self.x, self.y)
        if not all(edge in _PLACES for edge in (left - 1, top - 1, right + 1, bottom + 1)):
            return False
        if max(self.pixels.width, self.pixels.height) > _LARGEST_IMAGE:
            return False
        first_x, first_y, last_x, last_y = self._extent(left - 1, top - 1, right + 1, bottom + 1)
        margin = ONE // 2 + 8 if self.bilinear else 9
        return (
            first_x - margin in _FIXED
            and first_y - margin in _FIXED
            and last_x + margin in _FIXED
            and last_y + margin in _FIXED
        )

    def is_opaque(self, part: Box) -> bool:
        """Whether this part of a drawing can meet only opaque pixels."""
        if self.has_alpha or self.by_parts:
            return False
        return self.repeat != REPEAT_NONE or self._is_inside(part)

    def is_straight(self, part: Box) -> bool:
        """Whether pixman has a way of its own to copy it: neither turned, nor at its place cut off."""
        if self.repeat == REFLECT or (self.matrix == IDENTITY and self.repeat != NORMAL):
            return self._is_inside(part)
        return self.matrix[0] > 0 and self.matrix[1] == 0 and self.matrix[3] == 0

    def _is_inside(self, part: Box) -> bool:
        """Whether this part of a drawing needs nothing beyond the image."""
        first_x, first_y, last_x, last_y = self._extent(*part.moved(self.x, self.y))
        before, after = (ONE // 2, ONE // 2) if self.bilinear and self.matrix != IDENTITY else (1, -1)
        return (
            first_x - before >> 16 >= 0
            and first_y - before >> 16 >= 0
            and last_x + after >> 16 < self.pixels.width
            and last_y + after >> 16 < self.pixels.height
        )

    def _extent(self, left: int, top: int, right: int, bottom: int) -> tuple[int, int, int, int]:
        """The smallest and largest places of the centres of the corner pixels."""
        xs, ys = [], []
        for col in (left, right - 1):
            for row in (top, bottom - 1):
                m = self.matrix
                xs.append(m[0] * col + m[1] * row + m[2] + (m[0] + m[1] + 1 >> 1))
                ys.append(m[3] * col + m[4] * row + m[5] + (m[3] + m[4] + 1 >> 1))
        return min(xs), min(ys), max(xs), max(ys)


__all__ = ["IDENTITY", "NORMAL", "ONE", "PAD", "REFLECT", "REPEAT_NONE", "Sampled"]
