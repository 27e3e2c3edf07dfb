# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of announcements: what a value says, and whose counts."""

from __future__ import annotations

import json
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from spicemig.client.hosts import Address
from spicemig.client.urls import read_server, server_url
from spicemig.etcd.announcements import (
    MAX_SERVERS,
    MAX_VALUE_BYTES,
    Announcement,
    key_of,
    objection,
    read_name,
)

A, B = UUID(int=1), UUID(int=2)
SERVER = Address("a.example", 5900)


def announced(uuid: UUID = A, epoch: int = 3) -> Announcement:
    return Announcement((SERVER,), uuid, epoch)


class AddressTests(SynchronousTestCase):
    """Addresses in announcements are those of a relay's table."""

    def test_there_and_back(self) -> None:
        """What is written is read as the same address."""
        for address in (
            SERVER,
            Address("2001:db8::1", 5900),
            Address("a.example", tls_port=5901),
            Address("a.example", tls_port=5901, subject="O=Ex & Söhne,CN=a b?#%"),
            Address(unix="/run/a b?.sock"),
        ):
            self.assertEqual(read_server(server_url(address)), address)


class ValueTests(SynchronousTestCase):
    """The value of a key."""

    def test_there_and_back(self) -> None:
        """It is JSON, and read as what was written."""
        value = announced().pack()
        self.assertEqual(
            json.loads(value), {"servers": ["spice://a.example:5900"], "uuid": str(A), "epoch": 3}
        )
        self.assertEqual(Announcement.unpack(value), announced())

    def test_more(self) -> None:
        """What a later version adds does no harm."""
        value = json.dumps({**json.loads(announced().pack()), "colour": "green"}).encode()
        self.assertEqual(Announcement.unpack(value), announced())

    def test_wrong(self) -> None:
        """Whatever is no announcement is refused with the reason, and with nothing but ValueError."""
        good = json.loads(announced().pack())
        for change, reason in (
            ({"servers": []}, "servers is no list"),
            ({"servers": "spice://a:1"}, "servers is no list"),
            ({"servers": [3]}, "servers is no list"),
            ({"servers": ["spice://a"]}, "is not spice://"),
            ({"servers": ["spice://[a:1"]}, "Invalid IPv6"),
            ({"servers": ["spice://a:1"] * (MAX_SERVERS + 1)}, "9 servers"),
            ({"uuid": "x"}, "badly formed"),
            ({"uuid": None}, "uuid is no text"),
            ({"epoch": -1}, "epoch is no"),
            ({"epoch": 1.5}, "epoch is no"),
            ({"epoch": True}, "epoch is no"),
            ({"epoch": 2**63}, "epoch is no"),
            ({"servers": ["spice://" + "a" * MAX_VALUE_BYTES + ":1"]}, "more than 4096"),
        ):
            value = json.dumps({**good, **change}).encode()
            error = self.assertRaises(ValueError, Announcement.unpack, value)
            self.assertIn(reason, str(error), change)
        for value in (b"", b"x", b"[]", b"\xff", b"[" * 4000):
            self.assertRaises(ValueError, Announcement.unpack, value)


class NameTests(SynchronousTestCase):
    """What guests may be called."""

    def test_right(self) -> None:
        """Whatever a client can come by."""
        for name in ("desk.example", "5910", "*", "/run/Viewer.sock", "büro"):
            self.assertEqual(read_name(name), name)
        self.assertEqual(key_of("/spicemig", "desk"), b"/spicemig/guests/desk")

    def test_wrong(self) -> None:
        """What no client can come by."""
        for name in ("", "two words", "Desk", "a\nb", "a" * 256):
            self.assertRaises(ValueError, read_name, name)


class PrecedenceTests(SynchronousTestCase):
    """Of two hosts that announce the same guest, the one with the newer epoch is right."""

    def test_older(self) -> None:
        """A newer owner takes the place of an older one, and the other way round never."""
        self.assertEqual(objection(announced(B, 2).pack(), announced(A, 3)), "")
        self.assertIn("newer epoch 4", objection(announced(B, 4).pack(), announced(A, 3)))
        self.assertIn("newer epoch 4", objection(announced(A, 4).pack(), announced(A, 3)))

    def test_equal(self) -> None:
        """A host that starts again takes its own place; another guest of the same name does not."""
        self.assertEqual(objection(announced(A, 3).pack(), announced(A, 3)), "")
        self.assertIn(f"another host, {B}", objection(announced(B, 3).pack(), announced(A, 3)))

    def test_rubbish(self) -> None:
        """What is no announcement is in nobody's way."""
        self.assertEqual(objection(b"hello", announced()), "")
