# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for what goes to stock clients as a command, and what as pixels."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.display import DisplayCore
from spicemig.channels.display_stock import TERNARY_CODES, is_drawn_alike
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.devices.drawables import Batch, DeviceImage
from spicemig.devices.surfaces import Surface
from spicemig.session.settings import SessionSettings
from spicemig.testing.channels import framed
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import (
    Brush,
    Clip,
    DrawBase,
    LineAttr,
    Path,
    PathSegment,
    Pattern,
    Point,
    PointFix,
    QMask,
    RasterGlyphA1,
    RasterGlyphA8,
    Rect,
    String,
    Transform,
)
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ClipType,
    CompositeFlags,
    ImageFlags,
    LineFlags,
    PathFlags,
    Ropd,
    StringFlags,
    SurfaceFormat,
)
from spicemig.wire.messages import base, display

SIDE = 8
ALL = Rect(0, 0, SIDE, SIDE)
RED = Brush(BrushType.SOLID, 0xFF0000)
PUT = int(Ropd.OP_PUT)
FORMATS = {
    0: SurfaceFormat.XRGB32,
    1: SurfaceFormat.ARGB32,
    3: SurfaceFormat.RGB555,
    4: SurfaceFormat.RGB565,
    6: SurfaceFormat.A1,
}
SURFACES = {number: Surface(number, SIDE, SIDE, format) for number, format in FORMATS.items()}


def image(format: int = BitmapFormat.BIT32, **more: Any) -> DeviceImage:
    """A small image."""
    return DeviceImage(SIDE, SIDE, format, 4 * SIDE, bytes(4 * SIDE * SIDE), **more)


def shown(surface: int) -> DeviceImage:
    """What a surface shows."""
    return DeviceImage(SIDE, SIDE, surface=surface)


def copy(source: DeviceImage, surface: int = 0, area: Rect = ALL) -> Any:
    return display.DrawCopy(DrawBase(surface, ALL), Placeholder(source), area)


def fill(brush: Brush = RED, mask: DeviceImage | None = None, surface: int = 0) -> Any:
    covered = QMask() if mask is None else QMask(0, Point(0, 0), Placeholder(mask))
    return display.DrawFill(DrawBase(surface, ALL), brush, PUT, covered)


def pattern(source: DeviceImage, x: int = 0) -> Brush:
    return Brush(BrushType.PATTERN, pattern=Pattern(Placeholder(source), Point(x, 0)))


def rop3(code: int, brush: Brush = RED, box: Rect = ALL) -> Any:
    return display.DrawRop3(DrawBase(0, box), Placeholder(image()), ALL, brush, code)


def stroke(
    flags: int = PathFlags.BEGIN, brush: Brush = RED, clip: Clip | None = None, attr: LineAttr | None = None
) -> Any:
    path = Path([PathSegment(int(flags), [PointFix(0, 0), PointFix(64, 64), PointFix(64, 0)])])
    return display.DrawStroke(DrawBase(0, ALL, clip or Clip()), path, attr or LineAttr(), brush, PUT, PUT)


def text(glyph: Any, flags: int, brush: Brush = RED) -> Any:
    string = String(flags=int(flags), glyphs=[glyph(Point(0, 0), Point(0, 0), 1, 1, b"\xff")])
    return display.DrawText(DrawBase(0, ALL), string, Rect(0, 0, 0, 0), brush, Brush(), PUT, 0)


def composite(source: DeviceImage, transform: Transform | None = None, surface: int = 0) -> Any:
    flags = int(CompositeFlags.HAS_SRC_TRANSFORM) if transform is not None else 0
    return display.DrawComposite(
        DrawBase(surface, ALL), 3 | flags, Placeholder(source), src_transform=transform
    )


class StockTests(SynchronousTestCase):
    """What drivers send goes out as it is; what clients would draw otherwise, or die of, does not."""

    def told(self, message: Any, composite: bool = True) -> bool:
        [drawable] = Batch.of([message])
        return is_drawn_alike(drawable, SURFACES, composite=composite)

    def commands(self, *messages: Any) -> None:
        self.assertEqual([self.told(message) for message in messages], [True] * len(messages))

    def pixels(self, *messages: Any) -> None:
        self.assertEqual([self.told(message) for message in messages], [False] * len(messages))

    def test_plain(self) -> None:
        """Fills, copies, lines, text and composition go as they are."""
        letter = text(RasterGlyphA1, StringFlags.RASTER_A1)
        self.commands(fill(), fill(pattern(image())), copy(image()), copy(shown(1)), stroke(), letter)
        self.commands(composite(image()), rop3(0x6A), fill(mask=image(BitmapFormat.BIT1_LE)))
        self.commands(fill(surface=3), copy(image(), surface=4))

    def test_bits(self) -> None:
        """Nothing is drawn on surfaces of one bit."""
        self.pixels(fill(surface=6), copy(image(), surface=6), composite(image(), surface=6))

    def test_without_composite(self) -> None:
        """Composition goes only to clients that know it."""
        self.assertFalse(self.told(composite(image()), composite=False))

    def test_surfaces(self) -> None:
        """Surfaces of another depth, or the surface itself, are no sources; they can be composed."""
        self.pixels(copy(shown(3)), copy(shown(3), surface=4), copy(shown(0)))
        self.commands(composite(shown(3)))

    def test_formats(self) -> None:
        """Some bitmaps cannot be read."""
        self.pixels(copy(image(BitmapFormat.BIT4_LE)), fill(pattern(image(BitmapFormat.BIT1_LE))))

    def test_palettes(self) -> None:
        """A palette has all colours, and is for surfaces of 32 bits without alpha."""
        whole = image(BitmapFormat.BIT8, palette=tuple(range(256)))
        self.commands(copy(whole))
        self.pixels(copy(image(BitmapFormat.BIT8)), copy(whole, surface=4), copy(whole, surface=1))
        short = image(BitmapFormat.BIT8, palette=(1, 2))
        self.commands(copy(short))
        short.data = bytes((2,)) * len(short.data)
        self.pixels(copy(short))

    def test_areas(self) -> None:
        """An area that is not in the image is not copied."""
        self.pixels(copy(image(), area=Rect(0, 1, SIDE, SIDE + 1)), copy(image(), area=Rect(3, 0, 3, SIDE)))

    def test_size_of_surfaces(self) -> None:
        """An image that is a surface is as large as that, whatever the driver says."""
        self.commands(copy(DeviceImage(0, 0, surface=1)))
        self.pixels(copy(DeviceImage(99, 99, surface=1), area=Rect(0, 0, SIDE + 1, SIDE)))

    def test_masks(self) -> None:
        """A mask is a bitmap of one bit."""
        self.pixels(fill(mask=image()), fill(mask=shown(6)))

    def test_ternary(self) -> None:
        """Clients know 218 of the 256 ternary operations, on boxes inside the surface."""
        self.assertEqual(len(TERNARY_CODES), 218)
        outside = Rect(-1, 0, SIDE - 1, SIDE)
        self.pixels(
            rop3(0xCC), rop3(0x6A, box=outside), rop3(0x6A, pattern(image(), x=1)), rop3(0x6A, Brush())
        )

    def test_strokes(self) -> None:
        """Curves, dashes of no length, surfaces as brushes and clips of parts are not for clients."""
        two = Clip(ClipType.RECTS, [Rect(0, 0, 1, 1), Rect(2, 2, 3, 3)])
        dashes = LineAttr(int(LineFlags.STYLED), [0, 0])
        self.commands(stroke(attr=LineAttr(int(LineFlags.STYLED), [32, 32])))
        self.pixels(
            stroke(PathFlags.BEZIER), stroke(clip=two), stroke(brush=pattern(shown(1))), stroke(attr=dashes)
        )

    def test_text(self) -> None:
        """Glyphs of eight bits, and surfaces as brushes, are not for clients."""
        self.pixels(
            text(RasterGlyphA8, StringFlags.RASTER_A8),
            text(RasterGlyphA1, StringFlags.RASTER_A1, pattern(shown(1))),
        )

    def test_transforms(self) -> None:
        """The transform of a surface or a kept image would stay with it; that of others does not."""
        half = Transform(0x8000, 0, 0, 0, 0x8000, 0)
        self.commands(composite(image(), half))
        kept = image(id=5, flags=int(ImageFlags.CACHE_ME))
        letter = text(RasterGlyphA1, StringFlags.RASTER_A1, pattern(kept))
        self.pixels(composite(shown(1), half), composite(kept, half), letter)


class OldClientTests(SynchronousTestCase):
    """A client that does not know all kinds of surfaces and drawings gets pixels."""

    def owed(self, *caps: DisplayCap) -> list[int]:
        """The surfaces of which pixels are owed after something was composed through one of alpha."""
        core = DisplayCore(
            pixmap_cache=PixmapCache(),
            settings=SessionSettings(image_compression="off"),
            caps=frozenset(caps),
        )
        core.start(0.0)
        for message in (display.Init(1, 1 << 20, 1, 0), base.AckSync(1)):
            list(core.receive(framed(message)))
        core.surface_created(Surface(0, SIDE, SIDE), primary=True)
        core.surface_created(Surface(2, SIDE, SIDE, SurfaceFormat.A8))
        message = composite(image())
        message.flags |= CompositeFlags.HAS_MASK
        message.mask_bitmap = Placeholder(shown(2))
        core.drawables(Batch.of([message, composite(image(), surface=2)]))
        core.data_to_send()
        return list(core.take_owed())

    def test_knows_all(self) -> None:
        """Who knows all is owed nothing."""
        self.assertEqual(self.owed(DisplayCap.COMPOSITE, DisplayCap.A8_SURFACE), [])

    def test_without_composite(self) -> None:
        """Without composition, both surfaces come as pixels."""
        self.assertEqual(self.owed(DisplayCap.A8_SURFACE), [0, 2])

    def test_without_alpha_surfaces(self) -> None:
        """A surface of alpha is not there, and what is drawn through it comes as pixels."""
        self.assertEqual(self.owed(DisplayCap.COMPOSITE), [0])
