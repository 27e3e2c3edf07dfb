# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the guest's video device, the port org.spice-space.stream.0.

Each follows a :class:`StreamHeader`.

Source: ``spice/stream-device.h`` of spice-protocol 0.14.3.
"""

from typing import Annotated

from spicemig.wire.declare import Buffer, Counted, Fixed, Rest, i32, message, record, u8, u16, u32
from spicemig.wire.enums import CursorType, VideoCodec

PROTOCOL = 1
MAX_CAPABILITIES_BYTES = 1024


@record
class StreamHeader:
    """What comes before each message of the device."""

    protocol_version: u8
    padding: u8
    type: u16
    size: u32


@message("stream", to=("server", "guest"), number=1)
class Capabilities:
    """What this side can do, as bits."""

    capabilities: Annotated[bytes, Rest()]


@message("stream", to="server", number=2)
class Format:
    """A stream of this size begins."""

    width: u32
    height: u32
    codec: Annotated[u8, VideoCodec]
    padding: Annotated[bytes, Fixed(3)] = bytes(3)


@message("stream", to="server", number=3)
class Data:
    """A part of the stream."""

    data: Annotated[Buffer, Rest()]


@message("stream", to="guest", number=4)
class StartStop:
    """The codecs that all clients know; with none, stop."""

    codecs: Annotated[list[Annotated[u8, VideoCodec]], Counted(u8)]


@message("stream", to="guest", number=5)
class NotifyError:
    """The guest broke the protocol; nothing more is read from it."""

    error_code: u32
    msg: Annotated[bytes, Rest()]


@message("stream", to="server", number=6)
class CursorSet:
    """The guest's cursor; at most 1024 x 1024."""

    width: u16
    height: u16
    hot_spot_x: u16
    hot_spot_y: u16
    type: Annotated[u8, CursorType]
    padding: Annotated[bytes, Fixed(3)]
    data: Annotated[Buffer, Rest()]


@message("stream", to="server", number=7)
class CursorMove:
    """Where the guest's cursor is."""

    x: i32
    y: i32


@message("stream", to="server", number=8)
class DeviceDisplayInfo:
    """Which output of which graphics device is streamed."""

    stream_id: u32
    device_display_id: u32
    device_address: Annotated[bytes, Counted(u32, nul=True)]


@message("stream", to="server", number=9)
class QualityIndicator:
    """Free text about quality."""

    quality: Annotated[bytes, Rest()]
