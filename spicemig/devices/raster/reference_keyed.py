# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel of ``_kernels/copy_keyed.c`` in Python: copies that leave out one colour."""

from __future__ import annotations

from typing import Any

from spicemig.devices.raster.reference import _bytes, _inside


def copy_keyed(
    dst: Any,
    dst_stride: int,
    dst_left: int,
    dst_top: int,
    src: Any,
    src_stride: int,
    src_left: int,
    src_top: int,
    cols: int,
    rows: int,
    key: int,
    compared: int,
) -> None:
    """Copy the pixels of a rectangle whose bits ``compared`` are not those of ``key``."""
    to, source = _bytes(dst), _bytes(src)
    _inside("dst", len(to), dst_stride, dst_left, dst_top, cols, rows)
    _inside("src", len(source), src_stride, src_left, src_top, cols, rows)
    if getattr(dst, "obj", dst) is getattr(src, "obj", src):
        raise ValueError("src: shares memory with dst")
    for row in range(rows):
        for col in range(cols):
            first = (src_top + row) * src_stride + (src_left + col) * 4
            pixel = bytes(source[first : first + 4])
            if (int.from_bytes(pixel, "little") ^ key) & compared:
                start = (dst_top + row) * dst_stride + (dst_left + col) * 4
                to[start : start + 4] = pixel
