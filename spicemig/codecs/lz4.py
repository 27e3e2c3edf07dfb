# SPDX-License-Identifier: LGPL-2.1-or-later
"""
LZ4 images: rows of a bitmap as linked LZ4 blocks.

A payload is a byte ``top_down``, a byte bitmap format, then blocks of a
big-endian 32-bit size and LZ4 block data; a block may refer to the 64 KiB decoded
before it. Rows have no padding.

Source: spice-server 0.15.1, lz4-encoder.c; canvas_get_lz4 of spice-gtk 0.42.
"""

from __future__ import annotations

import struct

from lz4 import block

from spicemig.codecs.pixels import MAX_IMAGE_BYTES, ImageError, Pixels, row_bytes
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat

FORMATS = frozenset((BitmapFormat.BIT16, BitmapFormat.BIT24, BitmapFormat.BIT32, BitmapFormat.RGBA))
BLOCK_BYTES = 1024 * 1024  # of pixels in a block, about: bounds the room that the compressor needs
WINDOW_BYTES = 64 * 1024  # how far back a block can refer
MAX_EXPANSION = 255  # a byte of LZ4 data makes fewer bytes than this

_SIZE = struct.Struct(">I")


def encode(pixels: Pixels) -> list[Buffer]:
    """The payload, in parts; their sum may be larger than the bitmap."""
    if pixels.format not in FORMATS:
        raise ValueError(f"bitmap format {pixels.format} has no LZ4 form")
    rows = pixels.rows()
    stride = row_bytes(pixels.format, pixels.width)
    step = max(1, BLOCK_BYTES // stride) * stride
    parts: list[Buffer] = [bytes((pixels.top_down, pixels.format))]
    for start in range(0, len(rows), step):
        before = {"dict": rows[max(0, start - WINDOW_BYTES) : start]} if start else {}
        packed = block.compress(rows[start : start + step], store_size=False, **before)
        parts += (_SIZE.pack(len(packed)), packed)
    return parts


def decode(payload: Buffer, width: int, height: int) -> Pixels:
    """The pixels of an image of this size; raises :class:`ImageError`."""
    data = memoryview(payload)
    if len(data) < 2:
        raise ImageError("LZ4 without its header")
    top_down, format = bool(data[0]), data[1]
    if format not in FORMATS:
        raise ImageError(f"LZ4 of bitmap format {format}")
    stride = row_bytes(format, width)
    total = stride * height
    if not 0 < total <= min(MAX_IMAGE_BYTES, MAX_EXPANSION * len(data)):
        raise ImageError(f"LZ4 of {len(data)} bytes for {width}x{height} pixels")
    pixels = bytearray(total)
    made = memoryview(pixels)
    at, filled, blocks = 2, 0, 0
    while filled < total:
        blocks += 1
        if at + 4 > len(data) or blocks > height:
            raise ImageError("LZ4 data ends early, or a block holds no row")
        (size,) = _SIZE.unpack_from(data, at)
        at += 4
        if size > len(data) - at:
            raise ImageError("an LZ4 block is longer than the data")
        try:
            part = block.decompress(
                data[at : at + size],
                uncompressed_size=min(total - filled, MAX_EXPANSION * size),
                dict=made[max(0, filled - WINDOW_BYTES) : filled],
            )
        except block.LZ4BlockError as error:
            raise ImageError(f"LZ4: {error}") from error
        if not part:
            raise ImageError("an LZ4 block holds nothing")
        made[filled : filled + len(part)] = part
        filled += len(part)
        at += size
    return Pixels(width, height, format, stride, pixels, top_down)
