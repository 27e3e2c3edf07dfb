# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rasteriser: commands wait at their surface until somebody needs pixels.

What waits for a surface is drawn when the surface is looked at, and before
anything is drawn on a surface that a waiting command reads. So a waiting command
finds its sources as they were when it was given. An opaque command drops those
before it that it hides.
"""

from __future__ import annotations

from twisted.logger import Logger

from spicemig.devices.drawables import Drawable, Effect
from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.surfaces import Surface
from spicemig.wire.enums import ClipType
from spicemig.wire.messages.display import CopyBits

WAITING_LIMIT = 1024  # commands of one surface; over this they are drawn
WAITING_BYTES_LIMIT = 64 * 1024 * 1024  # of image data that the commands of one surface hold
LOOK_BACK = 64  # how many earlier commands an opaque one looks at

_CLIP_TYPE_OFFSET = 20  # in the body of every drawing message, behind surface id and box

_log = Logger()


class _Waiting:
    """A command that was not drawn yet."""

    __slots__ = ("box", "data_bytes", "drawable", "reads", "reads_itself")

    def __init__(self, drawable: Drawable) -> None:
        self.drawable = drawable
        self.box = Box(drawable.left, drawable.top, drawable.right, drawable.bottom)
        images = [image for _offset, image in drawable.fixups()]
        self.data_bytes = sum(len(image.data) for image in images)
        sources = {image.surface for image in images if image.surface is not None}
        self.reads_itself = drawable.number == CopyBits.number or drawable.surface in sources
        self.reads = sources - {drawable.surface}

    def hides(self, other: _Waiting) -> bool:
        """Whether nothing of ``other`` is left once this one is drawn."""
        return self.box.covers(other.box)

    @property
    def is_opaque(self) -> bool:
        """Whether every pixel of the box gets a value that does not depend on what is there."""
        drawable = self.drawable
        return (
            drawable.effect == Effect.OPAQUE
            and not self.reads_itself
            and drawable.body[_CLIP_TYPE_OFFSET] == ClipType.NONE
        )


class Raster:
    """Surfaces and what waits to be drawn on them."""

    def __init__(self) -> None:
        self.surfaces: dict[int, Surface] = {}
        self._waiting: dict[int, list[_Waiting]] = {}
        self._held_bytes: dict[int, int] = {}  # by what waits for a surface
        self._readers: dict[int, set[int]] = {}  # surface -> those whose waiting commands read it

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
        waiting = self._waiting[drawable.surface]
        if command.is_opaque:
            self._drop_hidden(drawable.surface, command)
        waiting.append(command)
        self._held_bytes[drawable.surface] += command.data_bytes
        for surface_id in command.reads:
            self._readers.setdefault(surface_id, set()).add(drawable.surface)
        if len(waiting) > WAITING_LIMIT or self._held_bytes[drawable.surface] > WAITING_BYTES_LIMIT:
            self.render(drawable.surface)

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
            self._draw(surface, command.drawable)
        for readers in self._readers.values():
            readers.discard(surface_id)
        return surface

    def render_all(self) -> None:
        """Draw everything that waits."""
        for surface_id in self.surfaces:
            self.render(surface_id)

    def _draw(self, surface: Surface, drawable: Drawable) -> None:
        message = drawable.message()
        operation = OPERATIONS.get(type(message))
        if operation is None:
            _log.warn("{message} is not drawn: no operation for it", message=type(message).__name__)
            return
        try:
            operation(surface, message, self.surfaces)
        except ValueError as error:  # a guest's mistake costs it this one command
            _log.warn("{message} is not drawn: {error}", message=type(message).__name__, error=error)

    def _draw_readers_of(self, surface_id: int) -> None:
        for reader in self._readers.pop(surface_id, ()):
            if reader != surface_id:
                self.render(reader)

    def _drop_hidden(self, surface_id: int, command: _Waiting) -> None:
        waiting = self._waiting[surface_id]
        for index in range(len(waiting) - 1, max(len(waiting) - 1 - LOOK_BACK, -1), -1):
            earlier = waiting[index]
            if command.hides(earlier):
                del waiting[index]
                self._held_bytes[surface_id] -= earlier.data_bytes
            elif earlier.reads_itself:
                break  # what comes before may be what this one reads
