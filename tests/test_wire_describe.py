# SPDX-License-Identifier: LGPL-2.1-or-later
"""The catalogue as text."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from spicemig.wire.declare import catalogue
from spicemig.wire.describe import describe


class DescribeTests(SynchronousTestCase):
    """What ``spicemig describe`` prints."""

    def test_overview(self) -> None:
        """Without a name there is a line for each message, in the order of channel types."""
        text = describe(catalogue)
        for _key, cls in catalogue.entries():
            self.assertIn(f" {cls.number:>4}  {cls.__name__}", text)
        self.assertLess(text.index("main (channel type 1)"), text.index("display (channel type 2)"))
        self.assertNotIn("`", text)

    def test_message(self) -> None:
        """A message is described with its fields and the records in it."""
        text = describe(catalogue, "display/drawfill")
        self.assertTrue(text.startswith("display/DrawFill, number 302, to the client\n  Fill the box"))
        self.assertIn("  pat  u32 offset of Image\n", text)
        self.assertIn("if type is SOLID: u32", text)

    def test_whole_channels(self) -> None:
        """Every channel can be described, line lengths included."""
        for channel in {channel for (channel, _to, _number), _cls in catalogue.entries()}:
            for line in describe(catalogue, channel).splitlines():
                self.assertLessEqual(len(line), 110, line)

    def test_empty_body(self) -> None:
        """A message without fields says so."""
        self.assertIn("no body", describe(catalogue, "base/Ack"))

    def test_unknown(self) -> None:
        """A name that is not there is a LookupError that repeats it."""
        for name in ("nochannel", "inputs/Nothing"):
            self.assertIn(name, str(self.assertRaises(LookupError, describe, catalogue, name)))
