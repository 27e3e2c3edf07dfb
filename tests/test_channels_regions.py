# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parts of surfaces that are remembered."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.regions import MAX_RECTS, Regions, pixels_of
from spicemig.wire.drawing import Rect

SIZE = 24


def rect(left, top, right, bottom):
    """A rectangle in the order in which people read."""
    return Rect(top=top, left=left, bottom=bottom, right=right)


def pixels(rects):
    """The pixels in rectangles."""
    return {(x, y) for r in rects for y in range(r.top, r.bottom) for x in range(r.left, r.right)}


def some(dice):
    """Any rectangle on a small surface."""
    left, right = sorted(dice.sample(range(SIZE + 1), 2))
    top, bottom = sorted(dice.sample(range(SIZE + 1), 2))
    return rect(left, top, right, bottom)


class RegionsTests(SynchronousTestCase):
    """Few rectangles, and nothing is forgotten."""

    def test_inside(self):
        """A rectangle inside another is kept once, whichever comes first; empty ones are not."""
        regions = Regions()
        for part in (rect(1, 1, 2, 2), rect(0, 0, 5, 5), rect(3, 3, 5, 5), rect(4, 4, 4, 9)):
            regions.add(0, part)
        self.assertEqual(regions.take(), {0: [rect(0, 0, 5, 5)]})
        self.assertFalse(regions)

    def test_many(self):
        """One too many is united with its neighbour; parts far away stay as they are."""
        regions = Regions()
        for x in range(MAX_RECTS):
            regions.add(0, rect(100 * x, 0, 100 * x + 1, 1))
        regions.add(0, rect(2, 0, 3, 1))
        [(_surface, rects)] = regions
        self.assertEqual(len(rects), MAX_RECTS)
        self.assertIn(rect(0, 0, 3, 1), rects)
        self.assertIn(rect(500, 0, 501, 1), rects)

    def test_random(self):
        """What was added and not removed since is always there, in few rectangles."""
        dice = random.Random(4)
        regions, there = Regions(), set()
        for _step in range(600):
            part = some(dice)
            if dice.random() < 0.6:
                regions.add(7, part)
                there |= pixels([part])
            else:
                regions.remove(7, part)
                there -= pixels([part])
            kept = dict(regions).get(7, [])
            self.assertLessEqual(there, pixels(kept))
            self.assertLessEqual(len(kept), MAX_RECTS)
            part = some(dice)
            self.assertEqual(pixels(regions.within(7, part)), pixels(kept) & pixels([part]))
            self.assertEqual(regions.touches(7, part), bool(pixels(kept) & pixels([part])))
            self.assertFalse(regions.touches(8, part))

    def test_overlapping(self):
        """What lies in two rectangles is taken once where that takes no further ones."""
        regions = Regions()
        regions.add(0, rect(0, 0, 10, 10))
        regions.add(0, rect(0, 5, 10, 15))
        regions.add(0, rect(2, 0, 4, 3))
        taken = []
        while regions:
            [(_surface, rects)] = regions.take_piece(20).items()
            taken += rects
        self.assertEqual(sum(map(pixels_of, taken)), 150)
        self.assertEqual(len(pixels(taken)), 150)

    def test_removed(self):
        """A removed part leaves what is around it and no more."""
        regions = Regions()
        regions.add(0, rect(0, 0, 9, 9))
        regions.remove(0, rect(3, 3, 6, 6))
        self.assertEqual(pixels(dict(regions)[0]), pixels([rect(0, 0, 9, 9)]) - pixels([rect(3, 3, 6, 6)]))
        regions.remove(0, rect(-5, -5, 50, 50))
        self.assertFalse(regions)

    def test_pieces(self):
        """Pieces come by rows, of the oldest part or the newest, until nothing is left."""
        regions = Regions()
        regions.add(0, rect(0, 0, 10, 10))
        regions.add(3, rect(0, 20, 10, 22))
        self.assertEqual(regions.take_piece(35), {0: [rect(0, 0, 10, 3)]})
        self.assertEqual(regions.take_piece(5, newest=True), {3: [rect(0, 20, 10, 21)]})
        left = 0
        while regions:
            [(_surface, [piece])] = regions.take_piece(20).items()
            self.assertLessEqual(pixels_of(piece), 20)
            left += pixels_of(piece)
        self.assertEqual(left, 80)
        self.assertEqual(regions.take_piece(9), {})
