# SPDX-License-Identifier: LGPL-2.1-or-later
"""DRAW_FILL, BLACKNESS, WHITENESS and INVERS: a brush over a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.raster.brush import Paint, paint_boxes, paint_of
from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.formats import solid
from spicemig.devices.raster.kernels import PUT
from spicemig.devices.raster.mask import draw_masked
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import Ropd
from spicemig.wire.messages.display import DrawBlackness, DrawFill, DrawInvers, DrawWhiteness

_WHITE = 0xFFFFFFFF
_INVERS = 0b0101


def draw_fill(surface: Surface, message: DrawFill, surfaces: Mapping[int, Surface]) -> None:
    """Fill with a colour or a pattern."""
    rop = truth_table(message.rop_descriptor, Ropd.INVERS_BRUSH)
    _paint(surface, message, surfaces, paint_of(message.brush, surface, surfaces), rop)


def draw_blackness(surface: Surface, message: DrawBlackness, surfaces: Mapping[int, Surface]) -> None:
    """Clear all bits."""
    _paint(surface, message, surfaces, Paint(), PUT)


def draw_whiteness(surface: Surface, message: DrawWhiteness, surfaces: Mapping[int, Surface]) -> None:
    """Set all bits."""
    _paint(surface, message, surfaces, Paint(solid(surface.format, _WHITE)), PUT)


def draw_invers(surface: Surface, message: DrawInvers, surfaces: Mapping[int, Surface]) -> None:
    """Turn all bits round."""
    _paint(surface, message, surfaces, Paint(), _INVERS)


def _paint(surface: Surface, message: Any, surfaces: Mapping[int, Surface], paint: Paint, rop: int) -> None:
    def draw(boxes: list[Box]) -> None:
        paint_boxes(surface, boxes, paint, rop)

    base = message.base
    draw_masked(surface, drawn_boxes(surface, base), message.mask, base.box, surfaces, draw)


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {
    DrawFill: draw_fill,
    DrawBlackness: draw_blackness,
    DrawWhiteness: draw_whiteness,
    DrawInvers: draw_invers,
}
