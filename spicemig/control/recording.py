# SPDX-License-Identifier: LGPL-2.1-or-later
"""
``/v1/recording``: what the guest draws, as a trace, for as long as somebody reads it.

``GET`` answers with the trace and goes on until the guest leaves this host, or until
``DELETE`` ends all recordings, each behind a whole record.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.web import http
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from spicemig.control.resources import BoundedRequest, JSONResource, Refused, write_error
from spicemig.devices.trace.recorder import Recorder

BACKLOG_BYTES = 256 << 20  # for a reader that is slower than the guest
LOOK_SECONDS = 1.0  # how often it is seen whether the guest is still here


@implementer(IPushProducer)
class Recording:
    """One answer to ``GET``."""

    _log = Logger()

    def __init__(self, sessions: Any, request: Any, ended: Any) -> None:
        self._sessions = sessions
        self._device = sessions.device
        self._request = request
        self._ended = ended
        self._paused = False
        self._backlog: list[bytes] = []
        self._backlog_bytes = 0
        self._timer: Any = None
        request.registerProducer(self, True)
        request.notifyFinish().addErrback(lambda _: self._stop())
        self._recorder = Recorder(self._device, self._write, sessions.clock.seconds)
        self._look()

    def finish(self) -> None:
        """End the trace here."""
        self._stop()
        if self._backlog:
            self._request.write(b"".join(self._backlog))
        self._request.unregisterProducer()
        self._request.finish()

    def tell(self) -> dict[str, int]:
        """How much it is."""
        return {"commands": self._recorder.commands, "bytes": self._recorder.bytes}

    def _stop(self) -> None:
        self._recorder.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ended(self)

    def _look(self) -> None:
        self._timer = None
        if self._sessions.device is not self._device:
            self.finish()
        else:
            self._timer = self._sessions.clock.callLater(LOOK_SECONDS, self._look)

    def _write(self, data: bytes) -> None:
        if not self._paused:
            self._request.write(data)
            return
        self._backlog.append(data)
        self._backlog_bytes += len(data)
        if self._backlog_bytes > BACKLOG_BYTES:
            self._log.warn("control: a recording ends, its reader is too slow")
            self._backlog.clear()
            self._stop()
            self._request.loseConnection()

    # IPushProducer

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        backlog, self._backlog = self._backlog, []
        self._backlog_bytes = 0
        if backlog:
            self._request.write(b"".join(backlog))

    def stopProducing(self) -> None:
        pass  # notifyFinish tells too


class RecordingResource(JSONResource):
    """``/v1/recording``"""

    isLeaf = True

    def __init__(self, host: Any) -> None:
        super().__init__()
        self.host = host
        self.recordings: list[Recording] = []

    def render(self, request: BoundedRequest) -> Any:
        if request.method != b"GET":
            return super().render(request)
        sessions = self.host.sessions
        if sessions.guest is None:
            write_error(request, Refused(http.NOT_FOUND, "there is no guest here to record"))
            return NOT_DONE_YET
        request.setHeader(b"content-type", b"application/octet-stream")
        request.setHeader(b"cache-control", b"no-store")
        self.recordings.append(Recording(sessions, request, self.recordings.remove))
        return NOT_DONE_YET

    def delete(self, request: BoundedRequest) -> dict[str, Any]:
        ending = list(self.recordings)
        for recording in ending:
            recording.finish()
        return {"recordings": [recording.tell() for recording in ending]}
