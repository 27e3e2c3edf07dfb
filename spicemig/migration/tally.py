# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a host counts of its handovers, as plain numbers; ``control/metrics.py`` has them read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from spicemig.channels.tallies import PAUSE_SECONDS, Histogram
from spicemig.migration.report import CANCELLED, COMPLETED, FAILED
from spicemig.migration.settings import MODE_NAMES
from spicemig.migration.stages import ENDS, SOURCE, TARGET, Stage
from spicemig.wire.messages.migration import Mode

UNSETTLED = "unsettled"  # a client that had not come to the target when the handover ended


def _ends() -> Iterator[tuple[str, str, str]]:
    """All ways in which a handover can end, so that the first of each kind is seen to come."""
    for side, table, outcomes in (("source", SOURCE, (CANCELLED, FAILED)), ("target", TARGET, (FAILED,))):
        yield side, COMPLETED, Stage.DONE.value
        for stage in dict.fromkeys(before for before, _what in table if before not in ENDS):
            yield from ((side, outcome, stage.value) for outcome in outcomes)


class HandoverTally:
    """The handovers of one host that have ended, in the words of their reports; dry runs are none."""

    def __init__(self) -> None:
        # by side, outcome and stage, and by side, mode and outcome
        self.ended: Counter[tuple[str, str, str]] = Counter(dict.fromkeys(_ends(), 0))
        self.clients: Counter[tuple[str, str, str]] = Counter()
        self.bytes: Counter[str] = Counter({"precopy": 0, "final": 0})  # sent before, and within, pauses
        self.pauses = Histogram(PAUSE_SECONDS)  # of the guest, as its source sees them
        self.client_pauses = {
            MODE_NAMES[mode]: Histogram(PAUSE_SECONDS) for mode in Mode if mode is not Mode.STAYS
        }

    def count(self, side: str, report: Mapping[str, Any]) -> None:
        """A handover has ended."""
        self.ended[side, report["outcome"], report["stage"]] += 1
        for client in report["clients"]:
            self.clients[side, client["mode"], client["outcome"] or UNSETTLED] += 1
            if client.get("pause_ms") is not None:
                self.client_pauses[client["mode"]].observe(client["pause_ms"] / 1000)
        if report.get("pause_ms") is not None:
            self.pauses.observe(report["pause_ms"] / 1000)
        for part in self.bytes:
            self.bytes[part] += report.get(f"{part}_bytes", 0)
