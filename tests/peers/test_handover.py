# SPDX-License-Identifier: LGPL-2.1-or-later
"""Handovers between real daemons, with stock clients attached, drawing and typing all the while."""

from __future__ import annotations

import signal
import time

from spicemig.client.session import Abilities
from tests.peers.harness import Daemon, GtkClient, PeersTestCase, eventually, sleep

MOVES = 20  # there and back, ten times
GUEST_STANDS_STILL_MS = 250  # at most, whatever the clients do; the existing server: 10 to 28 s
QUIET_BYTES = 10_000  # on the display channel in the second after a handover of a still screen
ENTER = 28
STILL = [ENTER, 31, 20, 23, 38, 38, ENTER]  # "still": a word that the demo guest's terminal knows
LETTERS = [30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25]  # scan codes


def typed(codes: list[int]) -> list[tuple]:
    """What the guest sees of keys that are pressed and released one after the other."""
    return [step for code in codes for step in (("key_down", code), ("key_up", code | 0x80))]


async def keys_seen(guest: Daemon) -> list[tuple]:
    """The keys in the guest's log."""
    return [each for each in await guest.inputs() if each[0].startswith("key_")]


class SeamlessTests(PeersTestCase):
    """spice-gtk goes from S to T and back and notices nothing."""

    timeout = 300

    async def test_many_times_drawing_and_typing(self):
        """
        Twenty handovers under load: the picture is the guest's at the end, every
        key and position came once and in order, no surface was destroyed, no
        image sent again, nothing invalidated.
        """
        source, target = await self.hosts(demo={"draws_per_second": 200})
        tap = await self.tap()
        port = await tap.stand_for("source", source.port("plain"))
        await tap.stand_for("target", target.port("plain"))
        client = await self.gtk()
        await client.attach(port=port)
        began = time.time()
        here, there = source, target
        codes: list[int] = []
        for number in range(MOVES):
            letters = LETTERS[: 4 + number % 8]
            codes += letters
            migration = await here.start_migration(there)
            for code in letters:
                await client.do("key", codes=[code])
                await client.do("position", x=100 + number, y=50 + code)
            report = await self.ended(here, migration)
            self.assertEqual(report["outcome"], "completed", report)
            self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"])
            here, there = there, here
        codes += STILL
        await client.do("key", codes=STILL)
        await self.seen(here, codes)
        await self.same_picture(here, lambda: client.picture(self.directory))
        positions = [each[1:3] for each in await here.inputs() if each[0] == "pointer_set"]
        self.assertEqual(positions, sorted(set(positions), key=positions.index), "a position came twice")
        stats = await client.stats()
        self.assertNotIn("primary-destroy", stats["counts"])
        self.assertEqual(stats["counts"]["primary-create"], 1)
        self.assertEqual(stats["counts"].get("disconnected", 0), 0)
        self.assertEqual([noted.name for noted in tap.messages(since=began) if noted.invalidates], [])
        self.assertEqual(tap.resent_images(began), [])

    async def test_motions(self):
        """No motion is lost or doubled, however many are under way at the handover."""
        source, target = await self.hosts(demo={"mouse": "relative"})
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        here, there = source, target
        for _ in range(4):
            migration = await here.start_migration(there)
            for _ in range(50):
                await client.do("motion", dx=1, dy=-2)
            report = await self.ended(here, migration)
            self.assertEqual(report["outcome"], "completed", report)
            here, there = there, here

        async def total() -> tuple[int, int]:
            moved = [each for each in await here.inputs() if each[0] == "pointer_moved"]
            return sum(each[1] for each in moved), sum(each[2] for each in moved)

        async def complete() -> bool:
            return (await total())[0] >= 200

        await eventually(complete, what="all motions came")
        self.assertEqual(await total(), (200, -400))

    async def test_picture(self):
        """After handovers there and back the client shows the guest's picture, pixel for pixel."""
        source, target = await self.hosts()
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        for here, there in ((source, target), (target, source), (source, target)):
            report = await here.migrate(there)
            self.assertEqual(report["outcome"], "completed", report)
            await client.do("key", codes=LETTERS[:5])
            await self.same_picture(there, lambda: client.picture(self.directory))

    async def test_still_screen(self):
        """A still screen costs almost nothing on the display channel in the second after the handover."""
        source, target = await self.hosts()
        tap = await self.tap()
        port = await tap.stand_for("source", source.port("plain"))
        await tap.stand_for("target", target.port("plain"))
        client = await self.gtk()
        await client.attach(port=port)
        began = time.time()
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "completed", report)
        await sleep(1.2)
        sent = tap.messages(since=began, until=time.time(), channel="display", server="target", to="client")
        self.assertLess(sum(noted.size for noted in sent), QUIET_BYTES, sent)

    async def test_tls(self):
        """Over TLS it is the same; the certificate's name is checked at the target, too."""
        source, target = await self.hosts(listen={"plain": ""})
        client = await self.gtk()
        ca = str(self.authority.ca)
        await client.attach(host="127.0.0.1", tls_port=source.port("tls"), ca_file=ca)
        report = await source.migrate(target)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"], report)
        await self.same_picture(target, lambda: client.picture(self.directory))

    async def test_both_transports(self):
        """State travels as well through the client alone as between the hosts alone."""
        source, target = await self.hosts()
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        here, there = source, target
        for transport in ("client", "stream", "both"):
            report = await here.migrate(there, transport=transport)
            self.assertEqual(report["outcome"], "completed", report)
            await client.do("key", codes=[30])
            await self.same_picture(there, lambda there=there: client.picture(self.directory))
            here, there = there, here

    async def ended(self, host: Daemon, migration: str, seconds: float = 30.0) -> dict:
        """The report of a handover, once it has ended."""

        async def report() -> dict | None:
            found = await host.report(migration)
            return found if found["outcome"] else None

        return await eventually(report, seconds, "the handover ends")

    async def seen(self, host: Daemon, codes: list[int]) -> None:
        """The guest saw exactly these keys."""

        async def all_keys() -> bool:
            return len(await keys_seen(host)) >= 2 * len(codes)

        await eventually(all_keys, what="the guest saw all keys")
        self.assertEqual(await keys_seen(host), typed(codes))


class OtherWaysTests(PeersTestCase):
    """Clients that cannot, or may not, move seamlessly."""

    async def test_semi_seamless(self):
        """In semi-seamless mode spice-gtk starts anew at the target, without asking the user."""
        await self.arrives("semi-seamless")

    async def test_switch_host(self):
        """In switch-host mode spice-gtk connects to the target afresh."""
        await self.arrives("switch-host")

    async def arrives(self, mode: str) -> None:
        """After a handover in this mode the client shows the target's picture, and types there."""
        source, target = await self.hosts()
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        report = await source.migrate(target, mode=mode)
        self.assertEqual(
            (report["outcome"], [each["mode"] for each in report["clients"]]), ("completed", [mode])
        )
        await self.same_picture(target, lambda: client.picture(self.directory), seconds=10)

        async def typed_there() -> bool:
            await client.do("key", codes=[30])
            return bool(await keys_seen(target))

        await eventually(typed_there, what="the client types at the target")

    async def test_expired_ticket(self):
        """A ticket that expired after the client attached does not keep it from the target."""
        file = self.directory / "ticket"
        file.write_text("sesame\n")
        auth = {"mode": "ticket", "ticket_file": file}
        source = await self.daemon("source", options={"auth": {**auth, "ticket_expires_seconds": 5}})
        target = await self.daemon("target", options={"auth": {**auth, "ticket_expires_seconds": 1}})
        client = await self.gtk()
        await client.attach(port=source.port("plain"), password="sesame")
        await source.fetch("PUT", "/v1/ticket", {"expire": True})
        report = await source.migrate(target)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"], report)
        await self.same_picture(target, lambda: client.picture(self.directory))


class MixedClientsTests(PeersTestCase):
    """Clients of all sorts in one handover."""

    timeout = 180

    async def test_nobody_is_delayed(self):
        """
        Two spice-gtk, a read-only one, one that cannot move seamlessly and one that
        has stopped reading: each ends as well as it can, the guest stands still for a
        moment only.
        """
        source, target = await self.hosts(demo={"draws_per_second": 50})
        port = source.port("plain")
        clients = {name: await self.gtk(name) for name in ("first", "second", "reader", "stopped")}
        for name, client in clients.items():
            await client.attach(port=port, read_only=name == "reader")
        plain = await self.viewer(source.address(), abilities=Abilities(seamless=False))
        clients["stopped"].kill(signal.SIGSTOP)
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "completed", report)
        self.assertLess(report["pause_ms"], GUEST_STANDS_STILL_MS)
        modes = sorted(each["mode"] for each in report["clients"] if each["outcome"] == "completed")
        self.assertEqual(modes.count("semi-seamless"), 1, report)
        self.assertGreaterEqual(modes.count("seamless"), 3, report)
        for name in ("first", "second", "reader"):
            await self.follows(target, clients[name])
        await self.wakes(plain)
        clients["stopped"].kill(signal.SIGCONT)

    async def follows(self, target: Daemon, client: GtkClient) -> None:
        """The client goes on being drawn for at the target, and was never disconnected."""
        before = (await client.stats())["counts"].get("invalidate", 0)

        async def drawn() -> bool:
            return (await client.stats())["counts"].get("invalidate", 0) > before + 5

        await eventually(drawn, what=f"{client.name} goes on")
        self.assertEqual(client.happened("disconnected"), [], client.name)

    async def wakes(self, viewer) -> None:
        """Our own client is drawn for at the target."""
        moved = viewer.moves[-1]
        self.assertEqual(moved.how, "semi-seamless")
        draws = viewer.display.traffic.draws
        await viewer.until(lambda: viewer.display.traffic.draws > draws + 5)
