# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Images of a batch as pixels of four bytes.

Source: spice-common, canvas_base.c, canvas_get_image: to what an image is converted
before it is drawn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from spicemig.devices.drawables import DeviceImage
from spicemig.devices.raster.formats import ONLY_ALPHA, OPAQUE, PLAIN_FORMATS, SIXTEEN_BITS, solid
from spicemig.devices.raster.kernels import convert_rows, fill_rect, settle_rect
from spicemig.devices.surfaces import LARGEST_SIDE, PIXEL_BYTES, Surface
from spicemig.wire.enums import BitmapFormat, ImageFlags

READY_FORMATS = frozenset((BitmapFormat.BIT32, BitmapFormat.RGBA))  # drawn from as they are
ALPHA_FORMATS = frozenset((BitmapFormat.RGBA, BitmapFormat.BIT8_A))

_OR = 14  # as a truth table


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


def source_of(image: DeviceImage, surface: Surface, surfaces: Mapping[int, Surface]) -> Pixels:
    """
    What this image is when it is drawn on ``surface``: in that surface's format.

    Not a copy if it need not be one; never the surface's own pixels. Raises ``ValueError``
    if the image has too few bytes or names a surface that does not exist.
    """
    format = surface.format
    if image.surface is not None:
        pixels = pixels_of(image, surfaces)
        if image.surface == surface.id:
            return copied(pixels)
        if format in PLAIN_FORMATS or surfaces[image.surface].format == format:
            return pixels
    else:
        palette: Iterable[int] = image.palette
        if palette and format in SIXTEEN_BITS:
            palette = [solid(format, entry) for entry in palette]
        pixels = _bitmap(image, palette)
        if format in PLAIN_FORMATS:
            return pixels
    if format in ONLY_ALPHA and not has_alpha(image, surfaces):
        pixels = opaque(pixels)
    return _settled(pixels, format)


def pixels_of(image: DeviceImage, surfaces: Mapping[int, Surface]) -> Pixels:
    """
    What this image shows, by itself; not a copy if it need not be one.

    Raises ``ValueError`` as :func:`source_of` does.
    """
    if image.surface is not None:
        surface = surfaces.get(image.surface)
        if surface is None:
            raise ValueError(f"there is no surface {image.surface} to draw from")
        return Pixels(surface.width, surface.height, surface.stride, surface.pixels)
    return _bitmap(image, image.palette)


def operand_of(image: DeviceImage, surface: Surface, surfaces: Mapping[int, Surface]) -> Pixels:
    """
    As :func:`source_of`, for what is combined with ``surface``: surfaces stay in their own format.

    Raises ``ValueError`` as :func:`source_of` does.
    """
    if image.surface is None:
        return source_of(image, surface, surfaces)
    pixels = pixels_of(image, surfaces)
    return copied(pixels) if image.surface == surface.id else pixels


def has_alpha(image: DeviceImage, surfaces: Mapping[int, Surface]) -> bool:
    """Whether the fourth byte of the image's pixels means anything; its surface, if any, exists."""
    if image.surface is None:
        return image.format in ALPHA_FORMATS
    return surfaces[image.surface].has_alpha


def source_has_alpha(image: DeviceImage, surface: Surface, surfaces: Mapping[int, Surface]) -> bool:
    """The same of what :func:`source_of` gives for them."""
    if surface.format in ONLY_ALPHA:
        return True
    if image.surface is not None:
        return surfaces[image.surface].has_alpha
    return image.format == BitmapFormat.RGBA and surface.format in PLAIN_FORMATS


def copied(pixels: Pixels) -> Pixels:
    """The same pixels in memory of their own, for a source that is about to be drawn on."""
    return Pixels(pixels.width, pixels.height, pixels.stride, bytes(pixels.data))


def opaque(pixels: Pixels) -> Pixels:
    """The same pixels with all bits of alpha set."""
    made = bytearray(pixels.data)
    fill_rect(made, pixels.stride, 0, 0, pixels.width, pixels.height, OPAQUE, _OR)
    return Pixels(pixels.width, pixels.height, pixels.stride, made)


def _settled(pixels: Pixels, format: int) -> Pixels:
    made = bytearray(pixels.data)
    settle_rect(made, pixels.stride, 0, 0, pixels.width, pixels.height, format)
    return Pixels(pixels.width, pixels.height, pixels.stride, made)


def _bitmap(image: DeviceImage, palette: Iterable[int]) -> Pixels:
    """An image that has pixels, in memory of its own unless it is ready to be drawn from."""
    if not (0 < image.width <= LARGEST_SIDE and 0 < image.height <= LARGEST_SIDE):
        raise ValueError(f"an image of {image.width} by {image.height} pixels is not possible")
    if image.top_down and image.format in READY_FORMATS:
        pixels = Pixels(image.width, image.height, image.stride, image.data)
    else:
        pixels = _converted(image, palette)
    if image.flags & ImageFlags.HIGH_BITS_SET and image.format not in ALPHA_FORMATS:
        return opaque(pixels)
    return pixels


def _converted(image: DeviceImage, palette: Iterable[int]) -> Pixels:
    made = bytearray(image.width * image.height * PIXEL_BYTES)
    entries = struct.pack(f"<{len(image.palette)}I", *palette)
    convert_rows(
        made, image.data, image.stride, image.width, image.height, image.format, entries, not image.top_down
    )
    return Pixels(image.width, image.height, image.width * PIXEL_BYTES, made)
