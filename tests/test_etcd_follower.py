# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of when a relay reads what is in etcd, when it watches, and what it makes of an etcd that is away."""

from __future__ import annotations

from typing import Any

from twisted.logger import capturedLogs
from twisted.web.server import NOT_DONE_YET

from spicemig.etcd.announcements import Announcement
from spicemig.etcd.follower import PAUSE_SECONDS, WATCH_SECONDS, Follower
from spicemig.etcd.following import Following
from spicemig.etcd.gateway import ASK_SECONDS
from tests.test_etcd_following import A, B, announced, answer, line
from tests.test_etcd_gateway import GatewayCase, Server


class FollowerTests(GatewayCase):
    """An etcd that is read and watched."""

    def setUp(self) -> None:
        self.there = answer(7, desk=announced(A))
        self.away = False
        self.server = Server(self.answer)
        self.changes: list[dict[str, Announcement]] = []
        gateway = self.gateway(a=self.server)
        self.follower = Follower(gateway, Following("/spicemig"), self.clock, self.changes.append)
        self.addCleanup(self.follower.contact.stop)

    def answer(self, request: Any) -> Any:
        return self.there if request.path == b"/v3/kv/range" and not self.away else NOT_DONE_YET

    def start(self) -> None:
        """Read, and watch."""
        self.follower.contact.start()
        self.say(line(7))  # etcd's sign that it has begun
        self.paths()

    def say(self, told: bytes) -> None:
        """A line of the watch."""
        self.server.open[-1].write(told + b"\n")
        self.flush()

    def paths(self) -> list[str]:
        """What etcd was asked since the last time."""
        paths = [path.removeprefix("/v3/") for path, _token, _body in self.server.asked]
        self.server.asked.clear()
        return paths

    def test_read_and_watch(self) -> None:
        """Everything is read, then changes are heard as they come; what is as it was is no change."""
        self.follower.contact.start()
        self.assertEqual(self.paths(), ["kv/range", "watch"])
        self.say(line(7))
        self.say(line(8, guests={"desk": announced(A)}))
        self.say(line(9, guests={"desk": announced(B, epoch=2)}))
        self.assertEqual(self.changes, [{"desk": announced(A)}, {"desk": announced(B, epoch=2)}])
        self.assertEqual(self.follower.status()["revision"], 9)

    def test_dead_line(self) -> None:
        """
        A watch that is dead looks like one that has nothing to say: it is begun anew after
        a while, with a reading of what may have been missed.
        """
        self.start()
        self.there = answer(9, desk=announced(B, epoch=2))
        self.clock.advance(WATCH_SECONDS)
        self.clock.advance(PAUSE_SECONDS)
        self.flush()
        self.assertEqual(self.paths(), ["kv/range", "watch"])
        self.assertEqual(len(self.server.open), 1)  # the dead one was closed
        self.assertEqual(self.changes[-1], {"desk": announced(B, epoch=2)})
        self.assertTrue(self.follower.contact.connected)

    def test_compacted(self) -> None:
        """A watch that etcd has to end is begun anew likewise."""
        self.start()
        self.say(line(20, canceled=True, compact_revision="15"))
        self.assertEqual(self.paths(), [])
        self.clock.advance(PAUSE_SECONDS)
        self.assertEqual(self.paths(), ["kv/range", "watch"])

    def test_away(self) -> None:
        """While etcd is away the guests are where they were."""
        self.start()
        self.away = True
        self.clock.advance(WATCH_SECONDS)
        self.clock.advance(PAUSE_SECONDS)
        self.clock.advance(ASK_SECONDS)
        status = self.follower.status()
        self.assertEqual((status["connected"], status["guests"]), (False, 1))
        self.assertIn("http://a.example:2379: no answer", status["error"])
        self.assertEqual(self.changes, [{"desk": announced(A)}])

    def test_ignored(self) -> None:
        """What is wrong is logged when it comes, not again when it is read again."""
        self.there = answer(7, desk=b"hello")
        with capturedLogs() as logged:
            self.follower.contact.start()
            for _ in range(2):
                self.clock.advance(WATCH_SECONDS)
                self.clock.advance(PAUSE_SECONDS)
            self.say(line(8, guests={"desk": b"[]"}))
        reasons = [event["reason"] for event in logged if "name" in event]
        self.assertEqual(reasons, ["it is no JSON", "it is no JSON object"])
