# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes down what a device is given, as a trace that can be played again."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from spicemig.devices.cursor import CursorHide, CursorSet, CursorTrail
from spicemig.devices.interfaces import IDisplay
from spicemig.devices.surfaces import PIXEL_BYTES, Surface
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
from spicemig.wire.enums import SurfaceFormat


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
    match surface.format:
        case SurfaceFormat.RGB555:
            return _packed(surface, lambda p: p >> 9 & 0x7C00 | p >> 6 & 0x3E0 | p >> 3 & 0x1F)
        case SurfaceFormat.RGB565:
            return _packed(surface, lambda p: p >> 8 & 0xF800 | p >> 5 & 0x7E0 | p >> 3 & 0x1F)
        case SurfaceFormat.A8:
            rows = bytes(surface.pixels[PIXEL_BYTES - 1 :: PIXEL_BYTES])
            return Contents(surface.width, rows)
        case SurfaceFormat.A1:
            return _bits(surface)
    return Contents(surface.stride, bytes(surface.pixels))


def _packed(surface: Surface, pack: Callable[[int], int]) -> Contents:
    pixels = array("I", surface.pixels)
    known = {pixel: pack(pixel) for pixel in set(pixels)}
    return Contents(2 * surface.width, array("H", [known[pixel] for pixel in pixels]).tobytes())


def _bits(surface: Surface) -> Contents:
    """One bit of alpha for a pixel, the leftmost in the lowest bit; rows of whole bytes."""
    stride = (surface.width + 7) // 8
    data = bytearray(stride * surface.height)
    alpha = surface.pixels[PIXEL_BYTES - 1 :: PIXEL_BYTES]
    for place, value in enumerate(alpha):
        if value & 0x80:
            row, column = divmod(place, surface.width)
            data[row * stride + column // 8] |= 1 << column % 8
    return Contents(stride, bytes(data))
