# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.raster``: what is drawn, and what need not be."""

from __future__ import annotations

import random
from unittest import mock

from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.drawables import Batch, DeviceImage, Effect, Placeholder
from spicemig.devices.raster import pending
from spicemig.devices.raster.pending import Raster
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import Surface
from spicemig.wire.drawing import Brush, Clip, DrawBase, Point, QMask, Rect
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ClipType,
    ImageScaleMode,
    MaskFlags,
    Ropd,
    SurfaceFormat,
)
from spicemig.wire.messages.display import CopyBits, DrawAlphaBlend, DrawCopy, DrawFill

WIDTH, HEIGHT = 40, 30


def rect(left, top, right, bottom):
    """A Rect in the order in which people say it."""
    return Rect(top=top, left=left, bottom=bottom, right=right)


def base(box, surface=0, clip=None):
    """Where something is drawn; ``clip`` is a list of boxes."""
    if clip is None:
        return DrawBase(surface, rect(*box))
    return DrawBase(surface, rect(*box), Clip(ClipType.RECTS, [rect(*part) for part in clip]))


def fill(box, colour, *, rop=Ropd.OP_PUT, **more):
    """A fill with one colour, 0xRRGGBB."""
    mask = more.pop("mask", QMask())
    return DrawFill(base(box, **more), Brush(BrushType.SOLID, color=colour), rop, mask)


def copy(box, image, area=None, *, rop=Ropd.OP_PUT, **more):
    """A copy of an image, or of an area of it; scaled without interpolation."""
    area = area or (0, 0, image.width, image.height)
    mask = more.pop("mask", QMask())
    place = base(box, **more)
    return DrawCopy(place, Placeholder(image), rect(*area), rop, ImageScaleMode.NEAREST, mask)


def move(box, x, y, **more):
    """A move from (x, y) into the box."""
    return CopyBits(base(box, **more), Point(x, y))


def picture(width, height, seed=1):
    """An RGB picture with no two lines alike."""
    return Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(3 * width * height))


def device_image(picture, **more):
    """The picture as 32-bit pixels."""
    data = picture.tobytes("raw", "BGRX")
    return DeviceImage(picture.width, picture.height, BitmapFormat.BIT32, picture.width * 4, data, **more)


class RasterCase(SynchronousTestCase):
    """A raster with a primary surface and a smaller one."""

    def setUp(self):
        self.raster = Raster()
        self.raster.add_surface(Surface(0, WIDTH, HEIGHT))
        self.raster.add_surface(Surface(1, 20, 10))
        self.expected = Image.new("RGB", (WIDTH, HEIGHT))

    def draw(self, *messages, effect=Effect.OPAQUE):
        """Give the raster these messages."""
        batch = Batch()
        for message in messages:
            batch.append(message, effect)
        self.raster.take(batch)

    def shown(self, surface=0):
        """What the surface shows now."""
        return self.raster.render(surface).image()

    def assertShows(self, expected, surface=0):
        """Every pixel is as expected."""
        self.assertEqual(self.shown(surface).tobytes(), expected.tobytes())


class FillTests(RasterCase):
    """DRAW_FILL."""

    def test_put(self):
        """A fill covers its box and nothing else."""
        self.draw(fill((3, 4, 10, 20), 0x204060))
        self.expected.paste((0x20, 0x40, 0x60), (3, 4, 10, 20))
        self.assertShows(self.expected)

    def test_beyond_the_surface(self):
        """Of a box that leaves the surface, what is on it is drawn."""
        self.draw(fill((-5, -5, 3, HEIGHT + 9), 0xFF0000), fill((WIDTH, 0, WIDTH + 5, 5), 0x00FF00))
        self.expected.paste((255, 0, 0), (0, 0, 3, HEIGHT))
        self.assertShows(self.expected)

    def test_clip(self):
        """Of a clipped fill only the rectangles are drawn, as far as they are in the box."""
        self.draw(fill((0, 0, 20, 20), 0x0000FF, clip=[(2, 2, 4, 4), (18, 18, 30, 30)]))
        self.expected.paste((0, 0, 255), (2, 2, 4, 4))
        self.expected.paste((0, 0, 255), (18, 18, 20, 20))
        self.assertShows(self.expected)

    def test_no_clip_rectangles(self):
        """A clip of no rectangles draws nothing."""
        self.draw(fill((0, 0, 20, 20), 0x0000FF, clip=[]))
        self.assertShows(self.expected)

    def test_operations(self):
        """Brush and picture are combined as the descriptor says."""
        self.draw(fill((0, 0, 4, 1), 0x0F0F0F), effect=Effect.BLEND)
        for x, rop in enumerate([Ropd.OP_OR, Ropd.OP_AND, Ropd.OP_XOR, Ropd.OP_INVERS]):
            self.draw(fill((x, 0, x + 1, 1), 0x3C3C3C, rop=rop), effect=Effect.BLEND)
        row = [self.shown().getpixel((x, 0))[0] for x in range(4)]
        self.assertEqual(row, [0x3F, 0x0C, 0x33, 0xF0])

    def test_mask(self):
        """A mask lets through where its bits are set, or where not if it is inverted."""
        bits = DeviceImage(8, 2, BitmapFormat.BIT1_BE, 1, bytes([0b10110000, 0b00000001]))
        for flags, y in ((0, 0), (MaskFlags.INVERS, 10)):
            mask = QMask(flags, Point(0, 0), Placeholder(bits))
            self.draw(fill((4, y, 12, y + 2), 0xFFFFFF, mask=mask), effect=Effect.BLEND)
        shown = self.shown().convert("1")
        rows = [[bool(shown.getpixel((x, y))) for x in range(4, 12)] for y in (0, 1, 10, 11)]
        first = [True, False, True, True, False, False, False, False]
        second = [False] * 7 + [True]
        opposite = [[not bit for bit in row] for row in (first, second)]
        self.assertEqual(rows, [first, second, *opposite])

    def test_truth_tables(self):
        """Descriptors become the tables that the kernels know."""
        tables = [
            truth_table(Ropd.OP_PUT, Ropd.INVERS_BRUSH),
            truth_table(Ropd.OP_PUT | Ropd.INVERS_BRUSH, Ropd.INVERS_BRUSH),
            truth_table(Ropd.OP_PUT | Ropd.INVERS_SRC, Ropd.INVERS_BRUSH),
            truth_table(Ropd.OP_AND | Ropd.INVERS_DEST, Ropd.INVERS_SRC),
            truth_table(Ropd.OP_BLACKNESS, Ropd.INVERS_SRC),
            truth_table(Ropd.OP_WHITENESS, Ropd.INVERS_SRC),
            truth_table(Ropd.OP_XOR | Ropd.INVERS_RES, Ropd.INVERS_SRC),
        ]
        self.assertEqual(tables, [0b1100, 0b0011, 0b1100, 0b0100, 0b0000, 0b1111, 0b1001])


class CopyTests(RasterCase):
    """DRAW_COPY and COPY_BITS."""

    def test_area(self):
        """A part of an image arrives in its box."""
        source = picture(16, 12)
        self.draw(copy((5, 6, 15, 14), device_image(source), (3, 2, 13, 10)))
        self.expected.paste(source.crop((3, 2, 13, 10)), (5, 6))
        self.assertShows(self.expected)

    def test_clipped_at_every_side(self):
        """An image that hangs over every side is cut off there."""
        source = picture(WIDTH + 20, HEIGHT + 20)
        self.draw(copy((-7, -9, WIDTH + 13, HEIGHT + 11), device_image(source)))
        self.expected.paste(source, (-7, -9))
        self.assertShows(self.expected)

    def test_formats(self):
        """Bitmaps of every format come out in their colours."""
        colours = [(0x11, 0x22, 0x33), (0xFF, 0x80, 0x01)]
        palette = tuple(r << 16 | g << 8 | b for r, g, b in colours)
        two = [colours[index] for index in (0, 1, 1, 0)]
        bgr = b"".join(bytes(reversed(colour)) for colour in two)
        bgrx = b"".join(bytes([*reversed(colour), 9]) for colour in two)
        cases = [
            (BitmapFormat.BIT1_BE, bytes([0b01100000]), two),
            (BitmapFormat.BIT1_LE, bytes([0b0110]), two),
            (BitmapFormat.BIT4_BE, bytes([0x01, 0x10]), two),
            (BitmapFormat.BIT4_LE, bytes([0x10, 0x01]), two),
            (BitmapFormat.BIT8, bytes([0, 1, 1, 0]), two),
            (BitmapFormat.BIT24, bgr, two),
            (BitmapFormat.BIT32, bgrx, two),
            (BitmapFormat.RGBA, bgrx, two),
            (
                BitmapFormat.BIT16,
                bytes([0x1F, 0, 0, 0x7C, 0xE0, 3, 0, 0]),
                [(0, 0, 255), (255, 0, 0), (0, 255, 0), (0, 0, 0)],
            ),
        ]
        for format, data, colours in cases:
            image = DeviceImage(4, 1, format, len(data), data, palette=palette)
            self.draw(copy((0, 0, 4, 1), image))
            self.assertEqual([self.shown().getpixel((x, 0)) for x in range(4)], colours, format)

    def test_bottom_up(self):
        """Of an image that is not top down the first row is drawn last."""
        source = picture(8, 6)
        flipped = source.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        self.draw(copy((0, 0, 8, 6), device_image(flipped, top_down=False)))
        self.expected.paste(source, (0, 0))
        self.assertShows(self.expected)

    def test_scaled(self):
        """A box of another size gets the nearest pixels, also where it is clipped."""
        source = picture(5, 4)
        self.draw(copy((3, 2, 18, 14), device_image(source), clip=[(4, 3, 9, 9), (12, 2, 18, 14)]))
        large = source.resize((15, 12), Image.Resampling.NEAREST)
        for box in [(4, 3, 9, 9), (12, 2, 18, 14)]:
            self.expected.paste(large.crop((box[0] - 3, box[1] - 2, box[2] - 3, box[3] - 2)), box)
        self.assertShows(self.expected)

    def test_from_surface(self):
        """An image can be what another surface shows."""
        source = picture(20, 10)
        self.draw(copy((0, 0, 20, 10), device_image(source), surface=1))
        self.draw(copy((2, 2, 22, 12), DeviceImage(20, 10, surface=1)))
        self.expected.paste(source, (2, 2))
        self.assertShows(self.expected)

    def test_from_itself(self):
        """A surface copied to itself arrives as it was, though the two overlap."""
        source = picture(WIDTH, HEIGHT)
        self.draw(copy((0, 0, WIDTH, HEIGHT), device_image(source)))
        self.draw(
            copy((3, 3, WIDTH, HEIGHT), DeviceImage(WIDTH, HEIGHT, surface=0), (0, 0, WIDTH - 3, HEIGHT - 3))
        )
        expected = source.copy()
        expected.paste(source, (3, 3))
        self.assertShows(expected)

    def test_moves(self):
        """Copy-bits in every direction, overlapping, leaving the surface, and in several parts."""
        source = picture(WIDTH, HEIGHT)
        for dx, dy in [(1, 0), (-1, 0), (0, 1), (0, -1), (3, 2), (-3, 2), (2, -3), (-2, -3)]:
            for clip in (None, [(0, 0, 15, HEIGHT), (15, 0, WIDTH, HEIGHT)]):
                self.draw(copy((0, 0, WIDTH, HEIGHT), device_image(source)))
                self.draw(move((0, 0, WIDTH, HEIGHT), -dx, -dy, clip=clip))
                expected = source.copy()
                expected.paste(source, (dx, dy))
                self.assertShows(expected)

    def test_beyond_the_image(self):
        """Where an area leaves its image, nothing is drawn."""
        source = picture(8, 8)
        self.draw(copy((0, 0, 12, 12), device_image(source), (-2, -1, 10, 11)), effect=Effect.BLEND)
        self.expected.paste(source, (2, 1))
        self.assertShows(self.expected)

    def test_impossible(self):
        """An area without pixels, or too few bytes, leaves that one drawing out."""
        image = device_image(picture(8, 8))
        cut = DeviceImage(8, 8, BitmapFormat.BIT32, 32, bytes(100))
        self.draw(copy((0, 0, 9, 8), image, (3, 3, 3, 8)), effect=Effect.BLEND)
        self.draw(copy((0, 0, 8, 8), cut), effect=Effect.BLEND)
        self.draw(fill((20, 20, 22, 22), 0xFFFFFF))
        self.expected.paste((255, 255, 255), (20, 20, 22, 22))
        self.assertShows(self.expected)


class WaitingTests(RasterCase):
    """Commands wait until their pixels are needed, and some never have to be drawn."""

    def test_lazy(self):
        """Nothing is drawn before somebody looks."""
        self.draw(fill((0, 0, 5, 5), 0xFFFFFF))
        self.assertEqual(self.raster.waiting(0), 1)
        self.assertFalse(any(self.raster.surfaces[0].pixels))
        self.raster.render(0)
        self.assertEqual(self.raster.waiting(0), 0)

    def test_hidden(self):
        """An opaque drawing drops those that it hides, and no others."""
        self.draw(fill((0, 0, 5, 5), 1), fill((4, 4, 9, 9), 2), fill((0, 0, 6, 6), 3))
        self.assertEqual(self.raster.waiting(0), 2)

    def test_not_opaque(self):
        """Neither blending nor clipped drawings hide anything."""
        self.draw(fill((0, 0, 5, 5), 1))
        self.draw(fill((0, 0, 9, 9), 2, rop=Ropd.OP_XOR), effect=Effect.BLEND)
        self.draw(fill((0, 0, 9, 9), 3, clip=[(0, 0, 1, 1)]))
        self.assertEqual(self.raster.waiting(0), 3)

    def test_moved_before_hidden(self):
        """What was moved elsewhere in between is still drawn."""
        self.draw(fill((0, 0, 5, 5), 0x112233), move((10, 10, 15, 15), 0, 0), fill((0, 0, 5, 5), 0x445566))
        self.expected.paste((0x11, 0x22, 0x33), (10, 10, 15, 15))
        self.expected.paste((0x44, 0x55, 0x66), (0, 0, 5, 5))
        self.assertShows(self.expected)

    def test_read_before_changed(self):
        """A surface that was read is read as it was then, though it is drawn on later."""
        self.draw(fill((0, 0, 20, 10), 0xAA0000, surface=1))
        self.draw(copy((0, 0, 20, 10), DeviceImage(20, 10, surface=1)))
        self.draw(fill((0, 0, 20, 10), 0x00BB00, surface=1))
        self.expected.paste((0xAA, 0, 0), (0, 0, 20, 10))
        self.assertShows(self.expected)

    def test_read_before_destroyed(self):
        """What was drawn from a surface stays when that is destroyed."""
        self.draw(fill((0, 0, 20, 10), 0xAA0000, surface=1))
        self.draw(copy((0, 0, 20, 10), DeviceImage(20, 10, surface=1)))
        self.raster.remove_surface(1)
        self.expected.paste((0xAA, 0, 0), (0, 0, 20, 10))
        self.assertShows(self.expected)

    def test_each_other(self):
        """Two surfaces that read each other come out right."""
        self.draw(fill((0, 0, 20, 10), 0x000001, surface=1))
        for _round in range(5):
            self.draw(copy((0, 0, 20, 10), DeviceImage(20, 10, surface=1)))
            self.draw(fill((0, 0, 20, 5), 0x000100, rop=Ropd.OP_XOR), effect=Effect.BLEND)
            self.draw(copy((0, 0, 20, 10), DeviceImage(WIDTH, HEIGHT, surface=0), (0, 0, 20, 10), surface=1))
        self.assertEqual(self.shown(1).getpixel((0, 0)), (0, 1, 1))
        self.assertEqual(self.shown(1).getpixel((0, 9)), (0, 0, 1))

    def test_bounded(self):
        """More than so many commands do not wait."""
        self.patch(pending, "WAITING_LIMIT", 20)
        for x in range(41):
            self.draw(fill((x % WIDTH, 0, x % WIDTH + 1, 1), x, rop=Ropd.OP_XOR), effect=Effect.BLEND)
        self.assertEqual(self.raster.waiting(0), 0)

    def test_bounded_bytes(self):
        """Images that wait are held up to so many bytes."""
        self.patch(pending, "FEW_BYTES", 2000)
        self.patch(pending, "WAITING_BYTES_LIMIT", 4000)
        image = device_image(picture(16, 16))
        for x in range(5):
            self.draw(copy((x, 0, x + 16, 16), image), effect=Effect.BLEND)
        self.assertLess(self.raster.waiting(0), 5)

    def test_unknown(self):
        """A message without an operation is left out, and the rest is drawn."""
        image = Placeholder(device_image(picture(9, 9)))
        blend = DrawAlphaBlend(base((0, 0, 9, 9)), 0, 255, image, rect(0, 0, 9, 9))
        self.draw(blend, fill((10, 10, 12, 12), 0xFFFFFF))
        with mock.patch.dict(pending.OPERATIONS):
            pending.OPERATIONS.pop(DrawAlphaBlend)
            self.expected.paste((255, 255, 255), (10, 10, 12, 12))
            self.assertShows(self.expected)

    def test_like_drawing_at_once(self):
        """Whatever is drawn, waiting gives the same picture as drawing each command at once."""
        dice = random.Random(4)

        def box(width, height):
            left, top = dice.randrange(-3, width), dice.randrange(-3, height)
            return left, top, left + dice.randrange(1, width), top + dice.randrange(1, height)

        lazy, eager = Raster(), Raster()
        for raster in (lazy, eager):
            raster.add_surface(Surface(0, WIDTH, HEIGHT))
            raster.add_surface(Surface(1, WIDTH, HEIGHT, SurfaceFormat.XRGB32))
        source = device_image(picture(12, 9))
        for step in range(600):
            surface = dice.randrange(2)
            kind = dice.randrange(5)
            effect = Effect.OPAQUE
            where = box(WIDTH, HEIGHT)
            clip = [box(WIDTH, HEIGHT)] if dice.random() < 0.3 else None
            if kind == 0:
                message = fill(where, dice.getrandbits(24), surface=surface, clip=clip)
            elif kind == 1:
                message = fill(where, dice.getrandbits(24), rop=Ropd.OP_XOR, surface=surface)
                effect = Effect.BLEND
            elif kind == 2:
                message = copy(where, source, surface=surface, clip=clip)
            elif kind == 3:
                message = move(
                    where, dice.randrange(WIDTH), dice.randrange(HEIGHT), surface=surface, clip=clip
                )
            else:
                other = DeviceImage(WIDTH, HEIGHT, surface=dice.randrange(2))
                message = copy(where, other, surface=surface, clip=clip)
            batch = Batch()
            batch.append(message, effect)
            lazy.take(batch)
            eager.take(batch)
            eager.render_all()
            if step % 60 == 59:
                lazy.render_all()
                for id in (0, 1):
                    self.assertEqual(lazy.surfaces[id].pixels, eager.surfaces[id].pixels, step)
