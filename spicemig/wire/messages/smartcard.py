# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the smartcard channel.

Source: spice.proto, SmartcardChannel. Other names with number 101 that the
protocol once had are dead.
"""

from typing import Annotated

from spicemig.wire.declare import Buffer, Counted, message, u32
from spicemig.wire.enums import VscMessageType


@message("smartcard", to="client", number=101)
class Data:
    """A message of the virtual smartcard protocol, to the reader."""

    type: Annotated[u32, VscMessageType]
    reader_id: u32
    data: Annotated[Buffer, Counted(u32)]


@message("smartcard", to="server", number=101)
class ClientData:
    """A message of the virtual smartcard protocol, from the reader."""

    type: Annotated[u32, VscMessageType]
    reader_id: u32
    data: Annotated[Buffer, Counted(u32)]
