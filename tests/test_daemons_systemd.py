# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what systemd is told, and of the JSON log."""

from __future__ import annotations

import json
import os
import socket

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

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
