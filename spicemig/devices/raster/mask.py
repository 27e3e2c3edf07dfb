# SPDX-License-Identifier: LGPL-2.1-or-later
"""Masks: images of one bit that say which pixels of a box are drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.images import image_of, pixels_of
from spicemig.devices.surfaces import PIXEL_BYTES, Surface
from spicemig.wire.enums import MaskFlags

_MASK_PALETTE = (0x000000, 0x010101)
_RUNS = {False: re.compile(b"\x01+"), True: re.compile(b"\x00+")}


def masked(
    boxes: list[Box], mask: Any, drawn: Any, surfaces: Mapping[int, Surface]
) -> list[Box] | Iterator[Box]:
    """
    What a ``QMask`` leaves of these boxes; ``drawn`` is the box of the drawing.

    A pixel beyond the mask is not drawn.
    """
    if mask.bitmap is None:
        return boxes
    return _runs(boxes, mask, Box.of(drawn), surfaces)


def _runs(boxes: list[Box], mask: Any, drawn: Box, surfaces: Mapping[int, Surface]) -> Iterator[Box]:
    image = image_of(mask.bitmap)
    if image.surface is None and not image.palette:
        image = _with_palette(image)
    bits = pixels_of(image, surfaces)
    runs = _RUNS[bool(mask.flags & MaskFlags.INVERS)]
    dx, dy = drawn.left - mask.pos.x, drawn.top - mask.pos.y  # from the mask's places to the surface's
    for box in boxes:
        part = box.within(Box(dx, dy, dx + bits.width, dy + bits.height))
        for y in range(part.top, part.bottom):
            start = (y - dy) * bits.stride + (part.left - dx) * PIXEL_BYTES
            row = bytes(bits.data[start : start + part.cols * PIXEL_BYTES : PIXEL_BYTES])
            for run in runs.finditer(row):
                yield Box(part.left + run.start(), y, part.left + run.end(), y + 1)


def _with_palette(image: Any) -> Any:
    """The same mask with a palette of 0 and 1, which its bits are then looked up in."""
    return replace(image, palette=_MASK_PALETTE)
