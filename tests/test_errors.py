# SPDX-License-Identifier: LGPL-2.1-or-later
"""What errors say."""

from __future__ import annotations

import pickle

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import ConfigError, LinkError, MigrationError, ProtocolError, SpicemigError, WireError


class ErrorTests(SynchronousTestCase):
    """An error names what went wrong, where."""

    def test_wire_error(self) -> None:
        """Message, field and byte are in the text and in attributes."""
        error = WireError("inputs.MouseMotion", "dx", 0, "the body ends here")
        self.assertEqual(str(error), "inputs.MouseMotion.dx at byte 0: the body ends here")
        self.assertEqual((error.message_name, error.field, error.offset), ("inputs.MouseMotion", "dx", 0))
        self.assertEqual(error.code, LinkError.INVALID_DATA)
        self.assertEqual(str(WireError("Rect", "top", -1, "is missing")), "Rect.top: is missing")

    def test_protocol_error(self) -> None:
        """It carries the code for the peer."""
        self.assertEqual(str(ProtocolError(LinkError.PERMISSION_DENIED)), "PERMISSION_DENIED")
        self.assertEqual(str(ProtocolError(LinkError.ERROR, "why")), "why")

    def test_config_error(self) -> None:
        """File, section and option are named."""
        error = ConfigError("source.ini", "listen", "plain", "no such port")
        self.assertEqual(str(error), "source.ini: [listen] plain: no such port")

    def test_migration_error(self) -> None:
        """The stage is named, and what to do."""
        self.assertEqual(str(MigrationError("PREPARE", "wrong CA", "copy it")), "PREPARE: wrong CA (copy it)")

    def test_pickle(self) -> None:
        """Errors can be handed to another process."""
        for error in (
            WireError("a", "b", 1, "c"),
            ConfigError("a", "b", "c", "d"),
            MigrationError("s", "r", "h"),
        ):
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual(str(again), str(error))
            self.assertIsInstance(again, SpicemigError)
