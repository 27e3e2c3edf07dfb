# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The QXL device as a guest's driver sees it: memory, rings, ports, interrupts.

A :class:`QXLCard` is plugged into a device and feeds it with what the guest puts
into the rings. Guests that call the device's methods need none.

Source: qxl.c of QEMU 7.2; red-worker.cpp of spice-server 0.15.1.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from spicemig.devices.card_size import CardSize, modes_of
from spicemig.devices.card_state import (
    NO_BAR,
    CardState,
    PictureState,
    PlaceState,
    PortWrite,
    SlotState,
    told_place,
)
from spicemig.devices.contents import put_contents, write_area
from spicemig.devices.drawables import Batch
from spicemig.devices.guest_commands import (
    CommandReader,
    Draw,
    Picture,
    SurfaceChange,
    Text,
    Update,
    check_rows,
)
from spicemig.devices.guest_layout import (
    CLIENT_CAPABILITIES_BYTES,
    COMMAND_RING_BYTES,
    COMMAND_RING_ITEMS,
    COMMAND_RING_OFFSET,
    CURSOR_RING_OFFSET,
    KEEP_DATA,
    MONITORS,
    RAM_HEADER_BYTES,
    RAM_MAGIC,
    RAM_START_BYTES,
    RELEASE_RING_BYTES,
    RELEASE_RING_ITEMS,
    RELEASE_RING_OFFSET,
    Command,
    Interrupt,
    Port,
    RamStart,
    Rom,
    size_of,
)
from spicemig.devices.memory import (
    PAGE,
    SLOT_GENERATION_BITS,
    SLOT_ID_BITS,
    SLOTS,
    Bar,
    GuestMistake,
    MemorySlots,
    Place,
    Slot,
)
from spicemig.devices.ports import ASYNC_PORTS, Mode, Ports
from spicemig.devices.rings import CommandRing, ReleaseRing, reset_ring
from spicemig.devices.surfaces import PIXEL_BYTES, PRIMARY, Surface
from spicemig.errors import GuestError, WireError
from spicemig.wire.drawing import Rect

RAM, VRAM = range(2)  # the numbers of the bars
ADDRESSES = (0xC0000000, 0xE0000000)  # where the guest sees them
MAX_SURFACES = 1024
ROM_BYTES = 8192
WRITES_LIMIT = 64  # to ports, while the device stands
SURFACES_FACTOR = 4  # surfaces have at most so many times the bytes of device memory; 8-bit ones grow so much
LOGGED = 100  # of what a guest can cause to be logged; after these only every doubling is


@dataclass(frozen=True, slots=True)
class Backing:
    """The memory of a surface, and the resource that the guest gets back when the surface is gone."""

    picture: Picture
    resource: Place | None


class QXLCard:
    """
    Device memory with its rings, plugged into one device.

    The guest writes to ``ram.view`` and ``vram.view``, reads ``rom``, and calls
    :meth:`write` for a port. ``on_interrupt`` is called with :class:`Interrupt` bits
    that are pending and wanted.
    """

    _log = Logger()

    def __init__(self, device: Any, size: CardSize | None = None, bars: Iterable[Bar] = ()) -> None:
        self.device = device
        self.size = size or CardSize()
        self.on_interrupt: Callable[[Interrupt], None] = lambda interrupts: None
        self._said = 0
        self.mistakes = 0  # how often the guest's driver asked for something impossible
        self.ram, self.vram = bars or (
            Bar(number, address, size_bytes)
            for number, address, size_bytes in zip(
                (RAM, VRAM), ADDRESSES, (self.size.ram_bytes, self.size.vram_bytes), strict=True
            )
        )
        self.slots = MemorySlots((self.ram, self.vram))
        self.reader = CommandReader(self.slots)
        self.header = self.ram.view[self.size.ram_bytes - RAM_HEADER_BYTES :]
        self._commands = CommandRing(self._part(COMMAND_RING_OFFSET, COMMAND_RING_BYTES))
        self._cursor_commands = CommandRing(self._part(CURSOR_RING_OFFSET, COMMAND_RING_BYTES))
        self._release = ReleaseRing(self._part(RELEASE_RING_OFFSET, RELEASE_RING_BYTES))
        self.backings: dict[int, Backing] = {}
        self.mode = Mode.UNDEFINED
        self._writes: deque[tuple[int, int]] = deque()
        self._ports = Ports(self)
        self._rom = bytearray(ROM_BYTES)
        self.rom = memoryview(self._rom).toreadonly()
        self.modes = modes_of(self.size)
        self.facts = Rom(
            modes_offset=size_of(Rom),
            num_pages=(self.size.ram_bytes - RAM_HEADER_BYTES - self.size.surface0_bytes) // PAGE,
            pages_offset=self.size.surface0_bytes,
            surface0_area_size=self.size.surface0_bytes,
            ram_header_offset=self.size.ram_bytes - RAM_HEADER_BYTES,
            n_surfaces=MAX_SURFACES,
            slots_start=1,
            slots_end=SLOTS - 1,
            slot_gen_bits=SLOT_GENERATION_BITS,
            slot_id_bits=SLOT_ID_BITS,
        )
        self.tell()
        if not bars:
            self._reset_header()

    def _part(self, offset: int, size: int) -> memoryview:
        return self.header[offset : offset + size]

    def tell(self) -> None:
        """Show the guest ``facts`` in the ROM; call this after changing them."""
        packed = self.facts.pack() + struct.pack("<I", len(self.modes))
        packed += b"".join(mode.pack() for mode in self.modes)
        self._rom[: len(packed)] = packed

    # what guests call

    def write(self, port: int, value: int = 0) -> None:
        """
        Write to a port.

        It is done, after everything in the rings, before this returns, unless the
        device stands still or is just taking commands: then it is done later.
        """
        if port in (Port.NOTIFY_CMD, Port.NOTIFY_CURSOR):
            self.device.take()
            return
        if port == Port.UPDATE_IRQ:
            if self.pending:
                self.on_interrupt(self.pending)
            return
        if port in ASYNC_PORTS and any(waiting in ASYNC_PORTS for waiting, _value in self._writes):
            self.mistake(GuestMistake("an asynchronous request came before the last one was done"))
            return
        if len(self._writes) >= WRITES_LIMIT:
            raise GuestError("the guest goes on although its device stands")
        self._writes.append((port, value & 0xFFFFFFFF))
        self.device.take()

    # interrupts

    @property
    def pending(self) -> Interrupt:
        """The interrupts that the guest has to look after."""
        start = RamStart.unpack(self.header[:RAM_START_BYTES])
        return Interrupt(start.int_pending & start.int_mask & 0x3F)

    def interrupt(self, why: Interrupt) -> None:
        """Interrupt the guest, unless it has not looked after the last one of the kind yet."""
        start = RamStart.unpack(self.header[:RAM_START_BYTES])
        if start.int_pending & why == why:
            return
        start.int_pending |= why
        self.header[:RAM_START_BYTES] = start.pack()
        if self.pending:
            self.on_interrupt(self.pending)

    def mistake(self, error: Exception) -> None:
        """The guest's driver did something impossible."""
        self.mistakes += 1
        if _is_logged(self.mistakes):
            self._log.warn("mistake {count} of the guest: {error}", count=self.mistakes, error=error)
        self.interrupt(Interrupt.ERROR)

    # clients, of whom the guest knows

    def set_client(self, present: bool, capabilities: bytes) -> None:
        """Tell the guest whether there is a client, and what its display channel can."""
        self.facts.client_present = int(present)
        self.facts.client_capabilities = capabilities[:CLIENT_CAPABILITIES_BYTES].ljust(
            CLIENT_CAPABILITIES_BYTES, b"\0"
        )
        self.tell()
        self.interrupt(Interrupt.CLIENT)

    def set_client_monitors(self, heads: Iterable[tuple[int, int, int, int]]) -> bool:
        """
        Tell the guest what monitors its client has, each as left, top, right, bottom.

        Whether its driver understands that.
        """
        mask = RamStart.unpack(self.header[:RAM_START_BYTES]).int_mask
        if mask in (0, 0xFFFFFFFF) or not mask & Interrupt.CLIENT_MONITORS_CONFIG:
            return False  # old drivers set all or nothing without meaning it
        told = [struct.pack("<4I", *head) for head in heads][:MONITORS]
        packed = b"".join(told).ljust(16 * MONITORS, b"\0")
        changed = packed != self.facts.client_heads
        self.facts.client_monitors_count = len(told)
        self.facts.client_heads = packed
        body = struct.pack("<HH", len(told), 0) + packed
        self.facts.client_monitors_crc = zlib.crc32(body, 0xFFFFFFFF) ^ 0xFFFFFFFF  # as Linux' crc32()
        self.tell()
        if changed:
            self.interrupt(Interrupt.CLIENT_MONITORS_CONFIG)
        return True

    # what the device calls

    def feed(self) -> bool:
        """
        Give the device something to do, from the rings first, then a write to a port.

        Called when it has done all that it was given before. Whether there was something.
        """
        try:
            return self._feed_commands() or self._feed_cursor() or self._feed_port()
        except (GuestMistake, WireError) as error:
            self.mistake(error)
            return True

    def _feed_commands(self) -> bool:
        batch = Batch()
        taken = 0
        while taken < COMMAND_RING_ITEMS and (item := self._commands.take()) is not None:
            taken += 1
            address, kind, waited_for = item
            if waited_for:
                self.interrupt(Interrupt.DISPLAY)
            try:
                other = self._read_command(batch, address, kind)
            except (GuestMistake, WireError) as error:
                self.mistake(error)
                continue
            if other is not None:
                self.device.draw(batch)
                self.device.call(*other)
                return True
        self.device.draw(batch)
        return taken > 0

    def _read_command(
        self, batch: Batch, address: int, kind: int
    ) -> tuple[Callable[[Any], None], Any] | None:
        """Add a drawing to the batch, or say what is to be done behind it."""
        if kind == Command.NOP:
            return None
        resource = self.reader.resource(address)
        if kind == Command.SURFACE:
            return self._change_surface, (address, resource)
        try:
            if kind == Command.DRAW:
                self._add(batch, self.reader.draw(address))
                return None
            if kind == Command.UPDATE:
                return self._update, self.reader.update(address)
            if kind == Command.MESSAGE:
                self.say(self.reader.message(address))
                return None
            raise GuestMistake(f"command {kind} is not known")
        finally:
            self.give_back(resource)

    def _add(self, batch: Batch, draw: Draw) -> None:
        if draw.message is None:
            return
        for surface_id in draw.surfaces:
            if self.device.surface(surface_id) is None:
                raise GuestMistake(f"there is no surface {surface_id}")
        base = draw.message.base
        surface, box = self.device.surface(base.surface_id), base.box
        if min(box.left, box.top, box.right, box.bottom) < 0:
            raise GuestMistake("a drawing leaves its surface")
        if box.right > surface.width or box.bottom > surface.height:
            raise GuestMistake("a drawing leaves its surface")
        if box.left < box.right and box.top < box.bottom:
            batch.append(draw.message, draw.effect, draw.mm_time)

    def _feed_cursor(self) -> bool:
        item = self._cursor_commands.take()
        if item is None:
            return False
        address, kind, waited_for = item
        if waited_for:
            self.interrupt(Interrupt.CURSOR)
        if kind == Command.NOP:
            return True
        resource = self.reader.resource(address)
        try:
            if kind != Command.CURSOR:
                raise GuestMistake(f"command {kind} is not one for the cursor")
            self.device.cursor_command(self.reader.cursor(address))
        finally:
            self.give_back(resource)
        return True

    def _feed_port(self) -> bool:
        if not self._writes:
            return False
        port, value = self._writes[0]  # it stays there while it is done: a second one must not begin
        try:
            self._ports.write(port, value)
        finally:
            self._writes.popleft()
            if port in ASYNC_PORTS:
                self.interrupt(Interrupt.IO_CMD)
        return True

    # resources

    def give_back(self, resource: Place) -> None:
        """The guest gets this resource back, some time."""
        if self._release.add(resource):
            self.interrupt(Interrupt.DISPLAY)

    def flush_release(self, *, only_if_empty: bool = False) -> None:
        """The guest gets back what was collected for it."""
        if only_if_empty and not self._release.is_empty:
            return
        if self._release.push():
            self.interrupt(Interrupt.DISPLAY)

    def say(self, message: Text) -> None:
        """Log what the driver says."""
        self._said += 1
        if _is_logged(self._said):
            self._log.info("the guest's driver says {text}", text=message.text.decode("utf-8", "replace"))

    # surfaces in device memory

    def _change_surface(self, told: tuple[int, Place]) -> None:
        """A surface command; its own resource is given back when the surface is destroyed."""
        address, resource = told
        kept = False
        try:
            change: SurfaceChange = self.reader.surface(address)
            if change.picture is None:
                self.destroy_surface(change.surface_id)
            elif change.surface_id == PRIMARY:
                raise GuestMistake("the primary surface is not made by a command")
            else:
                self.create_surface(change.surface_id, change.picture, change.flags, resource)
                kept = True
        except (GuestMistake, WireError) as error:
            self.mistake(error)
        finally:
            if not kept:
                self.give_back(resource)

    def create_surface(self, id: int, picture: Picture, flags: int, resource: Place | None = None) -> None:
        """Make a surface whose pixels the guest has in its memory."""
        if id >= MAX_SURFACES or self.device.surface(id) is not None:
            raise GuestMistake(f"there cannot be a surface {id}, or there is one already")
        pixels = picture.width * picture.height
        pixels += sum(surface.width * surface.height for surface in self.device.surfaces())
        if pixels * PIXEL_BYTES > SURFACES_FACTOR * self.slots.memory_bytes:
            raise GuestMistake("the surfaces together are larger than the memory of the device")
        try:
            surface = Surface(id, picture.width, picture.height, picture.format)
        except ValueError as error:
            raise GuestMistake(str(error)) from error
        self.device.add_surface(surface)
        self.backings[id] = Backing(picture, resource)
        if flags & KEEP_DATA:
            self.read_memory(id)

    def read_memory(self, surface_id: int) -> None:
        """Draw what the guest has in memory for this surface."""
        picture = self.backings[surface_id].picture
        contents = put_contents(
            surface_id,
            picture.width,
            picture.height,
            picture.format,
            abs(picture.stride),
            bytes(picture.memory.view(picture.size)),
            top_down=picture.stride > 0,
        )
        self.device.draw(Batch.of([contents]))

    def destroy_surface(self, id: int) -> None:
        """Destroy a surface if it is there."""
        backing = self.backings.pop(id, None)
        if backing is not None and backing.resource is not None:
            self.give_back(backing.resource)
        if self.device.surface(id) is not None:
            self.device.destroy_surface(id)

    def _update(self, update: Update) -> None:
        try:
            self.render(update.surface_id, update.area)
        except GuestMistake as error:
            self.mistake(error)
            return
        self.facts.update_id = update.update_id
        self.tell()

    def render(self, surface_id: int, area: Rect | None = None) -> None:
        """Put an area of a surface, or all of it, into the guest's memory."""
        if self.device.surface(surface_id) is None:
            raise GuestMistake(f"there is no surface {surface_id}")
        surface = self.device.render(surface_id)
        asked = area or Rect(0, 0, surface.height, surface.width)
        inside = Rect(
            max(asked.top, 0), max(asked.left, 0),
            min(asked.bottom, surface.height), min(asked.right, surface.width),
        )  # fmt: skip
        backing = self.backings.get(surface_id)
        if backing is not None and inside.left < inside.right:
            picture = backing.picture
            write_area(surface, inside, picture.format, picture.stride, picture.memory.view(picture.size))

    def render_all(self) -> None:
        """Put all surfaces into the guest's memory."""
        for surface_id in self.backings:
            self.render(surface_id)

    # beginning again

    def reset(self) -> None:
        """Be as after power on, but for what the guest has in its memory."""
        self.backings.clear()
        self._release.forget()
        self.device.clear()
        self.slots.clear()
        self.mode = Mode.UNDEFINED
        self.reader.flags = 0
        self.reader.resets = self.reader.resets + 1 & 0xFFFFFFFF
        self.facts.update_id = 0
        self.facts.mode = 0
        self.tell()
        self._reset_header()

    def _reset_header(self) -> None:
        self.header[:] = bytes(RAM_HEADER_BYTES)
        self.header[:RAM_START_BYTES] = RamStart(RAM_MAGIC, 0, 0).pack()
        reset_ring(self._part(COMMAND_RING_OFFSET, COMMAND_RING_BYTES), COMMAND_RING_ITEMS)
        reset_ring(self._part(CURSOR_RING_OFFSET, COMMAND_RING_BYTES), COMMAND_RING_ITEMS)
        reset_ring(self._part(RELEASE_RING_OFFSET, RELEASE_RING_BYTES), RELEASE_RING_ITEMS)

    # what migrations call

    def export_state(self) -> bytes:
        """All but the contents of the memory."""
        return CardState(
            ram_bytes=self.size.ram_bytes,
            vram_bytes=self.size.vram_bytes,
            surface0_bytes=self.size.surface0_bytes,
            mode=self.mode,
            flags=self.reader.flags,
            resets=self.reader.resets,
            generation=self.slots.generation,
            slots=[
                SlotState(number, slot.bar.number, slot.offset, slot.size, slot.delta, slot.generation)
                for number, slot in enumerate(self.slots.slots)
                if slot is not None
            ],
            pictures=[
                PictureState(
                    id,
                    backing.picture.width,
                    backing.picture.height,
                    backing.picture.format,
                    backing.picture.stride,
                    told_place(backing.picture.memory),
                    told_place(backing.resource),
                )
                for id, backing in sorted(self.backings.items())
            ],
            released=self._release.count,
            last_released=told_place(self._release.last),
            writes=[PortWrite(port, value) for port, value in self._writes],
            rom=self.facts,
        ).pack()

    @classmethod
    def restored(cls, device: Any, state: bytes, bars: dict[int, Bar]) -> QXLCard:
        """
        A card in this state; ``bars`` are those that have arrived before it.

        Raises ``WireError`` if there cannot be such a card.
        """
        told = CardState.unpack(state, exact=True)
        try:
            size = CardSize(told.ram_bytes, told.vram_bytes, told.surface0_bytes)
            made = [
                bars.get(number) or Bar(number, ADDRESSES[number], bytes_)
                for number, bytes_ in ((RAM, told.ram_bytes), (VRAM, told.vram_bytes))
            ]
            if [bar.size for bar in made] != [told.ram_bytes, told.vram_bytes]:
                raise ValueError("the memory that came has another size")
            card = cls(device, size, made)
            card._restore(told)
        except (ValueError, GuestMistake) as error:
            raise WireError("CardState", "", 0, str(error)) from error
        return card

    def _restore(self, told: CardState) -> None:
        self.mode = Mode(told.mode)
        self.reader.flags = told.flags & 3
        self.reader.resets = told.resets
        self.slots.generation = told.generation
        for slot in told.slots:
            place = self._place(PlaceState(slot.bar, slot.offset), slot.size)
            if place is None or slot.number >= SLOTS:
                raise ValueError(f"memory slot {slot.number} is not possible")
            self.slots.slots[slot.number] = Slot(
                place.bar, place.offset, slot.size, slot.delta, slot.generation
            )
        for picture in told.pictures:
            memory = self._place(picture.memory, picture.height * abs(picture.stride))
            if memory is None:
                raise ValueError(f"surface {picture.surface_id} has no memory")
            shape = Picture(picture.width, picture.height, picture.format, picture.stride, memory)
            check_rows(picture.width, picture.stride, picture.format)
            self.backings[picture.surface_id] = Backing(shape, self._place(picture.resource, 8))
        self._release.count = told.released
        self._release.last = self._place(told.last_released, 8)
        if len(told.writes) > WRITES_LIMIT:
            raise ValueError("too many writes to ports wait")
        self._writes.extend((write.port, write.value) for write in told.writes)
        self.facts = told.rom
        self.tell()

    def _place(self, told: PlaceState, size: int) -> Place | None:
        if told.bar == NO_BAR:
            return None
        bar = (self.ram, self.vram)[told.bar] if told.bar in (RAM, VRAM) else None
        if bar is None or told.offset + size > bar.size:
            raise ValueError(f"{size} bytes at {told.offset} are not in bar {told.bar}")
        return Place(bar, told.offset)


def _is_logged(count: int) -> bool:
    return count <= LOGGED or not count & (count - 1)
