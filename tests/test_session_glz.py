# SPDX-License-Identifier: LGPL-2.1-or-later
"""GLZ over handovers: the target's images refer back to what the source sent."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display
from spicemig.codecs.glz import GlzDecoderWindow, GlzWindow
from spicemig.codecs.pixels import ImageError
from spicemig.devices.drawables import DeviceImage
from spicemig.migration.stages import Stage
from spicemig.session.carried import CarriedChannel
from spicemig.session.client import ClientSession
from spicemig.session.settings import SessionSettings
from spicemig.testing.guests import copy
from spicemig.testing.hosts import TwoHosts

GLZ = SessionSettings(image_compression="glz", streaming="off")
WIDTH, HEIGHT = 120, 90


def text(seed, width=WIDTH, height=HEIGHT):
    """An image of its own."""
    return DeviceImage(width, height, 8, width * 4, random.Random(seed).randbytes(width * height * 4))


class HandoverTests(SynchronousTestCase):
    """A client that has images in its window, and hosts that hand it over."""

    def setUp(self):
        self.hosts = TwoHosts(self.mktemp(), settings=GLZ)
        self.here = self.hosts.source
        self.viewer = self.hosts.viewer()
        self.streams = []
        decode = self.viewer.glz_window.decode

        def noted(payload, *size):
            self.streams.append(bytes(payload))
            return decode(payload, *size)

        self.viewer.glz_window.decode = noted

    def draw(self, *seeds, x=0):
        """Let the guest draw images; what the client got for each."""
        before = len(self.streams)
        for seed in seeds:
            self.here.guest.draw(copy(text(seed), x, 10))
            self.hosts.run(0.1)
        self.assertEqual(self.viewer.screen().tobytes(), self.here.screen().tobytes())
        return self.streams[before:]

    def move(self, **options):
        """Hand over; the report."""
        report = self.hosts.moved(self.here, **options)
        self.assertEqual(report["outcome"], "completed", report)
        self.assertEqual({client["mode"] for client in report["clients"]}, {"seamless"})
        self.here = self.hosts.other(self.here)
        self.hosts.run(1.0)
        return report

    def dictionary(self):
        """The dictionary of the client at the host that serves it."""
        [client] = self.here.sessions.clients.values()
        return client.glz_dictionary

    def assertRefersBack(self, stream):
        """An image that cannot be decoded without those that came before it, and is small by them."""
        self.assertLess(len(stream), WIDTH * HEIGHT / 10)
        with self.assertRaises(ImageError):
            GlzDecoderWindow().decode(stream)

    def test_first_image(self):
        """By whichever way the state comes, the target's first image refers to one of the source."""
        self.draw(1, 2, 3)
        for number, transport in enumerate(("client", "stream", "both")):
            report = self.move(transport=transport)
            self.assertGreater(report["precopy_bytes"], 3 * WIDTH * HEIGHT * 4)
            [stream] = self.draw(1 + number, x=10 + number)
            self.assertRefersBack(stream)

    def test_there_and_back(self):
        """So it is after many handovers, with images from every host."""
        for number in range(5):
            self.draw(100 + number)
            self.move()
            for stream in self.draw(*range(100, 101 + number), x=number + 1):
                self.assertRefersBack(stream)

    def test_drawn_meanwhile(self):
        """What is drawn during the handover is referred to as well; only that is sent in the pause."""
        self.draw(1)
        handover = self.hosts.migrate(self.here)
        handover.stage_hook = lambda side, stage: (
            self.here.guest.draw(copy(text(2), 30, 10)) if stage is Stage.PRECOPY else None
        )
        report = self.hosts.wait(handover.done)
        self.assertEqual(report["outcome"], "completed", report)
        self.here = self.hosts.other(self.here)
        self.hosts.run(1.0)
        for stream in self.draw(1, 2, x=60):
            self.assertRefersBack(stream)

    def test_cancelled(self):
        """A handover that is given up leaves everything as it was, and the next one is complete."""
        self.draw(1, 2)
        handover = self.hosts.migrate(self.here)

        def stopped(side, stage):
            if (side, stage) == ("source", Stage.STOP):
                self.hosts.clock.callLater(0, handover.cancel)

        handover.stage_hook = stopped
        report = self.hosts.wait(handover.done)
        self.assertEqual(report["outcome"], "cancelled", report)
        self.hosts.run(1.0)
        ids = self.dictionary().next_id
        [stream] = self.draw(1, x=20)
        self.assertRefersBack(stream)
        self.assertEqual(self.dictionary().next_id, ids + 1)
        self.move()
        [stream] = self.draw(2, x=40)
        self.assertRefersBack(stream)

    def test_full_window(self):
        """The target's window has nothing that the source's has forgotten, and the rest of it."""
        source = self.dictionary()
        source.size = 3 * WIDTH * HEIGHT
        source.window = GlzWindow(source.size)
        self.viewer.glz_window.clear()
        for width in (WIDTH, 70, 100, WIDTH - 1, 30, WIDTH, 90):
            self.here.guest.draw(copy(text(width, width), 0, 10))
            self.hosts.run(0.1)
        oldest = source.window.oldest_id
        self.assertGreater(oldest, 0)
        self.move()
        target = self.dictionary()
        self.assertGreaterEqual(target.window.oldest_id, oldest)
        self.assertGreater(target.window.taken, source.size / 2)
        before = len(self.streams)
        self.here.guest.draw(copy(text(90, 90), 100, 20))
        self.hosts.run(0.1)
        self.assertRefersBack(self.streams[before])
        self.assertEqual(self.viewer.screen().tobytes(), self.here.screen().tobytes())

    def test_large_behind_many(self):
        """A large image that comes to the front while others are written is encoded without further cause."""
        self.patch(display, "ROUND_BYTES", 1000)
        small = [copy(text(seed, 20, 20), 4 * seed, 150) for seed in range(60)]
        self.here.guest.draw(*small, copy(text(99, 250, 140), 0, 0))
        self.hosts.run(0.1)
        self.assertEqual(self.viewer.screen().tobytes(), self.here.screen().tobytes())

    def test_contents_lost(self):
        """Without its contents a window goes on empty; the client can follow."""
        self.draw(1)
        self.hosts.target.sessions.take_image = lambda *image: None
        self.move()
        [stream] = self.draw(1, x=10)
        self.assertGreater(len(stream), WIDTH * HEIGHT)
        [stream] = self.draw(1, x=20)
        self.assertRefersBack(stream)

    def test_other_clients(self):
        """Every client has its own dictionary, and each goes with its client."""
        second = self.hosts.viewer()
        self.draw(1)
        third = self.hosts.viewer()
        self.draw(2)
        self.move()
        [stream] = self.draw(2, x=50)
        self.assertRefersBack(stream)
        for viewer in (second, third):
            self.assertEqual(viewer.screen().tobytes(), self.here.screen().tobytes())

    def test_channel_gone(self):
        """A client that drops its display channel and comes with a new one is served without GLZ."""
        self.draw(1)
        [client] = self.here.sessions.clients.values()
        [display] = client.channels("display")
        client.channel_lost(display, None)
        self.assertFalse(client.glz_dictionary.usable)


class OldSourceTests(SynchronousTestCase):
    """A source that knows nothing of GLZ."""

    def test_pixmaps_only(self):
        """Its clients are taken over with the images that they keep, and are sent no GLZ."""
        hosts = TwoHosts(self.mktemp(), settings=GLZ)
        hosts.viewer()
        [source] = hosts.source.sessions.clients.values()
        arriving = ClientSession(hosts.target.sessions, 1, arriving=True)
        block = CarriedChannel(core=b"", shared=source.pixmap_cache.export_state()).shared
        arriving._restore_images(bytes(block))
        self.assertEqual(arriving.pixmap_cache.size, source.pixmap_cache.size)
        self.assertFalse(arriving.glz_dictionary.usable)
