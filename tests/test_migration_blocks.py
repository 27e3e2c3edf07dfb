# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sealed blocks."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import ProtocolError
from spicemig.migration.blocks import MAX_BLOCK_BYTES, Opener, Sealer, is_sealed

KEY = bytes(range(32))
HANDOVER = bytes(16)
STATE = b"state of a channel" * 100


class BlocksTests(SynchronousTestCase):
    """A block opens once, unchanged, where it belongs, and nowhere else."""

    def setUp(self):
        self.opener = Opener(KEY, HANDOVER)
        self.block = Sealer(KEY, HANDOVER).seal(7, "display", 0, STATE)

    def refused(self, block, connection_id=7, channel="display", channel_id=0, opener=None):
        self.assertRaises(
            ProtocolError, (opener or self.opener).open, connection_id, channel, channel_id, block
        )

    def test_opens(self):
        """What was sealed comes out; the state is not readable in the block."""
        self.assertTrue(is_sealed(self.block))
        self.assertNotIn(STATE[:18], self.block)
        self.assertEqual(self.opener.open(7, "display", 0, memoryview(self.block)), STATE)

    def test_empty(self):
        """A channel without state has a block too."""
        block = Sealer(KEY, HANDOVER).seal(7, "display", 0, b"")
        self.assertEqual(self.opener.open(7, "display", 0, block), b"")

    def test_tampering(self):
        """No bit of a block can be changed."""
        block = Sealer(KEY, HANDOVER).seal(7, "display", 0, b"short")
        for index in range(len(block)):
            for bit in range(8):
                changed = bytearray(block)
                changed[index] ^= 1 << bit
                self.refused(bytes(changed))

    def test_truncation(self):
        """No part of a block opens, nor one with more behind it."""
        for size in range(len(self.block)):
            self.refused(self.block[:size])
        self.refused(self.block + b"\0")

    def test_elsewhere(self):
        """A block of another client, channel, handover or key does not open."""
        self.refused(self.block, connection_id=8)
        self.refused(self.block, channel="inputs")
        self.refused(self.block, channel_id=1)
        self.refused(self.block, opener=Opener(KEY, b"another handover"))
        self.refused(self.block, opener=Opener(KEY[::-1], HANDOVER))
        self.assertEqual(self.opener.open(7, "display", 0, self.block), STATE)

    def test_replay(self):
        """A block opens once; neither it nor a second one for the same channel does again."""
        sealer = Sealer(KEY, HANDOVER)
        first, second = (sealer.seal(7, "display", 0, STATE) for _ in range(2))
        self.opener.open(7, "display", 0, first)
        self.refused(first)
        self.refused(second)

    def test_nonces(self):
        """No two blocks of a handover have the same nonce."""
        sealer = Sealer(KEY, HANDOVER)
        blocks = [sealer.seal(1, "main", number % 4, STATE) for number in range(100)]
        self.assertEqual(len({block[8:20] for block in blocks}), 100)

    def test_too_large(self):
        """A block larger than any state is refused before it is deciphered."""
        self.refused(bytes(MAX_BLOCK_BYTES + 1))

    def test_foreign(self):
        """A stock server's block is told apart."""
        self.assertFalse(is_sealed(b"DCMD" + bytes(100)))
        self.refused(b"DCMD" + bytes(100))
