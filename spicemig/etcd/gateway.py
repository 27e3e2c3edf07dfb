# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The way to etcd: its endpoints in turn, tokens, deadlines.

treq, which speaks HTTP here, is imported by :func:`connect` only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from OpenSSL import SSL
from twisted.internet import defer, error, ssl
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.client import (
    Agent,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from spicemig.errors import EtcdError
from spicemig.etcd import calls
from spicemig.etcd.calls import Call, Lines

ASK_SECONDS = 3.0  # for one endpoint to answer
BROKEN = (RequestTransmissionFailed, ResponseNeverReceived, ResponseFailed)  # and the reasons
NETWORK_ERRORS = (
    *BROKEN,
    error.ConnectError,
    error.ConnectionClosed,
    defer.TimeoutError,
    SSL.Error,
    OSError,
    ValueError,  # a name that no host can have
)


def connect(
    endpoints: tuple[str, ...], reactor: Any, authorities: Any = None, user: str = "", password: str = ""
) -> Gateway:
    """
    The way to a cluster.

    ``authorities`` (a trust root) vouch for endpoints with https; None: those of the system.
    Raises ``ImportError`` without treq.
    """
    from treq.client import HTTPClient

    agent = Agent.usingEndpointFactory(reactor, _Network(reactor, authorities))
    return Gateway(HTTPClient(agent), endpoints, reactor, user, password)


@implementer(IAgentEndpointFactory)
class _Network:
    """Endpoints of the real network. A connection is made for every call: no news, so not logged."""

    def __init__(self, reactor: Any, authorities: Any) -> None:
        self._reactor = reactor
        self._authorities = authorities

    def endpointForURI(self, uri: Any) -> Any:
        """See ``IAgentEndpointFactory``."""
        endpoint = HostnameEndpoint(self._reactor, uri.host, uri.port, timeout=ASK_SECONDS)
        if uri.scheme == b"https":
            options = ssl.optionsForClientTLS(uri.host.decode("ascii"), trustRoot=self._authorities)
            endpoint = wrapClientTLS(options, endpoint)
        return _Quiet(endpoint)


@implementer(IStreamClientEndpoint)
class _Quiet:
    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """See ``IStreamClientEndpoint``."""
        protocolFactory.noisy = False
        return self._endpoint.connect(protocolFactory)


class Gateway:
    """
    The JSON gateway of a cluster, at one of several endpoints.

    ``http`` is treq's ``HTTPClient``. Everything raises :class:`EtcdError` and nothing else.
    """

    def __init__(
        self, http: Any, endpoints: tuple[str, ...], clock: Any, user: str = "", password: str = ""
    ) -> None:
        self.endpoints = endpoints
        self._http = http
        self._clock = clock
        self._user = user
        self._password = password
        self._token = ""
        self._current = 0

    @property
    def endpoint(self) -> str:
        """The one that is asked first: the last that answered."""
        return self.endpoints[self._current]

    async def ask(self, call: Call) -> dict[str, Any]:
        """
        The answer to a call.

        It must be one that does no harm when it is made twice: an endpoint may have done it, and not said so.
        """
        return await self._with_token(self._anywhere, call)

    async def listen(self, call: Call, hear: Callable[[bytes], bool], seconds: float) -> None:
        """
        Have ``hear`` told the lines of an answer that goes on and on.

        Returns when ``hear`` says that it is over, when so many seconds have passed, or
        when the line breaks: whether etcd is there any more, the next :meth:`ask` shows.
        """
        await self._with_token(self._listen, call, hear, seconds)

    async def _with_token(self, attempt: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Do something with a token, if there is a user; with another one if etcd does not take the first."""
        if self._user and not self._token:
            await self._authenticate()
        try:
            return await attempt(*arguments)
        except EtcdError as refused:
            outdated = refused.code == calls.INVALID_ARGUMENT and "auth" in refused.reason
            if not self._token or not (outdated or refused.code == calls.UNAUTHENTICATED):
                raise
        await self._authenticate()
        return await attempt(*arguments)

    async def _authenticate(self) -> None:
        self._token = ""
        self._token = calls.token(await self._anywhere(calls.authenticate(self._user, self._password)))

    async def _anywhere(self, call: Call) -> dict[str, Any]:
        """Ask one endpoint after the other."""
        reasons = []
        for _ in self.endpoints:
            try:
                return await self._within(ASK_SECONDS, self._ask(call))
            except EtcdError as refused:
                if refused.code != EtcdError.UNAVAILABLE:
                    raise
                reasons.append(f"{self.endpoint}: {refused}")
            except NETWORK_ERRORS as broken:
                _raise_if_cancelled(broken)
                reasons.append(f"{self.endpoint}: {_reason(broken)}")
            self._current = (self._current + 1) % len(self.endpoints)
        raise EtcdError("; ".join(reasons))

    async def _ask(self, call: Call) -> dict[str, Any]:
        return calls.parse(await _whole(await self._post(call)))

    async def _listen(self, call: Call, hear: Callable[[bytes], bool], seconds: float) -> None:
        lines = Lines()

        def received(data: bytes) -> None:
            for line in lines.receive(data):
                if not hear(line):
                    raise _Over

        try:
            response = await self._within(ASK_SECONDS, self._post(call))
            if response.code != http.OK:
                calls.parse(await self._within(ASK_SECONDS, _whole(response)))
                raise EtcdError(f"HTTP status {response.code}")
            await self._within(seconds, _read(response, received))
        except _Over:
            pass
        except NETWORK_ERRORS as broken:
            _raise_if_cancelled(broken)

    def _within(self, seconds: float, doing: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        return ensureDeferred(doing).addTimeout(seconds, self._clock, _timed_out)

    async def _post(self, call: Call) -> Any:
        return await self._http.post(
            self.endpoint + call.path,
            json=call.body,
            headers={"Authorization": self._token} if self._token else None,
            unbuffered=True,
            allow_redirects=False,
        )


class _Over(Exception):
    """Nothing more is wanted of a body."""


class _Body(Protocol):
    """Hands on the pieces of an answer; ``over`` fires at its end, and closes the connection if cancelled."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self._hear = hear
        self.over: Deferred[None] = Deferred(lambda _: self._stop())

    def dataReceived(self, data: bytes) -> None:
        if self.over.called:
            return
        try:
            self._hear(data)
        except Exception:
            self.over.errback()
            self._stop()

    def _stop(self) -> None:
        if self.transport is not None:
            self.transport.stopProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.over.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.over.callback(None)
        else:
            self.over.errback(reason)


async def _read(response: Any, hear: Callable[[bytes], None]) -> None:
    """Hand on an answer piece by piece."""
    body = _Body(hear)
    response.deliverBody(body)
    await body.over


async def _whole(response: Any) -> bytes:
    """An answer that ends."""
    found = bytearray()

    def hear(data: bytes) -> None:
        found.extend(data)
        if len(found) > calls.MAX_ANSWER_BYTES:
            raise EtcdError("the answer is too long")

    await _read(response, hear)
    return bytes(found)


def _timed_out(result: Any, seconds: float) -> Any:
    """The time has passed: whatever a request says that was cancelled in the middle."""
    if isinstance(result, Failure):
        raise defer.TimeoutError(seconds)
    return result


def _raise_if_cancelled(broken: BaseException) -> None:
    """A request that is cancelled on purpose calls that an answer that never came."""
    if isinstance(broken, BROKEN) and any(each.check(defer.CancelledError) for each in broken.reasons):
        raise defer.CancelledError from broken


def _reason(broken: BaseException) -> str:
    """In a few words."""
    if isinstance(broken, BROKEN) and broken.reasons:
        return _reason(broken.reasons[0].value)
    if isinstance(broken, SSL.Error) and broken.args and broken.args[0]:
        return "; ".join(str(each[-1]) for each in broken.args[0])
    if isinstance(broken, defer.TimeoutError):
        return "no answer"
    return str(broken) or type(broken).__name__
