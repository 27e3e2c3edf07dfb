# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The QXL device: between the guest that draws and the displays that show it.

Source: qxl_dev.h for the words; architecture.md, section 2. The guest puts commands
into two bounded rings. While the device runs, they are taken in order: the device
remembers what they made (surfaces, heads, cursor), gives drawables to its
rasteriser, and tells every display. Remembered commands and rendered pixels
together are all that another host needs to go on.
"""

from collections import deque
from collections.abc import Callable
from typing import Annotated, Any

from twisted.logger import Logger
from zope.interface import implementer

from spicemig.devices.card import ADDRESSES, MAX_SURFACES, QXLCard
from spicemig.devices.card_size import LARGEST_BAR, CardSize
from spicemig.devices.cursor import CursorCommand, CursorReset, CursorShape, CursorState
from spicemig.devices.dirty import Area, DirtyTiles
from spicemig.devices.drawables import Batch
from spicemig.devices.interfaces import IDevice
from spicemig.devices.memory import PAGE, Bar
from spicemig.devices.raster.kernels import PUT, copy_rect
from spicemig.devices.raster.pending import Raster
from spicemig.devices.surfaces import PIXEL_BYTES, PRIMARY, PixelBlock, Surface
from spicemig.errors import GuestError, WireError
from spicemig.wire.declare import Counted, i16, record, u8, u16, u32, u64
from spicemig.wire.enums import SurfaceFormat
from spicemig.wire.messages.display import MonitorsConfig

COMMAND_RING_SIZE = 256  # batches and surface commands that wait while the device stands
CURSOR_RING_SIZE = 256
STATE_VERSION = 2  # 2: with a card
MEMORY_IDS = 0xFFFFFF00  # device memory travels as surfaces: this, and the number of the bar


@record
class SurfaceDescription:
    """The command that made a surface."""

    id: u32
    width: u32
    height: u32
    format: u32


@record
class CursorDescription:
    """A :class:`CursorState`; a ``type`` of 255 says that there is no shape."""

    x: i16
    y: i16
    visible: u8
    trail_length: u16
    trail_frequency: u16
    unique: u64
    type: u8
    width: u16
    height: u16
    hot_spot_x: u16
    hot_spot_y: u16
    data: Annotated[bytes, Counted(u32)]


@record
class DeviceState:
    """The remembered commands, for another device; pixels travel as :class:`PixelBlock`."""

    version: u16
    surfaces: Annotated[list[SurfaceDescription], Counted(u32)]
    monitors: Annotated[bytes, Counted(u32)]  # a MonitorsConfig, or nothing
    cursor: CursorDescription
    last_image_id: u64
    card: Annotated[bytes, Counted(u32)]  # a CardState, or nothing


NO_SHAPE = 255


def _described(cursor: CursorState) -> CursorDescription:
    shape = cursor.shape or CursorShape(0, NO_SHAPE, 0, 0, 0, 0, b"")
    return CursorDescription(
        x=cursor.x,
        y=cursor.y,
        visible=int(cursor.visible),
        trail_length=cursor.trail_length,
        trail_frequency=cursor.trail_frequency,
        unique=shape.unique,
        type=shape.type,
        width=shape.width,
        height=shape.height,
        hot_spot_x=shape.hot_spot_x,
        hot_spot_y=shape.hot_spot_y,
        data=shape.data,
    )


def _cursor_of(told: CursorDescription) -> CursorState:
    shape = None
    if told.type != NO_SHAPE:
        shape = CursorShape(
            told.unique,
            told.type,
            told.width,
            told.height,
            told.hot_spot_x,
            told.hot_spot_y,
            bytes(told.data),
        )
    return CursorState(shape, told.x, told.y, bool(told.visible), told.trail_length, told.trail_frequency)


@implementer(IDevice)
class QXLDevice:
    """
    One device with one guest and any number of displays.

    Guests call ``create_primary``, ``create_surface``, ``destroy_surface``,
    ``draw``, ``set_monitors`` and ``cursor_command``; each puts a command into a
    ring and raises :class:`GuestError` if that is full. Guests that have a driver
    for the hardware use a :class:`QXLCard` instead, which :meth:`plug` makes.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.running = True
        self._commands: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._cursor_commands: deque[CursorCommand] = deque()
        self._taking = False
        self._displays: list[Any] = []  # IDisplay
        self._forget()

    def _forget(self) -> None:
        self._raster = Raster()
        self._monitors: MonitorsConfig | None = None
        self._cursor = CursorState()
        self._last_image_id = 0
        self._dirty: dict[int, DirtyTiles] | None = None  # None: no precopy is under way
        self._left_out = 0  # drawables
        self._arrived: dict[int, Surface] = {}  # pixels of surfaces that were not told of yet
        self._arrived_bars: dict[int, Bar] = {}
        self.card: QXLCard | None = None

    # what guests call

    def create_primary(self, width: int, height: int, format: int = SurfaceFormat.XRGB32) -> None:
        """Make the surface that is the screen."""
        self.create_surface(PRIMARY, width, height, format)

    def destroy_primary(self) -> None:
        """Take the screen away."""
        self.destroy_surface(PRIMARY)

    def create_surface(self, id: int, width: int, height: int, format: int = SurfaceFormat.XRGB32) -> None:
        """Make a surface to draw on; it is black."""
        self.add_surface(Surface(id, width, height, format))

    def add_surface(self, surface: Surface) -> None:
        """From now on there is this surface, which belongs to the device."""
        self._put(self._take_surface, surface)

    def destroy_surface(self, id: int) -> None:
        """Take a surface away; commands given before may still read it."""
        self._put(self._take_destroy, id)

    def draw(self, batch: Batch) -> None:
        """Draw these, in order; the batch belongs to the device from now on."""
        if len(batch):
            self._put(self._take_batch, batch)

    def set_monitors(self, config: MonitorsConfig) -> None:
        """Say which heads there are."""
        self._put(self._take_monitors, config)

    def cursor_command(self, command: CursorCommand) -> None:
        """Change the cursor."""
        if len(self._cursor_commands) >= CURSOR_RING_SIZE:
            raise GuestError("the cursor ring is full")
        self._cursor_commands.append(command)
        self.take()

    def next_image_id(self) -> int:
        """An id for an image that no other image had, on this host or where the guest came from."""
        self._last_image_id += 1
        return self._last_image_id

    # what a card calls

    def plug(self, size: CardSize | None = None) -> QXLCard:
        """Give the device memory, rings and ports of its own, for a guest with a driver."""
        self.card = QXLCard(self, size)
        return self.card

    @property
    def in_rings(self) -> tuple[int, int]:
        """How many commands wait in the command ring and in the cursor ring."""
        return len(self._commands), len(self._cursor_commands)

    def waiting(self, surface_id: int) -> int:
        """How many commands would have to be drawn if somebody looked at this surface now."""
        return self._raster.waiting(surface_id)

    def surface(self, id: int) -> Surface | None:
        """A surface that exists, its pixels as they happen to be."""
        return self._raster.surfaces.get(id)

    def call(self, function: Callable[[Any], None], argument: Any) -> None:
        """Call this when the commands given before were taken."""
        self._put(function, argument)

    def clear(self) -> None:
        """Be without surfaces, heads and cursor, at once."""
        for surface in self.surfaces():
            self._take_destroy(surface.id)
        self._monitors = None
        self._take_cursor(CursorReset())

    # the rings

    def _put(self, take: Callable[[Any], None], command: Any) -> None:
        if len(self._commands) >= COMMAND_RING_SIZE:
            raise GuestError("the command ring is full")
        self._commands.append((take, command))
        self.take()

    def take(self) -> None:
        """Take what is in the rings; a display that makes the guest draw is served by the same loop."""
        if self._taking:
            return
        self._taking = True
        try:
            while self.running and (self._commands or self._cursor_commands or self._fed()):
                while self.running and self._commands:
                    take, command = self._commands.popleft()
                    take(command)
                while self.running and self._cursor_commands:
                    self._take_cursor(self._cursor_commands.popleft())
        finally:
            self._taking = False

    def _fed(self) -> bool:
        return self.card is not None and self.card.feed()

    def _take_surface(self, surface: Surface) -> None:
        if surface.id in self._raster.surfaces:
            self._take_destroy(surface.id)
        if len(self._raster.surfaces) >= MAX_SURFACES or surface.id >= MAX_SURFACES:
            self._log.warn("surface {id} is not made: too many", id=surface.id)
            return
        self._raster.add_surface(surface)
        if self._dirty is not None:
            self._watch(surface)
        for display in list(self._displays):
            display.surface_created(surface)

    def _take_destroy(self, surface_id: int) -> None:
        if surface_id not in self._raster.surfaces:
            self._log.warn("surface {id} is not destroyed: it does not exist", id=surface_id)
            return
        self._raster.remove_surface(surface_id)
        if self._dirty is not None:
            self._dirty.pop(surface_id, None)
        for display in list(self._displays):
            display.surface_destroyed(surface_id)

    def _take_batch(self, batch: Batch) -> None:
        left_out = self._raster.take(batch, self._dirty)
        if left_out:
            self._warn_of_left_out(left_out)
        if len(batch):
            for display in list(self._displays):
                display.drawables(batch)

    def _warn_of_left_out(self, drawables: int) -> None:
        """Seldomer the more there are."""
        before, self._left_out = self._left_out, self._left_out + drawables
        if before.bit_length() < self._left_out.bit_length():
            self._log.warn(
                "drawables for surfaces that do not exist are left out ({count} so far)", count=self._left_out
            )

    def _take_monitors(self, config: MonitorsConfig) -> None:
        self._monitors = config
        for display in list(self._displays):
            display.monitors(config)

    def _take_cursor(self, command: CursorCommand) -> None:
        self._cursor = self._cursor.after(command)
        for display in list(self._displays):
            display.cursor(command)

    # what sessions call

    def add_display(self, display: Any) -> None:
        self._displays.append(display)

    def remove_display(self, display: Any) -> None:
        if display in self._displays:
            self._displays.remove(display)

    def surfaces(self) -> list[Surface]:
        return sorted(self._raster.surfaces.values(), key=lambda surface: surface.id)

    def render(self, surface_id: int) -> Surface:
        return self._raster.render(surface_id)

    def cursor_state(self) -> CursorState:
        return self._cursor

    def monitors_config(self) -> MonitorsConfig | None:
        return self._monitors

    def stop(self) -> None:
        self.take()
        self.running = False

    def resume(self) -> None:
        self.running = True
        self.take()

    def render_all(self) -> None:
        """Draw everything that waits; a guest's memory gets the pixels of its surfaces."""
        self._raster.render_all()
        if self.card is not None:
            self.card.render_all()

    def reset(self) -> None:
        """Be as new, with the same displays: surfaces, cursor and what waits in the rings are gone."""
        self._commands.clear()
        self._cursor_commands.clear()
        gone = self.surfaces()
        self._forget()
        self.running = True
        for surface in gone:
            for display in list(self._displays):
                display.surface_destroyed(surface.id)

    # what migrations call

    def _watch(self, surface: Surface) -> None:
        assert self._dirty is not None
        tiles = self._dirty[surface.id] = DirtyTiles(surface.width, surface.height)
        tiles.mark_all()

    def begin_precopy(self) -> None:
        self._dirty = {}
        for surface in self.surfaces():
            self._watch(surface)
        for bar in self._bars():
            bar.watch()

    def _bars(self) -> tuple[Bar, ...]:
        return () if self.card is None else self.card.slots.bars

    def next_round(self, limit_bytes: int) -> list[PixelBlock]:
        blocks: list[PixelBlock] = []
        carried = 0
        for surface_id, tiles in sorted((self._dirty or {}).items()):
            if carried >= limit_bytes and blocks:
                break
            if not tiles:
                continue
            surface = self.render(surface_id)
            for area in list(tiles.areas()):
                if carried >= limit_bytes and blocks:
                    break
                blocks.append(_block_of(surface, area))
                tiles.clean(area)
                carried += area.pixels * PIXEL_BYTES
        for bar in self._bars():
            while carried < limit_bytes or not blocks:
                found = bar.carry(max((limit_bytes - carried) // PAGE, 1))
                if found is None:
                    break
                blocks.append(_pages_of(bar, *found))
                carried += len(found[1])
        return blocks

    def dirty_bytes(self) -> int:
        pixels = sum(tiles.pixels for tiles in (self._dirty or {}).values())
        pages = sum(count for bar in self._bars() for _first, count in bar.dirty())
        return pixels * PIXEL_BYTES + pages * PAGE

    def end_precopy(self) -> None:
        self._dirty = None
        for bar in self._bars():
            bar.unwatch()

    def export_state(self) -> bytes:
        if self._commands or self._cursor_commands:
            raise GuestError("commands wait in the rings; the guest stops before its device does")
        state = DeviceState(
            version=STATE_VERSION,
            surfaces=[
                SurfaceDescription(surface.id, surface.width, surface.height, surface.format)
                for surface in self.surfaces()
            ],
            monitors=b"" if self._monitors is None else self._monitors.pack(),
            cursor=_described(self._cursor),
            last_image_id=self._last_image_id,
            card=b"" if self.card is None else self.card.export_state(),
        )
        return state.pack()

    def restore(self, state: bytes) -> None:
        """
        As the interface says; the device stands still until ``resume``.

        Displays are not told: what they show did not change.
        """
        told = DeviceState.unpack(state, exact=True)
        if told.version > STATE_VERSION:
            raise WireError("DeviceState", "version", 0, f"{told.version} is newer than {STATE_VERSION}")
        monitors = MonitorsConfig.unpack(told.monitors) if told.monitors else None
        raster = Raster()
        for description in told.surfaces:
            raster.add_surface(self._arrived_surface(description))
        card = QXLCard.restored(self, told.card, self._arrived_bars) if told.card else None
        self._forget()
        self.running = False
        self._raster = raster
        self._monitors = monitors
        self._cursor = _cursor_of(told.cursor)
        self._last_image_id = told.last_image_id
        self.card = card

    def _arrived_surface(self, told: SurfaceDescription) -> Surface:
        arrived = self._arrived.get(told.id)
        if arrived is not None and (arrived.width, arrived.height) == (told.width, told.height):
            arrived.format = told.format
            return arrived
        if told.id >= MAX_SURFACES:
            raise WireError("DeviceState", "surfaces", 0, f"there cannot be a surface {told.id}")
        return _possible_surface("DeviceState", told.id, told.width, told.height, told.format)

    def apply_block(self, block: PixelBlock) -> None:
        if block.surface_id >= MEMORY_IDS:
            self._apply_pages(block)
            return
        surface = self._arrived.get(block.surface_id) or self._raster.surfaces.get(block.surface_id)
        if block.width and (
            surface is None or (surface.width, surface.height) != (block.width, block.height)
        ):
            if block.surface_id >= MAX_SURFACES:
                raise WireError("PixelBlock", "surface_id", 0, "there cannot be such a surface")
            surface = _possible_surface("PixelBlock", block.surface_id, block.width, block.height)
            self._arrived[block.surface_id] = surface
        if surface is None:
            raise WireError("PixelBlock", "surface_id", 0, f"{block.surface_id} is not a surface")
        try:
            copy_rect(
                surface.pixels,
                surface.stride,
                block.left,
                block.top,
                block.data,
                block.stride,
                0,
                0,
                block.stride // PIXEL_BYTES,
                block.rows,
                PUT,
            )
        except ValueError as error:
            raise WireError("PixelBlock", "data", 0, str(error)) from error

    def _apply_pages(self, block: PixelBlock) -> None:
        number = block.surface_id - MEMORY_IDS
        size = block.height * PAGE
        bar = self._arrived_bars.get(number) or next(
            (bar for bar in self._bars() if bar.number == number), None
        )
        if bar is None and 0 < size <= LARGEST_BAR and number < len(ADDRESSES):
            bar = self._arrived_bars[number] = Bar(number, ADDRESSES[number], size)
        end = block.top + block.rows
        if bar is None or size != bar.size or block.stride != PAGE or block.left or end > block.height:
            raise WireError("PixelBlock", "surface_id", 0, "these cannot be pages of device memory")
        if len(block.data) != block.rows * PAGE:
            raise WireError(
                "PixelBlock", "data", 0, f"{block.rows} pages do not have {len(block.data)} bytes"
            )
        bar.data[block.top * PAGE : end * PAGE] = bytes(block.data)


def _pages_of(bar: Bar, first: int, data: bytes) -> PixelBlock:
    return PixelBlock(
        surface_id=MEMORY_IDS + bar.number,
        width=PAGE // PIXEL_BYTES,
        height=bar.size // PAGE,
        left=0,
        top=first,
        rows=len(data) // PAGE,
        stride=PAGE,
        data=data,
    )


def _possible_surface(
    where: str, id: int, width: int, height: int, format: int = SurfaceFormat.XRGB32
) -> Surface:
    try:
        return Surface(id, width, height, format)
    except ValueError as error:
        raise WireError(where, "width", 0, str(error)) from error


def _block_of(surface: Surface, area: Area) -> PixelBlock:
    stride = area.cols * PIXEL_BYTES
    data = bytearray(area.rows * stride)
    copy_rect(
        data,
        stride,
        0,
        0,
        surface.pixels,
        surface.stride,
        area.left,
        area.top,
        area.cols,
        area.rows,
        PUT,
    )
    return PixelBlock(
        surface_id=surface.id,
        top=area.top,
        rows=area.rows,
        stride=stride,
        data=data,
        left=area.left,
        width=surface.width,
        height=surface.height,
    )
