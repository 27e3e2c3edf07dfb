# SPDX-License-Identifier: LGPL-2.1-or-later
"""
JPEG images: lossy, for natural pictures on slow lines.

Source: spice-server 0.15.1, jpeg-encoder.c; canvas_get_jpeg of spice-gtk 0.42.
"""

from __future__ import annotations

import io

from PIL import Image

from spicemig.codecs.pixels import MAX_IMAGE_BYTES, ImageError, Pixels
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat

FORMATS = frozenset((BitmapFormat.BIT24, BitmapFormat.BIT32))
QUALITY = 85  # of lossy images; what spice-server uses


def encode(pixels: Pixels, quality: int = QUALITY) -> list[Buffer]:
    """The payload: a baseline JPEG file, top row first."""
    if pixels.format not in FORMATS:
        raise ValueError(f"bitmap format {pixels.format} has no JPEG form")
    out = io.BytesIO()
    pixels.image().save(out, "JPEG", quality=quality)
    return [out.getvalue()]


def decode(payload: Buffer, width: int, height: int) -> Pixels:
    """The pixels as 32-bit rows, top row first; raises :class:`ImageError` unless it has this size."""
    if not 0 < width * height * 4 <= MAX_IMAGE_BYTES:
        raise ImageError(f"JPEG of {width}x{height} pixels")
    try:
        with Image.open(io.BytesIO(bytes(payload)), formats=("JPEG",)) as image:
            if image.size != (width, height):
                raise ImageError(f"a JPEG of {image.width}x{image.height} where {width}x{height} was said")
            data = image.convert("RGB").tobytes("raw", "BGRX")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"JPEG: {error}") from error
    return Pixels(width, height, BitmapFormat.BIT32, width * 4, data)
