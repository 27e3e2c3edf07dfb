# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Random drawing commands: every operation, format, brush, mask, clip and surface.

A command depends on seed and number only, so that one that shows a mistake can be
made again alone. One in twelve or so is of a kind that drivers do not make and that
stock clients stumble over.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from spicemig.devices.drawables import DeviceImage
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
from spicemig.wire.enums import (
    AlphaFlags,
    BitmapFormat,
    BrushType,
    ClipType,
    CompositeFlags,
    ImageFlags,
    LineFlags,
    MaskFlags,
    PathFlags,
    Ropd,
    StringFlags,
    SurfaceFormat,
)
from spicemig.wire.messages import display

KEPT_IMAGES = 24  # images with an id, that come again and again
MASK_32 = 0xFFFFFFFF

_COMBINING = (Ropd.OP_PUT, Ropd.OP_PUT, Ropd.OP_OR, Ropd.OP_AND, Ropd.OP_XOR)
_CONSTANT = (Ropd.OP_BLACKNESS, Ropd.OP_WHITENESS, Ropd.OP_INVERS)
_BITMAPS = (
    BitmapFormat.BIT1_BE,
    BitmapFormat.BIT4_BE,
    BitmapFormat.BIT8,
    BitmapFormat.BIT16,
    BitmapFormat.BIT24,
    BitmapFormat.BIT32,
    BitmapFormat.BIT32,
    BitmapFormat.RGBA,
)
_DEPTHS = {
    BitmapFormat.BIT1_LE: 1,
    BitmapFormat.BIT1_BE: 1,
    BitmapFormat.BIT4_LE: 4,
    BitmapFormat.BIT4_BE: 4,
    BitmapFormat.BIT8: 8,
    BitmapFormat.BIT8_A: 8,
    BitmapFormat.BIT16: 16,
    BitmapFormat.BIT24: 24,
    BitmapFormat.BIT32: 32,
    BitmapFormat.RGBA: 32,
}
_PALETTES = {
    BitmapFormat.BIT1_LE: 2,
    BitmapFormat.BIT1_BE: 2,
    BitmapFormat.BIT4_LE: 16,
    BitmapFormat.BIT4_BE: 16,
    BitmapFormat.BIT8: 256,
}
_GLYPHS: dict[int, tuple[int, Any]] = {
    StringFlags.RASTER_A1: (1, RasterGlyphA1),
    StringFlags.RASTER_A4: (4, RasterGlyphA4),
    StringFlags.RASTER_A8: (8, RasterGlyphA8),
}

# codes that depend on all of pattern, source and destination: drivers make no others
TERNARY = tuple(
    code
    for code in range(256)
    if all(code & mask != (code >> shift & mask) for shift, mask in ((4, 0x0F), (2, 0x33), (1, 0x55)))
)


class SurfaceKind(NamedTuple):
    """A surface to draw on."""

    width: int
    height: int
    format: int


class Commands:
    """
    The commands of one seed, on ``surfaces`` by id; 0 is the primary.

    ``command(number)`` makes the message with this number; ``operation`` decides which.
    Without ``fourth_bytes``, no image has a fourth byte of its pixels that LZ and QUIC lose.
    """

    def __init__(
        self, seed: int | str, width: int = 160, height: int = 120, *, fourth_bytes: bool = True
    ) -> None:
        self.seed = seed
        self.fourth_bytes = fourth_bytes
        self.surfaces = {
            0: SurfaceKind(width, height, SurfaceFormat.XRGB32),
            1: SurfaceKind(96, 80, SurfaceFormat.ARGB32),
            2: SurfaceKind(120, 64, SurfaceFormat.XRGB32),
            3: SurfaceKind(90, 70, SurfaceFormat.RGB555),
            4: SurfaceKind(75, 90, SurfaceFormat.RGB565),
            5: SurfaceKind(64, 64, SurfaceFormat.A8),
            6: SurfaceKind(70, 50, SurfaceFormat.A1),
        }
        self._kept: dict[int, DeviceImage] = {}
        self.random = random.Random(str(seed))
        self._target = 0

    # what there is

    @property
    def operations(self) -> dict[str, Callable[[], Any]]:
        """By name, what makes such a command."""
        return {
            "fill": self.fill,
            "opaque": self.opaque,
            "copy": self.copy,
            "blend": self.blend,
            "blackness": self.blackness,
            "whiteness": self.whiteness,
            "invers": self.invers,
            "rop3": self.rop3,
            "stroke": self.stroke,
            "text": self.text,
            "transparent": self.transparent,
            "alpha_blend": self.alpha_blend,
            "composite": self.composite,
            "copy_bits": self.copy_bits,
        }

    def command(self, number: int, operation: str | None = None, target: int | None = None) -> Any:
        """The command with this number; its operation and target unless they are given."""
        self.random = random.Random(f"{self.seed}/{number}")
        names = list(self.operations)
        name = operation or names[number % len(names)]
        if target is None:
            target = self.random.choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6))
        if self.surfaces[target].format in (SurfaceFormat.A8, SurfaceFormat.A1) and operation is None:
            name = self.random.choice(("fill", "composite", "composite"))
        self._target = target
        return self.operations[name]()

    def background(self, number: int = 0, target: int = 0) -> Any:
        """A picture that fills a surface."""
        self.random = random.Random(f"{self.seed}/background/{number}/{target}")
        self._target = target
        kind = self.surfaces[target]
        everything = Rect(0, 0, kind.height, kind.width)
        image = self.bitmap(kind.width, kind.height, BitmapFormat.RGBA, plain=True)
        base = DrawBase(target, everything)
        if kind.format in (SurfaceFormat.A8, SurfaceFormat.A1):
            return display.DrawComposite(base, 1, Placeholder(image))
        return display.DrawCopy(base, Placeholder(image), everything)

    # pieces

    def box(self, most_wide: int = 90, most_high: int = 70, least: int = 1, inside: bool = False) -> Rect:
        """A part of the target; it may reach over the edges unless ``inside``."""
        kind = self.surfaces[self._target]
        pick = self.random
        width = pick.randint(least, min(most_wide, kind.width))
        height = pick.randint(least, min(most_high, kind.height))
        over = 0 if inside or pick.random() < 0.7 else 12
        left = pick.randint(-over, kind.width - width + over)
        top = pick.randint(-over, kind.height - height + over)
        return Rect(top, left, top + height, left + width)

    def base(self, box: Rect, may_clip: bool = True) -> DrawBase:
        """Where to draw, often with a clip."""
        clip = Clip()
        if may_clip and self.random.random() < 0.35:
            rects = []
            for _ in range(self.random.randint(1, 4)):
                top, bottom = sorted(self.random.randint(box.top, box.bottom) for _ in range(2))
                left, right = sorted(self.random.randint(box.left, box.right) for _ in range(2))
                if top < bottom and left < right:
                    rects.append(Rect(top, left, bottom, right))
            clip = Clip(ClipType.RECTS, rects)
        return DrawBase(self._target, box, clip)

    def odd(self, times: int) -> bool:
        """Whether to do what is done once in so many times."""
        return self.random.randrange(times) == 0

    def color(self) -> int:
        """A colour, sometimes a simple one."""
        pick = self.random
        simple = pick.random() < 0.3
        color = pick.choice((0, 0xFFFFFF, 0xFF0000, 0x00FF00, 0x0000FF, 0x808080)) if simple else 0
        return color or pick.getrandbits(24)

    def data(self, stride: int, height: int, depth: int, plain: bool) -> bytes:
        """Rows of pixels: noise, or runs of a few values."""
        pick = self.random
        if plain or pick.random() < 0.4:
            few = [pick.randbytes(4) for _ in range(4)]
            unit = max(1, depth // 8)
            out = bytearray()
            while len(out) < stride * height:
                out += pick.choice(few)[:unit] * pick.randint(1, 12)
            return bytes(out[: stride * height])
        return pick.randbytes(stride * height)

    def bitmap(
        self, width: int, height: int, format: int | None = None, plain: bool = False, keep: bool = False
    ) -> DeviceImage:
        """An image with pixels."""
        pick = self.random
        if format is None:
            format = pick.choice(_BITMAPS)
            if self.odd(40):
                format = pick.choice((BitmapFormat.BIT1_LE, BitmapFormat.BIT4_LE))
            if format == BitmapFormat.BIT16 and not self._fourth_byte_comes(keep):
                format = BitmapFormat.BIT24
        depth = _DEPTHS[BitmapFormat(format)]
        stride = (width * depth + 7) // 8
        if pick.random() < 0.5:
            stride += -stride % 4
        data = self.data(stride, height, depth, plain)
        if format == BitmapFormat.RGBA:
            data = _premultiplied(data, stride * height)
        if format == BitmapFormat.BIT32 and not self.fourth_bytes:
            data = _without_fourth_bytes(data, width, height, stride)
        palette = tuple(pick.getrandbits(24) for _ in range(_PALETTES.get(BitmapFormat(format), 0)))
        return DeviceImage(
            width,
            height,
            format,
            stride,
            data,
            pick.random() < 0.5,
            palette=palette,
            palette_id=pick.getrandbits(40) | 1 if palette and keep else 0,
        )

    def _fourth_byte_comes(self, keep: bool) -> bool:
        """Whether clients make the same fourth byte of a 16-bit image, compressed or not, or need none."""
        narrow = SurfaceFormat.RGB555, SurfaceFormat.RGB565
        return self.fourth_bytes or (not keep and self.surfaces[self._target].format in narrow)

    def kept(self, number: int) -> DeviceImage:
        """One of the images that have an id."""
        if number not in self._kept:
            before, self.random = self.random, random.Random(f"{self.seed}/image/{number}")
            image = self.bitmap(100 + number, 70 + number, keep=True)
            image.id, image.flags = number + 1, int(ImageFlags.CACHE_ME)
            self._kept[number] = image
            self.random = before
        return self._kept[number]

    def source(self, width: int, height: int, surfaces: bool = True) -> tuple[DeviceImage, Rect]:
        """An image, and an area of this size in it."""
        pick = self.random
        chance = pick.random()
        if chance < 0.15:
            image = self.kept(pick.randrange(KEPT_IMAGES))
        elif chance < 0.35 and surfaces:
            image = self.shown(pick.choice((0, 1, 2, 3, 4)))
        else:
            image = self.bitmap(width + pick.randint(0, 6), height + pick.randint(0, 6))
        if image.width < width or image.height < height:
            image = self.bitmap(width, height)
        left, top = pick.randint(0, image.width - width), pick.randint(0, image.height - height)
        if self.odd(30) and surfaces:
            left, top = left + pick.randint(-9, 9), top + pick.randint(-9, 9)
        return image, Rect(top, left, top + height, left + width)

    def shown(self, surface: int) -> DeviceImage:
        """What a surface shows, as an image."""
        kind = self.surfaces[surface]
        return DeviceImage(kind.width, kind.height, surface=surface)

    def scaled_source(self, box: Rect) -> tuple[DeviceImage, Rect]:
        """An image and an area of it, sometimes of another size than the box."""
        width, height = box.right - box.left, box.bottom - box.top
        if self.random.random() < 0.2:
            width, height = self.random.randint(1, 60), self.random.randint(1, 60)
        return self.source(width, height)

    def mask(self, box: Rect, chance: float = 0.3) -> QMask:
        """Often none."""
        pick = self.random
        if pick.random() > chance:
            return QMask()
        dx, dy = pick.randint(0, 5), pick.randint(0, 5)
        width, height = box.right - box.left + dx, box.bottom - box.top + dy
        format = pick.choice((BitmapFormat.BIT1_LE, BitmapFormat.BIT1_BE))
        image = self.bitmap(width + pick.randint(0, 5), height + pick.randint(0, 5), format)
        image.palette = ()
        return QMask(pick.choice((0, MaskFlags.INVERS)), Point(dx, dy), Placeholder(image))

    def rop(self, inverted_input: int) -> int:
        """A descriptor; ``inverted_input`` is the input of it that may be inverted."""
        pick = self.random
        if pick.random() < 0.2:
            return int(pick.choice(_CONSTANT))
        rop = pick.choice(_COMBINING) | pick.choice((0, 0, inverted_input, Ropd.INVERS_DEST))
        return int(rop | pick.choice((0, 0, Ropd.INVERS_RES)))

    def brush(self, within: Rect | None = None) -> Brush:
        """A colour or a pattern; its origin is not right of or below the corner of ``within``."""
        pick = self.random
        if pick.random() < 0.5:
            return Brush(BrushType.SOLID, self.color())
        if pick.random() < 0.15:
            image = self.kept(pick.randrange(KEPT_IMAGES))
        else:
            size = pick.choice(((8, 8), (4, 4), (16, 7), (13, 20), (32, 32)))
            image = self.bitmap(*size)
        x, y = pick.randint(0, 40), pick.randint(0, 40)
        if within is not None:
            x, y = min(x, max(0, within.left)), min(y, max(0, within.top))
        return Brush(BrushType.PATTERN, pattern=Pattern(Placeholder(image), Point(x, y)))

    # operations

    def fill(self) -> Any:
        box = self.box()
        only_put = self.surfaces[self._target].format in (SurfaceFormat.A8, SurfaceFormat.A1)
        if only_put:
            brush = Brush(BrushType.SOLID, self.random.getrandbits(32))
            return display.DrawFill(self.base(box), brush, int(Ropd.OP_PUT))
        return display.DrawFill(self.base(box), self.brush(), self.rop(Ropd.INVERS_BRUSH), self.mask(box))

    def copy(self) -> Any:
        box = self.box()
        image, area = self.scaled_source(box)
        rop = int(Ropd.OP_PUT) if self.random.random() < 0.5 else self.rop(Ropd.INVERS_SRC)
        return display.DrawCopy(
            self.base(box), Placeholder(image), area, rop, self.random.randrange(2), self.mask(box)
        )

    def blend(self) -> Any:
        box = self.box()
        image, area = self.scaled_source(box)
        return display.DrawBlend(
            self.base(box),
            Placeholder(image),
            area,
            self.rop(Ropd.INVERS_SRC),
            self.random.randrange(2),
            self.mask(box),
        )

    def opaque(self) -> Any:
        box = self.box()
        image, area = self.scaled_source(box)
        rop = self.random.choice((Ropd.OP_PUT, Ropd.OP_AND, Ropd.OP_OR, Ropd.OP_XOR)) | self.random.choice(
            (0, Ropd.INVERS_SRC, Ropd.INVERS_BRUSH)
        )
        return display.DrawOpaque(
            self.base(box),
            Placeholder(image),
            area,
            self.brush(),
            int(rop),
            self.random.randrange(2),
            self.mask(box),
        )

    def blackness(self) -> Any:
        box = self.box()
        return display.DrawBlackness(self.base(box), self.mask(box, 0.5))

    def whiteness(self) -> Any:
        box = self.box()
        return display.DrawWhiteness(self.base(box), self.mask(box, 0.5))

    def invers(self) -> Any:
        box = self.box()
        return display.DrawInvers(self.base(box), self.mask(box, 0.5))

    def rop3(self) -> Any:
        box = self.box(inside=True)
        image, area = self.scaled_source(box)
        return display.DrawRop3(
            self.base(box),
            Placeholder(image),
            area,
            self.brush(box),
            self.random.randrange(256) if self.odd(8) else self.random.choice(TERNARY),
            self.random.randrange(2),
            self.mask(box),
        )

    def stroke(self) -> Any:
        pick, kind = self.random, self.surfaces[self._target]
        segments, xs, ys = [], [], []
        for _ in range(pick.randint(1, 3)):
            curved = pick.random() < 0.3
            x0, y0 = pick.randint(0, kind.width), pick.randint(0, kind.height)
            points = []
            for _ in range(1 + 3 * pick.randint(1, 3) if curved else pick.randint(2, 8)):
                x, y = (16 * v + pick.randint(-50 * 16, 50 * 16) for v in (x0, y0))
                if pick.random() < 0.6:
                    x, y = x & ~15, y & ~15
                points.append(PointFix(x, y))
            flags = PathFlags.BEGIN | PathFlags.END | (PathFlags.CLOSE if pick.random() < 0.3 else 0)
            if curved:
                segments.append(PathSegment(int(PathFlags.BEGIN), points[:1]))
                segments.append(PathSegment(int(flags & ~PathFlags.BEGIN | PathFlags.BEZIER), points[1:]))
            else:
                segments.append(PathSegment(int(flags), points))
            xs += [point.x >> 4 for point in points]
            ys += [point.y >> 4 for point in points]
        box = Rect(min(ys), min(xs), max(ys) + 2, max(xs) + 2)
        attr = LineAttr()
        if pick.random() < 0.4:
            dashes = LineFlags.STYLED | pick.choice((0, LineFlags.START_WITH_GAP))
            attr = LineAttr(int(dashes), [16 * pick.randint(1, 9) for _ in range(pick.choice((2, 4)))])
        brush = Brush(BrushType.SOLID, self.color()) if pick.random() < 0.7 else self.brush()
        mode = int(Ropd.OP_PUT) if pick.random() < 0.6 else self.rop(Ropd.INVERS_BRUSH)
        return display.DrawStroke(self.base(box), Path(segments), attr, brush, mode, int(Ropd.OP_PUT))

    def text(self) -> Any:
        pick, kind = self.random, self.surfaces[self._target]
        depth_flag = pick.choice((StringFlags.RASTER_A1, StringFlags.RASTER_A4))
        if self.odd(12):
            depth_flag = StringFlags.RASTER_A8
        depth, glyph_type = _GLYPHS[depth_flag]
        x, y = pick.randint(0, kind.width // 2), pick.randint(10, kind.height)
        glyphs, boxes = [], []
        for _ in range(pick.randint(1, 14)):
            width, height = pick.randint(1, 13), pick.randint(1, 17)
            left, top = pick.randint(0, 2), pick.randint(0, 4) - height
            data = pick.randbytes((width * depth + 7) // 8 * height)
            glyphs.append(glyph_type(Point(x, y), Point(left, top), width, height, data))
            boxes.append((x + left, y + top, x + left + width, y + top + height))
            x += width + pick.randint(-1, 3)
        box = Rect(
            min(b[1] for b in boxes) - 2,
            min(b[0] for b in boxes) - 2,
            max(b[3] for b in boxes) + 2,
            max(b[2] for b in boxes) + 2,
        )
        behind = pick.random() < 0.4
        solid = pick.random() < 0.8 or depth_flag != StringFlags.RASTER_A1
        return display.DrawText(
            self.base(box),
            String(flags=int(depth_flag | pick.choice((0, StringFlags.RASTER_TOP_DOWN))), glyphs=glyphs),
            box if behind else Rect(0, 0, 0, 0),
            Brush(BrushType.SOLID, self.color()) if solid else self.brush(),
            self.brush() if behind else Brush(),
            int(Ropd.OP_PUT),
            int(Ropd.OP_PUT) if behind else 0,
        )

    def transparent(self) -> Any:
        box = self.box()
        width, height = box.right - box.left, box.bottom - box.top
        if self.random.random() < 0.3:
            image, area = self.scaled_source(box)
            key = self.color()
        else:
            image = self.bitmap(width, height, BitmapFormat.BIT32, plain=True)
            area = Rect(0, 0, height, width)
            place = 4 * self.random.randrange(width * height)
            key = struct.unpack_from("<I", image.data, place)[0] if place + 4 <= len(image.data) else 0
        return display.DrawTransparent(self.base(box), Placeholder(image), area, key, key)

    def alpha_blend(self) -> Any:
        box, pick = self.box(), self.random
        image, area = self.scaled_source(box)
        if pick.random() < 0.5:
            image = self.bitmap(image.width, image.height, BitmapFormat.RGBA)
        flags = 0
        if image.surface is not None and self.surfaces[image.surface].format == SurfaceFormat.ARGB32:
            flags |= AlphaFlags.SRC_SURFACE_HAS_ALPHA
        if self.surfaces[self._target].format == SurfaceFormat.ARGB32:
            flags |= pick.choice((0, AlphaFlags.DEST_HAS_ALPHA))
        alpha = pick.choice((255, 255, 128, 1, 0, pick.randrange(256)))
        return display.DrawAlphaBlend(self.base(box), int(flags), alpha, Placeholder(image), area)

    def _transform(self) -> Transform:
        pick = self.random
        values = (
            pick.randint(20000, 110000),
            pick.randint(-9000, 9000),
            pick.randint(0, 3) << 16,
            pick.randint(-9000, 9000),
            pick.randint(20000, 110000),
            pick.randint(0, 3) << 16,
        )
        return Transform(*(value & MASK_32 for value in values))

    def _operand(self, width: int, height: int, surfaces: tuple[int, ...]) -> DeviceImage:
        pick = self.random
        if pick.random() < 0.3:
            return self.shown(pick.choice([s for s in surfaces if s != self._target]))
        format = pick.choice((BitmapFormat.RGBA, BitmapFormat.RGBA, BitmapFormat.BIT32))
        return self.bitmap(width, height, format)

    def composite(self) -> Any:
        box, pick = self.box(), self.random
        width, height = box.right - box.left, box.bottom - box.top
        flags = pick.choice((0, 1, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13))
        repeat = pick.choice((0, 0, 1, 2, 3))
        flags |= pick.choice((0, 0, 1)) << 8 | pick.choice((0, 0, 1)) << 11 | repeat << 14
        if repeat:
            width, height = pick.randint(1, 24), pick.randint(1, 24)
        source = self._operand(width, height, (1, 2))
        mask, on_source, on_mask = None, None, None
        if pick.random() < 0.25:
            on_source = self._transform()
            flags |= CompositeFlags.HAS_SRC_TRANSFORM
        if pick.random() < 0.4:
            mask = self._operand(box.right - box.left, box.bottom - box.top, (1, 5, 6))
            flags |= CompositeFlags.HAS_MASK | pick.choice((0, 0, CompositeFlags.COMPONENT_ALPHA))
            flags |= pick.choice((0, 0, 1, 2, 3)) << 16
            if pick.random() < 0.25:
                on_mask = self._transform()
                flags |= CompositeFlags.HAS_MASK_TRANSFORM
        return display.DrawComposite(
            self.base(box),
            int(flags),
            Placeholder(source),
            None if mask is None else Placeholder(mask),
            on_source,
            on_mask,
            Point16(pick.randint(0, 3), pick.randint(0, 3)),
            Point16(pick.randint(0, 2), pick.randint(0, 2)),
        )

    def copy_bits(self) -> Any:
        box, kind = self.box(120, 100, inside=True), self.surfaces[self._target]
        pick = self.random
        x = min(kind.width - (box.right - box.left), max(0, box.left + pick.randint(-40, 40)))
        y = min(kind.height - (box.bottom - box.top), max(0, box.top + pick.randint(-40, 40)))
        return display.CopyBits(self.base(box), Point(x, y))


def _without_fourth_bytes(data: bytes, width: int, height: int, stride: int) -> bytes:
    """32-bit pixels with 0 in the byte that is no colour."""
    cleared = bytearray(data)
    for row in range(0, stride * height, stride):
        cleared[row + 3 : row + 4 * width : 4] = bytes(width)
    return bytes(cleared)


def _premultiplied(data: bytes, size: int) -> bytes:
    out = bytearray(data)
    for at in range(0, size - 3, 4):
        alpha = out[at + 3]
        for place in (at, at + 1, at + 2):
            out[place] = out[place] * alpha // 255
    return bytes(out)
