# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernel of ``_kernels/composite.c`` in Python: images combined through masks.

Pixels are blue, green, red, alpha, the colours multiplied by alpha. Operators have
pixman's numbers. Most are calculated with bytes, of which 255 is the whole; those
that divide, in single precision (:mod:`.reference_fractions`). All is rounded as
pixman rounds.

Source: pixman 0.42, pixman-combine32.c, pixman-bits-image.c, pixman-general.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spicemig.devices.raster import reference_fractions
from spicemig.devices.raster.reference import _bytes, _inside
from spicemig.devices.raster.reference_scale import HALF, ONE, SMALLEST, between, weight

REPEAT_NONE, NORMAL, PAD, REFLECT = range(4)
IDENTITY = (ONE, 0, 0, 0, ONE, 0)
PLACE_LIMIT = 2**24
RAW_OPERATORS = (0, 1, 3, 6, 8, 12)  # these combine the fourth byte of an opaque surface as it is

Pixel = Sequence[int]  # blue, green, red, alpha


def repeated(at: int, size: int, repeat: int) -> int | None:
    """The row or column that stands for one that may be beyond the image."""
    if 0 <= at < size:
        return at
    if repeat == NORMAL:
        return at % size
    if repeat == PAD:
        return 0 if at < 0 else size - 1
    if repeat == REFLECT:
        at %= 2 * size
        return at if at < size else 2 * size - 1 - at
    return None


def known_bits(argument: str, bits: int) -> None:
    """Raise unless there is a format whose green has so many bits."""
    if bits not in (5, 6, 8):
        raise ValueError(f"{argument}: green does not have {bits} bits in any format")


@dataclass(slots=True)
class Reader:
    """An image and how it is read; the fields are what the kernel is given."""

    data: memoryview
    stride: int
    width: int
    height: int
    has_alpha: bool
    green_bits: int
    bilinear: bool
    repeat: int
    matrix: Sequence[int]
    x: int
    y: int

    @classmethod
    def of(cls, argument: str, given: tuple[Any, ...]) -> Reader:
        """With all its fields checked."""
        reader = cls(_bytes(given[0]), *given[1:])
        _inside(argument, len(reader.data), reader.stride, 0, 0, reader.width, reader.height)
        sizes = 1 <= reader.width <= PLACE_LIMIT and 1 <= reader.height <= PLACE_LIMIT
        if not (sizes and abs(reader.x) <= PLACE_LIMIT and abs(reader.y) <= PLACE_LIMIT):
            raise ValueError(f"{argument}: its size or origin is not possible")
        if not REPEAT_NONE <= reader.repeat <= REFLECT:
            raise ValueError(f"{argument}: {reader.repeat} is not a way to repeat")
        known_bits(argument, reader.green_bits)
        return reader

    def pixel(self, col: int, row: int) -> Pixel:
        """One pixel; beyond the image one that stands for it, or nothing."""
        x, y = repeated(col, self.width, self.repeat), repeated(row, self.height, self.repeat)
        if x is None or y is None:
            return bytes(4)
        start = y * self.stride + x * 4
        return (
            bytes(self.data[start : start + 4])
            if self.has_alpha
            else bytes(self.data[start : start + 3]) + b"\xff"
        )

    def place(self, col: int, row: int) -> tuple[int, int]:
        """Where in the image the centre of a pixel of the drawing is."""
        m, x, y = self.matrix, self.x + col, self.y + row
        return (
            m[0] * x + m[1] * y + m[2] + (m[0] + m[1] + 1 >> 1),
            m[3] * x + m[4] * y + m[5] + (m[3] + m[4] + 1 >> 1),
        )

    @property
    def is_solid(self) -> bool:
        """Whether it is one pixel everywhere."""
        return self.width == self.height == 1 and self.repeat != REPEAT_NONE

    @property
    def interpolates(self) -> bool:
        """Whether places may be between pixels at all."""
        return bool(self.bilinear) and tuple(self.matrix) != IDENTITY and not self.is_solid

    @property
    def reads_all(self) -> bool:
        """Whether pixman reads what is masked out, too; its hue and the like show that."""
        return self.is_solid or (tuple(self.matrix) == IDENTITY and self.repeat <= NORMAL)

    def corners(self, x: int, y: int) -> tuple[Pixel, Pixel, Pixel, Pixel]:
        """The four pixels around a place."""
        col, row = x >> 16, y >> 16
        return (
            self.pixel(col, row),
            self.pixel(col + 1, row),
            self.pixel(col, row + 1),
            self.pixel(col + 1, row + 1),
        )

    def sample(self, col: int, row: int) -> Pixel:
        """What the image has for a pixel of the drawing."""
        x, y = self.place(col, row)
        if not self.interpolates:
            return self.pixel(x - SMALLEST >> 16, y - SMALLEST >> 16)
        left, top = x - HALF, y - HALF
        return between(self.corners(left, top), weight(left), weight(top))

    def sample_fractions(self, col: int, row: int) -> reference_fractions.Colour:
        """The same in fractions of 1; between pixels, weights have 16 bits."""
        if not self.interpolates:
            return reference_fractions.colour(self.sample(col, row), self.green_bits)
        x, y = self.place(col, row)
        left, top = x - HALF, y - HALF
        return reference_fractions.between(self.corners(left, top), left % ONE, top % ONE, self.green_bits)


def times(one: int, other: int) -> int:
    """The product of two bytes of which 255 is the whole, rounded."""
    product = one * other + 128
    return product + (product >> 8) >> 8


def plus(one: int, other: int) -> int:
    """The sum, at most 255."""
    return min(one + other, 255)


# What becomes of one part of a pixel: s is that of the source (with the mask in it) and
# m its alpha (which a mask by parts makes different for each), d that of the
# destination and a its alpha.
Part = Callable[[int, int, int, int], int]

COVERING: dict[int, Part] = {
    0x00: lambda s, m, d, a: 0,
    0x01: lambda s, m, d, a: s,
    0x03: lambda s, m, d, a: plus(times(d, 255 - m), s),
    0x04: lambda s, m, d, a: plus(times(s, 255 - a), d),
    0x05: lambda s, m, d, a: times(s, a),
    0x06: lambda s, m, d, a: times(d, m),
    0x07: lambda s, m, d, a: times(s, 255 - a),
    0x08: lambda s, m, d, a: times(d, 255 - m),
    0x09: lambda s, m, d, a: plus(times(d, 255 - m), times(s, a)),
    0x0A: lambda s, m, d, a: plus(times(d, m), times(s, 255 - a)),
    0x0B: lambda s, m, d, a: plus(times(d, 255 - m), times(s, 255 - a)),
    0x0C: lambda s, m, d, a: plus(s, d),
    0x30: lambda s, m, d, a: plus(plus(times(d, 255 - m), times(s, 255 - a)), times(d, s)),
}


# Blend modes: what both pictures together give, times both alphas.
def _hard(s: int, m: int, d: int, a: int) -> int:
    return 2 * s * d if 2 * s < m else m * a - 2 * (a - d) * (m - s)


def _overlaid(s: int, m: int, d: int, a: int) -> int:
    return 2 * s * d if 2 * d < a else m * a - 2 * (a - d) * (m - s)


BLENDING: dict[int, Part] = {
    0x31: lambda s, m, d, a: s * a + d * m - s * d,
    0x32: _overlaid,
    0x33: lambda s, m, d, a: min(s * a, d * m),
    0x34: lambda s, m, d, a: max(s * a, d * m),
    0x37: _hard,
    0x39: lambda s, m, d, a: abs(s * a - d * m),
    0x3A: lambda s, m, d, a: s * a + d * m - 2 * d * s,
}


def _rounded(total: int) -> int:
    """A sum of products of bytes as a byte; one below 0 wraps round and is then too large."""
    more = (255 * 255 if total < 0 else min(total, 255 * 255)) + 128
    return more + (more >> 8) >> 8


def combined(operator: int, source: Pixel, alphas: Pixel, below: Pixel) -> bytes:
    """One pixel; ``alphas`` are those of the parts of the source."""
    a = below[3]
    cover = COVERING.get(operator)
    if cover is not None:
        return bytes(cover(s, m, d, a) for s, m, d in zip(source, alphas, below, strict=True))
    blend = BLENDING[operator]
    parts = [
        _rounded((255 - m) * d + (255 - a) * s + blend(s, m, d, a))
        for s, m, d in zip(source[:3], alphas[:3], below[:3], strict=True)
    ]
    return bytes([*parts, _rounded((a + source[3]) * 255 - source[3] * a)])


def masked(source: Pixel, mask: Pixel | None, by_parts: bool) -> tuple[Pixel, Pixel]:
    """The source with the mask in it, and the alphas of its parts then."""
    if mask is None:
        return source, [source[3]] * 4
    if by_parts:
        parts = [times(part, cover) for part, cover in zip(source, mask, strict=True)]
        return parts, [times(cover, source[3]) for cover in mask]
    parts = [times(part, mask[3]) for part in source]
    return parts, [parts[3]] * 4


def composite(
    dst: Any,
    dst_stride: int,
    left: int,
    top: int,
    cols: int,
    rows: int,
    dst_has_alpha: bool,
    dst_green_bits: int,
    operator: int,
    source: tuple[Any, ...],
    mask: tuple[Any, ...] | None,
    by_parts: bool,
) -> None:
    """
    Combine an image, through a mask if there is one, with a rectangle of ``dst``.

    ``source`` and ``mask`` are (data, stride, width, height, has_alpha, green_bits, bilinear,
    repeat, matrix, x, y): pixel (col, row) of the rectangle has its centre at
    matrix * (x + col + 1/2, y + row + 1/2, 1) of the image, in 16.16 fixed point.
    ``by_parts``: each part of the mask's pixel counts for that part of the source. Of
    a surface without alpha the fourth byte becomes what pixman leaves there. Green has 8
    bits, or 5 or 6 (red and blue 5 then) in pixels that were 555 or 565 and have these
    bits again below; only operators that divide heed that.
    """
    to = _bytes(dst)
    _inside("dst", len(to), dst_stride, left, top, cols, rows)
    if max(cols, rows) > PLACE_LIMIT:
        raise ValueError("dst: the rectangle does not lie inside the buffer")
    known_bits("dst", dst_green_bits)
    known = operator in COVERING or operator in BLENDING or operator in reference_fractions.OPERATORS
    if not known:
        raise ValueError(f"operator: {operator} is not known")
    reader = Reader.of("source", source)
    cover = None if mask is None else Reader.of("mask", mask)
    for given in (source, mask):
        if given is not None and getattr(given[0], "obj", given[0]) is getattr(dst, "obj", dst):
            raise ValueError("src: shares memory with dst")
    raw = dst_has_alpha or operator in RAW_OPERATORS
    draw = _fractions if operator in reference_fractions.OPERATORS else _pixel
    for row in range(rows):
        for col in range(cols):
            start = (top + row) * dst_stride + (left + col) * 4
            below = bytes(to[start : start + 4]) if raw else bytes(to[start : start + 3]) + b"\xff"
            result = draw(operator, reader, cover, col, row, below, by_parts, dst_green_bits)
            to[start : start + 4] = result if raw else result[:3] + b"\0"


def _pixel(
    operator: int,
    reader: Reader,
    cover: Reader | None,
    col: int,
    row: int,
    below: bytes,
    by_parts: bool,
    bits: int,
) -> bytes:
    mask = None if cover is None else cover.sample(col, row)
    source, alphas = masked(reader.sample(col, row), mask, by_parts)
    return combined(operator, source, alphas, below)


def _fractions(
    operator: int,
    reader: Reader,
    cover: Reader | None,
    col: int,
    row: int,
    below: bytes,
    by_parts: bool,
    bits: int,
) -> bytes:
    mask = None if cover is None else cover.sample_fractions(col, row)
    source = reader.sample_fractions(col, row)
    if mask is not None and not any(mask) and not reader.reads_all:
        source = [reference_fractions.ZERO] * 4
    return reference_fractions.combined(
        operator, source, mask, reference_fractions.colour(below, bits), by_parts, bits
    )
