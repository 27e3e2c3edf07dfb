# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The cursor channel: what the guest's cursor looks like and where it is.

Source: spice.proto, CursorChannel; spice-server 0.15.1, cursor-channel.cpp;
spice-gtk 0.42, channel-cursor.c.
"""

from __future__ import annotations

from typing import Any

from spicemig.channels.core import ChannelCore
from spicemig.channels.cursor_cache import CURSOR_CACHE_SIZE, CachedIds, CursorCache
from spicemig.errors import WireError
from spicemig.state import carried, session_state
from spicemig.wire.declare import u8, u16
from spicemig.wire.drawing import Cursor, CursorHeader, Point16
from spicemig.wire.enums import CursorFlags
from spicemig.wire.messages import cursor

# A command makes those pointless that wait before it and have the same effect or less. They
# are known by name, as channels do not import devices.
REPLACES = {
    "CursorSet": {"CursorSet", "CursorMove", "CursorHide"},
    "CursorMove": {"CursorMove", "CursorHide"},
    "CursorHide": {"CursorMove", "CursorHide"},
    "CursorTrail": {"CursorTrail"},
    "CursorReset": {"CursorSet", "CursorMove", "CursorHide", "CursorTrail", "CursorReset"},
}


@session_state(magic=b"SMCU", version=1)
class CursorState:
    """What a cursor channel knows of its client."""

    initialised: u8 = carried(default=0)  # it has a cursor to move since Init or Reset
    visible: u8 = carried(default=0)
    trail_length: u16 = carried(default=0)
    trail_frequency: u16 = carried(default=0)
    cached_ids: CachedIds = carried(factory=list)


class CursorCore(ChannelCore):
    """
    The server's side of one cursor channel.

    Commands wait while the client is too far behind or its state is on its way;
    as later ones replace earlier ones there are never more than four.
    """

    channel = "cursor"
    state_type = CursorState
    uses_acks = True

    def __init__(self, state: Any = None, **channel: Any) -> None:
        super().__init__(state, **channel)
        self.client_leads = False  # in client mouse mode the client moves its cursor itself
        self._cache = CursorCache(self.state.cached_ids)
        self._pending: list[Any] = []

    def check(self, state: Any) -> None:
        ids = state.cached_ids
        if len(ids) > CURSOR_CACHE_SIZE or len(set(ids)) != len(ids):
            raise WireError("CursorState", "cached_ids", -1, "not what a cursor cache can hold")

    def restored(self) -> None:
        self._cache = CursorCache(self.state.cached_ids)
        self._send_pending()

    def init(self, shown: Any) -> None:
        """Show a new client the present cursor, a :class:`spicemig.devices.cursor.CursorState`."""
        self._pending.clear()
        self.state.trail_length, self.state.trail_frequency = shown.trail_length, shown.trail_frequency
        self._send_init(shown)

    @property
    def waiting(self) -> int:
        """How many commands wait for the client."""
        return len(self._pending)

    def command(self, command: Any) -> None:
        """Take one of the commands of :mod:`spicemig.devices.cursor`."""
        replaced = REPLACES[type(command).__name__]
        self._pending = [waiting for waiting in self._pending if type(waiting).__name__ not in replaced]
        self._pending.append(command)
        if self.window_open:
            self._send_pending()

    def window_opened(self) -> None:
        self._send_pending()

    def freeze(self) -> None:
        """What waits is sent off; the target begins with nothing waiting."""
        super().freeze()
        self._send_pending()

    def _send_pending(self) -> None:
        pending, self._pending = self._pending, []
        for command in pending:
            getattr(self, f"_send_{type(command).__name__}")(command)

    def _send_init(self, shown: Any) -> None:
        self._cache.clear()
        self.state.initialised = 1
        self.state.visible = int(shown.visible)
        self.send(
            cursor.Init(
                position=Point16(shown.x, shown.y),
                trail_length=self.state.trail_length,
                trail_frequency=self.state.trail_frequency,
                visible=self.state.visible,
                cursor=self._cursor(shown.shape),
            )
        )

    def _send_CursorSet(self, command: Any) -> None:
        if not self.state.initialised:
            self._send_init(command)
            return
        self.state.visible = int(command.visible)
        packed = self._cursor(command.shape)
        self.send(cursor.Set(Point16(command.x, command.y), self.state.visible, packed))
        if not command.visible:
            self.send(cursor.Hide())  # spice-gtk shows what is set, visible or not

    def _send_CursorMove(self, command: Any) -> None:
        if self.state.initialised and not (self.client_leads and self.state.visible):
            self.state.visible = 1
            self.send(cursor.Move(Point16(command.x, command.y)))

    def _send_CursorHide(self, command: Any) -> None:
        if self.state.visible:
            self.state.visible = 0
            self.send(cursor.Hide())

    def _send_CursorTrail(self, command: Any) -> None:
        self.state.trail_length, self.state.trail_frequency = command.length, command.frequency
        if self.state.initialised:
            self.send(cursor.Trail(command.length, command.frequency))

    def _send_CursorReset(self, command: Any) -> None:
        # the client forgets everything and takes no command before the next Init
        self._cache.clear()
        self.state.initialised = self.state.visible = 0
        self.state.trail_length = self.state.trail_frequency = 0
        self.send(cursor.Reset())

    def _cursor(self, shape: Any) -> Cursor:
        """The shape for this client: nothing but its name, if the client has it."""
        if shape is None:
            return Cursor(flags=CursorFlags.NONE)
        header = CursorHeader(
            shape.unique, shape.type, shape.width, shape.height, shape.hot_spot_x, shape.hot_spot_y
        )
        if not shape.unique:
            return Cursor(CursorFlags(0), header, shape.data)
        if self._cache.use(shape.unique):
            return Cursor(CursorFlags.FROM_CACHE, header)
        forgotten = self._cache.add(shape.unique)
        if forgotten is not None:
            self.send(cursor.InvalOne(forgotten))
        return Cursor(CursorFlags.CACHE_ME, header, shape.data)
