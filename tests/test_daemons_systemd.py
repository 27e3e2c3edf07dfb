# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what systemd is told, and of the JSON log."""

from __future__ import annotations

import json
import os
import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import _SystemdParser
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from spicemig.daemons.listeners import Listeners
from spicemig.daemons.logs import json_line
from spicemig.daemons.systemd import notify, watchdog_interval_seconds


class NotifyTests(SynchronousTestCase):
    """sd_notify(3)"""

    def test_sent(self) -> None:
        """All states are in one datagram."""
        path = os.path.relpath(self.mktemp())
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(path)
        self.assertTrue(notify("READY=1", "STATUS=fine", environ={"NOTIFY_SOCKET": os.path.abspath(path)}))
        self.assertEqual(receiver.recv(100), b"READY=1\nSTATUS=fine")

    def test_nobody_listens(self) -> None:
        """Without systemd nothing is sent, and nothing fails."""
        self.assertFalse(notify("READY=1", environ={}))
        self.assertFalse(notify("READY=1", environ={"NOTIFY_SOCKET": "/nowhere/at/all"}))

    def test_watchdog(self) -> None:
        """Signs of life are sent twice as often as systemd wants them, if they are for us."""
        self.assertEqual(watchdog_interval_seconds({"WATCHDOG_USEC": "3000000"}), 1.5)
        self.assertIsNone(watchdog_interval_seconds({}))
        self.assertIsNone(watchdog_interval_seconds({"WATCHDOG_USEC": "nonsense"}))
        self.assertIsNone(watchdog_interval_seconds({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}))


class JSONLogTests(SynchronousTestCase):
    """One line per event, with its fields."""

    def lines(self, *messages: tuple) -> list[dict]:
        told: list[dict] = []
        log = Logger("spicemig.test", observer=lambda event: told.append(json.loads(json_line(event))))
        for method, arguments, fields in messages:
            getattr(log, method)(*arguments, **fields)
        return told

    def test_fields(self) -> None:
        """Message, level, namespace and every field are there, whatever their types."""
        (line,) = self.lines(("info", ("{what} of {where}",), {"what": "link", "where": {1}}))
        self.assertEqual((line["message"], line["level"], line["what"]), ("link of {1}", "info", "link"))
        self.assertEqual((line["namespace"], line["where"]), ("spicemig.test", "{1}"))

    def test_failure(self) -> None:
        """A failure brings its traceback."""
        (line,) = self.lines(("failure", ("it broke",), {"failure": Failure(ValueError("why"))}))
        self.assertIn("ValueError: why", line["traceback"])


class SocketTests(TestCase):
    """Sockets of systemd outlive the daemon."""

    def test_unix(self) -> Deferred[None]:
        """A unix socket that was passed on stays when the daemon has ended; its own does not."""
        return ensureDeferred(self._unix())  # trial of Twisted 22.4 runs no coroutine

    async def _unix(self) -> None:
        for kept in (True, False):
            path = os.path.relpath(self.mktemp())
            listeners = Listeners(reactor)
            description = f"unix:{path}"
            if kept:
                passed = socket.socket(socket.AF_UNIX)
                self.addCleanup(passed.close)
                passed.bind(path)
                passed.listen()
                daemon = ListenFDs([os.dup(passed.fileno())])
                self.patch(_SystemdParser, "_sddaemon", daemon)
                description = "systemd:domain=UNIX:index=0"
            listeners.add("unix", ("listen", "unix"), description, Factory())
            await listeners.open("settings.ini")
            self.assertEqual(listeners.addresses(), {"unix": [path]})
            await listeners.close()
            self.assertEqual(os.path.exists(path), kept)
