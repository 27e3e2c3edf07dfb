# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The twins of the kernels of display pipes: what they do, said in Python.

A pipe keeps a row for each of its entries, with what decides whether it may be
dropped; the rows of a pipe are one buffer.
"""

from __future__ import annotations

import struct
from typing import Any

# flags, how many surfaces it reads; its surface, top, left, bottom, right; the surfaces; from where it moves
ROW = struct.Struct("<BBxx I 4i 4I 2i")
DRAWS = 1  # a drawable that may be dropped; other rows are only read
COVERS = 2  # nothing of what was in its box is left
READS_ANY = 4  # more surfaces than the row has room for
MOVES = 8  # all that it reads is a part of its own surface, as large as its box
MAX_READS = 4

COPY_BITS = 104
_BASE_BYTES = 21  # of a drawing's body: surface, box, and no clip
_POINT = struct.Struct("<2i")  # x, y

NOTHING = bytes(ROW.size)  # the row of what neither draws nor reads


def moved_from(number: int, body: Any, images: int) -> tuple[int, int] | None:
    """The top and left of the part that a drawable moves, if it does that and no more."""
    if number != COPY_BITS or images or len(body) < _BASE_BYTES + _POINT.size or body[_BASE_BYTES - 1]:
        return None
    left, top = _POINT.unpack_from(body, _BASE_BYTES)
    return top, left


def row_of(
    surface: int,
    box: Any,
    reads: Any,
    *,
    draws: bool,
    covers: bool,
    moved: tuple[int, int] | None = None,
) -> bytes:
    """The row of a drawable; ``moved`` is :func:`moved_from`."""
    flags = (DRAWS if draws else 0) | (COVERS if covers and surface not in reads else 0)
    if len(reads) > MAX_READS:
        flags |= READS_ANY
    if moved is not None:
        flags |= MOVES
    named = (*sorted(reads)[:MAX_READS], *(0,) * (MAX_READS - len(reads)))
    count = min(len(reads), MAX_READS)
    return ROW.pack(
        flags, count, surface, box.top, box.left, box.bottom, box.right, *named, *(moved or (0, 0))
    )


def covered(rows: Any, cover: Any, whole: bool) -> list[int]:
    """
    The places, the last one first, of the rows that a later drawable makes pointless.

    They lie in the box of ``cover``, or with ``whole`` anywhere on its surface. What
    comes before one that reads there and stays is needed.
    """
    _flags, _count, surface, top, left, bottom, right, *_rest = ROW.unpack(cover)
    found: list[int] = []
    for index in range(len(rows) // ROW.size - 1, -1, -1):
        row = ROW.unpack_from(rows, index * ROW.size)
        flags, count, own, row_top, row_left, row_bottom, row_right, *reads, from_top, from_left = row
        inside = top <= row_top and left <= row_left and bottom >= row_bottom and right >= row_right
        if own == surface and flags & DRAWS and (whole or inside):
            # even if it reads the surface: nobody sees what it makes of that
            found.append(index)
        elif flags & READS_ANY or surface in reads[:count]:
            lower, further = from_top + row_bottom - row_top, from_left + row_right - row_left
            elsewhere = lower <= top or from_top >= bottom or further <= left or from_left >= right
            if whole or not (flags & MOVES and elsewhere):
                break
    return found
