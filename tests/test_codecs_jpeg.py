# SPDX-License-Identifier: LGPL-2.1-or-later
"""JPEG images."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.codecs import jpeg
from spicemig.codecs.pixels import ImageError, Pixels
from spicemig.wire.enums import BitmapFormat


def gradient(width: int = 64, height: int = 48, *, top_down: bool = True) -> Pixels:
    """A smooth picture: blue grows to the right, red downwards."""
    data = bytes(
        value
        for y in range(height)
        for x in range(width)
        for value in (x * 255 // width, 64, y * 255 // height, 0)
    )
    return Pixels(width, height, BitmapFormat.BIT32, width * 4, data, top_down)


class JpegTests(SynchronousTestCase):
    """A lossy picture looks like the original."""

    def test_round_trip(self):
        """Every component of every pixel comes back nearly as it was, whichever row is stored first."""
        for top_down in (True, False):
            pixels = gradient(top_down=top_down)
            back = jpeg.decode(b"".join(jpeg.encode(pixels)), 64, 48)
            pairs = zip(pixels.image().tobytes(), back.image().tobytes(), strict=True)
            self.assertLess(max(abs(a - b) for a, b in pairs), 24)

    def test_colours_are_not_swapped(self):
        """Blue stays blue."""
        blue = Pixels(16, 16, BitmapFormat.BIT24, 48, bytes((255, 0, 0)) * 256)
        red, green, blue_part = jpeg.decode(jpeg.encode(blue)[0], 16, 16).image().getpixel((5, 5))
        self.assertLess(red + green, 30)
        self.assertGreater(blue_part, 240)

    def test_hostile(self):
        """A wrong size, a cut file, another format or plain rubbish raise ImageError."""
        payload = jpeg.encode(gradient())[0]
        for data, width, height in (
            (payload, 63, 48),
            (payload[: len(payload) // 2], 64, 48),
            (b"", 64, 48),
            (b"\x89PNG\r\n\x1a\n" + bytes(50), 64, 48),
            (payload, 0, 48),
            (payload, 100000, 100000),
        ):
            with self.assertRaises(ImageError):
                jpeg.decode(data, width, height)

    def test_formats(self):
        """Formats without a JPEG form are refused by the encoder."""
        with self.assertRaises(ValueError):
            jpeg.encode(Pixels(1, 1, BitmapFormat.BIT8, 1, b"\0"))


def veiled(width: int = 64, height: int = 48, *, top_down: bool = True) -> Pixels:
    """The smooth picture, less and less opaque to the right and downwards."""
    pixels = gradient(width, height, top_down=top_down)
    data = bytearray(pixels.data)
    data[3::4] = bytes((3 * x + 5 * y) & 255 for y in range(height) for x in range(width))
    return Pixels(width, height, BitmapFormat.RGBA, width * 4, data, top_down)


def decoded(parts: list, width: int = 64, height: int = 48) -> Pixels:
    """What a client makes of a head and its payload."""
    flags, jpeg_size = jpeg.ALPHA_HEAD.unpack(parts[0])
    return jpeg.decode_alpha(flags, jpeg_size, b"".join(parts[1:]), width, height)


class JpegAlphaTests(SynchronousTestCase):
    """Colours are lossy, alpha is exact."""

    def test_round_trip(self):
        """Alpha comes back as it was and colours nearly, whichever row is stored first."""
        for top_down in (True, False):
            pixels = veiled(top_down=top_down)
            back = decoded(jpeg.encode_alpha(pixels))
            before, after = pixels.image(), back.image()
            self.assertEqual(before.getchannel("A").tobytes(), after.getchannel("A").tobytes())
            pairs = zip(before.convert("RGB").tobytes(), after.convert("RGB").tobytes(), strict=True)
            self.assertLess(max(abs(a - b) for a, b in pairs), 24)

    def test_padded_rows(self):
        """Bytes between rows are in neither part."""
        pixels = veiled()
        rows = bytes(pixels.data)
        padded = b"".join(rows[at : at + 256] + b"\xff" * 8 for at in range(0, len(rows), 256))
        wide = Pixels(64, 48, BitmapFormat.RGBA, 264, padded)
        self.assertEqual(
            list(map(bytes, jpeg.encode_alpha(wide))), list(map(bytes, jpeg.encode_alpha(pixels)))
        )

    def test_hostile(self):
        """Sizes and directions that contradict each other, and streams that end early, raise ImageError."""
        head, *parts = jpeg.encode_alpha(veiled())
        flags, size = jpeg.ALPHA_HEAD.unpack(head)
        payload = b"".join(parts)
        smaller = b"".join(jpeg.encode_alpha(veiled(32, 48))[2:])
        for wrong in (
            (flags ^ 1, size, payload, 64, 48),
            (flags, size, payload[:size], 64, 48),
            (flags, size, payload[:-1], 64, 48),
            (flags, size, payload + b"\0", 64, 48),
            (flags, 0, payload, 64, 48),
            (flags, len(payload), payload, 64, 48),
            (flags, 1 << 31, payload, 64, 48),
            (flags, size - 9, payload, 64, 48),
            (flags, size, payload[:size] + smaller, 64, 48),
            (flags, size, payload, 48, 64),
        ):
            with self.assertRaises(ImageError):
                jpeg.decode_alpha(*wrong)

    def test_formats(self):
        """Only pixels with alpha have this form."""
        with self.assertRaises(ValueError):
            jpeg.encode_alpha(gradient())
