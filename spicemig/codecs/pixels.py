# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Pixels as bitmaps hold them: rows of one of the bitmap formats.

Source: spice.proto, bitmap_fmt; canvas_base.c of spice-common 0.42 for what
a client makes of them.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

from PIL import Image

from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat

BITS_PER_PIXEL: dict[int, int] = {
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
PALETTE_FORMATS = frozenset(
    (
        BitmapFormat.BIT1_LE,
        BitmapFormat.BIT1_BE,
        BitmapFormat.BIT4_LE,
        BitmapFormat.BIT4_BE,
        BitmapFormat.BIT8,
    )
)

MAX_IMAGE_BYTES = 256 * 1024 * 1024  # of pixels that a decoder makes for one image

_REVERSED_BITS = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_SWAPPED_NIBBLES = bytes((value & 15) << 4 | value >> 4 for value in range(256))


class ImageError(ProtocolError):
    """An image payload is not what its descriptor or format says."""

    def __init__(self, reason: str) -> None:
        super().__init__(LinkError.INVALID_DATA, f"image: {reason}")


def row_bytes(format: int, width: int) -> int:
    """Bytes of a row without padding."""
    try:
        return (width * BITS_PER_PIXEL[format] + 7) // 8
    except KeyError:
        raise ImageError(f"no such bitmap format: {format}") from None


@dataclass(slots=True)
class Pixels:
    """
    An image in memory: ``height`` rows of ``stride`` bytes, the bottom row first
    unless ``top_down``. ``palette`` has 0x00RRGGBB for the formats that need one.
    """

    width: int
    height: int
    format: int
    stride: int
    data: Buffer
    top_down: bool = True
    palette: tuple[int, ...] = ()

    def check(self) -> None:
        """Raise :class:`ImageError` unless the rows fit their stride and the data."""
        if self.width < 1 or self.height < 1 or self.width > 0xFFFF or self.height > 0xFFFF:
            raise ImageError(f"{self.width}x{self.height} pixels")
        if self.stride < row_bytes(self.format, self.width) or self.stride > 0x7FFFFFFF:
            raise ImageError(f"{self.stride} bytes a row for {self.width} pixels of format {self.format}")
        if self.stride * self.height > MAX_IMAGE_BYTES:
            raise ImageError(f"larger than {MAX_IMAGE_BYTES} bytes")
        if len(self.data) < self.stride * self.height:
            raise ImageError(f"{len(self.data)} bytes for {self.height} rows of {self.stride}")

    def rows(self) -> memoryview:
        """The rows without padding, in the order in which they are stored; not copied if there is none."""
        tight = row_bytes(self.format, self.width)
        data = memoryview(self.data)
        if self.stride == tight:
            return data[: tight * self.height]
        return memoryview(
            b"".join(
                data[start : start + tight] for start in range(0, self.stride * self.height, self.stride)
            )
        )

    def image(self) -> Image.Image:
        """
        The picture as a Pillow image, top row first: RGBA for :data:`BitmapFormat.RGBA`,
        L for :data:`BitmapFormat.BIT8_A`, else RGB.
        """
        self.check()
        size = (self.width, self.height)
        data: Any = self.data if isinstance(self.data, bytes) else bytes(self.data)  # Pillow 9 takes no other
        order = 1 if self.top_down else -1
        if self.format == BitmapFormat.BIT32:
            return Image.frombuffer("RGB", size, data, "raw", "BGRX", self.stride, order)
        if self.format == BitmapFormat.BIT24:
            return Image.frombuffer("RGB", size, data, "raw", "BGR", self.stride, order)
        if self.format == BitmapFormat.RGBA:
            return Image.frombuffer("RGBA", size, data, "raw", "BGRA", self.stride, order)
        if self.format == BitmapFormat.BIT8_A:
            return Image.frombuffer("L", size, data, "raw", "L", self.stride, order)
        if self.format == BitmapFormat.BIT16:
            wide = widen_555(self.rows())
            return Image.frombuffer("RGB", size, wide, "raw", "BGRX", self.width * 4, order)
        return self._paletted(size, order)

    def _paletted(self, size: tuple[int, int], order: int) -> Image.Image:
        data: Buffer = self.rows()
        if self.format == BitmapFormat.BIT1_LE:
            data = bytes(data).translate(_REVERSED_BITS)
        elif self.format == BitmapFormat.BIT4_LE:
            data = bytes(data).translate(_SWAPPED_NIBBLES)
        raw_mode = {1: "P;1", 4: "P;4", 8: "P"}[BITS_PER_PIXEL[self.format]]
        indexed = Image.frombuffer("P", size, bytes(data), "raw", raw_mode, 0, order)
        colours = self.palette or ((0x000000, 0xFFFFFF) if BITS_PER_PIXEL[self.format] == 1 else ())
        flat = bytearray(768)
        for index, colour in enumerate(colours[:256]):
            flat[3 * index : 3 * index + 3] = (colour & 0xFFFFFF).to_bytes(3, "big")
        indexed.putpalette(bytes(flat))
        return indexed.convert("RGB")


_WIDENED: array[int] | None = None


def widen_555(data: Buffer) -> bytes:
    """16-bit pixels as B,G,R,x; the high bits of a component are repeated below, as pixman does."""
    global _WIDENED
    if _WIDENED is None:
        _WIDENED = array("I", (_widened(value) for value in range(1 << 15)))
    words = array("H", bytes(data))
    table = _WIDENED
    return array("I", [table[word & 0x7FFF] for word in words]).tobytes()


def _widened(value: int) -> int:
    red, green, blue = value >> 10 & 31, value >> 5 & 31, value & 31
    return (red << 3 | red >> 2) << 16 | (green << 3 | green >> 2) << 8 | (blue << 3 | blue >> 2)
