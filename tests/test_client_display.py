# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client's display and cursor channels, and their caches."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.client.caches import Cache
from spicemig.client.cursor import CursorChannel
from spicemig.client.display import DisplayChannel
from spicemig.client.events import Marked, MonitorsChanged, PictureChanged, SurfaceCreated
from spicemig.codecs import lz4
from spicemig.codecs.glz import GlzDecoderWindow, GlzWindow, deflate
from spicemig.codecs.pixels import Pixels
from spicemig.errors import ProtocolError
from spicemig.testing.channels import framed
from spicemig.wire.drawing import (
    BinaryData,
    Bitmap,
    Brush,
    Clip,
    Cursor,
    CursorHeader,
    DrawBase,
    Image,
    ImageDescriptor,
    Palette,
    Point,
    Point16,
    Rect,
    ResourceId,
    ZlibGlzData,
)
from spicemig.wire.enums import (
    BitmapFlags,
    BitmapFormat,
    BrushType,
    CursorFlags,
    ImageFlags,
    ImageType,
    ResourceType,
    Ropd,
    SurfaceFlags,
    SurfaceFormat,
)
from spicemig.wire.messages import cursor, display

RED = 0xFF0000
WIDTH, HEIGHT = 4, 2
AREA = Rect(0, 0, HEIGHT, WIDTH)


def channel():
    """A display channel with a primary of 8x4 pixels."""
    made = DisplayChannel()
    made.attach(True, frozenset())
    take(made, display.SurfaceCreate(0, 8, 4, SurfaceFormat.XRGB32, SurfaceFlags.PRIMARY))
    return made


def take(made, *said):
    """The events of these messages of the server."""
    return list(made.receive(b"".join(framed(message) for message in said), 1.0))


def pixels():
    """A small picture with every pixel another."""
    rows = bytes(n if n % 4 != 3 else 0 for n in range(WIDTH * HEIGHT * 4))
    return Pixels(WIDTH, HEIGHT, BitmapFormat.BIT32, WIDTH * 4, rows)


def bitmap(identity, flags=0):
    """An image with all its pixels."""
    data = Bitmap(BitmapFormat.BIT32, BitmapFlags.TOP_DOWN, WIDTH, HEIGHT, WIDTH * 4, data=pixels().data)
    return Image(ImageDescriptor(identity, ImageType.BITMAP, flags, WIDTH, HEIGHT), data)


def from_cache(identity):
    """An image that the client has."""
    return Image(ImageDescriptor(identity, ImageType.FROM_CACHE, 0, WIDTH, HEIGHT))


def copy(image, left=0):
    """Draw the image."""
    return display.DrawCopy(DrawBase(0, Rect(0, left, HEIGHT, left + WIDTH), Clip()), image, AREA)


def shown(made, left=0):
    """The pixels where it was drawn."""
    surface = made.canvas.surfaces[0]
    return b"".join(surface.row(y, left, left + WIDTH) for y in range(HEIGHT))


class DrawTests(SynchronousTestCase):
    """Messages become pixels."""

    def test_events(self):
        """A session learns of surfaces, marks, heads and changed boxes."""
        made = DisplayChannel()
        made.attach(True, frozenset())
        heads = display.MonitorsConfig(max_allowed=1, heads=[display.Head(0, 0, 8, 4, 0, 0, 0)])
        fill = display.DrawFill(
            DrawBase(0, Rect(0, 0, 1, 1), Clip()), Brush(BrushType.SOLID, RED), Ropd.OP_PUT
        )
        events = take(made, display.SurfaceCreate(0, 8, 4, 32, 1), display.Mark(), heads, fill)
        self.assertEqual(
            [type(event) for event in events], [SurfaceCreated, Marked, MonitorsChanged, PictureChanged]
        )
        self.assertEqual(bytes(made.canvas.surfaces[0].row(0, 0, 1)), b"\0\0\xff\0")

    def test_copy_and_copy_bits(self):
        """An image is drawn, and then moved on the surface."""
        made = channel()
        move = display.CopyBits(DrawBase(0, Rect(0, 4, HEIGHT, 8), Clip()), Point(0, 0))
        take(made, copy(bitmap(1)), move)
        self.assertEqual(shown(made), pixels().data)
        self.assertEqual(shown(made, 4), pixels().data)

    def test_lz4(self):
        """LZ4 images have the pixels that were packed."""
        made = channel()
        data = BinaryData(b"".join(lz4.encode(pixels())))
        take(made, copy(Image(ImageDescriptor(1, ImageType.LZ4, 0, WIDTH, HEIGHT), data)))
        self.assertEqual(shown(made), pixels().data)

    def test_glz(self):
        """GLZ images, deflated or not, of several channels share the window."""
        shared = GlzDecoderWindow()
        channels = [DisplayChannel(number, glz_window=shared) for number in range(2)]
        encoder = GlzWindow(1000)
        for number, made in enumerate((*channels, *channels)):
            made.attach(True, frozenset())
            take(made, display.SurfaceCreate(0, 8, 4, SurfaceFormat.XRGB32, SurfaceFlags.PRIMARY))
            stream = b"".join(encoder.encode(pixels()))
            self.assertEqual(len(stream) < 45, number > 0)
            kind, data = ImageType.GLZ_RGB, BinaryData(stream)
            if number > 1:
                kind, data = ImageType.ZLIB_GLZ_RGB, ZlibGlzData(*deflate([stream]))
            take(made, copy(Image(ImageDescriptor(number, kind, 0, WIDTH, HEIGHT), data)))
            self.assertEqual(shown(made), pixels().data)
        self.assertEqual(shared.taken, 4 * WIDTH * HEIGHT)
        self.assertRaises(
            ProtocolError, take, channel(), copy(Image(ImageDescriptor(1, kind, 0, 4, 2), data))
        )

    def test_palette_cache(self):
        """A palette that was kept serves later bitmaps, until it is taken away."""
        made = channel()

        def indexed(flags, **more):
            flags |= BitmapFlags.TOP_DOWN
            data = Bitmap(BitmapFormat.BIT8, flags, WIDTH, HEIGHT, WIDTH, data=bytes(8), **more)
            return Image(ImageDescriptor(1, ImageType.BITMAP, 0, WIDTH, HEIGHT), data)

        take(made, copy(indexed(BitmapFlags.PAL_CACHE_ME, palette=Palette(9, ents=[RED] * 256))))
        again = copy(indexed(BitmapFlags.PAL_FROM_CACHE, palette_id=9), left=4)
        take(made, again)
        self.assertEqual(shown(made, 4), b"\0\0\xff\0" * 8)
        take(made, display.InvalPalette(9))
        self.assertRaises(ProtocolError, take, made, again)


class ImageCacheTests(SynchronousTestCase):
    """Images that the server said to keep."""

    def test_from_cache(self):
        """A kept image is drawn from the cache, and counted."""
        made = channel()
        take(made, copy(bitmap(7, ImageFlags.CACHE_ME)), copy(from_cache(7), left=4))
        self.assertEqual(shown(made, 4), pixels().data)
        counters = made.counters
        self.assertEqual((counters.images_received, counters.images_from_cache), (1, 1))
        self.assertEqual(counters.images_received_again, 0)

    def test_sent_again(self):
        """An image that comes although it was kept is counted as such."""
        made = channel()
        take(made, copy(bitmap(7, ImageFlags.CACHE_ME)), copy(bitmap(7, ImageFlags.CACHE_ME)))
        self.assertEqual(made.counters.images_received_again, 1)

    def test_not_kept(self):
        """Naming an image that is not there is the server's fault."""
        self.assertRaises(ProtocolError, take, channel(), copy(from_cache(7)))

    def test_invalidated(self):
        """After INVAL_LIST the image is gone, and the invalidation is counted."""
        made = channel()
        take(made, copy(bitmap(7, ImageFlags.CACHE_ME)))
        take(made, display.InvalList([ResourceId(ResourceType.PIXMAP, 7)]))
        self.assertEqual(made.images.ids(), set())
        self.assertEqual(made.counters.surprises()["invalidations"], 1)

    def test_references(self):
        """What was put twice must be removed twice where references are counted."""
        counted = Cache(counted=True)
        counted.put(1, "a")
        counted.put(1, "b")
        self.assertTrue(counted.remove(1))
        self.assertEqual(counted.get(1), "b")
        counted.remove(1)
        self.assertNotIn(1, counted)
        self.assertFalse(counted.remove(1))

    def test_lossy_replaced(self):
        """The original takes the place of a lossy copy without counting as another reference."""
        counted = Cache(counted=True)
        counted.put(1, "like", lossy=True)
        counted.replace(1, "original")
        self.assertFalse(counted.is_lossy(1))
        counted.remove(1)
        self.assertEqual(len(counted), 0)


class CursorTests(SynchronousTestCase):
    """Cursors and their cache."""

    def shape(self, flags, data=b"x" * 16):
        """A cursor of 2x2."""
        return Cursor(flags, CursorHeader(5, 0, 2, 2, 1, 1), data)

    def test_cache(self):
        """A shape that was kept can be set by its id."""
        made = CursorChannel()
        made.attach(True, frozenset())
        take(made, cursor.Init(Point16(0, 0), 0, 0, 1, self.shape(CursorFlags.CACHE_ME)))
        take(made, cursor.Set(Point16(3, 4), 1, Cursor(CursorFlags.NONE)))
        self.assertIsNone(made.shape)
        take(made, cursor.Set(Point16(3, 4), 1, self.shape(CursorFlags.FROM_CACHE, b"")))
        self.assertEqual((made.shape.data, made.x, made.y, made.visible), (b"x" * 16, 3, 4, True))
        take(made, cursor.InvalAll())
        gone = cursor.Set(Point16(3, 4), 1, self.shape(CursorFlags.FROM_CACHE, b""))
        self.assertRaises(ProtocolError, take, made, gone)

    def test_before_init(self):
        """Nothing may come before Init."""
        made = CursorChannel()
        made.attach(True, frozenset())
        self.assertRaises(ProtocolError, take, made, cursor.Move(Point16(1, 1)))
