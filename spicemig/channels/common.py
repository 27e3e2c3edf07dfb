# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every channel remembers beside its own state, and carries to the target."""

from typing import Annotated, Any

from spicemig.errors import LinkError, ProtocolError
from spicemig.state import carried, session_state
from spicemig.wire.declare import Counted, record, u16, u32, u64

ACK_WINDOW = 20  # messages per acknowledgement; spice-server's CLIENT_ACK_WINDOW
# what is kept while a channel stands still; a stock client never comes near it
HELD_MAX = 1024  # messages
HELD_MAX_BYTES = 256 * 1024


@record
class HeldMessage:
    """A message from the client that nobody has handled yet."""

    type: u16  # its number on the channel
    body: Annotated[bytes, Counted(u32)]


@session_state(magic=b"SMCC", version=1)
class CommonState:
    """What any channel core remembers."""

    serial_sent: u64 = carried(default=0)  # of the last message to the client
    serial_received: u64 = carried(default=0)  # of the last message from the client
    ack_generation: u32 = carried(default=0)  # of the last SetAck
    acknowledged_generation: u32 = carried(default=0)  # of the last AckSync
    ack_window: u32 = carried(default=ACK_WINDOW)
    unacknowledged: u32 = carried(default=0)  # messages sent since SetAck, less those acknowledged
    ping_id: u32 = carried(default=0)  # of the last ping
    held: Annotated[list[HeldMessage], Counted(u32)] = carried(factory=list)


@record
class CoreBlock:
    """A whole channel: what all channels have, and what is its own."""

    common: Annotated[bytes, Counted(u32)]
    own: Annotated[bytes, Counted(u32)]


def keep(messages: list[HeldMessage], number: int, body: Any) -> None:
    """Put a message behind the others; raises :class:`ProtocolError` where a client says too much."""
    if len(messages) >= HELD_MAX or sum(len(each.body) for each in messages) + len(body) > HELD_MAX_BYTES:
        raise ProtocolError(LinkError.INVALID_DATA, "the client said too much while its channel stood still")
    messages.append(HeldMessage(number, bytes(body)))
