# SPDX-License-Identifier: LGPL-2.1-or-later
"""The control API for other hosts: who is let in, and what strangers may cost. No socket is opened."""

from __future__ import annotations

from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from spicemig.control import api
from spicemig.control.resources import BODY_BYTES
from spicemig.control.web import IDLE_SECONDS, MOST_CONNECTIONS, STRANGER_SECONDS, TokenSite
from tests.test_control_api import FakeHost, split

TOKEN = b"open.sesame"


class Transport(StringTransport):
    """Knows whether it was cut."""

    cut = False

    def abortConnection(self) -> None:
        self.cut = True


class WebCase(SynchronousTestCase):
    """The API of a host behind a token."""

    def setUp(self) -> None:
        self.token = TOKEN
        self.clock = Clock()
        self.host = FakeHost()
        self.site = TokenSite(api.root(self.host), lambda: self.token, self.clock)

    def connect(self) -> Any:
        """A connection; what it was answered is in its transport."""
        channel: Any = self.site.buildProtocol(None)
        channel.makeConnection(Transport())
        return channel

    def ask(self, *headers: str, path: str = "/v1/status", method: str = "GET", body: bytes = b"") -> Any:
        """Status, head and body of the answer to a request with these headers."""
        channel = self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
        channel.dataReceived("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return split(channel.transport.value())


class TokenTests(WebCase):
    """The token opens everything, and nothing else opens anything."""

    def test_right(self) -> None:
        """Whoever shows the token is answered as on the control socket; the scheme's case does not matter."""
        for scheme in ("Bearer", "bearer", "BEARER "):
            status, _head, body = self.ask(f"Authorization: {scheme} open.sesame")
            self.assertEqual((status, body), (200, b'{"name": "fake"}\n'))

    def test_all_of_it(self) -> None:
        """What changes something is there, too."""
        shown = "Authorization: Bearer open.sesame"
        status, *_ = self.ask(shown, path="/v1/ticket", method="PUT", body=b'{"ticket": "new"}')
        self.assertEqual((status, self.host.asked), (200, [(b"new", None)]))

    def test_wrong(self) -> None:
        """Who does not show it is told to, and nothing else, whatever he asks for."""
        for headers in (
            (),
            ("Authorization: Bearer open.sesam",),
            ("Authorization: Bearer open.sesame2",),
            ("Authorization: Bearer",),
            ("Authorization: Bearer ",),
            ("Authorization: open.sesame",),
            ("Authorization: Basic b3Blbi5zZXNhbWU=",),
            ("Authorization: Bearer öffne",),
            ("Cookie: token=open.sesame",),
        ):
            for path in ("/v1/status", "/v1/nothing", "/metrics", "/?token=open.sesame"):
                status, head, body = self.ask(*headers, path=path)
                self.assertEqual((status, body), (401, b""), headers)
                self.assertIn(b'WWW-Authenticate: Bearer realm="spicemig"', head)
                self.assertNotIn(b"fake", head)

    def test_nothing_is_done(self) -> None:
        """A request without the token changes nothing."""
        self.assertEqual(self.ask(path="/v1/ticket", method="PUT", body=b'{"ticket": "new"}')[0], 401)
        self.assertEqual(self.host.asked, [])

    def test_new(self) -> None:
        """The token that counts is the one of now."""
        self.token = b"another"
        self.assertEqual(self.ask("Authorization: Bearer open.sesame")[0], 401)
        self.assertEqual(self.ask("Authorization: Bearer another")[0], 200)

    def test_none(self) -> None:
        """Without a token nobody is let in, least of all with none."""
        self.token = b""
        self.assertEqual(self.ask("Authorization: Bearer ")[0], 401)
        self.assertEqual(self.ask()[0], 401)

    def test_no_other_origin(self) -> None:
        """Pages of other sites cannot read what a browser is answered."""
        for headers in ((), ("Authorization: Bearer open.sesame",)):
            _status, head, _body = self.ask("Origin: https://elsewhere.example", *headers)
            self.assertNotIn(b"access-control", head.lower())

    def test_log(self) -> None:
        """A wrong token is logged with who has shown it, but not the token, nor the right one."""
        with capturedLogs() as events:
            self.ask("Authorization: Bearer barley")
            self.ask("Authorization: Bearer open.sesame")
        self.assertEqual(len([event for event in events if "peer" in event]), 1)
        for event in events:
            for secret in ("barley", "sesame"):
                self.assertNotIn(secret, repr(event))


class BoundTests(WebCase):
    """What strangers may cost."""

    def test_silent(self) -> None:
        """A connection that does not show the token in time is cut, however busy it is."""
        channel = self.connect()
        for _ in range(int(STRANGER_SECONDS)):
            channel.dataReceived(b"G")
            self.clock.advance(1.0)
        self.assertTrue(channel.transport.cut)

    def test_refused(self) -> None:
        """So is one that goes on to show wrong ones."""
        channel = self.connect()
        for _ in range(3):
            channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(channel.transport.value().count(b" 401 "), 3)
        self.clock.advance(STRANGER_SECONDS)
        self.assertTrue(channel.transport.cut)

    def test_idle(self) -> None:
        """One that has shown it may ask again a minute later, and is closed when it does not."""
        channel = self.connect()
        request = b"GET /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer open.sesame\r\n\r\n"
        channel.dataReceived(request)
        self.clock.advance(60.0)
        channel.dataReceived(request)
        self.assertEqual(channel.transport.value().count(b" 200 "), 2)
        self.assertFalse(channel.transport.disconnecting)
        self.clock.advance(IDLE_SECONDS)
        self.assertTrue(channel.transport.disconnecting)
        self.assertFalse(channel.transport.cut)

    def test_many(self) -> None:
        """There are only so many connections at once; when one goes, another one may come."""
        channels = [self.connect() for _ in range(MOST_CONNECTIONS)]
        self.assertFalse(any(channel.transport.cut for channel in channels))
        late = self.connect()
        self.assertTrue(late.transport.cut)
        for gone in (late, channels[0]):
            gone.connectionLost(Failure(ConnectionDone()))
        self.assertFalse(self.connect().transport.cut)

    def test_no_timers_left(self) -> None:
        """A connection that is gone leaves nothing behind."""
        channel = self.connect()
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.site.channels, set())
        self.assertFalse([call for call in self.clock.getDelayedCalls() if call.active()])

    def test_long(self) -> None:
        """A request is no longer than the control socket takes."""
        shown = "Authorization: Bearer open.sesame"
        body = b'{"ticket": "' + b"x" * BODY_BYTES + b'"}'
        self.assertEqual(self.ask(shown, path="/v1/ticket", method="PUT", body=body)[0], 413)

    def test_old_http(self) -> None:
        """TLS agrees on what is spoken here, whatever Twisted could speak elsewhere."""
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])


class MetricsTests(WebCase):
    """The resource itself; what is in it is the business of test_control_metrics."""

    def setUp(self) -> None:
        super().setUp()
        metrics: Any = self.site.resource.children[b"metrics"]
        metrics.registry = SmallRegistry()

    def test_text(self) -> None:
        """The answer is Prometheus' text."""
        status, head, body = self.ask("Authorization: Bearer open.sesame", path="/metrics")
        self.assertEqual((status, body), (200, b"# HELP one A number.\n# TYPE one gauge\none 1.0\n"))
        self.assertIn(b"Content-Type: text/plain; version=", head)

    def test_method(self) -> None:
        """It can only be read; an error is JSON as elsewhere."""
        status, _head, body = self.ask("Authorization: Bearer open.sesame", path="/metrics", method="POST")
        self.assertEqual((status, body), (405, b'{"error": "metrics can only be read"}\n'))


class SmallRegistry:
    """Has one metric."""

    def collect(self) -> Any:
        return [GaugeMetricFamily("one", "A number.", value=1)]
