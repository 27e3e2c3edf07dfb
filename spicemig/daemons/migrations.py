# SPDX-License-Identifier: LGPL-2.1-or-later
"""What joins a daemon's settings to its handovers: who may come, how to get there, what is compared."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.logger import Logger

from spicemig.control.following import Followed
from spicemig.daemons.config import Settings
from spicemig.daemons.tls import Credentials, bears_name
from spicemig.errors import LinkError, ProtocolError
from spicemig.guests import registry
from spicemig.migration.protocol import Migrations
from spicemig.migration.settings import ClientAddress, HandoverSettings, HostFacts
from spicemig.session.carried import CARRIED_HOST_VERSION
from spicemig.state import STATES
from spicemig.wire.declare import CHANNEL_TYPES


def handover_settings(settings: Settings) -> HandoverSettings:
    """The ``[migration]`` section as the cores want it."""
    migration = settings.migration
    return HandoverSettings(
        mode=migration.mode,
        transport=migration.transport,
        stage_timeout_seconds=migration.stage_timeout_seconds,
        pause_goal_ms=migration.pause_goal_ms,
    )


def host_facts(daemon: Any) -> HostFacts:
    """What this host is now, for the pre-flight."""
    settings, sessions = daemon.settings, daemon.sessions
    both = daemon.listeners.tcp_port("websocket")  # takes clients of either kind
    versions = {state.__name__: state.state_version for state in STATES if state.state_magic is not None}
    return HostFacts(
        name=settings.server.name,
        uuid=daemon.uuid.bytes,
        guest_kind="" if sessions.guest is None else sessions.guest.kind,
        guest_versions=guest_versions(settings),
        state_versions={**versions, "host": CARRIED_HOST_VERSION},
        same_settings=same_settings(daemon),
        channels=frozenset((CHANNEL_TYPES[channel], number) for channel, number in sessions.channel_set),
        max_clients=settings.listen.max_clients,
        address=ClientAddress(
            host=settings.migration.public_host,
            port=daemon.listeners.tcp_port("plain") or both,
            sport=daemon.listeners.tcp_port("tls") or (both if daemon.credentials.chain else 0),
            cert_subject=settings.migration.cert_subject,
        ),
    )


def guest_versions(settings: Settings) -> dict[str, int]:
    """The kinds of guest that may arrive here, and the newest state of each that can be read."""
    makers = registry.makers()
    if settings.daemon == "target" and settings.guest.kind:
        makers = {settings.guest.kind: makers[settings.guest.kind]}
    return {kind: maker.state_version for kind, maker in makers.items()}


def same_settings(daemon: Any) -> dict[str, str]:
    """What guests ask to be alike on both hosts: here the guest that is served, else any that may arrive."""
    guest, options = daemon.sessions.guest, daemon.settings.guest_options
    kinds = guest_versions(daemon.settings) if guest is None else [guest.kind]
    found: dict[str, str] = {}
    for kind in kinds:
        found.update(registry.maker(kind).same_settings(options.get(kind, {})))
    return found


class Door:
    """
    The host that links of the migration listener come to.

    It admits other hosts only: from the networks and with the names that the
    settings allow. That their certificates are good, TLS has seen to.
    """

    log = Logger()

    def __init__(self, settings: Settings, migrations: Migrations, ticket: bytes) -> None:
        self.settings = settings.migration
        self.migrations = migrations
        self.ticket = ticket

    def admit(self, request: Any) -> Any:
        """The core for a link; raises ``ProtocolError`` with the link error to answer."""
        if request.channel != "migration":
            raise ProtocolError(LinkError.CHANNEL_NOT_AVAILABLE, "this port is for migrations only")
        if not self._near(request.transport.getPeer().host):
            raise ProtocolError(LinkError.PERMISSION_DENIED, "[migration] allow_from does not name this host")
        if not bears_name(request.transport.getPeerCertificate(), self.settings.accept_names):
            raise ProtocolError(
                LinkError.PERMISSION_DENIED, "its certificate bears none of [migration] accept_names"
            )
        return self.migrations.admit(request)

    def _near(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.settings.allow_from)

    def authenticate(self, request: Any, password: bytes, now: float) -> bool:
        """Whether the other host knows the secret."""
        return secrets.compare_digest(password, self.ticket)


class Handovers:
    """The handovers that a daemon was asked for."""

    def __init__(self, daemon: Any, credentials: Credentials, ticket: bytes) -> None:
        self.daemon = daemon
        self.credentials = credentials
        self.migrations = Migrations(
            daemon.sessions,
            daemon.epochs,
            lambda: host_facts(daemon),
            handover_settings(daemon.settings),
            daemon.reactor,
            self._endpoint_to,
            ticket,
        )
        if daemon.stage_hook is not None:
            self.migrations.stage_hook = lambda side, stage: daemon.stage_hook(side, stage.value)
        self.door = Door(daemon.settings, self.migrations, ticket)
        self.followed: dict[str, Followed] = {}

    def _endpoint_to(self, host: str, port: int) -> Any:
        name = self.daemon.settings.migration.peer_name or host
        return wrapClientTLS(
            self.credentials.for_target(name),
            HostnameEndpoint(self.daemon.reactor, host.encode("idna"), port),
        )

    def start(self, to: tuple[str, int], **options: Any) -> Followed:
        """Begin to hand the guest over; see :meth:`Migrations.start`."""
        followed = Followed()
        handover = self.migrations.start(to, observer=followed.happened, **options)
        followed.handover = handover
        remembered = {**self.followed, followed.id: followed}
        self.followed = {id: each for id, each in remembered.items() if id in self.migrations.handovers}
        return followed

    def under_way(self) -> list[Followed]:
        """Those that have not ended."""
        return [followed for followed in self.followed.values() if not followed.handover.ended]
