# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Paths as lines between whole pixels.

Places of a path are in 28.4 fixed point. Curves become as many straight lines
as the renderer of SPICE clients makes of them.

Source: spice-common 0.42, canvas_base.c; Windows DDK, PATHDATA.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spicemig.wire.enums import PathFlags

POINTS_LIMIT = 1 << 20  # of all lines that one path becomes

Point = tuple[int, int]


def whole(fixed: int) -> int:
    """A place in whole pixels; the middle between two belongs to the lower one."""
    return (fixed >> 4) + (fixed & 15 > 8)


def polylines(path: Any) -> Iterator[list[Point]]:
    """
    The lines of a path, each as its points in pixels.

    Raises ``ValueError`` for a path that is not right or too long, after the lines before that.
    """
    points: list[Point] = []
    total = 0
    for segment in path.segments:
        places = [(place.x, place.y) for place in segment.points]
        if segment.flags & PathFlags.BEGIN:
            if points:
                yield points
            if not places:
                raise ValueError("a path begins without a point")
            points = [_pixel(places.pop(0))]
        if segment.flags & PathFlags.BEZIER:
            if not points or len(places) % 3:
                raise ValueError("a curve has not the points that it needs")
            for index in range(0, len(places), 3):
                x, y = points[-1]
                _add_curve(points, ((x << 4, y << 4), *places[index : index + 3]), POINTS_LIMIT - total)
        else:
            points += map(_pixel, places)
        if total + len(points) > POINTS_LIMIT:
            raise ValueError("a path has too many points")
        if segment.flags & PathFlags.END and points:
            if segment.flags & PathFlags.CLOSE:
                points.append(points[0])
            yield points
            total += len(points)
            points = []
    if points:
        yield points


def _pixel(place: Point) -> Point:
    return whole(place[0]), whole(place[1])


def _half(number: int) -> int:
    """Towards 0, as C divides."""
    return number // 2 if number >= 0 else -(-number // 2)


def _middle(one: Point, other: Point) -> Point:
    return _half(one[0] + other[0]), _half(one[1] + other[1])


def _in_64_bits(number: int) -> int:
    """What is left of it in 64 bits; products of large curves do not fit."""
    return (number + (1 << 63) & (1 << 64) - 1) - (1 << 63)


def _product(ax: int, ay: int, bx: int, by: int) -> int:
    """The inner product of two distances."""
    return ax * bx + ay * by >> 4


def _is_flat(places: tuple[Point, ...]) -> bool:
    """Whether a curve is so near to the line between its ends that it can be that line."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = places
    chord = _product(x3 - x0, y3 - y0, x3 - x0, y3 - y0)
    off_chord = []
    for ax, ay, bx, by in ((x1 - x0, y1 - y0, x3 - x0, y3 - y0), (x2 - x3, y2 - y3, x0 - x3, y0 - y3)):
        length, along = _product(ax, ay, ax, ay), _product(ax, ay, bx, by)
        if length == chord == along == 0:
            continue  # nothing that could be divided further
        off_chord.append(_in_64_bits(length * chord - along * along) >> 3 < chord)
    return all(off_chord)


def _add_curve(points: list[Point], places: tuple[Point, ...], limit: int) -> None:
    """Divide a Bezier curve until its parts are flat; add their ends."""
    parts = [places]
    while parts:
        part = parts.pop()
        if _is_flat(part):
            points.append(_pixel(part[3]))
            if len(points) > limit:
                raise ValueError("a path has too many points")
            continue
        first, second, third = (_middle(one, other) for one, other in zip(part, part[1:], strict=False))
        first_two, last_two = _middle(first, second), _middle(second, third)
        middle = _middle(first_two, last_two)
        parts.append((middle, last_two, third, part[3]))
        parts.append((part[0], first, first_two, middle))
        if len(parts) > 200:  # 32 bits cannot be halved so often
            raise ValueError("a curve has no end")
