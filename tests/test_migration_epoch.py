# SPDX-License-Identifier: LGPL-2.1-or-later
"""The epoch on disk."""

import os

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import MigrationError
from spicemig.migration.epoch import MAX_REMEMBERED, Epoch, EpochFile

FIRST, SECOND = b"first handover..", b"second handover."


class EpochFileTests(SynchronousTestCase):
    """What was written is there after a crash, and nothing else."""

    def setUp(self):
        self.directory = self.mktemp()
        os.makedirs(self.directory)

    def test_nothing_yet(self):
        """A host without a file owns nothing."""
        self.assertEqual(EpochFile(self.directory).current, Epoch())
        self.assertEqual(os.listdir(self.directory), [])

    def test_round_trip(self):
        """What was written is read again by the next process."""
        file = EpochFile(self.directory)
        file.claim_first()
        file.write(file.current.given_away(2, FIRST))
        file.write(file.current.taken_over(3, SECOND))
        again = EpochFile(self.directory).current
        self.assertEqual(again, file.current)
        self.assertTrue(again.owner)
        self.assertTrue(again.took(SECOND))
        self.assertFalse(again.took(FIRST))
        self.assertEqual(os.listdir(self.directory), ["epoch.json"])

    def test_took_after_handing_on(self):
        """A host that handed the guest on still says that it had it."""
        file = EpochFile(self.directory)
        file.write(file.current.taken_over(3, FIRST))
        file.write(file.current.given_away(4, SECOND))
        self.assertTrue(EpochFile(self.directory).current.took(FIRST))

    def test_claimed_once(self):
        """A first start claims; a start after the guest was given away does not."""
        file = EpochFile(self.directory)
        self.assertTrue(file.claim_first().owner)
        file.write(file.current.given_away(2, FIRST))
        self.assertFalse(EpochFile(self.directory).claim_first().owner)

    def test_recover(self):
        """The operator's word makes a new epoch."""
        file = EpochFile(self.directory)
        file.write(file.current.given_away(5, FIRST))
        self.assertEqual((file.recover().epoch, file.current.owner), (6, True))
        self.assertEqual(EpochFile(self.directory).current.epoch, 6)

    def test_room(self):
        """Making room says nothing about who owns the guest, now or before."""
        EpochFile(self.directory).make_room()
        file = EpochFile(self.directory)
        self.assertEqual(file.current, Epoch())
        file.claim_first()
        file.make_room()
        self.assertTrue(EpochFile(self.directory).current.owner)

    def test_written_in_place(self):
        """Where there is room, a write makes no file and moves none: it only waits for its block."""
        file = EpochFile(self.directory)
        file.make_room()
        before = os.stat(file.path)
        self.patch(os, "fsync", lambda descriptor: self.fail("more than a block was synced"))
        synced = []
        fdatasync = os.fdatasync
        self.patch(os, "fdatasync", lambda descriptor: (synced.append(descriptor), fdatasync(descriptor)))
        for number in range(3):
            file.write(file.current.given_away(number, FIRST))
        after = os.stat(file.path)
        self.assertEqual(len(synced), 3)
        self.assertEqual((after.st_ino, after.st_size), (before.st_ino, before.st_size))

    def test_cut_short(self):
        """A write of which only a part reached the disk leaves the epoch before, wherever it ended."""
        file = EpochFile(self.directory)
        file.claim_first()
        file.write(file.current.given_away(2, FIRST))
        with open(file.path, "rb") as content:
            before = content.read()
        file.write(file.current.taken_over(3, SECOND))
        with open(file.path, "rb") as content:
            after = content.read()
        changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        for end in changed[1::7]:
            with open(file.path, "wb") as content:
                content.write(after[:end] + before[end:])
            self.assertEqual(EpochFile(self.directory).current.epoch, 2)

    def test_damaged(self):
        """A file that cannot be understood stops the start, and says what to do."""
        for text in (
            "",
            "[]",
            "{}",
            '{"epoch": 1}',
            '{"sha256": "", "told": "{}"}',
            '{"sha256": 1, "told": 2}',
            "x" * 8192,
        ):
            with open(os.path.join(self.directory, "epoch.json"), "w") as file:
                file.write(text)
            error = self.assertRaises(MigrationError, EpochFile, self.directory)
            self.assertIn("recover", error.hint)

    def test_disk_full(self):
        """When the disk does not take it, the epoch is the one before."""
        file = EpochFile(self.directory)
        file.claim_first()

        def full(descriptor):
            raise OSError(28, "No space left on device")

        self.patch(os, "fdatasync", full)
        self.assertRaises(OSError, file.write, file.current.given_away(2, FIRST))
        self.assertTrue(file.current.owner)
        self.assertTrue(EpochFile(self.directory).current.owner)

    def test_remembers_so_many(self):
        """The list of handovers does not grow for ever."""
        epoch = Epoch()
        for number in range(2 * MAX_REMEMBERED):
            epoch = epoch.taken_over(number + 1, number.to_bytes(16, "big"))
        self.assertEqual(len(epoch.taken), MAX_REMEMBERED)
