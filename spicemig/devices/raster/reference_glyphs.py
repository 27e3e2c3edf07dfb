# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/glyphs.c`` in Python: text as a mask of coverage, and colour through it.

Source: spice-common 0.42, canvas_base.c; pixman 0.42, pixman-combine32.c.
"""

from __future__ import annotations

from spicemig.devices.raster.reference import SIZE_LIMIT, Buffer, _bytes, _inside
from spicemig.devices.raster.reference_rops import _Tile


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


def add_glyph(
    mask: Buffer, cols: int, rows: int, left: int, top: int, data: Buffer, bits: int, width: int, height: int
) -> None:
    """
    Add a glyph of 1, 4 or 8 bits for a pixel to a mask of ``rows`` rows of ``cols`` bytes.

    Its top left pixel goes to (``left``, ``top``); what is outside the mask is
    left out. Its rows begin at bytes, and the last one is the top one. Of 8 bits,
    all rows are one lower than that and the lowest is lost, as at the client,
    whose top row is what happens to lie behind the glyph.
    """
    to, source = _bytes(mask), _bytes(data)
    sizes = (cols, rows, width, height)
    if not all(0 <= size <= SIZE_LIMIT for size in sizes) or cols * rows > len(to):
        raise ValueError("mask: too small")
    if not (abs(left) <= SIZE_LIMIT and abs(top) <= SIZE_LIMIT):
        raise ValueError("glyph: too far away")
    if bits not in (1, 4, 8):
        raise ValueError(f"bits: there are no glyphs of {bits} bits")
    stride = (width * bits + 7) // 8
    if stride * height > len(source):
        raise ValueError("data: too short")
    if getattr(mask, "obj", mask) is getattr(data, "obj", data):
        raise ValueError("src: shares memory with dst")
    for row in range(max(0, -top), min(height, rows - top)):
        of = height - row if bits == 8 else height - 1 - row
        if of == height:
            continue
        line = bytes(source[of * stride : (of + 1) * stride])
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
