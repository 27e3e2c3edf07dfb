# SPDX-License-Identifier: LGPL-2.1-or-later
"""What another host must know of a QXL card besides the contents of its memory."""

from typing import Annotated

from spicemig.devices.guest_layout import Rom
from spicemig.devices.memory import Place
from spicemig.wire.declare import Counted, i32, record, u8, u32, u64


@record
class SlotState:
    """A memory slot that is in use."""

    number: u8
    bar: u8
    offset: u64
    size: u64
    delta: u64
    generation: u8


@record
class PlaceState:
    """Some bytes of a bar; none if there is no such bar."""

    bar: u8
    offset: u64


@record
class PictureState:
    """Where a surface has its pixels, and which resource is given back with it."""

    surface_id: u32
    width: u32
    height: u32
    format: u32
    stride: i32
    memory: PlaceState
    resource: PlaceState


@record
class PortWrite:
    """A write that is not done yet."""

    port: u8
    value: u32


@record
class CardState:
    """What another host must know of a card besides its memory."""

    ram_bytes: u32
    vram_bytes: u32
    surface0_bytes: u32
    mode: u8
    flags: u32  # CommandFlags
    resets: u32
    generation: u8
    slots: Annotated[list[SlotState], Counted(u8)]
    pictures: Annotated[list[PictureState], Counted(u32)]
    released: u32
    last_released: PlaceState
    writes: Annotated[list[PortWrite], Counted(u8)]
    rom: Rom


NO_BAR = 255


def told_place(place: Place | None) -> PlaceState:
    """A place, as the state tells of it."""
    return PlaceState(NO_BAR, 0) if place is None else PlaceState(place.bar.number, place.offset)
