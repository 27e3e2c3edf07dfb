# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images that go to spice-gtk lossy, and the picture that it has in the end."""

from __future__ import annotations

import random
from typing import Any

from PIL import Image, ImageChops
from twisted.internet.defer import ensureDeferred

from spicemig.channels import display, display_line
from spicemig.codecs import jpeg
from spicemig.codecs.encoders import pixels_of
from spicemig.devices.drawables import Batch, DeviceImage, Placeholder
from spicemig.devices.qxl import QXLDevice
from spicemig.testing.commands import Commands
from spicemig.wire.drawing import Brush, Clip, DrawBase, Point, QMask, Rect
from spicemig.wire.enums import BitmapFormat, BrushType, ImageFlags, ImageType, Ropd, SurfaceFormat
from spicemig.wire.messages import display as messages
from tests.peers.harness import PeersTestCase, eventually
from tests.peers.studio import Studio, first_difference

WIDTH, HEIGHT = 320, 240
SETTLED_SECONDS = 20.0
LIKE = 3  # a component may be so far off what our decoder gives
OFF_SCREEN = 7


def box(left: int, top: int, width: int, height: int) -> Rect:
    """A rectangle by its corner and size."""
    return Rect(top=top, left=left, bottom=top + height, right=left + width)


def photograph(seed: int, width: int = 160, height: int = 120, *, alpha: bool = False, **more: Any) -> Any:
    """An image whose colours change gradually, with some grain; with alpha, it is premultiplied."""
    dice = random.Random(seed)
    grain = dice.randbytes(width * height)
    data = bytearray(4 * width * height)
    for y in range(height):
        for x in range(width):
            at, noise = 4 * (y * width + x), grain[y * width + x] & 7
            veil = 64 + x * 190 // width if alpha else 255
            for plane, value in enumerate((x + noise, y + x // 2 + noise, 255 - x - noise)):
                data[at + plane] = (value & 255) * veil // 255
            data[at + 3] = veil if alpha else 0
    format = BitmapFormat.RGBA if alpha else BitmapFormat.BIT32
    return DeviceImage(width, height, format, 4 * width, bytes(data), **more)


def show(image: DeviceImage, left: int, top: int, rop: int = Ropd.OP_PUT, surface: int = 0) -> Any:
    """Put an image somewhere."""
    base = DrawBase(surface, box(left, top, image.width, image.height), Clip())
    area = box(0, 0, image.width, image.height)
    return messages.DrawCopy(base, Placeholder(image), area, rop, 0, QMask())


def blend(image: DeviceImage, left: int, top: int) -> Any:
    """Lay an image with alpha over what is there."""
    base = DrawBase(0, box(left, top, image.width, image.height), Clip())
    return messages.DrawAlphaBlend(base, 0, 255, Placeholder(image), box(0, 0, image.width, image.height))


def story() -> list[Any]:
    """Photographs, and much that reads where they are."""
    kept = photograph(3, id=77, flags=int(ImageFlags.CACHE_ME))
    off_screen = DeviceImage(100, 100, surface=OFF_SCREEN)
    grey = Brush(BrushType.SOLID, color=0x808080)
    return [
        show(photograph(1), 0, 0),
        show(photograph(2, alpha=True), 160, 0),
        show(kept, 0, 120),
        messages.CopyBits(DrawBase(0, box(100, 60, 120, 100), Clip()), Point(20, 20)),
        blend(photograph(4, 100, 100, alpha=True), 50, 30),
        messages.DrawFill(DrawBase(0, box(30, 30, 60, 60), Clip()), grey, Ropd.OP_XOR, QMask()),
        show(photograph(5, 100, 100), 0, 0, surface=OFF_SCREEN),
        messages.DrawCopy(
            DrawBase(0, box(200, 130, 80, 80), Clip()),
            Placeholder(off_screen),
            box(10, 10, 80, 80),
            Ropd.OP_PUT,
            0,
            QMask(),
        ),
        messages.DrawTransparent(
            DrawBase(0, box(10, 200, 40, 30), Clip()), Placeholder(off_screen), box(5, 5, 40, 30), 0, 0
        ),
        show(kept, 150, 115, Ropd.OP_XOR),
        messages.DrawInvers(DrawBase(0, box(0, 100, 50, 50), Clip()), QMask()),
        show(kept, 40, 40),
    ]


class LossyTests(PeersTestCase):
    """With ``jpeg_wan = always`` a stock client's picture is like ours at once, and ours in the end."""

    async def studio(self, mode: str = "auto_lz", **settings: Any) -> Studio:
        """A server that sends photographs as JPEG, and a client."""
        studio = Studio(mode, WIDTH, HEIGHT, jpeg_wan="always", **settings)
        self.addCleanup(lambda: ensureDeferred(studio.close()))
        studio.device.create_surface(OFF_SCREEN, 100, 100, SurfaceFormat.XRGB32)
        await studio.open(await self.gtk())
        return studio

    async def settled(self, studio: Studio) -> None:
        """Wait until nothing is lossy; then the pictures must be the same."""
        core = studio.core
        await studio.drawn()
        await eventually(lambda: core.idle and not core.line.lossy, SETTLED_SECONDS, "nothing is lossy")
        if not await studio.equal():
            self.fail(first_difference(studio.ours(), await studio.theirs(self.directory)))

    async def test_story(self) -> None:
        """Photographs go out as JPEG; whatever is drawn from them, the picture becomes exact."""
        studio = await self.studio()
        for number, message in enumerate(story()):
            studio.draw(message)
            if number == 2:
                await studio.drawn()
                self.assertFalse(await studio.equal())  # or nothing of this would be seen
        await studio.drawn()
        sent = studio.core.tally.images
        self.assertGreaterEqual(sent[ImageType.JPEG], 3)
        self.assertGreaterEqual(sent[ImageType.JPEG_ALPHA], 2)
        await self.settled(studio)
        studio.draw(*story()[:4])
        await self.settled(studio)

    async def test_random(self) -> None:
        """Random commands over photographs come out exactly as well."""
        self.patch(display_line, "EXACT_AFTER_SECONDS", 0.05)
        self.patch(display, "EXACT_AFTER_SECONDS", 0.05)
        studio = await self.studio()
        commands = Commands("lossy", WIDTH, HEIGHT, fourth_bytes=False)
        for number, kind in commands.surfaces.items():
            if number:
                studio.device.create_surface(number, kind.width, kind.height, kind.format)
        for round in range(4):
            studio.draw(show(photograph(round, 200, 200), 10 * round, 5 * round))
            studio.draw(*(commands.command(40 * round + number) for number in range(40)))
            await self.settled(studio)
        self.assertGreaterEqual(studio.core.tally.images[ImageType.JPEG], 2)

    async def test_same_as_ours(self) -> None:
        """JPEG and JPEG_ALPHA look at spice-gtk as our decoder says, whichever row is stored first."""
        self.patch(display, "EXACT_AFTER_SECONDS", 1000.0)
        studio = await self.studio()
        expected = QXLDevice()
        expected.create_surface(0, WIDTH, HEIGHT)
        for number, top_down in enumerate((True, False)):
            for alpha in (False, True):
                photo = photograph(number, alpha=alpha, top_down=top_down)
                pixels = pixels_of(photo)
                if alpha:
                    head, *parts = jpeg.encode_alpha(pixels)
                    made = jpeg.decode_alpha(*jpeg.ALPHA_HEAD.unpack(head), b"".join(parts), 160, 120)
                else:
                    made = jpeg.decode(b"".join(jpeg.encode(pixels)), 160, 120)
                lossy = DeviceImage(160, 120, made.format, made.stride, bytes(made.data))
                draw = blend if alpha else show
                studio.draw(draw(photo, 160 * number, 60 * alpha))
                expected.draw(Batch.of([draw(lossy, 160 * number, 60 * alpha)]))
                expected.take()
        await studio.drawn()
        theirs: Image.Image = (await studio.theirs(self.directory)).convert("RGB")
        ours = expected.render(0).image().convert("RGB")
        worst = max(high for _low, high in ImageChops.difference(ours, theirs).getextrema())
        self.assertLessEqual(worst, LIKE)
        self.assertEqual(studio.core.tally.images[ImageType.JPEG_ALPHA], 2)
