# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for the kernels of tiles, ternary operations and rounding, and their twins."""

from __future__ import annotations

from spicemig.devices.raster import reference_rops
from tests.twins import PUT, TwinCase


class RopTwinTests(TwinCase):
    """A kernel and its twin give the same bytes, and refuse the same arguments."""

    twins = reference_rops

    def paint(self):
        """What is painted with: a tile somewhere, a value, seldom something that cannot be."""
        value = self.dice.getrandbits(32)
        if self.dice.random() < 0.3:
            return value, b"", 0, 0, 0, 0, 0
        width, height = self.dice.choice([1, 2, 3, 8, 64, 130]), self.dice.randint(0, 9)
        stride = 4 * width + self.dice.choice([0, 0, 1, 4, -1])
        tile = self.dice.randbytes(max(stride * height - self.dice.choice([0, 0, 0, 1]), 0))
        x, y = (self.dice.choice([self.dice.randint(-50, 50), 2**31 - 1, -(2**31), 0]) for _side in "xy")
        return value, tile, stride, width, height, x, y

    def test_tile(self):
        """Tiles of every operation, at any place, narrower and wider than the rectangle."""
        for _case in range(800):
            width, height, stride, pixels = self.surface()
            rop = self.dice.choice([PUT, self.dice.randrange(17)])
            self.both("tile_rect", pixels, stride, *self.rectangle(width, height), *self.paint(), rop)

    def test_rop3(self):
        """All ternary operations, with tiles and values."""
        for code in [*range(256), *range(257)]:
            width, height, stride, pixels = self.surface()
            left, top, cols, rows = self.rectangle(width, height)
            src_stride = max(4 * (cols + 3), 4)
            source = self.dice.randbytes(src_stride * max(rows + 2, 1))
            place = self.dice.randint(0, 3), self.dice.randint(0, 2)
            self.both(
                "rop3_rect",
                pixels,
                stride,
                left,
                top,
                source,
                src_stride,
                *place,
                cols,
                rows,
                *self.paint(),
                code,
            )

    def test_settle(self):
        """Rounding to the formats of surfaces, and to formats that keep everything."""
        for case in range(400):
            width, height, stride, pixels = self.surface()
            format = (1, 8, 16, 80, 32, 96, 0)[case % 7]
            self.both("settle_rect", pixels, stride, *self.rectangle(width, height), format)

    def test_shared_memory(self):
        """Neither a tile nor a source may be what is drawn on."""
        for module in (self.twins, self.kernels()):
            pixels = bytearray(256)
            own = (0, pixels, 16, 4, 4, 0, 0)
            with self.assertRaisesRegex(ValueError, "shares memory"):
                module.tile_rect(pixels, 16, 0, 0, 4, 4, *own, PUT)
            with self.assertRaisesRegex(ValueError, "shares memory"):
                module.rop3_rect(pixels, 16, 0, 0, pixels, 16, 0, 8, 4, 4, 0, b"", 0, 0, 0, 0, 0, 0)

    def test_what_rounding_keeps(self):
        """Colours of few bits fill the lower bits with the upper ones; alpha formats have no colour."""
        pixel = bytes((0x8F, 0x57, 0xFF, 0x90))
        kept = {
            16: (0x8C, 0x52, 0xFF, 0),
            80: (0x8C, 0x55, 0xFF, 0),
            8: (0, 0, 0, 0x90),
            1: (0, 0, 0, 255),
            32: tuple(pixel),
            96: tuple(pixel),
        }
        for format, expected in kept.items():
            self.assertEqual(tuple(self.both("settle_rect", pixel, 4, 0, 0, 1, 1, format)), expected)
