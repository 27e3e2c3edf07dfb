# SPDX-License-Identifier: LGPL-2.1-or-later
"""Something that is done with etcd again and again, whether etcd is there or not."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from spicemig.errors import EtcdError

FIRST_DELAY_SECONDS = 0.25  # while etcd is away; doubled each time
LAST_DELAY_SECONDS = 5.0


class Contact:
    """
    Takes a ``turn`` after the other.

    A turn says after how many seconds the next one is due, and calls :meth:`kept` as soon as
    it has got through to etcd. After one that raises :class:`EtcdError` the next ones come
    with growing delays. Loss and return are logged, and not the tries between.
    """

    log = Logger()

    def __init__(self, turn: Callable[[], Awaitable[float]], clock: Any) -> None:
        self._turn = turn
        self._clock = clock
        self.connected = False
        self.error = ""  # why it is not
        self._delay = FIRST_DELAY_SECONDS
        self._running: Deferred[None] | None = None
        self._due: Any = None  # the call of the next turn
        self._at_once = False  # it was woken in the middle of a turn

    def start(self) -> None:
        """Take the first turn."""
        self._take_turn()

    def stop(self) -> None:
        """Take no more turns."""
        running, self._running = self._running, None
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._due = None
        if running is not None:
            running.cancel()

    def wake(self) -> None:
        """Take the next turn now."""
        if self._due is not None and self._due.active():
            self._due.reset(0)
        else:
            self._at_once = True

    def kept(self, endpoint: str) -> None:
        """Etcd has answered."""
        self._delay = FIRST_DELAY_SECONDS
        if not self.connected:
            self.log.info("etcd answers at {endpoint}", endpoint=endpoint)
            self.connected, self.error = True, ""

    def _take_turn(self) -> None:
        self._at_once = False
        self._running = running = ensureDeferred(self._turn())

        def ended(result: Any) -> None:
            if self._running is running:
                self._running = None
                seconds = self._lost(result) if isinstance(result, Failure) else result
                self._due = self._clock.callLater(0 if self._at_once else seconds, self._take_turn)

        running.addBoth(ended)

    def _lost(self, failure: Failure) -> float:
        if self.connected or not self.error:
            if failure.check(EtcdError):
                self.log.warn("etcd is away: {error}", error=str(failure.value))
            else:
                self.log.failure("what etcd has answered cannot be taken", failure)
        self.connected, self.error = False, str(failure.value) or failure.type.__name__
        delay, self._delay = self._delay, min(2 * self._delay, LAST_DELAY_SECONDS)
        return delay * random.uniform(0.5, 1.0)
