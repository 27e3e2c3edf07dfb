# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How much of what a channel sent may be on its way.

The ack window counts messages, and forty of them can be seconds of a slow line. So pings
are put between the drawings: an answer says that all before it has arrived, wherever it
was held up. From the answers follow how fast the line is and how much is on its way;
that is kept to what the line carries in a round trip and a little more, so that newer
drawings can still replace older ones here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from spicemig.channels.bandwidth import Bandwidth

MIN_STEP_BYTES, MAX_STEP_BYTES = 2 * 1024, 64 * 1024  # between two pings
MAX_MARKS = 64  # unanswered pings; a client that answers none gets no more
IDLE_SECONDS = 0.25  # without anything sent: what was too little for a ping has arrived


@dataclass(frozen=True, slots=True)
class Mark:
    """An unanswered ping: when, how many bytes were sent before it, and had arrived then."""

    id: int
    at: float
    sent: int
    arrived: int


class Flow:
    """
    The bytes of one channel that are on their way. Times are seconds of any clock.

    ``probe``: they are nothing that a client takes long with.
    """

    def __init__(self, bandwidth: Bandwidth, *, probe: bool = False) -> None:
        self.bandwidth = bandwidth
        self._probe = probe
        self.sent = 0
        self.arrived = 0
        self._marked = 0  # bytes before the last ping
        self._marks: deque[Mark] = deque()
        self._busy_since = 0.0  # the last answer, or the first byte behind an idle time
        self._was_idle = True  # which of them it is
        self._last = 0.0  # when something was sent

    @property
    def on_the_way(self) -> int:
        """Bytes that may not have arrived."""
        return self.sent - self.arrived

    @property
    def window(self) -> int:
        """How many bytes may be on their way."""
        return self.bandwidth.window

    @property
    def narrow(self) -> bool:
        """Whether the line is known to take little."""
        return self.bandwidth.narrow

    @property
    def open(self) -> bool:
        """Whether more may be sent now."""
        return self.sent - self.arrived < self.bandwidth.window

    @property
    def quiet(self) -> bool:
        """Whether all that was sent has arrived, but for what is too little for a ping."""
        return not self._marks and self.sent - self.arrived < MIN_STEP_BYTES

    def count(self, size: int, now: float) -> None:
        """So many bytes are sent."""
        if not self._marks and (self.on_the_way == 0 or now - self._last > IDLE_SECONDS):
            self.arrived = self._marked = self.sent
            self._busy_since, self._was_idle = now, True
        self.sent += size
        self._last = now

    def wants_ping(self, *, last: bool, needed: bool = False) -> bool:
        """
        Whether a ping should follow what was sent.

        ``last``: nothing more follows for now; ``needed``: somebody waits for it to arrive.
        """
        unmarked = self.sent - self._marked
        if unmarked < MIN_STEP_BYTES or len(self._marks) >= MAX_MARKS:
            return False
        if last and not self._marks and (needed or self.narrow):
            return True
        return unmarked >= min(MAX_STEP_BYTES, max(MIN_STEP_BYTES, self.window // 4))

    def pinged(self, id: int, now: float) -> None:
        """A ping was put behind all that was sent."""
        self._marks.append(Mark(id, now, self.sent, self.arrived))
        self._marked = self.sent

    def answered(self, id: int, now: float) -> bool:
        """A ping was answered; False if it was not one of these."""
        if not any(mark.id == id for mark in self._marks):
            return False
        while (mark := self._marks.popleft()).id != id:
            pass
        bandwidth = self.bandwidth
        if mark.sent - mark.arrived <= MIN_STEP_BYTES:
            bandwidth.round_trip(now - mark.at)
        trip = bandwidth.round_trip_seconds or 0.0
        if not self._was_idle and mark.at + trip <= self._busy_since:
            # it stood in front of the bottleneck when what was answered last had passed that; how late
            # we are with listening is in both answers
            seconds = now - self._busy_since
            bandwidth.transferred(mark.sent - self.arrived, seconds, probe=self._probe)
        bandwidth.transferred(mark.sent - mark.arrived, now - mark.at, saturated=False)
        self.arrived = max(self.arrived, mark.sent)
        self._busy_since, self._was_idle = now, False
        return True

    def forget(self) -> None:
        """What is on its way is not waited for any more."""
        self._marks.clear()
        self.arrived = self._marked = self.sent
