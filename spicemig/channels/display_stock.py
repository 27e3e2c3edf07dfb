# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What stock clients draw as we do; everything else goes to them as pixels.

They end, or read what is not theirs, where a command is not as guests' drivers make
it. Only what is known to be drawn alike is sent as a command.

Source: spice-gtk 0.42 with its spice-common: canvas_base.c, sw_canvas.c, rop3.c,
pixman_utils.c; found by drawing random commands with both.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from spicemig.codecs.pixels import PALETTE_FORMATS
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ImageFlags,
    LineFlags,
    PathFlags,
    Ropd,
    StringFlags,
    SurfaceFormat,
)
from spicemig.wire.messages import display

# bits of a pixel as clients keep it; they copy between surfaces with as many
DEPTHS: Mapping[int, int] = {
    SurfaceFormat.A1: 1,
    SurfaceFormat.A8: 8,
    SurfaceFormat.RGB555: 16,
    SurfaceFormat.RGB565: 16,
    SurfaceFormat.XRGB32: 32,
    SurfaceFormat.ARGB32: 32,
}

_UNREADABLE = frozenset((BitmapFormat.INVALID, BitmapFormat.BIT1_LE, BitmapFormat.BIT4_LE))
_MASKS = frozenset((BitmapFormat.BIT1_LE, BitmapFormat.BIT1_BE))
_GLYPHS = StringFlags.RASTER_A1 | StringFlags.RASTER_A4 | StringFlags.RASTER_A8

_AREA = struct.Struct("<4i")  # top, left, bottom, right
_POINTER_BYTES = 4

ROP3 = int(display.DrawRop3.number)
STROKE, TEXT = int(display.DrawStroke.number), int(display.DrawText.number)
ALPHA_BLEND, COMPOSITE = int(display.DrawAlphaBlend.number), int(display.DrawComposite.number)

# behind the pointer to their image stands which area of it is drawn
_WITH_AREA = frozenset(
    int(message.number)
    for message in (
        display.DrawOpaque,
        display.DrawCopy,
        display.DrawBlend,
        display.DrawRop3,
        display.DrawTransparent,
        display.DrawAlphaBlend,
    )
)
_WITH_SOURCE = frozenset(
    int(message.number)
    for message in (display.DrawOpaque, display.DrawCopy, display.DrawBlend, display.DrawRop3)
)
_CALCULATED = frozenset((ALPHA_BLEND, COMPOSITE))  # by pixman, which takes images of any depth
_WITHOUT_MASK = frozenset((ALPHA_BLEND, COMPOSITE, STROKE, TEXT, int(display.DrawTransparent.number)))


def ternary_codes() -> frozenset[int]:
    """The codes of DRAW_ROP3 that depend on pattern, source and destination; clients know no others."""
    halves = ((4, 0x0F), (2, 0x33), (1, 0x55))
    return frozenset(
        code for code in range(256) if all(code & mask != code >> shift & mask for shift, mask in halves)
    )


TERNARY_CODES = ternary_codes()


def is_drawn_alike(drawable: Any, surfaces: Mapping[int, Any], *, composite: bool) -> bool:
    """
    Whether a stock client draws this as we do.

    ``surfaces`` are those that the client has, by id; what the drawable reads and is drawn
    on is among them. ``composite`` says whether the client knows DRAW_COMPOSITE.
    """
    target = surfaces[drawable.surface]
    depth = DEPTHS[target.format]
    number = drawable.number
    if depth == 1 or number == COMPOSITE and not composite:
        return False
    fixups = drawable.fixups()
    if number in _WITH_AREA and not (fixups and _is_inside(drawable, surfaces, *fixups[0])):
        return False
    special = _SPECIAL.get(number)
    if special is None and not fixups:
        return True
    images = [image for _offset, image in fixups]
    if (len(images) > 1 or number not in _WITH_SOURCE) and number not in _WITHOUT_MASK:
        mask = drawable.message().mask.bitmap
        if mask is not None:
            images.remove(mask.value)
            if mask.value.surface is not None or mask.value.format not in _MASKS or mask.value.palette:
                return False
    for image in images:
        if image.surface is not None:
            if image.surface == drawable.surface:  # they read what they have just drawn
                return False
            format = surfaces[image.surface].format
            if number not in _CALCULATED and format != target.format and (depth < 32 or DEPTHS[format] < 32):
                return False  # they copy the bits, or end
        elif image.format in _UNREADABLE:
            return False
        elif image.format in PALETTE_FORMATS and not _has_colours_for(image, target):
            return False
    return special is None or special(drawable, target)


def _is_inside(drawable: Any, surfaces: Mapping[int, Any], pointer: int, image: Any) -> bool:
    """Whether the area that is drawn is a part of the image behind this pointer."""
    top, left, bottom, right = _AREA.unpack_from(drawable.body, pointer + _POINTER_BYTES)
    # drivers leave out the size of an image that is a surface, and clients do not look at it
    size = image if image.surface is None else surfaces[image.surface]
    return bool(0 <= top < bottom <= size.height and 0 <= left < right <= size.width)


def _has_colours_for(image: Any, target: Any) -> bool:
    """
    Whether a palette makes the same of an image there as here.

    Clients do not check indexes, and give colours other bits of alpha with each codec.
    """
    if target.format != SurfaceFormat.XRGB32:
        return False
    colours = len(image.palette)
    if image.format == BitmapFormat.BIT8:
        return colours >= 256 or max(image.data, default=0) < colours
    return colours >= (2 if image.format == BitmapFormat.BIT1_BE else 16)


def _lies_on(drawable: Any, target: Any) -> bool:
    box = drawable.box
    return 0 <= box.left < box.right <= target.width and 0 <= box.top < box.bottom <= target.height


def _rop3(drawable: Any, target: Any) -> bool:
    message = drawable.message()
    if message.rop3 not in TERNARY_CODES or not _lies_on(drawable, target):
        return False
    brush = message.brush
    if brush.type == BrushType.PATTERN:
        return bool(brush.pattern.pos.x <= drawable.left and brush.pattern.pos.y <= drawable.top)
    return bool(brush.type == BrushType.SOLID)


def _composite(drawable: Any, target: Any) -> bool:
    message = drawable.message()
    if message.src_bitmap is None or not _lies_on(drawable, target):
        return False
    operands = (message.src_bitmap, message.src_transform), (message.mask_bitmap, message.mask_transform)
    return all(transform is None or _is_short_lived(image.value) for image, transform in operands if image)


def _is_short_lived(image: Any) -> bool:
    """Whether a client forgets an image; with others a transform stays, and shows whenever they are drawn."""
    return image.surface is None and not image.flags & ImageFlags.CACHE_ME


def _stroke(drawable: Any, target: Any) -> bool:
    """
    Lines of colours and patterns, with a clip of one rectangle.

    Clients divide short curves for ever, write behind the spans that they cut, take
    surfaces for images, and go round and round in dashes of no length.
    """
    message = drawable.message()
    brush, style, rects = message.brush, message.attr.style, message.base.clip.rects
    if brush.type == BrushType.NONE or rects is not None and len(rects) > 1:
        return False
    if brush.type == BrushType.PATTERN and brush.pattern.pat.value.surface is not None:
        return False
    if message.attr.flags & LineFlags.STYLED and not any(0 < length >> 4 < 255 for length in style or ()):
        return False
    return all(segment.points and not segment.flags & PathFlags.BEZIER for segment in message.path.segments)


def _text(drawable: Any, target: Any) -> bool:
    message = drawable.message()
    brush = message.fore_brush
    if brush.type == BrushType.PATTERN and not _is_short_lived(brush.pattern.pat.value):
        return False  # its place is a transform
    depth = message.str.flags & _GLYPHS
    behind = message.back_area
    has_back = behind.left != behind.right and behind.top != behind.bottom
    return bool(
        message.str.glyphs
        and depth in (StringFlags.RASTER_A1, StringFlags.RASTER_A4)  # they read other rows of A8
        and (not has_back or message.fore_mode == Ropd.OP_PUT)
    )


_SPECIAL: Mapping[int, Callable[[Any, Any], bool]] = {
    ROP3: _rop3,
    COMPOSITE: _composite,
    STROKE: _stroke,
    TEXT: _text,
}
