# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of how often etcd is tried, and what is logged of it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import EtcdError
from spicemig.etcd.contact import LAST_DELAY_SECONDS, Contact


class ContactTests(SynchronousTestCase):
    """Turns are taken one after the other, whatever becomes of each."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns: list[float] = []
        self.does: Callable[[], float | Deferred[float]] = lambda: 10.0
        self.contact = Contact(self.turn, self.clock)
        self.addCleanup(self.contact.stop)

    async def turn(self) -> float:
        self.turns.append(self.clock.seconds())
        found = self.does()
        seconds = await found if isinstance(found, Deferred) else found
        self.contact.kept("http://etcd")
        return seconds

    def fail(self) -> float:
        raise EtcdError("no route to host")

    def test_turns(self) -> None:
        """Each turn says when the next one is due."""
        self.contact.start()
        self.clock.pump([1.0] * 25)
        self.assertEqual(self.turns, [0.0, 10.0, 20.0])
        self.assertTrue(self.contact.connected)

    def test_wake(self) -> None:
        """Something has changed: the next turn is now, or follows upon the one under way."""
        self.contact.start()
        self.clock.advance(3)
        self.does = Deferred
        self.contact.wake()
        self.clock.advance(0)
        self.assertEqual(self.turns, [0.0, 3.0])
        waiting: Deferred[float] = Deferred()
        self.does = lambda: waiting
        self.contact.stop()
        self.contact.start()
        self.contact.wake()
        self.assertEqual(len(self.turns), 3)
        self.does = lambda: 10.0
        waiting.callback(10.0)
        self.clock.advance(0)
        self.assertEqual(len(self.turns), 4)

    def test_away(self) -> None:
        """While etcd is away it is tried less and less often, but never less than every few seconds."""
        self.does = self.fail
        self.contact.start()
        self.clock.pump([0.05] * 20 * 60)
        pauses = [later - earlier for earlier, later in zip(self.turns, self.turns[1:], strict=False)]
        self.assertLess(pauses[0], 0.4)
        self.assertLessEqual(max(pauses), LAST_DELAY_SECONDS + 0.1)
        self.assertGreater(min(pauses[6:]), LAST_DELAY_SECONDS / 2 - 0.1)

    def test_logged_once(self) -> None:
        """Loss and return are a line each, and the error is told for as long as it lasts."""
        with capturedLogs() as logged:
            self.contact.start()
            self.does = self.fail
            self.clock.pump([1.0] * 60)
            self.assertEqual((self.contact.connected, self.contact.error), (False, "no route to host"))
            self.does = lambda: 1.0
            self.clock.pump([1.0] * 60)
            self.assertEqual((self.contact.connected, self.contact.error), (True, ""))
        self.assertEqual(
            [event["log_format"] for event in logged],
            ["etcd answers at {endpoint}", "etcd is away: {error}", "etcd answers at {endpoint}"],
        )

    def test_quick_again(self) -> None:
        """After etcd was there, the first try is soon again."""
        self.does = self.fail
        self.contact.start()
        self.clock.pump([1.0] * 60)
        self.does = lambda: 100.0
        self.clock.pump([1.0] * 10)
        self.does = self.fail
        self.contact.wake()
        self.clock.advance(0)
        before = len(self.turns)
        self.clock.advance(0.3)
        self.assertEqual(len(self.turns), before + 1)

    def test_mistake(self) -> None:
        """An error that nobody has thought of is logged, and does not end it."""
        self.does = lambda: 1 // 0
        self.contact.start()
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertGreater(len(self.turns), 1)

    def test_stop(self) -> None:
        """It stops in the middle of a turn, and between turns; nothing comes afterwards."""
        cancelled: list[object] = []
        self.does = lambda: Deferred(cancelled.append)
        self.contact.start()
        self.contact.stop()
        self.assertEqual(len(cancelled), 1)
        self.does = lambda: 5.0
        self.contact.start()
        self.contact.stop()
        self.contact.wake()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(CancelledError), [])
