# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a client has a picture that is only like ours."""

import random
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.display_stock import is_drawn_alike
from spicemig.channels.lossy_regions import LossyRegions, may_be_lossy
from spicemig.devices.drawables import Batch, DeviceImage, Placeholder
from spicemig.devices.qxl import QXLDevice
from spicemig.testing.commands import Commands
from spicemig.wire.drawing import Brush, Clip, DrawBase, Point, QMask, Rect
from spicemig.wire.enums import BitmapFormat, BrushType, ClipType, ImageFlags, Ropd, SurfaceFormat
from spicemig.wire.messages import display

COMMANDS = 500


def rect(left, top, right, bottom):
    """A rectangle in the order in which people read."""
    return Rect(top=top, left=left, bottom=bottom, right=right)


def drawable(message):
    """A message as a device has it."""
    return next(iter(Batch.of([message])))


def image(width, height, format=BitmapFormat.BIT32, **more):
    """An image."""
    return DeviceImage(width, height, format, 4 * width, bytes(4 * width * height), **more)


def copy(box, source, rop=Ropd.OP_PUT, *, area=None, clip=None, surface=0):
    """Put an image into a box."""
    area = area or rect(0, 0, source.width, source.height)
    base = DrawBase(surface, box, Clip() if clip is None else Clip(ClipType.RECTS, clip))
    return display.DrawCopy(base, Placeholder(source), area, rop, 0, QMask())


def fill(box, rop=Ropd.OP_PUT):
    """Fill a box with a colour."""
    return display.DrawFill(DrawBase(0, box, Clip()), Brush(BrushType.SOLID, color=5), rop, QMask())


class Pair:
    """A device, and what a client makes of its drawings if images go to it lossy."""

    def __init__(self, commands):
        self.dice = random.Random(1)
        self.ours, self.theirs = QXLDevice(), QXLDevice()
        for device in (self.ours, self.theirs):
            for number, kind in commands.surfaces.items():
                device.create_surface(number, kind.width, kind.height, kind.format)
                device.take()
        self.lossy = LossyRegions()
        self.surfaces = commands.surfaces
        self.made_lossy = self.made_exact = 0

    def draw(self, make):
        """Draw what ``make`` gives, each time anew, at both sides."""
        ours, theirs = Batch.of([make()]), Batch.of([make()])
        for device, batch in ((self.ours, ours), (self.theirs, theirs)):
            if device is self.theirs and not self.send(next(iter(batch))):
                return
            device.draw(batch)
            device.take()

    def send(self, drawn):
        """Whether the client draws it; its images are changed a little where they may be."""
        kinds = {number: SimpleNamespace(**kind._asdict()) for number, kind in self.surfaces.items()}
        if not is_drawn_alike(drawn, kinds, composite=True) or self.lossy.reads_lossy(drawn):
            self.made_exact += 1
            self.paint(drawn.surface, drawn.box)
            return False
        lossy = may_be_lossy(drawn, self.surfaces[drawn.surface].format)
        if lossy:
            self.made_lossy += 1
            for _offset, source in drawn.fixups():
                self.spoil(source)
        self.lossy.drawn(drawn, lossy=lossy)
        return True

    def spoil(self, source):
        """Change colours as JPEG would."""
        size = {BitmapFormat.BIT24: 3, BitmapFormat.BIT32: 4, BitmapFormat.RGBA: 4}.get(source.format)
        if size is not None:
            data = bytearray(source.data)
            for plane in range(3):
                data[plane::size] = bytes(value ^ self.dice.randrange(4) for value in data[plane::size])
            source.data = bytes(data)

    def paint(self, surface, box):
        """The client gets exact pixels."""
        kind = self.surfaces[surface]
        ours, theirs = self.ours.render(surface), self.theirs.render(surface)
        for row in range(max(0, box.top), min(kind.height, box.bottom)):
            left, right = 4 * max(0, box.left), 4 * max(0, min(kind.width, box.right))
            start = row * ours.stride
            theirs.pixels[start + left : start + right] = ours.pixels[start + left : start + right]
        self.lossy.painted(surface, box, lossy=False)

    def unknown(self):
        """The surfaces where the client has other pixels than we, that nobody knows of."""
        parts = dict(self.lossy.parts)
        found = []
        for number in self.surfaces:
            pictures = [device.render(number).image() for device in (self.ours, self.theirs)]
            for picture in pictures:
                for part in parts.get(number, ()):
                    picture.paste(0, (part.left, part.top, part.right, part.bottom))
            if pictures[0].tobytes() != pictures[1].tobytes():
                found.append(number)
        return found


class TrackingTests(SynchronousTestCase):
    """Nothing is lossy without being known to be."""

    def test_random(self):
        """After any drawings, every pixel that is not as ours is in the regions, and they come to an end."""
        commands = Commands("lossy")
        pair = Pair(commands)
        for target in commands.surfaces:
            pair.draw(lambda target=target: commands.background(0, target))
        self.assertEqual(pair.unknown(), [])
        for number in range(COMMANDS):
            pair.draw(lambda number=number: commands.command(number))
            self.assertEqual(pair.unknown(), [], f"command {number}")
        self.assertGreater(pair.made_lossy, COMMANDS // 20)
        self.assertGreater(pair.made_exact, COMMANDS // 20)
        self.assertTrue(pair.lossy)
        while pair.lossy:
            for surface, rects in pair.lossy.parts.take_piece(2000, newest=True).items():
                for each in rects:
                    pair.paint(surface, each)
        self.assertEqual(pair.unknown(), [])


class LossyRegionsTests(SynchronousTestCase):
    """What becomes of lossy parts."""

    def setUp(self):
        self.lossy = LossyRegions()
        self.lossy.painted(0, rect(10, 10, 30, 30), lossy=True)

    def parts(self, surface=0):
        """What is lossy of a surface."""
        return dict(self.lossy.parts).get(surface, [])

    def drawn(self, message, *, lossy=False):
        """Draw something."""
        self.lossy.drawn(drawable(message), lossy=lossy)

    def test_covered(self):
        """What covers a lossy part ends it, as far as it is seen."""
        self.drawn(fill(rect(0, 0, 30, 20)))
        self.assertEqual(self.parts(), [rect(10, 20, 30, 30)])
        self.drawn(copy(rect(0, 0, 50, 50), image(50, 50), clip=[rect(0, 0, 20, 50)]))
        self.assertEqual(self.parts(), [rect(20, 20, 30, 30)])
        self.drawn(fill(rect(0, 0, 50, 50)))
        self.assertFalse(self.lossy)

    def test_clipped_image(self):
        """A clipped lossy image is lossy where it is seen."""
        self.drawn(copy(rect(100, 0, 150, 50), image(50, 50), clip=[rect(90, 0, 110, 5)]), lossy=True)
        self.assertEqual(self.parts()[-1], rect(100, 0, 110, 5))

    def test_copied(self):
        """What is copied inside its surface, or from another one, is lossy there too and no more."""
        self.drawn(display.CopyBits(DrawBase(0, rect(100, 100, 120, 120), Clip()), Point(0, 0)))
        self.assertIn(rect(110, 110, 120, 120), self.parts())
        source = image(50, 50, surface=0)
        self.drawn(copy(rect(5, 5, 15, 15), source, area=rect(20, 20, 30, 30), surface=4))
        self.assertEqual(self.parts(4), [rect(5, 5, 15, 15)])
        self.drawn(copy(rect(50, 50, 70, 70), source, area=rect(0, 0, 12, 12), surface=4))
        self.assertIn(rect(50, 50, 70, 70), self.parts(4))

    def test_computed(self):
        """What computes with lossy bits is not drawn; what only covers or blends is."""
        for rop, reads in (
            (Ropd.OP_PUT, False),
            (Ropd.OP_XOR, True),
            (Ropd.OP_AND, True),
            (Ropd.OP_OR | Ropd.INVERS_SRC, True),
            (Ropd.OP_INVERS, False),
        ):
            self.assertEqual(self.lossy.reads_lossy(drawable(fill(rect(0, 0, 11, 11), rop))), reads)
            self.assertFalse(self.lossy.reads_lossy(drawable(fill(rect(0, 0, 10, 11), rop))))
            picture = copy(rect(20, 20, 40, 40), image(20, 20), rop)
            self.assertEqual(self.lossy.reads_lossy(drawable(picture)), reads)

    def test_colour_key(self):
        """A surface that is lossy has not the colours that a key looks for."""
        message = display.DrawTransparent(
            DrawBase(3, rect(0, 0, 20, 20), Clip()),
            Placeholder(image(50, 50, surface=0)),
            rect(5, 5, 25, 25),
            0,
            0,
        )
        self.assertTrue(self.lossy.reads_lossy(drawable(message)))
        self.lossy.forget(0)
        self.assertFalse(self.lossy.reads_lossy(drawable(message)))

    def test_may_be_lossy(self):
        """An image may be lossy where it shows as it is and brings the alpha that is read."""
        box, xrgb, argb = rect(0, 0, 8, 8), SurfaceFormat.XRGB32, SurfaceFormat.ARGB32
        veil = image(8, 8, BitmapFormat.RGBA)
        blend = display.DrawAlphaBlend(DrawBase(0, box, Clip()), 0, 255, Placeholder(veil), box)
        for message, format, allowed in (
            (copy(box, image(8, 8)), xrgb, True),
            (copy(box, image(8, 8), clip=[box]), xrgb, True),
            (copy(rect(0, 0, 90, 90), image(8, 8)), xrgb, True),
            (copy(box, image(8, 8)), argb, False),
            (copy(box, veil), argb, True),
            (blend, xrgb, True),
            (blend, argb, True),
            (blend, SurfaceFormat.RGB565, False),
            (copy(box, image(8, 8), Ropd.OP_XOR), xrgb, False),
            (copy(box, image(8, 8, flags=int(ImageFlags.HIGH_BITS_SET))), xrgb, False),
            (copy(box, image(8, 8, surface=3)), xrgb, False),
            (fill(box), xrgb, False),
        ):
            self.assertEqual(may_be_lossy(drawable(message), format), allowed, message)

    def test_wanted(self):
        """What is to be painted exactly is no longer so once it was painted."""
        self.lossy.wanted.add(0, rect(0, 0, 20, 20))
        self.lossy.painted(0, rect(0, 0, 40, 40), lossy=False)
        self.assertFalse(self.lossy.wanted)
        self.assertFalse(self.lossy)
