# SPDX-License-Identifier: LGPL-2.1-or-later
"""
QUIC images: every pixel predicted from its neighbours, the error coded by adaptive
Golomb-Rice codes, runs by the MELCODE.

A stream is 32-bit little-endian words: magic, version, type, width and height,
then bits, the first in the highest bit of a word. The top row comes first. How
the bits are made is said in ``quic_reference.py``.

Source: spice-common of spice 0.15.1, quic.c; canvas_get_quic of spice-gtk 0.42.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from spicemig.codecs.kernels import quic_decode, quic_encode
from spicemig.codecs.pixels import MAX_IMAGE_BYTES, ImageError, Pixels, row_bytes
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat

MAGIC = 0x43495551  # "QUIC"
VERSION = 0
_HEADER = struct.Struct("<5I")
_ALWAYS_CODED = 3  # pixels at the left of a row that no run can contain


class QuicType(IntEnum):
    """What a stream's pixels are made of."""

    GRAY = 1
    RGB16 = 2  # five bits each of B, G, R
    RGB24 = 3
    RGB32 = 4  # as RGB24: the fourth byte is not coded
    RGBA = 5


TYPES: dict[int, QuicType] = {
    BitmapFormat.BIT16: QuicType.RGB16,
    BitmapFormat.BIT24: QuicType.RGB24,
    BitmapFormat.BIT32: QuicType.RGB32,
    BitmapFormat.RGBA: QuicType.RGBA,
}
FORMATS = frozenset(TYPES)  # of what clients can show; they refuse gray
_FORMAT_OF = {type: format for format, type in TYPES.items()} | {QuicType.GRAY: BitmapFormat.BIT8_A}
_SYMBOLS = {QuicType.GRAY: 1, QuicType.RGBA: 4}  # in a pixel; else three


def encode(pixels: Pixels) -> list[Buffer]:
    """The payload, in parts; their sum may be larger than the bitmap."""
    if pixels.format not in FORMATS:
        raise ValueError(f"bitmap format {pixels.format} has no QUIC form")
    return encode_as(pixels, TYPES[pixels.format])


def encode_as(pixels: Pixels, type: QuicType) -> list[Buffer]:
    """The payload of this type; gray is made of :data:`BitmapFormat.BIT8_A`."""
    if pixels.format != _FORMAT_OF[type]:
        raise ValueError(f"bitmap format {pixels.format} is not QUIC's {type.name}")
    pixels.check()
    header = _HEADER.pack(MAGIC, VERSION, type, pixels.width, pixels.height)
    coded = quic_encode(pixels.data, pixels.stride, pixels.width, pixels.height, type, pixels.top_down)
    return [header, coded]


def decode(payload: Buffer, width: int, height: int) -> Pixels:
    """The pixels of an image of this size, in a format that clients can show; raises :class:`ImageError`."""
    pixels = decode_any(payload)
    if (pixels.width, pixels.height) != (width, height):
        raise ImageError(f"a QUIC image of {pixels.width}x{pixels.height} where {width}x{height} was said")
    if pixels.format not in FORMATS:
        raise ImageError("a QUIC image of gray pixels")
    return pixels


def decode_any(payload: Buffer, wanted: QuicType | None = None) -> Pixels:
    """The pixels of a stream of any type and size, or of one type; raises :class:`ImageError`."""
    data = memoryview(payload)
    if len(data) < _HEADER.size:
        raise ImageError("QUIC without its header")
    magic, version, number, width, height = _HEADER.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        raise ImageError("not QUIC, or not its version 0")
    try:
        type = QuicType(number)
    except ValueError:
        raise ImageError(f"QUIC of type {number}") from None
    if wanted not in (None, type):
        raise ImageError(f"QUIC of type {type.name.lower()}")
    format = _FORMAT_OF[type]
    stride = row_bytes(format, width)
    coded = data[_HEADER.size :]
    least_bits = height * min(width, _ALWAYS_CODED) * _SYMBOLS.get(type, 3)
    if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF and stride * height <= MAX_IMAGE_BYTES):
        raise ImageError(f"QUIC of {width}x{height} pixels")
    if least_bits > 8 * len(coded):
        raise ImageError(f"QUIC of {len(coded)} bytes for {width}x{height} pixels")
    rows = bytearray(stride * height)
    done = quic_decode(rows, stride, width, height, type, coded)
    if done != height:
        raise ImageError(f"QUIC row {done} is cut short, or a run leaves it")
    return Pixels(width, height, format, stride, rows)
