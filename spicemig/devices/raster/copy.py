# SPDX-License-Identifier: LGPL-2.1-or-later
"""DRAW_COPY and COPY_BITS: pixels from an image, another surface, or elsewhere on the same one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.images import Pixels, copied, image_of, pixels_of
from spicemig.devices.raster.kernels import PUT, copy_rect, move_rect, scale_nearest
from spicemig.devices.raster.mask import masked
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import PIXEL_BYTES, Surface
from spicemig.wire.enums import Ropd
from spicemig.wire.messages.display import CopyBits, DrawCopy


def draw_copy(surface: Surface, message: DrawCopy, surfaces: Mapping[int, Surface]) -> None:
    """Copy a part of an image into the box, larger or smaller if their sizes differ."""
    image = image_of(message.src_bitmap)
    source = pixels_of(image, surfaces)
    if image.surface == surface.id:
        source = copied(source)
    box, area = Box.of(message.base.box), Box.of(message.src_area)
    if not area or not Box(0, 0, source.width, source.height).covers(area):
        raise ValueError(f"{area} is not a part of an image of {source.width} by {source.height} pixels")
    boxes = masked(drawn_boxes(surface, message.base), message.mask, message.base.box, surfaces)
    rop = truth_table(message.rop_descriptor, Ropd.INVERS_SRC)
    if (area.cols, area.rows) == (box.cols, box.rows):
        _copy_parts(surface, boxes, source, area.left - box.left, area.top - box.top, rop)
    else:
        _copy_scaled(surface, boxes, source, area, box, rop)


def _copy_parts(surface: Surface, boxes: Iterable[Box], source: Pixels, dx: int, dy: int, rop: int) -> None:
    """Copy what lies under each box moved by (dx, dy)."""
    for box in boxes:
        copy_rect(
            surface.pixels,
            surface.stride,
            box.left,
            box.top,
            source.data,
            source.stride,
            box.left + dx,
            box.top + dy,
            box.cols,
            box.rows,
            rop,
        )


def _copy_scaled(
    surface: Surface, boxes: Iterable[Box], source: Pixels, area: Box, whole: Box, rop: int
) -> None:
    for box in boxes:
        stride = box.cols * PIXEL_BYTES
        part = bytearray(stride * box.rows)
        scale_nearest(
            part,
            box.cols,
            box.rows,
            source.data,
            source.stride,
            area.left,
            area.top,
            area.cols,
            area.rows,
            whole.cols,
            whole.rows,
            box.left - whole.left,
            box.top - whole.top,
        )
        made = Pixels(box.cols, box.rows, stride, part)
        _copy_parts(surface, [box], made, -box.left, -box.top, rop)


def copy_bits(surface: Surface, message: CopyBits, surfaces: Mapping[int, Surface]) -> None:
    """Move a part of the surface; of a source that leaves the surface, only what is there."""
    dx = message.src_pos.x - message.base.box.left
    dy = message.src_pos.y - message.base.box.top
    allowed = Box(0, 0, surface.width, surface.height).moved(-dx, -dy)
    boxes = [part for box in drawn_boxes(surface, message.base) if (part := box.within(allowed))]
    if len(boxes) > 1:  # one part may be the source of another
        source = Pixels(surface.width, surface.height, surface.stride, bytes(surface.pixels))
        _copy_parts(surface, boxes, source, dx, dy, PUT)
        return
    for box in boxes:
        move_rect(
            surface.pixels,
            surface.stride,
            box.left,
            box.top,
            box.cols,
            box.rows,
            box.left + dx,
            box.top + dy,
        )


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {
    DrawCopy: draw_copy,
    CopyBits: copy_bits,
}
