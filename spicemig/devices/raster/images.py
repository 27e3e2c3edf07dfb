# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images of a batch as pixels of four bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spicemig.devices.drawables import DeviceImage
from spicemig.devices.raster.kernels import convert_rows
from spicemig.devices.surfaces import LARGEST_SIDE, PIXEL_BYTES, Surface
from spicemig.wire.enums import BitmapFormat

READY_FORMATS = (BitmapFormat.BIT32, BitmapFormat.RGBA)  # drawn from as they are


@dataclass(frozen=True, slots=True)
class Pixels:
    """``height`` rows of ``stride`` bytes, the top one first, with ``width`` pixels each."""

    width: int
    height: int
    stride: int
    data: Any


def image_of(pointer: Any) -> DeviceImage:
    """The image that a message of a batch points to; raises ``ValueError`` if it points to none."""
    image = getattr(pointer, "value", None)
    if not isinstance(image, DeviceImage):
        raise ValueError("there is no image to draw")
    return image


def pixels_of(image: DeviceImage, surfaces: Mapping[int, Surface]) -> Pixels:
    """
    What this image shows; not a copy if it need not be one.

    Raises ``ValueError`` if the image has too few bytes or names a surface that does not exist.
    """
    if image.surface is not None:
        surface = surfaces.get(image.surface)
        if surface is None:
            raise ValueError(f"there is no surface {image.surface} to draw from")
        return Pixels(surface.width, surface.height, surface.stride, surface.pixels)
    if not (0 < image.width <= LARGEST_SIDE and 0 < image.height <= LARGEST_SIDE):
        raise ValueError(f"an image of {image.width} by {image.height} pixels is not possible")
    if image.top_down and image.format in READY_FORMATS:
        return Pixels(image.width, image.height, image.stride, image.data)
    made = bytearray(image.width * image.height * PIXEL_BYTES)
    palette = struct.pack(f"<{len(image.palette)}I", *image.palette)
    convert_rows(
        made, image.data, image.stride, image.width, image.height, image.format, palette, not image.top_down
    )
    return Pixels(image.width, image.height, image.width * PIXEL_BYTES, made)


def copied(pixels: Pixels) -> Pixels:
    """The same pixels in memory of their own, for a source that is about to be drawn on."""
    return Pixels(pixels.width, pixels.height, pixels.stride, bytes(pixels.data))
