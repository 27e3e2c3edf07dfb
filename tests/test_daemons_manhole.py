# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the manhole: who gets in, by which door, and what happens inside. No socket is opened."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.internet.address import UNIXAddress
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase

from spicemig.daemons.config import Settings
from spicemig.daemons.manhole import KEY_FILE
from spicemig.daemons.relay import RelayDaemon
from spicemig.daemons.relay_config import RelayDaemonSettings
from spicemig.daemons.service import Daemon, StartError
from spicemig.errors import ConfigError

try:
    from twisted.conch.ssh import common, keys

    from spicemig.daemons import manhole_ssh as ssh
    from tests.ssh_client import Channel, Client
except ImportError as missing:
    skip = f"needs twisted[conch]: {missing}"


def key_pair() -> tuple[Any, bytes]:
    """A key, and its line for authorized_keys."""
    private = ed25519.Ed25519PrivateKey.generate()
    line = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return keys.Key(private), line


class ManholeCase(SynchronousTestCase):
    """Daemons with a manhole, in a directory of their own."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.reactor = MemoryReactorClock()
        self.key, line = key_pair()
        self.authorized = self.directory / "authorized"
        self.authorized.write_bytes(b"# operators\n\n" + line + b" me@example\n")
        self.authorized.chmod(0o644)

    def settings(self, text: str = "", *overrides: str) -> Settings:
        file = self.directory / "spicemig.ini"
        file.write_text(
            "[server]\nstate_dir = state\ncontrol = run/control.sock\n"
            f"[manhole]\nenabled = yes\nauthorized_keys = authorized\n{text}"
        )
        return Settings.read(file, "source", overrides)

    def mistake(self, text: str = "", *overrides: str) -> str:
        """What is said of wrong settings, before or at the start."""
        try:
            daemon = Daemon(self.settings(text, *overrides), self.reactor)
        except ConfigError as error:
            return str(error)
        return str(self.assertRaises(StartError, daemon.startService))

    def daemon(self, text: str = "", *overrides: str) -> Daemon:
        made = Daemon(self.settings(text, *overrides), self.reactor)
        made.startService()
        self.addCleanup(lambda: made.running and self.successResultOf(made.stopService()))
        if made.manhole is not None:
            made.manhole.factory.doStart()
        return made


class DoorTests(ManholeCase):
    """Where a manhole may be."""

    def test_off(self) -> None:
        """There is none unless the settings say so, and then nothing of it is looked at."""
        daemon = self.daemon("host_key = nowhere\n", "manhole.enabled=no", "manhole.authorized_keys=")
        self.assertIsNone(daemon.manhole)
        self.assertNotIn("manhole", daemon.listeners.addresses())

    def test_unix(self) -> None:
        """By default it is a unix socket that only the daemon's user may open."""
        self.daemon()
        doors = {Path(path).name: mode for path, _factory, _backlog, mode, _lock in self.reactor.unixServers}
        self.assertEqual(doors["source.manhole"], 0o600)

    def test_loopback(self) -> None:
        """It may be a TCP port on loopback, by either protocol."""
        self.daemon("listen = tcp:6023:interface=127.0.0.1 tcp6:6024:interface=\\:\\:1\n")
        self.assertEqual({server[0] for server in self.reactor.tcpServers}, {5900, 6023, 6024})

    def test_elsewhere(self) -> None:
        """Whatever could be reached from elsewhere, or by others here, is refused with a reason."""
        for listen, reason in (
            ("tcp:6023", "interface=127.0.0.1"),
            ("tcp:6023:interface=0.0.0.0", "reached from elsewhere"),
            ("tcp:6023:interface=192.0.2.1", "reached from elsewhere"),
            ("tcp:6023:interface=localhost", "reached from elsewhere"),
            ("tcp6:6023", "reached from elsewhere"),
            ("unix:/run/x.sock", ":mode=600"),
            ("unix:/run/x.sock:mode=666", ":mode=600"),
            ("systemd:domain=INET:index=0", "systemd"),
            ("tcp:6023:interface=127.0.0.1 tcp:1", "'tcp:1'"),
            ("", "must not be empty"),
        ):
            said = self.mistake(f"listen = {listen}\n")
            self.assertIn("[manhole] listen", said, listen)
            self.assertIn(reason, said, listen)

    def test_no_conch(self) -> None:
        """Without conch the start fails, and says what to install."""
        package = sys.modules["spicemig.daemons"]
        self.addCleanup(setattr, package, "manhole_ssh", ssh)
        del package.manhole_ssh
        with mock.patch.dict(sys.modules, {"spicemig.daemons.manhole_ssh": None}):
            said = self.mistake()
        self.assertIn("[manhole] enabled", said)
        self.assertIn("python3-bcrypt", said)


class KeyFileTests(ManholeCase):
    """Keys that are missing, open to others or damaged stop the start."""

    def test_authorized_keys(self) -> None:
        """Somebody must be able to come in, and it must be clear who."""
        self.assertIn("nobody comes in", self.mistake("", "manhole.authorized_keys="))
        self.assertIn("there is no file", self.mistake("", "manhole.authorized_keys=/nowhere"))
        for text, reason in (
            (b"# nobody\n", "there is no key"),
            (b"rubbish\n", "line 1"),
            (b'\ncommand="x" ssh-ed25519 AAAA\n', "line 2"),
            (self.key.toString("openssh"), "line 1"),
            (b"x" * 70000, "too large"),
        ):
            self.authorized.write_bytes(text)
            said = self.mistake()
            self.assertIn("[manhole] authorized_keys", said)
            self.assertIn(reason, said)

    def test_written_by_others(self) -> None:
        """A file to which others could add a key is not used."""
        for mode in (0o664, 0o646):
            self.authorized.chmod(mode)
            self.assertIn("chmod go-w", self.mistake())

    def test_somebody_elses(self) -> None:
        """Nor one that belongs to somebody else."""
        status = os.stat_result((0o100600, 0, 0, 1, os.geteuid() + 1000, 0, 0, 0, 0, 0))
        self.patch(os, "fstat", lambda descriptor: status)
        self.assertIn("somebody else", self.mistake())

    def test_made(self) -> None:
        """A host key is made at the first start, for the daemon's user only, and kept."""
        first = self.daemon()
        file = self.directory / "state" / KEY_FILE
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        known = first.manhole.factory.publicKeys
        self.successResultOf(first.stopService())
        self.assertEqual(self.daemon().manhole.factory.publicKeys, known)

    def test_given(self) -> None:
        """A host key may be given; a group may read it, others may not."""
        other, _line = key_pair()
        file = self.directory / "key"
        file.write_bytes(other.toString("openssh"))
        file.chmod(0o640)
        daemon = self.daemon("host_key = key\n")
        self.assertEqual(list(daemon.manhole.factory.privateKeys.values()), [other])
        for mode, reason in ((0o644, "read by others"), (0o660, "written by others")):
            file.chmod(mode)
            self.assertIn(reason, self.mistake("host_key = key\n"))
        file.chmod(0o600)
        for text in (b"rubbish", b"", other.public().toString("openssh")):
            file.write_bytes(text)
            self.assertIn("[manhole] host_key", self.mistake("host_key = key\n"))


# -- clients in memory ------------------------------------------------------------------------------


class _Transport(FakeTransport):
    """As a real one, with a peer that is a unix socket."""

    def getPeer(self) -> Any:
        return UNIXAddress("")

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As TCP has it; conch asks for it."""


class SSHCase(ManholeCase):
    """Clients in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.pumps: list[Any] = []

    def connect(self, daemon: Daemon, key: Any = None) -> Client:
        """A client that shows a key, as far as it gets."""
        server = daemon.manhole.factory.buildProtocol(UNIXAddress(""))
        client = Client(key or self.key)
        pump = connect(server, _Transport(server, isServer=True), client, _Transport(client, isServer=False))
        self.pumps.append(pump)
        self.addCleanup(self.quiet, client)
        self.go_on()
        return client

    def quiet(self, client: Client) -> None:
        """End a connection, if it has not ended."""
        client.transport.loseConnection()
        self.go_on()

    def go_on(self) -> None:
        """Let everybody say what there is to say."""
        for _ in range(4):
            for pump in self.pumps:
                pump.flush()
            self.reactor.advance(0)

    def ask(self, client: Client, *ask: tuple[bytes, bytes]) -> Channel:
        """A session with these requests."""
        session = Channel(*ask, conn=client.sessions)
        client.sessions.openChannel(session)
        self.go_on()
        return session

    def run_command(self, client: Client, command: bytes) -> Channel:
        """Run a command."""
        return self.ask(client, (b"exec", common.NS(command)))


class LoginTests(SSHCase):
    """Who gets in."""

    def test_right_key(self) -> None:
        """Who has an authorised key is in, whatever name is given, and sees the host key."""
        daemon = self.daemon()
        client = self.connect(daemon)
        self.assertTrue(client.sessions.logged_in)
        [public] = daemon.manhole.factory.publicKeys.values()
        self.assertEqual(client.host_key, public.blob())

    def test_wrong_key(self) -> None:
        """Who has another one is not."""
        other, _line = key_pair()
        client = self.connect(self.daemon(), other)
        self.assertFalse(client.sessions.logged_in)

    def test_only_keys(self) -> None:
        """Passwords are not asked for."""
        factory = self.daemon().manhole.factory
        asked = [interface.__name__ for interface in factory.portal.listCredentialsInterfaces()]
        self.assertEqual(asked, ["ISSHPrivateKey"])

    def test_revoked(self) -> None:
        """A key that is taken out of the file opens nothing more; one that is added does."""
        daemon = self.daemon()
        other, line = key_pair()
        self.authorized.write_bytes(line)
        self.assertFalse(self.connect(daemon).sessions.logged_in)
        self.assertTrue(self.connect(daemon, other).sessions.logged_in)

    def test_unsafe_meanwhile(self) -> None:
        """If others may write the file by now, nobody gets in."""
        daemon = self.daemon()
        self.authorized.chmod(0o666)
        self.assertFalse(self.connect(daemon).sessions.logged_in)

    def test_too_slow(self) -> None:
        """Who does not log in soon is dropped; who has logged in stays."""
        daemon = self.daemon()
        client = self.connect(daemon)
        stranger = StringTransport()
        daemon.manhole.factory.buildProtocol(UNIXAddress("")).makeConnection(stranger)
        self.reactor.advance(ssh.LOGIN_SECONDS - 1)
        self.assertFalse(stranger.disconnecting)
        self.reactor.advance(2)
        self.assertTrue(stranger.disconnecting)
        self.assertEqual(self.run_command(client, b"1+1").text, "2\n")

    def test_too_many(self) -> None:
        """There are only so many connections at once."""
        daemon = self.daemon()
        clients = [self.connect(daemon) for _ in range(ssh.MAX_CONNECTIONS)]
        self.assertIsNone(daemon.manhole.factory.buildProtocol(UNIXAddress("")))
        self.quiet(clients[0])
        self.assertTrue(self.connect(daemon).sessions.logged_in)

    def test_nothing_else(self) -> None:
        """Weak ciphers and compression are not offered, and nothing is forwarded."""
        client = self.connect(self.daemon())
        self.assertEqual(client.outgoingCompressionType, b"none")
        self.assertEqual(set(ssh.Transport.supportedCiphers), {b"aes128-ctr", b"aes192-ctr", b"aes256-ctr"})
        forward = Channel(conn=client.sessions)
        forward.name = b"direct-tcpip"
        client.sessions.openChannel(forward)
        self.go_on()
        self.assertTrue(forward.refused)
        asked = client.sessions.sendGlobalRequest(b"tcpip-forward", common.NS(b"") + b"\0\0\0\0", wantReply=1)
        self.go_on()
        self.failureResultOf(asked)
        session = self.ask(client, (b"subsystem", common.NS(b"sftp")), (b"env", common.NS(b"A") * 2))
        self.assertEqual(session.answers, [False, False])

    def test_end(self) -> None:
        """When the daemon ends, everybody is sent out, and nothing is left on the reactor."""
        daemon = self.daemon()
        client = self.connect(daemon)
        self.successResultOf(daemon.stopService())
        self.go_on()
        self.assertTrue(client.transport.disconnected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class CommandTests(SSHCase):
    """What happens inside."""

    def setUp(self) -> None:
        super().setUp()
        self.host = self.daemon()
        self.client = self.connect(self.host)

    def test_functions(self) -> None:
        """The functions of the guide are there, and print to whoever asks."""
        session = self.run_command(self.client, b"guide()")
        self.assertEqual((session.status, session.ended), (0, True))
        self.assertIn("stuck(seconds=2.0)", session.text)
        self.assertIn("guest demo", self.run_command(self.client, b"device()").text)
        self.assertEqual(self.run_command(self.client, b"daemon.settings.daemon").text, "'source'\n")

    def test_mistakes(self) -> None:
        """A command that fails shows why, and its exit status says so."""
        for command, said in (
            (b"1/0", "ZeroDivisionError"),
            (b"1+", "SyntaxError"),
            (b"if 1:", "not complete"),
            (b"\xff", "SyntaxError"),
            (b"input()", "stand still"),
        ):
            session = self.run_command(self.client, command)
            self.assertIn(said, session.text, command)
            self.assertEqual(session.status, 1, command)

    def test_leaving(self) -> None:
        """exit() ends the session and not the daemon."""
        self.assertEqual(self.run_command(self.client, b"exit()").status, 0)
        self.assertEqual(self.run_command(self.client, b"raise SystemExit(3)").status, 3)
        self.assertTrue(self.host.running)

    def test_several_lines(self) -> None:
        """A command may be a small program."""
        session = self.run_command(self.client, b"for number in range(3):\n    print(number)\n")
        self.assertEqual(session.text, "0\n1\n2\n")

    def prompt(self) -> Channel:
        """A session at a terminal."""
        terminal = session_request(b"xterm", 24, 80)
        session = self.ask(self.client, (b"pty-req", terminal), (b"shell", b""))
        self.assertEqual(session.answers, [True, True])
        return session

    def type(self, session: Channel, text: bytes) -> None:
        """Type something."""
        session.write(text)
        self.go_on()

    def test_prompt(self) -> None:
        """At a terminal one gets a prompt and a hint, and values are kept from line to line."""
        session = self.prompt()
        self.assertIn("guide()", session.text)
        self.type(session, b"x = 20\rx + 1\r")
        self.assertIn("\r\n21\r\n", session.text)
        self.type(session, b"1/0\r")
        self.assertIn("ZeroDivisionError", session.text)

    def test_leaving_prompt(self) -> None:
        """Control-D and exit() end the session, leave the screen as it is, and nothing else ends."""
        for typed in (b"\x04", b"exit()\r"):
            session = self.prompt()
            self.type(session, typed)
            self.assertEqual((session.status, session.ended), (0, True))
            self.assertNotIn("\x1bc", session.text)
            self.assertNotIn("\x1b[2J", session.text)
        self.assertEqual(self.run_command(self.client, b"1").text, "1\n")

    def test_window(self) -> None:
        """A terminal may change its size; that clears nothing."""
        session = self.prompt()
        size = b"".join(number.to_bytes(4, "big") for number in (100, 50, 0, 0))
        self.client.sessions.sendRequest(session, b"window-change", size)
        self.go_on()
        self.assertNotIn("\x1b[2J", session.text)
        self.type(session, b"5\r")
        self.assertIn("\r\n5\r\n", session.text)

    def test_no_terminal(self) -> None:
        """A shell without a terminal is told what to do."""
        session = self.ask(self.client, (b"shell", b""))
        self.assertEqual(session.status, 1)
        self.assertIn(b"ssh -t", b"".join(session.errors))

    def test_connection_lost(self) -> None:
        """A terminal whose connection breaks is forgotten."""
        self.prompt()
        self.quiet(self.client)
        self.assertEqual(len(self.host.manhole.factory.connections), 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_too_many_sessions(self) -> None:
        """One connection has only so many sessions."""
        sessions = [self.prompt() for _ in range(ssh.MAX_SESSIONS)]
        one_more = self.ask(self.client)
        self.assertTrue(one_more.refused)
        self.type(sessions[0], b"\x04")
        self.assertEqual(self.run_command(self.client, b"1").text, "1\n")


class RelayTests(SSHCase):
    """The manhole of a relay."""

    def daemon(self, text: str = "", *overrides: str) -> RelayDaemon:
        file = self.directory / "relay.ini"
        file.write_text(
            "[server]\nstate_dir = state\ncontrol = run/control.sock\n"
            f"[manhole]\nenabled = yes\nauthorized_keys = authorized\n{text}"
        )
        made = RelayDaemon(RelayDaemonSettings.read(file, overrides), self.reactor)
        made.startService()
        self.addCleanup(lambda: made.running and self.successResultOf(made.stopService()))
        if made.manhole is not None:
            made.manhole.factory.doStart()
        return made

    def test_functions(self) -> None:
        """Who has the key is in, and finds what a relay has."""
        client = self.connect(self.daemon())
        self.assertIn("routes()", self.run_command(client, b"guide()").text)
        self.assertIn("127.0.0.1:5900", self.run_command(client, b"routes()").text)
        self.assertEqual(self.run_command(client, b"len(clients)").text, "0\n")
        self.assertEqual(self.run_command(client, b"relay is daemon.relay").text, "True\n")

    def test_door(self) -> None:
        """By default it is a unix socket of its own, next to the control socket's default."""
        self.daemon()
        doors = {Path(path).name: mode for path, _factory, _backlog, mode, _lock in self.reactor.unixServers}
        self.assertEqual(doors["relay.manhole"], 0o600)

    def test_host_key(self) -> None:
        """It is known again after a restart by a key in its state directory."""
        first = self.daemon()
        file = self.directory / "state" / KEY_FILE
        self.assertEqual((file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777), (0o700, 0o600))
        known = first.manhole.factory.publicKeys
        self.successResultOf(first.stopService())
        self.assertEqual(self.daemon().manhole.factory.publicKeys, known)

    def test_off(self) -> None:
        """Without a manhole a relay keeps nothing, and needs no state directory."""
        daemon = self.daemon("", "manhole.enabled=no")
        self.assertIsNone(daemon.manhole)
        self.assertFalse((self.directory / "state").exists())

    def test_wrong(self) -> None:
        """A mistake stops the start, as everywhere."""
        self.authorized.chmod(0o666)
        error = self.assertRaises(StartError, self.daemon)
        self.assertIn("[manhole] authorized_keys", str(error))
        self.assertRaises(ConfigError, self.daemon, "", "manhole.listen=tcp:6023")

    def test_end(self) -> None:
        """When the relay ends, everybody is sent out, and nothing is left on the reactor."""
        daemon = self.daemon()
        client = self.connect(daemon)
        self.successResultOf(daemon.stopService())
        self.go_on()
        self.assertTrue(client.transport.disconnected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


def session_request(term: bytes, rows: int, columns: int) -> bytes:
    """The body of a pty-req."""
    size = b"".join(number.to_bytes(4, "big") for number in (columns, rows, 0, 0))
    return common.NS(term) + size + common.NS(b"")
