# SPDX-License-Identifier: LGPL-2.1-or-later
"""A browser at a server, without a relay."""

from __future__ import annotations

from tests.peers.browser import PORT, Browser, BrowserCase
from tests.peers.harness import Daemon, eventually
from tests.peers.test_handover import keys_seen, typed


class BrowserTests(BrowserCase):
    """Chromium gets the viewer's page from the server, shows the guest, and types."""

    async def types(self, source: Daemon, browser: Browser) -> None:
        """The picture is right, before and after a key that the guest sees once."""
        left, top = await self.shows(source, browser)
        await browser.screen.do("mousemove", str(left + 300), str(top + 300), "click", "1", "key", "a")

        async def came() -> bool:
            return await keys_seen(source) == typed([30])

        await eventually(came, what="the key came to the guest")
        await browser.screen.do("mousemove", "1590", "1190")
        await self.shows(source, browser)

    async def test_plain(self):
        """HTTP and WebSocket as they are."""
        source = await self.daemon("source", options={"listen": PORT})
        await self.types(source, await self.browser(source))

    async def test_tls(self):
        """Both over TLS, at the same port."""
        source = await self.daemon("source", options={"listen": PORT})
        await self.types(source, await self.browser(source, "https"))

    async def test_ticket(self):
        """The page asks for the ticket."""
        file = self.directory / "ticket"
        file.write_text("sesame\n")
        auth = {"mode": "ticket", "ticket_file": file}
        source = await self.daemon("source", options={"listen": PORT, "auth": auth})
        browser = await self.browser(source)

        async def let_in() -> bool:
            return bool((await source.get("/v1/sessions"))["sessions"])

        async def asked() -> bool:
            await browser.screen.do("type", "sesame\n")
            try:
                return await eventually(let_in, 3)
            except AssertionError:
                return False  # the page had not asked yet

        self.assertFalse(await let_in())
        await eventually(asked, 30, "the browser is let in")
        await self.types(source, browser)

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
