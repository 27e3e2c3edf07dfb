# SPDX-License-Identifier: LGPL-2.1-or-later
"""What joins daemons to etcd: servers that announce their guest, relays that follow it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet import ssl

from spicemig.client.hosts import Address
from spicemig.daemons.base import read_secret
from spicemig.daemons.etcd_config import EtcdSettings
from spicemig.daemons.tls import read_certificates
from spicemig.errors import ConfigError
from spicemig.etcd.announcements import MAX_SERVERS, Announcement
from spicemig.etcd.announcer import Announcer
from spicemig.etcd.follower import Follower
from spicemig.etcd.following import Following
from spicemig.etcd.gateway import Gateway, connect


def _gateway(daemon: Any) -> Gateway:
    """The way to etcd; raises ``ConfigError``."""
    etcd: EtcdSettings = daemon.settings.etcd
    file = daemon.settings.file
    authorities = None
    if etcd.ca:
        found = read_certificates(etcd.ca, lambda reason: ConfigError(str(file), "etcd", "ca", reason))
        authorities = ssl.trustRootFromCertificates(found)
    password = read_secret(etcd.password_file, file, "etcd", "password_file") if etcd.password_file else b""
    return connect(
        etcd.endpoints, daemon.reactor, authorities, etcd.user, password.decode("utf-8", "replace")
    )


def announcer(daemon: Any) -> Announcer | None:
    """What announces a server's guest, if there is an etcd."""
    etcd = daemon.settings.etcd
    if not etcd.endpoints:
        return None
    return Announcer(
        _gateway(daemon),
        etcd.prefix,
        etcd.announce or (daemon.settings.server.name.lower(),),
        etcd.lease_seconds,
        daemon.reactor,
        lambda: announcement(daemon),
    )


def announcement(daemon: Any) -> Announcement | None:
    """What a server has to announce at the moment: nothing, if the guest is not its own."""
    if not daemon.owner:
        return None
    return Announcement(advertised(daemon), daemon.uuid, daemon.epochs.current.epoch)


def advertised(daemon: Any) -> tuple[Address, ...]:
    """Where relays reach a server."""
    settings = daemon.settings
    if settings.etcd.advertise:
        return settings.etcd.advertise
    ports = {kind: daemon.listeners.tcp_addresses(kind) for kind in ("tls", "plain")}
    host, subject = settings.migration.public_host, settings.migration.cert_subject
    found = [
        Address(host or _reachable(each.host), tls_port=each.port, subject=subject) for each in ports["tls"]
    ] or [Address(host or _reachable(each.host), each.port) for each in ports["plain"]]
    return tuple(dict.fromkeys(found))[:MAX_SERVERS]


def _reachable(host: str) -> str:
    """Under which name what listens here is reached from elsewhere."""
    return socket.gethostname() if ip_address(host.partition("%")[0]).is_unspecified else host


def follower(daemon: Any, changed: Callable[[dict[str, Announcement]], None]) -> Follower | None:
    """What follows the announced guests for a relay, if its routes say so."""
    settings = daemon.settings
    if not settings.relay.routes.announced:
        return None

    def usable(server: Address) -> bool:
        return not server.tls_port or settings.tls.ca is not None

    following = Following(settings.etcd.prefix, usable)
    return Follower(_gateway(daemon), following, daemon.reactor, changed)
