# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tests of when a host announces its guest, and when it asks etcd for nothing.

Who wins over whom, and what becomes of leases, real etcds show in tests.peers.test_etcd.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from twisted.internet.defer import ensureDeferred
from twisted.web.server import NOT_DONE_YET

from spicemig.client.hosts import Address
from spicemig.etcd.announcements import Announcement
from spicemig.etcd.announcer import LEAVE_SECONDS, NOT_OURS, Announcer
from spicemig.etcd.gateway import ASK_SECONDS
from tests.test_etcd_gateway import GatewayCase, Server

OURS = Announcement((Address("a.example", 5900),), UUID(int=1), 1)


class AnnouncerTests(GatewayCase):
    """An etcd that has nothing, agrees to everything and may fall silent."""

    def setUp(self) -> None:
        self.own: Announcement | None = OURS
        self.answers: dict[str, Any] = {
            "/v3/kv/range": {},
            "/v3/kv/txn": {"succeeded": True},
            "/v3/lease/grant": {"ID": "7", "TTL": "10"},
            "/v3/lease/keepalive": {"result": {"ID": "7", "TTL": "10"}},
            "/v3/lease/revoke": {},
        }
        self.server = Server(lambda request: self.answers[request.path.decode()])
        gateway = self.gateway(a=self.server)
        self.announcer = Announcer(gateway, "/spicemig", ["desk"], 9, self.clock, lambda: self.own)
        self.addCleanup(self.announcer.contact.stop)

    def asked(self) -> list[str]:  # type: ignore[override]
        """What etcd was asked since the last time."""
        paths = [path.removeprefix("/v3/") for path, _token, _body in self.server.asked]
        self.server.asked.clear()
        return paths

    def test_announced(self) -> None:
        """A lease, a look, and the key with it; then the lease is kept alive, three times in its time."""
        self.announcer.contact.start()
        self.assertEqual(self.server.asked[-1][2]["success"][0]["request_put"]["lease"], "7")
        self.assertEqual(self.asked(), ["lease/grant", "kv/range", "kv/txn"])
        self.assertEqual(self.announcer.names, {"desk": ""})
        self.clock.advance(2.9)
        self.assertEqual(self.asked(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.asked()[:2], ["lease/keepalive", "kv/range"])

    def test_lease_gone(self) -> None:
        """A lease that etcd does not know any more is replaced, and the key put with the new one."""
        self.announcer.contact.start()
        self.asked()
        self.answers["/v3/lease/keepalive"] = {"result": {"ID": "7"}}
        self.answers["/v3/lease/grant"] = {"ID": "8"}
        self.clock.advance(3)
        self.assertEqual(self.server.asked[-1][2]["success"][0]["request_put"]["lease"], "8")
        self.assertEqual(self.asked(), ["lease/keepalive", "lease/grant", "kv/range", "kv/txn"])

    def test_not_ours(self) -> None:
        """A host without the guest asks for no lease and puts nothing, but knows whether etcd is there."""
        self.own = None
        self.announcer.contact.start()
        self.assertEqual(self.asked(), ["kv/range"])
        self.assertTrue(self.announcer.status()["connected"])
        self.assertEqual(self.announcer.names, {"desk": NOT_OURS})

    def test_guest_comes_and_goes(self) -> None:
        """It is announced as soon as it is here; when it has gone, the lease is left to end."""
        self.own = None
        self.announcer.contact.start()
        self.own = OURS
        self.announcer.changed()
        self.clock.advance(0)
        self.assertEqual(self.announcer.names, {"desk": ""})
        self.asked()
        self.own = None
        self.announcer.changed()
        self.clock.advance(0)
        self.assertEqual((self.asked(), self.announcer.names), (["kv/range"], {"desk": NOT_OURS}))

    def test_lost_race(self) -> None:
        """Whoever was faster is looked at, at once."""
        self.answers["/v3/kv/txn"] = {}
        self.announcer.contact.start()
        self.assertIn("at this moment", self.announcer.names["desk"])
        self.asked()
        self.answers["/v3/kv/txn"] = {"succeeded": True}
        self.clock.advance(0)
        self.assertEqual(self.announcer.names, {"desk": ""})

    def test_stop(self) -> None:
        """The announcement is taken back, and nothing is asked any more."""
        self.announcer.contact.start()
        self.asked()
        self.successResultOf(ensureDeferred(self.announcer.stop()))
        self.assertEqual(self.asked(), ["lease/revoke"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_silent(self) -> None:
        """An etcd that does not answer holds up the end for a second and no longer."""
        self.announcer.contact.start()
        self.answers["/v3/lease/revoke"] = NOT_DONE_YET
        stopped = ensureDeferred(self.announcer.stop())
        self.assertNoResult(stopped)
        self.clock.advance(LEAVE_SECONDS)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_away(self) -> None:
        """An etcd that is away holds up nothing."""
        self.announcer.contact.start()
        self.answers = dict.fromkeys(self.answers, NOT_DONE_YET)
        self.clock.advance(3)
        self.clock.advance(ASK_SECONDS)
        self.assertFalse(self.announcer.status()["connected"])
        self.successResultOf(ensureDeferred(self.announcer.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
