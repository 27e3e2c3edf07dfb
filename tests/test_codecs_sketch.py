# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images that are known again though nothing of them was kept."""

from spicemig.codecs import sketch_reference
from spicemig.codecs.pixels import Pixels
from spicemig.codecs.sketch import Sketch
from spicemig.wire.enums import BitmapFormat
from tests.twins import TwinCase

REMEMBERED = 1 << 22


class SketchTests(TwinCase):
    """What a sketch says of an image."""

    def picture(self, width=60, height=50, format=BitmapFormat.BIT32):
        return Pixels(width, height, format, width * 4, self.dice.randbytes(width * 4 * height))

    def part(self, whole, left, top, width, height):
        """Some of a picture, as a picture of its own."""
        rows = (whole.data[y * whole.stride + 4 * left :][: 4 * width] for y in range(top, top + height))
        return Pixels(width, height, whole.format, width * 4, b"".join(rows))

    def test_again(self):
        """A picture is known again, and so is any part of it; others are not."""
        sketch, picture = Sketch(REMEMBERED), self.picture()
        self.assertEqual(sketch.share(picture), 0)
        sketch.add(picture)
        self.assertEqual(sketch.share(picture), 1)
        for _part in range(20):
            at = self.dice.randrange(20), self.dice.randrange(20)
            self.assertEqual(sketch.share(self.part(picture, *at, 40, 30)), 1)
        self.assertEqual(sketch.share(self.picture()), 0)

    def test_half(self):
        """A picture of which half was there is known by half."""
        sketch, picture = Sketch(REMEMBERED), self.picture()
        sketch.add(self.part(picture, 0, 0, 60, 25))
        self.assertTrue(0.4 < sketch.share(picture) < 0.6)

    def test_kinds(self):
        """A bitmap of another format is another picture, even of the same bytes."""
        sketch, picture = Sketch(REMEMBERED), self.picture()
        sketch.add(picture)
        other = Pixels(60, 50, BitmapFormat.RGBA, 240, picture.data)
        self.assertEqual(sketch.share(other), 0)

    def test_one_colour(self):
        """What has one colour is nothing that can be known, nor is what is small."""
        sketch = Sketch(REMEMBERED)
        for picture in (
            Pixels(20, 20, BitmapFormat.BIT32, 80, bytes(80 * 20)),
            self.picture(7, 5),
            Pixels(16, 8, BitmapFormat.BIT8, 16, bytes(range(128)), palette=(0,) * 256),
        ):
            sketch.add(picture)
            self.assertEqual(sketch.share(picture), 0)


class TwinTests(TwinCase):
    """The kernels do what their twins do."""

    twins = sketch_reference

    def test_random(self):
        """Both note the same, and find the same of it; both refuse what cannot be."""
        from spicemig import _kernels

        for _case in range(300):
            dice = self.dice
            log = dice.choice([1, 4, 10])
            slots = bytearray(dice.choice([4 << log] * 9 + [0, 4, 12, 4 * 3 << log]))
            pixel_bytes = dice.choice([2, 3, 4, 4, 4, 5] if dice.random() < 0.1 else [2, 3, 4])
            width, height = self.size(), self.size()
            stride = max(0, width) * pixel_bytes + dice.choice([0, 0, 3, -1])
            size = max(0, stride * height - dice.choice([0] * 9 + [1, 50]))
            src = bytes(dice.choices(range(dice.choice([2, 256])), k=size))
            arguments = src, stride, width, height, pixel_bytes, dice.randrange(256)
            noted = self.both("sketch_add", slots, *arguments)
            if isinstance(noted, str):
                for module in (_kernels, sketch_reference):
                    self.assertRaises(ValueError, module.sketch_find, slots, *arguments)
                continue
            if dice.random() < 0.5:
                self.dice.shuffle(noted)
            found = [module.sketch_find(noted, *arguments) for module in (_kernels, sketch_reference)]
            self.assertEqual(found[0], found[1], arguments[1:])
