# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/lines.c`` and ``dashes.c`` in Python: lines one pixel wide.

A line becomes spans, pieces of rows, which are cut to the boxes of a clip and
painted. Which pixels belong to a line, and which pieces the cutting leaves, is
what the renderer of SPICE clients does to the last pixel.

Source: spice-common 0.42, lines.c.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from spicemig.devices.raster.reference import Buffer, _bytes, _combined, _inside, _known_rop
from spicemig.devices.raster.reference_rops import _Tile

PLACE_LIMIT = 2**28  # of lines; more than any place in 28.4 fixed point
DASHED_PLACE_LIMIT = 2**24  # so that all that is computed of places fits into 64 bits
DASHED_LIMIT = 2**23  # pixels that the dashed lines of one call may be long, times how many dashes there are
ROUGH_MITER_SQUARE = 108.856472512142  # 1 / sin(5.5 degrees) squared: sharper corners are cut off


class Span(NamedTuple):
    """``width`` pixels of a row."""

    x: int
    y: int
    width: int


Boxes = list[tuple[int, int, int, int]]  # left, top, right, bottom; in bands, see _banded


# What lines are made of.


def _line_spans(x1: int, y1: int, x2: int, y2: int, width: int, height: int) -> list[Span]:
    """
    The pixels of a line that lie on the surface, but for the line's last one.

    The longer side is walked pixel by pixel, and the other one rounded; exactly
    between two pixels the rounding depends on the direction, so that a line is
    the same from either end.
    """
    dx, dy = x2 - x1, y2 - y1
    along_x = abs(dx) > abs(dy)
    if along_x:
        start, cross_start, long, short, limit, cross_limit = x1, y1, dx, dy, width, height
    else:
        start, cross_start, long, short, limit, cross_limit = y1, x1, dy, dx, height, width
    step, cross_step = (-1 if long < 0 else 1), (-1 if short < 0 else 1)
    long, short = abs(long), abs(short)
    bias = step < 0

    def steps(first: int, direction: int, size: int) -> tuple[int, int]:
        """The first and the last step of a walk that are inside 0 to ``size`` - 1."""
        return (-first, size - 1 - first) if direction > 0 else (first - size + 1, first)

    low, high = steps(start, step, limit)
    low, high = max(low, 0), min(high, long - 1)
    cross_low, cross_high = steps(cross_start, cross_step, cross_limit)
    if short:  # cross step n is reached when 2 * i * short + long - bias reaches 2 * n * long
        low = max(low, -((long - bias - 2 * cross_low * long) // (2 * short)))
        high = min(high, (2 * (cross_high + 1) * long - long + bias - 1) // (2 * short))
    elif not cross_low <= 0 <= cross_high:
        return []
    spans: list[Span] = []
    for i in range(low, high + 1):
        place = start + step * i
        cross = cross_start + cross_step * ((2 * i * short + long - bias) // (2 * long))
        if not along_x:
            spans.append(Span(cross, place, 1))
        elif spans and spans[-1].y == cross:
            spans[-1] = Span(min(spans[-1].x, place), cross, spans[-1].width + 1)
        else:
            spans.append(Span(place, cross, 1))
    return spans


# What dashes are made of: polygons whose sides have a rational slope.


class _Side(NamedTuple):
    """A side of a polygon leads from its vertex to the next; ``k`` is x0 * dy - y0 * dx of its line."""

    dx: int
    dy: int
    k: float


class _Edge(NamedTuple):
    """Where a side begins in ``height`` rows: row j at the smallest x with x * dy >= k + j * dx."""

    top: int
    height: int
    k: int
    dx: int
    dy: int

    def left_pixel(self, row: int) -> int:
        return -(-(self.k + row * self.dx) // self.dy)


def _chain(
    vertices: list[tuple[float, float]], sides: list[_Side], top: int, bottom: int, step: int
) -> list[_Edge]:
    """The edges from the vertex ``top`` to the vertex ``bottom``, around the polygon in one direction."""
    edges: list[_Edge] = []
    vertex = top
    while vertex != bottom:
        side = sides[vertex if step > 0 else vertex - 1]
        if side.dy:
            sign = 1 if side.dy > 0 else -1
            row = math.ceil(vertices[vertex][1])
            if edges:
                edges[-1] = edges[-1]._replace(height=row - edges[-1].top)
            k = math.ceil(sign * side.k) + row * sign * side.dx
            edges.append(_Edge(row, 0, k, sign * side.dx, sign * side.dy))
        vertex = (vertex + step) % len(vertices)
    if edges:
        edges[-1] = edges[-1]._replace(height=math.ceil(vertices[bottom][1]) - edges[-1].top)
    return edges


def _polygon_spans(
    vertices: list[tuple[float, float]], sides: list[_Side], left: int, top: int
) -> list[Span]:
    """The pixels of a convex polygon whose places count from (``left``, ``top``)."""
    rows = [vertex[1] for vertex in vertices]
    first = rows.index(min(rows))
    last = len(rows) - 1 - rows[::-1].index(max(rows))
    before, after = sides[first - 1], sides[first]
    step = -1 if before.dy * after.dx > after.dy * before.dx else 1
    rights = _chain(vertices, sides, first, last, step)
    lefts = _chain(vertices, sides, first, last, -step)
    spans: list[Span] = []
    if not rights:
        return spans
    y = rights[0].top
    left_edge = right_edge = None
    left_row = right_row = left_rest = right_rest = 0
    while (lefts or left_rest) and (rights or right_rest):
        if not left_rest and lefts:
            left_edge, left_row = lefts.pop(0), 0
            left_rest = left_edge.height
        if not right_rest and rights:
            right_edge, right_row = rights.pop(0), 0
            right_rest = right_edge.height
        height = min(left_rest, right_rest)
        left_rest -= height
        right_rest -= height
        assert left_edge is not None and right_edge is not None
        for _row in range(height):
            begin, end = left_edge.left_pixel(left_row), right_edge.left_pixel(right_row)
            if begin < end:
                spans.append(Span(left + begin, top + y, end - begin))
            y += 1
            left_row += 1
            right_row += 1
    return spans


class _Face(NamedTuple):
    """An end of a line: its place, the line's direction away from it, and its corner from there."""

    x: int
    y: int
    dx: int
    dy: int
    xa: float
    ya: float
    k: float

    def turned(self) -> _Face:
        """The other corner of the same end."""
        return self._replace(dx=-self.dx, dy=-self.dy, xa=-self.xa, ya=-self.ya)


class _Dasher:
    """Walks along lines and makes spans of the dashes; even ones are drawn, odd ones are gaps."""

    def __init__(self, dashes: bytes, offset: int, collects: bool) -> None:
        self.dashes = dashes
        self.collects = collects
        self.index = 0
        self.offset = 0  # into the dash
        self.polygons: list[list[Span]] = []
        offset %= sum(dashes)
        while offset >= dashes[self.index]:
            offset -= dashes[self.index]
            self._next()
        self.offset = offset

    def _next(self) -> None:
        self.index = (self.index + 1) % len(self.dashes)

    def polyline(self, points: list[tuple[int, int]]) -> None:
        """Lines from point to point, with mitered corners, without a cap at their ends."""
        closed = points[0] == points[-1]
        first: _Face | None = None
        end: _Face | None = None
        starts_drawn = ends_drawn = False
        for (x1, y1), (x2, y2) in zip(points, points[1:], strict=False):
            if (x1, y1) == (x2, y2):
                continue
            drawn = self.index % 2 == 0
            before, was_drawn = end, ends_drawn
            start, end = self._line(x1, y1, x2, y2)
            ends_drawn = bool(self.index % 2) != (self.offset != 0)
            if first is None:
                first, starts_drawn = start, drawn
            elif drawn and was_drawn and before is not None:
                self._join(start, before)
        if first is not None and end is not None and closed and starts_drawn and ends_drawn:
            self._join(first, end)

    def _line(self, x1: int, y1: int, x2: int, y2: int) -> tuple[_Face, _Face]:
        """One line; returns its two ends."""
        dx, dy = x2 - x1, y2 - y1
        if dx == 0 or dy == 0:
            length = float(abs(dx + dy))
            half_x, half_y = math.copysign(0.5, dx) * (dx != 0), math.copysign(0.5, dy) * (dy != 0)
        else:
            length = math.sqrt(dx * dx + dy * dy)
            ratio = 0.5 / length
            half_x, half_y = ratio * dx, ratio * dy
        k = 0.5 * length
        near_x, near_y = half_y, -half_x  # the corner from the line's middle; the far one is opposite
        start_near, start_far = (near_x, near_y), (-near_x, -near_y)
        end_near, end_far = start_near, start_far
        start_k = end_k = 0.0
        remain = self.dashes[self.index] - self.offset
        to_go = length

        def draw(x: int, y: int) -> None:
            sides = [_Side(dx, dy, k), _Side(-dy, dx, end_k), _Side(-dx, -dy, k), _Side(dy, -dx, start_k)]
            corners = [start_near, end_near, end_far, start_far]
            self.polygons.append(_polygon_spans(corners, sides, x, y))

        while to_go > remain:
            dash_x, dash_y = remain * dx / length, remain * dy / length
            end_near = (end_near[0] + dash_x, end_near[1] + dash_y)
            end_far = (end_far[0] + dash_x, end_far[1] + dash_y)
            end_k = end_near[0] * dx + end_near[1] * dy
            if self.index % 2 == 0:
                draw(x1, y1)
            to_go -= remain
            self._next()
            remain = self.dashes[self.index]
            start_near, start_far, start_k = end_near, end_far, -end_k
        if self.index % 2 == 0:  # the rest is computed from the other end
            start_near = (start_near[0] - dx, start_near[1] - dy)
            start_far = (start_far[0] - dx, start_far[1] - dy)
            end_near, end_far, end_k = (near_x, near_y), (-near_x, -near_y), 0.0
            start_k += dx * dx + dy * dy
            draw(x2, y2)
        remain = int(remain - to_go)
        if remain == 0:
            self._next()
            remain = self.dashes[self.index]
        self.offset = self.dashes[self.index] - remain
        return _Face(x1, y1, dx, dy, near_x, near_y, k), _Face(x2, y2, -dx, -dy, -near_x, -near_y, k)

    def _join(self, one: _Face, other: _Face) -> None:
        """Fill the corner between two lines."""
        if not self.collects:  # then a line that goes down or to the right has the pixel already
            for face in (one, other):
                if face.dx > 0 or (face.dx == 0 and face.dy > 0):
                    return
        turn = float(other.dx * one.dy - one.dx * other.dy)
        if turn == 0:
            return
        sign = 1
        if turn > 0:
            one = one.turned()
        else:
            sign = -1
            other = other.turned()
        sides = [_Side(-other.dy, other.dx, 0.0), _Side(one.dy, -one.dx, 0.0)]
        corners = [(other.xa, other.ya), (0.0, 0.0), (one.xa, one.ya)]
        miter_y = (
            one.dy * (other.xa * other.dy - other.ya * other.dx)
            - other.dy * (one.xa * one.dy - one.ya * one.dx)
        ) / turn
        along = one if one.dy else other
        miter_x = along.xa + (miter_y - along.ya) * along.dx / along.dy
        if (miter_x * miter_x + miter_y * miter_y) * 4 > ROUGH_MITER_SQUARE:
            dx, dy = other.xa - one.xa, other.ya - one.ya
            scale = max(abs(dx), abs(dy))
            side_x, side_y = int(dx * 65536 / scale), int(dy * 65536 / scale)
            side_k = ((one.xa + other.xa) * side_y - (one.ya + other.ya) * side_x) / 2.0
            sides.append(_Side(side_x, side_y, side_k))
        else:
            corners.append((miter_x, miter_y))
            sides.append(_Side(sign * one.dx, sign * one.dy, sign * one.k))
            sides.append(_Side(sign * other.dx, sign * other.dy, sign * other.k))
        self.polygons.append(_polygon_spans(corners, sides, one.x, one.y))


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The same pixels, each of them once, from the top down and from left to right."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.y, span.x)):
        if merged and merged[-1].y == span.y and span.x <= merged[-1].x + merged[-1].width:
            before = merged[-1]
            width = max(before.width, span.x + span.width - before.x)
            merged[-1] = Span(before.x, before.y, width)
        else:
            merged.append(span)
    return merged


# Cutting and painting.


def _cut(spans: list[Span], boxes: Boxes) -> list[Span]:
    """
    What the boxes leave of spans.

    Results are kept in the place of the spans that were looked at, as the
    reference does. So where boxes side by side leave more pieces of a span than
    spans were left out before, the spans behind it are lost, and its last pieces
    are there several times instead.
    """
    if len(boxes) == 1:
        left, top, right, bottom = boxes[0]
        cut = []
        for x, y, width in spans:
            begin, end = max(x, left), min(x + width, right)
            if top <= y < bottom and begin < end:
                cut.append(Span(begin, y, end - begin))
        return cut
    work = sorted(spans, key=lambda span: span.y)
    count, written, band = len(work), 0, 0
    for position in range(count):
        x, y, width = work[position]
        while band < len(boxes) and y >= boxes[band][3]:
            band += 1
        if band == len(boxes):
            break
        top = boxes[band][1]
        if y < top:
            continue
        place = band
        while place < len(boxes) and boxes[place][1] == top:
            left, _top, right, _bottom = boxes[place]
            begin, end = max(x, left), min(x + width, right)
            if begin < end:
                work[written : written + 1] = [Span(begin, y, end - begin)]
                written += 1
            place += 1
    return work[:written]


class _Canvas:
    """A surface, the boxes that may be drawn on, and what is painted on it."""

    def __init__(
        self,
        pixels: Buffer,
        stride: int,
        width: int,
        height: int,
        boxes: Buffer,
        *paint: Any,
    ) -> None:
        self.view = _bytes(pixels)
        *tile, self.rop = paint
        _inside("pixels", len(self.view), stride, 0, 0, width, height)
        _known_rop(self.rop)
        self.stride = stride
        self.tile = _Tile(pixels, *tile)
        self.boxes = _banded(boxes, width, height)

    def paint(self, spans: list[Span]) -> None:
        """Paint what the boxes leave of these spans."""
        for x, y, width in _cut(spans, self.boxes):
            line = self.tile.row(x, y, width)
            start = y * self.stride + 4 * x
            below = self.view[start : start + len(line)]
            self.view[start : start + len(line)] = _combined(self.rop, line, bytes(below))


def _banded(boxes: Buffer, width: int, height: int) -> Boxes:
    """
    Boxes that are in bands, on the surface, none of them empty.

    Boxes of a band have the same top and bottom, go from left to right and do not
    touch; bands go from the top down and do not overlap.
    """
    data = _bytes(boxes)
    result: Boxes = []
    if len(data) % 16:
        raise ValueError("boxes: not a whole number of boxes")
    left_limit = top_limit = 0
    for left, top, right, bottom in struct.iter_unpack("=4i", data):
        same = bool(result) and result[-1][1::2] == (top, bottom)
        if not same:
            left_limit, top_limit = 0, result[-1][3] if result else 0
        if not (left_limit <= left < right <= width and top < bottom <= height) or (
            not same and top < top_limit
        ):
            raise ValueError("boxes: not in bands on the surface")
        left_limit = right
        result.append((left, top, right, bottom))
    return result


def _points(points: Buffer) -> list[tuple[int, int]]:
    data = _bytes(points)
    if len(data) % 8:
        raise ValueError("points: not a whole number of points")
    return list(struct.iter_unpack("=2i", data))


def _near_enough(points: list[tuple[int, int]], limit: int) -> None:
    if any(abs(place) > limit for point in points for place in point):
        raise ValueError("points: too far away")


def draw_lines(
    pixels: Buffer, stride: int, width: int, height: int, points: Buffer, boxes: Buffer, *paint: Any
) -> None:
    """
    Draw lines from point to point, without the last point.

    ``points`` are pairs of int32; ``boxes`` are left, top, right, bottom in int32,
    in bands. What to paint follows: value, tile, tile_stride, tile_width,
    tile_height, tile_x, tile_y, rop. Without a tile its width is 0.
    """
    canvas = _Canvas(pixels, stride, width, height, boxes, *paint)
    path = _points(points)
    _near_enough(path, PLACE_LIMIT)
    if not canvas.boxes:
        return
    for (x1, y1), (x2, y2) in zip(path, path[1:], strict=False):
        canvas.paint(_line_spans(x1, y1, x2, y2, width, height))


def draw_dashes(
    pixels: Buffer,
    stride: int,
    width: int,
    height: int,
    points: Buffer,
    boxes: Buffer,
    dashes: Buffer,
    offset: int,
    *paint: Any,
) -> None:
    """
    As ``draw_lines``, with dashes and gaps.

    ``dashes`` are bytes: lengths in pixels of a dash, a gap, a dash and so on; the
    first line begins ``offset`` pixels after the beginning of the first dash.
    If painting twice is not the same as once, a pixel is painted once even where
    lines meet.
    """
    canvas = _Canvas(pixels, stride, width, height, boxes, *paint)
    path = _points(points)
    lengths = bytes(_bytes(dashes))
    if not sum(lengths) or len(lengths) > 255 or not 0 <= offset <= 65535:
        raise ValueError("dashes: none of them has a length")
    _near_enough(path, DASHED_PLACE_LIMIT)
    steps = zip(path, path[1:], strict=False)
    length = sum(max(abs(x2 - x1), abs(y2 - y1)) for (x1, y1), (x2, y2) in steps)
    if length * len(lengths) > DASHED_LIMIT:
        raise ValueError("points: too long a line")
    if not canvas.boxes or not path:
        return
    collects = len(path) > 2 and _adds_up(canvas.rop)
    dasher = _Dasher(lengths, offset, collects)
    dasher.polyline(path)
    if collects:
        canvas.paint(_merged(span for polygon in dasher.polygons for span in polygon))
        return
    for polygon in dasher.polygons:
        canvas.paint(polygon)


def _adds_up(rop: int) -> bool:
    """Whether some source inverts what is below: drawing twice is then not the same as once."""
    return rop & 3 == 1 or rop >> 2 == 1
