# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moving pictures for tests of video streams: natural ones, as a camera would give."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image

from spicemig.devices.drawables import DeviceImage

_SPACE = 256  # pixels of a radial gradient


@lru_cache(maxsize=64)
def film_pixels(number: int, width: int, height: int) -> bytes:
    """The pixels B G R x of a frame: three soft discs that move with its number."""
    disc = Image.radial_gradient("L")
    bands = []
    for band in range(3):
        shift = (7 * number * (band + 1)) % _SPACE
        moved = Image.new("L", (_SPACE, _SPACE))
        moved.paste(disc, (shift, 0))
        moved.paste(disc, (shift - _SPACE, 0))
        bands.append(moved.resize((width, height), Image.Resampling.BILINEAR))
    return Image.merge("RGB", bands).tobytes("raw", "BGRX")


def film(number: int, width: int = 160, height: int = 120) -> DeviceImage:
    """A frame as a device has it; clients are not asked to keep it."""
    return DeviceImage(width, height, stride=width * 4, data=film_pixels(number, width, height))
