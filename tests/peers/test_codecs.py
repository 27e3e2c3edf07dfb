# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images in our encodings, shown by spice-gtk."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import ensureDeferred

from spicemig.codecs import encoders
from spicemig.codecs.pixels import row_bytes
from spicemig.devices.drawables import DeviceImage
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import DrawBase, Rect
from spicemig.wire.enums import BitmapFormat, ImageType, Ropd
from spicemig.wire.messages import display
from tests.peers.harness import PeersTestCase
from tests.peers.studio import Studio, first_difference

WIDTH, HEIGHT = 160, 120
SIZES = ((WIDTH, HEIGHT), (1, 40), (40, 1), (2, 17), (33, 20), (129, 100))
FORMATS = (BitmapFormat.BIT16, BitmapFormat.BIT24, BitmapFormat.BIT32, BitmapFormat.RGBA)
GLZ_WINDOW_PIXELS = 64 * 1024
INDEXED = {BitmapFormat.BIT1_BE: 2, BitmapFormat.BIT4_BE: 16, BitmapFormat.BIT8: 256}


def steps(dice: random.Random, size: int) -> bytes:
    """Bytes that change slowly."""
    value, data = 0, bytearray()
    for _byte in range(size):
        value = value + dice.choice((-1, 0, 0, 1)) & 255
        data.append(value)
    return bytes(data)


def contents(dice: random.Random, format: int, width: int, height: int) -> list[bytes]:
    """Rows of steps, of runs, of lines that repeat, and of noise with runs in it."""
    stride = row_bytes(format, width)
    pixel = max(1, stride // width)
    few = [dice.randbytes(pixel) for _colour in range(3)]
    runs = b"".join(dice.choice(few) * dice.choice((1, 2, 9, 70)) for _run in range(width * height))
    line = b"".join(dice.choice(few) for _pixel in range(width))
    mixed = b"".join(dice.randbytes(pixel) * dice.choice((1, 1, 30)) for _run in range(width * height))
    size = stride * height
    return [steps(dice, size), runs[:size], line * height, mixed[:size]]


def drawing(format: int, width: int, height: int, data: bytes, top_down: bool) -> Any:
    """A message that shows an image at the top left."""
    palette = tuple(random.Random(format).choices(range(1 << 24), k=INDEXED.get(BitmapFormat(format), 0)))
    stride = row_bytes(format, width)
    image = DeviceImage(width, height, format, stride, data, top_down, palette=palette)
    area = Rect(0, 0, height, width)
    return display.DrawCopy(DrawBase(0, area), Placeholder(image), area, int(Ropd.OP_PUT))


class CodecTests(PeersTestCase):
    """Stock clients see the pixels that were encoded."""

    async def show(self, mode: str, name: str, formats: Iterable[int] = FORMATS) -> None:
        """Images of formats in a mode; most must go out in the encoding of this name, none in another one."""
        studio = Studio(mode, WIDTH, HEIGHT)
        self.addCleanup(lambda: ensureDeferred(studio.close()))
        await studio.open(await self.gtk())
        dice, drawn = random.Random(name), 0
        for format in formats:
            for width, height in SIZES:
                for data in contents(dice, format, width, height):
                    studio.draw(drawing(format, width, height, data, dice.random() < 0.5))
                    drawn += len(data) >= 64
                    if not await studio.equal():
                        told = first_difference(studio.ours(), await studio.theirs(self.directory))
                        self.fail(f"{BitmapFormat(format).name} {width}x{height}: {told}")
        sent = studio.core.tally.images
        encoded = sent[encoders.ENCODERS[name].image_type]
        self.assertGreater(encoded, drawn / 2)
        self.assertGreaterEqual(encoded + sent[ImageType.BITMAP], drawn)

    async def show_dictionary(self, zlib_glz: str) -> None:
        """Images that repeat each other in part, in a window that overflows."""
        studio = Studio("glz", WIDTH, HEIGHT, zlib_glz_wan=zlib_glz)
        self.addCleanup(lambda: ensureDeferred(studio.close()))
        await studio.open(await self.gtk(), glz_window_size=4 * GLZ_WINDOW_PIXELS)
        dictionary = studio.core.glz_dictionary
        self.assertEqual(dictionary.size, GLZ_WINDOW_PIXELS)
        dice, drawn = random.Random("glz"), 0
        for width, height in SIZES:
            for format in FORMATS:
                data = dice.choice(contents(dice, format, width, height))
                half = len(data) // 2
                for some in (data, data[half:] + data[:half]):
                    studio.draw(drawing(format, width, height, some, dice.random() < 0.5))
                    drawn += len(data) >= 64
                    if not await studio.equal():
                        told = first_difference(studio.ours(), await studio.theirs(self.directory))
                        self.fail(f"{BitmapFormat(format).name} {width}x{height}: {told}")
        self.assertGreaterEqual(dictionary.next_id, drawn)
        assert dictionary.window is not None
        self.assertGreater(dictionary.window.oldest_id, drawn // 4)

    async def test_glz(self) -> None:
        """GLZ."""
        await self.show_dictionary("never")

    async def test_zlib_glz(self) -> None:
        """GLZ, deflated."""
        await self.show_dictionary("always")

    async def test_quic(self) -> None:
        """QUIC."""
        await self.show("quic", "quic")

    async def test_lz(self) -> None:
        """LZ."""
        await self.show("lz", "lz", (*FORMATS, BitmapFormat.BIT8_A))

    async def test_lz_indexed(self) -> None:
        """LZ of palette indexes."""
        await self.show("lz", "lz_palette", INDEXED)
