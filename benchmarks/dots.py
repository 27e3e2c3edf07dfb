# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plot of ratios: a row for each case, a column for each measure, dots on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

ROW, COLUMN, GAP, LABELS, TOP = 15, 230, 26, 190, 92
GOOD, BAD, NEUTRAL, GRID = "#1f7a4d", "#c0392b", "#5b6178", "#e3e5ec"
FONT = "font-family='DejaVu Sans, sans-serif'"


@dataclass(frozen=True, slots=True)
class Measure:
    """
    A column: ratios by row. ``goal`` is where good ends; ``more_is_better`` says on
    which side of it good is.
    """

    title: str
    values: Mapping[str, float]
    goal: float = 1.0
    more_is_better: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)  # what a pointer over the dot shows


def draw_dots(title: str, rows: Sequence[tuple[str, str]], measures: Sequence[Measure]) -> str:
    """The plot as SVG; a row is its group and its name in it, and values are found by ``group/name``."""
    width = LABELS + len(measures) * (COLUMN + GAP)
    height = TOP + len(rows) * ROW + 40
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}'>",
        f"<rect width='{width}' height='{height}' fill='white'/>",
        _text(16, 28, title, size=16, anchor="start", weight="bold"),
    ]
    before = ""
    for number, (group, name) in enumerate(rows):
        y = TOP + number * ROW
        if group != before:
            lines.append(f"<path d='M16 {y - 2}H{width - 16}' stroke='{GRID}'/>")
            lines.append(_text(16, y + 11, group, anchor="start", weight="bold"))
        before = group
        lines.append(_text(LABELS - 12, y + 11, name))
    for number, measure in enumerate(measures):
        lines += _column(measure, rows, LABELS + number * (COLUMN + GAP))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _column(measure: Measure, rows: Sequence[tuple[str, str]], left: int) -> Iterator[str]:
    values = [value for value in measure.values.values() if value > 0]
    low = min(0, math.floor(math.log2(min([*values, measure.goal]))))
    high = max(0, math.ceil(math.log2(max([*values, measure.goal]))))
    low, high = (low, high) if high > low else (low - 1, high + 1)

    def x(ratio: float) -> float:
        return round(left + COLUMN * (math.log2(ratio) - low) / (high - low), 1)

    bottom = TOP + len(rows) * ROW
    yield _text(left, 58, measure.title, anchor="start", weight="bold")
    step = max(1, (high - low) // 6)
    for power in range(low, high + 1, step):
        at = x(2.0**power)
        yield f"<path d='M{at} {TOP - 6}V{bottom}' stroke='{GRID}'/>"
        yield _text(at, TOP - 12, f"{2.0**power:g}", size=10, anchor="middle")
    yield f"<path d='M{x(measure.goal)} {TOP - 6}V{bottom}' stroke='{NEUTRAL}' stroke-dasharray='4 3'/>"
    for number, (group, name) in enumerate(rows):
        key = f"{group}/{name}"
        value = measure.values.get(key)
        if value is None or value <= 0:
            continue
        good = value >= measure.goal if measure.more_is_better else value <= measure.goal
        colour = GOOD if good else BAD
        y = TOP + number * ROW + 7
        note = escape(f"{key}: {value:.2f} {measure.notes.get(key, '')}".strip())
        yield f"<path d='M{x(measure.goal)} {y}H{x(value)}' stroke='{colour}' stroke-opacity='0.35'/>"
        yield f"<circle cx='{x(value)}' cy='{y}' r='4' fill='{colour}'><title>{note}</title></circle>"


def _text(x: float, y: float, words: str, *, size: int = 11, anchor: str = "end", weight: str = "") -> str:
    bold = f" font-weight='{weight}'" if weight else ""
    return (
        f"<text x='{x}' y='{y}' font-size='{size}' {FONT} text-anchor='{anchor}' fill='#22263a'{bold}>"
        f"{escape(words)}</text>"
    )
