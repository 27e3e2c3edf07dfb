# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Keeps a host's guest announced in etcd, under a lease that ends with the host.

Every turn makes true what is to be true: the lease lives, and each name leads here unless
somebody with a newer epoch says otherwise. A key is put only if it is still the one that
was looked at, so that no host, however late it is, takes the place of a newer owner.

When the guest has gone to another host, the announcement is left to that host, which
takes its place; if it does not, it ends with the lease, which is not kept alive any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import TimeoutError, ensureDeferred
from twisted.logger import Logger

from spicemig.errors import EtcdError
from spicemig.etcd import calls
from spicemig.etcd.announcements import Announcement, key_of, objection
from spicemig.etcd.contact import Contact
from spicemig.etcd.gateway import Gateway

NOT_OURS = "the guest is not owned here"
LEAVE_SECONDS = 1.0  # for the announcement to be taken back


class Announcer:
    """
    Announces ``own()``, which is None as long as the guest is another host's.

    ``names`` has every name that it is offered under, and why it is not; empty if it is.
    """

    log = Logger()

    def __init__(
        self,
        gateway: Gateway,
        prefix: str,
        names: Iterable[str],
        lease_seconds: int,
        clock: Any,
        own: Callable[[], Announcement | None],
    ) -> None:
        self._gateway = gateway
        self._prefix = prefix
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._own = own
        self._lease = 0
        self.names = dict.fromkeys(names, NOT_OURS)
        self.contact = Contact(self._announce_all, clock)

    def changed(self) -> None:
        """The guest has come, or has gone."""
        self.contact.wake()

    async def stop(self) -> None:
        """Take back what is announced, if etcd does that at once; otherwise it ends with the lease."""
        connected = self.contact.connected
        self.contact.stop()
        if self._lease and connected:
            try:
                asked = ensureDeferred(self._gateway.ask(calls.revoke(self._lease)))
                await asked.addTimeout(LEAVE_SECONDS, self._clock)
            except (EtcdError, TimeoutError) as error:
                self.log.info("the announcement is left to end by itself: {error}", error=str(error))

    async def _announce_all(self) -> float:
        own = self._own()
        if own is not None:
            await self._keep_lease()
        for name in self.names:
            self._say(name, await self._announce(key_of(self._prefix, name), own))
        self.contact.kept(self._gateway.endpoint)
        return self._lease_seconds / 3

    async def _keep_lease(self) -> None:
        if self._lease and calls.kept_alive(await self._gateway.ask(calls.keep_alive(self._lease))):
            return
        self._lease = calls.granted(await self._gateway.ask(calls.grant(self._lease_seconds)))

    async def _announce(self, key: bytes, own: Announcement | None) -> str:
        """Why it is not announced; empty if it is."""
        found = calls.entries(await self._gateway.ask(calls.read(key)))
        if own is None:
            return NOT_OURS
        value, revision = own.pack(), 0
        for entry in found:
            if (entry.value, entry.lease) == (value, self._lease):
                return ""
            reason = objection(entry.value or b"", own)
            if reason:
                return reason
            revision = entry.mod_revision
        put = calls.put_if_unchanged(key, value, self._lease, revision)
        if calls.succeeded(await self._gateway.ask(put)):
            return ""
        self.contact.wake()  # and look again
        return "another host has announced it at this moment"

    def _say(self, name: str, reason: str) -> None:
        if reason and reason not in (NOT_OURS, self.names[name]):
            self.log.warn("not announced as {name!r}: {reason}", name=name, reason=reason)
        elif not reason and self.names[name]:
            self.log.info("announced as {name!r}", name=name)
        self.names[name] = reason

    def status(self) -> dict[str, Any]:
        """For ``GET /v1/status``."""
        return {
            "connected": self.contact.connected,
            "endpoint": self._gateway.endpoint,
            "error": self.contact.error or None,
            "announced": {name: reason or None for name, reason in self.names.items()},
        }
