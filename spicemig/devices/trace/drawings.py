# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The drawing commands of a trace, each declared once as the elements that it is made of.

Source: FORMAT.md of the traces; spice-server 0.15.1 for what a self bitmap is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.trace.elements import (
    IMAGE,
    POINT,
    U8,
    U16,
    U32,
    BrushElement,
    ClipElement,
    Element,
    LineElement,
    MaskElement,
    MaybeImage,
    MaybeTransform,
    Number,
    OriginLine,
    PathElement,
    RectLine,
    StringElement,
    signed,
)
from spicemig.devices.trace.records import Draw
from spicemig.devices.trace.text import Lines, Text
from spicemig.wire.drawing import DrawBase, Rect
from spicemig.wire.enums import CompositeFlags
from spicemig.wire.messages import display

_NO_SURFACE = -1
_NO_RECT = (0, 0, 0, 0)
_DEPENDENCIES = 3

_START = Lines("drawable", "rect bbox # # # #")
_MIDDLE = Lines(
    "effect #",
    "mm_time #",
    "self_bitmap #",
    "rect self_bitmap_area # # # #",
    "surface_id #",
    *("surfaces_dest #", "rect surfaces_rects # # # #") * _DEPENDENCIES,
    "type #",
)
_OLD_MIDDLE = Lines("effect #", "mm_time #", "bitmap_offset #", "rect bitmap_area # # # #", "type #")
_UNCLIPPED = _START + Lines("type 0") + _MIDDLE
_CLIP = ClipElement()

_BRUSH = BrushElement()
_MASK = MaskElement()
_SOURCE: tuple[tuple[str, Element], ...] = (("src_bitmap", IMAGE), ("src_area", RectLine("src_area")))
_ROP = ("rop_descriptor", Number("rop_descriptor", U16))
_SCALED_AND_MASKED = (("scale_mode", Number("scale_mode", U8)), ("mask", _MASK))
_MODES = (("fore_mode", Number("fore_mode", U16)), ("back_mode", Number("back_mode", U16)))

# Drivers of the old layout tell nothing of alpha.
_OLD_ALPHA_BLEND = (("alpha", Number("alpha", U8)), *_SOURCE)

# An operation's number and name, the message that it becomes, and the message's fields as they come.
_OPERATIONS: tuple[tuple[int, str, type, tuple[tuple[str, Element], ...]], ...] = (
    (1, "fill", display.DrawFill, (("brush", _BRUSH), _ROP, ("mask", _MASK))),
    (2, "opaque", display.DrawOpaque, (*_SOURCE, ("brush", _BRUSH), _ROP, *_SCALED_AND_MASKED)),
    (3, "copy", display.DrawCopy, (*_SOURCE, _ROP, *_SCALED_AND_MASKED)),
    (4, "copy_bits", display.CopyBits, (("src_pos", POINT),)),
    (5, "blend", display.DrawBlend, (*_SOURCE, _ROP, *_SCALED_AND_MASKED)),
    (6, "blackness", display.DrawBlackness, (("mask", _MASK),)),
    (7, "whiteness", display.DrawWhiteness, (("mask", _MASK),)),
    (8, "invers", display.DrawInvers, (("mask", _MASK),)),
    (
        9,
        "rop3",
        display.DrawRop3,
        (*_SOURCE, ("brush", _BRUSH), ("rop3", Number("rop3", U8)), *_SCALED_AND_MASKED),
    ),
    (
        10,
        "stroke",
        display.DrawStroke,
        (("path", PathElement()), ("attr", LineElement()), ("brush", _BRUSH), *_MODES),
    ),
    (
        11,
        "text",
        display.DrawText,
        (
            ("str", StringElement()),
            ("back_area", RectLine("back_area")),
            ("fore_brush", _BRUSH),
            ("back_brush", _BRUSH),
            *_MODES,
        ),
    ),
    (
        12,
        "transparent",
        display.DrawTransparent,
        (*_SOURCE, ("src_color", Number("src_color")), ("true_color", Number("true_color"))),
    ),
    (
        13,
        "alpha_blend",
        display.DrawAlphaBlend,
        (("alpha_flags", Number("alpha_flags", U8)), *_OLD_ALPHA_BLEND),
    ),
    (
        14,
        "composite",
        display.DrawComposite,
        (
            ("flags", Number("flags")),
            ("src_bitmap", IMAGE),
            ("src_transform", MaybeTransform("src_transform")),
            ("mask_bitmap", MaybeImage("mask")),
            ("mask_transform", MaybeTransform("mask_transform")),
            ("src_origin", OriginLine("src_origin")),
            ("mask_origin", OriginLine("mask_origin")),
        ),
    ),
)

_NOP = 0
_BY_NUMBER = {number: (name, cls, fields) for number, name, cls, fields in _OPERATIONS}
_BY_CLASS = {cls: (number, name, fields) for number, name, cls, fields in _OPERATIONS}

_GIVEN = (
    ("mask_bitmap", CompositeFlags.HAS_MASK),
    ("src_transform", CompositeFlags.HAS_SRC_TRANSFORM),
    ("mask_transform", CompositeFlags.HAS_MASK_TRANSFORM),
)
_ALL_GIVEN = CompositeFlags.HAS_MASK | CompositeFlags.HAS_SRC_TRANSFORM | CompositeFlags.HAS_MASK_TRANSFORM


def read_draw(text: Text) -> Draw:
    """A drawing command."""
    told = text.may_take(_UNCLIPPED)
    if told is not None:
        box, rest, clip = Rect(*told[:4]), told[4:], None
        old = False
    else:
        box = Rect(*text.take(_START))
        clip = _CLIP.read(text)
        taken = text.may_take(_OLD_MIDDLE)
        old = taken is not None
        if taken is None:
            taken = text.may_take(_MIDDLE)
        if taken is None:
            raise text.none_of(_MIDDLE, _OLD_MIDDLE)
        rest = taken
    effect, mm_time, self_bitmap = rest[:3]
    surface_id = 0 if old else rest[7] & U32
    number = rest[-1]
    if number == _NOP:
        return Draw("nop", None, effect & U8, mm_time & U32)
    known = _BY_NUMBER.get(number)
    if known is None:
        raise text.wrong(f"drawing operation {number} is not known")
    name, cls, fields = known
    if old and cls is display.DrawAlphaBlend:
        fields = _OLD_ALPHA_BLEND
    values = {field: element.read(text) for field, element in fields}
    if cls is display.DrawComposite:
        given = sum(int(flag) for field, flag in _GIVEN if values[field] is not None)
        values["flags"] = (values["flags"] & ~_ALL_GIVEN) | given
    elif old and cls is display.DrawAlphaBlend:
        values["alpha_flags"] = 0
    if self_bitmap and "src_bitmap" in values and values["src_bitmap"] is None:
        _read_itself(values, surface_id, Rect(*rest[3:7]))
    base = DrawBase(surface_id, box) if clip is None else DrawBase(surface_id, box, clip)
    return Draw(name, cls(base=base, **values), effect & U8, mm_time & U32)


def _read_itself(values: dict[str, Any], surface_id: int, area: Rect) -> None:
    """A command without an image has as its image what its surface showed in ``area``."""
    image = DeviceImage(area.right, area.bottom, surface=surface_id)
    values["src_bitmap"] = Placeholder(image)
    part = values.get("src_area")
    if part is not None:
        values["src_area"] = Rect(
            part.top + area.top, part.left + area.left, part.bottom + area.top, part.right + area.left
        )


def name_of(message: Any) -> str:
    """What the operation of this drawing message is called."""
    return _BY_CLASS[type(message)][1]


def write_draw(draw: Draw) -> Iterable[bytes]:
    """A drawing command, in pieces."""
    message = draw.message
    number, _name, fields = _BY_CLASS[type(message)]
    base = message.base
    yield _START.write(base.box.top, base.box.left, base.box.bottom, base.box.right)
    yield from _CLIP.write(base.clip)
    yield _MIDDLE.write(
        draw.effect,
        signed(draw.mm_time),
        0,
        *_NO_RECT,
        signed(base.surface_id),
        *_dependencies(message),
        number,
    )
    for field, element in fields:
        value = getattr(message, field)
        yield from element.write(value & ~_ALL_GIVEN if field == "flags" else value)


def _dependencies(message: Any) -> list[int]:
    """The surfaces that the command reads, as pairs of id and area; a trace has room for three."""
    found: list[int] = []
    for placed in images_of(message):
        image = placed.value
        if image.surface is not None and len(found) < 5 * _DEPENDENCIES:
            area = (
                getattr(message, "src_area", None) if placed is getattr(message, "src_bitmap", None) else None
            )
            if area is None:
                area = Rect(0, 0, image.height, image.width)
            found += (image.surface, area.top, area.left, area.bottom, area.right)
    while len(found) < 5 * _DEPENDENCIES:
        found += (_NO_SURFACE, *_NO_RECT)
    return found


def images_of(message: Any) -> list[Placeholder]:
    """The images of a drawing message."""
    found = [getattr(message, "src_bitmap", None), getattr(message, "mask_bitmap", None)]
    mask = getattr(message, "mask", None)
    if mask is not None:
        found.append(mask.bitmap)
    for name in ("brush", "fore_brush", "back_brush"):
        brush = getattr(message, name, None)
        if brush is not None and brush.pattern is not None:
            found.append(brush.pattern.pat)
    return [image for image in found if image is not None]
