# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frames of video codecs, encoded and decoded."""

import struct

from PIL import ImageChops, ImageStat
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.codecs import video
from spicemig.codecs.pixels import ImageError, Pixels
from spicemig.testing.films import film, film_pixels
from spicemig.wire.enums import BitmapFormat, VideoCodec

NEAR = 10.0  # of 255, on average, that a decoded frame may be from its picture


def picture(number, width=160, height=120):
    """A frame of a film."""
    return Pixels(width, height, BitmapFormat.BIT32, width * 4, film_pixels(number, width, height))


class RoundTripTests(SynchronousTestCase):
    """What a client sees of pictures that we encode."""

    def pair(self, name):
        """An encoder and a decoder."""
        codec = video.NAMES[name]
        if reason := video.missing(codec):
            raise SkipTest(reason)
        return video.open_encoder(codec, 2_000_000, 25), video.Decoder(codec)

    def assertNear(self, decoded, original):
        """The decoded picture, perhaps in another size, is about the same."""
        ours, theirs = original.image().convert("RGB"), decoded.image().resize(original.image().size)
        self.assertLess(max(ImageStat.Stat(ImageChops.difference(ours, theirs)).mean), NEAR)

    def check_all(self, name):
        """Frames of several sizes and formats."""
        encoder, decoder = self.pair(name)
        pts = 0
        for width, height in ((160, 120), (161, 119), (320, 176), (17, 16)):
            for number in range(5):
                pts += 40
                original = picture(number, width, height)
                self.assertNear(decoder.decode(encoder.encode(original, pts)), original)
        wide = picture(1)
        rows = [wide.data[at : at + 640] for at in range(0, len(wide.data), 640)]
        upside_down = Pixels(160, 120, BitmapFormat.BIT32, 640, b"".join(reversed(rows)), top_down=False)
        packed = wide.image().tobytes("raw", "BGR")
        padded = b"".join(row + bytes(60) for row in rows)
        colours = zip(packed[2::3], packed[1::3], packed[::3], strict=True)
        fifteen = struct.pack("<19200H", *(r >> 3 << 10 | g >> 3 << 5 | b >> 3 for r, g, b in colours))
        alpha = bytes(wide.data).replace(b"\0", b"\1")
        for other in (
            upside_down,
            Pixels(160, 120, BitmapFormat.BIT24, 480, packed),
            Pixels(160, 120, BitmapFormat.BIT32, 700, padded),
            Pixels(160, 120, BitmapFormat.RGBA, 640, alpha),
            Pixels(160, 120, BitmapFormat.BIT16, 320, fifteen),
        ):
            pts += 40
            self.assertNear(decoder.decode(encoder.encode(other, pts, key=True)), other)

    def test_mjpeg(self):
        """MJPEG."""
        self.check_all("mjpeg")

    def test_vp8(self):
        """VP8."""
        self.check_all("vp8")

    def test_vp9(self):
        """VP9."""
        self.check_all("vp9")

    def test_h264(self):
        """H264, whose frames have even sizes."""
        self.check_all("h264")

    def test_key_frames(self):
        """A key frame can be decoded without those before it."""
        for name in ("vp8", "vp9", "h264"):
            encoder, _decoder = self.pair(name)
            frames = [encoder.encode(picture(n), 40 * n, key=n == 5) for n in range(8)]
            late = video.Decoder(encoder.codec)
            for number in range(5, 8):
                decoded = late.decode(frames[number])
                self.assertNear(decoded, picture(number))

    def test_bit_rate(self):
        """Another bit rate makes other sizes."""
        for name in ("vp8", "vp9", "h264"):
            encoder, _decoder = self.pair(name)
            sizes = {}
            for rate in (4_000_000, 100_000):
                encoder.bit_rate = rate
                frames = [encoder.encode(picture(n), 40 * n + rate) for n in range(30)]
                sizes[rate] = sum(map(len, frames[10:]))
            self.assertLess(sizes[100_000], 0.8 * sizes[4_000_000], name)

    def test_hostile(self):
        """Bytes that are no frame raise ImageError or show nothing."""
        for name in video.NAMES:
            encoder, decoder = self.pair(name)
            frame = encoder.encode(picture(1), 0)
            for data in (b"", b"\xff" * 100, frame[: len(frame) // 2], frame[:-1] + b"\0" * 50, frame[::-1]):
                try:
                    decoder.decode(data)
                except ImageError:
                    pass


class QualityTests(SynchronousTestCase):
    """MJPEG's quality follows the bit rate."""

    def settled(self, bit_rate):
        """The quality after some frames, and the size of the last one."""
        encoder, size = video.MjpegEncoder(bit_rate, 25), 0
        for number in range(40):
            size = len(encoder.encode(picture(number), 40 * number))
            encoder.made(size)
        return encoder, size

    def test_follows(self):
        """More bits, better frames; these keep to their bits."""
        low, small = self.settled(300_000)
        middle, medium = self.settled(400_000)
        high, large = self.settled(5_000_000)
        self.assertTrue(low.quality < middle.quality < high.quality)
        self.assertTrue(small < medium < large)
        for bit_rate, size in ((300_000, small), (400_000, medium), (5_000_000, large)):
            self.assertLess(size, 1.2 * bit_rate / 8 / 25)

    def test_worst(self):
        """It says when it cannot make them smaller."""
        encoder, _size = self.settled(10_000)
        self.assertTrue(encoder.at_worst)
        self.assertEqual(encoder.quality, video.QUALITIES[0])
        self.assertFalse(self.settled(5_000_000)[0].at_worst)


class MissingTests(SynchronousTestCase):
    """What cannot be encoded is said."""

    def test_without_pyav(self):
        """Without PyAV there is MJPEG, and a hint for the others."""
        self.patch(video, "_av", lambda: None)
        self.assertEqual(video.missing(VideoCodec.MJPEG), "")
        self.assertIn("PyAV is not installed", video.missing(VideoCodec.VP8))
        with self.assertRaises(video.VideoError):
            video.open_encoder(VideoCodec.H264, 1_000_000, 25)

    def test_unknown(self):
        """A codec that nobody here knows is missing, too."""
        self.assertIn("not known", video.missing(VideoCodec.H265))


class CropTests(SynchronousTestCase):
    """A frame may be a part of an image."""

    def test_part(self):
        """The part is cut out; one that is not there is refused."""
        whole = Pixels(160, 120, BitmapFormat.BIT32, 640, film(1).data)
        part = video.crop(whole, 10, 20, 110, 100)
        self.assertEqual((part.width, part.height), (100, 80))
        self.assertEqual(part.image().tobytes(), whole.image().crop((10, 20, 110, 100)).tobytes())
        self.assertIs(video.crop(whole, 0, 0, 160, 120), whole)
        for sides in ((-1, 0, 10, 10), (0, 0, 161, 10), (5, 5, 5, 10)):
            with self.assertRaises(ImageError):
                video.crop(whole, *sides)
