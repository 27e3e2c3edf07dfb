# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The demo guest: a desk with a photograph, a terminal, a paint box and a clock.

It needs nothing but Pillow. It answers mouse and keyboard, can draw small things
all the time for measurements, and everything it remembers travels.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Any

from twisted.internet.defer import Deferred, succeed
from twisted.plugin import IPlugin
from zope.interface import implementer

from spicemig.devices.cursor import CursorMove, CursorSet
from spicemig.devices.interfaces import IGuest, IGuestMaker
from spicemig.errors import GuestError, WireError
from spicemig.guests import keyboard, pictures
from spicemig.guests.desk import PENS, Desk, Layout, inside
from spicemig.guests.inputs_seen import InputLog, InputsSeen
from spicemig.guests.options import GuestOption, filled
from spicemig.guests.painter import Painter
from spicemig.guests.terminal import Terminal
from spicemig.wire.declare import Counted, i32, record, u8, u16, u32, u64
from spicemig.wire.enums import KeyboardModifiers, MouseButton, MouseButtonMask
from spicemig.wire.messages.display import Head, MonitorsConfig

STATE_VERSION = 1
SHORTEST_TICK_SECONDS = 0.004  # at high rates several things are drawn at a time
MOST_AT_ONCE = 64  # things drawn in one tick; what did not fit is not made up for

MOST_DRAWS = 10000  # in a second
OPTIONS = (
    GuestOption("width", int, 1024, "Width of the desk in pixels.", minimum=800, maximum=8192),
    GuestOption("height", int, 768, "Height of the desk in pixels.", minimum=600, maximum=8192),
    GuestOption(
        "mouse",
        str,
        "absolute",
        "What the desk takes from the mouse: absolute positions, or relative motions.",
        choices=("absolute", "relative"),
    ),
    GuestOption(
        "draws_per_second",
        int,
        0,
        "How many small things the activity window draws in a second; 0 draws the clock only.",
        minimum=0,
        maximum=MOST_DRAWS,
    ),
)


@record
class DemoState:
    """All that a demo guest remembers; the pixels travel with its device."""

    version: u16
    width: u32
    height: u32
    absolute: u8
    draws_per_second: u32
    drawn: u64  # small things up to now
    dice: u64
    level: u8
    clock: Annotated[bytes, Counted(u8)]
    pointer_x: i32
    pointer_y: i32
    buttons: u32
    modifiers: u8
    shifts: u8  # bit 0 left, bit 1 right
    pen: u8
    painting: u8
    cursor: u8
    lines: Annotated[list[Annotated[bytes, Counted(u16)]], Counted(u16)]
    input_counts: Annotated[list[u64], Counted(u8)]
    input_log: Annotated[bytes, Counted(u32)]


CURSORS = ("desk", "paint", "terminal")


@implementer(IGuest)
class DemoGuest:
    """The desk; ``clock`` is an ``IReactorTime``, and its seconds are shown as time of day."""

    kind = "demo"

    def __init__(self, settings: Mapping[str, Any], clock: Any) -> None:
        values = filled(OPTIONS, settings)
        self.absolute_pointer: bool = values["mouse"] == "absolute"
        self.draws_per_second: int = values["draws_per_second"]
        self._clock = clock
        self._timers: dict[str, Any] = {}
        self._device: Any = None
        self._drawn = 0
        self._dice = 0x5EED
        self._level = 40
        self._shown_time = ""
        self._pointer = (values["width"] // 2, values["height"] // 2)
        self._buttons = 0
        self._modifiers = 0
        self._shifts = 0
        self._pen = 5
        self._painting = False
        self._cursor = 0
        self._inputs = InputLog()
        self._shapes = pictures.cursor_shapes()
        self._furnish(values["width"], values["height"])

    def _furnish(self, width: int, height: int) -> None:
        self._layout = Layout(width, height)
        self._desk = Desk(self._layout)
        self._terminal = Terminal(self._layout.text, self._answer)

    # life

    def attach(self, device: Any) -> None:
        self._device = device
        self._painter = Painter(device)

    def power_on(self) -> None:
        layout, painter = self._layout, self._painter
        self._device.create_primary(layout.width, layout.height)
        self._device.set_monitors(
            MonitorsConfig(max_allowed=1, heads=[Head(0, 0, layout.width, layout.height, 0, 0)])
        )
        self._desk.paint_all(painter, self._pen)
        self._terminal.paint(painter)
        self._paint_activity()
        self._paint_clock()
        painter.flush()
        self._show_cursor()
        self.resume()

    def stop(self) -> Deferred[None]:
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.cancel()
        return succeed(None)

    def resume(self) -> None:
        self.stop()
        self._tick_clock()
        self.set_activity(self.draws_per_second)

    def shut_down(self) -> None:
        self.stop()

    # the clock and the activity window

    def set_activity(self, draws_per_second: int) -> None:
        """Draw this many small things in a second, from now on."""
        self.draws_per_second = draws_per_second
        timer = self._timers.pop("activity", None)
        if timer is not None:
            timer.cancel()
        if draws_per_second:
            self._activity_since = self._clock.seconds()
            self._activity_drawn = 0
            self._tick_activity()

    def _tick_activity(self) -> None:
        rate = self.draws_per_second
        passed = self._clock.seconds() - self._activity_since
        due = int(passed * rate + 1e-6) + 1 - self._activity_drawn
        for _thing in range(min(due, MOST_AT_ONCE)):
            self._draw_something()
        self._activity_drawn += due
        if due > 0:
            self._painter.flush()
        next_time = self._activity_since + self._activity_drawn / rate
        delay = max(next_time - self._clock.seconds(), SHORTEST_TICK_SECONDS)
        self._timers["activity"] = self._clock.callLater(delay, self._tick_activity)

    def _draw_something(self) -> None:
        """One small thing: a fill, a cached image, a move, a fill."""
        painter, desk = self._painter, self._desk
        kind = self._drawn % 4
        self._drawn += 1
        if kind == 0:
            desk.patch(painter, self._roll(desk.quilt_cells), self._roll(256))
        elif kind == 1:
            desk.patch_icon(painter, self._roll(desk.quilt_cells), self._roll(256))
        elif kind == 2:
            desk.graph_moves(painter)
        else:
            self._level = min(max(self._level + self._roll(25) - 12, 4), 96)
            desk.graph_column(painter, self._level)

    def _paint_activity(self) -> None:
        """The window as it is after some activity."""
        desk = self._desk
        for cell in range(desk.quilt_cells):
            desk.patch(self._painter, cell, self._roll(256))
        for _icon in range(desk.quilt_cells // 8):
            desk.patch_icon(self._painter, self._roll(desk.quilt_cells), self._roll(256))
        for _column in range(100):
            self._level = min(max(self._level + self._roll(25) - 12, 4), 96)
            desk.graph_moves(self._painter)
            desk.graph_column(self._painter, self._level)

    def _roll(self, sides: int) -> int:
        """Dice that go on at the target as they would have here."""
        self._dice = (self._dice * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._dice >> 33) % sides

    def _tick_clock(self) -> None:
        self._paint_clock()
        self._painter.flush()
        seconds = self._clock.seconds()
        self._timers["clock"] = self._clock.callLater(1.0 - seconds % 1.0, self._tick_clock)

    def _paint_clock(self) -> None:
        text = time.strftime("%H:%M:%S", time.localtime(self._clock.seconds()))
        self._desk.clock(self._painter, text, self._shown_time)
        self._shown_time = text

    # inputs

    def inputs_seen(self) -> InputsSeen:
        """Every input that reached this guest, here and on the hosts where it was before."""
        return self._inputs.seen()

    def describe(self) -> dict[str, Any]:
        """What to tell operators and tests of this guest."""
        seen = self.inputs_seen()
        return {
            "width": self._layout.width,
            "height": self._layout.height,
            "mouse": "absolute" if self.absolute_pointer else "relative",
            "draws_per_second": self.draws_per_second,
            "drawn": self._drawn,
            "inputs": [list(entry) for entry in seen.log],
            "input_counts": seen.counts,
        }

    def key_down(self, code: int) -> None:
        self._inputs.add("key_down", code)
        key, extended = keyboard.make_code(code)
        if key in keyboard.SHIFTS and not extended:
            self._shifts |= 1 << keyboard.SHIFTS.index(key)
        elif key == keyboard.CAPS_LOCK and not extended:
            self._modifiers ^= KeyboardModifiers.CAPS_LOCK
        elif key == keyboard.ENTER:
            self._terminal.enter(self._painter)
        elif key == keyboard.BACKSPACE and not extended:
            self._terminal.backspace(self._painter)
        else:
            caps_lock = bool(self._modifiers & KeyboardModifiers.CAPS_LOCK)
            for character in keyboard.character(key, extended, bool(self._shifts), caps_lock):
                self._terminal.type(self._painter, character)
        self._painter.flush()

    def key_up(self, code: int) -> None:
        self._inputs.add("key_up", code)
        key, extended = keyboard.make_code(code)
        if key in keyboard.SHIFTS and not extended:
            self._shifts &= ~(1 << keyboard.SHIFTS.index(key))

    def modifiers(self, mask: int) -> int:
        self._inputs.add("modifiers", mask)
        self._modifiers = mask & 7
        return self._modifiers

    def pointer_moved(self, dx: int, dy: int, buttons: int) -> None:
        self._inputs.add("pointer_moved", dx, dy, buttons)
        x, y = self._pointer
        x = min(max(x + dx, 0), self._layout.width - 1)
        y = min(max(y + dy, 0), self._layout.height - 1)
        self._point(x, y, buttons)
        self._device.cursor_command(CursorMove(x, y))

    def pointer_set(self, x: int, y: int, buttons: int, display: int) -> None:
        self._inputs.add("pointer_set", x, y, buttons, display)
        self._point(min(max(x, 0), self._layout.width - 1), min(max(y, 0), self._layout.height - 1), buttons)

    def button_pressed(self, button: int, buttons: int) -> None:
        self._inputs.add("button_pressed", button, buttons)
        self._buttons = buttons
        if button != MouseButton.LEFT:
            return
        x, y = self._pointer
        pen = self._layout.pen_at(x, y)
        if inside(self._layout.canvas, x, y):
            self._painting = True
            self._desk.dab(self._painter, x, y, PENS[self._pen])
        elif pen == len(PENS):
            self._desk.clear_canvas(self._painter)
        elif pen is not None:
            self._pen = pen
            self._desk.pens(self._painter, pen)
        self._painter.flush()

    def button_released(self, button: int, buttons: int) -> None:
        self._inputs.add("button_released", button, buttons)
        self._buttons = buttons
        if button == MouseButton.LEFT:
            self._painting = False

    def _point(self, x: int, y: int, buttons: int) -> None:
        before, self._pointer = self._pointer, (x, y)
        self._buttons = buttons
        if not buttons & MouseButtonMask.LEFT:
            self._painting = False
        if self._painting:
            self._desk.line(self._painter, before, (x, y), PENS[self._pen])
            self._painter.flush()
        cursor = 0
        if inside(self._layout.canvas, x, y):
            cursor = CURSORS.index("paint")
        elif inside(self._layout.text, x, y):
            cursor = CURSORS.index("terminal")
        if cursor != self._cursor:
            self._cursor = cursor
            self._show_cursor()

    def _show_cursor(self) -> None:
        x, y = self._pointer
        self._device.cursor_command(CursorSet(x, y, True, self._shapes[CURSORS[self._cursor]]))

    def _answer(self, typed: str) -> list[str]:
        """What the terminal says to a line that was typed."""
        if typed == "help":
            return [
                "date   the time of day",
                "seen   what came from mouse and keyboard",
                "clear  an empty box",
                "busy N draw N small things a second",
                "still  draw nothing but the clock",
            ]
        if typed == "date":
            return [time.strftime("%A, %d %B %Y, %H:%M:%S", time.localtime(self._clock.seconds()))]
        if typed == "seen":
            counts = self._inputs.seen().counts
            return [f"{count:8}  {kind.replace('_', ' ')}" for kind, count in counts.items() if count]
        if typed == "still":
            self.set_activity(0)
            return []
        if typed.startswith("busy ") and typed[5:].isdecimal():
            self.set_activity(min(int(typed[5:]), MOST_DRAWS))
            return []
        return [f"{typed.split()[0]}: not a word I know"]

    # state

    def export_state(self) -> bytes:
        return DemoState(
            version=STATE_VERSION,
            width=self._layout.width,
            height=self._layout.height,
            absolute=self.absolute_pointer,
            draws_per_second=self.draws_per_second,
            drawn=self._drawn,
            dice=self._dice,
            level=self._level,
            clock=self._shown_time.encode(),
            pointer_x=self._pointer[0],
            pointer_y=self._pointer[1],
            buttons=self._buttons,
            modifiers=self._modifiers,
            shifts=self._shifts,
            pen=self._pen,
            painting=self._painting,
            cursor=self._cursor,
            lines=[line.encode() for line in self._terminal.lines],
            input_counts=self._inputs.counts,
            input_log=self._inputs.entries(),
        ).pack()

    def restore(self, state: bytes) -> None:
        told = DemoState.unpack(state, exact=True)
        if told.version > STATE_VERSION:
            raise GuestError(f"a demo guest of state version {told.version} is newer than {STATE_VERSION}")
        try:
            sizes = filled(
                OPTIONS, {name: getattr(told, name) for name in ("width", "height", "draws_per_second")}
            )
            layout = Layout(sizes["width"], sizes["height"])
            inputs = InputLog(told.input_counts, told.input_log)
            lines = [line.decode("ascii") for line in told.lines]
            shown_time = told.clock.decode("ascii")
        except (GuestError, ValueError) as error:
            raise WireError("DemoState", reason=str(error)) from error
        terminal = Terminal(layout.text, self._answer)
        for field, possible in (
            ("pen", told.pen < len(PENS)),
            ("cursor", told.cursor < len(CURSORS)),
            ("level", told.level <= 100),
            ("pointer", inside((0, 0, layout.width, layout.height), told.pointer_x, told.pointer_y)),
            ("lines", terminal.fits(lines)),
        ):
            if not possible:
                raise WireError("DemoState", field, reason="not on this desk")
        self._furnish(told.width, told.height)
        self._inputs = inputs
        self._terminal.lines = lines
        self._shown_time = shown_time
        self.absolute_pointer = bool(told.absolute)
        self.draws_per_second = told.draws_per_second
        self._drawn, self._dice, self._level = told.drawn, told.dice, told.level
        self._pointer = (told.pointer_x, told.pointer_y)
        self._buttons, self._modifiers, self._shifts = told.buttons, told.modifiers, told.shifts
        self._pen, self._painting, self._cursor = told.pen, bool(told.painting), told.cursor


@implementer(IPlugin, IGuestMaker)
class DemoGuestMaker:
    """Makes demo guests."""

    kind = "demo"
    options = OPTIONS
    state_version = STATE_VERSION

    def same_settings(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return {}

    def make(self, settings: Mapping[str, Any], clock: Any) -> DemoGuest:
        return DemoGuest(settings, clock)
