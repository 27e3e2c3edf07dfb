# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a target must know of a display channel.

Source: spice-server 0.15.1, migration-protocol.h, for the fields that SPICE publishes.
"""

from typing import Annotated

from spicemig.channels.stream_state import StreamAtClient
from spicemig.state import carried, session_state
from spicemig.wire.declare import Counted, Fixed, Pointer, i64, record, u8, u32, u64
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import SurfaceFormat


@record
class SurfaceAtClient:
    """A surface that the client has."""

    id: u32
    width: u32
    height: u32
    format: u32 = SurfaceFormat.XRGB32


@record
class SurfaceIds:
    """The surfaces that the client has, as SPICE publishes them."""

    ids: Annotated[list[u32], Counted(u32)] = []


@record
class OwedRegion:
    """Parts of a surface that the client has not got as they are, or has lossy."""

    surface_id: u32
    rects: Annotated[list[Rect], Counted(u32)]


@session_state(magic=b"DCMD", version=2)
class DisplayState:
    """
    What a display channel remembers; begins as SpiceMigrateDataDisplay.

    What SPICE has no place for stands behind the fields that it publishes. The
    pixmap cache is shared by a client's display channels and travels by itself.
    """

    message_serial: u64 = carried(default=0)
    low_bandwidth: u8 = carried(default=0)
    pixmap_cache_id: u8 = carried(default=0)
    pixmap_cache_size: i64 = carried(default=0)  # in pixels
    pixmap_cache_frozen: u8 = carried(default=0)  # a stock target would empty the cache then
    pixmap_cache_clients: Annotated[bytes, Fixed(32)] = carried(default=bytes(32))  # last serials, 4 x u64
    glz_dictionary_id: u8 = carried(default=0)
    glz_window_size: u32 = carried(default=0)  # in pixels
    glz_encoders: u32 = carried(default=0)
    glz_last_image_id: u64 = carried(default=0)
    surface_ids: Annotated[SurfaceIds, Pointer()] = carried(factory=SurfaceIds)
    surfaces: Annotated[list[SurfaceAtClient], Counted(u32)] = carried(factory=list)
    initialised: u8 = carried(default=0)
    compression: u8 = carried(default=0)  # image_compression that the client prefers; 0: none
    palettes: Annotated[list[u64], Counted(u32)] = carried(factory=list)  # least recently used first
    owed: Annotated[list[OwedRegion], Counted(u32)] = carried(factory=list)
    lossy: Annotated[list[OwedRegion], Counted(u32)] = carried(factory=list, since=2)
    streams: Annotated[list[StreamAtClient], Counted(u8)] = carried(factory=list, since=2)
    video_codecs: Annotated[list[u8], Counted(u8)] = carried(factory=list, since=2)  # that the client prefers
    refused_codecs: Annotated[list[u8], Counted(u8)] = carried(factory=list, since=2)  # by the client
