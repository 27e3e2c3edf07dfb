# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.card``: the device as a guest's driver knows it."""

from __future__ import annotations

import random
import struct
import zlib
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.card import QXLCard
from spicemig.devices.card_size import CardSize
from spicemig.devices.cursor import (
    CursorHide,
    CursorMove,
    CursorSet,
    CursorShape,
    CursorState,
    CursorTrail,
)
from spicemig.devices.drawables import Batch, DeviceImage, Placeholder
from spicemig.devices.guest_layout import (
    ARGUMENTS_OFFSET,
    CURSOR_RING_OFFSET,
    LOG_OFFSET,
    Chunk,
    Command,
    DrawType,
    GuestBrush,
    GuestClip,
    GuestClipRects,
    GuestCompatDrawable,
    GuestDrawable,
    GuestFill,
    GuestMask,
    GuestMode,
    GuestTransparent,
    GuestUpdate,
    Interrupt,
    Port,
    Rom,
    size_of,
)
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.surfaces import PixelBlock
from spicemig.errors import GuestError, WireError
from spicemig.testing.drawings import Drawings
from spicemig.testing.qxl_driver import DriverError, GuestDriver
from spicemig.wire.drawing import Brush, Clip, DrawBase, LineAttr, Path, PathSegment, Point, PointFix, Rect
from spicemig.wire.enums import BitmapFormat, BrushType, ClipType, CursorType, Ropd, SurfaceFormat
from spicemig.wire.messages.display import (
    DrawAlphaBlend,
    DrawCopy,
    DrawFill,
    DrawStroke,
    Head,
    MonitorsConfig,
)

SIZE = CardSize(ram_bytes=2 << 20, vram_bytes=1 << 20, surface0_bytes=256 << 10)
WIDTH, HEIGHT = 120, 90
SHAPE = CursorShape(7, CursorType.ALPHA, 8, 8, 1, 2, bytes(range(256)))
EVERYTHING = 1 << 30


def fill(colour: int, box: Rect | None = None, surface: int = 0, clip: Clip | None = None) -> DrawFill:
    """A box in one colour."""
    box = box or Rect(0, 0, HEIGHT, WIDTH)
    return DrawFill(DrawBase(surface, box, clip or Clip()), Brush(BrushType.SOLID, colour), Ropd.OP_PUT)


class CardCase(SynchronousTestCase):
    """A device with a card, and its driver."""

    def setUp(self) -> None:
        self.device = QXLDevice()
        self.card = self.device.plug(SIZE)
        self.driver = GuestDriver(self.card, dice=random.Random(1))
        self.driver.create_primary(WIDTH, HEIGHT)

    def pixel(self, x: int, y: int, surface: int = 0) -> int:
        """A colour, as the device has it."""
        surface_ = self.device.render(surface)
        return struct.unpack_from("<I", surface_.pixels, y * surface_.stride + 4 * x)[0]

    def assertMistake(self, function: Any, *arguments: Any) -> None:
        """This is a mistake: the guest gets an error interrupt, and nothing else happens."""
        mistakes, surfaces = self.card.mistakes, repr(self.device.surfaces())
        self.driver.interrupts.clear()
        function(*arguments)
        self.assertEqual(self.card.mistakes, mistakes + 1)
        self.assertTrue(any(why & Interrupt.ERROR for why in self.driver.interrupts))
        self.assertEqual(repr(self.device.surfaces()), surfaces)


class DrawingTests(CardCase):
    """Drawings by way of memory are the same as drawings given to the device."""

    def test_same_pixels(self) -> None:
        """Thousands of drawings of every kind, their data in chunks of any size: the same pixels."""
        direct = QXLDevice()
        direct.create_primary(WIDTH, HEIGHT)
        sizes = {0: (WIDTH, HEIGHT)}
        for id, format in enumerate(SurfaceFormat, 1):
            if format != SurfaceFormat.INVALID:
                sizes[id] = (20 + 7 * id, 30 + id)
                direct.create_surface(id, *sizes[id], format)
                self.driver.create_surface(id, *sizes[id], format)
        drawings = Drawings(random.Random(2), sizes)
        for _round in range(20):
            for _drawing in range(100):
                message = drawings.drawing()
                self.driver.draw(message)
                direct.draw(Batch.of([message]))
            for surface in direct.surfaces():
                self.assertEqual(self.device.render(surface.id).pixels, direct.render(surface.id).pixels)
        self.assertEqual(self.card.mistakes, 0)
        for id in (0, 32):
            if direct.surface(id):
                self.assertEqual(self.driver.update_area(id), bytes(direct.render(id).pixels))

    def test_chunks(self) -> None:
        """An image that lies in hundreds of chunks, some of them empty, is put together."""
        data = random.Random(3).randbytes(40 * 4 * 30)
        self.driver._pieces = lambda data: [data[:0], *(data[at : at + 16] for at in range(0, len(data), 16))]
        image = Placeholder(DeviceImage(40, 30, BitmapFormat.BIT32, 160, data))
        box = Rect(0, 0, 30, 40)
        self.driver.draw(DrawCopy(DrawBase(0, box), image, box))
        surface = self.device.render(0)
        rows = [bytes(surface.pixels[row * surface.stride :][:160]) for row in range(30)]
        self.assertEqual((b"".join(rows), self.card.mistakes), (data, 0))

    def test_compressed(self) -> None:
        """Images that the driver has compressed are drawn like others; damaged ones are mistakes."""
        self.driver.compresses = True
        box = Rect(0, 0, 30, 40)
        for format, size in ((BitmapFormat.BIT32, 4), (BitmapFormat.BIT24, 3), (BitmapFormat.BIT16, 2)):
            data = random.Random(size).randbytes(40 * size * 30)
            image = Placeholder(DeviceImage(40, 30, format, 40 * size, data))
            plain = QXLDevice()
            plain.create_primary(WIDTH, HEIGHT)
            for device in (self.driver, plain):
                message = DrawCopy(DrawBase(0, box), image, box)
                device.draw(message if device is self.driver else Batch.of([message]))
            rows = self.device.render(0).pixels, plain.render(0).pixels
            colours = [bytes(row[at] for at in range(len(row)) if at % 4 < 3) for row in rows]
            self.assertEqual(colours[0], colours[1])
        self.assertEqual(self.card.mistakes, 0)
        self.driver._chunked = lambda head, data: GuestDriver._chunked(self.driver, head, data[:-9])
        self.assertMistake(self.driver.draw, DrawCopy(DrawBase(0, box), image, box))

    def test_guest_changes_memory(self) -> None:
        """What the guest writes over a command afterwards does not change what is drawn."""
        data = bytes(range(64))
        image = Placeholder(DeviceImage(4, 4, BitmapFormat.BIT32, 16, data))
        box = Rect(0, 0, 4, 4)
        self.driver.draw(DrawCopy(DrawBase(0, box), image, box))
        self.driver.main.view(self.driver.main.high_bits + SIZE.surface0_bytes, 65536)[:] = b"\xff" * 65536
        self.assertEqual(bytes(self.device.render(0).pixels[:16]), data[:16])

    def test_own_picture(self) -> None:
        """A drawing without an image may draw a part of its own surface."""
        self.driver.draw(fill(0x123456, Rect(0, 0, 10, 10)))
        address = self.copy_of_itself(Rect(2, 3, 8, 9))
        self.driver.push(address, Command.DRAW)
        self.assertEqual(self.pixel(50, 40), 0x123456)
        self.assertEqual(self.card.mistakes, 0)

    def copy_of_itself(self, area: Rect) -> int:
        """A transparent drawing of an area of the surface, at (50, 40); its address."""
        box = Rect(40, 50, 40 + area.bottom - area.top, 50 + area.right - area.left)
        head = GuestDrawable(
            99, 0, 1, DrawType.TRANSPARENT, 1, area, box, GuestClip(0, 0), 0, [-1] * 3, bytes(48)
        )
        part = Rect(0, 0, area.bottom - area.top, area.right - area.left)
        return self.driver._put(head.pack() + GuestTransparent(0, part, 0x1, 0x1).pack())


class SurfaceTests(CardCase):
    """Surfaces that the guest has in its memory."""

    def test_formats(self) -> None:
        """Contents that are kept are drawn, and rendered to memory as they were, in every format."""
        for id, format in enumerate(f for f in SurfaceFormat if f != SurfaceFormat.INVALID):
            for bottom_up in (False, True):
                stride = (
                    -(-(50 * {1: 1, 8: 8, 16: 16, 80: 16}.get(format, 32)) // 8) + 3 & ~3
                )  # rows of 50 pixels
                contents = random.Random(id).randbytes(stride * 20)
                if format == SurfaceFormat.RGB555:  # the top bit is not kept
                    contents = bytes(byte & 0x7F if at % 2 else byte for at, byte in enumerate(contents))
                self.driver.create_surface(id + 1, 50, 20, format, contents=contents, bottom_up=bottom_up)
                before = self.driver.picture(id + 1)
                address = self.driver.surfaces[id + 1][0]
                used = 50 * {1: 1, 8: 8, 16: 16, 80: 16}.get(format, 32) // 8
                view = self.driver.video.view(address, len(contents))
                for row in range(20):
                    view[row * stride : row * stride + used] = bytes(used)
                after = self.driver.update_area(id + 1)
                for row in range(20):
                    whole = slice(row * stride, row * stride + used)
                    self.assertEqual(after[whole], before[whole], (format, bottom_up, row))
                self.driver.destroy_surface(id + 1)
        self.assertEqual(self.card.mistakes, 0)

    def test_not_kept(self) -> None:
        """A surface whose memory is not to be kept is black."""
        self.driver.video.view(self.driver.video.high_bits, 65536)[:] = b"\xff" * 65536
        self.driver.create_surface(1, 20, 20)
        self.assertFalse(any(self.device.render(1).pixels))

    def test_update_area(self) -> None:
        """Only the area that is asked for is written; what is outside the surface is left alone."""
        self.driver.draw(fill(0xABCDEF))
        rows = self.driver.update_area(0, Rect(10, 20, 1000, 30))
        at = lambda x, y: struct.unpack_from("<I", rows, 4 * (y * WIDTH + x))[0]  # noqa: E731
        self.assertEqual((at(20, 10), at(29, 89)), (0xABCDEF, 0xABCDEF))
        self.assertEqual((at(19, 10), at(30, 10), at(20, 9)), (0, 0, 0))

    def test_update_command(self) -> None:
        """An update command renders, and its number is in the ROM afterwards."""
        self.driver.draw(fill(0x010203))
        self.driver.update(0, Rect(0, 0, 1, 1), 77)
        self.assertEqual(self.driver.picture(0)[:8], b"\x03\x02\x01\0" + bytes(4))
        self.assertEqual(Rom.unpack(self.card.rom).update_id, 77)

    def test_flush(self) -> None:
        """All surfaces are rendered into memory when the driver, or the device, wants that."""
        self.driver.create_surface(2, 10, 10)
        self.driver.draw(fill(0x111111))
        self.driver.draw(fill(0x222222, Rect(0, 0, 10, 10), 2))
        self.card.write(Port.FLUSH_SURFACES_ASYNC)
        self.assertEqual((self.driver.picture(0)[0], self.driver.picture(2)[0]), (0x11, 0x22))
        self.driver.draw(fill(0x333333))
        self.device.render_all()
        self.assertEqual(self.driver.picture(0)[0], 0x33)

    def test_detached(self) -> None:
        """A driver may take the primary surface's pixels away, change them, and give them back."""
        self.driver.draw(fill(0x111111))
        self.card.write(Port.DETACH_PRIMARY)
        self.assertEqual(self.driver.picture(0)[0], 0x11)
        self.driver.main.view(self.driver.surfaces[0][0], 4)[:] = b"\x66\x55\x44\0"
        self.card.write(Port.ATTACH_PRIMARY)
        self.assertEqual((self.pixel(0, 0), self.pixel(1, 0)), (0x445566, 0x111111))

    def test_resolution(self) -> None:
        """A primary surface is destroyed and made again in another size."""
        self.driver.cursor(CursorMove(1, 2))
        self.driver.destroy_primary()
        self.assertEqual((self.device.surfaces(), self.device.cursor_state()), ([], CursorState()))
        self.driver.destroy_primary()
        self.driver.create_primary(200, 150)
        self.assertEqual((self.device.surfaces()[0].width, self.card.mistakes), (200, 0))
        self.driver.draw(fill(0x777777, Rect(149, 199, 150, 200)))
        self.assertEqual(self.pixel(199, 149), 0x777777)

    def test_impossible(self) -> None:
        """Surfaces that cannot be, or are there already, are mistakes."""
        driver = self.driver
        driver.create_surface(1, 10, 10)
        for make in (
            lambda: driver.create_surface(1, 10, 10),
            lambda: driver.create_surface(0, 10, 10),
            lambda: driver.create_surface(1024, 10, 10),
            lambda: driver.create_primary(10, 10),
            lambda: self.card.write(Port.CREATE_PRIMARY, 1),
            lambda: self.card.write(Port.DESTROY_SURFACE_WAIT, 9),
            lambda: self.card.write(Port.DESTROY_PRIMARY, 1),
        ):
            self.assertMistake(make)

    def test_too_large(self) -> None:
        """Surfaces that share memory cannot make the host use more than a few times of it."""
        for id in (1, 2, 3):
            self.driver.create_surface(id, 16384, 60, SurfaceFormat.A1)
        self.assertMistake(lambda: self.driver.create_surface(4, 16384, 60, SurfaceFormat.A1))

    def test_destroy_all(self) -> None:
        """All surfaces go at once; the driver can begin again."""
        self.driver.create_surface(1, 10, 10)
        self.card.write(Port.DESTROY_ALL_SURFACES)
        self.assertEqual(self.device.surfaces(), [])
        self.driver.create_primary(50, 50)
        self.driver.create_surface(1, 10, 10)
        self.card.write(Port.DESTROY_SURFACE_WAIT, 1)
        self.assertEqual([surface.id for surface in self.device.surfaces()], [0])
        self.assertEqual(self.card.mistakes, 0)


class ResourceTests(CardCase):
    """The guest gets its memory back when nothing uses it."""

    def flush(self) -> None:
        """Have everything given back that can be."""
        self.driver.collect()
        self.card.write(Port.FLUSH_RELEASE)
        self.driver.collect()

    def test_drawings(self) -> None:
        """Each command comes back once, in the order in which it was given."""
        for number in range(100):
            self.driver.draw(fill(number))
        self.flush()
        self.assertEqual((self.driver.held, self.driver.released), (0, list(range(1, 101))))

    def test_surfaces(self) -> None:
        """The command that made a surface is kept as long as the surface."""
        self.driver.create_surface(4, 10, 10)
        self.driver.draw(fill(1, Rect(0, 0, 5, 5), 4))
        self.flush()
        self.assertEqual(self.driver.held, 1)
        self.driver.destroy_surface(4)
        self.flush()
        self.assertEqual(self.driver.held, 0)
        self.driver.create_surface(5, 10, 10)
        self.card.write(Port.DESTROY_SURFACE_ASYNC, 5)
        self.flush()
        self.assertEqual(self.driver.held, 0)

    def test_mistakes(self) -> None:
        """A command that cannot be done comes back, too."""
        self.driver.draw(fill(1, surface=9))
        self.driver.create_surface(0, 10, 10)
        self.flush()
        self.assertEqual((self.card.mistakes, self.driver.held), (2, 0))

    def test_out_of_memory(self) -> None:
        """A guest that draws much more than its memory holds goes on for ever."""
        self.driver.dice = None
        data = bytes(100 * 400)
        box = Rect(0, 0, 80, 100)
        for _drawing in range(300):
            image = Placeholder(DeviceImage(100, 100, BitmapFormat.BIT32, 400, data))
            self.driver.draw(DrawCopy(DrawBase(0, box), image, box))
        self.assertEqual(self.card.mistakes, 0)
        self.assertIn(Interrupt.DISPLAY, self.driver.interrupts)


class CursorTests(CardCase):
    """The cursor ring."""

    def test_commands(self) -> None:
        """Set, move, trail and hide, as they are given."""
        self.driver.cursor(CursorSet(-3, 5, True, SHAPE))
        self.driver.cursor(CursorTrail(3, 40))
        self.assertEqual(self.device.cursor_state(), CursorState(SHAPE, -3, 5, True, 3, 40))
        self.driver.cursor(CursorMove(9, 8))
        self.driver.cursor(CursorHide())
        self.assertEqual(self.device.cursor_state(), CursorState(SHAPE, 9, 8, False, 3, 40))

    def test_impossible(self) -> None:
        """A shape without its pixels, or of no known type, leaves the cursor as it is."""
        for shape in (
            CursorShape(1, CursorType.ALPHA, 9, 9, 0, 0, bytes(323)),
            CursorShape(1, CursorType.MONO, 9, 8, 0, 0, bytes(31)),
            CursorShape(1, CursorType.COLOR8, 8, 8, 0, 0, bytes(64 + 1024 + 7)),
            CursorShape(1, 7, 8, 8, 0, 0, bytes(4096)),
        ):
            self.assertMistake(self.driver.cursor, CursorSet(1, 2, True, shape))
        self.assertMistake(self.driver.push, self.driver._put(bytes(300)), Command.DRAW, CURSOR_RING_OFFSET)
        self.assertEqual(self.device.cursor_state(), CursorState())


class PortTests(CardCase):
    """Ports, and interrupts that tell when they are done."""

    def test_async(self) -> None:
        """What the asynchronous forms do is done when the interrupt comes."""
        seen = []
        self.driver.draw(fill(0x999999))

        def interrupted(why: Interrupt) -> None:
            seen.append(
                (why, self.driver.picture(0)[0] if why & Interrupt.IO_CMD and self.driver.surfaces else 0)
            )
            self.driver._want_interrupts()

        self.card.on_interrupt = interrupted
        self.driver.update_area(0, port=Port.UPDATE_AREA_ASYNC)
        self.assertEqual(seen, [(Interrupt.IO_CMD, 0x99)])
        self.driver.destroy_primary(Port.DESTROY_PRIMARY_ASYNC)
        self.driver.create_primary(30, 30, port=Port.CREATE_PRIMARY_ASYNC)
        self.driver.set_monitors(MonitorsConfig(max_allowed=1, heads=[Head(0, 0, 30, 30, 0, 0)]))
        self.card.write(Port.FLUSH_SURFACES_ASYNC)
        self.card.write(Port.DESTROY_ALL_SURFACES_ASYNC)
        self.assertEqual([why for why, _pixel in seen], [Interrupt.IO_CMD] * 6)
        self.assertEqual(self.card.mistakes, 0)

    def test_one_at_a_time(self) -> None:
        """A second asynchronous request before the first is done is a mistake."""
        self.device.stop()
        self.card.write(Port.UPDATE_AREA_ASYNC)
        self.assertMistake(self.card.write, Port.FLUSH_SURFACES_ASYNC)
        self.driver.interrupts.clear()
        self.device.resume()
        self.assertEqual(self.driver.interrupts, [Interrupt.IO_CMD])

    def test_stopped(self) -> None:
        """While the device stands, rings and ports wait; then they are done in order."""
        self.device.stop()
        self.driver.draw(fill(0x555555))
        self.driver.update_area(0)
        self.assertEqual(self.driver.picture(0)[0], 0)
        self.device.resume()
        self.assertEqual(self.driver.picture(0)[0], 0x55)
        self.device.stop()
        for _write in range(64):
            self.card.write(Port.LOG)
        self.assertRaises(GuestError, self.card.write, Port.LOG)

    def test_ring_room(self) -> None:
        """A driver that waits for room in a ring is told when there is some."""
        self.device.stop()
        for _drawing in range(32):
            self.driver.draw(fill(1))
        self.assertRaises(DriverError, self.driver.draw, fill(1))
        self.driver.interrupts.clear()
        self.device.resume()
        self.assertEqual(self.driver.interrupts[0], Interrupt.DISPLAY)

    def test_masked_interrupts(self) -> None:
        """An interrupt that is not wanted waits until the driver wants it."""
        self.driver.header[4:12] = struct.pack("<II", 0, 0)
        self.driver.interrupts.clear()
        self.card.write(Port.MEMSLOT_DEL, 99)
        self.assertEqual((self.driver.interrupts, self.card.pending), ([], 0))
        self.driver.header[8:12] = struct.pack("<I", Interrupt.ERROR)
        self.card.write(Port.UPDATE_IRQ)
        self.assertEqual(self.driver.interrupts, [Interrupt.ERROR])

    def test_monitors(self) -> None:
        """The heads reach the device; a list of too many, or none, does not."""
        heads = [Head(0, 0, 60, 90, 0, 0), Head(1, 0, 60, 90, 60, 0)]
        config = MonitorsConfig(max_allowed=4, heads=heads)
        self.driver.set_monitors(config)
        self.assertEqual(self.device.monitors_config(), config)
        for wrong in (
            MonitorsConfig(max_allowed=1, heads=heads),
            MonitorsConfig(max_allowed=1, heads=[]),
            MonitorsConfig(max_allowed=100, heads=heads * 33),
        ):
            self.assertMistake(self.driver.set_monitors, wrong)
        self.assertEqual(self.device.monitors_config(), config)

    def test_areas(self) -> None:
        """Areas that cannot be updated are mistakes, but for empty ones, which old drivers ask for."""
        for area in (Rect(-1, 0, 5, 5), Rect(0, -1, 5, 5), Rect(5, 0, 4, 5), Rect(0, 6, 5, 5)):
            self.assertMistake(self.driver.update_area, 0, area)
        mistakes = self.card.mistakes
        self.driver.update_area(0, Rect(3, 3, 3, 9), Port.UPDATE_AREA_ASYNC)
        self.assertEqual((self.card.mistakes, self.driver.interrupts[-1]), (mistakes, Interrupt.IO_CMD))
        self.driver.arguments(update_surface=5, update_area=Rect(0, 0, 1, 1))
        self.assertMistake(self.card.write, Port.UPDATE_AREA)

    def test_unknown(self) -> None:
        """Ports, slots and modes that are not there are mistakes."""
        self.assertMistake(self.card.write, 25)
        self.assertMistake(self.card.write, 1 << 40)
        self.assertMistake(self.card.write, Port.MEMSLOT_DEL, 8)
        self.assertMistake(self.card.write, Port.MEMSLOT_ADD, 1)
        self.assertMistake(self.card.write, Port.SET_MODE, 10000)

    def test_log(self) -> None:
        """What a driver logs, by port or by message, needs no end."""
        self.driver.header[LOG_OFFSET : LOG_OFFSET + 4096] = b"x" * 4096
        self.card.write(Port.LOG)
        self.driver.message(b"hello")
        self.assertEqual(self.card.mistakes, 0)

    def test_reset(self) -> None:
        """A reset card is as new, and its driver can begin again."""
        self.driver.create_surface(3, 10, 10)
        self.driver.cursor(CursorSet(1, 2, True, SHAPE))
        self.driver.reset()
        self.assertEqual((self.device.surfaces(), self.device.cursor_state()), ([], CursorState()))
        self.driver.create_primary(40, 40)
        self.driver.draw(fill(0x424242, Rect(0, 0, 40, 40)))
        self.assertEqual(self.pixel(39, 39), 0x424242)
        self.assertEqual(self.card.mistakes, 0)

    def test_names(self) -> None:
        """An image, palette or cursor of after a reset is another one, though it has the same id."""
        batches: list[Batch] = []
        shown = SimpleNamespace(
            **dict.fromkeys(("surface_created", "surface_destroyed", "cursor"), lambda told: None),
            drawables=batches.append,
        )
        self.device.add_display(shown)
        box = Rect(0, 0, 2, 2)
        names = []
        for _driver in range(2):
            image = DeviceImage(2, 2, BitmapFormat.BIT8, 4, bytes(8), True, 5, 1, (1, 2), 6)
            self.driver.draw(DrawCopy(DrawBase(0, box), Placeholder(image), box))
            self.driver.cursor(CursorSet(0, 0, True, SHAPE))
            made, shape = batches[-1].images[0], self.device.cursor_state().shape
            assert shape is not None
            names.append((made.id, made.palette_id, shape.unique))
            self.driver.reset()
            self.driver.create_primary(WIDTH, HEIGHT)
        self.assertEqual(names[0], (5, 6, 7))
        self.assertEqual(len({*names[0], *names[1]}), 6)

    def test_rom(self) -> None:
        """The ROM tells of memory, slots and modes; the guest cannot write to it."""
        rom = Rom.unpack(self.card.rom)
        self.assertEqual(rom.ram_header_offset + 8192, SIZE.ram_bytes)
        self.assertEqual((rom.slots_start, rom.slots_end, rom.slot_gen_bits, rom.slot_id_bits), (1, 7, 8, 8))
        (count,) = struct.unpack_from("<I", self.card.rom, rom.modes_offset)
        mode = GuestMode.unpack(self.card.rom[rom.modes_offset + 4 :])
        self.assertEqual(count, len(self.card.modes))
        full = QXLCard(QXLDevice(), CardSize())
        self.assertEqual((full.modes[0].x_res, full.modes[-1].x_res > 2000), (640, True))
        self.assertEqual(mode.pack() if count else b"", self.card.modes[0].pack() if count else b"")
        self.assertTrue(self.card.rom.readonly)

    def test_client(self) -> None:
        """The guest is told of its client's abilities and monitors, if its driver can take that."""
        self.card.set_client(True, b"\x81")
        self.assertEqual(self.driver.interrupts[-1], Interrupt.CLIENT)
        self.assertTrue(self.card.set_client_monitors([(0, 0, 800, 600)]))
        self.assertEqual(self.driver.interrupts[-1], Interrupt.CLIENT_MONITORS_CONFIG)
        told = len(self.driver.interrupts)
        self.card.set_client_monitors([(0, 0, 800, 600)])
        self.assertEqual(len(self.driver.interrupts), told)
        rom = Rom.unpack(self.card.rom)
        body = struct.pack("<HH4I", 1, 0, 0, 0, 800, 600).ljust(4 + 1024, b"\0")
        self.assertEqual(rom.client_monitors_crc, zlib.crc32(body, 0xFFFFFFFF) ^ 0xFFFFFFFF)
        self.assertEqual((rom.client_present, rom.client_capabilities[0]), (1, 0x81))
        self.driver.header[8:12] = struct.pack("<I", 0xFFFFFFFF)
        self.assertFalse(self.card.set_client_monitors([]))


class CompatTests(SynchronousTestCase):
    """Drivers of before there were slots and surfaces."""

    def setUp(self) -> None:
        self.device = QXLDevice()
        self.card = self.device.plug(CardSize(ram_bytes=8 << 20, vram_bytes=1 << 20, surface0_bytes=4 << 20))
        self.driver = GuestDriver(self.card, dice=random.Random(1), compat=True)

    def test_drawing(self) -> None:
        """A size is set by number; drawings have the old layout, and the picture is bottom-up in memory."""
        self.driver.set_mode(640, 480)
        self.driver.draw(fill(0x0A0B0C))
        white = Placeholder(DeviceImage(4, 4, BitmapFormat.BIT32, 16, b"\xff" * 64))
        box = Rect(0, 0, 4, 4)
        self.driver.draw(DrawAlphaBlend(DrawBase(0, box), 0, 255, white, box))
        self.assertEqual(self.card.mistakes, 0)
        rows = self.driver.update_area(0)
        self.assertEqual(len(rows), 640 * 480 * 4)
        self.assertEqual(rows[4 * (640 * 50 + 50) :][:4], b"\x0c\x0b\x0a\0")
        address = self.driver.main.high_bits
        memory = self.driver.main.view(address, 640 * 480 * 4)
        self.assertEqual(bytes(memory[: 4 * 640]), bytes(4 * 640))
        self.assertEqual(self.device.surfaces()[0].width, 640)

    def test_16_bits(self) -> None:
        """In 16-bit modes colours have five bits for each of the three."""
        self.driver.set_mode(640, 480, 16)
        self.driver.draw(fill(0x7C00 | 0x10 << 5 | 1))
        self.assertEqual(bytes(self.device.render(0).pixels[:4]), b"\x08\x84\xff\0")
        self.driver.set_mode(800, 600, 32)
        self.assertEqual(self.device.surfaces()[0].width, 800)
        self.driver.draw(fill(0x7C00))
        self.assertEqual(bytes(self.device.render(0).pixels[:4]), b"\0\x7c\0\0")

    def test_native_afterwards(self) -> None:
        """After a reset a new driver uses slots, and the new layout."""
        self.driver.set_mode(640, 480)
        self.card.write(Port.RESET)
        driver = GuestDriver(self.card)
        driver.create_primary(100, 100)
        driver.draw(fill(0x123456, Rect(0, 0, 9, 9)))
        self.assertEqual((self.card.mistakes, self.device.surfaces()[0].width), (0, 100))


class HostileTests(CardCase):
    """Commands that would lead out of memory, or never end."""

    def command(self, **changes: Any) -> int:
        """A fill command with fields of its head changed; its address."""
        point, nothing = Point(0, 0), Rect(0, 0, 0, 0)
        values: dict[str, Any] = {
            "release_id": 1 << 40,
            "surface_id": 0,
            "effect": 1,
            "type": DrawType.FILL,
            "self_bitmap": 0,
            "self_bitmap_area": nothing,
            "bbox": Rect(0, 0, 5, 5),
            "clip": GuestClip(0, 0),
            "mm_time": 0,
            "surfaces_dest": [-1] * 3,
            "surfaces_rects": bytes(48),
        }
        head = GuestDrawable(**{**values, **changes})
        operation = GuestFill(GuestBrush(1, 0xFFFFFF, point), Ropd.OP_PUT, GuestMask(0, point, 0))
        return self.driver._put(head.pack() + operation.pack())

    def draw(self, **changes: Any) -> None:
        """Draw that."""
        self.driver.push(self.command(**changes), Command.DRAW)

    def test_heads(self) -> None:
        """Boxes outside, surfaces that are not there, unknown operations and effects."""
        self.draw()
        self.assertEqual(self.pixel(4, 4), 0xFFFFFF)
        for changes in (
            {"bbox": Rect(0, 0, HEIGHT + 1, 5)},
            {"bbox": Rect(0, -1, 5, 5)},
            {"bbox": Rect(0, 0, 5, 0x7FFFFFFF)},
            {"surface_id": 1},
            {"surface_id": 0xFFFFFFFF},
            {"surfaces_dest": [-1, 44, -1]},
            {"surfaces_dest": [-2, -1, -1]},
            {"type": 15},
            {"effect": 8},
            {"type": 3},
        ):
            self.assertMistake(lambda changes=changes: self.draw(**changes))

    def test_clip(self) -> None:
        """Clips of no known type, in no memory, or with another number of rectangles."""

        def clip(count: int, data: bytes) -> GuestClip:
            chunk = Chunk(len(data), 0, 0).pack() + data
            return GuestClip(ClipType.RECTS, self.driver._put(GuestClipRects(count).pack() + chunk))

        self.draw(clip=clip(1, Rect(0, 0, 2, 2).pack()))
        self.assertEqual((self.card.mistakes, self.pixel(1, 1)), (0, 0xFFFFFF))
        for wrong in (
            GuestClip(2, 0),
            GuestClip(1, 0),
            GuestClip(1, 1 << 63),
            clip(2, bytes(16)),
            clip(1 << 28, bytes(16)),
            clip(1, bytes(15)),
        ):
            self.assertMistake(lambda wrong=wrong: self.draw(clip=wrong))

    def test_chunks(self) -> None:
        """Lists of chunks that go round, leave memory, or are longer than all memory."""

        def chunk(size: int, following: int) -> GuestClip:
            address = self.driver._put(
                GuestClipRects(1).pack() + Chunk(size, 0, following).pack() + bytes(16)
            )
            return GuestClip(ClipType.RECTS, address)

        loop = chunk(0, 0)
        inner = loop.rects_address + size_of(GuestClipRects)
        struct.pack_into("<Q", self.driver.main.view(inner + 12, 8), 0, inner)
        pair = chunk(16, inner)
        end = self.driver.main.high_bits + self.driver.main.size
        for wrong in (
            loop,
            pair,
            chunk(0xFFFFFFFF, 0),
            chunk(0x7FFFFFFF, 0),
            chunk(16, 1 << 63),
            chunk(16, end - 19),
            chunk(16, end),
        ):
            self.assertMistake(lambda wrong=wrong: self.draw(clip=wrong))

    def test_addresses(self) -> None:
        """Commands that are in no memory, or not wholly, are mistakes and cost nothing else."""
        end = self.driver.main.high_bits + self.driver.main.size
        for address in (0, 1, end, end - 1, end - 8, end - 20, (1 << 64) - 1):
            for kind in (Command.DRAW, Command.UPDATE, Command.SURFACE):
                self.assertMistake(self.driver.push, address, kind)
        self.assertMistake(self.driver.push, self.command(), 6)
        self.driver.push(0, Command.NOP)
        self.draw()
        self.assertEqual(self.pixel(4, 4), 0xFFFFFF)

    def test_old_addresses(self) -> None:
        """After a slot was removed nothing of it is read; surfaces in it are still rendered into memory."""
        self.driver.draw(fill(0x313131))
        self.card.write(Port.MEMSLOT_DEL, 1)
        self.assertMistake(self.driver.push, self.command(), Command.DRAW)
        self.assertEqual(self.driver.update_area(0)[0], 0x31)

    def test_rings(self) -> None:
        """Positions that a ring cannot have are a mistake; the next command is taken."""
        struct.pack_into("<I", self.driver.header, 12 + 4096 + 4, 5000)
        self.assertMistake(self.card.write, Port.NOTIFY_CMD)
        self.draw()
        self.assertEqual(self.pixel(4, 4), 0xFFFFFF)

    def test_limits(self) -> None:
        """A clip of more rectangles, or a path of more points, than anybody needs is a mistake."""
        many = [Rect(0, 0, 1, 1)] * 8193
        self.assertMistake(self.driver.draw, fill(1, clip=Clip(ClipType.RECTS, many)))
        self.driver.draw(fill(1, clip=Clip(ClipType.RECTS, many[1:])))
        segment = PathSegment(3, [PointFix(0, 0)] * 33000)
        path = Path([segment, segment])
        box = Rect(0, 0, 5, 5)
        stroke = DrawStroke(DrawBase(0, box), path, LineAttr(0), Brush(), Ropd.OP_PUT, Ropd.OP_PUT)
        mistakes = self.card.mistakes
        self.assertMistake(self.driver.draw, stroke)
        self.assertEqual(self.card.mistakes, mistakes + 1)

    def test_many_mistakes(self) -> None:
        """A guest that makes thousands of mistakes is told each time, and goes on."""
        for _mistake in range(3000):
            self.driver.push(0, Command.DRAW)
        self.assertEqual(self.card.mistakes, 3000)


class MovingTests(CardCase):
    """Memory, slots, rings and surfaces arrive at another host."""

    def carry(self, target: QXLDevice, limit: int = EVERYTHING) -> int:
        """One dirty round; its bytes."""
        blocks = self.device.next_round(limit)
        for block in blocks:
            target.apply_block(PixelBlock.unpack(block.pack()))
        return sum(len(block.data) for block in blocks)

    def moved(self, target: QXLDevice) -> GuestDriver:
        """The driver, at the target."""
        driver = GuestDriver.__new__(GuestDriver)
        driver.__dict__.update(self.driver.__dict__)
        card = target.card
        assert card is not None
        driver.card = card
        driver.header = card.ram.view[driver.rom.ram_header_offset :]
        driver.main.bar, driver.video.bar = card.ram, card.vram
        card.on_interrupt = driver._interrupted
        return driver

    def test_whole(self) -> None:
        """The driver goes on at the target with what it had: resources, surfaces, commands that wait."""
        self.driver.create_surface(3, 20, 20, contents=b"\x01\x02\x03\x04" * 400)
        for number in range(40):
            self.driver.draw(fill(number))
        self.driver.cursor(CursorSet(1, 2, True, SHAPE))
        self.device.begin_precopy()
        target = QXLDevice()
        while self.carry(target, 300000):
            pass
        self.driver.draw(fill(0x515151, Rect(0, 0, 10, 10)))
        self.device.stop()
        self.driver.draw(fill(0x525252, Rect(0, 20, 10, 30)))
        self.driver.arguments(update_surface=0, update_area=Rect(0, 0, HEIGHT, WIDTH))
        self.card.write(Port.UPDATE_AREA_ASYNC)
        while self.carry(target, 300000):
            pass
        state = self.device.export_state()
        target.restore(state)
        self.assertEqual(target.export_state(), state)
        driver = self.moved(target)
        self.assertIsNot(driver.card, self.card)
        self.assertEqual(target.render(3).pixels, self.device.render(3).pixels)
        target.resume()
        self.assertEqual(driver.interrupts[-1], Interrupt.IO_CMD)
        rows = driver.picture(0)
        self.assertEqual((rows[0], rows[80], rows[160]), (0x51, 0x52, 39))
        driver.destroy_surface(3)
        driver.collect()
        driver.card.write(Port.FLUSH_RELEASE)
        driver.collect()
        self.assertEqual((driver.held, driver.card.mistakes), (0, 0))
        self.assertEqual(target.cursor_state(), CursorState(SHAPE, 1, 2, True))

    def test_dirty_memory(self) -> None:
        """A round carries the pages that were written since the last one."""
        target = QXLDevice()
        self.device.begin_precopy()
        while self.carry(target):
            pass
        self.assertEqual(self.device.dirty_bytes(), 0)
        self.driver.main.view(self.driver.main.high_bits + 8191, 2)[:] = b"ab"
        self.assertEqual(self.device.dirty_bytes(), 8192)
        self.assertEqual(self.carry(target), 8192)
        self.assertEqual(self.device.next_round(EVERYTHING), [])
        self.device.end_precopy()
        target.restore(self.device.export_state())
        assert target.card is not None
        self.assertEqual(target.card.ram.data[:], self.card.ram.data[:])
        self.assertEqual(target.card.rom, self.card.rom)

    def test_bad_state(self) -> None:
        """States that are cut, or speak of places that are not there, are refused."""
        self.driver.create_surface(3, 20, 20)
        self.driver.draw(fill(1))
        state = self.card.export_state()
        for size in range(len(state)):
            self.assertRaises(WireError, QXLCard.restored, QXLDevice(), state[:size], {})
        dice = random.Random(9)
        for _case in range(3000):
            changed = bytearray(state)
            at = dice.randrange(len(state) - 1200 if dice.random() < 0.9 else len(state))
            changed[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.getrandbits(8)))
            try:
                card = QXLCard.restored(QXLDevice(), bytes(changed), {})
            except WireError:
                continue
            for backing in card.backings.values():
                memory = backing.picture.memory
                self.assertLessEqual(memory.offset + backing.picture.size, memory.bar.size)

    def test_bad_pages(self) -> None:
        """Pages that are not whole, or not of such memory, are refused."""
        good: dict[str, Any] = {"surface_id": 0xFFFFFF00, "width": 1024, "height": 512, "left": 0, "top": 0}
        good |= {"rows": 1, "stride": 4096, "data": bytes(4096)}
        self.device.apply_block(PixelBlock(**good))
        for wrong in (
            {"surface_id": 0xFFFFFF02},
            {"surface_id": 0xFFFFFFFF},
            {"height": 511},
            {"height": 1 << 31},
            {"top": 512},
            {"rows": 2},
            {"stride": 4095, "data": bytes(4095)},
            {"left": 1},
            {"data": bytes(4095)},
        ):
            self.assertRaises(WireError, self.device.apply_block, PixelBlock(**{**good, **wrong}))
            self.assertRaises(WireError, QXLDevice().apply_block, PixelBlock(**{**good, **wrong, "rows": 9}))


class LayoutTests(SynchronousTestCase):
    """Structures are as long as in the header file."""

    def test_sizes(self) -> None:
        """Those that other structures follow, or that lie at fixed places."""
        self.assertEqual(ARGUMENTS_OFFSET, 5256)
        self.assertEqual(size_of(Rom), 64 + 5 + 1 + 58 + 4 + 4 + 1024)
        self.assertEqual(size_of(GuestDrawable), 8 + 4 + 3 + 16 + 16 + 12 + 4 + 12 + 48)
        self.assertEqual(size_of(GuestCompatDrawable), 8 + 4 + 16 + 16 + 12 + 4)
        self.assertEqual((size_of(GuestUpdate), size_of(Chunk)), (32, 20))
