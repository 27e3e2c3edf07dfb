# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``devices/raster/alpha.py`` and ``transparent.py``, and the kernel of the latter."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.raster import reference_keyed
from spicemig.devices.raster.alpha import draw_alpha_blend
from spicemig.devices.raster.kernels import native
from spicemig.devices.raster.transparent import draw_transparent
from spicemig.devices.surfaces import Surface
from spicemig.wire.drawing import Clip, DrawBase, Rect
from spicemig.wire.enums import AlphaFlags, BitmapFormat, ClipType, SurfaceFormat
from spicemig.wire.messages.display import DrawAlphaBlend, DrawTransparent
from tests import pixman

ONE = 0x10000
OVER = 3
WIDTH, HEIGHT = 30, 20


def pixels(dice, count):
    """Random pixels of any alpha, sometimes with colours larger than it."""
    made = bytearray()
    for _pixel in range(count):
        alpha = dice.choice([0, 255, dice.randrange(256)])
        most = alpha if dice.random() < 0.7 else 255
        made += bytes([dice.randint(0, most), dice.randint(0, most), dice.randint(0, most), alpha])
    return bytes(made)


def colours(data):
    """Only blue, green and red of every pixel."""
    return bytes(byte for index, byte in enumerate(data) if index % 4 != 3)


def surface_of(dice, id, format):
    """A surface full of random pixels."""
    surface = Surface(id, WIDTH, HEIGHT, format)
    surface.pixels[:] = pixels(dice, WIDTH * HEIGHT)
    return surface


def rectangle(dice, width, height):
    """Any rectangle of a picture: left, top, cols, rows."""
    left, top = dice.randint(0, width - 1), dice.randint(0, height - 1)
    return left, top, dice.randint(1, width - left), dice.randint(1, height - top)


def rect(left, top, cols, rows):
    """The same as a record."""
    return Rect(top, left, top + rows, left + cols)


class AlphaBlendTests(SynchronousTestCase):
    """DRAW_ALPHA_BLEND gives what pixman gives."""

    if pixman.library is None:
        skip = "there is no pixman here"

    def check(self, dice, scaled):
        """Blend a random area of an image or surface over a random box of a surface."""
        surface = surface_of(dice, 0, dice.choice([SurfaceFormat.XRGB32, SurfaceFormat.ARGB32]))
        other = surface_of(dice, 1, dice.choice([SurfaceFormat.XRGB32, SurfaceFormat.ARGB32]))
        format = dice.choice([BitmapFormat.BIT32, BitmapFormat.RGBA])
        bitmap = DeviceImage(WIDTH, HEIGHT, format, WIDTH * 4, pixels(dice, WIDTH * HEIGHT))
        image = dice.choice([bitmap, DeviceImage(WIDTH, HEIGHT, surface=1)])
        flags, alpha = AlphaFlags(dice.randrange(4)), dice.choice([255, 255, 128, 1, dice.randrange(1, 256)])
        left, top, cols, rows = area = rectangle(dice, WIDTH, HEIGHT)
        box = rectangle(dice, WIDTH, HEIGHT)
        if not scaled:
            box = dice.randint(0, WIDTH - cols), dice.randint(0, HEIGHT - rows), cols, rows
        target_has_alpha = surface.has_alpha or bool(flags & AlphaFlags.DEST_HAS_ALPHA)
        told = bool(flags & AlphaFlags.SRC_SURFACE_HAS_ALPHA)
        source_has_alpha = (other.has_alpha or told) if image.surface else format == BitmapFormat.RGBA
        data = bytes(other.pixels if image.surface else image.data)
        source = pixman.Picture(WIDTH, HEIGHT, data, source_has_alpha)
        if scaled and box[2:] != area[2:]:
            scale = cols * ONE // box[2], rows * ONE // box[3]
            source.transform = (scale[0], 0, left * ONE, 0, scale[1], top * ONE)
            left = top = 0
        target = pixman.Picture(WIDTH, HEIGHT, bytes(surface.pixels), target_has_alpha)
        mask = None if alpha == 255 else alpha
        expected = pixman.composite(OVER, source, mask, target, (left, top), (0, 0), box)
        message = DrawAlphaBlend(DrawBase(0, rect(*box)), flags, alpha, Placeholder(image), rect(*area))
        draw_alpha_blend(surface, message, {0: surface, 1: other})
        if target_has_alpha:
            self.assertEqual(bytes(surface.pixels), expected)
        else:
            self.assertEqual(colours(surface.pixels), colours(expected))

    def test_same_size(self):
        """With both flags, any alpha, from bitmaps and surfaces."""
        dice = random.Random(41)
        for _case in range(300):
            self.check(dice, scaled=False)

    def test_scaled(self):
        """Larger and smaller."""
        dice = random.Random(42)
        for _case in range(300):
            self.check(dice, scaled=True)


class BlendedTests(SynchronousTestCase):
    """What is blended onto what."""

    def draw(self, surface, image, alpha=255, flags=0, clip=None, area=None):
        """Draw over all of the surface."""
        base = DrawBase(0, Rect(0, 0, surface.height, surface.width), clip or Clip())
        area = area or Rect(0, 0, surface.height, surface.width)
        message = DrawAlphaBlend(base, flags, alpha, Placeholder(image), area)
        draw_alpha_blend(surface, message, {0: surface})

    def test_nothing(self):
        """Without alpha, without an area, outside the clip, nothing changes."""
        surface = Surface(0, 2, 1)
        image = DeviceImage(2, 1, BitmapFormat.RGBA, 8, b"\xff" * 8)
        self.draw(surface, image, alpha=0)
        self.draw(surface, image, area=Rect(0, 0, 0, 0))
        self.draw(surface, image, clip=Clip(ClipType.RECTS, []))
        self.assertEqual(bytes(surface.pixels), bytes(8))

    def test_once_where_clips_overlap(self):
        """Rectangles of a clip that overlap do not blend twice."""
        surface = Surface(0, 2, 1)
        image = DeviceImage(2, 1, BitmapFormat.RGBA, 8, b"\x40\0\0\x80" * 2)
        self.draw(surface, image, clip=Clip(ClipType.RECTS, [Rect(0, 0, 1, 2), Rect(0, 1, 1, 2)]))
        self.assertEqual((surface.pixels[0], surface.pixels[4]), (0x40, 0x40))

    def test_from_itself(self):
        """A surface may be blended onto itself; what it was before is read."""
        surface = Surface(0, 3, 1)
        surface.pixels[::4] = b"\1\2\3"
        image = DeviceImage(3, 1, surface=0)
        base = DrawBase(0, Rect(0, 1, 1, 3))
        message = DrawAlphaBlend(base, 0, 255, Placeholder(image), Rect(0, 0, 1, 2))
        draw_alpha_blend(surface, message, {0: surface})
        self.assertEqual(surface.pixels[::4], b"\1\1\2")

    def test_fourth_byte(self):
        """A surface without alpha does not get any, as other commands may read it."""
        surface = Surface(0, 2, 1)
        self.draw(surface, DeviceImage(2, 1, BitmapFormat.RGBA, 8, b"\1\2\3\xff" * 2))
        self.assertEqual(bytes(surface.pixels), b"\1\2\3\0" * 2)

    def test_alpha_survives_16_bits(self):
        """On a surface of 16 bits an image keeps its alpha while it is blended; the result is rounded."""
        surface = Surface(0, 1, 1, SurfaceFormat.RGB555)
        surface.pixels[:] = b"\xff\xff\xff\0"
        self.draw(surface, DeviceImage(1, 1, BitmapFormat.RGBA, 4, b"\0\0\0\x80"))
        self.assertEqual(bytes(surface.pixels[:3]), bytes([0b01111011] * 3))

    def test_indexed(self):
        """On a surface with alpha, the colours of a palette have alpha, too: none."""
        for format, left in ((SurfaceFormat.XRGB32, 0), (SurfaceFormat.ARGB32, 0x20)):
            surface = Surface(0, 1, 1, format)
            surface.pixels[:] = b"\x20\0\0\xff"
            image = DeviceImage(1, 1, BitmapFormat.BIT8, 1, b"\0", palette=(0x000001,))
            self.draw(surface, image)
            self.assertEqual(surface.pixels[0], left + 1)

    def test_only_alpha(self):
        """An image of alpha alone darkens."""
        surface = Surface(0, 1, 1)
        surface.pixels[:] = b"\xc8\xc8\xc8\0"
        self.draw(surface, DeviceImage(1, 1, BitmapFormat.BIT8_A, 4, b"\x80\0\0\0"))
        self.assertEqual(surface.pixels[0], (0xC8 * 0x7F + 127) // 255)


class KeyedKernelTests(SynchronousTestCase):
    """The kernel gives the same bytes as its twin, and refuses the same arguments."""

    if native is None:
        skip = "the extension is not built here"

    def both(self, buffer, *arguments):
        """Call both with a copy of the buffer; compare what they leave, or that both refuse."""
        results = []
        for module in (native, reference_keyed):
            copy = bytearray(buffer)
            try:
                module.copy_keyed(copy, *arguments)
            except ValueError as error:
                results.append(str(error))
            else:
                results.append(copy)
        self.assertEqual(results[0], results[1], arguments)

    def test_random_copies(self):
        """Some pixels have the colour, and some rectangles are outside."""
        dice = random.Random(43)
        for _case in range(300):
            width, height = dice.randint(1, 20), dice.randint(1, 9)
            stride = 4 * width + dice.choice([0, 0, 1, 4])
            size = stride * height
            source = bytes(dice.choices([0, 1, 255], k=size))
            left, top, cols, rows = rectangle(dice, width, height)
            if dice.random() < 0.1:
                cols += dice.randint(1, 9)
            key = dice.choice([0, 1, 0x010101, 0xFFFFFF])
            compared = dice.choice([0xFFFFFF, 0xFF000000])
            rectangles = (stride, left, top, source, stride, left, top, cols, rows)
            self.both(dice.randbytes(size), *rectangles, key, compared)

    def test_enormous_numbers(self):
        """Sizes whose products do not fit are refused, not wrapped round."""
        for value in (2**31 - 1, 2**31, 2**62, 2**63 - 1):
            self.both(bytes(64), value, 0, 0, bytes(64), 16, 0, 0, 2, 2, 0, 0)
            self.both(bytes(64), 16, 0, 0, bytes(64), 16, value, 0, 2, 2, 0, 0)
            self.both(bytes(64), 16, 0, 0, bytes(64), 16, 0, 0, value, value, 0, 0)

    def test_shared_memory(self):
        """A buffer is not copied onto itself."""
        for module in (native, reference_keyed):
            same = bytearray(64)
            with self.assertRaisesRegex(ValueError, "src: shares memory with dst"):
                module.copy_keyed(same, 16, 0, 0, same, 16, 0, 0, 4, 4, 0, 0)


class TransparentTests(SynchronousTestCase):
    """DRAW_TRANSPARENT leaves out one colour."""

    def draw(self, surface, image, key, box=None, area=None, surfaces=None):
        """Draw over all of the surface."""
        box = box or Rect(0, 0, surface.height, surface.width)
        area = area or Rect(0, 0, image.height, image.width)
        message = DrawTransparent(DrawBase(0, box), Placeholder(image), area, 0, key)
        draw_transparent(surface, message, surfaces or {0: surface})

    def test_colour(self):
        """The colour is compared without what is in the fourth byte, which is copied."""
        surface = Surface(0, 3, 1)
        surface.pixels[:] = b"\x09\x09\x09\x09" * 3
        data = b"\1\2\3\xff" + b"\1\2\4\xff" + b"\1\2\3\0"
        self.draw(surface, DeviceImage(3, 1, BitmapFormat.BIT32, 12, data), 0xAA030201)
        self.assertEqual(bytes(surface.pixels), b"\x09\x09\x09\x09\1\2\4\xff\x09\x09\x09\x09")

    def test_scaled(self):
        """When scaled, every pixel is one of the image."""
        surface = Surface(0, 4, 1)
        surface.pixels[::4] = b"\x09" * 4
        self.draw(surface, DeviceImage(2, 1, BitmapFormat.BIT32, 8, b"\1\0\0\0\2\0\0\0"), 1)
        self.assertEqual(surface.pixels[::4], b"\x09\x09\2\2")

    def test_area_beyond_the_image(self):
        """Of an area that leaves the image only what is there is copied."""
        surface = Surface(0, 3, 1)
        surface.pixels[::4] = b"\x09" * 3
        image = DeviceImage(2, 1, BitmapFormat.BIT32, 8, b"\1\0\0\0\2\0\0\0")
        self.draw(surface, image, 7, area=Rect(0, -1, 1, 2))
        self.assertEqual(surface.pixels[::4], b"\x09\1\2")

    def test_16_bits(self):
        """The colour is compared as the surface keeps colours."""
        for format, same in ((SurfaceFormat.RGB555, b"\0\7\0\0"), (SurfaceFormat.RGB565, b"\0\3\0\0")):
            surface = Surface(0, 1, 1, format)
            surface.pixels[:] = b"\xff\xff\xff\0"
            self.draw(
                surface, DeviceImage(1, 1, BitmapFormat.BIT32, 4, b"\0\0\0\0"), int.from_bytes(same, "little")
            )
            self.assertEqual(surface.pixels[0], 0xFF)
            self.draw(surface, DeviceImage(1, 1, BitmapFormat.BIT32, 4, b"\0\0\0\0"), 0x000800)
            self.assertEqual(surface.pixels[0], 0)

    def test_from_a_surface(self):
        """A surface may be drawn, also onto itself."""
        surface = Surface(0, 3, 1)
        surface.pixels[::4] = b"\1\2\3"
        image = DeviceImage(3, 1, surface=0)
        self.draw(surface, image, 2, Rect(0, 1, 1, 3), Rect(0, 0, 1, 2))
        self.assertEqual(surface.pixels[::4], b"\1\1\3")
