# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The settings of spice-relay, declared and read as those of the other daemons.

``etc/relay.ini`` and ``spice-relay(8)`` are made from the declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from spicemig.client.hosts import Address
from spicemig.client.urls import read_server
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
from spicemig.daemons.etcd_config import EtcdSettings, etcd_contradictions
from spicemig.daemons.options import option
from spicemig.relay.relay import CHANNELS
from spicemig.relay.routes import ANYWHERE
from spicemig.wire.declare import CHANNEL_TYPES

ANNOUNCED = "etcd"  # on a line of its own in the table of routes
RELAYED_CHANNELS = tuple(name for name in CHANNEL_TYPES if name in CHANNELS)


@dataclasses.dataclass(frozen=True)
class RouteLine:
    """One line of the table of routes."""

    key: str
    servers: tuple[Address, ...]


@dataclasses.dataclass(frozen=True)
class RouteTable:
    """The table, and whether guests that are announced in etcd have routes besides."""

    lines: tuple[RouteLine, ...]
    announced: bool = False


def read_routes(value: str) -> RouteTable:
    """The table of routes: a line each, what clients come by and then servers; and a line ``etcd``."""
    lines: dict[str, RouteLine] = {}
    announced = False
    for line in filter(str.strip, value.splitlines()):
        key, *servers = line.split()
        if key in lines:
            raise ValueError(f"there are two routes for {key}")
        if key == ANNOUNCED and not servers:
            announced = True
            continue
        if not servers:
            raise ValueError(f"the route for {key} leads nowhere")
        if ":" in key and not key.startswith("/") and not key.endswith("]"):
            kinds.read_host_port(key)
        key = key if key.startswith("/") else key.lower()  # a path, or the name of a host
        lines[key] = RouteLine(key, tuple(read_server(server) for server in servers))
    return RouteTable(tuple(lines.values()), announced)


routes = kinds.Kind(f"lines of KEY SERVER..., or {ANNOUNCED}", read_routes)
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
    secure_channels: frozenset[str] = option(
        channels, "", "These channels are refused on plain connections; clients then use the TLS port."
    )
    max_clients: int = option(kinds.whole(1, 100000), "1000", "How many clients there may be at once.")


@dataclasses.dataclass(frozen=True)
class RelaySectionSettings:
    """Where clients are brought to."""

    routes: RouteTable = option(
        routes,
        "* spice://127.0.0.1:5900",
        """A line for each guest: what its clients come by, then its servers, of which the first that
        serves the guest is taken. Clients come by a port of this host, by the path of a unix socket, by the
        host name that they ask for over TLS, by the HOST:PORT or HOST that they ask for by HTTP CONNECT,
        or, for *, anyhow; the narrowest counts. A server is spice://HOST:PORT,
        spice+tls://HOST:PORT, which compares the host name with the server's certificate, or its subject
        with ?tlsSubject=SUBJECT, or spice+unix:///PATH. A line that says only etcd stands for the guests
        that servers announce, see [etcd]; where the table has a line for one of them, that counts.""",
    )
    follow: bool = option(
        kinds.yes_no,
        "yes",
        """Whether new clients are brought first to the server to which a session of the guest has moved last;
        with no, always in the order of the servers.""",
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
    silence_seconds: float = option(
        kinds.decimal(0, 3600),
        "20",
        """A server that has said nothing to any client for so long is asked with a link whether it is there
        (servers of spicemig say something every 15 seconds). If it does not answer that within link_seconds,
        its clients are held as if it had gone. 0: only the network tells that a server has gone.""",
    )


SECTIONS: dict[str, type] = {
    "server": RelayServerSettings,
    "listen": RelayListenSettings,
    "tls": TLSSettings,
    "auth": AuthSettings,
    "relay": RelaySectionSettings,
    "etcd": EtcdSettings,
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
    etcd: EtcdSettings
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
    for name in ("state_dir", "control"):
        if getattr(settings.server, name) is None:
            yield "server", name, "must not be empty"
    yield from client_contradictions(settings.listen, settings.tls, settings.auth)
    yield from manhole_contradictions(settings.manhole)
    yield from web_contradictions(settings.web, settings.tls)
    yield from etcd_contradictions(settings.etcd)
    if not (relay.routes.lines or relay.routes.announced):
        yield "relay", "routes", f"must not be empty; a line that begins with {ANYWHERE} is for all clients"
    if relay.routes.announced and not settings.etcd.endpoints:
        yield "relay", "routes", f"{ANNOUNCED} needs endpoints in [etcd]"
    if settings.etcd.endpoints and not relay.routes.announced:
        yield "etcd", "endpoints", f"of no use: no line of routes in [relay] says {ANNOUNCED}"
    if relay.ticket_file and not relay.ticket_file.is_file():
        yield "relay", "ticket_file", f"there is no file {relay.ticket_file}"
    secure = any(server.tls_port for line in relay.routes.lines for server in line.servers)
    if secure and not settings.tls.ca:
        yield "relay", "routes", "servers with TLS need ca in [tls], to know them by"
