# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of spice-relay as a daemon: its settings, and how it starts and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client import generate_latest
from twisted.internet import ssl
from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from spicemig.channels.limits import AUTHENTICATION_SECONDS
from spicemig.client.hosts import Address
from spicemig.client.urls import read_server
from spicemig.control.certificates import Authority
from spicemig.control.interfaces import IRelayHost
from spicemig.control.metrics import MetricsResource
from spicemig.control.relay_metrics import RELAY
from spicemig.daemons import reloading
from spicemig.daemons.base import StartError
from spicemig.daemons.config import SECTIONS
from spicemig.daemons.relay import RelayDaemon
from spicemig.daemons.relay_config import SECTIONS as RELAY_SECTIONS
from spicemig.daemons.relay_config import RelayDaemonSettings, RouteLine, RouteTable, read_routes
from spicemig.errors import ConfigError
from spicemig.relay.relay import RelaySettings
from spicemig.relay.routes import Route, Routes

A = Address("a", 5900)
B = Address("b", 5900)


class RouteTests(SynchronousTestCase):
    """Which server a client is brought to."""

    def test_narrowest(self) -> None:
        """The first key that has a route is taken; * is for all others."""
        desk, port, rest = (Route(key, (A,)) for key in ("desk.example", "5910", "*"))
        routes = Routes([rest, port, desk])
        self.assertIs(routes.find("desk.example", "5910"), desk)
        self.assertIs(routes.find("other.example", "5910"), port)
        self.assertIs(routes.find("/run/viewer.sock"), rest)
        self.assertIsNone(Routes([port]).find("5911"))

    def test_moved(self) -> None:
        """Where the guest was last seen is tried first, whether the settings know it or not."""
        route = Route("*", (A, B))
        self.assertEqual(route.candidates(), [A, B])
        route.moved(B)
        self.assertEqual(route.candidates(), [B, A])
        route.moved(Address("c", 5900))
        self.assertEqual(route.candidates(), [Address("c", 5900), A, B])

    def test_secret(self) -> None:
        """A route's password is not shown."""
        self.assertNotIn("sesame", repr(Route("*", (A,), b"sesame")))


class TableTests(SynchronousTestCase):
    """The table of routes as it is written."""

    def test_servers(self) -> None:
        """Three kinds of address."""
        for text, address in (
            ("spice://a.example:5900", Address("a.example", 5900)),
            ("spice+tls://[2001:db8::1]:5901", Address("2001:db8::1", tls_port=5901)),
            ("spice+unix:///run/a.sock", Address(unix="/run/a.sock")),
            ("spice+tls://a:1?tlsSubject=O=Ex%20ample,CN=b", Address("a", 0, 1, "O=Ex ample,CN=b")),
        ):
            self.assertEqual(read_server(text), address)

    def test_lines(self) -> None:
        """A line for each guest; names of hosts are the same in capitals, paths are not."""
        self.assertEqual(
            read_routes(
                "\n* spice://a:5900 spice://b:5900\nDesk.Example spice://a:5900\n/R/s spice://b:5900"
            ),
            RouteTable((RouteLine("*", (A, B)), RouteLine("desk.example", (A,)), RouteLine("/R/s", (B,)))),
        )

    def test_keys(self) -> None:
        """What clients come by, in every form."""
        keys = ["5910", "/run/a:b.sock", "desk.example", "desk.example:5900", "[::1]", "[::1]:5900", "*"]
        table = read_routes("\n".join(f"{key} spice://a:5900" for key in keys))
        self.assertEqual([line.key for line in table.lines], keys)

    def test_mistakes(self) -> None:
        """What makes no sense is refused with the reason."""
        for text, reason in (
            ("*", "nowhere"),
            ("* a:5900", "is not spice://"),
            ("* spice://a", "is not spice://"),
            ("* spice://a:99999", "is not spice://"),
            ("* spice+unix://a", "is not spice://"),
            ("* spice://a:5900?tlsSubject=x", "only spice+tls"),
            ("* spice+tls://a:5900?port=x", "only spice+tls"),
            ("* spice://a:5900\n* spice://b:5900", "two routes"),
            ("desk:x spice://a:5900", "is not HOST:PORT"),
            ("::1 spice://a:5900", "is not HOST:PORT"),
        ):
            with self.assertRaises(ValueError, msg=text) as caught:
                read_routes(text)
            self.assertIn(reason, str(caught.exception))


class DaemonCase(SynchronousTestCase):
    """The daemon on a reactor that opens nothing."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.reactor = MemoryReactorClock()
        authority = Authority(self.directory)
        authority.issue("relay", "relay.example")
        (self.directory / "ticket").write_text("of clients\n")

    def settings(self, text: str = "", *overrides: str) -> RelayDaemonSettings:
        file = self.directory / "relay.ini"
        file.write_text("[server]\ncontrol = run/control.sock\n" + text)
        return RelayDaemonSettings.read(file, overrides)

    def daemon(self, text: str = "") -> RelayDaemon:
        """A daemon that was started."""
        made = RelayDaemon(self.settings(text), self.reactor)
        made.startService()
        self.addCleanup(lambda: made.running and self.successResultOf(made.stopService()))
        return made


class DaemonTests(DaemonCase):
    """What the settings make of the daemon."""

    def test_nothing(self) -> None:
        """An empty file starts a relay on this machine only, to a server on this machine, with tickets."""
        daemon = self.daemon()
        verifyObject(IRelayHost, daemon)
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [5910])
        status = daemon.status()
        self.assertEqual((status["daemon"], status["clients"]), ("relay", 0))
        self.assertEqual(status["routes"], {"*": ["127.0.0.1:5900"]})
        self.assertFalse(daemon.relay.authenticate(b"", 0.0))

    def test_everything(self) -> None:
        """All ways for clients, and tickets of both sides."""
        daemon = self.daemon(
            "[listen]\nplain = tcp:1\ntls = tcp:2\nwebsocket = tcp:3\nmax_clients = 7\n"
            "unix = unix:run/viewer.sock\n"
            "[tls]\ncertificate = relay.pem\nkey = relay.key\nca = ca.pem\n[auth]\nticket_file = ticket\n"
            "[relay]\nroutes = * spice+tls://a:5901\nticket_file = ticket\nlink_seconds = 3\n"
            "[web]\nviewer = .\n"
        )
        self.assertEqual(sorted(server[0] for server in self.reactor.tcpServers), [1, 2, 3])
        (route,) = daemon.relay.routes
        self.assertEqual((route.password, route.servers), (b"of clients", (Address("a", tls_port=5901),)))
        self.assertTrue(daemon.relay.authenticate(b"of clients", 0.0))
        self.assertEqual(daemon.relay.settings.max_clients, 7)

    def test_end(self) -> None:
        """When clients are told to come again, they find nobody here any more."""
        daemon = self.daemon()
        told: list[Any] = []

        def send_again(ports: set[int]) -> Deferred[None]:
            told.append((set(ports), daemon.listeners.addresses()["plain"]))
            return succeed(None)

        self.patch(daemon.relay, "send_again", send_again)
        self.successResultOf(daemon.stopService())
        self.assertEqual(told, [(set(), [])])

    def test_ticket(self) -> None:
        """A ticket can be set, and is read again on SIGHUP."""
        daemon = self.daemon("[auth]\nticket_file = ticket\n")
        daemon.set_ticket(b"other", None)
        self.assertTrue(daemon.relay.authenticate(b"other", 0.0))
        daemon.reload()
        self.assertFalse(daemon.relay.authenticate(b"other", 0.0))
        self.assertTrue(daemon.relay.authenticate(b"of clients", 0.0))

    def test_web(self) -> None:
        """The control API with the metrics can be had by other hosts; its token is read again on SIGHUP."""
        (self.directory / "token").write_text("open.sesame\n")
        text = (
            "[tls]\ncertificate = relay.pem\nkey = relay.key\n[web]\nlisten = tcp:9180\ntoken_file = token\n"
        )
        daemon = self.daemon(text)
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [5910, 9180])
        self.assertEqual(daemon._token, b"open.sesame")
        (self.directory / "token").write_text("another\n")
        daemon.reload()
        self.assertEqual(daemon._token, b"another")
        told = generate_latest(MetricsResource(RELAY, daemon).registry)
        self.assertIn(b'spicemig_build_info{daemon="relay"', told)
        self.assertIn(b'spicemig_relay_route_sessions{route="*",server="127.0.0.1:5900"} 0.0', told)

    def test_mistakes(self) -> None:
        """Mistakes are found before anything is opened."""
        for text, section, option in (
            ("[relay]\nroutes =\n", "relay", "routes"),
            ("[relay]\nroutes = * spice+tls://a:5901\n", "relay", "routes"),
            ("[relay]\nticket_file = nothing\n", "relay", "ticket_file"),
            ("[listen]\ntls = tcp:1\n", "listen", "tls"),
            ("[web]\nviewer = nothing\n", "web", "viewer"),
            ("[web]\nlisten = tcp:9180\ntoken_file = ticket\n", "web", "listen"),
            ("[web]\nlisten = tcp:9180:interface=127.0.0.1\n", "web", "token_file"),
            ("[guest]\nkind = demo\n", "guest", ""),
            ("[auth]\nticket_file = nothing\n", "auth", "ticket_file"),
        ):
            error = self.assertRaises(ConfigError, self.settings, text)
            self.assertEqual((error.section, error.option), (section, option))

    def test_empty_secret(self) -> None:
        """A file without a ticket stops the start."""
        (self.directory / "empty").write_text("")
        error = self.assertRaises(StartError, self.daemon, "[relay]\nticket_file = empty\n")
        self.assertIn("nothing on its first line", str(error))


class ReloadTests(DaemonCase):
    """What a running relay takes over on SIGHUP."""

    def reloaded(self, before: str, after: str) -> tuple[RelayDaemon, list[str]]:
        """A daemon whose settings have changed, after the signal; and what it logged."""
        daemon = self.daemon(before)
        daemon.read_settings = lambda: self.settings(after)
        with capturedLogs() as events:
            daemon.reload()
        return daemon, [event["log_format"].format(**event) for event in events]

    def test_routes(self) -> None:
        """The table of routes, in which known keys stay what sessions hold, and the servers' ticket."""
        daemon = self.daemon("[relay]\nroutes = * spice://a:5900\n\td.example spice://a:5900\n")
        held = daemon.relay.routes.find("5910")
        text = "[relay]\nroutes = * spice://b:5900\n\te.example spice://b:5900\nticket_file = ticket\n"
        daemon.read_settings = lambda: self.settings(text)
        daemon.reload()
        self.assertIs(daemon.relay.routes.find("5910"), held)
        self.assertEqual((held.servers, held.password), ((B,), b"of clients"))
        self.assertEqual(set(daemon.status()["routes"]), {"*", "e.example"})
        (self.directory / "ticket").write_text("another\n")
        daemon.reload()
        self.assertEqual(held.password, b"another")

    def test_limits(self) -> None:
        """How many clients there may be, and how long things may take, on connections to servers, too."""
        daemon, _said = self.reloaded(
            "",
            "[listen]\nmax_clients = 3\n[relay]\nlink_seconds = 2\nhandover_seconds = 4\nhold_seconds = 6\n",
        )
        self.assertEqual(daemon.relay.settings, RelaySettings(3, 2.0, 4.0, 6.0))
        self.assertEqual(daemon.relay.network.connect_timeout_seconds, 2.0)
        self.assertEqual(daemon.relay.counter.limits.authentication_seconds, AUTHENTICATION_SECONDS + 4.0)

    def test_authorities(self) -> None:
        """By which authorities servers are known, and how old their TLS may be."""
        daemon, _said = self.reloaded("", "[tls]\nca = ca.pem\nminimum_version = 1.3\n")
        network = daemon.relay.network
        self.assertEqual(network.ca_file, str(self.directory.absolute() / "ca.pem"))
        self.assertEqual(network.oldest_tls, ssl.TLSVersion.TLSv1_3)

    def test_certificate_renewed(self) -> None:
        """A certificate that is replaced is noticed without a signal."""
        daemon = self.daemon("[tls]\ncertificate = relay.pem\nkey = relay.key\n")
        before = daemon.credentials.chain[0].digest("sha256")
        Authority(self.directory).issue("relay", "relay.example")
        self.reactor.pump([reloading.LOOK_SECONDS] * 2)
        self.assertNotEqual(daemon.credentials.chain[0].digest("sha256"), before)

    def test_mistake(self) -> None:
        """With a mistake anywhere everything stays as it was, and the log says what is wrong."""
        (self.directory / "empty").write_text("")
        auth = "[auth]\nticket_file = ticket\n"
        for wrong in (
            "[relay]\nroutes = * spice://b:5900\nticket_file = empty\n",
            "[relay]\nroutes = * nonsense\n",
            "[relay]\nroutes = * spice://b:5900\n[tls]\nca = empty\n",
        ):
            daemon, said = self.reloaded("", auth + wrong + "[listen]\nmax_clients = 3\n")
            self.assertEqual(daemon.relay.settings, RelaySettings())
            self.assertEqual(daemon.status()["routes"], {"*": ["127.0.0.1:5900"]})
            self.assertFalse(daemon.relay.authenticate(b"of clients", 0.0))
            self.assertEqual(len(said), 1)
            self.assertIn("not reloaded: ", said[0])
            self.successResultOf(daemon.stopService())

    def test_restart(self) -> None:
        """What takes a restart is named, and nothing else is."""
        _daemon, said = self.reloaded(
            "", "[listen]\nplain = tcp:1\nmax_clients = 3\n[relay]\nhold_seconds = 1\n"
        )
        self.assertEqual(
            [line for line in said if "restart" in line],
            ["[listen] plain has changed; that takes a restart"],
        )

    def test_declared(self) -> None:
        """Everything that is said to be reloaded is an option of some daemon."""
        for section, names in reloading.RELOADED.items():
            declared: set[str] = set()
            for sections in (SECTIONS, RELAY_SECTIONS):
                if section in sections:
                    declared.update(reloading.reloaded_options(section, sections[section]))
            self.assertEqual(declared, set(names), section)
