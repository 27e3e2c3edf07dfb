# SPDX-License-Identifier: LGPL-2.1-or-later
"""A handover for any number of people who want to know how it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

Follower = Callable[[dict[str, Any]], None]


class Followed:
    """
    One handover of this host, under way or ended.

    ``handover`` is the source's core; its events are kept for those who come late.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.handover: Any = None
        self.events: list[dict[str, Any]] = []
        self._followers: list[Follower] = []
        self._waiting: list[Deferred[dict[str, Any]]] = []
        self._ended = False

    def happened(self, event: dict[str, Any]) -> None:
        """The handover tells something."""
        self.events.append(event)
        for follower in list(self._followers):
            follower(event)

    def ended(self, report: dict[str, Any]) -> None:
        """It is over."""
        self._ended = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(report)

    def subscribe(self, follower: Follower) -> Callable[[], None]:
        """Call ``follower`` with every further event; what is returned ends that."""
        self._followers.append(follower)
        return lambda: self._followers.remove(follower) if follower in self._followers else None

    def when_done(self) -> Deferred[dict[str, Any]]:
        """Fires with the report."""
        if self._ended:
            return succeed(self.report())
        waiting: Deferred[dict[str, Any]] = Deferred(lambda cancelled: self._waiting.remove(cancelled))
        self._waiting.append(waiting)
        return waiting

    @property
    def stage(self) -> str:
        """Where it is."""
        return self.handover.stage.value

    def report(self) -> dict[str, Any]:
        """How it went, or goes."""
        return self.handover.report()

    def cancel(self) -> bool:
        """Stop it if that is still possible; whether it was."""
        return self.handover.cancel()
