# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Bitmaps: rows of pixels as they are, with or without a palette.

Source: spice.proto, BitmapData.
"""

from __future__ import annotations

from spicemig.codecs.pixels import Pixels
from spicemig.wire.drawing import Bitmap, Palette
from spicemig.wire.enums import BitmapFlags


def encode(pixels: Pixels, palette_id: int = 0) -> Bitmap:
    """The record for pixels; a palette goes with it."""
    flags = BitmapFlags.TOP_DOWN if pixels.top_down else BitmapFlags(0)
    palette = Palette(unique=palette_id, ents=list(pixels.palette)) if pixels.palette else None
    data = memoryview(pixels.data)[: pixels.stride * pixels.height]
    return Bitmap(pixels.format, flags, pixels.width, pixels.height, pixels.stride, None, palette, data)


def decode(bitmap: Bitmap, palette: Palette | None = None) -> Pixels:
    """
    The pixels of a record; raises :class:`ImageError`.

    ``palette`` is the one that the client kept, where the record only names it.
    """
    found = bitmap.palette or palette
    pixels = Pixels(
        bitmap.x,
        bitmap.y,
        bitmap.format,
        bitmap.stride,
        bitmap.data,
        bool(bitmap.flags & BitmapFlags.TOP_DOWN),
        tuple(found.ents) if found is not None else (),
    )
    pixels.check()
    return pixels
