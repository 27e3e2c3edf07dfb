# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock clients behind a relay: they attach in every way, and notice no handover."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.trial.unittest import SkipTest

from spicemig.channels import websocket
from spicemig.client.hosts import Address, Network
from spicemig.client.session import Abilities, ViewerSession
from tests.door_clients import DoorNetwork, SpeakerFactory
from tests.peers.harness import Daemon, GtkClient, PeersTestCase, Relay, eventually
from tests.peers.test_attach import WRONG_PASSWORD
from tests.peers.test_handover import LETTERS, STILL, keys_seen, typed
from tests.peers.xscreen import RemoteViewer, XScreen, find, why_no_windows

MOVES = 5


def plain(host: Daemon) -> str:
    """A server's address without TLS."""
    return f"spice://127.0.0.1:{host.port('plain')}"


def tls(host: Daemon) -> str:
    """A server's address with TLS."""
    return f"spice+tls://127.0.0.1:{host.port('tls')}"


class RelayCase(PeersTestCase):
    """A relay, servers and clients."""

    def secret(self, name: str, ticket: str) -> dict:
        """A section that says what ticket is in which file."""
        file = self.directory / name
        file.write_text(ticket + "\n")
        return {"mode": "ticket", "ticket_file": file}

    async def settled(self, relay: Relay, server: Daemon, clients: int = 1) -> None:
        """All clients of the relay are at this server."""
        port = str(server.port("plain")), str(server.port("tls"))

        async def there() -> bool:
            sessions = (await relay.get("/v1/sessions"))["sessions"]
            return len(sessions) == clients and all(
                each["stage"] == "settled" and each["server"].endswith(port) for each in sessions
            )

        await eventually(there, what=f"all clients of the relay are at {server.name}")

    async def undisturbed(self, client: GtkClient) -> None:
        """The client was never disconnected, and its screen never made anew."""
        counts = (await client.stats())["counts"]
        self.assertEqual(counts["primary-create"], 1)
        self.assertNotIn("primary-destroy", counts)
        self.assertEqual(counts.get("disconnected", 0), 0)
        self.assertEqual(client.happened("channel", what="migrating"), [])

    async def ended(self, host: Daemon, migration: str) -> dict:
        """The report of a handover, once it has ended."""

        async def report() -> dict | None:
            found = await host.report(migration)
            return found if found["outcome"] else None

        return await eventually(report, 30, "the handover ends")

    async def sees_keys(self, host: Daemon, codes: list[int]) -> None:
        """The guest saw these keys, each once and in order."""

        async def all_keys() -> bool:
            return len(await keys_seen(host)) >= 2 * len(codes)

        await eventually(all_keys, what="the guest saw all keys")
        self.assertEqual(await keys_seen(host), typed(codes))


class AttachTests(RelayCase):
    """spice-gtk, unmodified, reaches a server through the relay; each side has tickets of its own."""

    async def attached(self, server: str, **where) -> tuple[Daemon, Relay]:
        """The client shows the picture of the guest behind a relay that links to the server in this way."""
        source = await self.daemon("source", options={"auth": self.secret("server-ticket", "barley")})
        auth = self.secret("relay-ticket", "sesame")
        ticket = {"ticket_file": self.directory / "server-ticket"}
        relay = await self.relay(
            {"plain": plain, "tls": tls}[server](source), options={"auth": auth, "relay": ticket}
        )
        client = await self.gtk()
        await client.attach(
            **{name: value(relay) if callable(value) else value for name, value in where.items()},
            password="sesame",
        )
        await self.same_picture(source, lambda: client.picture(self.directory))
        return source, relay

    async def test_plain(self):
        """Plain TCP on both sides."""
        await self.attached("plain", port=lambda relay: relay.port("plain"))

    async def test_tls(self):
        """TLS on both sides, each certificate checked against the authority and the host's name."""
        await self.attached(
            "tls", host="localhost", tls_port=lambda relay: relay.port("tls"), ca_file=str(self.authority.ca)
        )

    async def test_unix(self):
        """A unix socket to the relay, TLS to the server."""
        await self.attached("tls", unix_path=lambda relay: relay.unix)

    async def test_one_port(self):
        """One port takes spice-gtk with TLS and without, and browsers with TLS and without."""
        if websocket.wsproto is None:
            raise SkipTest(websocket.why_not())
        source = await self.daemon("source")
        relay = await self.relay(
            plain(source), options={"listen": {"websocket": "tcp:0:interface=127.0.0.1"}}
        )
        port, ca = relay.port("websocket"), str(self.authority.ca)
        for where in ({"port": port}, {"host": "localhost", "tls_port": port, "ca_file": ca}):
            client = await self.gtk()  # spice-gtk cannot always begin another session at once
            await client.attach(**where)
            await self.same_picture(source, lambda client=client: client.picture(self.directory))
            await client.end()
        for address in (Address("localhost", port), Address("localhost", tls_port=port)):
            viewer = ViewerSession(DoorNetwork(Network(reactor, ca), SpeakerFactory), b"", reactor)
            self.addCleanup(viewer.disconnect)
            await viewer.connect(address)
            await viewer.until(lambda viewer=viewer: viewer.display.marked)
            await self.same_picture(source, viewer.screen)

    async def test_wrong_ticket(self):
        """The server's ticket opens nothing at the relay, and the server hears nothing of it."""
        source = await self.daemon("source", options={"auth": self.secret("server-ticket", "barley")})
        relay = await self.relay(plain(source), options={"auth": self.secret("relay-ticket", "sesame")})
        client = await self.gtk()
        await client.do("connect", port=relay.port("plain"), password="barley")
        events = await eventually(
            lambda: [told for told in client.happened("channel") if told["what"].startswith("error")],
            what="spice-gtk reports an error",
        )
        self.assertEqual((events[0]["what"], events[0]["message"]), ("error-auth", WRONG_PASSWORD))
        self.assertEqual((await source.get("/v1/sessions"))["sessions"], [])


class HandoverTests(RelayCase):
    """The guest moves; clients behind the relay notice nothing."""

    timeout = 240

    async def test_drawing_and_typing(self):
        """
        Five handovers there and back under drawing: the picture is the guest's, every
        key came once and in order, nothing was reconnected or made anew.
        """
        source, target = await self.hosts(demo={"draws_per_second": 100})
        relay = await self.relay(plain(source))
        client = await self.gtk()
        await client.attach(port=relay.port("plain"))
        here, there = source, target
        codes: list[int] = []
        for number in range(MOVES):
            letters = LETTERS[: 4 + number]
            codes += letters
            migration = await here.start_migration(there)
            for code in letters:
                await client.do("key", codes=[code])
            report = await self.ended(here, migration)
            self.assertEqual(report["outcome"], "completed", report)
            self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"])
            here, there = there, here
        codes += STILL
        await client.do("key", codes=STILL)
        await self.sees_keys(here, codes)
        await self.same_picture(here, lambda: client.picture(self.directory))
        await self.settled(relay, here)
        await self.undisturbed(client)

    async def test_all_sorts(self):
        """
        Two spice-gtk, one of them read-only, one on a unix socket, and one that knows nothing
        of migration and has full headers: all move seamlessly, over TLS.
        """
        source, target = await self.hosts(demo={"draws_per_second": 50})
        relay = await self.relay(tls(source))
        port = relay.port("plain")
        clients = {name: await self.gtk(name) for name in ("first", "reader", "local")}
        await clients["first"].attach(port=port)
        await clients["reader"].attach(port=port, read_only=True)
        await clients["local"].attach(unix_path=relay.unix)
        old = Abilities(seamless=False, semi_seamless=False, mini_header=False)
        viewer = await self.viewer(relay.address(), abilities=old)
        for here, there in ((source, target), (target, source)):
            report = await here.migrate(there)
            self.assertEqual(report["outcome"], "completed", report)
            self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"] * 4)
            await self.settled(relay, there, 4)
        await clients["first"].do("key", codes=STILL)
        for client in clients.values():
            await self.same_picture(source, lambda client=client: client.picture(self.directory))
            await self.undisturbed(client)
        await self.same_picture(source, viewer.screen)
        self.assertEqual(viewer.moves, [])

    async def test_follows(self):
        """Who comes after a handover is brought to where the guest is, seen to go there or not."""
        source, target = await self.hosts()
        relay = await self.relay(plain(source), plain(target))
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "completed", report)
        viewer = await self.viewer(relay.address())
        await self.same_picture(target, viewer.screen)
        await self.settled(relay, target)

    async def test_anew(self):
        """Where servers carry no state, the relay makes a new session the client's old one."""
        source, target = await self.hosts(demo={"draws_per_second": 20})
        relay = await self.relay(plain(source))
        client = await self.gtk()
        await client.attach(port=relay.port("plain"))
        for mode, here, there in (("semi-seamless", source, target), ("switch-host", target, source)):
            report = await here.migrate(there, mode=mode)
            self.assertEqual(report["outcome"], "completed", report)
            await self.settled(relay, there)
            await client.do("key", codes=[30])

            async def typed(there: Daemon = there) -> bool:
                return (await keys_seen(there))[-2:] == [("key_down", 30), ("key_up", 158)]

            await eventually(typed, what="the key came to where the guest is")
        await client.do("key", codes=STILL)
        await self.same_picture(source, lambda: client.picture(self.directory), seconds=10)
        await self.undisturbed(client)


class RemoteViewerTests(RelayCase):
    """The stock viewer with its window."""

    async def test_handover(self):
        """It shows the guest through the relay, before and after the guest has moved, and types there."""
        reason = why_no_windows()
        if reason:
            raise SkipTest(reason)
        source, target = await self.hosts()
        relay = await self.relay(plain(source))
        viewer = self.program(RemoteViewer(await self.program(XScreen()).up(), self.directory))
        viewer.open(host="127.0.0.1", port=relay.port("plain"))

        async def shown(host: Daemon) -> tuple[int, int] | None:
            return find(await host.screenshot(), viewer.screen.picture())

        left, top = await eventually(lambda: shown(source), 20, "the guest's picture is in the window")
        report = await source.migrate(target)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"], report)
        await viewer.screen.do("mousemove", str(left + 500), str(top + 400), "click", "1", "key", "a")

        async def typed_there() -> bool:
            return any(each[:2] == ("key_down", 30) for each in await target.inputs())

        await eventually(typed_there, what="the key came to the target")
        await viewer.screen.do("mousemove", "1590", "1190")
        await eventually(lambda: shown(target), 20, "the guest's picture is in the window")
