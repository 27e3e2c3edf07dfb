# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rasteriser: commands wait in a log until somebody needs pixels.

There is one log for all surfaces, in the order of the guest. When a surface is looked
at, the commands that it has to do with are taken out of the log, those that nobody needs
are dropped (hidden by later ones, or drawn on surfaces that are gone), and the rest are
drawn in order. So a command finds its sources as they were when it was given. A command
that cannot be drawn is left out; the guest that gave it may be hostile, and nobody else
must suffer for it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger

from spicemig.devices.drawables import Batch, Drawable
from spicemig.devices.raster.kernels import (
    cull_log,
    draw_log,
    mark_tiles,
    renumber_log,
    split_log,
    take_batch,
)
from spicemig.devices.raster.log import COMMAND, commands_of
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.surfaces import Surface
from spicemig.errors import GuestError, WireError

# There may be twice as many before anybody looks which of them are needed.
WAITING_LIMIT = 2048  # commands; if so many are needed, they are drawn
WAITING_BYTES_LIMIT = 12 * 1024 * 1024  # that their batches hold, and surfaces that are gone
WAITING_WORK_LIMIT = 1 << 24  # as Command.work has it; about 10 ms
FEW_BYTES = 4 * 1024 * 1024  # for which nobody looks

# all that bad data can make an operation raise
BAD_DATA = (ValueError, ArithmeticError, LookupError, struct.error, WireError)

_log = Logger()


class Raster:
    """Surfaces and what waits to be drawn on them."""

    def __init__(self) -> None:
        self.surfaces: dict[int, Surface] = {}
        self._places: list[Surface | None] = []  # also those that are gone but may be read
        self._place_of: dict[int, int] = {}  # by id
        self._gone = bytearray()  # a byte for each place: not 0 if its surface is gone
        self._gone_surfaces: dict[int, Surface] = {}  # by place
        self._free: list[int] = []
        self._commands = bytearray()
        self._batches: list[Batch] = []
        self._batch_bytes: list[int] = []
        self._held_bytes = 0
        self._work = 0
        self._needed = 0, 0  # of both, when somebody last looked who needs them
        self._left_out = 0  # commands that could not be drawn

    def add_surface(self, surface: Surface) -> None:
        """From now on there is this surface."""
        self.surfaces[surface.id] = surface
        if not self._free:
            self._free.append(len(self._places))
            self._places.append(None)
            self._gone.append(0)
        place = self._free.pop()
        self._places[place] = surface
        self._gone[place] = 0
        self._place_of[surface.id] = place

    def remove_surface(self, surface_id: int) -> None:
        """Forget a surface, which must exist; what was drawn from it stays."""
        surface = self.surfaces.pop(surface_id)
        place = self._place_of.pop(surface_id)
        if not self._commands:
            self._free_place(place)
            return
        self._gone[place] = 1
        self._gone_surfaces[place] = surface
        self._held_bytes += len(surface.pixels)
        self._keep_limits()

    def take(self, batch: Batch, dirty: Mapping[int, Any] | None = None) -> int:
        """
        Keep the commands of a batch, whose index is left with those that are possible.

        Returns how many were not, because there is no such surface to draw on or from. A
        command that says it is opaque, and is not, says so no more afterwards. ``dirty`` has
        :class:`DirtyTiles` to be marked. Raises ``GuestError`` for a batch that is damaged.
        """
        given = len(batch.index)
        try:
            commands, possible, held, work = take_batch(
                batch.records, batch.index, batch.images, self._places, self._place_of, len(self._batches)
            )
        except ValueError as error:
            raise GuestError(f"a batch is damaged: {error}") from error
        if possible is not None:
            batch.index = possible
        if commands:
            if dirty is not None:
                mark_tiles(commands, self._places, dirty)
            self._commands += commands
            self._batches.append(batch)
            self._batch_bytes.append(held)
            self._held_bytes += held
            self._work += work
            self._keep_limits()
        return given - len(batch.index)

    def waiting(self, surface_id: int) -> int:
        """How many commands would have to be drawn for this surface, were it looked at now."""
        place = self._place_of[surface_id]
        needed, _used, _work = cull_log(self._commands, self._gone)
        return sum(command.place == place for command in commands_of(needed))

    def render(self, surface_id: int) -> Surface:
        """Draw what waits for this surface; its pixels are then current."""
        surface = self.surfaces[surface_id]
        if self._commands:
            mine, rest = split_log(self._commands, len(self._places), self._place_of[surface_id])
            if mine:
                self._commands = bytearray(rest)
                self._draw(mine)
        return surface

    def render_all(self) -> None:
        """Draw everything that waits."""
        mine, self._commands = self._commands, bytearray()
        self._draw(mine)

    def _free_place(self, place: int) -> None:
        self._places[place] = None
        self._free.append(place)

    def _keep_limits(self) -> None:
        """Drop what nobody needs when there is much; draw when there still is."""
        needed_bytes, needed_work = self._needed
        if (
            len(self._commands) <= 2 * WAITING_LIMIT * COMMAND.size
            and self._held_bytes <= max(FEW_BYTES, 2 * needed_bytes)
            and self._work <= 2 * max(WAITING_WORK_LIMIT, needed_work)
        ):
            return
        needed, used, self._work = cull_log(self._commands, self._gone)
        self._commands = bytearray(needed)
        self._forget_unused(used)
        if (
            len(needed) > WAITING_LIMIT * COMMAND.size
            or self._held_bytes > WAITING_BYTES_LIMIT
            or self._work > WAITING_WORK_LIMIT
        ):
            self.render_all()
        self._needed = self._held_bytes, self._work

    def _forget_unused(self, used: bytes | bytearray) -> None:
        """Let go of batches that no command waits for, and of surfaces that are gone and not used."""
        numbers = renumber_log(self._commands, len(self._batches))
        self._batches = [self._batches[number] for number in numbers]
        self._batch_bytes = [self._batch_bytes[number] for number in numbers]
        self._held_bytes = sum(self._batch_bytes)
        for place, surface in list(self._gone_surfaces.items()):
            if place < len(used) and used[place]:
                self._held_bytes += len(surface.pixels)
            else:
                del self._gone_surfaces[place]
                self._free_place(place)

    def _draw(self, commands: bytes | bytearray) -> None:
        """Draw these, which are in the log no more."""
        needed, _used, _work = cull_log(commands, self._gone)

        def other(number: int) -> None:
            part = needed[number * COMMAND.size : (number + 1) * COMMAND.size]
            for command in commands_of(part):
                self._draw_one(command.batch, command.offset, command.place, command.reads)

        draw_log(needed, self._batches, self._places, other)
        if not self._commands:
            self._work = 0
            self._forget_unused(b"")

    def _draw_one(self, batch: int, offset: int, place: int, reads: tuple[int, ...]) -> None:
        """Open the message of a command, and draw it."""
        drawable = Drawable(self._batches[batch], offset)
        try:
            surface: Any = self._places[place]
            there: list[Any] = [surface, *(self._places[read] for read in reads)]
            message = drawable.message()
            operation = OPERATIONS.get(type(message))
            if operation is None:
                raise ValueError("there is no operation for it")
            operation(surface, message, {each.id: each for each in there})
        except BAD_DATA as error:
            self._left_out += 1
            if self._left_out.bit_count() == 1:  # seldomer the more there are
                _log.warn(
                    "a command ({number}) is not drawn: {error} ({count} so far)",
                    number=drawable.number,
                    error=error,
                    count=self._left_out,
                )
