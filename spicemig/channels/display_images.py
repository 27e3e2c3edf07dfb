# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Puts images behind the body of a drawing message, as one client wants them.

Source: spice.proto, Image; spice-server 0.15.1, dcc-send.cpp, fill_bits; spice-gtk
0.42, canvas_base.c: masks (1 bit) are read as bitmaps or from the cache only, an
image is put into the cache wherever CACHE_ME stands, and one that is asked for
before it came stops the client.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from spicemig.channels.palette_cache import PaletteCache
from spicemig.channels.pixmap_cache import CachedImage, PixmapCache
from spicemig.channels.tallies import DisplayTally
from spicemig.codecs.encoders import GLZ, Encoded, Encoding, candidates, pixels_of
from spicemig.codecs.pixels import PALETTE_FORMATS, ImageError, row_bytes
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFlags, ImageFlags, ImageType

INLINE_BYTES = 32 * 1024  # of pixels: smaller images are encoded where they are packed
MIN_ENCODED_BYTES = 64  # smaller ones go out as bitmaps
MAX_PADDING_BYTES = 4  # per row; with less the rows go out as they are

# plain numbers: flags of the enum classes are slow to combine
CACHE_ME, HIGH_BITS_SET, CACHE_REPLACE_ME = (int(flag) for flag in ImageFlags)
PAL_CACHE_ME, PAL_FROM_CACHE, TOP_DOWN = (int(flag) for flag in BitmapFlags)

_DESCRIPTOR = struct.Struct("<QBBII")  # id, type, flags, width, height
_BITMAP = struct.Struct("<BBIII")  # format, flags, width, height, stride
_LZ_PALETTE = struct.Struct("<BI")  # flags, bytes of data; the palette is named next, the data follows
_PALETTE = struct.Struct("<QH")  # id, number of colours; the colours follow
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


@dataclass(slots=True)
class PackedDrawing:
    """A drawing message and what must happen around it."""

    parts: list[Buffer]  # the body
    images: list[int] = field(default_factory=list)  # cached images that it needs or brings
    evicted: list[CachedImage] = field(default_factory=list)  # to be dropped by the client first
    evicted_palettes: list[int] = field(default_factory=list)
    lossy: bool = False  # an image of it is


class ImagePacker:
    """Packs drawings with their images for one display channel of one client."""

    def __init__(
        self,
        pixmaps: PixmapCache,
        palettes: PaletteCache,
        *,
        client_lz4: bool,
        lossy: bool,
        tally: DisplayTally,
    ) -> None:
        self.pixmaps = pixmaps
        self.palettes = palettes
        self.client_lz4 = client_lz4
        self.lossy = lossy  # whether images may be sent lossy at all
        self.tally = tally

    def names(self, image: Any, mode: int, *, lossy: bool) -> tuple[str, ...]:
        """The encoders for an image that has to be encoded; none for others."""
        if (
            image.surface is not None
            or _plain_bytes(image) < MIN_ENCODED_BYTES
            or self._cached(image, lossy) is not None
        ):
            return ()
        return candidates(pixels_of(image), mode, client_lz4=self.client_lz4, lossy=lossy and self.lossy)

    def missing(self, image: Any, names: tuple[str, ...]) -> Encoding | None:
        """The encoding that must be made elsewhere before this image can be packed with it, if any."""
        if not names or _plain_bytes(image) < INLINE_BYTES:
            return None
        encoding = Encoding.of(image, names)
        return None if encoding.done else encoding

    def pack(self, drawable: Any, mode: int, *, lossy: bool, own: Encoded | None = None) -> PackedDrawing:
        """
        The message for a drawable none of whose encodings is :meth:`missing`; ``own`` is
        its only image as the client's own dictionary has it.
        """
        body = bytearray(drawable.body)
        packed = PackedDrawing([body])
        brought: set[int] = set()
        at = len(body)
        for pointer, image in drawable.fixups():
            _U32.pack_into(body, pointer, at)
            kind, parts = self._image(image, mode, lossy, at, packed, brought, own)
            packed.parts += parts
            size = sum(map(len, parts))
            self.tally.image_sent(kind, size)
            at += size
        return packed

    def _cached(self, image: Any, lossy: bool) -> CachedImage | None:
        if not image.flags & CACHE_ME:
            return None
        known = self.pixmaps.find(image.id)
        return known if known is not None and (lossy or not known.lossy) else None

    def _encoding(self, image: Any, mode: int, lossy: bool) -> Encoding | None:
        if _plain_bytes(image) < MIN_ENCODED_BYTES:
            return None
        pixels = pixels_of(image)
        names = candidates(pixels, mode, client_lz4=self.client_lz4, lossy=lossy and self.lossy)
        names = tuple(name for name in names if name != GLZ)
        return Encoding.of(image, names) if names else None

    def _image(
        self,
        image: Any,
        mode: int,
        lossy: bool,
        at: int,
        packed: PackedDrawing,
        brought: set[int],
        own: Encoded | None,
    ) -> tuple[int, list[Buffer]]:
        """An image at an offset of the message: its type, and descriptor and what belongs behind it."""
        flags = image.flags & HIGH_BITS_SET
        if image.surface is not None:
            return ImageType.SURFACE, [
                _DESCRIPTOR.pack(image.id, ImageType.SURFACE, 0, image.width, image.height),
                _U32.pack(image.surface),
            ]
        if own is None and image.id not in brought:
            known = self._cached(image, lossy)
            if known is not None:
                packed.images.append(image.id)
                packed.lossy |= bool(known.lossy)
                # with lossy images about, say which kind is meant: another channel may be about to replace it
                kind = (
                    ImageType.FROM_CACHE_LOSSLESS if self.lossy and not known.lossy else ImageType.FROM_CACHE
                )
                return kind, [_DESCRIPTOR.pack(image.id, kind, flags, image.width, image.height)]
        encoding = self._encoding(image, mode, lossy) if own is None else None
        encoded = self._made(encoding) if encoding is not None else own
        packed.lossy |= encoded is not None and encoded.lossy
        if image.flags & CACHE_ME and image.id not in brought:
            flags |= self._keep(image, encoded is not None and encoded.lossy, packed)
            brought.add(image.id)
        if encoded is None:
            return ImageType.BITMAP, self._bitmap(image, flags, at, packed)
        descriptor = _DESCRIPTOR.pack(image.id, encoded.image_type, flags, image.width, image.height)
        if encoded.image_type == ImageType.LZ_PLT:
            behind = at + len(descriptor) + _LZ_PALETTE.size + _U32.size + encoded.size
            bitmap_flags, palette, colours = self._palette(image, behind, packed)
            head = descriptor + _LZ_PALETTE.pack(bitmap_flags, encoded.size) + palette
            parts = [head, *encoded.parts]
            return encoded.image_type, [*parts, colours] if colours else parts
        head = descriptor + encoded.head + _U32.pack(encoded.size)
        return encoded.image_type, [head, *encoded.parts]

    def _made(self, encoding: Encoding) -> Encoded | None:
        encoding.make()
        self.count_encoding(encoding)
        return encoding.result

    def count_encoding(self, encoding: Encoding) -> None:
        """Count the time that went into an encoding, unless that was done."""
        made = encoding.result
        self.tally.image_encoded(None if made is None else made.image_type, encoding.take_nanoseconds())

    def _keep(self, image: Any, lossy: bool, packed: PackedDrawing) -> int:
        """Have the client keep an image that it is sent now; the flag that tells it so."""
        known = self.pixmaps.find(image.id)
        if known is not None:
            was_lossy, known.lossy = known.lossy, 0
            packed.images.append(image.id)
            # it may have the right one by now, and is not to count it twice
            return CACHE_REPLACE_ME if was_lossy else 0
        evicted = self.pixmaps.add(image.id, image.width * image.height, lossy=lossy, keep=packed.images)
        if evicted is None:
            return 0
        packed.evicted += evicted
        packed.images.append(image.id)
        return CACHE_ME

    def _bitmap(self, image: Any, flags: int, at: int, packed: PackedDrawing) -> list[Buffer]:
        pixels = pixels_of(image)
        tight = row_bytes(image.format, image.width)
        if image.stride - tight < MAX_PADDING_BYTES:
            stride, data = image.stride, memoryview(image.data)[: image.stride * image.height]
        else:
            stride, data = tight, pixels.rows()
        start = _DESCRIPTOR.pack(image.id, ImageType.BITMAP, flags, image.width, image.height)
        behind = at + _DESCRIPTOR.size + _BITMAP.size + _U32.size + len(data)
        bitmap_flags, palette, colours = self._palette(image, behind, packed)
        head = start + _BITMAP.pack(image.format, bitmap_flags, image.width, image.height, stride) + palette
        return [head, data, colours] if colours else [head, data]

    def _palette(self, image: Any, behind: int, packed: PackedDrawing) -> tuple[int, bytes, bytes]:
        """
        The flags of an image; how it names its palette, or that it has none; and the
        palette itself if that must be sent, at the offset ``behind`` of the message.
        """
        flags = TOP_DOWN if image.top_down else 0
        if not image.palette or image.format not in PALETTE_FORMATS:
            return flags, _U32.pack(0), b""
        if image.palette_id and self.palettes.use(image.palette_id):
            return flags | PAL_FROM_CACHE, _U64.pack(image.palette_id), b""
        if image.palette_id:
            flags |= PAL_CACHE_ME
            evicted = self.palettes.add(image.palette_id)
            if evicted is not None:
                packed.evicted_palettes.append(evicted)
        colours = struct.pack(f"<{len(image.palette)}I", *image.palette)
        return flags, _U32.pack(behind), _PALETTE.pack(image.palette_id, len(image.palette)) + colours


def is_sound(image: Any) -> bool:
    """Whether an image of the device can be sent: its size is possible and all its rows are there."""
    if image.surface is not None:
        return True
    try:
        pixels_of(image).check()
    except ImageError:
        return False
    return True


def _plain_bytes(image: Any) -> int:
    return row_bytes(image.format, image.width) * image.height
