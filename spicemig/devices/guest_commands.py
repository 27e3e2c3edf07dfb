# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The commands of a guest's driver, read from device memory as what the device draws.

Source: red-parse-qxl.cpp of spice-server 0.15.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spicemig.devices.contents import row_bytes
from spicemig.devices.cursor import (
    CursorCommand,
    CursorHide,
    CursorMove,
    CursorSet,
    CursorShape,
    CursorTrail,
)
from spicemig.devices.drawables import DeviceImage, Effect, Placeholder
from spicemig.devices.guest_data import GuestData
from spicemig.devices.guest_layout import (
    MONITORS,
    CommandFlags,
    CursorCmdType,
    DrawType,
    GuestAlphaBlend,
    GuestCompatAlphaBlend,
    GuestCompatDrawable,
    GuestCompatUpdate,
    GuestComposite,
    GuestCopy,
    GuestCopyBits,
    GuestCursor,
    GuestCursorCmd,
    GuestCursorSet,
    GuestCursorTrail,
    GuestDrawable,
    GuestFill,
    GuestMasked,
    GuestMessage,
    GuestMonitors,
    GuestOpaque,
    GuestRop3,
    GuestStroke,
    GuestSurface,
    GuestSurfaceCreate,
    GuestText,
    GuestTransparent,
    GuestUpdate,
    SurfaceCmdType,
    size_of,
)
from spicemig.devices.memory import GuestMistake, MemorySlots, Place
from spicemig.wire.drawing import DrawBase, Point16, Rect
from spicemig.wire.enums import CompositeFlags, CursorType, ImageScaleMode
from spicemig.wire.messages import display

LONGEST_MESSAGE = 4096
_RELEASE_BYTES = 8
_SALT = 0x9E3779B97F4A7C15  # odd, and without pattern: multiples are far apart

OPERATIONS: dict[int, tuple[Any, Any]] = {
    DrawType.FILL: (GuestFill, display.DrawFill),
    DrawType.OPAQUE: (GuestOpaque, display.DrawOpaque),
    DrawType.COPY: (GuestCopy, display.DrawCopy),
    DrawType.COPY_BITS: (GuestCopyBits, display.CopyBits),
    DrawType.BLEND: (GuestCopy, display.DrawBlend),
    DrawType.BLACKNESS: (GuestMasked, display.DrawBlackness),
    DrawType.WHITENESS: (GuestMasked, display.DrawWhiteness),
    DrawType.INVERS: (GuestMasked, display.DrawInvers),
    DrawType.ROP3: (GuestRop3, display.DrawRop3),
    DrawType.STROKE: (GuestStroke, display.DrawStroke),
    DrawType.TEXT: (GuestText, display.DrawText),
    DrawType.TRANSPARENT: (GuestTransparent, display.DrawTransparent),
    DrawType.ALPHA_BLEND: (GuestAlphaBlend, display.DrawAlphaBlend),
    DrawType.COMPOSITE: (GuestComposite, display.DrawComposite),
}
"""An operation's structure behind the head, and the message that it becomes, with fields of equal names."""

# Fields of these structures that are not the message's as they stand.
_PARTS: dict[str, Callable[[GuestData, Any], Any]] = {
    "src_bitmap": GuestData.image,
    "mask_bitmap": GuestData.image,
    "brush": GuestData.brush,
    "fore_brush": GuestData.brush,
    "back_brush": GuestData.brush,
    "mask": GuestData.mask,
    "path": GuestData.path,
    "attr": GuestData.line,
    "str": GuestData.string,
    "src_transform": GuestData.transform,
    "mask_transform": GuestData.transform,
    "alpha_flags": lambda data, value: value & 0xFF,
}

_GIVEN = {
    "mask_bitmap": CompositeFlags.HAS_MASK,
    "src_transform": CompositeFlags.HAS_SRC_TRANSFORM,
    "mask_transform": CompositeFlags.HAS_MASK_TRANSFORM,
}
_ALL_GIVEN = sum(_GIVEN.values())

_COLOURS: dict[int, tuple[int, int]] = {  # bits of a pixel, bytes of the palette; a mask follows
    CursorType.COLOR4: (4, 64),
    CursorType.COLOR8: (8, 1024),
    CursorType.COLOR16: (16, 0),
    CursorType.COLOR24: (24, 0),
    CursorType.COLOR32: (32, 0),
}


@dataclass(frozen=True, slots=True)
class Draw:
    """A drawing; without a message it draws nothing."""

    message: Any
    effect: int
    mm_time: int
    surfaces: tuple[int, ...]  # those that must exist


@dataclass(frozen=True, slots=True)
class Update:
    """Render this area into memory, and tell that ``update_id`` is done."""

    surface_id: int
    area: Rect
    update_id: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Where in memory a surface has its pixels; ``stride`` is negative if the bottom row comes first."""

    width: int
    height: int
    format: int
    stride: int
    memory: Place

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.height * abs(self.stride)


@dataclass(frozen=True, slots=True)
class SurfaceChange:
    """A surface is made, or destroyed if there is no ``picture``."""

    surface_id: int
    flags: int
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Text:
    """What the guest's driver wants to be logged."""

    text: bytes


def cursor_bytes(type: int, width: int, height: int) -> int:
    """How much data a shape needs at least."""
    mask = (width + 7) // 8 * height
    if type == CursorType.ALPHA:
        return 4 * width * height
    if type == CursorType.MONO:
        return 2 * mask
    if type not in _COLOURS:
        raise GuestMistake(f"a cursor of type {type} is not known")
    bits, palette = _COLOURS[type]
    return (width * bits + 7) // 8 * height + palette + mask


def check_rows(width: int, stride: int, format: int) -> None:
    """Raise :class:`GuestMistake` unless rows of such pixels are possible."""
    try:
        needed = row_bytes(format, width)
    except ValueError as error:
        raise GuestMistake(f"a surface of format {format} is not possible") from error
    if abs(stride) < needed or stride % 4:
        raise GuestMistake(f"rows of {stride} bytes do not hold {width} pixels")


class CommandReader:
    """Reads commands; each method raises :class:`GuestMistake` or ``WireError`` for an impossible one."""

    def __init__(self, slots: MemorySlots) -> None:
        self.slots = slots
        self.flags = 0  # CommandFlags
        self.resets = 0  # of the card, after which names have another meaning

    def resource(self, address: int) -> Place:
        """Where the resource is that the guest gets back when the command was used."""
        return self.slots.place(address, _RELEASE_BYTES)

    def _data(self) -> GuestData:
        return GuestData(self.slots, self.flags, self.resets * _SALT & 0xFFFFFFFFFFFFFFFF)

    def draw(self, address: int) -> Draw:
        """A drawing."""
        data = self._data()
        compat = bool(self.flags & CommandFlags.COMPAT)
        declared: Any = GuestCompatDrawable if compat else GuestDrawable
        head = data.read(declared, address)
        surface_id = 0 if compat else head.surface_id
        depends = () if compat else tuple(id & 0xFFFFFFFF for id in head.surfaces_dest if id != -1)
        if head.effect not in list(Effect):
            raise GuestMistake(f"effect {head.effect} is not known")
        if head.type == DrawType.NOP:
            return Draw(None, head.effect, head.mm_time, ())
        if head.type not in OPERATIONS:
            raise GuestMistake(f"drawing operation {head.type} is not known")
        layout, message = OPERATIONS[head.type]
        if compat and layout is GuestAlphaBlend:
            layout = GuestCompatAlphaBlend
        told = data.read(layout, address + size_of(declared))
        values = {name: getattr(told, name) for name in layout.__slots__}
        for name in values.keys() & _PARTS.keys():
            values[name] = _PARTS[name](data, values[name])
        if layout is GuestCompatAlphaBlend:
            values["alpha_flags"] = 0
        if "src_bitmap" in values and values["src_bitmap"] is None:
            self._draw_itself(values, layout, head, surface_id)
        if layout is GuestComposite:
            given = sum(flag for name, flag in _GIVEN.items() if values[name] is not None)
            values["flags"] = values["flags"] & ~_ALL_GIVEN | given
            if values["mask_bitmap"] is None and values["mask_transform"] is not None:
                raise GuestMistake("a mask that is not there cannot be transformed")
        if values.get("scale_mode", 0) not in list(ImageScaleMode):
            raise GuestMistake(f"scale mode {values['scale_mode']} is not known")
        made = message(base=DrawBase(surface_id, head.bbox, data.clip(head.clip)), **values)
        return Draw(made, head.effect, head.mm_time, (surface_id, *depends, *_surfaces_of(values)))

    def _draw_itself(self, values: dict[str, Any], layout: Any, head: Any, surface_id: int) -> None:
        """A drawing without an image may have as its image what its surface shows in an area."""
        if not head.self_bitmap or layout is GuestCopy:
            raise GuestMistake("there is no image to draw")
        area = head.self_bitmap_area
        if not (0 <= area.left < area.right and 0 <= area.top < area.bottom):
            raise GuestMistake("a drawing has an impossible part of its surface as its image")
        image = DeviceImage(area.right, area.bottom, surface=surface_id)
        values["src_bitmap"] = Placeholder(image)
        part = values.get("src_area")
        if part is not None:
            values["src_area"] = Rect(
                part.top + area.top, part.left + area.left, part.bottom + area.top, part.right + area.left
            )

    def update(self, address: int) -> Update:
        """An update command."""
        if self.flags & CommandFlags.COMPAT:
            told = self.slots.read(GuestCompatUpdate, address)
            return Update(0, told.area, told.update_id)
        told = self.slots.read(GuestUpdate, address)
        return Update(told.surface_id, told.area, told.update_id)

    def message(self, address: int) -> Text:
        """A message command."""
        text = self.slots.rest(address + size_of(GuestMessage), LONGEST_MESSAGE)
        return Text(bytes(text).split(b"\0", 1)[0])

    def surface(self, address: int) -> SurfaceChange:
        """A surface command."""
        head = self.slots.read(GuestSurface, address)
        if head.type == SurfaceCmdType.DESTROY:
            return SurfaceChange(head.surface_id, head.flags, None)
        if head.type != SurfaceCmdType.CREATE:
            raise GuestMistake(f"surface command {head.type} is not known")
        told = self.slots.read(GuestSurfaceCreate, address + size_of(GuestSurface))
        picture = self.picture(told.width, told.height, told.stride, told.format, told.data_address)
        return SurfaceChange(head.surface_id, head.flags, picture)

    def picture(self, width: int, height: int, stride: int, format: int, address: int) -> Picture:
        """Memory of a surface."""
        check_rows(width, stride, format)
        place = self.slots.place(address, height * abs(stride))
        return Picture(width, height, format, stride, place)

    def cursor(self, address: int) -> CursorCommand:
        """A cursor command."""
        head = self.slots.read(GuestCursorCmd, address)
        rest = address + size_of(GuestCursorCmd)
        if head.type == CursorCmdType.SET:
            return self._cursor_set(self.slots.read(GuestCursorSet, rest))
        if head.type == CursorCmdType.MOVE:
            position = self.slots.read(Point16, rest)
            return CursorMove(position.x, position.y)
        if head.type == CursorCmdType.HIDE:
            return CursorHide()
        if head.type != CursorCmdType.TRAIL:
            raise GuestMistake(f"cursor command {head.type} is not known")
        trail = self.slots.read(GuestCursorTrail, rest)
        return CursorTrail(trail.length, trail.frequency)

    def _cursor_set(self, told: GuestCursorSet) -> CursorSet:
        data = self._data()
        head = data.read(GuestCursor, told.shape_address)
        pixels = data.chunks(told.shape_address + size_of(GuestCursor))[: head.data_size]
        if len(pixels) < cursor_bytes(head.type, head.width, head.height):
            raise GuestMistake(f"a cursor of {head.width} by {head.height} pixels lacks some of them")
        shape = CursorShape(
            data.name(head.unique),
            head.type,
            head.width,
            head.height,
            head.hot_spot_x,
            head.hot_spot_y,
            pixels,
        )
        return CursorSet(told.position.x, told.position.y, bool(told.visible), shape)

    def monitors(self, address: int) -> display.MonitorsConfig:
        """The heads."""
        head = self.slots.read(GuestMonitors, address)
        if not 0 < head.count <= min(head.max_allowed or MONITORS, MONITORS):
            raise GuestMistake(f"{head.count} heads of {head.max_allowed} are not possible")
        size = size_of(GuestMonitors) + head.count * size_of(display.Head)
        return display.MonitorsConfig.unpack(bytes(self.slots.view(address, size)))


def _surfaces_of(values: dict[str, Any]) -> list[int]:
    """The surfaces that a drawing has images of."""
    images = [values.get("src_bitmap"), values.get("mask_bitmap")]
    if "mask" in values:
        images.append(values["mask"].bitmap)
    for name in ("brush", "fore_brush", "back_brush"):
        if name in values and values[name].pattern is not None:
            images.append(values[name].pattern.pat)
    return [image.value.surface for image in images if image is not None and image.value.surface is not None]
