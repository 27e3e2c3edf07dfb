# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the channels that carry the bytes of a device: usbredir, port, webdav.

Source: spice.proto, SpicevmcChannel and PortChannel.
"""

from typing import Annotated

from spicemig.wire.declare import Buffer, Pointed, Rest, When, message, u8, u32
from spicemig.wire.enums import DataCompression, PortEvents

VMC = ("usbredir", "port", "webdav")
PORT = ("port", "webdav")


@message(VMC, to="client", number=101)
class Data:
    """Bytes from the device."""

    data: Annotated[Buffer, Rest()]


@message(VMC, to="client", number=102)
class CompressedData:
    """Compressed bytes from the device."""

    type: Annotated[u8, DataCompression]
    uncompressed_size: Annotated[u32 | None, When("type", other_than=DataCompression.NONE)] = None
    data: Annotated[Buffer, Rest()] = b""


@message(VMC, to="server", number=101)
class ClientData:
    """Bytes to the device."""

    data: Annotated[Buffer, Rest()]


@message(VMC, to="server", number=102)
class ClientCompressedData:
    """Compressed bytes to the device."""

    type: Annotated[u8, DataCompression]
    uncompressed_size: Annotated[u32 | None, When("type", other_than=DataCompression.NONE)] = None
    data: Annotated[Buffer, Rest()] = b""


@message(PORT, to="client", number=201)
class PortInit:
    """What the port is for, and whether the guest has it open."""

    name: Annotated[bytes, Pointed(size=u32, nul=True)]
    opened: u8


@message(PORT, to="client", number=202)
class PortEvent:
    """The guest opened or closed the port, or sent a break."""

    event: Annotated[u8, PortEvents]


@message(PORT, to="server", number=201)
class ClientPortEvent:
    """The client opened or closed the port, or sends a break."""

    event: Annotated[u8, PortEvents]
