# SPDX-License-Identifier: LGPL-2.1-or-later
"""
From an image on the wire to pixels, with the caches that images may refer to.

Source: spice-common, canvas_base.c (canvas_get_image_internal).
"""

from __future__ import annotations

from spicemig.client.caches import Cache
from spicemig.client.canvas import Canvas, Picture
from spicemig.client.counters import Counters
from spicemig.codecs import jpeg, lz4
from spicemig.codecs.pixels import FMT_32BIT, FMT_RGBA, PALETTE_FORMATS, Pixels
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.enums import BitmapFlags, ImageFlags, ImageType

FROM_CACHE = (ImageType.FROM_CACHE, ImageType.FROM_CACHE_LOSSLESS)
CACHE_ANY = ImageFlags.CACHE_ME | ImageFlags.CACHE_REPLACE_ME


class ImageReader:
    """Reads images for one display channel, and keeps what the server says to keep."""

    def __init__(
        self, images: Cache[Picture], palettes: Cache[tuple[int, ...]], canvas: Canvas, counters: Counters
    ) -> None:
        self.images = images
        self.palettes = palettes
        self.canvas = canvas
        self.counters = counters

    def read(self, image) -> Picture:
        """The pixels; raises ``ProtocolError`` for what is not there or cannot be read."""
        descriptor = image.descriptor
        kind = descriptor.type
        if kind in FROM_CACHE:
            return self._from_cache(descriptor)
        if kind == ImageType.SURFACE:
            return self.canvas.surface(image.data.surface_id)
        picture = self._decode(image)
        self.counters.images_received += 1
        self._keep(descriptor, picture)
        return picture

    def _from_cache(self, descriptor) -> Picture:
        picture = self.images.get(descriptor.id)
        if picture is None:
            raise ProtocolError(LinkError.INVALID_DATA, f"image {descriptor.id:#x} is not in the cache")
        if descriptor.type == ImageType.FROM_CACHE_LOSSLESS and self.images.is_lossy(descriptor.id):
            raise ProtocolError(
                LinkError.INVALID_DATA, f"image {descriptor.id:#x} is in the cache, but lossy"
            )
        self.counters.images_from_cache += 1
        return picture

    def _keep(self, descriptor, picture: Picture) -> None:
        lossy = descriptor.type in (ImageType.JPEG, ImageType.JPEG_ALPHA)
        again = descriptor.id in self.images and descriptor.flags & CACHE_ANY
        if descriptor.flags & ImageFlags.CACHE_ME:
            self.counters.images_received_again += bool(again)
            self.images.put(descriptor.id, picture, lossy=lossy)
        elif descriptor.flags & ImageFlags.CACHE_REPLACE_ME:
            if lossy:
                raise ProtocolError(LinkError.INVALID_DATA, "a lossy image cannot replace one in the cache")
            self.images.replace(descriptor.id, picture)

    def _decode(self, image) -> Picture:
        descriptor, data = image.descriptor, image.data
        width, height = descriptor.width, descriptor.height
        if descriptor.type == ImageType.BITMAP:
            pixels = self._bitmap(data)
        elif descriptor.type == ImageType.LZ4:
            pixels = lz4.decode(data.data, width, height)
        elif descriptor.type == ImageType.JPEG:
            pixels = jpeg.decode(data.data, width, height)
        else:
            raise ProtocolError(
                LinkError.INVALID_DATA, f"image type {int(descriptor.type)} is not known here"
            )
        picture = picture_of(pixels)
        if descriptor.flags & ImageFlags.HIGH_BITS_SET and not picture.alpha:
            opaque = bytearray(picture.pixels)
            opaque[3::4] = b"\xff" * (len(opaque) // 4)
            picture.pixels = opaque
        return picture

    def _bitmap(self, data) -> Pixels:
        palette: tuple[int, ...] = ()
        if data.format in PALETTE_FORMATS:
            palette = self._palette(data)
        top_down = bool(data.flags & BitmapFlags.TOP_DOWN)
        pixels = Pixels(data.x, data.y, int(data.format), data.stride, data.data, top_down, palette)
        pixels.check()
        return pixels

    def _palette(self, data) -> tuple[int, ...]:
        if data.flags & BitmapFlags.PAL_FROM_CACHE:
            kept = self.palettes.get(data.palette_id)
            if kept is None:
                raise ProtocolError(
                    LinkError.INVALID_DATA, f"palette {data.palette_id:#x} is not in the cache"
                )
            return kept
        if data.palette is None:
            return ()
        palette = tuple(data.palette.ents)
        if data.flags & BitmapFlags.PAL_CACHE_ME:
            self.palettes.put(data.palette.unique, palette)
        return palette


def picture_of(pixels: Pixels) -> Picture:
    """Pixels of any format, the bottom row first or last, as a :class:`Picture`; a copy."""
    if pixels.format == FMT_32BIT and pixels.top_down:
        return Picture(pixels.width, pixels.height, bytes(pixels.rows()))
    image = pixels.image()
    if pixels.format == FMT_RGBA:
        return Picture(pixels.width, pixels.height, image.tobytes("raw", "BGRA"), alpha=True)
    return Picture(pixels.width, pixels.height, image.convert("RGB").tobytes("raw", "BGRX"))
