# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.memory`` and ``rings``: what a guest says of addresses is not believed."""

from __future__ import annotations

import random
import struct

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.guest_layout import COMMAND_RING_BYTES, RELEASE_RING_BYTES
from spicemig.devices.memory import PAGE, SLOTS, Bar, GuestMistake, MemorySlots, Place
from spicemig.devices.rings import RELEASE_BUNCH, CommandRing, ReleaseRing, reset_ring
from spicemig.wire.drawing import Rect

START = 0xC0000000


def address(slot: int, generation: int, offset: int) -> int:
    """As a driver makes it."""
    return slot << 56 | generation << 48 | offset


class SlotTests(SynchronousTestCase):
    """Addresses are places in a slot, or mistakes."""

    def setUp(self) -> None:
        self.bar = Bar(0, START, 4 * PAGE)
        self.other = Bar(1, 0xE0000000, 2 * PAGE)
        self.slots = MemorySlots((self.bar, self.other))
        self.slots.add(1, START + 100, START + 300)

    def test_inside(self) -> None:
        """Bytes of the slot are found, from its first to its last, and in the bar where it lies."""
        self.bar.view[100:300] = bytes(range(200))
        self.assertEqual(bytes(self.slots.view(address(1, 1, 0), 200)), bytes(range(200)))
        self.assertEqual(bytes(self.slots.view(address(1, 1, 199), 1)), b"\xc7")
        self.assertEqual(len(self.slots.view(address(1, 1, 200), 0)), 0)
        self.assertEqual(self.slots.place(address(1, 1, 5), 1), Place(self.bar, 105))

    def test_outside(self) -> None:
        """A byte too many, another slot, a slot that cannot be, another generation: mistakes."""
        for wrong, size in (
            (address(1, 1, 200), 1),
            (address(1, 1, 0), 201),
            (address(1, 1, 199), 2),
            (address(1, 1, 0), 1 << 32),
            (address(1, 1, (1 << 48) - 1), 1),
            (address(1, 1, (1 << 48) - 1), 1 << 48),
            (address(1, 0, 0), 1),
            (address(1, 2, 0), 1),
            (address(0, 1, 0), 1),
            (address(2, 1, 0), 1),
            (address(SLOTS, 1, 0), 1),
            (address(255, 1, 0), 1),
        ):
            self.assertRaises(GuestMistake, self.slots.place, wrong, size)

    def test_every_place_is_in_memory(self) -> None:
        """Whatever address and size: a mistake, or exactly so many bytes of the slot."""
        dice = random.Random(1)
        found = 0
        for _try in range(20000):
            size = dice.choice((0, 1, 8, 100, dice.getrandbits(8), dice.getrandbits(32)))
            asked = address(
                dice.choice((1, 1, dice.getrandbits(8))), 1, dice.getrandbits(dice.choice((8, 48)))
            )
            try:
                place = self.slots.place(asked, size)
            except GuestMistake:
                continue
            found += 1
            self.assertTrue(100 <= place.offset <= place.offset + size <= 300)
            self.assertEqual(len(place.view(size)), size)
        self.assertGreater(found, 1000)

    def test_generations(self) -> None:
        """An address of a slot that was removed and added again is known to be an old one."""
        self.slots.remove(1)
        self.assertRaises(GuestMistake, self.slots.place, address(1, 1, 0), 1)
        self.slots.add(1, START, START + 8)
        self.assertRaises(GuestMistake, self.slots.place, address(1, 1, 0), 1)
        self.assertEqual(self.slots.place(address(1, 2, 0), 8), Place(self.bar, 0))

    def test_delta(self) -> None:
        """Addresses of a slot may begin with a number other than 0."""
        self.slots.add(0, START, START + 64, START)
        self.assertEqual(self.slots.place(address(0, 2, START + 10), 1), Place(self.bar, 10))
        self.assertRaises(GuestMistake, self.slots.place, address(0, 2, START - 1), 1)
        self.assertRaises(GuestMistake, self.slots.place, address(0, 2, 10), 1)

    def test_impossible_slots(self) -> None:
        """A slot lies in one bar, and its number is possible and free."""
        for number, start, end in (
            (1, START, START + 1),
            (8, START, START + 1),
            (1 << 32, START, START + 1),
            (2, START - 1, START + 1),
            (2, START, START + 4 * PAGE + 1),
            (2, START + 8, START + 7),
            (2, START, self.other.end),
            (2, 0, (1 << 64) - 1),
        ):
            self.assertRaises(GuestMistake, self.slots.add, number, start, end)
        self.slots.add(2, START, self.bar.end)
        self.slots.add(3, self.other.address, self.other.end)

    def test_records(self) -> None:
        """A record is read if all of it is in the slot."""
        self.bar.view[284:300] = Rect(1, 2, 3, 4).pack()
        self.assertEqual(self.slots.read(Rect, address(1, 1, 184)), Rect(1, 2, 3, 4))
        self.assertRaises(GuestMistake, self.slots.read, Rect, address(1, 1, 185))


class DirtyMemoryTests(SynchronousTestCase):
    """Memory is carried to another host page by page."""

    def test_pages(self) -> None:
        """What is not zero is dirty at first, later what was written to since."""
        bar = Bar(0, START, 600 * PAGE)
        bar.view[PAGE] = 1
        bar.watch()
        self.assertEqual(list(bar.dirty()), [(1, 1)])
        self.assertEqual(bar.carry(9), (1, b"\x01" + bytes(PAGE - 1)))
        self.assertEqual((list(bar.dirty()), bar.carry(9)), ([], None))
        for place in (2 * PAGE - 1, 2 * PAGE, 300 * PAGE, 600 * PAGE - 1):
            bar.view[place] = 7
        self.assertEqual(list(bar.dirty()), [(1, 2), (300, 1), (599, 1)])
        self.assertEqual([bar.carry(1)[0], bar.carry(5)[0]], [1, 2])  # type: ignore[index]
        bar.view[PAGE] = 2  # dirty again, before the rest is carried
        self.assertEqual([bar.carry(5)[0] for _ in range(3)], [300, 599, 1])  # type: ignore[index]
        self.assertEqual(list(bar.dirty()), [])
        bar.unwatch()
        self.assertEqual(list(bar.dirty()), [])


class CommandRingTests(SynchronousTestCase):
    """The consumer's side of a ring."""

    def setUp(self) -> None:
        self.view = memoryview(bytearray(COMMAND_RING_BYTES))
        reset_ring(self.view, 32)
        self.ring = CommandRing(self.view)

    def push(self, address: int, prod: int) -> None:
        """As a driver does."""
        struct.pack_into("<QII", self.view, 20 + prod % 32 * 16, address, 1, 0)
        struct.pack_into("<I", self.view, 4, prod + 1 & 0xFFFFFFFF)

    def test_order(self) -> None:
        """Commands come in order, also over the end of the ring and of its counters."""
        begin = 0xFFFFFFF0
        struct.pack_into("<5I", self.view, 0, 32, begin, 0, begin, 5000)
        for number in range(100):
            self.push(1000 + number, begin + number & 0xFFFFFFFF)
            self.assertEqual(self.ring.take(), (1000 + number, 1, False))
        self.assertIsNone(self.ring.take())

    def test_notification(self) -> None:
        """A ring found empty asks for a notification; a driver that waits for room is told."""
        self.assertIsNone(self.ring.take())
        self.assertEqual(struct.unpack_from("<I", self.view, 8), (1,))
        for number in range(32):
            self.push(number, number)
        struct.pack_into("<I", self.view, 16, 2)
        self.assertEqual([self.ring.take()[2] for _ in range(3)], [False, True, False])

    def test_impossible(self) -> None:
        """Positions that cannot be are a mistake, once; then the ring is empty and works."""
        for prod, cons in ((33, 0), (0, 1), (0x80000000, 0)):
            struct.pack_into("<5I", self.view, 0, 0xFFFFFFFF, prod, 0, cons, 0)
            self.assertRaises(GuestMistake, self.ring.take)
            self.assertIsNone(self.ring.take())
            self.push(77, prod)
            self.assertEqual(self.ring.take(), (77, 1, False))


class ReleaseRingTests(SynchronousTestCase):
    """Resources go back in lists."""

    def setUp(self) -> None:
        self.bar = Bar(0, START, PAGE)
        self.view = memoryview(bytearray(RELEASE_RING_BYTES))
        reset_ring(self.view, 8)
        self.ring = ReleaseRing(self.view)

    def release(self, number: int) -> bool:
        """Give the resource back that has 8 bytes at ``number``; its id is ``number`` + 1."""
        place = Place(self.bar, 8 * number)
        struct.pack_into("<Q", place.view(8), 0, number + 1)
        return self.ring.add(place)

    def taken(self) -> list[list[int]]:
        """What a driver finds, list by list."""
        _items, prod, _on_prod, cons, _on_cons = struct.unpack_from("<5I", self.view)
        lists = []
        while cons != prod:
            (id,) = struct.unpack_from("<Q", self.view, 20 + cons % 8 * 8)
            found = []
            while id:
                found.append(id)
                (id,) = struct.unpack_from("<Q", self.bar.view, 8 * (id - 1))
            lists.append(found)
            cons += 1
        struct.pack_into("<I", self.view, 12, cons)
        return lists

    def test_bunch(self) -> None:
        """A bunch is given at once, and the driver is told if it waits; before, nothing is given."""
        told = [self.release(number) for number in range(RELEASE_BUNCH)]
        self.assertEqual(told, [False] * (RELEASE_BUNCH - 1) + [True])
        self.assertEqual(self.taken(), [list(range(1, RELEASE_BUNCH + 1))])
        self.release(50)
        self.assertEqual(self.taken(), [])
        self.ring.push()
        self.assertEqual(self.taken(), [[51]])
        self.assertFalse(self.ring.push())

    def test_full(self) -> None:
        """While the ring is full resources are collected; none is lost."""
        for number in range(10):
            self.release(number)
            self.ring.push()
        first = self.taken()
        self.assertEqual(first, [[number] for number in range(1, 8)])
        self.ring.push()
        self.assertEqual(self.taken(), [[8, 9, 10]])

    def test_garbage_positions(self) -> None:
        """Whatever a guest writes into the ring, only the ring and its resources are written to."""
        dice = random.Random(4)
        for number in range(2000):
            struct.pack_into("<I", self.view, dice.randrange(0, RELEASE_RING_BYTES - 3), dice.getrandbits(32))
            self.release(number % 100)
            self.ring.push()
        self.assertEqual(bytes(self.bar.view[800:]), bytes(PAGE - 800))
