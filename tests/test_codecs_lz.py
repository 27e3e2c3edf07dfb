# SPDX-License-Identifier: LGPL-2.1-or-later
"""LZ images, against what spice-server made and against hostile ones; whether images are natural."""

import base64
import hashlib
import json
import random
import struct
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.codecs import gradual_reference, images, kernels, lz, lz_reference
from spicemig.codecs.encoders import is_natural
from spicemig.codecs.lz import LzType
from spicemig.codecs.pixels import ImageError, Pixels, row_bytes
from spicemig.wire.drawing import BinaryData, Image, ImageDescriptor, LzPltData, Palette
from spicemig.wire.enums import BitmapFormat, ImageType

DATA = Path(__file__).parent / "data"
VECTORS = Path(__file__).parents[2] / "shared" / "vectors"
FORMATS = {type: format for format, type in lz.TYPES.items()} | {LzType.XXXA: BitmapFormat.RGBA}
NATIVE = kernels.native


def packed(pixels: Pixels, type: LzType | None = None) -> bytes:
    """The payload in one piece."""
    return b"".join(lz.encode(pixels) if type is None else lz.encode_as(pixels, type))


def coded(raw: bytes, type: LzType) -> bytes:
    """The bytes of pixels that a type codes, the others 0."""
    kept = bytearray(raw)
    for component in {LzType.RGB32: (3,), LzType.XXXA: (0, 1, 2)}.get(type, ()):
        kept[component::4] = bytes(len(kept) // 4)
    return bytes(kept)


def picture(dice: random.Random, size: int) -> bytes:
    """Bytes that repeat themselves now and then, near and far."""
    made = bytearray(dice.randbytes(min(size, 40)))
    while len(made) < size:
        if dice.random() < 0.6:
            start = dice.randrange(len(made)) & ~3
            made += made[start : start + dice.choice([4, 9, 40, 300, 3000])]
        elif dice.random() < 0.5:
            made += dice.randbytes(4) * dice.randint(1, 700)
        else:
            made += dice.randbytes(dice.randint(1, 200))
    return bytes(made[:size])


class PeerTests(SynchronousTestCase):
    """What the encoder of libspice-server 0.15.1 makes is decoded exactly, and ours is not larger."""

    def compare(self, type: LzType, stream: bytes, width: int, height: int, top_down: int) -> bytes:
        pixels = lz.decode_any(stream, type)
        self.assertEqual((pixels.width, pixels.height, pixels.top_down), (width, height, bool(top_down)))
        ours = packed(pixels, type)
        self.assertEqual(lz.decode_any(ours, type), pixels)
        self.ours += len(ours)
        self.theirs += len(stream)
        return bytes(pixels.data)

    def setUp(self):
        self.ours = self.theirs = 0

    def test_recorded(self):
        """Streams of every type, in either direction."""
        types = set()
        for vector in json.loads((DATA / "lz_vectors.json").read_text())["vectors"]:
            type, stream = LzType[vector["type"].upper()], base64.b64decode(vector["stream"])
            data = self.compare(type, stream, vector["width"], vector["height"], vector["top_down"])
            self.assertEqual(hashlib.sha256(data).hexdigest()[:16], vector["raw_sha256"])
            types.add(type)
        self.assertEqual(types, set(LzType))
        self.assertLessEqual(self.ours, self.theirs)

    def test_all_vectors(self):
        """Every LZ stream of the shared vectors comes back byte by byte."""
        if not VECTORS.is_dir():
            raise SkipTest("the shared vectors are not here")
        raw = (VECTORS / "lz.bin").read_bytes()
        for vector in json.loads((VECTORS / "index.json").read_text())["vectors"]:
            if vector["codec"] != "lz":
                continue
            type = LzType[vector["type"].upper()]
            stream = raw[vector["enc_offset"] :][: vector["enc_size"]]
            data = self.compare(type, stream, vector["width"], vector["height"], vector["top_down"])
            self.assertEqual(data, coded(raw[vector["raw_offset"] :][: vector["raw_size"]], type))
        self.assertGreater(self.theirs, 0)
        self.assertLessEqual(self.ours, self.theirs)


class RoundTripTests(SynchronousTestCase):
    """What we encode, we decode."""

    def test_types_and_sizes(self):
        """All types come back exactly, in either direction and from padded rows."""
        dice = random.Random(4)
        for type in LzType:
            for width, height, padding in ((1, 1, 0), (2, 1, 1), (3, 7, 5), (33, 20, 0), (200, 1, 3)):
                tight = row_bytes(FORMATS[type], width)
                rows = [picture(dice, tight) for _row in range(height)]
                data = b"".join(row + bytes(padding) for row in rows)
                before = Pixels(width, height, FORMATS[type], tight + padding, data, dice.random() < 0.5)
                after = lz.decode_any(packed(before, type), type)
                self.assertEqual(bytes(after.data), coded(b"".join(rows), type), type)
                self.assertEqual((after.stride, after.top_down), (tight, before.top_down))

    def test_far_away(self):
        """What repeats itself near, far, and further away than a reference reaches."""
        for distance in (8190, 8191, 8192, 8193, 40000, 73726, 73727, 73728, 80000):
            mark = bytes(range(1, 51))
            data = mark + bytes(distance - len(mark)) + mark
            for plane in (lz_reference.BYTES, lz_reference.RGB16, lz_reference.RGB24):
                units = b"".join(bytes([byte]) * plane for byte in data)
                tokens = kernels.lz_encode(units, plane)
                found = distance <= lz_reference.FARTHEST
                self.assertEqual(tokens.count(units[plane : 9 * plane]), 1 if found else 2, distance)
                after = bytearray(len(units))
                self.assertEqual(kernels.lz_decode(after, plane, tokens), len(tokens))
                self.assertEqual(after, units)

    def test_no_form(self):
        """A format that the type does not code is refused."""
        pixels = Pixels(2, 1, BitmapFormat.BIT32, 8, bytes(8))
        self.assertRaises(ValueError, lz.encode_as, pixels, LzType.RGBA)


class ImageTests(SynchronousTestCase):
    """Images on the wire become pixels."""

    def test_colours(self):
        """LZ_RGB images are pixels of their format."""
        before = Pixels(5, 2, BitmapFormat.BIT16, 10, bytes(range(20)))
        image = Image(ImageDescriptor(1, ImageType.LZ_RGB, 0, 5, 2), BinaryData(packed(before)))
        self.assertEqual(images.decode(image), before)

    def test_palette(self):
        """LZ_PLT images take the palette that comes with them, or else the kept one."""
        before = Pixels(4, 2, BitmapFormat.BIT8, 4, bytes(8), palette=(0x112233,))
        descriptor = ImageDescriptor(1, ImageType.LZ_PLT, 0, 4, 2)
        own = Image(descriptor, LzPltData(0, palette=Palette(9, [0x112233]), data=packed(before)))
        named = Image(descriptor, LzPltData(2, palette_id=9, data=packed(before)))
        self.assertEqual(images.decode(own), before)
        self.assertEqual(images.decode(named, Palette(9, [0x112233])), before)
        self.assertRaises(ImageError, images.decode, named)

    def test_colours_and_indexes_mixed_up(self):
        """Indexes are no colours, and colours no indexes."""
        indexes = packed(Pixels(8, 2, BitmapFormat.BIT8, 8, bytes(16)))
        colours = packed(Pixels(8, 2, BitmapFormat.BIT32, 32, bytes(64)))
        self.assertRaises(ImageError, lz.decode, indexes, 8, 2)
        self.assertRaises(ImageError, lz.decode_indexes, colours, 8, 2, (0,))


class HostileTests(SynchronousTestCase):
    """A stream may be anything; it is refused and nothing else happens."""

    def setUp(self):
        self.dice = random.Random(8)
        data = picture(self.dice, 40 * 30 * 4)
        self.stream = packed(Pixels(40, 30, BitmapFormat.RGBA, 160, data))

    def test_truncated(self):
        """However early it ends."""
        for end in range(len(self.stream)):
            self.assertRaises(ImageError, lz.decode, self.stream[:end], 40, 30)

    def test_more_behind(self):
        """A byte too much; clients would stop at it."""
        self.assertRaises(ImageError, lz.decode, self.stream + b"\0", 40, 30)

    def test_header(self):
        """A wrong magic or version, unknown types, sizes that do not fit each other or this machine."""
        words = list(struct.unpack(">7I", self.stream[:28]))
        for index, value in (
            (0, 0),
            (1, 0x00020001),
            (2, 0),
            (2, 12),
            (3, 0),
            (3, 41),
            (3, 2**31),
            (4, 0),
            (4, 31),
            (4, 2**32 - 1),
            (5, 0),
            (5, 161),
            (5, 2**32 - 1),
        ):
            wrong = struct.pack(">7I", *words[:index], value, *words[index + 1 :])
            self.assertRaises(ImageError, lz.decode, wrong + self.stream[28:], 40, 30)

    def test_small_stream_of_a_huge_image(self):
        """No memory is taken for an image that the stream cannot hold."""
        header = struct.pack(">7I", lz.MAGIC, lz.VERSION, LzType.A8, 0xFFFF, 0x1000, 0xFFFF, 1)
        self.assertRaises(ImageError, lz.decode, header + bytes(100), 0xFFFF, 0x1000)

    def test_references_to_nothing(self):
        """A reference to before the first unit, and one beyond the last."""
        for tokens in (
            b"\x20\x00" + bytes(8),
            b"\x00\x00\x20\x01" + bytes(8),
            b"\x00\x00\xe0\xff\xff\x10\x00",
        ):
            for plane in (lz_reference.BYTES, lz_reference.RGB16, lz_reference.RGB32):
                self.assertEqual(kernels.lz_decode(bytearray(48), plane, tokens), 0)

    def test_mutations(self):
        """Random changes give pixels or an error."""
        for _case in range(3000):
            broken = bytearray(self.stream)
            for _change in range(self.dice.randint(1, 4)):
                broken[self.dice.randrange(28, len(broken))] = self.dice.randrange(256)
            try:
                self.assertEqual(len(lz.decode(broken, 40, 30).data), 4800)
            except ImageError:
                pass


class TwinTests(SynchronousTestCase):
    """The kernels in C and their twins in Python do the same."""

    if NATIVE is None:
        skip = "the extension is not built here"

    def setUp(self):
        self.dice = random.Random(20)

    def planes(self, cases):
        """Random planes: what they are, and their bytes."""
        for _case in range(cases):
            plane = self.dice.randint(1, 5)
            count = self.dice.choice([1, 2, 3, self.dice.randint(4, 40), self.dice.randint(40, 900)])
            size = count * lz_reference.UNIT_BYTES[plane]
            choice = self.dice.random()
            if choice < 0.2:
                yield plane, self.dice.randbytes(size)
            elif choice < 0.4:
                yield plane, bytes(self.dice.choice(b"\0\1\2") for _byte in range(size))
            else:
                yield plane, picture(self.dice, size)

    def test_encode(self):
        """The same tokens."""
        for plane, data in self.planes(500):
            self.assertEqual(NATIVE.lz_encode(data, plane), lz_reference.lz_encode(data, plane))

    def test_encode_far(self):
        """The same tokens of planes that are larger than a reference reaches."""
        for plane in (1, 2, 3, 4, 5):
            data = picture(self.dice, 100000 * lz_reference.UNIT_BYTES[plane])
            self.assertEqual(NATIVE.lz_encode(data, plane), lz_reference.lz_encode(data, plane))

    def test_decode(self):
        """The same units, and the same streams refused."""
        for plane, data in self.planes(1000):
            tokens = bytearray(NATIVE.lz_encode(data, plane))
            if self.dice.random() < 0.7:
                tokens[self.dice.randrange(len(tokens))] = self.dice.randrange(256)
            if self.dice.random() < 0.2:
                del tokens[self.dice.randrange(len(tokens)) :]
            filled = [bytearray(len(data)), bytearray(len(data))]
            taken = NATIVE.lz_decode(filled[0], plane, tokens)
            self.assertEqual(taken, lz_reference.lz_decode(filled[1], plane, tokens))
            if taken:
                self.assertEqual(filled[0], filled[1])

    def test_refused(self):
        """Both refuse what is no plane."""
        for module in (NATIVE, lz_reference):
            self.assertRaises(ValueError, module.lz_encode, b"", 1)
            self.assertRaises(ValueError, module.lz_encode, bytes(4), 0)
            self.assertRaises(ValueError, module.lz_encode, bytes(4), 6)
            self.assertRaises(ValueError, module.lz_encode, bytes(5), 4)
            self.assertRaises(ValueError, module.lz_decode, bytearray(3), 2, b"\0\0\0")
        shared = bytearray(8)
        self.assertRaises(ValueError, NATIVE.lz_decode, shared, 1, shared)

    def test_gradual(self):
        """The same score for images of all sizes, or the same refusal."""
        for _case in range(500):
            width, height = self.dice.randint(0, 50), self.dice.randint(0, 20)
            pixel_bytes = self.dice.choice([2, 3, 4, 4, 5])
            stride = width * pixel_bytes + self.dice.choice([0, 0, 3, -1])
            data = picture(self.dice, stride * height if stride > 0 else 0)
            results = []
            for module in (NATIVE, gradual_reference):
                try:
                    results.append(module.gradual_score(data, stride, width, height, pixel_bytes))
                except ValueError as error:
                    results.append(str(error))
            self.assertEqual(results[0], results[1])


class NaturalTests(SynchronousTestCase):
    """Photographs are told from text and drawings."""

    def pixels(self, format: int, colour) -> Pixels:
        """An image of 60x40 pixels whose bytes are a function of column and row."""
        data = b"".join(bytes(colour(x, y)) for y in range(40) for x in range(60))
        return Pixels(60, 40, format, row_bytes(format, 60), data)

    def test_gradient(self):
        """Colours that change a little everywhere are natural, in every format of colours."""
        self.assertTrue(is_natural(self.pixels(BitmapFormat.BIT32, lambda x, y: (x, y, x + y, 0))))
        self.assertTrue(is_natural(self.pixels(BitmapFormat.RGBA, lambda x, y: (x, y, x + y, 0))))
        self.assertTrue(is_natural(self.pixels(BitmapFormat.BIT24, lambda x, y: (x, y, x + y))))
        self.assertTrue(is_natural(self.pixels(BitmapFormat.BIT16, lambda x, y: (x // 2 & 31, y // 3 << 2))))

    def test_drawings(self):
        """Plain areas and hard edges are not; nor are indexes, or what is too thin to tell."""
        self.assertFalse(is_natural(self.pixels(BitmapFormat.BIT32, lambda x, y: (9, 9, 9, 0))))
        edges = self.pixels(BitmapFormat.BIT32, lambda x, y: [255 * (x // 3 + y // 3 & 1)] * 4)
        self.assertFalse(is_natural(edges))
        self.assertFalse(is_natural(self.pixels(BitmapFormat.BIT8, lambda x, y: [x])))
        self.assertFalse(is_natural(Pixels(1, 9, BitmapFormat.BIT32, 4, bytes(36))))
