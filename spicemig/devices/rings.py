# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The rings in device memory: commands from the guest, and resources back to it.

A ring's positions count up and wrap at 32 bits. The guest can write to all of
it; what it writes there harms only itself.

Source: ipc_ring.h of spice-protocol; qxl.c of QEMU 7.2 for the release ring.
"""

from __future__ import annotations

import struct

from spicemig.devices.guest_layout import COMMAND_RING_ITEMS, RELEASE_RING_ITEMS, RING_HEADER_BYTES
from spicemig.devices.memory import GuestMistake, Place

RELEASE_BUNCH = 32  # resources that are collected before the guest gets them

_HEADER = struct.Struct("<5I")  # items, prod, notify_on_prod, cons, notify_on_cons
_COMMAND = struct.Struct("<QI4x")  # address, type
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_WRAP = 0xFFFFFFFF
_PROD, _NOTIFY_ON_PROD, _CONS = 4, 8, 12


def reset_ring(view: memoryview, items: int) -> None:
    """Make an empty ring, as SPICE_RING_INIT does."""
    _HEADER.pack_into(view, 0, items, 0, 1, 0, 0)


class CommandRing:
    """The consumer's side of the command ring, or of the cursor ring."""

    def __init__(self, view: memoryview) -> None:
        self._view = view

    def take(self) -> tuple[int, int, bool] | None:
        """
        The next command: its address, its type, and whether the guest waits to be told.

        None if there is none, and then the guest tells of the next one.

        A ring that cannot be is emptied, and raises :class:`GuestMistake`.
        """
        _items, prod, _notify_on_prod, cons, notify_on_cons = _HEADER.unpack_from(self._view)
        waiting = prod - cons & _WRAP
        if not waiting:
            _U32.pack_into(self._view, _NOTIFY_ON_PROD, prod + 1 & _WRAP)
            return None
        if waiting > COMMAND_RING_ITEMS:
            _U32.pack_into(self._view, _CONS, prod)
            raise GuestMistake(f"a ring of {COMMAND_RING_ITEMS} commands cannot hold {waiting}")
        item = RING_HEADER_BYTES + cons % COMMAND_RING_ITEMS * _COMMAND.size
        address, kind = _COMMAND.unpack_from(self._view, item)
        cons = cons + 1 & _WRAP
        _U32.pack_into(self._view, _CONS, cons)
        return address, kind, cons == notify_on_cons


class ReleaseRing:
    """
    The producer's side of the release ring.

    Resources are given back in lists: an item of the ring holds the id of the
    first resource, and where that began its memory, the id of the next is put.
    One item is always being collected; ``count`` resources are in it, and
    ``last`` is where the last of them begins.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.count = 0
        self.last: Place | None = None

    def forget(self) -> None:
        """Give nothing back of what was collected; the ring was made new."""
        self.count = 0
        self.last = None

    @property
    def is_empty(self) -> bool:
        """Whether the guest has taken everything that it got."""
        _items, prod, _notify_on_prod, cons, _notify_on_cons = _HEADER.unpack_from(self._view)
        return prod == cons

    def add(self, place: Place) -> bool:
        """Collect the resource that begins there; as :meth:`push` if that makes a bunch."""
        info = place.view(_U64.size)
        (id,) = _U64.unpack_from(info)
        _U64.pack_into(info, 0, 0)
        if self.last is None:
            _U64.pack_into(self._view, self._item(), id)
        else:
            _U64.pack_into(self.last.view(_U64.size), 0, id)
        self.last = place
        self.count += 1
        return self.count >= RELEASE_BUNCH and self.push()

    def push(self) -> bool:
        """Give the guest what was collected, if there is room. Whether it waits to be told."""
        _items, prod, notify_on_prod, cons, _notify_on_cons = _HEADER.unpack_from(self._view)
        if self.last is None or (prod - cons + 1 & _WRAP) == RELEASE_RING_ITEMS:
            return False
        prod = prod + 1 & _WRAP
        _U32.pack_into(self._view, _PROD, prod)
        _U64.pack_into(self._view, self._item(), 0)
        self.forget()
        return prod == notify_on_prod

    def _item(self) -> int:
        (prod,) = _U32.unpack_from(self._view, _PROD)
        return RING_HEADER_BYTES + prod % RELEASE_RING_ITEMS * _U64.size
