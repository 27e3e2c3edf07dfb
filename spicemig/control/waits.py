# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a channel waits for, and since when.

Everything a channel can wait for is a :class:`Cause`; it can be read from the channel
at any time. Since when is known of those that are looked at again and again:
:class:`Watch` compares what it finds with what it found before. A channel is the core
of a server, or the pipe of a relay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """
    One thing that a channel can wait for.

    While ``progress`` of the channel stays the same, it is the same wait; ``since`` may know
    when it began, in seconds of the clock.
    """

    name: str
    help: str  # what is waited for, and what it means if it does not come
    holds: Callable[[Any], bool]
    details: Callable[[Any], str] = lambda channel: ""
    progress: Callable[[Any], Any] = lambda channel: None
    since: Callable[[Any], float | None] = lambda channel: None


@dataclass(frozen=True)
class Wait:
    """A channel that waits; ``since`` in seconds of the clock."""

    channel: Any
    cause: Cause
    since: float


class Watch:
    """
    Remembers since when channels wait.

    ``channels()`` gives those that there are, ``causes`` is what they can wait for. What
    began between two looks counts from the second one.
    """

    def __init__(
        self, channels: Callable[[], Iterable[Any]], causes: Iterable[Cause], seconds: Callable[[], float]
    ) -> None:
        self._channels = channels
        self._causes = tuple(causes)
        self._seconds = seconds
        self._seen: dict[tuple[Any, str], tuple[Any, float]] = {}  # progress, and since when

    def look(self) -> list[Wait]:
        """Everything that is waited for now, the longest first."""
        now = self._seconds()
        before, self._seen = self._seen, {}
        found = [
            self._note(channel, cause, before, now)
            for channel in self._channels()
            for cause in self._causes
            if cause.holds(channel)
        ]
        return sorted(found, key=lambda wait: wait.since)

    def _note(self, channel: Any, cause: Cause, before: dict[Any, Any], now: float) -> Wait:
        key, progress = (channel, cause.name), cause.progress(channel)
        was, since = before.get(key, (progress, now))
        if was != progress:
            since = now
        self._seen[key] = progress, since
        began = cause.since(channel)
        return Wait(channel, cause, since if began is None else began)
