# SPDX-License-Identifier: LGPL-2.1-or-later
"""A browser behind a relay."""

from __future__ import annotations

from tests.peers.browser import PORT, BrowserCase
from tests.peers.harness import Daemon, eventually
from tests.peers.test_handover import keys_seen
from tests.peers.test_relay import RelayCase, plain
from tests.peers.test_relay_stock import MOVES, StockCase

HANDOVERS = 4


class BrowserTests(BrowserCase, RelayCase):
    """A browser stays connected when the guest moves."""

    async def test_handovers(self):
        """Handovers of all kinds: the picture is right after each, and every key came once."""
        source, target = await self.hosts()
        relay = await self.relay(plain(source), options={"listen": PORT})
        browser = await self.browser(relay)
        await self.shows(source, browser)
        here, there = source, target
        modes = ["seamless", "semi-seamless", "seamless", "switch-host"]
        for number in range(HANDOVERS):
            report = await here.migrate(there, mode=modes[number])
            self.assertEqual(report["outcome"], "completed", report)
            here, there = there, here
            await self.settled(relay, here)

            async def clicked(host: Daemon = here, count: int = number + 1) -> bool:
                return sum(each[0] == "button_pressed" for each in await host.inputs()) >= count

            async def typed(host: Daemon = here, count: int = number + 1) -> bool:
                return len(await keys_seen(host)) >= 2 * count

            await self.type_letter(browser, await self.shows(here, browser), "a", clicked)
            await eventually(typed, what=f"key {number + 1} came to the guest")
            await browser.away()
        self.assertEqual(await keys_seen(here), [("key_down", 30), ("key_up", 158)] * HANDOVERS)
        (session,) = (await relay.get("/v1/sessions"))["sessions"]
        self.assertEqual((session["handovers"], session["renewals"]), (2, 2))


class StockBrowserTests(BrowserCase, StockCase):
    """It stays connected when a virtual machine moves, in each of spice-server's schemes."""

    async def moved(self, scheme: str, *, seamless: bool) -> None:
        """The machine moves twice: the picture is right each time, and every key came once."""
        here = await self.machine(0, ticket="barley", seamless=seamless)
        relay = await self.relay_to(here, listen=PORT)
        browser = await self.browser(relay)
        await self.booted(here)
        await self.shows(here, browser)
        for number in range(MOVES):
            there = await self.machine(number + 1, ticket="barley", seamless=seamless)
            if scheme == "switch-host":
                await self.send_away(relay, here, there)
            else:
                await here.migrate(there, lambda: self.linked(relay))
            await here.end()
            here = there
            await self.settled_at(relay, here)
            await self.type_letter(browser, await self.shows(here, browser), "ab"[number % 2])
            await self.shows_letters(here, "ab"[number % 2])
            await browser.away()
        await self.shows(here, browser)
        (session,) = (await relay.get("/v1/sessions"))["sessions"]
        counted = session["handovers"], session["renewals"]
        self.assertEqual(counted, (MOVES, 0) if scheme == "seamless" else (0, MOVES))

    async def test_seamless(self):
        """The client's state is carried."""
        await self.moved("seamless", seamless=True)

    async def test_semi_seamless(self):
        """It is not: the relay, which is linked to the target before, begins anew there."""
        await self.moved("semi-seamless", seamless=False)

    async def test_switch_host(self):
        """It is not, and the relay hears of the target only afterwards."""
        await self.moved("switch-host", seamless=False)
