# SPDX-License-Identifier: LGPL-2.1-or-later
"""Video streams from the guest's drawings to what a client shows, through handovers."""

import random

from PIL import ImageChops, ImageStat
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from spicemig.codecs import video
from spicemig.devices.drawables import Batch, DeviceImage, Effect
from spicemig.session.settings import SessionSettings
from spicemig.testing.films import film
from spicemig.testing.guests import ListGuest, copy, copy_bits, fill
from spicemig.testing.hosts import TwoHosts
from spicemig.testing.sessions import BareHost
from spicemig.wire.declare import CHANNEL_TYPES, Placeholder
from spicemig.wire.drawing import Clip, DrawBase, Rect
from spicemig.wire.enums import ClipType, VideoCodec
from spicemig.wire.messages import display

DISPLAY = (CHANNEL_TYPES["display"], 0)
FRAME_SECONDS = 0.04
NEAR = 8.0  # of 255, on average, that a frame may be from what was drawn


class StreamCase(SynchronousTestCase):
    """A guest that plays a film."""

    codecs = ("mjpeg",)

    def setUp(self):
        self.begin()

    def begin(self, **network):
        """Two hosts, and a client at the source."""
        settings = SessionSettings(image_compression="lz4", streaming="filter", video_codecs=self.codecs)
        self.hosts = TwoHosts(self.mktemp(), settings=settings, **network)
        self.here = self.hosts.source
        self.viewer = self.hosts.viewer()
        self.number = 0

    @property
    def streams(self):
        return self.viewer.display.streams

    def counted(self, name):
        """How many messages of this kind the client has got, on all its connections."""
        return sum(
            traffic.by_name.get(name, 0) for traffic in self.viewer.traffic if traffic.channel == "display"
        )

    def play(self, frames, x=20, y=30, width=160, height=120):
        """Let the guest draw some frames."""
        for _ in range(frames):
            self.number += 1
            self.here.guest.draw(copy(film(self.number, width, height), x, y))
            self.hosts.run(FRAME_SECONDS)

    def assertSame(self):
        """Client and guest show the same pixels."""
        self.assertEqual(self.viewer.screen().tobytes(), self.here.screen().tobytes())

    def assertNear(self):
        """They show nearly the same, but not the same."""
        difference = ImageChops.difference(self.viewer.screen(), self.here.screen())
        self.assertGreater(max(ImageStat.Stat(difference).sum), 0)
        self.assertLess(max(ImageStat.Stat(difference).mean), NEAR)


class FilmTests(StreamCase):
    """Nothing but a film."""

    def test_begins(self):
        """After a few frames a stream begins, and what follows comes as its frames."""
        self.play(5)
        self.assertSame()
        self.assertEqual(self.streams.created, 0)
        draws = self.counted("DrawCopy")
        self.play(20)
        self.assertEqual(list(self.streams.streams), [0])
        self.assertNear()
        self.assertEqual(self.counted("StreamData"), 20)
        self.assertEqual(self.counted("DrawCopy"), draws)

    def test_stands_still(self):
        """When the film stops the last picture is shown as it is; the stream goes on, or ends later."""
        self.play(20)
        self.hosts.run(0.5)
        self.assertSame()
        self.assertEqual(self.streams.destroyed, 0)
        self.play(5)
        self.assertNear()
        self.assertEqual(self.streams.created, 1)
        self.hosts.run(6)
        self.assertSame()
        self.assertEqual(self.streams.streams, {})
        self.play(10)
        self.assertEqual((self.streams.created, list(self.streams.streams)), (2, [1]))

    def test_handover(self):
        """A stream goes on at the target: same id, nothing created or destroyed."""
        self.play(20)
        report = self.hosts.moved()
        self.assertEqual(report["outcome"], "completed")
        self.here = self.hosts.target
        self.play(15)
        self.assertEqual((self.streams.created, self.streams.destroyed), (1, 0))
        self.assertEqual(len(self.streams.streams[0].stamps), 15 + 15)
        stamps = self.streams.streams[0].stamps
        self.assertEqual(stamps, sorted(set(stamps)))
        self.assertNear()
        self.hosts.run(0.5)
        self.assertSame()

    def test_there_and_back(self):
        """Handed on and back again in the middle of it, with frames that nobody has sent yet."""
        self.play(10)
        for _ in range(4):
            handover = self.hosts.migrate(self.here)
            self.hosts.wait(handover.done)
            self.here = self.hosts.other(self.here)
            self.play(3)
        self.assertEqual((self.streams.created, self.streams.destroyed), (1, 0))
        self.assertNear()
        self.hosts.run(0.5)
        self.assertSame()


class DesktopTests(StreamCase):
    """A film among other drawings, and while other things happen."""

    def test_covered(self):
        """What is drawn over a stream is not drawn over by it, whatever frames are still to be shown."""
        self.play(20)
        self.here.guest.draw(fill(100, 60, 200, 30, 0xFF8800))
        self.hosts.run(0.01)
        clip = self.streams.streams[0].clip
        self.assertEqual(
            {(box.left, box.top, box.right, box.bottom) for box in clip},
            {(20, 30, 180, 60), (20, 60, 100, 90), (20, 90, 180, 150)},
        )
        self.assertEqual(self.viewer.screen().getpixel((150, 70)), (255, 136, 0))
        self.play(1)
        self.assertEqual(len(self.streams.streams[0].clip), 1)
        self.assertNear()

    def test_read(self):
        """Who reads a streamed part gets it as it is."""
        self.play(20)
        self.here.guest.draw(copy_bits(200, 10, 100, 80, 40, 40))
        self.hosts.run(0.05)
        self.assertSame()
        self.play(2)
        self.assertEqual(self.streams.created, 1)

    def test_size_changes(self):
        """A window that grows goes on as the same stream, with sized frames; one that shrinks again, too."""
        self.play(20)
        self.play(10, 10, 20, 200, 150)
        self.assertEqual((self.streams.created, self.streams.streams[0].sized), (1, 10))
        self.assertNear()
        self.play(10)
        self.assertEqual((self.streams.created, self.streams.streams[0].sized), (1, 10))
        self.hosts.run(6)
        self.assertSame()

    def test_surface_goes(self):
        """A stream ends with its surface."""
        self.play(20)
        device = self.here.guest.device
        device.destroy_primary()
        self.hosts.run(0.01)
        self.assertEqual(self.streams.streams, {})
        device.create_primary(320, 200)
        self.play(20)
        self.assertEqual(self.streams.created, 2)
        self.hosts.run(1)
        self.assertSame()

    def test_while_it_moves(self):
        """Frames that the target's guest draws before the client's state is there are frames as well."""
        self.begin(latency_seconds=0.05)
        self.play(60)
        handover = self.hosts.migrate(transport="client")
        ended = []
        handover.done.addBoth(ended.append)
        early = 0
        while not ended:
            self.hosts.run(0.001)
            guest, clients = self.hosts.target.guest, self.hosts.target.sessions.clients
            waits = (
                guest is not None and guest.running and not any(each.restored for each in clients.values())
            )
            if waits and early < 2:
                self.number += 1
                guest.draw(copy(film(self.number), 20, 30))
                early += 1
        self.assertTrue(early)
        self.here = self.hosts.target
        self.play(10)
        self.assertEqual((self.streams.created, self.streams.destroyed), (1, 0))
        [client] = self.here.sessions.clients.values()
        [told] = client.channels("display")[0].streams.describe()
        self.assertGreater(told["fps"], 20)
        self.assertNear()

    def test_ends_at_the_target(self):
        """A stream that came and gets no frame shows its last picture as it is."""
        self.play(20)
        self.hosts.moved()
        self.here = self.hosts.target
        self.hosts.run(6)
        self.assertSame()
        self.assertEqual(self.streams.destroyed, 1)


class VP8FilmTests(FilmTests):
    """With a codec whose frames stand on one another."""

    codecs = ("vp8",)
    skip = video.missing(VideoCodec.VP8) or None


class VP8DesktopTests(DesktopTests):
    """The same."""

    codecs = ("vp8",)
    skip = video.missing(VideoCodec.VP8) or None


class VP9FilmTests(FilmTests):
    """With its successor."""

    codecs = ("vp9",)
    skip = video.missing(VideoCodec.VP9) or None


class H264FilmTests(FilmTests):
    """With another family."""

    codecs = ("h264",)
    skip = video.missing(VideoCodec.H264) or None


class PreferenceTests(SynchronousTestCase):
    """What a client would like and this host lacks."""

    def test_told(self):
        """It is told in the log why a client does not get the codec that it prefers."""
        self.patch(video, "_av", lambda: None)
        events = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        host = BareHost(ListGuest(), streaming="filter")
        host.client()["display"].say(display.PreferredVideoCodecType([VideoCodec.VP8, VideoCodec.MJPEG]))
        reasons = [event["reason"] for event in events if "would like" in str(event.get("log_format"))]
        self.assertEqual(len(reasons), 1)
        self.assertIn("PyAV is not installed", reasons[0])


class LivesTests(SynchronousTestCase):
    """Films among everything else that a guest draws, to clients that come, wait and move."""

    def live(self, seed, codecs, steps=100):
        """Random things; in the end every client shows what the guest shows."""
        dice = random.Random(seed)
        settings = SessionSettings(
            image_compression="lz4", streaming=dice.choice(("filter", "all")), video_codecs=codecs
        )
        hosts = TwoHosts(self.mktemp(), settings=settings)
        here, viewers = hosts.source, [hosts.viewer()]
        here.guest.device.create_surface(5, 60, 50)
        number, places = 0, [(10, 10, 120, 90), (150, 80, 130, 100), (60, 60, 120, 90)]
        began = 0
        for _step in range(steps):
            deed = dice.randrange(24)
            number += 1
            if deed < 16:
                for x, y, width, height in dice.choice((places[:1], places[:2], places)):
                    here.guest.draw(copy(film(number, width, height), x, y))
            elif deed == 16:
                here.guest.draw(
                    fill(dice.randrange(250), dice.randrange(150), 40, 30, dice.randrange(1 << 24))
                )
            elif deed == 17:
                corner = dice.randrange(200), dice.randrange(100)
                here.guest.draw(copy_bits(*corner, 70, 60, dice.randrange(200), dice.randrange(100)))
            elif deed == 18:
                clipped = copy(film(number, 120, 90), 10, 10)
                left = 10 + dice.randrange(60)
                clipped.base.clip = Clip(ClipType.RECTS, [Rect(10, left, 60, 130), Rect(60, 10, 100, left)])
                here.guest.draw(clipped)
            elif deed == 19:
                larger = copy(film(number, 150, 110), dice.randrange(10), dice.randrange(10))
                here.guest.draw(larger)
            elif deed == 20:
                blend = Batch()
                blend.append(fill(dice.randrange(250), dice.randrange(150), 40, 30, 0x808080), Effect.BLEND)
                here.guest.device.draw(blend)
            elif deed == 21:
                there = DrawBase(5, Rect(0, 0, 50, 60))
                screen = DeviceImage(320, 200, surface=0)
                here.guest.draw(
                    display.DrawCopy(there, Placeholder(screen), Rect(20, 20, 70, 80)),
                    copy(DeviceImage(60, 50, surface=5), dice.randrange(250), dice.randrange(140)),
                )
            elif deed == 22:
                transport = dice.choice(viewers).connections[DISPLAY].transport
                dice.choice((transport.pauseProducing, transport.resumeProducing))()
            elif dice.random() < 0.5 and len(viewers) < 3:
                viewers.append(hosts.viewer(host=here))
            else:
                for viewer in viewers:
                    viewer.connections[DISPLAY].transport.resumeProducing()
                report = hosts.moved(here)
                self.assertEqual(report["outcome"], "completed")
                here = hosts.other(here)
            hosts.run(dice.choice((0.0, 0.02, 0.04, 0.04, 0.04, 0.5)))
        for viewer in viewers:
            viewer.connections[DISPLAY].transport.resumeProducing()
        hosts.run(0.1)
        began = sum(viewer.display.streams.created for viewer in viewers)
        hosts.run(7)
        wanted = here.screen().tobytes()
        for viewer in viewers:
            self.assertIsNone(viewer.failure)
            self.assertEqual(viewer.display.streams.streams, {})
            self.assertEqual(viewer.screen().tobytes(), wanted, f"seed {seed}")
        return began

    def test_mjpeg(self):
        """With MJPEG."""
        self.assertTrue(sum(self.live(seed, ("mjpeg",)) for seed in range(3)))

    def test_vp8(self):
        """With VP8, for which no frame may be left out on the way."""
        self.assertTrue(sum(self.live(seed, ("vp8",)) for seed in range(100, 102)))

    test_vp8.skip = video.missing(VideoCodec.VP8) or None
