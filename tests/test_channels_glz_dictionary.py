# SPDX-License-Identifier: LGPL-2.1-or-later
"""The GLZ dictionary that a client's display channels share."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.glz_dictionary import (
    MAX_WINDOW_PIXELS,
    MIN_WINDOW_PIXELS,
    GlzDictionary,
    GlzDictionaryState,
)
from spicemig.channels.pixmap_cache import CacheUse
from spicemig.codecs.glz import GlzDecoderWindow, GlzWindow
from spicemig.codecs.glz_reference import HEADER
from spicemig.codecs.pixels import Pixels
from spicemig.errors import ProtocolError, WireError
from spicemig.wire.enums import BitmapFormat


def picture(seed, width=40, height=10):
    """Pixels that look like those of the same seed only."""
    data = b"".join(bytes((seed, x * 7 & 255, x * y & 255, 0)) for y in range(height) for x in range(width))
    return Pixels(width, height, BitmapFormat.BIT32, width * 4, data)


def opened(pixels=MIN_WINDOW_PIXELS):
    """A dictionary that a display channel has opened."""
    dictionary = GlzDictionary()
    dictionary.open(1, pixels)
    return dictionary


def stream(image):
    """Its bytes."""
    return b"".join(image.parts)


class OpenTests(SynchronousTestCase):
    """The first display channel says which dictionary there is, and how large."""

    def test_bounded(self):
        """Whatever a client asks for, no more than the limit is held; what is of no use is not."""
        for asked, size in (
            (MIN_WINDOW_PIXELS, MIN_WINDOW_PIXELS),
            (1 << 31, MAX_WINDOW_PIXELS),
            (MIN_WINDOW_PIXELS - 1, 0),
            (-1, 0),
        ):
            dictionary = opened(asked)
            self.assertEqual((dictionary.size, dictionary.usable), (size, size > 0))

    def test_shared(self):
        """Other channels use the same one, as it is; they cannot name another."""
        dictionary = opened()
        dictionary.open(1, 2 * MIN_WINDOW_PIXELS)
        self.assertEqual(dictionary.size, MIN_WINDOW_PIXELS)
        with self.assertRaises(ProtocolError):
            dictionary.open(2, MIN_WINDOW_PIXELS)

    def test_not_opened(self):
        """Without one nothing is encoded."""
        dictionary = GlzDictionary()
        self.assertFalse(dictionary.usable)
        self.assertFalse(dictionary.takes(picture(1)))
        self.assertFalse(dictionary.knows(picture(1)))
        self.assertIsNone(dictionary.encode(picture(1), 0))
        self.assertEqual(dictionary.next_id, 0)


class OrderTests(SynchronousTestCase):
    """What was encoded is sent, in the order of the ids."""

    def test_ids(self):
        """Ids begin with 0 and have no gaps; a repeated image costs little."""
        dictionary, client = opened(), GlzDecoderWindow()
        images = [dictionary.encode(picture(1), 0) for _time in range(3)]
        self.assertEqual([image.image_id for image in images], [0, 1, 2])
        self.assertLess(images[1].size, images[0].size)
        for image in images:
            self.assertEqual(bytes(client.decode(stream(image)).data), picture(1).data)

    def test_turns(self):
        """Over all channels the oldest image that was not sent is the next."""
        dictionary = opened()
        first, second = dictionary.encode(picture(1), 0), dictionary.encode(picture(2), 1)
        self.assertEqual([dictionary.turn_of(image) for image in (first, second)], [True, False])
        dictionary.sent(first, 0, 7)
        self.assertTrue(dictionary.turn_of(second))

    def test_waits(self):
        """A channel that goes on where another one was waits for that, once."""
        dictionary = opened()
        for channel, serial, waits in (
            (0, 5, []),
            (0, 6, []),
            (1, 3, [(0, 6)]),
            (1, 4, []),
            (0, 9, [(1, 4)]),
        ):
            image = dictionary.encode(picture(1), channel)
            self.assertEqual(dictionary.awaited_by(channel), waits)
            dictionary.sent(image, channel, serial)

    def test_known(self):
        """An image that is in the window is found there, another one is not."""
        dictionary = opened()
        dictionary.encode(picture(1), 0)
        self.assertTrue(dictionary.knows(picture(1)))
        self.assertFalse(dictionary.knows(picture(99, 41)))

    def test_seen_elsewhere(self):
        """An image that went out in another encoding is known when it comes again."""
        dictionary = opened()
        dictionary.seen_elsewhere(picture(1))
        self.assertTrue(dictionary.knows(picture(1)))
        self.assertFalse(dictionary.knows(picture(99, 41)))
        self.assertEqual(dictionary.next_id, 0)

    def test_too_large(self):
        """An image that does not fit into the window is not for it."""
        self.assertFalse(opened().takes(picture(1, MIN_WINDOW_PIXELS, 2)))


class EndTests(SynchronousTestCase):
    """A dictionary that a client could not follow is not used any more."""

    def test_error(self):
        """After a failed encoding."""
        dictionary = opened()
        dictionary.window.encode = lambda pixels: 1 / 0
        with self.assertRaises(ZeroDivisionError):
            dictionary.encode(picture(1), 0)
        self.assertFalse(dictionary.usable)
        self.assertIsNone(dictionary.encode(picture(1), 0))

    def test_unsent(self):
        """When a channel goes with what only it could send."""
        dictionary = opened()
        sent, kept = dictionary.encode(picture(1), 0), dictionary.encode(picture(2), 1)
        dictionary.sent(sent, 0, 1)
        dictionary.channel_gone(0, last=False)
        self.assertTrue(dictionary.usable and dictionary.turn_of(kept))
        dictionary.channel_gone(1, last=False)
        self.assertFalse(dictionary.usable)

    def test_last(self):
        """When no channel is left: what the client has read is not known then."""
        dictionary = opened()
        dictionary.channel_gone(0, last=True)
        dictionary.open(1, MIN_WINDOW_PIXELS)
        self.assertFalse(dictionary.usable)


class MovingTests(SynchronousTestCase):
    """A dictionary goes to the target whole, or not at all."""

    def contents(self, dictionary):
        """A window with what the dictionary's has."""
        window = GlzWindow(dictionary.size)
        for image in dictionary.window.images():
            window.put(image)
        return window

    def test_whole(self):
        """The target's first image refers back to those of the source, and the client can follow."""
        source, client = opened(), GlzDecoderWindow()
        for seed in (1, 2, 3):
            image = source.encode(picture(seed), 0)
            source.sent(image, 0, seed)
            client.decode(stream(image))
        target = GlzDictionary()
        target.restore_from(source.export_state(), self.contents(source))
        image = target.encode(picture(2), 1)
        self.assertEqual(image.image_id, 3)
        self.assertEqual(target.awaited_by(1), [(0, 3)])
        self.assertLess(image.size, HEADER.size + 30)
        self.assertEqual(bytes(client.decode(stream(image)).data), picture(2).data)

    def test_forgotten(self):
        """What the source's window forgot, the target's forgets."""
        source = opened()
        for seed in range(30):
            source.sent(source.encode(picture(seed), 0), 0, seed)
        self.assertGreater(source.window.oldest_id, 0)
        window = self.contents(source)
        for seed in range(30, 40):
            source.sent(source.encode(picture(seed), 0), 0, seed)
        for image in source.window.images(window.next_id):
            window.put(image)
        target = GlzDictionary()
        target.restore_from(source.export_state(), window)
        self.assertTrue(target.usable)
        self.assertEqual(target.window.oldest_id, source.window.oldest_id)

    def test_not_whole(self):
        """Without its images nothing refers back to them; the client can follow all the same."""
        source, client = opened(), GlzDecoderWindow()
        image = source.encode(picture(1), 0)
        source.sent(image, 0, 1)
        client.decode(stream(image))
        other = opened(2 * MIN_WINDOW_PIXELS)
        other.encode(picture(1), 0)
        for contents in (None, GlzWindow(MIN_WINDOW_PIXELS), other.window):
            target = GlzDictionary()
            target.restore_from(source.export_state(), contents)
            again = target.encode(picture(1), 0)
            self.assertEqual((again.image_id, again.size), (1, image.size))
        self.assertEqual(bytes(client.decode(stream(again)).data), picture(1).data)

    def test_unsent(self):
        """So does one with an image that its client was not sent."""
        source = opened()
        source.encode(picture(1), 0)
        target = GlzDictionary()
        target.restore_from(source.export_state(), self.contents(source))
        self.assertFalse(target.usable)
        self.assertTrue(source.usable)

    def test_impossible(self):
        """States that cannot be are refused, and change nothing."""
        uses = [CacheUse(channel_id=n, serial=1) for n in range(5)]
        for fields in (
            {"size": MAX_WINDOW_PIXELS + 1},
            {"size": 1},
            {"size": MIN_WINDOW_PIXELS, "oldest_id": 2, "next_id": 1},
            {"size": MIN_WINDOW_PIXELS, "uses": uses},
            {"size": MIN_WINDOW_PIXELS, "uses": uses[:1] * 2},
        ):
            dictionary = opened()
            with self.assertRaises(ProtocolError):
                dictionary.restore_from(GlzDictionaryState(**fields).export_state())
            self.assertTrue(dictionary.usable)
        with self.assertRaises(WireError):
            opened().restore_from(b"no state")
