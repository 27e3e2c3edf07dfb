# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.raster.stroke``: lines, curves and dashes."""

from __future__ import annotations

import math
import random
import struct

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.drawables import DeviceImage
from spicemig.devices.raster import reference_curves, reference_lines
from spicemig.devices.raster.clip import Box, bands
from spicemig.devices.raster.lines import POINTS_LIMIT, polylines
from spicemig.devices.raster.reference_curves import whole
from spicemig.devices.raster.stroke import dashes, draw_stroke
from spicemig.devices.surfaces import Surface
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import (
    Brush,
    Clip,
    DrawBase,
    LineAttr,
    Path,
    PathSegment,
    Pattern,
    Point,
    PointFix,
    Rect,
)
from spicemig.wire.enums import BrushType, ClipType, LineFlags, PathFlags, Ropd
from spicemig.wire.messages.display import DrawStroke
from tests.twins import TwinCase

WIDTH, HEIGHT = 24, 12
INK = 0xFFFFFF
WHOLE = PathFlags.BEGIN | PathFlags.END


def segment(*places, flags=WHOLE, scale=16):
    """A part of a path through these places in pixels."""
    return PathSegment(flags, [PointFix(int(x * scale), int(y * scale)) for x, y in places])


def stroke(*segments, clip=None, style=None, gap=False, rop=Ropd.OP_PUT, brush=None):
    """A stroke along these segments anywhere on the surface."""
    base = DrawBase(0, Rect(0, 0, HEIGHT, WIDTH))
    if clip is not None:
        rects = [Rect(top=top, left=left, bottom=bottom, right=right) for left, top, right, bottom in clip]
        base = DrawBase(0, Rect(0, 0, HEIGHT, WIDTH), Clip(ClipType.RECTS, rects))
    attr = LineAttr()
    if style is not None:
        attr = LineAttr(
            LineFlags.STYLED | (LineFlags.START_WITH_GAP if gap else 0), [16 * length for length in style]
        )
    brush = brush or Brush(BrushType.SOLID, color=INK)
    return DrawStroke(base, Path(list(segments)), attr, brush, rop, Ropd.OP_PUT)


def drawn(*messages):
    """The surface after these strokes."""
    surface = Surface(0, WIDTH, HEIGHT)
    for message in messages:
        draw_stroke(surface, message, {0: surface})
    return surface


def pixels(surface):
    """Where the surface is not black: (x, y)."""
    return {
        (place // 4 % surface.width, place // 4 // surface.width)
        for place in range(0, len(surface.pixels), 4)
        if any(surface.pixels[place : place + 3])
    }


def picture(surface):
    """The surface as rows of characters, without empty ones at the end."""
    ink = pixels(surface)
    rows = [
        "".join("#" if (x, y) in ink else "." for x in range(surface.width)) for y in range(surface.height)
    ]
    while rows and "#" not in rows[-1]:
        rows.pop()
    return [row.rstrip(".") for row in rows]


class LineTests(SynchronousTestCase):
    """Solid lines."""

    def test_last_pixel(self):
        """A line has its first pixel and not its last one."""
        self.assertEqual(pixels(drawn(stroke(segment((2, 3), (5, 3))))), {(2, 3), (3, 3), (4, 3)})
        self.assertEqual(pixels(drawn(stroke(segment((2, 3), (2, 1))))), {(2, 3), (2, 2)})
        self.assertEqual(pixels(drawn(stroke(segment((2, 3), (2, 3))))), set())

    def test_same_from_either_end(self):
        """Between its ends, a line has the same pixels in both directions."""
        dice = random.Random(1)
        for _case in range(300):
            ends = [(dice.randrange(WIDTH), dice.randrange(HEIGHT)) for _end in range(2)]
            there = pixels(drawn(stroke(segment(*ends))))
            back = pixels(drawn(stroke(segment(*ends[::-1]))))
            self.assertEqual(there - {ends[0]}, back - {ends[1]})

    def test_leaves_the_surface(self):
        """A line that leaves the surface has on it the pixels that it would have on a larger one."""
        dice = random.Random(2)
        for _case in range(150):
            x1, x2 = (dice.randint(-60, 80) for _end in range(2))
            y1, y2 = (dice.randint(-60, 80) for _end in range(2))
            small = pixels(drawn(stroke(segment((x1, y1), (x2, y2)))))
            large = Surface(0, 200, 200)
            message = stroke(segment((x1 + 60, y1 + 60), (x2 + 60, y2 + 60)))
            draw_stroke(large, DrawStroke(**{**fields(message), "base": whole_of(large)}), {0: large})
            seen = {(x - 60, y - 60) for x, y in pixels(large)}
            self.assertEqual(small, {(x, y) for x, y in seen if 0 <= x < WIDTH and 0 <= y < HEIGHT})

    def test_far_away(self):
        """A line between the farthest places that a path can name is drawn where it crosses the surface."""
        far = 2**27 - 1
        self.assertEqual(len(pixels(drawn(stroke(segment((-far, 5), (far, 5)))))), WIDTH)
        diagonal = pixels(drawn(stroke(segment((-far, -far), (far, far)))))
        self.assertEqual(diagonal, {(place, place) for place in range(HEIGHT)})

    def test_rounding(self):
        """A place exactly between two pixels belongs to the first."""
        self.assertEqual([whole(place) for place in (7, 8, 9, 24, 25, -8, -7)], [0, 0, 1, 1, 2, -1, 0])

    def test_close(self):
        """A closed path comes back to where it began."""
        corners = [(2, 2), (6, 2), (6, 5), (2, 5)]
        closed = pixels(drawn(stroke(segment(*corners, flags=WHOLE | PathFlags.CLOSE))))
        self.assertEqual(closed, pixels(drawn(stroke(segment(*corners, corners[0])))))
        self.assertIn((2, 3), closed)

    def test_one_line_in_parts(self):
        """A part that does not begin goes on where the last one was."""
        whole = drawn(stroke(segment((1, 1), (8, 4), (3, 9))))
        begin, end = segment((1, 1), (8, 4), flags=PathFlags.BEGIN), segment((3, 9), flags=PathFlags.END)
        self.assertEqual(picture(drawn(stroke(begin, end))), picture(whole))

    def test_exclusive_or(self):
        """Each line of a path is combined by itself: where two cross, exclusive or undoes the first."""
        ink = pixels(drawn(stroke(segment((0, 3), (9, 3)), segment((4, 0), (4, 8)), rop=Ropd.OP_XOR)))
        self.assertNotIn((4, 3), ink)
        self.assertEqual(len(ink), 9 + 8 - 2)

    def test_clip(self):
        """Only pixels in the clip are touched."""
        clip = [(2, 0, 5, 4), (8, 2, 20, 9)]
        inside = {
            (x, y)
            for left, top, right, bottom in clip
            for x in range(left, right)
            for y in range(top, bottom)
        }
        line = segment((0, 1), (23, 8))
        self.assertEqual(pixels(drawn(stroke(line, clip=clip))) - inside, set(), "a pixel outside the clip")

    def test_pieces_of_a_line(self):
        """Boxes side by side take the pieces of one row; what is behind them is lost, as at clients."""
        clip = [(0, 0, 3, 9), (5, 0, 24, 9)]
        self.assertEqual(picture(drawn(stroke(segment((0, 0), (9, 0)), clip=clip))), ["###..####"])
        self.assertEqual(picture(drawn(stroke(segment((0, 0), (12, 1)), clip=clip))), ["###..#"])

    def test_pattern(self):
        """A pattern lies still under the line, wherever it begins."""
        tile = DeviceImage(2, 1, 8, 8, struct.pack("=2I", 0x0000FF, 0x00FF00))
        brush = Brush(BrushType.PATTERN, pattern=Pattern(Placeholder(tile), Point(1, 0)))
        surface = drawn(stroke(segment((4, 2), (8, 2)), brush=brush))
        row = struct.unpack_from("=4I", surface.pixels, 2 * surface.stride + 16)
        self.assertEqual(row, (0x00FF00, 0x0000FF, 0x00FF00, 0x0000FF))

    def test_refused(self):
        """A path that is not right is refused; the lines before that are drawn."""
        surface = Surface(0, WIDTH, HEIGHT)
        for bad in (
            segment(flags=PathFlags.BEGIN),
            segment((1, 1), (2, 2), (3, 3), flags=PathFlags.BEZIER),
            segment((1, 1), (2, 2), flags=WHOLE | PathFlags.BEZIER),
        ):
            with self.assertRaises(ValueError):
                draw_stroke(surface, stroke(segment((2, 3), (5, 3)), bad), {0: surface})
        self.assertEqual(pixels(surface), {(2, 3), (3, 3), (4, 3)})


def fields(message):
    """The fields of a stroke by name."""
    return {name: getattr(message, name) for name in ("path", "attr", "brush", "fore_mode", "back_mode")}


def whole_of(surface):
    """A base that allows all of a surface."""
    return DrawBase(0, Rect(0, 0, surface.height, surface.width))


class CurveTests(SynchronousTestCase):
    """Curves become lines."""

    def test_flat(self):
        """A curve that is a line has no more points than its ends."""
        path = Path([segment((0, 0), (4, 0), (8, 0), (12, 0), flags=WHOLE | PathFlags.BEZIER)])
        self.assertEqual(list(polylines(path)), [[(0, 0), (12, 0)]])

    def test_round(self):
        """The points of a curve are near to it."""
        path = Path([segment((0, 0), (0, 100), (100, 100), (100, 0), flags=WHOLE | PathFlags.BEZIER)])
        (points,) = polylines(path)
        self.assertGreater(len(points), 8)
        curve = [
            (300 * t**2 * (1 - t) + 100 * t**3, 300 * t * (1 - t)) for t in (i / 1000 for i in range(1001))
        ]
        for point in points:
            self.assertLess(min(math.dist(point, place) for place in curve), 1)

    def test_no_extent(self):
        """A curve whose points are all the same ends."""
        path = Path([segment(*[(5, 5)] * 4, flags=WHOLE | PathFlags.BEZIER)])
        self.assertEqual(list(polylines(path)), [[(5, 5), (5, 5)]])

    def test_enormous(self):
        """Curves as large as numbers can make them are drawn or refused in little time."""
        dice = random.Random(3)
        for _case in range(4):
            places = [
                (dice.choice([-1, 1]) * 2**31 // 16, dice.randrange(-(2**27), 2**27)) for _p in range(4)
            ]
            path = Path([segment(*places, flags=WHOLE | PathFlags.BEZIER)])
            try:
                total = sum(map(len, polylines(path)))
            except ValueError:
                continue
            self.assertLessEqual(total, POINTS_LIMIT)


class DashTests(SynchronousTestCase):
    """Lines with a style."""

    def test_dashes_and_gaps(self):
        """Dashes and gaps have their lengths."""
        self.assertEqual(
            picture(drawn(stroke(segment((0, 0), (20, 0)), style=[4, 2]))), ["####..####..####..##"]
        )

    def test_starts_with_gap(self):
        """A style can start with a gap."""
        message = stroke(segment((0, 0), (20, 0)), style=[4, 2], gap=True)
        self.assertEqual(picture(drawn(message)), ["....##....##....##"])

    def test_around_a_corner(self):
        """A dash goes on around a corner."""
        message = stroke(segment((1, 1), (6, 1), (6, 8)), style=[8, 3])
        self.assertEqual(picture(drawn(message))[:6], ["", ".######", "......#", "......#", "", ""])

    def test_no_length(self):
        """A style without any length is refused."""
        for style in ([], [0, 0], [256, 256]):
            with self.assertRaises(ValueError):
                drawn(stroke(segment((0, 0), (20, 0)), style=style))

    def test_too_long(self):
        """Dashed lines that would take forever are refused."""
        with self.assertRaises(ValueError):
            drawn(stroke(segment((-(2**26), 0), (2**26, 0)), style=[1, 1]))
        with self.assertRaises(ValueError):
            drawn(stroke(segment(*[(-(2**16), 0), (2**16, 0)] * 100), style=[1, 1]))

    def test_lengths(self):
        """Lengths are bytes; the first of a style with a gap comes last."""
        self.assertIsNone(dashes(LineAttr()))
        self.assertEqual(dashes(LineAttr(LineFlags.STYLED, [16, 40, 41, 16 * 257])), (b"\1\2\3\1", 0))
        flags = LineFlags.STYLED | LineFlags.START_WITH_GAP
        self.assertEqual(dashes(LineAttr(flags, [16, 32, 48, 64])), (b"\2\3\4\1", 2))


class BandTests(SynchronousTestCase):
    """Clips in bands."""

    def test_random(self):
        """Bands have the pixels of the boxes, once each, and are as large as they can be."""
        dice = random.Random(4)
        for _case in range(300):
            boxes = []
            for _box in range(dice.randrange(8)):
                left, top = dice.randrange(12), dice.randrange(12)
                boxes.append(Box(left, top, left + dice.randint(1, 6), top + dice.randint(1, 6)))
            result = bands(boxes)
            covered = [
                (x, y)
                for box in result
                for y in range(box.top, box.bottom)
                for x in range(box.left, box.right)
            ]
            self.assertEqual(len(covered), len(set(covered)))
            wanted = {
                (x, y)
                for box in boxes
                for y in range(box.top, box.bottom)
                for x in range(box.left, box.right)
            }
            self.assertEqual(set(covered), wanted)
            self.assertEqual(result, sorted(result, key=lambda box: (box.top, box.left)))
            for one, other in zip(result, result[1:], strict=False):
                if one.top == other.top:
                    self.assertEqual(one.bottom, other.bottom)
                    self.assertLess(one.right, other.left)
                else:
                    self.assertLessEqual(one.bottom, other.top)


class CurveTwinTests(TwinCase):
    """The kernel of curves and its twin in Python give the same points and refuse the same."""

    twins = reference_curves

    def test_curves(self):
        """Curves of every size, into buffers that are large enough or not."""
        dice = self.dice
        for _case in range(300):
            reach = dice.choice([5, 5, 100, 100, 100, 10000, 10000, 2**31 + 1])
            places = [dice.randint(-reach, reach) for _number in range(8)]
            if reach > 10000:  # flat ones only: others have a million points
                places = [place // 2**18 if index % 2 else place for index, place in enumerate(places)]
            if dice.random() < 0.2:
                places[6:] = places[:2]
            buffer = bytes(dice.choice([0, 8, 100, 8000]))
            self.both("curve_points", buffer, *places)
            if abs(max(places, key=abs)) < 10000:
                counts = [
                    module.curve_points(bytearray(8), *places)
                    for module in (self.kernels(), reference_curves)
                ]
                self.assertEqual(counts[0], counts[1])


class TwinTests(TwinCase):
    """The kernels of lines and their twins in Python give the same bytes and refuse the same."""

    twins = reference_lines

    def canvas(self):
        """A width, a height, a stride, random pixels, and boxes in bands, seldom wrong ones."""
        dice = self.dice
        width, height = dice.randint(1, 70), dice.randint(1, 50)
        stride = 4 * width + dice.choice([0, 0, 4, 7])
        boxes = []
        for _box in range(dice.choice([1, 1, 2, 5, 9])):
            left, top = dice.randrange(width), dice.randrange(height)
            boxes.append(Box(left, top, dice.randint(left + 1, width), dice.randint(top + 1, height)))
        if dice.random() < 0.95:
            boxes = bands(boxes)
        sides = [side for box in boxes for side in box]
        return width, height, stride, dice.randbytes(stride * height), struct.pack(f"={len(sides)}i", *sides)

    def points(self, width, height):
        """Places on the canvas and around it."""
        dice = self.dice
        reach = dice.choice([0, 0, 20, 300, 40000])
        places = []
        for _point in range(dice.choice([0, 1, 2, 2, 3, 3, 5, 8])):
            places += dice.randint(-reach, width + reach), dice.randint(-reach, height + reach)
        if len(places) > 4 and dice.random() < 0.4:
            places += places[:2]
        if len(places) > 2 and dice.random() < 0.2:
            places[2:4] = places[:2]
        return struct.pack(f"={len(places)}i", *places)

    def paint(self):
        """A colour or a tile, and a raster operation; seldom a wrong one."""
        dice = self.dice
        rop = dice.choice([12, 6, dice.randrange(16), dice.randrange(17)])
        if dice.random() < 0.6:
            return dice.getrandbits(32), b"", 0, 0, 0, 0, 0, rop
        cols, rows = dice.randint(1, 9), dice.randint(0 if dice.random() < 0.1 else 1, 9)
        stride = 4 * cols + dice.choice([0, 3, -1] if dice.random() < 0.1 else [0, 4])
        tile = dice.randbytes(max(stride * rows, 0))
        return 0, tile, stride, cols, rows, dice.randint(-50, 50), dice.randint(-50, 50), rop

    def test_lines(self):
        """Lines everywhere, through clips of several boxes, of colours and tiles, of every operation."""
        for _case in range(250):
            width, height, stride, pixels, boxes = self.canvas()
            points = self.points(width, height)
            self.both("draw_lines", pixels, stride, width, height, points, boxes, *self.paint())

    def test_dashes(self):
        """Dashed lines, their corners too, with painting once and painting twice."""
        dice = self.dice
        for case in range(120):
            width, height, stride, pixels, boxes = self.canvas()
            points = self.points(width, height)
            longest = dice.choice([3, 10, 255])
            style = bytes(dice.randint(0, longest) for _dash in range(dice.choice([1, 2, 2, 2, 3, 4, 4, 6])))
            offset = dice.choice([0, 0, 3, 200, 65535, 65536, -1]) if case % 9 == 0 else style[0]
            if len(points) > 16 and max(map(abs, struct.unpack(f"={len(points) // 4}i", points))) > 1000:
                points = points[:16]
            self.both(
                "draw_dashes", pixels, stride, width, height, points, boxes, style, offset, *self.paint()
            )

    def test_refused(self):
        """Numbers that are too large, and lists that are no lists of numbers."""
        box = struct.pack("=4i", 0, 0, 4, 4)
        ink = (0, b"", 0, 0, 0, 0, 0, 12)
        far = struct.pack("=4i", -(2**31), 0, 2**31 - 1, 3)
        for points, boxes in (
            (far, box),
            (b"123", box),
            (b"", b"123"),
            (far, box * 2),
            (b"", struct.pack("=4i", 0, 0, 5, 4)),
        ):
            self.both("draw_lines", bytes(64), 16, 4, 4, points, boxes, *ink)
            self.both("draw_dashes", bytes(64), 16, 4, 4, points, boxes, b"\1", 0, *ink)
        for value in (2**31, 2**62):
            self.both("draw_lines", bytes(64), value, 4, 4, b"", box, *ink)
            self.both("draw_lines", bytes(64), 16, 4, 4, b"", box, 0, bytes(4), 4, 1, 1, value, 0, 12)
            self.both("draw_lines", bytes(64), 16, 4, 4, b"", box, 0, bytes(4), value, 1, 1, 0, 0, 12)
