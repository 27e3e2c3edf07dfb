# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a client's channels tell their session, named after what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spicemig.client.canvas import Box


class Event:
    """Anything that happened."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Initialised(Event):
    """The server took us for a new client; ``init`` is main's ``Init``."""

    init: Any


@dataclass(frozen=True, slots=True)
class ChannelsListed(Event):
    """The server's channels, as (type, id)."""

    channels: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class MouseModeChanged(Event):
    """Which modes the server can and which it uses (MouseMode)."""

    supported: int
    current: int


@dataclass(frozen=True, slots=True)
class ClockSet(Event):
    """The multimedia clock, in milliseconds."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Noticed(Event):
    """The server has something to say."""

    severity: int
    text: str


@dataclass(frozen=True, slots=True)
class ServerLeaving(Event):
    """The server says that it is about to close the channel, and why (a link error)."""

    reason: int


@dataclass(frozen=True, slots=True)
class PictureChanged(Event):
    """Pixels of a surface were drawn."""

    surface_id: int
    box: Box


@dataclass(frozen=True, slots=True)
class SurfaceCreated(Event):
    """There is a new surface."""

    surface_id: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SurfaceDestroyed(Event):
    """A surface is gone."""

    surface_id: int


@dataclass(frozen=True, slots=True)
class Marked(Event):
    """The primary surface is to be shown."""


@dataclass(frozen=True, slots=True)
class MonitorsChanged(Event):
    """The heads, as the server's ``MonitorsConfig``."""

    config: Any


@dataclass(frozen=True, slots=True)
class ModifiersChanged(Event):
    """The lock keys at the server."""

    mask: int


@dataclass(frozen=True, slots=True)
class CursorChanged(Event):
    """Shape, place or visibility of the cursor; read them from the cursor channel."""


@dataclass(frozen=True, slots=True)
class WaitAsked(Event):
    """The channel stands still until the named ones have come to a serial."""


@dataclass(frozen=True, slots=True)
class MigrateBegun(Event):
    """The server asks to link to another host; ``version`` is None unless seamless."""

    destination: Any
    version: int | None

    @property
    def seamless(self) -> bool:
        """Whether state is to be carried."""
        return self.version is not None


@dataclass(frozen=True, slots=True)
class SeamlessAnswered(Event):
    """The target agrees to a seamless migration, or does not."""

    agreed: bool


@dataclass(frozen=True, slots=True)
class MigrateCancelled(Event):
    """The source goes on; forget the target."""


@dataclass(frozen=True, slots=True)
class MigrateEnded(Event):
    """Semi-seamless: go to the target now."""


@dataclass(frozen=True, slots=True)
class SwitchHostAsked(Event):
    """Connect afresh to another host."""

    destination: Any


@dataclass(frozen=True, slots=True)
class SwapAsked(Event):
    """The channel is ready for the target's connection; ``block`` is its migrate data, if any."""

    block: bytes | None


@dataclass(frozen=True, slots=True)
class Moved(Event):
    """The session lives on another host now. ``how``: seamless, semi-seamless or switch-host."""

    host: str
    how: str


@dataclass(frozen=True, slots=True)
class LinkedToTarget(Event):
    """All channels are linked to the target, or (``connected`` false) they will not be."""

    connected: bool
    seamless: bool


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """A channel was lost; for the main channel this ends the session."""

    channel: str
    channel_id: int
    reason: str
