# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a client counts: per connection what came and went and when, and what a
good server should not have made it do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class Traffic:
    """
    One connection of one channel to one host; times are the clock's seconds.

    ``host`` is what the address was written as. Bytes count headers. A draw is
    any display message that changes pixels.
    """

    channel: str
    channel_id: int
    host: str
    started: float
    linked: float | None = None
    closed: float | None = None
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    first_message: float | None = None
    last_message: float | None = None
    first_draw: float | None = None
    last_draw: float | None = None
    draws: int = 0
    by_name: dict[str, int] = field(default_factory=dict)
    draw_times: list[float] = field(default_factory=list)
    # (time, bytes) of every message in; bounded by what a test or a demo lasts
    timeline: list[tuple[float, int]] = field(default_factory=list)

    @property
    def link_seconds(self) -> float | None:
        """From opening the connection to the accepted ticket."""
        return None if self.linked is None else self.linked - self.started

    def received(self, name: str, size_bytes: int, now: float) -> None:
        """A message came in."""
        self.messages_in += 1
        self.bytes_in += size_bytes
        if self.first_message is None:
            self.first_message = now
        self.last_message = now
        self.by_name[name] = self.by_name.get(name, 0) + 1
        if len(self.timeline) < TIMELINE_ENTRIES:
            self.timeline.append((now, size_bytes))

    def drew(self, now: float) -> None:
        """The message changed pixels."""
        self.draws += 1
        if self.first_draw is None:
            self.first_draw = now
        self.last_draw = now
        if len(self.draw_times) < TIMELINE_ENTRIES:
            self.draw_times.append(now)

    def bytes_between(self, begin: float, end: float) -> int:
        """How many bytes came in from ``begin`` up to, not including, ``end``."""
        return sum(size for when, size in self.timeline if begin <= when < end)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without the timeline."""
        lists = ("timeline", "draw_times")
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in lists}
        values["link_seconds"] = self.link_seconds
        return values


TIMELINE_ENTRIES = 1_000_000  # of one connection


@dataclass(slots=True)
class Move:
    """One handover as the client saw it; times are the clock's seconds."""

    begun: float
    source: str
    target: str
    how: str  # seamless, semi-seamless, switch-host; empty before it is known
    linked: float | None = None
    swapped: dict[str, float] = field(default_factory=dict)
    done: float | None = None
    before: Traffic | None = None  # of the first display channel
    after: Traffic | None = None

    @property
    def link_seconds(self) -> float | None:
        """How long it took to link all channels to the target."""
        return None if self.linked is None else self.linked - self.begun

    @property
    def pause_seconds(self) -> float | None:
        """From the source's last draw to the target's first, if both drew."""
        if self.before is None or self.after is None:
            return None
        if self.before.last_draw is None or self.after.first_draw is None:
            return None
        return self.after.first_draw - self.before.last_draw

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "source": self.source,
            "target": self.target,
            "how": self.how,
            "begun": self.begun,
            "linked": self.linked,
            "done": self.done,
            "swapped": self.swapped,
            "link_seconds": self.link_seconds,
            "pause_seconds": self.pause_seconds,
        }


@dataclass(slots=True)
class Counters:
    """What a whole client saw; a seamless handover leaves all of ``surprises`` as it was."""

    images_received: int = 0
    images_from_cache: int = 0
    images_received_again: int = 0  # the client had them in its cache
    invalidations: int = 0  # INVAL_LIST, INVAL_ALL_PIXMAPS and the like, cursor's too
    surfaces_created: int = 0
    surfaces_destroyed: int = 0
    cursors_received: int = 0
    cursors_from_cache: int = 0
    cursors_received_again: int = 0
    pings: int = 0
    acknowledgements: int = 0
    undrawn: dict[str, int] = field(default_factory=dict)  # draws this client does not know, by message
    notices: list[str] = field(default_factory=list)

    def surprises(self) -> dict[str, int]:
        """The counts that a seamless handover must not change."""
        names = (
            "images_received_again",
            "invalidations",
            "surfaces_created",
            "surfaces_destroyed",
            "cursors_received_again",
        )
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
