# SPDX-License-Identifier: LGPL-2.1-or-later
"""A trace in memory: all that its player asks of a device, to be asked of another one later."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from spicemig.devices.drawables import Batch
from spicemig.devices.surfaces import Surface
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.source import TraceError

LARGE_RECORD_BYTES = 64 * 1024  # of a trace; with pauses, such a command is the last one of its batch
BURST_BATCH_BYTES = 64 << 20  # of image data; without pauses only the number of commands ends a batch


class Preloaded:
    """
    The calls of a device that a trace amounts to, with drawings in batches as guests give them.

    ``reader`` is a :class:`TraceReader`. With ``pauses`` a batch ends behind every
    command whose record is large; without, it is as large as can be, as a guest's is
    that does not wait. ``trouble`` says where and why the trace could not be read any
    further, "" if it could. Playing it uses it up, so that what was played can be given
    back.
    """

    def __init__(self, reader: Any, until: int | None = None, *, pauses: bool = True) -> None:
        self._calls: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._surfaces: dict[int, Surface] = {}
        self.trouble = ""
        player = Player(self) if pauses else Player(self, BURST_BATCH_BYTES)
        self.by_type, self.not_drawn = player.by_type, player.not_drawn
        try:
            while until is None or reader.commands < until:
                offset = reader.offset
                record = reader.next()
                if record is None:
                    break
                player.play(record)
                if pauses and reader.offset - offset >= LARGE_RECORD_BYTES:
                    player.flush()
        except TraceError as error:
            self.trouble = str(error)
        player.flush()

    def __len__(self) -> int:
        return len(self._calls)

    def play(self, device: Any) -> Iterator[None]:
        """Ask a device; yields after every call."""
        while self._calls:
            method, arguments = self._calls.popleft()
            getattr(device, method)(*arguments)
            yield

    # what the player takes for a device

    def draw(self, batch: Batch) -> None:
        """Remember a batch."""
        self._add("draw", batch)

    def create_surface(self, id: int, width: int, height: int, format: int) -> None:
        """Remember a new surface."""
        self._surfaces[id] = Surface(id, width, height, format)  # ValueError: not one for the device either
        self._add("create_surface", id, width, height, format)

    def destroy_surface(self, id: int) -> None:
        """Remember that a surface goes."""
        self._surfaces.pop(id, None)
        self._add("destroy_surface", id)

    def set_monitors(self, config: Any) -> None:
        """Remember heads."""
        self._add("set_monitors", config)

    def cursor_command(self, command: Any) -> None:
        """Remember a command of the cursor."""
        self._add("cursor_command", command)

    def surfaces(self) -> list[Surface]:
        """Those that there are up to here."""
        return sorted(self._surfaces.values(), key=lambda surface: surface.id)

    def _add(self, method: str, *arguments: Any) -> None:
        self._calls.append((method, arguments))
