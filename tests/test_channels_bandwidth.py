# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast a line is, and how much of it may be filled."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import bandwidth, flow
from spicemig.channels.bandwidth import Bandwidth, BandwidthState
from spicemig.channels.flow import Flow
from spicemig.errors import WireError

MEGABIT = 1024 * 1024


class BandwidthTests(SynchronousTestCase):
    """A line is as fast as what went through it."""

    def test_unknown(self):
        """Before anything was measured a line is neither fast nor slow."""
        line = Bandwidth()
        self.assertIsNone(line.bits_per_second)
        self.assertIsNone(line.round_trip_seconds)
        self.assertIsNone(line.bytes_within(1.0))
        self.assertFalse(line.slow)

    def test_hysteresis(self):
        """A line is slow below 10 Mbit/s, and then until it has 15."""
        line = Bandwidth()
        seen = []
        for rate in (12, 9, 12, 14, 16, 12, 11):
            for _probe in range(bandwidth.MOST_DOUBTS):
                line.transferred(rate * MEGABIT // 8, 1.0, probe=True)
            seen.append(line.slow)
        self.assertEqual(seen, [False, True, True, True, False, False, False])

    def test_busy_client(self):
        """A client that is long about its drawings is not on a slow line, unless a probe takes long too."""
        line = Bandwidth()
        line.transferred(16_384, 0.001, probe=True)
        for _second in range(10):
            line.transferred(100_000, 1.0)
        self.assertEqual((line.questionable, line.slow), (True, False))
        for seconds, before, after in ((0.16, False, True), (0.001, True, False)):
            line.transferred(16_384, seconds, probe=True)
            self.assertEqual(line.slow, before)
            line.transferred(16_384, seconds, probe=True)
            self.assertEqual(line.slow, after)

    def test_settles(self):
        """A line that has changed is known to have within seconds, and a lump changes little."""
        line = Bandwidth()
        line.transferred(1_000_000, 0.1)
        for _second in range(30):
            line.transferred(10_000, 0.1)
        self.assertLess(abs(line.bits_per_second - 800_000), 120_000)
        line.transferred(10_000, 0.0)
        self.assertLess(line.bits_per_second, 1_200_000)

    def test_not_saturated(self):
        """Little traffic on a fast line does not make it slow; much on a slow one shows that it is not."""
        line = Bandwidth()
        line.transferred(1_000_000, 0.1)
        line.transferred(50_000, 10.0, saturated=False)
        self.assertEqual(line.bits_per_second, 80_000_000)
        slow = Bandwidth()
        slow.transferred(100_000, 1.0, probe=True)
        slow.transferred(1_000_000, 0.5, saturated=False)
        self.assertFalse(slow.slow)

    def test_small(self):
        """What is too small to tell tells nothing."""
        line = Bandwidth()
        line.transferred(100, 5.0)
        self.assertIsNone(line.bits_per_second)

    def test_round_trips(self):
        """The shortest of the last ones counts, and old ones are forgotten."""
        line = Bandwidth()
        line.round_trip(0.01)
        line.round_trip(0.3)
        self.assertEqual(line.round_trip_seconds, 0.01)
        for _again in range(bandwidth.ROUND_TRIPS):
            line.round_trip(0.2)
        self.assertEqual(line.round_trip_seconds, 0.2)

    def test_carried(self):
        """A target knows what its source knew; what no line can be is refused."""
        line = Bandwidth()
        line.transferred(100_000, 1.0, probe=True)
        line.round_trip(0.08)
        there = Bandwidth()
        there.restore_from(line.export_state())
        self.assertEqual((there.bits_per_second, there.round_trip_seconds, there.slow), (800_000, 0.08, True))
        there.restore_from(Bandwidth().export_state())
        self.assertEqual((there.bits_per_second, there.round_trip_seconds, there.slow), (None, None, False))
        for state in (BandwidthState(bits_per_second=1 << 60), BandwidthState(slow=2)):
            with self.assertRaises(WireError):
                there.restore_from(state.export_state())


class Line:
    """A line of a rate and a delay to a client that answers pings at once; time is simulated."""

    def __init__(self, rate: float, delay: float) -> None:
        self.rate, self.delay = rate, delay
        self.free_at = 0.0
        self.answers: list[tuple[float, int]] = []

    def carry(self, size: int, now: float) -> None:
        """Bytes go in."""
        self.free_at = max(self.free_at, now) + size / self.rate

    def ping(self, id: int) -> None:
        """A ping goes in behind them."""
        self.answers.append((self.free_at + 2 * self.delay, id))


def run(watch, line, seconds, sizes, *, want=1e12):
    """Send as much as the flow lets go, at most ``want`` bytes a second; the most that was on its way."""
    now, most, number, allowed = 0.0, 0, 0, 0.0
    while now < seconds:
        while line.answers and line.answers[0][0] <= now:
            assert watch.answered(line.answers.pop(0)[1], now)
        allowed = min(allowed + want * 0.005, want)
        while watch.open and allowed > 0:
            size = next(sizes)
            allowed -= size
            watch.count(size, now)
            line.carry(size, now)
            if watch.wants_ping(last=False):
                number += 1
                watch.pinged(number, now)
                line.ping(number)
        if watch.wants_ping(last=True, needed=True):
            number += 1
            watch.pinged(number, now)
            line.ping(number)
        most = max(most, watch.on_the_way)
        now += 0.005
    return most


def messages(seed=1):
    """Sizes of messages."""
    dice = random.Random(seed)
    while True:
        yield dice.choice((60, 200, 200, 900, 3000, 12000))


class FlowTests(SynchronousTestCase):
    """What is on its way is what the line needs, and little more."""

    def test_slow(self):
        """A line of 100 KB/s and 80 ms is found to be so, is kept busy, and never holds half a second."""
        watch = Flow(Bandwidth())
        watch.bandwidth.round_trip(0.08)
        line = Line(100_000, 0.04)
        run(watch, line, 3.0, messages())
        self.assertLess(abs(watch.bandwidth.bits_per_second - 800_000), 80_000)
        self.assertTrue(watch.bandwidth.questionable)
        before = watch.arrived
        line.answers.clear()
        watch.forget()
        line.free_at = 0.0
        most = run(watch, line, 5.0, messages(2))
        self.assertGreater(watch.arrived - before, 0.9 * 500_000)
        self.assertLess(most, 50_000)

    def test_fast(self):
        """A fast line is found to be so, from the little that may be sent first."""
        watch = Flow(Bandwidth())
        watch.bandwidth.round_trip(0.02)
        run(watch, Line(20_000_000, 0.01), 3.0, messages())
        self.assertGreater(watch.bandwidth.bits_per_second, 100_000_000)
        self.assertFalse(watch.narrow)

    def test_little_to_send(self):
        """A fast line that is hardly used stays fast, and a slow one slow."""
        for rate, slow in ((20_000_000, False), (100_000, True)):
            watch = Flow(Bandwidth())
            watch.bandwidth.round_trip(0.08)
            run(watch, Line(rate, 0.04), 1.0, messages())
            run(watch, Line(rate, 0.04), 20.0, messages(), want=rate / 4)
            self.assertEqual(watch.bandwidth.questionable, slow)

    def test_line_becomes_slow(self):
        """A line that gets slow is known to be within two seconds."""
        watch = Flow(Bandwidth())
        watch.bandwidth.round_trip(0.02)
        run(watch, Line(20_000_000, 0.01), 1.0, messages())
        watch.bandwidth.bits_per_second = 30_000_000  # as it may be in use
        watch.forget()
        run(watch, Line(100_000, 0.04), 30.0, messages())
        self.assertTrue(watch.bandwidth.questionable)

    def test_found_too_slow(self):
        """A line that was thought much slower than it is is known to be faster soon."""
        watch = Flow(Bandwidth())
        watch.bandwidth.round_trip(0.4)
        watch.bandwidth.transferred(10_000, 1.0)
        run(watch, Line(100_000, 0.2), 8.0, messages())
        self.assertLess(abs(watch.bandwidth.bits_per_second - 800_000), 120_000)

    def test_no_answers(self):
        """A client that answers no ping is sent no more than the first bytes, and few pings."""
        watch = Flow(Bandwidth())
        pings = 0
        for _message in range(10_000):
            if not watch.open:
                break
            watch.count(100, 0.0)
            if watch.wants_ping(last=False):
                pings += 1
                watch.pinged(pings, 0.0)
        self.assertFalse(watch.open)
        self.assertLess(watch.on_the_way, bandwidth.FIRST_WINDOW_BYTES + 100)
        self.assertLessEqual(pings, flow.MAX_MARKS)

    def test_quicker_than_known(self):
        """Of two pings that are sent together the second tells, also if the line was thought to be longer."""
        watch = Flow(Bandwidth())
        watch.bandwidth.round_trip(0.2)
        watch.count(20, 1.0)
        watch.pinged(1, 1.0)
        watch.count(16_384, 1.0)
        watch.pinged(2, 1.0)
        self.assertTrue(watch.answered(1, 1.08) and watch.answered(2, 1.24))
        self.assertLess(abs(watch.bandwidth.bits_per_second - 819_200), 10_000)
        self.assertLess(abs(watch.bandwidth.round_trip_seconds - 0.08), 0.001)

    def test_trickle(self):
        """What was too little for a ping and long ago is not waited for."""
        watch = Flow(Bandwidth())
        for second in range(100):
            watch.count(100, float(second))
            self.assertTrue(watch.quiet)
            self.assertFalse(watch.wants_ping(last=True))

    def test_foreign_answers(self):
        """Answers to pings of somebody else are not taken, those of lost ones count for all before."""
        watch = Flow(Bandwidth())
        watch.count(5000, 1.0)
        watch.pinged(7, 1.0)
        watch.count(5000, 1.0)
        watch.pinged(9, 1.0)
        self.assertFalse(watch.answered(8, 1.1))
        self.assertTrue(watch.answered(9, 1.2))
        self.assertEqual((watch.on_the_way, watch.quiet), (0, True))
        self.assertFalse(watch.answered(7, 1.3))

    def test_forgotten(self):
        """After a pause nothing is waited for."""
        watch = Flow(Bandwidth())
        watch.count(50_000, 1.0)
        watch.pinged(1, 1.0)
        watch.forget()
        self.assertTrue(watch.quiet)
        self.assertEqual(watch.on_the_way, 0)
