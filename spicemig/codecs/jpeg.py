# SPDX-License-Identifier: LGPL-2.1-or-later
"""
JPEG images: lossy, for natural pictures on slow lines.

A JPEG_ALPHA image is a JPEG of the colours and, behind it, an LZ stream of type XXXA:
the alpha as it was. Its flags say whether the LZ stream begins with the top row, which
a JPEG always does.

Source: spice-server 0.15.1, jpeg-encoder.c and image-encoders.cpp; canvas_get_jpeg and
canvas_get_jpeg_alpha of spice-gtk 0.42.
"""

from __future__ import annotations

import io
import struct

from PIL import Image

from spicemig.codecs import lz
from spicemig.codecs.pixels import MAX_IMAGE_BYTES, ImageError, Pixels
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat, JpegAlphaFlags

FORMATS = frozenset((BitmapFormat.BIT24, BitmapFormat.BIT32))
ALPHA_FORMATS = frozenset((BitmapFormat.RGBA,))
QUALITY = 85  # of lossy images; what spice-server uses

ALPHA_HEAD = struct.Struct("<BI")  # flags, bytes of the JPEG; the size of both parts follows
_TOP_DOWN = int(JpegAlphaFlags.TOP_DOWN)


def encode(pixels: Pixels, quality: int = QUALITY) -> list[Buffer]:
    """The payload: a baseline JPEG file, top row first."""
    if pixels.format not in FORMATS:
        raise ValueError(f"bitmap format {pixels.format} has no JPEG form")
    return [_colours(pixels, quality)]


def encode_alpha(pixels: Pixels, quality: int = QUALITY) -> list[Buffer]:
    """The :data:`ALPHA_HEAD` of a JPEG_ALPHA image, and the parts of its payload."""
    if pixels.format not in ALPHA_FORMATS:
        raise ValueError(f"bitmap format {pixels.format} has no JPEG_ALPHA form")
    colours = _colours(pixels, quality)
    head = ALPHA_HEAD.pack(_TOP_DOWN if pixels.top_down else 0, len(colours))
    return [head, colours, *lz.encode_as(pixels, lz.LzType.XXXA)]


def _colours(pixels: Pixels, quality: int) -> bytes:
    pixels.check()
    out = io.BytesIO()
    _without_alpha(pixels).image().save(out, "JPEG", quality=quality)
    return out.getvalue()


def _without_alpha(pixels: Pixels) -> Pixels:
    """The same rows, whose fourth byte means nothing."""
    format = BitmapFormat.BIT32 if pixels.format == BitmapFormat.RGBA else pixels.format
    return Pixels(pixels.width, pixels.height, format, pixels.stride, pixels.data, pixels.top_down)


def decode(payload: Buffer, width: int, height: int) -> Pixels:
    """The pixels as 32-bit rows, top row first; raises :class:`ImageError` unless it has this size."""
    if not 0 < width * height * 4 <= MAX_IMAGE_BYTES:
        raise ImageError(f"JPEG of {width}x{height} pixels")
    try:
        with Image.open(io.BytesIO(bytes(payload)), formats=("JPEG",)) as image:
            if image.size != (width, height):
                raise ImageError(f"a JPEG of {image.width}x{image.height} where {width}x{height} was said")
            colours = image if image.mode == "RGB" else image.convert("RGB")
            data = colours.tobytes("raw", "BGRX")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"JPEG: {error}") from error
    return Pixels(width, height, BitmapFormat.BIT32, width * 4, data)


def decode_alpha(flags: int, jpeg_size: int, payload: Buffer, width: int, height: int) -> Pixels:
    """The pixels as RGBA rows, top row first; raises :class:`ImageError` as :func:`decode` does."""
    data = memoryview(payload)
    if not 0 < jpeg_size < len(data):
        raise ImageError(f"a JPEG of {jpeg_size} bytes in an image of {len(data)}")
    colours = decode(data[:jpeg_size], width, height)
    alpha = lz.decode_any(data[jpeg_size:], lz.LzType.XXXA)
    if (alpha.width, alpha.height) != (width, height):
        raise ImageError(f"alpha of {alpha.width}x{alpha.height} pixels for {width}x{height}")
    if alpha.top_down != bool(flags & _TOP_DOWN):
        raise ImageError("alpha that begins with another row than is said")
    rows = bytearray(colours.data)
    row_bytes = width * 4
    for row in range(height):
        start = row * row_bytes
        there = start if alpha.top_down else (height - 1 - row) * row_bytes
        rows[start + 3 : start + row_bytes : 4] = alpha.data[there + 3 : there + row_bytes : 4]
    return Pixels(width, height, BitmapFormat.RGBA, row_bytes, rows)
