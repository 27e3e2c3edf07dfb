# SPDX-License-Identifier: LGPL-2.1-or-later
"""
DRAW_ALPHA_BLEND: an image over what is there, the whole of it more or less transparent.

Source: spice-common, canvas_base.c, canvas_draw_alpha_blend, and sw_canvas.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spicemig.devices.raster.clip import Box, drawn_boxes
from spicemig.devices.raster.composite import INDEXED, OVER, READS_ALPHA, combine
from spicemig.devices.raster.images import Pixels, has_alpha, image_of, operand_of, pixels_of, source_of
from spicemig.devices.raster.kernels import fill_rect
from spicemig.devices.raster.sampled import IDENTITY, NORMAL, ONE, Sampled
from spicemig.devices.surfaces import PIXEL_BYTES, Surface
from spicemig.wire.enums import AlphaFlags, SurfaceFormat
from spicemig.wire.messages.display import DrawAlphaBlend

_AND = 8  # as a truth table
_COLOURS = 0x00FFFFFF
_WHOLE = 255


def draw_alpha_blend(surface: Surface, message: DrawAlphaBlend, surfaces: Mapping[int, Surface]) -> None:
    """Blend an area of an image, or of a surface, over the box; scaled if their sizes differ."""
    image, flags = image_of(message.src_bitmap), AlphaFlags(message.alpha_flags)
    if image.surface is not None:
        pixels = operand_of(image, surface, surfaces)
        source_has_alpha = _has_alpha(surfaces[image.surface], bool(flags & AlphaFlags.SRC_SURFACE_HAS_ALPHA))
    elif image.format in INDEXED:  # palettes are in the surface's format, with its alpha
        pixels, source_has_alpha = source_of(image, surface, surfaces), surface.has_alpha
    else:
        pixels, source_has_alpha = pixels_of(image, surfaces), has_alpha(image, surfaces)
    box, area = Box.of(message.base.box), Box.of(message.src_area)
    boxes = drawn_boxes(surface, message.base)
    if message.alpha == 0 or not boxes or not area:
        return
    if (area.cols, area.rows) == (box.cols, box.rows):
        source = Sampled(pixels, source_has_alpha, area.left, area.top)
    else:
        step_x, step_y = area.cols * ONE // box.cols, area.rows * ONE // box.rows
        matrix = (step_x, 0, area.left * ONE, 0, step_y, area.top * ONE)
        source = Sampled(pixels, source_has_alpha, matrix=matrix)
    mask = None if message.alpha == _WHOLE else _uniform(message.alpha)
    dst_has_alpha = _has_alpha(surface, bool(flags & AlphaFlags.DEST_HAS_ALPHA))
    combine(surface, boxes, box, OVER, source, mask, dst_has_alpha=dst_has_alpha)
    if not dst_has_alpha and surface.format == SurfaceFormat.XRGB32:
        forget_alpha(surface, box.within(Box(0, 0, surface.width, surface.height)))


def _has_alpha(surface: Surface, told: bool) -> bool:
    """Whether it has alpha; 32-bit surfaces that do not say so may be told to."""
    return surface.format in READS_ALPHA or (told and surface.format == SurfaceFormat.XRGB32)


def _uniform(alpha: int) -> Sampled:
    """A mask that is the same everywhere."""
    return Sampled(Pixels(1, 1, PIXEL_BYTES, bytes((0, 0, 0, alpha))), True, 0, 0, IDENTITY, False, NORMAL)


def forget_alpha(surface: Surface, box: Box) -> None:
    """Clear the fourth byte, as clients do where the first pixel became opaque."""
    first = box.top * surface.stride + box.left * PIXEL_BYTES
    if surface.pixels[first + 3] == _WHOLE:
        fill_rect(surface.pixels, surface.stride, box.left, box.top, box.cols, box.rows, _COLOURS, _AND)


OPERATIONS: dict[type, Callable[[Surface, Any, Mapping[int, Surface]], None]] = {
    DrawAlphaBlend: draw_alpha_blend
}
