# SPDX-License-Identifier: LGPL-2.1-or-later
"""spice-relay: one address for clients, wherever their guest runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import ensureDeferred
from zope.interface import implementer

import spicemig
from spicemig.channels.keys import KeyPool
from spicemig.channels.limits import LinkCounter
from spicemig.channels.link import LinkPolicy
from spicemig.channels.tickets import Ticket
from spicemig.client.hosts import Network
from spicemig.control import relay_api
from spicemig.control.interfaces import IRelayHost
from spicemig.control.relay_inspection import RelayInspection
from spicemig.daemons.base import DaemonService, read_secret
from spicemig.daemons.etcd import follower
from spicemig.daemons.program import DaemonOptions
from spicemig.daemons.relay_config import RelayDaemonSettings
from spicemig.etcd.announcements import Announcement
from spicemig.etcd.follower import Follower
from spicemig.relay.client import ClientFactory
from spicemig.relay.relay import Relay, RelaySettings
from spicemig.relay.routes import Route, Routes


class Options(DaemonOptions):
    """The command line of spice-relay."""

    daemon = "relay"

    def read_settings(self, file: str) -> RelayDaemonSettings:
        return RelayDaemonSettings.read(file, self.overrides)


def makeService(options: Options) -> RelayDaemon:
    """The service that twistd starts; opens nothing yet."""
    return RelayDaemon.for_twistd(options)


@implementer(IRelayHost)
class RelayDaemon(DaemonService):
    """Brings clients to servers, and along with the guest from server to server."""

    relay: Relay
    follower: Follower | None = None

    def _prepare(self) -> None:
        settings = self.settings
        self._make_directory("control", settings.server.control.parent)
        self._pool.start()
        self._announced: dict[str, Announcement] = {}  # what etcd says, by name
        self.relay = Relay(
            Routes(self._routes()),
            self._network(),
            KeyPool(self._in_thread),
            self.reactor,
            self._relay_settings(),
            self._first_ticket(),
            LinkPolicy(secure_channels=settings.listen.secure_channels),
        )
        self.follower = follower(self, self._take_announced)
        self._listen_for_clients(lambda secure: ClientFactory(self.relay, secure=secure))
        self._listen_for_control(relay_api.root(self))
        if settings.manhole.enabled:
            self._make_directory("state_dir", settings.server.state_dir)
        self._add_manhole(RelayInspection(self))

    def _network(self) -> Network:
        settings = self.settings
        return Network(
            self.reactor,
            None if settings.tls.ca is None else str(settings.tls.ca),
            settings.relay.link_seconds,
            ssl.TLSVersion.TLSv1_3 if settings.tls.minimum_version == "1.3" else ssl.TLSVersion.TLSv1_2,
        )

    def _relay_settings(self) -> RelaySettings:
        settings = self.settings
        return RelaySettings(
            max_clients=settings.listen.max_clients,
            link_seconds=settings.relay.link_seconds,
            handover_seconds=settings.relay.handover_seconds,
            hold_seconds=settings.relay.hold_seconds,
            silence_seconds=settings.relay.silence_seconds,
        )

    @property
    def links(self) -> LinkCounter:
        """See :class:`IRelayHost`."""
        return self.relay.counter

    def _routes(self) -> list[Route]:
        file = self.settings.relay.ticket_file
        password = b"" if file is None else read_secret(file, self.settings.file, "relay")
        follow = self.settings.relay.follow
        wanted = self.settings.relay.routes
        routes = {line.key: Route(line.key, line.servers, password, follow) for line in wanted.lines}
        for name, guest in self._announced.items() if wanted.announced else ():
            routes.setdefault(name, Route(name, guest.servers, password, follow, guest.epoch))
        return list(routes.values())

    def _take_announced(self, guests: dict[str, Announcement]) -> None:
        self._announced = guests
        self.relay.routes.replace(self._routes())

    def _begin(self) -> None:
        if self.follower is not None:
            self.follower.contact.start()

    def _before_end(self) -> Any:
        """Tell clients whose port systemd keeps to come again: it takes them for the next relay."""
        return ensureDeferred(self._send_clients_again())

    async def _send_clients_again(self) -> None:
        await self.listeners.close()  # it is not this one that they are to find
        if hasattr(self, "relay"):
            await self.relay.send_again(self.listeners.kept_ports)

    def _end(self) -> None:
        super()._end()
        if self.follower is not None:
            self.follower.contact.stop()
        if hasattr(self, "relay"):
            self.relay.close()

    def _renewed(self) -> Callable[[], None]:
        routes = self._routes()

        def take_over() -> None:
            self.relay.network = self._network()
            self.relay.take(self._relay_settings())
            self.relay.routes.replace(routes)

        return take_over

    def _take_ticket(self, ticket: Ticket | None) -> None:
        self.relay.ticket = ticket

    def status(self) -> dict[str, Any]:
        """See :class:`IRelayHost`."""
        return {
            "name": "spicemig",
            "daemon": self.settings.daemon,
            "version": spicemig.__version__,
            "pid": os.getpid(),
            "uptime_seconds": round(time.monotonic() - self.started_at, 3),
            "stage": "relaying",
            "owner": False,
            "guest": None,
            "clients": len(self.relay.sessions),
            "listening": self.listeners.addresses(),
            "migration": None,
            "routes": {
                route.key: [str(server) for server in route.candidates()] for route in self.relay.routes
            },
            "etcd": None if self.follower is None else self.follower.status(),
        }
