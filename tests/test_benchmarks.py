# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for what the benchmarks make of their figures; none measures anything."""

from __future__ import annotations

from typing import Any
from unittest import mock
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import replay
from benchmarks.dots import BAD, GOOD, Measure, draw_dots
from benchmarks.tables import markdown


def run(who: str, workers: int, seconds: float, **more: Any) -> dict[str, Any]:
    """A run as it is told."""
    told = {"trace": "xterm", "pace": "paced", "mode": "glz", "commands": 100, "pixel_bytes": 10**6}
    return {
        **told,
        "who": who,
        "workers": workers,
        "seconds": seconds,
        "cpu_seconds": seconds / 2,
        "bytes_sent": 1000,
        **more,
    }


class TableTests(SynchronousTestCase):
    """Tables in Markdown."""

    def test_table(self) -> None:
        """Numbers have three digits, what is missing is a dash, and columns stand below each other."""
        table = markdown(("name", "ratio"), [{"name": "a", "ratio": 0.12345}, {"name": "b"}])
        self.assertEqual(
            table.splitlines(),
            ["| name | ratio |", "| ---: | ----: |", "|    a | 0.123 |", "|    b |     - |"],
        )


class DotsTests(SynchronousTestCase):
    """Plots of ratios."""

    def test_colours(self) -> None:
        """A dot is green on the good side of its goal, and rows without a figure have none."""
        rows = [("xterm", "glz"), ("xterm", "<lz>"), ("guest", "glz")]
        less = Measure("CPU", {"xterm/glz": 0.5, "xterm/<lz>": 2.0})
        more = Measure("speed", {"guest/glz": 3.0}, goal=2.0, more_is_better=True)
        drawing = ElementTree.fromstring(draw_dots("title", rows, [less, more]))
        dots = [dot.get("fill") for dot in drawing.iter("{http://www.w3.org/2000/svg}circle")]
        self.assertEqual(dots, [GOOD, BAD, GOOD])


class ReplayTests(SynchronousTestCase):
    """The comparison of replay."""

    def test_ratios(self) -> None:
        """A ratio is that of the best repetitions; all numbers of workers have the same peer."""
        runs = [run("peer", 1, 2.0), run("peer", 1, 1.0), run("ours", 1, 0.5), run("ours", 2, 0.25)]
        one, two = replay.summary([*runs, run("ours", 1, 0.9)])
        self.assertEqual((one["wall ratio"], one["CPU ratio"], one["bytes ratio"]), (0.5, 0.5, 1.0))
        self.assertEqual((one["wall median"], one["peer wall median"], one["peer"]), (0.7, 1.5, "now"))
        self.assertEqual((two["workers"], two["wall ratio"], two["commands/s"]), (2, 0.25, 400))

    def test_without_peer(self) -> None:
        """Figures of before stand for a peer that is not there."""
        before = {("xterm", "paced", "glz"): {"seconds": 1.0, "cpu_seconds": 1.0, "bytes_sent": 500}}
        with mock.patch.object(replay, "baselines", lambda: before):
            (row,) = replay.summary([run("ours", 1, 0.5)])
        self.assertEqual((row["peer"], row["bytes ratio"], row["CPU ratio"]), ("before", 2.0, 0.25))
        with mock.patch.object(replay, "baselines", dict):
            (row,) = replay.summary([run("ours", 1, 0.5)])
        self.assertEqual((row["peer"], row["bytes ratio"]), ("-", None))
