# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the control API, spoken to in HTTP as the command line does."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

from PIL import Image
from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from spicemig.channels.bandwidth import Bandwidth
from spicemig.control import api
from spicemig.control.connection import read_events
from spicemig.control.following import Followed
from spicemig.control.interfaces import IHost
from spicemig.control.resources import BODY_BYTES, ControlSite
from spicemig.errors import MigrationError


class FakeHandover:
    """Stands for the source's core."""

    def __init__(self, tell: Any) -> None:
        self.migration_id = b"\x01" * 16
        self.stage = SimpleNamespace(value="prepare")
        self.events: list[dict[str, Any]] = []
        self.ended = False
        self.outcome: str | None = None
        self.cancellable = True
        self._tell = tell

    def happen(self, event: str, **facts: Any) -> None:
        told = {"event": event, **facts}
        self.events.append(told)
        self._tell(told)

    def end(self, outcome: str) -> None:
        self.ended, self.outcome = True, outcome
        self.happen("end", report=self.report())

    def report(self) -> dict[str, Any]:
        return {"id": self.migration_id.hex(), "outcome": self.outcome}

    def cancel(self) -> bool:
        if self.cancellable:
            self.end("cancelled")
        return self.cancellable


class FakeClient:
    """One client of the host."""

    connection_id = 77
    address = "192.0.2.9:4000"
    arriving = False
    seamless = True
    semi_seamless = True
    connected_at = -5.0
    latency_seconds = 0.002
    closed = False

    def __init__(self) -> None:
        core = SimpleNamespace(
            channel="inputs",
            channel_id=0,
            stage=SimpleNamespace(name="SETTLED"),
            common=SimpleNamespace(serial_sent=3, serial_received=4),
            pending_bytes=0,
            window_open=True,
            mini=True,
        )
        self.cores = {("inputs", 0): core}
        self.bandwidth = Bandwidth()
        self.bandwidth.round_trip(0.05)
        self.bandwidth.transferred(100_000, 1.0, probe=True)

    def close(self) -> None:
        self.closed = True


class FakeDevice:
    """Shows one picture, or nothing."""

    running = True

    def __init__(self) -> None:
        self.picture: Image.Image | None = Image.new("RGB", (4, 3), "#123456")

    def surfaces(self) -> list[Any]:
        return [] if self.picture is None else [SimpleNamespace(id=0)]

    def render(self, surface_id: int) -> Any:
        return SimpleNamespace(image=lambda: self.picture)


@implementer(IHost)
class FakeHost:
    """A daemon whose handovers go as the test says."""

    kind = "source"
    owner = True
    credentials = links = epochs = handovers = None

    def __init__(self) -> None:
        self.client = FakeClient()
        self.sessions = SimpleNamespace(
            clients={77: self.client},
            clock=Clock(),
            device=FakeDevice(),
            guest=SimpleNamespace(kind="demo"),
            workers=lambda function, *arguments: succeed(function(*arguments)),
        )
        self.migrations: dict[str, Followed] = {}
        self.asked: list[Any] = []
        self.refuses: Exception | None = None

    def status(self) -> dict[str, Any]:
        return {"name": "fake"}

    def migrate(self, to, mode, transport, dry_run, timeout_seconds):
        self.asked.append((to, mode, transport, dry_run, timeout_seconds))
        if self.refuses is not None:
            raise self.refuses
        followed = Followed()
        followed.handover = FakeHandover(followed.happened)
        self.migrations[followed.id] = followed
        return followed

    def recover(self) -> str:
        if self.refuses is not None:
            raise self.refuses
        return "done"

    def set_ticket(self, ticket, expires_seconds) -> None:
        self.asked.append((ticket, expires_seconds))

    def doctor(self) -> list[dict[str, Any]]:
        return [{"check": "ports", "ok": True, "detail": "", "hint": ""}]


class APICase(SynchronousTestCase):
    """Speaks HTTP to the API without a socket."""

    def setUp(self) -> None:
        self.host = FakeHost()
        self.site = ControlSite(api.root(self.host))

    def send(self, method: str, path: str, body: bytes = b"") -> StringTransport:
        """The transport, with what has been answered so far."""
        protocol = self.site.buildProtocol(None)
        transport = self.transport = StringTransport()
        protocol.makeConnection(transport)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        protocol.dataReceived(head.encode() + body)
        self.protocol = protocol
        return transport

    def ask(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        body = b"" if value is None else json.dumps(value).encode()
        status, _, payload = split(self.send(method, path, body).value())
        return status, json.loads(payload)


def split(answer: bytes) -> tuple[int, bytes, bytes]:
    """Status, headers and body of an HTTP answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        chunks, rest = [], body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            chunks.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        body = b"".join(chunks)
    return int(head.split(b" ", 2)[1]), head, body


class LookingTests(APICase):
    """What can be looked at."""

    def test_host(self) -> None:
        """The double is a host as the API knows it."""
        verifyObject(IHost, self.host)

    def test_status(self) -> None:
        """The status is what the daemon says."""
        self.assertEqual(self.ask("GET", "/v1/status"), (200, {"name": "fake"}))

    def test_sessions(self) -> None:
        """Every client is listed with what it can do, and found under its id."""
        status, said = self.ask("GET", "/v1/sessions")
        self.assertEqual(status, 200)
        (session,) = said["sessions"]
        self.assertEqual((session["id"], session["can"], session["latency_ms"]), ("77", "seamless", 2.0))
        line = session["bandwidth_bits_per_second"], session["round_trip_ms"], session["slow_line"]
        self.assertEqual(line, (800_000, 50.0, True))
        self.assertEqual(self.ask("GET", "/v1/sessions/77"), (200, session))

    def test_channels(self) -> None:
        """A client's channels are listed with their serials."""
        _, said = self.ask("GET", "/v1/sessions/77/channels")
        (channel,) = said["channels"]
        self.assertEqual(
            (channel["channel"], channel["stage"], channel["serial_sent"]), ("inputs", "SETTLED", 3)
        )

    def test_disconnect(self) -> None:
        """DELETE closes a client's connections."""
        self.assertEqual(self.ask("DELETE", "/v1/sessions/77")[0], 200)
        self.assertTrue(self.host.client.closed)

    def test_screenshot(self) -> None:
        """The screenshot is a PNG of what the guest shows."""
        status, head, png = split(self.send("GET", "/v1/screenshot.png").value())
        self.assertEqual(status, 200)
        self.assertIn(b"image/png", head)
        self.assertEqual(Image.open(io.BytesIO(png)).getpixel((0, 0)), (0x12, 0x34, 0x56))

    def test_no_screenshot(self) -> None:
        """Without a guest there is no screenshot."""
        self.host.sessions.device.picture = None
        self.assertEqual(self.ask("GET", "/v1/screenshot.png")[0], 404)

    def test_guest(self) -> None:
        """The guest tells its kind and whether it runs."""
        self.assertEqual(self.ask("GET", "/v1/guest"), (200, {"kind": "demo", "running": True}))
        self.host.sessions.guest = None
        self.assertEqual(self.ask("GET", "/v1/guest")[0], 404)

    def test_doctor(self) -> None:
        """The checks are listed."""
        self.assertEqual(self.ask("GET", "/v1/doctor")[1]["checks"][0]["check"], "ports")


class RefusalTests(APICase):
    """What is wrong is answered with an error in JSON."""

    def test_nothing_there(self) -> None:
        """Unknown paths, clients and migrations are 404."""
        for path in (
            "/",
            "/v1",
            "/v2/status",
            "/v1/status/x",
            "/v1/sessions/1",
            "/v1/sessions/x",
            "/v1/migrations/x",
        ):
            status, said = self.ask("GET", path)
            self.assertIn(status, (404, 405), path)
            self.assertIn("error", said)

    def test_method(self) -> None:
        """A method that means nothing is 405."""
        for method, path in (("POST", "/v1/status"), ("GET", "/v1/ticket"), ("PATCH", "/v1/sessions")):
            self.assertEqual(self.ask(method, path)[0], 405, path)

    def test_body(self) -> None:
        """A body must be an object with known members of the right types."""
        for body in (
            b"{",
            b"[]",
            b'{"to": 3}',
            b'{"where": "x"}',
            b'{"timeout_seconds": true}',
            b'{"dry_run": 1}',
        ):
            status, _, payload = split(self.send("POST", "/v1/migrations", body).value())
            self.assertEqual(status, 400, body)
            self.assertIn(b"error", payload)
        self.assertEqual(self.host.asked, [])

    def test_long_body(self) -> None:
        """A body over the limit is refused, and not kept."""
        body = b'{"to": "' + b"x" * BODY_BYTES + b'"}'
        self.assertEqual(split(self.send("POST", "/v1/migrations", body).value())[0], 413)

    def test_deep_body(self) -> None:
        """A body that is deeply nested is refused like any other nonsense."""
        self.assertEqual(split(self.send("PUT", "/v1/ticket", b"[" * 60000).value())[0], 400)


class TicketTests(APICase):
    """Setting the ticket of new clients."""

    def test_set(self) -> None:
        """A ticket may have an end."""
        self.assertEqual(self.ask("PUT", "/v1/ticket", {"ticket": "gehéim", "expires_seconds": 60})[0], 200)
        self.assertEqual(self.host.asked, [("gehéim".encode(), 60)])

    def test_expire(self) -> None:
        """It can be ended at once."""
        self.ask("PUT", "/v1/ticket", {"expire": True})
        self.assertEqual(self.host.asked, [(None, None)])

    def test_bounds(self) -> None:
        """SPICE has tickets of 1 to 60 bytes."""
        for ticket in ("", "x" * 61, "a\0b"):
            self.assertEqual(self.ask("PUT", "/v1/ticket", {"ticket": ticket})[0], 400)
        self.assertEqual(self.ask("PUT", "/v1/ticket", {"ticket": "x", "expires_seconds": -1})[0], 400)
        self.assertEqual(self.host.asked, [])

    def test_never_said(self) -> None:
        """No answer repeats the ticket."""
        self.assertNotIn(b"gehei", self.send("PUT", "/v1/ticket", b'{"ticket": "geheim"}').value())


class MigrationTests(APICase):
    """Handing over, from outside."""

    def start(self) -> FakeHandover:
        status, said = self.ask("POST", "/v1/migrations", {"to": "b:1", "mode": "auto", "timeout_seconds": 3})
        self.assertEqual(status, 202)
        self.path = f"/v1/migrations/{said['id']}"
        return self.host.migrations[said["id"]].handover

    def test_start(self) -> None:
        """A migration is started with what was asked, and has a place of its own."""
        self.start()
        self.assertEqual(self.host.asked, [("b:1", "auto", None, False, 3)])
        self.assertIn(b"Location: " + self.path.encode(), self.transport.value())
        self.assertEqual(self.ask("GET", self.path)[1]["outcome"], None)
        self.assertEqual(len(self.ask("GET", "/v1/migrations")[1]["migrations"]), 1)

    def test_refused(self) -> None:
        """What keeps it from starting is told, with what to do."""
        self.host.refuses = MigrationError("prepare", "busy", "wait")
        self.assertEqual(self.ask("POST", "/v1/migrations", {}), (409, {"error": "busy", "hint": "wait"}))
        self.host.refuses = ValueError("whereto?")
        self.assertEqual(self.ask("POST", "/v1/migrations", {})[0], 400)
        for asked in ({"mode": "magic"}, {"transport": "pigeon"}, {"timeout_seconds": 0}):
            self.assertEqual(self.ask("POST", "/v1/migrations", asked)[0], 400)

    def test_cancel(self) -> None:
        """DELETE cancels; where it is too late, it says so."""
        handover = self.start()
        handover.cancellable = False
        self.assertEqual(self.ask("DELETE", self.path)[0], 409)
        handover.cancellable = True
        self.assertEqual(self.ask("DELETE", self.path), (200, handover.report()))
        self.assertEqual(self.ask("DELETE", self.path)[0], 409)

    def test_events(self) -> None:
        """Events are those that were, those that come, and the report at last."""
        handover = self.start()
        handover.happen("stage", stage="prepare")
        transport = self.send("GET", self.path + "/events")
        handover.happen("stage", stage="invite")
        self.assertFalse(transport.disconnecting)
        handover.end("completed")
        _, head, body = split(transport.value())
        self.assertIn(b"text/event-stream", head)
        told = list(read_events(io.BytesIO(body)))
        self.assertEqual([name for name, _ in told], ["progress", "progress", "report"])
        self.assertEqual([value.get("stage") for _, value in told], ["prepare", "invite", None])
        self.assertEqual(told[-1][1]["outcome"], "completed")

    def test_events_late(self) -> None:
        """Who asks after the end gets everything at once."""
        handover = self.start()
        handover.happen("stage", stage="prepare")
        handover.end("failed")
        _, _, body = split(self.send("GET", self.path + "/events").value())
        self.assertEqual([name for name, _ in read_events(io.BytesIO(body))], ["progress", "report"])

    def test_follower_leaves(self) -> None:
        """A follower that goes away is forgotten, and the handover goes on."""
        handover = self.start()
        transport = self.send("GET", self.path + "/events")
        self.protocol.connectionLost(Failure(ConnectionDone()))
        before = transport.value()
        handover.happen("stage", stage="invite")
        handover.end("completed")
        self.assertEqual(transport.value(), before)

    def test_recover(self) -> None:
        """The operator's word is passed on; what speaks against it is told."""
        self.assertEqual(self.ask("POST", "/v1/recovery"), (200, {"recovered": "done"}))
        self.host.refuses = MigrationError("recover", "nothing to recover")
        self.assertEqual(self.ask("POST", "/v1/recovery")[0], 409)
