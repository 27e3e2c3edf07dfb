# SPDX-License-Identifier: LGPL-2.1-or-later
"""
From an image on the wire to pixels, with the caches that images may refer to.

Source: spice-common, canvas_base.c (canvas_get_image_internal).
"""

from __future__ import annotations

from spicemig.client.caches import Cache
from spicemig.client.canvas import Canvas, Picture
from spicemig.client.counters import Counters
from spicemig.codecs import images
from spicemig.codecs.glz import GlzDecoderWindow
from spicemig.codecs.pixels import Pixels
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.drawing import Bitmap, LzPltData, Palette
from spicemig.wire.enums import BitmapFlags, BitmapFormat, ImageFlags, ImageType

FROM_CACHE = (ImageType.FROM_CACHE, ImageType.FROM_CACHE_LOSSLESS)
CACHE_ANY = ImageFlags.CACHE_ME | ImageFlags.CACHE_REPLACE_ME


class ImageReader:
    """Reads images for one display channel, and keeps what the server says to keep."""

    def __init__(
        self,
        kept: Cache[Picture],
        palettes: Cache[Palette],
        glz_window: GlzDecoderWindow,
        canvas: Canvas,
        counters: Counters,
    ) -> None:
        self.kept = kept
        self.glz_window = glz_window
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
        picture = self.kept.get(descriptor.id)
        if picture is None:
            raise ProtocolError(LinkError.INVALID_DATA, f"image {descriptor.id:#x} is not in the cache")
        if descriptor.type == ImageType.FROM_CACHE_LOSSLESS and self.kept.is_lossy(descriptor.id):
            raise ProtocolError(
                LinkError.INVALID_DATA, f"image {descriptor.id:#x} is in the cache, but lossy"
            )
        self.counters.images_from_cache += 1
        return picture

    def _keep(self, descriptor, picture: Picture) -> None:
        lossy = descriptor.type in (ImageType.JPEG, ImageType.JPEG_ALPHA)
        again = descriptor.id in self.kept and descriptor.flags & CACHE_ANY
        if descriptor.flags & ImageFlags.CACHE_ME:
            self.counters.images_received_again += bool(again)
            self.kept.put(descriptor.id, picture, lossy=lossy)
        elif descriptor.flags & ImageFlags.CACHE_REPLACE_ME:
            if lossy:
                raise ProtocolError(LinkError.INVALID_DATA, "a lossy image cannot replace one in the cache")
            self.kept.replace(descriptor.id, picture)

    def _decode(self, image) -> Picture:
        descriptor = image.descriptor
        picture = picture_of(images.decode(image, self._palette(image), self.glz_window))
        if descriptor.flags & ImageFlags.HIGH_BITS_SET and not picture.alpha:
            opaque = bytearray(picture.pixels)
            opaque[3::4] = b"\xff" * (len(opaque) // 4)
            picture.pixels = opaque
        return picture

    def _palette(self, image) -> Palette | None:
        """The kept palette that an image names, if it names one; one that is to be kept is kept."""
        indexed = image.data
        if not isinstance(indexed, Bitmap | LzPltData):
            return None
        if indexed.flags & BitmapFlags.PAL_FROM_CACHE:
            kept = self.palettes.get(indexed.palette_id or 0)
            if kept is None:
                reason = f"palette {indexed.palette_id:#x} is not in the cache"
                raise ProtocolError(LinkError.INVALID_DATA, reason)
            return kept
        if indexed.flags & BitmapFlags.PAL_CACHE_ME and indexed.palette is not None:
            self.palettes.put(indexed.palette.unique, indexed.palette)
        return None


def picture_of(pixels: Pixels) -> Picture:
    """Pixels of any format, the bottom row first or last, as a :class:`Picture`; a copy."""
    if pixels.format == BitmapFormat.BIT32 and pixels.top_down:
        return Picture(pixels.width, pixels.height, bytes(pixels.rows()))
    image = pixels.image()
    if pixels.format == BitmapFormat.RGBA:
        return Picture(pixels.width, pixels.height, image.tobytes("raw", "BGRA"), alpha=True)
    return Picture(pixels.width, pixels.height, image.convert("RGB").tobytes("raw", "BGRX"))
