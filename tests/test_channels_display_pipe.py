# SPDX-License-Identifier: LGPL-2.1-or-later
"""What waits on a display channel, what is dropped, and what is owed."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display_pipe
from spicemig.channels.display_pipe import Command, DisplayPipe, Waiting
from spicemig.devices.drawables import Batch, DeviceImage, Effect, Placeholder
from spicemig.wire.drawing import Brush, Clip, DrawBase, Point, QMask, Rect
from spicemig.wire.enums import BrushType, ClipType, Ropd
from spicemig.wire.messages.display import CopyBits, DrawCopy, DrawFill


def rect(left, top, right, bottom):
    """A rectangle in the order in which people read."""
    return Rect(top=top, left=left, bottom=bottom, right=right)


def fill(left, top, right, bottom, surface=0, clip=None):
    """Fill a rectangle with a colour."""
    brush = Brush(BrushType.SOLID, color=0x123456)
    return DrawFill(
        DrawBase(surface, rect(left, top, right, bottom), clip or Clip()), brush, Ropd.OP_PUT, QMask()
    )


def copy_bits(left, top, right, bottom, surface=0):
    """Copy inside a surface, from its corner."""
    return CopyBits(DrawBase(surface, rect(left, top, right, bottom), Clip()), Point(0, 0))


def copy(left, top, right, bottom, image, surface=0):
    """Copy an image."""
    base = DrawBase(surface, rect(left, top, right, bottom), Clip())
    area = rect(0, 0, right - left, bottom - top)
    return DrawCopy(base, Placeholder(image), area, Ropd.OP_PUT, 0, QMask())


def of_surface(surface):
    """An image that is what a surface shows."""
    return DeviceImage(100, 100, surface=surface)


def waiting(message, effect=Effect.OPAQUE):
    """A drawable as the pipe keeps it."""
    batch = Batch()
    batch.append(message, effect)
    return Waiting.of(next(iter(batch)))


def boxes(pipe):
    """The boxes of the waiting drawables; None for a command."""
    return [
        None
        if isinstance(entry, Command)
        else tuple(getattr(entry.drawable, side) for side in ("left", "top", "right", "bottom"))
        for entry in pipe.entries
    ]


class CoverTests(SynchronousTestCase):
    """A drawable that nobody will see is not sent."""

    def setUp(self):
        self.pipe = DisplayPipe()

    def draw(self, *messages, effect=Effect.OPAQUE):
        for message in messages:
            self.pipe.draw(waiting(message, effect))

    def test_covered(self):
        """A new opaque drawable drops those inside it and leaves the others in order."""
        self.draw(fill(0, 0, 10, 10), fill(5, 5, 30, 30), fill(2, 2, 4, 4))
        self.draw(fill(0, 0, 20, 20))
        self.assertEqual(boxes(self.pipe), [(5, 5, 30, 30), (0, 0, 20, 20)])
        self.assertEqual(self.pipe.dropped, 2)

    def test_not_opaque(self):
        """What blends, or is clipped, covers nothing."""
        self.draw(fill(0, 0, 10, 10))
        self.draw(fill(0, 0, 10, 10), effect=Effect.BLEND)
        self.draw(fill(0, 0, 10, 10, clip=Clip(ClipType.RECTS, [rect(0, 0, 1, 1)])))
        self.assertEqual(len(self.pipe), 3)

    def test_other_surface(self):
        """Drawing on one surface covers nothing on another."""
        self.draw(fill(0, 0, 10, 10), fill(0, 0, 10, 10, surface=1))
        self.assertEqual(len(self.pipe), 2)

    def test_read_by_copy_bits(self):
        """What is copied elsewhere on its surface before it is covered must be drawn."""
        self.draw(fill(0, 0, 10, 10), copy_bits(50, 50, 60, 60), fill(0, 0, 10, 10))
        self.assertEqual(boxes(self.pipe), [(0, 0, 10, 10), (50, 50, 60, 60), (0, 0, 10, 10)])

    def test_covered_copy_bits(self):
        """A copy that is covered itself keeps nothing alive."""
        self.draw(fill(0, 0, 10, 10), copy_bits(10, 10, 20, 20), fill(0, 0, 30, 30))
        self.assertEqual(boxes(self.pipe), [(0, 0, 30, 30)])

    def test_copy_bits_covers_nothing(self):
        """A copy inside a surface reads what it covers."""
        self.draw(fill(0, 0, 10, 10), copy_bits(0, 0, 10, 10))
        self.assertEqual(len(self.pipe), 2)

    def test_read_as_source(self):
        """What another surface was drawn from must be drawn first."""
        self.draw(
            fill(0, 0, 10, 10, surface=1), copy(0, 0, 5, 5, of_surface(1)), fill(0, 0, 10, 10, surface=1)
        )
        self.assertEqual(len(self.pipe), 3)

    def test_destroyed(self):
        """What is on a destroyed surface is dropped, but for what somebody read before."""
        self.draw(fill(0, 0, 10, 10, surface=1), copy(0, 0, 5, 5, of_surface(1)), fill(2, 2, 4, 4, surface=1))
        self.pipe.destroy(1)
        self.assertEqual(boxes(self.pipe), [(0, 0, 10, 10), (0, 0, 5, 5)])

    def test_pinned(self):
        """A drawable whose image was referred to is sent whatever comes, once it is pinned."""
        self.draw(fill(0, 0, 10, 10, surface=1), fill(0, 0, 10, 10))
        for entry in list(self.pipe.entries):
            self.pipe.pin(entry)
        self.draw(fill(2, 2, 4, 4), fill(0, 0, 20, 20))
        self.pipe.destroy(1)
        self.pipe.collapse_all()
        self.assertEqual(boxes(self.pipe), [(0, 0, 10, 10), (0, 0, 10, 10)])

    def test_batches_are_not_kept(self):
        """A drawable that waits keeps nothing of its batch alive but its own images."""
        images = [DeviceImage(4, 4, stride=16, data=bytes(64)) for _ in range(2)]
        batch = Batch.of(copy(4 * n, 0, 4 * n + 4, 4, each) for n, each in enumerate(images))
        _first, second = batch
        self.pipe.draw(Waiting.of(second))
        kept = self.pipe.entries[0].drawable
        self.assertIsNot(kept.batch, batch)
        self.assertEqual([image for _offset, image in kept.fixups()], images[1:])
        self.assertEqual(bytes(kept.body), bytes(second.body))

    def test_commands_stay(self):
        """Messages that are no drawings keep their place."""
        self.draw(fill(0, 0, 10, 10))
        self.pipe.command(Command("mark"))
        self.draw(fill(0, 0, 10, 10))
        self.assertEqual(boxes(self.pipe), [None, (0, 0, 10, 10)])


class LimitTests(SynchronousTestCase):
    """A slow client costs a bounded amount of memory."""

    def test_number(self):
        """Too many waiting drawables become regions that are owed."""
        self.patch(display_pipe, "MAX_WAITING_DRAWABLES", 3)
        pipe = DisplayPipe()
        pipe.command(Command("create"))
        for x in range(4):
            pipe.draw(waiting(fill(x, 0, x + 2, 1)))
        self.assertEqual(boxes(pipe), [None])
        self.assertEqual(dict(pipe.owed), {0: [rect(x, 0, x + 2, 1) for x in range(4)]})

    def test_bytes(self):
        """So do drawables with too many pixels."""
        self.patch(display_pipe, "MAX_WAITING_BYTES", 200)
        pipe = DisplayPipe()
        image = DeviceImage(4, 4, stride=16, data=bytes(64))
        pipe.draw(waiting(copy(0, 0, 4, 4, image)))
        self.assertFalse(pipe.owed)
        pipe.draw(waiting(copy(4, 0, 8, 4, image)))
        self.assertEqual(len(pipe), 0)
        self.assertTrue(pipe.owed)

    def test_given_up_and_destroyed(self):
        """Nothing is owed of a surface that is destroyed further on; made again, it counts anew."""
        self.patch(display_pipe, "MAX_WAITING_DRAWABLES", 3)
        pipe = DisplayPipe()
        pipe.draw(waiting(fill(0, 0, 10, 10, surface=1)))
        pipe.draw(waiting(copy(0, 0, 5, 5, of_surface(1))))
        pipe.destroy(1)
        pipe.command(Command("destroy", 1, ends=True))
        pipe.command(Command("create", 1, makes=True))
        pipe.draw(waiting(fill(3, 3, 4, 4, surface=1)))
        pipe.draw(waiting(fill(7, 7, 8, 8)))
        self.assertEqual(dict(pipe.owed), {0: [rect(0, 0, 5, 5), rect(7, 7, 8, 8)], 1: [rect(3, 3, 4, 4)]})

    def come_and_go(self, pipe, surface, *made_of_it):
        """A surface is made, drawn on, read, and destroyed."""
        pipe.command(Command("create", surface, makes=True))
        pipe.draw(waiting(fill(0, 0, 10, 10, surface=surface)))
        for message in made_of_it:
            pipe.draw(waiting(message))
        pipe.destroy(surface)
        pipe.command(Command("destroy", surface, ends=True))

    def test_surfaces_that_nobody_saw(self):
        """Surfaces that come and go while a client does not read are left out."""
        pipe = DisplayPipe()
        pipe.command(Command("create", 0, makes=True))
        for number in range(5000):
            self.come_and_go(pipe, number % 1000 + 1)
        self.assertLess(len(pipe), 2 * display_pipe.FEW_COMMANDS)
        self.assertEqual(pipe.entries[0].message, "create")
        self.assertFalse(pipe.owed)

    def test_surfaces_that_were_read(self):
        """So are those from which something was copied; where it went is owed."""
        pipe = DisplayPipe()
        for number in range(5000):
            self.come_and_go(pipe, 1, copy(number % 30, number % 20, 50, 50, of_surface(1)))
        self.assertLess(len(pipe), 4 * display_pipe.FEW_COMMANDS)

    def test_screens_that_nobody_saw(self):
        """A screen that comes and goes takes its mark along; the one that is there keeps it."""
        pipe = DisplayPipe()
        for number in range(5000):
            pipe.command(Command(f"create {number}", 0, makes=True))
            pipe.command(Command("mark", 0))
            if number < 4999:
                pipe.command(Command("destroy", 0, ends=True))
        self.assertLess(len(pipe), 2 * display_pipe.FEW_COMMANDS)
        self.assertEqual([entry.message for entry in pipe.entries[-2:]], ["create 4999", "mark"])

    def test_replaced(self):
        """Of messages that replace each other the last one waits."""
        pipe = DisplayPipe()
        for number in range(1000):
            pipe.replace(number)
        self.assertEqual([entry.message for entry in pipe.entries], [999])

    def test_counts_follow(self):
        """What was sent or covered does not count any more."""
        self.patch(display_pipe, "MAX_WAITING_DRAWABLES", 2)
        pipe = DisplayPipe()
        for _ in range(10):
            pipe.draw(waiting(fill(0, 0, 1, 1)))
            pipe.draw(waiting(fill(5, 0, 6, 1)))
            pipe.pop()
        self.assertFalse(pipe.owed)

    def test_owed_swallows(self):
        """While something is owed, drawing only adds to it."""
        pipe = DisplayPipe()
        pipe.owed.add(0, rect(0, 0, 5, 5))
        pipe.draw(waiting(copy_bits(50, 50, 55, 55)))
        self.assertEqual(len(pipe), 0)
        self.assertEqual(pipe.owed.take(), {0: [rect(0, 0, 5, 5), rect(50, 50, 55, 55)]})
        self.assertFalse(pipe.owed)

    def test_destroyed(self):
        """Nothing is owed of a surface that is gone."""
        pipe = DisplayPipe()
        pipe.owed.add(3, rect(0, 0, 5, 5))
        pipe.destroy(3)
        self.assertFalse(pipe.owed)
