# SPDX-License-Identifier: LGPL-2.1-or-later
"""
DRAW_ROP3: brush, image and what is there, combined bit by bit as one of 256 tables says.

Source: spice-common, canvas_base.c and rop3.c; the number of an operation is its
result for a pattern of 0xf0, a source of 0xcc and a destination of 0xaa.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.raster.brush import paint_of
from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.copy import drawn_source
from spicemig.devices.raster.formats import settle
from spicemig.devices.raster.kernels import rop3_rect
from spicemig.devices.raster.mask import draw_masked
from spicemig.devices.raster.scale import scaled_from_corner
from spicemig.devices.surfaces import Surface
from spicemig.wire.messages.display import DrawRop3


def draw_rop3(surface: Surface, message: DrawRop3, surfaces: Mapping[int, Surface]) -> None:
    """Combine three; the area of the image must lie inside it."""
    boxes = drawn_boxes(surface, message.base)
    source = drawn_source(surface, message, surfaces)
    paint = paint_of(message.brush, surface, surfaces)
    if not source.is_scaled and not source.fits:
        raise ValueError(f"{source.area} is not a part of the image")
    dx, dy = source.area.left - source.whole.left, source.area.top - source.whole.top

    def draw(boxes: list[Box]) -> None:
        for box in boxes:
            left, top, cols, rows = box.left, box.top, box.cols, box.rows
            place = (left + dx, top + dy)
            pixels = source.pixels
            if source.is_scaled:
                part = scaled_from_corner(pixels, source.area, source.whole, box, source.scale_mode)
                if part is None:
                    continue
                pixels, place = part, (0, 0)
            rop3_rect(
                surface.pixels,
                surface.stride,
                left,
                top,
                pixels.data,
                pixels.stride,
                *place,
                cols,
                rows,
                *paint.arguments,
                message.rop3,
            )
        settle(surface, boxes)

    draw_masked(surface, boxes, message.mask, message.base.box, surfaces, draw)


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {DrawRop3: draw_rop3}
