# SPDX-License-Identifier: LGPL-2.1-or-later
"""What spice-gtk sees behind a relay when programs are killed or stand still, or lines are cut or stalled."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.client import ResponseNeverReceived

from spicemig.client.hosts import Address, Network
from spicemig.relay.connection import TCP_OPTIONS, RelayConnection
from tests.peers.cable import CABLES, TO_CLIENT, TO_SERVER, Cable
from tests.peers.harness import Daemon, GtkClient, Relay, eventually, spicemig
from tests.peers.test_faults import owners
from tests.peers.test_handover import keys_seen
from tests.peers.test_relay import RelayCase, plain

KEY = [("key_down", 30), ("key_up", 158)]
QUICK = {"relay": {"silence_seconds": 2, "link_seconds": 1}}  # a server that stands still is missed soon
HELD_BYTES = 40_000_000  # by a relay for a client that reads nothing, buffers of its memory and all


def resident_bytes(pid: int) -> int:
    """The memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


class FaultCase(RelayCase):
    """A relay before two hosts, with one spice-gtk that is to notice nothing."""

    timeout = 180
    migration: dict[str, Any] = {"stage_timeout_seconds": "3"}

    async def source(self, kill_at: str | None = None, **options: Any) -> Daemon:
        """The host that begins with the guest."""
        return await self.daemon("source", options={"migration": self.migration, **options}, kill_at=kill_at)

    async def target(self, kill_at: str | None = None) -> Daemon:
        """The other one, which clients reach through a cable if there is one."""
        migration = {**self.migration, "public_host": CABLES}
        return await self.daemon("target", options={"migration": migration}, kill_at=kill_at)

    async def again(self, daemon: Daemon) -> Daemon:
        """A daemon that was killed, once more, with its files and ports."""
        listen = {"plain": f"tcp:{daemon.port('plain')}:interface=127.0.0.1"}
        migration = {**self.migration, "listen": f"tcp:{daemon.port('migration')}:interface=127.0.0.1"}
        options = {"listen": listen, "migration": migration}
        return await self.daemon(daemon.kind, name=daemon.name, options=options)

    async def cable(self, host: Daemon) -> Cable:
        """A line to a host."""
        return await self.program(Cable(reactor, host.port("plain"))).up()

    async def client_of(self, relay: Relay) -> GtkClient:
        """spice-gtk with the picture."""
        client = await self.gtk()
        await client.attach(port=relay.port("plain"))
        return client

    async def stage(self, relay: Relay, *stages: str) -> dict[str, Any]:
        """Wait until the relay's only session has come to a stage; what is said of it."""

        async def reached() -> dict[str, Any] | None:
            (session,) = (await relay.get("/v1/sessions"))["sessions"]
            return session if session["stage"] in stages else None

        return await eventually(reached, 20, f"the session is {' or '.join(stages)}")

    async def goes_on(self, client: GtkClient, owner: Daemon, *, typed: int = 0) -> None:
        """The client shows the picture, types, and has noticed nothing; ``typed`` keys had come before."""

        async def owns() -> bool:
            return (await owner.get("/v1/status"))["owner"]

        await eventually(owns, 20, f"{owner.name} owns the guest")
        await self.same_picture(owner, lambda: client.picture(self.directory), seconds=20)
        await client.do("key", codes=[30])

        async def came() -> bool:
            return len(await keys_seen(owner)) >= 2 * (typed + 1)

        await eventually(came, what="the key came to the guest")
        self.assertEqual(await keys_seen(owner), KEY * (typed + 1))
        await self.same_picture(owner, lambda: client.picture(self.directory), seconds=20)
        await self.undisturbed(client)

    async def begin(self, source: Daemon, target: Daemon) -> str:
        """Begin a handover, in which one of both may fall at once."""
        try:
            return await source.start_migration(target)
        except ResponseNeverReceived:
            return ""


class RelayKilledTests(FaultCase):
    """The relay is killed and started again: its clients are disconnected, and may come again."""

    async def killed(self, relay: Relay, client: GtkClient) -> None:
        """spice-gtk sees the end of its connections at once, and connects to the next relay."""
        port = relay.port("plain")
        relay.kill()
        await relay.when_ended()
        await eventually(lambda: client.happened("disconnected"), what="spice-gtk is disconnected")
        (told,) = {event["what"] for event in client.happened("channel", channel="main:0")} - {"opened"}
        self.assertIn(told, ("closed", "error-io"))
        listen = {"plain": f"tcp:{port}:interface=127.0.0.1"}
        await self.relay(*relay.servers, options={"listen": listen})
        self.client = await self.gtk("again")
        await self.client.attach(port=port)

    async def test_at_rest(self):
        """Nothing of the guest is lost."""
        source = await self.source()
        relay = await self.relay(plain(source))
        client = await self.client_of(relay)
        await client.do("key", codes=[30])
        await eventually(lambda: keys_seen(source), what="the key came to the guest")
        await self.killed(relay, client)
        await self.goes_on(self.client, source, typed=1)
        self.assertEqual(len((await source.get("/v1/sessions"))["sessions"]), 1)

    async def test_in_a_handover(self):
        """The guest moves on, and who comes again is brought to it."""
        source, target = await self.source("source:precopy=STOP"), await self.target()
        relay = await self.relay(plain(source), plain(target))
        client = await self.client_of(relay)
        migration = await self.begin(source, target)
        await eventually(lambda: source.stopped, what="the source is in the handover")
        relay.kill()
        await relay.when_ended()
        source.kill(signal.SIGCONT)
        self.assertEqual((await self.ended(source, migration))["outcome"], "completed")
        await self.killed(relay, client)
        await self.goes_on(self.client, target)


class ServerKilledTests(FaultCase):
    """Servers are killed: their clients are held, or go on where the guest is."""

    async def test_at_rest(self):
        """A server that is started again finds its client waiting."""
        source = await self.source()
        relay = await self.relay(plain(source))
        client = await self.client_of(relay)
        source.kill()
        await source.when_ended()
        await self.stage(relay, "renewing")
        await client.do("key", codes=[30])  # it is held for the server, too
        source = await self.again(source)
        await self.settled(relay, source)
        await self.goes_on(client, source, typed=1)

    async def struck(self, kill_at: str) -> tuple[Daemon, Daemon, Relay, GtkClient]:
        """A handover in which a host kills itself at a stage."""
        side = kill_at.partition(":")[0]
        source = await self.source(kill_at if side == "source" else None)
        target = await self.target(kill_at if side == "target" else None)
        await self.cable(target)
        relay = await self.relay(plain(source), plain(target))
        client = await self.client_of(relay)
        await self.begin(source, target)
        victim = source if side == "source" else target
        await victim.when_ended(20)
        self.assertEqual(victim.status, -signal.SIGKILL)
        return source, target, relay, client

    async def source_killed(self, stage: str) -> None:
        """Before it has given the guest away: the client waits for it."""
        source, target, relay, client = await self.struck(f"source:{stage}")
        await self.stage(relay, "renewing")
        self.assertEqual(await owners(target), [])
        source = await self.again(source)
        await self.settled(relay, source)
        await self.goes_on(client, source)

    async def test_source_at_invite(self):
        """The client is invited, or about to be."""
        await self.source_killed("invite")

    async def test_source_at_precopy(self):
        """The client is linked to both."""
        await self.source_killed("precopy")

    async def test_source_at_stop(self):
        """The guest stands still."""
        await self.source_killed("stop")

    async def test_source_at_commit(self):
        """The source is about to give the guest away."""
        await self.source_killed("commit")

    async def test_source_at_switch(self):
        """The target owns the guest: the client begins anew there, at once."""
        source, target, relay, client = await self.struck("source:switch")
        await self.goes_on(client, target)
        self.assertEqual((await self.stage(relay, "settled"))["renewals"], 1)

    async def target_killed(self, stage: str) -> None:
        """Before it owns the guest: the client stays where it is."""
        source, target, relay, client = await self.struck(f"target:{stage}")
        await self.goes_on(client, source)
        session = await self.stage(relay, "settled")
        self.assertEqual((session["handovers"], session["renewals"]), (0, 0))

    async def test_target_at_invite(self):
        """The client is linking to it."""
        await self.target_killed("invite")

    async def test_target_at_precopy(self):
        """The client is linked to both."""
        await self.target_killed("precopy")

    async def test_target_at_stop(self):
        """The guest stands still."""
        await self.target_killed("stop")

    async def test_target_at_ready(self):
        """It has everything."""
        await self.target_killed("ready")

    async def test_target_at_commit(self):
        """It is being given the guest: the picture stands still until it says that it never had it."""
        source, target, relay, client = await self.struck("target:commit")
        self.assertEqual(await owners(source), [])
        await self.undisturbed(client)
        await self.again(target)
        await self.goes_on(client, source)

    async def test_target_at_switch(self):
        """It owned the guest: the picture stands still until the operator has the source take it back."""
        source, target, relay, client = await self.struck("target:switch")
        await self.undisturbed(client)

        async def recovered() -> bool:
            _, _, status = await spicemig("--control", str(source.control), "recover")
            return status == 0

        await eventually(recovered, 30, "the source has taken the guest back")
        await self.goes_on(client, source)


class CutTests(FaultCase):
    """The line between relay and server is cut or stalled, at rest."""

    async def at_rest(
        self, demo: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Daemon, Cable, Relay, GtkClient]:
        """A client, and the line to its server."""
        source = await self.source(demo=demo or {})
        cable = await self.cable(source)
        relay = await self.relay(f"spice://{CABLES}:{cable.port}", options=options)
        client = await self.client_of(relay)
        return source, cable, relay, client

    async def renewed(self, relay: Relay, times: int = 1) -> None:
        """The session is at its server again."""

        async def done() -> bool:
            session = await self.stage(relay, "settled")
            return session["renewals"] == times

        await eventually(done, 20, "the session is renewed")

    async def test_broken(self):
        """Connections break, and can be made anew: the client goes on at once."""
        source, cable, relay, client = await self.at_rest()
        cable.cut()
        await self.renewed(relay)
        await self.goes_on(client, source)

    async def test_broken_while_drawing(self):
        """In the middle of whatever message: the same."""
        _source, cable, relay, client = await self.at_rest({"draws_per_second": 500})
        cable.tear()
        await eventually(lambda: cable.stalled, what="a message is under way")
        cable.cut()
        cable.resume()
        await self.renewed(relay)
        drawn = (await client.stats())["counts"]["invalidate"]

        async def goes_on() -> bool:
            return (await client.stats())["counts"]["invalidate"] > drawn + 100

        await eventually(goes_on, 20, "the picture at spice-gtk changes")
        await self.undisturbed(client)

    async def test_taken_out(self):
        """Connections break, and cannot be made anew for a while: the client is held."""
        source, cable, relay, client = await self.at_rest()
        await cable.drop()
        cable.cut()
        await self.stage(relay, "renewing")
        await client.do("key", codes=[30])
        await cable.up()
        await self.renewed(relay)
        await self.goes_on(client, source, typed=1)

    async def test_given_up(self):
        """If the server does not come back, the client is disconnected after the time that is set."""
        source, cable, relay, client = await self.at_rest(relay={"hold_seconds": 2})
        await cable.drop()
        cable.cut()
        await eventually(lambda: client.happened("disconnected"), 20, "spice-gtk is disconnected")
        self.assertEqual((await relay.get("/v1/sessions"))["sessions"], [])

    async def test_stalled(self):
        """Nothing comes through, and nothing breaks: the same, once it is noticed."""
        source, cable, relay, client = await self.at_rest(**QUICK)
        for times, directions in enumerate(((TO_SERVER, TO_CLIENT), (TO_CLIENT,)), 1):
            cable.stall(*directions)
            await self.stage(relay, "renewing")
            await client.do("key", codes=[30])
            cable.resume()
            await self.renewed(relay, times)

            async def came(times: int = times) -> bool:
                return await keys_seen(source) == KEY * times

            await eventually(came, what="the key came to the guest")
        await self.goes_on(client, source, typed=2)

    async def test_server_stopped(self):
        """A server that stands still and goes on again: the same."""
        source, cable, relay, client = await self.at_rest(**QUICK)
        source.kill(signal.SIGSTOP)
        await self.stage(relay, "renewing")
        source.kill(signal.SIGCONT)
        await self.renewed(relay)
        await self.goes_on(client, source)


class CutInAHandoverTests(FaultCase):
    """One of the relay's two lines is cut or stalled when the client is linked to both hosts."""

    async def linked(self, **options: Any) -> None:
        """The source stops in the middle of a handover, with the client linked to both hosts."""
        self.here, self.there = await self.source("source:precopy=STOP"), await self.target()
        self.to_source, self.to_target = await self.cable(self.here), await self.cable(self.there)
        servers = [f"spice://{CABLES}:{cable.port}" for cable in (self.to_source, self.to_target)]
        self.through = await self.relay(*servers, options=options)
        self.client = await self.client_of(self.through)
        self.handover = await self.begin(self.here, self.there)
        await eventually(lambda: self.here.stopped, what="the source is in the handover")
        await self.stage(self.through, "linked")

    async def completed(self) -> None:
        """The source goes on, and the guest moves."""
        self.here.kill(signal.SIGCONT)
        report = await self.ended(self.here, self.handover)
        self.assertEqual(report["outcome"], "completed", report)

    async def test_target_broken(self):
        """The links to the target break: the client begins anew there when the guest has moved."""
        await self.linked()
        self.to_target.cut()
        await self.stage(self.through, "settled")
        await self.completed()
        await self.goes_on(self.client, self.there)

    async def test_target_taken_out(self):
        """The target cannot be reached for a while: the client is held, and begins anew there."""
        await self.linked()
        await self.to_target.drop()
        self.to_target.cut()
        await self.stage(self.through, "settled")
        await self.completed()
        await self.stage(self.through, "renewing")
        await self.client.do("key", codes=[30])
        await self.to_target.up()
        await self.settled(self.through, self.there)
        await self.goes_on(self.client, self.there, typed=1)

    async def test_target_stalled(self):
        """The line to the target stands still: the same, once it is noticed."""
        await self.linked(**QUICK)
        self.to_target.stall()
        self.here.kill(signal.SIGCONT)
        await self.stage(self.through, "renewing")
        await self.client.do("key", codes=[30])
        self.to_target.resume()
        await self.settled(self.through, self.there)
        await self.goes_on(self.client, self.there, typed=1)

    async def test_source_broken(self):
        """The connections to the source break: the client is held until the guest has moved."""
        await self.linked(**QUICK)
        self.to_source.cut()
        await self.stage(self.through, "renewing")
        await self.completed()
        await self.settled(self.through, self.there)
        await self.goes_on(self.client, self.there)

    async def test_source_stalled(self):
        """The line to the source stands still: the client begins anew at the target, once it is noticed."""
        await self.linked(**QUICK)
        self.to_source.stall()
        self.here.kill(signal.SIGCONT)
        await self.settled(self.through, self.there)
        await self.goes_on(self.client, self.there)


class LineTests(FaultCase):
    """The system is asked to notice peers that cannot be reached."""

    async def test_options(self):
        """All TCP connections of a relay have a limit for silence, over TLS and without, on both sides."""
        made: list[RelayConnection] = []

        class Kept(RelayConnection):
            def connectionMade(self) -> None:
                super().connectionMade()
                made.append(self)

        pair = self.authority.sign("relay")
        context = ssl.DefaultOpenSSLContextFactory(str(pair.key), str(pair.certificate))
        factory = Factory.forProtocol(Kept)
        factory.noisy = False
        network = Network(reactor, str(self.authority.ca))
        for secure in (False, True):
            listening = reactor.listenTCP(
                0, TLSMemoryBIOFactory(context, False, factory) if secure else factory, interface="127.0.0.1"
            )
            self.addCleanup(listening.stopListening)
            port = listening.getHost().port
            address = Address("127.0.0.1", 0, port) if secure else Address("127.0.0.1", port)
            await network(address, secure).connect(factory)
        await eventually(lambda: len(made) == 4, what="both sides are connected")
        for connection in made:
            self.addCleanup(connection.abort)
            line = connection.transport.socket
            self.assertTrue(line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            for name, value in TCP_OPTIONS.items():
                option = getattr(socket, name)
                self.assertEqual(line.getsockopt(socket.IPPROTO_TCP, option), value, name)


class ClientStalledTests(FaultCase):
    """The line between client and relay stands still."""

    async def test_drawing(self):
        """The relay holds little for a client that takes nothing, and lets it go in finite time."""
        source = await self.daemon("source", options={"demo": {"draws_per_second": 100}})
        relay = await self.relay(plain(source))
        port = relay.port("plain")
        other = await self.client_of(relay)
        cable = await self.program(Cable(reactor, port)).up()
        stalled = await self.gtk("stalled")
        await stalled.attach(host=CABLES, port=port)
        before = resident_bytes(relay.pid)
        cable.stall()

        async def alone() -> bool:
            return len((await relay.get("/v1/sessions"))["sessions"]) == 1

        # the server gives up after 30 to 45 s, and again when it was linked anew
        await eventually(alone, 110, "the relay has let the client go")
        self.assertLess(resident_bytes(relay.pid) - before, HELD_BYTES)
        self.assertEqual(len((await source.get("/v1/sessions"))["sessions"]), 1)
        cable.resume()
        await eventually(lambda: stalled.happened("disconnected"), what="spice-gtk is disconnected")
        await self.undisturbed(other)


class RestartedTests(FaultCase):
    """A relay whose port systemd holds is restarted, and its clients come again by themselves."""

    async def activated(self, source: Daemon, passed: socket.socket) -> Relay:
        """A relay that systemd has started, with a socket that listens already."""
        options = {"listen": {"plain": "systemd:domain=INET:index=0"}}
        relay = Relay(self.short_directory, plain(source), options=options)
        relay.passed = passed
        return await self.program(relay).up()

    async def test_restarted(self):
        """spice-gtk goes on in a new session, with the guest's picture; nobody had to do anything."""
        source = await self.source()
        passed = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(passed.close)
        relay = await self.activated(source, passed)
        client = await self.client_of(relay)
        await client.do("key", codes=[30])
        await eventually(lambda: keys_seen(source), what="the key came to the guest")
        relay.kill(signal.SIGTERM)
        await relay.when_ended()
        relay = await self.activated(source, passed)
        await self.settled(relay, source)
        await self.same_picture(source, lambda: client.picture(self.directory), seconds=20)
        await client.do("key", codes=[30])
        await self.sees_keys(source, [30, 30])
        self.assertEqual(client.happened("disconnected"), [])
