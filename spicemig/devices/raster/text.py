# SPDX-License-Identifier: LGPL-2.1-or-later
"""DRAW_TEXT: glyphs of 1, 4 or 8 bits for a pixel, and what is behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from spicemig.devices.raster.brush import paint_box, paint_of
from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.kernels import PUT, add_glyph, blend_mask
from spicemig.devices.raster.lines import bands
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import BrushType, Ropd, StringFlags
from spicemig.wire.messages.display import DrawText

_BITS = {StringFlags.RASTER_A1: 1, StringFlags.RASTER_A4: 4, StringFlags.RASTER_A8: 8}
_DEPTHS = StringFlags.RASTER_A1 | StringFlags.RASTER_A4 | StringFlags.RASTER_A8


def draw_text(surface: Surface, message: DrawText, surfaces: Mapping[int, Surface]) -> None:
    """
    Put the back brush behind the text, and the fore brush through its glyphs.

    Modes mean nothing but that text with a background has to be put, as at the
    client; the rows of glyphs go upwards whatever the flags say, and the place of a
    pattern in the fore brush counts from the top left of all glyphs.
    """
    boxes = bands(drawn_boxes(surface, message.base))
    behind = Box.of(message.back_area)
    if behind.left != behind.right and behind.top != behind.bottom:
        if message.fore_mode != Ropd.OP_PUT:
            raise ValueError("text on a background can only be put")
        if parts := [part for box in boxes if (part := box.within(behind))]:
            paint = paint_of(message.back_brush, surface, surfaces)
            for part in parts:
                paint_box(surface, part, paint, PUT)
    if message.fore_brush.type == BrushType.NONE:
        return
    glyphs = [(_box_of(glyph), glyph) for glyph in message.str.glyphs or ()]
    whole = _around([box for box, _glyph in glyphs])
    drawn = _around(boxes).within(whole)
    if not drawn:
        return
    mask = bytearray(drawn.cols * drawn.rows)
    bits = _BITS[StringFlags(message.str.flags) & _DEPTHS]
    for box, glyph in glyphs:
        if box.within(drawn):
            place = (box.left - drawn.left, box.top - drawn.top)
            add_glyph(mask, drawn.cols, drawn.rows, *place, glyph.data, bits, glyph.width, glyph.height)
    paint = paint_of(message.fore_brush, surface, surfaces)
    paint = replace(paint, x=paint.x + whole.left, y=paint.y + whole.top)
    for box in boxes:
        if part := box.within(drawn):
            blend_mask(
                surface.pixels,
                surface.stride,
                part.left,
                part.top,
                part.cols,
                part.rows,
                mask,
                drawn.cols,
                part.left - drawn.left,
                part.top - drawn.top,
                *paint.arguments,
                paint.has_alpha,
            )


def _box_of(glyph: Any) -> Box:
    """Where a glyph is drawn."""
    left = glyph.render_pos.x + glyph.glyph_origin.x
    top = glyph.render_pos.y + glyph.glyph_origin.y
    return Box(left, top, left + glyph.width, top + glyph.height)


def _around(boxes: list[Box]) -> Box:
    """The smallest box with all of these in it; of none, an empty one."""
    if not boxes:
        return Box(0, 0, 0, 0)
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {DrawText: draw_text}
