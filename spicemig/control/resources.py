# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Resources that speak JSON, for the control API.

A subclass answers a method with a dictionary (or a Deferred of one) and says no
by raising :class:`Refused`; what it is sent is bounded.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import CancelledError, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

BODY_BYTES = 64 * 1024  # nothing that the API takes comes near


class Refused(Exception):
    """The answer is no: an HTTP status, the reason, and what to do about it."""

    def __init__(self, status: int, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.hint = hint


class BoundedRequest(Request):
    """A request that keeps no more of its body than :data:`BODY_BYTES`."""

    too_long = False

    def handleContentChunk(self, data: bytes) -> None:
        if self.too_long or self.content.tell() + len(data) > BODY_BYTES:
            self.too_long = True
        else:
            super().handleContentChunk(data)


class JSONResource(Resource):
    """Calls ``get``, ``put``, ``post`` or ``delete`` and writes what comes back."""

    log = Logger()

    def render(self, request: BoundedRequest) -> Any:
        method = request.method.decode("ascii", "replace")
        action = getattr(self, {"HEAD": "get"}.get(method, method.lower()), None)
        if method not in ("GET", "HEAD", "PUT", "POST", "DELETE") or action is None:
            write_error(request, Refused(http.NOT_ALLOWED, f"{method} means nothing here"))
            return NOT_DONE_YET
        answer = maybeDeferred(action, request)
        request.notifyFinish().addErrback(lambda _: answer.cancel())
        answer.addCallbacks(lambda value: write_json(request, value), self._refuse, errbackArgs=(request,))
        return NOT_DONE_YET

    def _refuse(self, failure: Failure, request: BoundedRequest) -> None:
        if failure.check(CancelledError):
            return  # whoever asked is gone
        if not failure.check(Refused):
            self.log.failure("control: {path} failed", failure, path=request.path.decode("latin-1"))
            failure = Failure(
                Refused(http.INTERNAL_SERVER_ERROR, f"{failure.type.__name__}: {failure.value}")
            )
        write_error(request, failure.value)

    def getChild(self, path: bytes, request: BoundedRequest) -> Resource:
        return Nothing(f"there is no {request.path.decode('latin-1')}")


class Nothing(JSONResource):
    """What is found where nothing is."""

    isLeaf = True

    def __init__(self, reason: str, hint: str = "", status: int = http.NOT_FOUND) -> None:
        super().__init__()
        self.error = Refused(status, reason, hint)

    def render(self, request: BoundedRequest) -> Any:
        write_error(request, self.error)
        return NOT_DONE_YET


def write_json(request: Request, value: Any, status: int | None = None) -> None:
    """Answer with JSON and be done."""
    if request.finished or request._disconnected:
        return
    body = json.dumps(value, default=str).encode() + b"\n"
    if status is not None:
        request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", b"%d" % len(body))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def write_error(request: Request, error: Refused) -> None:
    """Answer with an error: ``{"error": reason, "hint": ...}``."""
    value = {"error": error.reason}
    if error.hint:
        value["hint"] = error.hint
    write_json(request, value, error.status)


def read_json(request: BoundedRequest, **allowed: type | tuple[type, ...]) -> dict[str, Any]:
    """The object in the request's body, with members of the allowed names and types only."""
    if request.too_long:
        raise Refused(http.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {BODY_BYTES} bytes")
    try:
        value = json.loads(request.content.read() or b"{}")
    except (ValueError, RecursionError) as error:
        raise Refused(http.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused(http.BAD_REQUEST, "the body is not a JSON object")
    for name, member in value.items():
        if name not in allowed:
            known = ", ".join(allowed)
            raise Refused(http.BAD_REQUEST, f"{name!r} is not known here; known are {known}")
        wanted = allowed[name]
        if not isinstance(member, wanted) or (isinstance(member, bool) and wanted is not bool):
            raise Refused(http.BAD_REQUEST, f"{name!r} is of the wrong type")
    return value


class ControlSite(Site):
    """Serves the API; requests are not logged one by one."""

    noisy = False

    def __init__(self, root: Resource, **arguments: Any) -> None:
        super().__init__(root, requestFactory=BoundedRequest, **arguments)
        self.displayTracebacks = False

    def log(self, request: Request) -> None:
        """Whoever may open the control socket may also read the daemon's log."""
