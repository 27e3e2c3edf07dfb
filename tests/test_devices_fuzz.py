# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A hostile guest, for a short time; ``tests.fuzz_device`` does it for as long as one likes.

``SPICEMIG_FUZZ_SEED`` chooses other dice.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz_device import fuzz

CASES = 100_000
SECONDS = 6
SEED = int(os.environ.get("SPICEMIG_FUZZ_SEED", "1"))


class HostileGuestTests(SynchronousTestCase):
    """A guest can harm only itself."""

    def test_garbage(self) -> None:
        """Garbage in rings, slots, ports and commands: no error leaves the device, and it goes on drawing."""
        counts = fuzz(SEED, CASES, seconds=SECONDS)
        self.assertGreater(len(counts), 6)
