# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a client is sent on its display channel, and when."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display_encoding, display_pipe
from spicemig.channels.display import DisplayCore
from spicemig.channels.events import DisplayInitialised, PreferredCompression, PreferredVideoCodecs
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.codecs import images
from spicemig.devices.drawables import Batch, DeviceImage, Effect, Placeholder
from spicemig.devices.surfaces import Surface
from spicemig.errors import ProtocolError
from spicemig.session.settings import SessionSettings
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.declare import catalogue
from spicemig.wire.drawing import Brush, Clip, DrawBase, Palette, Pattern, Point, QMask, Rect, ResourceId
from spicemig.wire.enums import (
    BitmapFlags,
    BitmapFormat,
    BrushType,
    ImageCompression,
    ImageFlags,
    ImageType,
    ResourceType,
    Ropd,
    SurfaceFlags,
)
from spicemig.wire.framing import Deframer, frame
from spicemig.wire.messages import base, display

CAPS = frozenset((DisplayCap.LZ4_COMPRESSION, DisplayCap.MONITORS_CONFIG))
INIT = display.Init(
    pixmap_cache_id=1, pixmap_cache_size=10000, glz_dictionary_id=1, glz_dictionary_window_size=0
)


def settings(image_compression="lz4", jpeg_wan="never", **more):
    """The settings that a display channel reads."""
    return SessionSettings(image_compression=image_compression, jpeg_wan=jpeg_wan, **more)


class Peer:
    """A core and the client at its other end, which only writes down what it is sent."""

    def __init__(self, core=None, *, pixmaps=None, caps=CAPS, channel_id=0, **chosen):
        self.pixmaps = pixmaps if pixmaps is not None else PixmapCache()
        self.core = core or DisplayCore(
            pixmap_cache=self.pixmaps, settings=settings(**chosen), caps=caps, channel_id=channel_id
        )
        self.deframer = Deframer("display", "client", True)

    def say(self, *messages):
        """Messages of the client; the events that come of them."""
        events = []
        for message in messages:
            events += self.core.receive(b"".join(frame(message, True, 0)))
        return events

    def sent(self):
        """The messages that the client has got since the last call."""
        frames = self.deframer.feed(b"".join(self.core.data_to_send()))
        return [catalogue.find("display", "client", each.number).unpack(each.body) for each in frames]

    def work(self):
        """Do everything that an owner does after a use; the messages that come of it."""
        found = []
        while jobs := self.core.jobs():
            found += self.sent()
            for job in jobs:
                self.core.encoded(job, job.run())
        return found + self.sent()


def ready(**options):
    """A peer whose client has said Init and was told of a primary surface."""
    peer = Peer(**options)
    peer.core.common.ack_window = 20  # closed by few drawings
    peer.core.start(0.0)
    peer.say(INIT, base.AckSync(1))
    peer.core.surface_created(Surface(0, 640, 480), primary=True)
    peer.work()
    return peer


def pixels(width, height, colour=7):
    """Rows of one colour."""
    return bytes((colour, 0, 0, 0)) * (width * height)


def image(width=8, height=8, colour=7, identity=0, flags=0, **more):
    """A device's image of one colour; with an id it may be kept."""
    flags |= ImageFlags.CACHE_ME if identity else 0
    return DeviceImage(
        width, height, 8, width * 4, pixels(width, height, colour), id=identity, flags=flags, **more
    )


def copy(source, left=0, top=0, surface=0):
    """Copy a whole image to a place."""
    right, bottom = left + source.width, top + source.height
    base_ = DrawBase(surface, Rect(top=top, left=left, bottom=bottom, right=right), Clip())
    area = Rect(top=0, left=0, bottom=source.height, right=source.width)
    return display.DrawCopy(base_, Placeholder(source), area, Ropd.OP_PUT, 0, QMask())


def fill(left, top, right, bottom, surface=0):
    """Fill a rectangle with a colour."""
    base_ = DrawBase(surface, Rect(top=top, left=left, bottom=bottom, right=right), Clip())
    return display.DrawFill(base_, Brush(BrushType.SOLID, color=1), Ropd.OP_PUT, QMask())


def noise(width, height, identity=0):
    """A natural image that does not compress without loss; large ones are encoded elsewhere."""
    data = bytes(random.Random(width).choices(range(50), k=width * height * 4))
    return DeviceImage(
        width, height, 8, width * 4, data, id=identity, flags=ImageFlags.CACHE_ME if identity else 0
    )


class InitTests(SynchronousTestCase):
    """A display channel begins with Init."""

    def test_init(self):
        """The session is told what the client keeps."""
        (event,) = Peer().say(INIT)
        self.assertEqual(event, DisplayInitialised(1, 10000, 1, 0))

    def test_only_once(self):
        """A second Init is refused."""
        peer = Peer()
        peer.say(INIT)
        with self.assertRaises(ProtocolError):
            peer.say(INIT)

    def test_first(self):
        """Anything else before Init is refused."""
        for message in (
            display.PreferredCompression(1),
            display.GlDrawDone(),
            display.PreferredVideoCodecType([1]),
        ):
            with self.assertRaises(ProtocolError):
                Peer().say(message)

    def test_nothing_before(self):
        """Nothing is shown before Init."""
        peer = Peer()
        peer.core.surface_created(Surface(0, 64, 64), primary=True)
        self.assertEqual(peer.sent(), [])
        peer.say(INIT)
        self.assertEqual(len(peer.sent()), 1)

    def test_preferences(self):
        """The client may choose the compression; unknown modes and video codecs do no harm."""
        peer = ready()
        self.assertEqual(peer.say(display.PreferredCompression(1)), [PreferredCompression(1)])
        self.assertEqual(peer.core.compression, ImageCompression.OFF)
        self.assertEqual(peer.say(display.PreferredCompression(99)), [])
        self.assertEqual(peer.core.compression, ImageCompression.OFF)
        events = peer.say(display.PreferredVideoCodecType([1, 200]), display.GlDrawDone())
        self.assertEqual(events, [PreferredVideoCodecs((1, 200))])
        self.assertEqual(peer.say(display.StreamReport(1, 2, 3, 4, 5, 6, 7, 8)), [])
        with self.assertRaises(ProtocolError):
            peer.say(display.PreferredVideoCodecType([1] * 33))


class SurfaceTests(SynchronousTestCase):
    """The client has the surfaces that the device has."""

    def test_created_and_destroyed(self):
        """Surfaces come and go in order, with what is drawn on them."""
        peer = ready()
        peer.core.surface_created(Surface(5, 10, 20))
        peer.core.drawables(Batch.of([fill(0, 0, 5, 5, surface=5)]))
        peer.core.drawables(Batch.of([copy(DeviceImage(10, 20, surface=5))]))
        peer.core.surface_destroyed(5)
        created, drawn, copied, destroyed = peer.work()
        self.assertEqual(created, display.SurfaceCreate(5, 10, 20, 32, 0))
        self.assertEqual(drawn.base.surface_id, 5)
        self.assertEqual(copied.src_bitmap.descriptor.type, ImageType.SURFACE)
        self.assertEqual(copied.src_bitmap.data.surface_id, 5)
        self.assertEqual(destroyed, display.SurfaceDestroy(5))

    def test_primary(self):
        """The primary surface is marked as such."""
        peer = Peer()
        peer.say(INIT)
        peer.core.surface_created(Surface(0, 64, 48), primary=True)
        peer.core.mark()
        self.assertEqual(
            peer.work(), [display.SurfaceCreate(0, 64, 48, 32, SurfaceFlags.PRIMARY), display.Mark()]
        )

    def test_unknown(self):
        """What is drawn on a surface that the client was not told of is left out."""
        peer = ready()
        peer.core.drawables(Batch.of([fill(0, 0, 5, 5, surface=9)]))
        peer.core.repaint(Surface(9, 10, 10))
        peer.core.surface_destroyed(9)
        self.assertEqual(peer.work(), [])

    def test_unknown_source(self):
        """What is drawn from one is sent as pixels later."""
        peer = ready()
        peer.core.drawables(Batch.of([copy(DeviceImage(5, 5, surface=9), left=3)]))
        self.assertEqual(peer.work(), [])
        self.assertEqual(peer.core.take_owed(), {0: [Rect(top=0, left=3, bottom=5, right=8)]})

    def test_broken_image(self):
        """So is what has an image with too few bytes: the client must not be sent that."""
        peer = ready()
        peer.core.drawables(Batch.of([copy(DeviceImage(5, 5, 8, 20, bytes(99)))]))
        self.assertEqual(peer.work(), [])
        self.assertEqual(list(peer.core.take_owed()), [0])

    def test_monitors(self):
        """Only clients that know monitors are told of them."""
        config = display.MonitorsConfig(max_allowed=1, heads=[display.Head(0, 0, 640, 480, 0, 0)])
        for caps, expected in ((CAPS, [config]), (frozenset(), [])):
            peer = ready(caps=caps)
            peer.core.monitors(config)
            self.assertEqual(peer.work(), expected)


class RepaintTests(SynchronousTestCase):
    """A surface can be sent as it is."""

    def setUp(self):
        self.surface = Surface(0, 640, 480)
        self.surface.pixels[:] = bytes(range(256)) * (len(self.surface.pixels) // 256)

    def shown(self, messages):
        """The pixels that a client has after these messages."""
        canvas = bytearray(len(self.surface.pixels))
        for message in messages:
            box, rows = message.base.box, images.decode(message.src_bitmap).rows()
            width = (box.right - box.left) * 4
            for index, y in enumerate(range(box.top, box.bottom)):
                start = y * self.surface.stride + box.left * 4
                canvas[start : start + width] = rows[index * width : (index + 1) * width]
        return canvas

    def test_whole(self):
        """In bands of a bounded size, exactly."""
        peer = ready()
        peer.core.repaint(self.surface)
        messages = peer.work()
        self.assertEqual(len(messages), 3)
        self.assertEqual(self.shown(messages), self.surface.pixels)

    def test_as_it_was(self):
        """What is drawn on the surface afterwards does not change what is sent."""
        peer = ready()
        peer.core.repaint(self.surface)
        before = bytes(self.surface.pixels)
        self.surface.pixels[:] = bytes(len(before))
        self.assertEqual(self.shown(peer.work()), before)

    def test_parts(self):
        """Only the parts that are asked for, inside the surface."""
        peer = ready()
        parts = [Rect(top=10, left=20, bottom=30, right=50), Rect(top=470, left=-5, bottom=500, right=9)]
        peer.core.repaint(self.surface, parts)
        messages = peer.work()
        boxes = [message.base.box for message in messages]
        self.assertEqual(boxes, [parts[0], Rect(top=470, left=0, bottom=480, right=9)])
        shown = self.shown(messages)
        row = 12 * self.surface.stride
        self.assertEqual(shown[row + 80 : row + 200], self.surface.pixels[row + 80 : row + 200])
        self.assertEqual(shown[row : row + 80], bytes(80))


class WindowTests(SynchronousTestCase):
    """A client is sent what it can take; the rest waits unpacked."""

    def fills(self, count):
        """Drawables that do not cover each other."""
        return Batch.of([fill(x, 0, x + 2, 2) for x in range(count)])

    def test_waits_for_acks(self):
        """Drawing stops when too much is unacknowledged, and goes on with the next acknowledgement."""
        peer = ready()
        peer.core.drawables(self.fills(100))
        first = len(peer.work())
        self.assertLess(first, 60)
        self.assertFalse(peer.core.window_open)
        self.assertFalse(peer.core.idle)
        self.assertEqual(peer.work(), [])
        peer.say(base.Ack())
        self.assertEqual(len(peer.work()), peer.core.common.ack_window)

    def test_late_cover(self):
        """What is covered while it waits is never sent, and its images are not encoded."""
        peer = ready()
        peer.core.drawables(self.fills(100))
        peer.work()
        peer.core.drawables(Batch.of([copy(noise(200, 200), left=300)]))
        peer.core.drawables(Batch.of([fill(0, 0, 640, 480)]))
        peer.say(base.Ack())
        self.assertEqual(peer.core.jobs(), [])
        self.assertEqual([message.base.box.right for message in peer.work()], [640])
        self.assertTrue(peer.core.idle)

    def test_commands_wait_too(self):
        """A surface is created in its place, not before what was drawn earlier."""
        peer = ready()
        peer.core.drawables(self.fills(100))
        peer.work()
        peer.core.surface_created(Surface(3, 9, 9))
        self.assertEqual(peer.work(), [])

    def test_too_much(self):
        """A client that falls too far behind is sent pixels when it has caught up."""
        peer = ready()
        self.patch(display_pipe, "MAX_WAITING_DRAWABLES", 100)
        peer.core.drawables(self.fills(99))
        peer.work()
        peer.core.drawables(Batch.of([fill(x, 10, x + 2, 12) for x in range(200)]))
        self.assertEqual(peer.core.take_owed(), {})
        peer.say(base.Ack(), base.Ack())
        peer.work()
        owed = peer.core.take_owed()
        self.assertEqual(list(owed), [0])
        self.assertEqual(max(rect.bottom for rect in owed[0]), 12)
        peer.core.repaint(Surface(0, 640, 480), owed[0])
        self.assertTrue(peer.work())
        self.assertTrue(peer.core.idle)

    def test_owed_at_once(self):
        """With an open window, what is owed is asked for as soon as what waits before it can go."""
        peer = ready()
        self.patch(display_pipe, "MAX_WAITING_DRAWABLES", 2)
        peer.core.transport_paused = True
        peer.core.mark()
        peer.core.drawables(self.fills(3))
        peer.core.transport_paused = False
        self.assertEqual(list(peer.core.take_owed()), [0])
        self.assertEqual(peer.work(), [display.Mark()])


class EncodingTests(SynchronousTestCase):
    """Large images are encoded elsewhere, and nothing overtakes them."""

    def test_small_in_line(self):
        """A small image needs no job."""
        peer = ready()
        peer.core.drawables(Batch.of([copy(image())]))
        self.assertEqual(peer.core.jobs(), [])
        (message,) = peer.sent()
        self.assertEqual(message.src_bitmap.descriptor.type, ImageType.LZ4)
        self.assertEqual(images.decode(message.src_bitmap).data, pixels(8, 8))

    def test_order(self):
        """Messages leave in the order of drawing, whichever job is done first."""
        peer = ready()
        large = [image(400, 400, colour) for colour in (1, 2, 3)]
        peer.core.drawables(
            Batch.of(
                [copy(large[0]), copy(large[1], left=200), fill(0, 400, 5, 405), copy(large[2], left=400)]
            )
        )
        jobs = peer.core.jobs()
        self.assertEqual(len(jobs), 3)
        self.assertEqual(peer.core.jobs(), [])
        peer.core.encoded(jobs[2], jobs[2].run())
        peer.core.encoded(jobs[1], jobs[1].run())
        self.assertEqual(peer.sent(), [])
        peer.core.encoded(jobs[0], jobs[0].run())
        self.assertEqual([message.base.box.left for message in peer.sent()], [0, 200, 0, 400])

    def test_once_for_all(self):
        """What one client had encoded, another one is sent at once."""
        batch = Batch.of([copy(image(400, 400))])
        first, second = ready(), ready()
        for peer in (first, second):
            peer.core.drawables(batch)
        (job,) = first.core.jobs()
        first.core.encoded(job, job.run())
        self.assertEqual(second.core.jobs(), [])
        self.assertEqual(len(second.sent()), 1)

    def test_no_lz4(self):
        """A client without LZ4 gets LZ, and one that wants no compression bitmaps."""
        for peer, kind in (
            (ready(caps=frozenset()), ImageType.LZ_RGB),
            (ready(image_compression="off"), ImageType.BITMAP),
        ):
            peer.core.drawables(Batch.of([copy(image(100, 100, top_down=False))]))
            (message,) = peer.work()
            self.assertEqual(message.src_bitmap.descriptor.type, kind)
            decoded = images.decode(message.src_bitmap)
            self.assertEqual((bytes(decoded.data), decoded.top_down), (pixels(100, 100), False))

    def test_surface_images(self):
        """Rows with much padding are sent without it."""
        peer = ready(image_compression="off")
        data = bytes(range(200)) * 2
        peer.core.drawables(Batch.of([copy(DeviceImage(10, 2, 8, 200, data))]))
        decoded = images.decode(peer.work()[0].src_bitmap)
        self.assertEqual((decoded.stride, bytes(decoded.data)), (40, data[:40] + data[200:240]))


class PixmapTests(SynchronousTestCase):
    """Images that the client keeps are sent once."""

    def kinds(self, messages):
        """Type and flags of the images of copies."""
        return [
            (message.src_bitmap.descriptor.type, message.src_bitmap.descriptor.flags) for message in messages
        ]

    def test_from_cache(self):
        """The second time the client is told to take it from its cache."""
        peer = ready()
        peer.core.drawables(Batch.of([copy(image(identity=5)), copy(image(identity=5), left=50)]))
        messages = peer.work()
        self.assertEqual(
            self.kinds(messages), [(ImageType.LZ4, ImageFlags.CACHE_ME), (ImageType.FROM_CACHE, 0)]
        )
        self.assertEqual(messages[1].src_bitmap.descriptor.id, 5)

    def test_eviction(self):
        """What must go is invalidated before the image that takes its place comes."""
        peer = ready()
        for identity, left in ((1, 0), (2, 100), (3, 200)):
            peer.core.drawables(Batch.of([copy(image(60, 60, identity=identity), left=left)]))
        messages = peer.work()
        self.assertEqual([type(message) for message in messages[:2]], [display.DrawCopy] * 2)
        self.assertEqual(messages[2], display.InvalList([ResourceId(ResourceType.PIXMAP, 1)]))
        self.assertEqual(messages[3].src_bitmap.descriptor.id, 3)
        self.assertEqual(peer.pixmaps.ids(), [2, 3])

    def test_too_large(self):
        """An image larger than the cache is sent and not kept."""
        peer = ready()
        peer.core.drawables(Batch.of([copy(image(200, 200, identity=1))]))
        self.assertEqual(self.kinds(peer.work()), [(ImageType.LZ4, 0)])

    def test_high_bits(self):
        """The client is told of high bits that are set, from the cache as well."""
        peer = ready()
        source = image(identity=5, flags=ImageFlags.HIGH_BITS_SET)
        peer.core.drawables(Batch.of([copy(source), copy(source, left=50)]))
        self.assertEqual([flags for _kind, flags in self.kinds(peer.work())], [3, 2])

    def test_twice_in_one_message(self):
        """An image that a message has twice is brought along twice: clients read them in any order."""
        peer = ready()
        source = image(identity=5)
        box = Rect(top=0, left=0, bottom=8, right=8)
        brush = Brush(BrushType.PATTERN, pattern=Pattern(Placeholder(source), Point(0, 0)))
        batch = Batch()
        message = display.DrawOpaque(
            DrawBase(0, box, Clip()), Placeholder(source), box, brush, Ropd.OP_PUT, 0, QMask()
        )
        batch.append(message, Effect.OPAQUE)
        peer.core.drawables(batch)
        (drawn,) = peer.work()
        found = [drawn.src_bitmap.descriptor, drawn.brush.pattern.pat.descriptor]
        self.assertEqual([each.type for each in found], [ImageType.LZ4] * 2)
        self.assertEqual(sorted(each.flags for each in found), [0, ImageFlags.CACHE_ME])

    def test_mask(self):
        """Masks are bitmaps: clients read no other kind there."""
        peer = ready()
        mask = DeviceImage(64, 64, BitmapFormat.BIT1_BE, 8, bytes(512))
        message = fill(0, 0, 64, 64)
        message.mask = QMask(0, Point(0, 0), Placeholder(mask))
        peer.core.drawables(Batch.of([message]))
        self.assertEqual(peer.work()[0].mask.bitmap.descriptor.type, ImageType.BITMAP)

    def test_shared_by_channels(self):
        """Before an image goes that another channel of the client still needs, that channel is waited for."""
        pixmaps = PixmapCache()
        first = ready(pixmaps=pixmaps)
        second = ready(pixmaps=pixmaps, channel_id=1)
        first.core.drawables(Batch.of([copy(image(90, 90, identity=1))]))
        first.work()
        serial = first.core.common.serial_sent
        second.core.drawables(Batch.of([copy(image(90, 90, identity=2))]))
        wait, inval, _copy = second.work()
        self.assertEqual(wait, base.WaitForChannels([base.ChannelWait(2, 0, serial)]))
        self.assertEqual(inval.resources[0].id, 1)

    def test_lossy(self):
        """A lossy image is replaced by an exact one where exactness is needed."""
        peer = ready(jpeg_wan="always")
        photo = noise(96, 96, identity=4)
        blend = Batch()
        xor = display.DrawCopy(
            DrawBase(0, Rect(0, 400, 96, 496)), Placeholder(photo), Rect(0, 0, 96, 96), Ropd.OP_XOR
        )
        blend.append(xor, Effect.BLEND)
        for batch in (
            Batch.of([copy(photo), copy(photo, left=100)]),
            blend,
            Batch.of([copy(photo, left=300)]),
        ):
            peer.core.drawables(batch)
        first, again, exact, later = self.kinds(peer.work())
        self.assertEqual(first, (ImageType.JPEG, ImageFlags.CACHE_ME))
        self.assertEqual(again, (ImageType.FROM_CACHE, 0))
        self.assertEqual(exact, (ImageType.BITMAP, ImageFlags.CACHE_REPLACE_ME))
        self.assertEqual(later, (ImageType.FROM_CACHE_LOSSLESS, 0))


class PaletteTests(SynchronousTestCase):
    """Palettes that the client keeps are sent once."""

    def indexed(self, palette_id, left=0, height=2):
        """A copy of an indexed image."""
        data = bytes(8 * height)
        source = DeviceImage(8, height, 5, 8, data, palette=(1, 2, 3), palette_id=palette_id)
        return copy(source, left=left)

    def test_from_cache(self):
        """The second time the palette is only named."""
        peer = ready()
        peer.core.drawables(Batch.of([self.indexed(77), self.indexed(77, left=50)]))
        first, second = (message.src_bitmap.data for message in peer.work())
        self.assertEqual((first.palette.unique, list(first.palette.ents)), (77, [1, 2, 3]))
        self.assertEqual(first.flags, BitmapFlags.PAL_CACHE_ME | BitmapFlags.TOP_DOWN)
        self.assertEqual((second.palette_id, bytes(second.data)), (77, bytes(16)))

    def test_compressed(self):
        """So it is with compressed indexes."""
        peer = ready(image_compression="lz")
        peer.core.drawables(Batch.of([self.indexed(77, height=40), self.indexed(77, 50, 40)]))
        first, second = (message.src_bitmap for message in peer.work())
        self.assertEqual(first.descriptor.type, ImageType.LZ_PLT)
        self.assertEqual(first.data.flags, BitmapFlags.PAL_CACHE_ME | BitmapFlags.TOP_DOWN)
        self.assertEqual(first.data.palette, Palette(77, [1, 2, 3]))
        self.assertEqual((second.data.palette_id, second.data.palette), (77, None))
        for image_ in (first, second):
            decoded = images.decode(image_, first.data.palette)
            self.assertEqual((bytes(decoded.data), decoded.palette), (bytes(320), (1, 2, 3)))

    def test_unnamed(self):
        """A palette without a name is sent every time."""
        peer = ready()
        peer.core.drawables(Batch.of([self.indexed(0), self.indexed(0, left=50)]))
        for message in peer.work():
            self.assertEqual(list(message.src_bitmap.data.palette.ents), [1, 2, 3])

    def test_eviction(self):
        """When the client can keep no more palettes, one is invalidated before the next comes."""
        peer = ready()
        for palette_id in range(1, 130):
            peer.core.drawables(Batch.of([self.indexed(palette_id)]))
            messages = peer.work()
            peer.say(base.Ack())
        peer.work()
        self.assertEqual(messages[0], display.InvalPalette(1))


class BoundsTests(SynchronousTestCase):
    """Sizes stay bounded."""

    def test_lookahead(self):
        """Only some of the waiting images are encoded before their turn."""
        peer = ready()
        self.patch(display_encoding, "LOOKAHEAD", 2)
        peer.core.drawables(Batch.of([copy(image(400, 400), left=x * 5) for x in range(5)]))
        self.assertEqual(len(peer.core.jobs()), 2)
