# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what a relay knows of announced guests."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from spicemig.client.hosts import Address
from spicemig.errors import EtcdError
from spicemig.etcd import following
from spicemig.etcd.announcements import Announcement
from spicemig.etcd.following import Following

A, B = Address("a", 5900), Address("b", 5900)
SECURE = Address("a", tls_port=5901)


def announced(*servers: Address, epoch: int = 1) -> Announcement:
    return Announcement(servers, UUID(int=1), epoch)


def entry(name: str, value: Announcement | bytes) -> dict[str, str]:
    packed = value.pack() if isinstance(value, Announcement) else value
    return {
        "key": b64encode(f"/spicemig/guests/{name}".encode()).decode(),
        "value": b64encode(packed).decode(),
    }


def answer(revision: int, **guests: Announcement | bytes) -> dict[str, Any]:
    """What etcd answers when it is asked for everything."""
    kvs = [entry(name, value) for name, value in guests.items()]
    return {"header": {"revision": str(revision)}, "kvs": kvs}


def line(revision: int, **result: Any) -> bytes:
    """What etcd says of changes: None is a key that has gone."""
    events = [
        {"kv": entry(name, value)} if value is not None else {"type": "DELETE", "kv": entry(name, b"")}
        for name, value in result.pop("guests", {}).items()
    ]
    return json.dumps(
        {"result": {"header": {"revision": str(revision)}, "events": events, **result}}
    ).encode()


class FollowingCase(SynchronousTestCase):
    """Follows."""

    def setUp(self) -> None:
        self.following = Following("/spicemig")

    def start_revision(self) -> str:
        return self.following.watching().body["create_request"]["start_revision"]


class ChangeTests(FollowingCase):
    """Guests come, move and go."""

    def test_read_then_watch(self) -> None:
        """Everything is read, then watched from the revision after it."""
        self.assertEqual(b64decode(self.following.reading().body["key"]), b"/spicemig/guests/")
        self.following.read(answer(7, desk=announced(A)))
        self.assertEqual(self.following.guests, {"desk": announced(A)})
        self.assertEqual(self.start_revision(), "8")

    def test_changes(self) -> None:
        """A watch tells of guests that are new, elsewhere or gone."""
        self.following.read(answer(7, desk=announced(A)))
        self.assertTrue(
            self.following.hear(line(9, guests={"desk": announced(B, epoch=2), "office": announced(A)}))
        )
        self.assertEqual(self.following.guests, {"desk": announced(B, epoch=2), "office": announced(A)})
        self.following.hear(line(10, guests={"desk": None, "nobody": None}))
        self.assertEqual(list(self.following.guests), ["office"])
        self.assertEqual(self.start_revision(), "11")

    def test_compacted(self) -> None:
        """When etcd does not remember where a watch left off, it is over; what is read then counts."""
        self.following.read(answer(7, desk=announced(A)))
        self.assertFalse(self.following.hear(line(20, canceled=True, compact_revision="15")))
        self.following.read(answer(21, office=announced(B)))
        self.assertEqual(list(self.following.guests), ["office"])

    def test_cancelled(self) -> None:
        """A watch that etcd refuses fails, and changes nothing."""
        self.following.read(answer(7, desk=announced(A)))
        self.assertRaises(EtcdError, self.following.hear, line(8, canceled=True, cancel_reason="no"))
        self.assertEqual(list(self.following.guests), ["desk"])

    def test_store_lost(self) -> None:
        """
        A store that was made anew is empty at first: the guests stay where they were until
        the next reading, by when their servers have announced them.
        """
        self.following.read(answer(7, desk=announced(A), office=announced(A)))
        self.following.read(answer(1, office=announced(B)))
        self.assertEqual(self.following.guests, {"desk": announced(A), "office": announced(B)})
        self.assertEqual(self.start_revision(), "2")
        self.following.read(answer(2, office=announced(B)))
        self.assertEqual(list(self.following.guests), ["office"])


class IgnoredTests(FollowingCase):
    """What is wrong in etcd harms nobody but its own name."""

    def test_wrong_value(self) -> None:
        """It is ignored with the reason until it is right; the name leads nowhere meanwhile."""
        self.following.read(answer(1, desk=b"hello", office=announced(A)))
        self.assertEqual(list(self.following.guests), ["office"])
        self.assertEqual(self.following.ignored, {"desk": "it is no JSON"})
        self.following.hear(line(2, guests={"desk": announced(A), "office": b"{}"}))
        self.assertEqual(list(self.following.guests), ["desk"])
        self.assertEqual(self.following.ignored, {"office": "servers is no list of addresses"})
        self.following.hear(line(3, guests={"office": None}))
        self.assertEqual(self.following.ignored, {})

    def test_wrong_name(self) -> None:
        """So is a name that no client can come by, and what is long of it is not kept."""
        self.following.read(answer(1, **{"Desk": announced(A), "x" * 5000: announced(A), "": announced(A)}))
        self.assertEqual(self.following.guests, {})
        self.assertEqual(sorted(map(len, self.following.ignored)), [0, 4, 256])

    def test_cannot_be_linked_to(self) -> None:
        """Servers that a relay has no way to are left out, and guests that have no others."""
        self.following = Following("/spicemig", lambda server: not server.tls_port)
        self.following.read(answer(1, desk=announced(SECURE, A), office=announced(SECURE)))
        self.assertEqual(self.following.guests, {"desk": announced(A)})
        self.assertIn("needs ca", self.following.ignored["office"])

    def test_too_many(self) -> None:
        """There is a limit to guests, and to what is remembered of those that are ignored."""
        self.patch(following, "MAX_GUESTS", 2)
        self.following.read(answer(1, a=announced(A), b=announced(A), c=announced(A)))
        self.assertEqual(list(self.following.guests), ["a", "b"])
        self.assertIn("2 guests", self.following.ignored["c"])
        self.following.hear(line(2, guests={"a": announced(B), "d": b"", "e": b"", "f": b""}))
        self.assertEqual(self.following.guests, {"a": announced(B), "b": announced(A)})
        self.assertEqual(len(self.following.ignored), 2)
