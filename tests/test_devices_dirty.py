# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.dirty``."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.devices.dirty import TILE, Area, DirtyTiles


class DirtyTilesTests(SynchronousTestCase):
    """Tiles are dirty from the first mark until they are cleaned."""

    def test_new(self):
        """Nothing is dirty at first."""
        tiles = DirtyTiles(100, 100)
        self.assertEqual((bool(tiles), list(tiles.areas()), tiles.pixels), (False, [], 0))

    def test_neighbours(self):
        """Tiles side by side are one area; the last ones end where the surface does."""
        tiles = DirtyTiles(100, 50)
        tiles.mark(TILE, TILE, 100, 50)
        self.assertEqual(list(tiles.areas()), [Area(TILE, TILE, 100 - TILE, 50 - TILE)])

    def test_apart(self):
        """Tiles with clean ones between them are areas of their own, in order."""
        tiles = DirtyTiles(8 * TILE, TILE)
        for column in (0, 2, 3, 7):
            tiles.mark(column * TILE, 0, column * TILE + 1, 1)
        areas = [(area.left // TILE, area.cols // TILE) for area in tiles.areas()]
        self.assertEqual(areas, [(0, 1), (2, 2), (7, 1)])

    def test_outside(self):
        """What lies outside the surface, or is empty, makes nothing dirty."""
        tiles = DirtyTiles(100, 100)
        for box in [(-9, -9, 0, 0), (100, 0, 120, 9), (5, 5, 5, 9), (9, 9, 2, 12), (0, 200, 10, 300)]:
            tiles.mark(*box)
        self.assertFalse(tiles)

    def test_every_pixel(self):
        """Every pixel of a box that was marked is in one area, until all areas are cleaned."""
        dice = random.Random(3)
        for _case in range(100):
            width, height = dice.randint(1, 200), dice.randint(1, 200)
            tiles = DirtyTiles(width, height)
            boxes = []
            for _box in range(dice.randint(1, 5)):
                left, top = dice.randrange(width), dice.randrange(height)
                boxes.append((left, top, dice.randint(left + 1, width), dice.randint(top + 1, height)))
                tiles.mark(*boxes[-1])
            areas = list(tiles.areas())
            covered = {
                (x, y)
                for area in areas
                for x in range(area.left, area.left + area.cols)
                for y in range(area.top, area.top + area.rows)
            }
            for left, top, right, bottom in boxes:
                corners = {(left, top), (right - 1, top), (left, bottom - 1), (right - 1, bottom - 1)}
                self.assertLessEqual(corners, covered)
            self.assertEqual(tiles.pixels, len(covered))
            for area in areas:
                tiles.clean(area)
            self.assertFalse(tiles)
