# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How surfaces of few bits keep their pixels in four bytes.

Whatever the format, a surface has pixels of blue, green, red and alpha, each with
the values that the format can keep: colours of 16 bits have their upper bits again
in the lower ones, so that bitwise operations on them stay exact; formats of
alpha alone have no colour, and alpha of one bit is 0 or 255. What calculates
pixels rounds them with :func:`settle` afterwards.

Source: spice-common, pixman_utils.c, and pixman: what a canvas of such a format keeps.
"""

from __future__ import annotations

from collections.abc import Iterable

from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.kernels import settle_rect
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import SurfaceFormat

PLAIN_FORMATS = frozenset((SurfaceFormat.XRGB32, SurfaceFormat.ARGB32))  # four bytes are four bytes
SIXTEEN_BITS = frozenset((SurfaceFormat.RGB555, SurfaceFormat.RGB565))
ONLY_ALPHA = frozenset((SurfaceFormat.A8, SurfaceFormat.A1))

OPAQUE = 0xFF000000


def solid(format: int, value: int) -> int:
    """The pixel that a colour of a message is on a surface of this format."""
    if format in PLAIN_FORMATS:
        return value
    if format == SurfaceFormat.RGB555:
        return widened(value & 31, 5) | widened(value >> 5 & 31, 5) << 8 | widened(value >> 10 & 31, 5) << 16
    if format == SurfaceFormat.RGB565:
        return widened(value & 31, 5) | widened(value >> 5 & 63, 6) << 8 | widened(value >> 11 & 31, 5) << 16
    if format == SurfaceFormat.A8:
        return (value & 0xFF) << 24
    return OPAQUE if value & 1 else 0


def widened(part: int, bits: int) -> int:
    """A colour of 5 or 6 bits as one of 8."""
    return part << 8 - bits | part >> 2 * bits - 8


def settle(surface: Surface, boxes: Iterable[Box]) -> None:
    """Round what was calculated in these boxes to what the surface keeps."""
    if surface.format in PLAIN_FORMATS:
        return
    for box in boxes:
        settle_rect(surface.pixels, surface.stride, box.left, box.top, box.cols, box.rows, surface.format)
