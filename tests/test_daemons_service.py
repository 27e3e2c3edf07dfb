# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the daemon as a whole, on a reactor that opens nothing."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from OpenSSL import SSL, crypto
from prometheus_client import generate_latest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from spicemig.codecs import video
from spicemig.control.certificates import Authority
from spicemig.control.host_metrics import HOST
from spicemig.control.interfaces import IHost
from spicemig.control.metrics import MetricsResource
from spicemig.control.web import TokenSite
from spicemig.daemons.config import Settings
from spicemig.daemons.migrations import Door, guest_versions, host_facts
from spicemig.daemons.reloading import LOOK_SECONDS
from spicemig.daemons.service import Daemon, StartError
from spicemig.daemons.tls import Credentials, bears_name, names_in
from spicemig.errors import ConfigError, LinkError, MigrationError, ProtocolError

MIGRATION = """
[tls]
certificate = host.pem
key = host.key
ca = ca.pem
[migration]
ticket_file = secret
listen = tcp:5950
"""


class BusyReactor(MemoryReactorClock):
    """Somebody else listens on every TCP port."""

    def listenTCP(self, port: int, *args: Any, **named: Any) -> Any:
        raise CannotListenError("", port, OSError(98, "Address already in use"))


class DaemonCase(SynchronousTestCase):
    """Makes daemons in a directory of their own."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.reactor = MemoryReactorClock()

    def settings(self, text: str = "", daemon: str = "source", *overrides: str) -> Settings:
        """Settings with certificates and secrets beside them."""
        authority = Authority(self.directory)
        authority.issue("host", "a.example", "127.0.0.1")
        (self.directory / "secret").write_text("between hosts\n")
        (self.directory / "ticket").write_text("of clients\nsecond line\n")
        file = self.directory / "spicemig.ini"
        file.write_text("[server]\nstate_dir = state\ncontrol = run/control.sock\n" + text)
        return Settings.read(file, daemon, overrides)

    def daemon(self, text: str = "", daemon: str = "source", *overrides: str) -> Daemon:
        """A daemon that was started."""
        made = Daemon(self.settings(text, daemon, *overrides), self.reactor)
        made.startService()
        self.addCleanup(lambda: made.running and self.successResultOf(made.stopService()))
        return made


class StartTests(DaemonCase):
    """How daemons begin, and how they fail to."""

    def test_nothing_opened(self) -> None:
        """Making a daemon opens and writes nothing."""
        settings = self.settings()
        Daemon(settings, self.reactor)
        self.assertEqual((self.reactor.tcpServers, self.reactor.unixServers), ([], []))
        self.assertFalse(settings.server.state_dir.exists())

    def test_source(self) -> None:
        """A source serves its guest at once and owns it on disk too."""
        daemon = self.daemon()
        verifyObject(IHost, daemon)
        status = daemon.status()
        self.assertEqual((status["stage"], status["owner"], status["epoch"]), ("serving", True, 1))
        self.assertEqual(status["guest"], {"kind": "demo"})
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [5900])

    def test_target(self) -> None:
        """A target begins without a guest, and listens for hosts."""
        status = self.daemon(MIGRATION, "target").status()
        self.assertEqual((status["stage"], status["owner"], status["guest"]), ("empty", False, None))
        self.assertEqual(sorted(server[0] for server in self.reactor.tcpServers), [5900, 5950])

    def test_control_socket(self) -> None:
        """Nobody but the daemon's user may open the control socket, or the directories that were made."""
        self.daemon()
        path, _factory, _backlog, mode, lock = self.reactor.unixServers[0]
        self.assertEqual((Path(path).name, mode, lock), ("control.sock", 0o600, True))
        self.assertEqual((self.directory / "run").stat().st_mode & 0o777, 0o700)
        self.assertEqual((self.directory / "state").stat().st_mode & 0o777, 0o700)

    def test_given_away(self) -> None:
        """A source that gave its guest away does not start it again until the operator says so."""
        first = self.daemon()
        first.epochs.write(first.epochs.current.given_away(2, b"\x01" * 16))
        self.successResultOf(first.stopService())
        again = self.daemon()
        self.assertEqual(again.status()["guest"], None)
        self.assertIn("demo", again.recover())
        self.assertEqual(again.status()["guest"], {"kind": "demo"})
        self.assertTrue(again.epochs.current.owner)

    def test_nothing_to_recover(self) -> None:
        """A host that serves its guest has nothing to recover."""
        self.assertRaises(MigrationError, self.daemon().recover)

    def test_same_uuid(self) -> None:
        """The UUID that was made at the first start is kept."""
        first = self.daemon()
        uuid = first.status()["uuid"]
        self.successResultOf(first.stopService())
        self.assertEqual(self.daemon().status()["uuid"], uuid)

    def test_port_taken(self) -> None:
        """A port that is taken ends the program with status 1, naming the option."""
        self.reactor = BusyReactor()
        daemon = Daemon(self.settings(), self.reactor)
        error = self.assertRaises(StartError, daemon.startService)
        self.assertIn("[listen] plain", str(error))
        self.assertIsInstance(error, SystemExit)
        self.assertEqual(error.code, str(error))  # so the text is printed, and the status is 1
        self.assertEqual(daemon.listeners.addresses(), {"plain": [], "control": []})

    def test_damaged_epoch(self) -> None:
        """A state that cannot be understood is not guessed at."""
        (self.directory / "state").mkdir()
        (self.directory / "state" / "epoch.json").write_text("{")
        daemon = Daemon(self.settings(), self.reactor)
        self.assertIn("epoch.json", str(self.assertRaises(StartError, daemon.startService)))


class OnePortTests(DaemonCase):
    """One port for everything."""

    ONE = "[listen]\nplain =\nwebsocket = tcp:5900\n"

    def door(self, daemon: Daemon) -> StringTransport:
        """A connection to the port, on which a browser has asked for TLS."""
        ((_port, factory, *_),) = [each for each in self.reactor.tcpServers if each[0] == 5900]
        transport = StringTransport()
        opened = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        opened.makeConnection(transport)
        self.addCleanup(opened.connectionLost, Failure(ConnectionDone()))
        client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        client.set_connect_state()
        self.assertRaises(SSL.WantReadError, client.do_handshake)
        opened.dataReceived(client.bio_read(65536))
        return transport

    def test_tls(self) -> None:
        """TLS is spoken there if there are certificates, also if these came later."""
        daemon = self.daemon(self.ONE)
        magic, handshake = b"REDQ", b"\x16\x03"
        self.assertEqual(self.door(daemon).value()[:4], magic)
        tls = "[tls]\ncertificate = host.pem\nkey = host.key\n"
        daemon.read_settings = lambda: self.settings(self.ONE + tls)
        daemon.reload()
        self.assertEqual(self.door(daemon).value()[:2], handshake)
        daemon.read_settings = lambda: self.settings(self.ONE)
        daemon.reload()
        self.assertEqual(self.door(daemon).value()[:4], magic)

    def test_pages(self) -> None:
        """The pages of [web] viewer are given there."""
        (self.directory / "spice_auto.html").write_text("the viewer")
        self.daemon(self.ONE + "[web]\nviewer = .\n")
        ((_port, factory, *_),) = self.reactor.tcpServers
        self.assertIsNotNone(factory.pages.resource.getChildWithDefault(b"", None))

    def test_told_to_clients(self) -> None:
        """Clients that are brought here by a handover are told this port, if there is no other for them."""
        (self.directory / "other").mkdir()
        for text, ports in (
            (self.ONE, (5900, 0)),
            (self.ONE + MIGRATION, (5900, 5900)),
            (self.ONE.replace("plain =", "plain = tcp:1"), (1, 0)),
            (self.ONE.replace("plain =", "tls = tcp:2\nplain =") + MIGRATION, (5900, 2)),
        ):
            self.reactor = MemoryReactorClock()
            daemon = self.daemon(text)
            address = host_facts(daemon).address
            self.assertEqual((address.port, address.sport), ports, text)
            self.successResultOf(daemon.stopService())


class EndTests(DaemonCase):
    """How daemons leave."""

    def test_stop(self) -> None:
        """Stopping ends the guest, and nothing is left on the reactor."""
        daemon = self.daemon()
        self.successResultOf(daemon.stopService())
        self.assertEqual(daemon.sessions.stage.value, "empty")
        self.assertEqual(daemon.listeners.addresses(), {"plain": [], "control": []})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_handover_first(self) -> None:
        """A handover that can be cancelled is; one that cannot is finished before anything else ends."""
        daemon = self.daemon()
        ended: Deferred[None] = Deferred()
        followed = SimpleNamespace(cancel=lambda: False, stage="switch", when_done=lambda: ended)
        self.patch(daemon.handovers, "under_way", lambda: [followed])
        stopped = daemon.stopService()
        self.assertNoResult(stopped)
        self.assertEqual(daemon.sessions.stage.value, "serving")
        ended.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(daemon.sessions.stage.value, "empty")

    def test_target_gives_up(self) -> None:
        """A target that is stopped with a guest can take another one when it starts again."""
        daemon = self.daemon(MIGRATION, "target")
        daemon.epochs.write(daemon.epochs.current.taken_over(2, b"\x02" * 16))
        daemon.sessions.power_on("demo")
        self.successResultOf(daemon.stopService())
        self.assertFalse(daemon.epochs.current.owner)
        self.assertTrue(daemon.epochs.current.took(b"\x02" * 16))


class TicketTests(DaemonCase):
    """The ticket of clients."""

    def test_none_set(self) -> None:
        """Without a ticket nobody is let in."""
        ticket = self.daemon().sessions.ticket
        self.assertFalse(ticket.check(b"", 0.0))

    def test_file(self) -> None:
        """The first line of the file is the ticket; SIGHUP reads it again."""
        daemon = self.daemon("[auth]\nticket_file = ticket\nticket_expires_seconds = 5\n")
        self.assertTrue(daemon.sessions.ticket.check(b"of clients", 4.0))
        self.assertFalse(daemon.sessions.ticket.check(b"of clients", 6.0))
        (self.directory / "ticket").write_text("a new one\n")
        daemon.reload()
        self.assertTrue(daemon.sessions.ticket.check(b"a new one", 4.0))

    def test_reload_fails(self) -> None:
        """If the file cannot be read again, the ticket stays."""
        daemon = self.daemon("[auth]\nticket_file = ticket\n")
        (self.directory / "ticket").unlink()
        daemon.reload()
        self.assertTrue(daemon.sessions.ticket.check(b"of clients", 4.0))

    def test_set(self) -> None:
        """The ticket can be set for a time, and taken away."""
        daemon = self.daemon()
        daemon.set_ticket(b"x", 10)
        self.assertTrue(daemon.sessions.ticket.check(b"x", 9.0))
        self.assertFalse(daemon.sessions.ticket.check(b"x", 11.0))
        daemon.set_ticket(None, None)
        self.assertFalse(daemon.sessions.ticket.check(b"x", 0.0))

    def test_mode_none(self) -> None:
        """Tickets can be switched off."""
        self.assertIsNone(self.daemon("[auth]\nmode = none\n").sessions.ticket)


class MigrateTests(DaemonCase):
    """What keeps a handover from being started."""

    def test_whereto(self) -> None:
        """Without HOST:PORT and peer it is not known where to go."""
        self.assertRaises(ValueError, self.daemon().migrate, None, None, None, False, None)
        self.assertRaises(ValueError, self.daemon().migrate, "nonsense", None, None, False, None)

    def test_no_certificates(self) -> None:
        """A host that cannot prove itself is told what to set."""
        error = self.assertRaises(MigrationError, self.daemon().migrate, "b:1", None, None, False, None)
        self.assertIn("[tls]", error.hint)

    def test_doctor(self) -> None:
        """The doctor finds what is missing, and finds nothing when all is there."""
        wrong = [check["check"] for check in self.daemon().doctor() if not check["ok"]]
        self.assertEqual(wrong, ["ports", "certificate", "tickets", "tickets"])
        self.reactor = MemoryReactorClock()
        daemon = self.daemon(MIGRATION + "[auth]\nticket_file = ticket\n")
        self.assertEqual([check for check in daemon.doctor() if not check["ok"]], [])
        soon = [check["detail"] for check in daemon.doctor() if "renew it soon" in check["detail"]]
        self.assertEqual(len(soon), 1)  # the certificates of this test live for two days

    def test_doctor_video(self) -> None:
        """The doctor says which video can be sent, and what the others need."""
        self.patch(video, "_av", lambda: None)
        said = [check["detail"] for check in self.daemon().doctor() if check["check"] == "video"]
        self.assertEqual(said[0], "sent as mjpeg")
        self.assertEqual(len(said), 4)
        self.assertIn("vp8 is not sent: PyAV is not installed", said[1])
        self.reactor = MemoryReactorClock()
        [only, _absent] = [
            check
            for check in self.daemon("[display]\nvideo_codecs = h264\n").doctor()
            if check["check"] == "video"
        ]
        self.assertEqual((only["ok"], only["detail"]), (False, "no video codec can be used"))

    def test_kinds(self) -> None:
        """A target takes the guests that are installed, or the one kind that it names."""
        self.assertIn("demo", guest_versions(self.settings(MIGRATION, "target")))
        self.assertEqual(
            list(guest_versions(self.settings(MIGRATION, "target", "guest.kind=demo"))), ["demo"]
        )


class DoorTests(DaemonCase):
    """Who may hand a guest over to this host."""

    def admit(self, host: str = "127.0.0.1", channel: str = "migration", *overrides: str) -> Any:
        settings = self.settings(MIGRATION, "target", *overrides)
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, (self.directory / "host.pem").read_bytes())
        transport = SimpleNamespace(
            getPeer=lambda: IPv4Address("TCP", host, 1), getPeerCertificate=lambda: certificate
        )
        door = Door(settings, SimpleNamespace(admit=lambda request: "core"), b"secret")
        self.door = door
        return door.admit(SimpleNamespace(channel=channel, transport=transport))

    def refusal(self, *args: str) -> LinkError:
        return self.assertRaises(ProtocolError, self.admit, *args).code

    def test_right(self) -> None:
        """A host of this machine with a certificate of the CA is let in by default."""
        self.assertEqual(self.admit(), "core")
        self.assertTrue(self.door.authenticate(None, b"secret", 0.0))
        self.assertFalse(self.door.authenticate(None, b"other", 0.0))

    def test_network(self) -> None:
        """A host from outside allow_from is refused."""
        self.assertEqual(self.refusal("192.0.2.1"), LinkError.PERMISSION_DENIED)
        self.assertEqual(self.admit("192.0.2.1", "migration", "migration.allow_from=192.0.2.0/24"), "core")

    def test_names(self) -> None:
        """With accept_names set, the certificate must bear one of them."""
        self.assertEqual(self.refusal("127.0.0.1", "migration", "migration.accept_names=b.example"), 7)
        self.assertEqual(self.admit("127.0.0.1", "migration", "migration.accept_names=x A.example"), "core")

    def test_clients(self) -> None:
        """The port for hosts is none for clients."""
        self.assertEqual(self.refusal("127.0.0.1", "main"), LinkError.CHANNEL_NOT_AVAILABLE)


class WebTests(DaemonCase):
    """The control API for other hosts."""

    text = "[web]\nlisten = tcp:9180:interface=127.0.0.1\ntoken_file = token\n"

    def setUp(self) -> None:
        super().setUp()
        (self.directory / "token").write_text("open.sesame\n")

    def factory(self, text: str) -> Any:
        """What listens on the port of the API."""
        self.daemon(text)
        (found,) = [factory for port, factory, *_ in self.reactor.tcpServers if port == 9180]
        return found

    def test_off(self) -> None:
        """By default there is none."""
        self.daemon()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [5900])

    def test_plain(self) -> None:
        """On loopback it may be without TLS, if there are no certificates."""
        self.assertIsInstance(self.factory(self.text), TokenSite)

    def test_tls(self) -> None:
        """With certificates it is inside TLS, on loopback and elsewhere; a unix socket is not."""
        for where in ("tcp:9180", "tcp:9180:interface=127.0.0.1"):
            self.reactor = MemoryReactorClock()
            text = MIGRATION + f"[web]\nlisten = {where} unix:web.sock\ntoken_file = token\n"
            factory = self.factory(text)
            self.assertIsInstance(factory, TLSMemoryBIOFactory)
            self.assertIsInstance(factory.wrappedFactory, TokenSite)
            sites = [server[1] for server in self.reactor.unixServers if server[0].endswith("web.sock")]
            self.assertEqual([type(site) for site in sites], [TokenSite])

    def test_own_context(self) -> None:
        """What HTTP agrees on in TLS does not come to the port of SPICE's clients."""
        credentials = self.daemon(MIGRATION).credentials
        self.assertIsNot(credentials.for_web().getContext(), credentials.for_clients().getContext())

    def test_mistakes(self) -> None:
        """Without a token, and where others could listen in, it is not opened."""
        token = "token_file = token\n"
        for text, option, reason in (
            ("listen = tcp:9180:interface=127.0.0.1\n", "token_file", "without a token"),
            ("listen = tcp:9180:interface=127.0.0.1\ntoken_file = nothing\n", "token_file", "no file"),
            ("listen = tcp:9180\n" + token, "listen", "reached from elsewhere"),
            ("listen = tcp:9180:interface=192.0.2.1\n" + token, "listen", "certificate and key in [tls]"),
            ("listen = unix:web.sock\n" + token, "listen", "opened by everybody"),
        ):
            error = self.assertRaises(ConfigError, self.settings, "[web]\n" + text)
            self.assertEqual((error.section, error.option), ("web", option), text)
            self.assertIn(reason, error.reason)

    def test_useless_token(self) -> None:
        """A token that no header can carry stops the start, without being shown."""
        for token in ("open sesame", "öffne", "", " "):
            (self.directory / "token").write_text(token + "\n")
            self.reactor = MemoryReactorClock()
            error = self.assertRaises(StartError, self.daemon, self.text)
            self.assertIn("[web] token_file", str(error))
            if token.strip():
                self.assertNotIn(token, str(error))

    def test_reload(self) -> None:
        """SIGHUP reads the token again; a wrong one changes nothing."""
        daemon = self.daemon(self.text)
        self.assertEqual(daemon._token, b"open.sesame")
        (self.directory / "token").write_text("not a token\n")
        daemon.reload()
        self.assertEqual(daemon._token, b"open.sesame")
        (self.directory / "token").write_text("another\n")
        daemon.reload()
        self.assertEqual(daemon._token, b"another")

    def test_metrics(self) -> None:
        """A daemon tells of itself, certificates included."""
        daemon = self.daemon(MIGRATION)
        text = generate_latest(MetricsResource(HOST, daemon).registry).decode()
        expires = daemon.credentials.expires().timestamp()
        for line in (
            'spicemig_build_info{daemon="source"',
            "spicemig_owner 1.0",
            "spicemig_epoch 1.0",
            'spicemig_certificate_expiry_timestamp_seconds{option="ca"} ',
        ):
            self.assertIn(f"\n{line}", text)
        found = re.search(r'expiry_timestamp_seconds{option="certificate"} (\S+)', text)
        self.assertEqual(float(found[1]), expires)


class CredentialsTests(DaemonCase):
    """Certificates and keys are checked before anything is opened."""

    def test_right(self) -> None:
        """All contexts can be made, and the names are known."""
        credentials = Credentials(self.settings(MIGRATION))
        for context in (credentials.for_clients(), credentials.for_sources()):
            context.getContext()
        credentials.for_target("a.example")
        credentials.for_target("127.0.0.1")
        self.assertEqual(names_in(credentials.chain[0]), {"a.example", "127.0.0.1"})
        self.assertTrue(bears_name(credentials.chain[0], []))

    def test_tls_1_3(self) -> None:
        """The oldest version can be raised."""
        Credentials(self.settings(MIGRATION, "source", "tls.minimum_version=1.3")).for_clients().getContext()

    def mistake(self, option: str, text: str) -> ConfigError:
        settings = self.settings(MIGRATION)
        getattr(settings.tls, option).write_text(text)
        return self.assertRaises(ConfigError, Credentials, settings)

    def test_damaged(self) -> None:
        """A file that is no certificate or key is named with its option."""
        for option in ("certificate", "key", "ca"):
            error = self.mistake(option, "nonsense")
            self.assertEqual((error.section, error.option), ("tls", option))
        broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        self.assertEqual(self.mistake("certificate", broken).option, "certificate")

    def test_other_key(self) -> None:
        """A key that does not belong to the certificate is found."""
        settings = self.settings(MIGRATION)
        _, other = Authority(self.directory).issue("other", "a.example")
        settings.tls.key.write_bytes(other.read_bytes())
        self.assertEqual(self.assertRaises(ConfigError, Credentials, settings).option, "key")


class ReloadTests(DaemonCase):
    """What a daemon takes over while it runs."""

    text = MIGRATION + "[auth]\nticket_file = ticket\n[listen]\ntls = tcp:5901\n"

    def reloading(self, text: str) -> Daemon:
        """A daemon that can read its settings again."""
        daemon = self.daemon(self.text)
        daemon.read_settings = lambda: self.settings_again(text)
        return daemon

    def settings_again(self, text: str) -> Settings:
        """The settings, changed."""
        file = self.directory / "spicemig.ini"
        file.write_text("[server]\nstate_dir = state\ncontrol = run/control.sock\n" + text)
        return Settings.read(file, "source")

    def renew(self, name: str = "host") -> None:
        """Another certificate of the same name, and its key."""
        Authority(self.directory).issue(name, "a.example", "127.0.0.1")

    def shown(self, daemon: Daemon) -> bytes:
        """The certificate that new clients are shown."""
        context = daemon.credentials.for_clients().getContext()
        certificate = SSL.Connection(context, None).get_certificate()
        return crypto.dump_certificate(crypto.FILETYPE_PEM, certificate)

    def test_certificates(self) -> None:
        """On SIGHUP new connections are shown the new certificate, on listeners that stay."""
        daemon = self.daemon(self.text)
        listener = daemon.credentials.for_clients()
        before = self.shown(daemon)
        self.renew()
        self.assertEqual(self.shown(daemon), before)
        daemon.reload()
        self.assertNotEqual(self.shown(daemon), before)
        shown = SSL.Connection(listener.getContext(), None).get_certificate()
        self.assertEqual(crypto.dump_certificate(crypto.FILETYPE_PEM, shown), self.shown(daemon))
        self.assertEqual(daemon.credentials.chain[0].digest("sha256"), shown.digest("sha256"))

    def test_files_change(self) -> None:
        """Without a signal, too, once the files are complete."""
        daemon = self.daemon(self.text)
        before = self.shown(daemon)
        self.renew()
        self.reactor.advance(LOOK_SECONDS)
        self.assertEqual(self.shown(daemon), before)  # it may not be all yet
        self.reactor.advance(LOOK_SECONDS)
        self.assertNotEqual(self.shown(daemon), before)

    def test_damaged(self) -> None:
        """A certificate that is damaged changes nothing; a right one later does."""
        daemon = self.daemon(self.text)
        before = self.shown(daemon)
        (self.directory / "host.pem").write_text("rubbish")
        daemon.reload()
        self.reactor.pump([LOOK_SECONDS] * 3)
        self.assertEqual(self.shown(daemon), before)
        self.renew()
        self.reactor.pump([LOOK_SECONDS] * 2)
        self.assertNotEqual(self.shown(daemon), before)

    def test_limits(self) -> None:
        """How many clients there may be is taken over; so is whether tickets are asked for."""
        text = (
            MIGRATION + "[auth]\nmode = none\n[listen]\ntls = tcp:5901\nmax_clients = 3\nmulti_client = no\n"
        )
        daemon = self.reloading(text)
        daemon.reload()
        self.assertEqual(daemon.sessions.settings.max_clients, 3)
        self.assertFalse(daemon.sessions.settings.multi_client)
        self.assertEqual(host_facts(daemon).max_clients, 3)
        self.assertIsNone(daemon.sessions.ticket)

    def test_mistake(self) -> None:
        """With a mistake anywhere all stays as it was."""
        daemon = self.reloading(self.text + "max_clients = none\n")
        (self.directory / "ticket").write_text("another\n")
        daemon.reload()
        self.assertTrue(daemon.sessions.ticket.check(b"of clients", 4.0))
        self.assertEqual(daemon.sessions.settings.max_clients, 64)

    def test_empty_ticket(self) -> None:
        """A file that turns out to be of no use counts as one: the limits stay, too."""
        daemon = self.reloading(self.text + "max_clients = 3\n")
        (self.directory / "ticket").write_text("\n")
        daemon.reload()
        self.assertTrue(daemon.sessions.ticket.check(b"of clients", 4.0))
        self.assertEqual(host_facts(daemon).max_clients, 64)

    def test_restart(self) -> None:
        """What takes a restart is not taken over, and said to be so."""
        daemon = self.reloading(self.text + "plain = tcp:1\n[demo]\nwidth = 900\n[display]\nworkers = 7\n")
        with capturedLogs() as events:
            daemon.reload()
        named = {(event["section"], event["name"]) for event in events if "section" in event}
        self.assertEqual(named, {("listen", "plain"), ("demo", "width"), ("display", "workers")})
        self.assertEqual(daemon.settings.display.workers, 2)
