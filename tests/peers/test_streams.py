# SPDX-License-Identifier: LGPL-2.1-or-later
"""Video streams, shown by spice-gtk."""

from __future__ import annotations

import time
from collections.abc import Callable
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
FRAMES = 20  # that are to be seen; spice-gtk leaves out what comes late
PLAY_SECONDS = 20.0  # in which that must come about, on a busy machine
STILL_SECONDS = 5.0  # for the last picture to come without loss


class StudioTests(PeersTestCase):
    """A film that is drawn in this process."""

    async def open(self, *codecs: str) -> None:
        self.studio = Studio("lz4", 320, 240, streaming="filter", video_codecs=codecs)
        self.addCleanup(lambda: ensureDeferred(self.studio.close()))
        self.gtk_client = await self.gtk()
        await self.studio.open(self.gtk_client)
        self.number = 0

    async def play(self, until: Callable[[], Any], what: str, x: int = 40, y: int = 50) -> None:
        """Draw frames at the pace of a film until something holds."""
        began = due = time.monotonic()
        while True:
            self.number += 1
            self.studio.sessions.guest.draw(copy(film(self.number), x, y))
            due = max(due + FRAME_SECONDS, time.monotonic() - FRAME_SECONDS)
            await sleep(max(0.0, due - time.monotonic()))
            if self.number % 5 == 0:
                found = until()
                if await found if hasattr(found, "__await__") else found:
                    return
            if time.monotonic() > began + PLAY_SECONDS:
                raise AssertionError(f"after {PLAY_SECONDS} s still not: {what}")

    async def seen(self) -> int:
        """How many parts of its screen the client has drawn until now."""
        return (await self.gtk_client.stats())["counts"].get("invalidate", 0)

    async def watched(self, codec: str) -> None:
        """Play a film: its frames are seen, and at last the picture as it is."""
        streams = self.studio.core.streams

        async def shown() -> bool:
            return await self.seen() > before + FRAMES

        await self.play(streams.describe, "there is a stream")
        before = await self.seen()
        await self.play(shown, f"{FRAMES} frames are seen")
        self.assertEqual([told["codec"] for told in streams.describe()], [codec])
        await sleep(0.3)  # for the last frame
        theirs = await self.studio.theirs(self.directory)
        difference = ImageStat.Stat(ImageChops.difference(theirs, self.studio.ours()))
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
        await self.play(lambda: self.number % 10 == 0, "some more frames")
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
                guest.draw(copy(film(number % 50, 100, 96), 40, 50))
                now[0] += FRAME_SECONDS
            recorder.stop()
        return {"guest": {"kind": "trace"}, "trace": {"file": file}, "display": {"streaming": "filter"}}

    async def test_goes_on(self) -> None:
        """The stream goes on at the target with the same id; nothing ends or begins for the client."""
        source, target = await self.hosts(**self.film(30))
        tap = await self.tap()
        port = await tap.stand_for("source", source.port("plain"))
        await tap.stand_for("target", target.port("plain"))
        client = await self.gtk()
        await client.attach(port=port)

        def frames(server: str) -> int:
            return self.named(tap, "StreamData", server)

        await eventually(lambda: frames("source") > 20, PLAY_SECONDS, "a stream plays")
        report = await source.migrate(target)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"], report)
        await eventually(lambda: frames("target") > 5, PLAY_SECONDS, "the stream goes on")
        before = (await client.stats())["counts"]["invalidate"]

        async def shown() -> bool:
            return (await client.stats())["counts"]["invalidate"] > before + FRAMES

        await eventually(shown, PLAY_SECONDS, f"{FRAMES} frames are seen")
        told = [noted.name for noted in tap.messages(channel="display", to="client")]
        self.assertEqual((told.count("StreamCreate"), told.count("StreamDestroy")), (1, 0))

    def named(self, tap: Any, name: str, server: str) -> int:
        return sum(
            noted.name == name for noted in tap.messages(channel="display", server=server, to="client")
        )
