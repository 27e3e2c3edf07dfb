# SPDX-License-Identifier: LGPL-2.1-or-later
"""Gives the records of a trace to a device."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.logger import Logger

from spicemig.devices.contents import put_contents, row_bytes
from spicemig.devices.cursor import CursorHide, CursorMove, CursorReset, CursorSet, CursorTrail
from spicemig.devices.drawables import Batch, Effect
from spicemig.devices.raster.operations import OPERATIONS
from spicemig.devices.surfaces import PRIMARY
from spicemig.devices.trace.drawings import images_of
from spicemig.devices.trace.records import (
    Call,
    Contents,
    CreateSurface,
    DestroySurface,
    DeviceCall,
    Draw,
    Message,
    Nothing,
    Record,
    Update,
)
from spicemig.errors import WireError
from spicemig.wire.enums import BitmapFormat
from spicemig.wire.messages.display import DrawCopy, Head, MonitorsConfig

BATCH_COMMANDS = 128
BATCH_BYTES = 1 << 20  # of image data; more is given at once only by who says so

_NAMES: dict[type, str] = {
    CreateSurface: "surface_create",
    DestroySurface: "surface_destroy",
    CursorSet: "cursor_set",
    CursorMove: "cursor_move",
    CursorHide: "cursor_hide",
    CursorTrail: "cursor_trail",
    Update: "update",
    Message: "message",
    Nothing: "nop",
}


class Player:
    """
    Plays records on one device.

    Drawing commands are collected; :meth:`flush` gives them to the device, and so does
    everything that must come behind them, which commands of the cursor need not: they
    have a ring of their own. What the rasteriser has no operation for
    is given too, and counted in ``not_drawn``; so is what cannot be given at all.
    """

    _log = Logger()

    def __init__(self, device: Any, batch_bytes: int = BATCH_BYTES) -> None:
        self.device = device
        self.batch_bytes = batch_bytes
        self.by_type: Counter[str] = Counter()
        self.not_drawn: Counter[str] = Counter()
        self._batch = Batch()
        self._batch_bytes = 0

    def play(self, record: Record) -> None:
        """Give one record to the device, now or with the next ones."""
        value = record.value
        kind = type(value)
        if kind is Draw:
            self.by_type[value.name] += 1
            if value.message is not None:
                self._draw(value)
            return
        if kind is DeviceCall:
            self._call(value)
            return
        self.by_type[_NAMES[kind]] += 1
        if kind is CreateSurface:
            self._create(value)
        elif kind is DestroySurface:
            self.flush()
            self.device.destroy_surface(value.id)
        elif kind in (CursorSet, CursorMove, CursorHide, CursorTrail):
            self.device.cursor_command(value)
        elif kind is Message:
            self._log.info("the guest's driver says {text}", text=value.text.decode("utf-8", "replace"))

    def flush(self) -> None:
        """Give the device what was collected."""
        if len(self._batch):
            batch, self._batch = self._batch, Batch()
            self._batch_bytes = 0
            self.device.draw(batch)

    def _draw(self, draw: Draw) -> None:
        message = draw.message
        if type(message) not in OPERATIONS:
            self.not_drawn[draw.name] += 1
        for image in images_of(message):
            if image.value.surface is None:
                self._batch_bytes += len(image.value.data)
                if image.value.format == BitmapFormat.INVALID:
                    self.not_drawn["damaged image"] += 1
                    return
        try:
            self._batch.append(message, draw.effect, draw.mm_time)
        except WireError as error:
            self.not_drawn[f"{draw.name} with impossible values"] += 1
            self._log.warn("a command has no message: {error}", error=error)
            return
        if len(self._batch) >= BATCH_COMMANDS or self._batch_bytes >= self.batch_bytes:
            self.flush()

    def _call(self, call: DeviceCall) -> None:
        number = call.number
        if call.primary is not None:
            made = call.primary
            self._create(made)
            self.device.set_monitors(
                MonitorsConfig(max_allowed=1, heads=[Head(0, PRIMARY, made.width, made.height, 0, 0)])
            )
        elif number in (Call.DESTROY_PRIMARY, Call.DESTROY_PRIMARY_ASYNC):
            self._destroy(primary_only=True)
        elif number in (Call.DESTROY_SURFACES, Call.DESTROY_SURFACES_ASYNC):
            self._destroy(primary_only=False)
        elif number == Call.RESET_CURSOR:
            self.device.cursor_command(CursorReset())

    def _destroy(self, *, primary_only: bool) -> None:
        self.flush()
        for surface in self.device.surfaces():
            if surface.id == PRIMARY or not primary_only:
                self.device.destroy_surface(surface.id)

    def _create(self, made: CreateSurface) -> None:
        self.flush()
        try:
            contents = None if made.contents is None else _put(made, made.contents)
            self.device.create_surface(made.id, made.width, made.height, made.format)
        except ValueError as error:
            self.not_drawn["surface_create"] += 1
            self._log.warn("surface {id} is not made: {error}", id=made.id, error=error)
            return
        if contents is not None:
            self._batch.append(contents, Effect.OPAQUE)
            self.flush()


def _put(made: CreateSurface, contents: Contents) -> DrawCopy:
    stride = contents.stride
    if abs(stride) < row_bytes(made.format, made.width):
        raise ValueError(f"rows of {abs(stride)} bytes are too short")
    return put_contents(
        made.id, made.width, made.height, made.format, abs(stride), contents.data, top_down=stride > 0
    )
