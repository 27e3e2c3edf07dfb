# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Device memory, and the slots through which a guest's driver names places in it.

An address has the slot's number in its top byte, the slot's generation in the
next, and a place in the slot in the other six. Everything that a guest says is
looked up here, and nothing here gives a byte that is not device memory.

Source: memslot.c of spice-server 0.15.1 and qxl.c of QEMU 7.2.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from spicemig.devices.guest_layout import size_of
from spicemig.errors import GuestError

SLOTS = 8
SLOT_ID_BITS = 8
SLOT_GENERATION_BITS = 8
_OFFSET_BITS = 64 - SLOT_ID_BITS - SLOT_GENERATION_BITS
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1

PAGE = 4096
_STEP = 256 * PAGE  # looked at together for what changed


class GuestMistake(GuestError):
    """A guest's driver asked for something impossible; it costs it this one command."""


class Bar:
    """
    Memory of the device that the guest sees at a physical address.

    ``data`` is the memory itself; the guest writes to it whenever it likes.
    """

    __slots__ = ("_carried", "_found", "address", "data", "number", "size", "view")

    def __init__(self, number: int, address: int, size: int) -> None:
        if size <= 0 or size % PAGE:
            raise ValueError(f"a bar of {size} bytes is not whole pages")
        self.number = number
        self.address = address
        self.size = size
        self.data = mmap.mmap(-1, size)
        self.view = memoryview(self.data)
        self._carried: mmap.mmap | None = None  # what another host has of it
        self._found: list[tuple[int, int]] = []  # dirty runs that were found and not carried yet

    @property
    def end(self) -> int:
        """The physical address behind it."""
        return self.address + self.size

    # what another host has

    def watch(self) -> None:
        """From now on know what another host, where all is zero, lacks."""
        self._carried = mmap.mmap(-1, self.size)
        self._found = []

    def unwatch(self) -> None:
        """Forget what it has."""
        self._carried = None

    def dirty(self) -> Iterator[tuple[int, int]]:
        """First page and number of pages of each run that differs from what the other host has."""
        if self._carried is None:
            return
        first = None
        for step in range(0, self.size, _STEP):
            end = min(step + _STEP, self.size)
            same = self.data[step:end] == self._carried[step:end]
            for page in (step,) if same else range(step, end, PAGE):
                if same or self.data[page : page + PAGE] == self._carried[page : page + PAGE]:
                    if first is not None:
                        yield first, page // PAGE - first
                        first = None
                elif first is None:
                    first = page // PAGE
        if first is not None:
            yield first, self.size // PAGE - first

    def carry(self, limit: int) -> tuple[int, bytes] | None:
        """
        At most so many pages side by side that the other host lacks: the first one, and their bytes.

        It has them from now on. None if it lacks nothing.
        """
        if not self._found:
            self._found = list(self.dirty())[::-1]  # a look at all memory is worth many calls
        if self._carried is None or not self._found:
            return None
        first, found = self._found.pop()
        count = min(found, limit)
        if count < found:
            self._found.append((first + count, found - count))
        begin, end = first * PAGE, (first + count) * PAGE
        data = self.data[begin:end]
        self._carried[begin:end] = data
        return first, data


class Place(NamedTuple):
    """Some bytes of a bar, which are known to be there."""

    bar: Bar
    offset: int

    def view(self, size: int) -> memoryview:
        """The bytes from here on; the caller knows that there are so many."""
        return self.bar.view[self.offset : self.offset + size]


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a bar; its addresses begin with ``delta``."""

    bar: Bar
    offset: int
    size: int
    delta: int
    generation: int


class MemorySlots:
    """The slots of one device, and its bars."""

    def __init__(self, bars: tuple[Bar, ...]) -> None:
        self.bars = bars
        self.slots: list[Slot | None] = [None] * SLOTS
        self.generation = 0  # of the slot that was added last

    @property
    def memory_bytes(self) -> int:
        """How much memory slots can name at all."""
        return sum(bar.size for bar in self.bars)

    def add(self, number: int, start: int, end: int, delta: int = 0) -> None:
        """Make a slot of what lies between two physical addresses."""
        if not 0 <= number < SLOTS:
            raise GuestMistake(f"there is no memory slot {number}")
        if self.slots[number] is not None:
            raise GuestMistake(f"memory slot {number} is in use")
        for bar in self.bars:
            if bar.address <= start <= end <= bar.end:
                break
        else:
            raise GuestMistake(f"{start:#x} to {end:#x} is not memory of the device")
        self.generation = (self.generation + 1) % (1 << SLOT_GENERATION_BITS)
        self.slots[number] = Slot(bar, start - bar.address, end - start, delta, self.generation)

    def remove(self, number: int) -> None:
        """Addresses in this slot mean nothing any more."""
        if not 0 <= number < SLOTS:
            raise GuestMistake(f"there is no memory slot {number}")
        self.slots[number] = None

    def clear(self) -> None:
        """Remove all slots."""
        self.slots = [None] * SLOTS

    def place(self, address: int, size: int) -> Place:
        """Where so many bytes are; raises :class:`GuestMistake` unless all of them are in the slot."""
        number = address >> 64 - SLOT_ID_BITS
        slot = self.slots[number] if number < SLOTS else None
        if slot is None:
            raise GuestMistake(f"{address:#x} is in no memory slot")
        if address >> _OFFSET_BITS & ((1 << SLOT_GENERATION_BITS) - 1) != slot.generation:
            raise GuestMistake(f"{address:#x} is of an earlier generation of its slot")
        offset = (address & _OFFSET_MASK) - slot.delta
        if not 0 <= offset <= slot.size - size:
            raise GuestMistake(f"{size} bytes at {address:#x} leave their memory slot")
        return Place(slot.bar, slot.offset + offset)

    def view(self, address: int, size: int) -> memoryview:
        """The bytes themselves; the guest may change them at any time."""
        return self.place(address, size).view(size)

    def rest(self, address: int, limit: int) -> memoryview:
        """All bytes from here to the end of the slot, but not more than ``limit``."""
        place = self.place(address, 0)
        slot = self.slots[address >> 64 - SLOT_ID_BITS]
        assert slot is not None
        return place.view(min(slot.offset + slot.size - place.offset, limit))

    def read(self, declared: Any, address: int) -> Any:
        """A record without variable parts, as it is at this moment."""
        return declared.unpack(self.view(address, size_of(declared)))
