# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the source says of a handover; users and programs rely on these names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spicemig.migration.handover import problem_texts
from spicemig.migration.stages import Stage

if TYPE_CHECKING:
    from spicemig.migration.source import SourceHandover

COMPLETED, CANCELLED, FAILED = "completed", "cancelled", "failed"
EXIT_COMPLETED, EXIT_REFUSED, EXIT_ROLLED_BACK, EXIT_LOST = 0, 3, 4, 5


def source_report(handover: SourceHandover) -> dict[str, Any]:
    """How a handover went; ``outcome`` and ``exit_status`` are None while it goes on."""
    pump = handover.pump
    sent = pump.sent_bytes if pump is not None else 0
    precopy = sent if handover.entered_at(Stage.STOP) is None else handover.precopy_bytes
    return {
        "id": handover.migration_id.hex(),
        "outcome": handover.outcome,
        "stage": (handover.failed_at or handover.stage).value,
        "pause_ms": handover.pause_ms,
        "precopy_bytes": precopy,
        "final_bytes": sent - precopy + handover.state_bytes,
        "rounds": pump.rounds if pump is not None else 0,
        "duration_ms": handover.duration_ms(),
        "clients": [client.report() for client in handover.clients.values()],
        "timeline": handover.timeline_ms(),
        "problems": [problem_texts(one) for one in handover.problems],
        "dry_run": handover.dry_run,
        "epoch": handover.epoch,
        "exit_status": exit_status(handover),
    }


def exit_status(handover: SourceHandover) -> int | None:
    """The exit status of ``spicemig migrate``."""
    if handover.outcome is None:
        return None
    if handover.outcome == COMPLETED:
        return EXIT_COMPLETED
    if handover.stage is Stage.LOST:
        return EXIT_LOST
    if handover.outcome == FAILED and handover.failed_at in (Stage.IDLE, Stage.PREPARE):
        return EXIT_REFUSED
    return EXIT_ROLLED_BACK
