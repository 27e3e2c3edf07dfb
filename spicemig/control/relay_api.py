# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The control API of spice-relay; the same paths as :mod:`spicemig.control.api`, as far as they mean something.

=============================================  ================================================
``GET /v1/status``                             the daemon in a few words, and where it listens
``GET /v1/sessions``                           the clients
``GET``, ``DELETE /v1/sessions/ID``            one client; disconnect it
``GET /v1/sessions/ID/channels``               its channels
``PUT /v1/ticket``                             set, or let expire, the ticket of new clients
``GET /metrics``                               what Prometheus is told
=============================================  ================================================

What has to do with a guest is answered by 501: a relay has none.
"""

from __future__ import annotations

from typing import Any

from twisted.web import http
from twisted.web.resource import Resource

from spicemig.control.api import Status, TicketResource
from spicemig.control.metrics import MetricsResource
from spicemig.control.relay_metrics import RELAY
from spicemig.control.resources import BoundedRequest, JSONResource, Nothing

#: what a server has and a relay has not
OF_A_GUEST = (b"migrations", b"recovery", b"screenshot.png", b"doctor", b"guest", b"recording")


def root(host: Any) -> Resource:
    """The tree of resources for one relay."""
    version = JSONResource()
    version.putChild(b"status", Status(host))
    version.putChild(b"sessions", RelayedSessions(host))
    version.putChild(b"ticket", TicketResource(host))
    hint = "name the control socket of the server that has it, with --control PATH"
    for name in OF_A_GUEST:
        version.putChild(name, Nothing("a relay has no guest", hint, http.NOT_IMPLEMENTED))
    top = JSONResource()
    top.putChild(b"v1", version)
    top.putChild(b"metrics", MetricsResource(RELAY, host))
    return top


def describe_session(session: Any, now: float) -> dict[str, Any]:
    """One client."""
    return {
        "id": str(session.connection_id),
        "address": session.peer,
        "server": str(session.address),
        "stage": session.stage.value,
        "can": "held",
        "connected_seconds": round(now - session.connected_at, 3),
        "latency_ms": None,
        "handovers": session.handovers,
        "failures": session.failures,
        "renewals": session.renewals,
        "channels": len(session.pipes),
    }


def describe_channel(pipe: Any) -> dict[str, Any]:
    """One channel of a client."""
    core = pipe.core
    return {
        "channel": core.name,
        "id": core.channel_id,
        "stage": core.stage.name,
        "serial_sent": core.server_scan.messages,
        "serial_received": core.client_scan.messages,
        "pending_bytes": pipe.client.unsent_bytes,
        "held_bytes": core.held_bytes,
        "mini_headers": core.mini,
    }


class RelayedSessions(JSONResource):
    """``/v1/sessions``"""

    def __init__(self, host: Any) -> None:
        super().__init__()
        self.host = host

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        relay = self.host.relay
        now = relay.clock.seconds()
        return {"sessions": [describe_session(session, now) for session in relay.sessions.values()]}

    def getChild(self, path: bytes, request: BoundedRequest) -> Resource:
        if not path:
            return self
        session = self.host.relay.sessions.get(int(path)) if path.isdigit() else None
        if session is None:
            return Nothing(f"no client has the id {path.decode('latin-1')}")
        resource = RelayedSession(self.host, session)
        resource.putChild(b"channels", RelayedChannels(session))
        return resource


class RelayedSession(JSONResource):
    """``/v1/sessions/ID``"""

    def __init__(self, host: Any, session: Any) -> None:
        super().__init__()
        self.host = host
        self.session = session

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return describe_session(self.session, self.host.relay.clock.seconds())

    def delete(self, request: BoundedRequest) -> dict[str, Any]:
        self.session.close()
        return {"disconnected": str(self.session.connection_id)}


class RelayedChannels(JSONResource):
    """``/v1/sessions/ID/channels``"""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session

    def get(self, request: BoundedRequest) -> dict[str, Any]:
        return {"channels": [describe_channel(pipe) for pipe in self.session.pipes.values()]}
