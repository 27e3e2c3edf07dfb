# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the device shows while a display channel's state is still on its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spicemig.channels.display import DisplayCore
from spicemig.devices.drawables import Batch

MAX_BATCHES = 512
MAX_BYTES = 64 * 1024 * 1024  # of pixels and commands that the batches hold
MAX_COMMANDS = 4096  # surfaces made and destroyed, heads moved; no guest does that many in a handover

Show = Callable[[DisplayCore], None]


class Backlog:
    """
    Keeps what is shown, in order, for a display that cannot take it yet.

    Batches that are too much to keep are given up: then all surfaces are painted anew.
    """

    def __init__(self) -> None:
        self._shows: list[tuple[Show, bool]] = []  # and whether it is a batch
        self._batches = 0
        self._bytes = 0
        self._repaint = False

    @property
    def full(self) -> bool:
        """Whether not even commands can be kept any more."""
        return len(self._shows) - self._batches > MAX_COMMANDS

    def command(self, show: Show) -> None:
        """Something other than drawing; never given up."""
        self._shows.append((show, False))

    def drawables(self, batch: Batch) -> None:
        """A batch."""
        if self._repaint:
            return
        self._shows.append((lambda core: core.drawables(batch), True))
        self._batches += 1
        self._bytes += len(batch.records) + sum(len(image.data) for image in batch.images)
        if self._batches > MAX_BATCHES or self._bytes > MAX_BYTES:
            self._shows = [each for each in self._shows if not each[1]]
            self._batches = self._bytes = 0
            self._repaint = True

    def feed(self, core: DisplayCore, device: Any) -> None:
        """Show it all to a display that has its state now."""
        for show, _is_batch in self._shows:
            show(core)
        if self._repaint:
            for surface in device.surfaces():
                core.repaint(device.render(surface.id))
