# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``devices/raster/composite.py``, its kernel and its twins."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.raster import reference_composite
from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.composite import draw_composite, simplified
from spicemig.devices.raster.images import Pixels
from spicemig.devices.raster.kernels import native
from spicemig.devices.raster.sampled import Sampled
from spicemig.devices.surfaces import Surface
from spicemig.wire.drawing import Clip, DrawBase, Point16, Rect, Transform
from spicemig.wire.enums import BitmapFormat, ClipType, CompositeFlags, ImageFlags, SurfaceFormat
from spicemig.wire.messages.display import DrawComposite
from tests import pixman

ONE = 0x10000
IDENTITY = (ONE, 0, 0, 0, ONE, 0)
DESTINATION = (0x02, 0x12, 0x22)  # these leave everything as it is
OPERATORS = [
    *range(0x0E),
    *range(0x10, 0x1C),
    *range(0x20, 0x2C),
    *range(0x30, 0x3F),
]
STALE = range(0x3B, 0x3F)  # where a mask is 0, pixman may show what was in the row above
KERNEL_OPERATORS = [
    operator for operator in OPERATORS if operator not in (*DESTINATION, 0x10, 0x11, 0x20, 0x21)
]


def pixels(dice, count):
    """Random pixels; most have colours no larger than their alpha, as they should."""
    made = bytearray()
    for _pixel in range(count):
        alpha = dice.choice([0, 255, dice.randrange(256), dice.randrange(256)])
        most = alpha if dice.random() < 0.7 else 255
        made += bytes([dice.randint(0, most), dice.randint(0, most), dice.randint(0, most), alpha])
    return bytes(made)


def matrix(dice):
    """One of the kinds that are calculated in ways of their own, or any."""
    kind = dice.randrange(8)
    if kind < 3:
        return IDENTITY
    if kind == 3:
        return (ONE, 0, dice.randint(-4, 4) * ONE, 0, ONE, dice.randint(-4, 4) * ONE)
    if kind == 4:
        scales, places = (
            [dice.randint(10000, 200000) for _ in "xy"],
            [dice.randint(-300000, 300000) for _ in "xy"],
        )
        return (scales[0], 0, places[0], 0, scales[1], places[1])
    if kind == 5:
        turned = [
            (0, -ONE, 5 * ONE, ONE, 0, 0),
            (0, ONE, 0, -ONE, 0, 5 * ONE),
            (-ONE, 0, 5 * ONE, 0, -ONE, 5 * ONE),
        ]
        return dice.choice(turned)
    return tuple(dice.randint(-120000, 120000) for _ in range(6))


def picture(dice, component_alpha=False):
    """A random image, read in a random way."""
    sizes = [(1, 1), (dice.randint(1, 9), dice.randint(1, 9)), (dice.randint(10, 40), dice.randint(10, 30))]
    width, height = dice.choice(sizes)
    return pixman.Picture(
        width,
        height,
        pixels(dice, width * height),
        dice.random() < 0.8,
        dice.choice([pixman.NEAREST, pixman.BILINEAR]),
        dice.randrange(4),
        matrix(dice),
        component_alpha,
    )


def tuple_of(picture, at, green_bits=8):
    """The same for the kernel."""
    return (
        picture.data,
        picture.width * 4,
        picture.width,
        picture.height,
        picture.has_alpha,
        green_bits,
        picture.filter == pixman.BILINEAR,
        picture.repeat,
        tuple(picture.transform),
        *at,
    )


def colours(data):
    """Only blue, green and red of every pixel."""
    return bytes(byte for index, byte in enumerate(data) if index % 4 != 3)


class KernelTests(SynchronousTestCase):
    """The kernel gives the same bytes as its twin, and refuses the same arguments."""

    if native is None:
        skip = "the extension is not built here"

    def both(self, buffer, *arguments):
        """Call both with a copy of the buffer; compare what they leave, or that both refuse."""
        results = []
        for module in (native, reference_composite):
            copy = bytearray(buffer)
            try:
                module.composite(copy, *arguments)
            except ValueError as error:
                results.append(str(error))
            else:
                results.append(copy)
        self.assertEqual(results[0], results[1], arguments)
        return results[0]

    def test_random_pictures(self):
        """Every operator, with all ways to read images and masks."""
        dice = random.Random(33)
        for case in range(6 * len(KERNEL_OPERATORS)):
            operator = KERNEL_OPERATORS[case % len(KERNEL_OPERATORS)]
            origin, bits = (dice.randint(-3, 5), dice.randint(-3, 5)), dice.choice([8, 8, 5, 6])
            source = tuple_of(picture(dice), origin, bits)
            mask = tuple_of(picture(dice), (dice.randint(-3, 5), dice.randint(-3, 5)))
            width, height = dice.randint(1, 12), dice.randint(1, 5)
            stride = 4 * width + dice.choice([0, 0, 1, 4])
            cols, rows = dice.randint(0, width), dice.randint(0, height)
            left, top = dice.randint(0, width - cols), dice.randint(0, height - rows)
            rectangle = (stride, left, top, cols, rows)
            flags = dice.random() < 0.6, dice.random() < 0.4
            used = mask if dice.random() < 0.6 else None
            buffer = dice.randbytes(stride * height)
            bits = dice.choice([8, 8, 5, 6])
            self.both(buffer, *rectangle, flags[0], bits, operator, source, used, flags[1])

    def test_long_rows(self):
        """Rows longer than what is combined at a time."""
        dice = random.Random(34)
        for operator in (3, 13, 0x38):
            source = tuple_of(picture(dice), (0, 0))
            made = self.both(pixels(dice, 700), 2800, 1, 0, 699, 1, True, 8, operator, source, None, False)
            self.assertEqual(len(made), 2800)

    def test_wrong_arguments(self):
        """What is too large, too small or unknown is refused."""
        image = bytes(64)
        right = [image, 16, 4, 4, True, 8, False, 0, IDENTITY, 0, 0]
        wrong = {1: [15, -16, 2**62], 2: [0, 5, -1, 2**24 + 1, 2**62], 3: [0, 5, -1], 5: [0, 7, 9], 7: [4, 9]}
        wrong |= {9: [2**24 + 1, -(2**24) - 1, 2**62], 10: [2**24 + 1, -(2**63)]}
        for index, values in wrong.items():
            for value in values:
                source = tuple([*right[:index], value, *right[index + 1 :]])
                refused = self.both(bytes(64), 16, 0, 0, 4, 4, True, 8, 3, source, None, False)
                self.assertIsInstance(refused, str)
                refused = self.both(bytes(64), 16, 0, 0, 4, 4, True, 8, 3, tuple(right), source, False)
                self.assertIsInstance(refused, str)
        for operator in (2, 0x0E, 0x10, 0x1F, 0x3F, 255, 2**31):
            self.both(bytes(64), 16, 0, 0, 4, 4, True, 8, operator, tuple(right), None, False)
        for value in (5, -1, 2**31, 2**62):
            self.both(bytes(64), 16, 0, 0, value, 4, True, 8, 3, tuple(right), None, False)
            self.both(bytes(64), 16, value, 0, 1, 4, True, 8, 3, tuple(right), None, False)

    def test_far_places(self):
        """A matrix may send places anywhere."""
        dice = random.Random(35)
        image = dice.randbytes(64)
        extremes = (2**31 - 1, -(2**31), 0, ONE)
        for repeat in range(4):
            for bilinear in (False, True):
                for _case in range(20):
                    far = tuple(dice.choice(extremes) for _ in range(6))
                    origin = dice.choice([0, 2**24, -(2**24)])
                    source = (image, 16, 4, 4, True, 8, bilinear, repeat, far, origin, -origin)
                    self.both(bytes(64), 16, 0, 0, 4, 4, True, 8, 12, source, source, False)

    def test_shared_memory(self):
        """Neither image may be the surface itself."""
        for module in (native, reference_composite):
            same = bytearray(64)
            shared = (same, 16, 4, 4, True, 8, False, 0, IDENTITY, 0, 0)
            other = (bytes(64), *shared[1:])
            for source, mask in ((shared, None), (other, shared)):
                with self.assertRaisesRegex(ValueError, "src: shares memory with dst"):
                    module.composite(same, 16, 0, 0, 4, 4, True, 8, 3, source, mask, False)


def image_of(picture):
    """What a message points to."""
    format = BitmapFormat.RGBA if picture.has_alpha else BitmapFormat.BIT32
    return Placeholder(DeviceImage(picture.width, picture.height, format, picture.width * 4, picture.data))


class CompositeTests(SynchronousTestCase):
    """DRAW_COMPOSITE gives what pixman gives."""

    if pixman.library is None:
        skip = "there is no pixman here"

    def check(self, dice, operator):
        """Draw one random command; compare the box with what pixman makes of it."""
        component_alpha = dice.random() < 0.4
        source = picture(dice)
        mask = picture(dice, component_alpha) if dice.random() < 0.5 else None
        surface = Surface(5, 30, 20, dice.choice([SurfaceFormat.XRGB32, SurfaceFormat.ARGB32]))
        surface.pixels[:] = pixels(dice, 600)
        if not surface.has_alpha:
            surface.pixels[3::4] = bytes(600)
        left, top = dice.randint(0, 20), dice.randint(0, 12)
        width, height = dice.randint(1, 30 - left), dice.randint(1, 20 - top)
        if mask is not None and operator in STALE:
            height = 1
        origins = [(dice.randint(-3, 5), dice.randint(-3, 5)) for _ in range(2)]
        before = bytes(surface.pixels)
        target = pixman.Picture(30, 20, before, surface.has_alpha)
        box = (left, top, width, height)
        expected = pixman.composite(operator, source, mask, target, *origins, box)
        message = self.message(operator, source, mask, box, origins)
        draw_composite(surface, message, {5: surface})
        if surface.has_alpha:
            self.assertEqual(bytes(surface.pixels), expected, message)
        else:
            self.assertEqual(colours(surface.pixels), colours(expected), message)

    def message(self, operator, source, mask, box, origins):
        """The command as a guest gives it."""
        left, top, width, height = box
        flags = operator | source.filter << 8 | source.repeat << 14 | CompositeFlags.HAS_SRC_TRANSFORM
        parts = {}
        if mask is not None:
            flags |= mask.filter << 11 | mask.repeat << 16 | CompositeFlags.HAS_MASK
            flags |= CompositeFlags.HAS_MASK_TRANSFORM | (
                CompositeFlags.COMPONENT_ALPHA if mask.component_alpha else 0
            )
            parts["mask_bitmap"] = image_of(mask)
            parts["mask_transform"] = Transform(*(number & 0xFFFFFFFF for number in mask.transform))
        return DrawComposite(
            DrawBase(5, Rect(top, left, top + height, left + width)),
            flags,
            image_of(source),
            src_transform=Transform(*(number & 0xFFFFFFFF for number in source.transform)),
            src_origin=Point16(*origins[0]),
            mask_origin=Point16(*origins[1]),
            **parts,
        )

    def test_every_operator(self):
        """All operators that pixman has, with and without masks, however images are read."""
        dice = random.Random(36)
        for case in range(12 * len(OPERATORS)):
            self.check(dice, OPERATORS[case % len(OPERATORS)])

    def test_numbers_between_operators(self):
        """Numbers that pixman leaves out clear the box."""
        dice = random.Random(37)
        for operator in (0x0E, 0x0F, 0x1C, 0x1F, 0x2C, 0x2F):
            self.check(dice, operator)


class OperationTests(SynchronousTestCase):
    """What a guest may get wrong, and what surfaces have to do with it."""

    def draw(self, surface, flags, source=None, surfaces=None, clip=None, **fields):
        """Draw over all of the surface."""
        base = DrawBase(surface.id, Rect(0, 0, surface.height, surface.width), clip or Clip())
        if source is None:
            source = Placeholder(DeviceImage(2, 2, BitmapFormat.RGBA, 8, b"\x10\x20\x30\xff" * 4))
        message = DrawComposite(base, flags, source, **fields)
        draw_composite(surface, message, surfaces or {surface.id: surface})

    def test_unknown_operator(self):
        """An operator that there is not is refused."""
        for operator in (0x3F, 0x40, 0xFF):
            self.assertRaises(ValueError, self.draw, Surface(0, 2, 2), operator)

    def test_filters(self):
        """A convolution is refused, as it has no kernel; an unknown filter draws nothing."""
        surface = Surface(0, 2, 2)
        for filter in (5, 6):
            self.assertRaises(ValueError, self.draw, surface, 1 | filter << 8)
        self.draw(surface, 1 | 7 << 8)
        self.assertEqual(bytes(surface.pixels), bytes(16))

    def test_missing_images(self):
        """Without an image, or the mask that its flag tells of, there is nothing to draw."""
        surface = Surface(0, 2, 2)
        self.assertRaises(ValueError, self.draw, surface, 3 | CompositeFlags.HAS_MASK)
        self.assertRaises(ValueError, self.draw, surface, 3, Placeholder(None))

    def test_only_in_the_clip(self):
        """Outside the clip nothing changes."""
        surface = Surface(0, 2, 2)
        clip = Clip(ClipType.RECTS, [Rect(0, 1, 1, 2)])
        self.draw(surface, 1, clip=clip)
        self.assertEqual(bytes(surface.pixels), bytes(4) + b"\x10\x20\x30\xff" + bytes(8))

    def test_from_itself(self):
        """A surface may be drawn on itself; what it was before is read."""
        surface = Surface(0, 3, 1)
        surface.pixels[:] = b"\1\0\0\0\2\0\0\0\3\0\0\0"
        self.draw(surface, 1, Placeholder(DeviceImage(3, 1, surface=0)), src_origin=Point16(-1, 0))
        self.assertEqual(surface.pixels[::4], b"\0\1\2")

    def test_surface_made_opaque(self):
        """A surface with alpha can be told to count as opaque."""
        source = Surface(1, 2, 2, SurfaceFormat.ARGB32)
        for flags, red in ((3, 0x20), (3 | CompositeFlags.SOURCE_OPAQUE, 0)):
            surface = Surface(0, 2, 2)
            surface.pixels[:] = b"\0\0\x20\0" * 4
            image = Placeholder(DeviceImage(2, 2, surface=1))
            self.draw(surface, flags, image, {0: surface, 1: source})
            self.assertEqual(surface.pixels[2], red)

    def test_indexed(self):
        """What clients cache keeps the palette's alpha on a surface that has alpha: none."""
        for flags, left in ((0, 0), (ImageFlags.CACHE_ME, 0x20)):
            surface = Surface(0, 1, 1, SurfaceFormat.ARGB32)
            surface.pixels[:] = b"\x20\0\0\xff"
            image = DeviceImage(1, 1, BitmapFormat.BIT8, 1, b"\0", flags=flags, palette=(0x000001,))
            self.draw(surface, 3, Placeholder(image))
            self.assertEqual(surface.pixels[0], left + 1)

    def test_places_too_large(self):
        """Places that do not fit into 16.16 fixed point draw nothing, as at clients."""
        surface = Surface(0, 2, 2)
        far = Transform(2**31 - 1, 0, 2**31 - 1, 0, ONE, 0)
        flags = 1 | CompositeFlags.HAS_SRC_TRANSFORM | 2 << 14
        self.draw(surface, flags, src_transform=far)
        self.assertEqual(bytes(surface.pixels), bytes(16))

    def test_simplified(self):
        """Saturation is not calculated with fractions if the source is opaque."""
        self.assertEqual([simplified(13, opaque) for opaque in (False, True)], [13, 4])
        self.assertEqual([simplified(operator, True) for operator in (0x10, 0x21, 0x12)], [0, 1, 2])

    def test_opaque_samples(self):
        """An image without alpha is opaque where it is read only inside."""
        image = Pixels(4, 4, 16, bytes(64))
        self.assertTrue(Sampled(image, False).is_opaque(Box(0, 0, 4, 4)))
        self.assertFalse(Sampled(image, False).is_opaque(Box(0, 0, 5, 4)))
        self.assertTrue(Sampled(image, False, repeat=1).is_opaque(Box(0, 0, 50, 4)))
        self.assertFalse(Sampled(image, True).is_opaque(Box(0, 0, 4, 4)))
        self.assertFalse(
            Sampled(image, False, matrix=(ONE - 1, 0, 0, 0, ONE, 0), bilinear=True).is_opaque(Box(0, 0, 4, 4))
        )
