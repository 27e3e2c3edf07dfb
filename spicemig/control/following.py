# SPDX-License-Identifier: LGPL-2.1-or-later
"""A handover for any number of people who want to know how it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed

Follower = Callable[[dict[str, Any]], None]


class Followed:
    """
    A handover of this host, under way or ended, for those who ask about it.

    ``handover`` is the source's core; this is its observer.
    """

    def __init__(self) -> None:
        self.handover: Any = None  # set when it has been started
        self._followers: list[Follower] = []
        self._waiting: list[Deferred[dict[str, Any]]] = []

    def happened(self, event: dict[str, Any]) -> None:
        """The handover tells something."""
        for follower in list(self._followers):
            follower(event)
        if event["event"] == "end":
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(self.report())

    @property
    def id(self) -> str:
        """Its migration id."""
        return self.handover.migration_id.hex()

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened so far."""
        return [event for event in self.handover.events if event["event"] != "end"]

    def subscribe(self, follower: Follower) -> Callable[[], None]:
        """Call ``follower`` with every further event; what is returned ends that."""
        self._followers.append(follower)
        return lambda: self._followers.remove(follower) if follower in self._followers else None

    def when_done(self) -> Deferred[dict[str, Any]]:
        """Fires with the report."""
        if self.handover.ended:
            return succeed(self.report())
        waiting: Deferred[dict[str, Any]] = Deferred(self._waiting.remove)
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
