# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a handover looks on a terminal: a bar while it runs, a report at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

STAGES = ("prepare", "invite", "precopy", "stop", "commit", "switch", "done")
BAR = 28
COMPLETED, REFUSED, ROLLED_BACK, LOST = 0, 3, 4, 5


def exit_status(report: Mapping[str, Any]) -> int:
    """The exit status of ``spicemig migrate`` for a report."""
    outcome = report.get("outcome")
    if outcome == "completed":
        return COMPLETED
    if report.get("refused"):
        return REFUSED
    if outcome == "cancelled" or report.get("rolled_back"):
        return ROLLED_BACK
    return LOST


class Progress:
    """One line on a terminal that is written again and again; nothing where nobody watches."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.shown = False

    def show(self, event: Mapping[str, Any]) -> None:
        """Draw the bar for the stage of a progress event."""
        if not self.out.isatty():
            return
        self.out.write(f"\r\x1b[K{bar(event)}")
        self.out.flush()
        self.shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            self.out.write("\r\x1b[K")
            self.out.flush()
            self.shown = False


def bar(event: Mapping[str, Any]) -> str:
    """A stage as a bar: ``[#######-----] switch``."""
    stage = str(event.get("stage", "")).lower()
    reached = STAGES.index(stage) + 1 if stage in STAGES else 0
    full = BAR * reached // len(STAGES)
    sent = event.get("bytes")
    note = f", {format_bytes(sent)}" if isinstance(sent, int) and sent else ""
    return f"[{'#' * full}{'-' * (BAR - full)}] {stage}{note}"


def format_report(report: Mapping[str, Any]) -> str:
    """The end of a handover, for people."""
    lines = [f"migration {report['id']}: {report['outcome']}"]
    if report.get("outcome") != "completed":
        lines.append(f"at stage   {report.get('stage', '-')}")
    for name in ("reason", "hint"):
        if report.get(name):
            lines.append(f"{name:<10} {report[name]}")
    if report.get("pause_ms") is not None:
        lines.append(f"pause      {report['pause_ms']:.1f} ms of {report['duration_ms']:.0f} ms in all")
    if report.get("precopy_bytes") is not None:
        rounds = report.get("rounds", 0)
        lines.append(
            f"copied     {format_bytes(report['precopy_bytes'])} before the pause in {rounds} rounds,"
            f" {format_bytes(report.get('final_bytes') or 0)} within"
        )
    clients = report.get("clients") or []
    if clients:
        columns = ("id", "mode", "outcome", "pause_ms", "bytes_resent", "channels")
        lines += ["", format_table(columns, clients)]
    return "\n".join(lines)


def format_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows under headings, as wide as they need to be."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    headings = [column.removesuffix("_seconds").removesuffix("_ms").replace("_", " ") for column in columns]
    for number, column in enumerate(columns):
        headings[number] += " ms" if column.endswith("_ms") else " s" if column.endswith("_seconds") else ""
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [headings, *cells]
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)


def format_bytes(number: int) -> str:
    """A size in units that people read."""
    if number < 1024:
        return f"{number} B"
    size = float(number)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024 or unit == "GiB":
            return f"{size:.1f} {unit}"
    raise AssertionError("unreachable")
