# SPDX-License-Identifier: LGPL-2.1-or-later
"""DRAW_STROKE: lines and curves one pixel wide, solid or dashed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.raster.brush import paint_of
from spicemig.devices.raster.clip import drawn_boxes
from spicemig.devices.raster.formats import settle
from spicemig.devices.raster.kernels import PUT, draw_dashes, draw_lines
from spicemig.devices.raster.lines import polylines
from spicemig.devices.raster.reference_curves import whole
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import LineFlags, Ropd
from spicemig.wire.messages.display import DrawStroke


def draw_stroke(surface: Surface, message: DrawStroke, surfaces: Mapping[int, Surface]) -> None:
    """
    Draw along the path, without the last pixel of each of its lines.

    The back mode means nothing, as at the client: gaps are not drawn.
    """
    boxes = drawn_boxes(surface, message.base)
    if not boxes:
        return
    clip = struct.pack(f"={4 * len(boxes)}i", *(side for box in boxes for side in box))
    paint = paint_of(message.brush, surface, surfaces)
    rop = truth_table(message.fore_mode, Ropd.INVERS_BRUSH)
    where = (surface.pixels, surface.stride, surface.width, surface.height)
    pattern = dashes(message.attr)
    try:
        for points in polylines(message.path):
            places = struct.pack(f"={2 * len(points)}i", *(place for point in points for place in point))
            if pattern is None:
                draw_lines(*where, places, clip, *paint.arguments, rop)
            else:
                draw_dashes(*where, places, clip, *pattern, *paint.arguments, rop)
    finally:  # what was drawn before the path went wrong stays
        if rop != PUT:
            settle(surface, boxes)


def dashes(attr: Any) -> tuple[bytes, int] | None:
    """
    The lengths of dashes and gaps by turns, and how far into them a line starts; None for a solid line.

    A style that starts with a gap has that first length behind all others, and the
    line then starts behind the new first one.
    """
    if not attr.flags & LineFlags.STYLED:
        return None
    lengths = bytes(whole(length) & 255 for length in attr.style or ())
    if attr.flags & LineFlags.START_WITH_GAP and lengths:
        lengths = lengths[1:] + lengths[:1]
        return lengths, lengths[0]
    return lengths, 0


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {DrawStroke: draw_stroke}
