# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a handover looks on a terminal: a bar while it runs, a report at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

STAGES = ("prepare", "invite", "precopy", "stop", "commit", "switch", "done")
BAR = 28
LOST = 5


def exit_status(report: Mapping[str, Any]) -> int:
    """The exit status of ``spicemig migrate`` for a report; one without an end counts as lost."""
    status = report.get("exit_status")
    return LOST if status is None else status


class Progress:
    """One line on a terminal that is written again and again; nothing where nobody watches."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.shown = False

    def show(self, event: Mapping[str, Any]) -> None:
        """Draw the bar for a progress event."""
        drawn = bar(event)
        if drawn is None or not self.out.isatty():
            return
        self.out.write(f"\r\x1b[K{drawn}")
        self.out.flush()
        self.shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            self.out.write("\r\x1b[K")
            self.out.flush()
            self.shown = False


def bar(event: Mapping[str, Any]) -> str | None:
    """What an event says as a bar, such as ``[#######-----] invite``; None if it says nothing of the kind."""
    if event.get("event") == "round":
        stage = "precopy"
        note = (
            f"precopy, {format_bytes(event['sent_bytes'])} sent, {format_bytes(event['dirty_bytes'])} to go"
        )
    elif event.get("event") == "stage":
        stage = note = str(event["stage"])
    else:
        return None
    full = BAR * (STAGES.index(stage) + 1) // len(STAGES) if stage in STAGES else 0
    return f"[{'#' * full}{'-' * (BAR - full)}] {note}"


def format_report(report: Mapping[str, Any]) -> str:
    """The end of a handover, for people."""
    lines = [f"migration {report['id']}: {report['outcome']}"]
    if report["outcome"] != "completed":
        lines.append(f"at stage   {report['stage']}")
    for problem in report.get("problems") or []:
        lines.append(f"why        {problem['text']}")
        lines.append(f"what to do {problem['hint']}")
    if report.get("pause_ms") is not None:
        lines.append(f"pause      {report['pause_ms']:.1f} ms of {report['duration_ms']:.0f} ms in all")
        before, within = (format_bytes(report[name]) for name in ("precopy_bytes", "final_bytes"))
        lines.append(f"copied     {before} before the pause in {report['rounds']} rounds, {within} within")
    if report.get("clients"):
        columns = ("id", "mode", "outcome", "pause_ms", "bytes_resent", "channels")
        lines += ["", format_table(columns, report["clients"])]
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
