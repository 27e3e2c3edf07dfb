# SPDX-License-Identifier: LGPL-2.1-or-later
"""
LZ images: units that were seen before in the same image become references.

A stream is a header of seven big-endian 32-bit words (magic, version, type, width,
height, bytes of a row, top_down) and the tokens of one or two planes, all rows one
behind the other in the order in which a bitmap has them; see ``lz_reference.py``. The
palette of palette types is not part of it.

Source: spice-common of spice 0.15.1, lz.c; canvas_get_lz of spice-gtk 0.42.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from spicemig.codecs.kernels import lz_decode, lz_encode
from spicemig.codecs.lz_reference import ALPHA, BYTES, RGB16, RGB24, RGB32
from spicemig.codecs.pixels import MAX_IMAGE_BYTES, PALETTE_FORMATS, ImageError, Pixels, row_bytes
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat

MAGIC = 0x20205A4C  # "LZ  " backwards
VERSION = 0x00010001
_HEADER = struct.Struct(">7I")
MAX_EXPANSION = 255  # a byte of tokens makes no more units than this


class LzType(IntEnum):
    """What a stream's pixels are made of."""

    PLT1_LE = 1
    PLT1_BE = 2
    PLT4_LE = 3
    PLT4_BE = 4
    PLT8 = 5
    RGB16 = 6
    RGB24 = 7
    RGB32 = 8  # the fourth byte is not coded
    RGBA = 9  # as RGB32, then the alpha of all pixels
    XXXA = 10  # only the alpha
    A8 = 11


TYPES: dict[int, LzType] = {
    BitmapFormat.BIT1_LE: LzType.PLT1_LE,
    BitmapFormat.BIT1_BE: LzType.PLT1_BE,
    BitmapFormat.BIT4_LE: LzType.PLT4_LE,
    BitmapFormat.BIT4_BE: LzType.PLT4_BE,
    BitmapFormat.BIT8: LzType.PLT8,
    BitmapFormat.BIT16: LzType.RGB16,
    BitmapFormat.BIT24: LzType.RGB24,
    BitmapFormat.BIT32: LzType.RGB32,
    BitmapFormat.RGBA: LzType.RGBA,
    BitmapFormat.BIT8_A: LzType.A8,
}
PALETTE_TYPES = frozenset(TYPES[format] for format in PALETTE_FORMATS)
COLOUR_FORMATS = frozenset(TYPES) - PALETTE_FORMATS

_FORMAT_OF = {type: format for format, type in TYPES.items()} | {LzType.XXXA: BitmapFormat.RGBA}
_PLANES: dict[LzType, tuple[int, ...]] = {
    LzType.RGB16: (RGB16,),
    LzType.RGB24: (RGB24,),
    LzType.RGB32: (RGB32,),
    LzType.RGBA: (RGB32, ALPHA),
    LzType.XXXA: (ALPHA,),
}


def planes(type: LzType) -> tuple[int, ...]:
    """The planes of a stream of this type, in order."""
    return _PLANES.get(type, (BYTES,))


def encode(pixels: Pixels) -> list[Buffer]:
    """The payload, in parts; their sum may be larger than the bitmap."""
    if pixels.format not in TYPES:
        raise ValueError(f"bitmap format {pixels.format} has no LZ form")
    return encode_as(pixels, TYPES[pixels.format])


def encode_as(pixels: Pixels, type: LzType) -> list[Buffer]:
    """The payload of this type; the alpha of RGBA pixels alone can be had as ``XXXA``."""
    if pixels.format != _FORMAT_OF[type]:
        raise ValueError(f"bitmap format {pixels.format} is not LZ's {type.name}")
    pixels.check()
    stride = row_bytes(pixels.format, pixels.width)
    header = _HEADER.pack(
        MAGIC, VERSION, type, pixels.width, pixels.height, stride, 1 if pixels.top_down else 0
    )
    rows = pixels.rows()
    return [header, *(lz_encode(rows, plane) for plane in planes(type))]


def decode(payload: Buffer, width: int, height: int) -> Pixels:
    """The pixels of an LZ_RGB image of this size; raises :class:`ImageError`."""
    pixels = decode_any(payload)
    _check_size(pixels, width, height)
    if pixels.format not in COLOUR_FORMATS:
        raise ImageError("LZ of palette indexes without a palette")
    return pixels


def decode_indexes(payload: Buffer, width: int, height: int, palette: tuple[int, ...]) -> Pixels:
    """The pixels of an LZ_PLT image of this size; raises :class:`ImageError`."""
    pixels = decode_any(payload)
    _check_size(pixels, width, height)
    if pixels.format not in PALETTE_FORMATS:
        raise ImageError("LZ of colours where palette indexes were said")
    pixels.palette = palette
    return pixels


def _check_size(pixels: Pixels, width: int, height: int) -> None:
    if (pixels.width, pixels.height) != (width, height):
        raise ImageError(f"an LZ image of {pixels.width}x{pixels.height} where {width}x{height} was said")


def decode_any(payload: Buffer, wanted: LzType | None = None) -> Pixels:
    """
    The pixels of a stream of any type and size, or of one type; raises
    :class:`ImageError`. Bytes that the type does not code are 0.
    """
    data = memoryview(payload)
    if len(data) < _HEADER.size:
        raise ImageError("LZ without its header")
    magic, version, number, width, height, stride, top_down = _HEADER.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        raise ImageError("not LZ, or not its version 1.1")
    try:
        type = LzType(number)
    except ValueError:
        raise ImageError(f"LZ of type {number}") from None
    if wanted not in (None, type):
        raise ImageError(f"LZ of type {type.name.lower()}")
    format = _FORMAT_OF[type]
    if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF and stride * height <= MAX_IMAGE_BYTES):
        raise ImageError(f"LZ of {width}x{height} pixels")
    if stride != row_bytes(format, width):
        raise ImageError(f"LZ of {stride} bytes a row for {width} pixels of {type.name.lower()}")
    tokens = data[_HEADER.size :]
    units = stride * height if type in PALETTE_TYPES else width * height
    if units > MAX_EXPANSION * len(tokens):
        raise ImageError(f"LZ of {len(tokens)} bytes for {width}x{height} pixels")
    rows = bytearray(stride * height)
    for plane in planes(type):
        taken = lz_decode(rows, plane, tokens)
        if not taken:
            raise ImageError("LZ tokens that do not make up the image")
        tokens = tokens[taken:]
    if tokens:
        raise ImageError(f"{len(tokens)} bytes behind an LZ image")
    return Pixels(width, height, format, stride, rows, bool(top_down))
