# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for the rasteriser's log: its functions in C and their twins, and what they leave to be drawn."""

from __future__ import annotations

import random
import struct

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.dirty import TILE, DirtyTiles
from spicemig.devices.drawables import EFFECT_OFFSET, HEADER, Batch, DeviceImage, Effect, Placeholder
from spicemig.devices.raster import pending, reference_log
from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.log import BY_OTHERS, COMMAND, Command, CommandFlags, commands_of
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.raster.pending import Raster
from spicemig.devices.surfaces import Surface
from spicemig.errors import GuestError
from spicemig.testing.drawings import Drawings
from spicemig.wire.drawing import Brush, Clip, DrawBase, Point, QMask, Rect
from spicemig.wire.enums import BitmapFormat, BrushType, ClipType, ImageFlags, Ropd, SurfaceFormat
from spicemig.wire.messages.display import (
    CopyBits,
    DrawBlackness,
    DrawBlend,
    DrawCopy,
    DrawFill,
    DrawInvers,
    DrawRop3,
    DrawWhiteness,
)
from tests.twins import _kernels

NAMES = reference_log.__all__
SIZES = {0: (50, 40), 3: (40, 30), 4: (33, 21), 9: (20, 30), 12: (40, 40)}
FORMATS = {
    0: SurfaceFormat.XRGB32,
    3: SurfaceFormat.ARGB32,
    4: SurfaceFormat.XRGB32,
    9: SurfaceFormat.RGB565,
    12: SurfaceFormat.A8,
}


def surfaces():
    """Surfaces of several formats by id, with pixels of their own."""
    made = {id: Surface(id, *SIZES[id], FORMATS[id]) for id in SIZES}
    for id in (0, 3, 4):
        made[id].pixels[:] = random.Random(id).randbytes(len(made[id].pixels))
    return made


class CommonDrawings:
    """Drawings of the kinds that C draws, and of those beside them: sizes, clips, places at the edge."""

    def __init__(self, dice):
        self.dice = dice
        image = dice.randbytes(4 * 30 * 30 + 64)
        self.images = [
            DeviceImage(30, 30, BitmapFormat.BIT32, 120, image),
            DeviceImage(30, 30, BitmapFormat.RGBA, 121, image, top_down=False),
            DeviceImage(25, 30, BitmapFormat.RGBA, 120, memoryview(image)),
            DeviceImage(30, 30, BitmapFormat.BIT32, 120, image, flags=ImageFlags.HIGH_BITS_SET),
            DeviceImage(30, 30, BitmapFormat.RGBA, 120, image, flags=ImageFlags.HIGH_BITS_SET),
            DeviceImage(30, 30, BitmapFormat.BIT24, 90, image),
            DeviceImage(30, 30, BitmapFormat.BIT8, 30, image, palette=tuple(range(200))),
            DeviceImage(30, 30, BitmapFormat.BIT32, 119, image),
            DeviceImage(30, 31, BitmapFormat.BIT32, 128, image),
            DeviceImage(-1, 30, BitmapFormat.BIT32, 120, image),
            DeviceImage(1 << 70, 30, BitmapFormat.BIT32, 1 << 40, image, top_down=False),
        ]

    def box(self):
        """Mostly on the surface."""
        left, top = self.dice.randrange(-9, 45), self.dice.randrange(-9, 40)
        width, height = self.dice.choice((0, 1, 5, 12, 30, 60)), self.dice.choice((0, 1, 5, 12, 30, 60))
        return Rect(top, left, top + height, left + width)

    def clip(self):
        """Mostly none."""
        chance = self.dice.random()
        if chance < 0.7:
            return Clip()
        return Clip(ClipType.RECTS, [self.box() for _rect in range(self.dice.choice((0, 1, 1, 2, 5, 70)))])

    def source(self, box):
        """An image and its area, mostly as large as the box."""
        image = self.dice.choice(self.images[:3] * 4 + self.images)
        if self.dice.random() < 0.3:
            image = DeviceImage(0, 0, surface=self.dice.choice(list(SIZES)))
        left, top = self.dice.choice((0, 0, 3, -4, 20)), self.dice.choice((0, 0, 2, -3, 20))
        area = Rect(top, left, top + box.bottom - box.top, left + box.right - box.left)
        if self.dice.random() < 0.1:
            area = self.box()
        return Placeholder(image), area

    def drawing(self):
        """One of them."""
        dice, box = self.dice, self.box()
        base = DrawBase(dice.choice(list(SIZES)), box, self.clip())
        rop = dice.choice((Ropd.OP_PUT,) * 4 + tuple(Ropd))
        mask = QMask()
        if dice.random() < 0.05:
            mask = QMask(0, Point(0, 0), Placeholder(DeviceImage(9, 9, BitmapFormat.BIT1_BE, 2, bytes(18))))
        match dice.randrange(9):
            case 0 | 1:
                brush = dice.choice((Brush(), Brush(BrushType.SOLID, color=dice.getrandbits(32))))
                return DrawFill(base, brush, rop, mask)
            case 2 | 3 | 4:
                message = dice.choice((DrawCopy, DrawBlend))
                return message(base, *self.source(box), rop, dice.randrange(2), mask)
            case 5 | 6:
                return CopyBits(base, Point(dice.randrange(-5, 40), dice.randrange(-5, 40)))
            case 7:
                brush = Brush(BrushType.SOLID, color=7)
                return DrawRop3(base, *self.source(box), brush, dice.choice((0xCC, 0xF0, 0x66)), 0, mask)
            case _:
                return dice.choice((DrawBlackness, DrawWhiteness, DrawInvers))(base, mask)


def copy_of(batch):
    """Another batch with the same records and images."""
    other = Batch()
    other.records, other.index, other.images = bytearray(batch.records), list(batch.index), batch.images
    return other


def random_log(dice, places, commands):
    """Commands as the log has them, that read one another."""
    log = bytearray()
    for number in range(commands):
        left, top = dice.randrange(40), dice.randrange(40)
        box = Box(left, top, left + dice.choice((1, 5, 20, 40)), top + dice.choice((1, 5, 20, 40)))
        reads = tuple(dice.sample(range(places), min(dice.choice((0, 0, 0, 1, 2)), places)))
        flags = dice.choice((0, CommandFlags.COVERS)) | dice.choice((0, CommandFlags.READS_BOX))
        place = dice.randrange(places)
        batch = number // 5
        log += Command(batch, number, place, reads, box, flags, dice.randrange(-9, 9), 2).pack()
    return log


class LogTwinCase(SynchronousTestCase):
    """Calls functions in C and in Python."""

    if _kernels is None:
        skip = "the extension is not built here"

    def setUp(self):
        self.dice = random.Random(31)

    def both(self, name, *arguments):
        """What both give for the same arguments; ``ValueError`` is a result, too."""
        results = []
        for module in (_kernels, reference_log):
            try:
                results.append(getattr(module, name)(*arguments))
            except ValueError as error:
                results.append(str(error))
        self.assertEqual(results[0], results[1], name)
        return results[0]

    def take(self, batch, existing, place_of):
        """Both take a batch; returns the commands as C has them."""
        table = [existing.get(id) for id in sorted(existing)]
        taken = []
        for module in (_kernels, reference_log):
            mine = copy_of(batch)
            try:
                commands, possible, held, _work = module.take_batch(
                    mine.records, mine.index, mine.images, table, place_of, 5
                )
            except ValueError as error:
                taken.append(str(error))
                continue
            opened = []
            for command in commands_of(commands):
                flags = command.flags & (CommandFlags.COVERS | CommandFlags.READS_BOX)
                if not flags & CommandFlags.READS_BOX:
                    command = command._replace(dx=0, dy=0)
                opened.append(command._replace(flags=flags, operation=BY_OTHERS))
            taken.append((opened, possible, held, mine.records))
            batch_commands = commands
        self.assertEqual(taken[0], taken[1])
        return batch_commands


class LogTwinTests(LogTwinCase):
    """The functions in C give what their twins give."""

    def test_take(self):
        """Boxes, what is read, what covers, effects, and what is impossible, for drawings of every kind."""
        made = surfaces()
        place_of = {id: place for place, id in enumerate(sorted(made)) if id != 9}
        kinds = [CommonDrawings(self.dice), Drawings(self.dice, SIZES)]
        for case in range(150):
            batch = Batch()
            for _drawing in range(20):
                drawings = self.dice.choice(kinds)
                batch.append(drawings.drawing(), self.dice.choice((0, 1, 1, 1, 3)))
            if case == 0:
                batch.append(CopyBits(DrawBase(77, Rect(0, 0, 1, 1)), Point(0, 0)))
            self.take(batch, made, place_of)

    def test_take_damaged(self):
        """Records whose bytes were changed are taken alike, or refused alike."""
        made = surfaces()
        place_of = {id: place for place, id in enumerate(sorted(made))}
        drawings = CommonDrawings(self.dice)
        for _case in range(400):
            batch = Batch.of([drawings.drawing() for _drawing in range(3)])
            header = self.dice.choice(batch.index)
            spoiled = self.dice.choice(((0, "<I"), (7, "<B"), (8, "<I"), (36, "<I"), (32, "<I")))
            value = self.dice.choice((0, 1, 2, 4, 31, 32, 40, 77, 255, 1 << 16, 0xFFFFFFFF))
            if header + spoiled[0] + 4 <= len(batch.records):
                value &= 255 if spoiled[1] == "<B" else value
                struct.pack_into(spoiled[1], batch.records, header + spoiled[0], value)
            if self.dice.random() < 0.2:
                del batch.records[self.dice.randrange(len(batch.records)) :]
            if self.dice.random() < 0.2:
                batch.index.append(self.dice.choice((-1, 1 << 31, len(batch.records), 5)))
            taken = []
            for module in (_kernels, reference_log):
                mine = copy_of(batch)
                try:
                    module.take_batch(mine.records, mine.index, mine.images, list(made.values()), place_of, 0)
                except ValueError as error:
                    taken.append(str(error))
                else:
                    taken.append("taken")
            self.assertEqual(taken[0], taken[1])

    def test_cull(self):
        """The same commands are needed, and the same places used."""
        for _case in range(300):
            places = self.dice.choice((1, 2, 3, 6))
            dead = bytes(self.dice.choice((0, 0, 1)) for _place in range(places))
            self.both("cull_log", bytes(random_log(self.dice, places, self.dice.randrange(60))), dead)

    def test_split(self):
        """The same commands have to do with a surface."""
        for _case in range(200):
            places = self.dice.choice((1, 2, 9, 20))
            log = bytes(random_log(self.dice, places, self.dice.randrange(20)))
            mine, rest = self.both("split_log", log, places, self.dice.randrange(places))
            self.assertEqual(len(mine) + len(rest), len(log))

    def test_renumber(self):
        """Batches get the same new numbers."""
        for _case in range(50):
            log = random_log(self.dice, 3, 40)
            batches = [command.batch for command in commands_of(log)]
            kept, _used, _work = reference_log.cull_log(bytes(log), bytes(3))
            logs = bytearray(kept), bytearray(kept)
            numbers = _kernels.renumber_log(logs[0], max(batches) + 1)
            self.assertEqual(numbers, reference_log.renumber_log(logs[1], max(batches) + 1))
            self.assertEqual(logs[0], logs[1])

    def test_mark(self):
        """The same tiles become dirty."""
        for _case in range(50):
            sizes = [(self.dice.randrange(81, 300), self.dice.randrange(81, 200)) for _place in range(3)]
            table = [Surface(10 + place, *size) for place, size in enumerate(sizes)]
            log = bytes(random_log(self.dice, 3, 8))
            marked = []
            for module in (_kernels, reference_log):
                dirty = {surface.id: DirtyTiles(surface.width, surface.height) for surface in table[1:]}
                module.mark_tiles(log, table, dirty)
                marked.append([bytes(tiles.tiles) for tiles in dirty.values()])
            self.assertEqual(marked[0], marked[1])
            self.assertTrue(any(map(any, marked[0])))

    def test_refused(self):
        """Logs that are cut, or name places, batches or tiles that do not exist, are refused."""
        log = Command(7, 0, 2, (1,), Box(0, 0, 64, 64)).pack()
        for name, *arguments in (
            ("cull_log", log[:-1], bytes(3)),
            ("cull_log", log, bytes(2)),
            ("split_log", log, 2, 0),
            ("split_log", log, 3, 3),
            ("split_log", log, 3, -1),
            ("renumber_log", bytearray(log), 7),
            ("mark_tiles", log, [None] * 2, {}),
            ("mark_tiles", log, [Surface(id, 9, 9) for id in range(3)], {2: DirtyTiles(33, 32)}),
            ("mark_tiles", log, [Surface(id, 9, 9) for id in range(3)], {2: DirtyTiles(32, 64)}),
            ("draw_log", log, [], [None] * 2, print),
        ):
            self.assertIsInstance(self.both(name, *arguments), str, name)

    def test_tiles_of_one_size(self):
        """Tiles are as large for the functions as for those who carry them."""
        self.assertEqual(reference_log.TILE, TILE)


class DrawnCase(SynchronousTestCase):
    """Rasters with the same surfaces."""

    def setUp(self):
        self.dice = random.Random(17)

    def raster(self, *, twins=False):
        """A raster; with ``twins`` its functions are those in Python."""
        if twins:
            for name in NAMES:
                self.patch(pending, name, getattr(reference_log, name))
        made = Raster()
        for surface in surfaces().values():
            made.add_surface(surface)
        return made

    def assertSame(self, raster, pixels):
        """All surfaces have these pixels."""
        raster.render_all()
        for id, expected in pixels.items():
            self.assertEqual(raster.surfaces[id].pixels, expected, id)


class DrawnTests(DrawnCase):
    """However commands are kept, culled and drawn, the pixels are those of drawing each at once."""

    def at_once(self, batches):
        """Every message drawn by its operation in Python when it comes."""
        made = surfaces()
        for batch in batches:
            for drawable in batch:
                message = drawable.message()
                try:
                    OPERATIONS[type(message)](made[message.base.surface_id], message, made)
                except pending.BAD_DATA:
                    pass
        return {id: surface.pixels for id, surface in made.items()}

    def batches(self, count):
        """Random batches, mostly of what C draws."""
        kinds = [CommonDrawings(self.dice)] * 3 + [Drawings(self.dice, SIZES)]
        return [
            Batch.of([self.dice.choice(kinds).drawing() for _drawing in range(10)]) for _batch in range(count)
        ]

    def test_one_by_one(self):
        """Every drawing, alone."""
        raster, batches = self.raster(), self.batches(60)
        for batch in batches:
            for offset in batch.index:
                one = copy_of(batch)
                one.index = [offset]
                raster.take(one)
                raster.render_all()
        self.assertSame(raster, self.at_once(batches))

    def test_at_the_end(self):
        """All at the end, after what is hidden was dropped."""
        for _case in range(6):
            raster, batches = self.raster(), self.batches(10)
            for batch in batches:
                raster.take(batch)
            self.assertSame(raster, self.at_once(batches))

    def test_one_surface_now_and_then(self):
        """One surface is looked at, now and then; the others come later."""
        raster, batches = self.raster(), self.batches(60)
        for batch in batches:
            raster.take(batch)
            if self.dice.random() < 0.5:
                raster.render(self.dice.choice(list(SIZES)))
        self.assertSame(raster, self.at_once(batches))

    def test_twins(self):
        """The same without the functions in C."""
        raster, batches = self.raster(twins=True), self.batches(20)
        for batch in batches:
            raster.take(batch)
            if self.dice.random() < 0.2:
                raster.render(self.dice.choice(list(SIZES)))
        self.assertSame(raster, self.at_once(batches))

    def test_small_limits(self):
        """The same when little may wait, so that it is culled and drawn all the time."""
        self.patch(pending, "WAITING_LIMIT", 6)
        self.patch(pending, "FEW_BYTES", 5000)
        self.patch(pending, "WAITING_BYTES_LIMIT", 20000)
        raster, batches = self.raster(), self.batches(60)
        for batch in batches:
            raster.take(batch)
        self.assertSame(raster, self.at_once(batches))

    def test_clips_that_overlap(self):
        """Where rectangles of a clip overlap, an operation that shows it is done once."""
        raster = self.raster()
        clip = Clip(ClipType.RECTS, [Rect(0, 0, 9, 9), Rect(5, 5, 15, 15)])
        base = DrawBase(0, Rect(0, 0, 40, 50), clip)
        box = Rect(0, 0, 40, 50)
        batches = [
            Batch.of(
                [
                    DrawFill(base, Brush(BrushType.SOLID, color=0xFF00FF), Ropd.OP_XOR),
                    DrawInvers(base),
                    DrawCopy(base, Placeholder(DeviceImage(0, 0, surface=3)), box, Ropd.OP_XOR),
                    DrawCopy(base, Placeholder(DeviceImage(0, 0, surface=3)), box),
                    CopyBits(base, Point(1, 1)),
                    DrawCopy(base, Placeholder(DeviceImage(0, 0, surface=0)), Rect(2, 2, 42, 52)),
                ]
            )
        ]
        for offset in list(batches[0].index):
            one = copy_of(batches[0])
            one.index = [offset]
            raster.take(one)
        self.assertSame(raster, self.at_once(batches))

    def test_large_copies(self):
        """Copies so large that other threads may go on meanwhile."""
        raster = Raster()
        raster.add_surface(Surface(0, 300, 300))
        image = DeviceImage(300, 300, BitmapFormat.BIT32, 1200, self.dice.randbytes(360000))
        whole = Rect(0, 0, 300, 300)
        raster.take(Batch.of([DrawCopy(DrawBase(0, whole), Placeholder(image), whole)]))
        self.assertEqual(raster.render(0).pixels, image.data)

    def test_image_that_shrinks(self):
        """An image whose pixels went away after it was taken is left out; nobody reads beyond it."""
        raster = self.raster()
        before = bytes(raster.surfaces[0].pixels)
        image = DeviceImage(20, 20, BitmapFormat.BIT32, 80, bytearray(1600))
        box = Rect(0, 0, 20, 20)
        raster.take(Batch.of([DrawCopy(DrawBase(0, box), Placeholder(image), box)]))
        del image.data[1500:]
        self.assertEqual(raster.render(0).pixels, before)


class LogTests(DrawnCase):
    """What the log holds, and for how long."""

    def fill(self, surface, colour=5, box=None):
        """A fill of a whole surface."""
        width, height = SIZES.get(surface, (9, 9))
        base = DrawBase(surface, box or Rect(0, 0, height, width))
        return DrawFill(base, Brush(BrushType.SOLID, color=colour), Ropd.OP_PUT)

    def copy(self, surface, source, box=None, area=None):
        """A copy from a surface."""
        area = area or Rect(0, 0, 9, 9)
        base = DrawBase(surface, box or Rect(0, 0, 9, 9))
        return DrawCopy(base, Placeholder(DeviceImage(0, 0, surface=source)), area)

    def test_gone_and_not_read(self):
        """What was drawn on a surface that is gone need not be drawn, nor what only it read."""
        raster = self.raster()
        raster.take(Batch.of([self.fill(3), self.copy(4, 3, Rect(0, 0, 9, 9))]))
        self.assertEqual([raster.waiting(id) for id in (3, 4)], [1, 1])
        raster.remove_surface(4)
        self.assertEqual(raster.waiting(3), 1)
        raster.remove_surface(3)
        self.assertEqual([raster.waiting(id) for id in (0, 9)], [0, 0])

    def test_gone_and_read(self):
        """Of a surface that is gone, what another shows is drawn, and no more than that."""
        raster = self.raster()
        raster.take(
            Batch.of(
                [
                    self.fill(3, 0x111111),
                    self.fill(3, 0x222222, Rect(20, 20, 25, 25)),
                    self.copy(0, 3, Rect(0, 0, 9, 9), Rect(0, 0, 9, 9)),
                ]
            )
        )
        raster.remove_surface(3)
        raster.add_surface(Surface(3, 5, 5))
        drawn = []
        self.patch(pending, "draw_log", lambda log, *more: drawn.append(len(log) // COMMAND.size))
        raster.render(0)
        self.assertEqual(drawn, [2])

    def test_same_id_again(self):
        """A surface with the id of one that is gone has nothing to do with it."""
        raster = self.raster()
        raster.take(Batch.of([self.fill(3, 0x111111), self.copy(0, 3)]))
        raster.remove_surface(3)
        raster.add_surface(Surface(3, 40, 30))
        raster.take(Batch.of([self.fill(3, 0x222222), self.copy(0, 3, Rect(10, 0, 19, 9))]))
        raster.render_all()
        image = raster.surfaces[0].image()
        self.assertEqual([image.getpixel((0, y))[0] for y in (0, 10)], [0x11, 0x22])

    def test_not_asked_for(self):
        """A surface that has nothing to do with the one that is looked at waits on."""
        raster = self.raster()
        raster.take(Batch.of([self.fill(0), self.fill(3), self.copy(4, 3)]))
        raster.render(4)
        self.assertEqual([raster.waiting(id) for id in (0, 3, 4)], [1, 0, 0])

    def test_read_in_part(self):
        """What was moved away before it was hidden is drawn; what was not, is not."""
        raster = self.raster()
        raster.take(
            Batch.of(
                [
                    self.fill(0, 1, Rect(0, 0, 5, 5)),
                    self.fill(0, 2, Rect(20, 0, 25, 5)),
                    CopyBits(DrawBase(0, Rect(30, 30, 35, 35)), Point(0, 0)),
                    self.fill(0, 3, Rect(0, 0, 25, 5)),
                ]
            )
        )
        self.assertEqual(raster.waiting(0), 3)

    def test_scrolled_away(self):
        """Lines that were moved out of the picture by and by need not be drawn."""
        raster = self.raster()
        line, above = Rect(35, 0, 40, 50), Rect(0, 0, 35, 50)
        for step in range(30):
            raster.take(Batch.of([CopyBits(DrawBase(0, above), Point(0, 5)), self.fill(0, step, line)]))
        drawn = []
        draw_log = pending.draw_log
        self.patch(pending, "draw_log", lambda log, *more: (drawn.append(log), draw_log(log, *more)))
        raster.render(0)
        self.assertLess(len(drawn[0]) // COMMAND.size, 40)
        shown = raster.surfaces[0].image()
        self.assertEqual([shown.getpixel((9, y))[2] for y in range(2, 40, 5)], list(range(22, 30)))

    def test_held(self):
        """Batches of which nothing is needed any more are let go when there is much."""
        self.patch(pending, "FEW_BYTES", 50_000)
        raster = self.raster()
        whole = Rect(0, 0, 40, 50)
        for step in range(200):
            image = DeviceImage(50, 40, BitmapFormat.BIT32, 200, bytes([step]) * 8000)
            raster.take(Batch.of([DrawCopy(DrawBase(0, whole), Placeholder(image), whole)]))
            self.assertLess(len(raster._batches), 10)
        self.assertEqual(raster.waiting(0), 1)
        self.assertEqual(raster.render(0).pixels, bytes([199]) * 8000)
        self.assertEqual((raster._batches, raster._held_bytes), ([], 0))

    def test_much_work(self):
        """What would take long to draw is drawn before it becomes too much."""
        raster = Raster()
        raster.add_surface(Surface(0, 1000, 1000))
        most = 0
        for _step in range(100):
            raster.take(Batch.of([DrawInvers(DrawBase(0, Rect(0, 0, 1000, 1000)))]))
            most = max(most, raster.waiting(0))
        self.assertTrue(15 < most < 40, most)

    def test_surfaces_that_come_and_go(self):
        """Surfaces that are gone are let go when there are many, though a command waits elsewhere."""
        self.patch(pending, "FEW_BYTES", 100_000)
        raster = self.raster()
        raster.take(Batch.of([self.fill(0)]))
        for _step in range(100):
            raster.add_surface(Surface(50, 100, 100))
            raster.take(Batch.of([self.fill(50, box=Rect(0, 0, 100, 100)), self.copy(0, 50)]))
            raster.remove_surface(50)
        self.assertLess(sum(surface is not None for surface in raster._places), 20)

    def test_damaged(self):
        """A batch whose index leads nowhere is refused; nothing of it is drawn, and the next is."""
        raster = self.raster()
        before = bytes(raster.surfaces[0].pixels)
        for offset in (-1, 1, 1 << 20, 1 << 40):
            batch = Batch.of([self.fill(0, 9)])
            batch.index.append(offset)
            self.assertRaises(GuestError, raster.take, batch)
        batch = Batch.of([self.copy(0, 3)])
        struct.pack_into("<I", batch.records, HEADER.size + 4, 1)  # the image's place in the batch
        self.assertRaises(GuestError, raster.take, batch)
        self.assertEqual(raster.render(0).pixels, before)
        raster.take(Batch.of([self.fill(0, 0x090909)]))
        self.assertEqual(raster.render(0).image().getpixel((0, 0)), (9, 9, 9))

    def test_impossible(self):
        """Drawables for surfaces that do not exist are counted, and gone from the batch."""
        raster = self.raster()
        batch = Batch.of([self.fill(0), self.fill(77), self.copy(0, 78), self.fill(3)])
        kept = [batch.index[0], batch.index[3]]
        self.assertEqual(raster.take(batch), 2)
        self.assertEqual(batch.index, kept)

    def test_effects(self):
        """A drawable that says it is opaque, and is not, says so no more; others keep what they say."""
        raster = self.raster()
        box = Rect(0, 0, 5, 5)
        clipped = DrawBase(0, box, Clip(ClipType.RECTS, [box]))
        solid = Brush(BrushType.SOLID, color=1)
        batch = Batch.of(
            [
                self.fill(0),
                DrawFill(DrawBase(0, box), solid, Ropd.OP_XOR),
                DrawFill(clipped, solid, Ropd.OP_PUT),
                CopyBits(DrawBase(0, box), Point(9, 9)),
                DrawFill(DrawBase(0, box), solid, Ropd.OP_WHITENESS),
            ]
        )
        batch.append(DrawInvers(DrawBase(0, box)), Effect.NOP_ON_DUP)
        raster.take(batch)
        effects = [batch.records[offset + EFFECT_OFFSET] for offset in batch.index]
        self.assertEqual(effects, [1, 0, 0, 0, 1, Effect.NOP_ON_DUP])
