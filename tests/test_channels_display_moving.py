# SPDX-License-Identifier: LGPL-2.1-or-later
"""A display channel that moves to another host, and what its client keeps."""

import struct

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display as display_module
from spicemig.channels.display import DisplayCore
from spicemig.channels.display_state import DisplayState, OwedRegion, SurfaceAtClient
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.devices.drawables import Batch, DeviceImage
from spicemig.devices.surfaces import Surface
from spicemig.errors import WireError
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import ImageCompression, ImageType
from spicemig.wire.messages import base, display
from tests.test_channels_display import CAPS, Peer, copy, fill, image, ready, settings


def moved(source):
    """The peer at the target, restored from what the source exports; the client has not said a word yet."""
    pixmaps = PixmapCache.restore(source.pixmaps.export_state())
    core = DisplayCore(pixmap_cache=pixmaps, settings=settings(), caps=CAPS, arriving=True)
    core.restore(source.core.export_state())
    return Peer(core, pixmaps=pixmaps)


class CacheTests(SynchronousTestCase):
    """What the client has cached from the source, the target uses."""

    def test_images(self):
        """An image that the source sent is taken from the cache, and nothing is invalidated."""
        source = ready()
        source.core.drawables(Batch.of([copy(image(identity=5)), copy(image(identity=6), left=20)]))
        source.work()
        target = moved(source)
        target.core.drawables(Batch.of([copy(image(identity=5), left=50), copy(image(identity=7), left=90)]))
        ack, first, second = target.work()
        self.assertIsInstance(ack, base.SetAck)
        self.assertEqual(first.src_bitmap.descriptor.type, ImageType.FROM_CACHE)
        self.assertEqual(second.src_bitmap.descriptor.type, ImageType.LZ4)
        self.assertEqual(target.pixmaps.ids(), [6, 5, 7])

    def test_palettes(self):
        """So are palettes."""
        indexed = DeviceImage(8, 2, 5, 8, bytes(16), palette=(1, 2, 3), palette_id=9)
        source = ready()
        source.core.drawables(Batch.of([copy(indexed)]))
        source.work()
        target = moved(source)
        target.core.drawables(Batch.of([copy(indexed)]))
        self.assertEqual(target.work()[1].src_bitmap.data.palette_id, 9)

    def test_choices(self):
        """What the client said in Init and about compression holds on the target."""
        source = ready()
        source.say(display.PreferredCompression(ImageCompression.OFF))
        target = moved(source)
        self.assertEqual(target.core.compression, ImageCompression.OFF)
        self.assertEqual(target.core.state.pixmap_cache_size, 10000)
        target.core.drawables(Batch.of([copy(image(100, 100))]))
        self.assertEqual(target.work()[1].src_bitmap.descriptor.type, ImageType.BITMAP)

    def test_surfaces(self):
        """Surfaces are not created again, and can be drawn on and destroyed."""
        source = ready()
        source.core.surface_created(Surface(4, 20, 20))
        source.work()
        target = moved(source)
        target.core.drawables(Batch.of([fill(0, 0, 9, 9, surface=4), fill(0, 0, 9, 9, surface=5)]))
        self.assertEqual([type(message) for message in target.work()], [base.SetAck, display.DrawFill])
        target.core.surface_destroyed(4)
        self.assertEqual(target.work(), [display.SurfaceDestroy(4)])

    def test_serial(self):
        """The target goes on counting behind Migrate and MigrateData."""
        source = ready()
        sent = source.core.common.serial_sent
        self.assertEqual(moved(source).core.common.serial_sent, sent + 2 + 1)


class LeavingTests(SynchronousTestCase):
    """Nothing that was drawn is lost when the source stops."""

    def full(self):
        """A peer whose window is closed, with drawables that wait."""
        peer = ready()
        peer.core.drawables(Batch.of([fill(x, 0, x + 2, 2) for x in range(80)]))
        peer.work()
        self.assertFalse(peer.core.idle)
        return peer

    def test_flushed(self):
        """A little is sent off, whatever the window; the target owes nothing."""
        peer = self.full()
        peer.core.freeze()
        peer.core.drawables(Batch.of([copy(image(100, 100), left=100)]))
        self.assertEqual(peer.work(), [])
        peer.core.flush_all()
        self.assertEqual(peer.sent()[-1].base.box.left, 100)
        self.assertTrue(peer.core.idle)
        self.assertEqual(moved(peer).core.take_owed(), {})

    def test_owed(self):
        """What is too much to send is painted by the target; surfaces are created nevertheless."""
        self.patch(display_module, "MAX_FLUSH_BYTES", 1000)
        peer = self.full()
        peer.core.surface_created(Surface(2, 50, 50))
        peer.core.drawables(Batch.of([copy(image(100, 100), left=100)]))
        peer.core.repaint(Surface(2, 50, 50))
        peer.core.freeze()
        peer.core.flush_all()
        self.assertEqual([type(message) for message in peer.sent()], [display.SurfaceCreate])
        target = moved(peer)
        owed = target.core.take_owed()
        self.assertEqual(sorted(owed), [0, 2])
        self.assertEqual(owed[2], [Rect(top=0, left=0, bottom=50, right=50)])
        self.assertTrue(any(r.left <= 100 and r.right >= 200 and r.bottom >= 100 for r in owed[0]))
        target.core.repaint(Surface(2, 50, 50), owed[2])
        self.assertIsInstance(target.work()[-1], display.DrawCopy)

    def test_frozen(self):
        """A frozen channel sends no drawing, and goes on with it when the handover is off."""
        peer = ready()
        peer.core.freeze()
        peer.core.drawables(Batch.of([fill(0, 0, 5, 5)]))
        self.assertEqual(peer.work(), [])
        self.assertEqual(list(peer.core.thaw()), [])
        self.assertEqual(len(peer.work()), 1)

    def test_before_init(self):
        """A client that has not said Init yet is sent nothing, and says it to the target."""
        peer = Peer()
        peer.core.surface_created(Surface(0, 10, 10), primary=True)
        peer.core.freeze()
        peer.core.flush_all()
        self.assertEqual(peer.sent(), [])
        self.assertFalse(peer.core.state.initialised)

    def test_owed_while_drawing_goes_on(self):
        """Until what is owed is painted, drawing at the target only adds to it."""
        self.patch(display_module, "MAX_FLUSH_BYTES", 1000)
        peer = ready()
        peer.core.freeze()
        peer.core.drawables(Batch.of([copy(image(100, 100))]))
        peer.core.flush_all()
        target = moved(peer)
        target.core.drawables(Batch.of([fill(300, 0, 310, 10)]))
        self.assertEqual(len(target.work()), 1)
        self.assertEqual(len(target.core.take_owed()[0]), 2)


class LayoutTests(SynchronousTestCase):
    """The state is a block in spice-server's published layout, with ours behind it."""

    def test_published_part(self):
        """Magic, version and all fields stand where SpiceMigrateDataDisplay has them."""
        peer = ready()
        peer.core.surface_created(Surface(7, 10, 10))
        peer.work()
        peer.core.export_state()
        block = peer.core.state.export_state()
        fixed = struct.Struct("<4sIQBBqB32sBIIQI")
        self.assertEqual(fixed.size, 80)
        magic, version, serial, _low, cache_id, size, frozen, *_rest, pointer = fixed.unpack_from(block)
        self.assertEqual((magic, version, cache_id, size, frozen), (b"DCMD", 2, 1, 10000, 0))
        self.assertEqual(serial, peer.core.common.serial_sent)
        self.assertEqual(struct.unpack_from("<III", block, pointer), (2, 0, 7))

    def test_older_source(self):
        """The block of a source that knew nothing of video and of what is lossy tells everything else."""
        surface = SurfaceAtClient(id=1, width=5, height=5)
        owed = OwedRegion(surface_id=1, rects=[Rect(top=0, left=0, bottom=1, right=1)])
        told = DisplayState(surfaces=[surface], palettes=[7], owed=[owed], lossy=[owed], video_codecs=[1])
        restored = DisplayState.restore(told.export_state(version=1))
        self.assertEqual((restored.surfaces, restored.palettes, restored.owed), ([surface], [7], [owed]))
        self.assertEqual((restored.lossy, restored.streams, restored.video_codecs), ([], [], []))

    def test_impossible(self):
        """Surfaces that are there twice, or owed without being there, are refused; the core stays parked."""
        surface = SurfaceAtClient(id=1, width=5, height=5)
        rect = Rect(top=0, left=0, bottom=1, right=1)
        for state in (
            DisplayState(surfaces=[surface, surface]),
            DisplayState(surfaces=[surface], owed=[OwedRegion(surface_id=2, rects=[rect])]),
        ):
            source = ready()
            source.core.state = state
            source.core.export_state = super(DisplayCore, source.core).export_state
            core = DisplayCore(pixmap_cache=PixmapCache(), settings=settings(), arriving=True)
            with self.assertRaises(WireError):
                core.restore(source.core.export_state())
            self.assertTrue(core.parked)
