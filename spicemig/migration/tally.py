# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a host counts of its handovers, as plain numbers; ``control/metrics.py`` has them read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from spicemig.channels.tallies import PAUSE_SECONDS, Histogram
from spicemig.migration.settings import MODE_NAMES
from spicemig.wire.messages.migration import Mode

UNSETTLED = "unsettled"  # a client that had not come to the target when the handover ended


class HandoverTally:
    """The handovers of one host that have ended, in the words of their reports; dry runs are none."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, str, str]] = Counter()  # side, outcome, stage
        self.clients: Counter[tuple[str, str, str]] = Counter()  # side, mode, outcome
        self.bytes: Counter[str] = Counter()  # sent before and within pauses: precopy, final
        self.pauses = Histogram(PAUSE_SECONDS)  # of the guest, as its source sees them
        self.client_pauses = {MODE_NAMES[mode]: Histogram(PAUSE_SECONDS) for mode in Mode}

    def count(self, side: str, report: Mapping[str, Any]) -> None:
        """A handover has ended."""
        self.ended[side, report["outcome"], report["stage"]] += 1
        for client in report["clients"]:
            self.clients[side, client["mode"], client["outcome"] or UNSETTLED] += 1
            if client.get("pause_ms") is not None:
                self.client_pauses[client["mode"]].observe(client["pause_ms"] / 1000)
        if report.get("pause_ms") is not None:
            self.pauses.observe(report["pause_ms"] / 1000)
        for part in ("precopy", "final"):
            self.bytes[part] += report.get(f"{part}_bytes", 0)
