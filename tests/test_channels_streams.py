# SPDX-License-Identifier: LGPL-2.1-or-later
"""The video streams of one display channel, message by message."""

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display_streams
from spicemig.channels.display import DisplayCore
from spicemig.channels.display_streams import END_SECONDS, MAX_DISTURBANCES, MAX_WAITING_FRAMES, PAUSE_SECONDS
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.channels.stream_rate import NO_DECODER_DROPS
from spicemig.channels.stream_state import MAX_STREAMS, StreamAtClient
from spicemig.channels.video_detection import START_NATURAL
from spicemig.codecs import video
from spicemig.devices.drawables import Batch, DeviceImage, Effect
from spicemig.devices.surfaces import Surface
from spicemig.errors import ProtocolError, WireError
from spicemig.testing.films import film
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.drawing import Clip, Rect
from spicemig.wire.enums import ClipType, VideoCodec
from spicemig.wire.messages import base, display
from tests.test_channels_display import Peer, copy, fill, image, ready, settings

FRAME = 0.04
MJPEG = frozenset(
    (
        DisplayCap.SIZED_STREAM,
        DisplayCap.MULTI_CODEC,
        DisplayCap.CODEC_MJPEG,
        DisplayCap.STREAM_REPORT,
        DisplayCap.LZ4_COMPRESSION,
    )
)
ALL = MJPEG | {DisplayCap.CODEC_VP8, DisplayCap.CODEC_H264, DisplayCap.CODEC_VP9}


class StreamCase(SynchronousTestCase):
    """A client whose guest plays a film."""

    def setUp(self):
        self.now = 1.0
        self.number = 0
        self.begin()

    def begin(self, caps=MJPEG, **options):
        """A new client."""
        self.peer = ready(caps=caps, **{"streaming": "filter", **options})

    @property
    def core(self):
        return self.peer.core

    @property
    def streams(self):
        return self.core.streams

    def draw(self, *messages, effect=Effect.OPAQUE):
        """The guest draws something; what the client gets of it."""
        self.time()
        batch = Batch()
        for message in messages:
            batch.append(message, effect)
        self.core.drawables(batch)
        return self.peer.work()

    def time(self, seconds=0.0):
        """Time passes."""
        self.now += seconds
        self.core.tell_time(self.now, int(self.now * 1000))

    def frame(self, left=10, top=10, **size):
        """The next frame of the film."""
        self.number += 1
        return copy(film(self.number, **size), left, top)

    def play(self, count=1, left=10, top=10, **size):
        """Frames of the film; what the client gets."""
        sent = []
        for _ in range(count):
            self.time(FRAME)
            sent += self.draw(self.frame(left, top, **size))
        return sent

    def started(self):
        """Play until there is a stream."""
        self.play(START_NATURAL)
        [stream] = self.streams._streams.values()
        return stream

    def wait(self, seconds):
        """Let a deadline pass; what the client gets, and what is owed then."""
        self.time(seconds)
        for _event in self.core.deadline_passed(self.now):
            pass
        sent = [message for message in self.peer.work() if not isinstance(message, base.Ping)]
        return sent, self.core.take_owed()

    def kinds(self, messages):
        """Their types."""
        return [type(message) for message in messages]


class BeginTests(StreamCase):
    """When there are streams, and of which codec."""

    def test_first_frame(self):
        """A stream is created, asked to report, and given a frame, by the drawing that shows it to be one."""
        self.play(START_NATURAL - 1)
        created, asked, data = self.play()
        self.assertEqual(
            (created.id, created.codec_type, created.dest), (0, VideoCodec.MJPEG, Rect(10, 10, 130, 170))
        )
        self.assertEqual((created.stream_width, created.stream_height), (160, 120))
        self.assertEqual((asked.stream_id, asked.unique_id), (0, 1))
        self.assertEqual(bytes(data.data[:2]), b"\xff\xd8")
        self.assertGreater(data.base.multi_media_time, self.now * 1000)

    def test_off(self):
        """Where streaming is off there are none."""
        self.begin(streaming="off")
        self.assertEqual(set(self.kinds(self.play(50))), {display.DrawCopy})

    def test_what_is_no_frame(self):
        """Images that clients keep, other surfaces, other effects are no frames."""
        for number in range(30):
            self.time(FRAME)
            kept = film(number)
            kept.id, kept.flags = number + 1, 1
            self.draw(copy(kept))
            self.draw(copy(film(number), surface=3))
            self.draw(copy(film(number)), effect=Effect.BLEND)
        self.assertFalse(self.streams.active)

    def test_old_client(self):
        """One that knows nothing of codecs knows MJPEG, reports nothing, and gets no sized frames."""
        self.begin(caps=frozenset())
        self.play(START_NATURAL - 1)
        self.assertEqual(
            self.kinds(self.play(2)), [display.StreamCreate, display.StreamData, display.StreamData]
        )
        sent = self.kinds(self.play(1, 5, 5, width=200, height=150))
        self.assertEqual(sent, [display.StreamClip, display.DrawCopy])

    def test_no_decoder(self):
        """A client that decodes nothing gets images."""
        self.begin(caps=frozenset((DisplayCap.MULTI_CODEC,)))
        self.assertEqual(set(self.kinds(self.play(30))), {display.DrawCopy})

    def test_choice(self):
        """The host's order counts, unless the client prefers another."""
        if reason := video.missing(VideoCodec.VP8):
            self.skipTest(reason)
        self.begin(caps=ALL, video_codecs=("vp8", "mjpeg"))
        self.assertEqual(self.streams.codec, VideoCodec.VP8)
        self.peer.say(display.PreferredVideoCodecType([200, VideoCodec.H264, VideoCodec.MJPEG]))
        self.assertEqual(self.streams.codec, VideoCodec.MJPEG)

    def test_absent_codec(self):
        """A codec that this host lacks is left out."""
        self.patch(video, "_av", lambda: None)
        self.begin(caps=ALL, video_codecs=("h264", "mjpeg"))
        self.assertEqual(self.streams.codec, VideoCodec.MJPEG)
        self.begin(caps=ALL, video_codecs=("h264",))
        self.assertEqual(set(self.kinds(self.play(30))), {display.DrawCopy})

    def test_many(self):
        """There are 64 at most."""
        self.patch(display_streams, "seems_natural", lambda image: True)
        places = [(x, y) for x in range(0, 200, 20) for y in range(0, 70, 10)][: MAX_STREAMS + 3]
        for x, y in places:
            for _ in range(START_NATURAL):
                self.time(0.001)
                self.draw(copy(film(1, 100, 100), x, y))
        self.assertEqual(sorted(told["id"] for told in self.streams.describe()), list(range(MAX_STREAMS)))

    def test_several_clients(self):
        """A frame for clients of the same quality is encoded once."""
        other = ready(caps=MJPEG, streaming="filter")
        encoded = []
        encode = video.MjpegEncoder.encode
        self.patch(video.MjpegEncoder, "encode", lambda *a, **n: encoded.append(1) or encode(*a, **n))
        for _ in range(START_NATURAL + 4):
            self.time(FRAME)
            batch = Batch.of([self.frame()])
            for peer in (self.peer, other):
                peer.core.tell_time(self.now, int(self.now * 1000))
                peer.core.drawables(batch)
                peer.work()
        self.assertEqual(len(encoded), 5)
        self.assertEqual([peer.core.streams.describe()[0]["frames"] for peer in (self.peer, other)], [5, 5])


class CourseTests(StreamCase):
    """What happens to a stream that there is."""

    def test_covered(self):
        """What covers a part takes it from the stream before it is drawn; the next frame gives it back."""
        stream = self.started()
        clip, filled = self.draw(fill(10, 10, 170, 50))
        self.assertEqual(clip.clip.rects, [Rect(50, 10, 130, 170)])
        self.assertIsInstance(filled, display.DrawFill)
        self.assertEqual(stream.visible, clip.clip.rects)
        clip, _data = self.play()
        self.assertEqual(clip.clip.rects, [Rect(10, 10, 130, 170)])

    def test_elsewhere(self):
        """What is drawn elsewhere changes nothing."""
        self.started()
        self.assertEqual(self.kinds(self.draw(fill(200, 10, 300, 50))), [display.DrawFill])

    def test_many_elsewhere(self):
        """What neither touches nor reads a stream is not looked at one by one, what does is."""
        self.started()
        looked = []
        self.patch(self.core, "_draw", looked.append)
        base = fill(300, 10, 340, 50).base
        self.draw(
            fill(200, 10, 300, 50),
            display.CopyBits(base, display.Point(200, 20)),
            fill(169, 10, 200, 50),  # one column of it
            display.CopyBits(base, display.Point(20, 20)),
            fill(170, 10, 200, 50),
        )
        self.assertEqual([drawable.box.left for drawable in looked], [169, 300])

    def test_clipped_frames(self):
        """A frame that the guest clips is shown so; one that waited before it is given up."""
        self.started()
        frame = self.frame()
        frame.base.clip = Clip(type=ClipType.RECTS, rects=[Rect(10, 10, 60, 170), Rect(0, 0, 70, 30)])
        clip, _data = self.draw(frame)
        self.assertEqual(clip.clip.rects, [Rect(10, 10, 60, 170), Rect(60, 10, 70, 30)])

    def test_sized(self):
        """A larger frame around the same place belongs to the stream; a much larger one does not."""
        self.started()
        *_clip, sized = self.play(1, 5, 5, width=200, height=150)
        self.assertEqual((sized.width, sized.height, sized.dest), (200, 150, Rect(5, 5, 155, 205)))
        sent = self.kinds(self.play(1, 0, 0, width=300, height=300))
        self.assertNotIn(display.StreamDataSized, sent)

    def test_what_is_left(self):
        """When frames become smaller again, what is left of the larger ones is repainted."""
        self.started()
        self.play(1, 5, 5, width=200, height=150)
        self.play()
        owed = self.core.take_owed()[0]
        self.assertEqual(sum((r.right - r.left) * (r.bottom - r.top) for r in owed), 200 * 150 - 160 * 120)

    def test_reads(self):
        """A drawing that needs the pixels of a stream is repainted with them, instead of being sent."""
        self.started()
        for message, effect in (
            (display.CopyBits(fill(300, 10, 340, 50).base, display.Point(20, 20)), Effect.OPAQUE),
            (fill(20, 20, 40, 40), Effect.BLEND),
        ):
            self.play()
            self.time()
            batch = Batch()
            batch.append(message, effect)
            self.core.drawables(batch)
            self.assertEqual(self.peer.sent(), [])
            owed = self.core.take_owed()[0]
            self.assertIn(Rect(10, 10, 130, 170), owed)
            self.assertTrue(any(r.left <= message.base.box.left < r.right for r in owed))

    def test_reads_often(self):
        """Where that happens all the time the stream ends, and does not begin again at once."""
        self.started()
        sent = []
        for _ in range(3 * MAX_DISTURBANCES):
            sent += self.play()
            sent += self.draw(fill(20, 20, 40, 40), effect=Effect.BLEND)
            self.core.take_owed()
        self.assertEqual(self.kinds(sent).count(display.StreamDestroy), 1)
        self.assertFalse(self.streams.active)

    def test_stands_still(self):
        """After a moment without a frame the last picture is owed; after a longer one the stream ends."""
        self.started()
        self.assertTrue(self.streams.blurred)
        self.assertEqual(self.streams.next_deadline(), self.now + PAUSE_SECONDS)
        sent, owed = self.wait(PAUSE_SECONDS)
        self.assertEqual((sent, owed), ([], {0: [Rect(10, 10, 130, 170)]}))
        sent, _owed = self.wait(END_SECONDS - PAUSE_SECONDS)
        self.assertEqual(sent, [display.StreamDestroy(0)])
        self.assertFalse(self.streams.active)

    def test_ids(self):
        """An id is used again as late as possible."""
        self.started()
        self.wait(END_SECONDS)
        self.play(START_NATURAL)
        self.assertEqual([told["id"] for told in self.streams.describe()], [1])

    def test_no_film_any_more(self):
        """A place where text is drawn instead of a film is no stream any more."""
        self.started()
        sent = []
        for number in range(20):
            self.time(FRAME)
            checked = film(number)
            checked.data = bytes((0, 0, 0, 0, 255, 255, 255, 0)) * (160 * 120 // 2)
            sent += self.draw(copy(checked, 10, 10))
        self.assertFalse(self.streams.active)
        self.assertIsInstance(sent[-1], display.DrawCopy)

    def test_encoder_fails(self):
        """A frame that cannot be encoded goes out as an image; that codec is not tried again."""
        self.started()

        def fail(*_arguments, **_named):
            raise video.VideoError("no")

        self.patch(video.MjpegEncoder, "encode", fail)
        self.assertEqual(self.kinds(self.play()), [display.StreamDestroy, display.DrawCopy])
        self.assertIsNone(self.streams.codec)
        self.assertEqual(self.core.take_owed(), {})


class WaitingTests(StreamCase):
    """A client that does not keep up."""

    def close_window(self):
        """The client acknowledges nothing."""
        self.core.common.unacknowledged = 10_000

    def open_window(self):
        """And then everything."""
        self.core.common.unacknowledged = 0
        return self.peer.work()

    def test_newest_wins(self):
        """Of frames that wait only the last one is sent, and the bit rate falls."""
        stream = self.started()
        bit_rate = stream.rate.bit_rate
        self.close_window()
        self.assertEqual(self.play(10), [])
        self.assertEqual(len(self.core.pipe), 1)
        sent = self.open_window()
        self.assertEqual(self.kinds(sent), [display.StreamData])
        self.assertEqual(stream.dropped, 9)
        self.assertLess(stream.rate.bit_rate, bit_rate)

    def test_clipped_frames_do_not_pile_up(self):
        """Nor do frames that the guest clips, each in another way."""
        self.started()
        self.close_window()
        for number in range(20):
            frame = self.frame()
            frame.base.clip = Clip(type=ClipType.RECTS, rects=[Rect(10, 10, 20 + number, 170 - number)])
            self.time(FRAME)
            self.draw(frame)
        self.assertEqual(len(self.core.pipe), 1)
        self.open_window()
        _sent, owed = self.wait(PAUSE_SECONDS)
        self.assertIn(0, owed)

    def test_read_while_waiting(self):
        """A frame that something reads before the next one is not replaced by that."""
        self.core.surface_created(Surface(3, 60, 50))
        self.started()
        self.wait(END_SECONDS)
        self.core.take_owed()
        self.play(START_NATURAL - 1)
        self.close_window()
        self.play(1)
        reader = copy(DeviceImage(640, 480, surface=0), surface=3)
        reader.base.box, reader.src_area = Rect(0, 0, 50, 60), Rect(20, 20, 70, 80)
        self.draw(reader)
        self.play(1)
        self.assertEqual(len(self.core.pipe), 3)
        self.play(5)
        self.assertEqual(len(self.core.pipe), 3)

    def test_many_readers(self):
        """If that happens too often, what reads is repainted, and the frames are replaced."""
        self.started()
        self.close_window()
        for _ in range(2 * MAX_WAITING_FRAMES):
            self.play(1)
            self.draw(display.CopyBits(fill(300, 10, 340, 50).base, display.Point(20, 20)))
        self.assertLess(len(self.core.pipe), 2 * MAX_WAITING_FRAMES)
        self.assertTrue(self.core.pipe.owed)

    def test_slow_line(self):
        """On a line that was found slow the stream gets its share of it."""
        self.core.line.bandwidth = SimpleNamespace(slow=True, bits_per_second=2_000_000, narrow=False)
        stream = self.started()
        self.assertEqual(stream.rate.bit_rate, 1_600_000)

    def test_standing_still_unsent(self):
        """A frame that still waits when the film stops goes out as the image that it is."""
        self.started()
        self.close_window()
        self.play(1)
        self.wait(PAUSE_SECONDS)
        self.assertIn(display.DrawCopy, self.kinds(self.open_window()))

    def test_behind_what_is_owed(self):
        """Frames go on while other drawings are too many and owed."""
        self.started()
        self.close_window()
        for number in range(600):
            self.draw(fill(200 + number % 50, number // 50, 300, 100), effect=Effect.BLEND)
        self.play(3)
        self.assertTrue(self.core.pipe.owed)
        self.assertEqual(self.kinds(self.open_window()), [display.StreamData])

    def test_key_frame(self):
        """A frame that was encoded but not sent is made good by a key frame."""
        if reason := video.missing(VideoCodec.VP8):
            self.skipTest(reason)
        self.begin(caps=ALL, video_codecs=("vp8",))
        keys = []
        encode = video.AVEncoder.encode
        self.patch(
            video.AVEncoder,
            "encode",
            lambda *a, key=False, **n: keys.append(key) or encode(*a, key=key, **n),
        )
        stream = self.started()
        self.play(2)
        self.assertEqual(keys, [True, False, False])
        self.time(FRAME)
        self.core.drawables(Batch.of([self.frame()]))
        [job] = self.core.jobs()
        job.run()
        self.close_window()
        self.core.encoded(job)
        self.time(FRAME)
        self.core.drawables(Batch.of([self.frame()]))
        self.assertEqual(len(self.core.pipe), 1)
        self.assertEqual(self.kinds(self.open_window()), [display.StreamData])
        self.assertEqual(keys[3:], [False, True])
        self.assertEqual(stream.dropped, 1)

    def test_small(self):
        """A small one is encoded when its turn comes, without a thread."""
        self.started()
        self.time(FRAME)
        self.core.drawables(Batch.of([self.frame()]))
        self.assertEqual(self.core.jobs(), [])
        self.assertEqual(self.kinds(self.peer.sent()), [display.StreamData])

    def test_one_job_each(self):
        """Frames of a stream are encoded one after the other, in threads."""
        self.patch(video, "SMALL_PIXELS", 0)
        self.started()
        self.time(FRAME)
        self.core.drawables(Batch.of([self.frame()]))
        first = self.core.jobs()
        self.core.drawables(Batch.of([self.frame()]))
        self.assertEqual(len(first), 1)
        first[0].run()
        self.core.encoded(first[0])
        self.peer.work()
        self.assertEqual(len(self.core.pipe), 0)


class ReportTests(StreamCase):
    """What the client says."""

    def report(self, stream_id=0, unique_id=1, frames=5, drops=0, margin=40):
        """A report; what the client is sent then."""
        self.peer.say(display.StreamReport(stream_id, unique_id, 1, 2, frames, drops, margin, 0xFFFFFFFF))
        return self.peer.work()

    def test_counts(self):
        """A report of the stream that there is drives its rate; of one that was there before it does not."""
        rate = self.started().rate
        before = rate.bit_rate
        self.report(unique_id=77, drops=5)
        self.report(stream_id=9, drops=5)
        self.assertEqual(rate.bit_rate, before)
        self.report(drops=5)
        self.assertLess(rate.bit_rate, before)

    def test_cannot_decode(self):
        """A codec that the client turns out not to decode is not used for it again."""
        self.started()
        sent = self.report(unique_id=0, frames=0, drops=NO_DECODER_DROPS)
        self.assertEqual(self.kinds(sent), [display.StreamDestroy])
        self.assertEqual(self.core.take_owed(), {0: [Rect(10, 10, 130, 170)]})
        self.assertEqual(set(self.kinds(self.play(30))), {display.DrawCopy})

    def test_impossible(self):
        """A stream id that cannot be ends the channel."""
        with self.assertRaises(ProtocolError):
            self.report(stream_id=MAX_STREAMS)


class MovingTests(StreamCase):
    """A stream that goes to another host."""

    def moved(self, **options):
        """The channel at the target."""
        self.core.flush_all()
        exported = self.core.export_state()
        self.peer.sent()
        pixmaps = PixmapCache.restore(self.peer.pixmaps.export_state())
        chosen = settings(**{"streaming": "filter", **options})
        core = DisplayCore(pixmap_cache=pixmaps, settings=chosen, caps=MJPEG, arriving=True)
        core.restore(exported)
        for _event in core.take_held():
            pass
        self.peer = Peer(core, pixmaps=pixmaps)
        self.time()
        sent = self.peer.sent()
        self.assertIsInstance(sent[0], base.SetAck)
        return sent[1:]

    def test_goes_on(self):
        """The next frame there has the same id, a later stamp, and the rate as it was."""
        stream = self.started()
        stream.rate.bit_rate, stream.rate.lead_ms = 1_234_567, -50
        stamp = self.play()[-1].base.multi_media_time
        self.assertEqual(self.moved(), [])
        [data] = self.play()
        self.assertEqual((type(data), data.base.id), (display.StreamData, 0))
        self.assertGreater(data.base.multi_media_time, stamp)
        [there] = self.streams._streams.values()
        self.assertEqual((there.rate.bit_rate, there.rate.lead_ms, there.report_id), (1_234_567, -50, 1))

    def test_patience(self):
        """The time without a frame is counted from the arrival on."""
        self.started()
        self.core.flush_all()
        self.now += 1000
        self.moved()
        self.assertEqual(self.streams.next_deadline(), self.now + PAUSE_SECONDS)
        sent, _owed = self.wait(PAUSE_SECONDS / 2)
        self.assertEqual(sent, [])

    def test_in_between(self):
        """A frame that waits goes before the state does."""
        self.started()
        self.core.common.unacknowledged = 10_000
        self.play()
        self.core.flush_all()
        self.assertEqual(self.kinds(self.peer.sent()), [display.StreamData])

    def test_not_wanted_there(self):
        """A target that may not stream ends it and shows the picture."""
        self.started()
        self.assertEqual(self.moved(streaming="off"), [display.StreamDestroy(0)])
        self.assertEqual(self.core.take_owed(), {0: [Rect(10, 10, 130, 170)]})

    def test_new_ones(self):
        """Streams that begin there have other ids and other report ids."""
        self.started()
        self.moved()
        created, asked = self.play(START_NATURAL, 300, 200)[-3:-1]
        self.assertEqual((created.id, asked.unique_id), (1, 2))

    def test_choices(self):
        """What the client prefers, and does not decode, is known there."""
        self.peer.say(display.PreferredVideoCodecType([VideoCodec.VP9, VideoCodec.MJPEG]))
        self.streams._refused.add(VideoCodec.MJPEG)
        self.moved()
        self.assertEqual(
            self.streams.export_choices(), ([VideoCodec.VP9, VideoCodec.MJPEG], [VideoCodec.MJPEG])
        )

    def test_impossible(self):
        """A block with streams that cannot be is refused."""
        good = StreamAtClient(0, 1, 10, 10, Rect(0, 0, 10, 10), [], [], 1, 1000, 25, 0, 5, 0)
        for name, value in (
            ("id", MAX_STREAMS),
            ("codec", 99),
            ("width", 0),
            ("width", 1 << 31),
            ("fps", 0),
            ("dest", Rect(0, 5, 10, 5)),
            ("clip", [Rect(0, 0, 1 << 30, 10)]),
            ("visible", [Rect(-(1 << 20), 0, 10, 10)]),
        ):
            self.core.state.surfaces = list(self.core._surfaces.values())
            bad = StreamAtClient(**{field: getattr(good, field) for field in StreamAtClient.__slots__})
            setattr(bad, name, value)
            self.core.state.streams = [bad]
            with self.assertRaises(WireError, msg=name):
                self.core.check(self.core.state)
        self.core.state.streams = [good, good]
        with self.assertRaises(WireError):
            self.core.check(self.core.state)
        self.core.state.streams = [good]
        self.core.check(self.core.state)
        self.core.state.surfaces = []
        with self.assertRaises(WireError):
            self.core.check(self.core.state)


class SurfaceTests(StreamCase):
    """Streams belong to the screen."""

    def test_gone(self):
        """When it goes the stream ends before it."""
        self.started()
        self.core.surface_destroyed(0)
        self.assertEqual(self.peer.work(), [display.StreamDestroy(0), display.SurfaceDestroy(0)])
        self.core.surface_created(Surface(0, 640, 480), primary=True)
        self.peer.work()
        self.assertEqual(self.kinds(self.draw(copy(image(8, 8)))), [display.DrawCopy])
