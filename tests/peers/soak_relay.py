#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A browser and spice-gtk behind one relay stay connected, however often their guest moves.

First between two spicemig servers, both clients at once; then between stock QEMUs with
spice-server, in each of its schemes. spice-server carries state (seamless) for a single
client only, so there spice-gtk and the browser take turns. After each move the pictures
are compared with the guest's, pixel for pixel, and keys are typed by both, of which each
must come once and in order.

Screenshots go to a directory. The exit status is 0 if all was right.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from twisted.trial.reporter import Reporter
from twisted.trial.runner import TrialRunner, TrialSuite

from tests.peers.browser import PORT, Browser, BrowserCase
from tests.peers.harness import Daemon, GtkClient, Relay, eventually
from tests.peers.qemu import BUSY, Qemu
from tests.peers.test_handover import LETTERS, STILL
from tests.peers.test_relay import plain
from tests.peers.test_relay_stock import StockCase

BUSY_CODES = [28, 48, 22, 31, 21, 57, 6, 11, 28]  # "busy 50", for the demo guest's terminal
BUSY_CODE = 57  # for the guest of QEMU
A_CODE = 30  # what the browser types
CHANGES = 10  # of the picture after a move, before the pause is read
LOOK_SECONDS = 20.0


@dataclass(frozen=True)
class Move:
    """What was seen of one move; None: that client was not there."""

    scheme: str
    number: int
    pause_ms: float | None
    gtk: bool | None
    browser: bool | None
    keys: int

    @property
    def right(self) -> bool:
        """Whether nothing was wrong."""
        return self.gtk is not False and self.browser is not False

    def __str__(self) -> str:
        pause = "" if self.pause_ms is None else f"pause at spice-gtk {self.pause_ms:.0f} ms, "
        pictures = ", ".join(
            f"{name}: picture {'equal' if equal else 'DIFFERENT'}"
            for name, equal in (("spice-gtk", self.gtk), ("browser", self.browser))
            if equal is not None
        )
        return f"{self.scheme} {self.number}: {pause}{pictures}, {self.keys} keys so far, each once"


class Soak(BrowserCase, StockCase):
    """Each test is one scheme; ``moves`` has what was seen in all of them."""

    timeout = 3600
    handovers = 20
    migrations = 5
    pictures: ClassVar[Path] = Path("build/soak")
    moves: ClassVar[list[Move]] = []

    async def clients(self, relay: Relay, *, gtk: bool = True, browser: bool = True) -> None:
        """Attach them."""
        self.gtk_client: GtkClient | None = await self.gtk() if gtk else None
        if self.gtk_client is not None:
            await self.gtk_client.attach(port=relay.port("plain"))
        self.tab: Browser | None = await self.browser(relay) if browser else None

    async def look(self, scheme: str, number: int, host: Daemon | Qemu) -> tuple[bool | None, bool | None]:
        """Whether spice-gtk and the browser show the guest's picture; what they show is kept."""
        gtk = browser = None
        name = f"{scheme.replace(', ', '-')}-{number:02}"
        client, tab = self.gtk_client, self.tab
        if client is not None:
            gtk = await self.right(
                self.same_picture(host, lambda: client.picture(self.directory), LOOK_SECONDS)
            )
            picture = await client.picture(self.directory)
            if picture is not None:
                picture.save(self.pictures / f"{name}-gtk.png")
        if tab is not None:
            browser = await self.right(self.find(host, tab))
            tab.screen.picture().save(self.pictures / f"{name}-browser.png")
        return gtk, browser

    async def find(self, host: Daemon | Qemu, tab: Browser) -> None:
        """The browser shows the guest's picture; where is kept."""
        self.tab_at = await self.shows(host, tab)

    async def right(self, looking: Awaitable[object]) -> bool:
        """Whether it does not fail."""
        try:
            await looking
        except AssertionError as error:
            print(error)
            return False
        return True

    async def pause_began(self) -> None:
        """The picture changes; from now on the longest time without a change counts."""
        if self.gtk_client is not None:
            await self.changes()
            await self.gtk_client.do("pause")

    async def pause_ms(self) -> float | None:
        """The longest time for which spice-gtk's picture stood still, once it moves again."""
        if self.gtk_client is None:
            return None
        await self.changes()
        return (await self.gtk_client.do("pause"))["seconds"] * 1000

    async def changes(self) -> None:
        """The picture at spice-gtk changes."""
        client = self.gtk_client
        assert client is not None

        async def count() -> int:
            return (await client.stats())["counts"]["invalidate"]

        before = await count()

        async def more() -> bool:
            return await count() >= before + CHANGES

        await eventually(more, 20, "the picture at spice-gtk changes")

    def note(self, *seen) -> None:
        """One move is over."""
        self.moves.append(Move(*seen))
        print(self.moves[-1], flush=True)

    async def test_spicemig(self):
        """Handovers between spicemig servers, as they choose themselves (seamless)."""
        here, there = await self.hosts()
        relay = await self.relay(plain(here), options={"listen": PORT})
        await self.clients(relay)
        assert self.gtk_client is not None and self.tab is not None
        await self.look("spicemig", 0, here)
        codes: list[int] = []
        for number in range(1, self.handovers + 1):
            codes += BUSY_CODES
            await self.gtk_client.do("key", codes=BUSY_CODES)
            await self.pause_began()
            report = await here.migrate(there)
            self.assertEqual(report["outcome"], "completed", report)
            self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"] * 2)
            here, there = there, here
            await self.settled(relay, here, 2)
            pause_ms = await self.pause_ms()
            more = [*STILL, LETTERS[number % len(LETTERS)]]
            await self.gtk_client.do("key", codes=more)
            await self.came(here, codes, more)
            await self.find(here, self.tab)
            await self.type_letter(self.tab, self.tab_at, "a")
            await self.came(here, codes, [A_CODE])
            await self.tab.away()
            gtk, browser = await self.look("spicemig", number, here)
            self.note("spicemig", number, pause_ms, gtk, browser, len(codes))
        await self.undisturbed(self.gtk_client)

    async def came(self, host: Daemon, codes: list[int], more: list[int]) -> None:
        """Behind the keys before, these came to the guest, each once and in order."""
        codes += more
        await self.sees_keys(host, codes)

    async def machines(self, scheme: str, *, gtk: bool, browser: bool, **options: bool) -> None:
        """A virtual machine that moves in one of spice-server's schemes."""
        self.typed = ""
        here = await self.machine(0, ticket="barley", **options)
        relay = await self.relay_to(here, listen=PORT)
        await self.booted(here)
        await self.clients(relay, gtk=gtk, browser=browser)
        await self.look(scheme, 0, here)
        keys = 0
        for number in range(1, self.migrations + 1):
            there = await self.machine(number, ticket="barley", **options)
            await self.press(here, BUSY)
            await self.pause_began()
            if scheme.startswith("switch-host"):
                await self.send_away(relay, here, there)
            else:
                await here.migrate(there, lambda relay=relay: self.linked(relay))
            await here.end()
            here = there
            await self.settled_at(relay, here)
            pause_ms = await self.pause_ms()
            await self.press(here, BUSY)
            keys += 2 + await self.type_letters_of_all(here)
            seen = await self.look(scheme, number, here)
            self.note(scheme, number, pause_ms, *seen, keys)
        for session in (await relay.get("/v1/sessions"))["sessions"]:
            done = session["handovers"], session["renewals"]
            self.assertEqual(done, (number, 0) if scheme.startswith("seamless") else (0, number))
        if self.gtk_client is not None:
            self.assertEqual(self.gtk_client.happened("disconnected"), [])

    async def press(self, here: Qemu, key: str) -> None:
        """A key that the guest does not show."""
        if self.gtk_client is not None:
            await self.gtk_client.do("key", codes=[BUSY_CODE])
        else:
            assert self.tab is not None
            await self.type_letter(self.tab, self.tab_at, "space")
            await self.tab.away()

    async def type_letters_of_all(self, here: Qemu) -> int:
        """Both clients type; how many keys."""
        count = 0
        if self.gtk_client is not None:
            await self.type_letters(self.gtk_client, here, "dfg")
            count += 3
        if self.tab is not None:
            await self.find(here, self.tab)
            await self.type_letter(self.tab, self.tab_at, "a")
            await self.shows_letters(here, "a")
            await self.tab.away()
            count += 1
        return count

    async def test_seamless_gtk(self):
        """State is carried; spice-gtk alone."""
        await self.machines("seamless, spice-gtk", gtk=True, browser=False, seamless=True)

    async def test_seamless_browser(self):
        """State is carried; the browser alone."""
        await self.machines("seamless, browser", gtk=False, browser=True, seamless=True)

    async def test_semi_seamless(self):
        """No state is carried; both at once."""
        await self.machines("semi-seamless", gtk=True, browser=True, seamless=False, many_clients=True)

    async def test_switch_host(self):
        """No state is carried, and the relay hears of the target afterwards; both at once."""
        await self.machines("switch-host", gtk=True, browser=True, seamless=False, many_clients=True)


TESTS = {
    "spicemig": "test_spicemig",
    "seamless, spice-gtk": "test_seamless_gtk",
    "seamless, browser": "test_seamless_browser",
    "semi-seamless": "test_semi_seamless",
    "switch-host": "test_switch_host",
}


def summary(moves: list[Move]) -> list[str]:
    """A line for each scheme."""
    lines = []
    for scheme in TESTS:
        own = [move for move in moves if move.scheme == scheme]
        if not own:
            continue
        pauses = [move.pause_ms for move in own if move.pause_ms is not None]
        right = sum(move.right for move in own)
        pause = (
            f"pause median {statistics.median(pauses):.0f} ms, worst {max(pauses):.0f} ms; " if pauses else ""
        )
        lines.append(
            f"{scheme}: {len(own)} moves; {pause}pictures right {right} times; {own[-1].keys} keys, each once"
        )
    return lines


def main() -> int:
    """Run all; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--handovers", type=int, default=Soak.handovers, help="between spicemig servers")
    parser.add_argument("--migrations", type=int, default=Soak.migrations, help="of QEMU, in each scheme")
    parser.add_argument("--only", choices=TESTS, action="append", help="this scheme")
    parser.add_argument("--out", type=Path, default=Path("build/soak"), help="where screenshots go")
    options = parser.parse_args()
    Soak.handovers, Soak.migrations = options.handovers, options.migrations
    Soak.pictures = options.out.resolve()
    Soak.pictures.mkdir(parents=True, exist_ok=True)
    suite = TrialSuite([Soak(TESTS[scheme]) for scheme in options.only or TESTS])
    runner = TrialRunner(Reporter, workingDirectory=str(Soak.pictures / "trial"))
    result = runner.run(suite)
    print("", *summary(Soak.moves), sep="\n")
    ran = not result.skips and result.wasSuccessful()
    right = ran and all(move.right for move in Soak.moves)
    print("all right" if right else "NOT ALL RIGHT")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
