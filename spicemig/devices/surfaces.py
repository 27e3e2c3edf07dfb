# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Surfaces: what is drawn on, and the pixels that a handover carries of them.

All surfaces keep pixels of four bytes (blue, green, red, and alpha or nothing),
whatever their format is called, so that every operation is written once; with
fewer bits, only the values that these can have (see ``raster/formats.py``).
"""

from PIL import Image

from spicemig.wire.enums import SurfaceFormat
from spicemig.wire.messages.migration import PixelBlock

PRIMARY = 0  # the id of the surface that is the screen
LARGEST_SIDE = 16384  # pixels; so a surface has at most 1 GiB
PIXEL_BYTES = 4
ALPHA_FORMATS = frozenset((SurfaceFormat.ARGB32, SurfaceFormat.A8, SurfaceFormat.A1))


class Surface:
    """
    One surface: ``height`` rows of ``width`` pixels.

    ``pixels`` is a bytearray of ``height`` rows of ``stride`` bytes, the top row
    first. The device that owns the surface may still have commands waiting for
    it; its ``render`` makes the pixels current.
    """

    __slots__ = ("format", "height", "id", "pixels", "stride", "width")

    def __init__(self, id: int, width: int, height: int, format: int = SurfaceFormat.XRGB32) -> None:
        if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
            raise ValueError(f"a surface of {width} by {height} pixels is not possible")
        self.id = id
        self.width = width
        self.height = height
        self.format = format
        self.stride = width * PIXEL_BYTES
        self.pixels = bytearray(height * self.stride)

    def __repr__(self) -> str:
        return f"<Surface {self.id}: {self.width}x{self.height}, format {self.format}>"

    @property
    def has_alpha(self) -> bool:
        """Whether the fourth byte of a pixel means anything."""
        return self.format in ALPHA_FORMATS

    def image(self) -> Image.Image:
        """A Pillow image of its own with these pixels: RGBA if there is alpha, else RGB."""
        mode, raw = ("RGBA", "BGRA") if self.has_alpha else ("RGB", "BGRX")
        size = (self.width, self.height)
        return Image.frombuffer(mode, size, bytes(self.pixels), "raw", raw, self.stride, 1)


__all__ = ["LARGEST_SIDE", "PIXEL_BYTES", "PRIMARY", "PixelBlock", "Surface"]
