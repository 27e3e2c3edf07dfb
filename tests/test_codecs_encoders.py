# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which codec an image goes out with."""

import random
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from spicemig.codecs import encoders
from spicemig.codecs.encoders import Encoding, candidates, encode, is_busy, is_natural, seems_natural
from spicemig.codecs.pixels import Pixels
from spicemig.devices.drawables import DeviceImage
from spicemig.wire.enums import BitmapFormat, ImageCompression, ImageType


def flat(width=100, height=100, format=BitmapFormat.BIT32):
    """An image of one colour."""
    return Pixels(width, height, format, width * 4, bytes(width * height * 4))


def indexed(palette=(0,) * 256):
    """An image of palette indexes."""
    return Pixels(100, 100, BitmapFormat.BIT8, 100, bytes(10000), palette=palette)


def photograph(width=128, height=128):
    """An image in which hardly a pixel is like the next, but near to it."""
    data = bytes(random.Random(1).choices(range(50), k=width * height * 4))
    return Pixels(width, height, BitmapFormat.BIT32, width * 4, data)


def noise(width=128, height=128):
    """An image that no lossless codec makes smaller."""
    data = random.Random(1).randbytes(width * height * 3)
    return Pixels(width, height, BitmapFormat.BIT24, width * 3, data)


class ChoiceTests(SynchronousTestCase):
    """The codec follows the compression mode, the client and the image."""

    def test_off(self):
        """With compression off everything is a bitmap."""
        self.assertEqual(candidates(flat(), ImageCompression.OFF, client_lz4=True, lossy=True), ())

    def test_lz4(self):
        """LZ4 is for clients that know it and formats that have it."""
        mode = ImageCompression.LZ4
        self.assertEqual(candidates(flat(), mode, client_lz4=True, lossy=False), ("lz4",))
        self.assertEqual(candidates(flat(), mode, client_lz4=False, lossy=False), ("lz",))
        self.assertEqual(candidates(indexed(), mode, client_lz4=True, lossy=False), ("lz_palette",))

    def test_lz(self):
        """LZ is for every format; indexes need a palette."""
        mode = ImageCompression.LZ
        self.assertEqual(candidates(flat(), mode, client_lz4=True, lossy=False), ("lz",))
        self.assertEqual(candidates(indexed(), mode, client_lz4=True, lossy=False), ("lz_palette",))
        self.assertEqual(candidates(indexed(()), mode, client_lz4=True, lossy=False), ())
        self.assertEqual(encode(flat(), ("lz",)).image_type, ImageType.LZ_RGB)
        self.assertEqual(encode(indexed(), ("lz_palette",)).image_type, ImageType.LZ_PLT)

    def test_auto_lz(self):
        """QUIC for natural images, LZ for others, and for those with palettes."""
        mode = ImageCompression.AUTO_LZ
        names = candidates(flat(), mode, client_lz4=True, lossy=False)
        self.assertEqual(names, ("quic_natural", "lz"))
        self.assertEqual(encode(photograph(), names).image_type, ImageType.QUIC)
        self.assertEqual(encode(flat(), names).image_type, ImageType.LZ_RGB)
        self.assertEqual(candidates(indexed(), mode, client_lz4=True, lossy=False), ("lz_palette",))

    def test_glz(self):
        """GLZ is named before what takes its place where there is no dictionary."""
        for mode, names in (
            (ImageCompression.GLZ, ("glz", "lz")),
            (ImageCompression.AUTO_GLZ, ("quic_natural", "glz", "lz")),
        ):
            self.assertEqual(candidates(flat(), mode, client_lz4=True, lossy=False), names)
            self.assertEqual(candidates(indexed(), mode, client_lz4=True, lossy=False), ("lz_palette",))

    def test_jpeg(self):
        """JPEG is for large images where loss is allowed."""
        mode = ImageCompression.LZ4
        self.assertEqual(candidates(flat(), mode, client_lz4=True, lossy=True), ("jpeg", "lz4"))
        self.assertEqual(candidates(flat(20, 20), mode, client_lz4=True, lossy=True), ("lz4",))

    def test_jpeg_with_alpha(self):
        """A photograph with alpha keeps it; what describes both parts stands in front of their size."""
        photo = photograph()
        pixels = Pixels(photo.width, photo.height, BitmapFormat.RGBA, photo.stride, photo.data)
        names = candidates(pixels, ImageCompression.LZ, client_lz4=True, lossy=True)
        self.assertEqual(names, ("jpeg_alpha", "lz"))
        encoded = encode(pixels, names)
        self.assertEqual(encoded.image_type, ImageType.JPEG_ALPHA)
        self.assertTrue(encoded.lossy)
        self.assertEqual(len(encoded.head), 5)
        self.assertEqual(encoded.size, sum(map(len, encoded.parts)))

    def test_natural(self):
        """A photograph is natural, a plain area is not."""
        self.assertTrue(is_natural(photograph()))
        self.assertFalse(is_natural(flat()))

    def test_large(self):
        """A guess at a large image looks at all of it only if some stripes are natural."""
        looked = []
        self.patch(encoders, "image_is_natural", lambda image: looked.append(image) or True)
        for pixels, natural in ((photograph(400, 400), True), (flat(400, 400), False)):
            image = DeviceImage(400, 400, pixels.format, pixels.stride, pixels.data)
            self.assertEqual(seems_natural(image), natural)
        self.assertEqual(len(looked), 1)

    def test_only_natural_images_become_jpeg(self):
        """Drawings stay exact even where loss is allowed."""
        self.assertEqual(encode(photograph(), ("jpeg", "lz4")).image_type, ImageType.JPEG)
        self.assertEqual(encode(flat(), ("jpeg", "lz4")).image_type, ImageType.LZ4)

    def test_busy_images_become_jpeg(self):
        """So do images that lossless codecs make little of, where loss is allowed; text does not."""
        self.assertTrue(is_busy(noise()))
        self.assertFalse(is_busy(flat()))
        self.assertEqual(encode(noise(), ("jpeg", "lz")).image_type, ImageType.JPEG)
        self.assertEqual(encode(flat(), ("jpeg", "lz")).image_type, ImageType.LZ_RGB)

    def test_no_help(self):
        """What an encoder would make larger stays a bitmap."""
        for name in ("lz4", "lz", "quic"):
            self.assertIsNone(encode(noise(), (name,)))


class EncodingTests(SynchronousTestCase):
    """An image is encoded once."""

    def setUp(self):
        self.calls = []
        self.patch(encoders, "encode", lambda pixels, names, natural: self.calls.append(names))

    def test_time(self):
        """How long it took is told to the first who asks, so that clients who share it count it once."""
        encoding = Encoding(flat(), ("lz",))
        self.assertEqual(encoding.take_nanoseconds(), 0)
        encoding.make()
        encoding.make()
        self.assertGreater(encoding.take_nanoseconds(), 0)
        self.assertEqual(encoding.take_nanoseconds(), 0)

    def test_shared(self):
        """Whoever asks for the same encoders gets the same encoding; others get their own."""
        image = DeviceImage(2, 2, stride=8, data=bytes(16))
        encoding = Encoding.of(image, ("lz4",))
        self.assertIs(Encoding.of(image, ("lz4",)), encoding)
        self.assertIsNot(Encoding.of(image, ("jpeg", "lz4")), encoding)

    def test_once(self):
        """From however many threads it is asked for."""
        encoding = Encoding.of(DeviceImage(2, 2, stride=8, data=bytes(16)), ("lz4",))
        threads = [Thread(target=encoding.make) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.calls, [("lz4",)])
        self.assertTrue(encoding.done)
