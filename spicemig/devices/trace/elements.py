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

from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.trace.text import LONGEST_TEXT, Lines, Text, write_chunks
from spicemig.wire.drawing import (
    Clip,
    Point,
    Point16,
    Rect,
)
from spicemig.wire.enums import BitmapFlags, ClipType, ImageType

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
    """An image that may be absent: a ``Placeholder`` of a :class:`DeviceImage`, or None."""

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
            text.chunks("quic.data")
            raise Unknown(f"images of type {ImageType.QUIC.name}")
        text.need(LONGEST_TEXT)
        raise text.wrong_lines(self._absent, self._bitmap, self._surface, self._quic)

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

    def write(self, value: Placeholder | None) -> Pieces:
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
