# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The daemon: one class for both programs, which differ in how they begin.

``spice-source`` begins with a guest, ``spice-target`` without; after a handover
each is what the other was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from twisted.internet.defer import ensureDeferred, inlineCallbacks
from zope.interface import implementer

import spicemig
from spicemig.channels.keys import KeyPool
from spicemig.channels.limits import LinkCounter, LinkLimits
from spicemig.channels.link import LinkPolicy
from spicemig.channels.protocol import LinkFactory
from spicemig.channels.tickets import Ticket
from spicemig.control import api
from spicemig.control.following import Followed
from spicemig.control.interfaces import IHost
from spicemig.control.server_inspection import ServerInspection
from spicemig.daemons.base import DaemonService, StartError, read_secret
from spicemig.daemons.config import Settings
from spicemig.daemons.doctor import checks
from spicemig.daemons.etcd import announcer
from spicemig.daemons.migrations import Handovers
from spicemig.daemons.options import read_host_port
from spicemig.daemons.tls import Credentials
from spicemig.devices.qxl import QXLDevice
from spicemig.errors import ConfigError, MigrationError
from spicemig.etcd.announcer import Announcer
from spicemig.guests import registry
from spicemig.migration.epoch import EpochFile
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings


@implementer(IHost)
class Daemon(DaemonService):
    """
    Serves the guest of one host, or waits for one.

    ``stage_hook(side, stage)`` is called at every stage of a handover; for tests.
    """

    stage_hook: Callable[[str, str], None] | None = None

    def __init__(self, settings: Settings, reactor: Any, credentials: Credentials | None = None) -> None:
        super().__init__(settings, reactor, credentials, workers=settings.display.workers)
        self.uuid = settings.server.uuid
        self.sessions: Sessions
        self.epochs: EpochFile
        self.handovers: Handovers
        self.links: LinkCounter
        self.announcer: Announcer | None = None

    # start and end

    def _prepare(self) -> None:
        self._make_directory("state_dir", self.settings.server.state_dir)
        self._make_directory("control", self.settings.server.control.parent)
        self._pool.start()
        self.epochs = EpochFile(self.settings.server.state_dir)
        self.uuid = self.uuid or self._kept_uuid()
        self.sessions = Sessions(
            QXLDevice,
            self.make_guest,
            self._session_settings(self.uuid),
            self.reactor,
            self._in_thread,
            self._first_ticket(),
        )
        self.handovers = Handovers(self, self.credentials, self.migration_ticket())
        self.announcer = announcer(self)
        self._add_listeners()

    def _kept_uuid(self) -> UUID:
        kept = self.settings.server.state_dir / "uuid"
        try:
            return UUID(kept.read_text().strip())
        except FileNotFoundError:
            made = uuid4()
            kept.write_text(f"{made}\n")
            return made
        except ValueError as error:
            raise ConfigError(str(kept), "", "", "is not a UUID; remove the file") from error

    def _session_settings(self, uuid: UUID) -> SessionSettings:
        listen, display = self.settings.listen, self.settings.display
        return SessionSettings(
            name=self.settings.server.name,
            uuid=uuid.bytes,
            max_clients=listen.max_clients,
            multi_client=listen.multi_client,
            image_compression=display.image_compression,
            jpeg_wan=display.jpeg_wan,
            zlib_glz_wan=display.zlib_glz_wan,
            streaming=display.streaming,
            video_codecs=display.video_codecs,
        )

    def make_guest(self, kind: str) -> Any:
        """A guest of this kind, with the options of its section."""
        return registry.make(kind, self.settings.guest_options.get(kind, {}), self.reactor)

    def _add_listeners(self) -> None:
        listen, migration = self.settings.listen, self.settings.migration
        keys = KeyPool(self._in_thread)
        self.links = LinkCounter(LinkLimits())
        policy = LinkPolicy(secure_channels=listen.secure_channels)

        def links(secure: bool) -> LinkFactory:
            return LinkFactory(
                self.sessions, secure=secure, policy=policy, keys=keys, counter=self.links, clock=self.reactor
            )

        self._listen_for_clients(links)
        for description in migration.listen:
            door = LinkFactory(self.handovers.door, secure=True, keys=keys, clock=self.reactor)
            context = self.credentials.for_sources()
            self.listeners.add("migration", ("migration", "listen"), description, door, context)
        self._listen_for_control(api.root(self))
        self._add_manhole(ServerInspection(self))

    def _begin(self) -> None:
        """The stage in which this daemon begins: with a guest, or without."""
        kind = self.settings.guest.kind
        if self.settings.daemon == "source":
            self.epochs.claim_first()
        if self.epochs.current.owner and kind:
            self.sessions.power_on(kind)
        elif self.settings.daemon == "source":
            self.log.warn(
                "the guest was given to another host (epoch {epoch}), so it is not started here; "
                "`spicemig recover` says that no other host has it",
                epoch=self.epochs.current.epoch,
            )
        if self.announcer is not None:
            self.epochs.written = self.announcer.changed
            self.announcer.contact.start()

    @inlineCallbacks
    def _before_end(self) -> Any:
        """Cancel what is under way; what cannot be cancelled any more is waited for, within its deadlines."""
        if not hasattr(self, "handovers"):
            return
        for followed in self.handovers.under_way():
            if not followed.cancel():
                self.log.info(
                    "too late to cancel the handover at {stage}: finishing it", stage=followed.stage
                )
                yield followed.when_done()
        arrival = self.handovers.migrations.arrival
        if arrival is not None and not arrival.ended:
            arrival.cancel()
        if self.owner and not self.settings.guest.kind:
            # the guest ends with us, and the next start will not make it anew
            self.epochs.write(replace(self.epochs.current, owner=False, stage="shut down"))
        if self.announcer is not None:
            yield ensureDeferred(self.announcer.stop())

    def _end(self) -> None:
        super()._end()
        if not hasattr(self, "sessions"):
            return
        for client in list(self.sessions.clients.values()):
            client.close()
        self.sessions.release()

    def migration_ticket(self) -> bytes:
        """The secret that the hosts share; empty if there is none. Raises ``ConfigError``."""
        file = self.settings.migration.ticket_file
        return b"" if file is None else read_secret(file, self.settings.file, "migration")

    def _take_ticket(self, ticket: Ticket | None) -> None:
        self.sessions.ticket = ticket

    def _renewed(self) -> Callable[[], None]:
        return self._take_limits

    def _take_limits(self) -> None:
        listen, sessions = self.settings.listen, self.sessions
        sessions.settings = replace(
            sessions.settings, max_clients=listen.max_clients, multi_client=listen.multi_client
        )

    # what the control API asks

    @property
    def owner(self) -> bool:
        """Whether a guest is here, and on disk it is this host's."""
        return self.sessions.owner and self.epochs.current.owner

    def status(self) -> dict[str, Any]:
        """See :class:`IHost`."""
        sessions = self.sessions
        running = [followed.id for followed in self.handovers.under_way()]
        peer = self.settings.migration.peer
        return {
            "name": self.settings.server.name,
            "uuid": str(self.uuid),
            "daemon": self.settings.daemon,
            "version": spicemig.__version__,
            "pid": os.getpid(),
            "uptime_seconds": round(time.monotonic() - self.started_at, 3),
            "stage": sessions.stage.value,
            "owner": self.owner,
            "epoch": self.epochs.current.epoch,
            "guest": None if sessions.guest is None else {"kind": sessions.guest.kind},
            "clients": len(sessions.clients),
            "listening": self.listeners.addresses(),
            "migration": running[-1] if running else None,
            "peer": None if peer is None else f"{peer[0]}:{peer[1]}",
            "etcd": None if self.announcer is None else self.announcer.status(),
        }

    def migrate(
        self,
        to: str | None,
        mode: str | None,
        transport: str | None,
        dry_run: bool,
        timeout_seconds: float | None,
    ) -> Followed:
        """See :class:`IHost`."""
        settings = self.settings.migration
        where = read_host_port(to) if to else settings.peer
        if where is None:
            raise ValueError("whereto? Give HOST:PORT, or set [migration] peer")
        if not (self.credentials.chain and self.credentials.ca):
            hint = "set certificate, key and ca in [tls]"
            raise MigrationError("prepare", "this host has no certificates to prove itself to another", hint)
        if settings.ticket_file is None:
            hint = "set ticket_file in [migration] to the same secret on both hosts"
            raise MigrationError("prepare", "this host has no secret to show to another", hint)
        return self.handovers.start(
            where, mode=mode, transport=transport, dry_run=dry_run, timeout=timeout_seconds
        )

    @property
    def migrations(self) -> dict[str, Followed]:
        """See :class:`IHost`."""
        return self.handovers.followed

    def recover(self) -> str:
        """See :class:`IHost`."""
        if self.handovers.migrations.recover():
            return "the guest is served here again, with the clients that are still connected"
        if self.sessions.guest is not None:
            raise MigrationError("recover", "there is nothing to recover: the guest is served here")
        kind = self.settings.guest.kind
        if not kind:
            raise MigrationError("recover", "there is no guest to start here", "set kind in [guest]")
        self.epochs.recover()
        self.sessions.power_on(kind)
        return f"{kind} was started anew: nothing was left of its state on this host"

    def doctor(self) -> list[dict[str, Any]]:
        """See :class:`IHost`."""
        return checks(self)


__all__ = ["Daemon", "StartError"]
