# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what daemons have to do with etcd: their settings, what is announced, what becomes of routes."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import UUID

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.client.hosts import Address
from spicemig.daemons.base import StartError
from spicemig.daemons.etcd import advertised, announcement
from spicemig.daemons.etcd_config import read_endpoint, why_not
from spicemig.daemons.relay_config import read_routes
from spicemig.errors import ConfigError
from spicemig.etcd.announcements import Announcement
from tests import test_daemons_relay, test_daemons_service
from tests.test_daemons_service import MIGRATION

# An address: in Twisted 22.4 the lookup of a name would go on in a thread when the test is over.
ETCD = "[etcd]\nendpoints = http://192.0.2.1:2379\n"
A, B = Address("a", 5900), Address("b", 5900)


def announced(*servers: Address, epoch: int = 1) -> Announcement:
    return Announcement(servers, UUID(int=1), epoch)


def require_treq() -> None:
    """Skip the test where treq is not installed."""
    reason = why_not()
    if reason:
        raise SkipTest(reason)


class EndpointTests(SynchronousTestCase):
    """The addresses of etcd."""

    def test_right(self) -> None:
        """The scheme decides about TLS; a slash at the end is nothing."""
        self.assertEqual(read_endpoint("http://192.0.2.1:2379/"), "http://192.0.2.1:2379")
        self.assertEqual(read_endpoint("https://192.0.2.1"), "https://192.0.2.1")

    def test_wrong(self) -> None:
        """Everything else is refused, above all passwords, which do not belong there."""
        for value in (
            "192.0.2.1:2379",
            "unix:///etcd",
            "http://",
            "http://a:x",
            "http://a:99999",
            "http://a/v3",
            "http://a?x",
            "http://user:secret@a",
            "http://[::1]:2379",
        ):
            self.assertRaises(ValueError, read_endpoint, value)


class WithoutTreqTests(test_daemons_service.DaemonCase):
    """Where treq is not installed."""

    def setUp(self) -> None:
        super().setUp()
        without = mock.patch.dict(sys.modules, {"treq": None})
        without.start()
        self.addCleanup(without.stop)

    def test_wanted(self) -> None:
        """An etcd stops the start, with the package that is missing."""
        error = self.assertRaises(ConfigError, self.settings, ETCD)
        self.assertEqual((error.section, error.option), ("etcd", "endpoints"))
        self.assertIn("python3-treq", error.reason)

    def test_not_wanted(self) -> None:
        """Without an etcd nobody misses it."""
        self.assertIsNone(self.daemon().status()["etcd"])


class ServerTests(test_daemons_service.DaemonCase):
    """A server with an etcd."""

    def setUp(self) -> None:
        super().setUp()
        require_treq()

    def test_mistakes(self) -> None:
        """Mistakes are found before anything is opened."""
        for text, option, reason in (
            ("endpoints = etcd:2379\n", "endpoints", "is not http"),
            ("user = x\n", "password_file", "only of use together"),
            ("password_file = secret\n", "user", "only of use together"),
            ("user = x\npassword_file = nothing\n", "password_file", "there is no file"),
            ("ca = nothing\n", "ca", "there is no file"),
            ("announce = Desk\n", "announce", "lower case"),
            ("advertise = a:5900\n", "advertise", "is not spice://"),
            ("advertise = " + "spice://a:1 " * 9, "advertise", "more than 8"),
            ("prefix = a\x01\n", "prefix", "printable"),
            ("lease_seconds = 1\n", "lease_seconds", "within"),
        ):
            error = self.assertRaises(ConfigError, self.settings, "[etcd]\n" + text)
            self.assertEqual((error.section, error.option), ("etcd", option), text)
            self.assertIn(reason, error.reason)

    def test_name(self) -> None:
        """A server is announced under its name, which must do for that, unless there is another."""
        self.assertEqual(list(self.daemon(ETCD).announcer.names), ["spicemig"])
        error = self.assertRaises(ConfigError, self.settings, ETCD, "source", "server.name=Anna's desk")
        self.assertEqual((error.section, error.option), ("etcd", "announce"))
        announce = "etcd.announce=desk.example 5910"
        daemon = self.daemon(ETCD, "source", "server.name=Anna's desk", announce)
        self.assertEqual(list(daemon.announcer.names), ["desk.example", "5910"])

    def test_nowhere(self) -> None:
        """A server that is reached by unix sockets only must say how relays reach it."""
        listen = "[listen]\nplain =\nunix = unix:run/viewer.sock\n"
        error = self.assertRaises(ConfigError, self.settings, ETCD + listen)
        self.assertEqual((error.section, error.option), ("etcd", "advertise"))

    def test_damaged_files(self) -> None:
        """So is what is wrong inside of the files."""
        for option in ("ca", "password_file"):
            (self.directory / "file").write_text("")
            text = ETCD + f"{option} = file\n" + ("user = x\n" if option == "password_file" else "")
            error = self.assertRaises(StartError, self.daemon, text)
            self.assertIn(f"[etcd] {option}", str(error))

    def test_owner_only(self) -> None:
        """Only the owner of the guest announces it, with the epoch since which it is the owner."""
        source, target = self.daemon(ETCD), self.daemon(MIGRATION + ETCD, "target")
        found = announcement(source)
        assert found is not None
        self.assertEqual((found.epoch, found.uuid), (1, source.uuid))
        self.assertIsNone(announcement(target))
        source.epochs.write(source.epochs.current.given_away(2, b"\1" * 16))
        self.assertIsNone(announcement(source))

    def test_epoch_written(self) -> None:
        """A change of the owner is announced at once: nothing waits for the next turn."""
        daemon = self.daemon(ETCD)
        woken: list[bool] = []
        self.patch(daemon.announcer.contact, "wake", lambda: woken.append(daemon.owner))
        daemon.epochs.write(daemon.epochs.current.given_away(2, b"\1" * 16))
        self.assertEqual(woken, [False])

    def test_status(self) -> None:
        """Status and doctor say what is announced, and why not."""
        daemon = self.daemon(ETCD)
        status = daemon.status()["etcd"]
        self.assertEqual((status["connected"], status["endpoint"]), (False, "http://192.0.2.1:2379"))
        self.assertEqual(list(status["announced"]), ["spicemig"])
        (check,) = (each for each in daemon.doctor() if each["check"] == "etcd")
        self.assertFalse(check["ok"])
        self.assertEqual([each for each in self.daemon().doctor() if each["check"] == "etcd"], [])


class AdvertisedTests(SynchronousTestCase):
    """The addresses that a server announces."""

    def advertised(
        self, host: str = "", advertise: tuple[Address, ...] = (), **ports: list[Any]
    ) -> tuple[Address, ...]:
        migration = SimpleNamespace(public_host=host, cert_subject="CN=a")
        settings = SimpleNamespace(etcd=SimpleNamespace(advertise=advertise), migration=migration)
        listeners = SimpleNamespace(tcp_addresses=lambda kind: ports.get(kind, []))
        return advertised(SimpleNamespace(settings=settings, listeners=listeners))

    def test_given(self) -> None:
        """Those of the settings, if there are any."""
        self.assertEqual(self.advertised(advertise=(A, B)), (A, B))

    def test_ports(self) -> None:
        """Otherwise where it listens; everywhere is this host's name, and public_host goes before both."""
        near, far = IPv4Address("TCP", "192.0.2.1", 5900), IPv6Address("TCP", "::", 5901)
        self.assertEqual(
            self.advertised(plain=[near, far]),
            (Address("192.0.2.1", 5900), Address(socket.gethostname(), 5901)),
        )
        self.assertEqual(self.advertised("a.example", plain=[near]), (Address("a.example", 5900),))

    def test_tls(self) -> None:
        """A server that can be reached with TLS is not announced without."""
        plain, tls = IPv4Address("TCP", "192.0.2.1", 5900), IPv4Address("TCP", "192.0.2.1", 5901)
        self.assertEqual(
            self.advertised(plain=[plain], tls=[tls]),
            (Address("192.0.2.1", tls_port=5901, subject="CN=a"),),
        )


class RelayTests(test_daemons_relay.DaemonCase):
    """A relay with an etcd."""

    def setUp(self) -> None:
        super().setUp()
        require_treq()

    def table(self, daemon: Any) -> dict[str, tuple[Address, ...]]:
        return {route.key: route.servers for route in daemon.relay.routes}

    def test_etcd_only(self) -> None:
        """With nothing but etcd as routes, there are those that are announced."""
        daemon = self.daemon(ETCD + "[relay]\nroutes = etcd\nticket_file = ticket\n")
        self.assertEqual(self.table(daemon), {})
        daemon._take_announced({"desk": announced(A), "*": announced(B)})
        self.assertEqual(self.table(daemon), {"desk": (A,), "*": (B,)})
        route = daemon.relay.routes.find("desk")
        self.assertEqual(route.password, b"of clients")
        daemon._take_announced({"desk": announced(B, epoch=2)})
        self.assertIs(daemon.relay.routes.find("desk"), route)
        self.assertEqual((route.servers, route.epoch), ((B,), 2))
        self.assertIsNone(daemon.relay.routes.find("5910"))

    def test_table_first(self) -> None:
        """A line of the table counts more than an announcement of the same name."""
        daemon = self.daemon(ETCD + "[relay]\nroutes =\n  desk spice://b:5900\n  etcd\n")
        daemon._take_announced({"desk": announced(A), "office": announced(A)})
        self.assertEqual(self.table(daemon), {"desk": (B,), "office": (A,)})

    def test_line_removed(self) -> None:
        """When the table that is read again has no line etcd any more, announced guests have no routes."""
        daemon = self.daemon(ETCD + "[relay]\nroutes = etcd\n")
        daemon._take_announced({"desk": announced(A)})
        relay = replace(daemon.settings.relay, routes=read_routes("* spice://b:5900"))
        daemon.settings = replace(daemon.settings, relay=relay)
        self.assertEqual([route.key for route in daemon._routes()], ["*"])

    def test_not_followed(self) -> None:
        """With follow = no, sessions that move do not lead others."""
        for text, followed in (("", True), ("follow = no\n", False)):
            daemon = self.daemon("[relay]\n" + text)
            (route,) = daemon.relay.routes
            route.moved(B)
            self.assertEqual(route.candidates()[0] == B, followed)

    def test_mistakes(self) -> None:
        """Routes and etcd need each other."""
        for text, section, option in (
            ("[relay]\nroutes = etcd\n", "relay", "routes"),
            (ETCD, "etcd", "endpoints"),
            ("[etcd]\nannounce = desk\n", "etcd", "announce"),
            ("[etcd]\nuser = x\n", "etcd", "password_file"),
        ):
            error = self.assertRaises(ConfigError, self.settings, text)
            self.assertEqual((error.section, error.option), (section, option))

    def test_name_like_the_word(self) -> None:
        """A host may be called etcd: its line has servers."""
        settings = self.settings("[relay]\nroutes = etcd spice://a:5900\n")
        self.assertFalse(settings.relay.routes.announced)
        self.assertEqual([line.key for line in settings.relay.routes.lines], ["etcd"])

    def test_status(self) -> None:
        """Status says how it stands with etcd."""
        status = self.daemon(ETCD + "[relay]\nroutes = etcd\n").status()["etcd"]
        self.assertEqual((status["connected"], status["revision"], status["guests"]), (False, 0, 0))
        self.assertIsNone(self.daemon().status()["etcd"])
