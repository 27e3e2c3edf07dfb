# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How fast drawing operations are, beside pixman, cairo or numpy doing the same.

Run ``python benchmarks/raster.py``; prints milliseconds, the best of several rounds, and
how many times as long ours takes. Needs libpixman-1, libcairo2 and numpy.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

try:
    import numpy
except ImportError:
    raise SystemExit(
        "numpy is what our figures are compared with: install it with pip, or run `make bench`"
    ) from None

from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.surfaces import Surface
from spicemig.wire.drawing import (
    Brush,
    DrawBase,
    LineAttr,
    Path,
    PathSegment,
    Pattern,
    Point,
    Point16,
    PointFix,
    QMask,
    RasterGlyphA8,
    Rect,
    String,
)
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ImageScaleMode,
    LineFlags,
    PathFlags,
    Ropd,
    StringFlags,
    SurfaceFormat,
)
from spicemig.wire.messages.display import (
    CopyBits,
    DrawAlphaBlend,
    DrawComposite,
    DrawCopy,
    DrawFill,
    DrawInvers,
    DrawOpaque,
    DrawRop3,
    DrawStroke,
    DrawText,
    DrawTransparent,
)

WIDTH, HEIGHT = 1024, 768
ROUNDS = 15
BOX = Rect(0, 0, HEIGHT, WIDTH)
BASE = DrawBase(0, BOX)

SRC, OVER, ADD = 1, 3, 12
NEAREST, BILINEAR = 3, 4
PIXMAN_FORMATS = {
    BitmapFormat.BIT16: (0x10020555, 2),
    BitmapFormat.BIT24: (0x18020888, 3),
    BitmapFormat.BIT32: (0x20020888, 4),
    BitmapFormat.RGBA: (0x20028888, 4),
    BitmapFormat.BIT8_A: (0x08018000, 1),
}


class Pixman:
    """Images and what pixman makes of them; images are kept until the end."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("pixman-1")
        if name is None:
            raise SystemExit("this benchmark needs libpixman-1")
        self.library = ctypes.CDLL(name)
        self.library.pixman_image_create_bits.restype = ctypes.c_void_p
        self.library.pixman_image_create_solid_fill.restype = ctypes.c_void_p
        self._kept: list[Any] = []

    def image(self, data: Any, width: int, height: int, format: int = BitmapFormat.RGBA) -> Any:
        """An image of this data, of which pixman has a copy."""
        code, size = PIXMAN_FORMATS[BitmapFormat(format)]
        buffer = ctypes.create_string_buffer(bytes(data), len(data))
        self._kept.append(buffer)
        return ctypes.c_void_p(
            self.library.pixman_image_create_bits(code, width, height, buffer, width * size)
        )

    def solid(self, *colour: int) -> Any:
        """One colour: red, green, blue, alpha of 16 bits."""
        return ctypes.c_void_p(
            self.library.pixman_image_create_solid_fill(ctypes.byref((ctypes.c_uint16 * 4)(*colour)))
        )

    def scaled(self, image: Any, step: float, filter: int) -> Any:
        """The same image, read in such steps."""
        one = int(step * 65536)
        matrix = (ctypes.c_int32 * 9)(one, 0, 0, 0, one, 0, 0, 0, 65536)
        self.library.pixman_image_set_transform(image, ctypes.byref(matrix))
        self.library.pixman_image_set_filter(image, filter, None, 0)
        return image

    def repeated(self, image: Any) -> Any:
        """The same image, again and again."""
        self.library.pixman_image_set_repeat(image, 1)
        return image

    def composite(self, operator: int, source: Any, mask: Any, target: Any) -> Callable[[], Any]:
        """A call that combines them."""
        arguments = (operator, source, mask, target, *(0,) * 6, WIDTH, HEIGHT)
        return lambda: self.library.pixman_image_composite32(*arguments)

    def glyphs(self, glyphs: Any, colour: Any, target: Any) -> Callable[[], Any]:
        """A call that draws glyphs one after the other."""
        masks = []
        for glyph in glyphs:
            stride = glyph.width + 3 & ~3
            rows = [glyph.data[at : at + glyph.width] for at in range(0, len(glyph.data), glyph.width)]
            data = b"".join(row.ljust(stride, b"\0") for row in rows)
            place = glyph.render_pos.x, glyph.render_pos.y + glyph.glyph_origin.y
            masks.append((self.image(data, glyph.width, glyph.height, BitmapFormat.BIT8_A), *place))
        composite = self.library.pixman_image_composite32

        def draw() -> None:
            for mask, x, y in masks:
                composite(OVER, colour, mask, target, 0, 0, 0, 0, x, y, 8, 14)

        return draw


def milliseconds(call: Callable[[], Any]) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _round in range(ROUNDS):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def glyphs(dice: random.Random) -> String:
    """A screen full of letters."""
    made = [
        RasterGlyphA8(Point(x, y + 14), Point(0, -14), 8, 14, dice.randbytes(8 * 14))
        for y in range(0, HEIGHT - 14, 14)
        for x in range(0, WIDTH, 8)
    ]
    return String(flags=StringFlags.RASTER_A8, glyphs=made)


def cases() -> Any:
    """Name, our message, and a call that does the same."""
    dice = random.Random(1)
    data = {size: dice.randbytes(WIDTH * HEIGHT * size) for size in (1, 2, 3, 4)}
    pixman = Pixman()
    theirs = numpy.frombuffer(bytearray(data[4]), dtype=numpy.uint32).reshape(HEIGHT, WIDTH)
    source = numpy.frombuffer(data[4], dtype=numpy.uint32).reshape(HEIGHT, WIDTH)
    target = pixman.image(data[4], WIDTH, HEIGHT, BitmapFormat.BIT32)
    palette = tuple(dice.getrandbits(24) for _entry in range(256))
    table = numpy.array(palette, dtype=numpy.uint32)

    def image(format: int, size: int = 4, **more: Any) -> Any:
        return Placeholder(DeviceImage(WIDTH, HEIGHT, format, WIDTH * size, data[size], **more))

    def copy(pointer: Any, rop: int = Ropd.OP_PUT, area: Rect = BOX, mode: int = 0) -> DrawCopy:
        return DrawCopy(BASE, pointer, area, rop, mode)

    plain, alpha = image(BitmapFormat.BIT32), image(BitmapFormat.RGBA)
    tile = dice.randbytes(16 * 16 * 4)
    pattern = Brush(
        BrushType.PATTERN,
        pattern=Pattern(
            Placeholder(DeviceImage(16, 16, BitmapFormat.BIT32, 64, tile)),
            Point(0, 0),
        ),
    )
    colour = Brush(BrushType.SOLID, color=0x123456)
    bits = dice.randbytes(WIDTH * HEIGHT // 8)
    mask = QMask(
        0, Point(0, 0), Placeholder(DeviceImage(WIDTH, HEIGHT, BitmapFormat.BIT1_BE, WIDTH // 8, bits))
    )
    chosen = numpy.unpackbits(numpy.frombuffer(bits, dtype=numpy.uint8)).reshape(HEIGHT, WIDTH).astype(bool)
    half = Rect(0, 0, HEIGHT // 2, WIDTH // 2)

    def their_image(format: int, size: int = 4) -> Any:
        return pixman.image(data[size], WIDTH, HEIGHT, format)

    def src(image: Any) -> Callable[[], Any]:
        return pixman.composite(SRC, image, None, target)

    yield "fill", DrawFill(BASE, colour, Ropd.OP_PUT), src(pixman.solid(1, 2, 3, 0xFFFF))
    yield (
        "fill, xor",
        DrawFill(BASE, colour, Ropd.OP_XOR),
        lambda: numpy.bitwise_xor(theirs, numpy.uint32(0x123456), out=theirs),
    )
    yield (
        "fill with a pattern",
        DrawFill(BASE, pattern, Ropd.OP_PUT),
        src(pixman.repeated(pixman.image(tile, 16, 16, BitmapFormat.BIT32))),
    )
    yield (
        "fill with a mask",
        DrawFill(BASE, colour, Ropd.OP_PUT, mask),
        lambda: numpy.copyto(theirs, numpy.uint32(0x123456), where=chosen),
    )
    yield "invers", DrawInvers(BASE), lambda: numpy.invert(theirs, out=theirs)
    yield "copy", copy(plain), src(their_image(BitmapFormat.BIT32))
    yield "copy, and", copy(plain, Ropd.OP_AND), lambda: numpy.bitwise_and(theirs, source, out=theirs)
    yield "copy of 24 bits", copy(image(BitmapFormat.BIT24, 3)), src(their_image(BitmapFormat.BIT24, 3))
    yield "copy of 16 bits", copy(image(BitmapFormat.BIT16, 2)), src(their_image(BitmapFormat.BIT16, 2))
    index = numpy.frombuffer(data[1], dtype=numpy.uint8).reshape(HEIGHT, WIDTH)
    yield (
        "copy of 8 bits",
        copy(image(BitmapFormat.BIT8, 1, palette=palette)),
        lambda: numpy.take(table, index, out=theirs, mode="clip"),
    )
    for name, mode, filter in (
        ("scaled, nearest", ImageScaleMode.NEAREST, NEAREST),
        ("scaled, interpolated", ImageScaleMode.INTERPOLATE, BILINEAR),
    ):
        yield (
            f"copy {name}",
            copy(plain, area=half, mode=mode),
            src(pixman.scaled(their_image(BitmapFormat.BIT32), 0.5, filter)),
        )
    yield (
        "opaque",
        DrawOpaque(BASE, plain, BOX, colour, Ropd.OP_XOR),
        lambda: numpy.bitwise_xor(source, numpy.uint32(0x123456), out=theirs),
    )
    yield (
        "rop3 (0x6a)",
        DrawRop3(BASE, plain, BOX, colour, 0x6A),
        lambda: numpy.bitwise_xor(theirs, source & numpy.uint32(0x123456), out=theirs),
    )
    yield (
        "copy bits",
        CopyBits(DrawBase(0, Rect(1, 0, HEIGHT, WIDTH)), Point(0, 0)),
        lambda: numpy.copyto(theirs[1:], theirs[:-1]),
    )
    yield (
        "transparent",
        DrawTransparent(BASE, plain, BOX, 0x123456, 0x123456),
        lambda: numpy.copyto(theirs, source, where=(source & numpy.uint32(0xFFFFFF)) != 0x123456),
    )
    over = their_image(BitmapFormat.RGBA)
    yield "alpha blend", DrawAlphaBlend(BASE, 0, 255, alpha, BOX), pixman.composite(OVER, over, None, target)
    yield (
        "alpha blend, half",
        DrawAlphaBlend(BASE, 0, 128, alpha, BOX),
        pixman.composite(OVER, over, pixman.solid(0, 0, 0, 128 * 257), target),
    )
    for name, operator in (("over", OVER), ("add", ADD)):
        yield (
            f"composite, {name}",
            DrawComposite(BASE, operator, alpha, src_origin=Point16(0, 0), mask_origin=Point16(0, 0)),
            pixman.composite(operator, over, None, target),
        )
    text = DrawText(BASE, glyphs(dice), Rect(0, 0, 0, 0), colour, Brush(), Ropd.OP_PUT, 0)
    yield "text", text, pixman.glyphs(text.str.glyphs, pixman.solid(1, 2, 3, 0xFFFF), target)
    yield from strokes(dice, colour)


class Cairo:
    """A picture that cairo draws lines on, one pixel wide and not smoothed."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("cairo")
        if name is None:
            raise SystemExit("this benchmark needs libcairo2")
        library = self.library = ctypes.CDLL(name)
        library.cairo_image_surface_create.restype = ctypes.c_void_p
        library.cairo_create.restype = ctypes.c_void_p
        picture = ctypes.c_void_p(library.cairo_image_surface_create(1, WIDTH, HEIGHT))
        self.context = ctypes.c_void_p(library.cairo_create(picture))
        library.cairo_set_antialias(self.context, 1)
        library.cairo_set_line_width(self.context, ctypes.c_double(1))

    def strokes(self, points: list[tuple[int, int]], dash: int = 0) -> Callable[[], Any]:
        """A call that draws lines from point to point."""
        places = [(ctypes.c_double(x + 0.5), ctypes.c_double(y + 0.5)) for x, y in points]
        library, context = self.library, self.context
        lengths = (ctypes.c_double * 2)(dash, dash)

        def draw() -> None:
            library.cairo_set_dash(context, lengths, 2 if dash else 0, ctypes.c_double(0))
            for x, y in places:
                library.cairo_line_to(context, x, y)
            library.cairo_stroke(context)

        return draw


def strokes(dice: random.Random, colour: Brush) -> Iterator[tuple[str, Any, Callable[[], Any]]]:
    """Lines, beside cairo."""
    cairo = Cairo()
    dashed = LineAttr(LineFlags.STYLED, [4 << 4, 4 << 4])
    for name, count, attr in (
        ("line", 2, LineAttr()),
        ("100 lines", 101, LineAttr()),
        ("100 dashed lines", 101, dashed),
    ):
        points = [(dice.randrange(WIDTH), dice.randrange(HEIGHT)) for _ in range(count)]
        fixed = [PointFix(x << 4, y << 4) for x, y in points]
        path = Path([PathSegment(PathFlags.BEGIN | PathFlags.END, fixed)])
        yield (
            f"stroke, {name}",
            DrawStroke(BASE, path, attr, colour, Ropd.OP_PUT, Ropd.OP_PUT),
            cairo.strokes(points, dash=4 if attr.style else 0),
        )


def main() -> int:
    surface = Surface(0, WIDTH, HEIGHT, SurfaceFormat.XRGB32)
    slow = 0
    print(f"{f'{WIDTH} by {HEIGHT} pixels':<26}{'ours':>8}{'theirs':>8}")
    for name, message, same in cases():
        operation = OPERATIONS[type(message)]
        ours = milliseconds(lambda draw=operation, m=message: draw(surface, m, {0: surface}))
        theirs = milliseconds(same)
        slow += ours > 2 * theirs
        print(f"{name:<26}{ours:8.3f}{theirs:8.3f}{ours / theirs:8.2f}")
    print(f"slower than half as fast: {slow}")
    return slow > 0


if __name__ == "__main__":
    sys.exit(main())
