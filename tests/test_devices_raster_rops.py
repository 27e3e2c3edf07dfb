# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for fills, copies and ternary operations: every operation, mask, clip and format."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.drawables import Batch, DeviceImage, Effect, Placeholder
from spicemig.devices.raster import (
    brush,
    copy,
    formats,
    images,
    mask,
    pending,
    reference,
    reference_rops,
    rop3,
)
from spicemig.devices.raster.clip import WORK_LIMIT, Box, bands
from spicemig.devices.raster.formats import solid
from spicemig.devices.raster.opaque import is_opaque
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.raster.pending import Raster
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import Surface
from spicemig.testing.drawings import Drawings
from spicemig.wire.drawing import Brush, Clip, DrawBase, Pattern, Point, QMask, Rect
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ClipType,
    ImageFlags,
    ImageScaleMode,
    MaskFlags,
    Ropd,
    SurfaceFormat,
)
from spicemig.wire.messages.display import (
    CopyBits,
    DrawBlackness,
    DrawBlend,
    DrawCopy,
    DrawFill,
    DrawInvers,
    DrawOpaque,
    DrawRop3,
    DrawWhiteness,
)

WIDTH, HEIGHT = 24, 18
SURFACE_FORMATS = (
    SurfaceFormat.XRGB32,
    SurfaceFormat.ARGB32,
    SurfaceFormat.RGB555,
    SurfaceFormat.RGB565,
    SurfaceFormat.A8,
    SurfaceFormat.A1,
)
DESCRIPTORS = [
    operation | inverted | result
    for operation in (Ropd.OP_PUT, Ropd.OP_OR, Ropd.OP_AND, Ropd.OP_XOR)
    for inverted in (0, Ropd.INVERS_SRC | Ropd.INVERS_BRUSH, Ropd.INVERS_DEST)
    for result in (0, Ropd.INVERS_RES)
] + [Ropd.OP_BLACKNESS, Ropd.OP_WHITENESS, Ropd.OP_INVERS, 0]


def rect(left, top, right, bottom):
    """A Rect in the order in which people say it."""
    return Rect(top=top, left=left, bottom=bottom, right=right)


@dataclass
class Scene:
    """A surface of random pixels, and what a drawing on it is made of."""

    dice: random.Random
    surface: Surface

    @classmethod
    def of(cls, seed: int, format: int) -> Scene:
        """A new one."""
        scene = cls(random.Random(f"{seed}/{format}"), Surface(0, WIDTH, HEIGHT, format))
        scene.surface.pixels[:] = scene.dice.randbytes(len(scene.surface.pixels))
        formats.settle(scene.surface, [Box(0, 0, WIDTH, HEIGHT)])
        return scene

    def box(self) -> Box:
        """Some of the surface, and a little more."""
        left, top = self.dice.randint(-2, WIDTH - 4), self.dice.randint(-2, HEIGHT - 4)
        return Box(left, top, left + self.dice.randint(1, 14), top + self.dice.randint(1, 14))

    def base(self, box: Box, clip: list[Box] | None) -> DrawBase:
        """Where it is drawn."""
        if clip is None:
            return DrawBase(0, rect(*box))
        return DrawBase(0, rect(*box), Clip(ClipType.RECTS, [rect(*part) for part in clip]))

    def clip(self) -> list[Box] | None:
        """No clip, or some boxes that may overlap."""
        if self.dice.random() < 0.5:
            return None
        return [self.box() for _part in range(self.dice.randint(0, 3))]

    def image(self, width: int, height: int) -> DeviceImage:
        """32-bit pixels with alpha."""
        stride = 4 * width + self.dice.choice([0, 4])
        data = self.dice.randbytes(stride * height)
        return DeviceImage(width, height, BitmapFormat.RGBA, stride, data, self.dice.random() < 0.5)

    def brush(self) -> Brush:
        """A colour or a pattern."""
        if self.dice.random() < 0.4:
            return Brush(BrushType.SOLID, color=self.dice.getrandbits(32))
        image = self.image(self.dice.randint(1, 9), self.dice.randint(1, 9))
        place = Point(self.dice.randint(-20, 20), self.dice.randint(-20, 20))
        return Brush(BrushType.PATTERN, pattern=Pattern(Placeholder(image), place))

    def mask(self) -> QMask:
        """No mask, or one that is too small or too large."""
        if self.dice.random() < 0.5:
            return QMask()
        width, height = self.dice.randint(1, 20), self.dice.randint(1, 20)
        format = self.dice.choice([BitmapFormat.BIT1_LE, BitmapFormat.BIT1_BE])
        stride = (width + 7) // 8
        image = DeviceImage(
            width, height, format, stride, self.dice.randbytes(stride * height), self.dice.random() < 0.5
        )
        place = Point(self.dice.randint(-2, 4), self.dice.randint(-2, 4))
        return QMask(self.dice.choice([0, MaskFlags.INVERS]), place, Placeholder(image))


class Model:
    """What a drawing does to every single pixel, in the plainest way."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self.before = bytes(surface.pixels)

    def pixel(self, x: int, y: int) -> int:
        """What was there."""
        at = y * self.surface.stride + 4 * x
        return int.from_bytes(self.before[at : at + 4], "little")

    def kept(self, value: int) -> int:
        """What the surface keeps of a value."""
        one = bytearray(value.to_bytes(4, "little"))
        reference_rops.settle_rect(one, 4, 0, 0, 1, 1, self.surface.format)
        return int.from_bytes(one, "little")

    def image_pixel(self, image: DeviceImage, x: int, y: int) -> int:
        """A pixel of an image, in the format of the surface."""
        row = y if image.top_down else image.height - 1 - y
        at = row * image.stride + 4 * x
        return self.kept(int.from_bytes(image.data[at : at + 4], "little"))

    def brush_pixel(self, brush: Brush, x: int, y: int) -> int:
        """What a brush has for a place."""
        if brush.type == BrushType.SOLID:
            return solid(self.surface.format, brush.color)
        image = brush.pattern.pat.value
        at = brush.pattern.pos
        return self.image_pixel(image, (x - at.x) % image.width, (y - at.y) % image.height)

    def is_drawn(self, message: Any, x: int, y: int) -> bool:
        """Whether clip and mask let a pixel of the box through."""
        base = message.base
        if base.clip.type == ClipType.RECTS and not any(
            part.left <= x < part.right and part.top <= y < part.bottom for part in base.clip.rects
        ):
            return False
        if message.mask.bitmap is None:
            return True
        image = message.mask.bitmap.value
        col = x - base.box.left + message.mask.pos.x
        row = y - base.box.top + message.mask.pos.y
        if not (0 <= col < image.width and 0 <= row < image.height):
            return False
        row = row if image.top_down else image.height - 1 - row
        byte = image.data[row * image.stride + col // 8]
        place = col % 8 if image.format == BitmapFormat.BIT1_LE else 7 - col % 8
        return bool(byte >> place & 1) != bool(message.mask.flags & MaskFlags.INVERS)

    def drawn(self, message: Any, combine: Any) -> bytes:
        """The pixels with ``combine(x, y, what was there)`` in the box."""
        result = bytearray(self.before)
        box = Box.of(message.base.box).within(Box(0, 0, self.surface.width, self.surface.height))
        for y in range(box.top, box.bottom):
            for x in range(box.left, box.right):
                if self.is_drawn(message, x, y):
                    value = combine(x, y, self.pixel(x, y))
                    if value is not None:
                        at = y * self.surface.stride + 4 * x
                        result[at : at + 4] = self.kept(value & 0xFFFFFFFF).to_bytes(4, "little")
        return bytes(result)


def joined(table: int, first: int, second: int) -> int:
    """Two values combined as a truth table says."""
    parts = (~first & ~second, ~first & second, first & ~second, first & second)
    return sum((part & 0xFFFFFFFF) for row, part in enumerate(parts) if table >> row & 1)


class ModelCase(SynchronousTestCase):
    """Draws scenes, and compares them with the model."""

    def check(self, scene: Scene, message: Any, combine: Any) -> None:
        """The operation gives what the model gives."""
        expected = Model(scene.surface).drawn(message, combine)
        OPERATIONS[type(message)](scene.surface, message, {0: scene.surface})
        self.assertEqual(bytes(scene.surface.pixels), expected, message)

    def scenes(self, count):
        """Some for each format of surfaces."""
        for format in SURFACE_FORMATS:
            for seed in range(count):
                yield Scene.of(seed, format)


class OperationTests(ModelCase):
    """Every operation with every descriptor, masks and clips, on every format of surfaces."""

    def test_fill(self):
        """DRAW_FILL combines a brush with what is there."""
        for scene in self.scenes(len(DESCRIPTORS) * 2):
            descriptor = scene.dice.choice(DESCRIPTORS)
            table = truth_table(descriptor, Ropd.INVERS_BRUSH)
            paint, model = scene.brush(), Model(scene.surface)
            message = DrawFill(scene.base(scene.box(), scene.clip()), paint, descriptor, scene.mask())
            self.check(
                scene,
                message,
                lambda x, y, below, p=paint, m=model, t=table: joined(t, m.brush_pixel(p, x, y), below),
            )

    def test_plain(self):
        """BLACKNESS clears, WHITENESS sets, INVERS turns round."""
        for scene in self.scenes(24):
            kind, value = scene.dice.choice(
                [(DrawBlackness, 0), (DrawWhiteness, 0xFFFFFFFF), (DrawInvers, None)]
            )
            message = kind(scene.base(scene.box(), scene.clip()), scene.mask())
            if value:
                value = solid(scene.surface.format, value)
            self.check(scene, message, lambda x, y, below, v=value: ~below if v is None else v)

    def test_copy(self):
        """DRAW_COPY and BLEND combine an image; where it has no pixel, nothing is drawn."""
        for scene in self.scenes(len(DESCRIPTORS) * 2):
            descriptor = scene.dice.choice(DESCRIPTORS)
            table = truth_table(descriptor, Ropd.INVERS_SRC)
            image, box = scene.image(14, 12), scene.box()
            left, top = scene.dice.randint(-3, 5), scene.dice.randint(-3, 5)
            area = rect(left, top, left + box.cols, top + box.rows)
            model = Model(scene.surface)

            def combine(x, y, below, image=image, at=(left - box.left, top - box.top), m=model, t=table):
                col, row = x + at[0], y + at[1]
                if not (0 <= col < image.width and 0 <= row < image.height):
                    return None
                return joined(t, m.image_pixel(image, col, row), below)

            kind = scene.dice.choice([DrawCopy, DrawBlend])
            base = scene.base(box, scene.clip())
            message = kind(base, Placeholder(image), area, descriptor, ImageScaleMode.NEAREST, scene.mask())
            self.check(scene, message, combine)

    def test_opaque(self):
        """DRAW_OPAQUE combines a brush with an image; what was there does not matter."""
        for scene in self.scenes(len(DESCRIPTORS) * 2):
            descriptor = scene.dice.choice(DESCRIPTORS)
            table = truth_table(descriptor, Ropd.INVERS_BRUSH, Ropd.INVERS_SRC)
            box, paint, model = scene.box(), scene.brush(), Model(scene.surface)
            image = scene.image(box.cols, box.rows)
            message = DrawOpaque(
                scene.base(box, scene.clip()),
                Placeholder(image),
                rect(0, 0, box.cols, box.rows),
                paint,
                descriptor,
                ImageScaleMode.NEAREST,
                scene.mask(),
            )

            def combine(x, y, below, image=image, box=box, p=paint, m=model, t=table):
                return joined(t, m.brush_pixel(p, x, y), m.image_pixel(image, x - box.left, y - box.top))

            self.check(scene, message, combine)

    def ternary(self, scene, code):
        """A ternary operation, and what it does to a pixel."""
        box, paint, model = scene.box(), scene.brush(), Model(scene.surface)
        image = scene.image(box.cols + 2, box.rows + 1)
        area = rect(2, 1, 2 + box.cols, 1 + box.rows)
        base = scene.base(box, scene.clip())
        message = DrawRop3(base, Placeholder(image), area, paint, code, ImageScaleMode.NEAREST, scene.mask())

        def combine(x, y, below):
            pattern = model.brush_pixel(paint, x, y)
            source = model.image_pixel(image, x - box.left + 2, y - box.top + 1)
            with_pattern = joined(code >> 4, source, below)
            return pattern & with_pattern | ~pattern & joined(code & 15, source, below)

        return message, combine

    def test_rop3(self):
        """All 256 ternary operations."""
        for code in range(256):
            scene = Scene.of(code, SURFACE_FORMATS[code % len(SURFACE_FORMATS)])
            self.check(scene, *self.ternary(scene, code))


class TwinDrawingTests(SynchronousTestCase):
    """Everything works without the extension, and gives the same pixels."""

    def draw(self, format, seed, count):
        """The pixels after drawings made with dice, sensible or not."""
        surfaces = {0: Surface(0, WIDTH, HEIGHT, format), 1: Surface(1, 15, 11, format)}
        sizes = {id: (surface.width, surface.height) for id, surface in surfaces.items()}
        drawings = Drawings(random.Random(seed), sizes)
        done = 0
        while done < count:
            message = drawings.drawing()
            if type(message) not in (*copy.OPERATIONS, DrawFill, DrawRop3, DrawInvers, DrawWhiteness):
                continue
            done += 1
            target = surfaces.get(message.base.surface_id)
            if target is not None:
                try:
                    OPERATIONS[type(message)](target, message, surfaces)
                except pending.BAD_DATA:
                    pass
        return [bytes(surface.pixels) for surface in surfaces.values()]

    def test_same(self):
        """Kernels and twins draw the same on every format of surfaces."""
        with_kernels = [self.draw(format, seed, 40) for format in SURFACE_FORMATS for seed in range(4)]
        self.assertTrue(any(any(pixels) for drawn in with_kernels for pixels in drawn))
        for module, names in (
            (brush, ("fill_rect", "tile_rect")),
            (copy, ("copy_rect", "move_rect")),
            (formats, ("settle_rect",)),
            (images, ("convert_rows", "fill_rect", "settle_rect")),
            (mask, ("copy_rect", "rop3_rect")),
            (rop3, ("rop3_rect",)),
        ):
            for name in names:
                twin = getattr(reference, name, None) or getattr(reference_rops, name)
                self.patch(module, name, twin)
        without = [self.draw(format, seed, 40) for format in SURFACE_FORMATS for seed in range(4)]
        self.assertEqual(with_kernels, without)


class ImageTests(SynchronousTestCase):
    """Images of every format, on surfaces of every format."""

    def shown(self, image, format=SurfaceFormat.ARGB32):
        """The first row of an image on such a surface."""
        surface = Surface(0, image.width, image.height, format)
        area = rect(0, 0, image.width, image.height)
        OPERATIONS[DrawCopy](surface, DrawCopy(DrawBase(0, area), Placeholder(image), area), {0: surface})
        return bytes(surface.pixels[: surface.stride]).hex(" ", 4)

    def test_indexed(self):
        """Pixels of 1, 4 and 8 bits are looked up in a palette, which may be too short."""
        palette = (0x00112233, 0xFF445566)
        for format, data in (
            (BitmapFormat.BIT1_LE, b"\x02"),
            (BitmapFormat.BIT1_BE, b"\x40"),
            (BitmapFormat.BIT4_LE, b"\x10\x02"),
            (BitmapFormat.BIT4_BE, b"\x01\x20"),
            (BitmapFormat.BIT8, b"\x00\x01\x02"),
        ):
            image = DeviceImage(3, 1, format, len(data), data, palette=palette)
            last = "33221100" if len(data) == 1 else "00000000"
            self.assertEqual(self.shown(image), f"33221100 665544ff {last}")

    def test_palette_of_16_bits(self):
        """On surfaces of 16 bits the palette has colours of 16 bits."""
        image = DeviceImage(2, 1, BitmapFormat.BIT8, 2, b"\x00\x01", palette=(0x7C00, 0x001F))
        self.assertEqual(self.shown(image, SurfaceFormat.RGB555), "0000ff00 ff000000")

    def test_colours(self):
        """Pixels of 16, 24 and 32 bits."""
        shown = {
            (BitmapFormat.BIT16, b"\x1f\x42"): "ff8484ff",
            (BitmapFormat.BIT24, b"\x01\x02\x03"): "01020300",
            (BitmapFormat.BIT32, b"\x01\x02\x03\x04"): "01020304",
            (BitmapFormat.RGBA, b"\x01\x02\x03\x04"): "01020304",
            (BitmapFormat.BIT8_A, b"\x90"): "00000090",
        }
        for (format, data), expected in shown.items():
            self.assertEqual(self.shown(DeviceImage(1, 1, format, len(data), data)), expected)

    def test_surfaces(self):
        """What surfaces of fewer bits keep of an image."""
        colour = b"\x8f\x57\xff\x90"
        for format, expected in (
            (SurfaceFormat.RGB555, "8c52ff00"),
            (SurfaceFormat.RGB565, "8c55ff00"),
            (SurfaceFormat.A8, "00000090"),
            (SurfaceFormat.A1, "000000ff"),
        ):
            self.assertEqual(self.shown(DeviceImage(1, 1, BitmapFormat.RGBA, 4, colour), format), expected)
        without = DeviceImage(1, 1, BitmapFormat.BIT32, 4, colour)
        self.assertEqual(self.shown(without, SurfaceFormat.A8), "000000ff")

    def test_high_bits(self):
        """The flag HIGH_BITS_SET sets what is not a colour."""
        image = DeviceImage(1, 1, BitmapFormat.BIT32, 4, bytes(4), flags=ImageFlags.HIGH_BITS_SET)
        self.assertEqual(self.shown(image), "000000ff")

    def test_solid(self):
        """A colour of a message has as many bits as the surface."""
        colours = [solid(format, 0x12345679) for format in SURFACE_FORMATS]
        self.assertEqual(
            [f"{colour:08x}" for colour in colours],
            ["12345679", "12345679", "00ad9cce", "0052cfce", "79000000", "ff000000"],
        )

    def test_mask_from_surface(self):
        """A surface of one bit can be a mask; one of more cannot."""
        bits = Surface(1, 4, 1, SurfaceFormat.A1)
        bits.pixels[7] = 255
        white = DrawWhiteness(
            DrawBase(0, rect(0, 0, 4, 1)), QMask(0, Point(0, 0), Placeholder(DeviceImage(4, 1, surface=1)))
        )
        surface = Surface(0, 4, 1)
        OPERATIONS[DrawWhiteness](surface, white, {0: surface, 1: bits})
        self.assertEqual(surface.pixels.hex(" ", 4), "00000000 ffffffff 00000000 00000000")
        bits.format = SurfaceFormat.A8
        with self.assertRaises(ValueError):
            OPERATIONS[DrawWhiteness](surface, white, {0: surface, 1: bits})


class BandTests(SynchronousTestCase):
    """Boxes of a clip, each pixel once."""

    def test_once(self):
        """Bands have the pixels of the boxes, and none twice."""
        dice = random.Random(6)
        for _case in range(200):
            boxes = []
            for _box in range(dice.randint(0, 6)):
                left, top = dice.randrange(10), dice.randrange(10)
                boxes.append(Box(left, top, left + dice.randint(1, 6), top + dice.randint(1, 6)))
            found = [
                (x, y)
                for box in bands(boxes)
                for y in range(box.top, box.bottom)
                for x in range(box.left, box.right)
            ]
            expected = {
                (x, y)
                for box in boxes
                for y in range(box.top, box.bottom)
                for x in range(box.left, box.right)
            }
            self.assertEqual(sorted(found), sorted(expected))

    def test_too_much_work(self):
        """A clip that would keep us busy for long is refused."""
        count = int((2 * WORK_LIMIT) ** 0.5)
        boxes = [Box(0, row, 9, row + count) for row in range(count)]
        with self.assertRaises(ValueError):
            bands(boxes)


class OpaqueTests(SynchronousTestCase):
    """Drawings that leave nothing of what was there."""

    def setUp(self):
        self.surface = Surface(0, WIDTH, HEIGHT)
        self.surfaces = {0: self.surface, 1: Surface(1, 8, 8)}
        self.image = DeviceImage(8, 8, BitmapFormat.BIT32, 32, bytes(256))
        self.base = DrawBase(0, rect(0, 0, 8, 8))
        self.area = rect(0, 0, 8, 8)

    def opaque(self, message):
        """Whether it is one."""
        return is_opaque(message, self.surface, self.surfaces)

    def copy(self, image=None, area=None, rop=Ropd.OP_PUT, **more):
        """A copy of an image."""
        image = image or self.image
        return DrawCopy(more.pop("base", self.base), Placeholder(image), area or self.area, rop, **more)

    def test_copies(self):
        """Copies of all pixels of an image, whatever is inverted."""
        self.assertTrue(self.opaque(self.copy()))
        self.assertTrue(self.opaque(self.copy(rop=Ropd.OP_PUT | Ropd.INVERS_SRC)))
        self.assertTrue(self.opaque(self.copy(rop=Ropd.OP_WHITENESS)))
        self.assertTrue(self.opaque(self.copy(DeviceImage(8, 8, surface=1))))
        self.assertTrue(self.opaque(self.copy(area=rect(2, 2, 4, 4))))

    def test_not(self):
        """Nothing that reads what is there, is masked, clipped, or cannot be drawn whole."""
        bits = QMask(0, Point(0, 0), Placeholder(DeviceImage(8, 8, BitmapFormat.BIT1_BE, 1, bytes(8))))
        clipped = DrawBase(0, self.area, Clip(ClipType.RECTS, [self.area]))
        for message in (
            self.copy(rop=Ropd.OP_XOR),
            self.copy(rop=Ropd.OP_INVERS),
            self.copy(mask=bits),
            self.copy(base=clipped),
            self.copy(area=rect(1, 0, 9, 8)),
            self.copy(DeviceImage(8, 8, surface=0)),
            self.copy(DeviceImage(8, 8, surface=7)),
            self.copy(DeviceImage(8, 8, BitmapFormat.BIT32, 32, bytes(255))),
            self.copy(DeviceImage(8, 8, 99, 32, bytes(256))),
            CopyBits(self.base, Point(9, 9)),
            DrawInvers(self.base),
            DrawBlackness(self.base, bits),
            DrawRop3(self.base, Placeholder(self.image), self.area, Brush(), 0x6C),
        ):
            self.assertFalse(self.opaque(message), message)

    def test_others(self):
        """Fills, blackness and the like."""
        pattern = Brush(BrushType.PATTERN, pattern=Pattern(Placeholder(self.image), Point(0, 0)))
        for message in (
            DrawFill(self.base, pattern, Ropd.OP_PUT),
            DrawFill(self.base, Brush(), Ropd.OP_WHITENESS),
            DrawBlackness(self.base),
            DrawWhiteness(self.base),
            DrawOpaque(self.base, Placeholder(self.image), self.area, pattern, Ropd.OP_XOR),
            DrawRop3(self.base, Placeholder(self.image), self.area, pattern, 0xC0),
        ):
            self.assertTrue(self.opaque(message), message)


class HostileTests(SynchronousTestCase):
    """What a guest gives wrongly costs it that command, and nobody else anything."""

    def setUp(self):
        self.raster = Raster()
        self.raster.add_surface(Surface(0, WIDTH, HEIGHT))

    def add(self, message, effect=Effect.OPAQUE):
        """Give one message; returns its drawable as displays open it."""
        batch = Batch()
        batch.append(message, effect)
        self.raster.take(batch)
        return next(iter(batch))

    def test_not_as_opaque_as_said(self):
        """A command that says it is opaque, and is not, hides nothing and says so no more."""
        self.add(DrawWhiteness(DrawBase(0, rect(0, 0, 5, 5))))
        told = self.add(DrawFill(DrawBase(0, rect(0, 0, 9, 9)), Brush(BrushType.SOLID, color=1), Ropd.OP_XOR))
        self.assertEqual(told.effect, Effect.BLEND)
        self.assertEqual(self.raster.waiting(0), 2)

    def test_long_chain(self):
        """A thousand surfaces that read each other are drawn."""
        whole = rect(0, 0, 4, 4)
        self.add(DrawWhiteness(DrawBase(0, whole)))
        for id in range(1, 1500):
            self.raster.add_surface(Surface(id, 4, 4))
            image = DeviceImage(4, 4, surface=id - 1)
            self.add(DrawCopy(DrawBase(id, whole), Placeholder(image), whole))
        self.assertEqual(self.raster.render(1499).pixels, b"\xff" * 64)

    def test_drawings_made_with_dice(self):
        """Of thousands of drawings, sensible or not, none does harm."""
        self.raster.add_surface(Surface(1, 15, 11, SurfaceFormat.RGB565))
        self.raster.add_surface(Surface(2, 9, 9, SurfaceFormat.A1))
        sizes = {surface.id: (surface.width, surface.height) for surface in self.raster.surfaces.values()}
        drawings = Drawings(random.Random(11), sizes)
        for step in range(3000):
            message = drawings.drawing()
            if message.base.surface_id in sizes:
                self.add(message, step % 8)
        self.raster.render_all()
        self.assertEqual([self.raster.waiting(id) for id in sizes], [0, 0, 0])
