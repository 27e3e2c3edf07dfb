# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the record channel: sound to the guest.

Source: spice.proto, RecordChannel.
"""

from typing import Annotated

from spicemig.wire.declare import Buffer, Counted, Rest, message, u8, u16, u32
from spicemig.wire.enums import AudioFormat, AudioMode


@message("record", to="client", number=101)
class Start:
    """Begin to record."""

    channels: u32
    format: Annotated[u16, AudioFormat]
    frequency: u32


@message("record", to="client", number=102)
class Stop:
    """Record no more."""


@message("record", to="client", number=103)
class Volume:
    """How loud each channel is."""

    volume: Annotated[list[u16], Counted(u8)]


@message("record", to="client", number=104)
class Mute:
    """Whether nothing is recorded."""

    mute: u8


@message("record", to="server", number=101)
class Data:
    """Samples, or one coded frame."""

    time: u32
    data: Annotated[Buffer, Rest()]


@message("record", to="server", number=102)
class Mode:
    """How Data is coded from here on."""

    time: u32
    mode: Annotated[u16, AudioMode]
    data: Annotated[bytes, Rest()] = b""


@message("record", to="server", number=103)
class StartMark:
    """The time at which recording began."""

    time: u32
