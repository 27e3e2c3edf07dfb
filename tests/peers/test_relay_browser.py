# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chromium with Debian's spice-html5, which knows nothing of migration, behind a relay."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SkipTest

from spicemig.relay import door
from tests.peers.harness import Daemon, Program, Relay, eventually, why_no
from tests.peers.test_handover import keys_seen
from tests.peers.test_relay import RelayCase, plain
from tests.peers.xscreen import XScreen, find

PAGES = Path("/usr/share/spice-html5")
MOVES = 4
EDGE = 8  # pixels, over which the page draws a frame


class Browser(Program):
    """Chromium with one page."""

    def __init__(self, screen: XScreen, directory: Path) -> None:
        super().__init__("chromium")
        self.screen = screen
        self.directory = directory

    def open(self, address: str) -> None:
        """Show a page, and nothing around it."""
        options = "--no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage --window-position=0,0"
        more = [f"--user-data-dir={self.directory}", "--window-size=1600,1200", f"--app={address}"]
        self.start(["/usr/bin/chromium", *options.split(), *more], {"DISPLAY": self.screen.display})


class BrowserTests(RelayCase):
    """A browser stays connected."""

    timeout = 180

    def setUp(self) -> None:
        reason = why_no("chromium", "Xvfb", "xdotool") or door.why_not()
        if reason is None and not PAGES.exists():
            reason = "needs spice-html5"
        if reason:
            raise SkipTest(reason)
        super().setUp()

    async def browser(self, relay: Relay) -> Browser:
        """A browser with the viewer's page, which it has from the relay."""
        browser = self.program(Browser(await self.program(XScreen()).up(), self.short_directory / "chromium"))
        browser.open(f"http://127.0.0.1:{relay.port('websocket')}/spice_auto.html")
        return browser

    async def shows(self, host: Daemon, browser: Browser) -> tuple[int, int]:
        """The guest's picture stands in the browser's window, pixel for pixel; where."""

        async def found() -> tuple[int, int] | None:
            picture = await host.screenshot()
            inside = (EDGE, EDGE, picture.width - EDGE, picture.height - EDGE)
            return find(picture.crop(inside), browser.screen.picture())

        return await eventually(found, 30, "the guest's picture is in the browser's window")

    async def test_handovers(self):
        """Handovers of all kinds: the picture is right after each, and every key came once."""
        source, target = await self.hosts()
        relay = await self.relay(
            plain(source),
            options={"listen": {"websocket": "tcp:0:interface=127.0.0.1"}, "web": {"viewer": PAGES}},
        )
        browser = await self.browser(relay)
        await self.shows(source, browser)
        here, there = source, target
        modes = ["seamless", "semi-seamless", "seamless", "switch-host"]
        for number in range(MOVES):
            report = await here.migrate(there, mode=modes[number])
            self.assertEqual(report["outcome"], "completed", report)
            here, there = there, here
            await self.settled(relay, here)
            left, top = await self.shows(here, browser)
            await browser.screen.do("mousemove", str(left + 300), str(top + 300), "click", "1", "key", "a")

            async def typed(host: Daemon = here, count: int = number + 1) -> bool:
                return len(await keys_seen(host)) >= 2 * count

            await eventually(typed, what="the key came to the guest")
            await browser.screen.do("mousemove", "1590", "1190")
        self.assertEqual(await keys_seen(here), [("key_down", 30), ("key_up", 158)] * MOVES)
        (session,) = (await relay.get("/v1/sessions"))["sessions"]
        self.assertEqual((session["handovers"], session["renewals"]), (2, 2))
