# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers that announce their guest in a real etcd, and relays that follow it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SkipTest

from spicemig.client.hosts import Address
from spicemig.daemons.etcd_config import why_not
from spicemig.etcd import calls
from spicemig.etcd.announcements import Announcement, key_of
from spicemig.etcd.announcer import Announcer
from spicemig.etcd.follower import Follower
from spicemig.etcd.following import Following
from tests.peers.etcd import PREFIX, Etcd, options
from tests.peers.harness import Daemon, Relay, eventually, why_no
from tests.peers.test_relay import RelayCase, tls

LEASE_SECONDS = 2  # the shortest that etcd grants
SERVER, OTHER = Address("a.example", 5900), Address("b.example", 5900)


def announced(server: Address = SERVER, uuid: int = 1, epoch: int = 1) -> Announcement:
    return Announcement((server,), UUID(int=uuid), epoch)


class EtcdCase(RelayCase):
    """An etcd, servers and relays."""

    async def etcd(self, **more: Any) -> Etcd:
        """A running etcd."""
        reason = why_no("etcd") or why_not()
        if reason:
            raise SkipTest(f"{reason} (Debian: etcd-server)" if "etcd" in reason else reason)
        return await self.program(Etcd(self.directory, **more)).up()

    async def server(self, etcd: Etcd, kind: str, *, name: str | None = None, **more: Any) -> Daemon:
        """A server that announces its guest as the one for everybody."""
        section = options(etcd, announce="*", lease_seconds=LEASE_SECONDS, **more)
        return await self.daemon(kind, name=name, options={"etcd": section})

    async def follower(self, etcd: Etcd, name: str = "relay", **more: Any) -> Relay:
        """A relay that knows nothing but etcd."""
        sections = {"relay": {"routes": "etcd"}, "etcd": options(etcd, **more)}
        relay = Relay(
            self.short_directory,
            name=name,
            pair=self.authority.sign(name),
            ca=self.authority.ca,
            options=sections,
        )
        return await self.program(relay).up()

    async def routes(self, relay: Relay) -> dict[str, list[str]]:
        return (await relay.get("/v1/status"))["routes"]

    async def leads_to(self, relay: Relay, *servers: Daemon, seconds: float = 10.0) -> None:
        """The relay brings clients to this server, or nowhere."""
        ports = [str(server.port("tls")) for server in servers]

        async def does() -> bool:
            found = await self.routes(relay)
            return [each.rpartition(":")[2] for each in found.get("*", [])] == ports

        await eventually(does, seconds, f"the relay leads to {[server.name for server in servers]}")

    async def etcd_status(self, daemon: Daemon, **wanted: Any) -> dict[str, Any]:
        """What a daemon says of etcd, once it says this."""

        async def says() -> dict[str, Any] | None:
            said = (await daemon.get("/v1/status"))["etcd"]
            return said if wanted.items() <= said.items() else None

        return await eventually(says, what=f"{daemon.name} says {wanted}")

    def said(self, daemon: Daemon, words: str) -> int:
        """How many lines of a log have these words."""
        return sum(words in line for line in daemon.lines)


class HandoverTests(EtcdCase):
    """The guest moves, and everybody who comes later is brought to where it is."""

    async def test_handover(self):
        """
        A client behind a relay moves with the guest and notices nothing; who comes by
        another relay, which had no client of it, finds the guest at the target; and so back.
        """
        etcd = await self.etcd()
        source, target = await self.server(etcd, "source"), await self.server(etcd, "target")
        first, second = await self.follower(etcd, "first"), await self.follower(etcd, "second")
        for relay in (first, second):
            await self.leads_to(relay, source)
        client = await self.gtk()
        await client.attach(port=first.port("plain"))
        for number, (here, there) in enumerate([(source, target), (target, source)], 2):
            report = await here.migrate(there)
            self.assertEqual(report["outcome"], "completed", report)
            await self.settled(first, there)
            await self.leads_to(second, there)
            value = json.loads(await etcd.value("*"))
            self.assertEqual((value["servers"], value["epoch"]), ([tls(there)], number))
            viewer = await self.viewer(second.address())
            await self.same_picture(there, viewer.screen)
            viewer.disconnect()
            await self.etcd_status(there, announced={"*": None})
            await self.etcd_status(here, announced={"*": "the guest is not owned here"})
        await self.same_picture(source, lambda: client.picture(self.directory))
        await self.undisturbed(client)

    async def test_without_etcd(self):
        """A handover does not wait for etcd: one that is away changes nothing about it."""
        etcd = await self.etcd()
        source, target = await self.server(etcd, "source"), await self.server(etcd, "target")
        relay = await self.follower(etcd)
        await self.leads_to(relay, source)
        viewer = await self.viewer(relay.address())
        await etcd.kill()
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "completed", report)
        await self.settled(relay, target)
        await self.same_picture(target, viewer.screen)
        await etcd.up()

        async def at_target() -> bool:
            value = await etcd.value("*")
            return value is not None and json.loads(value)["servers"] == [tls(target)]

        await eventually(at_target, what="the target has announced the guest")
        await self.leads_to(relay, target)


class LossTests(EtcdCase):
    """Something is gone."""

    async def test_server_killed(self):
        """
        The guest of a server that dies is not announced for longer than the lease; its client
        is held, and goes on at the server that announces the guest then.
        """
        etcd = await self.etcd()
        source = await self.server(etcd, "source")
        relay = await self.follower(etcd)
        await self.leads_to(relay, source)
        client = await self.gtk()
        await client.attach(port=relay.port("plain"))
        source.kill()
        await source.when_ended()
        await self.leads_to(relay, seconds=2 * LEASE_SECONDS + 2)
        self.assertIsNone(await etcd.value("*"))
        again = await self.server(etcd, "source", name="again")
        await self.leads_to(relay, again)
        await self.settled(relay, again)
        await self.same_picture(again, lambda: client.picture(self.directory), 10)
        await self.undisturbed(client)

    async def test_server_ends(self):
        """A server that ends takes its announcement back at once."""
        etcd = await self.etcd()
        source = await self.daemon(
            "source", options={"etcd": options(etcd, announce="desk.example 5910", lease_seconds=3600)}
        )
        await self.etcd_status(source, announced={"desk.example": None, "5910": None})
        self.assertIsNotNone(await etcd.value("5910"))
        await source.end()
        self.assertEqual([await etcd.value(name) for name in ("desk.example", "5910")], [None, None])

    async def test_etcd_killed(self):
        """
        While etcd is away, clients go on, and new ones are brought to where the guest was last.
        It may come back as it was or with nothing: the guest is announced again.
        """
        etcd = await self.etcd()
        source, relay = await self.server(etcd, "source"), await self.follower(etcd)
        await self.leads_to(relay, source)
        viewer = await self.viewer(relay.address())
        for lost in (False, True):
            await etcd.kill()
            for daemon in (source, relay):
                await self.etcd_status(daemon, connected=False)
            newcomer = await self.viewer(relay.address())
            newcomer.disconnect()
            if lost:
                etcd.lose_data()
            await etcd.up()
            for daemon in (source, relay):
                await self.etcd_status(daemon, connected=True)
            await self.leads_to(relay, source, seconds=0)
            await eventually(lambda: etcd.value("*"), what="the guest is announced again")
            await self.leads_to(relay, source, seconds=0)
        await self.same_picture(source, viewer.screen)
        for daemon in (source, relay):
            self.assertEqual(self.said(daemon, "etcd is away"), 2)
            self.assertEqual(self.said(daemon, "etcd answers"), 3)


class AccessTests(EtcdCase):
    """Who may ask etcd."""

    async def test_users(self):
        """
        With TLS and a password servers announce and relays follow; with a wrong one they
        say so, and nobody learns it.
        """
        etcd = await self.etcd(pair=self.authority.sign("etcd"), ca=self.authority.ca)
        await etcd.add_user("spicemig", "sesame")
        (self.directory / "right").write_text("sesame\n")
        (self.directory / "wrong").write_text("barley\n")
        right = {"user": "spicemig", "password_file": self.directory / "right"}
        wrong = {"user": "spicemig", "password_file": self.directory / "wrong"}
        source, relay = await self.server(etcd, "source", **right), await self.follower(etcd, **right)
        await self.leads_to(relay, source)
        stranger = await self.follower(etcd, "stranger", **wrong)
        await eventually(lambda: self.said(stranger, "etcd is away"), what="it is logged")
        said = await self.etcd_status(stranger)
        self.assertIn("invalid user ID or password", said["error"])
        for daemon in (source, relay, stranger):
            for secret in ("sesame", "barley"):
                self.assertEqual(self.said(daemon, secret), 0)
        await etcd.kill()  # and with it all tokens
        await self.etcd_status(relay, connected=False)
        await etcd.up()
        await self.etcd_status(relay, connected=True)

    async def test_unknown_authority(self):
        """An etcd whose certificate is not of ca is not told anything."""
        etcd = await self.etcd(pair=self.authority.sign("etcd"), ca=self.authority.ca)
        relay = await self.follower(etcd, ca=None)
        await eventually(lambda: self.said(relay, "etcd is away"), what="it is logged")
        self.assertIn("certificate", (await self.etcd_status(relay, connected=False))["error"])


class PrecedenceTests(EtcdCase):
    """Who announces a guest, when several hosts would."""

    async def asked(self, etcd: Etcd, name: str, own: Announcement) -> Announcer:
        """A host that has tried to announce this once."""
        announcer = Announcer(etcd.gateway, PREFIX, [name], LEASE_SECONDS, reactor, lambda: own)
        self.addCleanup(lambda: ensureDeferred(announcer.stop()))
        announcer.contact.start()
        await eventually(lambda: announcer.contact.connected, what="it has tried")
        return announcer

    async def test_late_source(self):
        """A source that is late does not take the place of the target, and does not take it away."""
        etcd = await self.etcd()
        target = await self.asked(etcd, "desk", announced(OTHER, 2, epoch=5))
        source = await self.asked(etcd, "desk", announced(SERVER, 1, epoch=4))
        self.assertEqual(target.names, {"desk": ""})
        self.assertIn("newer epoch 5", source.names["desk"])
        await source.stop()
        self.assertEqual(await etcd.value("desk"), announced(OTHER, 2, epoch=5).pack())

    async def test_newer(self):
        """A newer owner takes the place; what the older one takes back then is not its own any more."""
        etcd = await self.etcd()
        source = await self.asked(etcd, "desk", announced(SERVER, 1, epoch=4))
        await self.asked(etcd, "desk", announced(OTHER, 2, epoch=5))
        await source.stop()
        self.assertEqual(await etcd.value("desk"), announced(OTHER, 2, epoch=5).pack())

    async def test_between(self):
        """A host that has looked before the newer owner came, and puts after it, does not succeed."""
        etcd = await self.etcd()
        key = key_of(PREFIX, "desk")
        ask = etcd.gateway.ask
        lease = calls.granted(await ask(calls.grant(60)))
        old, new = announced(epoch=4).pack(), announced(OTHER, epoch=5).pack()
        for value, done in ((new, True), (old, False)):
            put = calls.put_if_unchanged(key, value, lease, 0)  # both have seen nothing there
            self.assertEqual(calls.succeeded(await ask(put)), done)
        self.assertEqual(await etcd.value("desk"), new)

    async def test_same_host_again(self):
        """A host that starts again has its announcement at once, and under its new lease."""
        etcd = await self.etcd()
        key = key_of(PREFIX, "desk")
        lease = calls.granted(await etcd.gateway.ask(calls.grant(60)))
        await etcd.gateway.ask(calls.put_if_unchanged(key, announced().pack(), lease, 0))
        again = await self.asked(etcd, "desk", announced())
        self.assertEqual(again.names, {"desk": ""})
        await etcd.gateway.ask(calls.revoke(lease))
        self.assertEqual(await etcd.value("desk"), announced().pack())

    async def test_other_guest(self):
        """Two guests of one name: the first stays, and the second says which it is."""
        etcd = await self.etcd()
        await self.asked(etcd, "desk", announced(SERVER, 1))
        second = await self.asked(etcd, "desk", announced(OTHER, 2))
        self.assertIn("spice://a.example:5900 as the guest of another host", second.names["desk"])

    async def test_removed(self):
        """An announcement that somebody removes comes back."""
        etcd = await self.etcd()
        announcer = await self.asked(etcd, "desk", announced())
        await etcd.gateway.ask(calls.revoke(announcer._lease))
        await eventually(lambda: etcd.value("desk"), what="it is back")


class WatchTests(EtcdCase):
    """How a relay follows."""

    async def test_compacted(self):
        """Etcd forgets what a watch has not heard yet: the watch is over, and everything is read again."""
        etcd = await self.etcd()
        ask = etcd.gateway.ask
        following = Following(PREFIX)
        for epoch in range(1, 6):
            await self.put(etcd, "desk", announced(epoch=epoch).pack())
            if epoch == 1:
                following.read(await ask(following.reading()))
        await ask(calls.Call("/v3/kv/compaction", {"revision": "5"}))
        goes_on: list[bool] = []

        def hear(line: bytes) -> bool:
            goes_on.append(following.hear(line))
            return goes_on[-1]

        await etcd.gateway.listen(following.watching(), hear, 5)
        self.assertEqual(goes_on[-1:], [False])
        seen: list[dict[str, Announcement]] = []
        follower = Follower(etcd.gateway, following, reactor, seen.append)
        self.addCleanup(follower.contact.stop)
        follower.contact.start()
        await eventually(lambda: seen and seen[-1]["desk"].epoch == 5, what="the newest is known")

    async def put(self, etcd: Etcd, name: str, value: bytes) -> None:
        """Put a key, whatever it was before."""
        key = key_of(PREFIX, name)
        found = calls.entries(await etcd.gateway.ask(calls.read(key)))
        lease = calls.granted(await etcd.gateway.ask(calls.grant(60)))
        revision = found[0].mod_revision if found else 0
        put = calls.put_if_unchanged(key, value, lease, revision)
        self.assertTrue(calls.succeeded(await etcd.gateway.ask(put)))

    async def test_wrong_value(self):
        """What is no announcement is logged once, and harms nobody else."""
        etcd = await self.etcd()
        source, relay = await self.server(etcd, "source"), await self.follower(etcd)
        await self.leads_to(relay, source)
        for name in ("desk", "office"):
            await self.put(etcd, name, b"hello")
        ignored = {"desk": "it is no JSON", "office": "it is no JSON"}
        await self.etcd_status(relay, ignored=ignored, guests=1)
        self.assertEqual(self.said(relay, "ignored: what etcd says of 'desk'"), 1)
        await self.leads_to(relay, source)
        self.assertNotIn("office", await self.routes(relay))
