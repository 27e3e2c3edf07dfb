# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Whether a drawing leaves nothing of what was in its box.

A guest says so with the effect of its command, but may be wrong: then dropping
what the command hides would give a picture that depends on how long commands wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.drawables import DeviceImage
from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import LARGEST_SIDE, Surface
from spicemig.wire.enums import BitmapFormat, BrushType, ClipType, Ropd
from spicemig.wire.messages.display import (
    DrawBlackness,
    DrawBlend,
    DrawCopy,
    DrawFill,
    DrawOpaque,
    DrawRop3,
    DrawWhiteness,
)

_BITS = {
    BitmapFormat.BIT1_LE: 1,
    BitmapFormat.BIT1_BE: 1,
    BitmapFormat.BIT4_LE: 4,
    BitmapFormat.BIT4_BE: 4,
    BitmapFormat.BIT8: 8,
    BitmapFormat.BIT16: 16,
    BitmapFormat.BIT24: 24,
    BitmapFormat.BIT32: 32,
    BitmapFormat.RGBA: 32,
    BitmapFormat.BIT8_A: 8,
}


def is_opaque(message: Any, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    """
    Whether every pixel of the box gets a value that does not depend on the surface.

    False when in doubt.
    """
    covers = _COVERS.get(type(message))
    return (
        covers is not None
        and message.mask.bitmap is None
        and message.base.clip.type == ClipType.NONE
        and covers(message, surface, surfaces)
    )


def _forgets(table: int) -> bool:
    """Whether the result of this truth table is the same for both values of its last input."""
    return (table ^ table >> 1) & 0x55 == 0


def _fill(message: DrawFill, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    return _forgets(truth_table(message.rop_descriptor, Ropd.INVERS_BRUSH)) and _paints(
        message.brush, surface, surfaces
    )


def _copy(message: DrawCopy | DrawBlend, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    return _forgets(truth_table(message.rop_descriptor, Ropd.INVERS_SRC)) and _fits(
        message, surface, surfaces
    )


def _opaque(message: DrawOpaque, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    return _fits(message, surface, surfaces) and _paints(message.brush, surface, surfaces)


def _rop3(message: DrawRop3, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    return _forgets(message.rop3) and _opaque(message, surface, surfaces)  # type: ignore[arg-type]


def _always(message: Any, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    return True


def _paints(brush: Any, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    """Whether a brush can paint everywhere."""
    if brush.type == BrushType.PATTERN:
        return _size(brush.pattern.pat, surface, surfaces) is not None
    return brush.type in (BrushType.SOLID, BrushType.NONE)


def _fits(message: Any, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    """Whether the area of the image has all its pixels."""
    size = _size(message.src_bitmap, surface, surfaces)
    area = Box.of(message.src_area)
    return size is not None and bool(area) and Box(0, 0, *size).covers(area)


def _size(pointer: Any, surface: Surface, surfaces: Mapping[int, Surface]) -> tuple[int, int] | None:
    """Width and height of an image that can be drawn on this surface, and is not what it shows."""
    image = getattr(pointer, "value", None)
    if not isinstance(image, DeviceImage):
        return None
    if image.surface is not None:
        shown = surfaces.get(image.surface)
        return None if shown is None or shown is surface else (shown.width, shown.height)
    bits = _BITS.get(image.format)  # type: ignore[call-overload]
    if bits is None or not (0 < image.width <= LARGEST_SIDE and 0 < image.height <= LARGEST_SIDE):
        return None
    row_bytes = (image.width * bits + 7) // 8
    if image.stride < row_bytes or (image.height - 1) * image.stride + row_bytes > len(image.data):
        return None
    return image.width, image.height


_COVERS: dict[type, Callable[[Any, Surface, Mapping[int, Surface]], bool]] = {
    DrawFill: _fill,
    DrawCopy: _copy,
    DrawBlend: _copy,
    DrawOpaque: _opaque,
    DrawRop3: _rop3,
    DrawBlackness: _always,
    DrawWhiteness: _always,
}
