# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a relay counts, as plain numbers; ``control/relay_metrics.py`` has them read."""

from __future__ import annotations

from collections import Counter

from spicemig.channels.tallies import PAUSE_SECONDS, Histogram


class RelayTally:
    """All sessions of a relay, those that are over included."""

    def __init__(self) -> None:
        self.from_client: Counter[str] = Counter()  # bytes, by type of channel
        self.from_server: Counter[str] = Counter()
        self.handovers: Counter[str] = Counter({"completed": 0, "renewed": 0, "failed": 0, "lost": 0})
        self.pauses = {"completed": Histogram(PAUSE_SECONDS), "renewed": Histogram(PAUSE_SECONDS)}

    def moved(self, outcome: str, seconds: float) -> None:
        """A session goes on at another server, after a pause."""
        self.handovers[outcome] += 1
        self.pauses[outcome].observe(seconds)
