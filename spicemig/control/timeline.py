# SPDX-License-Identifier: LGPL-2.1-or-later
"""Handovers as a picture: stages as bars, draw messages as ticks, and the pause that the client saw."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH = 1000
LEFT, RIGHT = 150, 40
PANEL = 270
MARGIN_MS = 25.0  # of the session before and after, so that one sees it live
STAGES = {  # what to call them, and their colours
    "prepare": ("prepare", "#8fa3bf"),
    "invite": ("invite clients", "#6c8ebf"),
    "precopy": ("copy pixels, live", "#4ba3a3"),
    "stop": ("guest stopped", "#d98c5f"),
    "commit": ("change owner", "#cc5f5f"),
    "switch": ("clients switch", "#8c6bb1"),
}
SOURCE, TARGET, PAUSE = "#3f6fb5", "#d9822b", "#cc5f5f"
FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"


@dataclass
class MoveChart:
    """One handover; times in milliseconds since it began."""

    title: str
    stages: list[tuple[str, float]]  # each with the time at which it was entered, the end last
    draws_before: list[float] = field(default_factory=list)  # that came from the source
    draws_after: list[float] = field(default_factory=list)  # from the target
    notes: list[str] = field(default_factory=list)

    @property
    def pause(self) -> tuple[float, float] | None:
        """From the source's last draw to the target's first."""
        if not self.draws_before or not self.draws_after:
            return None
        return self.draws_before[-1], self.draws_after[0]

    @property
    def span(self) -> tuple[float, float]:
        """The time that is shown."""
        return -MARGIN_MS, max((at for _, at in self.stages), default=0.0) + MARGIN_MS


def draw_timeline(title: str, charts: Sequence[MoveChart]) -> str:
    """All handovers as one SVG document."""
    height = 80 + PANEL * len(charts) + 20
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
        f"viewBox='0 0 {WIDTH} {height}'>",
        f"<rect width='{WIDTH}' height='{height}' rx='14' fill='#fbfaf7'/>",
        _text(LEFT, 40, title, size=20, colour="#22263a", weight="bold"),
        *_legend(),
    ]
    for number, chart in enumerate(charts):
        lines += _panel(chart, 80 + PANEL * number)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _legend() -> Iterator[str]:
    for x, colour, words in ((640, SOURCE, "drawn by the source"), (810, TARGET, "by the target")):
        yield f"<rect x='{x}' y='30' width='3' height='12' fill='{colour}'/>"
        yield _text(x + 9, 40, words, size=12)


def _panel(chart: MoveChart, top: int) -> Iterator[str]:
    begin, end = chart.span

    def x(at: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (at - begin) / (end - begin), 2)

    rows = top + 34
    bottom = rows + len(STAGES) * 22 + 56
    yield _text(LEFT, top + 16, chart.title, size=14, colour="#22263a", weight="bold")
    yield _text(WIDTH - RIGHT, top + 16, "   ".join(chart.notes), size=12, anchor="end")
    yield from _axis(x, begin, end, rows, bottom)
    if chart.pause is not None:
        yield from _pause(x, chart.pause, rows, bottom)
    yield from _bars(chart, x, rows)
    ticks = rows + len(STAGES) * 22 + 8
    yield _text(LEFT - 12, ticks + 14, "client's picture", size=12, anchor="end")
    for draws, colour in ((chart.draws_before, SOURCE), (chart.draws_after, TARGET)):
        shown = [x(at) for at in draws if begin <= at <= end]
        path = "".join(f"M{at} {ticks}v20" for at in shown)
        if path:
            yield f"<path d='{path}' stroke='{colour}' stroke-width='1.4' stroke-opacity='0.8'/>"


def _bars(chart: MoveChart, x, rows: int) -> Iterator[str]:
    entered = dict(reversed(chart.stages))
    order = [*chart.stages[1:], ("end", chart.stages[-1][1])] if chart.stages else []
    until = {name: order[number][1] for number, (name, _) in enumerate(chart.stages)}
    for row, (stage, (words, colour)) in enumerate(STAGES.items()):
        y = rows + row * 22
        yield _text(LEFT - 12, y + 13, words, size=12, anchor="end")
        if stage not in entered:
            continue
        start, stop = entered[stage], until[stage]
        width = max(x(stop) - x(start), 1.5)
        yield f"<rect x='{x(start)}' y='{y + 2}' width='{width:.2f}' height='15' rx='3' fill='{colour}'/>"
        yield _text(x(stop) + 5, y + 13, f"{stop - start:.1f} ms", size=11, colour="#555b6e")


def _pause(x, pause: tuple[float, float], top: int, bottom: int) -> Iterator[str]:
    start, stop = pause
    width = max(x(stop) - x(start), 1.0)
    yield (
        f"<rect x='{x(start)}' y='{top - 4}' width='{width:.2f}' height='{bottom - top + 4}' "
        f"fill='{PAUSE}' fill-opacity='0.16'/>"
    )
    yield _text(
        x(start) - 6,
        bottom - 4,
        f"the client sees a pause of {stop - start:.1f} ms",
        12,
        PAUSE,
        "bold",
        "end",
    )


def _axis(x, begin: float, end: float, top: int, bottom: int) -> Iterator[str]:
    step = _round_step((end - begin) / 8)
    at = math.ceil(begin / step) * step
    while at <= end:
        yield f"<path d='M{x(at)} {top - 4}V{bottom}' stroke='#d9d6cf' stroke-width='1'/>"
        yield _text(x(at), bottom + 16, f"{at:g} ms", size=11, anchor="middle", colour="#7a7f8f")
        at += step


def _round_step(wanted: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(wanted, 1e-3)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted)


def _text(
    x: float,
    y: float,
    text: str,
    size: int = 12,
    colour: str = "#3a3f52",
    weight: str = "normal",
    anchor: str = "start",
) -> str:
    return (
        f"<text x='{x}' y='{y}' {FONT} font-size='{size}' font-weight='{weight}' "
        f"fill='{colour}' text-anchor='{anchor}'>{escape(text)}</text>"
    )
