# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The control API for other hosts: over TCP, to those who show the token.

Who does not show it (``Authorization: Bearer TOKEN``, RFC 6750) is told nothing: not even
whether there is what he asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from spicemig.control.resources import BoundedRequest, ControlSite

MOST_CONNECTIONS = 64  # at once
STRANGER_SECONDS = 10.0  # from the connection on, for a whole request that shows the token
IDLE_SECONDS = 75.0  # between two requests: monitors ask once a minute
SCHEME = b"bearer "
CHALLENGE = b'Bearer realm="spicemig"'


class WebChannel(http.HTTPChannel):
    """One connection; it is cut if it remains that of a stranger."""

    site: TokenSite
    _patience: Any = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels.add(self)
        if len(self.site.channels) > MOST_CONNECTIONS:
            self.transport.abortConnection()
        else:
            self._patience = self.callLater(STRANGER_SECONDS, self.transport.abortConnection)

    def welcome(self) -> None:
        """It has shown the token."""
        if self._patience is not None and self._patience.active():
            self._patience.cancel()

    def connectionLost(self, reason: Any) -> None:
        self.welcome()
        self.site.channels.discard(self)
        super().connectionLost(reason)


class TokenSite(ControlSite):
    """Serves the API to whoever shows what ``token()`` gives at that moment."""

    protocol = WebChannel
    failures = Logger()

    def __init__(self, root: Resource, token: Callable[[], bytes], reactor: Any) -> None:
        super().__init__(root, timeout=IDLE_SECONDS, reactor=reactor)
        self.channels: set[WebChannel] = set()
        self._token = token

    def acceptableProtocols(self) -> list[bytes]:
        """What is agreed on in TLS: nothing newer than what :class:`WebChannel` speaks."""
        return [b"http/1.1"]

    def getResourceFor(self, request: BoundedRequest) -> Resource:
        """What was asked for, unless the token is wrong."""
        shown = shown_token(request)
        if not (shown and secrets.compare_digest(shown, self._token())):
            self.failures.info("web: {peer} has not shown the token", peer=request.getClientAddress())
            return Unauthorized()
        request.channel.welcome()
        return super().getResourceFor(request)


def shown_token(request: BoundedRequest) -> bytes:
    """The token in a request's headers; empty without one."""
    shown: bytes = request.getHeader(b"authorization") or b""
    return shown[len(SCHEME) :].strip() if shown.lower().startswith(SCHEME) else b""


class Unauthorized(Resource):
    """Says no, and nothing else."""

    isLeaf = True

    def render(self, request: BoundedRequest) -> int:
        request.setResponseCode(http.UNAUTHORIZED)
        request.setHeader(b"www-authenticate", CHALLENGE)
        request.setHeader(b"content-length", b"0")
        request.finish()
        return NOT_DONE_YET
