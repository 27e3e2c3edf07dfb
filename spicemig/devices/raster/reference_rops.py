# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/tile.c`` and ``settle.c`` in Python.

A tile is told as value, tile, tile_stride, tile_width, tile_height, tile_x, tile_y:
its first pixel lies at (tile_x, tile_y) of the buffer that is drawn on, and it
repeats in all directions. Without a width every pixel is ``value``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from spicemig.devices.raster.reference import SIZE_LIMIT, Buffer, _bytes, _combined, _inside, _known_rop


class _Tile:
    """A tile, checked; raises ``ValueError`` if there cannot be one."""

    def __init__(
        self,
        drawn: Buffer,
        value: int,
        tile: Buffer,
        stride: int,
        width: int,
        height: int,
        x: int,
        y: int,
    ) -> None:
        self.view = _bytes(tile)
        _inside("tile", len(self.view), stride, 0, 0, width, height)
        self.stride, self.width, self.height, self.x, self.y = stride, width, height, x, y
        if not width:
            self.view = memoryview(struct.pack("=I", value & 0xFFFFFFFF))
            self.stride, self.width, self.height, self.x, self.y = 4, 1, 1, 0, 0
            return
        if not height:
            raise ValueError("tile: there is nothing to repeat")
        if abs(x) > SIZE_LIMIT or abs(y) > SIZE_LIMIT:
            raise ValueError("tile: lies too far away")
        if getattr(drawn, "obj", drawn) is getattr(tile, "obj", tile):
            raise ValueError("src: shares memory with dst")

    def row(self, left: int, top: int, cols: int) -> bytes:
        """The pixels that belong there."""
        start = (top - self.y) % self.height * self.stride
        row = bytes(self.view[start : start + 4 * self.width])
        first = (left - self.x) % self.width
        times = (first + cols) // self.width + 1
        return (row * times)[4 * first : 4 * (first + cols)]


def tile_rect(
    pixels: Buffer,
    stride: int,
    left: int,
    top: int,
    cols: int,
    rows: int,
    value: int,
    tile: Buffer,
    tile_stride: int,
    tile_width: int,
    tile_height: int,
    tile_x: int,
    tile_y: int,
    rop: int,
) -> None:
    """Combine a tile with a rectangle."""
    view = _bytes(pixels)
    _inside("pixels", len(view), stride, left, top, cols, rows)
    _known_rop(rop)
    paint = _Tile(pixels, value, tile, tile_stride, tile_width, tile_height, tile_x, tile_y)
    for row in range(top, top + rows):
        start = row * stride + left * 4
        here = slice(start, start + cols * 4)
        view[here] = _combined(rop, paint.row(left, row, cols), bytes(view[here]))


def rop3_rect(
    dst: Buffer,
    dst_stride: int,
    dst_left: int,
    dst_top: int,
    src: Buffer,
    src_stride: int,
    src_left: int,
    src_top: int,
    cols: int,
    rows: int,
    value: int,
    tile: Buffer,
    tile_stride: int,
    tile_width: int,
    tile_height: int,
    tile_x: int,
    tile_y: int,
    code: int,
) -> None:
    """Combine three: bit ``4 * tile + 2 * source + destination`` of ``code`` is the result."""
    to, source = _bytes(dst), _bytes(src)
    _inside("dst", len(to), dst_stride, dst_left, dst_top, cols, rows)
    _inside("src", len(source), src_stride, src_left, src_top, cols, rows)
    if getattr(dst, "obj", dst) is getattr(src, "obj", src):
        raise ValueError("src: shares memory with dst")
    if not 0 <= code < 256:
        raise ValueError(f"code: {code} is not a ternary raster operation")
    paint = _Tile(dst, value, tile, tile_stride, tile_width, tile_height, tile_x, tile_y)
    size = cols * 4
    for row in range(rows):
        start = (dst_top + row) * dst_stride + dst_left * 4
        first = (src_top + row) * src_stride + src_left * 4
        line, below = bytes(source[first : first + size]), bytes(to[start : start + size])
        chosen = int.from_bytes(paint.row(dst_left, dst_top + row, cols), "little")
        with_tile = int.from_bytes(_combined(code >> 4, line, below), "little")
        without = int.from_bytes(_combined(code & 15, line, below), "little")
        result = chosen & with_tile | ~chosen & without
        to[start : start + size] = result.to_bytes(size, "little")


def _of_555(pixel: bytes) -> bytes:
    return bytes(part & 0xF8 | part >> 5 for part in pixel[:3]) + b"\0"


def _of_565(pixel: bytes) -> bytes:
    blue, green, red, _alpha = pixel
    return bytes((blue & 0xF8 | blue >> 5, green & 0xFC | green >> 6, red & 0xF8 | red >> 5, 0))


_KEPT: dict[int, Callable[[bytes], bytes]] = {  # by SurfaceFormat
    1: lambda pixel: bytes((0, 0, 0, 255 if pixel[3] & 128 else 0)),
    8: lambda pixel: bytes((0, 0, 0, pixel[3])),
    16: _of_555,
    80: _of_565,
}


def settle_rect(pixels: Buffer, stride: int, left: int, top: int, cols: int, rows: int, format: int) -> None:
    """
    Round a rectangle to what a surface of this format keeps.

    Of 16 bits, the upper bits of each colour stay and fill the lower ones. Of 8 bits
    there is only alpha; of one bit, an alpha that is 0 or 255. Other formats keep all.
    """
    view = _bytes(pixels)
    _inside("pixels", len(view), stride, left, top, cols, rows)
    kept = _KEPT.get(format)
    if kept is None:
        return
    for row in range(top, top + rows):
        for start in range(row * stride + left * 4, row * stride + (left + cols) * 4, 4):
            view[start : start + 4] = kept(bytes(view[start : start + 4]))
