# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image records back into pixels, whatever their codec: what a client does."""

from __future__ import annotations

from collections.abc import Callable

from spicemig.codecs import bitmap, jpeg, lz, lz4, quic
from spicemig.codecs.glz import GlzDecoderWindow, inflate
from spicemig.codecs.pixels import ImageError, Pixels
from spicemig.wire.declare import Buffer
from spicemig.wire.drawing import BinaryData, Bitmap, Image, JpegAlphaData, LzPltData, Palette, ZlibGlzData
from spicemig.wire.enums import ImageType

DECODERS: dict[int, Callable[[Buffer, int, int], Pixels]] = {
    ImageType.QUIC: quic.decode,
    ImageType.LZ_RGB: lz.decode,
    ImageType.LZ4: lz4.decode,
    ImageType.JPEG: jpeg.decode,
}


def decode(image: Image, palette: Palette | None = None, window: GlzDecoderWindow | None = None) -> Pixels:
    """
    The pixels of an image that comes with data; raises :class:`ImageError`.

    Images from a cache or of a surface have none. ``palette`` is the kept one, if
    the image names one, and ``window`` what earlier GLZ images left behind; without it
    there are no GLZ images.
    """
    descriptor = image.descriptor
    if isinstance(image.data, Bitmap):
        pixels = bitmap.decode(image.data, palette)
    elif isinstance(image.data, LzPltData):
        found = image.data.palette or palette
        if found is None:
            raise ImageError("LZ of palette indexes without a palette")
        size = descriptor.width, descriptor.height
        pixels = lz.decode_indexes(image.data.data, *size, tuple(found.ents))
    elif isinstance(image.data, JpegAlphaData):
        alpha = image.data
        size = descriptor.width, descriptor.height
        pixels = jpeg.decode_alpha(alpha.flags, alpha.jpeg_size, alpha.data, *size)
    elif window is not None and isinstance(image.data, ZlibGlzData):
        stream = inflate(image.data.data, image.data.glz_data_size)
        pixels = window.decode(stream, descriptor.width, descriptor.height)
    elif window is not None and descriptor.type == ImageType.GLZ_RGB and isinstance(image.data, BinaryData):
        pixels = window.decode(image.data.data, descriptor.width, descriptor.height)
    elif isinstance(image.data, BinaryData) and descriptor.type in DECODERS:
        pixels = DECODERS[descriptor.type](image.data.data, descriptor.width, descriptor.height)
    else:
        raise ImageError(f"no decoder for image type {descriptor.type}")
    if (pixels.width, pixels.height) != (descriptor.width, descriptor.height):
        raise ImageError(f"{pixels.width}x{pixels.height} pixels in an image of another size")
    return pixels
