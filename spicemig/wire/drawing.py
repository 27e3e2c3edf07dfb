# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Records that display and cursor messages have in common.

Points and rectangles are in pixels of a surface; a rectangle does not contain
its ``bottom`` row and its ``right`` column. Colours are 0x00RRGGBB.

Source: spice.proto.
"""

from typing import Annotated, TypeAlias

from spicemig.wire.declare import (
    Buffer,
    Counted,
    Placeholder,
    Pointed,
    Pointer,
    Rest,
    Rows,
    Switch,
    When,
    i16,
    i32,
    length_of,
    record,
    u8,
    u16,
    u32,
    u64,
)
from spicemig.wire.enums import (
    BitmapFlags,
    BitmapFormat,
    BrushType,
    ClipType,
    CursorFlags,
    CursorType,
    ImageFlags,
    ImageType,
    JpegAlphaFlags,
    LineFlags,
    MaskFlags,
    PathFlags,
    StringFlags,
)


@record
class Point:
    """A position; it may be outside the surface."""

    x: i32
    y: i32


@record
class Point16:
    """A position in 16 bits."""

    x: i16
    y: i16


@record
class PointFix:
    """A position in 28.4 fixed point: units of a sixteenth of a pixel."""

    x: i32
    y: i32


@record
class Rect:
    """A rectangle of pixels."""

    top: i32
    left: i32
    bottom: i32
    right: i32


@record
class Transform:
    """The upper two rows of a 3x3 matrix, in 16.16 fixed point."""

    t00: u32
    t01: u32
    t02: u32
    t10: u32
    t11: u32
    t12: u32


@record
class Clip:
    """Where drawing has an effect: everywhere, or in these rectangles."""

    type: Annotated[u8, ClipType] = ClipType.NONE
    rects: Annotated[list[Rect] | None, Counted(u32), When("type", equals=ClipType.RECTS)] = None


@record
class DrawBase:
    """What every drawing has: where, at most, it draws; DisplayBase in spice.proto."""

    surface_id: u32
    box: Rect
    clip: Clip = Clip()


@record
class ResourceId:
    """Something that the client keeps in a cache."""

    type: u8  # ResourceType
    id: u64


# Images.


@record
class Palette:
    """Colours of an indexed bitmap; the client can keep them by ``unique``."""

    unique: u64
    num_ents: u16 = length_of("ents")
    ents: Annotated[list[u32], Counted("num_ents")] = []


@record
class Bitmap:
    """Uncompressed pixels: ``y`` rows of ``stride`` bytes, the bottom row first unless TOP_DOWN."""

    format: Annotated[u8, BitmapFormat]
    flags: Annotated[u8, BitmapFlags]
    x: u32
    y: u32
    stride: u32
    palette_id: Annotated[u64 | None, When("flags", has=BitmapFlags.PAL_FROM_CACHE)] = None
    palette: Annotated[Palette | None, Pointer(), When("flags", lacks=BitmapFlags.PAL_FROM_CACHE)] = None
    data: Annotated[Buffer, Rows(8, "stride", "y")] = b""


@record
class BinaryData:
    """A compressed image: QUIC, LZ_RGB, GLZ_RGB, JPEG, LZ4."""

    data: Annotated[Buffer, Counted(u32)]


@record
class LzPltData:
    """LZ of palette indexes."""

    flags: Annotated[u8, BitmapFlags]
    data_size: u32 = length_of("data")
    palette_id: Annotated[u64 | None, When("flags", has=BitmapFlags.PAL_FROM_CACHE)] = None
    palette: Annotated[
        Palette | None, Pointer(required=True), When("flags", lacks=BitmapFlags.PAL_FROM_CACHE)
    ] = None
    data: Annotated[Buffer, Counted("data_size")] = b""


@record
class ZlibGlzData:
    """A GLZ stream, deflated."""

    glz_data_size: u32
    data: Annotated[Buffer, Counted(u32)]


@record
class JpegAlphaData:
    """A JPEG of ``jpeg_size`` bytes, then LZ of the alpha plane."""

    flags: Annotated[u8, JpegAlphaFlags]
    jpeg_size: u32
    data: Annotated[Buffer, Counted(u32)]


@record
class SurfaceData:
    """An image that is what a surface shows."""

    surface_id: u32


@record
class ImageDescriptor:
    """What is known of an image before its data; ``id`` names the content for caches."""

    id: u64
    type: Annotated[u8, ImageType]
    flags: Annotated[u8, ImageFlags]
    width: u32
    height: u32


@record
class Image:
    """An image. FROM_CACHE and FROM_CACHE_LOSSLESS have no data."""

    descriptor: ImageDescriptor
    data: Annotated[
        Bitmap | BinaryData | LzPltData | ZlibGlzData | JpegAlphaData | SurfaceData | None,
        Switch(
            "descriptor.type",
            {
                ImageType.BITMAP: Bitmap,
                ImageType.QUIC: BinaryData,
                ImageType.LZ_PLT: LzPltData,
                ImageType.LZ_RGB: BinaryData,
                ImageType.GLZ_RGB: BinaryData,
                ImageType.SURFACE: SurfaceData,
                ImageType.JPEG: BinaryData,
                ImageType.ZLIB_GLZ_RGB: ZlibGlzData,
                ImageType.JPEG_ALPHA: JpegAlphaData,
                ImageType.LZ4: BinaryData,
            },
        ),
    ] = None


ImagePointer: TypeAlias = Annotated[Image | Placeholder | None, Pointer()]
"""An image that may be absent, or come later."""

RequiredImagePointer: TypeAlias = Annotated[Image | Placeholder, Pointer()]
"""An image that must be there, but may come later."""


# What is drawn with.


@record
class Pattern:
    """An image repeated over the plane; its origin is at ``pos``."""

    pat: RequiredImagePointer
    pos: Point


@record
class Brush:
    """A colour, a pattern, or nothing."""

    type: Annotated[u8, BrushType] = BrushType.NONE
    color: Annotated[u32 | None, When("type", equals=BrushType.SOLID)] = None
    pattern: Annotated[Pattern | None, When("type", equals=BrushType.PATTERN)] = None


@record
class QMask:
    """A 1-bit image that says which pixels are drawn; ``pos`` of it lies at the top left of the box."""

    flags: Annotated[u8, MaskFlags] = 0
    pos: Point = Point(0, 0)
    bitmap: ImagePointer = None


@record
class LineAttr:
    """How a line is dashed: lengths in 28.4 fixed point."""

    flags: Annotated[u8, LineFlags] = 0
    style: Annotated[
        list[i32] | None, Pointed(size=u8, optional=True), When("flags", has=LineFlags.STYLED)
    ] = None


@record
class PathSegment:
    """Points of one part of a path."""

    flags: Annotated[u8, PathFlags]
    points: Annotated[list[PointFix], Counted(u32)]


@record
class Path:
    """Lines and curves."""

    segments: Annotated[list[PathSegment], Counted(u32)]


@record
class RasterGlyphA1:
    """A glyph with one bit for a pixel; rows are padded to bytes."""

    render_pos: Point
    glyph_origin: Point
    width: u16
    height: u16
    data: Annotated[Buffer, Rows(1, "width", "height")]


@record
class RasterGlyphA4:
    """A glyph with four bits of coverage for a pixel."""

    render_pos: Point
    glyph_origin: Point
    width: u16
    height: u16
    data: Annotated[Buffer, Rows(4, "width", "height")]


@record
class RasterGlyphA8:
    """A glyph with a byte of coverage for a pixel."""

    render_pos: Point
    glyph_origin: Point
    width: u16
    height: u16
    data: Annotated[Buffer, Rows(8, "width", "height")]


@record
class String:
    """Glyphs to draw; the flags tell their depth."""

    length: u16 = length_of("glyphs")
    flags: Annotated[u8, StringFlags]
    glyphs: Annotated[
        list[RasterGlyphA1] | list[RasterGlyphA4] | list[RasterGlyphA8] | None,
        Switch(
            "flags",
            {
                StringFlags.RASTER_A1: Annotated[list[RasterGlyphA1], Counted("length")],
                StringFlags.RASTER_A4: Annotated[list[RasterGlyphA4], Counted("length")],
                StringFlags.RASTER_A8: Annotated[list[RasterGlyphA8], Counted("length")],
            },
            mask=7,
        ),
    ] = None


# Cursors.


@record
class CursorHeader:
    """The shape of a cursor; clients that cache it know it as ``unique``."""

    unique: u64
    type: Annotated[u8, CursorType]
    width: u16
    height: u16
    hot_spot_x: u16
    hot_spot_y: u16


@record
class Cursor:
    """A cursor: none, one that the client has, or a shape with its pixels."""

    flags: Annotated[u16, CursorFlags] = CursorFlags.NONE
    header: Annotated[CursorHeader | None, When("flags", lacks=CursorFlags.NONE)] = None
    data: Annotated[Buffer, Rest()] = b""
