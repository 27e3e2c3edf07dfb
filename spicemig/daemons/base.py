# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What every daemon has: how it starts, tells that it is ready, reloads and ends.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource

from spicemig.channels.door import DoorFactory
from spicemig.channels.tickets import Ticket
from spicemig.control.inspection import Inspection
from spicemig.control.resources import ControlSite
from spicemig.control.web import TokenSite
from spicemig.daemons import systemd
from spicemig.daemons.listeners import Listeners
from spicemig.daemons.logs import json_observer
from spicemig.daemons.manhole import Manhole
from spicemig.daemons.program import DaemonOptions
from spicemig.daemons.reloading import CertificateWatch, changed, reloaded
from spicemig.daemons.tls import Credentials
from spicemig.errors import ConfigError, MigrationError, SpicemigError

TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class StartError(SystemExit, Exception):
    """
    The daemon cannot start; ends the program with status 1 and a line of text.

    An ``Exception`` too, so that twistd tidies up before it ends.
    """


class DaemonService(MultiService):
    """
    A daemon with settings, listeners and a pool of threads.

    ``settings`` have the sections ``server``, ``listen``, ``tls``, ``auth``, ``web`` and ``manhole``, and
    say which ``file`` they are from and which ``daemon`` they are for.
    """

    log = Logger()

    def __init__(
        self, settings: Any, reactor: Any, credentials: Credentials | None = None, *, workers: int = 1
    ) -> None:
        super().__init__()
        self.settings = settings
        self.reactor = reactor
        self.credentials = credentials or Credentials(settings)
        self.listeners = Listeners(reactor)
        self.manhole: Manhole | None = None
        self.log_file: Any = None
        self.in_foreground = True
        self._token = b""  # of the control API for other hosts
        self.started_at = time.monotonic()
        self._pool = ThreadPool(0, workers, "spicemig")
        self.read_settings: Callable[[], Any] | None = None  # from the file and the command line, again
        self._watchdog: LoopingCall | None = None
        self._certificates: CertificateWatch | None = None
        self._old_hangup: Any = None
        self._failed: Exception | None = None

    @classmethod
    def for_twistd(cls, options: DaemonOptions) -> Any:
        """The daemon for a command line; wrong files end the program with status 1."""
        from twisted.internet import reactor

        try:
            daemon = cls(options["settings"], reactor)
        except ConfigError as error:
            raise SystemExit(f"spice-{options.daemon}: {error}") from error
        daemon.read_settings = options.read_again
        daemon.log_file = options.twistd("logfile")
        daemon.in_foreground = bool(options.twistd("nodaemon"))
        return daemon

    def setServiceParent(self, parent: Any) -> None:
        super().setServiceParent(parent)
        if self.settings.server.log_format == "json":
            to_stdout = self.log_file in (None, "-") and self.in_foreground
            out = sys.stdout if to_stdout else open(self.log_file or "twistd.log", "a", encoding="utf-8")
            parent.setComponent(ILogObserver, json_observer(out))

    @property
    def kind(self) -> str:
        """source, target or relay."""
        kind: str = self.settings.daemon
        return kind

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
        """Make everything that does not need a socket; what raises ``ConfigError`` stops the start."""

    def _begin(self) -> None:
        """Everything listens."""

    def _end(self) -> Any:
        """End what :meth:`_prepare` made; called twice, or without it, it does nothing."""
        if self.manhole is not None:
            self.manhole.close()

    def _before_end(self) -> Any:
        """What is to be brought to an end before the listeners are closed; may return a Deferred."""

    def _make_directory(self, option: str, directory: Path) -> None:
        """Make a directory that an option of ``[server]`` says is needed, for the daemon's user only."""
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = f"cannot make {directory}: {error.strerror}"
            raise ConfigError(str(self.settings.file), "server", option, reason) from error

    def _listen_for_clients(self, links: Callable[[bool], Any]) -> None:
        """Want all endpoints of ``[listen]``; ``links(secure)`` makes their factories."""
        listen = self.settings.listen
        for description in listen.plain:
            self.listeners.add("plain", ("listen", "plain"), description, links(False))
        for description in listen.tls:
            context = self.credentials.for_clients()
            self.listeners.add("tls", ("listen", "tls"), description, links(True), context)
        for description in listen.unix:
            self.listeners.add("unix", ("listen", "unix"), description, links(True))
        for description in listen.websocket:
            door = DoorFactory(links(False), self.reactor, self._tls_at_doors, self.settings.web.pages)
            self.listeners.add("websocket", ("listen", "websocket"), description, door)

    def _tls_at_doors(self) -> Any:
        """What TLS is spoken with where it need not be; None without a certificate."""
        return self.credentials.for_clients() if self.credentials.chain else None

    def _add_manhole(self, inspection: Inspection) -> None:
        """Want its doors opened, if the settings want it."""
        if self.settings.manhole.enabled:
            self.manhole = Manhole(self, inspection)
            self.manhole.add_to(self.listeners)

    def _listen_for_control(self, root: Resource) -> None:
        """Want the control socket, and the endpoints of ``[web]`` for those who know the token."""
        self.listeners.add_control(str(self.settings.server.control), ControlSite(root))
        self._token = self._read_token()
        site = TokenSite(root, lambda: self._token, self.reactor)
        for description in self.settings.web.listen:
            secure = self.credentials.chain and not description.startswith("unix:")
            context = self.credentials.for_web() if secure else None
            self.listeners.add("web", ("web", "listen"), description, site, context)

    def _read_token(self) -> bytes:
        file = self.settings.web.token_file
        if file is None:
            return b""
        token = read_secret(file, self.settings.file, "web", "token_file")
        if not TOKEN.fullmatch(token):
            reason = f"{file}: a token has letters, digits and any of -._~+/= only"
            raise ConfigError(str(self.settings.file), "web", "token_file", reason)
        return token

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self.reactor, self._pool, function, *arguments)

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
        self._certificates = CertificateWatch(self.credentials, self._renew_certificates, self.reactor)

    def _not_ready(self, error: Exception) -> None:
        """Undo what was done, and have the program end."""
        self._failed = error
        if not isinstance(error, SpicemigError):
            self.log.failure("spice-{daemon} cannot start", Failure(error), daemon=self.settings.daemon)
        self.listeners.close()
        self._end()
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
        if self._certificates is not None:
            self._certificates.stop()
        yield self._before_end()
        yield self.listeners.close()
        self._end()
        if self._pool.started:
            self._pool.stop()
        yield super().stopService()

    # what can change while it runs

    def _hangup(self, *_: Any) -> None:
        self.reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """
        Read settings, ticket and certificates again; a mistake in any of them changes nothing.

        Sessions go on as they are. Changed options that take a restart are named in the log.
        """
        before = self.settings
        try:
            wanted = before if self.read_settings is None else self.read_settings()
            self.settings = reloaded(before, wanted)
            ticket, token = self._first_ticket(), self._read_token()
            take_over = self._renewed()
            self.credentials.reload(self.settings)
        except ConfigError as error:
            self.settings = before
            self.log.error("not reloaded: {error}", error=str(error))
            return
        self._take_ticket(ticket)
        self._token = token
        take_over()
        self.log.info("settings, ticket and certificates read again")
        for section, name in changed(self.settings, wanted):
            self.log.warn("[{section}] {name} has changed; that takes a restart", section=section, name=name)

    def _renew_certificates(self) -> None:
        """Their files have changed."""
        try:
            self.credentials.reload(self.settings)
        except ConfigError as error:
            self.log.error("certificates not reloaded: {error}", error=str(error))
        else:
            self.log.info("certificates read again")

    def _renewed(self) -> Callable[[], None]:
        """
        What takes over all else that the settings say now.

        Raises :class:`ConfigError` if a file is wrong that they name; then nothing is taken over.
        """
        return lambda: None

    def _take_ticket(self, ticket: Ticket | None) -> None:
        """Ask new clients for this ticket, or for none."""

    def _first_ticket(self) -> Ticket | None:
        auth = self.settings.auth
        if auth.mode == "none":
            return None
        if auth.ticket_file is None:
            return Ticket(b"")  # opens nothing until one is set
        value = read_secret(auth.ticket_file, self.settings.file, "auth")
        return self._ticket(value, auth.ticket_expires_seconds or None)

    def _ticket(self, value: bytes, expires_seconds: float | None) -> Ticket:
        return Ticket(value, None if expires_seconds is None else self.reactor.seconds() + expires_seconds)

    def set_ticket(self, ticket: bytes | None, expires_seconds: float | None) -> None:
        """See :class:`spicemig.control.interfaces.IHost`."""
        self._take_ticket(self._ticket(ticket or b"", expires_seconds))


def _first_error(failure: Failure) -> Exception:
    """What went wrong, out of a ``DeferredList``."""
    return getattr(failure.value, "subFailure", failure).value


def read_secret(file: Path, settings_file: Path, section: str, option: str = "ticket_file") -> bytes:
    """The first line of a file that holds a secret; raises :class:`ConfigError`."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(str(settings_file), section, option, f"{file}: {error.strerror}") from error
    if not lines or not lines[0]:
        raise ConfigError(str(settings_file), section, option, f"{file} has nothing on its first line")
    return lines[0]
