# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables in Markdown, and where the results of benchmarks go."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
SHARED = PROJECT.parent / "shared"
RESULTS = PROJECT / "build" / "bench"


def cell(value: Any) -> str:
    """A value for people: three or four digits of a number, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def markdown(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table; numbers are on the right."""
    cells = [[cell(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(name), *(len(line[at]) for line in cells), 3) for at, name in enumerate(columns)]
    lines = [columns, ["-" * (width - 1) + ":" for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def environment() -> dict[str, Any]:
    """The machine on which this runs."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def save(name: str, result: Any, table: str, plot: str = "") -> None:
    """Write ``build/bench/NAME`` as .json and .md, and as .svg if there is a plot."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    made = {".json": json.dumps(result, indent=1) + "\n", ".md": table + "\n", ".svg": plot}
    for ending, text in made.items():
        if text:
            (RESULTS / (name + ending)).write_text(text)
    print(f"written: {RESULTS / name}{', '.join(ending for ending, text in made.items() if text)}")
