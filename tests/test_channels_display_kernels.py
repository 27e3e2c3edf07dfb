# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernels of display pipes do what their twins say."""

import struct

from spicemig.channels import display_reference
from spicemig.channels import regions_reference as regions
from spicemig.channels.display_reference import DRAWS, NOTHING, ROW, covered, row_of
from spicemig.wire.drawing import Rect
from tests.twins import TwinCase


class CoveredTests(TwinCase):
    """Which rows a later drawable makes pointless."""

    twins = display_reference

    def row(self):
        """A drawable of three surfaces and few places, or something else."""
        kind = self.dice.random()
        if kind < 0.1:
            return NOTHING
        top, left = self.dice.randrange(6), self.dice.randrange(6)
        box = Rect(
            top=top, left=left, bottom=top + self.dice.randrange(6), right=left + self.dice.randrange(6)
        )
        reads = set(self.dice.choices(range(7), k=self.dice.choice([0, 0, 0, 0, 1, 1, 6])))
        surface, covers, moved = self.dice.randrange(3), self.dice.random() < 0.5, None
        if self.dice.random() < 0.3:
            moved, reads = (self.dice.randrange(-2, 12), self.dice.randrange(-2, 12)), {surface}
        return row_of(surface, box, reads, draws=kind < 0.9, covers=covers, moved=moved)

    def test_alike(self):
        """The same rows, in the same order."""
        seen = 0
        for _ in range(2000):
            rows = b"".join(self.row() for _ in range(self.dice.choice([0, 1, 5, 20, 90])))
            whole = self.dice.random() < 0.2
            found = covered(rows, cover := self.row(), whole)
            self.assertEqual(self.kernels().covered(rows, cover, whole), found)
            seen += len(found)
        self.assertGreater(seen, 300)

    def test_refused(self):
        """What is no row is refused."""
        for rows, cover in ((bytes(ROW.size - 1), NOTHING), (b"", NOTHING[1:])):
            with self.assertRaises(ValueError):
                self.kernels().covered(rows, cover, False)

    def test_many_reads(self):
        """A drawable that reads more surfaces than a row can name reads all."""
        box = Rect(top=0, left=0, bottom=1, right=1)
        rows = row_of(1, box, (), draws=True, covers=True) + row_of(
            2, box, range(5, 15), draws=True, covers=True
        )
        cover = row_of(1, box, (), draws=True, covers=True)
        self.assertEqual(covered(rows, cover, False), [])
        self.assertEqual(covered(rows[: ROW.size], cover, False), [0])
        self.assertEqual(rows[0] & DRAWS, DRAWS)

    def test_moves(self):
        """What is moved elsewhere on the surface keeps only what it takes along."""
        [hidden, cover] = (row_of(0, Rect(0, 0, 4, 4), (), draws=True, covers=True) for _ in range(2))
        place = Rect(8, 0, 12, 4)
        for moved, found in (((20, 0), [0]), ((4, 0), [0]), ((3, 0), []), ((0, 4), [0]), ((-4, -4), [0])):
            mover = row_of(0, place, {0}, draws=True, covers=True, moved=moved)
            self.assertEqual(covered(hidden + mover, cover, False), found)
            self.assertEqual(covered(hidden + mover, cover, True), [1, 0])
        unknown = row_of(0, place, {0}, draws=True, covers=True)
        self.assertEqual(covered(hidden + unknown, cover, False), [])


class BoxTests(TwinCase):
    """Boxes that are put into a region."""

    twins = regions

    def boxes(self, count, scale):
        """Packed boxes, some of them empty."""
        found = []
        for _ in range(count):
            top, left = (self.dice.randrange(-20, 60) * scale for _side in range(2))
            height, width = (self.dice.randrange(-1, 12) * scale for _side in range(2))
            found.append(struct.pack("<4i", top, left, top + height, left + width))
        return b"".join(found)

    def test_alike(self):
        """The same boxes come of it, also where they are as large as can be."""
        full = 0
        for _ in range(300):
            scale = self.dice.choice([1, 1, 1, 10_000_000])
            most = self.dice.choice([1, 3, 32])
            region = b""
            for _again in range(2):
                added = self.boxes(self.dice.choice([0, 1, 5, 60]), scale)
                expected = regions.add_boxes(region, added, most)
                self.assertEqual(self.kernels().add_boxes(region, added, most), expected)
                region = expected
            full += len(region) == 16 * most
        self.assertGreater(full, 50)

    def test_refused(self):
        """What is no region is refused."""
        for arguments in ((bytes(15), b"", 3), (b"", bytes(17), 3), (bytes(64), b"", 3), (b"", b"", 0)):
            for module in (self.kernels(), regions):
                with self.assertRaises(ValueError):
                    module.add_boxes(*arguments)
