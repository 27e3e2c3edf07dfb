# SPDX-License-Identifier: LGPL-2.1-or-later
"""DRAW_TEXT: glyphs of 1, 4 or 8 bits for a pixel, and what is behind them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spicemig.devices.raster.alpha import forget_alpha
from spicemig.devices.raster.brush import Paint, paint_boxes, paint_of
from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.formats import SIXTEEN_BITS, settle, solid
from spicemig.devices.raster.kernels import PUT, add_glyphs, blend_mask
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import BrushType, Ropd, StringFlags, SurfaceFormat
from spicemig.wire.messages.display import DrawText

_PLACE = struct.Struct("=4q")
_BITS = {StringFlags.RASTER_A1: 1, StringFlags.RASTER_A4: 4, StringFlags.RASTER_A8: 8}
_DEPTHS = StringFlags.RASTER_A1 | StringFlags.RASTER_A4 | StringFlags.RASTER_A8


def draw_text(surface: Surface, message: DrawText, surfaces: Mapping[int, Surface]) -> None:
    """
    Put the back brush behind the text, and the fore brush through its glyphs.

    Modes mean nothing but that text with a background has to be put, as at the
    client; the rows of glyphs go upwards whatever the flags say, and the place of a
    pattern in the fore brush counts from the top left of all glyphs.
    """
    boxes = drawn_boxes(surface, message.base)
    behind = Box.of(message.back_area)
    if behind.left != behind.right and behind.top != behind.bottom:
        if message.fore_mode != Ropd.OP_PUT:
            raise ValueError("text on a background can only be put")
        if parts := [part for box in boxes if (part := box.within(behind))]:
            paint_boxes(surface, parts, paint_of(message.back_brush, surface, surfaces), PUT)
    if message.fore_brush.type == BrushType.NONE:
        return
    glyphs = message.str.glyphs or ()
    places = [_place_of(glyph) for glyph in glyphs]
    whole = _around(places)
    if drawn := _around(boxes).within(whole):
        _draw_glyphs(surface, message, places, whole, drawn, boxes, surfaces)
    if surface.format == SurfaceFormat.XRGB32 and boxes and glyphs:
        if seen := whole.within(Box(0, 0, surface.width, surface.height)):
            forget_alpha(surface, seen)


def _draw_glyphs(
    surface: Surface,
    message: DrawText,
    places: Sequence[tuple[int, int, int, int]],
    whole: Box,
    drawn: Box,
    boxes: list[Box],
    surfaces: Mapping[int, Surface],
) -> None:
    """Paint through the glyphs, which lie in ``whole``; what is seen of them lies in ``drawn``."""
    glyphs = message.str.glyphs or ()
    mask = bytearray(drawn.cols * drawn.rows)
    bits = _BITS[StringFlags(message.str.flags) & _DEPTHS]
    table = b"".join(
        _PLACE.pack(left - drawn.left, top - drawn.top, right - left, bottom - top)
        for left, top, right, bottom in places
    )
    add_glyphs(mask, drawn.cols, drawn.rows, table, b"".join(glyph.data for glyph in glyphs), bits)
    paint = _fore_paint(message.fore_brush, whole, surface, surfaces)
    parts = [part for box in boxes if (part := box.within(drawn))]
    for part in parts:
        target = (surface.pixels, surface.stride, part.left, part.top, part.cols, part.rows)
        covered = (mask, drawn.cols, part.left - drawn.left, part.top - drawn.top)
        blend_mask(*target, *covered, *paint.arguments, paint.has_alpha)
    settle(surface, parts)


def _fore_paint(brush: Any, whole: Box, surface: Surface, surfaces: Mapping[int, Surface]) -> Paint:
    """What glyphs are drawn with; a colour on any surface of 16 bits has 5 bits for each part."""
    if brush.type == BrushType.SOLID and surface.format in SIXTEEN_BITS:
        return Paint(solid(SurfaceFormat.RGB555, brush.color))
    paint = paint_of(brush, surface, surfaces)
    return replace(paint, x=paint.x + whole.left, y=paint.y + whole.top)


def _place_of(glyph: Any) -> tuple[int, int, int, int]:
    """Where a glyph is drawn: left, top, right, bottom."""
    render, origin = glyph.render_pos, glyph.glyph_origin
    left, top = render.x + origin.x, render.y + origin.y
    return left, top, left + glyph.width, top + glyph.height


def _around(places: Sequence[tuple[int, int, int, int]]) -> Box:
    """The smallest box with all of these in it; of none, an empty one."""
    if not places:
        return Box(0, 0, 0, 0)
    lefts, tops, rights, bottoms = zip(*places, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {DrawText: draw_text}
