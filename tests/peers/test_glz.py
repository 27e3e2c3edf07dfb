# SPDX-License-Identifier: LGPL-2.1-or-later
"""GLZ at stock clients: what they show, through handovers, with the window that both hosts filled."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import ensureDeferred

from spicemig.codecs.glz import GlzDecoderWindow
from spicemig.codecs.pixels import ImageError
from spicemig.wire.enums import BitmapFormat, ImageType
from tests.peers.harness import PeersTestCase, eventually
from tests.peers.studio import Studio, first_difference
from tests.peers.test_codecs import FORMATS, SIZES, contents, drawing

LETTERS = [30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38]  # scan codes
MOVES = 5


class Streams:
    """Looks into the GLZ images that go by."""

    def __init__(self) -> None:
        self.window = GlzDecoderWindow()
        self.back: dict[str, list[bool]] = {}  # by server: whether each image refers to an earlier one

    def drawn(self, server: str, message: Any) -> None:
        """A draw: its GLZ image can be decoded, by itself or with those before it."""
        image = getattr(message, "src_bitmap", None)
        if image is None or image.descriptor.type != ImageType.GLZ_RGB:
            return
        stream = bytes(image.data.data)
        self.window.decode(stream)
        try:
            GlzDecoderWindow().decode(stream)
            refers = False
        except ImageError:
            refers = True
        self.back.setdefault(server, []).append(refers)


class HandoverTests(PeersTestCase):
    """spice-gtk with a dictionary, handed there and back while it is drawn for."""

    timeout = 120

    async def there_and_back(self, mode: str) -> Streams:
        """Five handovers under load; at the end client and guest show the same."""
        demo = {"draws_per_second": 100}
        source, target = await self.hosts(demo=demo, display={"image_compression": mode, "streaming": "off"})
        tap = await self.tap()
        streams = Streams()
        port = await tap.stand_for("source", source.port("plain"))
        await tap.stand_for("target", target.port("plain"))
        tap.drawn = streams.drawn
        client = await self.gtk()
        await client.attach(port=port)
        await client.do("key", codes=LETTERS)
        here, there = source, target
        for _move in range(MOVES):
            report = await here.migrate(there)
            self.assertEqual(report["outcome"], "completed", report)
            self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"])
            here, there = there, here
            await client.do("key", codes=LETTERS)
        await client.do("key", codes=[28, 31, 20, 23, 38, 38, 28])  # "still"
        await self.same_picture(here, lambda: client.picture(self.directory))
        self.assertEqual(client.lines, [])
        return streams

    async def test_glz(self) -> None:
        """In mode glz; what the target sends refers back to what the source sent, and the other way round."""
        streams = await self.there_and_back("glz")
        for server in ("source", "target"):
            self.assertTrue(any(streams.back[server]), server)

    async def test_auto_glz(self) -> None:
        """In mode auto_glz."""
        streams = await self.there_and_back("auto_glz")
        self.assertTrue(any(streams.back["target"]))


class ImageTests(PeersTestCase):
    """Stock clients see the pixels that were encoded with their dictionary."""

    async def test_images(self) -> None:
        """Images of all formats and sizes, each like some before it."""
        studio = Studio("glz", 160, 120)
        self.addCleanup(lambda: ensureDeferred(studio.close()))
        await studio.open(await self.gtk())
        dice, drawn = random.Random(5), studio.core.glz_dictionary.next_id
        for _time in range(2):
            for format in FORMATS:
                for width, height in SIZES:
                    for data in contents(random.Random(format), format, width, height):
                        studio.draw(drawing(format, width, height, data, dice.random() < 0.5))
                        drawn += len(data) >= 64
                    if not await studio.equal():
                        told = first_difference(studio.ours(), await studio.theirs(self.directory))
                        self.fail(f"{format} {width}x{height}: {told}")
        self.assertEqual(studio.core.glz_dictionary.next_id, drawn)


class ChannelsTests(PeersTestCase):
    """Two display channels that show the same and share one dictionary."""

    async def test_two(self) -> None:
        """spice-gtk follows, whichever channel brings an image that the other one's images refer to."""
        studio = Studio("glz", 160, 120)
        self.addCleanup(lambda: ensureDeferred(studio.close()))
        studio.sessions.channel_set = (*studio.sessions.channel_set, ("display", 1))
        await studio.open(await self.gtk())
        [client] = studio.sessions.clients.values()
        await eventually(lambda: len(client._live_displays) == 2, what="both display channels are served")
        for number in range(40):
            large = number % 3 == 0
            width, height = (160, 120) if large else (40, 30)
            [data, *_others] = contents(random.Random(number % 7), BitmapFormat.BIT32, width, height)
            studio.draw(drawing(BitmapFormat.BIT32, width, height, data, True))
            if number % 5 == 0 and not await studio.equal():
                self.fail(first_difference(studio.ours(), await studio.theirs(self.directory)))
        self.assertTrue(await studio.equal())
        # 40 on each at most, so that there are more than 20 on both
        self.assertGreater(studio.sessions.tally.display.images[ImageType.GLZ_RGB], 60)
        await eventually(lambda: all(core.idle for core in client.channels("display")))
        for core in client.channels("display"):
            self.assertEqual(core.common.unacknowledged // core.common.ack_window, 0)
