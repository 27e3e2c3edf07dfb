# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.guests.demo`` and what it is made of."""

from __future__ import annotations

import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from spicemig.devices.cursor import CursorMove, CursorSet
from spicemig.devices.drawables import DeviceImage
from spicemig.devices.interfaces import IGuest, IGuestMaker
from spicemig.devices.qxl import QXLDevice
from spicemig.errors import GuestError, SpicemigError
from spicemig.guests import inputs_seen, registry
from spicemig.guests.demo import OPTIONS, DemoGuest, DemoState
from spicemig.guests.desk import PENS, Layout
from spicemig.guests.inputs_seen import InputLog
from spicemig.guests.keyboard import character, make_code
from spicemig.guests.options import GuestOption, filled
from spicemig.guests.terminal import PROMPT
from spicemig.wire.messages.display import CopyBits, DrawCopy, DrawFill

LEFT, RIGHT = 1, 3
LEFT_HELD = 1
CODES = {letter: code for code, letter in enumerate("qwertyuiop", 0x10)}
CODES.update((letter, code) for code, letter in enumerate("asdfghjkl", 0x1E))
CODES.update((letter, code) for code, letter in enumerate("zxcvbnm", 0x2C))
CODES.update({" ": 0x39, "\n": 0x1C, "\b": 0x0E})


class Seen:
    """A display that keeps the drawables and cursor commands."""

    def __init__(self):
        self.messages = []
        self.cursors = []

    def drawables(self, batch):
        self.messages.append([drawable.message() for drawable in batch])

    def cursor(self, command):
        self.cursors.append(command)

    def surface_created(self, surface):
        pass

    surface_destroyed = monitors = surface_created


class DemoCase(SynchronousTestCase):
    """A demo guest on its device, on a clock of its own."""

    settings: dict = {}

    def setUp(self):
        self.clock = Clock()
        self.clock.advance(1000.25)
        self.device, self.guest = self.made()
        self.display = Seen()
        self.device.add_display(self.display)
        self.guest.power_on()
        self.layout = Layout(1024, 768)

    def made(self):
        """A device with a guest."""
        device = QXLDevice()
        guest = registry.make("demo", self.settings, self.clock)
        guest.attach(device)
        return device, guest

    def type(self, text):
        """Type on the keyboard."""
        for letter in text:
            self.guest.key_down(CODES[letter])
            self.guest.key_up(CODES[letter] | 0x80)

    def pixel(self, x, y):
        """The colour there now."""
        return self.device.render(0).image().getpixel((x, y))

    def moved(self):
        """The guest on another device, as after a handover; it has been resumed there."""
        self.guest.stop()
        self.device.stop()
        device, guest = self.made()
        self.device.begin_precopy()
        for block in self.device.next_round(1 << 30):
            device.apply_block(block)
        device.restore(self.device.export_state())
        guest.restore(self.guest.export_state())
        device.resume()
        return device, guest


class PowerOnTests(DemoCase):
    """The desk is there at once."""

    def test_interfaces(self):
        """The guest and its maker provide their interfaces."""
        self.assertTrue(verifyObject(IGuest, self.guest))
        self.assertTrue(verifyObject(IGuestMaker, registry.maker("demo")))
        self.assertIn("demo", registry.makers())

    def test_one_batch(self):
        """The complete desk is one batch of fills, copies and copy-bits."""
        self.assertEqual(
            {type(message) for message in self.display.messages[0]}, {DrawFill, DrawCopy, CopyBits}
        )
        before = self.device.render(0).image()
        self.assertGreater(len(before.getcolors(1 << 20)), 5000)
        self.assertEqual(self.device.monitors_config().heads[0].width, 1024)

    def test_cached_images(self):
        """Images that are drawn again are named, and the name belongs to the content."""
        named: dict[int, bytes] = {}
        uses = 0
        for message in self.display.messages[0]:
            if isinstance(message, DrawCopy) and message.src_bitmap.value.flags:
                image: DeviceImage = message.src_bitmap.value
                uses += 1
                self.assertEqual(named.setdefault(image.id, bytes(image.data)), bytes(image.data))
        self.assertGreater(uses, len(named) * 2)
        self.assertNotIn(0, named)

    def test_same_everywhere(self):
        """Two hosts draw the same desk, with the same names for its images."""
        device, guest = self.made()
        guest.power_on()
        self.assertEqual(device.render(0).pixels, self.device.render(0).pixels)

    def test_other_sizes(self):
        """The desk fits the smallest and larger screens."""
        for width, height in ((800, 600), (1920, 1080)):
            device = QXLDevice()
            guest = DemoGuest({"width": width, "height": height}, self.clock)
            guest.attach(device)
            guest.power_on()
            DemoGuest({}, self.clock).restore(guest.export_state())
            self.assertEqual((device.render(0).width, device.render(0).height), (width, height))
            guest.shut_down()

    def test_wrong_settings(self):
        """An option that does not exist, or a value that is not allowed, is refused."""
        for settings in ({"colour": "red"}, {"width": "5"}, {"width": "wide"}, {"mouse": "trained"}):
            self.assertRaises(GuestError, DemoGuest, settings, self.clock)
        self.assertRaises(GuestError, registry.make, "abacus", {}, self.clock)


class KeyboardTests(DemoCase):
    """The terminal shows what is typed."""

    def test_characters(self):
        """Letters, shift, caps lock, digits and the keypad."""
        self.assertEqual(character(0x1E, False, False, False), "a")
        self.assertEqual(character(0x1E, False, True, False), "A")
        self.assertEqual(character(0x1E, False, False, True), "A")
        self.assertEqual(character(0x1E, False, True, True), "a")
        self.assertEqual(character(0x02, False, False, True), "1")
        self.assertEqual(character(0x02, False, True, False), "!")
        self.assertEqual(character(0x35, True, False, False), "/")
        self.assertEqual(character(0x48, True, False, False), "")
        self.assertEqual(character(0x4C, False, False, False), "5")

    def test_codes(self):
        """A release is the code of the press with bit 7 set, with or without prefix."""
        self.assertEqual([make_code(code) for code in (0x1E, 0x9E)], [(0x1E, False)] * 2)
        self.assertEqual([make_code(code) for code in (0x1CE0, 0x9CE0)], [(0x1C, True)] * 2)

    def test_typing(self):
        """What is typed appears behind the prompt; backspace takes it back, but not the prompt."""
        before = self.device.render(0).image()
        self.type("hello")
        self.assertEqual(self.guest._terminal.lines[-1], PROMPT + "hello")
        self.assertNotEqual(self.device.render(0).image().tobytes(), before.tobytes())
        self.type("\b\b\b\b\b\b\b")
        self.assertEqual(self.guest._terminal.lines[-1], PROMPT)
        self.assertEqual(self.device.render(0).image().tobytes(), before.tobytes())

    def test_shift(self):
        """Shift counts while either is down."""
        self.guest.key_down(0x2A)
        self.guest.key_down(0x36)
        self.guest.key_up(0xAA)
        self.type("a")
        self.guest.key_up(0xB6)
        self.type("a")
        self.assertEqual(self.guest._terminal.lines[-1], PROMPT + "Aa")

    def test_caps_lock(self):
        """The lock keys are in force as the client wants them."""
        self.assertEqual(self.guest.modifiers(4), 4)
        self.type("a")
        self.guest.key_down(0x3A)
        self.type("a")
        self.assertEqual(self.guest._terminal.lines[-1], PROMPT + "Aa")

    def test_scrolls(self):
        """A full box scrolls by moving its pixels up."""
        for _line in range(40):
            self.display.messages.clear()
            self.type("hi\n")
        drawn = [type(message) for batch in self.display.messages for message in batch]
        self.assertIn(CopyBits, drawn)
        terminal = self.guest._terminal
        self.assertEqual((len(terminal.lines), terminal.lines[-1]), (terminal.rows, PROMPT))

    def test_long_line(self):
        """A line that is full goes on in the next."""
        self.type("x" * 200)
        self.assertEqual("".join(self.guest._terminal.lines[-3:]), PROMPT + "x" * 200)
        self.assertLess(max(map(len, self.guest._terminal.lines)), self.guest._terminal.columns)

    def test_words(self):
        """The terminal answers, and 'clear' empties it."""
        self.type("help\n")
        self.assertTrue(any("clear" in line for line in self.guest._terminal.lines))
        self.type("clear\n")
        self.assertEqual(self.guest._terminal.lines, [PROMPT])


class MouseTests(DemoCase):
    """The mouse paints, chooses, and changes the cursor."""

    def test_painting(self):
        """A line appears where the left button is held, and nowhere else."""
        left, top, _right, _bottom = self.layout.canvas
        y = top + 15
        self.guest.pointer_set(left + 20, y, 0, 0)
        self.guest.pointer_set(left + 30, y, 0, 0)
        self.guest.button_pressed(LEFT, LEFT_HELD)
        self.guest.pointer_set(left + 90, y, LEFT_HELD, 0)
        self.guest.button_released(LEFT, 0)
        self.guest.pointer_set(left + 150, y, 0, 0)
        pen, white = PENS[5], (255, 255, 255)
        colours = [self.pixel(left + x, y) for x in (22, 31, 60, 89, 120)]
        self.assertEqual(colours, [white, pen, pen, pen, white])

    def test_stays_on_the_canvas(self):
        """A line that leaves the canvas is cut off at its edge."""
        left, top, _right, _bottom = self.layout.canvas
        before = self.pixel(left - 10, top + 15)
        self.guest.pointer_set(left + 2, top + 15, 0, 0)
        self.guest.button_pressed(LEFT, LEFT_HELD)
        self.guest.pointer_set(0, 0, LEFT_HELD, 0)
        self.assertEqual(self.pixel(left - 10, top + 15), before)

    def test_pens(self):
        """A click on a pen takes it; the last one clears the canvas."""
        for index, expected in ((1, PENS[1]), (4, PENS[4]), (len(PENS), (255, 255, 255))):
            x, y, _right, _bottom = self.layout.pen_box(index)
            self.guest.pointer_set(x + 3, y + 3, 0, 0)
            self.guest.button_pressed(LEFT, LEFT_HELD)
            self.guest.button_released(LEFT, 0)
            place = self.layout.canvas[0] + 20, self.layout.canvas[1] + 20
            if index < len(PENS):
                self.guest.pointer_set(*place, 0, 0)
                self.guest.button_pressed(LEFT, LEFT_HELD)
                self.guest.button_released(LEFT, 0)
            self.assertEqual(self.pixel(*place), expected)

    def test_cursor(self):
        """The cursor is another over paint box and terminal, and is sent only when it changes."""
        self.display.cursors.clear()
        canvas, text = self.layout.canvas, self.layout.text
        for x, y in ((canvas[0], canvas[1]), (canvas[0] + 5, canvas[1] + 5), (text[0], text[1]), (0, 0)):
            self.guest.pointer_set(x, y, 0, 0)
        shapes = [command.shape.unique for command in self.display.cursors]
        self.assertEqual((len(shapes), len(set(shapes))), (3, 3))
        for command in self.display.cursors:
            self.assertIsInstance(command, CursorSet)
            self.assertEqual(len(command.shape.data), command.shape.width * command.shape.height * 4)

    def test_relative(self):
        """Motions move the guest's own pointer, which stays on the desk."""
        self.assertTrue(self.guest.absolute_pointer)
        guest = DemoGuest({"mouse": "relative"}, self.clock)
        guest.attach(self.device)
        guest.power_on()
        self.assertFalse(guest.absolute_pointer)
        self.display.cursors.clear()
        guest.pointer_moved(-5000, 10, 0)
        guest.pointer_moved(7, -2, 0)
        self.assertEqual(self.display.cursors[-1], CursorMove(7, 384 + 8))


class ActivityTests(DemoCase):
    """What moves by itself."""

    def test_idle(self):
        """Without activity only the clock is drawn, once a second."""
        self.display.messages.clear()
        self.clock.pump([0.05] * 100)
        self.assertEqual(len(self.display.messages), 5)
        self.assertLess(sum(map(len, self.display.messages)), 12)

    def test_rate(self):
        """So many things a second are drawn, evenly: fills, cached images, moves."""
        self.clock.advance(0.9)
        self.guest.set_activity(200)
        self.display.messages.clear()
        drawn = self.guest.describe()["drawn"]
        self.clock.pump([0.001] * 2000)
        self.assertIn(self.guest.describe()["drawn"] - drawn, range(397, 404))
        self.assertGreater(len(self.display.messages), 380)
        kinds = {type(message) for batch in self.display.messages for message in batch}
        self.assertEqual(kinds, {DrawFill, DrawCopy, CopyBits})

    def test_stopped(self):
        """A stopped guest draws nothing and leaves no timer; resumed, it draws at once."""
        self.guest.set_activity(200)
        self.successResultOf(self.guest.stop())
        self.display.messages.clear()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertEqual(self.display.messages, [])
        self.guest.resume()
        self.assertGreater(len(self.display.messages), 0)
        self.guest.shut_down()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self):
        """After a long silence of the clock it goes on, without drawing all that it missed."""
        self.guest.set_activity(200)
        self.display.messages.clear()
        self.clock.advance(100)
        self.assertLess(sum(map(len, self.display.messages)), 300)


class MovingTests(DemoCase):
    """Everything that the guest remembers moves with it."""

    def test_goes_on_as_it_would_have(self):
        """A guest that moved does, and shows, what it would have done without moving."""
        self.guest.set_activity(50)
        self.guest.key_down(0x2A)
        self.type("he")
        x, y = self.layout.canvas[0] + 20, self.layout.canvas[1] + 20
        self.guest.pointer_set(x, y, 0, 0)
        self.guest.button_pressed(LEFT, LEFT_HELD)
        self.clock.pump([0.01] * 70)
        device, guest = self.moved()
        self.guest.resume()
        guest.resume()
        self.device.resume()
        for each in (self.guest, guest):
            each.key_down(CODES["l"])
            each.pointer_set(x + 50, y + 30, LEFT_HELD, 0)
        self.clock.pump([0.01] * 150)
        self.assertEqual(device.render(0).pixels, self.device.render(0).pixels)
        self.assertEqual(guest.export_state(), self.guest.export_state())
        self.assertEqual(guest._terminal.lines[-1], PROMPT + "HEL")
        self.assertEqual(guest.inputs_seen(), self.guest.inputs_seen())
        guest.shut_down()

    def test_nothing_is_drawn_again(self):
        """Moving by itself draws nothing on the target."""
        device, guest = self.moved()
        display = Seen()
        device.add_display(display)
        guest.resume()
        self.assertEqual((display.messages, display.cursors), ([], []))

    def test_bad_states(self):
        """A state that is cut, newer, or not this guest's is refused with an error of ours."""
        state = self.guest.export_state()
        for size in range(len(state)):
            self.assertRaises(SpicemigError, self.made()[1].restore, state[:size])
        for field, value in (
            ("version", 9),
            ("pen", 200),
            ("cursor", 9),
            ("lines", []),
            ("input_log", b"1"),
            ("input_counts", [1]),
            ("clock", b"\xff"),
            ("width", 0),
            ("pointer_x", -1),
            ("draws_per_second", 2**32 - 1),
            ("lines", [b"x"] * 999),
        ):
            told = DemoState.unpack(state)
            setattr(told, field, value)
            self.assertRaises(SpicemigError, self.made()[1].restore, told.pack())
        dice = random.Random(1)
        for _case in range(300):
            broken = bytearray(state)
            broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
            try:
                self.made()[1].restore(bytes(broken))
            except SpicemigError:
                pass


class InputLogTests(SynchronousTestCase):
    """Each input is remembered once, in order."""

    def test_order(self):
        """The log has the values as they came, negative ones too."""
        log = InputLog()
        log.add("key_down", 0x1CE0)
        log.add("pointer_moved", -3, 4, 1)
        log.add("pointer_set", 10, 20, 0, 1)
        log.add("button_released", 1, 0)
        seen = InputLog(log.counts, log.entries()).seen()
        self.assertEqual(
            seen.log,
            [
                ("key_down", 0x1CE0),
                ("pointer_moved", -3, 4, 1),
                ("pointer_set", 10, 20, 0, 1),
                ("button_released", 1, 0),
            ],
        )
        self.assertEqual((seen.total, seen.counts["key_down"], seen.counts["key_up"]), (4, 1, 0))

    def test_bounded(self):
        """Old entries are only counted."""
        self.patch(inputs_seen, "LOG_LIMIT", 10)
        log = InputLog()
        for code in range(95):
            log.add("key_up", code)
        seen = log.seen()
        self.assertEqual((seen.total, seen.log), (95, [("key_up", code) for code in range(85, 95)]))


class OptionTests(SynchronousTestCase):
    """Options are read from text or taken as values."""

    def test_reading(self):
        """Texts become values of the option's type."""
        options = (
            GuestOption("a", int, 1, ""),
            GuestOption("b", bool, False, ""),
            GuestOption("c", str, "x", ""),
        )
        self.assertEqual(filled(options, {"a": " 7 ", "b": "Yes"}), {"a": 7, "b": True, "c": "x"})
        self.assertEqual(filled(options, {"a": 8, "b": False, "c": "y"}), {"a": 8, "b": False, "c": "y"})
        self.assertRaises(GuestError, filled, options, {"b": "perhaps"})

    def test_defaults(self):
        """The defaults of the demo guest are allowed values."""
        for option in OPTIONS:
            self.assertEqual(option.checked(option.default), option.default)
            self.assertTrue(option.help.endswith("."))
