# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Starts real daemons and real clients for one test, and ends them.

Everything listens on loopback and on ports that the system chose; files are in
the test's directory; every wait has a deadline; processes are ended by their id.
"""

from __future__ import annotations

import functools
import inspect
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SkipTest, TestCase
from twisted.web.client import Agent, ResponseNeverReceived, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from spicemig.client.hosts import Address, Network
from spicemig.client.session import STOCK, Abilities, ViewerSession
from tests.peers.certificates import Authority, Pair
from tests.peers.tap import Tap

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
SYSTEM_PYTHON = "/usr/bin/python3"
START_SECONDS = 20.0
END_SECONDS = 10.0
MIGRATION_SECRET = "between the hosts"


class HTTPError(Exception):
    """The control API said no."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


class NotDone(AssertionError):
    """A client did not do what it was told."""


# -- what is installed ------------------------------------------------------------------------------


def why_no_gtk() -> str | None:
    """Why spice-gtk cannot be used here; None if it can."""
    if not os.access(SYSTEM_PYTHON, os.X_OK):
        return f"there is no {SYSTEM_PYTHON}"
    load = (
        "import gi; gi.require_version('SpiceClientGLib', '2.0'); from gi.repository import SpiceClientGLib"
    )
    tried = subprocess.run([SYSTEM_PYTHON, "-c", load], capture_output=True, check=False)
    return (
        None if tried.returncode == 0 else "needs the Debian packages python3-gi, gir1.2-spiceclientglib-2.0"
    )


def why_no(*programs: str) -> str | None:
    """Which of these programs is not installed; None if all are."""
    missing = [program for program in programs if shutil.which(program) is None]
    return f"needs {', '.join(missing)}" if missing else None


_GTK: list[str | None] = []


def require_gtk() -> None:
    """Skip the test where spice-gtk is not installed."""
    if not _GTK:
        _GTK.append(why_no_gtk())
    if _GTK[0]:
        raise SkipTest(_GTK[0])


def sleep(seconds: float) -> Deferred:
    """Let real time pass, where a real program gives no sign to wait for."""
    return deferLater(reactor, seconds, lambda: None)


async def eventually(check: Callable[[], Any], seconds: float = 10.0, what: str = "") -> Any:
    """Wait until ``check()`` (which may be a coroutine function) gives something true; gives that."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if hasattr(found, "__await__"):
            found = await found
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {what or check}")
        await sleep(0.02)


# -- processes --------------------------------------------------------------------------------------


class Program(ProcessProtocol):
    """A process of a test; its lines of output are kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self.process: Any = None  # once it was started
        self.ended: Deferred[int] = Deferred()
        self.status: int | None = None
        self._unread = {1: b"", 2: b""}

    def start(self, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        """Run it."""
        env = {**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})}
        self.process = reactor.spawnProcess(self, arguments[0], arguments, env, path=str(CHECKOUT))

    def start_with(self, arguments: list[str], passed: socket.socket | None) -> None:
        """Run it, with a socket as systemd passes it on."""
        if passed is None:
            self.start(arguments)
            return
        env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "plain"}
        command = ["/bin/sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh", *arguments]
        fds = {0: "w", 1: "r", 2: "r", 3: passed.fileno()}
        self.process = reactor.spawnProcess(self, command[0], command, env, path=str(CHECKOUT), childFDs=fds)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.status is None

    def childDataReceived(self, fd: int, data: bytes) -> None:
        *lines, self._unread[fd] = (self._unread[fd] + data).split(b"\n")
        for line in lines:
            self.line(fd, line.decode("utf-8", "replace"))

    def line(self, fd: int, line: str) -> None:
        """One line of output."""
        self.lines.append(line)

    def processEnded(self, reason: Any) -> None:
        self.status = (
            reason.value.exitCode if reason.value.exitCode is not None else -(reason.value.signal or 0)
        )
        self.ended.callback(self.status)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to this process, and no other."""
        try:
            self.process.signalProcess(number)
        except ProcessExitedAlready:
            pass

    async def end(self) -> None:
        """End it, gently first."""
        if not self.running:
            return
        self.kill(signal.SIGCONT)
        self.kill(signal.SIGTERM)
        try:
            await self.when_ended(END_SECONDS)
        except TimeoutError:
            self.kill()
            await self.when_ended(END_SECONDS)

    @property
    def stopped(self) -> bool:
        """Whether it stands still (SIGSTOP)."""
        return (
            self.running and Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        )

    def when_ended(self, seconds: float = END_SECONDS) -> Deferred:
        """Fires with the exit status (negative: the signal)."""
        waiting: Deferred[int] = Deferred()

        def ended(status: int) -> int:
            if not waiting.called:
                waiting.callback(status)
            return status

        self.ended.addCallback(ended)
        return waiting.addTimeout(seconds, reactor)


@implementer(IAgentEndpointFactory)
class _ControlSocket:
    """Sends every request to one unix socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def endpointForURI(self, uri: Any) -> UNIXClientEndpoint:
        return UNIXClientEndpoint(reactor, str(self.path), timeout=5)


class Daemon(Program):
    """
    A ``spice-source``, ``spice-target`` or (see :class:`Relay`) ``spice-relay`` of this checkout.

    ``options`` are INI sections: ``{"listen": {"plain": ...}}``; what is not given
    is filled in so that everything works on loopback. ``kill_at`` names a stage of
    the handover at which the daemon kills itself (SIGKILL), or with ``=STOP`` behind it stops.
    """

    def __init__(
        self,
        directory: Path,
        kind: str,
        *,
        name: str | None = None,
        pair: Pair | None = None,
        ca: Path | None = None,
        options: dict[str, dict[str, Any]] | None = None,
        kill_at: str | None = None,
    ) -> None:
        super().__init__(name or kind)
        self.kind = kind
        self.directory = directory / self.name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.kill_at = kill_at
        self.passed: socket.socket | None = None  # that listens already, as systemd would pass it
        self.control = self.directory / "control.sock"
        self.unix = self.directory / "viewer.sock"
        self.ini = self.directory / "settings.ini"
        self._agent = Agent.usingEndpointFactory(reactor, _ControlSocket(self.control))
        self._write_settings(pair, ca, options or {})

    def _write_settings(self, pair: Pair | None, ca: Path | None, options: dict[str, dict[str, Any]]) -> None:
        (self.directory / "secret").write_text(MIGRATION_SECRET + "\n")
        sections: dict[str, dict[str, Any]] = {
            "server": {"name": self.name, "state_dir": self.directory / "state", "control": self.control},
            "listen": {"plain": "tcp:0:interface=127.0.0.1", "unix": f"unix:{self.unix}"},
            "auth": {"mode": "none"},
        }
        if pair is not None:
            sections["listen"]["tls"] = "tcp:0:interface=127.0.0.1"
            sections["tls"] = {"certificate": pair.certificate, "key": pair.key, "ca": ca}
            sections["migration"] = {
                "listen": "tcp:0:interface=127.0.0.1",
                "ticket_file": self.directory / "secret",
                "public_host": "127.0.0.1",
            }
        self._write(sections, options)

    def _write(self, sections: dict[str, dict[str, Any]], options: dict[str, dict[str, Any]]) -> None:
        self._sections = sections
        self.change(options)

    def change(self, options: dict[str, dict[str, Any]]) -> None:
        """Write the settings with these options changed; a daemon reads them at its start and on SIGHUP."""
        for section, values in options.items():
            self._sections.setdefault(section, {}).update(values)
        lines = []
        for section, values in self._sections.items():
            lines.append(f"[{section}]")
            lines += [f"{option} = {value}" for option, value in values.items() if value is not None]
        self.ini.write_text("\n".join(lines) + "\n")

    async def up(self) -> Daemon:
        """Start it and wait until it answers on its control socket."""
        program = [str(HERE / "killable.py"), self.kill_at or ""]
        twistd = ["-n", "--pidfile=", f"spice-{self.kind}", "--config", str(self.ini)]
        self.start_with([sys.executable, *program, *twistd], self.passed)

        async def answers() -> bool:
            if not self.running:
                raise AssertionError(f"{self.name} ended with {self.status}:\n" + "\n".join(self.lines[-30:]))
            try:
                status = await self.get("/v1/status")
            except (ConnectError, ResponseNeverReceived):
                return False
            self.listening = status["listening"]
            return bool(self.listening.get("plain") or self.listening.get("tls"))

        await eventually(answers, START_SECONDS, f"{self.name} answers")
        return self

    def port(self, kind: str) -> int:
        """The port of a listener: plain, tls or migration."""
        return int(self.listening[kind][0].rpartition(":")[2])

    def address(self, *, tls: bool = False, unix: bool = False) -> Address:
        """Where clients reach it."""
        if unix:
            return Address(unix=str(self.unix))
        return (
            Address("127.0.0.1", tls_port=self.port("tls"))
            if tls
            else Address("127.0.0.1", self.port("plain"))
        )

    # -- the control API ---------------------------------------------------------------------

    async def fetch(self, method: str, path: str, body: Any = None) -> bytes:
        """The body of an answer; raises :class:`HTTPError`."""
        producer = None
        headers = Headers({"host": ["control"]})
        if body is not None:
            from twisted.web.client import FileBodyProducer

            producer = FileBodyProducer(io.BytesIO(json.dumps(body).encode()))
            headers.addRawHeader("content-type", "application/json")
        asked = self._agent.request(method.encode(), b"http://control" + path.encode(), headers, producer)
        response = await asked.addTimeout(30, reactor)
        answer = await readBody(response)
        if response.code >= 400:
            raise HTTPError(response.code, json.loads(answer or b"null"))
        return answer

    async def get(self, path: str) -> Any:
        """The JSON at a path."""
        return json.loads(await self.fetch("GET", path))

    async def screenshot(self) -> Image.Image:
        """The guest's picture."""
        return Image.open(io.BytesIO(await self.fetch("GET", "/v1/screenshot.png"))).convert("RGB")

    async def inputs(self) -> list[tuple]:
        """What the guest was typed and pointed, in order."""
        return [tuple(each) for each in (await self.get("/v1/guest"))["inputs"]]

    async def start_migration(self, to: Daemon, **options: Any) -> str:
        """Begin a handover; its id."""
        return await self.start_migration_to(f"127.0.0.1:{to.port('migration')}", **options)

    async def start_migration_to(self, to: str, **options: Any) -> str:
        """Begin a handover to HOST:PORT; its id."""
        return json.loads(await self.fetch("POST", "/v1/migrations", {"to": to, **options}))["id"]

    async def report(self, migration: str) -> dict[str, Any]:
        """The report as it is now."""
        return await self.get(f"/v1/migrations/{migration}")

    async def migrate(self, to: Daemon, seconds: float = 30.0, **options: Any) -> dict[str, Any]:
        """Hand over and wait for the report."""
        migration = await self.start_migration(to, **options)

        async def ended() -> dict[str, Any] | None:
            report = await self.report(migration)
            return report if report["outcome"] else None

        return await eventually(ended, seconds, f"the handover of {self.name} ends")


class Relay(Daemon):
    """A ``spice-relay`` to these servers (``spice://HOST:PORT`` and so on)."""

    def __init__(self, directory: Path, *servers: str, **more: Any) -> None:
        self.servers = servers
        super().__init__(directory, "relay", **more)

    def _write_settings(self, pair: Pair | None, ca: Path | None, options: dict[str, dict[str, Any]]) -> None:
        sections: dict[str, dict[str, Any]] = {
            "server": {"state_dir": self.directory / "state", "control": self.control},
            "listen": {"plain": "tcp:0:interface=127.0.0.1", "unix": f"unix:{self.unix}"},
            "auth": {"mode": "none"},
            "relay": {"routes": " ".join(["*", *self.servers])},
        }
        if pair is not None:
            sections["listen"]["tls"] = "tcp:0:interface=127.0.0.1"
            sections["tls"] = {"certificate": pair.certificate, "key": pair.key, "ca": ca}
        self._write(sections, options)


class GtkClient(Program):
    """spice-gtk without a window; see ``giclient.py``. ``events`` has what it told."""

    def __init__(self, name: str = "gtk") -> None:
        super().__init__(name)
        self.events: list[dict[str, Any]] = []
        self._replies: dict[int, Deferred] = {}
        self._asked = 0

    async def up(self) -> GtkClient:
        """Start it."""
        require_gtk()
        self.start([SYSTEM_PYTHON, "-u", str(HERE / "giclient.py")], {"PYTHONPATH": ""})
        await eventually(
            lambda: self.happened("ready") or not self.running, START_SECONDS, "spice-gtk starts"
        )
        assert self.running, "\n".join(self.lines)
        return self

    def line(self, fd: int, line: str) -> None:
        if fd != 1 or not line.startswith("{"):
            self.lines.append(line)
            return
        told = json.loads(line)
        if "reply" in told:
            waiting = self._replies.pop(told["reply"], None)
            if waiting is not None and not waiting.called:
                waiting.callback(told)
        else:
            self.events.append(told)

    async def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command; gives the answer, raises :class:`NotDone` if it failed."""
        self._asked += 1
        answer = self._replies[self._asked] = Deferred()
        line = json.dumps({"do": command, "id": self._asked, **arguments}, default=str)
        self.process.writeToChild(0, line.encode() + b"\n")
        told = await answer.addTimeout(END_SECONDS, reactor)
        if "error" in told:
            raise NotDone(f"{command}: {told['error']}")
        return told

    def happened(self, event: str, **details: Any) -> list[dict[str, Any]]:
        """The events of this name with these details."""
        wanted = {"event": event, **details}.items()
        return [told for told in self.events if wanted <= told.items()]

    async def attach(self, **where: Any) -> None:
        """Connect, and wait for the picture."""
        self.events.clear()
        await self.do("connect", **where)

        def shows() -> Any:
            inputs = self.happened("channel", what="opened", channel="inputs:0")
            return inputs and self.happened("mark", mark=True)

        await eventually(shows, START_SECONDS, "spice-gtk shows a picture")

    async def picture(self, directory: Path) -> Image.Image | None:
        """What it shows, if there is a primary surface."""
        path = directory / f"{self.name}.png"
        try:
            await self.do("shot", path=str(path))
        except NotDone:
            return None
        with Image.open(path) as image:
            return image.convert("RGB")

    async def stats(self) -> dict[str, Any]:
        """Counts of events, and bytes read by channel."""
        return await self.do("stats")


# -- tests ------------------------------------------------------------------------------------------


class PeersTestCase(TestCase):
    """
    A test with its directory, an authority, and programs that are ended with it.

    Tests may be coroutines.
    """

    timeout = 120

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        for name, method in list(vars(cls).items()):
            if name.startswith("test") and inspect.iscoroutinefunction(method):
                setattr(cls, name, _deferred(method))  # trial of Twisted 22.4 would not run it

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        self.authority = Authority(self.directory / "authority")

    @property
    def short_directory(self) -> Path:
        """A directory for this test with a name short enough for unix sockets."""
        return _short(self)

    def program(self, program: Any) -> Any:
        """See to it that it is ended."""
        self.addCleanup(lambda: ensureDeferred(program.end()))
        return program

    async def daemon(self, kind: str, *, name: str | None = None, **more: Any) -> Daemon:
        """A running daemon."""
        name = name or kind
        more.setdefault("pair", self.authority.sign(name))
        more.setdefault("ca", self.authority.ca)
        daemon = Daemon(_short(self), kind, name=name, **more)
        return await self.program(daemon).up()

    async def hosts(self, **options: dict[str, Any]) -> tuple[Daemon, Daemon]:
        """A source and a target, with these sections of settings."""
        return await self.daemon("source", options=options), await self.daemon("target", options=options)

    async def relay(self, *servers: str, options: dict[str, dict[str, Any]] | None = None) -> Relay:
        """A running relay to these servers."""
        pair, ca = self.authority.sign("relay"), self.authority.ca
        relay = Relay(_short(self), *servers, pair=pair, ca=ca, options=options)
        return await self.program(relay).up()

    async def gtk(self, name: str = "gtk") -> GtkClient:
        """A spice-gtk client that is not connected yet."""
        require_gtk()
        return await self.program(GtkClient(name)).up()

    async def viewer(
        self, address: Address, password: bytes = b"", abilities: Abilities = STOCK
    ) -> ViewerSession:
        """A client of our own, connected."""
        viewer = ViewerSession(
            Network(reactor, str(self.authority.ca)), password, reactor, abilities=abilities
        )
        self.addCleanup(viewer.disconnect)
        await viewer.connect(address)
        await viewer.until(lambda: viewer.display.marked)
        return viewer

    async def tap(self) -> Tap:
        """A proxy that notes messages."""
        tap = Tap(reactor)
        self.addCleanup(lambda: ensureDeferred(tap.close()))
        return tap

    async def same_picture(self, guest: Daemon, shown: Callable[[], Any], seconds: float = 5.0) -> None:
        """Wait until client and guest show the same, pixel for pixel."""
        compared: list[tuple[str, Image.Image]] = []

        async def same() -> bool:
            picture = shown()
            if hasattr(picture, "__await__"):
                picture = await picture
            if picture is None:
                return False
            screenshot = await guest.screenshot()
            compared[:] = [("client", picture), ("guest", screenshot)]
            return picture.size == screenshot.size and picture.tobytes() == screenshot.tobytes()

        try:
            await eventually(same, seconds, "client and guest show the same")
        except AssertionError:
            for name, image in compared:
                image.save(self.directory / f"different-{name}.png")
            raise


def _deferred(method: Callable[..., Any]) -> Callable[..., Deferred]:
    """A test method that returns a Deferred, of one that is a coroutine."""

    @functools.wraps(method)
    def test(self: Any) -> Deferred:
        return ensureDeferred(method(self))

    return test


def _short(case: PeersTestCase) -> Path:
    """A directory with a short name, for unix sockets; it goes with the test."""
    if not hasattr(case, "_short_directory"):
        import tempfile

        case._short_directory = Path(tempfile.mkdtemp(prefix="spicemig-"))
        case.addCleanup(shutil.rmtree, case._short_directory, True)
    return case._short_directory


async def spicemig(*arguments: str) -> tuple[str, str, int]:
    """Run the command line of this checkout: output, errors, exit status."""
    run = "import sys; from spicemig.control.cli import main; sys.exit(main(sys.argv[1:]))"
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    ended = getProcessOutputAndValue(sys.executable, ["-c", run, *arguments], env, str(CHECKOUT))
    out, errors, status = await ended.addTimeout(60, reactor)
    return out.decode(), errors.decode(), status
