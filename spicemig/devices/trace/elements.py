# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The parts that drawing commands of a trace are made of, each for reading and for writing.

An element reads itself from a :class:`Text` as a value of the display message that
the command becomes, and writes such a value as pieces of a trace. Numbers in a
trace are printed as signed ones whatever their type, so they are masked to size.

Source: FORMAT.md of the traces; qxl_dev.h for names.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Protocol

from spicemig.codecs import quic
from spicemig.codecs.pixels import ImageError
from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.trace.text import Lines, Text, write_block, write_chunks
from spicemig.wire.drawing import (
    Brush,
    Clip,
    LineAttr,
    Path,
    PathSegment,
    Pattern,
    Point,
    Point16,
    PointFix,
    QMask,
    RasterGlyphA1,
    RasterGlyphA4,
    RasterGlyphA8,
    Rect,
    String,
    Transform,
)
from spicemig.wire.enums import BitmapFlags, BitmapFormat, BrushType, ClipType, LineFlags, StringFlags

U8, U16, U32, U64 = 0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF

DIRECT = 1  # bitmap flag: the data is one flat block
IMAGE_FLAGS = 7
LARGEST_PALETTE = 256

Pieces = Iterable[bytes]


def signed(value: int) -> int:
    """How a trace prints an unsigned 32-bit number."""
    return value - (1 << 32) if value >> 31 else value


class Element(Protocol):
    """A part of a command."""

    def read(self, text: Text) -> Any:
        """The value that is next."""

    def write(self, value: Any) -> Pieces:
        """What stands for this value."""


class Number:
    """A line with one number."""

    def __init__(self, name: str, mask: int = U32) -> None:
        self._lines = Lines(f"{name} #")
        self._mask = mask

    def read(self, text: Text) -> int:
        return text.take(self._lines)[0] & self._mask

    def write(self, value: int) -> Pieces:
        yield self._lines.write(signed(value))


class RectLine:
    """A rectangle; the trace has the order of ``Rect``."""

    def __init__(self, name: str) -> None:
        self._lines = Lines(f"rect {name} # # # #")

    def read(self, text: Text) -> Rect:
        return Rect(*text.take(self._lines))

    def write(self, value: Rect) -> Pieces:
        yield self._lines.write(value.top, value.left, value.bottom, value.right)


class PointLine:
    """A position on a surface."""

    _lines = Lines("point # #")

    def read(self, text: Text) -> Point:
        return Point(*text.take(self._lines))

    def write(self, value: Point) -> Pieces:
        yield self._lines.write(value.x, value.y)


class OriginLine:
    """A position of 16 bits, named."""

    def __init__(self, name: str) -> None:
        self._lines = Lines(f"{name} # #")

    def read(self, text: Text) -> Point16:
        return Point16(*text.take(self._lines))

    def write(self, value: Point16) -> Pieces:
        yield self._lines.write(value.x, value.y)


class ClipElement:
    """Everywhere, or some rectangles."""

    _everywhere = Lines("type 0")
    _rects = Lines("type 1", "num_rects #")

    def read(self, text: Text) -> Clip:
        if text.may_take(self._everywhere) is not None:
            return Clip()
        count = text.take(self._rects)[0]
        data = text.chunks("clip_rects")
        if len(data) != 16 * count:
            raise text.wrong(f"{count} clip rectangles do not have {len(data)} bytes")
        return Clip(ClipType.RECTS, [Rect(*sides) for sides in struct.iter_unpack("<4i", data)])

    def write(self, value: Clip) -> Pieces:
        if value.type != ClipType.RECTS:
            yield self._everywhere.write()
            return
        rects = value.rects or []
        yield self._rects.write(len(rects))
        packed = [struct.pack("<4i", rect.top, rect.left, rect.bottom, rect.right) for rect in rects]
        yield from write_chunks("clip_rects", b"".join(packed))


class ImageElement:
    """
    An image that may be absent: a ``Placeholder`` of a :class:`DeviceImage`, or None.

    One that the guest compressed itself is made a bitmap; if that fails, it has the format INVALID.
    """

    _absent = Lines("image 0")
    _size = ("descriptor.flags #", "descriptor.width #", "descriptor.height #")
    _bitmap = Lines(
        "image 1",
        "descriptor.id #",
        "descriptor.type 0",
        *_size,
        "bitmap.format #",
        "bitmap.flags #",
        "bitmap.x #",
        "bitmap.y #",
        "bitmap.stride #",
        "has_palette #",
    )
    _surface = Lines(
        "image 1", "descriptor.id #", "descriptor.type 104", *_size, "surface_image.surface_id #"
    )
    _quic = Lines("image 1", "descriptor.id #", "descriptor.type 1", *_size, "quic.data_size #")
    _palette = Lines("qp.num_ents #", "unique #")
    _colour = Lines("ents #")

    def read(self, text: Text) -> Placeholder | None:
        if text.may_take(self._absent) is not None:
            return None
        told = text.may_take(self._bitmap)
        if told is not None:
            return Placeholder(self._read_bitmap(text, *told))
        told = text.may_take(self._surface)
        if told is not None:
            id, _flags, width, height, surface = told  # the flags are uninitialised memory
            return Placeholder(DeviceImage(width, height, id=id & U64, surface=surface & U32))
        told = text.may_take(self._quic)
        if told is not None:
            return Placeholder(_read_quic(text, *told))
        raise text.none_of(self._absent, self._bitmap, self._surface, self._quic)

    def _read_bitmap(
        self,
        text: Text,
        id: int,
        image_flags: int,
        _width: int,
        _height: int,
        format: int,
        flags: int,
        width: int,
        height: int,
        stride: int,
        has_palette: int,
    ) -> DeviceImage:
        palette: tuple[int, ...] = ()
        palette_id = 0
        if has_palette:
            count, palette_id = text.take(self._palette)
            if not 0 <= count <= LARGEST_PALETTE:
                raise text.wrong(f"a palette of {count} colours is too large")
            palette = tuple(text.take(self._colour)[0] & U32 for _ in range(count))
        data = text.block("image_data_flat") if flags & DIRECT else text.chunks("bitmap.data")
        if len(data) != height * stride:
            raise text.wrong(f"a bitmap of {height} rows of {stride} bytes does not have {len(data)} bytes")
        return DeviceImage(
            width,
            height,
            format,
            stride,
            data,
            bool(flags & BitmapFlags.TOP_DOWN),
            id & U64,
            image_flags & IMAGE_FLAGS,
            palette,
            palette_id & U64,
        )

    def write(self, value: Any) -> Pieces:
        if value is None:
            yield self._absent.write()
            return
        image: DeviceImage = value.value
        if image.surface is not None:
            yield self._surface.write(image.id, 0, image.width, image.height, image.surface)
            return
        yield self._bitmap.write(
            image.id,
            image.flags,
            image.width,
            image.height,
            image.format,
            BitmapFlags.TOP_DOWN if image.top_down else 0,
            image.width,
            image.height,
            image.stride,
            bool(image.palette),
        )
        if image.palette:
            yield self._palette.write(len(image.palette), image.palette_id)
            for colour in image.palette:
                yield self._colour.write(signed(colour))
        yield from write_chunks("bitmap.data", bytes(image.data[: image.height * image.stride]))


def _read_quic(text: Text, id: int, image_flags: int, width: int, height: int, size: int) -> DeviceImage:
    data = text.chunks("quic.data")
    flags = image_flags & IMAGE_FLAGS
    if size != len(data):
        raise text.wrong(f"{size} bytes of an image were promised, but there are {len(data)}")
    try:
        made = quic.decode(data, width, height)
    except ImageError:
        return DeviceImage(width, height, BitmapFormat.INVALID, id=id & U64, flags=flags)
    return DeviceImage(
        made.width, made.height, made.format, made.stride, made.data, made.top_down, id & U64, flags
    )


IMAGE = ImageElement()
POINT = PointLine()


class BrushElement:
    """A colour, a pattern, or nothing."""

    _none = Lines("type 0")
    _solid = Lines("type 1", "u.color #")
    _pattern = Lines("type 2")

    def read(self, text: Text) -> Brush:
        told = text.may_take(self._solid)
        if told is not None:
            return Brush(BrushType.SOLID, told[0] & U32)
        if text.may_take(self._none) is not None:
            return Brush()
        if text.may_take(self._pattern) is None:
            raise text.none_of(self._none, self._solid, self._pattern)
        image = IMAGE.read(text)
        origin = POINT.read(text)
        if image is None:
            return Brush()
        return Brush(BrushType.PATTERN, pattern=Pattern(image, origin))

    def write(self, value: Brush) -> Pieces:
        if value.type == BrushType.SOLID:
            yield self._solid.write(signed(value.color or 0))
        elif value.type == BrushType.PATTERN and value.pattern is not None:
            yield self._pattern.write()
            yield from IMAGE.write(value.pattern.pat)
            yield from POINT.write(value.pattern.pos)
        else:
            yield self._none.write()


class MaskElement:
    """Which pixels are drawn."""

    _lines = Lines("flags #", "point # #")
    _absent = _lines + Lines("image 0")

    def read(self, text: Text) -> QMask:
        told = text.may_take(self._absent)
        if told is not None:
            return QMask(told[0] & U8, Point(*told[1:]))
        flags, x, y = text.take(self._lines)
        return QMask(flags & U8, Point(x, y), IMAGE.read(text))

    def write(self, value: QMask) -> Pieces:
        yield self._lines.write(value.flags, value.pos.x, value.pos.y)
        yield from IMAGE.write(value.bitmap)


class PathElement:
    """Lines and curves: flags, number of points, and the points of each segment."""

    _head = struct.Struct("<II")
    _point = struct.Struct("<ii")

    def read(self, text: Text) -> Path:
        data = text.chunks("path")
        segments = []
        at = 0
        while at < len(data):
            if at + self._head.size > len(data):
                raise text.wrong("a path ends in the middle of a segment")
            flags, count = self._head.unpack_from(data, at)
            start = at + self._head.size
            at = start + count * self._point.size
            if at > len(data):
                raise text.wrong("a path ends in the middle of a segment")
            points = [PointFix(x, y) for x, y in self._point.iter_unpack(data[start:at])]
            segments.append(PathSegment(flags & U8, points))
        return Path(segments)

    def write(self, value: Path) -> Pieces:
        parts = []
        for segment in value.segments:
            parts.append(self._head.pack(segment.flags, len(segment.points)))
            parts += [self._point.pack(point.x, point.y) for point in segment.points]
        yield from write_chunks("path", b"".join(parts))


class LineElement:
    """How a line is dashed."""

    _flags = Lines("attr.flags #")
    _count = Lines("attr.style_nseg #")

    def read(self, text: Text) -> LineAttr:
        flags = text.take(self._flags)[0] & U8
        if not flags & LineFlags.STYLED:
            return LineAttr(flags)
        count = text.take(self._count)[0]
        data = text.block("style")
        if len(data) != 4 * count or count > U8:
            raise text.wrong(f"{count} dashes do not have {len(data)} bytes")
        return LineAttr(flags, list(struct.unpack(f"<{count}i", data)))

    def write(self, value: LineAttr) -> Pieces:
        yield self._flags.write(value.flags)
        if value.flags & LineFlags.STYLED:
            style = value.style or []
            yield self._count.write(len(style))
            yield from write_block("style", struct.pack(f"<{len(style)}i", *style))


class StringElement:
    """Glyphs, one behind the other without padding."""

    _lines = Lines("data_size #", "length #", "flags #")
    _glyph = struct.Struct("<4i2H")  # render position, origin, width, height
    _kinds: dict[int, tuple[Any, int]] = {
        StringFlags.RASTER_A1: (RasterGlyphA1, 1),
        StringFlags.RASTER_A4: (RasterGlyphA4, 4),
        StringFlags.RASTER_A8: (RasterGlyphA8, 8),
    }

    def read(self, text: Text) -> String:
        _size, length, flags = text.take(self._lines)
        data = text.chunks("string")
        known = self._kinds.get(flags & 7)
        if known is None:
            raise text.wrong(f"glyphs of the kind {flags} are not known")
        kind, depth = known
        glyphs = []
        at = 0
        for _ in range(length):
            if at + self._glyph.size > len(data):
                raise text.wrong(f"{length} glyphs do not fit into {len(data)} bytes")
            x, y, origin_x, origin_y, width, height = self._glyph.unpack_from(data, at)
            start = at + self._glyph.size
            at = start + (width * depth + 7) // 8 * height
            if at > len(data):
                raise text.wrong(f"{length} glyphs do not fit into {len(data)} bytes")
            glyphs.append(kind(Point(x, y), Point(origin_x, origin_y), width, height, data[start:at]))
        return String(flags & U8, glyphs)

    def write(self, value: String) -> Pieces:
        parts: list[bytes] = []
        for glyph in value.glyphs or []:
            position, origin = glyph.render_pos, glyph.glyph_origin
            parts.append(
                self._glyph.pack(position.x, position.y, origin.x, origin.y, glyph.width, glyph.height)
            )
            parts.append(bytes(glyph.data))
        data = b"".join(parts)
        yield self._lines.write(len(data), len(value.glyphs or []), value.flags)
        yield from write_chunks("string", data)


class MaybeImage:
    """A line that says whether an image follows."""

    def __init__(self, name: str) -> None:
        self._absent, self._present = Lines(f"{name} 0"), Lines(f"{name} 1")

    def read(self, text: Text) -> Placeholder | None:
        if text.may_take(self._absent) is not None:
            return None
        text.take(self._present)
        return IMAGE.read(text)

    def write(self, value: Placeholder | None) -> Pieces:
        if value is None:
            yield self._absent.write()
        else:
            yield self._present.write()
            yield from IMAGE.write(value)


class MaybeTransform:
    """A line that says whether a matrix follows."""

    _matrix = struct.Struct("<6I")

    def __init__(self, name: str) -> None:
        self._absent, self._present = Lines(f"{name} 0"), Lines(f"{name} 1")

    def read(self, text: Text) -> Transform | None:
        if text.may_take(self._absent) is not None:
            return None
        text.take(self._present)
        data = text.block("transform")
        if len(data) != self._matrix.size:
            raise text.wrong(f"a matrix does not have {len(data)} bytes")
        return Transform(*self._matrix.unpack(data))

    def write(self, value: Transform | None) -> Pieces:
        if value is None:
            yield self._absent.write()
            return
        yield self._present.write()
        rows = (value.t00, value.t01, value.t02, value.t10, value.t11, value.t12)
        yield from write_block("transform", self._matrix.pack(*rows))
