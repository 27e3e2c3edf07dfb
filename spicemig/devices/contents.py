# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Pixels of surfaces as guests keep them in memory, in the formats that surfaces can have.

Here a surface has four bytes for a pixel whatever its format; five or six bits of
a colour are kept as eight, the upper ones repeated below, so nothing gets lost on
the way from memory and back.
"""

from __future__ import annotations

from functools import cache

from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.surfaces import Surface
from spicemig.wire.drawing import DrawBase, Rect
from spicemig.wire.enums import BitmapFormat, ImageScaleMode, SurfaceFormat
from spicemig.wire.messages.display import DrawCopy

BITS: dict[int, int] = {
    SurfaceFormat.A1: 1,
    SurfaceFormat.A8: 8,
    SurfaceFormat.RGB555: 16,
    SurfaceFormat.RGB565: 16,
    SurfaceFormat.XRGB32: 32,
    SurfaceFormat.ARGB32: 32,
}

# What surfaces are bitmaps of; the others are made to have 32 bits.
_BITMAPS = {
    SurfaceFormat.XRGB32: BitmapFormat.BIT32,
    SurfaceFormat.ARGB32: BitmapFormat.RGBA,
    SurfaceFormat.RGB555: BitmapFormat.BIT16,
    SurfaceFormat.A8: BitmapFormat.BIT8_A,
}


def row_bytes(format: int, width: int) -> int:
    """How much memory a row needs; ``ValueError`` if there is no such format."""
    bits = BITS.get(format)
    if bits is None:
        raise ValueError(f"{format} is not a format of surfaces")
    return (width * bits + 7) // 8


def put_contents(
    surface_id: int, width: int, height: int, format: int, stride: int, data: bytes, *, top_down: bool
) -> DrawCopy:
    """The command that puts ``height`` rows of ``stride`` bytes on a surface of that format and size."""
    bitmap = _BITMAPS.get(SurfaceFormat(format))
    if bitmap is None:
        bitmap = BitmapFormat.RGBA if format == SurfaceFormat.A1 else BitmapFormat.BIT32
        data = b"".join(
            _widened(format, data[row * stride : row * stride + row_bytes(format, width)], width)
            for row in range(height)
        )
        stride = 4 * width
    image = DeviceImage(width, height, bitmap, stride, data, top_down)
    everything = Rect(0, 0, height, width)
    return DrawCopy(
        DrawBase(surface_id, everything), Placeholder(image), everything, scale_mode=ImageScaleMode.NEAREST
    )


@cache
def _each(bits: int, width: int) -> int:
    """These bits in each of ``width`` pixels of 32 bits."""
    return int.from_bytes(bits.to_bytes(4, "little") * width, "little")


def _widened(format: int, row: bytes, width: int) -> bytes:
    """A row of 565, or of one bit of alpha, with four bytes for a pixel."""
    if format == SurfaceFormat.A1:
        return b"".join(
            b"\0\0\0\xff" if row[col >> 3] >> (col & 7) & 1 else b"\0\0\0\0" for col in range(width)
        )
    spread = bytearray(4 * width)
    spread[0::4], spread[1::4] = row[0::2], row[1::2]
    pixels = int.from_bytes(spread, "little")
    blue, green, red = (pixels >> shift & _each(bits, width) for shift, bits in ((0, 31), (5, 63), (11, 31)))
    return (
        blue << 3 | blue >> 2 & _each(7, width) | (green << 2 | green >> 4 & _each(3, width)) << 8
        | (red << 3 | red >> 2 & _each(7, width)) << 16
    ).to_bytes(4 * width, "little")  # fmt: skip


def memory_row(format: int, row: bytes, width: int) -> bytes:
    """A row of pixels of four bytes, as a guest's memory has it."""
    if format in (SurfaceFormat.XRGB32, SurfaceFormat.ARGB32):
        return row
    if format == SurfaceFormat.A8:
        return row[3::4]
    if format == SurfaceFormat.A1:
        made = bytearray((width + 7) // 8)
        for col, alpha in enumerate(row[3::4]):
            made[col >> 3] |= (alpha >> 7) << (col & 7)
        return bytes(made)
    six = format == SurfaceFormat.RGB565
    pixels = int.from_bytes(row, "little")
    packed = (
        pixels >> 3 & _each(31, width)
        | (pixels >> 5 & _each(0x7E0, width) if six else pixels >> 6 & _each(0x3E0, width))
        | (pixels >> 8 & _each(0xF800, width) if six else pixels >> 9 & _each(0x7C00, width))
    ).to_bytes(4 * width, "little")
    made = bytearray(2 * width)
    made[0::2], made[1::2] = packed[0::4], packed[1::4]
    return bytes(made)


def write_area(surface: Surface, area: Rect, format: int, stride: int, memory: memoryview) -> None:
    """
    Put an area of the surface, which lies inside it, into the guest's memory.

    ``memory`` has ``|stride|`` bytes for each row of the surface, the bottom row first
    if ``stride`` is negative.
    """
    bits = BITS[format]
    left, right = area.left, area.right
    if bits == 1:  # whole bytes
        left, right = left & ~7, min(-(-right // 8) * 8, surface.width)
    for top in range(area.top, area.bottom):
        first = top * surface.stride
        row = memory_row(format, bytes(surface.pixels[first + 4 * left : first + 4 * right]), right - left)
        line = (top if stride > 0 else surface.height - 1 - top) * abs(stride)
        start = line + left * bits // 8
        memory[start : start + len(row)] = row
