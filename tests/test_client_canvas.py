# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client's own drawing."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.client.canvas import Box, Canvas, Picture, combine
from spicemig.errors import ProtocolError
from spicemig.wire.enums import Ropd

RED, BLUE = 0xFF0000, 0x0000FF


def canvas(width=4, height=3):
    """A canvas with a black primary."""
    made = Canvas()
    made.create(0, width, height, False, True)
    return made


def colours(made, surface_id=0):
    """The rows of a surface, as lists of 0x00RRGGBB."""
    picture = made.surfaces[surface_id]
    return [
        [int.from_bytes(picture.row(y, x, x + 1), "little") & 0xFFFFFF for x in range(picture.width)]
        for y in range(picture.height)
    ]


def checked(width, height):
    """A picture whose every pixel is another: 0x00YYXX."""
    pixels = b"".join((y << 8 | x).to_bytes(4, "little") for y in range(height) for x in range(width))
    return Picture(width, height, pixels)


class FillTests(SynchronousTestCase):
    """Filling with one colour or a pattern."""

    def test_only_inside(self):
        """A box that reaches beyond the surface fills what lies inside."""
        made = canvas(3, 2)
        made.fill(0, Box(1, -5, 9, 1), None, RED)
        self.assertEqual(colours(made), [[0, RED, RED], [0, 0, 0]])

    def test_clip(self):
        """Only the rectangles of the clip are drawn."""
        made = canvas(4, 1)
        made.fill(0, Box(0, 0, 4, 1), [Box(0, 0, 1, 1), Box(3, 0, 4, 1)], BLUE)
        self.assertEqual(colours(made), [[BLUE, 0, 0, BLUE]])

    def test_pattern_origin(self):
        """A pattern is repeated from its origin, also to the left of it."""
        made = canvas(5, 1)
        made.tile(0, Box(0, 0, 5, 1), None, checked(2, 1), 1, 0, Ropd.OP_PUT)
        self.assertEqual(colours(made), [[1, 0, 1, 0, 1]])

    def test_raster_operations(self):
        """Each operation combines source and destination bit by bit."""
        above, below = bytes([0b1100]), bytes([0b1010])
        for rop, bits in (
            (Ropd.OP_PUT, 0b1100),
            (Ropd.OP_OR, 0b1110),
            (Ropd.OP_AND, 0b1000),
            (Ropd.OP_XOR, 0b0110),
            (Ropd.OP_PUT | Ropd.INVERS_SRC, 0b0011 | 0xF0),
            (Ropd.OP_AND | Ropd.INVERS_DEST, 0b0100),
            (Ropd.OP_BLACKNESS, 0),
            (Ropd.OP_WHITENESS, 0xFF),
            (Ropd.OP_INVERS, 0b0101 | 0xF0),
            (Ropd.OP_OR | Ropd.INVERS_RES, 0b0001 | 0xF0),
        ):
            self.assertEqual(combine(int(rop), above, below), bytes([bits]), rop)


class CopyTests(SynchronousTestCase):
    """Copying images and parts of the surface."""

    def test_part_of_an_image(self):
        """The area of the image lands in the box."""
        made = canvas(3, 2)
        made.copy(0, Box(1, 0, 3, 1), None, checked(4, 4), Box(2, 3, 4, 4))
        self.assertEqual(colours(made), [[0, 0x0302, 0x0303], [0, 0, 0]])

    def test_area_outside_its_image(self):
        """An area that is not inside the image is refused."""
        self.assertRaises(
            ProtocolError, canvas().copy, 0, Box(0, 0, 2, 2), None, checked(2, 2), Box(1, 1, 3, 3)
        )

    def test_scaled(self):
        """Nearest scaling doubles pixels."""
        made = canvas(4, 1)
        made.copy(0, Box(0, 0, 4, 1), None, checked(2, 1), Box(0, 0, 2, 1))
        self.assertEqual(colours(made), [[0, 0, 1, 1]])

    def test_copy_bits_overlapping(self):
        """Scrolling by one moves every pixel once, in all directions."""
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1)):
            made = canvas(4, 4)
            made.copy(0, Box(0, 0, 4, 4), None, checked(4, 4), Box(0, 0, 4, 4))
            box = Box(max(dx, 0), max(dy, 0), 4 + min(dx, 0), 4 + min(dy, 0))
            made.copy_bits(0, box, None, box.left - dx, box.top - dy)
            found = colours(made)
            for y in range(box.top, box.bottom):
                for x in range(box.left, box.right):
                    self.assertEqual(found[y][x], (y - dy) << 8 | (x - dx), (dx, dy, x, y))

    def test_copy_bits_from_outside(self):
        """What would come from outside the surface leaves the destination alone."""
        made = canvas(3, 1)
        made.fill(0, Box(0, 0, 3, 1), None, RED)
        made.copy_bits(0, Box(0, 0, 3, 1), None, 2, 0)
        self.assertEqual(colours(made), [[RED, RED, RED]])


class SurfaceTests(SynchronousTestCase):
    """Creating and destroying."""

    def test_primary_of_the_same_size_stays(self):
        """A primary created again in its size keeps its pixels, as spice-gtk does it."""
        made = canvas(2, 1)
        made.fill(0, Box(0, 0, 2, 1), None, RED)
        self.assertFalse(made.create(0, 2, 1, False, True))
        self.assertEqual(colours(made), [[RED, RED]])

    def test_unknown_surface(self):
        """Drawing on a surface that is not there is the server's fault."""
        self.assertRaises(ProtocolError, canvas().fill, 7, Box(0, 0, 1, 1), None, 0)

    def test_too_large(self):
        """A surface beyond all screens is refused before memory is taken."""
        self.assertRaises(ProtocolError, Canvas().create, 0, 1 << 20, 1 << 20, False, True)
