# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A sketch of the images of the past: whether the like of one was there, at little cost.

It keeps no pixels, so that it may be wrong: seldom about what was there, and sooner
or later about what was there long ago.
"""

from __future__ import annotations

from spicemig.codecs import kernels
from spicemig.codecs.pixels import BITS_PER_PIXEL, PALETTE_FORMATS, Pixels

PIXELS_OF_A_SLOT = 16  # a square
SLOT_BYTES = 4


class Sketch:
    """Remembers images of about so many ``pixels`` in all, a power of two."""

    def __init__(self, pixels: int) -> None:
        self._slots = bytearray(pixels // PIXELS_OF_A_SLOT * SLOT_BYTES)

    def add(self, pixels: Pixels) -> None:
        """An image; one with a palette is not remembered."""
        if _is_sketched(pixels):
            kernels.sketch_add(self._slots, *_arguments(pixels))

    def share(self, pixels: Pixels) -> float:
        """Which part of an image, from 0 to 1, was there; what has one colour does not count."""
        if not _is_sketched(pixels):
            return 0.0
        found, tried = kernels.sketch_find(self._slots, *_arguments(pixels))
        return found / tried if tried else 0.0


def _is_sketched(pixels: Pixels) -> bool:
    pixels.check()
    return (
        pixels.format in BITS_PER_PIXEL
        and pixels.format not in PALETTE_FORMATS
        and BITS_PER_PIXEL[pixels.format] >= 16
    )


def _arguments(pixels: Pixels) -> tuple[object, ...]:
    pixel_bytes = BITS_PER_PIXEL[pixels.format] // 8
    return pixels.data, pixels.stride, pixels.width, pixels.height, pixel_bytes, int(pixels.format)
