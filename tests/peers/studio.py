# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A display server in this process and one spice-gtk that shows what it draws.

Every command is seen: nothing is drawn before the client has drawn all before it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from spicemig.channels.display_stock import is_drawn_alike
from spicemig.channels.events import LatencyMeasured
from spicemig.channels.protocol import LinkFactory
from spicemig.devices.drawables import Batch, Effect
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.surfaces import PRIMARY
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings
from spicemig.testing.guests import ListGuest
from tests.peers.harness import GtkClient, NotDone, eventually

DRAWN_SECONDS = 20.0


class Listener:
    """Stands between a channel and its session, to hear of answered pings."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.waiting: Deferred[None] | None = None

    def handle(self, core: Any, event: Any) -> None:
        self.session.handle(core, event)
        if isinstance(event, LatencyMeasured) and self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting.callback(None)

    def channel_lost(self, core: Any, reason: Any) -> None:
        self.session.channel_lost(core, reason)
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting.errback(NotDone("spice-gtk closed its display channel"))


class Studio:
    """One device, one spice-gtk; ``close`` ends the server, the client is the caller's."""

    def __init__(
        self, compression: str = "off", width: int = 160, height: int = 120, **settings: Any
    ) -> None:
        self.sessions = Sessions(
            QXLDevice,
            lambda kind: ListGuest(width=width, height=height),
            SessionSettings(image_compression=compression, **settings),
            reactor,
            deferToThread,
        )
        self.sessions.power_on("list")
        self.port = reactor.listenTCP(0, LinkFactory(self.sessions), interface="127.0.0.1")
        self.gtk: GtkClient
        self.drawn_messages: Counter[str] = Counter()
        self.sent_as_pixels: Counter[str] = Counter()

    @property
    def device(self) -> QXLDevice:
        """What the commands are for."""
        return self.sessions.device

    async def open(self, gtk: GtkClient, **properties: Any) -> None:
        """Attach the client, whose session gets these properties."""
        self.gtk = gtk
        await gtk.attach(host="127.0.0.1", port=self.port.getHost().port, **properties)
        [client] = self.sessions.clients.values()
        await eventually(lambda: client.channels("display"))
        self.core = client.channels("display")[0]
        protocol = client._protocols[self.core]
        self.listener = protocol.session = Listener(client)
        self.protocol = protocol
        await eventually(lambda: self.core.latency_seconds is not None, what="the first ping is answered")

    async def close(self) -> None:
        """Serve no more; may be done twice."""
        self.sessions.release()
        stopped = self.port.stopListening()
        if stopped is not None:
            await stopped

    def draw(self, *messages: Any) -> None:
        """Draw these one after the other, none of which hides another."""
        batch = Batch()
        for message in messages:
            batch.append(message, Effect.BLEND)
        for drawable, message in zip(batch, messages, strict=True):
            kind = type(message).__name__
            self.drawn_messages[kind] += 1
            if drawable.surface in self.core._surfaces and not is_drawn_alike(
                drawable, self.core._surfaces, composite=True
            ):
                self.sent_as_pixels[kind] += 1
        self.device.draw(batch)

    async def drawn(self) -> None:
        """Wait until the client has drawn everything."""
        await eventually(lambda: self.core.idle, DRAWN_SECONDS, "everything was sent")
        if self.core._ping_sent is None:
            for _event in self.core.deadline_passed(self.core._ping_at):
                pass
            self.protocol.flush()
        answered = self.listener.waiting = Deferred()
        await answered.addTimeout(DRAWN_SECONDS, reactor)

    def ours(self) -> Image.Image:
        """What the screen shows here."""
        return self.device.render(PRIMARY).image().convert("RGB")

    async def equal(self) -> bool:
        """Whether the client shows the same pixels, once it has drawn everything."""
        await self.drawn()
        shot = await self.gtk.do("shot")
        ours = self.ours()
        return (shot["width"], shot["height"], shot["crc32"]) == (*ours.size, zlib.crc32(ours.tobytes()))

    async def theirs(self, folder: Path) -> Image.Image:
        """What the client shows."""
        picture = await self.gtk.picture(folder)
        assert picture is not None
        return picture


def first_difference(ours: Image.Image, theirs: Image.Image) -> str:
    """Where two pictures differ first."""
    if ours.size != theirs.size:
        return f"sizes {ours.size} and {theirs.size}"
    a, b = ours.tobytes(), theirs.tobytes()
    wrong = [at // 3 for at in range(0, len(a), 3) if a[at : at + 3] != b[at : at + 3]]
    if not wrong:
        return "none"
    x, y = wrong[0] % ours.width, wrong[0] // ours.width
    colours = f"ours is {ours.getpixel((x, y))}, theirs {theirs.getpixel((x, y))}"
    return f"{len(wrong)} pixels, at x {x}, y {y} {colours}"
