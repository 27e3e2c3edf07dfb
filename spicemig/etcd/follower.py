# SPDX-License-Identifier: LGPL-2.1-or-later
"""Follows the guests that are announced in etcd."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from spicemig.etcd.announcements import Announcement
from spicemig.etcd.contact import Contact
from spicemig.etcd.following import Following
from spicemig.etcd.gateway import Gateway

# Etcd itself says only every ten minutes that a watch is alive. So it is begun anew after this
# time, with a reading of everything, and a line that is dead is noticed.
WATCH_SECONDS = 30.0
PAUSE_SECONDS = 0.2  # between a watch and the next reading


class Follower:
    """``changed`` is told whenever there are other guests, or they are elsewhere."""

    log = Logger()

    def __init__(
        self,
        gateway: Gateway,
        following: Following,
        clock: Any,
        changed: Callable[[dict[str, Announcement]], None],
    ) -> None:
        self._gateway = gateway
        self._following = following
        self._changed = changed
        self._known: dict[str, Announcement] = {}
        self._logged: dict[str, str] = {}
        self.contact = Contact(self._read_and_watch, clock)

    async def _read_and_watch(self) -> float:
        self._following.read(await self._gateway.ask(self._following.reading()))
        self._tell()
        self.contact.kept(self._gateway.endpoint)
        seconds = WATCH_SECONDS * random.uniform(0.8, 1.0)
        await self._gateway.listen(self._following.watching(), self._hear, seconds)
        return PAUSE_SECONDS

    def _hear(self, line: bytes) -> bool:
        goes_on = self._following.hear(line)
        self._tell()
        return goes_on

    def _tell(self) -> None:
        ignored, before = dict(self._following.ignored), self._logged
        self._logged = ignored
        for name, reason in ignored.items():
            if before.get(name) != reason:
                self.log.warn("ignored: what etcd says of {name!r}: {reason}", name=name, reason=reason)
        guests = dict(self._following.guests)
        if guests != self._known:
            self._known = guests
            self._changed(guests)

    def status(self) -> dict[str, Any]:
        """For ``GET /v1/status``."""
        return {
            "connected": self.contact.connected,
            "endpoint": self._gateway.endpoint,
            "error": self.contact.error or None,
            "revision": self._following.revision,
            "guests": len(self._following.guests),
            "ignored": dict(self._following.ignored),
        }
