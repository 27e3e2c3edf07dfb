# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.raster.text``: glyphs and what is behind them."""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.drawables import DeviceImage
from spicemig.devices.raster import reference_glyphs
from spicemig.devices.raster.text import draw_text
from spicemig.devices.surfaces import Surface
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import (
    Brush,
    Clip,
    DrawBase,
    Pattern,
    Point,
    RasterGlyphA1,
    RasterGlyphA4,
    RasterGlyphA8,
    Rect,
    String,
)
from spicemig.wire.enums import BrushType, ClipType, Ropd, StringFlags, SurfaceFormat
from spicemig.wire.messages.display import DrawText
from tests.twins import TwinCase

WIDTH, HEIGHT = 12, 8
INK = 0x4080C0
KINDS = {
    1: (StringFlags.RASTER_A1, RasterGlyphA1),
    4: (StringFlags.RASTER_A4, RasterGlyphA4),
    8: (StringFlags.RASTER_A8, RasterGlyphA8),
}


def rect(left, top, right, bottom):
    """A Rect in the order in which people say it."""
    return Rect(top=top, left=left, bottom=bottom, right=right)


def solid(colour):
    """A brush of one colour."""
    return Brush(BrushType.SOLID, color=colour)


def glyph(bits, x, y, width, rows, origin=(0, 0)):
    """A glyph at (x, y) with these rows of bytes, the first one stored first."""
    return KINDS[bits][1](Point(x, y), Point(*origin), width, len(rows), b"".join(rows))


def text(bits, *glyphs, fore=None, back=None, behind=(0, 0, 0, 0), clip=None, flags=0, mode=Ropd.OP_PUT):
    """Glyphs of so many bits anywhere on the surface."""
    base = DrawBase(0, rect(0, 0, WIDTH, HEIGHT))
    if clip is not None:
        base = DrawBase(0, rect(0, 0, WIDTH, HEIGHT), Clip(ClipType.RECTS, [rect(*part) for part in clip]))
    string = String(KINDS[bits][0] | flags, list(glyphs))
    return DrawText(base, string, rect(*behind), fore or solid(INK), back or Brush(), mode, 0)


def drawn(*messages, paper=0, format=SurfaceFormat.XRGB32):
    """A surface of one colour after these texts."""
    surface = Surface(0, WIDTH, HEIGHT, format)
    surface.pixels[:] = struct.pack("<I", paper) * (WIDTH * HEIGHT)
    for message in messages:
        draw_text(surface, message, {0: surface})
    return surface


def colours(surface):
    """What is not black: {(x, y): 0xRRGGBB}."""
    found = {}
    for place in range(WIDTH * HEIGHT):
        value = struct.unpack_from("<I", surface.pixels, 4 * place)[0] & 0xFFFFFF
        if value:
            found[place % WIDTH, place // WIDTH] = value
    return found


class GlyphTests(SynchronousTestCase):
    """Where glyphs cover the surface, and how much."""

    def test_one_bit(self):
        """The left pixel is the highest bit, and the last row the top one; rows begin at bytes."""
        rows = [b"\x80\x00", b"\x40\x80"]
        self.assertEqual(
            colours(drawn(text(1, glyph(1, 2, 3, 9, rows)))), {(3, 3): INK, (10, 3): INK, (2, 4): INK}
        )

    def test_top_down(self):
        """The flag that says otherwise does not count, as at clients."""
        message = glyph(1, 2, 3, 1, [b"\x80", b"\x00"])
        self.assertEqual(colours(drawn(text(1, message, flags=StringFlags.RASTER_TOP_DOWN))), {(2, 4): INK})

    def test_origin(self):
        """A glyph lies at its place and its origin together."""
        message = glyph(1, 5, 6, 1, [b"\x80"], origin=(2, -3))
        self.assertEqual(colours(drawn(text(1, message))), {(7, 3): INK})

    def test_four_bits(self):
        """Half a byte is a sixteenth of 240 of 255; an odd last pixel is the upper half."""
        seen = colours(drawn(text(4, glyph(4, 0, 0, 3, [b"\xf8\x10"]), fore=solid(0xFFFFFF))))
        self.assertEqual(seen, {(0, 0): 0xF0F0F0, (1, 0): 0x808080, (2, 0): 0x101010})

    def test_four_bits_over_each_other(self):
        """A left pixel keeps what covers more; a right one only if the left of its byte is empty."""
        over = [glyph(4, 0, 0, 2, [b"\xff"]), glyph(4, 0, 0, 2, [b"\x11"])]
        seen = colours(drawn(text(4, *over, fore=solid(0xFFFFFF))))
        self.assertEqual(seen, {(0, 0): 0xF0F0F0, (1, 0): 0x101010})
        over[1] = glyph(4, 0, 0, 2, [b"\x01"])
        self.assertEqual(colours(drawn(text(4, *over, fore=solid(0xFFFFFF))))[1, 0], 0xF0F0F0)

    def test_eight_bits(self):
        """A byte is how much is covered; of glyphs over each other, what covers more counts."""
        glyphs = [glyph(8, 0, 0, 2, [b"\x11\x12", b"\x21\x22"]), glyph(8, 1, 0, 1, [b"\x10", b"\x30"])]
        seen = colours(drawn(text(8, *glyphs, fore=solid(0xFFFFFF))))
        self.assertEqual(seen, {(0, 0): 0x212121, (1, 0): 0x303030, (0, 1): 0x111111, (1, 1): 0x121212})

    def test_blend(self):
        """What a glyph covers in part is mixed with what is there, rounded to the nearest."""
        surface = drawn(text(4, glyph(4, 0, 0, 1, [b"\x80"])), paper=0x00FF10)
        expected = 0
        for shift in (16, 8, 0):
            ink, paper = INK >> shift & 255, 0x00FF10 >> shift & 255
            expected = expected << 8 | round(ink * 0x80 / 255) + round(paper * 0x7F / 255)
        self.assertEqual(colours(surface)[0, 0], expected)

    def test_clip(self):
        """Only what is in the clip, in the box and on the surface is drawn."""
        wide = glyph(1, -4, 0, 24, [b"\xff\xff\xff"] * 3)
        seen = colours(drawn(text(1, wide, clip=[(1, 0, 3, 1), (2, 1, 20, 2)])))
        self.assertEqual(set(seen), {(1, 0), (2, 0), *((x, 1) for x in range(2, WIDTH))})

    def test_far_away(self):
        """Glyphs that are far from each other cost no memory."""
        ends = [glyph(1, place, place, 1, [b"\x80"]) for place in (-(2**31), 3, 2**31 - 2)]
        self.assertEqual(colours(drawn(text(1, *ends))), {(3, 3): INK})

    def test_nothing(self):
        """Text without glyphs, without a brush, or without room draws nothing."""
        dot = glyph(1, 3, 3, 1, [b"\x80"])
        for message in (text(1), text(1, dot, fore=Brush()), text(1, dot, clip=[])):
            self.assertEqual(colours(drawn(message)), {})


class BrushTests(SynchronousTestCase):
    """What is drawn through glyphs and behind them."""

    tile = struct.pack("=4I", 0x000001, 0x000002, 0x000003, 0x000004)

    def pattern(self, x, y):
        """A brush of two by two pixels."""
        image = DeviceImage(2, 2, 8, 8, self.tile)
        return Brush(BrushType.PATTERN, pattern=Pattern(Placeholder(image), Point(x, y)))

    def test_pattern(self):
        """A pattern counts from the top left of all glyphs."""
        glyphs = [glyph(1, 3, 2, 2, [b"\xc0"]), glyph(1, 5, 1, 2, [b"\xc0"])]
        seen = colours(drawn(text(1, *glyphs, fore=self.pattern(1, 0))))
        self.assertEqual(seen, {(3, 2): 4, (4, 2): 3, (5, 1): 2, (6, 1): 1})

    def test_pattern_behind(self):
        """Behind the text a pattern counts from the surface's corner."""
        dot = glyph(1, 0, 0, 1, [b"\x00"])
        seen = colours(drawn(text(1, dot, back=self.pattern(1, 0), behind=(3, 2, 5, 3))))
        self.assertEqual(seen, {(3, 2): 1, (4, 2): 2})

    def test_behind(self):
        """The back brush fills the back area, in the clip, under the glyphs; no brush is black."""
        dot = glyph(1, 3, 2, 1, [b"\x80"])
        message = text(1, dot, back=solid(0xFF), behind=(2, 2, 9, 4), clip=[(3, 0, 6, 3)])
        self.assertEqual(colours(drawn(message)), {(3, 2): INK, (4, 2): 0xFF, (5, 2): 0xFF})
        message = text(1, dot, behind=(3, 2, 9, 4))
        self.assertNotIn((4, 2), colours(drawn(message, paper=0x123456)))

    def test_modes(self):
        """Text with something behind it is put, or refused; without that, modes mean nothing."""
        dot = glyph(1, 3, 2, 1, [b"\x80"])
        with self.assertRaises(ValueError):
            drawn(text(1, dot, behind=(2, 2, 9, 4), mode=Ropd.OP_XOR))
        self.assertEqual(colours(drawn(text(1, dot, mode=Ropd.OP_XOR), paper=0xFF))[3, 2], INK)

    def test_sixteen_bits(self):
        """On any surface of 16 bits a colour has five bits for each part; what is behind has the format's."""
        dot = glyph(1, 3, 2, 2, [b"\x80"])
        for format, green in ((SurfaceFormat.RGB555, 0xFF), (SurfaceFormat.RGB565, 0xFF)):
            surface = drawn(text(1, dot, fore=solid(0x03E0)), format=format)
            self.assertEqual(colours(surface), {(3, 2): green << 8})


class TwinTests(TwinCase):
    """The kernels of glyphs and their twins in Python give the same bytes and refuse the same."""

    twins = reference_glyphs

    def test_glyphs(self):
        """Glyphs of every depth, inside masks and beside them."""
        dice = self.dice
        for _case in range(1000):
            cols, rows = dice.randint(0, 30), dice.randint(0, 20)
            bits = dice.choice([1, 4, 8, 8, 4, 1, 2])
            sizes = [(self.size(), self.size()) for _glyph in range(dice.choice([0, 1, 1, 2, 3]))]
            places = b"".join(
                struct.pack("=4q", dice.randint(-40, 40), dice.randint(-30, 30), *size) for size in sizes
            )
            needed = sum((width * bits + 7) // 8 * height for width, height in sizes)
            data = dice.randbytes(max(needed - dice.choice([0, 0, 0, 1]), 0))
            mask = dice.randbytes(max(cols * rows - dice.choice([0, 0, 0, 0, 1]), 0))
            self.both("add_glyphs", mask, cols, rows, places, data, bits)

    def test_blend(self):
        """Colours and tiles through masks."""
        dice = self.dice
        for _case in range(500):
            width, height, stride, pixels = self.surface()
            left, top, cols, rows = self.rectangle(width, height)
            mask_left, mask_top = dice.randint(0, 3), dice.randint(0, 3)
            mask_stride = max(mask_left + cols + dice.choice([0, 0, 2, -1]), 0)
            mask = bytearray(dice.randbytes(max(mask_stride * (mask_top + rows) - dice.choice([0, 0, 1]), 0)))
            for _byte in range(len(mask) // 2):
                mask[dice.randrange(len(mask))] = dice.choice([0, 255])
            if dice.random() < 0.5:
                paint = (dice.getrandbits(32), b"", 0, 0, 0, 0, 0)
            else:
                tile_cols, tile_rows = dice.randint(1, 9), dice.randint(1, 9)
                tile = dice.randbytes(4 * tile_cols * tile_rows)
                place = dice.randint(-50, 50), dice.randint(-50, 50)
                paint = (0, tile, 4 * tile_cols, tile_cols, tile_rows, *place)
            where = (pixels, stride, left, top, cols, rows, bytes(mask), mask_stride, mask_left, mask_top)
            self.both("blend_mask", *where, *paint, dice.random() < 0.5)

    def test_refused(self):
        """Numbers that are too large are refused, not wrapped round."""
        for value in (2**31, 2**32 - 1, 2**62, -1):
            self.both("add_glyphs", bytes(64), value, 1, b"", b"", 8)
            self.both("add_glyphs", bytes(64), 8, 8, struct.pack("=4q", 0, 0, value, 4), bytes(64), 8)
            self.both("add_glyphs", bytes(64), 8, 8, struct.pack("=4q", value, -value, 4, 4), bytes(64), 8)
            self.both("add_glyphs", bytes(64), 8, 8, bytes(31), bytes(64), 8)
            where = (bytes(64), 16, 0, 0, 4, 4, bytes(16))
            self.both("blend_mask", *where, value, 0, 0, 0, b"", 0, 0, 0, 0, 0, True)
            self.both("blend_mask", *where, 4, value, 0, 0, b"", 0, 0, 0, 0, 0, True)
