# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many bits a stream has, and when its frames are shown."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.stream_rate import (
    LESS,
    MAX_BIT_RATE,
    MAX_LEAD_MS,
    MIN_BIT_RATE,
    MIN_LEAD_MS,
    START_BIT_RATE,
    START_LEAD_MS,
    WANTED_MARGIN_MS,
    StreamRate,
    later_by,
)
from spicemig.wire.messages.display import StreamReport


def report(margin, drops=0, frames=5):
    """The client's word on its last frames."""
    return StreamReport(0, 1, 0, 0, frames, drops, margin, 0xFFFFFFFF)


class BitRateTests(SynchronousTestCase):
    """What reports and frames that nobody waited for do to the bit rate."""

    def setUp(self):
        self.rate = StreamRate(25)

    def test_lost_frames(self):
        """Lost frames cut the rate, at most so often that the cut can show its effect; down to a limit."""
        self.rate.reported(report(-40, drops=3), 1.0)
        self.rate.reported(report(-40, drops=3), 1.1)
        self.assertEqual(self.rate.bit_rate, int(START_BIT_RATE * LESS))
        for number in range(100):
            self.rate.reported(report(-40, drops=3), 2.0 + number)
        self.assertEqual(self.rate.bit_rate, MIN_BIT_RATE)

    def test_good_line(self):
        """Without losses it grows slowly, up to a limit."""
        self.rate.reported(report(50), 1.0)
        self.assertTrue(START_BIT_RATE < self.rate.bit_rate < 1.1 * START_BIT_RATE)
        for number in range(100):
            self.rate.reported(report(50), 2.0 + number)
        self.assertEqual(self.rate.bit_rate, MAX_BIT_RATE)

    def test_replaced(self):
        """A client that does not even read the frames gets fewer bits, without saying a word."""
        self.rate.replaced(1.0)
        self.assertEqual(self.rate.bit_rate, int(START_BIT_RATE * LESS))

    def test_limit(self):
        """A measured line bounds it."""
        self.rate.limit(1_000_000)
        self.assertEqual(self.rate.bit_rate, 800_000)
        self.rate.limit(0)
        self.assertEqual(self.rate.bit_rate, MIN_BIT_RATE)

    def test_fewer_frames(self):
        """Frames that are too large even at the worst quality are fewer; others all go."""
        self.rate.bit_rate = 400_000  # 2000 bytes a frame
        self.rate.sent(1.0, 10_000, smallest=False)
        self.assertTrue(self.rate.due(1.0))
        self.rate.sent(1.0, 10_000, smallest=True)
        gone = [number for number in range(1, 50) if self.rate.due(1.0 + number * 0.04)]
        self.assertEqual(gone[0], 5)
        self.rate.sent(2.0, 1999, smallest=True)
        self.assertTrue(self.rate.due(2.0))

    def test_pace(self):
        """The pace of the guest is followed."""
        for number in range(200):
            self.rate.drawn(number / 12.5)
        self.assertIn(self.rate.fps, (12, 13))


class StampTests(SynchronousTestCase):
    """Frames come a little before they are shown."""

    def setUp(self):
        self.rate = StreamRate(25)

    def test_grows(self):
        """Stamps grow, whatever happens to the lead."""
        stamps = []
        for number in range(40):
            stamps.append(self.rate.stamp(1000 + number, 1000 + number))
            self.rate.reported(report(400), number)
        self.assertEqual(stamps, sorted(set(stamps)))
        self.assertEqual(stamps[0], 1000 + START_LEAD_MS)

    def test_late(self):
        """After a late frame the next ones are early enough at once."""
        self.rate.reported(report(-150, drops=1), 1.0)
        self.assertEqual(self.rate.lead_ms, START_LEAD_MS + 150 + WANTED_MARGIN_MS)

    def test_early(self):
        """A client whose clock is behind sees frames at once in the end."""
        behind = 400
        for number in range(40):
            self.rate.reported(report(behind + self.rate.lead_ms), number)
        self.assertLess(abs(behind + self.rate.lead_ms - WANTED_MARGIN_MS), 5)

    def test_nonsense(self):
        """Whatever a client reports, the lead stays within bounds."""
        for margin in (-(1 << 31), (1 << 31) - 1):
            for number in range(20):
                self.rate.reported(report(margin), number)
            self.assertTrue(MIN_LEAD_MS <= self.rate.lead_ms <= MAX_LEAD_MS)

    def test_silent_client(self):
        """To a client that reports nothing no frame is sent that is late already."""
        self.assertGreater(self.rate.stamp(1000, 1500), 1500)

    def test_round_the_clock(self):
        """The clock has 32 bits; no stamp is zero."""
        self.assertEqual(later_by(5, 0xFFFFFFF0), 21)
        self.assertEqual(later_by(0xFFFFFFF0, 5), -21)
        self.rate.last_stamp = 0xFFFFFFFF
        self.assertEqual(self.rate.stamp(0xFFFFFF00, 0xFFFFFF00), 1)
        self.assertEqual(self.rate.stamp(0xFFFFFFFF, 0xFFFFFFFF), START_LEAD_MS - 1)
