# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chromium with Debian's spice-html5, which knows nothing of migration."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from spicemig.channels import websocket
from spicemig.daemons.config import VIEWER
from tests.peers.harness import Daemon, PeersTestCase, Program, eventually, why_no
from tests.peers.qemu import Qemu
from tests.peers.xscreen import XScreen, find

EDGE = 8  # pixels, over which the page draws a frame
PORT = {"websocket": "tcp:0:interface=127.0.0.1"}


class Browser(Program):
    """Chromium with one page."""

    def __init__(self, screen: XScreen, directory: Path) -> None:
        super().__init__("chromium")
        self.screen = screen
        self.directory = directory

    def open(self, address: str) -> None:
        """Show a page, and nothing around it, whoever signed the certificate."""
        options = "--no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage --window-position=0,0"
        more = [f"--user-data-dir={self.directory}", "--window-size=1600,1200", f"--app={address}"]
        more.append("--ignore-certificate-errors")
        self.start(["/usr/bin/chromium", *options.split(), *more], {"DISPLAY": self.screen.display})

    async def away(self) -> None:
        """Take the mouse out of the picture."""
        await self.screen.do("mousemove", "1590", "1190")


class BrowserCase(PeersTestCase):
    """Tests with a browser."""

    timeout = 180

    def setUp(self) -> None:
        reason = why_no("chromium", "Xvfb", "xdotool") or websocket.why_not()
        if reason is None and not VIEWER.is_dir():
            reason = "needs spice-html5"
        if reason:
            raise SkipTest(reason)
        super().setUp()

    async def browser(self, host: Daemon, scheme: str = "http") -> Browser:
        """A browser with the viewer's page, which it has from where it then connects to."""
        directory = Path(tempfile.mkdtemp(dir=self.short_directory))
        browser = self.program(Browser(await self.program(XScreen()).up(), directory))
        browser.open(f"{scheme}://127.0.0.1:{host.port('websocket')}/")

        async def window() -> bool:
            said = "\n".join(browser.lines[-20:])
            assert browser.running, f"Chromium ended with {browser.status}:\n{said}"
            return bool(await browser.screen.titles())

        await eventually(window, 30, "Chromium has a window")
        return browser

    async def shows(self, host: Daemon | Qemu, browser: Browser) -> tuple[int, int]:
        """The guest's picture stands in the browser's window, pixel for pixel; where."""

        async def found() -> tuple[int, int] | None:
            picture = await host.screenshot()
            inside = (EDGE, EDGE, picture.width - EDGE, picture.height - EDGE)
            return find(picture.crop(inside), browser.screen.picture())

        try:
            return await eventually(found, 30, "the guest's picture is in the browser's window")
        except AssertionError:
            (await host.screenshot()).save(self.directory / "different-guest.png")
            browser.screen.picture().save(self.directory / "different-screen.png")
            raise

    async def type_letter(
        self,
        browser: Browser,
        picture_at: tuple[int, int],
        letter: str,
        clicked: Callable[[], Any] = lambda: True,
    ) -> None:
        """
        Click into the picture, and press a key when ``clicked`` says that the guest knows.

        A busy browser may take the key for its page, until the pointer has come to the picture.
        """
        left, top = picture_at
        await browser.screen.do("mousemove", str(left + 300), str(top + 300), "click", "1")
        await eventually(clicked, what="the click came to the guest")
        await browser.screen.do("key", letter)
