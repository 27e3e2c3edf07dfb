# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Masks: images of one bit that say which pixels of a box are drawn.

A drawing is made without its mask; where that leaves a pixel out, what was there
before comes back. So every operation can have a mask, and none knows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.images import Pixels, image_of, pixels_of
from spicemig.devices.raster.kernels import PUT, copy_rect, rop3_rect
from spicemig.devices.surfaces import PIXEL_BYTES, Surface
from spicemig.wire.enums import BitmapFormat, MaskFlags, SurfaceFormat

# ternary operations of the mask, what was there before, and what was drawn
_DRAWN_WHERE_SET = 0xAC
_DRAWN_WHERE_CLEAR = 0xCA

_BITS = (0, 0xFFFFFFFF)  # as a palette
_BIT_FORMATS = (BitmapFormat.BIT1_LE, BitmapFormat.BIT1_BE)

Draw = Callable[[list[Box]], None]


def draw_masked(
    surface: Surface, boxes: list[Box], mask: Any, drawn: Any, surfaces: Mapping[int, Surface], draw: Draw
) -> None:
    """
    Call ``draw`` with these boxes; leave what the mask lets through.

    ``drawn`` is the box of the drawing, and ``boxes`` are disjoint parts of it. A
    pixel beyond the mask is not drawn.
    """
    if mask.bitmap is None:
        if boxes:
            draw(boxes)
        return
    bits = _bits_of(mask.bitmap, surfaces)
    x, y = drawn.left - mask.pos.x, drawn.top - mask.pos.y  # where the mask lies on the surface
    extent = Box(x, y, x + bits.width, y + bits.height)
    boxes = [part for box in boxes if (part := box.within(extent))]
    if not boxes:
        return
    before = [_copy_of(surface, box) for box in boxes]
    draw(boxes)
    code = _DRAWN_WHERE_CLEAR if mask.flags & MaskFlags.INVERS else _DRAWN_WHERE_SET
    tile = (0, bits.data, bits.stride, bits.width, bits.height, x, y)
    for box, kept in zip(boxes, before, strict=True):
        left, top, cols, rows = box.left, box.top, box.cols, box.rows
        rop3_rect(
            surface.pixels, surface.stride, left, top, kept, cols * PIXEL_BYTES, 0, 0, cols, rows, *tile, code
        )


def _copy_of(surface: Surface, box: Box) -> bytearray:
    stride = box.cols * PIXEL_BYTES
    made = bytearray(stride * box.rows)
    copy_rect(made, stride, 0, 0, surface.pixels, surface.stride, box.left, box.top, box.cols, box.rows, PUT)
    return made


def _bits_of(pointer: Any, surfaces: Mapping[int, Surface]) -> Pixels:
    """A mask as pixels with all bits set or none."""
    image = image_of(pointer)
    if image.surface is None:
        if image.format not in _BIT_FORMATS:
            raise ValueError("a mask has pixels of more than one bit")
        return pixels_of(replace(image, palette=_BITS, flags=0), surfaces)
    pixels = pixels_of(image, surfaces)
    if surfaces[image.surface].format != SurfaceFormat.A1:
        raise ValueError("a mask is a surface of more than one bit")
    made, alpha = bytearray(len(pixels.data)), pixels.data[3::PIXEL_BYTES]
    for part in range(PIXEL_BYTES):
        made[part::PIXEL_BYTES] = alpha
    return Pixels(pixels.width, pixels.height, pixels.stride, made)
