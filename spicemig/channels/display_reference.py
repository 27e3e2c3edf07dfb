# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The twins of the kernels of display pipes: what they do, said in Python.

A pipe keeps a row for each of its entries, with what decides whether it may be
dropped; the rows of a pipe are one buffer.
"""

from __future__ import annotations

import struct
from typing import Any

# flags, how many surfaces it reads; its surface, top, left, bottom, right; the surfaces
ROW = struct.Struct("<BBxx I 4i 4I")
DRAWS = 1  # a drawable that may be dropped; other rows are only read
COVERS = 2  # nothing of what was in its box is left
READS_ANY = 4  # more surfaces than the row has room for
MAX_READS = 4

NOTHING = bytes(ROW.size)  # the row of what neither draws nor reads


def row_of(surface: int, box: Any, reads: Any, *, draws: bool, covers: bool) -> bytes:
    """The row of a drawable."""
    flags = (DRAWS if draws else 0) | (COVERS if covers and surface not in reads else 0)
    if len(reads) > MAX_READS:
        flags |= READS_ANY
    named = (*sorted(reads)[:MAX_READS], *(0,) * (MAX_READS - len(reads)))
    count = min(len(reads), MAX_READS)
    return ROW.pack(flags, count, surface, box.top, box.left, box.bottom, box.right, *named)


def covered(rows: Any, cover: Any, whole: bool) -> list[int]:
    """
    The places, the last one first, of the rows that a later drawable makes pointless.

    They lie in the box of ``cover``, or with ``whole`` anywhere on its surface. What
    comes before one that reads the surface and stays is needed.
    """
    _flags, _count, surface, top, left, bottom, right, *_reads = ROW.unpack(cover)
    found: list[int] = []
    for index in range(len(rows) // ROW.size - 1, -1, -1):
        flags, count, own, row_top, row_left, row_bottom, row_right, *reads = ROW.unpack_from(
            rows, index * ROW.size
        )
        inside = top <= row_top and left <= row_left and bottom >= row_bottom and right >= row_right
        if own == surface and flags & DRAWS and (whole or inside):
            # even if it reads the surface: nobody sees what it makes of that
            found.append(index)
        elif flags & READS_ANY or surface in reads[:count]:
            break
    return found
