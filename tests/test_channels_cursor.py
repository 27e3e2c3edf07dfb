# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cursor channel."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.core import LeavingStage
from spicemig.channels.cursor import REPLACES, CursorCore
from spicemig.channels.cursor_cache import CURSOR_CACHE_SIZE, CursorCache
from spicemig.devices import cursor as device
from spicemig.errors import WireError
from spicemig.testing.channels import framed, sent
from spicemig.wire.drawing import Cursor, CursorHeader, Point16
from spicemig.wire.enums import CursorFlags
from spicemig.wire.messages import base, cursor

PIXELS = b"\x11\x22\x33\xff"


def shape(number):
    """A cursor of one pixel."""
    return device.CursorShape(number, 0, 1, 1, 0, 0, PIXELS)


def packed(number, flags):
    """The same as the client is told."""
    data = b"" if flags & CursorFlags.FROM_CACHE else PIXELS
    return Cursor(flags, CursorHeader(number, 0, 1, 1, 0, 0), data)


def settled(**state):
    """A channel that has said its first messages."""
    core = CursorCore()
    core.start(0.0)
    core.init(device.CursorState(**{"visible": True, **state}))
    core.data_to_send()
    return core


def place(x, y):
    return Point16(x, y)


class InitTests(SynchronousTestCase):
    """What a new client is shown."""

    def test_no_cursor(self):
        """A guest without a cursor has none at the client."""
        core = CursorCore()
        core.start(0.0)
        core.init(device.CursorState())
        init = cursor.Init(place(0, 0), 0, 0, 0, Cursor(CursorFlags.NONE))
        self.assertEqual(sent(core), [base.SetAck(1, 20), init])

    def test_present_cursor(self):
        """The present cursor is shown where it is, and kept by the client."""
        core = CursorCore()
        core.start(0.0)
        core.init(device.CursorState(shape(5), 3, 4, True, 1, 2))
        self.assertEqual(sent(core)[1], cursor.Init(place(3, 4), 1, 2, 1, packed(5, CursorFlags.CACHE_ME)))


class CommandTests(SynchronousTestCase):
    """Each command has its message."""

    def run_commands(self, core, *commands):
        for command in commands:
            core.command(command)
        return sent(core)

    def test_all(self):
        """Set, move, hide, trail and reset."""
        found = self.run_commands(
            settled(),
            device.CursorSet(1, 2, True, shape(5)),
            device.CursorMove(3, 4),
            device.CursorHide(),
            device.CursorTrail(5, 6),
            device.CursorReset(),
        )
        self.assertEqual(
            found,
            [
                cursor.Set(place(1, 2), 1, packed(5, CursorFlags.CACHE_ME)),
                cursor.Move(place(3, 4)),
                cursor.Hide(),
                cursor.Trail(5, 6),
                cursor.Reset(),
            ],
        )

    def test_invisible(self):
        """A cursor that is set but not visible does not show."""
        found = self.run_commands(settled(), device.CursorSet(1, 2, False, shape(5)), device.CursorHide())
        self.assertEqual([type(message) for message in found], [cursor.Set, cursor.Hide])

    def test_after_reset(self):
        """After a reset the client needs a new Init; before there is a shape nothing is said."""
        core = settled()
        self.run_commands(core, device.CursorReset())
        quiet = (device.CursorMove(1, 1), device.CursorHide(), device.CursorTrail(1, 2))
        self.assertEqual(self.run_commands(core, *quiet), [])
        (init,) = self.run_commands(core, device.CursorSet(7, 8, True, shape(5)))
        self.assertEqual(init, cursor.Init(place(7, 8), 1, 2, 1, packed(5, CursorFlags.CACHE_ME)))

    def test_client_leads(self):
        """In client mouse mode the guest's moves only show a hidden cursor."""
        core = settled()
        core.client_leads = True
        self.assertEqual(self.run_commands(core, device.CursorMove(1, 1)), [])
        found = self.run_commands(core, device.CursorHide(), device.CursorMove(2, 2))
        self.assertEqual(found, [cursor.Hide(), cursor.Move(place(2, 2))])


class CacheTests(SynchronousTestCase):
    """Shapes that the client keeps."""

    def set(self, core, number):
        core.command(device.CursorSet(0, 0, True, shape(number)))
        return sent(core)

    def acknowledge(self, core):
        list(core.receive(framed(base.AckSync(1)) + framed(base.Ack()) * 30))

    def test_known_shape(self):
        """A shape is sent once, then only named."""
        core = settled()
        self.set(core, 5)
        self.assertEqual(self.set(core, 5), [cursor.Set(place(0, 0), 1, packed(5, CursorFlags.FROM_CACHE))])

    def test_nameless_shape(self):
        """A shape without a name is sent whenever it is set."""
        core = settled()
        for _ in range(2):
            self.assertEqual(self.set(core, 0), [cursor.Set(place(0, 0), 1, packed(0, CursorFlags(0)))])
        self.assertEqual(core.state.cached_ids, [])

    def test_full(self):
        """The shape that was not used longest is forgotten, by both sides."""
        core = settled()
        for number in range(1, CURSOR_CACHE_SIZE + 1):
            self.set(core, number)
            self.acknowledge(core)
        self.set(core, 1)
        found = self.set(core, 9999)
        self.assertEqual(found[0], cursor.InvalOne(2))
        self.assertEqual(len(core.state.cached_ids), CURSOR_CACHE_SIZE)

    def test_carried(self):
        """At the target the client still has its shapes: it is sent none again, and none is taken away."""
        source = settled()
        self.set(source, 5)
        self.set(source, 6)
        source.freeze()
        target = CursorCore(arriving=True)
        target.restore(source.export_state())
        list(target.take_held())
        self.assertEqual(sent(target), [base.SetAck(2, 20)])
        self.assertEqual(self.set(target, 5), [cursor.Set(place(0, 0), 1, packed(5, CursorFlags.FROM_CACHE))])

    def test_impossible_cache(self):
        """A state with more shapes than a cache holds, or one of them twice, is refused."""
        for ids in ([1, 1], list(range(CURSOR_CACHE_SIZE + 1))):
            source = settled()
            source.state.cached_ids = ids
            self.assertRaises(WireError, CursorCore(arriving=True).restore, source.export_state())

    def test_order(self):
        """Using a shape keeps it."""
        cache = CursorCache([])
        for number in range(CURSOR_CACHE_SIZE):
            self.assertIsNone(cache.add(number))
        self.assertTrue(cache.use(0))
        self.assertEqual(cache.add(1000), 1)
        self.assertFalse(cache.use(1))
        cache.clear()
        self.assertFalse(cache.use(0))


class WaitingTests(SynchronousTestCase):
    """A client that is too far behind."""

    def behind(self):
        core = settled()
        while core.window_open:
            core.command(device.CursorMove(1, 1))
        core.data_to_send()
        return core

    def test_later_replaces_earlier(self):
        """Only what still matters is sent when the client has caught up."""
        core = self.behind()
        for x in range(100):
            core.command(device.CursorMove(x, x))
            core.command(device.CursorSet(x, x, True, shape(1 + x)))
            core.command(device.CursorTrail(x, x))
            core.command(device.CursorMove(x, 0))
        self.assertEqual(core.data_to_send(), [])
        list(core.receive(framed(base.AckSync(1)) + framed(base.Ack())))
        self.assertEqual(
            sent(core),
            [
                cursor.Set(place(99, 99), 1, packed(100, CursorFlags.CACHE_ME)),
                cursor.Trail(99, 99),
                cursor.Move(place(99, 0)),
            ],
        )
        self.assertEqual(core.state.cached_ids, [100])

    def test_bounded(self):
        """Whatever the order of commands, at most four wait."""
        core = self.behind()
        commands = {
            "CursorSet": device.CursorSet(0, 0, True, shape(1)),
            "CursorMove": device.CursorMove(0, 0),
            "CursorHide": device.CursorHide(),
            "CursorTrail": device.CursorTrail(0, 0),
            "CursorReset": device.CursorReset(),
        }
        self.assertEqual(set(commands), set(REPLACES))
        for first in commands.values():
            for second in commands.values():
                for third in commands.values():
                    for command in (first, second, third):
                        core.command(command)
                    self.assertLessEqual(len(core._pending), 4)

    def test_leaving(self):
        """A channel that stands still has sent what waited: the target begins with nothing waiting."""
        core = self.behind()
        core.command(device.CursorHide())
        core.freeze()
        self.assertEqual(sent(core), [cursor.Hide()])
        self.assertIs(core.stage, LeavingStage.FROZEN)

    def test_full_transport(self):
        """Commands wait for a transport that takes no more, too."""
        core = settled()
        core.transport_paused = True
        core.command(device.CursorMove(1, 1))
        self.assertEqual(core.data_to_send(), [])
        core.transport_paused = False
        self.assertEqual(sent(core), [cursor.Move(place(1, 1))])
