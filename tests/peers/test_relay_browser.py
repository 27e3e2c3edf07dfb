# SPDX-License-Identifier: LGPL-2.1-or-later
"""A browser behind a relay."""

from __future__ import annotations

from tests.peers.browser import PORT, BrowserCase
from tests.peers.harness import Daemon, eventually
from tests.peers.test_handover import keys_seen
from tests.peers.test_relay import RelayCase, plain

MOVES = 4


class BrowserTests(BrowserCase, RelayCase):
    """A browser stays connected."""

    async def test_handovers(self):
        """Handovers of all kinds: the picture is right after each, and every key came once."""
        source, target = await self.hosts()
        relay = await self.relay(plain(source), options={"listen": PORT})
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
