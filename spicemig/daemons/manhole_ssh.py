# SPDX-License-Identifier: LGPL-2.1-or-later
"""
SSH into a daemon: an interpreter behind public keys, and nothing else.

No passwords, no forwarding, no subsystems, no compression. Connections are few, and who
does not log in soon is dropped. With a terminal one gets a prompt; a command
(``ssh ... 'stuck()'``) is run and its output sent back.

Source: RFC 4252 to 4254; Twisted's conch, 22.4 and later.
"""

from __future__ import annotations

import base64
import hashlib
import pydoc
import warnings
from collections.abc import Callable
from typing import Any

from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of ciphers that conch knows and that are not offered here
    from twisted.conch.avatar import ConchUser
    from twisted.conch.checkers import SSHPublicKeyChecker
    from twisted.conch.error import ConchError
    from twisted.conch.insults.insults import ServerProtocol, modes
    from twisted.conch.interfaces import IConchUser
    from twisted.conch.manhole import Manhole, ManholeInterpreter
    from twisted.conch.ssh import common, connection, factory, session, transport, userauth
    from twisted.conch.ssh.keys import Key

from spicemig.errors import ConfigError

MAX_CONNECTIONS = 4  # logged in or not
MAX_SESSIONS = 4  # in one connection
MAX_COMMAND_BYTES = 64 * 1024
LOGIN_SECONDS = 30.0  # from connecting until the key was accepted
LOGIN_ATTEMPTS = 6  # keys that a client may try

GREETING = "You are inside a running daemon; guide() says what there is.\n"

_CIPHERS = (b"aes256-ctr", b"aes192-ctr", b"aes128-ctr")
_MACS = (b"hmac-sha2-512", b"hmac-sha2-256")
_KEY_EXCHANGES = (b"curve25519", b"ecdh-sha2")

# of client keys; conch would name those of the host key, and clients keep theirs back then
_SIGNATURES = (
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"rsa-sha2-512",
    b"rsa-sha2-256",
)

_log = Logger()


class _Failures(Logger):
    """For conch, which logs every step, and commands: our own mistakes, and nothing else."""

    def emit(self, level: Any, format: str | None = None, **fields: Any) -> None:
        failure = fields.get("log_failure")
        if level is LogLevel.critical and not (failure and failure.check(ConchError)):
            super().emit(level, format, **fields)


def parse_public_key(line: bytes) -> Any:
    """A line of authorized_keys; raises ``ValueError``."""
    return _parse(line, private=False)


def parse_private_key(data: bytes) -> Any:
    """A host key without a passphrase; raises ``ValueError``."""
    return _parse(data, private=True)


def _parse(data: bytes, *, private: bool) -> Any:
    try:
        key = Key.fromString(data)
    except Exception as error:  # conch lets all kinds through, of its own and of what it calls
        raise ValueError(str(error) or type(error).__name__) from error
    if key.isPublic() is private:
        raise ValueError("it is a public one" if private else "it is a private one")
    return key


def fingerprint(blob: bytes) -> str:
    """The fingerprint of a public key, as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()


# -- the interpreter --------------------------------------------------------------------------------


def _leave(*_: Any) -> None:
    raise SystemExit


def _unanswered(*_: Any) -> None:
    raise RuntimeError("nobody could answer, and the daemon would stand still")


def _help(*things: Any) -> None:
    print(pydoc.plain(pydoc.render_doc(things[0])) if things else "guide() says what there is.")


#: Builtins that would use a terminal which the daemon does not have.
WITHOUT_TERMINAL = {
    "exit": _leave,
    "quit": _leave,
    "input": _unanswered,
    "breakpoint": _unanswered,
    "help": _help,
}


class Interpreter(ManholeInterpreter):
    """Runs what is typed; ``exit()`` ends the session and not the daemon."""

    def runcode(self, *arguments: Any) -> None:
        try:
            super().runcode(*arguments)
        except SystemExit:
            self.handler.handle_QUIT()


class Prompt(Manhole):
    """One session at a terminal."""

    ps = (b"spicemig> ", b"......... ")

    def connectionMade(self) -> None:
        super().connectionMade()
        self.interpreter = Interpreter(self, self.namespace)

    def initializeScreen(self) -> None:
        """Leave on the screen what is there."""
        self.setInsertMode()
        self.terminal.write(GREETING.encode())
        self.terminal.write(self.ps[self.pn])

    def terminalSize(self, width: int, height: int) -> None:
        """The same when its size changes."""
        self.width, self.height = width, height

    def handle_QUIT(self) -> None:
        """The same when the session ends."""
        self.terminal.nextLine()
        self.terminal.resetModes([modes.IRM])
        self.terminal.transport.loseConnection()


class Command(ManholeInterpreter):
    """Runs one command without a session; ``output`` and ``status`` say how it went."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__(self, namespace)
        self.output: list[str] = []
        self.status = 0

    def run(self, source: str) -> None:
        """Run it as if it had been typed; of several lines no values are shown."""
        try:
            incomplete = self.runsource(source, "<command>", "exec" if "\n" in source else "single")
        except SystemExit as error:
            self.status = error.code if isinstance(error.code, int) else int(error.code is not None)
            return
        if incomplete:
            self.addOutput("the command is not complete\n")
            self.status = 1

    def addOutput(self, data: str | bytes, isAsync: Any = None) -> None:
        """What is printed comes here, as to a prompt."""
        self.output.append(data if isinstance(data, str) else data.decode(errors="replace"))

    def displayhook(self, value: Any) -> None:
        if value is not None:
            self.addOutput(f"{value!r}\n")

    def showtraceback(self) -> None:
        self.status = 1
        super().showtraceback()

    def showsyntaxerror(self, *arguments: Any, **named: Any) -> None:
        self.status = 1
        super().showsyntaxerror(*arguments, **named)


# -- sessions ---------------------------------------------------------------------------------------


class _Screen:
    """What a terminal writes to: one SSH channel."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def write(self, data: bytes) -> None:
        """Send it."""
        self.channel.write(data)

    def writeSequence(self, data: Any) -> None:
        """Send these."""
        self.channel.write(b"".join(data))

    def loseConnection(self) -> None:
        """End the session."""
        self.channel.end(0)


class Session(session.SSHSession):
    """One channel of a connection: a prompt, or one command."""

    _log = _Failures()
    terminal: Any = None  # insults' ServerProtocol, once there is a prompt
    size = (24, 80)  # rows, columns
    has_terminal = False
    _early = b""  # typed before there was a prompt

    def request_env(self, data: bytes) -> int:
        """Environment variables mean nothing here."""
        return 0

    def request_subsystem(self, data: bytes) -> int:
        """There are none."""
        return 0

    def request_pty_req(self, data: bytes) -> int:
        """The client has a terminal."""
        _term, size, _modes = session.parseRequest_pty_req(data)
        self.size, self.has_terminal = size[:2], True
        return 1

    def request_window_change(self, data: bytes) -> int:
        """It has another size now."""
        self.size = session.parseRequest_window_change(data)[:2]
        if self.terminal is not None:
            self.terminal.terminalProtocol.terminalSize(self.size[1], self.size[0])
        return 1

    def request_shell(self, data: bytes) -> int:
        """A prompt."""
        if self.terminal is not None:
            return 0
        if not self.has_terminal:
            self.conn.transport.factory.clock.callLater(
                0, self._say_and_end, b"use ssh -t, or give a command\n"
            )
            return 1
        self.terminal = ServerProtocol(Prompt, self.avatar.namespace())
        self.terminal.makeConnection(_Screen(self))
        self.terminal.terminalProtocol.terminalSize(self.size[1], self.size[0])
        self.terminal.dataReceived(self._early)
        return 1

    def request_exec(self, data: bytes) -> int:
        """One command; it is not logged, as it may hold what is secret."""
        source, _rest = common.getNS(data)
        if self.terminal is not None or len(source) > MAX_COMMAND_BYTES:
            return 0
        # the answer to the request has to go out first
        self.conn.transport.factory.clock.callLater(0, self._run, source)
        return 1

    def _run(self, source: bytes) -> None:
        if not self.localClosed:
            command = Command(self.avatar.namespace())
            command.run(source.decode(errors="replace"))
            self.write("".join(command.output).encode())
            self.end(command.status)

    def _say_and_end(self, text: bytes) -> None:
        if not self.localClosed:
            self.writeExtended(connection.EXTENDED_DATA_STDERR, text)
            self.end(1)

    def end(self, status: int) -> None:
        """Nothing more comes."""
        if not self.localClosed:
            self.conn.sendRequest(self, b"exit-status", status.to_bytes(4, "big"))
            self.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.terminal is not None:
            self.terminal.dataReceived(data)
        elif self.has_terminal and len(self._early) < MAX_COMMAND_BYTES:
            self._early += data

    def extReceived(self, dataType: int, data: bytes) -> None:
        """Nothing is read from there."""

    def eofReceived(self) -> None:
        if self.terminal is not None:
            self.end(0)

    def closed(self) -> None:
        if self.terminal is not None:
            terminal, self.terminal = self.terminal, None
            terminal.connectionLost(connectionDone)


class Operator(ConchUser):
    """Somebody who is logged in."""

    _log = _Failures()

    def __init__(self, namespace: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self.channelLookup[b"session"] = Session
        self._namespace = namespace

    def namespace(self) -> dict[str, Any]:
        """All names, anew for every session."""
        return {**self._namespace(), **WITHOUT_TERMINAL}

    def lookupChannel(self, channelType: bytes, windowSize: int, maxPacket: int, data: bytes) -> Any:
        if len(self.conn.channels) >= MAX_SESSIONS:
            raise ConchError(connection.OPEN_RESOURCE_SHORTAGE, "too many sessions")
        return super().lookupChannel(channelType, windowSize, maxPacket, data)


# -- logging in -------------------------------------------------------------------------------------


class Checker(SSHPublicKeyChecker):
    """Knows the authorised keys, whatever name somebody gives; the file is read at every login."""

    def __init__(self, authorized_keys: Callable[[], list[Any]]) -> None:
        super().__init__(self)
        self._read = authorized_keys

    def getAuthorizedKeys(self, name: bytes) -> list[Any]:
        """See ``IAuthorizedKeysDB``."""
        try:
            return self._read()
        except ConfigError as error:
            _log.error("manhole: nobody can log in: {error}", error=error)
            return []

    def requestAvatarId(self, credentials: Any) -> Any:
        key = fingerprint(credentials.blob)

        def refused(failure: Failure) -> Failure:
            if failure.check(UnauthorizedLogin):
                _log.info("manhole: {key} was refused", key=key)
            return failure

        return super().requestAvatarId(credentials).addCallbacks(lambda _name: key, refused)


class Realm:
    """Everybody with a key is an operator."""

    def __init__(self, namespace: Callable[[], dict[str, Any]]) -> None:
        self._namespace = namespace

    def requestAvatar(self, name: str, mind: Any, *interfaces: Any) -> Any:
        """See ``IRealm``."""
        _log.info("manhole: {key} logged in", key=name)

        def left() -> None:
            _log.info("manhole: {key} left", key=name)

        return IConchUser, Operator(self._namespace), left


class Authentication(userauth.SSHUserAuthServer):
    """The stage in which a client shows its keys; how long is the transport's to bound."""

    _log = _Failures()
    attemptsBeforeDisconnect = LOGIN_ATTEMPTS

    def serviceStarted(self) -> None:
        self.clock = self.transport.factory.clock
        super().serviceStarted()


class Sessions(connection.SSHConnection):
    """The sessions of a connection."""

    _log = _Failures()


class Transport(transport.SSHServerTransport):
    """One connection; it is dropped if nobody logs in soon."""

    _log = _Failures()
    supportedCiphers = [each for each in transport.SSHServerTransport.supportedCiphers if each in _CIPHERS]
    supportedMACs = [each for each in transport.SSHServerTransport.supportedMACs if each in _MACS]
    supportedCompressions = [b"none"]

    _timer: Any = None

    def connectionMade(self) -> None:
        self.factory.came(self)
        known: list[bytes] = self.supportedKeyExchanges  # type: ignore[has-type]
        self.supportedKeyExchanges = [each for each in known if each.startswith(_KEY_EXCHANGES)]
        self._timer = self.factory.clock.callLater(LOGIN_SECONDS, self._too_late)
        super().connectionMade()

    def sendExtInfo(self, extensions: Any) -> None:
        super().sendExtInfo([(b"server-sig-algs", b",".join(_SIGNATURES))])

    def _too_late(self) -> None:
        self._timer = None
        _log.info("manhole: {peer} did not log in", peer=self.transport.getPeer())
        self.transport.abortConnection()

    def setService(self, service: Any) -> None:
        if service.name == b"ssh-connection":
            self._stop_timer()
        super().setService(service)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        self.factory.left(self)
        super().connectionLost(reason)


class ManholeFactory(factory.SSHFactory):
    """
    Takes connections for a manhole.

    ``authorized_keys()`` gives the keys that open it now, ``namespace()`` the names for a session.
    """

    noisy = False
    _log = _Failures()
    protocol = Transport
    services = {b"ssh-userauth": Authentication, b"ssh-connection": Sessions}

    def __init__(
        self,
        host_key: Any,
        authorized_keys: Callable[[], list[Any]],
        namespace: Callable[[], dict[str, Any]],
        clock: Any,
    ) -> None:
        self.portal = Portal(Realm(namespace), [Checker(authorized_keys)])
        self.privateKeys = {host_key.sshType(): host_key}
        self.publicKeys = {host_key.sshType(): host_key.public()}
        self.clock = clock
        self.connections: set[Any] = set()

    def buildProtocol(self, addr: Any) -> Protocol | None:
        """A protocol, or None (the connection is closed) if there are too many."""
        if len(self.connections) >= MAX_CONNECTIONS:
            _log.info("manhole: too many connections, one from {peer} was closed", peer=addr)
            return None
        return super().buildProtocol(addr)

    def came(self, protocol: Any) -> None:
        """There is a connection."""
        self.connections.add(protocol)

    def left(self, protocol: Any) -> None:
        """A connection is gone."""
        self.connections.discard(protocol)

    def close(self) -> None:
        """End all connections."""
        for each in list(self.connections):
            each.transport.abortConnection()
