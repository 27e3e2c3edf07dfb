# SPDX-License-Identifier: LGPL-2.1-or-later
"""The metrics of spice-relay; see :mod:`spicemig.control.metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from spicemig.control.metrics import Metrics, Row

RELAY = Metrics()


@RELAY.gauge(
    "spicemig_relay_sessions",
    """Clients: settled at a server, or on their way to another one. Those in hurried, switching and renewing
    are held: they wait for a server.""",
    "stage",
)
def sessions(host: Any) -> Iterator[Row]:
    yield from host.relay.sessions_by_stage().items()


@RELAY.gauge("spicemig_relay_channels", "Channels that are passed on.", "channel")
def channels(host: Any) -> Iterator[Row]:
    counts = Counter(name for session in host.relay.sessions.values() for name, _id in session.pipes)
    for channel in host.relay.channels:
        yield channel, counts[channel]


@RELAY.counter(
    "spicemig_relay_bytes_total",
    "Bytes that came from clients and from servers, from the link on, before TLS.",
    "channel",
    "direction",
)
def relayed_bytes(host: Any) -> Iterator[Row]:
    tally = host.relay.tally
    for channel in host.relay.channels:
        yield channel, "from_client", tally.from_client[channel]
        yield channel, "from_server", tally.from_server[channel]


@RELAY.counter(
    "spicemig_relay_handovers_total",
    """Clients that went on at another server, with their state (completed) or as a new session there that
    they do not notice (renewed); that stayed because the target could not be reached (failed); or that no
    server took (lost).""",
    "outcome",
)
def handovers(host: Any) -> Iterator[Row]:
    yield from host.relay.tally.handovers.items()


@RELAY.histogram(
    "spicemig_relay_pause_seconds",
    "How long clients that went on at another server were held between the two.",
    "outcome",
)
def pauses(host: Any) -> Iterator[Row]:
    yield from host.relay.tally.pauses.items()


@RELAY.gauge(
    "spicemig_relay_links_to_servers", "Channels of clients whose link to their server is under way."
)
def links_to_servers(host: Any) -> Iterator[Row]:
    yield (sum(len(session.links_under_way) for session in host.relay.sessions.values()),)


@RELAY.gauge(
    "spicemig_relay_route_sessions",
    """Clients of a route at each server where it has any; the server that new clients are brought to first
    is always there.""",
    "route",
    "server",
)
def route_sessions(host: Any) -> Iterator[Row]:
    counts: Counter[tuple[str, str]] = Counter()
    for route in host.relay.routes:
        counts[route.key, str(route.candidates()[0])] = 0
    for session in host.relay.sessions.values():
        counts[session.route.key, str(session.address)] += 1
    for labels, count in counts.items():
        yield *labels, count


@RELAY.gauge(
    "spicemig_relay_route_moved",
    "1 if the guest of a route is elsewhere than at the first server of its line.",
    "route",
)
def route_moved(host: Any) -> Iterator[Row]:
    for route in host.relay.routes:
        yield route.key, int(route.candidates()[0] != route.servers[0])
