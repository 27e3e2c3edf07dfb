# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The settings of spice-relay, declared and read as those of the other daemons.

``etc/relay.ini`` and ``spice-relay(8)`` are made from the declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from spicemig.client.hosts import Address
from spicemig.daemons import options as kinds
from spicemig.daemons.config import (
    AuthSettings,
    DaemonSettings,
    Endpoints,
    ManholeSettings,
    Reader,
    TLSSettings,
    WebSettings,
    client_contradictions,
    manhole_contradictions,
    read_channel,
    web_contradictions,
)
from spicemig.daemons.options import option
from spicemig.relay import door
from spicemig.relay.relay import CHANNELS
from spicemig.relay.routes import ANYWHERE
from spicemig.wire.declare import CHANNEL_TYPES

RELAYED_CHANNELS = tuple(name for name in CHANNEL_TYPES if name in CHANNELS)


@dataclasses.dataclass(frozen=True)
class RouteLine:
    """One line of the table of routes."""

    key: str
    servers: tuple[Address, ...]


def read_server(value: str) -> Address:
    """A server's address from ``spice://HOST:PORT``, ``spice+tls://HOST:PORT`` or ``spice+unix://PATH``."""
    parts = urlsplit(value)
    if parts.scheme == "spice+unix" and parts.path and not parts.netloc:
        return Address(unix=unquote(parts.path))
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("spice", "spice+tls") or not host or not port:
        raise ValueError(f"{value!r} is not spice://HOST:PORT, spice+tls://HOST:PORT or spice+unix:///PATH")
    query = parse_qs(parts.query, keep_blank_values=True)
    subject = query.pop("tlsSubject", [""])[-1]
    if query or (subject and parts.scheme != "spice+tls"):
        raise ValueError(f"{value!r}: only spice+tls takes something after ?, and that is tlsSubject=SUBJECT")
    if parts.scheme == "spice":
        return Address(host, port)
    return Address(host, tls_port=port, subject=subject)


def read_routes(value: str) -> tuple[RouteLine, ...]:
    """The table of routes: a line each, what clients come by and then servers."""
    lines: dict[str, RouteLine] = {}
    for line in filter(str.strip, value.splitlines()):
        key, *servers = line.split()
        if key in lines:
            raise ValueError(f"there are two routes for {key}")
        if not servers:
            raise ValueError(f"the route for {key} leads nowhere")
        key = key if key.startswith("/") else key.lower()  # a path, or the name of a host
        lines[key] = RouteLine(key, tuple(read_server(server) for server in servers))
    return tuple(lines.values())


routes = kinds.Kind("lines of KEY SERVER...", read_routes)
channels = kinds.several("channel names", lambda name: read_channel(name, RELAYED_CHANNELS), frozenset)


@dataclasses.dataclass(frozen=True)
class RelayServerSettings(DaemonSettings):
    """The daemon itself."""

    state_dir: Path = option(
        kinds.path,
        "/var/lib/spicemig/{daemon}",
        """Where the host key of the manhole is kept, if that is enabled. Made if missing, for the daemon's
        user only.""",
    )


@dataclasses.dataclass(frozen=True)
class RelayListenSettings(Endpoints):
    """Where clients connect: Twisted endpoint strings, several separated by blanks."""

    plain: tuple[str, ...] = option(
        kinds.endpoints,
        "tcp:5910:interface=127.0.0.1",
        "For clients without TLS. The default can be reached from this machine only.",
    )
    websocket: tuple[str, ...] = option(
        kinds.endpoints,
        "",
        """For browsers and all other clients: these endpoints take SPICE and SPICE over WebSocket, each
        without TLS or, if there are certificate and key in [tls], with it, and tell them apart.""",
    )
    secure_channels: frozenset[str] = option(
        channels, "", "These channels are refused on plain connections; clients then use the TLS port."
    )
    max_clients: int = option(kinds.whole(1, 100000), "1000", "How many clients there may be at once.")


@dataclasses.dataclass(frozen=True)
class RelaySectionSettings:
    """Where clients are brought to."""

    routes: tuple[RouteLine, ...] = option(
        routes,
        "* spice://127.0.0.1:5900",
        """A line for each guest: what its clients come by, then its servers, of which the first that
        serves the guest is taken. Clients come by a port of this host, by the path of a unix socket, by the
        host name that they ask for over TLS, or, for *, anyhow. A server is spice://HOST:PORT,
        spice+tls://HOST:PORT, which compares the host name with the server's certificate, or its subject
        with ?tlsSubject=SUBJECT, or spice+unix:///PATH. Once a session has moved to another server, new
        clients are brought there first.""",
    )
    ticket_file: Path | None = option(
        kinds.path,
        "",
        """A file with the ticket for the servers on its first line, read at start and on SIGHUP. Empty: they
        ask for none.""",
    )
    link_seconds: float = option(
        kinds.decimal(0.1, 60), "5", "How long connecting a channel to a server may take."
    )
    handover_seconds: float = option(
        kinds.decimal(0.1, 600),
        "10",
        "How long connecting to the target of a handover, and then leaving the source, may take.",
    )
    hold_seconds: float = option(
        kinds.decimal(0, 3600),
        "30",
        "How long clients are held whose server has gone without a word, until a server takes them.",
    )


SECTIONS: dict[str, type] = {
    "server": RelayServerSettings,
    "listen": RelayListenSettings,
    "tls": TLSSettings,
    "auth": AuthSettings,
    "relay": RelaySectionSettings,
    "web": WebSettings,
    "manhole": ManholeSettings,
}


@dataclasses.dataclass(frozen=True)
class RelayDaemonSettings:
    """Everything an INI file and ``--set`` said, or left to the defaults."""

    daemon: str
    file: Path
    server: RelayServerSettings
    listen: RelayListenSettings
    tls: TLSSettings
    auth: AuthSettings
    relay: RelaySectionSettings
    web: WebSettings
    manhole: ManholeSettings

    @classmethod
    def read(cls, file: str | Path, overrides: Iterable[str] = ()) -> RelayDaemonSettings:
        """As :meth:`spicemig.daemons.config.Settings.read`."""
        reader = Reader(Path(file), "relay", overrides)
        settings = cls("relay", reader.file, **reader.sections(SECTIONS))
        for section, name, reason in _contradictions(settings):
            raise reader.error(section, name, reason)
        return settings


def _contradictions(settings: RelayDaemonSettings) -> Iterator[tuple[str, str, str]]:
    relay = settings.relay
    reason = door.why_not()
    if settings.listen.websocket and reason:
        yield "listen", "websocket", reason
    viewer = settings.web.viewer
    if viewer and not viewer.is_dir():
        yield "web", "viewer", f"there is no directory {viewer}"
    for name in ("state_dir", "control"):
        if getattr(settings.server, name) is None:
            yield "server", name, "must not be empty"
    yield from client_contradictions(settings.listen, settings.tls, settings.auth)
    yield from manhole_contradictions(settings.manhole)
    yield from web_contradictions(settings.web, settings.tls)
    if not relay.routes:
        yield "relay", "routes", f"must not be empty; a line that begins with {ANYWHERE} is for all clients"
    if relay.ticket_file and not relay.ticket_file.is_file():
        yield "relay", "ticket_file", f"there is no file {relay.ticket_file}"
    secure = any(server.tls_port for line in relay.routes for server in line.servers)
    if secure and not settings.tls.ca:
        yield "relay", "routes", "servers with TLS need ca in [tls], to know them by"
