# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the I/O ports of a QXL card do.

A port is done behind all commands that are in the rings; the asynchronous ones
differ only in the interrupt that tells that they are done, which the card raises.
Those that notify, and UPDATE_IRQ, are the card's.

Source: qxl.c of QEMU 7.2, ioport_write.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from spicemig.devices.cursor import CursorReset
from spicemig.devices.guest_commands import Text
from spicemig.devices.guest_layout import (
    ARGUMENTS_OFFSET,
    LOG_BYTES,
    LOG_OFFSET,
    CommandFlags,
    Port,
    RamArguments,
    size_of,
)
from spicemig.devices.memory import GuestMistake
from spicemig.devices.surfaces import PRIMARY
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import SurfaceFormat

ASYNC_PORTS = frozenset(port for port in Port if port.name.endswith("_ASYNC"))

_COMPAT_SLOT = 0  # of the drivers that know no slots


class Mode(IntEnum):
    """How the guest uses the card."""

    UNDEFINED = 0  # there is no primary surface
    COMPAT = 2  # the size was set by number
    NATIVE = 3


class Ports:
    """The ports of one card."""

    def __init__(self, card: Any) -> None:
        self._card = card
        self._device = card.device
        self._slots = card.slots

    def write(self, port: int, value: int) -> None:
        """Do what the port is for; raises :class:`GuestMistake` or ``WireError``."""
        operation = _OPERATIONS.get(port)
        if operation is None:
            raise GuestMistake(f"there is no port {port}")
        operation(self, value)

    def _arguments(self) -> RamArguments:
        size = size_of(RamArguments)
        return RamArguments.unpack(self._card.header[ARGUMENTS_OFFSET : ARGUMENTS_OFFSET + size])

    def _update_area(self, value: int) -> None:
        arguments = self._arguments()
        area: Rect = arguments.update_area
        if area.left == area.right or area.top == area.bottom:
            return  # old drivers ask for nothing
        if not (0 <= area.left < area.right and 0 <= area.top < area.bottom):
            raise GuestMistake("an impossible area is to be updated")
        self._card.render(arguments.update_surface, area)

    def _notify_oom(self, value: int) -> None:
        self._card.flush_release(only_if_empty=True)

    def _reset(self, value: int) -> None:
        self._card.reset()

    def _set_mode(self, value: int) -> None:
        card = self._card
        if value >= len(card.modes):
            raise GuestMistake(f"there is no mode {value}")
        mode = card.modes[value]
        card.reset()
        self._slots.add(_COMPAT_SLOT, card.ram.address, card.ram.end, card.ram.address)
        address = card.ram.address | self._slots.generation << 48
        picture = card.reader.picture(mode.x_res, mode.y_res, -4 * mode.x_res, SurfaceFormat.XRGB32, address)
        card.create_surface(PRIMARY, picture, 0)
        card.mode = Mode.COMPAT
        card.reader.flags = CommandFlags.COMPAT
        if mode.bits == 16:
            card.reader.flags |= CommandFlags.COMPAT_16BPP
        card.facts.mode = value
        card.tell()

    def _log(self, value: int) -> None:
        text = bytes(self._card.header[LOG_OFFSET : LOG_OFFSET + LOG_BYTES]).split(b"\0", 1)[0]
        self._card.say(Text(text))

    def _add_slot(self, value: int) -> None:
        slot = self._arguments().mem_slot
        self._slots.add(value, slot.mem_start, slot.mem_end)
        self._card.facts.slot_generation = self._slots.generation
        self._card.tell()

    def _remove_slot(self, value: int) -> None:
        self._slots.remove(value)

    def _detach_primary(self, value: int) -> None:
        self._card.render(PRIMARY)

    def _attach_primary(self, value: int) -> None:
        if PRIMARY not in self._card.backings:
            raise GuestMistake("there is no primary surface")
        self._card.read_memory(PRIMARY)

    def _create_primary(self, value: int) -> None:
        card = self._card
        if value:
            raise GuestMistake(f"surface {value} cannot be the primary one")
        if card.mode != Mode.UNDEFINED:
            raise GuestMistake("there is a primary surface already")
        told = self._arguments().create_surface
        picture = card.reader.picture(told.width, told.height, told.stride, told.format, told.mem_address)
        if picture.size > card.size.surface0_bytes:
            raise GuestMistake(f"a primary surface of {picture.size} bytes is too large")
        card.create_surface(PRIMARY, picture, told.flags)
        card.mode = Mode.NATIVE
        card.reader.flags = 0

    def _destroy_primary(self, value: int) -> None:
        if value:
            raise GuestMistake(f"surface {value} cannot be the primary one")
        if self._card.mode == Mode.UNDEFINED:
            return
        self._card.mode = Mode.UNDEFINED
        self._card.destroy_surface(PRIMARY)
        self._device.cursor_command(CursorReset())

    def _destroy_surface(self, value: int) -> None:
        if value == PRIMARY:
            self._destroy_primary(0)
        elif self._device.surface(value) is None:
            raise GuestMistake(f"there is no surface {value}")
        else:
            self._card.destroy_surface(value)

    def _destroy_surfaces(self, value: int) -> None:
        self._card.mode = Mode.UNDEFINED
        for surface in self._device.surfaces():
            self._card.destroy_surface(surface.id)
        self._device.cursor_command(CursorReset())

    def _flush_surfaces(self, value: int) -> None:
        self._card.render_all()

    def _flush_release(self, value: int) -> None:
        self._card.flush_release()

    def _set_monitors(self, value: int) -> None:
        config = self._card.reader.monitors(self._arguments().monitors_address)
        self._device.set_monitors(config)


_OPERATIONS: dict[int, Callable[[Ports, int], None]] = {
    Port.UPDATE_AREA: Ports._update_area,
    Port.UPDATE_AREA_ASYNC: Ports._update_area,
    Port.NOTIFY_OOM: Ports._notify_oom,
    Port.RESET: Ports._reset,
    Port.SET_MODE: Ports._set_mode,
    Port.LOG: Ports._log,
    Port.MEMSLOT_ADD: Ports._add_slot,
    Port.MEMSLOT_ADD_ASYNC: Ports._add_slot,
    Port.MEMSLOT_DEL: Ports._remove_slot,
    Port.DETACH_PRIMARY: Ports._detach_primary,
    Port.ATTACH_PRIMARY: Ports._attach_primary,
    Port.CREATE_PRIMARY: Ports._create_primary,
    Port.CREATE_PRIMARY_ASYNC: Ports._create_primary,
    Port.DESTROY_PRIMARY: Ports._destroy_primary,
    Port.DESTROY_PRIMARY_ASYNC: Ports._destroy_primary,
    Port.DESTROY_SURFACE_WAIT: Ports._destroy_surface,
    Port.DESTROY_SURFACE_ASYNC: Ports._destroy_surface,
    Port.DESTROY_ALL_SURFACES: Ports._destroy_surfaces,
    Port.DESTROY_ALL_SURFACES_ASYNC: Ports._destroy_surfaces,
    Port.FLUSH_SURFACES_ASYNC: Ports._flush_surfaces,
    Port.FLUSH_RELEASE: Ports._flush_release,
    Port.MONITORS_CONFIG_ASYNC: Ports._set_monitors,
}
