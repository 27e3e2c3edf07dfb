# SPDX-License-Identifier: LGPL-2.1-or-later
"""GLZ images and their windows, against what spice-server made and against hostile ones."""

import base64
import hashlib
import json
import random
import struct
import zlib
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.codecs import glz, glz_reference, kernels
from spicemig.codecs.glz import GlzDecoderWindow, GlzImage, GlzWindow
from spicemig.codecs.glz_reference import HEADER, MAGIC, VERSION
from spicemig.codecs.lz import TYPES, LzType
from spicemig.codecs.pixels import ImageError, Pixels, row_bytes
from spicemig.wire.enums import BitmapFormat, ImageType

DATA = Path(__file__).parent / "data"
VECTORS = Path(__file__).parents[2] / "shared" / "vectors"
CODED = [LzType(number) for number in range(1, 10)]
FORMATS = {type: format for format, type in TYPES.items()}
NATIVE = kernels.native


def picture(dice: random.Random, size: int, old: bytes = b"") -> bytes:
    """Bytes that repeat themselves now and then, near and far, or ``old`` ones."""
    made = bytearray(dice.randbytes(min(size, 40)))
    while len(made) < size:
        choice = dice.random()
        source = old if old and dice.random() < 0.5 else bytes(made)
        if choice < 0.6:
            start = dice.randrange(len(source)) & ~3
            made += source[start : start + dice.choice([4, 9, 40, 300, 3000])]
        elif choice < 0.8:
            made += dice.randbytes(4) * dice.randint(1, 300)
        else:
            made += dice.randbytes(dice.randint(1, 100))
    return bytes(made[:size])


def coded(pixels: Pixels) -> Pixels:
    """The same without the bytes that its type does not code."""
    data = bytearray(pixels.data)
    if pixels.format == BitmapFormat.BIT32:
        data[3::4] = bytes(len(data) // 4)
    pixels.data = bytes(data)
    return pixels


def random_pixels(dice: random.Random, old: bytes = b"", type: LzType | None = None) -> Pixels:
    """An image of up to 40x40 pixels, of any type."""
    type = dice.choice(CODED) if type is None else type
    width, height = (
        dice.choice([1, 2, 3, 16, dice.randint(4, 40)]),
        dice.choice([1, 2, 16, dice.randint(3, 40)]),
    )
    stride = row_bytes(FORMATS[type], width)
    data = picture(dice, stride * height, old)
    return coded(Pixels(width, height, FORMATS[type], stride, data, dice.random() < 0.5))


def stream_of(window: GlzWindow, pixels: Pixels) -> bytes:
    """The stream in one piece."""
    return b"".join(window.encode(pixels))


def oldest_of(stream: bytes) -> int:
    """The id of the oldest image that the window had with this one."""
    header = HEADER.unpack_from(stream)
    return header[-2] - header[-1]


class PeerTests(SynchronousTestCase):
    """What the encoder of libspice-server 0.15.1 makes is decoded exactly, and ours is not larger."""

    def setUp(self):
        self.ours = self.theirs = 0
        self.windows = {}

    def compare(self, group: str, stream: bytes) -> Pixels:
        decoder, encoder, back = self.windows.setdefault(
            group, (GlzDecoderWindow(), GlzWindow(1 << 24), GlzDecoderWindow())
        )
        pixels = decoder.decode(stream)
        ours = stream_of(encoder, pixels)
        self.assertEqual(back.decode(ours), pixels)
        self.ours += len(ours)
        self.theirs += len(stream)
        return pixels

    def test_recorded(self):
        """Streams of every type, with references to earlier images."""
        types = set()
        for vector in json.loads((DATA / "glz_vectors.json").read_text())["vectors"]:
            pixels = self.compare(vector["group"], base64.b64decode(vector["stream"]))
            self.assertEqual(
                (pixels.width, pixels.height, pixels.top_down),
                (vector["width"], vector["height"], bool(vector["top_down"])),
            )
            self.assertEqual(hashlib.sha256(pixels.data).hexdigest()[:16], vector["raw_sha256"])
            types.add(pixels.format)
        self.assertEqual(types, {FORMATS[type] for type in CODED})
        self.assertLessEqual(self.ours, self.theirs)

    def test_all_vectors(self):
        """Every GLZ stream of the shared vectors comes back byte by byte."""
        if not VECTORS.is_dir():
            raise SkipTest("the shared vectors are not here")
        data = (VECTORS / "glz.bin").read_bytes()
        vectors = json.loads((VECTORS / "index.json").read_text())["vectors"]
        for vector in sorted(
            (v for v in vectors if v["codec"] == "glz"), key=lambda v: (v["group"], v["seq"])
        ):
            stream = data[vector["enc_offset"] :][: vector["enc_size"]]
            raw = data[vector["raw_offset"] :][: vector["raw_size"]]
            self.assertEqual(self.compare(vector["group"], stream).data, raw)
        self.assertGreater(self.theirs, 0)
        self.assertLessEqual(self.ours, self.theirs)

    def test_wire(self):
        """GLZ and ZLIB_GLZ payloads of one window, as the display channel carried them."""
        if not VECTORS.is_dir():
            raise SkipTest("the shared vectors are not here")
        data = (VECTORS / "wire.bin").read_bytes()
        found = 0
        for vector in json.loads((VECTORS / "wire.json").read_text())["vectors"]:
            payload = data[vector["enc_offset"] :][: vector["enc_size"]]
            (size,) = struct.unpack_from("<I", payload)
            if vector["image_type"] == ImageType.ZLIB_GLZ_RGB:
                stream = glz.inflate(payload[8:], size)
            elif vector["image_type"] == ImageType.GLZ_RGB:
                stream = payload[4:]
            else:
                continue
            found += 1
            pixels = self.compare("wire", stream)
            raw = data[vector["raw_offset"] :][: vector["raw_size"]]
            expected = Pixels(
                pixels.width, pixels.height, pixels.format, vector["stride"], raw, pixels.top_down
            )
            self.assertEqual(pixels, coded(expected))
        self.assertGreater(found, 0)
        self.assertLessEqual(self.ours, self.theirs)


class WindowTests(SynchronousTestCase):
    """The encoder's window holds what the client has, and no more than it has room for."""

    def setUp(self):
        self.dice = random.Random(3)

    def test_there_and_back(self):
        """Images of all types and sizes, in one window that overflows again and again."""
        for size in (1600, 2000, 5000, 100000):
            encoder, decoder = GlzWindow(size), GlzDecoderWindow(size)
            old = b""
            for number in range(120):
                before = random_pixels(self.dice, old)
                old = old[-6000:] + bytes(before.data)
                stream = stream_of(encoder, before)
                self.assertEqual(decoder.decode(stream), before)
                self.assertEqual(encoder.next_id, number + 1)
                self.assertEqual(oldest_of(stream), encoder.oldest_id)
                self.assertEqual(encoder.taken, decoder.taken)
                self.assertLessEqual(encoder.taken, size)

    def test_padding(self):
        """The padding of rows is not coded."""
        rows = [bytes([row]) * 8 for row in range(5)]
        tight = Pixels(2, 5, BitmapFormat.RGBA, 8, b"".join(rows))
        padded = Pixels(2, 5, BitmapFormat.RGBA, 11, b"".join(row + b"xyz" for row in rows))
        self.assertEqual(stream_of(GlzWindow(10), padded), stream_of(GlzWindow(10), tight))

    def test_repeated(self):
        """An image that the window has takes a few bytes."""
        window, decoder = GlzWindow(1 << 20), GlzDecoderWindow()
        before = coded(Pixels(100, 50, BitmapFormat.BIT32, 400, self.dice.randbytes(20000)))
        self.assertGreater(len(stream_of(window, before)), 15000)
        window = GlzWindow(1 << 20)
        decoder.decode(stream_of(window, before))
        other = random_pixels(self.dice, type=LzType.RGB32)
        decoder.decode(stream_of(window, other))
        stream = stream_of(window, before)
        self.assertLess(len(stream), 80)
        self.assertEqual(decoder.decode(stream), before)

    def test_far_images(self):
        """References to images that hundreds and tens of thousands of others lie in front of."""
        mark = self.dice.randbytes(64)
        small = Pixels(1, 1, BitmapFormat.BIT24, 3, b"abc")

        def marked(rows: int) -> Pixels:
            return Pixels(16, rows, BitmapFormat.RGBA, 64, bytes(64 * (rows - 1)) + mark)

        for others in (1, 63, 64, 255, 256, 16383, 16384, 65533):
            for rows in (500, 1):  # of which the mark is the last one, or the only one
                window, decoder = GlzWindow(1 << 22), GlzDecoderWindow()
                decoder.decode(stream_of(window, marked(rows)))
                for _each in range(others):
                    decoder.decode(stream_of(window, small))
                stream = stream_of(window, marked(1))
                self.assertEqual(oldest_of(stream), 0)
                self.assertLess(len(stream), 33 + 20)
                self.assertEqual(decoder.decode(stream), marked(1))

    def test_most_images(self):
        """However small they are, the window does not hold more than 65536."""
        window = GlzWindow(1 << 20)
        small = Pixels(1, 1, BitmapFormat.BIT16, 2, b"ab")
        for _each in range(65540):
            window.encode(small)
        self.assertEqual((window.taken, window.oldest_id), (65536, 4))

    def test_refused(self):
        """What has no form, or is larger than the window, changes nothing."""
        window = GlzWindow(99)
        self.assertRaises(ValueError, window.encode, Pixels(1, 1, BitmapFormat.BIT8_A, 1, b"x"))
        large = Pixels(10, 10, BitmapFormat.BIT32, 40, bytes(400))
        self.assertRaises(ValueError, window.encode, large)
        self.assertFalse(window.takes(large))
        self.assertTrue(window.takes(Pixels(11, 9, BitmapFormat.BIT16, 22, bytes(198))))
        self.assertFalse(window.takes(Pixels(2, 2, BitmapFormat.BIT8, 2, bytes(4))))
        self.assertEqual((window.next_id, window.taken), (0, 0))
        for pixels in (0, -1, (1 << 26) + 1):
            self.assertRaises(ValueError, GlzWindow, pixels)

    def test_probe(self):
        """How much of an image the window has can be asked for, and changes nothing."""
        for type in (LzType.RGB32, LzType.RGBA, LzType.RGB24, LzType.RGB16):
            window = GlzWindow(1 << 20)
            stride = row_bytes(FORMATS[type], 100)
            pixels = Pixels(100, 50, FORMATS[type], stride, self.dice.randbytes(stride * 50))
            self.assertEqual(window.probe(pixels), 0.0)
            window.encode(pixels)
            self.assertGreater(window.probe(pixels), 0.9)
            half = pixels.data[: stride * 25] + self.dice.randbytes(stride * 25)
            found = window.probe(Pixels(100, 50, FORMATS[type], stride, half))
            self.assertTrue(0.4 < found < 0.6, found)
            self.assertEqual((window.next_id, window.taken), (1, 5000))
        self.assertEqual(window.probe(Pixels(8, 1, BitmapFormat.BIT8, 8, bytes(8))), 0.0)


class MovingTests(SynchronousTestCase):
    """A window can be rebuilt on another host."""

    def setUp(self):
        self.dice = random.Random(5)

    def test_first_image_refers_back(self):
        """The first image that the target encodes refers to what the source sent."""
        source, decoder = GlzWindow(6000), GlzDecoderWindow(6000)
        images = [random_pixels(self.dice) for _each in range(30)]
        for pixels in images:
            decoder.decode(stream_of(source, pixels))
        target = GlzWindow(6000)
        for image in source.images():
            target.put(image)
        self.assertEqual(
            (target.next_id, target.oldest_id, target.taken), (source.next_id, source.oldest_id, source.taken)
        )
        self.assertEqual(list(target.images()), list(source.images()))
        for pixels in (images[-1], images[-3], random_pixels(self.dice, images[-1].data)):
            fresh = len(stream_of(GlzWindow(6000), pixels))
            stream = stream_of(target, pixels)
            self.assertEqual(decoder.decode(stream), pixels)
            self.assertLessEqual(len(stream), fresh)
        last = stream_of(target, images[-1])
        self.assertLess(len(last), 60)

    def test_in_rounds(self):
        """What is new since a round is had by its id; images that are gone by then are left out."""
        window = GlzWindow(100)
        pixels = [Pixels(10, 3, BitmapFormat.BIT24, 30, self.dice.randbytes(90)) for _each in range(5)]
        for each in pixels[:3]:
            window.encode(each)
        self.assertEqual([image.id for image in window.images()], [0, 1, 2])
        for each in pixels[3:]:
            window.encode(each)
        rest = list(window.images(1))
        self.assertEqual([image.id for image in rest], [2, 3, 4])
        self.assertEqual(rest[1], GlzImage(3, BitmapFormat.BIT24, 10, 3, pixels[3].data))
        self.assertEqual(list(window.images(5)), [])

    def test_refused(self):
        """Images come in order, fit, and are whole."""
        window = GlzWindow(100)
        window.put(GlzImage(7, BitmapFormat.BIT16, 2, 2, bytes(8)))
        for wrong in (
            GlzImage(9, BitmapFormat.BIT16, 2, 2, bytes(8)),
            GlzImage(7, BitmapFormat.BIT16, 2, 2, bytes(8)),
            GlzImage(8, BitmapFormat.BIT16, 2, 2, bytes(7)),
            GlzImage(8, BitmapFormat.BIT16, 11, 10, bytes(220)),
            GlzImage(8, BitmapFormat.BIT16, 0, 2, b""),
            GlzImage(8, BitmapFormat.BIT8_A, 1, 1, b"x"),
        ):
            self.assertRaises(ValueError, window.put, wrong)
        self.assertEqual((window.next_id, window.oldest_id, window.taken), (8, 7, 4))


class DecoderWindowTests(SynchronousTestCase):
    """The client keeps what later images may refer to."""

    def setUp(self):
        self.dice = random.Random(6)
        self.images = [Pixels(10, 10, BitmapFormat.BIT24, 30, self.dice.randbytes(300)) for _each in range(6)]
        self.encoder = GlzWindow(300)

    def streams(self) -> list[bytes]:
        """Three images fit into the window."""
        return [stream_of(self.encoder, pixels) for pixels in self.images]

    def test_eviction(self):
        """Images go when the server has let them go."""
        decoder = GlzDecoderWindow(300)
        for number, stream in enumerate(self.streams()):
            decoder.decode(stream)
            self.assertEqual(decoder.taken, min(3, number + 1) * 100)

    def test_out_of_order(self):
        """On several channels a later image can come first; nothing goes before the gap is closed."""
        decoder = GlzDecoderWindow(300)
        streams = self.streams()
        for number, taken in ((0, 100), (2, 200), (4, 300), (3, 400), (1, 300), (5, 300)):
            self.assertEqual(decoder.decode(streams[number]), self.images[number])
            self.assertEqual(decoder.taken, taken)

    def test_too_much(self):
        """A server that never lets go is an error."""
        decoder = GlzDecoderWindow(100)
        encoder = GlzWindow(1000)
        for pixels in self.images[:2]:
            decoder.decode(stream_of(encoder, pixels))
        self.assertRaises(ImageError, decoder.decode, stream_of(encoder, self.images[2]))

    def test_not_there(self):
        """A reference to an image that has not come, is gone, or is of another type."""
        source = GlzWindow(1000)
        first, second = self.images[:2]
        streams = [stream_of(source, pixels) for pixels in (first, second, first)]
        decoder = GlzDecoderWindow()
        decoder.decode(streams[1])
        self.assertRaises(ImageError, decoder.decode, streams[2])
        self.assertEqual(decoder.decode(streams[0]), first)
        self.assertEqual(decoder.decode(streams[2]), first)
        self.assertRaises(ImageError, decoder.decode, streams[2])
        decoder.clear()
        self.assertEqual(decoder.taken, 0)
        self.assertRaises(ImageError, decoder.decode, streams[2])
        other = stream_of(GlzWindow(100), Pixels(10, 10, BitmapFormat.BIT32, 40, bytes(400)))
        decoder.decode(other)
        self.assertRaises(ImageError, decoder.decode, streams[2])


class ZlibTests(SynchronousTestCase):
    """GLZ streams, deflated."""

    def test_there_and_back(self):
        """A stream comes back; its size is told."""
        size, packed = glz.deflate([b"abc" * 20, b"", b"def" * 20])
        self.assertEqual((size, glz.inflate(packed, size)), (120, b"abc" * 20 + b"def" * 20))

    def test_hostile(self):
        """Another size than was said, no zlib data, or data that end early or go on."""
        packed = zlib.compress(bytes(1000))
        self.assertEqual(glz.inflate(packed, 1000), bytes(1000))
        for payload, size in (
            (packed, 999),
            (packed, 1001),
            (packed, 20),
            (packed, 0),
            (packed, 2**32 - 1),
            (packed[:-1], 1000),
            (packed[:5], 1000),
            (b"", 1000),
            (bytes(100), 1000),
        ):
            self.assertRaises(ImageError, glz.inflate, payload, size)


class HostileTests(SynchronousTestCase):
    """A stream may be anything; it is refused and nothing else happens."""

    def setUp(self):
        self.dice = random.Random(8)
        self.encoder = GlzWindow(1 << 20)
        self.first = self.image()
        self.streams = [
            stream_of(self.encoder, pixels) for pixels in (self.first, self.image(self.first.data))
        ]
        self.decoder = GlzDecoderWindow()
        self.decoder.decode(self.streams[0])
        self.stream = self.streams[1]

    def image(self, old: bytes = b"") -> Pixels:
        return Pixels(40, 30, BitmapFormat.RGBA, 160, picture(self.dice, 40 * 30 * 4, old))

    def refuse(self, stream: bytes) -> None:
        """It is refused, and what the window held before it still holds."""
        taken = self.decoder.taken
        self.assertRaises(ImageError, self.decoder.decode, stream, 40, 30)
        self.assertEqual(self.decoder.taken, taken)

    def test_truncated(self):
        """However early it ends."""
        for end in range(len(self.stream)):
            self.refuse(self.stream[:end])

    def test_more_behind(self):
        """A byte too much."""
        self.refuse(self.stream + b"\0")

    def test_header(self):
        """A wrong magic or version, unknown types, sizes that do not fit each other or this machine."""
        words = list(HEADER.unpack_from(self.stream))
        for index, value in (
            (0, 0),
            (1, 0x00020001),
            (2, 0),
            (2, 10),
            (2, 9 + 32),
            (3, 0),
            (3, 41),
            (3, 2**31),
            (4, 0),
            (4, 31),
            (4, 2**32 - 1),
            (5, 0),
            (5, 161),
            (5, 2**32 - 1),
            (6, 0),
            (7, 2),
        ):
            wrong = HEADER.pack(*words[:index], value, *words[index + 1 :])
            self.refuse(wrong + self.stream[HEADER.size :])
        self.decoder.decode(self.stream, 40, 30)

    def test_small_stream_of_a_huge_image(self):
        """No memory is taken for an image that the stream cannot hold."""
        header = HEADER.pack(MAGIC, VERSION, LzType.PLT8, 0xFFFF, 0x1000, 0xFFFF, 0, 0)
        self.assertRaises(ImageError, GlzDecoderWindow().decode, header + bytes(100))

    def test_references_to_nothing(self):
        """A reference to before the first unit, beyond the last, and out of another image, or to none."""
        for tokens in (
            b"\x20\x00\x00" + bytes(8),  # back to nothing
            b"\x00ab\x21\x00\x00" + bytes(8),
            b"\x00ab\x20\x00\x01" + bytes(9),  # of the only other image, then literals
            b"\xe0\xff\xff\x10\x00\x00",
            b"\x30\xff\xff\xff\xff\xff\xff",
            b"\x30\xff\xff\xff\xff\xff",
        ):
            for type in (LzType.PLT8, LzType.RGB16, LzType.RGB32):
                window = GlzDecoderWindow()
                stride = row_bytes(FORMATS[type], 2)
                window.decode(stream_of(GlzWindow(9), Pixels(2, 1, FORMATS[type], stride, bytes(stride))))
                stride = row_bytes(FORMATS[type], 9)
                header = HEADER.pack(MAGIC, VERSION, type, 9, 1, stride, 1, 1)
                self.assertRaises(ImageError, window.decode, header + tokens)

    def test_beyond_another_image(self):
        """A reference that would just fill the image, but goes on behind the end of an earlier one."""
        for type, more in ((LzType.PLT8, 0), (LzType.RGB16, 1), (LzType.RGB24, 2), (LzType.RGB32, 2)):
            for width, fine in ((9, True), (8, False), (2, False)):
                window = GlzDecoderWindow()
                stride = row_bytes(FORMATS[type], width)
                first = Pixels(width, 1, FORMATS[type], stride, bytes(stride))
                window.decode(stream_of(GlzWindow(9), first))
                header = HEADER.pack(MAGIC, VERSION, type, 9, 1, row_bytes(FORMATS[type], 9), 1, 1)
                stream = header + bytes([0xE0, more, 0, 1])
                if fine:
                    self.assertEqual(window.decode(stream).width, 9)
                else:
                    self.assertRaises(ImageError, window.decode, stream)

    def test_mutations(self):
        """Random changes give pixels or an error."""
        for _case in range(3000):
            broken = bytearray(self.stream)
            for _change in range(self.dice.randint(1, 4)):
                broken[self.dice.randrange(HEADER.size, len(broken))] = self.dice.randrange(256)
            try:
                self.assertEqual(len(self.decoder.decode(broken, 40, 30).data), 4800)
            except ImageError:
                continue
            self.decoder.clear()
            self.decoder.decode(self.streams[0])


class TwinTests(SynchronousTestCase):
    """The kernels in C and their twins in Python do the same."""

    if NATIVE is None:
        skip = "the extension is not built here"

    def setUp(self):
        self.dice = random.Random(21)

    def outcome(self, call, *arguments):
        """What a call gives, or why it refuses."""
        try:
            return call(*arguments)
        except ValueError as error:
            return str(error)

    def same(self, name, windows, *arguments):
        """The same call of both modules, each with its own window."""
        results = [
            self.outcome(getattr(module, name), window, *arguments)
            for module, window in zip((NATIVE, glz_reference), windows, strict=True)
        ]
        self.assertEqual(results[0], results[1], f"{name}{arguments[1:]}")
        return results[0]

    def test_encode(self):
        """The same streams and window contents, while images come, go, and are put in from outside."""
        for size in (300, 2500, 9000):
            windows = NATIVE.glz_window(size, 3), glz_reference.glz_window(size, 3)
            old = b""
            for _image in range(40):
                pixels = random_pixels(self.dice, old)
                old = old[-5000:] + bytes(pixels.data)
                place = pixels.data, TYPES[pixels.format], pixels.width, pixels.height
                choice = self.dice.random()
                if choice < 0.1:
                    self.same("glz_put", windows, *place, glz_reference.glz_state(windows[1])[0])
                elif choice < 0.2:
                    self.same("glz_probe", windows, *place[:2])
                elif choice < 0.25:
                    oldest = glz_reference.glz_state(windows[1])[1]
                    self.same("glz_forget", windows, oldest + self.dice.choice((0, 1, 3, 100)))
                else:
                    self.same("glz_encode", windows, *place, pixels.top_down)
                self.same("glz_state", windows)
            next_id, oldest, _taken = glz_reference.glz_state(windows[1])
            for id in range(oldest, next_id + 1):
                self.same("glz_image", windows, id)

    def test_encode_large(self):
        """The same streams of images in which places are far away."""
        windows = NATIVE.glz_window(100000, 3), glz_reference.glz_window(100000, 3)
        old = b""
        for _image in range(3):
            old = picture(self.dice, 4 * 250 * 160, old)
            self.same("glz_encode", windows, old, LzType.RGB32, 250, 160, True)

    def test_decode(self):
        """The same units, and the same streams refused."""
        for _round in range(20):
            encoder = GlzWindow(4000)
            windows = NATIVE.glz_decoder_window(), glz_reference.glz_decoder_window()
            old = b""
            for id in range(12):
                pixels = random_pixels(self.dice, old)
                old = old[-5000:] + bytes(pixels.data)
                tokens = bytearray(stream_of(encoder, pixels)[HEADER.size :])
                if self.dice.random() < 0.5:
                    tokens[self.dice.randrange(len(tokens))] = self.dice.randrange(256)
                if self.dice.random() < 0.1:
                    del tokens[self.dice.randrange(len(tokens)) :]
                if self.dice.random() < 0.2:
                    self.same("glz_drop", windows, self.dice.randrange(12))
                type = TYPES[pixels.format]
                units = len(pixels.data) // glz_reference.unit_bytes(type)
                self.same("glz_decode", windows, id, type, units, tokens)

    def test_refused(self):
        """Both refuse what is no image."""
        encoders = NATIVE.glz_window(100, 3), glz_reference.glz_window(100, 3)
        decoders = NATIVE.glz_decoder_window(), glz_reference.glz_decoder_window()
        for arguments in (
            (b"", 8, 0, 1, 1),
            (bytes(4), 0, 1, 1, 1),
            (bytes(4), 10, 1, 1, 1),
            (bytes(5), 8, 1, 1, 1),
            (bytes(404), 8, 101, 1, 1),
        ):
            self.assertIsInstance(self.same("glz_encode", encoders, *arguments), str)
        self.assertIsInstance(self.same("glz_put", encoders, bytes(4), 8, 1, 1, -1), str)
        self.assertIsInstance(self.same("glz_probe", encoders, bytes(5), 8), str)
        self.assertIsInstance(self.same("glz_probe", encoders, b"", 8), str)
        self.assertIsInstance(self.same("glz_decode", decoders, 0, 0, 1, b"\0\0"), str)
        self.assertIsInstance(self.same("glz_decode", decoders, 0, 5, 0, b"\0\0"), str)
        self.assertIsInstance(self.same("glz_decode", decoders, 0, 5, (1 << 28) + 1, b"\0\0"), str)
        for module in (NATIVE, glz_reference):
            for size in (0, -1, (1 << 26) + 1):
                self.assertRaises(ValueError, module.glz_window, size, 0)
            self.assertRaises(ValueError, module.glz_window, 1, -1)
        self.assertRaises(ValueError, NATIVE.glz_state, decoders[0])
        self.assertRaises(ValueError, NATIVE.glz_drop, encoders[0], 1)
