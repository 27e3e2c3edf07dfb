# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brushes as what kernels take: one value, or a tile that repeats over the surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.images import Pixels, copied, pixels_of
from spicemig.devices.raster.kernels import copy_rect, fill_rect
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import BitmapFormat, BrushType


@dataclass(frozen=True, slots=True)
class Paint:
    """
    What is painted with.

    With a ``tile``, its top left pixel lies at (``x``, ``y``) of the surface and
    it repeats in all directions; else every pixel is ``value``. ``has_alpha``
    tells whether the fourth byte of the tile's pixels means anything.
    """

    value: int = 0
    tile: Pixels | None = None
    x: int = 0
    y: int = 0
    has_alpha: bool = False

    @property
    def arguments(self) -> tuple[Any, ...]:
        """As kernels take it: value, tile, its stride, width and height, and its place."""
        if self.tile is None:
            return self.value, b"", 0, 0, 0, 0, 0
        tile = self.tile
        return self.value, tile.data, tile.stride, tile.width, tile.height, self.x, self.y


def paint_of(brush: Any, surface: Surface, surfaces: Mapping[int, Surface]) -> Paint:
    """What a brush paints this surface with; no brush paints 0. Raises ``ValueError`` if it cannot."""
    if brush.type == BrushType.NONE:
        return Paint()
    if brush.type == BrushType.SOLID:
        return Paint(brush.color)
    if brush.type != BrushType.PATTERN:
        raise ValueError(f"{brush.type} is not a type of brush")
    image = brush.pattern.pat.value
    tile = pixels_of(image, surfaces)
    if image.surface == surface.id:
        tile = copied(tile)
    if image.surface is None:
        has_alpha = image.format == BitmapFormat.RGBA
    else:
        has_alpha = surfaces[image.surface].has_alpha
    return Paint(0, tile, brush.pattern.pos.x, brush.pattern.pos.y, has_alpha)


def paint_box(surface: Surface, box: Box, paint: Paint, rop: int) -> None:
    """Paint a box that lies on the surface."""
    if paint.tile is None:
        fill_rect(surface.pixels, surface.stride, box.left, box.top, box.cols, box.rows, paint.value, rop)
        return
    tile = paint.tile
    first_y = box.top - (box.top - paint.y) % tile.height
    first_x = box.left - (box.left - paint.x) % tile.width
    for top in range(first_y, box.bottom, tile.height):
        for left in range(first_x, box.right, tile.width):
            part = Box(left, top, left + tile.width, top + tile.height).within(box)
            source = (tile.data, tile.stride, part.left - left, part.top - top)
            copy_rect(
                surface.pixels, surface.stride, part.left, part.top, *source, part.cols, part.rows, rop
            )
