# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which server a client is brought to.

A route leads from where a client came in to the servers of one guest. It begins
with those that the settings name, and follows the guest: once a session has
moved, its new server is the first that new clients are brought to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from spicemig.client.hosts import Address

ANYWHERE = "*"

Caps = tuple[frozenset[int], frozenset[int]]  # common ones, those of the channel


def secure(address: Address) -> bool:
    """Whether a server is linked to over TLS: when there is no other way."""
    return bool(address.tls_port) and not address.port


@dataclass(slots=True, eq=False, weakref_slot=True)
class Route:
    """
    One guest. ``key`` is what a client came by: the number of a port, the path of a
    unix socket, the name of a host that it asked for over TLS, or :data:`ANYWHERE`.
    """

    key: str
    servers: tuple[Address, ...]
    password: bytes = field(default=b"", repr=False)
    follow: bool = True  # bring new clients first to where the guest was last seen
    epoch: int = 0  # of the announcement that it is from; 0: it is from the table
    current: Address | None = None  # where the guest was last seen, if it has moved
    offers: dict[tuple[Address, str], Caps] = field(default_factory=dict, repr=False)

    def candidates(self) -> list[Address]:
        """Servers to try, the likeliest first."""
        first = [] if self.current is None else [self.current]
        return first + [server for server in self.servers if server != self.current]

    def moved(self, address: Address) -> None:
        """The guest is there now."""
        if self.follow:
            self.current = address

    def take_over(self, other: Route) -> None:
        """
        Lead where another route leads.

        Where the guest was last seen stays, unless that was taken out or is announced otherwise.
        """
        taken_out = self.current in self.servers and self.current not in other.servers
        announced = other.epoch and (other.epoch, other.servers) != (self.epoch, self.servers)
        if taken_out or announced or not other.follow:
            self.current = None
        self.servers = other.servers
        self.password = other.password
        self.follow = other.follow
        self.epoch = other.epoch
        known = self.candidates()
        self.offers = {place: caps for place, caps in self.offers.items() if place[0] in known}


class Routes:
    """
    All routes, which may change while sessions hold them.

    There is one :class:`Route` for a key as long as a session or the table holds it.
    A session whose route was dropped so follows its guest when the route is back.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_key: dict[str, Route] = {}
        self._held: WeakValueDictionary[str, Route] = WeakValueDictionary()
        self.replace(routes)

    def replace(self, routes: Iterable[Route]) -> None:
        """
        Have these routes only.

        Those of known keys stay the objects that they are, with the servers and the
        password of the new ones; sessions keep the others, which take no new clients.
        """
        self._by_key = {route.key: self._one_of(route) for route in routes}

    def _one_of(self, route: Route) -> Route:
        held = self._held.setdefault(route.key, route)
        if held is not route:
            held.take_over(route)
        return held

    def __iter__(self):
        return iter(self._by_key.values())

    def find(self, *keys: str) -> Route | None:
        """The route of the first of these keys that has one, or the one for clients from anywhere."""
        for key in (*keys, ANYWHERE):
            if key in self._by_key:
                return self._by_key[key]
        return None
