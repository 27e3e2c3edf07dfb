# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The trace guest: plays what a real guest's device was given once.

It takes no inputs. All that it remembers is how far it got: surfaces and cursor
travel with its device, and the target reads its own copy of the file.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from spicemig.devices.cursor import CursorReset
from spicemig.devices.interfaces import IGuest, IGuestMaker
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.reader import TraceReader
from spicemig.devices.trace.records import Record
from spicemig.devices.trace.source import TraceError, fingerprint
from spicemig.errors import GuestError
from spicemig.guests.options import GuestOption, filled
from spicemig.wire.declare import Fixed, record, u8, u16, u32, u64

STATE_VERSION = 1
SLICE_SECONDS = 0.004  # of work, before others may do theirs
SLICE_COMMANDS = 1024
LATE_SECONDS = 0.25  # what is later than this stays late: it does not hurry through later pauses


def read_speed(text: str) -> float:
    """The factor that an option ``speed`` means; raises ``ValueError``."""
    words = {"real": 1.0, "max": math.inf}
    if text in words:
        return words[text]
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise ValueError(f"{text!r} is neither real nor max nor a factor above 0")
    return factor


OPTIONS = (
    GuestOption(
        "file",
        str,
        "",
        "The trace, plain or compressed with xz. A target needs a file with the same contents.",
    ),
    GuestOption(
        "speed",
        str,
        "real",
        "How fast it is played: real, a factor (2 is twice as fast), or max, as fast as possible.",
        check=read_speed,
    ),
    GuestOption("loop", bool, False, "Begin again at the end; otherwise the last picture stays."),
)


@record
class TraceState:
    """How far the trace was played."""

    version: u16
    file_size: u64
    head_sha256: Annotated[bytes, Fixed(32)]
    offset: u64  # of the next record, in the plain trace
    commands: u64  # played in this pass
    played_ns: u64  # of the trace's time
    passes: u32  # that ended
    ended: u8  # nothing more will be played


@implementer(IGuest)
class TraceGuest:
    """Plays a trace; ``clock`` is an ``IReactorTime``."""

    kind = "trace"
    absolute_pointer = False  # so that the recorded cursor is seen
    _log = Logger()

    def __init__(self, settings: Mapping[str, Any], clock: Any) -> None:
        values = filled(OPTIONS, settings)
        if not values["file"]:
            raise GuestError("set file in [trace]: which trace is to be played?")
        self.file: str = values["file"]
        self.speed = read_speed(values["speed"])
        self.loop: bool = values["loop"]
        self.passes = 0
        self.trouble = ""  # why the trace could not be played to its end
        self._clock = clock
        self._timer: Any = None
        self._size, self._head = fingerprint(self.file)
        self._player: Any = None
        self._ended = False
        self._next: Record | None = None  # read, but not played
        self._commands = 0
        self._played_ns = 0
        self._wanted_offset = 0  # where to go on, if that is further than the reader is
        self._began = 0.0
        self._rewind()

    def _rewind(self) -> None:
        """Read from the start."""
        self._reader = TraceReader(self.file)
        self._next = self._reader.next()
        self._first_ns = self._next.time if self._next is not None else 0
        self._commands = 0
        self._played_ns = 0

    # life

    def attach(self, device: Any) -> None:
        self._player = Player(device)

    def power_on(self) -> None:
        self.resume()

    def stop(self) -> Deferred[None]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._keep_time()
        return succeed(None)

    def resume(self) -> None:
        self.stop()
        if not self._ended:
            self._set_clock()
            self._wait(0)

    def shut_down(self) -> None:
        self.stop()
        self._reader.close()

    def describe(self) -> dict[str, Any]:
        """What to tell operators of this guest."""
        return {
            "file": self.file,
            "speed": "max" if math.isinf(self.speed) else self.speed,
            "loop": self.loop,
            "commands": self._commands,
            "offset": self.offset,
            "seconds": self._played_ns / 1e9,
            "passes": self.passes,
            "ended": self._ended,
            "trouble": self.trouble,
            "not_drawn": dict(self._player.not_drawn) if self._player is not None else {},
        }

    @property
    def offset(self) -> int:
        """Where in the plain trace the next record is."""
        here = self._reader.offset if self._next is None else self._next.offset
        return max(here, self._wanted_offset)

    # playing

    def _set_clock(self) -> None:
        """What was played up to now is due now."""
        self._began = self._clock.seconds() - self._played_ns / 1e9 / self.speed

    def _keep_time(self) -> None:
        """Count what has passed of the time until the next record."""
        if self._next is not None and math.isfinite(self.speed) and not self._wanted_offset:
            passed_ns = int((self._clock.seconds() - self._began) * self.speed * 1e9)
            self._played_ns = max(self._played_ns, min(passed_ns, self._next.time - self._first_ns))

    def _wait(self, seconds: float) -> None:
        self._timer = self._clock.callLater(seconds, self._work)

    def _work(self) -> None:
        """Play what is due, but not for long at a time."""
        self._timer = None
        until = self._clock.seconds() + SLICE_SECONDS
        try:
            delay = self._seek(until) if self._wanted_offset else self._play(until)
        except TraceError as error:
            self._end(str(error))
            delay = None
        self._player.flush()
        if delay is not None:
            self._wait(delay)

    def _seek(self, until: float) -> float:
        self._next = None
        while not self._reader.skip_to(self._wanted_offset):
            if self._clock.seconds() >= until:
                return 0
        self._wanted_offset = 0
        self._set_clock()
        return 0

    def _play(self, until: float) -> float | None:
        """Play; how long to wait for what comes next, None if nothing does."""
        now = self._clock.seconds()
        for count in range(1, SLICE_COMMANDS + 1):
            record = self._next or self._reader.next()
            self._next = record
            if record is None:
                return self._at_end()
            due_ns = max(record.time - self._first_ns, self._played_ns)
            wait = self._began + due_ns / 1e9 / self.speed - now
            if wait > 0:
                return wait
            if wait < -LATE_SECONDS:
                self._began -= wait + LATE_SECONDS
            self._player.play(record)
            self._next = None
            self._commands += record.is_command
            self._played_ns = due_ns
            if count % 8 == 0:
                now = self._clock.seconds()
                if now >= until:
                    break
        return 0

    def _at_end(self) -> float | None:
        self.passes += 1
        if not self.loop or not self._commands:
            self._end("")
            return None
        self._reader.close()
        self._player.flush()
        device = self._player.device
        device.cursor_command(CursorReset())
        for surface in device.surfaces():
            device.destroy_surface(surface.id)
        self._rewind()
        self._set_clock()
        return 0

    def _end(self, trouble: str) -> None:
        self._ended = True
        self.trouble = trouble
        if trouble:
            self._log.error("{file} is not played any further: {trouble}", file=self.file, trouble=trouble)

    # inputs, which nobody answers

    def key_down(self, code: int) -> None:
        pass

    def key_up(self, code: int) -> None:
        pass

    def modifiers(self, mask: int) -> int:
        return mask & 7

    def pointer_moved(self, dx: int, dy: int, buttons: int) -> None:
        pass

    def pointer_set(self, x: int, y: int, buttons: int, display: int) -> None:
        pass

    def button_pressed(self, button: int, buttons: int) -> None:
        pass

    def button_released(self, button: int, buttons: int) -> None:
        pass

    # state

    def export_state(self) -> bytes:
        return TraceState(
            version=STATE_VERSION,
            file_size=self._size,
            head_sha256=self._head,
            offset=self.offset,
            commands=self._commands,
            played_ns=self._played_ns,
            passes=self.passes,
            ended=int(self._ended),
        ).pack()

    def restore(self, state: bytes) -> None:
        told = TraceState.unpack(state)
        if told.version > STATE_VERSION:
            raise GuestError(f"a trace guest of state version {told.version} is newer than {STATE_VERSION}")
        if (told.file_size, bytes(told.head_sha256)) != (self._size, self._head):
            raise GuestError(f"{self.file} is not the trace that was played at the source")
        if told.offset != self.offset:
            self._wanted_offset = told.offset
        self._commands = told.commands
        self._played_ns = told.played_ns
        self.passes = told.passes
        self._ended = bool(told.ended)


@implementer(IPlugin, IGuestMaker)
class TraceGuestMaker:
    """Makes trace guests."""

    kind = "trace"
    options = OPTIONS
    state_version = STATE_VERSION

    def make(self, settings: Mapping[str, Any], clock: Any) -> TraceGuest:
        return TraceGuest(settings, clock)

    def same_settings(self, settings: Mapping[str, Any]) -> dict[str, str]:
        file = filled(OPTIONS, settings)["file"]
        if not file:
            return {}
        try:
            size, head = fingerprint(file)
        except TraceError:
            return {}
        return {"[trace] file": f"{size} bytes, SHA-256 of the head {head.hex()[:16]}"}
