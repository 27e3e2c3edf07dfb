# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the control API of a relay, asked without a socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from spicemig.control import relay_api
from spicemig.control.cli import NOT_FOR_THIS_DAEMON
from spicemig.control.resources import ControlSite
from tests.test_control_api import APICase
from tests.test_relay_session import RelayCase


class RelayAPITests(RelayCase):
    """What a relay answers."""

    send, ask = APICase.send, APICase.ask
    protocol: Any
    transport: Any

    def set_up(self, **options: Any) -> None:
        super().set_up(**options)
        self.site = ControlSite(relay_api.root(SimpleNamespace(relay=self.relay)))

    def test_sessions(self) -> None:
        """A client is listed with its server, and found and disconnected by its id."""
        viewer = self.viewer()
        path = f"/v1/sessions/{viewer.connection_id}"
        _status, said = self.ask("GET", "/v1/sessions")
        (session,) = said["sessions"]
        self.assertEqual((session["id"], session["channels"]), (str(viewer.connection_id), 4))
        self.assertEqual((session["server"], session["stage"]), (str(self.hosts.source.address), "settled"))
        self.assertEqual(self.ask("GET", path), (200, session))
        self.assertEqual(self.ask("DELETE", path)[0], 200)
        self.assertEqual(self.ask("GET", path)[0], 404)
        self.assertEqual(self.ask("GET", "/v1/sessions")[1], {"sessions": []})

    def test_channels(self) -> None:
        """Every channel is listed with what was passed on and what waits."""
        viewer = self.viewer()
        _status, said = self.ask("GET", f"/v1/sessions/{viewer.connection_id}/channels")
        channels = {each["channel"]: each for each in said["channels"]}
        self.assertEqual(set(channels), {"main", "display", "inputs", "cursor"})
        self.assertGreater(channels["display"]["serial_sent"], 0)
        self.assertEqual((channels["main"]["pending_bytes"], channels["main"]["held_bytes"]), (0, 0))

    def test_no_guest(self) -> None:
        """What has to do with a guest is refused as such, and it is said whom to ask."""
        for method, path in (
            ("POST", "/v1/migrations"),
            ("GET", "/v1/migrations/ab/events"),
            ("POST", "/v1/recovery"),
            ("GET", "/v1/screenshot.png"),
            ("GET", "/v1/doctor"),
            ("GET", "/v1/guest"),
            ("DELETE", "/v1/recording"),
        ):
            status, said = self.ask(method, path)
            self.assertEqual((status, said["error"]), (NOT_FOR_THIS_DAEMON, "a relay has no guest"), path)
            self.assertIn("--control", said["hint"])
        self.assertEqual(self.ask("GET", "/v1/nonsense")[0], 404)
