# SPDX-License-Identifier: LGPL-2.1-or-later
"""
``spicemig demo``: a session moved between two servers on this machine, and back.

Both servers and a relay are programs of their own, the two clients are those of
:mod:`spicemig.client`. One types, paints and looks at its picture all the while;
the other looks on from behind the relay, and should notice nothing. What they
lost, if anything, decides the exit status.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from math import cos, sin
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread

import spicemig
from spicemig.client.hosts import Address, Network
from spicemig.client.session import ViewerSession
from spicemig.control.certificates import Authority
from spicemig.control.connection import Control, ControlError
from spicemig.control.report import format_bytes, format_table
from spicemig.control.timeline import MoveChart, draw_timeline
from spicemig.errors import SpicemigError
from spicemig.wire.enums import MouseButton

LOOPBACK = "127.0.0.1"
DRAWS_PER_SECOND = 200
START_SECONDS = 20.0
SETTLE_SECONDS = 0.6  # of ordinary life between two handovers
ARRIVAL_SECONDS = 5.0  # of the client, after the report
SAME_PICTURE_SECONDS = 10.0  # for client and guest to show the same, once nothing but the clock is drawn
PERSON_SECONDS = 0.02  # between two things that the client does

SCAN_CODES = dict(zip("1234567890", range(0x02, 0x0C), strict=True)) | {
    letter: code
    for row, first in (
        ("qwertyuiop", 0x10),
        ("asdfghjkl", 0x1E),
        ("zxcvbnm", 0x2C),
        ("\n", 0x1C),
        (" ", 0x39),
    )
    for code, letter in enumerate(row, first)
}
WORDS = "help\ndate\nseen\n"  # that the guest's terminal knows
SPIRAL = (570, 532)  # its middle, in the paint box of a desk of 1024 x 768
PAINTED = (SPIRAL[0] - 60, SPIRAL[1] - 60, SPIRAL[0] + 60, SPIRAL[1] + 60)  # where some of it must show

INI = """\
[server]
name = spicemig demo
state_dir = {name}
control = {name}.sock

[listen]
plain = tcp:0:interface=127.0.0.1
tls = tcp:0:interface=127.0.0.1

[tls]
certificate = {name}.pem
key = {name}.key
ca = ca.pem

[auth]
ticket_file = ticket

[migration]
listen = tcp:0:interface=127.0.0.1
ticket_file = secret

[demo]
draws_per_second = {draws}
"""

RELAY_INI = """\
[server]
control = relay.sock

[listen]
plain = tcp:0:interface=127.0.0.1
websocket = tcp:0:interface=127.0.0.1

[auth]
ticket_file = ticket

[relay]
routes = * {servers}
ticket_file = ticket
"""


class DemoFailed(SpicemigError):
    """The demo could not be shown at all."""


def run_demo(out: str | None, keep: bool, as_json: bool) -> int:
    """Show it; the exit status is 0 only if nothing was lost."""
    from twisted.internet import reactor

    demo = Demo(reactor, quiet=as_json)
    results: list[Any] = []

    def finish(result: Any) -> None:
        results.append(result)
        if reactor.running:
            reactor.stop()

    reactor.callWhenRunning(lambda: ensureDeferred(demo.show(keep)).addBoth(finish))
    reactor.addSystemEventTrigger("after", "shutdown", demo.clean_up)
    reactor.run()
    if not results or not isinstance(results[0], dict):
        return _explain(results[0] if results else None)
    report = results[0]
    if out is not None:
        demo.write(Path(out), report)
    print(json.dumps(report) if as_json else format_demo(report, out))
    return 0 if not report["lost"] else 1


def _explain(failure: Any) -> int:
    if failure is None:
        return 130  # interrupted
    if failure.check(SpicemigError):
        print(f"spicemig: {failure.value}", file=sys.stderr)
    else:
        failure.printTraceback(file=sys.stderr)
    return 1


class Program:
    """One daemon as a program of its own, with these settings; its files lie in the demo's directory."""

    def __init__(self, name: str, directory: Path, ini: str) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.control = Control(directory / f"{name}.sock")
        (directory / f"{name}.ini").write_text(ini)
        command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
        package = str(
            Path(spicemig.__file__).parent.parent
        )  # where twistd finds its plugins, installed or not
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*command, f"spice-{name}", "--config", f"{name}.ini"],
                cwd=directory,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.listening: dict[str, list[str]] = {}

    def ask(self, method: str, path: str, body: Any = None) -> Deferred[Any]:
        """Ask its control API."""
        return deferToThread(self.control.ask, method, path, body)

    def port(self, kind: str) -> int:
        """The port on which it listens."""
        return int(self.listening[kind][0].rpartition(":")[2])

    def picture(self) -> Deferred[Image.Image]:
        """What its guest shows."""
        return deferToThread(lambda: _open(self.control.fetch("GET", "/v1/screenshot.png")))

    def end(self) -> None:
        """Stop it, and wait until it has."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _open(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


class Demo:
    """The whole show."""

    def __init__(self, reactor: Any, quiet: bool) -> None:
        self.reactor = reactor
        self.quiet = quiet
        self.directory = Path(tempfile.mkdtemp(prefix="spicemig-demo-"))
        self.password = secrets.token_urlsafe(9)
        self.programs: list[Program] = []
        self.servers: list[Program] = []  # source and target
        self.relay: Program
        self.client: ViewerSession
        self.watcher: ViewerSession  # behind the relay
        self.keys = 0  # typed so far
        self.steps = 0  # of the person's doings
        self.person = LoopingCall(self._do_something)
        self.person.clock = reactor
        self.pictures: dict[str, Image.Image] = {}
        self.charts: list[MoveChart] = []
        self.lost: list[str] = []

    def say(self, words: str) -> None:
        """Tell whoever watches."""
        if not self.quiet:
            print(words, flush=True)

    async def show(self, keep: bool) -> dict[str, Any]:
        """Everything, in order; the report."""
        await self._start_servers()
        await self._connect()
        unpainted = (await self.servers[0].picture()).crop(PAINTED)
        self.person.start(PERSON_SECONDS)
        await self._sleep(2 * SETTLE_SECONDS)
        self.pictures["before"] = self.client.screen()
        moves = []
        for source, target in (self.servers, reversed(self.servers)):
            moves.append(await self._move(source, target))
            await self._sleep(SETTLE_SECONDS)
        self._rest()
        self.client.do(self.client.inputs.release, MouseButton.LEFT)
        await self._count_inputs(self.servers[0])
        self.pictures["after"] = self.client.screen()
        if (
            ImageChops.difference(unpainted, self.pictures["after"].convert("RGB").crop(PAINTED)).getbbox()
            is None
        ):
            self.lost.append("what the client painted is not there")
        report = self._report(moves)
        if keep:
            await self._keep(report)
        self.client.disconnect()
        self.watcher.disconnect()
        return report

    async def _start_servers(self) -> None:
        authority = Authority(self.directory)
        for name in ("source", "target"):
            authority.issue(name, "localhost", LOOPBACK)
        for file, secret in (("ticket", self.password), ("secret", secrets.token_urlsafe(24))):
            path = self.directory / file
            path.touch(mode=0o600)
            path.write_text(secret + "\n")
        for name in ("source", "target"):
            self.servers.append(self._start(name, INI.format(name=name, draws=DRAWS_PER_SECOND)))
        for server in self.servers:
            await self._wait_for(server)
        routes = " ".join(f"spice://{LOOPBACK}:{server.port('plain')}" for server in self.servers)
        self.relay = self._start("relay", RELAY_INI.format(servers=routes))
        await self._wait_for(self.relay)

    def _start(self, name: str, ini: str) -> Program:
        self.programs.append(Program(name, self.directory, ini))
        return self.programs[-1]

    async def _wait_for(self, server: Program) -> None:
        deadline = self.reactor.seconds() + START_SECONDS
        while True:
            try:
                status = await server.ask("GET", "/v1/status")
            except ControlError:
                status = {}
            if status.get("listening", {}).get("plain"):
                server.listening = status["listening"]
                self.say(f"spice-{server.name} listens on {server.listening['plain'][0]}")
                return
            if server.process.poll() is not None or self.reactor.seconds() > deadline:
                raise DemoFailed(f"spice-{server.name} did not start; it said:\n{server.log.read_text()}")
            await self._sleep(0.05)

    async def _connect(self) -> None:
        self.client = await self._attach(self.servers[0])
        self.watcher = await self._attach(self.relay)
        self.say(
            f"a client is connected, with {len(self.client.connections)} channels; it types and paints;\n"
            "another one looks on from behind the relay"
        )

    async def _attach(self, program: Program) -> ViewerSession:
        network = Network(self.reactor, ca_file=str(self.directory / "ca.pem"))
        client = ViewerSession(network, self.password.encode(), self.reactor)
        await client.connect(Address(LOOPBACK, program.port("plain")))
        await client.until(lambda: client.display.canvas.primary is not None, 10.0)
        return client

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self.reactor, seconds)

    # what the client does

    def _do_something(self) -> None:
        """Type the next key, and paint the next piece of a spiral with the left button held."""
        angle, radius = self.steps * 0.22, min(8 + self.steps * 0.35, 96)
        x, y = (round(middle + radius * turn(angle)) for middle, turn in zip(SPIRAL, (cos, sin), strict=True))
        self.client.do(self.client.inputs.position, x, y)
        if not self.steps:
            self.client.do(self.client.inputs.press, MouseButton.LEFT)  # in the paint box, where it draws
        self._type(WORDS[self.steps % len(WORDS)])
        self.steps += 1

    def _type(self, text: str) -> None:
        for letter in text:
            self.client.type_keys(SCAN_CODES[letter])
            self.keys += 1

    def _rest(self) -> None:
        """Finish the word, and do nothing more for now."""
        self.person.stop()
        while self.steps % len(WORDS) and WORDS[self.steps % len(WORDS) - 1] != "\n":
            self._do_something()

    # moving

    async def _move(self, source: Program, target: Program) -> dict[str, Any]:
        self.say(f"spicemig migrate: {source.name} to {target.name}")
        surprises = self.client.counters.surprises()
        known = len(self.client.moves)
        where = f"{LOOPBACK}:{target.port('migration')}"
        report = await deferToThread(_migrate, source.control, where)
        if report["outcome"] != "completed":
            await self._sleep(SETTLE_SECONDS)
            problems = "; ".join(f"{each['text']} ({each['hint']})" for each in report["problems"])
            logs = "".join(server.log.read_text() for server in self.servers)
            raise DemoFailed(f"the migration {report['outcome']} at {report['stage']}: {problems}\n{logs}")
        try:
            await self.client.until(lambda: self._has_arrived(known), ARRIVAL_SECONDS)
        except (TimeoutError, ConnectionError) as error:
            raise DemoFailed(f"the migration completed, but the client did not arrive: {error!r}") from error
        move = self.client.moves[-1]
        for name, count in self.client.counters.surprises().items():
            if count != surprises[name]:
                self.lost.append(
                    f"{source.name} to {target.name}: {name.replace('_', ' ')}: {count - surprises[name]}"
                )
        await self._compare(target, f"at the {target.name}")
        self.charts.append(_chart(f"{source.name} to {target.name}", report, move))
        return {
            "from": source.name,
            "to": target.name,
            "report": report,
            "client": move.as_dict(),
            "pause_ms": None if move.pause_seconds is None else round(move.pause_seconds * 1000, 3),
            "link_ms": None if move.link_seconds is None else round(move.link_seconds * 1000, 3),
        }

    def _has_arrived(self, known: int) -> bool:
        """Whether one more move than those known is over, and the new host has drawn something."""
        if len(self.client.moves) == known:
            return False
        move = self.client.moves[-1]
        return bool(move.done and move.after and move.after.first_draw)

    async def _compare(self, server: Program, where: str) -> None:
        """The client's picture must be the guest's, which keeps still for it."""
        self._rest()
        self._type("still\n")
        deadline = self.reactor.seconds() + SAME_PICTURE_SECONDS
        for name, client in (("client", self.client), ("client behind the relay", self.watcher)):
            while True:
                shown = await server.picture()
                if ImageChops.difference(client.screen().convert("RGB"), shown).getbbox() is None:
                    break
                if self.reactor.seconds() > deadline:
                    self.lost.append(f"the {name}'s picture {where} is not the guest's")
                    break
                await self._sleep(PERSON_SECONDS)
        if self.watcher.moves or self.watcher.over:
            self.lost.append(f"{where} the client behind the relay has noticed the handover")
        self._type(f"busy {DRAWS_PER_SECOND}\n")
        self.person.start(PERSON_SECONDS)

    async def _count_inputs(self, server: Program) -> None:
        """The guest must have got every key once, and a button that went down and up once."""
        sent = {"key_down": self.keys, "key_up": self.keys, "button_pressed": 1, "button_released": 1}
        deadline = self.reactor.seconds() + ARRIVAL_SECONDS
        got: dict[str, int] = {}
        while got != sent and self.reactor.seconds() < deadline:
            guest = await server.ask("GET", "/v1/guest")
            got = {kind: guest["input_counts"][kind] for kind in sent}
            await self._sleep(0.05)
        if got != sent:
            self.lost.append(f"inputs: the client sent {sent}, the guest got {got}")

    def _report(self, moves: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "lost": self.lost,
            "moves": moves,
            "keys": self.keys,
            "channels": len(self.client.connections),
            "picture_equal": not any("picture" in each for each in self.lost),
            "counters": self.client.counters.as_dict(),
        }

    async def _keep(self, report: dict[str, Any]) -> None:
        """Leave the servers running until somebody has seen enough."""
        source, target = self.servers
        print(format_demo(report, None), flush=True)
        print(
            f"\nThe servers and the relay run on. Attach a client (the ticket is {self.password}):\n"
            f"  remote-viewer spice://{LOOPBACK}:{source.port('plain')}\n"
            "or one that knows nothing of handovers, through the relay:\n"
            f"  remote-viewer spice://{LOOPBACK}:{self.relay.port('plain')}\n"
            f"  a browser at http://{LOOPBACK}:{self.relay.port('websocket')}/ (with Debian's spice-html5)\n"
            f"and move it to and fro:\n"
            f"  spicemig --control {source.control.path} migrate --to {LOOPBACK}:{target.port('migration')}\n"
            f"  spicemig --control {target.control.path} migrate --to {LOOPBACK}:{source.port('migration')}\n"
            "Ctrl-C ends it.",
            flush=True,
        )
        ended: Deferred[None] = Deferred()
        self.reactor.addSystemEventTrigger("before", "shutdown", ended.callback, None)
        await ended

    # the end

    def write(self, out: Path, report: dict[str, Any]) -> None:
        """Keep pictures, timeline and report."""
        out.mkdir(parents=True, exist_ok=True)
        for name, picture in self.pictures.items():
            picture.convert("RGB").save(out / f"{name}.png")
        (out / "timeline.svg").write_text(draw_timeline("A session moves, and comes back", self.charts))
        (out / "report.json").write_text(json.dumps(report, indent=2) + "\n")

    def clean_up(self) -> None:
        """End what was started."""
        for server in reversed(self.programs):
            server.end()
        shutil.rmtree(self.directory, ignore_errors=True)


def _migrate(control: Control, where: str) -> dict[str, Any]:
    """Start a migration and wait for its report; in a thread."""
    started = control.ask("POST", "/v1/migrations", {"to": where})
    path = f"/v1/migrations/{started['id']}"
    for name, event in control.follow(path + "/events"):
        if name == "report":
            return event
    return control.ask("GET", path)


def _chart(title: str, report: dict[str, Any], move: Any) -> MoveChart:
    """A handover for the timeline; the client's clock is set by the moment at which it was invited."""
    stages = [(each["stage"], each["at_ms"]) for each in report["timeline"]]
    invited = next((at for stage, at in stages if stage == "invite"), 0.0)

    def to_ms(times: list[float]) -> list[float]:
        return [(at - move.begun) * 1000 + invited for at in times]

    before, after = to_ms(move.before.draw_times), to_ms(move.after.draw_times)
    notes = (
        [f"all channels linked in {move.link_seconds * 1000:.0f} ms"] if move.link_seconds is not None else []
    )
    return MoveChart(title, stages, before, after, notes)


ROWS: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = (
    ("outcome", lambda move: move["report"]["outcome"]),
    ("how", lambda move: move["client"]["how"]),
    ("pause the client saw", lambda move: _ms(move["pause_ms"])),
    ("guest stood still", lambda move: _ms(move["report"]["pause_ms"])),
    ("channels linked in", lambda move: _ms(move["link_ms"])),
    ("the whole handover", lambda move: _ms(move["report"]["duration_ms"])),
    ("copied before the pause", lambda move: format_bytes(move["report"]["precopy_bytes"])),
    ("copied within it", lambda move: format_bytes(move["report"]["final_bytes"])),
    ("sent again to the client", lambda move: _resent(move["report"])),
)


def format_demo(report: dict[str, Any], out: str | None) -> str:
    """The short report."""
    there, back = report["moves"]
    rows = [{" ": name, "there": show(there), "and back": show(back)} for name, show in ROWS]
    lines = ["", format_table((" ", "there", "and back"), rows), ""]
    equal = "equal" if report["picture_equal"] else "NOT equal"
    lines.append(
        f"pictures of clients and guest: {equal}; keys typed {report['keys']}; channels {report['channels']}"
    )
    lines += [f"LOST: {each}" for each in report["lost"]] or ["nothing was lost"]
    if out is not None:
        lines.append(f"see before.png, after.png, timeline.svg and report.json in {out}")
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _resent(report: dict[str, Any]) -> str:
    return format_bytes(sum(client.get("bytes_resent") or 0 for client in report["clients"]))
