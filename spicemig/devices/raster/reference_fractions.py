# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Operators that divide, for :mod:`.reference_composite`; ``_kernels/combine_fractions.c``.

Every step is rounded to single precision, as it is in C. A colour is blue, green,
red and alpha in fractions of 1.

Source: pixman 0.42, pixman-combine-float.c; for the blend modes also ISO 32000.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

_SINGLE = struct.Struct("<f")
SMALLEST_NORMAL = 2.0**-126


class Single(float):
    """A number of single precision, whose sums and products are such numbers."""

    __slots__ = ()

    def __new__(cls, value: float) -> Single:
        return super().__new__(cls, _SINGLE.unpack(_SINGLE.pack(value))[0])

    def __add__(self, other: float) -> Single:
        return Single(float(self) + float(other))

    def __sub__(self, other: float) -> Single:
        return Single(float(self) - float(other))

    def __mul__(self, other: float) -> Single:
        return Single(float(self) * float(other))

    def __truediv__(self, other: float) -> Single:
        return Single(float(self) / float(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: float) -> Single:
        return Single(float(other) - float(self))

    @property
    def is_zero(self) -> bool:
        """Whether it is 0 or too small to divide by."""
        return abs(self) < SMALLEST_NORMAL


Colour = Sequence[Single]

ZERO, ONE = Single(0), Single(1)


def bits_of(green_bits: int) -> tuple[int, int, int, int]:
    """How many bits the parts of a pixel have whose green has so many."""
    others = 8 if green_bits == 8 else 5
    return others, green_bits, others, 8


def colour(pixel: Sequence[int], green_bits: int) -> Colour:
    """A pixel in fractions; of its parts only the upper bits count."""
    parts = zip(pixel, bits_of(green_bits), strict=True)
    return [Single(part >> 8 - bits) * (ONE / ((1 << bits) - 1)) for part, bits in parts]


def as_pixel(colour: Sequence[float], green_bits: int) -> bytes:
    """A colour as a pixel; few bits come again below."""
    return bytes(as_byte(part, bits) for part, bits in zip(colour, bits_of(green_bits), strict=True))


def as_byte(fraction: float, bits: int) -> int:
    """Of the equal steps between 0 and 1, the last one has no number of its own."""
    steps = int(min(max(fraction, 0), 1) * (1 << bits))
    value = steps - (steps >> bits)
    return value << 8 - bits | value >> 2 * bits - 8


def between(corners: Sequence[Sequence[int]], across: int, down: int, green_bits: int) -> Colour:
    """Four pixels as one colour; the weights are in 65536ths."""
    x, y = Single(across) / 65536, Single(down) / 65536
    weights = ((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)
    colours = [colour(corner, green_bits) for corner in corners]
    result = []
    for part in range(4):
        parts = [one[part] * weight for one, weight in zip(colours, weights, strict=True)]
        result.append(parts[0] + parts[1] + parts[2] + parts[3])
    return result


# How much of one picture is left: ``own`` is its alpha, ``other`` that of the other picture.
Factor = Callable[[Single, Single], Single]


def _limited(value: Single) -> Single:
    return min(max(value, ZERO), ONE)


def _nothing(own: Single, other: Single) -> Single:
    return ZERO


def _everything(own: Single, other: Single) -> Single:
    return ONE


def _other(own: Single, other: Single) -> Single:
    return ONE if own.is_zero else _limited(other / own)


def _rest(own: Single, other: Single) -> Single:
    return ONE if own.is_zero else _limited((1 - other) / own)


def _lack_of_other(own: Single, other: Single) -> Single:
    return ZERO if own.is_zero else _limited(1 - other / own)


def _lack_of_rest(own: Single, other: Single) -> Single:
    return ZERO if own.is_zero else _limited(1 - (1 - other) / own)


# operator: factor of the source, factor of the destination
COVERING: dict[int, tuple[Factor, Factor]] = {
    0x0D: (_rest, _everything),
    0x13: (_everything, _rest),
    0x14: (_rest, _everything),
    0x15: (_lack_of_rest, _nothing),
    0x16: (_nothing, _lack_of_rest),
    0x17: (_rest, _nothing),
    0x18: (_nothing, _rest),
    0x19: (_lack_of_rest, _rest),
    0x1A: (_rest, _lack_of_rest),
    0x1B: (_rest, _rest),
    0x23: (_everything, _lack_of_other),
    0x24: (_lack_of_other, _everything),
    0x25: (_other, _nothing),
    0x26: (_nothing, _other),
    0x27: (_lack_of_other, _nothing),
    0x28: (_nothing, _lack_of_other),
    0x29: (_other, _lack_of_other),
    0x2A: (_lack_of_other, _other),
    0x2B: (_lack_of_other, _lack_of_other),
}

# Blend modes of one part: sa and da are alphas, s and d what is multiplied by them.
Part = Callable[[Single, Single, Single, Single], Single]


def _dodged(sa: Single, s: Single, da: Single, d: Single) -> Single:
    if d.is_zero:
        return ZERO
    if d * sa >= sa * da - s * da or (sa - s).is_zero:
        return sa * da
    return sa * sa * d / (sa - s)


def _burnt(sa: Single, s: Single, da: Single, d: Single) -> Single:
    if d >= da:
        return sa * da
    if sa * (da - d) >= s * da or s.is_zero:
        return ZERO
    return sa * (da - sa * (da - d) / s)


def _softly_lit(sa: Single, s: Single, da: Single, d: Single) -> Single:
    if da.is_zero:
        return d * sa
    if 2 * s <= sa:
        return d * sa - d * (da - d) * (sa - 2 * s) / da
    if 4 * d <= da:
        return d * sa + (2 * s - sa) * d * ((16 * d / da - 12) * d / da + 3)
    return d * sa + (Single(math.sqrt(d * da)) - d) * (2 * s - sa)


BLENDING: dict[int, Part] = {0x35: _dodged, 0x36: _burnt, 0x38: _softly_lit}

Rgb = Sequence[Single]  # red, green, blue


def _lightness(c: Rgb) -> Single:
    return c[0] * Single(0.3) + c[1] * Single(0.59) + c[2] * Single(0.11)


def _saturation(c: Rgb) -> Single:
    return max(c) - min(c)


def _scaled(c: Rgb, factor: Single) -> Rgb:
    return [part * factor for part in c]


def _brought_inside(c: Rgb, alpha: Single) -> Rgb:
    """Towards grey until no part is below 0 or above the alpha."""
    light, low, high = _lightness(c), min(c), max(c)
    if low < 0:
        span = light - low
        c = [ZERO if span.is_zero else light + (part - light) * light / span for part in c]
    if high > alpha:
        span = high - light
        c = [alpha if span.is_zero else light + (part - light) * (alpha - light) / span for part in c]
    return c


def _with_lightness(c: Rgb, alpha: Single, wanted: Single) -> Rgb:
    more = wanted - _lightness(c)
    return _brought_inside([part + more for part in c], alpha)


def _with_saturation(c: Rgb, wanted: Single) -> Rgb:
    low, middle, high = sorted(range(3), key=lambda part: (c[part], part))
    span = c[high] - c[low]
    result = [ZERO] * 3
    if not span.is_zero:
        result[middle] = (c[middle] - c[low]) * wanted / span
        result[high] = Single(wanted)
    return result


Mixed = Callable[[Rgb, Single, Rgb, Single], Rgb]

MIXING: dict[int, Mixed] = {
    0x3B: lambda s, sa, d, da: _with_lightness(
        _with_saturation(_scaled(s, da), _saturation(d) * sa), sa * da, _lightness(d) * sa
    ),
    0x3C: lambda s, sa, d, da: _with_lightness(
        _with_saturation(_scaled(d, sa), _saturation(s) * da), sa * da, _lightness(d) * sa
    ),
    0x3D: lambda s, sa, d, da: _with_lightness(_scaled(s, da), sa * da, _lightness(d) * sa),
    0x3E: lambda s, sa, d, da: _with_lightness(_scaled(d, sa), sa * da, _lightness(s) * da),
}

OPERATORS = {*COVERING, *BLENDING, *MIXING}


def combined(
    operator: int, source: Colour, mask: Colour | None, below: Colour, by_parts: bool, green_bits: int
) -> bytes:
    """One pixel, of a surface whose green has so many bits."""
    if operator in MIXING:
        result = below if mask is not None and by_parts else _mixed(operator, source, mask, below)
        return as_pixel(result, green_bits)
    whole = [ONE] * 4 if mask is None else mask if by_parts else [mask[3]] * 4
    da = below[3]
    result = []
    for index in range(4):
        s, sa, d = source[index] * whole[index], source[3] * whole[index], below[index]
        if operator in COVERING:
            of_source, of_destination = COVERING[operator]
            result.append(min(s * of_source(sa, da) + d * of_destination(da, sa), ONE))
        elif index == 3:
            result.append(da + sa - da * sa)
        else:
            result.append((1 - sa) * d + (1 - da) * s + BLENDING[operator](sa, s, da, d))
    return as_pixel(result, green_bits)


def _mixed(operator: int, source: Colour, mask: Colour | None, below: Colour) -> Colour:
    blue, green, red, sa = source
    if mask is not None:  # pixman masks green twice and blue not at all
        sa, red, green = sa * mask[3], red * mask[3], green * mask[3] * mask[3]
    s, d, da = (red, green, blue), (below[2], below[1], below[0]), below[3]
    both = MIXING[operator](s, sa, d, da)
    rgb = [(1 - sa) * d[part] + (1 - da) * s[part] + both[part] for part in range(3)]
    return [rgb[2], rgb[1], rgb[0], sa + da - sa * da]
