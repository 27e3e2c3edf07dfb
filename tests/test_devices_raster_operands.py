# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for surfaces that are combined with surfaces of another format."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.drawables import DeviceImage
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.surfaces import Surface
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import DrawBase, Rect
from spicemig.wire.enums import AlphaFlags, SurfaceFormat
from spicemig.wire.messages.display import DrawAlphaBlend, DrawComposite

OVER = 3
ALL = Rect(0, 0, 1, 2)


class OperandTests(SynchronousTestCase):
    """A surface keeps its alpha, whatever it is combined with."""

    def drawn(self, message: Any) -> bytes:
        target = Surface(0, 2, 1, SurfaceFormat.RGB565)
        source = Surface(1, 2, 1, SurfaceFormat.ARGB32)
        target.pixels[:] = bytes((255, 255, 255, 0)) * 2
        source.pixels[:] = bytes((0, 0, 0, 255)) + bytes((0, 0, 0, 0))
        OPERATIONS[type(message)](target, message, {0: target, 1: source})
        return bytes(target.pixels[0:3] + target.pixels[4:7])

    def test_composite(self) -> None:
        """Composed over 16 bits, what is transparent stays so."""
        message = DrawComposite(DrawBase(0, ALL), OVER, Placeholder(DeviceImage(2, 1, surface=1)))
        self.assertEqual(self.drawn(message), bytes((0, 0, 0, 255, 255, 255)))

    def test_alpha_blend(self) -> None:
        """Blended over 16 bits, too."""
        flags = int(AlphaFlags.SRC_SURFACE_HAS_ALPHA)
        message = DrawAlphaBlend(DrawBase(0, ALL), flags, 255, Placeholder(DeviceImage(2, 1, surface=1)), ALL)
        self.assertEqual(self.drawn(message), bytes((0, 0, 0, 255, 255, 255)))
