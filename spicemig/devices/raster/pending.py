# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rasteriser: commands wait at their surface until somebody needs pixels.

What waits for a surface is drawn when the surface is looked at, and before
anything is drawn on a surface that a waiting command reads. So a waiting command
finds its sources as they were when it was given. An opaque command drops those
before it that it hides. A command that cannot be drawn is left out; the guest
that gave it may be hostile, and nobody else must suffer for it.
"""

from __future__ import annotations

import struct
from typing import Any

from twisted.logger import Logger

from spicemig.devices.drawables import Drawable, Effect
from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.opaque import is_opaque
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.surfaces import Surface
from spicemig.errors import WireError
from spicemig.wire.messages.display import CopyBits

WAITING_LIMIT = 1024  # commands of one surface; over this they are drawn
WAITING_BYTES_LIMIT = 128 * 1024 * 1024  # of image data that all waiting commands hold
LOOK_BACK = 32  # how many earlier commands an opaque one looks at

# all that bad data can make an operation raise
BAD_DATA = (ValueError, ArithmeticError, LookupError, struct.error, WireError)

_log = Logger()


class _Waiting:
    """A command that was not drawn yet."""

    __slots__ = ("box", "data_bytes", "drawable", "message", "reads", "reads_itself")

    def __init__(self, drawable: Drawable) -> None:
        self.drawable = drawable
        self.message: Any = None  # unless somebody had to open it
        self.box = Box(drawable.left, drawable.top, drawable.right, drawable.bottom)
        images = [image for _offset, image in drawable.fixups()]
        self.data_bytes = sum(len(image.data) for image in images)
        sources = {image.surface for image in images if image.surface is not None}
        self.reads_itself = drawable.number == CopyBits.number or drawable.surface in sources
        self.reads = sources - {drawable.surface}


class Raster:
    """Surfaces and what waits to be drawn on them."""

    def __init__(self) -> None:
        self.surfaces: dict[int, Surface] = {}
        self._waiting: dict[int, list[_Waiting]] = {}
        self._held_bytes: dict[int, int] = {}  # by what waits for a surface
        self._readers: dict[int, set[int]] = {}  # surface -> those whose waiting commands read it
        self._left_out = 0  # commands that could not be drawn

    def add_surface(self, surface: Surface) -> None:
        """From now on there is this surface."""
        self.surfaces[surface.id] = surface
        self._waiting[surface.id] = []
        self._held_bytes[surface.id] = 0

    def remove_surface(self, surface_id: int) -> None:
        """Forget a surface; what was drawn from it is drawn before."""
        self._draw_readers_of(surface_id)
        del self.surfaces[surface_id]
        del self._waiting[surface_id]
        del self._held_bytes[surface_id]
        for readers in self._readers.values():
            readers.discard(surface_id)

    def add(self, drawable: Drawable) -> None:
        """Keep a command for its surface, which must exist."""
        command = _Waiting(drawable)
        self._draw_readers_of(drawable.surface)
        for source in command.reads:
            self._draw_if_it_reads(source)
        waiting = self._waiting[drawable.surface]
        if drawable.effect == Effect.OPAQUE and self._is_opaque(command):
            self._drop_hidden(drawable.surface, command)
        waiting.append(command)
        self._held_bytes[drawable.surface] += command.data_bytes
        for surface_id in command.reads:
            self._readers.setdefault(surface_id, set()).add(drawable.surface)
        if len(waiting) > WAITING_LIMIT:
            self.render(drawable.surface)
        elif command.data_bytes and sum(self._held_bytes.values()) > WAITING_BYTES_LIMIT:
            self.render_all()

    def waiting(self, surface_id: int) -> int:
        """How many commands wait for this surface."""
        return len(self._waiting[surface_id])

    def render(self, surface_id: int) -> Surface:
        """Draw what waits for this surface; its pixels are then current."""
        surface = self.surfaces[surface_id]
        waiting, self._waiting[surface_id] = self._waiting[surface_id], []
        self._held_bytes[surface_id] = 0
        for command in waiting:
            for source in command.reads:
                if source in self.surfaces:
                    self.render(source)
            self._draw(surface, command)
        for readers in self._readers.values():
            readers.discard(surface_id)
        return surface

    def render_all(self) -> None:
        """Draw everything that waits."""
        for surface_id in self.surfaces:
            self.render(surface_id)

    def _is_opaque(self, command: _Waiting) -> bool:
        """Whether a command that says so is opaque; if it is not, it says so no more."""
        try:
            command.message = command.drawable.message()
            opaque = is_opaque(command.message, self.surfaces[command.drawable.surface], self.surfaces)
        except BAD_DATA:
            opaque = False
        if not opaque:
            command.drawable.correct_effect(Effect.BLEND)
        return opaque

    def _draw(self, surface: Surface, command: _Waiting) -> None:
        try:
            message = command.message or command.drawable.message()
            operation = OPERATIONS.get(type(message))
            if operation is None:
                raise ValueError("there is no operation for it")
            operation(surface, message, self.surfaces)
        except BAD_DATA as error:
            self._left_out += 1
            if self._left_out.bit_count() == 1:  # seldomer the more there are
                _log.warn(
                    "a command ({number}) is not drawn: {error} ({count} so far)",
                    number=command.drawable.number,
                    error=error,
                    count=self._left_out,
                )

    def _draw_if_it_reads(self, surface_id: int) -> None:
        """Draw what waits for a surface if that reads others, so that there are no long chains."""
        if any(surface_id in readers for readers in self._readers.values()):
            self.render(surface_id)

    def _draw_readers_of(self, surface_id: int) -> None:
        for reader in self._readers.pop(surface_id, ()):
            if reader != surface_id:
                self.render(reader)

    def _drop_hidden(self, surface_id: int, command: _Waiting) -> None:
        """Drop what nothing is left of once this opaque command is drawn."""
        waiting = self._waiting[surface_id]
        left, top, right, bottom = command.box
        last = len(waiting) - 1
        for index in range(last, max(last - LOOK_BACK, -1), -1):
            earlier = waiting[index]
            its_left, its_top, its_right, its_bottom = earlier.box
            if left <= its_left and top <= its_top and right >= its_right and bottom >= its_bottom:
                del waiting[index]
                self._held_bytes[surface_id] -= earlier.data_bytes
            elif earlier.reads_itself:
                break  # what comes before may be what this one reads
