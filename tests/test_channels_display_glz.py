# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images that go out with a client's GLZ dictionary: encoded in order, and sent whatever comes."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display_encoding, display_images, display_pipe
from spicemig.channels.display_encoding import EncodeJob, GlzRun
from spicemig.channels.glz_dictionary import GlzDictionary
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.codecs import images
from spicemig.codecs.encoders import pixels_of
from spicemig.codecs.glz import GlzDecoderWindow, inflate
from spicemig.codecs.glz_reference import HEADER
from spicemig.devices.drawables import Batch, DeviceImage, Effect
from spicemig.devices.surfaces import Surface
from spicemig.wire.declare import CHANNEL_TYPES
from spicemig.wire.enums import ImageCompression, ImageFlags, ImageType
from spicemig.wire.messages import base, display
from tests.test_channels_display import CAPS, DisplayCore, Peer, copy, fill, image, settings

WINDOW_PIXELS = 1 << 16
INIT = display.Init(
    pixmap_cache_id=1, pixmap_cache_size=4000, glz_dictionary_id=1, glz_dictionary_window_size=WINDOW_PIXELS
)
GLZ_NUMBERS = (ImageType.GLZ_RGB, ImageType.ZLIB_GLZ_RGB)


class Client:
    """What a client decodes; all its display channels share the window."""

    def __init__(self):
        self.window = GlzDecoderWindow()
        self.ids = []
        self.kept = {}

    def pixels(self, source):
        """The pixels of an image that came."""
        descriptor = source.descriptor
        if descriptor.type in (ImageType.FROM_CACHE, ImageType.FROM_CACHE_LOSSLESS):
            return self.kept[descriptor.id]
        if descriptor.type in GLZ_NUMBERS:
            stream = bytes(source.data.data)
            if descriptor.type == ImageType.ZLIB_GLZ_RGB:
                stream = inflate(stream, source.data.glz_data_size)
            self.ids.append(HEADER.unpack_from(stream)[6])
            data = bytes(self.window.decode(stream).data)
        else:
            data = bytes(images.decode(source).rows())
        if descriptor.flags & ImageFlags.CACHE_ME:
            assert descriptor.id not in self.kept
            self.kept[descriptor.id] = data
        return data


def ready(mode="glz", dictionary=None, pixmaps=None, channel_id=0):
    """A display channel whose client has said Init and was told of a primary surface."""
    core = DisplayCore(
        pixmap_cache=pixmaps if pixmaps is not None else PixmapCache(),
        glz_dictionary=dictionary if dictionary is not None else GlzDictionary(),
        settings=settings(mode),
        caps=CAPS,
        channel_id=channel_id,
    )
    core.packer.budget_bytes = 0  # what is not small is for threads
    peer = Peer(core)
    core.start(0.0)
    peer.say(INIT, base.AckSync(1))
    core.surface_created(Surface(0, 640, 480), primary=True)
    peer.work()
    return peer


def text(width, height, seed, identity=0):
    """An image of many colours, every row of which comes twice."""
    dice = random.Random(seed)
    rows = [b"".join(dice.randbytes(3) + b"\0" for _x in range(width)) for _y in range(0, height, 2)]
    data = b"".join(rows[y // 2] for y in range(height))
    flags = ImageFlags.CACHE_ME if identity else 0
    return DeviceImage(width, height, 8, width * 4, data, id=identity, flags=flags)


def photograph(width, height, seed=0):
    """An image whose colours change slowly, and never come back."""
    dice = random.Random(seed)
    value, data = [128] * 3, bytearray()
    for _pixel in range(width * height):
        value = [min(255, max(0, each + dice.randint(-3, 3))) for each in value]
        data += bytes((*value, 0))
    return DeviceImage(width, height, 8, width * 4, bytes(data))


def kinds(messages):
    """The types of the images in drawings."""
    return [message.src_bitmap.descriptor.type for message in messages]


class EncodingTests(SynchronousTestCase):
    """Small images are encoded where they are packed, large ones in runs."""

    def test_small(self):
        """A small image needs no job; what it shares with an earlier one is not sent again."""
        peer, client = ready(), Client()
        first, second = text(40, 40, 1), text(40, 40, 1)
        peer.core.drawables(Batch.of([copy(first), copy(second, left=100)]))
        self.assertEqual(peer.core.jobs(), [])
        messages = peer.sent()
        self.assertEqual(kinds(messages), 2 * [ImageType.GLZ_RGB])
        self.assertEqual([client.pixels(each.src_bitmap) for each in messages], [first.data, second.data])
        first_size, second_size = (len(each.src_bitmap.data.data) for each in messages)
        self.assertLess(second_size, first_size / 5)

    def test_run(self):
        """What is large goes to a thread, with the images that stand behind it, in one job."""
        peer, client = ready(), Client()
        pictures = [text(100, 100, 1), text(20, 20, 2), text(120, 100, 3), text(20, 20, 4)]
        peer.core.drawables(Batch.of([copy(each, left=130 * n) for n, each in enumerate(pictures)]))
        [job] = peer.core.jobs()
        self.assertIsInstance(job, GlzRun)
        self.assertEqual((peer.core.jobs(), peer.sent()), ([], []))
        job.run()
        peer.core.encoded(job)
        messages = peer.sent()
        self.assertEqual([client.pixels(each.src_bitmap) for each in messages], [p.data for p in pictures])
        self.assertEqual(client.ids, [0, 1, 2, 3])

    def test_others_meanwhile(self):
        """While a run is under way, other codecs encode in threads of their own."""
        peer = ready()
        indexed = DeviceImage(300, 300, 5, 300, bytes(range(100)) * 900, palette=tuple(range(256)))
        peer.core.drawables(Batch.of([copy(text(100, 100, 1)), copy(indexed, left=100)]))
        jobs = peer.core.jobs()
        self.assertEqual({type(job) for job in jobs}, {GlzRun, EncodeJob})

    def test_in_front_of_pinned(self):
        """An image that was left out of a run does not get a later id than what stands behind it."""
        peer, client = ready(), Client()
        kept = text(100, 100, 1, identity=5)
        large = text(110, 100, 2)
        peer.core.pixmap_cache.available = 100  # no room: the client does not keep it after all
        peer.core.drawables(Batch.of([copy(kept), copy(kept, left=200), copy(large, left=400)]))
        [job] = peer.core.jobs()
        self.assertEqual(len(job.choices), 2)
        job.run()
        peer.core.encoded(job)
        messages = peer.work()
        self.assertEqual(kinds(messages), [ImageType.GLZ_RGB, ImageType.LZ_RGB, ImageType.GLZ_RGB])
        self.assertEqual([client.pixels(m.src_bitmap) for m in messages], [kept.data, kept.data, large.data])

    def test_not_for_the_dictionary(self):
        """Images that clients write on, do not always decode, or that are too large go out in LZ."""
        peer = ready()
        high_bits = image(40, 40)
        high_bits.flags |= ImageFlags.HIGH_BITS_SET
        large = text(400, 300, 1)
        peer.core.drawables(Batch.of([copy(high_bits), copy(large, left=100)]))
        self.assertEqual(kinds(peer.work()), 2 * [ImageType.LZ_RGB])
        self.assertEqual(peer.core.glz_dictionary.next_id, 0)

    def test_mode_changes(self):
        """The client may choose GLZ, and leave it, in the middle of a session."""
        peer, client = ready("lz"), Client()
        for mode, kind in (
            (ImageCompression.GLZ, ImageType.GLZ_RGB),
            (ImageCompression.LZ4, ImageType.LZ4),
            (ImageCompression.GLZ, ImageType.GLZ_RGB),
            (ImageCompression.OFF, ImageType.BITMAP),
        ):
            drawn = text(100, 100, int(mode))
            peer.say(display.PreferredCompression(mode))
            peer.core.drawables(Batch.of([copy(drawn)]))
            [message] = peer.work()
            self.assertEqual(message.src_bitmap.descriptor.type, kind)
            self.assertEqual(client.pixels(message.src_bitmap), drawn.data)
        self.assertEqual(client.ids, [0, 1])

    def test_mode_changes_with_a_run_under_way(self):
        """What a thread is encoding for the dictionary is sent from it."""
        peer, client = ready(), Client()
        drawn = [text(100, 100, seed) for seed in (1, 2)]
        peer.core.drawables(Batch.of([copy(drawn[0])]))
        [job] = peer.core.jobs()
        peer.say(display.PreferredCompression(ImageCompression.LZ))
        peer.core.drawables(Batch.of([copy(drawn[1], left=200)]))
        messages = []
        job.run()
        peer.core.encoded(job)
        messages = peer.work()
        self.assertEqual(kinds(messages), [ImageType.GLZ_RGB, ImageType.LZ_RGB])
        self.assertEqual([client.pixels(each.src_bitmap) for each in messages], [each.data for each in drawn])

    def test_slow_line(self):
        """On a slow line what GLZ made is deflated, if that makes it smaller."""
        peer, client = ready(), Client()
        peer.core.line.settings = settings(zlib_glz_wan="always")
        drawn = [text(100, 100, 1), image(3, 6)]
        peer.core.drawables(Batch.of([copy(drawn[0]), copy(drawn[1], left=200)]))
        messages = peer.work()
        self.assertEqual(kinds(messages), [ImageType.ZLIB_GLZ_RGB, ImageType.GLZ_RGB])
        for message, source in zip(messages, drawn, strict=True):
            self.assertEqual(client.pixels(message.src_bitmap), source.data)

    def test_auto(self):
        """auto_glz: QUIC for a photograph that comes once, GLZ for one that comes again and for drawings."""
        peer, client = ready("auto_glz"), Client()
        for side in (100, 40):
            drawn = [
                photograph(side, side, side),
                text(side, side, side),
                *2 * [photograph(side, side, side)],
            ]
            peer.core.drawables(Batch.of([copy(each, left=110 * n) for n, each in enumerate(drawn)]))
            messages = peer.work()
            self.assertEqual(kinds(messages), [ImageType.QUIC] + 3 * [ImageType.GLZ_RGB])
            for message, source in zip(messages, drawn, strict=True):
                self.assertEqual(client.pixels(message.src_bitmap), source.data)
            sizes = [len(message.src_bitmap.data.data) for message in messages]
            self.assertLess(sizes[3], sizes[0] / 5)

    def test_clients(self):
        """Each client has its own dictionary; what other codecs made is shared."""
        batch = Batch.of([copy(text(100, 100, 1))])
        first, second, third = ready(), ready(), ready("lz")
        for peer in (first, second, third):
            peer.core.drawables(batch)
            self.assertEqual(len(peer.work()), 1)
        self.assertEqual([peer.core.glz_dictionary.next_id for peer in (first, second, third)], [1, 1, 0])
        fourth = ready("lz")
        fourth.core.drawables(batch)
        self.assertEqual((fourth.core.jobs(), len(fourth.sent())), ([], 1))

    def test_failure(self):
        """An encoding that fails ends the dictionary; the rest goes out otherwise."""
        peer = ready()
        peer.core.drawables(Batch.of([copy(text(100, 100, 1)), copy(text(100, 100, 2), left=200)]))
        [job] = peer.core.jobs()
        encode = peer.core.glz_dictionary.window.encode
        tries = [encode, lambda pixels: 1 / 0]
        peer.core.glz_dictionary.window.encode = lambda pixels: tries.pop(0)(pixels)
        self.assertRaises(ZeroDivisionError, job.run)
        other = ready("glz", peer.core.glz_dictionary, channel_id=1)
        other.core.drawables(Batch.of([copy(text(100, 100, 1))]))
        self.assertEqual(kinds(other.work()), [ImageType.LZ_RGB])


class PinnedTests(SynchronousTestCase):
    """A drawing whose image is in the dictionary is sent."""

    def under_way(self, *more):
        """A channel with a run for an image of 100x100 at the top left, and whatever else is drawn then."""
        peer = ready()
        self.drawn = text(100, 100, 1)
        peer.core.drawables(Batch.of([copy(self.drawn)]))
        [self.job] = peer.core.jobs()
        peer.core.drawables(Batch.of(more))
        return peer

    def done(self, peer):
        """The run is; what is sent."""
        self.job.run()
        peer.core.encoded(self.job)
        return peer.work()

    def test_covered(self):
        """Though it was covered meanwhile."""
        peer = self.under_way(fill(0, 0, 640, 480))
        first, second = self.done(peer)
        self.assertEqual(Client().pixels(first.src_bitmap), self.drawn.data)
        self.assertIsInstance(second, display.DrawFill)

    def test_too_much(self):
        """Though all that waits was given up, and whatever it would have blended with is painted."""
        self.patch(display_pipe, "MAX_WAITING_DRAWABLES", 10)
        peer = ready()
        drawn = text(100, 100, 1)
        batch = Batch()
        batch.append(copy(drawn), Effect.BLEND)
        peer.core.drawables(batch)
        [job] = peer.core.jobs()
        peer.core.drawables(Batch.of([fill(x, 200, x + 2, 202) for x in range(0, 100, 2)]))
        self.assertEqual(len(peer.core.pipe.entries), 1)
        job.run()
        peer.core.encoded(job)
        self.assertEqual(len(peer.work()), 1)
        owed = peer.core.take_owed()[0]
        self.assertTrue(any(rect.right >= 100 and rect.bottom >= 100 for rect in owed))

    def test_surface_goes(self):
        """Though its surface is destroyed: the client has that until then."""
        peer = ready()
        peer.core.surface_created(Surface(3, 200, 200))
        peer.core.drawables(Batch.of([copy(text(100, 100, 1), surface=3)]))
        [self.job] = peer.core.jobs()
        peer.sent()
        peer.core.surface_destroyed(3)
        for surface in range(10, 10 + display_pipe.FEW_COMMANDS):  # come and go unseen
            peer.core.surface_created(Surface(surface, 5, 5))
            peer.core.surface_destroyed(surface)
        messages = self.done(peer)
        names = [type(message).__name__ for message in messages[:2]]
        self.assertEqual(names, ["DrawCopy", "SurfaceDestroy"])

    def test_not_taken(self):
        """One that the dictionary does not take in the end may be covered again."""
        peer = self.under_way()
        self.job.dictionary.encode = lambda pixels, channel_id, deflated: None
        self.job.run()
        peer.core.encoded(self.job)
        self.assertEqual(len(peer.core.jobs()), 1)
        peer.core.drawables(Batch.of([fill(0, 0, 640, 480)]))
        self.assertEqual([type(each).__name__ for each in peer.work()], ["DrawFill"])


class LeavingTests(SynchronousTestCase):
    """What was encoded is sent before the state is exported."""

    def test_run_under_way(self):
        """Also what a thread has not begun yet; the thread then finds nothing to do."""
        peer, client = ready(), Client()
        drawn = [text(100, 100, seed) for seed in (1, 2, 3)]
        peer.core.drawables(Batch.of([copy(each, left=110 * n) for n, each in enumerate(drawn)]))
        [job] = peer.core.jobs()
        peer.core.freeze()
        self.assertTrue(peer.core.flush_all())
        messages = peer.sent()
        self.assertEqual([client.pixels(each.src_bitmap) for each in messages], [each.data for each in drawn])
        job.run()
        peer.core.encoded(job)
        self.assertEqual(peer.core.glz_dictionary.next_id, 3)
        self.assertEqual(peer.sent(), [])

    def test_too_much(self):
        """Though all else is given up."""
        self.patch(display_encoding, "RUN_DRAWABLES", 1)
        from spicemig.channels import display as display_module

        self.patch(display_module, "MAX_FLUSH_BYTES", 1000)
        peer, client = ready(), Client()
        drawn = text(100, 100, 1)
        peer.core.drawables(Batch.of([copy(drawn), copy(text(100, 100, 2), left=200)]))
        peer.core.jobs()
        peer.core.freeze()
        self.assertTrue(peer.core.flush_all())
        [message] = peer.sent()
        self.assertEqual(client.pixels(message.src_bitmap), drawn.data)
        self.assertEqual([rect.left for _surface, rects in peer.core.pipe.owed for rect in rects], [200])

    def test_never_sent(self):
        """
        A dictionary with an image that was encoded and did not go out arrives as ended: the
        client would wait for ever for an image that refers to it.
        """
        for encoded, ended in ((False, False), (True, True)):
            dictionary, target = GlzDictionary(), GlzDictionary()
            dictionary.open(1, WINDOW_PIXELS)
            if encoded:
                dictionary.encode(pixels_of(text(20, 20, 1)), 0)
            target.restore_from(dictionary.export_state())
            self.assertEqual((target.ended, target.usable), (ended, not ended))


class ChannelsTests(SynchronousTestCase):
    """Several display channels of a client share one dictionary."""

    def setUp(self):
        self.dictionary, self.pixmaps, self.client = GlzDictionary(), PixmapCache(), Client()
        self.peers = [ready("glz", self.dictionary, self.pixmaps, channel_id) for channel_id in (0, 1)]

    def test_order(self):
        """An image is sent once all older ones were, by whatever channel, and the client waits for them."""
        first, second = self.peers
        large, small = text(100, 100, 1), text(40, 40, 2)
        first.core.drawables(Batch.of([copy(large)]))
        [job] = first.core.jobs()
        job.run()  # encoded, and not sent yet
        second.core.drawables(Batch.of([copy(small)]))
        self.assertEqual((second.core.jobs(), second.sent()), ([], []))
        first.core.encoded(job)
        [message] = first.sent()
        serial = first.core.common.serial_sent
        wait, other = second.sent()
        self.assertEqual(
            [(each.channel_type, each.channel_id, each.message_serial) for each in wait.wait_list],
            [(CHANNEL_TYPES["display"], 0, serial)],
        )
        decoded = [self.client.pixels(each.src_bitmap) for each in (message, other)]
        self.assertEqual(decoded, [large.data, small.data])

    def test_waits_for_another(self):
        """A channel whose image is not the next one says so, and goes on afterwards."""
        first, second = self.peers
        for peer, seed in ((first, 1), (second, 2)):
            peer.core.drawables(Batch.of([copy(text(100, 100, seed))]))
        [job] = first.core.jobs()
        self.assertEqual(second.core.jobs(), [])  # one thread at a time
        job.run()
        first.core.stage, speaking = display_images, first.core.stage  # not now
        first.core.encoded(job)
        [job] = second.core.jobs()
        job.run()
        second.core.encoded(job)
        self.assertEqual(second.sent(), [])
        self.assertFalse(second.core.flush_all())
        first.core.stage = speaking
        self.assertEqual(len(first.sent()), 1)
        self.assertEqual(len(second.sent()), 2)

    def test_gone(self):
        """A channel that goes with an encoded image ends the dictionary; the other goes on without."""
        first, second = self.peers
        first.core.drawables(Batch.of([copy(text(100, 100, 1))]))
        [job] = first.core.jobs()
        job.run()
        waiting = text(40, 40, 2)
        first.core.glz_dictionary.busy = False
        second.core.drawables(Batch.of([copy(waiting)]))
        self.assertEqual(second.sent(), [])
        self.dictionary.channel_gone(0, last=False)
        [message] = second.work()
        self.assertEqual(message.src_bitmap.descriptor.type, ImageType.LZ_RGB)
        self.assertEqual(self.client.pixels(message.src_bitmap), waiting.data)


class WildTests(SynchronousTestCase):
    """Whatever is drawn, covered, acknowledged and encoded in whatever order: the client can follow."""

    def test_all_sorts(self):
        """Every image that was encoded comes, in order, and every picture is what was drawn."""
        self.patch(display_images, "INLINE_BYTES", 2000)
        self.patch(display_encoding, "INLINE_BYTES", 2000)
        for seed in range(8):
            dice = random.Random(seed)
            dictionary, pixmaps, client = GlzDictionary(), PixmapCache(), Client()
            peers = [ready("glz", dictionary, pixmaps, channel_id) for channel_id in (0, 1)]
            known = [text(dice.randint(4, 40), dice.randint(4, 40), n, identity=n) for n in range(1, 9)]
            jobs, drawn = [], {}
            self.channels = [Channel(), Channel()]
            for peer, channel in zip(peers, self.channels, strict=True):
                channel.serial = peer.core.common.serial_sent
            for _step in range(120):
                peer = dice.choice(peers)
                what = dice.random()
                if what < 0.5:
                    source = (
                        dice.choice(known)
                        if dice.random() < 0.3
                        else text(dice.randint(4, 40), dice.randint(4, 40), 1000 + dice.randint(0, 20))
                    )
                    left, top = dice.randrange(600), dice.randrange(440)
                    drawn[source.width, source.height, bytes(source.data)] = True
                    batch = Batch()
                    batch.append(copy(source, left, top), dice.choice((Effect.OPAQUE, Effect.BLEND)))
                    peer.core.drawables(batch)
                elif what < 0.55:
                    peer.core.drawables(Batch.of([fill(0, 0, 640, 480)]))
                elif what < 0.6:
                    peer.say(display.PreferredCompression(dice.choice((2, 3, 5, 5, 5, 6))))
                elif what < 0.75:
                    peer.say(base.Ack())
                elif jobs:
                    owner, job = jobs.pop(dice.randrange(len(jobs)))
                    owner.core.encoded(job, job.run())
                jobs += [(peer, job) for job in peer.core.jobs()]
                self.read(peers, client, drawn)
            while jobs or any(not peer.core.idle for peer in peers):
                for owner, job in jobs:
                    owner.core.encoded(job, job.run())
                jobs = []
                for peer in peers:
                    peer.say(base.Ack())
                    peer.core.take_owed()
                    jobs += [(peer, job) for job in peer.core.jobs()]
                self.read(peers, client, drawn)
            self.assertEqual(client.ids, list(range(dictionary.next_id)))
            self.assertGreater(len(client.ids), 5)

    def read(self, peers, client, drawn):
        """Let the client read all it is sent, on each channel as far as that does not wait for another."""
        going_on = True
        while going_on:
            going_on = False
            for peer, channel in zip(peers, self.channels, strict=True):
                channel.unread += peer.sent()
                while channel.unread and not channel.waits(self.channels):
                    self.take(channel.read(), client, drawn)
                    going_on = True

    def take(self, message, client, drawn):
        """A message that the client has read."""
        if isinstance(message, display.InvalList):
            for resource in message.resources:
                del client.kept[resource.id]
        source = getattr(message, "src_bitmap", None)
        if source is not None:
            descriptor = source.descriptor
            self.assertIn((descriptor.width, descriptor.height, client.pixels(source)), drawn)


class Channel:
    """What a client has not read yet on one of its display channels."""

    def __init__(self):
        self.unread = []
        self.serial = 0  # of the last message that was read

    def waits(self, channels):
        """Whether another channel has to come so far first."""
        waits = getattr(self.unread[0], "wait_list", [])
        return any(channels[each.channel_id].serial < each.message_serial for each in waits)

    def read(self):
        """The next message."""
        self.serial += 1
        return self.unread.pop(0)
