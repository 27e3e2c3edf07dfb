# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes down what a device is given, as a trace that can be played again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from spicemig.devices.contents import memory_row, row_bytes
from spicemig.devices.cursor import CursorHide, CursorSet, CursorTrail
from spicemig.devices.interfaces import IDisplay
from spicemig.devices.surfaces import Surface
from spicemig.devices.trace.commands import HEAD, write_record
from spicemig.devices.trace.drawings import name_of
from spicemig.devices.trace.records import (
    Call,
    Contents,
    CreateSurface,
    DestroySurface,
    DeviceCall,
    Draw,
    Value,
)


class TraceWriter:
    """
    Gives out a trace, a record at a time.

    ``write`` is called with the bytes of whole records; ``seconds`` is the clock.
    """

    def __init__(self, write: Callable[[bytes], Any], seconds: Callable[[], float]) -> None:
        self._write = write
        self._seconds = seconds
        self._counter = 0
        write(HEAD.write())

    def add(self, *values: Value) -> None:
        """Some records, all of now."""
        time = int(self._seconds() * 1e9)
        pieces: list[bytes] = []
        for value in values:
            pieces += write_record(self._counter, time, value)
            self._counter += 1
        self._write(b"".join(pieces))


@implementer(IDisplay)
class Recorder:
    """
    A display of a device that writes all it is shown.

    The trace begins with the surfaces as they are. ``commands`` and ``bytes``
    count what was written.
    """

    def __init__(self, device: Any, write: Callable[[bytes], Any], seconds: Callable[[], float]) -> None:
        self.commands = 0
        self.bytes = 0
        self._device = device
        self._sink = write
        self._writer = TraceWriter(self._count, seconds)
        for surface in device.surfaces():
            self._writer.add(_described(device.render(surface.id), contents=True))
        self._write_cursor()
        device.add_display(self)

    def stop(self) -> None:
        """Write no more."""
        self._device.remove_display(self)

    def _count(self, data: bytes) -> None:
        self.bytes += len(data)
        self._sink(data)

    def _write_cursor(self) -> None:
        state = self._device.cursor_state()
        if state.trail_length or state.trail_frequency:
            self.cursor(CursorTrail(state.trail_length, state.trail_frequency))
        if state.shape is not None:
            self.cursor(CursorSet(state.x, state.y, state.visible, state.shape))
        if not state.visible:
            self.cursor(CursorHide())

    # IDisplay

    def surface_created(self, surface: Surface) -> None:
        self.commands += surface.id != 0  # the primary is made by a call, not by a command
        self._writer.add(_described(surface, contents=False))

    def surface_destroyed(self, surface_id: int) -> None:
        self.commands += surface_id != 0
        self._writer.add(DestroySurface(surface_id))

    def drawables(self, batch: Any) -> None:
        draws = []
        for drawable in batch:
            message = drawable.message()
            draws.append(Draw(name_of(message), message, drawable.effect, drawable.mm_time))
        self.commands += len(draws)
        self._writer.add(*draws)

    def cursor(self, command: Any) -> None:
        self.commands += 1
        self._writer.add(command)

    def monitors(self, config: Any) -> None:
        self._writer.add(DeviceCall(Call.MONITORS_CONFIG_ASYNC))


def _described(surface: Surface, *, contents: bool) -> CreateSurface:
    """The command that makes this surface."""
    return CreateSurface(
        surface.id,
        surface.width,
        surface.height,
        surface.format,
        _contents_of(surface) if contents else None,
    )


def _contents_of(surface: Surface) -> Contents:
    """The pixels in the layout that the surface's format has in a guest's memory."""
    rows = (
        memory_row(surface.format, bytes(surface.pixels[start : start + surface.stride]), surface.width)
        for start in range(0, len(surface.pixels), surface.stride)
    )
    return Contents(row_bytes(surface.format, surface.width), b"".join(rows))
