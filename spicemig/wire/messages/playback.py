# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the playback channel: sound from the guest.

Source: spice.proto, PlaybackChannel. Times are those of main.MultiMediaTime.
"""

from typing import Annotated

from spicemig.wire.declare import Buffer, Counted, Rest, message, u8, u16, u32
from spicemig.wire.enums import AudioFormat, AudioMode


@message("playback", to="client", number=101)
class Data:
    """Samples, or one coded frame."""

    time: u32
    data: Annotated[Buffer, Rest()]


@message("playback", to="client", number=102)
class Mode:
    """How Data is coded from here on."""

    time: u32
    mode: Annotated[u16, AudioMode]
    data: Annotated[bytes, Rest()] = b""


@message("playback", to="client", number=103)
class Start:
    """Sound begins."""

    channels: u32
    format: Annotated[u16, AudioFormat]
    frequency: u32
    time: u32


@message("playback", to="client", number=104)
class Stop:
    """Sound ends."""


@message("playback", to="client", number=105)
class Volume:
    """How loud each channel is."""

    volume: Annotated[list[u16], Counted(u8)]


@message("playback", to="client", number=106)
class Mute:
    """Whether nothing is heard."""

    mute: u8


@message("playback", to="client", number=107)
class Latency:
    """How much sound the client should keep before it plays."""

    latency_ms: u32
