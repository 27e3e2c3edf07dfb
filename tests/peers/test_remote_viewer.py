# SPDX-License-Identifier: LGPL-2.1-or-later
"""remote-viewer under Xvfb: attaches in every way, and follows a handover."""

from __future__ import annotations

from twisted.trial.unittest import SkipTest

from tests.peers.harness import Daemon, PeersTestCase, eventually
from tests.peers.xscreen import RemoteViewer, XScreen, find, why_no_windows


class RemoteViewerTests(PeersTestCase):
    """The stock viewer with its window."""

    async def screen(self) -> XScreen:
        """A screen to show windows on."""
        reason = why_no_windows()
        if reason:
            raise SkipTest(reason)
        return await self.program(XScreen()).up()

    async def remote_viewer(self) -> RemoteViewer:
        """A viewer that is not started yet."""
        return self.program(RemoteViewer(await self.screen(), self.directory))

    async def shows(self, host: Daemon, viewer: RemoteViewer) -> tuple[int, int]:
        """The guest's picture stands in the window, pixel for pixel; where."""

        async def found() -> tuple[int, int] | None:
            return find(await host.screenshot(), viewer.screen.picture())

        return await eventually(found, 20, "the guest's picture is in the window")

    async def source(self, **auth) -> Daemon:
        """A source with the ticket "sesame"."""
        file = self.directory / "ticket"
        file.write_text("sesame\n")
        options = {"auth": {"mode": "ticket", "ticket_file": file, **auth}}
        return await self.daemon("source", options=options)

    async def test_plain(self):
        """Plain TCP with the right ticket."""
        source, viewer = await self.source(), await self.remote_viewer()
        viewer.open(host="127.0.0.1", port=source.port("plain"), password="sesame")
        await self.shows(source, viewer)

    async def test_tls(self):
        """TLS, with the authority in the settings file."""
        source, viewer = await self.source(), await self.remote_viewer()
        ca = self.authority.ca.read_text().replace("\n", "\\n")
        viewer.open(**{"host": "localhost", "tls-port": source.port("tls"), "password": "sesame", "ca": ca})
        await self.shows(source, viewer)

    async def test_unix(self):
        """A unix socket."""
        source, viewer = await self.daemon("source"), await self.remote_viewer()
        viewer.open_address(f"spice+unix://{source.unix}")
        await self.shows(source, viewer)

    async def test_wrong_ticket(self):
        """With a wrong ticket the viewer asks for another one."""
        source, viewer = await self.source(), await self.remote_viewer()
        viewer.open(host="127.0.0.1", port=source.port("plain"), password="barley")

        async def asks() -> bool:
            return "Authentication required" in await viewer.screen.titles()

        await eventually(asks, 20, "the viewer asks for the password")
        self.assertEqual((await source.get("/v1/sessions"))["sessions"], [])

    async def test_handover(self):
        """It follows the guest to another host, and types there."""
        source, target = await self.hosts()
        viewer = await self.remote_viewer()
        viewer.open(host="127.0.0.1", port=source.port("plain"))
        left, top = await self.shows(source, viewer)
        report = await source.migrate(target)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"], report)
        await viewer.screen.do("mousemove", str(left + 500), str(top + 400), "click", "1")
        await viewer.screen.do("key", "a")

        async def typed() -> bool:
            return any(each[:2] == ("key_down", 30) for each in await target.inputs())

        await eventually(typed, what="the key came to the target")
        await viewer.screen.do("mousemove", "1590", "1190")
        await self.shows(target, viewer)
