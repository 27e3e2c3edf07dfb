# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The daemon: one class for both programs, which differ in how they begin.

``spice-source`` begins with a guest, ``spice-target`` without; after a handover
each is what the other was.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
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
from spicemig.control.resources import ControlSite
from spicemig.daemons import systemd
from spicemig.daemons.config import Settings
from spicemig.daemons.doctor import checks
from spicemig.daemons.listeners import Listeners
from spicemig.daemons.logs import json_observer
from spicemig.daemons.migrations import Handovers
from spicemig.daemons.options import read_host_port
from spicemig.daemons.program import DaemonOptions
from spicemig.daemons.tls import Credentials
from spicemig.devices.qxl import QXLDevice
from spicemig.errors import ConfigError, MigrationError, SpicemigError
from spicemig.guests import registry
from spicemig.migration.epoch import EpochFile
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings


class StartError(SystemExit, Exception):
    """
    The daemon cannot start; ends the program with status 1 and a line of text.

    An ``Exception`` too, so that twistd tidies up before it ends.
    """


@implementer(IHost)
class Daemon(MultiService):
    """
    Serves the guest of one host, or waits for one.

    ``stage_hook(side, stage)`` is called at every stage of a handover; for tests.
    """

    log = Logger()
    stage_hook: Callable[[str, str], None] | None = None

    def __init__(self, settings: Settings, reactor: Any, credentials: Credentials | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.reactor = reactor
        self.credentials = credentials or Credentials(settings)
        self.listeners = Listeners(reactor)
        self.log_file: Any = None
        self.in_foreground = True
        self.started_at = time.monotonic()
        self.uuid = settings.server.uuid
        self._pool = ThreadPool(0, settings.display.workers, "spicemig")
        self._watchdog: LoopingCall | None = None
        self._old_hangup: Any = None
        self._failed: Exception | None = None
        self.sessions: Sessions
        self.epochs: EpochFile
        self.handovers: Handovers

    @classmethod
    def for_twistd(cls, options: DaemonOptions) -> Daemon:
        """The daemon for a command line; wrong files end the program with status 1."""
        from twisted.internet import reactor

        try:
            daemon = cls(options["settings"], reactor)
        except ConfigError as error:
            raise SystemExit(f"spice-{options.daemon}: {error}") from error
        daemon.log_file = options.twistd("logfile")
        daemon.in_foreground = bool(options.twistd("nodaemon"))
        return daemon

    def setServiceParent(self, parent: Any) -> None:
        super().setServiceParent(parent)
        if self.settings.server.log_format == "json":
            to_stdout = self.log_file in (None, "-") and self.in_foreground
            out = sys.stdout if to_stdout else open(self.log_file or "twistd.log", "a", encoding="utf-8")
            parent.setComponent(ILogObserver, json_observer(out))

    # start and end

    def startService(self) -> None:
        super().startService()
        try:
            self._prepare()
        except (ConfigError, MigrationError) as error:
            self._not_ready(error)
        else:
            opened = self.listeners.open(str(self.settings.file))
            opened.addCallback(lambda _: self._ready())
            opened.addErrback(lambda failure: self._not_ready(_first_error(failure)))
        if self._failed is not None:
            raise StartError(f"spice-{self.settings.daemon}: {self._failed}")

    def _prepare(self) -> None:
        """Make everything that does not need a socket."""
        self._make_directories()
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
        self._add_listeners()

    def _make_directories(self) -> None:
        for option, directory in (
            ("state_dir", self.settings.server.state_dir),
            ("control", self.settings.server.control.parent),
        ):
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                reason = f"cannot make {directory}: {error.strerror}"
                raise ConfigError(str(self.settings.file), "server", option, reason) from error

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

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self.reactor, self._pool, function, *arguments)

    def _add_listeners(self) -> None:
        listen, migration = self.settings.listen, self.settings.migration
        keys = KeyPool(self._in_thread)
        counter = LinkCounter(LinkLimits())
        policy = LinkPolicy(secure_channels=listen.secure_channels)

        def links(secure: bool) -> LinkFactory:
            return LinkFactory(
                self.sessions, secure=secure, policy=policy, keys=keys, counter=counter, clock=self.reactor
            )

        for description in listen.plain:
            self.listeners.add("plain", ("listen", "plain"), description, links(secure=False))
        for description in listen.tls:
            self.listeners.add(
                "tls", ("listen", "tls"), description, links(True), self.credentials.for_clients()
            )
        for description in listen.unix:
            self.listeners.add("unix", ("listen", "unix"), description, links(secure=True))
        for description in migration.listen:
            door = LinkFactory(self.handovers.door, secure=True, keys=keys, clock=self.reactor)
            context = self.credentials.for_sources()
            self.listeners.add("migration", ("migration", "listen"), description, door, context)
        self.listeners.add_control(str(self.settings.server.control), ControlSite(api.root(self)))

    def _ready(self) -> None:
        self._begin()
        addresses = "; ".join(
            f"{kind} {' '.join(found)}" for kind, found in self.listeners.addresses().items() if found
        )
        self.log.info("spice-{daemon} ready: {addresses}", daemon=self.settings.daemon, addresses=addresses)
        self._old_hangup = signal.signal(signal.SIGHUP, self._hangup)
        systemd.notify("READY=1", f"STATUS=serving, {addresses}", f"MAINPID={os.getpid()}")
        interval = systemd.watchdog_interval_seconds()
        if interval is not None:
            self._watchdog = LoopingCall(systemd.notify, "WATCHDOG=1")
            self._watchdog.clock = self.reactor
            self._watchdog.start(interval)

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

    def _not_ready(self, error: Exception) -> None:
        """Undo what was done, and have the program end."""
        self._failed = error
        if not isinstance(error, SpicemigError):
            self.log.failure("spice-{daemon} cannot start", Failure(error), daemon=self.settings.daemon)
        self.listeners.close()
        self._end_sessions()
        if self._pool.started:
            self._pool.stop()
        if self.reactor.running:
            self.log.critical("spice-{daemon}: {error}", daemon=self.settings.daemon, error=str(error))
            self.reactor.stop()

    @inlineCallbacks
    def stopService(self) -> Any:
        systemd.notify("STOPPING=1")
        if self._old_hangup is not None:
            signal.signal(signal.SIGHUP, self._old_hangup)
        if self._watchdog is not None:
            self._watchdog.stop()
        yield self._end_handovers()
        yield self.listeners.close()
        self._end_sessions()
        if self._pool.started:
            self._pool.stop()
        yield super().stopService()

    @inlineCallbacks
    def _end_handovers(self) -> Any:
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

    def _end_sessions(self) -> None:
        if not hasattr(self, "sessions"):
            return
        for client in list(self.sessions.clients.values()):
            client.close()
        self.sessions.release()

    # what can change while it runs

    def _hangup(self, *_: Any) -> None:
        self.reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """Read the ticket file again."""
        try:
            self.sessions.ticket = self._first_ticket()
        except ConfigError as error:
            self.log.error("not reloaded: {error}", error=str(error))
        else:
            self.log.info("ticket file read again")

    def _first_ticket(self) -> Ticket | None:
        auth = self.settings.auth
        if auth.mode == "none":
            return None
        if auth.ticket_file is None:
            return Ticket(b"")  # opens nothing until one is set
        value = read_secret(auth.ticket_file, self.settings.file, "auth")
        return self._ticket(value, auth.ticket_expires_seconds or None)

    def migration_ticket(self) -> bytes:
        """The secret that the hosts share; empty if there is none. Raises ``ConfigError``."""
        file = self.settings.migration.ticket_file
        return b"" if file is None else read_secret(file, self.settings.file, "migration")

    def _ticket(self, value: bytes, expires_seconds: float | None) -> Ticket:
        return Ticket(value, None if expires_seconds is None else self.reactor.seconds() + expires_seconds)

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

    def set_ticket(self, ticket: bytes | None, expires_seconds: float | None) -> None:
        """See :class:`IHost`."""
        self.sessions.ticket = self._ticket(ticket or b"", expires_seconds)

    def doctor(self) -> list[dict[str, Any]]:
        """See :class:`IHost`."""
        return checks(self)


def _first_error(failure: Failure) -> Exception:
    """What went wrong, out of a ``DeferredList``."""
    return getattr(failure.value, "subFailure", failure).value


def read_secret(file: Path, settings_file: Path, section: str) -> bytes:
    """The first line of a file that holds a secret; raises :class:`ConfigError`."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(str(settings_file), section, "ticket_file", f"{file}: {error.strerror}") from error
    if not lines or not lines[0]:
        raise ConfigError(str(settings_file), section, "ticket_file", f"{file} has nothing on its first line")
    return lines[0]
