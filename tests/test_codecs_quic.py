# SPDX-License-Identifier: LGPL-2.1-or-later
"""QUIC images, against what spice-server's encoder made and against hostile ones."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.codecs import encoders, images, kernels, quic, quic_reference
from spicemig.codecs.pixels import ImageError, Pixels, row_bytes
from spicemig.codecs.quic import QuicType
from spicemig.wire.drawing import BinaryData, Image, ImageDescriptor
from spicemig.wire.enums import BitmapFormat, ImageCompression, ImageType

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data" / "quic"
VECTORS = ROOT.parent / "shared" / "vectors"

FORMATS = {
    "gray": BitmapFormat.BIT8_A,
    "rgb16": BitmapFormat.BIT16,
    "rgb24": BitmapFormat.BIT24,
    "rgb32": BitmapFormat.BIT32,
    "rgba": BitmapFormat.RGBA,
}


def coded_as(pixels: Pixels, type: QuicType) -> bytes:
    """The stream in one piece."""
    return b"".join(quic.encode_as(pixels, type))


def without_unused(raw: bytes, type: str) -> bytes:
    """Pixels as a decoder gives them: the byte that is not coded is 0."""
    if type != "rgb32":
        return raw
    cleared = bytearray(raw)
    cleared[3::4] = bytes(len(raw) // 4)
    return bytes(cleared)


def random_pixels(chance: random.Random, type: QuicType, width: int, height: int, padding: int = 0) -> Pixels:
    """Noise, slow changes, or runs; what is not coded is 0."""
    stride = row_bytes(FORMATS[type.name.lower()], width) + padding
    kind, value, data = chance.randrange(3), 0, bytearray()
    for _byte in range(stride * height):
        if kind == 0:
            value = chance.getrandbits(8)
        elif kind == 1:
            value = value + chance.choice((-1, 0, 0, 1)) & 255
        elif chance.random() < 0.03:
            value = chance.getrandbits(8)
        data.append(value)
    for row in range(height):
        if type == QuicType.RGB16:
            for column in range(width):
                data[row * stride + 2 * column + 1] &= 0x7F
        if type == QuicType.RGB32:
            for column in range(width):
                data[row * stride + 4 * column + 3] = 0
    return Pixels(width, height, FORMATS[type.name.lower()], stride, bytes(data))


class VectorCase(SynchronousTestCase):
    """A way to compare with a vector."""

    def compare(self, type: str, width: int, height: int, stride: int, raw: bytes, coded: bytes) -> None:
        """The encoder makes these bytes, the decoder these pixels."""
        made = coded_as(Pixels(width, height, FORMATS[type], stride, raw), QuicType[type.upper()])
        name = f"{type} {width}x{height}"
        self.assertEqual(made, coded, name)
        pixels = quic.decode_any(coded)
        self.assertEqual(bytes(pixels.data), without_unused(raw, type), name)
        self.assertEqual((pixels.width, pixels.height, pixels.stride), (width, height, stride))
        self.assertEqual(pixels.format, FORMATS[type])


class PeerTests(VectorCase):
    """Streams of libspice 0.15.1: the same bytes out, the same pixels back."""

    def recorded(self) -> None:
        """All vectors of ``tests/data/quic``."""
        data = (DATA / "vectors.bin").read_bytes()
        for vector in json.loads((DATA / "vectors.json").read_text()):
            raw, coded = (data[start : start + size] for start, size in (vector["raw"], vector["coded"]))
            self.compare(vector["type"], vector["width"], vector["height"], vector["stride"], raw, coded)

    def test_recorded(self) -> None:
        """The vectors that come with the tests, of every type."""
        self.recorded()

    def test_recorded_in_python(self) -> None:
        """The same without the extension: the twins are complete."""
        self.patch(quic, "quic_encode", quic_reference.quic_encode)
        self.patch(quic, "quic_decode", quic_reference.quic_decode)
        self.recorded()

    def test_all_vectors(self) -> None:
        """Every QUIC stream of the shared vectors."""
        if not VECTORS.is_dir():
            raise SkipTest("the shared vectors are not here")
        data, found = (VECTORS / "quic.bin").read_bytes(), 0
        for vector in json.loads((VECTORS / "index.json").read_text())["vectors"]:
            if vector["codec"] == "quic":
                found += 1
                raw = data[vector["raw_offset"] :][: vector["raw_size"]]
                coded = data[vector["enc_offset"] :][: vector["enc_size"]]
                shape = vector["width"], vector["height"], vector["stride"]
                self.compare(vector["type"], *shape, raw, coded)
        self.assertGreater(found, 0)


class TwinTests(SynchronousTestCase):
    """The kernels and their twins give the same bytes, and refuse the same arguments."""

    native: ModuleType

    def setUp(self) -> None:
        if kernels.native is None or not hasattr(kernels.native, "quic_encode"):
            raise SkipTest("the extension is not built here")
        self.native = kernels.native
        self.chance = random.Random(7)

    def both(self, name: str, *arguments: object) -> object:
        """What both return; buffers that they write are given as bytearray and compared."""
        results = []
        for module in (self.native, quic_reference):
            given = [bytearray(each) if isinstance(each, bytearray) else each for each in arguments]
            try:
                said = getattr(module, name)(*given)
            except ValueError as error:
                said = str(error)
            results.append((said, [each for each in given if isinstance(each, bytearray)]))
        self.assertEqual(results[0], results[1])
        return results[0][0]

    def test_random_images(self) -> None:
        """Images of all types and many sizes, either way up, with padded rows."""
        for case in range(60):
            type = list(QuicType)[case % 5]
            width, height = self.chance.choice((1, 2, 3, 4, 30, self.chance.randint(1, 80))), case % 13 + 1
            pixels = random_pixels(self.chance, type, width, height, self.chance.choice((0, 0, 1, 5)))
            shape = pixels.stride, width, height, type
            coded = self.both("quic_encode", pixels.data, *shape, self.chance.random() < 0.5)
            self.assertIsInstance(coded, bytes)
            self.both("quic_decode", bytearray(len(pixels.data)), *shape, coded)

    def test_later_stages(self) -> None:
        """An image of so many pixels that its buckets learn as seldom as they ever will, with long rows."""
        for width, height in ((5000, 3), (150, 100)):
            pixels = random_pixels(self.chance, QuicType.GRAY, width, height)
            coded = self.both("quic_encode", pixels.data, width, width, height, QuicType.GRAY, True)
            self.both("quic_decode", bytearray(width * height), width, width, height, QuicType.GRAY, coded)

    def test_changed_streams(self) -> None:
        """Streams with changed or missing words give the same number of whole rows."""
        for case in range(60):
            type = list(QuicType)[case % 5]
            pixels = random_pixels(self.chance, type, self.chance.randint(1, 40), 8)
            coded = bytearray(coded_as(pixels, type)[20:])
            for _change in range(self.chance.randint(0, 3)):
                coded[self.chance.randrange(len(coded))] = self.chance.getrandbits(8)
            cut = bytes(coded[: self.chance.choice((len(coded), self.chance.randint(0, len(coded))))])
            shape = pixels.stride, pixels.width, pixels.height, type
            results = []
            for module in (self.native, quic_reference):
                rows = bytearray(len(pixels.data))
                whole = module.quic_decode(rows, *shape, cut)
                results.append((whole, rows[: whole * pixels.stride]))
            self.assertEqual(results[0], results[1])

    def test_arguments(self) -> None:
        """Types, sizes and strides that cannot be are refused, also where products overflow."""
        for type in (0, 6, 2**32 - 1):
            self.both("quic_encode", bytes(64), 16, 4, 4, type, True)
            self.both("quic_decode", bytearray(64), 16, 4, 4, type, bytes(64))
        for value in (-1, 0, 65536, 2**31 - 1, 2**31, 2**62, 2**63 - 1):
            self.both("quic_encode", bytes(64), 16, value, 4, 4, True)
            self.both("quic_encode", bytes(64), 16, 4, value, 4, True)
            self.both("quic_encode", bytes(64), value, 4, 4, 4, True)
            self.both("quic_decode", bytearray(64), value, 4, 4, 4, bytes(64))
        self.both("quic_encode", bytes(63), 16, 4, 4, 4, True)
        self.both("quic_decode", bytearray(63), 16, 4, 4, 4, bytes(64))


class ImageTests(SynchronousTestCase):
    """QUIC as the display channel uses it."""

    def test_round_trip(self) -> None:
        """All formats that clients can show come back, the top row first."""
        chance = random.Random(8)
        for type in (QuicType.RGB16, QuicType.RGB24, QuicType.RGB32, QuicType.RGBA):
            pixels = random_pixels(chance, type, 33, 20)
            upward = Pixels(33, 20, pixels.format, pixels.stride, self.turned(pixels), top_down=False)
            payload = b"".join(quic.encode(upward))
            self.assertEqual(payload, b"".join(quic.encode(pixels)))
            back = quic.decode(payload, 33, 20)
            self.assertEqual(bytes(back.data), pixels.data)
            self.assertTrue(back.top_down)

    def turned(self, pixels: Pixels) -> bytes:
        """The rows from the bottom to the top."""
        starts = range(0, pixels.height * pixels.stride, pixels.stride)
        return b"".join(pixels.data[start : start + pixels.stride] for start in reversed(starts))

    def test_other_formats(self) -> None:
        """A format without a QUIC form is refused by the encoder."""
        with self.assertRaises(ValueError):
            quic.encode(Pixels(1, 1, BitmapFormat.BIT8, 1, b"\0"))

    def test_chosen(self) -> None:
        """In the mode QUIC images go out as QUIC, and those with palettes as bitmaps."""
        pixels = Pixels(64, 64, BitmapFormat.BIT32, 256, bytes(64 * 256))
        names = encoders.candidates(pixels, ImageCompression.QUIC, client_lz4=False, lossy=False)
        made = encoders.encode(pixels, names)
        assert made is not None
        self.assertEqual(made.image_type, ImageType.QUIC)
        descriptor = ImageDescriptor(1, ImageType.QUIC, 0, 64, 64)
        image = images.decode(Image(descriptor, BinaryData(b"".join(made.parts))))
        self.assertEqual(image.data, pixels.data)
        with self.assertRaises(ImageError):
            images.decode(
                Image(ImageDescriptor(1, ImageType.QUIC, 0, 64, 63), BinaryData(b"".join(made.parts)))
            )


class HostileTests(SynchronousTestCase):
    """A payload can only be an image or an ImageError."""

    def setUp(self) -> None:
        self.pixels = random_pixels(random.Random(9), QuicType.RGBA, 20, 10)
        self.payload = b"".join(quic.encode(self.pixels))

    def test_truncation(self) -> None:
        """No beginning of a payload is taken for an image."""
        for length in range(len(self.payload)):
            with self.assertRaises(ImageError):
                quic.decode(self.payload[:length], 20, 10)

    def test_header(self) -> None:
        """Another magic, version, type or size is refused, before anything is allocated for it."""
        words = [int.from_bytes(self.payload[at : at + 4], "little") for at in range(0, 20, 4)]
        for index, values in enumerate(
            ((0, 2**32 - 1), (1, 2**16), (0, 6, 2**32 - 1), (0, 19, 2**31, 65535, 2**32 - 1), (0, 11, 65535))
        ):
            for value in values:
                changed = [*words[:index], value, *words[index + 1 :]]
                header = b"".join(word.to_bytes(4, "little") for word in changed)
                with self.assertRaises(ImageError):
                    quic.decode(header + self.payload[20:], 20, 10)

    def test_gray(self) -> None:
        """Clients do not show gray, so it is no image; outside of images it can be decoded."""
        pixels = random_pixels(random.Random(9), QuicType.GRAY, 20, 10)
        payload = coded_as(pixels, QuicType.GRAY)
        self.assertEqual(bytes(quic.decode_any(payload, QuicType.GRAY).data), pixels.data)
        with self.assertRaises(ImageError):
            quic.decode(payload, 20, 10)
        with self.assertRaises(ImageError):
            quic.decode_any(payload, QuicType.RGB24)

    def test_small_for_its_size(self) -> None:
        """A payload too small for even the plainest image of its size is refused at once."""
        header = b"".join(word.to_bytes(4, "little") for word in (quic.MAGIC, 0, QuicType.RGB32, 4000, 4000))
        with self.assertRaisesRegex(ImageError, "100 bytes"):
            quic.decode(header + bytes(100), 4000, 4000)

    def test_random(self) -> None:
        """Random changes give an image of the right size or an ImageError."""
        chance = random.Random(6)
        for _case in range(500):
            payload = bytearray(self.payload)
            for _change in range(chance.randint(1, 4)):
                payload[chance.randrange(20, len(payload))] = chance.getrandbits(8)
            try:
                pixels = quic.decode(payload, 20, 10)
            except ImageError:
                continue
            self.assertEqual(len(pixels.data), 800)
