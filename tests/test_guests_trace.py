# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for the trace guest and for recording any guest."""

from __future__ import annotations

import lzma
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from spicemig.daemons.migrations import same_settings
from spicemig.devices.drawables import Batch
from spicemig.devices.interfaces import IDisplay, IGuest, IGuestMaker
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.reader import TraceReader
from spicemig.devices.trace.recorder import Recorder
from spicemig.errors import GuestError, SpicemigError
from spicemig.guests import registry, trace
from spicemig.guests.trace import TraceGuest, TraceState, read_speed
from spicemig.wire.drawing import Brush, DrawBase, Rect
from spicemig.wire.enums import BrushType, Ropd
from spicemig.wire.messages.display import DrawFill

MIXED = Path(__file__).parent / "data" / "traces" / "mixed.trace.xz"
COMMANDS = 384
TICK = 1e-5


def picture(device: QXLDevice) -> list[tuple[Any, ...]]:
    """Everything that can be seen of a device, pixel for pixel."""
    told: list[tuple[Any, ...]] = [(device.cursor_state(), device.monitors_config())]
    for surface in device.surfaces():
        rendered = device.render(surface.id)
        told.append((surface.id, surface.width, surface.height, surface.format, bytes(rendered.pixels)))
    return told


def moved(device: QXLDevice) -> QXLDevice:
    """Another device with the same state, as a handover makes it."""
    device.stop()
    device.begin_precopy()
    target = QXLDevice()
    while blocks := device.next_round(1 << 20):
        for block in blocks:
            target.apply_block(type(block).unpack(block.pack()))
    target.restore(device.export_state())
    target.resume()
    return target


class Steps(Clock):
    """A clock with which nothing is done at once, but at the next tick."""

    def callLater(self, when: float, what: Any, *args: Any, **kw: Any) -> Any:
        return super().callLater(max(when, TICK), what, *args, **kw)

    def tick(self) -> None:
        self.advance(TICK)


class TraceGuestCase(SynchronousTestCase):
    """Trace guests on their devices."""

    def setUp(self) -> None:
        self.clock = Steps()

    def make(self, **settings: Any) -> TraceGuest:
        guest = registry.make("trace", {"file": str(MIXED), "speed": "max", **settings}, self.clock)
        self.addCleanup(guest.shut_down)
        return guest

    def power_on(self, **settings: Any) -> tuple[TraceGuest, QXLDevice]:
        guest, device = self.make(**settings), QXLDevice()
        guest.attach(device)
        guest.power_on()
        return guest, device

    def run_out(self, guest: TraceGuest) -> None:
        """Until nothing is left to do at once."""
        for _ in range(1000):
            self.clock.tick()
            if guest.describe()["ended"]:
                return
        self.fail("it does not end")

    def move(self, guest: TraceGuest, device: QXLDevice, **settings: Any) -> tuple[TraceGuest, QXLDevice]:
        """Guest and device on another host, running."""
        self.successResultOf(guest.stop())
        target, other = self.make(**settings), moved(device)
        target.attach(other)
        target.restore(guest.export_state())
        guest.shut_down()
        target.resume()
        return target, other

    def unmoved(self) -> list[tuple[Any, ...]]:
        """What is to be seen at the end of the trace."""
        guest, device = self.power_on()
        self.run_out(guest)
        return picture(device)


class PlayingTests(TraceGuestCase):
    """A trace is played as the settings say."""

    def test_interfaces(self) -> None:
        """It is a guest as all others, and its kind is installed."""
        self.assertTrue(verifyObject(IGuest, self.make()))
        self.assertTrue(verifyObject(IGuestMaker, registry.maker("trace")))
        self.assertIn("trace", registry.makers())

    def test_to_the_end(self) -> None:
        """It plays everything, and the last picture stays."""
        guest, device = self.power_on()
        self.run_out(guest)
        told = guest.describe()
        self.assertEqual((told["commands"], told["passes"], told["trouble"]), (COMMANDS, 1, ""))
        self.assertEqual([surface.id for surface in device.surfaces()], [0])
        self.assertEqual((device.surfaces()[0].width, device.surfaces()[0].height), (300, 200))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_real_speed(self) -> None:
        """Commands come in the time in which they were recorded, or in a part of it."""
        for speed, factor in (("real", 1.0), ("0.5", 0.5), ("10", 10.0)):
            guest, _device = self.power_on(speed=speed)
            reader = TraceReader(MIXED)
            records = list(reader)
            reader.close()
            whole = (records[-1].time - records[0].time) / 1e9
            half = sum(
                record.is_command and record.time - records[0].time <= whole * 0.5e9 for record in records
            )
            self.clock.tick()
            for _ in range(100):
                self.clock.advance(whole / factor / 200 * 0.999999)
            self.assertAlmostEqual(guest.describe()["commands"], half, delta=1)
            for _ in range(101):
                self.clock.advance(whole / factor / 200)
            self.assertTrue(guest.describe()["ended"])

    def test_stopped(self) -> None:
        """While it is stopped, time stands still for it."""
        guest, _device = self.power_on(speed="real")
        self.clock.advance(0.05)
        self.successResultOf(guest.stop())
        commands = guest.describe()["commands"]
        self.clock.advance(60)
        guest.resume()
        self.clock.tick()
        self.assertLess(abs(guest.describe()["commands"] - commands), 3)
        self.assertFalse(guest.describe()["ended"])

    def test_long_waits(self) -> None:
        """A trace in which nothing happens for long goes on, however often it is stopped."""
        name = self.mktemp()
        events = b"event 0 0 0 0\nevent 1 0 0 60000000000\n"
        Path(name).write_bytes(b"SPICE_REPLAY 1\n" + events)
        guest, device = self.power_on(file=name, speed="real")
        self.clock.tick()
        for _ in range(59):
            guest, device = self.move(guest, device, file=name, speed="real")
            for _ in range(5):
                self.clock.tick()
            self.clock.advance(1)
        self.assertEqual(guest.describe()["commands"], 1)
        self.clock.advance(2)
        self.assertEqual(guest.describe()["commands"], 2)

    def test_late(self) -> None:
        """A host that was busy for long does not hurry through all that it missed."""
        guest, _device = self.power_on(speed="real")
        self.clock.tick()
        self.patch(trace, "LATE_SECONDS", 0.01)
        self.clock.advance(60)
        self.assertFalse(guest.describe()["ended"])
        self.assertLess(guest.describe()["commands"], COMMANDS // 2)

    def test_loop(self) -> None:
        """A trace that loops begins again from nothing."""
        once = self.unmoved()
        guest, device = self.power_on(loop=True)
        for _ in range(1000):
            self.clock.tick()
            if guest.passes == 3:
                break
        self.assertEqual(guest.passes, 3)
        self.patch(trace, "SLICE_COMMANDS", 1)
        while guest.describe()["commands"] < COMMANDS:
            self.clock.tick()
        self.assertEqual(picture(device), once)

    def test_slices(self) -> None:
        """However fast it is to be, it works for a few milliseconds at a time."""
        guest, _device = self.power_on()

        def busy() -> float:
            self.clock.rightNow += 0.0005  # what a look at the clock takes here
            return self.clock.rightNow

        self.patch(self.clock, "seconds", busy)
        self.clock.calls.pop(0).func()
        self.assertLess(guest.describe()["commands"], 8 * trace.SLICE_SECONDS / 0.0005 + 8)
        self.assertEqual(len(self.clock.calls), 1)

    def test_damage(self) -> None:
        """A trace that is damaged is played as far as it goes; the picture stays, and the place is told."""
        name = self.mktemp()
        whole = lzma.decompress(MIXED.read_bytes())
        Path(name).write_bytes(whole[: len(whole) // 2])
        guest, device = self.power_on(file=name)
        self.run_out(guest)
        told = guest.describe()
        self.assertIn("ends in the middle", told["trouble"])
        self.assertGreater(told["commands"], 20)
        self.assertTrue(device.surfaces())
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_inputs(self) -> None:
        """Inputs change nothing."""
        guest, _device = self.power_on()
        guest.key_down(30)
        guest.key_up(158)
        guest.pointer_moved(1, 1, 0)
        guest.pointer_set(1, 1, 0, 0)
        guest.button_pressed(1, 1)
        guest.button_released(1, 0)
        self.assertEqual(guest.modifiers(0x12), 2)


class SettingsTests(TraceGuestCase):
    """Mistakes in the settings are told at once."""

    def test_speed(self) -> None:
        """Speeds are words or factors."""
        self.assertEqual(read_speed("real"), 1.0)
        self.assertEqual(read_speed("2.5"), 2.5)
        for text in ("fast", "0", "-1", "nan", "inf", ""):
            self.assertRaises(ValueError, read_speed, text)
        self.assertRaisesRegex(GuestError, "neither real nor max", self.make, speed="fast")

    def test_file(self) -> None:
        """There is no trace guest without a trace."""
        self.assertRaisesRegex(GuestError, "set file", self.make, file="")
        self.assertRaisesRegex(GuestError, "nowhere: No such file", self.make, file="nowhere")
        self.assertRaisesRegex(GuestError, "not a QXL trace", self.make, file=__file__)

    def test_same_on_both_hosts(self) -> None:
        """Two hosts can see before a handover whether they have the same trace."""
        maker = registry.maker("trace")
        copy = self.mktemp()
        Path(copy).write_bytes(MIXED.read_bytes())
        here = maker.same_settings({"file": str(MIXED)})
        self.assertEqual(len(here), 1)
        self.assertEqual(maker.same_settings({"file": copy}), here)
        self.assertNotEqual(maker.same_settings({"file": __file__}), here)
        self.assertEqual(maker.same_settings({"file": "nowhere"}), {})
        self.assertEqual(maker.same_settings({}), {})

    def test_told_before_a_handover(self) -> None:
        """A source tells what its guest asks for, a target what it has for every guest that may come."""
        settings = SimpleNamespace(
            daemon="target", guest=SimpleNamespace(kind=""), guest_options={"trace": {"file": str(MIXED)}}
        )
        here = registry.maker("trace").same_settings({"file": str(MIXED)})
        for kind, told in ((None, here), ("trace", here), ("demo", {})):
            guest = None if kind is None else SimpleNamespace(kind=kind)
            daemon = SimpleNamespace(settings=settings, sessions=SimpleNamespace(guest=guest))
            self.assertEqual(same_settings(daemon), told)


class MovingTests(TraceGuestCase):
    """A trace can be moved in the middle."""

    def test_fifty_moves(self) -> None:
        """A trace migrated at 50 random points ends with the same pixels as one that never moved."""
        once = self.unmoved()
        dice = random.Random(3)
        points = sorted(dice.sample(range(COMMANDS), 50))
        guest, device = self.power_on()
        records = 0
        for point in points:
            while guest.describe()["commands"] < point:
                self.patch(trace, "SLICE_COMMANDS", 1)
                self.clock.tick()
                records += 1
            guest, device = self.move(guest, device)
        self.patch(trace, "SLICE_COMMANDS", 1024)
        self.run_out(guest)
        self.assertGreater(records, COMMANDS // 2)
        self.assertEqual(guest.describe()["commands"], COMMANDS)
        self.assertEqual(picture(device), once)

    def test_while_on_the_way(self) -> None:
        """It can be moved again before the target has found the place in its file."""
        once = self.unmoved()
        guest, device = self.power_on()
        self.patch(trace, "SLICE_COMMANDS", 250)
        self.clock.tick()
        offset = guest.offset
        for _ in range(3):
            guest, device = self.move(guest, device)
            self.assertEqual(guest.offset, offset)
        self.run_out(guest)
        self.assertEqual(picture(device), once)

    def test_before_and_after(self) -> None:
        """It can be moved before the first command, and after the last."""
        once = self.unmoved()
        guest, device = self.power_on()
        guest, device = self.move(guest, device)
        self.run_out(guest)
        self.assertEqual(picture(device), once)
        guest, device = self.move(guest, device)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(guest.describe()["ended"])
        self.assertEqual(picture(device), once)

    def test_time(self) -> None:
        """At the target it goes on at the same place in time."""
        guest, device = self.power_on(speed="real")
        self.clock.advance(0.08)
        guest.stop()
        before = guest.describe()
        guest, device = self.move(guest, device, speed="real")
        for _ in range(20):
            self.clock.tick()
        after = guest.describe()
        self.assertEqual(after["seconds"], before["seconds"])
        self.clock.advance(0.04)
        self.assertGreater(guest.describe()["commands"], before["commands"])

    def test_another_trace(self) -> None:
        """A target that has another file refuses."""
        guest, _device = self.power_on()
        other = self.mktemp()
        Path(other).write_bytes(b"SPICE_REPLAY 1\n")
        target = self.make(file=other)
        self.assertRaisesRegex(GuestError, "not the trace", target.restore, guest.export_state())

    def test_wrong_state(self) -> None:
        """A state from a newer program, or no state at all, is refused."""
        guest, _device = self.power_on()
        told = TraceState.unpack(guest.export_state())
        told.version = 99
        self.assertRaisesRegex(GuestError, "newer", self.make().restore, told.pack())
        self.assertRaises(SpicemigError, self.make().restore, b"")


class RecordingTests(TraceGuestCase):
    """What a guest draws can be recorded, and played again."""

    def replayed(self, data: bytes) -> QXLDevice:
        name = self.mktemp()
        Path(name).write_bytes(data)
        device = QXLDevice()
        player = Player(device)
        reader = TraceReader(name)
        for record in reader:
            player.play(record)
        player.flush()
        reader.close()
        return device

    def record(self, device: QXLDevice) -> tuple[Recorder, bytearray]:
        data = bytearray()
        recorder = Recorder(device, data.extend, self.clock.seconds)
        self.assertTrue(verifyObject(IDisplay, recorder))
        return recorder, data

    def test_demo(self) -> None:
        """The demo guest, recorded while it works, is the same when it is played again."""
        self.clock.advance(1000)
        guest = registry.make("demo", {"draws_per_second": 200}, self.clock)
        self.addCleanup(guest.shut_down)
        device = QXLDevice()
        guest.attach(device)
        guest.power_on()
        self.clock.pump([0.01] * 50)
        recorder, data = self.record(device)
        for step in range(100):
            guest.key_down(0x10 + step % 10)
            guest.pointer_set(8 * step, 5 * step, 0, 0)
            self.clock.advance(0.01)
        recorder.stop()
        stopped = len(data)
        self.assertEqual(recorder.bytes, stopped)
        self.assertGreater(recorder.commands, 100)
        again = self.replayed(bytes(data))
        self.assertEqual(picture(again), picture(device))
        self.clock.advance(1)
        self.assertEqual(len(data), stopped)

    def test_from_the_start(self) -> None:
        """A trace that is recorded while it is played is the same trace, for all that can be seen."""
        device = QXLDevice()
        _recorder, data = self.record(device)
        guest = self.make()
        guest.attach(device)
        guest.power_on()
        self.run_out(guest)
        self.assertEqual(picture(self.replayed(bytes(data))), picture(device))

    def test_from_the_middle(self) -> None:
        """A recording can begin and end anywhere; surfaces and cursor are in it."""
        dice = random.Random(4)
        for _ in range(5):
            guest, device = self.power_on()
            self.patch(trace, "SLICE_COMMANDS", dice.randrange(50, 300))
            self.clock.tick()
            _recorder, data = self.record(device)
            self.patch(trace, "SLICE_COMMANDS", dice.randrange(20, 100))
            self.clock.tick()
            guest.stop()
            self.assertEqual(picture(self.replayed(bytes(data)))[1:], picture(device)[1:])
            self.assertEqual(self.replayed(bytes(data)).cursor_state(), device.cursor_state())

    def test_formats(self) -> None:
        """Surfaces of every format are recorded with their pixels."""
        device = QXLDevice()
        for number, format in enumerate((1, 8, 16, 32, 80, 96)):
            device.create_surface(number, 9, 5, format)
            fill = DrawFill(
                DrawBase(number, Rect(1, 1, 4, 7)), Brush(BrushType.SOLID, color=0xFF5A), Ropd.OP_PUT
            )
            device.draw(Batch.of([fill]))
        again = self.replayed(bytes(self.record(device)[1]))
        self.assertEqual(picture(again)[1:], picture(device)[1:])
