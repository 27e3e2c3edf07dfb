# SPDX-License-Identifier: LGPL-2.1-or-later
"""
DRAW_COPY, BLEND, OPAQUE and COPY_BITS: pixels of an image, of a surface, or from elsewhere on the same one.

Source: spice-common, canvas_base.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spicemig.devices.raster.brush import paint_boxes, paint_of
from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.formats import settle
from spicemig.devices.raster.images import Pixels, image_of, source_has_alpha, source_of
from spicemig.devices.raster.kernels import PUT, copy_rect, move_rect, rop3_rect
from spicemig.devices.raster.mask import draw_masked
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.raster.scale import scaled
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import Ropd, SurfaceFormat
from spicemig.wire.messages.display import CopyBits, DrawBlend, DrawCopy, DrawOpaque


@dataclass(frozen=True, slots=True)
class Source:
    """An image, and which area of it becomes as large as the box of the drawing."""

    pixels: Pixels
    area: Box
    whole: Box
    scale_mode: int
    has_alpha: bool

    @property
    def is_scaled(self) -> bool:
        """Whether its size changes."""
        return (self.area.cols, self.area.rows) != (self.whole.cols, self.whole.rows)

    @property
    def fits(self) -> bool:
        """Whether the area lies inside the image."""
        return Box(0, 0, self.pixels.width, self.pixels.height).covers(self.area)


def drawn_source(surface: Surface, message: Any, surfaces: Mapping[int, Surface]) -> Source:
    """The source of a message that has ``src_bitmap``, ``src_area`` and ``scale_mode``."""
    image = image_of(message.src_bitmap)
    pixels = source_of(image, surface, surfaces)
    area = Box.of(message.src_area)
    if not area:
        raise ValueError(f"{area} is empty")
    alpha = source_has_alpha(image, surface, surfaces)
    return Source(pixels, area, Box.of(message.base.box), message.scale_mode, alpha)


def draw_copy(surface: Surface, message: DrawCopy | DrawBlend, surfaces: Mapping[int, Surface]) -> None:
    """Combine an area of an image with the box, larger or smaller if their sizes differ."""
    boxes = drawn_boxes(surface, message.base)
    source = drawn_source(surface, message, surfaces)
    rop = truth_table(message.rop_descriptor, Ropd.INVERS_SRC)

    def draw(boxes: list[Box]) -> None:
        put_source(surface, boxes, source, rop)

    draw_masked(surface, boxes, message.mask, message.base.box, surfaces, draw)


def draw_opaque(surface: Surface, message: DrawOpaque, surfaces: Mapping[int, Surface]) -> None:
    """Combine a brush with an area of an image, whatever was in the box."""
    boxes = drawn_boxes(surface, message.base)
    source = drawn_source(surface, message, surfaces)
    paint = paint_of(message.brush, surface, surfaces)
    rop = truth_table(message.rop_descriptor, Ropd.INVERS_BRUSH, Ropd.INVERS_SRC)

    # as a ternary operation that does not ask what is there: one pass over the pixels
    code = sum(
        0b11 << (4 * brush + 2 * image)
        for brush in (0, 1)
        for image in (0, 1)
        if rop >> (2 * brush + image) & 1
    )
    dx, dy = source.area.left - source.whole.left, source.area.top - source.whole.top

    def draw(boxes: list[Box]) -> None:
        if source.is_scaled or not source.fits:
            put_source(surface, boxes, source, PUT)
            paint_boxes(surface, boxes, paint, rop)
            return
        for box in boxes:
            rop3_rect(
                surface.pixels,
                surface.stride,
                box.left,
                box.top,
                source.pixels.data,
                source.pixels.stride,
                box.left + dx,
                box.top + dy,
                box.cols,
                box.rows,
                *paint.arguments,
                code,
            )
        settle(surface, boxes)

    draw_masked(surface, boxes, message.mask, message.base.box, surfaces, draw)


def put_source(surface: Surface, boxes: Sequence[Box], source: Source, rop: int) -> None:
    """Combine a source with these boxes; where it has no pixels, nothing is drawn."""
    if source.is_scaled:
        for box in boxes:
            # what is put where there is alpha gets some; otherwise all bits come as they are
            alpha = source.has_alpha or rop != PUT or surface.format != SurfaceFormat.ARGB32
            part = scaled(source.pixels, source.area, source.whole, box, source.scale_mode, has_alpha=alpha)
            if part is not None:
                copy_boxes(surface, [box], part, -box.left, -box.top, rop)
                settle(surface, [box])
        return
    dx, dy = source.area.left - source.whole.left, source.area.top - source.whole.top
    if not source.fits:
        there = Box(0, 0, source.pixels.width, source.pixels.height).moved(-dx, -dy)
        boxes = [inside for box in boxes if (inside := box.within(there))]
    copy_boxes(surface, boxes, source.pixels, dx, dy, rop)
    if rop != PUT:
        settle(surface, boxes)


def copy_boxes(surface: Surface, boxes: Iterable[Box], source: Pixels, dx: int, dy: int, rop: int) -> None:
    """Combine each box with what lies at (dx, dy) from it in the source."""
    pixels, stride = surface.pixels, surface.stride
    data, source_stride = source.data, source.stride
    for left, top, right, bottom in boxes:
        copy_rect(
            pixels,
            stride,
            left,
            top,
            data,
            source_stride,
            left + dx,
            top + dy,
            right - left,
            bottom - top,
            rop,
        )


def copy_bits(surface: Surface, message: CopyBits, surfaces: Mapping[int, Surface]) -> None:
    """Move a part of the surface; of a source that leaves the surface, only what is there."""
    dx = message.src_pos.x - message.base.box.left
    dy = message.src_pos.y - message.base.box.top
    there = Box(0, 0, surface.width, surface.height).moved(-dx, -dy)
    boxes = [part for box in drawn_boxes(surface, message.base) if (part := box.within(there))]
    # in an order in which no box covers what a later one takes
    boxes.sort(key=lambda box: (-box.top if dy < 0 else box.top, -box.left if dx < 0 else box.left))
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
    DrawBlend: draw_copy,
    DrawOpaque: draw_opaque,
    CopyBits: copy_bits,
}
