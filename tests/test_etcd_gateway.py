# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tests of the way to etcd, against HTTP servers that answer as etcd does, or as it should not.

Both sides are real, and what is between them is memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from spicemig.errors import EtcdError
from spicemig.etcd import calls
from spicemig.etcd.gateway import ASK_SECONDS, Gateway

try:
    from treq.testing import StubTreq
except ImportError:
    StubTreq = None

A, B = "http://a.example:2379", "http://b.example:2379"
CALL = calls.grant(10)
WATCH = calls.watch_under(b"/spicemig/guests/", 1)


class Server(Resource):
    """Answers every request with what ``answers`` gives; remembers what it was asked."""

    isLeaf = True

    def __init__(self, answers: Callable[[Any], Any]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.open: list[Any] = []  # requests that are still answered

    def render_POST(self, request: Any) -> Any:
        """See ``IResource``."""
        token = request.getHeader("authorization") or ""
        self.asked.append((request.path.decode(), token, json.loads(request.content.read())))
        answer = self.answers(request)
        if answer is NOT_DONE_YET:
            self.open.append(request)
            request.notifyFinish().addErrback(lambda _: self.open.remove(request))
            return answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


def refuse(request: Any, status: int, code: int, message: str) -> dict[str, Any]:
    """An error as etcd tells it."""
    request.setResponseCode(status)
    return {"error": message, "message": message, "code": code}


class GatewayCase(SynchronousTestCase):
    """Makes gateways to some endpoints; those without a server refuse connections."""

    def gateway(self, user: str = "", **servers: Server) -> Gateway:
        if StubTreq is None:
            raise SkipTest("needs treq (Debian: python3-treq)")
        self.clock = Clock()
        self.stubs = {f"http://{name}.example:2379": StubTreq(server) for name, server in servers.items()}
        return Gateway(self, (A, B), self.clock, user, "secret")

    def post(self, url: str, **more: Any) -> Any:
        """In place of treq's client: that of the endpoint that is meant."""
        stub = self.stubs.get(url[: len(A)])
        if stub is None:
            raise ConnectionRefusedError(111)
        return stub.post(url, **more)

    def flush(self) -> None:
        """Let everything arrive that was written."""
        for stub in self.stubs.values():
            stub.flush()

    def asked(self, gateway: Gateway) -> Deferred[Any]:
        return ensureDeferred(gateway.ask(CALL))


class AskTests(GatewayCase):
    """A question and its answer."""

    def test_answer(self) -> None:
        """A question is a POST of JSON, and so is the answer."""
        server = Server(lambda _: {"ID": "3"})
        self.assertEqual(self.successResultOf(self.asked(self.gateway(a=server))), {"ID": "3"})
        self.assertEqual(server.asked, [("/v3/lease/grant", "", {"TTL": "10"})])

    def test_next_endpoint(self) -> None:
        """Where nobody listens, the next endpoint is asked, and then it first."""
        gateway = self.gateway(b=Server(lambda _: {}))
        self.successResultOf(self.asked(gateway))
        self.assertEqual(gateway.endpoint, B)

    def test_unavailable(self) -> None:
        """So it is where a member has lost the others."""
        lonely = Server(lambda request: refuse(request, 503, 14, "etcdserver: no leader"))
        gateway = self.gateway(a=lonely, b=Server(lambda _: {}))
        self.successResultOf(self.asked(gateway))
        self.assertEqual((gateway.endpoint, len(lonely.asked)), (B, 1))

    def test_silent(self) -> None:
        """So it is where no answer comes in time; the connection is given up."""
        silent = Server(lambda _: NOT_DONE_YET)
        gateway = self.gateway(a=silent, b=Server(lambda _: {}))
        asked = self.asked(gateway)
        self.assertNoResult(asked)
        self.clock.advance(ASK_SECONDS)
        self.successResultOf(asked)
        self.flush()
        self.assertEqual(silent.open, [])

    def test_nobody(self) -> None:
        """Where no endpoint answers, the error says of each why."""
        error = self.failureResultOf(self.asked(self.gateway()), EtcdError).value
        for endpoint in (A, B):
            self.assertIn(f"{endpoint}: Connection was refused", str(error))

    def test_refused(self) -> None:
        """What etcd refuses, it refuses everywhere."""
        gateway = self.gateway(a=Server(lambda request: refuse(request, 404, 5, "lease not found")))
        error = self.failureResultOf(self.asked(gateway), EtcdError).value
        self.assertEqual((str(error), error.code, gateway.endpoint), ("lease not found", 5, A))

    def test_not_etcd(self) -> None:
        """Something else that speaks HTTP is no etcd."""
        gateway = self.gateway(a=Server(lambda _: b"<html>"), b=Server(lambda _: b"[]"))
        self.assertIn("is this etcd?", str(self.failureResultOf(self.asked(gateway), EtcdError).value))

    def test_too_long(self) -> None:
        """An answer without an end is given up."""
        self.patch(calls, "MAX_ANSWER_BYTES", 1000)
        server = Server(lambda _: b" " * 1001)
        error = self.failureResultOf(self.asked(self.gateway(a=server, b=server)), EtcdError)
        self.assertIn("too long", str(error.value))

    def test_cancelled(self) -> None:
        """Who asks no more closes the connection, and no other endpoint is asked."""
        silent, other = Server(lambda _: NOT_DONE_YET), Server(lambda _: {})
        asked = self.asked(self.gateway(a=silent, b=other))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.flush()
        self.assertEqual((silent.open, other.asked), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TokenTests(GatewayCase):
    """An etcd with users."""

    def setUp(self) -> None:
        self.tokens = ["first", "second"]
        self.outdated: set[str] = set()

    def answer(self, request: Any) -> dict[str, Any]:
        if request.path == b"/v3/auth/authenticate":
            return {"token": self.tokens.pop(0)}
        if request.getHeader("authorization") in self.outdated:
            return refuse(request, 401, 16, "etcdserver: invalid auth token")
        return {"ID": "3"}

    def test_token(self) -> None:
        """The password buys a token, which every question shows from then on."""
        server = Server(self.answer)
        gateway = self.gateway("relay", a=server)
        for _ in range(2):
            self.successResultOf(self.asked(gateway))
        self.assertEqual(
            server.asked,
            [
                ("/v3/auth/authenticate", "", {"name": "relay", "password": "secret"}),
                ("/v3/lease/grant", "first", {"TTL": "10"}),
                ("/v3/lease/grant", "first", {"TTL": "10"}),
            ],
        )

    def test_outdated(self) -> None:
        """When etcd does not know the token any more, it is asked for another one, once."""
        server = Server(self.answer)
        gateway = self.gateway("relay", a=server)
        self.successResultOf(self.asked(gateway))
        self.outdated = {"first"}
        self.successResultOf(self.asked(gateway))
        self.assertEqual(server.asked[-1][1], "second")
        self.tokens, self.outdated = ["third"], {"second", "third"}
        self.failureResultOf(self.asked(gateway), EtcdError)

    def test_wrong_password(self) -> None:
        """A wrong password is etcd's error, and is not in it."""
        words = "etcdserver: authentication failed, invalid user ID or password"
        server = Server(lambda request: refuse(request, 400, 3, words))
        error = self.failureResultOf(self.asked(self.gateway("relay", a=server)), EtcdError).value
        self.assertEqual((str(error), len(server.asked)), (words, 1))
        self.assertNotIn("secret", str(error))


def _heard(line: bytes) -> bool:
    return not calls.heard(line).over


class ListenTests(GatewayCase):
    """An answer that goes on and on."""

    def setUp(self) -> None:
        self.lines: list[bytes] = []
        self.goes_on = True

    def hear(self, line: bytes) -> bool:
        self.lines.append(line)
        return self.goes_on

    def listening(self, answers: Callable[[Any], Any] = lambda _: NOT_DONE_YET) -> Deferred[None]:
        self.server = Server(answers)
        gateway = self.gateway(a=self.server)
        return ensureDeferred(gateway.listen(WATCH, self.hear, 30.0))

    def say(self, data: bytes) -> None:
        self.server.open[0].write(data)
        self.flush()

    def test_lines(self) -> None:
        """Lines are heard when they come."""
        listening = self.listening()
        self.say(b"one\ntw")
        self.assertEqual(self.lines, [b"one"])
        self.say(b"o\n")
        self.assertEqual(self.lines, [b"one", b"two"])
        self.assertNoResult(listening)

    def test_over(self) -> None:
        """Who has heard enough closes the connection."""
        listening = self.listening()
        self.goes_on = False
        self.say(b"one\ntwo\n")
        self.successResultOf(listening)
        self.flush()
        self.assertEqual((self.lines, self.server.open), ([b"one"], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_time(self) -> None:
        """It is over after a time, whether anything was said or not."""
        listening = self.listening()
        self.say(b"one\n")
        self.clock.advance(29.9)
        self.assertNoResult(listening)
        self.clock.advance(0.1)
        self.successResultOf(listening)
        self.flush()
        self.assertEqual(self.server.open, [])

    def test_broken(self) -> None:
        """It is over when the line breaks; nobody there is the same."""
        listening = self.listening()
        self.say(b"one\n")
        self.server.open[0].transport.loseConnection()
        self.flush()
        self.successResultOf(listening)
        gateway = self.gateway()
        self.successResultOf(ensureDeferred(gateway.listen(WATCH, self.hear, 30.0)))

    def test_refused(self) -> None:
        """What etcd refuses is an error, though no line was said."""
        listening = self.listening(lambda request: refuse(request, 403, 7, "permission denied"))
        self.assertEqual(self.failureResultOf(listening, EtcdError).value.code, 7)
        listening = self.listening(lambda request: request.setResponseCode(500) or {})
        self.assertIn("500", str(self.failureResultOf(listening, EtcdError).value))

    def test_wrong_line(self) -> None:
        """A line that makes no sense ends it, with the error."""
        server = Server(lambda _: b"hello\n")
        listening = ensureDeferred(self.gateway(a=server).listen(WATCH, _heard, 30.0))
        self.assertIn("is this etcd?", str(self.failureResultOf(listening, EtcdError).value))

    def test_silent(self) -> None:
        """Where not even the beginning of an answer comes, it is over soon."""
        listening = self.listening()
        self.clock.advance(ASK_SECONDS)
        self.successResultOf(listening)

    def test_cancelled(self) -> None:
        """Who listens no more closes the connection, before the answer begins and after."""
        for said in (b"", b"one\n"):
            listening = self.listening()
            if said:
                self.say(said)
            listening.cancel()
            self.failureResultOf(listening, CancelledError)
            self.flush()
            self.assertEqual((self.server.open, self.clock.getDelayedCalls()), ([], []))
