# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.surfaces`` and ``screenshot``."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.screenshot import png
from spicemig.devices.surfaces import LARGEST_SIDE, Surface
from spicemig.wire.enums import SurfaceFormat


class SurfaceTests(SynchronousTestCase):
    """Pixels are blue, green, red and one byte more."""

    def test_image(self):
        """A picture of a surface has its colours, and alpha where it has any."""
        for format, expected in ((SurfaceFormat.XRGB32, (3, 2, 1)), (SurfaceFormat.ARGB32, (3, 2, 1, 4))):
            surface = Surface(0, 2, 1, format)
            surface.pixels[4:] = bytes([1, 2, 3, 4])
            self.assertEqual(surface.image().getpixel((1, 0)), expected)

    def test_image_of_its_own(self):
        """Drawing on the surface later does not change a picture that was taken."""
        surface = Surface(0, 1, 1)
        before = surface.image()
        surface.pixels[:] = b"\xff" * 4
        self.assertEqual(before.getpixel((0, 0)), (0, 0, 0))

    def test_impossible(self):
        """Surfaces without pixels, or with too many, are refused."""
        for size in ((0, 5), (5, 0), (LARGEST_SIDE + 1, 1), (1, LARGEST_SIDE + 1)):
            self.assertRaises(ValueError, Surface, 0, *size)

    def test_png(self):
        """A screenshot is a PNG without alpha."""
        surface = Surface(0, 3, 2, SurfaceFormat.ARGB32)
        surface.pixels[:4] = bytes([10, 20, 30, 0])
        with Image.open(BytesIO(png(surface))) as picture:
            self.assertEqual((picture.format, picture.mode, picture.size), ("PNG", "RGB", (3, 2)))
            self.assertEqual(picture.getpixel((0, 0)), (30, 20, 10))
