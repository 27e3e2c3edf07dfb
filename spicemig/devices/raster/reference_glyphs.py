# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/glyphs.c`` in Python: text as a mask of coverage, and colour through it.

Source: spice-common 0.42, canvas_base.c; pixman 0.42, pixman-combine32.c.
"""

from __future__ import annotations

import struct

from spicemig.devices.raster.reference import SIZE_LIMIT, Buffer, _bytes, _inside
from spicemig.devices.raster.reference_rops import _Tile

GLYPH_LIMIT = 65535  # pixels of its sides
GLYPH_PLACE_LIMIT = 2**33  # more than the sum of two places in 32 bits


def _coverage(line: bytes, bits: int, col: int, below: int) -> int:
    """How much of a pixel is covered, of which ``below`` is already."""
    if bits == 1:
        return below | 255 * (line[col // 8] >> 7 - col % 8 & 1)
    if bits == 8:
        return max(below, line[col])
    byte = line[col // 2]
    if col % 2 == 0:
        return max(below, byte & 0xF0)
    return max(below, byte << 4) & 255  # so below counts only beside an empty left pixel, as at the client


def add_glyphs(mask: Buffer, cols: int, rows: int, places: Buffer, data: Buffer, bits: int) -> None:
    """
    Add glyphs of 1, 4 or 8 bits for a pixel to a mask of ``rows`` rows of ``cols`` bytes.

    ``places`` has for each glyph four numbers of 64 bits: where its top left pixel
    goes, its width and its height. What is outside the mask is left out. The data
    of glyphs follow each other; rows begin at bytes, and the last one of a glyph is
    its top one. (Clients draw rows of 8 bits one lower, below a row of whatever lies
    behind the glyph; they are not given such text.)
    """
    to, source, table = _bytes(mask), _bytes(data), _bytes(places)
    if not all(0 <= size <= SIZE_LIMIT for size in (cols, rows)) or cols * rows > len(to):
        raise ValueError("mask: too small")
    if bits not in (1, 4, 8):
        raise ValueError(f"bits: there are no glyphs of {bits} bits")
    if len(table) % 32:
        raise ValueError("places: not a whole number of glyphs")
    glyphs = []
    start = 0
    for x, y, width, height in struct.iter_unpack("=4q", table):
        if not (0 <= width <= GLYPH_LIMIT and 0 <= height <= GLYPH_LIMIT):
            raise ValueError("places: a glyph of that size is not possible")
        if abs(x) > GLYPH_PLACE_LIMIT or abs(y) > GLYPH_PLACE_LIMIT:
            raise ValueError("places: too far away")
        stride = (width * bits + 7) // 8
        glyphs.append((x, y, width, height, stride, start))
        start += stride * height
        if start > len(source):
            raise ValueError("data: too short")
    if getattr(mask, "obj", mask) is getattr(data, "obj", data):
        raise ValueError("src: shares memory with dst")
    for left, top, width, height, stride, start in glyphs:
        for row in range(max(0, -top), min(height, rows - top)):
            of = height - 1 - row
            line = bytes(source[start + of * stride : start + (of + 1) * stride])
            for col in range(max(0, -left), min(width, cols - left)):
                place = (top + row) * cols + left + col
                to[place] = _coverage(line, bits, col, to[place])


def _times(one: int, other: int) -> int:
    """The product of two fractions of 255, rounded."""
    product = one * other + 128
    return product + (product >> 8) >> 8


def _over(source: bytes, cover: int, below: bytes) -> bytes:
    """A pixel with premultiplied alpha, of which ``cover`` of 255 is there, over another."""
    source = bytes(_times(byte, cover) for byte in source)
    left = 255 - source[3]
    return bytes(min(255, byte + _times(under, left)) for byte, under in zip(source, below, strict=True))


def blend_mask(
    pixels: Buffer,
    stride: int,
    left: int,
    top: int,
    cols: int,
    rows: int,
    mask: Buffer,
    mask_stride: int,
    mask_left: int,
    mask_top: int,
    value: int,
    tile: Buffer,
    tile_stride: int,
    tile_width: int,
    tile_height: int,
    tile_x: int,
    tile_y: int,
    has_alpha: bool,
) -> None:
    """
    Blend a colour or a tile over a rectangle, as much of it as a mask says.

    The mask has a byte for a pixel. The fourth byte of what is drawn counts as
    255 unless ``has_alpha``.
    """
    to, cover = _bytes(pixels), _bytes(mask)
    _inside("pixels", len(to), stride, left, top, cols, rows)
    values = (mask_stride, mask_left, mask_top)
    if (
        not all(0 <= value <= SIZE_LIMIT for value in values)
        or mask_left + cols > mask_stride
        or (cols and rows and (mask_top + rows - 1) * mask_stride + mask_left + cols > len(cover))
    ):
        raise ValueError("mask: the rectangle does not lie inside the buffer")
    paint = _Tile(pixels, value, tile, tile_stride, tile_width, tile_height, tile_x, tile_y)
    if getattr(pixels, "obj", pixels) is getattr(mask, "obj", mask):
        raise ValueError("src: shares memory with dst")
    for row in range(rows):
        line = paint.row(left, top + row, cols)
        for col in range(cols):
            covered = cover[(mask_top + row) * mask_stride + mask_left + col]
            if not covered:
                continue
            pixel = line[4 * col : 4 * col + 4]
            if not has_alpha:
                pixel = pixel[:3] + b"\xff"
            place = (top + row) * stride + 4 * (left + col)
            to[place : place + 4] = _over(pixel, covered, bytes(to[place : place + 4]))
