# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of what etcd's gateway is asked, and of how its answers are read."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import EtcdError
from spicemig.etcd import calls
from spicemig.etcd.calls import Entry, Heard, Lines


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def watch_line(*events: dict[str, Any], **result: Any) -> bytes:
    """A line of a watch as etcd writes it."""
    return json.dumps({"result": {"header": {"revision": "7"}, "events": events, **result}}).encode()


class QuestionTests(SynchronousTestCase):
    """What is asked."""

    def test_everything_under(self) -> None:
        """Keys that begin in a way are a range up to the next way to begin."""
        body = calls.read_under(b"/spicemig/guests/", 5).body
        self.assertEqual(body["key"], base64("/spicemig/guests/"))
        self.assertEqual(body["range_end"], base64("/spicemig/guests0"))
        self.assertEqual(body["limit"], "5")

    def test_put(self) -> None:
        """A key is put with its lease, and only if it is as it was."""
        (compare,) = calls.put_if_unchanged(b"k", b"v", 9, 0).body["compare"]
        (put,) = calls.put_if_unchanged(b"k", b"v", 9, 0).body["success"]
        self.assertEqual((compare["target"], compare["mod_revision"]), ("MOD", "0"))
        self.assertEqual(put, {"request_put": {"key": base64("k"), "value": base64("v"), "lease": "9"}})


class AnswerTests(SynchronousTestCase):
    """What is answered."""

    def test_entries(self) -> None:
        """Keys with their values, the revision and the lease of each; what is zero is left out."""
        found = {"key": base64("k"), "value": base64("v"), "mod_revision": "4", "lease": "12"}
        self.assertEqual(calls.entries({"kvs": [found]}), [Entry(b"k", b"v", 4, 12)])
        self.assertEqual(calls.entries({"kvs": [{"key": base64("k")}]}), [Entry(b"k", b"")])
        self.assertEqual(calls.entries({"header": {"revision": "1"}}), [])

    def test_lease(self) -> None:
        """A lease that has gone has no time left."""
        self.assertTrue(calls.kept_alive({"result": {"ID": "3", "TTL": "10"}}))
        self.assertFalse(calls.kept_alive({"result": {"ID": "3"}}))
        self.assertEqual(calls.granted({"ID": "3", "TTL": "10"}), 3)
        self.assertRaises(EtcdError, calls.granted, {"TTL": "10"})

    def test_watch(self) -> None:
        """Keys that were put, and keys that have gone."""
        line = watch_line(
            {"kv": {"key": base64("a"), "value": base64("1"), "mod_revision": "6"}},
            {"type": "DELETE", "kv": {"key": base64("b"), "mod_revision": "7"}},
        )
        self.assertEqual(calls.heard(line), Heard(7, [Entry(b"a", b"1", 6), Entry(b"b", None, 7)], False))

    def test_watch_over(self) -> None:
        """A watch from a compacted revision is over; one that is cancelled for another reason fails."""
        self.assertTrue(calls.heard(watch_line(canceled=True, compact_revision="3")).over)
        error = self.assertRaises(
            EtcdError, calls.heard, watch_line(canceled=True, cancel_reason="permission denied")
        )
        self.assertEqual(str(error), "permission denied")

    def test_errors(self) -> None:
        """An error has etcd's words and code, in whichever of its forms it comes."""
        for said in (
            {"error": "no lease", "message": "no lease", "code": 5},
            {"code": 5, "message": "no lease", "details": []},
            {"error": {"grpc_code": 5, "http_code": 404, "message": "no lease"}},
            {"error": {"code": 5, "message": "no lease", "details": []}},
        ):
            error = self.assertRaises(EtcdError, calls.parse, json.dumps(said).encode())
            self.assertEqual((error.reason, error.code), ("no lease", 5), said)

    def test_something_else(self) -> None:
        """What is not etcd is found out, whatever it answers, and nothing but EtcdError comes of it."""
        for data in (b"404 page not found", b"[]", b"", b"[" * 100_000, b"\xff", b'{"error": 3}'):
            self.assertRaises(EtcdError, calls.parse, data)
        for answer in (
            {"header": []},
            {"header": {"revision": "-1"}},
            {"header": {"revision": "9" * 30}},
            {"header": {"revision": [1]}},
        ):
            self.assertRaises(EtcdError, calls.revision, answer)
        for answer in (
            {"kvs": {}},
            {"kvs": [3]},
            {"kvs": [{"key": "%%%%"}]},
            {"kvs": [{"key": 3}]},
            {"kvs": [{"key": "", "lease": "x"}]},
        ):
            self.assertRaises(EtcdError, calls.entries, answer)
        for line in (
            b"{}x",
            b'{"result": []}',
            b'{"result": {"events": {}}}',
            b'{"result": {"events": [{"kv": 1}]}}',
        ):
            self.assertRaises(EtcdError, calls.heard, line)
        self.assertRaises(EtcdError, calls.token, {"token": "a\nb"})
        self.assertRaises(EtcdError, calls.kept_alive, {"result": {"TTL": None}})


class LinesTests(SynchronousTestCase):
    """A stream of lines, however it is cut."""

    def test_every_cut(self) -> None:
        """Lines are the same wherever the pieces end."""
        stream = b"one\n\ntwo\nthree\n"
        for size in range(1, len(stream) + 1):
            lines = Lines()
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
            self.assertEqual(
                [line for piece in pieces for line in lines.receive(piece)], [b"one", b"two", b"three"]
            )

    def test_too_long(self) -> None:
        """A line without an end is given up."""
        lines = Lines()
        with self.assertRaises(EtcdError):
            for _ in range(calls.MAX_ANSWER_BYTES // 2**20 + 1):
                list(lines.receive(bytes(2**20)))
