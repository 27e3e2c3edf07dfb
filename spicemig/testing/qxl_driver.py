# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A guest's QXL driver: writes commands into device memory, as those of Linux and X do.

It takes display messages and cursor commands, and lays them out as the device expects
them, with its data in one piece or, given dice, in chunks of any size.
"""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from spicemig.codecs import quic
from spicemig.codecs.pixels import Pixels
from spicemig.devices.card import QXLCard
from spicemig.devices.contents import row_bytes
from spicemig.devices.cursor import CursorCommand, CursorHide, CursorMove, CursorSet, CursorTrail
from spicemig.devices.drawables import DeviceImage, Effect, Placeholder
from spicemig.devices.guest_commands import OPERATIONS
from spicemig.devices.guest_layout import (
    ARGUMENTS_OFFSET,
    BITMAP_DIRECT,
    BITMAP_TOP_DOWN,
    COMMAND_RING_ITEMS,
    COMMAND_RING_OFFSET,
    CURSOR_RING_OFFSET,
    KEEP_DATA,
    RAM_MAGIC,
    RAM_START_BYTES,
    RELEASE_RING_ITEMS,
    RELEASE_RING_OFFSET,
    RING_HEADER_BYTES,
    ROM_MAGIC,
    Chunk,
    Command,
    CursorCmdType,
    GuestAlphaBlend,
    GuestBitmap,
    GuestBrush,
    GuestClip,
    GuestClipRects,
    GuestCompatAlphaBlend,
    GuestCompatDrawable,
    GuestCursor,
    GuestCursorCmd,
    GuestCursorSet,
    GuestCursorTrail,
    GuestDrawable,
    GuestImage,
    GuestLine,
    GuestMask,
    GuestMessage,
    GuestMonitors,
    GuestPalette,
    GuestPath,
    GuestString,
    GuestSurface,
    GuestSurfaceCreate,
    GuestUpdate,
    Interrupt,
    MemSlot,
    Port,
    PrimaryCreate,
    RamArguments,
    RamStart,
    Rom,
    SurfaceCmdType,
    size_of,
)
from spicemig.devices.memory import SLOT_GENERATION_BITS, SLOT_ID_BITS, Bar
from spicemig.wire.drawing import Brush, Clip, LineAttr, Path, Point, Point16, QMask, Rect, String, Transform
from spicemig.wire.enums import BrushType, ClipType, CompositeFlags, ImageType, SurfaceFormat
from spicemig.wire.messages.display import DrawComposite, MonitorsConfig

MAIN_SLOT, SURFACES_SLOT = 1, 2
SMALLEST_BLOCK = 64
_GIVEN = CompositeFlags.HAS_MASK | CompositeFlags.HAS_SRC_TRANSFORM | CompositeFlags.HAS_MASK_TRANSFORM
_NUMBERS = {message: number for number, (_layout, message) in OPERATIONS.items()}
_NOTHING = Rect(0, 0, 0, 0)


class DriverError(Exception):
    """The driver itself cannot go on: it has no memory, no room, or has lost count."""


class Memory:
    """What the driver may use of a bar: blocks of powers of two, named by addresses in a slot."""

    def __init__(self, bar: Bar, start: int, end: int) -> None:
        self.bar = bar
        self.start = start
        self.size = end - start
        self.high_bits = 0  # slot and generation, once there is a slot
        self._used = SMALLEST_BLOCK  # an address is never 0
        self._free: dict[int, list[int]] = defaultdict(list)

    def take(self, size: int) -> int | None:
        """The address of a block, or None if there is no room."""
        block = SMALLEST_BLOCK
        while block < size:
            block *= 2
        if self._free[block]:
            return self._free[block].pop()
        if self._used + block > self.size:
            return None
        self._used += block
        return self._used - block | self.high_bits

    def give(self, address: int, size: int) -> None:
        """Take a block back."""
        block = SMALLEST_BLOCK
        while block < size:
            block *= 2
        self._free[block].append(address)

    def view(self, address: int, size: int) -> memoryview:
        """The bytes at an address."""
        start = self.start + (address & (1 << 48) - 1)
        return self.bar.view[start : start + size]


class GuestDriver:
    """
    Drives a :class:`QXLCard`.

    ``interrupts`` are those that came, in order. A driver of the old kind (``compat``)
    sets a mode and knows one surface.
    """

    def __init__(self, card: QXLCard, *, dice: random.Random | None = None, compat: bool = False) -> None:
        self.card = card
        self.dice = dice
        self.compat = compat
        self.compresses = False  # images, where that is possible
        self.interrupts: list[Interrupt] = []
        self.released: list[int] = []
        self.surfaces: dict[
            int, tuple[int, int, int, int, int]
        ] = {}  # address, width, height, format, stride
        self._resources: dict[int, list[tuple[Memory, int, int]]] = {}  # by release id
        self._next_id = 1
        self._blocks: list[tuple[Memory, int, int]] = []  # of the command that is being written
        self.rom = Rom.unpack(card.rom)
        assert self.rom.magic == ROM_MAGIC
        self.header = card.ram.view[self.rom.ram_header_offset :]
        assert RamStart.unpack(self.header).magic == RAM_MAGIC
        self.main = Memory(card.ram, 0, self.rom.ram_header_offset)
        self.video = Memory(card.vram, 0, card.vram.size)
        card.on_interrupt = self._interrupted
        self._want_interrupts()
        if not compat:
            self._add_slot(MAIN_SLOT, self.main)
            self._add_slot(SURFACES_SLOT, self.video)
            self.main._used = self.rom.surface0_area_size

    # interrupts and ports

    def _want_interrupts(self) -> None:
        self.header[:RAM_START_BYTES] = RamStart(RAM_MAGIC, 0, 0x3F).pack()

    def _interrupted(self, why: Interrupt) -> None:
        self.interrupts.append(why)
        self._want_interrupts()
        self.card.write(Port.UPDATE_IRQ)

    def arguments(self, **values: Any) -> None:
        """Set what ports read from the RAM header."""
        size = size_of(RamArguments)
        told = RamArguments.unpack(self.header[ARGUMENTS_OFFSET : ARGUMENTS_OFFSET + size])
        for name, value in values.items():
            setattr(told, name, value)
        self.header[ARGUMENTS_OFFSET : ARGUMENTS_OFFSET + size] = told.pack()

    def _add_slot(self, number: int, memory: Memory) -> None:
        start = memory.bar.address + memory.start
        self.arguments(mem_slot=MemSlot(start, start + memory.size))
        self.card.write(Port.MEMSLOT_ADD, number)
        generation = Rom.unpack(self.card.rom).slot_generation
        shift = 64 - SLOT_ID_BITS - SLOT_GENERATION_BITS
        memory.high_bits = (number << SLOT_GENERATION_BITS | generation) << shift

    def reset(self) -> None:
        """Reset the card; all memory is free again."""
        self.card.write(Port.RESET)
        self.__init__(self.card, dice=self.dice, compat=self.compat)  # type: ignore[misc]

    def set_mode(self, width: int, height: int, bits: int = 32) -> None:
        """As old drivers begin."""
        for number, mode in enumerate(self.card.modes):
            if (mode.x_res, mode.y_res, mode.bits, mode.orientation) == (width, height, bits, 0):
                self.card.write(Port.SET_MODE, number)
                break
        self._want_interrupts()
        generation = self.card.slots.generation
        self.main.high_bits = generation << 48 | self.card.ram.address
        self.main._used = self.rom.surface0_area_size
        self.main.start = -self.card.ram.address  # addresses are physical ones
        self.main.size = self.rom.ram_header_offset
        self.surfaces = {0: (self.main.high_bits, width, height, SurfaceFormat.XRGB32, -4 * width)}

    def create_primary(
        self,
        width: int,
        height: int,
        format: int = SurfaceFormat.XRGB32,
        *,
        contents: bytes | None = None,
        bottom_up: bool = False,
        port: Port = Port.CREATE_PRIMARY,
    ) -> None:
        """Make the primary surface at the start of the RAM; ``contents`` are its rows in memory."""
        stride = _stride(width, format, bottom_up)
        address = self.main.high_bits
        flags = self._contents(self.main, address, contents)
        self.arguments(create_surface=PrimaryCreate(width, height, stride, format, 0, 1, flags, 0, address))
        self.card.write(port)
        self.surfaces[0] = (address, width, height, format, stride)

    def destroy_primary(self, port: Port = Port.DESTROY_PRIMARY) -> None:
        """Take the primary surface away."""
        self.card.write(port)
        self.surfaces.pop(0, None)

    def update_area(self, surface_id: int, area: Rect | None = None, port: Port = Port.UPDATE_AREA) -> bytes:
        """Have an area of a surface rendered into memory; all rows of the surface as they are there then."""
        _address, width, height, _format, _stride_bytes = self.surfaces[surface_id]
        self.arguments(update_surface=surface_id, update_area=area or Rect(0, 0, height, width))
        self.card.write(port)
        return self.picture(surface_id)

    def picture(self, surface_id: int) -> bytes:
        """The rows of a surface in memory, the top one first."""
        address, _width, height, _format, stride = self.surfaces[surface_id]
        memory = self.main if surface_id == 0 else self.video
        rows = memory.view(address, height * abs(stride))
        lines = [bytes(rows[row * abs(stride) : (row + 1) * abs(stride)]) for row in range(height)]
        return b"".join(lines if stride > 0 else reversed(lines))

    def set_monitors(self, config: MonitorsConfig) -> None:
        """Say which heads there are."""
        heads = b"".join(head.pack() for head in config.heads)
        address = self._put(GuestMonitors(len(config.heads), config.max_allowed).pack() + heads)
        self.arguments(monitors_address=address)
        self.card.write(Port.MONITORS_CONFIG_ASYNC)
        self._forget_blocks()

    # rings

    def push(self, address: int, kind: int, ring_offset: int = COMMAND_RING_OFFSET) -> None:
        """Put a command into a ring; raises :class:`DriverError` if there is no room."""
        ring = self.header[ring_offset:]
        _items, prod, notify_on_prod, cons, _notify_on_cons = struct.unpack_from("<5I", ring)
        if prod - cons & 0xFFFFFFFF == COMMAND_RING_ITEMS:
            struct.pack_into("<I", ring, 16, cons + 1 & 0xFFFFFFFF)
            raise DriverError("the ring is full")
        item = RING_HEADER_BYTES + prod % COMMAND_RING_ITEMS * 16
        struct.pack_into("<QII", ring, item, address, kind, 0)
        prod = prod + 1 & 0xFFFFFFFF
        struct.pack_into("<I", ring, 4, prod)
        if prod == notify_on_prod:
            port = Port.NOTIFY_CMD if ring_offset == COMMAND_RING_OFFSET else Port.NOTIFY_CURSOR
            self.card.write(port)

    def collect(self) -> None:
        """Take what came back in the release ring; its memory is free again."""
        ring = self.header[RELEASE_RING_OFFSET:]
        _items, prod, _notify, cons, _on_cons = struct.unpack_from("<5I", ring)
        while cons != prod:
            (id,) = struct.unpack_from("<Q", ring, RING_HEADER_BYTES + cons % RELEASE_RING_ITEMS * 8)
            while id:
                self.released.append(id)
                if id not in self._resources:
                    raise DriverError(f"there is no resource {id}")
                blocks = self._resources.pop(id)
                memory, address, _size = blocks[0]
                (id,) = struct.unpack_from("<Q", memory.view(address, 8))
                for memory, address, size in blocks:
                    memory.give(address, size)
            cons = cons + 1 & 0xFFFFFFFF
        struct.pack_into("<I", ring, 8, prod + 1 & 0xFFFFFFFF)
        struct.pack_into("<I", ring, 12, cons)

    @property
    def held(self) -> int:
        """How many resources the device has."""
        return len(self._resources)

    # memory

    def _alloc(self, size: int, memory: Memory | None = None) -> int:
        memory = memory or self.main
        address = memory.take(size)
        for _try in range(2):
            if address is None:
                self.collect()
                self.card.write(Port.NOTIFY_OOM)
                self.collect()
                address = memory.take(size)
        if address is None:
            raise DriverError("no device memory is left")
        self._blocks.append((memory, address, size))
        return address

    def _put(self, data: bytes) -> int:
        address = self._alloc(len(data))
        self.main.view(address, len(data))[:] = data
        return address

    def _forget_blocks(self) -> None:
        for memory, address, size in self._blocks:
            memory.give(address, size)
        self._blocks = []

    def _command(self, make: Callable[[int], bytes], kind: int, ring: int = COMMAND_RING_OFFSET) -> None:
        """Write a command whose structure is made for a release id, and put it into a ring."""
        id = self._next_id
        self._next_id += 1
        packed = make(id)
        address = self._put(packed)
        self._blocks.insert(0, self._blocks.pop())  # the one with the release id is the first
        self._resources[id], self._blocks = self._blocks, []
        self.push(address, kind, ring)

    def _chunked(self, head: bytes, data: bytes) -> int:
        """A structure that ends with the first chunk of some data."""
        pieces = self._pieces(data)
        next_address = 0
        for piece in reversed(pieces[1:]):
            next_address = self._put(Chunk(len(piece), 0, next_address).pack() + piece)
        return self._put(head + Chunk(len(pieces[0]), 0, next_address).pack() + pieces[0])

    def _pieces(self, data: bytes) -> list[bytes]:
        if self.dice is None or self.dice.random() < 0.3 or not data:
            return [data]
        cuts = sorted({self.dice.randrange(len(data)) for _cut in range(self.dice.randrange(1, 5))})
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    # commands

    def create_surface(
        self,
        id: int,
        width: int,
        height: int,
        format: int = SurfaceFormat.XRGB32,
        *,
        contents: bytes | None = None,
        bottom_up: bool = False,
    ) -> None:
        """Make a surface whose pixels are in the video memory."""
        stride = _stride(width, format, bottom_up)
        address = self._alloc(height * abs(stride), self.video)
        flags = self._contents(self.video, address, contents)
        made = GuestSurfaceCreate(format, width, height, stride, address).pack()
        self.surfaces[id] = (address, width, height, format, stride)
        self._command(
            lambda release: GuestSurface(release, id, SurfaceCmdType.CREATE, flags).pack() + made,
            Command.SURFACE,
        )

    def _contents(self, memory: Memory, address: int, contents: bytes | None) -> int:
        if contents is None:
            return 0
        memory.view(address, len(contents))[:] = contents
        return KEEP_DATA

    def destroy_surface(self, id: int) -> None:
        """Take a surface away."""
        self.surfaces.pop(id, None)
        unused = bytes(size_of(GuestSurfaceCreate))
        self._command(
            lambda release: GuestSurface(release, id, SurfaceCmdType.DESTROY, 0).pack() + unused,
            Command.SURFACE,
        )

    def update(self, surface_id: int, area: Rect, update_id: int) -> None:
        """An update command."""
        self._command(
            lambda release: GuestUpdate(release, area, update_id, surface_id).pack(), Command.UPDATE
        )

    def message(self, text: bytes) -> None:
        """A message command."""
        self._command(lambda release: GuestMessage(release).pack() + text + b"\0", Command.MESSAGE)

    def cursor(self, command: CursorCommand) -> None:
        """A cursor command."""
        match command:
            case CursorSet(x=x, y=y, visible=visible, shape=shape):
                head = GuestCursor(
                    shape.unique,
                    shape.type,
                    shape.width,
                    shape.height,
                    shape.hot_spot_x,
                    shape.hot_spot_y,
                    len(shape.data),
                )
                address = self._chunked(head.pack(), shape.data)
                kind, rest = CursorCmdType.SET, GuestCursorSet(Point16(x, y), visible, address).pack()
            case CursorMove(x=x, y=y):
                kind, rest = CursorCmdType.MOVE, Point16(x, y).pack()
            case CursorHide():
                kind, rest = CursorCmdType.HIDE, b""
            case CursorTrail(length=length, frequency=frequency):
                kind, rest = CursorCmdType.TRAIL, GuestCursorTrail(length, frequency).pack()
            case _:
                raise TypeError(f"{command!r} is not a command of drivers")
        rest = rest.ljust(128, b"\0")
        self._command(
            lambda release: GuestCursorCmd(release, kind).pack() + rest, Command.CURSOR, CURSOR_RING_OFFSET
        )

    def draw(self, message: Any, effect: int = Effect.OPAQUE, mm_time: int = 0) -> None:
        """A drawing; images in it are ``Placeholder(DeviceImage)``."""
        number = _NUMBERS[type(message)]
        layout = OPERATIONS[number][0]
        if self.compat and layout is GuestAlphaBlend:
            layout = GuestCompatAlphaBlend
        values = {name: getattr(message, name) for name in layout.__slots__}
        for name in values.keys() & _PARTS.keys():
            values[name] = _PARTS[name](self, values[name])
        if isinstance(message, DrawComposite):
            values["flags"] &= ~_GIVEN
        operation = layout(**values).pack()
        base = message.base
        clip = self._clip(base.clip)
        if self.compat:
            self._command(
                lambda release: (
                    GuestCompatDrawable(release, effect, number, 0, _NOTHING, base.box, clip, mm_time).pack()
                    + operation
                ),
                Command.DRAW,
            )
            return
        depends = ([image.surface for image in _images(message) if image.surface is not None] + [-1] * 3)[:3]
        self._command(
            lambda release: (
                GuestDrawable(
                    release,
                    base.surface_id,
                    effect,
                    number,
                    0,
                    _NOTHING,
                    base.box,
                    clip,
                    mm_time,
                    depends,
                    bytes(48),
                ).pack()
                + operation
            ),
            Command.DRAW,
        )

    def _clip(self, clip: Clip) -> GuestClip:
        if clip.type == ClipType.NONE:
            return GuestClip(ClipType.NONE, 0)
        rects = clip.rects or []
        data = b"".join(rect.pack() for rect in rects)
        return GuestClip(ClipType.RECTS, self._chunked(GuestClipRects(len(rects)).pack(), data))

    def _image(self, placed: Placeholder | None) -> int:
        if placed is None:
            return 0
        image: DeviceImage = placed.value
        if image.surface is not None:
            head = GuestImage(image.id, ImageType.SURFACE, 0, image.width, image.height)
            return self._put(head.pack() + struct.pack("<I", image.surface))
        if self.compresses and image.top_down and image.format in quic.FORMATS:
            return self._put_compressed(image)
        flags = BITMAP_TOP_DOWN if image.top_down else 0
        data = bytes(image.data[: image.height * image.stride])
        if self.dice is not None and self.dice.random() < 0.5:
            flags |= BITMAP_DIRECT
            address = self._put(data)
        else:
            address = self._chunked(b"", data)
        palette = 0
        if image.palette:
            colours = struct.pack(f"<{len(image.palette)}I", *image.palette)
            palette = self._put(GuestPalette(image.palette_id, len(image.palette)).pack() + colours)
        head = GuestImage(image.id, ImageType.BITMAP, image.flags & 3, image.width, image.height)
        size = (image.width, image.height, image.stride)
        return self._put(head.pack() + GuestBitmap(image.format, flags, *size, palette, address).pack())

    def _put_compressed(self, image: DeviceImage) -> int:
        pixels = Pixels(image.width, image.height, image.format, image.stride, image.data)
        payload = b"".join(bytes(part) for part in quic.encode(pixels))
        head = GuestImage(image.id, ImageType.QUIC, image.flags & 3, image.width, image.height)
        return self._chunked(head.pack() + struct.pack("<I", len(payload)), payload)

    def _brush(self, brush: Brush) -> GuestBrush:
        if brush.type == BrushType.PATTERN and brush.pattern is not None:
            return GuestBrush(brush.type, self._image(brush.pattern.pat), brush.pattern.pos)  # type: ignore
        return GuestBrush(brush.type, brush.color or 0, Point(0, 0))

    def _mask(self, mask: QMask) -> GuestMask:
        return GuestMask(mask.flags, mask.pos, self._image(mask.bitmap))  # type: ignore[arg-type]

    def _path(self, path: Path) -> int:
        parts = []
        for segment in path.segments:
            parts.append(struct.pack("<II", segment.flags, len(segment.points)))
            parts += [point.pack() for point in segment.points]
        data = b"".join(parts)
        return self._chunked(GuestPath(len(data)).pack(), data)

    def _line(self, attr: LineAttr) -> GuestLine:
        style = attr.style or []
        address = self._put(struct.pack(f"<{len(style)}i", *style)) if style else self.main.high_bits
        return GuestLine(attr.flags, 0, 0, len(style), 16, 0, address)

    def _string(self, string: String) -> int:
        glyphs = string.glyphs or []
        data = b"".join(glyph.pack() for glyph in glyphs)
        return self._chunked(GuestString(len(data), len(glyphs), string.flags).pack(), data)

    def _transform(self, transform: Transform | None) -> int:
        return 0 if transform is None else self._put(transform.pack())


_PARTS: dict[str, Callable[[GuestDriver, Any], Any]] = {
    "src_bitmap": GuestDriver._image,
    "mask_bitmap": GuestDriver._image,
    "brush": GuestDriver._brush,
    "fore_brush": GuestDriver._brush,
    "back_brush": GuestDriver._brush,
    "mask": GuestDriver._mask,
    "path": GuestDriver._path,
    "attr": GuestDriver._line,
    "str": GuestDriver._string,
    "src_transform": GuestDriver._transform,
    "mask_transform": GuestDriver._transform,
}


def _images(message: Any) -> list[DeviceImage]:
    _body, pointers = message.pack_template()
    return [placeholder.value for _offset, placeholder in pointers]


def _stride(width: int, format: int, bottom_up: bool) -> int:
    stride = -(-row_bytes(format, width) // 4) * 4
    return -stride if bottom_up else stride
