# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the command line: what it prints, and its exit status."""

from __future__ import annotations

import contextlib
import io
import json
import socket
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.control import cli
from spicemig.control.cli import NOT_FOR_THIS_DAEMON
from spicemig.control.connection import ControlError, find_socket, read_events
from spicemig.control.report import Progress, bar, exit_status, format_bytes, format_report, format_table
from spicemig.daemons.config import SECTIONS
from spicemig.daemons.options import options_of

REPORT = {
    "id": "ab",
    "outcome": "completed",
    "stage": "done",
    "pause_ms": 12.345,
    "precopy_bytes": 3 << 20,
    "final_bytes": 100,
    "rounds": 2,
    "duration_ms": 95.0,
    "clients": [
        {
            "id": 7,
            "mode": "seamless",
            "pause_ms": 10.0,
            "bytes_resent": 0,
            "channels": ["main:0"],
            "outcome": "completed",
        }
    ],
    "problems": [],
    "exit_status": 0,
}
REFUSED = {
    **REPORT,
    "outcome": "failed",
    "stage": "prepare",
    "pause_ms": None,
    "clients": [],
    "problems": [{"code": "ticket", "text": "no such secret", "hint": "put the same one there"}],
    "exit_status": 3,
}


class FakeControl:
    """Answers from a table of (method, path); what was asked is kept."""

    def __init__(self, answers: dict[tuple[str, str], Any], events: tuple = ()) -> None:
        self.answers = answers
        self.events = events
        self.asked: list[tuple] = []

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, body))
        answer = self.answers[method, path]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def fetch(self, method: str, path: str) -> bytes:
        return self.ask(method, path)

    def follow(self, path: str) -> Any:
        for event in self.events:
            if isinstance(event, BaseException):
                self.events = self.events[self.events.index(event) + 1 :]
                raise event
            yield event


class Terminal(io.StringIO):
    """Text that goes to a person."""

    def isatty(self) -> bool:
        return True


class CommandCase(SynchronousTestCase):
    """Runs commands against a daemon that is not there."""

    def run_command(self, line: str, answers: dict, events: tuple = ()) -> int:
        self.control = FakeControl(answers, events)
        self.patch(cli, "_control", lambda arguments: self.control)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = cli.main(line.split())
            except SystemExit as exit:
                status = exit.code
        self.out, self.err = out.getvalue(), err.getvalue()
        return status


class MigrateTests(CommandCase):
    """``spicemig migrate``"""

    STARTED = {("POST", "/v1/migrations"): {"id": "ab"}, ("DELETE", "/v1/migrations/ab"): {}}
    STAGE = ("progress", {"event": "stage", "stage": "invite"})

    def test_completed(self) -> None:
        """A migration that completes prints its report and ends with 0."""
        status = self.run_command("migrate --to b:1", self.STARTED, (self.STAGE, ("report", REPORT)))
        self.assertEqual(status, 0)
        self.assertIn("12.3 ms", self.out)
        self.assertIn("seamless", self.out)
        self.assertEqual(self.control.asked, [("POST", "/v1/migrations", {"to": "b:1"})])

    def test_options(self) -> None:
        """What was said on the command line is asked for; what was not is left to the settings."""
        line = "migrate --mode seamless --transport both --dry-run --timeout 2"
        self.run_command(line, self.STARTED, (("report", REPORT),))
        asked = {"mode": "seamless", "transport": "both", "dry_run": True, "timeout_seconds": 2.0}
        self.assertEqual(self.control.asked[0][2], asked)

    def test_json(self) -> None:
        """With --json every line is JSON, and the last one is the report."""
        self.run_command("--json migrate", self.STARTED, (self.STAGE, ("report", REPORT)))
        lines = [json.loads(line) for line in self.out.splitlines()]
        self.assertEqual(lines, [self.STAGE[1], REPORT])

    def test_refused(self) -> None:
        """What is refused at pre-flight ends with 3 and says what to do."""
        self.assertEqual(self.run_command("migrate", self.STARTED, (("report", REFUSED),)), 3)
        self.assertIn("put the same one there", self.out)
        answers = {("POST", "/v1/migrations"): ControlError("busy", "wait", 409)}
        self.assertEqual(self.run_command("migrate", answers), 3)
        self.assertIn("wait", self.err)

    def test_usage(self) -> None:
        """Nonsense ends with 2, whether the command line or the daemon finds it."""
        self.assertEqual(self.run_command("migrate --mode magic", {}), 2)
        self.assertEqual(
            self.run_command("migrate", {("POST", "/v1/migrations"): ControlError("?", "", 400)}), 2
        )

    def test_unreachable(self) -> None:
        """A daemon that does not answer ends with 1."""
        self.assertEqual(self.run_command("migrate", {("POST", "/v1/migrations"): ControlError("nobody")}), 1)

    def test_interrupted(self) -> None:
        """Ctrl-C cancels, and the end is still awaited and reported."""
        cancelled = {**REFUSED, "outcome": "cancelled", "stage": "invite", "problems": [], "exit_status": 4}
        events = (self.STAGE, KeyboardInterrupt(), ("report", cancelled))
        self.assertEqual(self.run_command("migrate", self.STARTED, events), 4)
        self.assertIn(("DELETE", "/v1/migrations/ab", None), self.control.asked)

    def test_no_end(self) -> None:
        """A report without an end counts as lost."""
        self.assertEqual(exit_status({**REPORT, "exit_status": None}), 5)


class OtherTests(CommandCase):
    """The other commands."""

    def test_ticket(self) -> None:
        """The ticket is read from a file, never from the command line."""
        file = Path(self.mktemp())
        file.write_text("geheim\n")
        answers = {("PUT", "/v1/ticket"): {}}
        self.assertEqual(self.run_command(f"ticket set --file {file} --expires 60", answers), 0)
        self.assertEqual(self.control.asked[0][2], {"ticket": "geheim", "expires_seconds": 60.0})
        self.assertEqual(self.run_command("ticket expire", answers), 0)
        self.assertEqual(self.control.asked[0][2], {"expire": True})
        self.assertEqual(self.run_command("ticket set --file /nowhere", answers), 1)

    def test_screenshot(self) -> None:
        """The picture is written to the file."""
        file = Path(self.mktemp())
        self.assertEqual(self.run_command(f"screenshot {file}", {("GET", "/v1/screenshot.png"): b"PNG"}), 0)
        self.assertEqual(file.read_bytes(), b"PNG")

    def test_channels(self) -> None:
        """Channels of all clients are in one table."""
        channel = {"channel": "main", "id": 0, "stage": "SETTLED", "serial_sent": 12}
        answers = {
            ("GET", "/v1/sessions"): {"sessions": [{"id": "7"}, {"id": "8"}]},
            ("GET", "/v1/sessions/7/channels"): {"channels": [channel]},
            ("GET", "/v1/sessions/8/channels"): {"channels": [channel]},
        }
        self.assertEqual(self.run_command("channels", answers), 0)
        self.assertEqual(len(self.out.splitlines()), 3)

    def test_relay(self) -> None:
        """Of a relay's clients one sees their servers, and of its channels what they hold."""
        session = {"id": "7", "server": "a:5900", "stage": "settled", "handovers": 2}
        channel = {"channel": "main", "id": 0, "stage": "READY", "pending_bytes": 12, "held_bytes": 345}
        answers = {
            ("GET", "/v1/sessions"): {"sessions": [session]},
            ("GET", "/v1/sessions/7/channels"): {"channels": [channel]},
        }
        self.assertEqual(self.run_command("sessions", answers), 0)
        head, row = self.out.splitlines()
        self.assertNotIn("kbit", head)
        self.assertEqual(row.split()[:6], ["7", "-", "a:5900", "settled", "-", "2"])
        self.assertEqual(self.run_command("channels", answers), 0)
        self.assertEqual(self.out.splitlines()[1].split()[-2:], ["12", "345"])

    def test_no_guest(self) -> None:
        """What a daemon of this kind cannot do ends with 2, and with the reason."""
        refused = ControlError("a relay has no guest", "ask its server", NOT_FOR_THIS_DAEMON)
        for line, asked in (
            ("migrate --to b:1", ("POST", "/v1/migrations")),
            ("cancel", ("GET", "/v1/migrations")),
            ("recover", ("POST", "/v1/recovery")),
            ("screenshot nowhere.png", ("GET", "/v1/screenshot.png")),
            ("doctor", ("GET", "/v1/doctor")),
        ):
            self.assertEqual(self.run_command(line, {asked: refused}), 2, line)
            self.assertEqual(self.err, "spicemig: a relay has no guest (ask its server)\n")

    def test_cancel(self) -> None:
        """The migration under way is cancelled; without one that is an error."""
        answers = {
            ("GET", "/v1/migrations"): {"migrations": [{"id": "b", "outcome": None}, REPORT]},
            ("DELETE", "/v1/migrations/b"): {},
        }
        self.assertEqual(self.run_command("cancel", answers), 0)
        self.assertEqual(self.run_command("cancel", {("GET", "/v1/migrations"): {"migrations": [REPORT]}}), 1)

    def test_doctor(self) -> None:
        """The doctor's own checks and the other host's answer; 3 if anything would fail."""
        good = {"check": "ports", "ok": True, "detail": "fine", "hint": ""}
        answers = {
            ("GET", "/v1/doctor"): {"checks": [good]},
            ("GET", "/v1/status"): {"peer": "b:1"},
            ("POST", "/v1/migrations"): {"id": "ab"},
        }
        self.assertEqual(self.run_command("doctor", answers, (("report", REPORT),)), 0)
        self.assertEqual(self.run_command("doctor", answers, (("report", REFUSED),)), 3)
        self.assertIn("no such secret", self.out)

    def test_status_of_etcd(self) -> None:
        """Whether etcd is there, what is announced, and what is not and why."""
        said = {"name": "desk", "daemon": "source", "version": "1", "stage": "serving", "guest": None}
        said |= {"owner": False, "clients": 0, "listening": {}, "migration": None}
        etcd = {"connected": True, "endpoint": "http://etcd", "error": None}
        for more, lines in (
            (None, []),
            ({**etcd, "connected": False, "error": "no answer"}, ["away: no answer"]),
            (
                {**etcd, "announced": {"desk": None, "*": "too late"}},
                ["at http://etcd", "announced as desk", "not announced as *: too late"],
            ),
            ({**etcd, "ignored": {"Desk": "wrong"}}, ["at http://etcd", "'Desk' is ignored: wrong"]),
        ):
            self.assertEqual(self.run_command("status", {("GET", "/v1/status"): {**said, "etcd": more}}), 0)
            told = [line for line in self.out.splitlines() if line.startswith("etcd")]
            self.assertEqual(told, [f"etcd       {line}" for line in lines])

    def test_describe(self) -> None:
        """Messages can be looked up; a name that is none ends with 2."""
        self.assertEqual(self.run_command("describe inputs/MouseMotion", {}), 0)
        self.assertIn("dx", self.out)
        self.assertEqual(self.run_command("describe nonsense", {}), 2)


class SocketTests(SynchronousTestCase):
    """Finding the daemon."""

    def test_named(self) -> None:
        """A socket that is named is taken."""
        self.assertEqual(find_socket("/x.sock"), Path("/x.sock"))

    def test_manhole(self) -> None:
        """A manhole, where it is by default, is not taken for the control socket of one more daemon."""
        run_dir = Path(self.mktemp())
        run_dir.mkdir()
        defaults = {
            each.name: each.default_for("source")
            for section in ("server", "manhole")
            for each in options_of(SECTIONS[section])
        }
        for path in (defaults["control"], defaults["listen"].split(":")[1]):
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(run_dir / Path(path).name))
        self.assertEqual(len(list(run_dir.iterdir())), 2)
        self.assertEqual(find_socket(None, run_dir), run_dir / "source.sock")

    def test_none(self) -> None:
        """Without any socket the option is named."""
        self.assertIn(
            "--control", str(self.assertRaises(ControlError, find_socket, None, Path(self.mktemp())))
        )


class TextTests(SynchronousTestCase):
    """What people read."""

    def test_bar(self) -> None:
        """The bar grows with the stages, and the rounds of copying are told."""
        drawn = [bar({"event": "stage", "stage": stage}) for stage in ("prepare", "stop", "done")]
        self.assertEqual(sorted(drawn, key=lambda each: each.count("#")), drawn)
        self.assertNotIn("-", drawn[-1])
        round_ = bar({"event": "round", "number": 1, "sent_bytes": 2048, "dirty_bytes": 10})
        self.assertIn("2.0 KiB sent, 10 B to go", round_)
        self.assertIsNone(bar({"event": "client"}))

    def test_no_terminal(self) -> None:
        """No bar is drawn where nobody watches, and none is left behind where somebody does."""
        event = {"event": "stage", "stage": "stop"}
        for out, drawn in ((io.StringIO(), False), (Terminal(), True)):
            progress = Progress(out)
            progress.show(event)
            self.assertEqual("stop" in out.getvalue(), drawn)
            progress.clear()
            self.assertTrue(not drawn or out.getvalue().endswith("\r\x1b[K"))

    def test_report(self) -> None:
        """A report of a failure has reason and remedy."""
        text = format_report(REFUSED)
        self.assertIn("failed", text)
        self.assertIn("no such secret", text)

    def test_table(self) -> None:
        """Columns are as wide as they must be."""
        rows = [{"id": 7, "latency_ms": None}, {"id": 12345, "latency_ms": 1.25}]
        self.assertEqual(format_table(("id", "latency_ms"), rows), "id     latency ms\n7      -\n12345  1.2")

    def test_bytes(self) -> None:
        """Sizes have units."""
        sizes = [format_bytes(number) for number in (0, 1023, 1536, 3 << 20, 5 << 30)]
        self.assertEqual(sizes, ["0 B", "1023 B", "1.5 KiB", "3.0 MiB", "5.0 GiB"])

    def test_events(self) -> None:
        """A stream of events is taken apart."""
        stream = io.BytesIO(b'event: progress\ndata: {"a": 1}\n\nevent: report\ndata: {}\n\n')
        self.assertEqual(list(read_events(stream)), [("progress", {"a": 1}), ("report", {})])
