# SPDX-License-Identifier: LGPL-2.1-or-later
"""Video streams, shown by spice-gtk."""

from __future__ import annotations

import time
from typing import Any

from PIL import ImageChops, ImageStat
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SkipTest

from spicemig.codecs import video
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.trace.recorder import Recorder
from spicemig.testing.films import film
from spicemig.testing.guests import ListGuest, copy, fill
from tests.peers.harness import PeersTestCase, eventually, sleep
from tests.peers.studio import Studio

FRAME_SECONDS = 0.04
NEAR = 10.0  # of 255, on average, that a frame may be from what was drawn
MOST = 0.7  # of the frames that must be seen on a busy machine
STILL_SECONDS = 5.0  # for the last picture to come without loss


class StudioTests(PeersTestCase):
    """A film that is drawn in this process."""

    async def open(self, *codecs: str) -> None:
        self.studio = Studio("lz4", 320, 240, streaming="filter", video_codecs=codecs)
        self.addCleanup(lambda: ensureDeferred(self.studio.close()))
        self.gtk_client = await self.gtk()
        await self.studio.open(self.gtk_client)
        self.number = 0

    async def play(self, seconds: float, x: int = 40, y: int = 50) -> int:
        """Draw frames at the pace of a film; how many."""
        began, first = time.monotonic(), self.number
        while time.monotonic() < began + seconds:
            self.number += 1
            self.studio.sessions.guest.draw(copy(film(self.number), x, y))
            await sleep(max(0.0, began + (self.number - first) * FRAME_SECONDS - time.monotonic()))
        return self.number - first

    async def seen(self) -> int:
        """How many parts of its screen the client has drawn until now."""
        return (await self.gtk_client.stats())["counts"].get("invalidate", 0)

    async def watched(self, codec: str) -> None:
        """Play a film: its frames are seen, and at last the picture as it is."""
        await self.play(0.6)
        streams = self.studio.core.streams
        self.assertEqual([told["codec"] for told in streams.describe()], [codec])
        before = await self.seen()
        sent = streams.describe()[0]["frames"]
        await self.play(1.0)
        sent = streams.describe()[0]["frames"] - sent
        await sleep(0.2)
        self.assertGreater(await self.seen() - before, MOST * sent)
        shown = await self.studio.theirs(self.directory)
        difference = ImageStat.Stat(ImageChops.difference(shown, self.studio.ours()))
        self.assertGreater(max(difference.sum), 0)
        self.assertLess(max(difference.mean), NEAR)
        [stream] = streams._streams.values()
        self.assertTrue(stream.rate._reported)
        await self.still()

    async def still(self) -> None:
        """The last picture comes without loss."""

        async def same() -> bool:
            theirs = await self.studio.theirs(self.directory)
            return theirs.tobytes() == self.studio.ours().tobytes()

        await eventually(same, STILL_SECONDS, "the picture is as the guest drew it")

    async def test_mjpeg(self) -> None:
        """MJPEG, which spice-gtk drops when it comes late; and what is drawn over it stays."""
        await self.open("mjpeg")
        await self.watched("mjpeg")
        await self.play(0.5)
        self.studio.sessions.guest.draw(fill(60, 60, 200, 30, 0xFF8800))
        await self.still()

    async def decoded(self, codec: str) -> None:
        reason = video.missing(video.NAMES[codec])
        if reason:
            raise SkipTest(reason)
        await self.open("mjpeg", codec)
        if not self.studio.core.streams.decodes(video.NAMES[codec]):
            raise SkipTest(f"GStreamer has no decoder for {codec}")
        await self.gtk_client.do("prefer_codecs", codecs=[video.NAMES[codec]])
        await eventually(lambda: self.studio.core.streams.codec == video.NAMES[codec])
        try:
            await self.watched(codec)
        except AssertionError:
            if self.studio.core.streams.codec == video.NAMES[codec]:
                raise
            # spice-gtk has said so; the film goes on in another codec
            await self.watched("mjpeg")
            raise SkipTest(f"GStreamer cannot decode {codec} after all") from None

    async def test_vp8(self) -> None:
        """VP8, because the client prefers it."""
        await self.decoded("vp8")

    async def test_vp9(self) -> None:
        """VP9."""
        await self.decoded("vp9")

    async def test_h264(self) -> None:
        """H264."""
        await self.decoded("h264")


class HandoverTests(PeersTestCase):
    """A film that is handed over while it plays."""

    def film(self, seconds: float) -> dict[str, dict[str, Any]]:
        """The settings of a guest that plays one."""
        file = self.directory / "film.trace"
        device, guest, now = QXLDevice(), ListGuest(), [0.0]
        guest.attach(device)
        guest.power_on()
        with open(file, "wb") as out:
            recorder = Recorder(device, out.write, lambda: now[0])
            now[0] = 1.0
            for number in range(int(seconds / FRAME_SECONDS)):
                guest.draw(copy(film(number), 40, 50))
                now[0] += FRAME_SECONDS
            recorder.stop()
        return {"guest": {"kind": "trace"}, "trace": {"file": file}, "display": {"streaming": "filter"}}

    async def test_goes_on(self) -> None:
        """The stream goes on at the target with the same id; nothing ends or begins for the client."""
        source, target = await self.hosts(**self.film(5))
        tap = await self.tap()
        port = await tap.stand_for("source", source.port("plain"))
        await tap.stand_for("target", target.port("plain"))
        client = await self.gtk()
        await client.attach(port=port)

        def frames(server: str) -> int:
            return self.named(tap, "StreamData", server)

        await eventually(lambda: frames("source") > 20, 10, "a stream plays")
        report = await source.migrate(target)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"], report)
        await eventually(lambda: frames("target") > 5, 10, "the stream goes on")
        before = (await client.stats())["counts"]["invalidate"]
        sent = frames("target")
        await eventually(lambda: frames("target") > sent + 25, 10, "the stream goes on and on")
        self.assertGreater((await client.stats())["counts"]["invalidate"] - before, MOST * 25)
        told = [noted.name for noted in tap.messages(channel="display", to="client")]
        self.assertEqual((told.count("StreamCreate"), told.count("StreamDestroy")), (1, 0))
        await self.same_picture(target, lambda: client.picture(self.directory), 15)

    def named(self, tap: Any, name: str, server: str) -> int:
        return sum(
            noted.name == name for noted in tap.messages(channel="display", server=server, to="client")
        )
