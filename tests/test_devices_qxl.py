# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.qxl``: the rings, the displays, and moving to another device."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from spicemig.devices import qxl
from spicemig.devices.cursor import (
    CursorHide,
    CursorMove,
    CursorReset,
    CursorSet,
    CursorShape,
    CursorState,
    CursorTrail,
)
from spicemig.devices.dirty import TILE
from spicemig.devices.drawables import Batch, DeviceImage, Placeholder
from spicemig.devices.interfaces import IDevice, IDisplay
from spicemig.devices.qxl import DeviceState, QXLDevice
from spicemig.devices.surfaces import PixelBlock
from spicemig.errors import GuestError, WireError
from spicemig.guests.painter import Painter
from spicemig.wire.drawing import DrawBase, Rect
from spicemig.wire.enums import CursorType, SurfaceFormat
from spicemig.wire.messages.display import DrawCopy, Head, MonitorsConfig

WIDTH, HEIGHT = 200, 100
SHAPE = CursorShape(7, CursorType.ALPHA, 2, 1, 1, 0, b"12345678")
EVERYTHING = 1 << 30  # bytes: more than there are


@implementer(IDisplay)
class RecordingDisplay:
    """Writes down what it is told."""

    def __init__(self):
        self.told = []

    def surface_created(self, surface):
        self.told.append(("created", surface.id, surface.width, surface.height))

    def surface_destroyed(self, surface_id):
        self.told.append(("destroyed", surface_id))

    def drawables(self, batch):
        self.told.append(("drawables", len(batch)))

    def cursor(self, command):
        self.told.append(("cursor", command))

    def monitors(self, config):
        self.told.append(("monitors", len(config.heads)))


def fill(device, box, colour=(255, 255, 255), surface=0):
    """Draw a batch of one fill."""
    painter = Painter(device, surface)
    painter.fill(box, colour)
    painter.flush()


def monitors():
    """One head."""
    return MonitorsConfig(max_allowed=1, heads=[Head(0, 0, WIDTH, HEIGHT, 0, 0)])


class DeviceCase(SynchronousTestCase):
    """A device with a screen and a display."""

    def setUp(self):
        self.device = QXLDevice()
        self.display = RecordingDisplay()
        self.device.add_display(self.display)
        self.device.create_primary(WIDTH, HEIGHT)
        self.display.told.clear()


class RingTests(DeviceCase):
    """Commands reach displays in order, while the device runs."""

    def test_interfaces(self):
        """The device, and the display here, provide their interfaces."""
        self.assertTrue(verifyObject(IDevice, self.device))
        self.assertTrue(verifyObject(IDisplay, self.display))

    def test_order(self):
        """A display is told of everything in the order in which it happened."""
        self.device.create_surface(3, 10, 20, SurfaceFormat.ARGB32)
        fill(self.device, (0, 0, 5, 5), surface=3)
        self.device.destroy_surface(3)
        self.device.set_monitors(monitors())
        self.device.cursor_command(CursorMove(4, 5))
        self.device.destroy_primary()
        self.assertEqual(
            self.display.told,
            [
                ("created", 3, 10, 20),
                ("drawables", 1),
                ("destroyed", 3),
                ("monitors", 1),
                ("cursor", CursorMove(4, 5)),
                ("destroyed", 0),
            ],
        )
        self.assertEqual(self.device.surfaces(), [])

    def test_stopped(self):
        """A stopped device takes nothing; resumed, it takes what waited."""
        self.device.stop()
        fill(self.device, (0, 0, 5, 5))
        self.device.cursor_command(CursorHide())
        self.assertEqual((self.display.told, self.device.running), ([], False))
        self.assertFalse(any(self.device.render(0).pixels))
        self.device.resume()
        self.assertEqual(self.display.told, [("drawables", 1), ("cursor", CursorHide())])
        self.assertTrue(any(self.device.render(0).pixels))

    def test_full(self):
        """A guest that goes on although the device stands is told when the rings are full."""
        self.device.stop()
        for _command in range(qxl.COMMAND_RING_SIZE):
            fill(self.device, (0, 0, 5, 5))
        self.assertRaises(GuestError, fill, self.device, (0, 0, 5, 5))
        for _command in range(qxl.CURSOR_RING_SIZE):
            self.device.cursor_command(CursorHide())
        self.assertRaises(GuestError, self.device.cursor_command, CursorHide())

    def test_display_that_stops_the_device(self):
        """A display may stop the device while it is told something; the rest waits."""
        device = self.device

        class Stopping(RecordingDisplay):
            def cursor(self, command):
                super().cursor(command)
                device.stop()

        stopping = Stopping()
        device.stop()
        device.add_display(stopping)
        device.cursor_command(CursorMove(1, 1))
        device.cursor_command(CursorMove(2, 2))
        device.resume()
        self.assertEqual(stopping.told, [("cursor", CursorMove(1, 1))])
        self.assertEqual(self.display.told, [("cursor", CursorMove(1, 1))])
        device.resume()
        self.assertEqual(self.display.told[1:], [("cursor", CursorMove(2, 2))])

    def test_surface_that_is_not_there(self):
        """Drawings on, or from, a surface that does not exist are left out; others of the batch are drawn."""
        batch = Batch()
        image = DeviceImage(5, 5, surface=9)
        box = Rect(0, 0, 5, 5)
        batch.append(DrawCopy(DrawBase(0, box), Placeholder(image), box))
        painter = Painter(self.device)
        painter._batch = batch
        painter.fill((0, 0, 3, 3), (255, 255, 255))
        painter.flush()
        self.assertEqual(self.display.told, [("drawables", 1)])
        fill(self.device, (0, 0, 5, 5), surface=8)
        self.assertEqual(self.display.told, [("drawables", 1)])

    def test_surface_made_twice(self):
        """A surface made again is another surface; the old one goes first."""
        self.device.create_primary(50, 60)
        self.assertEqual(self.display.told, [("destroyed", 0), ("created", 0, 50, 60)])

    def test_removed_display(self):
        """A display that was removed is told nothing more."""
        self.device.remove_display(self.display)
        self.device.remove_display(self.display)
        fill(self.device, (0, 0, 5, 5))
        self.assertEqual(self.display.told, [])

    def test_reset(self):
        """A device that was reset is as new, and its displays know."""
        self.device.cursor_command(CursorSet(1, 2, True, SHAPE))
        self.device.reset()
        self.assertEqual(self.display.told[-1], ("destroyed", 0))
        self.assertEqual((self.device.surfaces(), self.device.cursor_state()), ([], CursorState()))


class CursorTests(DeviceCase):
    """The device knows what all cursor commands amount to."""

    def test_state(self):
        """Setting, moving, hiding, trails, and forgetting all of it."""
        for command, expected in [
            (CursorMove(3, 4), CursorState(None, 3, 4, False)),
            (CursorSet(1, 2, True, SHAPE), CursorState(SHAPE, 1, 2, True)),
            (CursorHide(), CursorState(SHAPE, 1, 2, False)),
            (CursorMove(-5, 6), CursorState(SHAPE, -5, 6, True)),
            (CursorTrail(2, 30), CursorState(SHAPE, -5, 6, True, 2, 30)),
            (CursorReset(), CursorState()),
        ]:
            self.device.cursor_command(command)
            self.assertEqual(self.device.cursor_state(), expected)


class MovingTests(DeviceCase):
    """The device's state and pixels arrive at another device."""

    def carry(self, target, limit=EVERYTHING):
        """One dirty round; returns its bytes of pixels."""
        blocks = self.device.next_round(limit)
        for block in blocks:
            target.apply_block(PixelBlock.unpack(block.pack()))
        return sum(len(block.data) for block in blocks)

    def assertSame(self, target):
        """Both devices show the same."""
        self.assertEqual(repr(target.surfaces()), repr(self.device.surfaces()))
        for surface in self.device.surfaces():
            self.assertEqual(target.render(surface.id).pixels, self.device.render(surface.id).pixels)

    def test_whole(self):
        """Surfaces, heads, cursor and image ids arrive; the target waits to be resumed."""
        self.device.create_surface(5, 33, 44, SurfaceFormat.ARGB32)
        fill(self.device, (1, 1, 50, 50), (1, 2, 3))
        fill(self.device, (0, 0, 20, 20), (4, 5, 6), surface=5)
        self.device.set_monitors(monitors())
        self.device.cursor_command(CursorSet(-3, 8, True, SHAPE))
        self.device.next_image_id()
        self.device.begin_precopy()
        target = QXLDevice()
        self.carry(target)
        self.device.stop()
        target.restore(self.device.export_state())
        self.assertSame(target)
        self.assertEqual(target.monitors_config(), self.device.monitors_config())
        self.assertEqual(target.cursor_state(), self.device.cursor_state())
        self.assertEqual((target.next_image_id(), target.running), (2, False))
        target.resume()
        fill(target, (0, 0, 1, 1))
        self.assertEqual(target.render(0).image().getpixel((0, 0)), (255, 255, 255))

    def test_rounds(self):
        """After the first round only what was drawn is carried, also if it was drawn between rounds."""
        target = QXLDevice()
        self.device.begin_precopy()
        self.assertEqual(self.device.dirty_bytes(), WIDTH * HEIGHT * 4)
        self.assertEqual(self.carry(target), WIDTH * HEIGHT * 4)
        self.assertEqual((self.device.dirty_bytes(), self.carry(target)), (0, 0))
        fill(self.device, (40, 40, 45, 45), (9, 9, 9))
        self.assertEqual(self.device.dirty_bytes(), TILE * TILE * 4)
        fill(self.device, (150, 90, 190, 100), (8, 8, 8))
        self.carry(target)
        target.restore(self.device.export_state())
        self.assertSame(target)
        fill(self.device, (100, 0, 101, 100), (7, 7, 7))
        self.carry(target)
        self.assertSame(target)

    def test_limit(self):
        """A round carries about what it may; the rest stays dirty and nothing is left behind."""
        target = QXLDevice()
        fill(self.device, (0, 0, WIDTH, HEIGHT), (3, 2, 1))
        self.device.begin_precopy()
        sent = []
        while self.device.dirty_bytes():
            sent.append(self.carry(target, limit=20000))
        self.assertEqual(sum(sent), WIDTH * HEIGHT * 4)
        self.assertGreater(len(sent), 2)
        self.assertLess(max(sent), 20000 + WIDTH * TILE * 4)
        target.restore(self.device.export_state())
        self.assertSame(target)

    def test_surfaces_that_come_and_go(self):
        """Surfaces made, destroyed, and made again in another size between rounds."""
        target = QXLDevice()
        self.device.create_surface(1, 64, 64)
        self.device.create_surface(2, 64, 64)
        self.device.begin_precopy()
        self.carry(target)
        self.device.destroy_surface(1)
        self.device.destroy_surface(2)
        self.device.create_surface(2, 32, 80)
        fill(self.device, (3, 3, 30, 70), (1, 1, 1), surface=2)
        self.carry(target)
        target.restore(self.device.export_state())
        self.assertSame(target)

    def test_ended(self):
        """After the end of precopy nothing is kept any more."""
        self.device.begin_precopy()
        self.device.end_precopy()
        self.assertEqual((self.device.dirty_bytes(), self.device.next_round(EVERYTHING)), (0, []))

    def test_random_drawing(self):
        """However drawing and rounds alternate, the pictures are the same at the end."""
        dice = random.Random(8)
        target = QXLDevice()
        self.device.begin_precopy()
        painter = Painter(self.device)
        for _step in range(200):
            left, top = dice.randrange(-9, WIDTH), dice.randrange(-9, HEIGHT)
            box = (left, top, left + dice.randrange(1, 60), top + dice.randrange(1, 60))
            if dice.random() < 0.3:
                painter.move(box, dice.randrange(-30, 30), dice.randrange(-30, 30))
            else:
                painter.fill(box, (dice.randrange(256), dice.randrange(256), dice.randrange(256)))
            painter.flush()
            if dice.random() < 0.3:
                self.carry(target, limit=dice.choice([1, 20000, EVERYTHING]))
        self.carry(target)
        target.restore(self.device.export_state())
        self.assertSame(target)

    def test_commands_that_wait(self):
        """A state is not exported while commands wait, as they would be lost."""
        self.device.stop()
        fill(self.device, (0, 0, 5, 5))
        self.assertRaises(GuestError, self.device.export_state)

    def test_bad_state(self):
        """A cut state, a newer one, or one with an impossible surface is refused, and changes nothing."""
        state = self.device.export_state()
        for size in range(len(state)):
            self.assertRaises(WireError, self.device.restore, state[:size])
        newer = DeviceState.unpack(state)
        newer.version += 1
        self.assertRaises(WireError, self.device.restore, newer.pack())
        for field, value in (("width", 0), ("width", 2**32 - 1), ("height", 70000), ("id", 4000)):
            told = DeviceState.unpack(state)
            setattr(told.surfaces[0], field, value)
            self.assertRaises(WireError, self.device.restore, told.pack())
        self.assertEqual(len(self.device.surfaces()), 1)

    def test_bad_block(self):
        """A block that leaves its surface, is cut short, or names none is refused."""
        size = {"surface_id": 0, "width": WIDTH, "height": HEIGHT}
        good = {**size, "left": 0, "top": 0, "rows": 1, "stride": 8, "data": bytes(8)}
        self.device.apply_block(PixelBlock(**good))
        for wrong in (
            {"top": HEIGHT},
            {"left": WIDTH - 1},
            {"rows": 2},
            {"stride": 12},
            {"data": bytes(7)},
            {"surface_id": 1 << 20},
            {"surface_id": 6, "width": 0, "height": 0},
            {"surface_id": 6, "width": 1 << 20},
            {"top": 2**32 - 1, "rows": 2**32 - 1},
        ):
            self.assertRaises(WireError, self.device.apply_block, PixelBlock(**{**good, **wrong}))
