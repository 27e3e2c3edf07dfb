# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The parts of a guest's commands: data in chunks, images, brushes, paths, glyphs.

Whatever a command needs is copied out of device memory when the command is taken, so
that the guest may do with the memory what it likes afterwards. Nothing that it
says of sizes, counts and addresses is believed.

Source: red-parse-qxl.cpp of spice-server 0.15.1.
"""

from __future__ import annotations

import struct
from typing import Any

from spicemig.codecs import quic
from spicemig.codecs.pixels import ImageError
from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.guest_layout import (
    BITMAP_DIRECT,
    BITMAP_TOP_DOWN,
    IMAGE_CACHE,
    IMAGE_HIGH_BITS_SET,
    Chunk,
    CommandFlags,
    GuestBitmap,
    GuestBrush,
    GuestClip,
    GuestClipRects,
    GuestImage,
    GuestLine,
    GuestMask,
    GuestPalette,
    GuestPath,
    GuestString,
    size_of,
)
from spicemig.devices.memory import GuestMistake, MemorySlots
from spicemig.wire.drawing import (
    Brush,
    Clip,
    LineAttr,
    Path,
    PathSegment,
    Pattern,
    Point,
    PointFix,
    QMask,
    RasterGlyphA1,
    RasterGlyphA4,
    RasterGlyphA8,
    Rect,
    String,
    Transform,
)
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ClipType,
    ImageFlags,
    ImageType,
    LineFlags,
    StringFlags,
)

CHUNKS_LIMIT = 16384  # of one list
POINTS_LIMIT = 65536  # of a path
RECTS_LIMIT = 8192  # of a clip; they are made disjoint, which takes time
LARGEST_PALETTE = 256

_CHUNK_BYTES = size_of(Chunk)
_BITS = {
    BitmapFormat.BIT1_LE: 1,
    BitmapFormat.BIT1_BE: 1,
    BitmapFormat.BIT4_LE: 4,
    BitmapFormat.BIT4_BE: 4,
    BitmapFormat.BIT8: 8,
    BitmapFormat.BIT16: 16,
    BitmapFormat.BIT24: 24,
    BitmapFormat.BIT32: 32,
    BitmapFormat.RGBA: 32,
    BitmapFormat.BIT8_A: 8,
}
_INDEXED_BITS = (1, 4, 8)

_RECT = struct.Struct("<4i")
_SEGMENT = struct.Struct("<II")
_POINT = struct.Struct("<ii")
_GLYPH = struct.Struct("<4i2H")  # render position, origin, width, height
_GLYPHS: dict[int, tuple[Any, int]] = {
    StringFlags.RASTER_A1: (RasterGlyphA1, 1),
    StringFlags.RASTER_A4: (RasterGlyphA4, 4),
    StringFlags.RASTER_A8: (RasterGlyphA8, 8),
}


def colour_of_16_bits(colour: int) -> int:
    """A colour of an old driver in 16-bit mode, in 32 bits."""
    blue, green, red = colour & 31, colour >> 5 & 31, colour >> 10 & 31
    return (blue << 3 | blue >> 2) | (green << 3 | green >> 2) << 8 | (red << 3 | red >> 2) << 16


class GuestData:
    """
    Reads the parts of one command.

    Raises :class:`GuestMistake`, or ``WireError`` for values that have no place in
    a message. All data together is not more than there is device memory. ``salt``
    tells what the guest names now from what it gave the same name before a reset.
    """

    def __init__(self, slots: MemorySlots, flags: int = 0, salt: int = 0) -> None:
        self._slots = slots
        self._salt = salt
        self._in_16_bits = bool(flags & CommandFlags.COMPAT_16BPP)
        self._left_bytes = slots.memory_bytes

    def read(self, declared: Any, address: int) -> Any:
        """A record."""
        return self._slots.read(declared, address)

    def data(self, address: int, size: int) -> bytes:
        """A copy of some bytes."""
        self._count(size)
        return bytes(self._slots.view(address, size))

    def _count(self, size: int) -> None:
        self._left_bytes -= size
        if self._left_bytes < 0:
            raise GuestMistake("a command has more data than there is device memory")

    def chunks(self, address: int) -> bytes:
        """The data of a list of chunks, put together."""
        seen: set[int] = set()
        parts = []
        while address:
            if address in seen or len(seen) >= CHUNKS_LIMIT:
                raise GuestMistake("a list of chunks does not end")
            seen.add(address)
            chunk = self.read(Chunk, address)
            parts.append(self.data(address + _CHUNK_BYTES, chunk.data_size))
            address = chunk.next_address
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def name(self, id: int) -> int:
        """What clients may know this as; 0 is no name."""
        return id and id ^ self._salt

    def clip(self, told: GuestClip) -> Clip:
        """Everywhere, or some rectangles."""
        if told.type == ClipType.NONE:
            return Clip()
        if told.type != ClipType.RECTS:
            raise GuestMistake(f"a clip of type {told.type} is not known")
        head = self.read(GuestClipRects, told.rects_address)
        data = self.chunks(told.rects_address + size_of(GuestClipRects))
        if head.num_rects > RECTS_LIMIT or len(data) != head.num_rects * _RECT.size:
            raise GuestMistake(f"{head.num_rects} clip rectangles cannot have {len(data)} bytes")
        return Clip(ClipType.RECTS, [Rect(*sides) for sides in _RECT.iter_unpack(data)])

    def colour(self, colour: int) -> int:
        """A colour, which is narrower in some modes."""
        return colour_of_16_bits(colour) if self._in_16_bits else colour & 0xFFFFFFFF

    def image(self, address: int, *, is_mask: bool = False) -> Placeholder | None:
        """An image, or None where there is no address."""
        if not address:
            return None
        head = self.read(GuestImage, address)
        rest = address + size_of(GuestImage)
        if head.type == ImageType.SURFACE:
            surface = int.from_bytes(self.data(rest, 4), "little")
            return Placeholder(DeviceImage(head.width, head.height, id=self.name(head.id), surface=surface))
        if head.type == ImageType.QUIC:
            return Placeholder(self._quic(head, rest))
        if head.type != ImageType.BITMAP:
            raise GuestMistake(f"an image of type {head.type} cannot be drawn")
        bitmap = self.read(GuestBitmap, rest)
        bits = _BITS.get(bitmap.format)
        if bits is None or not (bitmap.x and bitmap.y) or bitmap.stride < (bitmap.x * bits + 7) // 8:
            raise GuestMistake(
                f"a bitmap of {bitmap.x} by {bitmap.y} pixels, {bitmap.stride} bytes a row, "
                f"format {bitmap.format}, is not possible"
            )
        palette_id = 0
        palette: tuple[int, ...] = ()
        if bitmap.palette_address:
            palette_id, palette = self._palette(bitmap.palette_address)
        elif bits in _INDEXED_BITS and not is_mask and bitmap.format != BitmapFormat.BIT8_A:
            raise GuestMistake("a bitmap lacks its palette")
        size = bitmap.y * bitmap.stride
        if bitmap.flags & BITMAP_DIRECT:
            data = self.data(bitmap.data_address, size)
        else:
            data = self.chunks(bitmap.data_address)
            if len(data) != size:
                raise GuestMistake(f"a bitmap of {size} bytes has {len(data)}")
        return Placeholder(
            DeviceImage(
                bitmap.x,
                bitmap.y,
                bitmap.format,
                bitmap.stride,
                data,
                bool(bitmap.flags & BITMAP_TOP_DOWN),
                self.name(head.id),
                _flags_of(head),
                palette,
                palette_id,
            )
        )

    def _quic(self, head: GuestImage, address: int) -> DeviceImage:
        """An image that the driver has compressed."""
        size = int.from_bytes(self.data(address, 4), "little")
        payload = self.chunks(address + 4)
        self._count(4 * head.width * head.height)
        if len(payload) != size:
            raise GuestMistake(f"a compressed image of {size} bytes has {len(payload)}")
        try:
            pixels = quic.decode(payload, head.width, head.height)
        except ImageError as error:
            raise GuestMistake(str(error)) from error
        return DeviceImage(
            pixels.width,
            pixels.height,
            pixels.format,
            pixels.stride,
            pixels.data,
            pixels.top_down,
            self.name(head.id),
            _flags_of(head),
        )

    def _palette(self, address: int) -> tuple[int, tuple[int, ...]]:
        head = self.read(GuestPalette, address)
        if head.num_ents > LARGEST_PALETTE:
            raise GuestMistake(f"a palette of {head.num_ents} colours is too large")
        data = self.data(address + size_of(GuestPalette), 4 * head.num_ents)
        colours = struct.unpack(f"<{head.num_ents}I", data)
        return self.name(head.unique), tuple(self.colour(colour) for colour in colours)

    def needed_image(self, address: int) -> Placeholder:
        """An image that must be there."""
        image = self.image(address)
        if image is None:
            raise GuestMistake("there is no image to draw")
        return image

    def brush(self, told: GuestBrush) -> Brush:
        """A colour, a pattern, or nothing."""
        if told.type == BrushType.SOLID:
            return Brush(BrushType.SOLID, self.colour(told.value))
        if told.type == BrushType.PATTERN:
            return Brush(BrushType.PATTERN, pattern=Pattern(self.needed_image(told.value), told.pos))
        if told.type != BrushType.NONE:
            raise GuestMistake(f"a brush of type {told.type} is not known")
        return Brush()

    def mask(self, told: GuestMask) -> QMask:
        """A mask; without an image there is none."""
        if not told.bitmap_address:
            return QMask()
        return QMask(told.flags, told.pos, self.image(told.bitmap_address, is_mask=True))

    def path(self, address: int) -> Path:
        """Lines and curves; a segment that ends behind the data makes the whole path wrong."""
        self.read(GuestPath, address)
        data = self.chunks(address + size_of(GuestPath))
        segments = []
        at = points = 0
        while at + _SEGMENT.size < len(data):
            flags, count = _SEGMENT.unpack_from(data, at)
            start = at + _SEGMENT.size
            at = start + count * _POINT.size
            points += 1 + count
            if at > len(data) or points > POINTS_LIMIT:
                raise GuestMistake(f"a path of {len(data)} bytes cannot have a segment of {count} points")
            segments.append(
                PathSegment(flags & 0xFF, [PointFix(x, y) for x, y in _POINT.iter_unpack(data[start:at])])
            )
        return Path(segments)

    def line(self, told: GuestLine) -> LineAttr:
        """How a line is dashed."""
        if not told.flags & LineFlags.STYLED:
            return LineAttr(told.flags)
        data = self.data(told.style_address, 4 * told.style_nseg)
        return LineAttr(told.flags, list(struct.unpack(f"<{told.style_nseg}i", data)))

    def string(self, address: int) -> String:
        """Glyphs, one behind the other without padding."""
        head = self.read(GuestString, address)
        data = self.chunks(address + size_of(GuestString))
        kind, bits = _GLYPHS.get(head.flags & 7, (None, 0))
        if kind is None or len(data) != head.data_size:
            raise GuestMistake(f"a string with flags {head.flags} and {len(data)} bytes is not possible")
        glyphs = []
        at = 0
        for _glyph in range(head.length):
            if at + _GLYPH.size > len(data):
                break
            x, y, origin_x, origin_y, width, height = _GLYPH.unpack_from(data, at)
            start = at + _GLYPH.size
            at = start + (width * bits + 7) // 8 * height
            glyphs.append(kind(Point(x, y), Point(origin_x, origin_y), width, height, data[start:at]))
        if len(glyphs) != head.length or at != len(data):
            raise GuestMistake(f"{head.length} glyphs do not have {len(data)} bytes")
        return String(head.flags & 0xFF, glyphs)

    def transform(self, address: int) -> Transform | None:
        """A matrix, or None where there is no address."""
        return self.read(Transform, address) if address else None


def _flags_of(head: GuestImage) -> int:
    flags = 0
    if head.flags & IMAGE_CACHE:
        flags |= ImageFlags.CACHE_ME
    if head.flags & IMAGE_HIGH_BITS_SET:
        flags |= ImageFlags.HIGH_BITS_SET
    return flags
