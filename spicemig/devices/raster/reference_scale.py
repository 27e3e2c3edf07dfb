# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/scale.c`` in Python: images made larger and smaller.

Places are in 16.16 fixed point. The arithmetic is pixman's to the last bit, as
that is what SPICE clients draw with: bilinear weights have seven bits.

Source: pixman 0.42, pixman-bits-image.c and pixman-inlines.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spicemig.devices.raster.reference import _bytes, _inside

ONE = 0x10000  # 1 in 16.16
HALF = ONE // 2
SMALLEST = 1  # the smallest fraction: a place exactly between two pixels is in the left one
WEIGHT_BITS = 7
FIXED_LIMIT = 2**31


def between(pixels: Sequence[Sequence[int]], across: int, down: int) -> bytes:
    """Four pixels (top left, top right, bottom left, bottom right) as one, by weights of 7 bits."""
    whole = 1 << WEIGHT_BITS
    weights = (
        (whole - across) * (whole - down),
        across * (whole - down),
        (whole - across) * down,
        across * down,
    )
    return bytes(
        sum(pixel[byte] * weight for pixel, weight in zip(pixels, weights, strict=True)) >> 2 * WEIGHT_BITS
        for byte in range(4)
    )


def weight(place: int) -> int:
    """How much of the second of two pixels a place between them has."""
    return place >> 16 - WEIGHT_BITS & (1 << WEIGHT_BITS) - 1


def scale_part(
    dst: Any,
    cols: int,
    rows: int,
    src: Any,
    src_stride: int,
    src_width: int,
    src_height: int,
    x: int,
    y: int,
    step_x: int,
    step_y: int,
    bilinear: bool,
    has_alpha: bool,
) -> None:
    """
    Make ``rows`` of ``cols`` pixels without gaps of an image read in steps.

    The centre of the first pixel made is at (``x``, ``y``) of the image, and
    steps are not negative. Beyond the image everything is 0. Without
    ``has_alpha`` the fourth byte of every pixel in the image is taken as 255.
    """
    to, source = _bytes(dst), _bytes(src)
    _inside("dst", len(to), cols * 4, 0, 0, cols, rows)
    _inside("src", len(source), src_stride, 0, 0, src_width, src_height)
    for first, step, count in ((x, step_x, cols), (y, step_y, rows)):
        last = first + max(count - 1, 0) * step
        if not (0 <= step < FIXED_LIMIT and HALF - FIXED_LIMIT <= first and last < FIXED_LIMIT):
            raise ValueError("step: the part does not fit into 16.16 fixed point")
    if getattr(dst, "obj", dst) is getattr(src, "obj", src):
        raise ValueError("src: shares memory with dst")

    def pixel(col: int, row: int) -> bytes:
        if not (0 <= col < src_width and 0 <= row < src_height):
            return bytes(4)
        start = row * src_stride + col * 4
        return bytes(source[start : start + 4]) if has_alpha else bytes(source[start : start + 3]) + b"\xff"

    def nearest(at_x: int, at_y: int) -> bytes:
        return pixel(at_x - SMALLEST >> 16, at_y - SMALLEST >> 16)

    def interpolated(at_x: int, at_y: int) -> bytes:
        left, top = at_x - HALF, at_y - HALF
        col, row = left >> 16, top >> 16
        corners = (pixel(col, row), pixel(col + 1, row), pixel(col, row + 1), pixel(col + 1, row + 1))
        return between(corners, weight(left), weight(top))

    make = interpolated if bilinear else nearest
    for row in range(rows):
        at_y = y + row * step_y
        line = b"".join(make(x + col * step_x, at_y) for col in range(cols))
        to[row * cols * 4 : (row + 1) * cols * 4] = line
