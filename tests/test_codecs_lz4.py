# SPDX-License-Identifier: LGPL-2.1-or-later
"""LZ4 images, against what spice-server made and against hostile ones."""

import json
import random
from pathlib import Path

from lz4 import block
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.codecs import lz4
from spicemig.codecs.pixels import ImageError, Pixels, row_bytes
from spicemig.wire.enums import BitmapFormat

DATA = Path(__file__).parent / "data"
VECTORS = Path(__file__).parents[2] / "shared" / "vectors"


def packed(pixels: Pixels) -> bytes:
    """The payload in one piece."""
    return b"".join(lz4.encode(pixels))


class PeerTests(SynchronousTestCase):
    """What libspice-server 0.15.1 encodes is decoded exactly."""

    def test_recorded(self):
        """A recorded 16-bit image, bottom row first, of one block."""
        record = json.loads((DATA / "lz4_16bit_50x21.json").read_text())
        pixels = lz4.decode(bytes.fromhex(record["payload"]), record["width"], record["height"])
        self.assertEqual(bytes(pixels.data).hex(), record["pixels"])
        self.assertEqual((pixels.format, pixels.top_down), (BitmapFormat.BIT16, False))

    def test_all_vectors(self):
        """Every LZ4 image of the shared vectors comes back byte by byte."""
        if not VECTORS.is_dir():
            raise SkipTest("the shared vectors are not here")
        raw = (VECTORS / "wire.bin").read_bytes()
        found = 0
        for vector in json.loads((VECTORS / "wire.json").read_text())["vectors"]:
            if vector["codec"] != "lz4":
                continue
            found += 1
            start, end = vector["enc_offset"], vector["enc_offset"] + vector["enc_size"]
            self.assertEqual(int.from_bytes(raw[start : start + 4], "little"), end - start - 4)
            pixels = lz4.decode(raw[start + 4 : end], vector["width"], vector["height"])
            self.assertEqual(bytes(pixels.data), raw[vector["raw_offset"] :][: vector["raw_size"]])
            self.assertEqual((pixels.stride, pixels.top_down), (vector["stride"], bool(vector["top_down"])))
        self.assertGreater(found, 0)


class RoundTripTests(SynchronousTestCase):
    """What we encode, we decode."""

    def test_formats_and_sizes(self):
        """All formats with an LZ4 form come back exactly, in either direction and with padded rows."""
        chance = random.Random(4)
        for format in lz4.FORMATS:
            for width, height, padding in ((1, 1, 0), (3, 7, 5), (33, 20, 0), (200, 1, 3)):
                stride = row_bytes(format, width) + padding
                data = bytes(chance.choice((0, 0, 0, 200, 255)) for _ in range(stride * height))
                pixels = Pixels(width, height, format, stride, data, top_down=bool(padding))
                back = lz4.decode(packed(pixels), width, height)
                self.assertEqual(back.data, pixels.rows())
                self.assertEqual((back.format, back.top_down), (format, pixels.top_down))

    def test_linked_blocks(self):
        """A large image is cut into blocks, of which later ones refer to earlier ones."""
        width, height = 512, 1200
        noise = random.Random(5).randbytes(2048 * 16)
        data = (noise * (height // 16))[: width * height * 4]
        parts = lz4.encode(Pixels(width, height, BitmapFormat.BIT32, width * 4, data))
        self.assertEqual(len(parts), 1 + 2 * 3)
        with self.assertRaises(block.LZ4BlockError):
            block.decompress(parts[4], uncompressed_size=lz4.BLOCK_BYTES)
        self.assertEqual(lz4.decode(b"".join(parts), width, height).data, data)
        self.assertLess(sum(map(len, parts)), len(noise) * 1.5)

    def test_other_formats(self):
        """A format without an LZ4 form is refused by the encoder."""
        with self.assertRaises(ValueError):
            lz4.encode(Pixels(1, 1, BitmapFormat.BIT8, 1, b"\0"))


class HostileTests(SynchronousTestCase):
    """A payload can only be an image or an ImageError."""

    def setUp(self):
        self.pixels = Pixels(20, 10, BitmapFormat.BIT32, 80, bytes(range(200)) * 4)
        self.payload = packed(self.pixels)

    def test_truncation(self):
        """No beginning of a payload is taken for an image."""
        for length in range(len(self.payload)):
            with self.assertRaises(ImageError):
                lz4.decode(self.payload[:length], 20, 10)

    def test_sizes(self):
        """Sizes that the data cannot fill are refused before they are allocated."""
        for width, height in ((0, 10), (20, 0), (20, 11), (1 << 31, 1 << 31), (65535, 16384), (19, 10)):
            with self.assertRaises(ImageError):
                lz4.decode(self.payload, width, height)

    def test_block_sizes(self):
        """A block that claims to be longer, or empty, is refused."""
        for size in (0, 2**31, 2**32 - 1):
            with self.assertRaises(ImageError):
                lz4.decode(self.payload[:2] + size.to_bytes(4, "big") + self.payload[6:], 20, 10)

    def test_many_blocks(self):
        """There are at most as many blocks as rows, so that tiny ones cost nothing."""
        tiny = block.compress(b"\0", store_size=False)
        payload = self.payload[:2] + (len(tiny).to_bytes(4, "big") + tiny) * 800
        with self.assertRaises(ImageError):
            lz4.decode(payload, 20, 10)

    def test_random(self):
        """Random changes give an image of the right size or an ImageError."""
        chance = random.Random(6)
        for _ in range(500):
            data = bytearray(self.payload)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                self.assertEqual(len(lz4.decode(data, 20, 10).rows()) % 10, 0)
            except ImageError:
                pass
