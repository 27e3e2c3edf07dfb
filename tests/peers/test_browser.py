# SPDX-License-Identifier: LGPL-2.1-or-later
"""A browser at a server, without a relay."""

from __future__ import annotations

from tests.peers.browser import PORT, BrowserCase
from tests.peers.harness import eventually
from tests.peers.test_handover import keys_seen


class BrowserTests(BrowserCase):
    """Chromium gets the viewer's page from the server, shows the guest, and types."""

    async def served(self, scheme: str) -> None:
        """With TLS or without."""
        source = await self.daemon("source", options={"listen": PORT})
        browser = await self.browser(source, scheme)
        left, top = await self.shows(source, browser)
        await browser.screen.do("mousemove", str(left + 300), str(top + 300), "click", "1", "key", "a")

        async def typed() -> bool:
            return await keys_seen(source) == [("key_down", 30), ("key_up", 158)]

        await eventually(typed, what="the key came to the guest")
        await browser.screen.do("mousemove", "1590", "1190")
        await self.shows(source, browser)

    async def test_plain(self):
        """HTTP and WebSocket as they are."""
        await self.served("http")

    async def test_tls(self):
        """Both over TLS, at the same port."""
        await self.served("https")

    async def test_handover(self):
        """
        A browser cannot follow the guest: it is told to connect to the target, does not know how,
        and is disconnected; the page can be opened at the target.
        """
        options = {"listen": PORT}
        source, target = await self.hosts(**options)
        browser = await self.browser(source)
        await self.shows(source, browser)
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "completed", report)
        (client,) = report["clients"]
        self.assertEqual((client["mode"], client["outcome"]), ("switch-host", "timed out"), report)
        self.assertEqual((await target.get("/v1/sessions"))["sessions"], [])
        self.assertEqual((await source.get("/v1/sessions"))["sessions"], [])
        again = await self.browser(target)
        await self.shows(target, again)
