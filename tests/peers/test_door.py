# SPDX-License-Identifier: LGPL-2.1-or-later
"""One port for everything, at servers and at relays, and viewers that are told to use it as their proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from twisted.internet import reactor, ssl
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SkipTest

from spicemig.channels import websocket
from spicemig.client.hosts import Address, Network
from spicemig.client.session import ViewerSession
from tests.door_clients import DoorNetwork, SpeakerFactory, TunnellerFactory
from tests.peers.browser import PORT
from tests.peers.harness import Daemon, Relay, eventually
from tests.peers.test_handover import keys_seen, typed
from tests.peers.test_relay import RelayCase, plain
from tests.peers.xscreen import RemoteViewer, XScreen, find, why_no_windows

DESK = "desk.example"  # found nowhere but in the table of routes
Layer = Callable[[Any], Any]


class DoorCase(RelayCase):
    """Tests of the port for everything."""

    timeout = 240

    def setUp(self) -> None:
        if websocket.wsproto is None:
            raise SkipTest(websocket.why_not())
        super().setUp()

    async def named(self, *hosts: Daemon, ticket: str = "") -> Relay:
        """A relay that has a route by name only, and a certificate for the name."""
        options = {
            "listen": PORT,
            "relay": {"routes": f"{DESK}:5900 " + " ".join(plain(host) for host in hosts)},
            **({"auth": self.secret("relay-ticket", ticket)} if ticket else {}),
        }
        pair = self.authority.sign("relay", hosts=(DESK, "localhost", "127.0.0.1"))
        relay = Relay(self.short_directory, pair=pair, ca=self.authority.ca, options=options)
        return await self.program(relay).up()

    def proxy(self, host: Daemon) -> str:
        """What a viewer's proxy setting says."""
        return f"http://127.0.0.1:{host.port('websocket')}"


class WaysTests(DoorCase):
    """Our own client, which needs nothing installed, in every way that there is."""

    def ways(self, name: str) -> Iterator[tuple[bool, tuple[Layer, ...]]]:
        """SPICE or WebSocket, over TLS or not; and after CONNECT (that is told) or not, over TLS or not."""
        authority = ssl.Certificate.loadPEM(self.authority.ca.read_bytes())
        offered = [b"h2", b"http/1.1"]  # as browsers do

        def tls(host: str) -> Layer:
            options = ssl.optionsForClientTLS(host, authority, acceptableProtocols=offered)
            return lambda factory: TLSMemoryBIOFactory(options, True, factory)

        def tunnel(factory: Any) -> Any:
            return TunnellerFactory(factory, f"{DESK}:5900")

        for over_websocket, over_tls in product((False, True), repeat=2):
            inner = (*((SpeakerFactory,) if over_websocket else ()), *((tls(name),) if over_tls else ()))
            yield False, inner
            yield True, (*inner, tunnel)
            yield True, (*inner, tunnel, tls("localhost"))

    async def seen(self, host: Daemon, guest: Daemon, *layers: Layer) -> None:
        """A client that comes in this way shows the guest, and types."""
        network = DoorNetwork(Network(reactor), *layers)
        viewer = ViewerSession(network, b"", reactor)
        self.addCleanup(viewer.disconnect)
        await viewer.connect(Address("localhost", host.port("websocket")))
        await viewer.until(lambda: viewer.display.marked)
        await self.same_picture(guest, viewer.screen)
        before = len(await keys_seen(guest))
        viewer.type_keys(30)

        async def came() -> bool:
            return len(await keys_seen(guest)) == before + 2

        await eventually(came, what="the key came to the guest")
        await viewer.disconnect()

    async def test_server(self):
        """All ways lead to a server's guest."""
        source = await self.daemon("source", options={"listen": PORT})
        for _named, way in self.ways("localhost"):
            await self.seen(source, source, *way)

    async def test_relay(self):
        """At a relay, where a name is needed, those lead to the guest that name it."""
        source = await self.daemon("source")
        relay = await self.named(source)
        for named, way in self.ways(DESK):
            if named:
                await self.seen(relay, source, *way)


class GtkTests(DoorCase):
    """spice-gtk with its proxy setting, as it is."""

    async def test_relay(self):
        """The name is the relay's to know; a handover behind it is not noticed."""
        source, target = await self.hosts(demo={"draws_per_second": 50})
        relay = await self.named(source, ticket="sesame")
        client = await self.gtk()
        await client.attach(host=DESK, port=5900, proxy=self.proxy(relay), password="sesame")
        await client.do("key", codes=[30])
        report = await source.migrate(target)
        self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"], report)
        await self.settled(relay, target)
        await client.do("key", codes=[48])
        await self.sees_keys(target, [30, 48])
        await client.do("key", codes=[57])  # the drawing stops
        self.assertEqual(client.happened("channel", what="migrating"), [])
        self.assertEqual((await client.stats())["counts"]["primary-create"], 1)

    async def test_tls(self):
        """Inside, TLS is the relay's own, with the name that was asked for in its certificate."""
        source = await self.daemon("source")
        relay = await self.named(source)
        client = await self.gtk()
        ca = str(self.authority.ca)
        await client.attach(host=DESK, tls_port=5900, proxy=self.proxy(relay), ca_file=ca)
        await self.same_picture(source, lambda: client.picture(self.directory))

    async def test_nowhere(self):
        """A name without a route is an error that the viewer reports."""
        source = await self.daemon("source")
        relay = await self.named(source)
        client = await self.gtk()
        await client.do("connect", host="other.example", port=5900, proxy=self.proxy(relay))
        errors = await eventually(
            lambda: [told for told in client.happened("channel") if told["what"].startswith("error")],
            what="spice-gtk reports an error",
        )
        self.assertEqual(errors[0]["what"], "error-connect")
        self.assertIn("404", errors[0]["message"])
        self.assertEqual((await source.get("/v1/sessions"))["sessions"], [])

    async def test_server(self):
        """A server has one guest, whatever it is called."""
        source = await self.daemon("source", options={"listen": PORT})
        client = await self.gtk()
        await client.attach(host="anything.example", port=1, proxy=self.proxy(source))
        await client.do("key", codes=[30])
        await self.sees_keys(source, [30])
        await self.same_picture(source, lambda: client.picture(self.directory))


class RemoteViewerTests(DoorCase):
    """remote-viewer behind a firewall."""

    async def shown(self, source: Daemon, viewer: RemoteViewer) -> None:
        """It shows the guest, and types."""

        async def found() -> tuple[int, int] | None:
            return find(await source.screenshot(), viewer.screen.picture())

        left, top = await eventually(found, 20, "the guest's picture is in the window")
        await viewer.screen.do("mousemove", str(left + 500), str(top + 400), "click", "1", "key", "a")

        async def came() -> bool:
            return await keys_seen(source) == typed([30])

        await eventually(came, what="the key came to the guest")

    async def viewer(self) -> RemoteViewer:
        """One on a screen of its own."""
        reason = why_no_windows()
        if reason:
            raise SkipTest(reason)
        return self.program(RemoteViewer(await self.program(XScreen()).up(), self.directory))

    async def test_file(self):
        """The proxy stands in its settings file."""
        viewer, source = await self.viewer(), await self.daemon("source")
        relay = await self.named(source)
        viewer.open(host=DESK, port=5900, proxy=self.proxy(relay))
        await self.shown(source, viewer)

    async def test_environment(self):
        """The proxy stands in SPICE_PROXY."""
        viewer, source = await self.viewer(), await self.daemon("source")
        relay = await self.named(source)
        viewer.open_address(f"spice://{DESK}:5900", SPICE_PROXY=self.proxy(relay))
        await self.shown(source, viewer)
