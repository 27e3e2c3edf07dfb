# SPDX-License-Identifier: LGPL-2.1-or-later
"""
DRAW_COMPOSITE: images combined as X Render does it, exactly as SPICE clients do.

Source: spice-common, canvas_base.c, canvas_draw_composite, and pixman.c, for which
operators stand for others where a source is opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from spicemig.devices.drawables import DeviceImage
from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.formats import settle
from spicemig.devices.raster.images import has_alpha, image_of, operand_of
from spicemig.devices.raster.kernels import composite
from spicemig.devices.raster.sampled import IDENTITY, Sampled
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import BitmapFormat, CompositeFlags, ImageFlags, SurfaceFormat
from spicemig.wire.messages.display import DrawComposite

OVER = 3

_CLEAR, _SOURCE, _DESTINATION, _OVER_REVERSE = 0, 1, 2, 4
_IF_OPAQUE = {OVER: _SOURCE, 13: _OVER_REVERSE}
_OPERATORS = 0x3F
_LAST_OF_SIXTEEN = (0xD, 0xB, 0xB, 0xE)  # operators come in groups of sixteen with gaps
_SIGN, _TWO_32 = 1 << 31, 1 << 32

# What a filter is; those between are convolutions, whose kernels SPICE does not carry.
_BILINEAR = {0: False, 1: True, 2: True, 3: False, 4: True}
_UNKNOWN_FILTER = 7

_GREEN_BITS: dict[int, int] = {SurfaceFormat.RGB555: 5, SurfaceFormat.RGB565: 6}

INDEXED = frozenset(
    (
        BitmapFormat.BIT1_LE,
        BitmapFormat.BIT1_BE,
        BitmapFormat.BIT4_LE,
        BitmapFormat.BIT4_BE,
        BitmapFormat.BIT8,
    )
)
READS_ALPHA = frozenset((SurfaceFormat.ARGB32, SurfaceFormat.A8, SurfaceFormat.A1))


def draw_composite(surface: Surface, message: DrawComposite, surfaces: Mapping[int, Surface]) -> None:
    """Combine an image, through another one if there is a mask, with what is in the box."""
    flags = CompositeFlags(message.flags)
    source = _source(surface, message, flags, surfaces)
    mask = _mask(surface, message, flags, surfaces) if flags & CompositeFlags.HAS_MASK else None
    if source is not None and (mask is not None or not flags & CompositeFlags.HAS_MASK):
        boxes = drawn_boxes(surface, message.base)
        box = Box.of(message.base.box)
        combine(surface, boxes, box, flags & CompositeFlags.OPERATOR, source, mask, calculated=box)


def combine(
    surface: Surface,
    boxes: Iterable[Box],
    whole: Box,
    operator: int,
    source: Sampled,
    mask: Sampled | None,
    *,
    calculated: Box | None = None,
    dst_has_alpha: bool | None = None,
) -> None:
    """
    Combine what is sampled with the parts of ``whole`` that ``boxes`` are.

    The first pixel that is sampled belongs to the top left of ``whole``. The
    rectangle ``calculated``, that around all boxes if it is not given, is what a
    client calculates at once: if any place in it is too large, it draws nothing.
    ``dst_has_alpha`` is what the surface has if it is not given.
    """
    if dst_has_alpha is None:
        dst_has_alpha = surface.format in READS_ALPHA
    boxes = list(boxes)
    part = (calculated or _around(boxes)).moved(-whole.left, -whole.top)
    if not (source.can_be_read(part) and (mask is None or mask.can_be_read(part))):
        return
    unmasked = mask is None or mask.is_opaque(part)
    operator = simplified(operator, unmasked and source.is_opaque(part))
    if operator == _DESTINATION:
        return
    if operator == _SOURCE and unmasked and not dst_has_alpha and source.is_straight(part):
        source = replace(source, has_alpha=True)  # the fourth bytes are copied, whatever they are
    for box in boxes:
        dx, dy = box.left - whole.left, box.top - whole.top
        composite(
            surface.pixels,
            surface.stride,
            box.left,
            box.top,
            box.cols,
            box.rows,
            dst_has_alpha,
            _green_bits(surface.format),
            operator,
            source.arguments(dx, dy),
            None if mask is None else mask.arguments(dx, dy),
            mask is not None and mask.by_parts,
        )
    settle(surface, boxes)


def _around(boxes: list[Box]) -> Box:
    """The rectangle around all of them."""
    if not boxes:
        return Box(0, 0, 0, 0)
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def simplified(operator: int, source_is_opaque: bool) -> int:
    """
    The operator that stands for this one; only where that changes what comes out.

    Numbers between the groups clear. Raises ``ValueError`` if there is no such operator.
    """
    if operator >= _OPERATORS:
        raise ValueError(f"there is no operator {operator}")
    group, number = divmod(operator, 16)
    if number > _LAST_OF_SIXTEEN[group]:
        return _CLEAR
    if group in (1, 2) and number in (_CLEAR, _SOURCE, _DESTINATION):
        return number
    if source_is_opaque:
        return _IF_OPAQUE.get(operator, operator)
    return operator


def _source(
    surface: Surface, message: DrawComposite, flags: CompositeFlags, surfaces: Mapping[int, Surface]
) -> Sampled | None:
    image = image_of(message.src_bitmap)
    transform = message.src_transform if flags & CompositeFlags.HAS_SRC_TRANSFORM else None
    origin = message.src_origin
    opaque = bool(flags & CompositeFlags.SOURCE_OPAQUE) and image.surface is not None
    filter, repeat = flags >> 8 & 7, flags >> 14 & 3
    return _sampled(image, surface, surfaces, transform, origin, filter, repeat, opaque, by_parts=False)


def _mask(
    surface: Surface, message: DrawComposite, flags: CompositeFlags, surfaces: Mapping[int, Surface]
) -> Sampled | None:
    image = image_of(message.mask_bitmap)
    transform = message.mask_transform if flags & CompositeFlags.HAS_MASK_TRANSFORM else None
    by_parts = bool(flags & CompositeFlags.COMPONENT_ALPHA)
    filter, repeat = flags >> 11 & 7, flags >> 16 & 3
    origin = message.mask_origin
    return _sampled(image, surface, surfaces, transform, origin, filter, repeat, False, by_parts)


def _sampled(
    image: DeviceImage,
    surface: Surface,
    surfaces: Mapping[int, Surface],
    transform: Any,
    origin: Any,
    filter: int,
    repeat: int,
    opaque: bool,
    by_parts: bool,
) -> Sampled | None:
    """None if the filter is none, with which nothing is drawn."""
    pixels = operand_of(image, surface, surfaces)
    if filter == _UNKNOWN_FILTER:
        return None
    if filter not in _BILINEAR:
        raise ValueError(f"filter {filter} needs a kernel")
    alpha = not opaque and keeps_alpha(image, surface, surfaces)
    matrix = IDENTITY if transform is None else _matrix(transform)
    format = surface.format if image.surface is None else surfaces[image.surface].format
    bilinear, bits = _BILINEAR[filter], _green_bits(format)
    return Sampled(pixels, alpha, origin.x, origin.y, matrix, bilinear, repeat, bits, by_parts)


def _green_bits(format: int) -> int:
    """How many bits of a pixel's green count on a surface of this format."""
    return _GREEN_BITS.get(format, 8)


def keeps_alpha(image: DeviceImage, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    """Whether an image has alpha when it is in the format of ``surface``; other surfaces keep theirs."""
    if image.surface is not None:
        return surfaces[image.surface].format in READS_ALPHA
    if image.format in INDEXED:  # what clients cache stays in the format of the palette
        return surface.has_alpha and bool(image.flags & (ImageFlags.CACHE_ME | ImageFlags.CACHE_REPLACE_ME))
    return has_alpha(image, surfaces) and surface.format in (*READS_ALPHA, SurfaceFormat.XRGB32)


def _matrix(transform: Any) -> tuple[int, ...]:
    """The six numbers, which have a sign."""
    numbers = (transform.t00, transform.t01, transform.t02, transform.t10, transform.t11, transform.t12)
    return tuple(number - _TWO_32 if number & _SIGN else number for number in numbers)


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {
    DrawComposite: draw_composite
}
