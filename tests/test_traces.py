# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Recorded traces through the rasteriser: at every reference point the screen is as it should be.

The traces of real guests are large; ``python -m tests.trace_pictures TRACE ...`` plays them.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.trace_pictures import Shot, differences

SYNTHETIC = Path(__file__).resolve().parents[2] / "shared" / "traces" / "synth"


class SyntheticTraceTests(SynchronousTestCase):
    """Every operation, in traces that were written for it."""

    def check(self, name: str) -> None:
        trace = SYNTHETIC / f"synth-{name}.trace.xz"
        if not trace.exists():
            raise SkipTest(f"{trace} is not here")
        seen: list[Shot] = []
        found = [str(difference) for difference in differences(trace, seen.append)]
        self.assertEqual(found, [])
        self.assertGreater(len(seen), 2)

    def test_alpha(self) -> None:
        """Alpha blending, transparency and blending are exact."""
        self.check("alpha")

    def test_composite(self) -> None:
        """Composition is exact."""
        self.check("composite")

    def test_copy(self) -> None:
        """Copies of all formats are exact."""
        self.check("copy")

    def test_fill(self) -> None:
        """Fills are exact."""
        self.check("fill")

    def test_rop3(self) -> None:
        """Ternary operations, and copies inside a surface, are exact."""
        self.check("rop3")

    def test_scale(self) -> None:
        """Scaled copies are exact, interpolated ones, too."""
        self.check("scale")

    def test_stroke(self) -> None:
        """Lines, dashes and curves are exact."""
        self.check("stroke")

    def test_surfaces(self) -> None:
        """Off-screen surfaces are exact."""
        self.check("surfaces")

    def test_text(self) -> None:
        """Text is exact."""
        self.check("text")
