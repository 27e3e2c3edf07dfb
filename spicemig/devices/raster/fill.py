# SPDX-License-Identifier: LGPL-2.1-or-later
"""DRAW_FILL: a brush over a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.raster.clip import drawn_boxes
from spicemig.devices.raster.kernels import fill_rect
from spicemig.devices.raster.mask import masked
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import BrushType, Ropd
from spicemig.wire.messages.display import DrawFill


def draw_fill(surface: Surface, message: DrawFill, surfaces: Mapping[int, Surface]) -> None:
    """Fill with one colour."""
    brush = message.brush
    if brush.type == BrushType.NONE:
        return
    if brush.type != BrushType.SOLID or brush.color is None:
        raise ValueError(f"a brush of type {brush.type} cannot fill")
    rop = truth_table(message.rop_descriptor, Ropd.INVERS_BRUSH)
    for box in masked(drawn_boxes(surface, message.base), message.mask, message.base.box, surfaces):
        fill_rect(surface.pixels, surface.stride, box.left, box.top, box.cols, box.rows, brush.color, rop)


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {DrawFill: draw_fill}
