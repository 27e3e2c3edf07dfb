# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How many bits and frames a video stream may have, and when its frames are shown.

It has no clock: times are told. A client shows a frame when its multimedia clock comes to
the frame's stamp, and drops one that comes later than that (MJPEG; of other codecs it
shows what it can). Its clock was set by the main channel and is behind the
server's by what that message took; its reports say how early frames are, and the lead of
the stamps follows, so that frames come just in time.

Source: spice-gtk 0.42, channel-display.c (display_update_stream_report); spice-server
0.15.1, mjpeg-encoder.c, for what reports mean, with other rules: it keeps clients 400 ms
behind instead.
"""

from __future__ import annotations

from typing import Any

START_BIT_RATE = 8_000_000
MIN_BIT_RATE = 200_000
MAX_BIT_RATE = 40_000_000
STREAM_SHARE = 0.8  # of what the line carries; the rest is for everything else

START_LEAD_MS = 100
MIN_LEAD_MS, MAX_LEAD_MS = -2000, 2000
WANTED_MARGIN_MS = 50  # by which frames should be early
LATE_LEAD_MS = 20  # what a frame gets that is late before it is sent, where nobody reports

LESS, MORE = 0.75, 1.05  # of the bit rate, when frames were lost and when none was
BAD_DROPS = 0.2  # of the frames of a report: more means that the line is too slow
QUIET_SECONDS = 0.5  # between two cuts of the bit rate: the first has to show its effect

NO_DECODER_DROPS = 0xFFFFFFFF  # in a report: the client cannot show this stream
FPS_WINDOW_SECONDS = 2.0  # over which frames are counted
MM_MASK = 0xFFFFFFFF


def later_by(one: int, other: int) -> int:
    """How many ms one stamp of the multimedia clock is after another."""
    return ((one - other + 0x80000000) & MM_MASK) - 0x80000000


class StreamRate:
    """The rate control of one stream; ``bit_rate`` and ``lead_ms`` travel with it."""

    def __init__(self, fps: int, bit_rate: int = START_BIT_RATE, lead_ms: int = START_LEAD_MS) -> None:
        self.fps = fps  # that the guest draws
        self.bit_rate = max(MIN_BIT_RATE, min(MAX_BIT_RATE, bit_rate))
        self.lead_ms = lead_ms
        self.last_stamp: int | None = None
        self._reported = False
        self._cut_at = float("-inf")
        self._counted_from: float | None = None
        self._counted = 0
        self._next_due = float("-inf")

    def drawn(self, now: float) -> None:
        """The guest drew a frame."""
        if self._counted_from is None:
            self._counted_from = now
            return
        self._counted += 1
        seconds = now - self._counted_from
        if seconds >= FPS_WINDOW_SECONDS:
            self.fps = max(1, round(self._counted / seconds))
            self._counted_from, self._counted = now, 0

    def due(self, now: float) -> bool:
        """Whether the next frame may go; too many for the bit rate are left out."""
        return now >= self._next_due

    def sent(self, now: float, size: int, *, smallest: bool) -> None:
        """A frame of ``size`` bytes went; ``smallest``: the encoder cannot make them smaller."""
        seconds = size * 8 / self.bit_rate
        # a little less, or frames of just the right size would miss every other turn
        self._next_due = now + 0.9 * seconds if smallest and seconds * self.fps > 1 else float("-inf")

    def replaced(self, now: float) -> None:
        """A frame was not sent before the next one was drawn: the client does not keep up."""
        self._cut(now)

    def reported(self, report: Any, now: float) -> None:
        """The client tells how the last frames arrived."""
        self._reported = True
        margin = report.last_frame_delay
        step = WANTED_MARGIN_MS - margin
        if report.num_drops == 0 and step < 0:
            step //= 4  # what is early does no harm, so that there is no hurry
        self.lead_ms = max(MIN_LEAD_MS, min(MAX_LEAD_MS, self.lead_ms + step))
        if report.num_drops > BAD_DROPS * max(1, report.num_frames):
            self._cut(now)
        elif report.num_drops == 0:
            self.bit_rate = min(MAX_BIT_RATE, int(self.bit_rate * MORE))

    def limit(self, line_bits: float) -> None:
        """What all the line carries, as far as somebody has measured it, in bits per second."""
        self.bit_rate = max(MIN_BIT_RATE, min(self.bit_rate, int(line_bits * STREAM_SHARE)))

    def _cut(self, now: float) -> None:
        if now >= self._cut_at + QUIET_SECONDS:
            self._cut_at = now
            self.bit_rate = max(MIN_BIT_RATE, int(self.bit_rate * LESS))

    def stamp(self, drawn_mm: int, now_mm: int) -> int:
        """The stamp of a frame that was drawn and is sent at these multimedia times; they grow."""
        stamp = drawn_mm + self.lead_ms
        if not self._reported:
            stamp = now_mm + max(LATE_LEAD_MS, later_by(stamp & MM_MASK, now_mm))
        stamp &= MM_MASK
        if self.last_stamp is not None and later_by(stamp, self.last_stamp) <= 0:
            stamp = (self.last_stamp + 1) & MM_MASK
        self.last_stamp = stamp or 1  # clients take zero for a mistake
        return self.last_stamp
