# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the picture of a handover."""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from spicemig.control.timeline import MoveChart, draw_timeline

STAGES = [
    ("prepare", 0.1),
    ("invite", 20.0),
    ("precopy", 30.0),
    ("stop", 60.0),
    ("commit", 65.0),
    ("done", 70.0),
]


class TimelineTests(SynchronousTestCase):
    """The timeline is an SVG document that shows what happened."""

    def test_pause(self) -> None:
        """The pause is from the source's last draw to the target's first, and its length is written there."""
        svg = draw_timeline("moved", [MoveChart("there", STAGES, [1.0, 58.0], [70.5, 75.0])])
        ElementTree.fromstring(svg)
        self.assertIn("a pause of 12.5 ms", svg)

    def test_stages(self) -> None:
        """Every stage that was entered has a bar with its length."""
        svg = draw_timeline("moved", [MoveChart("there", STAGES)])
        for length in ("19.9 ms", "10.0 ms", "30.0 ms", "5.0 ms"):
            self.assertIn(f">{length}<", svg)

    def test_nothing(self) -> None:
        """A handover of which nothing is known is drawn too, and signs of XML do no harm."""
        ElementTree.fromstring(draw_timeline("a < b", [MoveChart("& so on", [])]))
