# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of every channel.

Source: spice.proto, BaseChannel.
"""

from typing import Annotated

from spicemig.wire.declare import Buffer, Counted, Rest, message, record, u8, u32, u64
from spicemig.wire.enums import LinkError, MigrateFlags, NotifySeverity, NotifyVisibility


@record
class ChannelWait:
    """Wait until this channel has handled the message with this serial."""

    channel_type: u8
    channel_id: u8
    message_serial: u64


@message("base", to="client", number=1)
class Migrate:
    """The channel moves to the target."""

    flags: Annotated[u32, MigrateFlags]


@message("base", to="client", number=2)
class MigrateData:
    """What the client carries to the target unread; the last message of the source."""

    data: Annotated[bytes, Rest()]


@message("base", to="client", number=3)
class SetAck:
    """From here on acknowledge every ``window`` messages."""

    generation: u32
    window: u32


@message("base", to="client", number=4)
class Ping:
    """Answer with Pong; the padding measures bandwidth."""

    id: u32
    timestamp: u64
    data: Annotated[Buffer, Rest()] = b""


@message("base", to="client", number=5)
class WaitForChannels:
    """Handle nothing more here until other channels got so far."""

    wait_list: Annotated[list[ChannelWait], Counted(u8)]


@message("base", to="client", number=6)
class Disconnecting:
    """The server is about to close the connection."""

    time_stamp: u64
    reason: Annotated[u32, LinkError]


@message("base", to="client", number=7)
class Notify:
    """Something that a person may want to read."""

    time_stamp: u64
    severity: Annotated[u32, NotifySeverity]
    visibility: Annotated[u32, NotifyVisibility]
    what: u32
    message: Annotated[bytes, Counted(u32, nul_after=True)]


@message("base", to="client", number=8)
class List:
    """Only sub-messages; see :func:`spicemig.wire.framing.sub_messages`."""

    data: Annotated[Buffer, Rest()]


@message("base", to="server", number=1)
class AckSync:
    """SetAck with this generation has arrived."""

    generation: u32


@message("base", to="server", number=2)
class Ack:
    """A window full of messages was handled."""


@message("base", to="server", number=3)
class Pong:
    """The answer to Ping, with its values."""

    id: u32
    timestamp: u64


@message("base", to="server", number=4)
class MigrateFlushMark:
    """Nothing more will come to the source on this channel."""


@message("base", to="server", number=5)
class ClientMigrateData:
    """What the source had sent in its MigrateData, now to the target."""

    data: Annotated[bytes, Rest()]


@message("base", to="server", number=6)
class ClientDisconnecting:
    """The client is about to close the connection."""

    time_stamp: u64
    reason: Annotated[u32, LinkError]
