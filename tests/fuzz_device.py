# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Gives a QXL device what no honest guest would: garbage in rings, slots, ports and commands.

``python -m tests.fuzz_device --cases 1000000`` runs so many; every round of them has a
device and dice of its own, so that ``--seed S --first R --cases 1`` repeats round R,
which failed. With ``--sanitize`` the kernels are built with the address and
undefined-behaviour sanitizers first, and all memory comes from malloc. A case
is one command, port, or change of a ring; after each round the device must still draw
what an honest guest asks for.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

if "SPICEMIG_KERNELS" in os.environ:  # the kernels built by build_sanitized, before anything uses others
    _spec = importlib.util.spec_from_file_location("spicemig._kernels", os.environ["SPICEMIG_KERNELS"])
    assert _spec is not None and _spec.loader is not None
    _kernels = sys.modules["spicemig._kernels"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_kernels)
    assert hasattr(_kernels, "copy_rect")

from spicemig.channels.display import DisplayCore
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.devices.card_size import CardSize
from spicemig.devices.cursor import CursorHide, CursorMove, CursorSet, CursorShape, CursorTrail
from spicemig.devices.drawables import Batch
from spicemig.devices.guest_layout import (
    COMMAND_RING_OFFSET,
    CURSOR_RING_OFFSET,
    LOG_BYTES,
    RAM_HEADER_BYTES,
    Command,
    Port,
)
from spicemig.devices.qxl import QXLDevice
from spicemig.session.settings import SessionSettings
from spicemig.testing.drawings import Drawings
from spicemig.testing.qxl_driver import DriverError, GuestDriver
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.drawing import Rect
from spicemig.wire.framing import Deframer, frame
from spicemig.wire.messages import base
from spicemig.wire.messages.display import Head, Init, MonitorsConfig

TOP = Path(__file__).resolve().parent.parent
ROUND_CASES = 500
PROGRESS_CASES = 100_000
SIZE = CardSize(ram_bytes=512 << 10, vram_bytes=128 << 10, surface0_bytes=64 << 10)
SCREEN = (96, 64)
OFF_SCREEN = {
    1: (40, 30, 32),
    2: (33, 21, 96),
    3: (30, 30, 80),
    4: (17, 9, 8),
    5: (23, 11, 16),
    6: (21, 8, 1),
}
WORDS = (0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
WORDS += (0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)


class HostileDriver(GuestDriver):
    """A driver that, now and then, spoils what it writes into memory."""

    spoiling = 0.0

    def _put(self, data: bytes) -> int:
        if self.spoiling and self.dice is not None and self.dice.random() < self.spoiling:
            data = self.spoiled(data)
        return super()._put(data)

    def spoiled(self, data: bytes) -> bytes:
        """The same with a few bytes changed."""
        assert self.dice is not None
        dice, changed = self.dice, bytearray(data)
        for _change in range(dice.choice((1, 1, 1, 2, 4))):
            size = dice.choice((1, 2, 4, 8))
            if len(changed) < size:
                continue
            at = dice.randrange(len(changed) - size + 1)
            if size == 8:
                value = self.address()
            elif dice.random() < 0.7:
                value = dice.choice(WORDS)
            else:
                value = dice.getrandbits(32)
            changed[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        return bytes(changed)

    def address(self) -> int:
        """Somewhere; most likely in memory, or at the edge of it."""
        assert self.dice is not None
        dice = self.dice
        chance = dice.random()
        memory = self.main if dice.random() < 0.8 else self.video
        if chance < 0.6:
            return memory.high_bits + dice.randrange(memory.size)
        if chance < 0.8:
            return memory.high_bits + max(memory.size - dice.randrange(300), 0)
        if chance < 0.9:
            return dice.getrandbits(64)
        return memory.high_bits + dice.choice(WORDS) + (dice.choice((0, 1, 255)) << 48)


class ClientDisplay:
    """A client's display channel, whose client only acknowledges."""

    def __init__(self, device: QXLDevice) -> None:
        self._device = device
        settings = SessionSettings(image_compression="off")
        caps = frozenset((DisplayCap.MONITORS_CONFIG, DisplayCap.COMPOSITE, DisplayCap.A8_SURFACE))
        self._core = DisplayCore(pixmap_cache=PixmapCache(), settings=settings, caps=caps)
        self._deframer = Deframer("display", "client", True)
        self._window = self._unacknowledged = 0
        self._core.start(0.0)
        self._say(Init(1, 10000, 1, 0), base.AckSync(1))

    def _say(self, *messages: Any) -> None:
        for message in messages:
            for _event in self._core.receive(b"".join(frame(message, True, 0))):
                pass

    def _work(self) -> None:
        while jobs := self._core.jobs():
            for job in jobs:
                self._core.encoded(job, job.run())
        for surface_id, rects in self._core.take_owed().items():
            self._core.repaint(self._device.render(surface_id), rects)
        for sent in self._deframer.feed(b"".join(self._core.data_to_send())):
            if sent.number == base.SetAck.number:
                self._window = base.SetAck.unpack(sent.body).window
            self._unacknowledged += 1
            if self._window and self._unacknowledged >= self._window:
                self._unacknowledged -= self._window
                self._say(base.Ack())

    def surface_created(self, surface: Any) -> None:
        """Of :class:`IDisplay`."""
        self._core.surface_created(surface, primary=surface.id == 0)
        self._work()

    def surface_destroyed(self, surface_id: int) -> None:
        """Of :class:`IDisplay`."""
        self._core.surface_destroyed(surface_id)
        self._work()

    def monitors(self, config: Any) -> None:
        """Of :class:`IDisplay`."""
        self._core.monitors(config)
        self._work()

    def drawables(self, batch: Batch) -> None:
        """Of :class:`IDisplay`."""
        self._core.drawables(batch)
        self._work()

    def cursor(self, command: Any) -> None:
        """Of :class:`IDisplay`."""


class Round:
    """Some cases with one device."""

    def __init__(self, seed: int, number: int) -> None:
        self.dice = random.Random(f"{seed} {number}")
        self.device = QXLDevice()
        self.device.add_display(ClientDisplay(self.device))
        self.card = self.device.plug(SIZE)
        self.counts: Counter[str] = Counter()
        self._cases = (
            (self._spoiled_drawing, 20),
            (self._spoiled_other, 3),
            (self._garbage_command, 8),
            (self._ring, 2),
            (self._port, 3),
            (self._scribble, 2),
            (self._drawing, 1),
        )
        self._begin()

    def _begin(self) -> None:
        self.driver = HostileDriver(self.card, dice=self.dice)
        self.driver.create_primary(*SCREEN)
        for id, (width, height, format) in OFF_SCREEN.items():
            self.driver.create_surface(id, width, height, format)
        sizes = {id: (width, height) for id, (width, height, _format) in OFF_SCREEN.items()}
        self.drawings = Drawings(self.dice, {0: SCREEN, **sizes})

    def run(self, cases: int) -> None:
        """Run so many; then the device must draw for an honest guest."""
        functions, weights = zip(*self._cases, strict=True)
        for function in self.dice.choices(functions, weights, k=cases):
            self.counts[function.__name__[1:]] += 1
            try:
                function()
            except DriverError:  # a guest begins again then
                self._restart()
            if self.driver.held > 300 or (self._is_bare() and self.dice.random() < 0.2):
                self._restart()
        self._move()
        self._prove()

    def _is_bare(self) -> bool:
        """Whether nearly every command is impossible now."""
        return 0 not in self.card.backings or self.card.slots.slots[1] is None or len(self.card.backings) < 3

    def _restart(self) -> None:
        self.card.write(Port.RESET)
        self._begin()

    def _move(self) -> None:
        """Whatever the guest has made of the device can go to another host."""
        device = QXLDevice()
        self.device.begin_precopy()
        while blocks := self.device.next_round(1 << 18):
            for block in blocks:
                device.apply_block(block)
        state = self.device.export_state()
        device.restore(state)
        assert device.card is not None and device.export_state() == state
        for surface in self.device.surfaces():
            if device.render(surface.id).pixels != self.device.render(surface.id).pixels:
                raise AssertionError(f"surface {surface.id} has not arrived")
        device.add_display(ClientDisplay(device))
        device.resume()
        self.device, self.card = device, device.card

    def _prove(self) -> None:
        self._restart()
        other = QXLDevice()
        other.create_primary(*SCREEN)
        for id, (width, height, format) in OFF_SCREEN.items():
            other.create_surface(id, width, height, format)
        mistakes = self.card.mistakes
        for _drawing in range(10):
            message = self.drawings.drawing()
            self.driver.draw(message)
            other.draw(Batch.of([message]))
        if self.card.mistakes != mistakes:
            raise AssertionError("the device does not take good commands any more")
        for surface in other.surfaces():
            if self.device.render(surface.id).pixels != other.render(surface.id).pixels:
                raise AssertionError(f"surface {surface.id} is not drawn right any more")

    # the cases

    def _drawing(self) -> None:
        self.driver.draw(self.drawings.drawing())

    def _spoiled_drawing(self) -> None:
        self.driver.compresses = self.dice.random() < 0.3
        self.driver.spoiling = self.dice.choice((0.1, 0.2, 0.5))
        try:
            self.driver.draw(self.drawings.drawing(), effect=self.dice.choice((0, 1, 1, 1, 7)))
        finally:
            self.driver.spoiling = 0.0

    def _spoiled_other(self) -> None:
        dice, driver = self.dice, self.driver
        driver.spoiling = dice.choice((0.1, 0.3, 0.6))
        try:
            match dice.randrange(8):
                case 0:
                    data = dice.randbytes(dice.choice((64, 128, 512, 1088, 2048)))
                    shape = CursorShape(dice.getrandbits(64), dice.randrange(7), 16, 16, 3, 3, data)
                    driver.cursor(CursorSet(1, 2, True, shape))
                case 1:
                    driver.cursor(dice.choice((CursorMove(3, 4), CursorHide(), CursorTrail(2, 30))))
                case 2 | 3:
                    width, height = dice.randrange(1, 60), dice.randrange(1, 60)
                    driver.create_surface(
                        dice.randrange(1, 12), width, height, dice.choice((1, 8, 16, 32, 80))
                    )
                case 4:
                    driver.destroy_surface(dice.randrange(1, 12))
                case 5:
                    driver.update(dice.randrange(8), Rect(0, 0, 20, 20), dice.getrandbits(32))
                case 6:
                    driver.message(dice.randbytes(dice.randrange(30)))
                case 7:
                    heads = [Head(0, 0, *SCREEN, 0, 0)] * dice.randrange(1, 4)
                    driver.set_monitors(MonitorsConfig(max_allowed=4, heads=heads))
        finally:
            driver.spoiling = 0.0

    def _garbage_command(self) -> None:
        driver, dice = self.driver, self.dice
        ring = COMMAND_RING_OFFSET if dice.random() < 0.8 else CURSOR_RING_OFFSET
        kind = dice.choice(list(Command)) if dice.random() < 0.95 else dice.choice(WORDS)
        driver.push(driver.address(), kind, ring)

    def _ring(self) -> None:
        driver, dice = self.driver, self.dice
        begin = 0 if dice.random() < 0.2 else 12 + LOG_BYTES
        at = dice.randrange(begin, RAM_HEADER_BYTES - 2700)
        struct.pack_into("<I", driver.header, at, dice.choice(WORDS))
        self.card.write(
            dice.choice((Port.NOTIFY_CMD, Port.NOTIFY_CURSOR, Port.NOTIFY_OOM, Port.FLUSH_RELEASE))
        )

    def _port(self) -> None:
        driver, dice = self.driver, self.dice
        chance = dice.random()
        if chance < 0.3:
            at = dice.randrange(5256, 5348)
            struct.pack_into("<I", driver.header, at, dice.choice(WORDS))
        elif chance < 0.5:
            left, top = dice.randrange(-5, 120), dice.randrange(-5, 120)
            area = Rect(top, left, top + dice.randrange(-3, 90), left + dice.randrange(-3, 90))
            driver.arguments(update_surface=dice.randrange(9), update_area=area)
        port = dice.randrange(28) if dice.random() < 0.95 else dice.getrandbits(8)
        if port in (Port.RESET, Port.SET_MODE) and dice.random() < 0.9:
            port = Port.UPDATE_AREA
        self.card.write(port, dice.choice((0, 0, 0, 1, 2, 3, dice.choice(WORDS))))

    def _scribble(self) -> None:
        memory = self.dice.choice((self.driver.main, self.driver.video))
        data = self.dice.randbytes(self.dice.choice((4, 64, 4096)))
        at = self.dice.randrange(memory.size - len(data))
        memory.view(memory.high_bits + at, len(data))[:] = data


def build_sanitized() -> Path:
    """The kernels with sanitizers; where they are."""
    made = TOP / "build" / "sanitized" / "_kernels.so"
    made.parent.mkdir(parents=True, exist_ok=True)
    include = subprocess.check_output(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('include'))"], text=True
    ).strip()
    sources = sorted(str(path) for path in (TOP / "spicemig" / "_kernels").glob("*.c"))
    options = "-std=c11 -O1 -g -fPIC -shared -fno-omit-frame-pointer -fno-sanitize-recover=undefined".split()
    sanitizers = ["-fsanitize=address,undefined", "-DPy_LIMITED_API=0x030b0000", f"-I{include}"]
    subprocess.run(["gcc", *options, *sanitizers, *sources, "-lm", "-o", str(made)], check=True)
    return made


def sanitized_environment(kernels: Path) -> dict[str, str]:
    """In which an interpreter runs with those kernels."""
    libraries = [
        subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return {
        **os.environ,
        "SPICEMIG_KERNELS": str(kernels),
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def fuzz(seed: int, cases: int, *, first: int = 0, seconds: float | None = None) -> Counter[str]:
    """Run rounds until there were so many cases, or so much time; how many there were of each kind."""
    counts: Counter[str] = Counter()
    began = time.monotonic()
    number = first
    while counts.total() < cases and (seconds is None or time.monotonic() - began < seconds):
        one = Round(seed, number)
        try:
            one.run(min(ROUND_CASES, cases) if cases > 1 else ROUND_CASES)
        except BaseException:
            print(f"round {number} of seed {seed}, after {one.counts.total()} cases", file=sys.stderr)
            raise
        counts += one.counts
        number += 1
        if seconds is None and counts.total() % PROGRESS_CASES < ROUND_CASES:
            print(f"{counts.total()} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return counts


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the round to begin with")
    parser.add_argument("--sanitize", action="store_true", help="with kernels built for ASan and UBSan")
    asked = parser.parse_args()
    if asked.sanitize:
        rest = [argument for argument in sys.argv[1:] if argument != "--sanitize"]
        command = [sys.executable, "-m", "tests.fuzz_device", *rest]
        sys.exit(subprocess.call(command, env=sanitized_environment(build_sanitized()), cwd=TOP))
    began = time.monotonic()
    counts = fuzz(asked.seed, asked.cases, first=asked.first)
    taken = time.monotonic() - began
    print(f"{counts.total()} cases in {taken:.1f} s, {counts.total() / taken:.0f} a second, no fault")
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common()))


if __name__ == "__main__":
    main()
