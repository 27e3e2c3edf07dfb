# SPDX-License-Identifier: LGPL-2.1-or-later
"""Behind a relay a stock QEMU with spice-server moves, and its clients notice nothing."""

from __future__ import annotations

import signal
import socket

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SkipTest

from tests.peers.cable import CABLES, Cable
from tests.peers.harness import GtkClient, Relay, eventually, why_no
from tests.peers.qemu import QEMU, Qemu
from tests.peers.test_relay import RelayCase

MOVES = 2
CODES = {"a": 30, "s": 31, "d": 32, "f": 33, "g": 34, "h": 35}


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now; QEMU does not choose any by itself."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class StockCase(RelayCase):
    """Virtual machines behind a relay."""

    typed = ""  # by all clients

    def setUp(self) -> None:
        reason = why_no(QEMU)
        if reason:
            raise SkipTest(reason)
        super().setUp()

    async def machine(self, number: int, **more) -> Qemu:
        """A virtual machine; every one but the first waits for another to be moved to it."""
        port, incoming = free_ports(2)
        return await self.program(
            Qemu(self.short_directory, f"qemu{number}", port=port, incoming=incoming if number else 0, **more)
        ).up()

    async def relay_to(self, machine: Qemu, **options: dict) -> Relay:
        """A relay with the machine's ticket, and these sections of settings."""
        ticket = {"ticket_file": self.secret("machine-ticket", "barley")["ticket_file"]}
        options["relay"] = {**ticket, **options.get("relay", {})}
        return await self.relay(f"spice://127.0.0.1:{machine.spice_port}", options=options)

    async def booted(self, machine: Qemu) -> None:
        """The guest has started."""

        async def shown() -> bool:
            return "Booting from Floppy" in await machine.text()

        await eventually(shown, 20, "the guest has started")

    async def linked(self, relay: Relay) -> None:
        """The relay has linked its clients to the target."""
        await self.all_are(relay, "linked")

    async def all_are(self, relay: Relay, stage: str) -> None:
        """All clients of the relay have come to this stage."""

        async def reached() -> bool:
            sessions = (await relay.get("/v1/sessions"))["sessions"]
            return {each["stage"] for each in sessions} == {stage}

        await eventually(reached, what=f"all clients of the relay are {stage}")

    async def send_away(self, relay: Relay, here: Qemu, there: Qemu) -> None:
        """
        Move the machine and tell its clients only then (switch-host).

        spice-server does that with clients that could not link to the target in time.
        """
        cable = await self.program(Cable(reactor, there.spice_port)).up()
        cable.stall()
        moving = ensureDeferred(here.migrate(there, _at_once, host=CABLES))
        await self.all_are(relay, "renewing")
        cable.resume()
        await moving

    async def type_letters(self, client: GtkClient, machine: Qemu, letters: str) -> None:
        """Type, and wait until the guest shows it."""
        await client.do("key", codes=[CODES[letter] for letter in letters])
        await self.shows_letters(machine, letters)

    async def shows_letters(self, machine: Qemu, letters: str) -> None:
        """The guest shows these letters behind all others."""
        self.typed += letters

        async def shown() -> bool:
            return await machine.typed() == self.typed

        await eventually(shown, 10, f"the guest shows {self.typed}")

    async def settled_at(self, relay: Relay, machine: Qemu) -> None:
        """The relay has its clients there."""

        async def there() -> bool:
            sessions = (await relay.get("/v1/sessions"))["sessions"]
            return bool(sessions) and all(
                each["stage"] == "settled" and each["server"].endswith(f":{machine.spice_port}")
                for each in sessions
            )

        await eventually(there, 15, f"the clients are at {machine.name}")


class StockServerTests(StockCase):
    """spice-gtk, relay, spice-server: none of them modified for the others."""

    timeout = 240

    async def moves(self, *, seamless: bool, hurried: bool = False, late: bool = False) -> dict:
        """Migrate, with the client undisturbed; what the relay says of its session in the end."""
        here = await self.machine(0, ticket="barley", seamless=seamless)
        relay = await self.relay_to(here)
        client = await self.gtk()
        await client.attach(port=relay.port("plain"))
        await self.booted(here)
        await self.type_letters(client, here, "as")
        for number in range(1, MOVES + 1):
            there = await self.machine(number, ticket="barley", seamless=seamless)
            if late:
                await self.send_away(relay, here, there)
            else:
                await here.migrate(there, _at_once if hurried else lambda: self.linked(relay))
            await here.end()
            here = there
            await self.settled_at(relay, here)
            await self.type_letters(client, here, "df"[number % 2] + "gh")
            await self.same_picture(here, lambda here=here: client.picture(self.directory))
        counts = (await client.stats())["counts"]
        self.assertEqual(counts.get("disconnected", 0), 0)
        self.assertEqual(counts["primary-create"] - counts.get("primary-destroy", 0), 1)
        self.assertEqual(client.happened("channel", what="migrating"), [])
        (session,) = (await relay.get("/v1/sessions"))["sessions"]
        return session

    async def test_seamless(self):
        """Migrations in which the client's state is carried."""
        session = await self.moves(seamless=True)
        self.assertEqual((session["handovers"], session["renewals"]), (MOVES, 0))

    async def test_semi_seamless(self):
        """Migrations in which it is not: the relay makes a new session the client's old one."""
        session = await self.moves(seamless=False)
        self.assertEqual((session["handovers"], session["renewals"]), (0, MOVES))

    async def test_switch_host(self):
        """Migrations of which clients hear only when the machine has moved."""
        session = await self.moves(seamless=True, late=True)
        self.assertEqual((session["handovers"], session["renewals"]), (0, MOVES))

    async def test_hurried(self):
        """
        Migrations of which spice-server tells too late for its clients to link to
        the target: they are sent there afterwards (switch-host), or link just in time.
        """
        session = await self.moves(seamless=False, hurried=True)
        self.assertEqual(session["handovers"] + session["renewals"], MOVES)

    async def test_stands_still(self):
        """A machine whose program stands still for a while, and then goes on, gets its client back."""
        here = await self.machine(0, ticket="barley")
        relay = await self.relay_to(here, relay={"silence_seconds": 2, "link_seconds": 1})
        client = await self.gtk()
        await client.attach(port=relay.port("plain"))
        await self.booted(here)
        await self.type_letters(client, here, "as")
        here.kill(signal.SIGSTOP)
        await self.all_are(relay, "renewing")
        await client.do("key", codes=[CODES["d"]])
        here.kill(signal.SIGCONT)
        await self.settled_at(relay, here)
        await self.shows_letters(here, "d")
        await self.same_picture(here, lambda: client.picture(self.directory))
        self.assertEqual(client.happened("disconnected"), [])


async def _at_once() -> None:
    """Wait for nothing."""
