# SPDX-License-Identifier: LGPL-2.1-or-later
"""State that moves from host to host."""

import struct
from typing import Annotated

from twisted.trial.unittest import SynchronousTestCase

import spicemig.channels.cursor
import spicemig.channels.inputs
import spicemig.channels.main  # noqa: F401  (declares its state)
from spicemig.errors import WireError
from spicemig.state import STATES, carried, local, session_state
from spicemig.wire.declare import Counted, u8, u16


@session_state(magic=b"TEST", version=2)
class Example:
    """State with an old layout and a new one."""

    count: u16 = carried(default=7)
    names: Annotated[list[u8], Counted(u8)] = carried(factory=list, since=2)
    scratch: dict = local(factory=dict, why="only this host can use it")


class DeclarationTests(SynchronousTestCase):
    """What a declaration must say."""

    def test_undecided_field(self):
        """A field that is neither carried nor local fails when its module is imported."""
        with self.assertRaisesRegex(TypeError, "neither carried nor local"):

            @session_state()
            class Undecided:
                count: u16 = 0

    def test_field_without_a_value(self):
        """So does one that has an annotation only."""
        with self.assertRaisesRegex(TypeError, "neither carried nor local"):

            @session_state()
            class Bare:
                count: u16

    def test_local_says_why(self):
        """What stays behind has a reason."""
        with self.assertRaises(TypeError):
            local(default=0, why="")

    def test_undeclared_name(self):
        """Setting a name that was not declared fails at once."""
        with self.assertRaises(AttributeError):
            Example().cuont = 1

    def test_unknown_version(self):
        """A field cannot be carried since a version that does not exist."""
        with self.assertRaisesRegex(TypeError, "since a version"):

            @session_state(magic=b"TEST", version=1)
            class Future:
                count: u16 = carried(default=0, since=2)

    def test_constructor(self):
        """Fields are given by place or name, once; those left out have their defaults, made anew."""
        self.assertEqual(Example(1, [2]), Example(count=1, names=[2]))
        self.assertEqual(Example().count, 7)
        self.assertIsNot(Example().names, Example().names)
        for wrong in (lambda: Example(1, count=1), lambda: Example(other=1), lambda: Example(1, [], {}, 4)):
            self.assertRaises(TypeError, wrong)

    def test_repr(self):
        """A state shows its fields."""
        self.assertEqual(repr(Example(1)), "Example(count=1, names=[], scratch={})")


class BlockTests(SynchronousTestCase):
    """Blocks of state."""

    def test_round_trip(self):
        """What is carried arrives, what is local begins anew."""
        state = Example(3, [1, 2], {"here": 1})
        self.assertEqual(Example.restore(state.export_state()), Example(3, [1, 2], {}))

    def test_layout(self):
        """A block begins with magic and version, as SPICE's do."""
        self.assertEqual(Example(3, [9]).export_state(), b"TEST" + struct.pack("<IHBB", 2, 3, 1, 9))

    def test_older_layout(self):
        """An older block can be made, and is understood; fields it has not get their defaults."""
        old = Example(3, [9]).export_state(version=1)
        self.assertEqual(old, b"TEST" + struct.pack("<IH", 1, 3))
        self.assertEqual(Example.restore(old), Example(3, []))

    def test_newer_version(self):
        """A version above one's own is refused."""
        block = b"TEST" + struct.pack("<IHB", 3, 0, 0)
        with self.assertRaisesRegex(WireError, "version 3"):
            Example.restore(block)
        self.assertRaises(WireError, Example.restore, b"TEST" + struct.pack("<IHB", 0, 0, 0))

    def test_other_magic(self):
        """So is what is another kind of block."""
        self.assertRaises(WireError, Example.restore, b"MNMD" + struct.pack("<IHB", 2, 0, 0))

    def test_every_declared_state(self):
        """Every state of the program survives a round trip, and no truncation of it is taken for one."""
        for state_type in STATES:
            if state_type.__module__.startswith("tests."):
                continue
            try:
                state = state_type()
            except TypeError:
                continue  # it has no state to begin with
            block = state.export_state()
            self.assertEqual(state_type.restore(block).export_state(), block, state_type.__qualname__)
            for length in range(len(block)):
                self.assertRaises(WireError, state_type.restore, block[:length])
