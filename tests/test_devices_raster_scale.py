# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``devices/raster/scale.py``, its kernel and its twin."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.raster import reference_scale
from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.images import Pixels
from spicemig.devices.raster.kernels import native
from spicemig.devices.raster.scale import scaled, scaled_from_corner
from spicemig.wire.enums import ImageScaleMode
from tests import pixman

ONE = 0x10000
MODES = (ImageScaleMode.INTERPOLATE, ImageScaleMode.NEAREST)


def picture(dice, width, height, gap=0):
    """Random pixels, in rows that are ``gap`` bytes apart."""
    stride = 4 * width + gap
    return Pixels(width, height, stride, dice.randbytes(stride * height))


def colours(data):
    """Only blue, green and red of every pixel."""
    return bytes(byte for index, byte in enumerate(data) if index % 4 != 3)


class KernelTests(SynchronousTestCase):
    """The kernel gives the same bytes as its twin, and refuses the same arguments."""

    if native is None:
        skip = "the extension is not built here"

    def both(self, size, *arguments):
        """Call both; compare what they made, or that both refuse."""
        results = []
        for module in (native, reference_scale):
            made = bytearray(size)
            try:
                module.scale_part(made, *arguments)
            except ValueError as error:
                results.append(str(error))
            else:
                results.append(made)
        self.assertEqual(results[0], results[1], arguments[:2] + arguments[3:])
        return results[0]

    def test_random_parts(self):
        """Steps small and large, places inside and beyond the image."""
        dice = random.Random(31)
        for _case in range(250):
            source = picture(dice, dice.randint(0, 12), dice.randint(0, 9), dice.choice([0, 0, 1, 4]))
            cols, rows = dice.randint(0, 20), dice.randint(0, 12)
            steps = [
                dice.choice([0, 1, ONE // 3, ONE - 1, ONE, ONE * 5 // 2, dice.randrange(4 * ONE)])
                for _ in "xy"
            ]
            starts = [dice.randint(-3 * ONE, 9 * ONE) for _ in "xy"]
            size = 4 * cols * rows - dice.choice([0] * 9 + [1])
            flags = dice.random() < 0.5, dice.random() < 0.5
            self.both(
                max(size, 0),
                cols,
                rows,
                source.data,
                source.stride,
                source.width,
                source.height,
                *starts,
                *steps,
                *flags,
            )

    def test_enormous_numbers(self):
        """Places that do not fit into 16.16 are refused, not wrapped round."""
        for value in (2**31 - 1, 2**31, -(2**31), 2**31 - 0x8001, 0x8000 - 2**31, 2**62, -(2**62), 2**63 - 1):
            for bilinear in (False, True):
                self.both(64, 4, 4, bytes(64), 16, 4, 4, value, 0, ONE, ONE, bilinear, True)
                self.both(64, 4, 4, bytes(64), 16, 4, 4, 0, value, ONE, ONE, bilinear, True)
                self.both(64, 4, 4, bytes(64), 16, 4, 4, 0, 0, value, ONE, bilinear, True)
                self.both(64, 4, 4, bytes(64), 16, 4, 4, 0, 0, ONE, value, bilinear, True)
                self.both(64, value, 1, bytes(64), 16, 4, 4, 0, 0, ONE, ONE, bilinear, True)
                self.both(64, 1, value, bytes(64), 16, 4, 4, 0, 0, ONE, ONE, bilinear, True)
                self.both(64, 4, 4, bytes(64), 16, value, 4, 0, 0, ONE, ONE, bilinear, True)
                self.both(64, 4, 4, bytes(64), value, 4, 4, 0, 0, ONE, ONE, bilinear, True)

    def test_shared_memory(self):
        """An image is not scaled into itself."""
        for module in (native, reference_scale):
            pixels = bytearray(64)
            with self.assertRaisesRegex(ValueError, "src: shares memory with dst"):
                module.scale_part(pixels, 4, 4, pixels, 16, 4, 4, 0, 0, ONE, ONE, False, True)


class ScaledTests(SynchronousTestCase):
    """A scaled image is what pixman makes of it."""

    def cases(self, count):
        """Random images, areas of them, boxes, and parts of these."""
        dice = random.Random(32)
        for _case in range(count):
            source = picture(dice, dice.randint(1, 40), dice.randint(1, 30))
            cols, rows = dice.randint(1, source.width), dice.randint(1, source.height)
            left, top = dice.randint(0, source.width - cols), dice.randint(0, source.height - rows)
            area = Box(left, top, left + cols, top + rows)
            whole = Box(5, 7, 5 + dice.randint(1, 90), 7 + dice.randint(1, 60))
            first, last = sorted(dice.choices(range(5, whole.right + 1), k=2))
            upper, lower = sorted(dice.choices(range(7, whole.bottom + 1), k=2))
            part = Box(first, upper, last, lower) if dice.random() < 0.5 else whole
            if part:
                yield source, area, whole, part, dice.choice(MODES), dice.random() < 0.5

    def expected(self, source, transform, at, whole, part, mode, has_alpha):
        """The same with pixman, of which the part is cut out."""
        filter = pixman.NEAREST if mode == ImageScaleMode.NEAREST else pixman.GOOD
        original = pixman.Picture(
            source.width, source.height, source.data, has_alpha, filter, transform=transform
        )
        target = pixman.Picture(whole.cols, whole.rows, bytes(4 * whole.cols * whole.rows))
        made = pixman.composite(1, original, None, target, at, (0, 0), (0, 0, whole.cols, whole.rows))
        stride, inner = 4 * whole.cols, part.moved(-whole.left, -whole.top)
        return b"".join(
            made[row * stride + 4 * inner.left : row * stride + 4 * inner.right]
            for row in range(inner.top, inner.bottom)
        )

    def test_as_copies_are_scaled(self):
        """Of an area, at steps that are whole 65536ths."""
        for source, area, whole, part, mode, has_alpha in self.cases(200):
            made = scaled(source, area, whole, part, mode, has_alpha=has_alpha)
            step_x, step_y = area.cols * ONE // whole.cols, area.rows * ONE // whole.rows
            transform = (step_x, 0, area.left * ONE, 0, step_y, area.top * ONE)
            expected = self.expected(source, transform, (0, 0), whole, part, mode, has_alpha)
            self.assertEqual(bytes(made.data), expected, (area, whole, part, mode))

    def test_as_ternary_operations_are_scaled(self):
        """From the next whole pixel of the result."""
        for source, area, whole, part, mode, has_alpha in self.cases(200):
            made = scaled_from_corner(source, area, whole, part, mode, has_alpha=has_alpha)
            ratio_x, ratio_y = area.cols / whole.cols, area.rows / whole.rows
            transform = (int(ratio_x * ONE), 0, 0, 0, int(ratio_y * ONE), 0)
            at = (int(area.left / ratio_x + 0.5), int(area.top / ratio_y + 0.5))
            expected = self.expected(source, transform, at, whole, part, mode, has_alpha)
            self.assertEqual(bytes(made.data), expected, (area, whole, part, mode))

    if pixman.library is None:
        test_as_copies_are_scaled.skip = "there is no pixman here"
        test_as_ternary_operations_are_scaled.skip = "there is no pixman here"

    def test_too_large(self):
        """An image so large that places do not fit into 16.16 is not drawn at all."""
        source = Pixels(40000, 1, 160000, bytes(160000))
        self.assertIsNone(
            scaled(source, Box(0, 0, 40000, 1), Box(0, 0, 20, 1), Box(0, 0, 20, 1), ImageScaleMode.NEAREST)
        )

    def test_unknown_mode(self):
        """There are two modes."""
        source = Pixels(1, 1, 4, bytes(4))
        box = Box(0, 0, 2, 2)
        self.assertRaises(ValueError, scaled, source, Box(0, 0, 1, 1), box, box, 2)
