# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernel of ``_kernels/curves.c`` in Python: Bezier curves as lines.

Source: spice-common 0.42, canvas_base.c.
"""

from __future__ import annotations

import struct

from spicemig.devices.raster.reference import Buffer, _bytes

CURVE_LIMIT = 1 << 20  # points
DEPTH = 128  # parts that wait: 33 bits cannot be halved so often
PLACE_LIMIT = 2**31

Point = tuple[int, int]


def whole(fixed: int) -> int:
    """A place in whole pixels; the middle between two belongs to the lower one."""
    return (fixed >> 4) + (fixed & 15 > 8)


def _half(number: int) -> int:
    """Towards 0, as C divides."""
    return number // 2 if number >= 0 else -(-number // 2)


def _middle(one: Point, other: Point) -> Point:
    return _half(one[0] + other[0]), _half(one[1] + other[1])


def _in_64_bits(number: int) -> int:
    """What is left of it in 64 bits; products of large curves do not fit."""
    return (number + (1 << 63) & (1 << 64) - 1) - (1 << 63)


def _inner(one: Point, other: Point) -> int:
    """The inner product of two distances."""
    return _in_64_bits(one[0] * other[0] + one[1] * other[1]) >> 4


def _near_chord(end: Point, place: Point, other_end: Point) -> bool:
    """Whether a place is so near to the line between the ends that it does not count."""
    arm = place[0] - end[0], place[1] - end[1]
    chord = other_end[0] - end[0], other_end[1] - end[1]
    square, chord_square, along = _inner(arm, arm), _inner(chord, chord), _inner(arm, chord)
    if square == chord_square == along == 0:
        return True  # nothing that could be divided further
    return _in_64_bits(square * chord_square - along * along) >> 3 < chord_square


def curve_points(
    points: Buffer, x0: int, y0: int, x1: int, y1: int, x2: int, y2: int, x3: int, y3: int
) -> int:
    """
    Divide a curve until its parts are flat; write their ends, without its start, as pairs of int32.

    Places are in 28.4 fixed point, ends in pixels. Returns how many ends there are;
    only as many are written as have room in ``points``.
    """
    view = _bytes(points)
    parts: list[tuple[Point, Point, Point, Point]] = [((x0, y0), (x1, y1), (x2, y2), (x3, y3))]
    if any(not -PLACE_LIMIT <= place <= PLACE_LIMIT for point in parts[0] for place in point):
        raise ValueError("places: too far away")
    count = 0
    while parts:
        start, one, other, end = parts.pop()
        if _near_chord(start, one, end) and _near_chord(end, other, start):
            if count == CURVE_LIMIT:
                raise ValueError("points: too many")
            if 8 * (count + 1) <= len(view):
                struct.pack_into("=2i", view, 8 * count, whole(end[0]), whole(end[1]))
            count += 1
            continue
        if len(parts) + 2 > DEPTH:
            raise ValueError("points: too many")
        first, second, third = _middle(start, one), _middle(one, other), _middle(other, end)
        before, behind = _middle(first, second), _middle(second, third)
        half = _middle(before, behind)
        parts.append((half, behind, third, end))
        parts.append((start, first, before, half))
    return count
