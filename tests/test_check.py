# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the summary of ``make check``."""

from twisted.trial.unittest import SynchronousTestCase

from tests.check import read_counts, read_failures, read_skips

OUTPUT = """\
tests.test_a ... [OK]

===============================================================================
[SKIPPED]
there is no
viewer here

tests.peers.test_b.ViewerTests.test_plain
tests.peers.test_b.ViewerTests.test_tls
===============================================================================
[FAIL]
Traceback (most recent call last):

tests.test_a.SomeTests.test_x
-------------------------------------------------------------------------------
Ran 9 tests in 0.1s

FAILED (skips=2, failures=1, errors=3, successes=3)
"""


class SummaryTests(SynchronousTestCase):
    """What trial prints is counted right."""

    def test_counts(self) -> None:
        """Each kind of result is read from the last line; without one nothing is counted."""
        self.assertEqual(read_counts(OUTPUT), {"skips": 2, "failures": 1, "errors": 3, "successes": 3})
        self.assertEqual(read_counts("Segmentation fault"), {})

    def test_skips(self) -> None:
        """Every skipped test is found with its reason."""
        reason = "there is no viewer here"
        names = ("tests.peers.test_b.ViewerTests.test_plain", "tests.peers.test_b.ViewerTests.test_tls")
        self.assertEqual(read_skips(OUTPUT), [(reason, name) for name in names])

    def test_failures(self) -> None:
        """Every test that failed is named."""
        self.assertEqual(read_failures(OUTPUT), ["tests.test_a.SomeTests.test_x"])
