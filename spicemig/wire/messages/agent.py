# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages between client, server and the guest's agent.

They travel inside main.AgentData and main.ClientAgentData as
:class:`AgentMessage`, in pieces of at most :data:`MAX_DATA_BYTES`; towards the
guest each piece is an :class:`AgentChunk`. The layouts with a ``selection`` are
those under CLIPBOARD_SELECTION, which every present client and agent have; the
others follow at the end.

Source: ``spice/vd_agent.h`` of spice-protocol 0.14.3.
"""

from typing import Annotated

from spicemig.wire.declare import (
    Buffer,
    Counted,
    Fixed,
    Rest,
    When,
    i32,
    length_of,
    message,
    record,
    u8,
    u16,
    u32,
    u64,
)
from spicemig.wire.enums import (
    AgentPort,
    AgentResult,
    ClipboardSelection,
    ClipboardType,
    DisplayConfigFlags,
    FileTransferResult,
    MonitorsConfigFlags,
)

PROTOCOL = 1
MAX_DATA_BYTES = 2048

BOTH = ("agent", "client")


@record
class AgentChunk:
    """A piece of a message on the way between server and guest."""

    port: Annotated[u32, AgentPort]
    data: Annotated[bytes, Counted(u32)]


@record
class AgentMessage:
    """A whole message; ``type`` is the number of one of the messages below, ``data`` its body."""

    protocol: u32
    type: u32
    opaque: u64
    data: Annotated[Buffer, Counted(u32)]


@record
class MonitorSize:
    """A monitor in pixels; 0 x 0 is one that is off."""

    height: u32
    width: u32
    depth: u32
    x: i32
    y: i32


@record
class MonitorMillimetres:
    """The size of the glass, or 0 x 0."""

    height: u16
    width: u16


@record
class DeviceDisplayInfo:
    """Which output of which graphics device a monitor of a display channel is."""

    channel_id: u32
    monitor_id: u32
    device_display_id: u32
    device_address: Annotated[bytes, Counted(u32, nul=True)]  # pci/DOMAIN/SLOT.FUNCTION/...


@message("agent", to="agent", number=1)
class MouseState:
    """Where the pointer is; the server makes it from the inputs channel."""

    x: u32
    y: u32
    buttons: u32  # MouseButtonMask shifted left by one
    display_id: u8


@message("agent", to="agent", number=2)
class MonitorsConfig:
    """How large the client would like the monitors."""

    num_of_monitors: u32 = length_of("monitors")
    flags: Annotated[u32, MonitorsConfigFlags]
    monitors: Annotated[list[MonitorSize], Counted("num_of_monitors")]
    physical_sizes: Annotated[
        list[MonitorMillimetres] | None,
        Counted("num_of_monitors"),
        When("flags", has=MonitorsConfigFlags.PHYSICAL_SIZE),
    ] = None


@message("agent", to="client", number=3)
class Reply:
    """Whether a message of this type could be obeyed."""

    type: u32
    error: Annotated[u32, AgentResult]


@message("agent", to=BOTH, number=4)
class Clipboard:
    """The data that was asked for."""

    selection: Annotated[u8, ClipboardSelection]
    reserved: Annotated[bytes, Fixed(3)]
    type: Annotated[u32, ClipboardType]
    data: Annotated[Buffer, Rest()]


@message("agent", to="agent", number=5)
class DisplayConfig:
    """What the guest may leave out to save bandwidth."""

    flags: Annotated[u32, DisplayConfigFlags]
    depth: u32


@message("agent", to=BOTH, number=6)
class AnnounceCapabilities:
    """What this side can do; see AgentCap. ``request`` asks for the same."""

    request: u32
    caps: Annotated[list[u32], Rest()]


@message("agent", to=BOTH, number=7)
class ClipboardGrab:
    """This side has data of these types now."""

    selection: Annotated[u8, ClipboardSelection]
    reserved: Annotated[bytes, Fixed(3)]
    types: Annotated[list[Annotated[u32, ClipboardType]], Rest()]


@message("agent", to=BOTH, number=8)
class ClipboardRequest:
    """Asks for the data in one of the types."""

    selection: Annotated[u8, ClipboardSelection]
    reserved: Annotated[bytes, Fixed(3)]
    type: Annotated[u32, ClipboardType]


@message("agent", to=BOTH, number=9)
class ClipboardRelease:
    """This side has no data any more."""

    selection: Annotated[u8, ClipboardSelection]
    reserved: Annotated[bytes, Fixed(3)]


@message("agent", to="agent", number=10)
class FileXferStart:
    """A file is to be copied to the guest; ``data`` is a key file with its name and size."""

    id: u32
    data: Annotated[bytes, Rest()]


@message("agent", to=BOTH, number=11)
class FileXferStatus:
    """How it goes; some results have details."""

    id: u32
    result: Annotated[u32, FileTransferResult]
    data: Annotated[bytes, Rest()] = b""


@message("agent", to="agent", number=12)
class FileXferData:
    """A piece of a file."""

    id: u32
    data: Annotated[Buffer, Counted(u64)]


@message("agent", to="agent", number=13)
class ClientDisconnected:
    """The last client is gone; made by the server."""


@message("agent", to="agent", number=14)
class MaxClipboard:
    """How large a clipboard may be, in bytes; -1 is without limit."""

    max: i32


@message("agent", to="agent", number=15)
class AudioVolumeSync:
    """The client's volume, for playback or record."""

    is_playback: u8
    mute: u8
    volume: Annotated[list[u16], Counted(u8)]


@message("agent", to="agent", number=16)
class GraphicsDeviceInfo:
    """Which monitors belong to which device; made by the server."""

    display_info: Annotated[list[DeviceDisplayInfo], Counted(u32)]


# Details of FileXferStatus.


@record
class FileXferNotEnoughSpace:
    """The detail of NOT_ENOUGH_SPACE."""

    disk_free_space: u64  # bytes


@record
class FileXferError:
    """The detail of ERROR."""

    error_type: u8  # 0: a GLib I/O error
    error_code: u32


# Other layouts of clipboard messages.


@record
class ClipboardGrabWithSerial:
    """ClipboardGrab under CLIPBOARD_GRAB_SERIAL."""

    selection: Annotated[u8, ClipboardSelection]
    reserved: Annotated[bytes, Fixed(3)]
    serial: u32
    types: Annotated[list[Annotated[u32, ClipboardType]], Rest()]


@record
class PlainClipboard:
    """Clipboard without CLIPBOARD_SELECTION."""

    type: Annotated[u32, ClipboardType]
    data: Annotated[Buffer, Rest()]


@record
class PlainClipboardGrab:
    """ClipboardGrab without CLIPBOARD_SELECTION."""

    types: Annotated[list[Annotated[u32, ClipboardType]], Rest()]


@record
class PlainClipboardRequest:
    """ClipboardRequest without CLIPBOARD_SELECTION."""

    type: Annotated[u32, ClipboardType]
