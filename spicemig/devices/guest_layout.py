# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The structures that a QXL guest keeps in device memory.

Fields have the names of the display messages that the structures become, where
there is such a message. Names that end in ``address`` are 64-bit addresses in a
memory slot, 0 for nothing.

Source: qxl_dev.h of spice-protocol 0.14.3.
"""

from enum import IntEnum, IntFlag
from typing import Annotated, Any

from spicemig.wire.declare import Fixed, i32, record, u8, u16, u32, u64
from spicemig.wire.drawing import Point, Point16, Rect


class Command(IntEnum):
    """What an item of the command or cursor ring asks for."""

    NOP = 0
    DRAW = 1
    UPDATE = 2
    CURSOR = 3
    MESSAGE = 4
    SURFACE = 5


class CommandFlags(IntFlag):
    """How commands are laid out, after an old driver has set a mode."""

    COMPAT = 1
    COMPAT_16BPP = 2


class Interrupt(IntFlag):
    """Why the guest is interrupted."""

    DISPLAY = 1
    CURSOR = 2
    IO_CMD = 4
    ERROR = 8
    CLIENT = 16
    CLIENT_MONITORS_CONFIG = 32


class Port(IntEnum):
    """The I/O ports."""

    NOTIFY_CMD = 0
    NOTIFY_CURSOR = 1
    UPDATE_AREA = 2
    UPDATE_IRQ = 3
    NOTIFY_OOM = 4
    RESET = 5
    SET_MODE = 6
    LOG = 7
    MEMSLOT_ADD = 8
    MEMSLOT_DEL = 9
    DETACH_PRIMARY = 10
    ATTACH_PRIMARY = 11
    CREATE_PRIMARY = 12
    DESTROY_PRIMARY = 13
    DESTROY_SURFACE_WAIT = 14
    DESTROY_ALL_SURFACES = 15
    UPDATE_AREA_ASYNC = 16
    MEMSLOT_ADD_ASYNC = 17
    CREATE_PRIMARY_ASYNC = 18
    DESTROY_PRIMARY_ASYNC = 19
    DESTROY_SURFACE_ASYNC = 20
    DESTROY_ALL_SURFACES_ASYNC = 21
    FLUSH_SURFACES_ASYNC = 22
    FLUSH_RELEASE = 23
    MONITORS_CONFIG_ASYNC = 24


class DrawType(IntEnum):
    """The drawing operations; 3 and 5 to 14 are called DRAW_... there."""

    NOP = 0
    FILL = 1
    OPAQUE = 2
    COPY = 3
    COPY_BITS = 4
    BLEND = 5
    BLACKNESS = 6
    WHITENESS = 7
    INVERS = 8
    ROP3 = 9
    STROKE = 10
    TEXT = 11
    TRANSPARENT = 12
    ALPHA_BLEND = 13
    COMPOSITE = 14


class CursorCmdType(IntEnum):
    """What a cursor command does."""

    SET = 0
    MOVE = 1
    HIDE = 2
    TRAIL = 3


class SurfaceCmdType(IntEnum):
    """What a surface command does."""

    CREATE = 0
    DESTROY = 1


KEEP_DATA = 1  # of a surface's flags: what is in its memory is its picture
BITMAP_DIRECT = 1  # of a bitmap's flags: the data is not in chunks
BITMAP_TOP_DOWN = 4
IMAGE_CACHE = 1  # of an image's flags
IMAGE_HIGH_BITS_SET = 2

ROM_MAGIC = 0x4F525851  # "QXRO"
RAM_MAGIC = 0x41525851  # "QXRA"
LOG_BYTES = 4096
COMMAND_RING_ITEMS = 32
RELEASE_RING_ITEMS = 8
MONITORS = 64  # in the ROM
CLIENT_CAPABILITIES_BYTES = 58


# The ROM, and the header in the RAM.


@record
class Rom:
    """What the device tells its driver; ``client_heads`` are 64 times left, top, right, bottom."""

    magic: u32 = ROM_MAGIC
    id: u32 = 0
    update_id: u32 = 0
    compression_level: u32 = 0
    log_level: u32 = 0
    mode: u32 = 0
    modes_offset: u32 = 0
    num_pages: u32 = 0
    pages_offset: u32 = 0
    draw_area_offset: u32 = 0
    surface0_area_size: u32 = 0
    ram_header_offset: u32 = 0
    mm_clock: u32 = 0
    n_surfaces: u32 = 0
    flags: u64 = 0
    slots_start: u8 = 0
    slots_end: u8 = 0
    slot_gen_bits: u8 = 0
    slot_id_bits: u8 = 0
    slot_generation: u8 = 0
    client_present: u8 = 0
    client_capabilities: Annotated[bytes, Fixed(CLIENT_CAPABILITIES_BYTES)] = bytes(CLIENT_CAPABILITIES_BYTES)
    client_monitors_crc: u32 = 0
    client_monitors_count: u16 = 0
    padding: u16 = 0
    client_heads: Annotated[bytes, Fixed(16 * MONITORS)] = bytes(16 * MONITORS)


@record
class GuestMode:
    """A size that an old driver can ask for by number."""

    id: u32
    x_res: u32
    y_res: u32
    bits: u32
    stride: u32
    x_millimetres: u32
    y_millimetres: u32
    orientation: u32


@record
class RamStart:
    """What the RAM header begins with; the log and the rings follow."""

    magic: u32
    int_pending: u32
    int_mask: u32


@record
class MemSlot:
    """Some of the memory of a bar, by the bar's own addresses."""

    mem_start: u64
    mem_end: u64


@record
class PrimaryCreate:
    """The primary surface, as the driver wants it."""

    width: u32
    height: u32
    stride: i32  # negative: the bottom row comes first
    format: u32
    position: u32
    mouse_mode: u32
    flags: u32
    type: u32
    mem_address: u64


@record
class RamArguments:
    """Behind the rings: what the ports need to know."""

    update_area: Rect
    update_surface: u32
    mem_slot: MemSlot
    create_surface: PrimaryCreate
    flags: u64
    monitors_address: u64


def size_of(declared: Any) -> int:
    """How many bytes a structure without variable parts has."""
    return declared.__plan__.min_size


RAM_START_BYTES = size_of(RamStart)
RING_HEADER_BYTES = 20
COMMAND_BYTES = 16
COMMAND_RING_BYTES = RING_HEADER_BYTES + COMMAND_RING_ITEMS * COMMAND_BYTES
RELEASE_RING_BYTES = RING_HEADER_BYTES + RELEASE_RING_ITEMS * 8
LOG_OFFSET = RAM_START_BYTES
COMMAND_RING_OFFSET = LOG_OFFSET + LOG_BYTES
CURSOR_RING_OFFSET = COMMAND_RING_OFFSET + COMMAND_RING_BYTES
RELEASE_RING_OFFSET = CURSOR_RING_OFFSET + COMMAND_RING_BYTES
ARGUMENTS_OFFSET = RELEASE_RING_OFFSET + RELEASE_RING_BYTES
RAM_HEADER_BYTES = 8192  # 5348 are used; whole pages


# What commands are made of.


@record
class Chunk:
    """A piece of some data, which follows it."""

    data_size: u32
    prev_address: u64
    next_address: u64


@record
class GuestClip:
    """Everywhere, or the rectangles at an address."""

    type: u32
    rects_address: u64


@record
class GuestClipRects:
    """Before the first chunk of clip rectangles."""

    num_rects: u32


@record
class GuestBrush:
    """``value`` is a colour, or the address of a pattern's image."""

    type: u32
    value: u64
    pos: Point


@record
class GuestMask:
    """Which pixels are drawn."""

    flags: u8
    pos: Point
    bitmap_address: u64


@record
class GuestLine:
    """How a line is dashed."""

    flags: u8
    join_style: u8
    end_style: u8
    style_nseg: u8
    width: i32
    miter_limit: i32
    style_address: u64


@record
class GuestPath:
    """Before the first chunk of path segments."""

    data_size: u32


@record
class GuestString:
    """Before the first chunk of glyphs."""

    data_size: u32
    length: u16
    flags: u16


@record
class GuestImage:
    """What is known of an image before its data."""

    id: u64
    type: u8
    flags: u8
    width: u32
    height: u32


@record
class GuestBitmap:
    """Follows the image if it is a bitmap."""

    format: u8
    flags: u8
    x: u32
    y: u32
    stride: u32
    palette_address: u64
    data_address: u64


@record
class GuestPalette:
    """Before its colours."""

    unique: u64
    num_ents: u16


# Commands.


@record
class GuestDrawable:
    """What all drawings begin with."""

    release_id: u64
    surface_id: u32
    effect: u8
    type: u8
    self_bitmap: u8
    self_bitmap_area: Rect
    bbox: Rect
    clip: GuestClip
    mm_time: u32
    surfaces_dest: Annotated[list[i32], Fixed(3)]  # -1: none
    surfaces_rects: Annotated[bytes, Fixed(48)]  # what is read of each; not needed


@record
class GuestCompatDrawable:
    """What drawings of old drivers begin with; they know one surface."""

    release_id: u64
    effect: u8
    type: u8
    self_bitmap: u16
    self_bitmap_area: Rect
    bbox: Rect
    clip: GuestClip
    mm_time: u32


@record
class GuestFill:
    """Of DRAW_FILL."""

    brush: GuestBrush
    rop_descriptor: u16
    mask: GuestMask


@record
class GuestOpaque:
    """Of DRAW_OPAQUE."""

    src_bitmap: u64
    src_area: Rect
    brush: GuestBrush
    rop_descriptor: u16
    scale_mode: u8
    mask: GuestMask


@record
class GuestCopy:
    """Of DRAW_COPY and DRAW_BLEND."""

    src_bitmap: u64
    src_area: Rect
    rop_descriptor: u16
    scale_mode: u8
    mask: GuestMask


@record
class GuestCopyBits:
    """Of COPY_BITS."""

    src_pos: Point


@record
class GuestMasked:
    """Of DRAW_BLACKNESS, DRAW_WHITENESS and DRAW_INVERS."""

    mask: GuestMask


@record
class GuestRop3:
    """Of DRAW_ROP3."""

    src_bitmap: u64
    src_area: Rect
    brush: GuestBrush
    rop3: u8
    scale_mode: u8
    mask: GuestMask


@record
class GuestStroke:
    """Of DRAW_STROKE."""

    path: u64
    attr: GuestLine
    brush: GuestBrush
    fore_mode: u16
    back_mode: u16


@record
class GuestText:
    """Of DRAW_TEXT."""

    str: u64
    back_area: Rect
    fore_brush: GuestBrush
    back_brush: GuestBrush
    fore_mode: u16
    back_mode: u16


@record
class GuestTransparent:
    """Of DRAW_TRANSPARENT."""

    src_bitmap: u64
    src_area: Rect
    src_color: u32
    true_color: u32


@record
class GuestAlphaBlend:
    """Of DRAW_ALPHA_BLEND."""

    alpha_flags: u16
    alpha: u8
    src_bitmap: u64
    src_area: Rect


@record
class GuestCompatAlphaBlend:
    """Of DRAW_ALPHA_BLEND, from old drivers."""

    alpha: u8
    src_bitmap: u64
    src_area: Rect


@record
class GuestComposite:
    """Of DRAW_COMPOSITE."""

    flags: u32
    src_bitmap: u64
    src_transform: u64
    mask_bitmap: u64
    mask_transform: u64
    src_origin: Point16
    mask_origin: Point16


@record
class GuestUpdate:
    """An update command: render this area into memory."""

    release_id: u64
    area: Rect
    update_id: u32
    surface_id: u32


@record
class GuestCompatUpdate:
    """An update command of an old driver."""

    release_id: u64
    area: Rect
    update_id: u32


@record
class GuestMessage:
    """A message command; its text follows, up to a NUL."""

    release_id: u64


@record
class GuestSurface:
    """What surface commands begin with."""

    release_id: u64
    surface_id: u32
    type: u8
    flags: u32


@record
class GuestSurfaceCreate:
    """Follows if the surface is made."""

    format: u32
    width: u32
    height: u32
    stride: i32  # negative: the bottom row comes first
    data_address: u64


@record
class GuestCursorCmd:
    """What cursor commands begin with."""

    release_id: u64
    type: u8


@record
class GuestCursorSet:
    """Follows if the shape changes."""

    position: Point16
    visible: u8
    shape_address: u64


@record
class GuestCursorTrail:
    """Follows if the trail changes."""

    length: u16
    frequency: u16


@record
class GuestCursor:
    """A shape, before the first chunk of its data."""

    unique: u64
    type: u16
    width: u16
    height: u16
    hot_spot_x: u16
    hot_spot_y: u16
    data_size: u32


@record
class GuestMonitors:
    """Before the heads, which are those of a ``MonitorsConfig`` message."""

    count: u16
    max_allowed: u16
