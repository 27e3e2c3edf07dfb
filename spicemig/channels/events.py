# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What channel cores tell the session, named after what happened.

Source: the client's messages in spice.proto that are not the core's own business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Event:
    """Something that happened on a channel."""

    __slots__ = ()


# every channel


@dataclass(frozen=True, slots=True)
class WindowOpened(Event):
    """The client acknowledged enough, or the transport drained: what waited may be sent."""


@dataclass(frozen=True, slots=True)
class LatencyMeasured(Event):
    """A ping came back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ClientDead(Event):
    """The client left a ping unanswered and said nothing else for too long."""


@dataclass(frozen=True, slots=True)
class ClientDisconnecting(Event):
    """The client says that it is about to go."""

    reason: int


@dataclass(frozen=True, slots=True)
class FlushMarkReceived(Event):
    """The client has said its last on this channel; hand over its state now."""


@dataclass(frozen=True, slots=True)
class MigrateDataReceived(Event):
    """The client brought a block from the source."""

    block: bytes


# main


@dataclass(frozen=True, slots=True)
class MigrateConnected(Event):
    """The invited client is linked to the target on all its channels."""

    seamless: bool


@dataclass(frozen=True, slots=True)
class MigrateConnectFailed(Event):
    """The invited client could not link to the target."""


@dataclass(frozen=True, slots=True)
class DoSeamless(Event):
    """An arriving client asks the target for a seamless migration."""

    version: int


@dataclass(frozen=True, slots=True)
class MigrateEnded(Event):
    """An arriving client came over without its state: serve it afresh."""


@dataclass(frozen=True, slots=True)
class ChannelsAsked(Event):
    """The client was given the list of channels."""


@dataclass(frozen=True, slots=True)
class MouseModeAsked(Event):
    """The client would like this mouse mode."""

    mode: int


@dataclass(frozen=True, slots=True)
class AgentStarted(Event):
    """The client is ready to talk to the agent and gave it these tokens."""

    tokens: int


@dataclass(frozen=True, slots=True)
class AgentData(Event):
    """A chunk of an agent message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AgentTokens(Event):
    """The client takes so many more chunks from the agent."""

    count: int


# inputs


@dataclass(frozen=True, slots=True)
class KeyDown(Event):
    """A key went down; ``code`` holds up to four bytes of PC set 1, the first lowest."""

    code: int


@dataclass(frozen=True, slots=True)
class KeyUp(Event):
    """A key went up; ``code`` as the client sends it, with the release bit."""

    code: int


@dataclass(frozen=True, slots=True)
class KeyModifiers(Event):
    """The client wants these lock keys to be on."""

    mask: int


@dataclass(frozen=True, slots=True)
class PointerMoved(Event):
    """Relative motion in pixels."""

    dx: int
    dy: int
    buttons: int


@dataclass(frozen=True, slots=True)
class PointerSet(Event):
    """Absolute position in pixels on a display."""

    x: int
    y: int
    buttons: int
    display: int


@dataclass(frozen=True, slots=True)
class ButtonPressed(Event):
    """A mouse button or wheel step went down; ``buttons`` is the mask after it."""

    button: int
    buttons: int


@dataclass(frozen=True, slots=True)
class ButtonReleased(Event):
    """It went up."""

    button: int
    buttons: int


# display


@dataclass(frozen=True, slots=True)
class DisplayInitialised(Event):
    """The client said what it keeps; it can be shown things now."""

    pixmap_cache_id: int = 0
    pixmap_cache_pixels: int = 0
    glz_dictionary_id: int = 0
    glz_window_pixels: int = 0


@dataclass(frozen=True, slots=True)
class EncodeNeeded(Event):
    """Images wait for an encoder."""

    job: Any


@dataclass(frozen=True, slots=True)
class PreferredVideoCodecs(Event):
    """The client would like video in these codecs, best first."""

    codecs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PreferredCompression(Event):
    """The client would like this image compression mode."""

    mode: int
