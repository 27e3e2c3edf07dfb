# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Channels that can go on with a server that knows nothing of them.

Each keeps what it must of its client's state, and brings that in line when it
is renewed. A held key is let go of; sound begins anew.

Source: spice-gtk 0.42, channel-display.c, channel-cursor.c, channel-inputs.c,
for what a client makes of each message; spice-server 0.15.1, dcc.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any, ClassVar

from spicemig.relay.channel import ChannelRelay
from spicemig.relay.scan import Taken
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.messages import cursor, display, inputs, playback, record

PRIMARY = 0
MOTIONS_PER_ACK = 4  # SPICE_INPUT_MOTION_ACK_BUNCH


class DisplayRelay(ChannelRelay):
    """
    A display channel: the surfaces that the client has, and what it told of itself.

    A renewed channel keeps its primary surface if the new server's is as large, so that
    the user goes on to see it until it is drawn anew. GLZ is not used any more then, since
    the client's window has images of the server before, by the same numbers: the server is
    told of a window in which no image has room.
    """

    renewable = True
    _takers: ClassVar[dict[int, str]] = {
        **ChannelRelay._takers,
        display.SurfaceCreate.number: "_surface_create",
        display.SurfaceDestroy.number: "_surface_destroy",
    }
    taken_from_client: ClassVar[dict[int, str]] = {
        **ChannelRelay.taken_from_client,
        display.Init.number: "_init",
        display.PreferredCompression.number: "_preferred",
        display.PreferredVideoCodecType.number: "_preferred",
    }

    def __init__(self, channel: str, channel_id: int, mini: bool) -> None:
        super().__init__(channel, channel_id, mini)
        self._surfaces: dict[int, Any] = {}  # SurfaceCreate messages, by id
        self._stale_primary = False  # it is of the server before
        self._first: Any = None  # the client's INIT
        self._preferences: dict[int, Any] = {}  # messages, by number

    def _surface_create(self, taken: Taken) -> Iterator[Any]:
        surface = display.SurfaceCreate.unpack(taken.body)
        known = self._surfaces.get(surface.surface_id)
        self._surfaces[surface.surface_id] = surface
        stale = self._stale_primary and surface.surface_id == PRIMARY
        if stale:
            self._stale_primary = False
        if stale and surface == known:
            self.fill(taken)
        else:
            if stale:
                self.say(display.SurfaceDestroy(PRIMARY))
            self.pass_on(taken)
        yield from ()

    def _surface_destroy(self, taken: Taken) -> Iterator[Any]:
        self._surfaces.pop(display.SurfaceDestroy.unpack(taken.body).surface_id, None)
        self.pass_on(taken)
        yield from ()

    def _init(self, taken: Taken) -> None:
        self._first = display.Init.unpack(taken.body)
        self.pass_to_server(taken)

    def _preferred(self, taken: Taken) -> None:
        message = {
            each.number: each for each in (display.PreferredCompression, display.PreferredVideoCodecType)
        }[taken.number]
        self._preferences[taken.number] = message.unpack(taken.body)
        self.pass_to_server(taken)

    def tell_first(self, caps: frozenset[int]) -> None:
        self.say(display.StreamDestroyAll())
        for surface_id in [each for each in self._surfaces if each != PRIMARY]:
            del self._surfaces[surface_id]
            self.say(display.SurfaceDestroy(surface_id))
        self._stale_primary = PRIMARY in self._surfaces
        self.say(display.InvalAllPixmaps())
        self.say(display.InvalAllPalettes())
        if self._first is None:
            return  # the client will say it
        first = copy(self._first)
        first.glz_dictionary_window_size = 0
        self.tell_server(first)
        for number, cap in (
            (display.PreferredCompression.number, DisplayCap.PREF_COMPRESSION),
            (display.PreferredVideoCodecType.number, DisplayCap.PREF_VIDEO_CODEC_TYPE),
        ):
            if number in self._preferences and cap in caps:
                self.tell_server(self._preferences[number])


class InputsRelay(ChannelRelay):
    """An inputs channel: how many motions the client waits to have acknowledged."""

    renewable = True
    _takers: ClassVar[dict[int, str]] = {
        **ChannelRelay._takers,
        inputs.MouseMotionAck.number: "_acknowledged",
    }
    taken_from_client: ClassVar[dict[int, str]] = {
        **ChannelRelay.taken_from_client,
        inputs.MouseMotion.number: "_moved",
        inputs.MousePosition.number: "_moved",
    }

    def __init__(self, channel: str, channel_id: int, mini: bool) -> None:
        super().__init__(channel, channel_id, mini)
        self._motions = 0

    def _moved(self, taken: Taken) -> None:
        self._motions += 1
        self.pass_to_server(taken)

    def _acknowledged(self, taken: Taken) -> Iterator[Any]:
        self._motions -= MOTIONS_PER_ACK
        self.pass_on(taken)
        yield from ()

    def tell_first(self, caps: frozenset[int]) -> None:
        while self._motions >= MOTIONS_PER_ACK:
            self._motions -= MOTIONS_PER_ACK
            self.say(inputs.MouseMotionAck())
        self._motions = 0  # the rest is never acknowledged, and fewer than would stop a client


class CursorRelay(ChannelRelay):
    """A cursor channel; a client takes a second INIT only after RESET."""

    renewable = True

    def tell_first(self, caps: frozenset[int]) -> None:
        self.say(cursor.Reset())


class PlaybackRelay(ChannelRelay):
    """A playback channel."""

    renewable = True

    def tell_first(self, caps: frozenset[int]) -> None:
        self.say(playback.Stop())


class RecordRelay(ChannelRelay):
    """A record channel."""

    renewable = True

    def tell_first(self, caps: frozenset[int]) -> None:
        self.say(record.Stop())


KINDS: dict[str, type[ChannelRelay]] = {
    "display": DisplayRelay,
    "inputs": InputsRelay,
    "cursor": CursorRelay,
    "playback": PlaybackRelay,
    "record": RecordRelay,
}
