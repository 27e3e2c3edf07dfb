# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``spicemig._kernels`` in Python.

These are the specification: the C functions take the same arguments and give
the same bytes, and these stand in for them where the extension was not built.
A pixel is four bytes: blue, green, red and one more, which is alpha where there
is any. Sizes and places are in pixels, strides in bytes; every function raises
``ValueError`` when a rectangle leaves its buffer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

SIZE_LIMIT = 2**31 - 1

Buffer = Any  # whatever memoryview takes


def _bytes(buffer: Buffer) -> memoryview:
    return memoryview(buffer).cast("B")


def _inside(argument: str, size: int, stride: int, left: int, top: int, cols: int, rows: int) -> None:
    """Raise unless the rectangle lies inside a buffer of ``size`` bytes."""
    fits = all(0 <= value <= SIZE_LIMIT for value in (stride, left, top, cols, rows))
    if fits and rows and cols:
        row_end = (left + cols) * 4
        fits = row_end <= stride and (top + rows - 1) * stride + row_end <= size
    if not fits:
        raise ValueError(f"{argument}: the rectangle does not lie inside the buffer")


def _known_rop(rop: int) -> None:
    if not 0 <= rop < 16:
        raise ValueError(f"rop: {rop} is not a truth table of two inputs")


def _combined(rop: int, source: bytes, below: bytes) -> bytes:
    """Bytes combined bit by bit; bit ``2 * source + destination`` of ``rop`` is the result."""
    size = len(source)
    src, dst = int.from_bytes(source, "little"), int.from_bytes(below, "little")
    ones = (1 << (8 * size)) - 1
    result = 0
    for bit, term in enumerate((~src & ~dst, ~src & dst, src & ~dst, src & dst)):
        if rop >> bit & 1:
            result |= term & ones
    return result.to_bytes(size, "little")


def fill_rect(
    pixels: Buffer, stride: int, left: int, top: int, cols: int, rows: int, value: int, rop: int
) -> None:
    """Combine the colour ``value`` with a rectangle; a ``rop`` of 12 puts it there."""
    view = _bytes(pixels)
    _inside("pixels", len(view), stride, left, top, cols, rows)
    _known_rop(rop)
    line = struct.pack("=I", value & 0xFFFFFFFF) * cols
    for row in range(top, top + rows):
        start = row * stride + left * 4
        below = view[start : start + len(line)]
        view[start : start + len(line)] = line if rop == 12 else _combined(rop, line, bytes(below))


def copy_rect(
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
    rop: int,
) -> None:
    """Combine a rectangle of ``src`` with one of ``dst``; the two share no memory."""
    to, source = _bytes(dst), _bytes(src)
    _inside("dst", len(to), dst_stride, dst_left, dst_top, cols, rows)
    _inside("src", len(source), src_stride, src_left, src_top, cols, rows)
    _known_rop(rop)
    if getattr(dst, "obj", dst) is getattr(src, "obj", src):
        raise ValueError("src: shares memory with dst")
    size = cols * 4
    for row in range(rows):
        start = (dst_top + row) * dst_stride + dst_left * 4
        first = (src_top + row) * src_stride + src_left * 4
        line = bytes(source[first : first + size])
        to[start : start + size] = (
            line if rop == 12 else _combined(rop, line, bytes(to[start : start + size]))
        )


def move_rect(
    pixels: Buffer, stride: int, left: int, top: int, cols: int, rows: int, src_left: int, src_top: int
) -> None:
    """Copy a rectangle to another place of the same buffer; what was there before is what arrives."""
    view = _bytes(pixels)
    _inside("pixels", len(view), stride, left, top, cols, rows)
    _inside("src", len(view), stride, src_left, src_top, cols, rows)
    size = cols * 4
    lines = []
    for row in range(src_top, src_top + rows):
        start = row * stride + src_left * 4
        lines.append(bytes(view[start : start + size]))
    for row, line in enumerate(lines, top):
        start = row * stride + left * 4
        view[start : start + size] = line


def _widened(five: int) -> int:
    return five << 3 | five >> 2


def _of_16_bits(line: bytes, col: int) -> bytes:
    pixel = line[2 * col] | line[2 * col + 1] << 8
    return bytes((_widened(pixel & 31), _widened(pixel >> 5 & 31), _widened(pixel >> 10 & 31), 255))


def _indexed(index_of: Callable[[bytes, int], int]) -> Callable[[bytes, int, bytes], bytes]:
    def pixel(line: bytes, col: int, palette: bytes) -> bytes:
        index = index_of(line, col)
        if index >= len(palette) // 4:
            return bytes(4)
        return palette[4 * index : 4 * index + 4]

    return pixel


# bitmap format (SpiceBitmapFmt): bits of a pixel, and how one is made of its row
_FORMATS: dict[int, tuple[int, Callable[[bytes, int, bytes], bytes]]] = {
    1: (1, _indexed(lambda line, col: line[col // 8] >> col % 8 & 1)),
    2: (1, _indexed(lambda line, col: line[col // 8] >> 7 - col % 8 & 1)),
    3: (4, _indexed(lambda line, col: line[col // 2] >> 4 * (col % 2) & 15)),
    4: (4, _indexed(lambda line, col: line[col // 2] >> 4 - 4 * (col % 2) & 15)),
    5: (8, _indexed(lambda line, col: line[col])),
    6: (16, lambda line, col, palette: _of_16_bits(line, col)),
    7: (24, lambda line, col, palette: line[3 * col : 3 * col + 3] + b"\0"),
    8: (32, lambda line, col, palette: line[4 * col : 4 * col + 4]),
    9: (32, lambda line, col, palette: line[4 * col : 4 * col + 4]),
    10: (8, lambda line, col, palette: bytes((0, 0, 0, line[col]))),
}


def convert_rows(
    dst: Buffer,
    src: Buffer,
    src_stride: int,
    cols: int,
    rows: int,
    format: int,
    palette: Buffer,
    bottom_up: bool,
) -> None:
    """
    Make pixels, in rows without gaps, of rows of any bitmap format.

    ``palette`` holds pixels, which are copied whole; an index beyond them is black.
    With ``bottom_up`` the first row of ``src`` becomes the last.
    """
    to, source, colours = _bytes(dst), _bytes(src), bytes(palette)
    _inside("dst", len(to), cols * 4, 0, 0, cols, rows)
    if not (cols and rows):
        return
    if format not in _FORMATS:
        raise ValueError(f"format: {format} is not a bitmap format")
    bits, pixel = _FORMATS[format]
    row_bytes = (cols * bits + 7) // 8
    if not row_bytes <= src_stride <= SIZE_LIMIT or (rows - 1) * src_stride + row_bytes > len(source):
        raise ValueError("src: the rectangle does not lie inside the buffer")
    for row in range(rows):
        first = (rows - 1 - row if bottom_up else row) * src_stride
        line = bytes(source[first : first + row_bytes])
        made = line if bits == 32 else b"".join(pixel(line, col, colours) for col in range(cols))
        to[row * cols * 4 : (row + 1) * cols * 4] = made
