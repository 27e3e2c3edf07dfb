# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of kernels and their twins share."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.raster import reference

_kernels: ModuleType | None
try:
    from spicemig import _kernels
except ImportError:
    _kernels = None

PUT = 12


class TwinCase(SynchronousTestCase):
    """Dice, and a way to call a kernel and its twin."""

    twins: Any = reference  # the module of the twins

    if _kernels is None:
        skip = "the extension is not built here"

    def setUp(self):
        self.dice = random.Random(20)

    def both(self, name, buffer, *arguments):
        """Call both with a copy of the buffer; compare what they leave, or that both refuse."""
        results = []
        for module in (_kernels, self.twins):
            copy = bytearray(buffer)
            try:
                getattr(module, name)(copy, *arguments)
            except ValueError as error:
                results.append(str(error))
            else:
                results.append(copy)
        self.assertEqual(results[0], results[1], f"{name}{arguments}")
        return results[0]

    def size(self):
        """Mostly small, sometimes none, seldom wrong."""
        return self.dice.choice([0, 1, 2, 3, 5, 8, 13, 31, 32, 33, self.dice.randrange(-2, 70)])

    def rectangle(self, width, height):
        """Left, top, cols, rows of a rectangle that is mostly inside."""
        if self.dice.random() < 0.2:
            return [self.size() for _side in range(4)]
        cols, rows = self.dice.randint(0, width), self.dice.randint(0, height)
        return [self.dice.randint(0, width - cols), self.dice.randint(0, height - rows), cols, rows]

    def surface(self):
        """A width, a height, a stride and that many random bytes."""
        width, height = self.dice.randint(1, 50), self.dice.randint(1, 20)
        stride = 4 * width + self.dice.choice([0, 0, 1, 4, 7])
        return width, height, stride, self.dice.randbytes(stride * height)

    def kernels(self):
        """The module in C."""
        return _kernels
