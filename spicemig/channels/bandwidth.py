# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How fast the line to one client is: bits per second, and the time of a round trip.

Shared by all channels of a client and kept current while it is served. The main channel
probes the line when it begins, display channels measure what they send (see ``flow.py``).
A client that is busy drawing looks like a slow line to the latter; so a line counts as slow
only if a probe, which nobody draws, says so too. All of it travels in a handover: a target
knows a slow line before it has sent anything.

Source: spice-server 0.15.1, main-channel-client.cpp: a ping of 250 KiB, and what is slow.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from spicemig.errors import WireError
from spicemig.state import carried, session_state
from spicemig.wire.declare import u8, u32, u64

SLOW_BELOW = 10 * 1024 * 1024  # bits per second; spice-server's low bandwidth
FAST_FROM = 15 * 1024 * 1024  # at which a slow line is fast again
MAX_RATE = 1 << 40  # bits per second; what is faster is counted as this
MIN_SECONDS = 0.0005  # what is over sooner says nothing more about a line
MIN_SAMPLE_BYTES = 4096  # smaller ones are mostly waiting
SETTLING_SECONDS = 0.5  # a measurement that lasted so long counts alone
ROUND_TRIPS = 32  # of which the shortest counts: some minutes
MAX_ROUND_TRIP_SECONDS = 60.0
MAX_COUNTED_SECONDS = 0.5  # of a round trip, for the window: what is longer is mostly waiting

# how much a beginning main channel sends to find out; the second if the line has so many bits per second
PROBE_BYTES = (16 * 1024, 250 * 1024)
PROBE_FROM = 5 * 1024 * 1024
MOST_DOUBTS = 2  # probes that must contradict what is known


QUEUE_SECONDS = 0.2  # of the line that may wait on the way, so that it never runs dry
FIRST_WINDOW_BYTES = 64 * 1024  # before anything is known
MIN_WINDOW_BYTES = 8 * 1024
NARROW_BYTES = 512 * 1024  # a window below this is felt: some 20 Mbit/s


@session_state(magic=b"LINE", version=1)
class BandwidthState:
    """What is known of a line, as it travels."""

    bits_per_second: u64 = carried(default=0)  # 0: not measured yet
    round_trip_us: u32 = carried(default=0)  # 0: not measured yet
    slow: u8 = carried(default=0)


class Bandwidth:
    """
    What is known of the line to one client; it is told of all that was measured.

    ``window`` is how many bytes of a channel may be on their way.
    """

    def __init__(self) -> None:
        self.bits_per_second: int | None = None
        self.slow = False
        self.window = FIRST_WINDOW_BYTES
        self._probed_slow: bool | None = None
        self._doubts = 0  # probes since that said the contrary, one after the other
        self._round_trips: deque[float] = deque(maxlen=ROUND_TRIPS)

    @property
    def round_trip_seconds(self) -> float | None:
        """The shortest of the last round trips."""
        return min(self._round_trips) if self._round_trips else None

    @property
    def narrow(self) -> bool:
        """Whether the line is known to take little."""
        return self.window < NARROW_BYTES and self.bits_per_second is not None

    def _renew(self) -> None:
        trip = min(self.round_trip_seconds or 0.0, MAX_COUNTED_SECONDS)
        allowed = self.bytes_within(trip + QUEUE_SECONDS)
        self.window = FIRST_WINDOW_BYTES if allowed is None else max(MIN_WINDOW_BYTES, allowed)

    def round_trip(self, seconds: float) -> None:
        """Something small was answered after this time."""
        self._round_trips.append(min(max(0.0, seconds), MAX_ROUND_TRIP_SECONDS))
        self._renew()

    @property
    def questionable(self) -> bool:
        """Whether what was sent says that the line is slow; a probe is to decide."""
        return self.bits_per_second is not None and self.bits_per_second < self._slow_below

    @property
    def _slow_below(self) -> int:
        return FAST_FROM if self.slow else SLOW_BELOW

    def transferred(self, size: int, seconds: float, *, saturated: bool = True, probe: bool = False) -> None:
        """
        ``size`` bytes arrived within a time. Unless the line was ``saturated`` all that time,
        it may be faster than that, and is not slower. A ``probe`` was nothing to draw.
        """
        if size < MIN_SAMPLE_BYTES:
            return
        seconds = max(seconds, MIN_SECONDS)
        rate = min(int(size * 8 / seconds), MAX_RATE)
        known = self.bits_per_second
        if known is None:
            self.bits_per_second = rate if saturated else None
        elif saturated or rate > known:
            # by its time, so that bytes which came in a lump count no more than those before them
            weight = min(1.0, seconds / SETTLING_SECONDS)
            self.bits_per_second = max(1, int(known + (rate - known) * weight))
        if probe and saturated:
            self._probed(rate < self._slow_below)
        self.slow = self.questionable and bool(self._probed_slow)
        self._renew()

    def _probed(self, slow: bool) -> None:
        """What a probe says; one may have been heard late, but there is nothing better than the first."""
        self._doubts = 0 if slow == self._probed_slow else self._doubts + 1
        if self._probed_slow is None or self._doubts == MOST_DOUBTS:
            self._probed_slow, self._doubts = slow, 0

    def bytes_within(self, seconds: float) -> int | None:
        """How much the line carries within a time; None if that is not known yet."""
        return None if self.bits_per_second is None else int(self.bits_per_second * seconds / 8)

    def export_state(self) -> bytes:
        """All of it, for the target."""
        state: Any = BandwidthState(
            bits_per_second=self.bits_per_second or 0,
            round_trip_us=int((self.round_trip_seconds or 0.0) * 1_000_000),
            slow=int(self.slow),
        )
        return state.export_state()

    def restore_from(self, data: bytes) -> None:
        """Know what a source knew; raises ``WireError`` if that is impossible."""
        kind: Any = BandwidthState
        state = kind.restore(data)
        if state.bits_per_second > MAX_RATE or state.slow > 1:
            raise WireError("BandwidthState", "bits_per_second", reason="no line is like that")
        self.bits_per_second = state.bits_per_second or None
        self.slow = self._probed_slow = bool(state.slow)
        self._round_trips.clear()
        self._renew()
        if state.round_trip_us:
            self.round_trip(state.round_trip_us / 1_000_000)
