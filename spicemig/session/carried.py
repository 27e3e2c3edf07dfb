# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a session hands from host to host: one record per channel, one per host."""

from typing import Annotated

from spicemig.state import carried, session_state
from spicemig.wire.declare import Counted, record, u8, u16, u32


@record
class CarriedChannel:
    """
    One channel's state. ``core`` is what the channel core exported; ``shared``
    is what it shares with its client's other channels: a :class:`SharedImages` for
    a display channel, the measured bandwidth for main, nothing for the others.
    """

    core: Annotated[bytes, Counted(u32)]
    shared: Annotated[bytes, Counted(u32)] = b""


PIXMAPS_ONLY = b"PXMP"  # so begins what hosts without GLZ share: the pixmap cache by itself


@session_state(magic=b"IMGS", version=1)
class SharedImages:
    """What the display channels of a client share; the contents of the dictionary go ahead."""

    pixmap_cache: Annotated[bytes, Counted(u32)] = carried(default=b"")
    glz_dictionary: Annotated[bytes, Counted(u32)] = carried(default=b"")


@record
class HeldKeys:
    """Keys that a client holds down, for the target to let go of if it does not come."""

    connection_id: u32
    codes: Annotated[list[u32], Counted(u16)]  # with which they go up, in this order


@record
class CarriedHost:
    """What all clients of a host share."""

    version: u8
    mouse_mode: u16  # MouseMode in force
    mm_time: u32  # multimedia clock at export, in ms
    modifiers: u16  # lock keys that are on in the guest
    keys: Annotated[list[HeldKeys], Counted(u32)] = []


CARRIED_HOST_VERSION = 1
