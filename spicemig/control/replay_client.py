# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A host and its one client in this process, as ``spicemig replay --encode`` needs them.

The host's side is what a daemon has: sessions, a display channel and its protocol,
threads that encode. The client has a transport that takes every byte and keeps
none, and acknowledges as stock clients do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from spicemig.channels.link import LinkRequest
from spicemig.channels.protocol import ChannelProtocol
from spicemig.devices.qxl import QXLDevice
from spicemig.errors import GuestError
from spicemig.session.client import ClientSession
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings
from spicemig.session.stage import Stage
from spicemig.wire.capabilities import CommonCap, DisplayCap
from spicemig.wire.enums import ImageType
from spicemig.wire.framing import frame
from spicemig.wire.messages import base, display

CLIENT = 1  # its connection id
PIXMAP_CACHE_PIXELS = 20 << 20  # as stock clients announce them
GLZ_WINDOW_PIXELS = 16 << 20
CAPABILITIES = frozenset(DisplayCap) - {DisplayCap.GL_SCANOUT}  # nothing is on a graphics card here
SETTLING_SECONDS = 1.0  # by the clock, for what a channel says at its start
STUCK_SECONDS = 30.0  # without anything handed over


class Workers:
    """Threads; what they have done is told in the thread that calls :meth:`deliver`."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._done: SimpleQueue[tuple[Deferred[Any], Future[Any]]] = SimpleQueue()
        self.under_way = 0

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Have a thread call this."""
        done: Deferred[Any] = Deferred()
        self.under_way += 1
        future = self._pool.submit(function, *arguments)
        future.add_done_callback(lambda future: self._done.put((done, future)))
        return done

    def deliver(self, seconds: float = 0.0) -> bool:
        """Tell what is done, waiting for it so long; whether anything was."""
        told = False
        while self.under_way:
            try:
                done, future = self._done.get(seconds > 0 and not told, seconds or None)
            except Empty:
                break
            self.under_way -= 1
            told = True
            error = future.exception()
            if error is None:
                done.callback(future.result())
            else:
                done.errback(error)
        return told

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


class _Transport:
    """Takes all bytes and forgets them."""

    def __init__(self) -> None:
        self.taken_bytes = 0

    def write(self, data: Any) -> None:
        self.taken_bytes += len(data)

    def writeSequence(self, parts: Any) -> None:
        self.taken_bytes += sum(map(len, parts))

    def registerProducer(self, producer: Any, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def getPeer(self) -> str:
        return "replay"

    def loseConnection(self) -> None:
        raise GuestError("the display channel was closed")

    abortConnection = loseConnection


class ReplayClient:
    """The client of a device; ``mode`` is an image compression mode."""

    def __init__(self, device: QXLDevice, mode: str, *, workers: int = 1, streaming: bool = False) -> None:
        self._clock = Clock()  # follows the real one from its start, so that all of a run is in its time
        self._workers = Workers(workers)
        settings = SessionSettings(image_compression=mode, streaming="filter" if streaming else "off")
        self._host = Sessions(lambda: device, _no_guest, settings, self._clock, self._workers.run)
        self._host.stage = Stage.SERVING
        session = self._host.clients[CLIENT] = ClientSession(self._host, CLIENT)
        common = frozenset({CommonCap.MINI_HEADER})
        self._core = session.make_core(LinkRequest(CLIENT, "display", 0, common, CAPABILITIES))
        self._core.flow = self._core.line.flow = None  # there is no line that could be slow
        self._protocol = ChannelProtocol(self._core, session, self._clock)
        self._transport = _Transport()
        self._acknowledged = 0  # messages
        self._generation = -1
        self._pinged = 0
        self._protocol.transport = self._transport  # type: ignore[assignment]
        session.attach(self._core, self._protocol)
        self._say(display.Init(1, PIXMAP_CACHE_PIXELS, 1, GLZ_WINDOW_PIXELS))
        self._clock.advance(SETTLING_SECONDS)
        self._began = time.monotonic() - self._clock.seconds()
        self.serve()
        self._first_message, self._first_byte = self._core.common.serial_sent, self._transport.taken_bytes

    @property
    def messages(self) -> int:
        """How many messages were handed over since the client came."""
        return self._core.common.serial_sent - self._first_message

    @property
    def bytes_sent(self) -> int:
        """How many bytes they had, with headers."""
        return self._transport.taken_bytes - self._first_byte

    @property
    def images_by_codec(self) -> dict[str, int]:
        """How many images went out as what; ``from_cache`` and ``surface`` have no pixels."""
        counts = self._core.tally.images
        return {kind.name.lower(): counts[kind] for kind in ImageType if counts[kind]}

    @property
    def idle(self) -> bool:
        """Whether all that was drawn has been encoded and handed over."""
        return self._core.idle and not self._workers.under_way and not self._core.pending_bytes

    def serve(self) -> None:
        """Let the client acknowledge, and go on with what workers have done."""
        self._follow_clock()
        self._acknowledge()
        while self._workers.deliver():
            self._acknowledge()

    def wait(self) -> None:
        """Go on until the client is idle; raises :class:`GuestError` if it does not come to that."""
        progress, since = -1, 0.0
        while True:
            self.serve()
            if self.idle:
                return
            now = time.monotonic()
            if self._core.common.serial_sent != progress:
                progress, since = self._core.common.serial_sent, now
            elif now - since > STUCK_SECONDS:
                raise GuestError(f"nothing was handed over for {STUCK_SECONDS:.0f} seconds")
            if self._workers.under_way:
                self._workers.deliver(STUCK_SECONDS)
            else:
                time.sleep(0.001)  # for a timer

    def close(self) -> None:
        """End the threads."""
        self._workers.close()

    def _follow_clock(self) -> None:
        passed = time.monotonic() - self._began - self._clock.seconds()
        if passed > 0.001:
            self._clock.advance(passed)

    def _acknowledge(self) -> None:
        """Say what a client says that has read everything."""
        common = self._core.common
        if common.ack_generation != self._generation:
            self._generation = common.ack_generation
            self._acknowledged = common.serial_sent
            self._say(base.AckSync(self._generation))
        if common.ping_id != self._pinged:
            self._pinged = common.ping_id
            self._say(base.Pong(self._pinged, 0))
        while common.serial_sent - self._acknowledged >= common.ack_window:
            self._acknowledged += common.ack_window
            self._say(base.Ack())

    def _say(self, message: Any) -> None:
        self._protocol.dataReceived(b"".join(frame(message, True, 0)))


def _no_guest(kind: str) -> Any:
    raise GuestError("nobody asks for a guest here")
