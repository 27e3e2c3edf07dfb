# SPDX-License-Identifier: LGPL-2.1-or-later
"""
DRAW_TRANSPARENT: an image but for its pixels of one colour.

Source: spice-common, canvas_base.c, canvas_draw_transparent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.formats import ONLY_ALPHA, SIXTEEN_BITS, widened
from spicemig.devices.raster.images import Pixels, image_of, source_of
from spicemig.devices.raster.kernels import copy_keyed
from spicemig.devices.raster.scale import scaled
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import ImageScaleMode, SurfaceFormat
from spicemig.wire.messages.display import DrawTransparent

_COLOURS, _ALPHA = 0x00FFFFFF, 0xFF000000


def draw_transparent(surface: Surface, message: DrawTransparent, surfaces: Mapping[int, Surface]) -> None:
    """Copy an area of an image into the box, scaled if their sizes differ, except where it has the colour."""
    source = source_of(image_of(message.src_bitmap), surface, surfaces)
    box, area = Box.of(message.base.box), Box.of(message.src_area)
    key, compared = _key(surface.format, message.true_color)
    if not area:
        return
    made: Pixels | None
    for part in drawn_boxes(surface, message.base):
        if (area.cols, area.rows) == (box.cols, box.rows):
            from_image = part.moved(area.left - box.left, area.top - box.top)
            from_image = from_image.within(Box(0, 0, source.width, source.height))
            to = from_image.moved(box.left - area.left, box.top - area.top)
            made, left, top = source, from_image.left, from_image.top
        else:
            made, left, top = scaled(source, area, box, part, ImageScaleMode.NEAREST), 0, 0
            to = part
        if made is None or not to:
            continue
        copy_keyed(
            surface.pixels,
            surface.stride,
            to.left,
            to.top,
            made.data,
            made.stride,
            left,
            top,
            to.cols,
            to.rows,
            key,
            compared,
        )


def _key(format: int, colour: int) -> tuple[int, int]:
    """The colour as pixels of that format have it, and which bits of them are compared."""
    if format in ONLY_ALPHA:
        return 0, _ALPHA
    if format in SIXTEEN_BITS:
        blue, green, red = colour >> 3 & 31, colour >> 11 & 31, colour >> 19 & 31
        key = widened(blue, 5) | widened(red, 5) << 16
        if format == SurfaceFormat.RGB565:
            return key | widened(colour >> 10 & 63, 6) << 8, _COLOURS
        return key | widened(green, 5) << 8, _COLOURS
    return colour & _COLOURS, _COLOURS


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {
    DrawTransparent: draw_transparent
}
