# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of routes that change while sessions hold them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from spicemig.client.hosts import Address
from spicemig.relay.routes import Caps, Route, Routes

A = Address("a", 5900)
B = Address("b", 5900)
C = Address("c", 5900)
CAPS: Caps = (frozenset(), frozenset({1}))


class ReplaceTests(SynchronousTestCase):
    """The table of routes can be replaced by another one."""

    def setUp(self) -> None:
        self.desk = Route("desk", (A,), b"old")
        self.routes = Routes([self.desk])

    def test_known_key(self) -> None:
        """A route stays what sessions hold, and leads where the new one does, with its password."""
        self.routes.replace([Route("desk", (B,), b"new")])
        self.assertIs(self.routes.find("desk"), self.desk)
        self.assertEqual((self.desk.servers, self.desk.password), ((B,), b"new"))
        self.assertEqual(list(self.routes), [self.desk])

    def test_guest_seen_elsewhere(self) -> None:
        """Where the guest was last seen is not forgotten, nor what is known of servers that stay."""
        self.desk.moved(C)
        self.desk.offers.update({(server, "main"): CAPS for server in (A, B, C)})
        self.routes.replace([Route("desk", (B,))])
        self.assertEqual(self.desk.candidates(), [C, B])
        self.assertEqual(set(self.desk.offers), {(C, "main"), (B, "main")})

    def test_server_taken_out(self) -> None:
        """A server that is taken out of a route is tried no more, even if the guest was last seen there."""
        self.desk.moved(A)
        self.routes.replace([Route("desk", (B, A))])
        self.assertEqual(self.desk.candidates(), [A, B])
        self.routes.replace([Route("desk", (B,))])
        self.assertEqual(self.desk.candidates(), [B])

    def test_announced_anew(self) -> None:
        """A new announcement says better where the guest is than what was seen before it."""
        self.routes.replace([Route("desk", (A,), epoch=1)])
        self.desk.moved(B)
        self.routes.replace([Route("desk", (A,), epoch=1)])
        self.assertEqual(self.desk.candidates(), [B, A])
        for again in (Route("desk", (C,), epoch=2), Route("desk", (A,), epoch=2)):
            self.desk.moved(B)
            self.routes.replace([again])
            self.assertEqual(self.desk.candidates(), list(again.servers))

    def test_follow_no(self) -> None:
        """Where guests are not followed, the order is always that of the table."""
        self.desk.moved(B)
        self.routes.replace([Route("desk", (A, B), follow=False)])
        self.assertEqual(self.desk.candidates(), [A, B])
        self.desk.moved(B)
        self.assertEqual(self.desk.candidates(), [A, B])

    def test_new_key(self) -> None:
        """A new route takes clients at once, in the order of the new table."""
        office = Route("office", (B,))
        self.routes.replace([office, Route("desk", (A,))])
        self.assertIs(self.routes.find("office"), office)
        self.assertEqual(list(self.routes), [office, self.desk])

    def test_dropped_key(self) -> None:
        """A route that is dropped takes no new clients, and leads its sessions where it did."""
        self.routes.replace([])
        self.assertIsNone(self.routes.find("desk"))
        self.assertEqual(self.desk.candidates(), [A])

    def test_back_again(self) -> None:
        """Sessions that hold a dropped route follow it when it comes back; otherwise nothing is kept."""
        self.routes.replace([])
        self.routes.replace([Route("desk", (B,))])
        self.assertIs(self.routes.find("desk"), self.desk)
        self.assertEqual(self.desk.candidates(), [B])
        self.routes.replace([])
        del self.desk
        again = Route("desk", (C,))
        self.routes.replace([again])
        self.assertIs(self.routes.find("desk"), again)
