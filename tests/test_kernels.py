# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig._kernels`` and its twins in ``devices/raster/reference.py``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from spicemig.devices.raster import reference
from tests.twins import PUT, TwinCase, _kernels

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "spicemig" / "_kernels"


class TwinTests(TwinCase):
    """A kernel and its twin give the same bytes, and refuse the same arguments."""

    def test_fill(self):
        """Fills of every operation, inside and outside the buffer."""
        for _case in range(400):
            width, height, stride, pixels = self.surface()
            rop = self.dice.choice([PUT, self.dice.randrange(17)])
            self.both(
                "fill_rect", pixels, stride, *self.rectangle(width, height), self.dice.getrandbits(32), rop
            )

    def test_copy(self):
        """Copies between buffers of different strides."""
        for _case in range(400):
            width, height, stride, pixels = self.surface()
            left, top, cols, rows = self.rectangle(width, height)
            src_stride = max(4 * (cols + 3), 4)
            source = self.dice.randbytes(src_stride * max(rows + 2, 1))
            rop = self.dice.choice([PUT, self.dice.randrange(16)])
            self.both(
                "copy_rect",
                pixels,
                stride,
                left,
                top,
                source,
                src_stride,
                self.dice.randint(0, 3),
                self.dice.randint(0, 2),
                cols,
                rows,
                rop,
            )

    def test_move(self):
        """Moves inside a buffer, the rectangles overlapping in every direction."""
        for _case in range(400):
            width, height, stride, pixels = self.surface()
            left, top, cols, rows = self.rectangle(width, height)
            src_left = max(0, min(left + self.dice.randint(-3, 3), width - cols))
            src_top = max(0, min(top + self.dice.randint(-3, 3), height - rows))
            self.both("move_rect", pixels, stride, left, top, cols, rows, src_left, src_top)

    def test_convert(self):
        """Rows of every bitmap format, with palettes too short, strides too small, either way up."""
        bits = {1: 1, 2: 1, 3: 4, 4: 4, 5: 8, 6: 16, 7: 24, 8: 32, 9: 32, 10: 8, 0: 8, 11: 8}
        for case in range(600):
            format = list(bits)[case % len(bits)]
            cols, rows = self.dice.randint(0, 40), self.dice.randint(0, 9)
            stride = (cols * bits[format] + 7) // 8 + self.dice.choice([0, 0, 1, 3, -1])
            source = self.dice.randbytes(max(stride * rows - self.dice.choice([0, 0, 0, 1]), 0))
            palette = self.dice.randbytes(4 * self.dice.choice([0, 1, 2, 15, 16, 255, 256]))
            self.both(
                "convert_rows",
                bytes(4 * cols * rows),
                source,
                stride,
                cols,
                rows,
                format,
                palette,
                self.dice.random() < 0.5,
            )

    def test_enormous_numbers(self):
        """Sizes whose products do not fit into 32 or 64 bits are refused, not wrapped round."""
        for value in (2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1):
            self.both("fill_rect", bytes(64), value, 0, 0, 1, 2, 0, PUT)
            self.both("fill_rect", bytes(64), 16, 0, 0, value, value, 0, PUT)
            self.both("fill_rect", bytes(64), 16, value, value, 1, 1, 0, PUT)
            self.both("move_rect", bytes(64), 16, 0, 0, 1, 1, value, value)
            self.both("convert_rows", bytes(64), bytes(64), value, 4, 4, 8, b"", True)
            self.both("convert_rows", bytes(64), bytes(64), 16, value, 1, 1, b"", False)

    def test_shared_memory(self):
        """A copy from a buffer to itself is refused; moving is for that."""
        for module in (_kernels, reference):
            pixels = bytearray(64)
            with self.assertRaisesRegex(ValueError, "src: shares memory with dst"):
                module.copy_rect(pixels, 16, 0, 0, pixels, 16, 0, 2, 4, 2, PUT)

    def test_same_names(self):
        """Every kernel has a twin."""
        kernels = {name for name in dir(_kernels) if not name.startswith("_")}
        twins = set()
        for path in (ROOT / "spicemig").rglob("*reference*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            twins |= set(dir(import_module(module)))
        self.assertEqual(kernels - twins, set())
