# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drawables that are packed many at a time: the same messages as one by one."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display_batches
from spicemig.channels import display_packing_reference as reference
from spicemig.channels.display import DisplayCore
from spicemig.channels.display_batches import BatchPacker
from spicemig.channels.display_pipe import Waiting
from spicemig.channels.glz_dictionary import GlzDictionary
from spicemig.channels.regions_reference import BOX
from spicemig.channels.tallies import DisplayTally
from spicemig.codecs import glz_reference
from spicemig.codecs.compiled import Codec, choices
from spicemig.codecs.encoders import Encoding
from spicemig.codecs.pixels import ImageError
from spicemig.devices.drawables import Batch, DeviceImage, Effect, Placeholder
from spicemig.devices.surfaces import Surface
from spicemig.wire.drawing import Brush, Clip, DrawBase, Pattern, Point, QMask, Rect
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ClipType,
    ImageCompression,
    ImageFlags,
    Ropd,
    SurfaceFormat,
)
from spicemig.wire.framing import frame
from spicemig.wire.messages import base, display
from tests.test_channels_display import copy, ready
from tests.twins import TwinCase

FORMATS = {0: SurfaceFormat.XRGB32, 1: SurfaceFormat.ARGB32, 2: SurfaceFormat.RGB565, 3: SurfaceFormat.A1}
SOLID = Brush(BrushType.SOLID, color=0xABCDEF)
PIXEL_BYTES = {6: 2, 7: 3, 8: 4, 9: 4, 10: 1}


class Guest:
    """Draws anything."""

    def __init__(self, dice):
        self.dice = dice

    def side(self):
        return self.dice.choice([1, 2, 3, 8, 16, 40, self.dice.randrange(1, 90)])

    def image(self):
        dice = self.dice
        if dice.random() < 0.15:
            size = dice.choice([(64, 64), (0, 0)])
            return DeviceImage(*size, surface=dice.randrange(6), id=dice.randrange(1 << 40))
        width, height = self.side(), self.side()
        format = dice.choice([8, 8, 8, 9, 9, 7, 6, 10, 5])
        stride = (width * PIXEL_BYTES.get(format, 1)) + dice.choice([0, 0, 0, 1, 3, 4, 40])
        some = dice.choice([1, 2, 200])
        data = bytes(dice.choices(range(some), k=stride * height))
        if dice.random() < 0.1:
            data = dice.choice([data[:-1], data + bytes(9), bytearray(data)])
        flags = dice.choice([0, 0, 0, 0, ImageFlags.HIGH_BITS_SET, ImageFlags.CACHE_ME])
        return DeviceImage(
            width, height, format, stride, data, dice.random() < 0.8, id=dice.randrange(1 << 64), flags=flags
        )

    def base(self):
        dice = self.dice
        left, top = dice.randrange(-5, 60), dice.randrange(-5, 60)
        box = Rect(top=top, left=left, bottom=top + self.side(), right=left + self.side())
        if dice.random() < 0.2:
            box = Rect(top=-9, left=-9, bottom=200, right=200)
        clip = Clip()
        if dice.random() < 0.2:
            clip = Clip(ClipType.RECTS, [box] * dice.randrange(3))
        return DrawBase(dice.choice([0, 0, 0, 0, 1, 1, 2, 3, 5]), box, clip)

    def message(self):
        dice = self.dice
        kind = dice.randrange(12)
        where = self.base()
        if kind < 2:
            return display.DrawFill(where, SOLID, Ropd.OP_PUT, QMask())
        if kind == 2:
            return dice.choice([display.DrawBlackness, display.DrawWhiteness, display.DrawInvers])(where)
        if kind == 3:
            return display.CopyBits(where, Point(dice.randrange(20), dice.randrange(20)))
        image = self.image()
        width, height = (64, 64) if image.surface is not None else (image.width, image.height)
        area = Rect(top=0, left=0, bottom=height + (dice.random() < 0.05), right=width)
        source = Placeholder(image)
        if kind == 4:
            pattern = Brush(BrushType.PATTERN, pattern=Pattern(source, Point(0, 0)))
            return display.DrawFill(where, pattern, Ropd.OP_PUT, QMask())
        if kind == 5:
            return display.DrawAlphaBlend(where, 0, 100, source, area)
        if kind == 6:
            return display.DrawTransparent(where, source, area, 1, 2)
        if kind == 7:
            return display.DrawOpaque(where, source, area, SOLID, Ropd.OP_PUT)
        return display.DrawCopy(where, source if kind < 11 or dice.random() < 0.9 else None, area)

    def batch(self, count):
        batch = Batch()
        for _ in range(count):
            batch.append(self.message(), self.dice.choice([Effect.OPAQUE] * 3 + [Effect.BLEND]))
        return batch


SURFACES = [Surface(number, 64, 64, format) for number, format in FORMATS.items()]


def flat(result):
    """A result with its buffers joined."""
    place, messages, total, parts, dropped, own_pixels = result
    joined = b"".join(parts)
    assert len(joined) == total, (len(joined), total)
    return place, messages, total, joined, dropped, own_pixels


class TwinTests(TwinCase):
    """The kernels do what their twins say."""

    twins = reference

    def own(self, image, natural_apart):
        """A dictionary of sorts."""
        kind = image.width % 4
        if kind < 2:
            return NotImplemented if kind else None
        return 102, [b"head", bytes(image.width), memoryview(bytes(20000 * (natural_apart + 1)))]

    def box(self):
        """Where a stream may be."""
        top, left = self.dice.randrange(60), self.dice.randrange(60)
        return BOX.pack(top, left, top + self.dice.choice([1, 9]), left + self.dice.choice([1, 9]))

    def arguments(self):
        dice = self.dice
        glz = [ImageCompression.GLZ, ImageCompression.AUTO_GLZ]
        mode = dice.choice([*list(ImageCompression)[1:], *glz, *glz])
        client = (
            dice.random() < 0.5,
            64,
            4,
            dice.choice([1, 100, 16384]),
            dice.choice([500, 32768]),
            dice.choice([0, 0, 0, 900]),
            b"".join(self.box() for _stream in range(dice.choice([0, 0, 0, 1, 3]))),
            choices(mode, dice.random() < 0.5),
            dice.choice([None, self.own]),
            None,
        )
        self.windowed = client[8] is not None and dice.random() < 0.5
        room = dice.choice([1, 5, 100]), dice.choice([1, 3000, 1 << 20])
        return client, dice.choice([0, 7, 1 << 40]), *room, dice.choice([0, 3000, 1 << 20])

    def compare(self, name, *arguments):
        """Call both; the bytes are the same, what they say of them, and what was sent."""
        found = []
        for module, tally in ((self.kernels(), DisplayTally()), (reference, DisplayTally())):
            for image in self.images:
                image.encodings = {key: value for key, value in image.encodings.items() if key in self.before}
            given = [*arguments]
            if self.windowed:
                make = module.glz_window if module is not reference else glz_reference.glz_window
                place = next(place for place, each in enumerate(given) if isinstance(each, tuple))
                given[place] = (*given[place][:-1], make(6000, 0))
            try:
                made = getattr(module, name)(*given, tally.for_kernels)
                found.append((flat(made), tally.images, tally.image_bytes))
            except (ValueError, IndexError):
                found.append("refused")
        self.assertEqual(*found)
        return found[0]

    def test_batches(self):
        """On any batch, with any client."""
        packer = BatchPacker(GlzDictionary(), None, 0, mini=True, client_lz4=True, tally=DisplayTally())
        packer.tell_surfaces(SURFACES)
        guest = Guest(self.dice)
        stopped = packed = covered = owned = 0
        for _ in range(60):
            batch = guest.batch(self.dice.choice([1, 10, 40, 150]))
            self.images, self.before = batch.images, ()
            start, known = 0, packer._surfaces
            while start < len(batch):
                (place, messages, _total, _bytes, dropped, own), *_tally = self.compare(
                    "pack_batch", batch.records, batch.index, start, batch.images, known, *self.arguments()
                )
                stopped += place < len(batch)
                owned += own
                packed += messages
                covered += dropped
                start = place + 1
        self.assertGreater(min(stopped, covered), 30)
        self.assertGreater(packed, 300)
        self.assertGreater(owned, 1000)

    def test_beside_streams(self):
        """While the primary surface has a stream, nothing that reads it is packed; the rest is."""
        packer = BatchPacker(
            GlzDictionary(), ready().core.line, 0, mini=True, client_lz4=True, tally=DisplayTally()
        )
        packer.tell_surfaces([Surface(number, 64, 64) for number in range(3)])
        packer.stream_boxes = BOX.pack(0, 0, 9, 9)
        for source, place in ((1, 1), (0, 0)):
            batch = Batch()
            batch.append(copy(DeviceImage(64, 64, surface=source), surface=2))
            for module in (self.kernels(), reference):
                self.patch(display_batches, "pack_batch", module.pack_batch)
                packed = packer.batch(batch, 0, ImageCompression.LZ, 0, (10, 1 << 20))
                self.assertEqual((packed.next, packed.messages), (place, place))

    def test_waiting(self):
        """What of a batch is to wait."""
        packer = BatchPacker(GlzDictionary(), None, 0, mini=True, client_lz4=True, tally=DisplayTally())
        packer.tell_surfaces(SURFACES)
        guest = Guest(self.dice)
        made = 0
        for _ in range(60):
            batch = guest.batch(self.dice.choice([1, 10, 40]))
            start = 0
            while start < len(batch):
                pixels = self.dice.choice([0, 0, 400])
                arguments = batch.records, batch.index, start, batch.images, packer._surfaces, pixels
                (place, entries), other = (
                    module.entries_of_batch(*arguments, lambda *told: told, Batch.single)
                    for module in (self.kernels(), reference)
                )
                self.assertEqual((place, entries), other)
                for make, *told, record, images in entries:
                    alone = Waiting.of(make(record, images))
                    alone.keep()
                    self.assertEqual([alone.surface, alone.row, alone.weight, alone.opaque], told)
                    self.assertEqual((alone.record, alone.images), (record, images))
                made += len(entries)
                start = place + 1
        self.assertGreater(made, 200)

    def test_boxes(self):
        """Where a batch draws."""
        packer = BatchPacker(GlzDictionary(), None, 0, mini=True, client_lz4=True, tally=DisplayTally())
        guest = Guest(self.dice)
        for _ in range(60):
            surfaces = self.dice.choice([SURFACES, [Surface(number, 64, 64) for number in range(60)]])
            packer.tell_surfaces(surfaces)
            batch = Batch()
            for _drawing in range(self.dice.choice([1, 10, 100])):
                message = guest.message()
                message.base.surface_id = self.dice.choice(surfaces).id
                batch.append(message)
            start, pixels = self.dice.choice([0, 0, 5]), self.dice.choice([0, 0, 400])
            arguments = batch.records, batch.index, start, batch.images, packer._surfaces, pixels
            self.assertEqual(self.kernels().boxes_of_batch(*arguments), reference.boxes_of_batch(*arguments))

    def test_damaged(self):
        """Records that are damaged anywhere are refused, or taken by both."""
        guest = Guest(self.dice)
        packer = BatchPacker(GlzDictionary(), None, 0, mini=True, client_lz4=True, tally=DisplayTally())
        packer.tell_surfaces(SURFACES)
        refused = 0
        for _ in range(300):
            batch = guest.batch(4)
            self.images, self.before = batch.images, ()
            for _ in range(self.dice.choice([1, 2])):
                place = self.dice.choice(batch.index) + self.dice.randrange(60)
                batch.records[place % len(batch.records)] = self.dice.choice([0, 1, 2, 21, 128, 255])
            if self.dice.random() < 0.2:
                del batch.records[-self.dice.randrange(1, 40) :]
            found = self.compare(
                "pack_batch",
                batch.records,
                batch.index,
                0,
                batch.images,
                packer._surfaces,
                *self.arguments(),
            )
            refused += found == "refused"
        self.assertGreater(refused, 20)

    def test_entries(self):
        """On what waits in a pipe."""
        guest = Guest(self.dice)
        packed = 0
        for _ in range(200):
            batch = guest.batch(self.dice.choice([1, 3, 10]))
            self.images, self.before = batch.images, set()
            entries = [Waiting.of(drawable) for drawable in batch]
            for entry in entries:
                entry.keep()
                entry.pinned = self.dice.random() < 0.1
            arguments = self.arguments()
            for image in batch.images:
                names = arguments[0][7][image.format]
                if names and names[0] and self.dice.random() < 0.3 and image.surface is None:
                    try:
                        encoding = Encoding.of(image, names[0])
                        if self.dice.random() < 0.8:
                            encoding.make()
                    except ImageError:
                        continue
                    self.before.add(names[0])
            (_next, messages, *_rest), *_tally = self.compare("pack_entries", entries, Waiting, *arguments)
            packed += messages
        self.assertGreater(packed, 150)


class CompiledTests(SynchronousTestCase):
    """The choice of encoders as kernels take it."""

    def test_modes(self):
        """Which encoders come first follows from the modes."""
        for mode, lz4, expected in (
            (ImageCompression.OFF, True, []),
            (ImageCompression.LZ, True, [Codec.LZ]),
            (ImageCompression.LZ4, True, [Codec.LZ4]),
            (ImageCompression.LZ4, False, [Codec.LZ]),
            (ImageCompression.AUTO_LZ, True, [Codec.QUIC, Codec.LZ]),
        ):
            choice = choices(mode, lz4)[BitmapFormat.BIT32]
            self.assertEqual([step[0] for step in choice[1]], expected)
        self.assertIsNone(choices(ImageCompression.LZ, True)[BitmapFormat.BIT8])


class SameTests(SynchronousTestCase):
    """A display channel says the same whether it packs many drawings at a time or one by one."""

    def play(self, direct, mini, compression, seed):
        """The bytes that a client gets, and what its channel counts."""
        if not direct:
            self.patch(DisplayCore, "_goes_directly", lambda core: False)
            self.patch(DisplayCore, "_send_entries", lambda core: 0)
        core = ready(image_compression=compression).core
        core.mini = core.packer._mini = core._deframer.mini = mini
        for number in (1, 2):
            core.surface_created(Surface(number, 64, 64, FORMATS[number]))
        guest = Guest(random.Random(seed))
        said = []
        for count in (1, 5, 60, 3, 64, 64):
            core.drawables(guest.batch(count))
            core.take_owed()
            for job in core.jobs():
                core.encoded(job, job.run())
            said += core.data_to_send()
            said.append(b"next")
            if core.common.unacknowledged > 30:
                list(core.receive(b"".join(frame(base.Ack(), mini, 0))))
        common = core.common
        return (
            b"".join(said),
            common.serial_sent,
            common.unacknowledged,
            list(core.pipe.owed),
            core.tally.images,
            core.tally.image_bytes,
        )

    def test_simple(self):
        """With an open window, or one that closes."""
        self.patch(Guest, "message", self.simple)
        for seed, mini, compression in (
            (1, True, "lz"),
            (2, False, "off"),
            (3, True, "auto_lz"),
            (4, False, "lz4"),
        ):
            one_by_one = self.play(False, mini, compression, seed)
            self.assertGreater(one_by_one[1], 60)
            self.assertEqual(self.play(True, mini, compression, seed), one_by_one)
            self.flushWarnings()

    @staticmethod
    def simple(guest):
        """A drawing that no other one covers, for every client."""
        dice = guest.dice
        where = DrawBase(
            dice.choice([0, 0, 1]), Rect(top=3, left=dice.randrange(50), bottom=9, right=60), Clip()
        )
        where.clip = Clip(ClipType.RECTS, [where.box])
        if dice.random() < 0.5:
            return display.DrawFill(where, SOLID, Ropd.OP_PUT, QMask())
        image = guest.image()
        while image.surface is not None or image.flags & 1 or image.format == 5:
            image = guest.image()
        area = Rect(top=0, left=0, bottom=image.height, right=image.width)
        image.data = bytes(image.data).ljust(image.stride * image.height, b"x")
        return display.DrawCopy(where, Placeholder(image), area)


class BoundTests(SynchronousTestCase):
    """What is packed in one go is bounded."""

    def test_bytes(self):
        """The transport is asked in between whether it takes more."""
        peer = ready(image_compression="off")
        image = DeviceImage(300, 300, 8, 1200, bytes(360000))
        area = Rect(top=0, left=0, bottom=300, right=300)
        batch = Batch.of(
            display.DrawCopy(DrawBase(0, area, Clip(ClipType.RECTS, [area])), Placeholder(image), area)
            for _ in range(20)
        )
        peer.core.drawables(batch)
        first = sum(map(len, peer.core.data_to_send()))
        self.assertLess(first, 1500000)
        rest = 0
        while more := peer.core.data_to_send():
            rest += sum(map(len, more))
        self.assertEqual(first + rest, 20 * (360000 + 18 + 18 + 6 + 77))
        self.assertTrue(peer.core.idle)
