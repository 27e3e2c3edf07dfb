# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The control API: HTTP/1.1 with JSON on the control socket.

=============================================  ================================================
``GET /v1/status``                             the daemon in a few words, and where it listens
``GET /v1/sessions``                           the clients
``GET``, ``DELETE /v1/sessions/ID``            one client; disconnect it
``GET /v1/sessions/ID/channels``               its channels
``GET``, ``POST /v1/migrations``               handovers of this daemon; start one
``GET``, ``DELETE /v1/migrations/ID``          its report; cancel it
``GET /v1/migrations/ID/events``               its progress as server-sent events
``POST /v1/recovery``                          the operator's word that this host owns the guest
``GET /v1/screenshot.png``                     the guest's picture
``PUT /v1/ticket``                             set, or let expire, the ticket of new clients
``GET /v1/guest``                              what the guest tells of itself
``GET``, ``DELETE /v1/recording``              a trace of what it draws from now on; end all of them
``GET /v1/doctor``                             what would go wrong
``GET /metrics``                               what Prometheus is told
=============================================  ================================================

An error is ``{"error": reason}``, with a ``hint`` where there is something to do.
"""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from spicemig.control.host_metrics import HOST
from spicemig.control.metrics import MetricsResource
from spicemig.control.recording import RecordingResource
from spicemig.control.resources import BoundedRequest, JSONResource, Nothing, Refused, read_json, write_error
from spicemig.errors import MigrationError
from spicemig.migration.settings import MODES, TRANSPORTS

TICKET_BYTES = 60  # SPICE_MAX_PASSWORD_LENGTH


def root(host: Any) -> Resource:
    """The tree of resources for one daemon."""
    version = JSONResource()
    for name, child in (
        (b"status", Status(host)),
        (b"sessions", SessionList(host)),
        (b"migrations", MigrationList(host)),
        (b"recovery", Recovery(host)),
        (b"screenshot.png", Screenshot(host)),
        (b"ticket", TicketResource(host)),
        (b"doctor", Doctor(host)),
        (b"guest", Guest(host)),
        (b"recording", RecordingResource(host)),
    ):
        version.putChild(name, child)
    top = JSONResource()
    top.putChild(b"v1", version)
    top.putChild(b"metrics", MetricsResource(HOST, host))
    return top


class _HostResource(JSONResource):
    """A resource that knows the daemon."""

    def __init__(self, host: Any) -> None:
        super().__init__()
        self.host = host


class Status(_HostResource):
    """``/v1/status``"""

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return self.host.status()


class Doctor(_HostResource):
    """``/v1/doctor``"""

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return {"checks": self.host.doctor()}


class Guest(_HostResource):
    """``/v1/guest``"""

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        guest = self.host.sessions.guest
        if guest is None:
            raise Refused(http.NOT_FOUND, "there is no guest here")
        tells = getattr(guest, "describe", dict)
        return {"kind": guest.kind, "running": self.host.sessions.device.running, **tells()}


# -- clients ----------------------------------------------------------------------------------------


def describe_session(client: Any, now: float) -> dict[str, Any]:
    """One client."""
    round_trip = client.bandwidth.round_trip_seconds
    return {
        "id": str(client.connection_id),
        "address": client.address,
        "arriving": client.arriving,
        "can": "seamless" if client.seamless else "semi-seamless" if client.semi_seamless else "switch-host",
        "connected_seconds": round(now - client.connected_at, 3),
        "latency_ms": None if client.latency_seconds is None else round(client.latency_seconds * 1000, 3),
        "bandwidth_bits_per_second": client.bandwidth.bits_per_second,
        "round_trip_ms": None if round_trip is None else round(round_trip * 1000, 3),
        "slow_line": client.bandwidth.slow,
        "channels": len(client.cores),
    }


def describe_channel(core: Any) -> dict[str, Any]:
    """One channel of a client."""
    return {
        "channel": core.channel,
        "id": core.channel_id,
        "stage": core.stage.name,
        "serial_sent": core.common.serial_sent,
        "serial_received": core.common.serial_received,
        "pending_bytes": core.pending_bytes,
        "window_open": core.window_open,
        "mini_headers": core.mini,
        **({"streams": core.streams.describe()} if core.channel == "display" else {}),
    }


class SessionList(_HostResource):
    """``/v1/sessions``"""

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        sessions = self.host.sessions
        now = sessions.clock.seconds()
        return {"sessions": [describe_session(client, now) for client in sessions.clients.values()]}

    def getChild(self, path: bytes, request: BoundedRequest) -> Resource:
        if not path:
            return self
        client = self.host.sessions.clients.get(int(path)) if path.isdigit() else None
        if client is None:
            return Nothing(f"no client has the id {path.decode('latin-1')}")
        session = SessionResource(self.host, client)
        session.putChild(b"channels", ChannelList(client))
        return session


class SessionResource(_HostResource):
    """``/v1/sessions/ID``"""

    def __init__(self, host: Any, client: Any) -> None:
        super().__init__(host)
        self.client = client

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return describe_session(self.client, self.host.sessions.clock.seconds())

    def delete(self, request: BoundedRequest) -> dict[str, Any]:
        self.client.close()
        return {"disconnected": str(self.client.connection_id)}


class ChannelList(JSONResource):
    """``/v1/sessions/ID/channels``"""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return {"channels": [describe_channel(core) for core in self.client.cores.values()]}


# -- handovers --------------------------------------------------------------------------------------


class MigrationList(_HostResource):
    """``/v1/migrations``"""

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return {"migrations": [handover.report() for handover in self.host.migrations.values()]}

    def post(self, request: BoundedRequest) -> dict[str, Any]:
        asked = read_json(
            request, to=str, mode=str, transport=str, dry_run=bool, timeout_seconds=(int, float)
        )
        for name, known in (("mode", MODES), ("transport", TRANSPORTS)):
            if asked.get(name) not in (None, *known):
                raise Refused(http.BAD_REQUEST, f"{name} {asked[name]!r} is not one of {', '.join(known)}")
        timeout = asked.get("timeout_seconds")
        if timeout is not None and not 0 < timeout <= 3600:
            raise Refused(http.BAD_REQUEST, "timeout_seconds must be above 0 and at most 3600")
        try:
            handover = self.host.migrate(
                asked.get("to"),
                asked.get("mode"),
                asked.get("transport"),
                asked.get("dry_run", False),
                timeout,
            )
        except ValueError as error:
            raise Refused(http.BAD_REQUEST, str(error)) from error
        except MigrationError as error:
            raise Refused(http.CONFLICT, error.reason, error.hint) from error
        request.setResponseCode(http.ACCEPTED)
        request.setHeader(b"location", b"/v1/migrations/" + handover.id.encode())
        return handover.report()

    def getChild(self, path: bytes, request: BoundedRequest) -> Resource:
        if not path:
            return self
        handover = self.host.migrations.get(path.decode("latin-1"))
        if handover is None:
            return Nothing(f"no migration has the id {path.decode('latin-1')}")
        resource = MigrationResource(handover)
        resource.putChild(b"events", MigrationEvents(handover))
        return resource


class MigrationResource(JSONResource):
    """``/v1/migrations/ID``"""

    def __init__(self, handover: Any) -> None:
        super().__init__()
        self.handover = handover

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return self.handover.report()

    def delete(self, request: BoundedRequest) -> dict[str, Any]:
        report = self.handover.report()
        if report["outcome"] is not None:
            raise Refused(http.CONFLICT, f"the migration has ended already: {report['outcome']}")
        if not self.handover.cancel():
            raise Refused(
                http.CONFLICT,
                f"it is too late to cancel: the migration is at {self.handover.stage}",
                "wait for its end, then migrate back",
            )
        return self.handover.report()


class MigrationEvents(JSONResource):
    """``/v1/migrations/ID/events``: ``progress`` events, then one ``report``."""

    isLeaf = True

    def __init__(self, handover: Any) -> None:
        super().__init__()
        self.handover = handover

    def render(self, request: BoundedRequest) -> Any:
        if request.method != b"GET":
            write_error(request, Refused(http.NOT_ALLOWED, "events can only be read"))
            return NOT_DONE_YET
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"cache-control", b"no-store")
        for event in list(self.handover.events):
            self._write(request, "progress", event)
        unsubscribe = self.handover.subscribe(lambda event: self._progress(request, event))
        gone: list[bool] = []

        def finish(report: Any) -> None:
            unsubscribe()
            if not gone:
                self._write(request, "report", report)
                request.finish()

        def leave(_: Any) -> None:
            gone.append(True)
            unsubscribe()

        request.notifyFinish().addErrback(leave)
        self.handover.when_done().addCallback(finish)
        return NOT_DONE_YET

    def _progress(self, request: BoundedRequest, event: dict[str, Any]) -> None:
        if event["event"] != "end":
            self._write(request, "progress", event)

    def _write(self, request: BoundedRequest, name: str, value: Any) -> None:
        request.write(f"event: {name}\ndata: {json.dumps(value, default=str)}\n\n".encode())


class Recovery(_HostResource):
    """``/v1/recovery``"""

    def post(self, request: BoundedRequest) -> dict[str, Any]:
        try:
            return {"recovered": self.host.recover()}
        except MigrationError as error:
            raise Refused(http.CONFLICT, error.reason, error.hint) from error


# -- the rest ---------------------------------------------------------------------------------------


class Screenshot(_HostResource):
    """``/v1/screenshot.png``"""

    isLeaf = True

    def render(self, request: BoundedRequest) -> Any:
        if request.method not in (b"GET", b"HEAD"):
            write_error(request, Refused(http.NOT_ALLOWED, "a screenshot can only be read"))
            return NOT_DONE_YET
        device = self.host.sessions.device
        if not any(surface.id == 0 for surface in device.surfaces()):
            write_error(request, Refused(http.NOT_FOUND, "there is no guest here, or it shows nothing"))
            return NOT_DONE_YET
        image = device.render(0).image().convert("RGB")
        gone: list[bool] = []
        request.notifyFinish().addErrback(lambda _: gone.append(True))
        encoded: Deferred[bytes] = self.host.sessions.workers(encode_png, image)

        def write(png: bytes) -> None:
            if not gone:
                request.setHeader(b"content-type", b"image/png")
                request.setHeader(b"content-length", b"%d" % len(png))
                request.write(png)
                request.finish()

        encoded.addCallback(write)
        encoded.addErrback(lambda failure: self.log.failure("control: no screenshot", failure))
        return NOT_DONE_YET


def encode_png(image: Any) -> bytes:
    """A Pillow image as the bytes of a PNG file."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()


class TicketResource(_HostResource):
    """``/v1/ticket``"""

    def put(self, request: BoundedRequest) -> dict[str, Any]:
        asked = read_json(request, ticket=str, expires_seconds=(int, float), expire=bool)
        if asked.get("expire"):
            self.host.set_ticket(None, None)
            return {"ticket": "expired"}
        ticket = asked.get("ticket", "").encode()
        if not 0 < len(ticket) <= TICKET_BYTES or b"\0" in ticket:
            raise Refused(http.BAD_REQUEST, f"a ticket has 1 to {TICKET_BYTES} bytes and no NUL")
        expires = asked.get("expires_seconds")
        if expires is not None and expires <= 0:
            raise Refused(http.BAD_REQUEST, "expires_seconds must be above 0")
        self.host.set_ticket(ticket, expires)
        return {"ticket": "set", "expires_seconds": expires}
