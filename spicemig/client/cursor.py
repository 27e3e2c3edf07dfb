# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's cursor channel: shape, place and visibility of the pointer.

Source: spice-gtk 0.42, channel-cursor.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from spicemig.client.caches import Cache
from spicemig.client.core import ClientChannel, handles
from spicemig.client.events import CursorChanged
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.enums import CursorFlags
from spicemig.wire.messages import cursor


@dataclass(frozen=True, slots=True)
class Shape:
    """A cursor as the server sent it; ``data`` depends on ``type`` (CursorType)."""

    unique: int
    type: int
    width: int
    height: int
    hot_spot_x: int
    hot_spot_y: int
    data: bytes


class CursorChannel(ClientChannel):
    """Yields :class:`CursorChanged`; the present state is in the attributes."""

    channel = "cursor"

    def __init__(self, *args, **named) -> None:
        super().__init__(*args, **named)
        self.cache: Cache[Shape] = Cache()
        self.shape: Shape | None = None
        self.visible = False
        self.x = 0
        self.y = 0
        self.trail = (0, 0)
        self.initialised = False

    def reset(self) -> None:
        """Forget the server's side; see :class:`ClientChannel`."""
        super().reset()
        self.cache.clear()
        self.shape = None
        self.initialised = False

    @handles(cursor.Init)
    def init(self, message):
        """The cursor of a fresh channel."""
        if self.initialised:
            raise ProtocolError(LinkError.INVALID_DATA, "a second cursor Init")
        self.cache.clear()
        self.initialised = True
        self.trail = (message.trail_length, message.trail_frequency)
        yield from self._set(message)

    @handles(cursor.Set)
    def set_cursor(self, message):
        """Another cursor."""
        self._require_init()
        yield from self._set(message)

    @handles(cursor.Move)
    def move(self, message):
        """It moved; and is visible."""
        self._require_init()
        self.x, self.y = message.position.x, message.position.y
        self.visible = True
        yield CursorChanged()

    @handles(cursor.Hide)
    def hide(self, message):
        """It is not to be seen."""
        self.visible = False
        yield CursorChanged()

    @handles(cursor.Trail)
    def trail_changed(self, message):
        """How long a trail it draws."""
        self.trail = (message.length, message.frequency)
        yield CursorChanged()

    @handles(cursor.Reset)
    def reset_cursor(self, message):
        """Back to the state before Init."""
        self.cache.clear()
        self.shape, self.visible, self.initialised = None, False, False
        yield CursorChanged()

    @handles(cursor.InvalOne)
    def inval_one(self, message):
        """One shape is not needed any more."""
        self.counters.invalidations += 1
        self.cache.remove(message.id)

    @handles(cursor.InvalAll)
    def inval_all(self, message):
        """No shape is."""
        self.counters.invalidations += 1
        self.cache.clear()

    def _require_init(self):
        if not self.initialised:
            raise ProtocolError(LinkError.INVALID_DATA, "a cursor message before Init")

    def _set(self, message):
        self.x, self.y = message.position.x, message.position.y
        self.shape = self._shape(message.cursor)
        self.visible = bool(message.visible) and self.shape is not None
        yield CursorChanged()

    def _shape(self, sent) -> Shape | None:
        if sent.flags & CursorFlags.NONE:
            return None
        header = sent.header
        if sent.flags & CursorFlags.FROM_CACHE:
            kept = self.cache.get(header.unique)
            if kept is None:
                raise ProtocolError(LinkError.INVALID_DATA, f"cursor {header.unique} was never sent")
            self.counters.cursors_from_cache += 1
            return kept
        shape = Shape(
            header.unique,
            int(header.type),
            header.width,
            header.height,
            header.hot_spot_x,
            header.hot_spot_y,
            bytes(sent.data),
        )
        self.counters.cursors_received += 1
        if sent.flags & CursorFlags.CACHE_ME:
            if header.unique in self.cache:
                self.counters.cursors_received_again += 1
            self.cache.put(header.unique, shape)
        return shape
