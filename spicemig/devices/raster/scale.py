# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Images larger or smaller, exactly as SPICE clients make them.

Source: spice-common, sw_canvas.c and canvas_base.c: what is asked of pixman. A
place between pixels may lie next to the area that is scaled: then pixels of the
image outside that area count, and beyond the image nothing (0).
"""

from __future__ import annotations

import math

from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.images import Pixels
from spicemig.devices.raster.kernels import scale_part
from spicemig.devices.surfaces import PIXEL_BYTES
from spicemig.wire.enums import ImageScaleMode

_ONE = 0x10000  # 1 in 16.16
_FIXED_LIMIT = 2**31


def scaled(
    source: Pixels, area: Box, whole: Box, part: Box, mode: int, *, has_alpha: bool = True
) -> Pixels | None:
    """
    A part of a scaled image, as DRAW_COPY, OPAQUE, BLEND, TRANSPARENT and ALPHA_BLEND scale.

    ``area`` of the source becomes as large as ``whole`` (the box of the drawing);
    of that, what lies in ``part`` is made. Both boxes are on the surface. ``mode`` is
    an ``ImageScaleMode``. Without ``has_alpha`` the fourth byte of the source is
    taken as 255. The answer is None when the places are too large to be
    calculated; nothing is drawn then.
    """
    step_x = area.cols * _ONE // whole.cols
    step_y = area.rows * _ONE // whole.rows
    x = step_x * (part.left - whole.left) + area.left * _ONE
    y = step_y * (part.top - whole.top) + area.top * _ONE
    return _made(source, part, x, y, step_x, step_y, mode, has_alpha)


def scaled_from_corner(
    source: Pixels, area: Box, whole: Box, part: Box, mode: int, *, has_alpha: bool = True
) -> Pixels | None:
    """
    The same as DRAW_ROP3 scales: the area's corner is moved to the next pixel of the result.
    """
    ratio_x, ratio_y = area.cols / whole.cols, area.rows / whole.rows
    step_x, step_y = int(ratio_x * _ONE), int(ratio_y * _ONE)
    corner_x = math.floor(area.left / ratio_x + 0.5)
    corner_y = math.floor(area.top / ratio_y + 0.5)
    x = step_x * (part.left - whole.left + corner_x)
    y = step_y * (part.top - whole.top + corner_y)
    return _made(source, part, x, y, step_x, step_y, mode, has_alpha)


def _made(
    source: Pixels, part: Box, x: int, y: int, step_x: int, step_y: int, mode: int, has_alpha: bool
) -> Pixels | None:
    """``x`` and ``y`` are those of the first pixel's corner; its centre is half a step further."""
    if mode not in (ImageScaleMode.INTERPOLATE, ImageScaleMode.NEAREST):
        raise ValueError(f"there is no scale mode {mode}")
    x += step_x + 1 >> 1
    y += step_y + 1 >> 1
    for first, step, count in ((x, step_x, part.cols), (y, step_y, part.rows)):
        if first - step - _ONE < -_FIXED_LIMIT or first + step * (count + 1) + _ONE >= _FIXED_LIMIT:
            return None
    stride = part.cols * PIXEL_BYTES
    made = bytearray(stride * part.rows)
    scale_part(
        made,
        part.cols,
        part.rows,
        source.data,
        source.stride,
        source.width,
        source.height,
        x,
        y,
        step_x,
        step_y,
        mode == ImageScaleMode.INTERPOLATE,
        has_alpha,
    )
    return Pixels(part.cols, part.rows, stride, made)
