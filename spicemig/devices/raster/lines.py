# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Paths as lines between whole pixels.

Places of a path are in 28.4 fixed point. Curves become as many straight lines
as the renderer of SPICE clients makes of them.

Source: spice-common 0.42, canvas_base.c; Windows DDK, PATHDATA.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from spicemig.devices.raster.kernels import curve_points
from spicemig.devices.raster.reference_curves import whole
from spicemig.wire.enums import PathFlags

POINTS_LIMIT = 1 << 18  # of all lines that one path becomes

Point = tuple[int, int]


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
                total += len(points)
            if not places:
                raise ValueError("a path begins without a point")
            points = [_pixel(places.pop(0))]
        if segment.flags & PathFlags.BEZIER:
            if not points or len(places) % 3:
                raise ValueError("a curve has not the points that it needs")
            for index in range(0, len(places), 3):
                x, y = points[-1]
                points += _curve([(x << 4, y << 4), *places[index : index + 3]])
                if total + len(points) > POINTS_LIMIT:
                    raise ValueError("a path has too many points")
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


def _curve(places: list[Point]) -> list[Point]:
    """The ends of the flat parts of a curve."""
    numbers = [number for place in places for number in place]
    buffer = bytearray(8 * 64)
    count = curve_points(buffer, *numbers)
    if 8 * count > len(buffer):
        buffer = bytearray(8 * count)
        curve_points(buffer, *numbers)
    return list(struct.iter_unpack("=2i", memoryview(buffer)[: 8 * count]))
