# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bitmaps of every format, and what becomes of impossible ones."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.codecs import bitmap, images
from spicemig.codecs.pixels import ImageError, Pixels, row_bytes
from spicemig.wire.drawing import BinaryData, Image, ImageDescriptor, Palette
from spicemig.wire.enums import BitmapFlags, BitmapFormat, ImageType

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def colours(pixels: Pixels) -> list[tuple[int, ...]]:
    """The colours of an image, row by row from the top."""
    image = pixels.image()
    return [image.getpixel((x, y)) for y in range(image.height) for x in range(image.width)]


class FormatTests(SynchronousTestCase):
    """Every bitmap format shows the picture that a client would show."""

    def test_32_bit(self):
        """The fourth byte of a 32-bit pixel means nothing."""
        data = bytes((0, 0, 255, 77, 255, 0, 0, 0))
        self.assertEqual(colours(Pixels(2, 1, BitmapFormat.BIT32, 8, data)), [RED, BLUE])

    def test_rgba(self):
        """The fourth byte of an RGBA pixel is its alpha."""
        data = bytes((0, 0, 255, 77))
        self.assertEqual(colours(Pixels(1, 1, BitmapFormat.RGBA, 4, data)), [(255, 0, 0, 77)])

    def test_24_bit_with_padding(self):
        """Bytes behind a row are skipped."""
        data = bytes((0, 0, 255, 9, 255, 0, 0, 9))
        self.assertEqual(colours(Pixels(1, 2, BitmapFormat.BIT24, 4, data)), [RED, BLUE])

    def test_16_bit(self):
        """Five bits become eight by repeating the high ones, as clients do it."""
        data = (4 << 10).to_bytes(2, "little") + (31).to_bytes(2, "little")
        self.assertEqual(colours(Pixels(2, 1, BitmapFormat.BIT16, 4, data)), [(33, 0, 0), BLUE])

    def test_bottom_up(self):
        """Without TOP_DOWN the first row is the lowest."""
        data = bytes((0, 0, 255, 0, 255, 0, 0, 0))
        pixels = Pixels(1, 2, BitmapFormat.BIT32, 4, data, top_down=False)
        self.assertEqual(colours(pixels), [BLUE, RED])

    def test_palettes(self):
        """Indexes of one, four and eight bits in either order find their colours."""
        palette = (0x000000, 0xFF0000, 0x00FF00, 0x0000FF)
        cases = {
            BitmapFormat.BIT8: bytes((1, 2, 3)),
            BitmapFormat.BIT4_BE: bytes((0x12, 0x30)),
            BitmapFormat.BIT4_LE: bytes((0x21, 0x03)),
        }
        for format, data in cases.items():
            pixels = Pixels(3, 1, format, row_bytes(format, 3), data, palette=palette)
            self.assertEqual(colours(pixels), [RED, GREEN, BLUE], format)
        cases = {BitmapFormat.BIT1_BE: bytes((0b10100000,)), BitmapFormat.BIT1_LE: bytes((0b00000101,))}
        for format, data in cases.items():
            pixels = Pixels(3, 1, format, 1, data, palette=palette)
            self.assertEqual(colours(pixels), [RED, BLACK, RED], format)

    def test_mask(self):
        """One bit without a palette is black and white."""
        self.assertEqual(colours(Pixels(2, 1, BitmapFormat.BIT1_BE, 1, b"\x40")), [BLACK, WHITE])

    def test_rows(self):
        """Rows without padding are not copied, rows with padding are put together."""
        data = bytes(range(8))
        self.assertIs(Pixels(2, 1, BitmapFormat.BIT32, 8, data).rows().obj, data)
        self.assertEqual(bytes(Pixels(1, 2, BitmapFormat.BIT24, 4, data).rows()), bytes((0, 1, 2, 4, 5, 6)))


class ImpossibleTests(SynchronousTestCase):
    """What cannot be an image is refused before anything is read or allocated."""

    def test_sizes(self):
        """Sizes, strides and data that do not go together raise ImageError."""
        for width, height, format, stride, length in (
            (0, 1, BitmapFormat.BIT32, 4, 4),
            (1, 70000, BitmapFormat.BIT8, 1, 70000),
            (2, 1, BitmapFormat.BIT32, 7, 7),
            (1, 2, BitmapFormat.BIT32, 4, 7),
            (1, 1, 99, 4, 4),
            (65535, 65535, BitmapFormat.BIT32, 65535 * 4, 4),
        ):
            with self.assertRaises(ImageError):
                Pixels(width, height, format, stride, bytes(length)).check()


class RecordTests(SynchronousTestCase):
    """Bitmap records and pixels turn into each other."""

    def test_round_trip(self):
        """Pixels, direction and palette are kept."""
        pixels = Pixels(3, 2, BitmapFormat.BIT8, 4, bytes(8), top_down=False, palette=(1, 2))
        image = Image(ImageDescriptor(7, ImageType.BITMAP, 0, 3, 2), bitmap.encode(pixels, palette_id=9))
        self.assertEqual(images.decode(Image.unpack(image.pack())), pixels)

    def test_kept_palette(self):
        """A bitmap that only names its palette is shown with the one that was kept."""
        record = bitmap.encode(Pixels(1, 1, BitmapFormat.BIT8, 1, b"\1"))
        record.flags |= BitmapFlags.PAL_FROM_CACHE
        record.palette_id = 9
        pixels = bitmap.decode(record, Palette(unique=9, ents=[0, 0x00FF00]))
        self.assertEqual(colours(pixels), [GREEN])

    def test_wrong_size(self):
        """An image of another size than its descriptor says is refused."""
        record = bitmap.encode(Pixels(1, 1, BitmapFormat.BIT8, 1, b"\1"))
        with self.assertRaises(ImageError):
            images.decode(Image(ImageDescriptor(0, ImageType.BITMAP, 0, 2, 1), record))

    def test_unknown_type(self):
        """Image types without a decoder are refused."""
        with self.assertRaises(ImageError):
            images.decode(Image(ImageDescriptor(0, ImageType.RESERVED, 0, 2, 1), None))
        with self.assertRaises(ImageError):
            images.decode(Image(ImageDescriptor(0, ImageType.QUIC, 0, 2, 1), BinaryData(b"")))
