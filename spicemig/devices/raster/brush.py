# SPDX-License-Identifier: LGPL-2.1-or-later
"""Brushes as what kernels take: one value, or a tile that repeats over the surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.formats import settle, solid
from spicemig.devices.raster.images import Pixels, image_of, source_has_alpha, source_of
from spicemig.devices.raster.kernels import PUT, fill_rect, tile_rect
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import BrushType


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
    if brush.type == BrushType.SOLID and brush.color is not None:
        return Paint(solid(surface.format, brush.color))
    if brush.type == BrushType.PATTERN and brush.pattern is not None:
        image = image_of(brush.pattern.pat)
        tile = source_of(image, surface, surfaces)
        alpha = source_has_alpha(image, surface, surfaces)
        return Paint(0, tile, brush.pattern.pos.x, brush.pattern.pos.y, alpha)
    if brush.type == BrushType.NONE:
        return Paint()
    raise ValueError(f"a brush of type {brush.type} cannot paint")


def paint_boxes(surface: Surface, boxes: Sequence[Box], paint: Paint, rop: int) -> None:
    """Combine paint with boxes that lie on the surface."""
    pixels, stride = surface.pixels, surface.stride
    if paint.tile is None:
        for left, top, right, bottom in boxes:
            fill_rect(pixels, stride, left, top, right - left, bottom - top, paint.value, rop)
    else:
        arguments = paint.arguments
        for left, top, right, bottom in boxes:
            tile_rect(pixels, stride, left, top, right - left, bottom - top, *arguments, rop)
    if rop != PUT:
        settle(surface, boxes)


def paint_box(surface: Surface, box: Box, paint: Paint, rop: int) -> None:
    """Combine paint with a box that lies on the surface."""
    paint_boxes(surface, [box], paint, rop)
