# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the migration channel, which joins the source of a handover to its target.

The channel is spicemig's own (type 0xE0); the source is the client of the link,
so what it says goes ``to="server"``. Texts are UTF-8. Order and meaning of the
messages are the tables of :mod:`spicemig.migration.stages`.
"""

from enum import IntEnum, IntFlag
from typing import Annotated

from spicemig.wire.declare import Buffer, Counted, Fixed, Rest, message, record, u8, u16, u32, u64

PROTOCOL_VERSION = 1
MESSAGE_BYTES = 1 << 20  # no message of this channel has a longer body
CHUNK_BYTES = 256 << 10  # pixels and states travel in pieces of at most this size


class OfferFlag(IntFlag):
    """What a client can do, and over what it came."""

    SEAMLESS = 1  # it has the capability
    SEMI_SEAMLESS = 2
    UNIX = 4  # it came over a unix socket, and cannot follow to another address


class Mode(IntEnum):
    """How a client moves."""

    STAYS = 0  # it cannot follow
    SWITCH_HOST = 1
    SEMI_SEAMLESS = 2
    SEAMLESS = 3


class Transport(IntEnum):
    """By which way the state of channels travels."""

    CLIENT = 1
    STREAM = 2
    BOTH = 3


class StateKind(IntEnum):
    """Whose state a :class:`StateChunk` is part of."""

    HOST = 0
    DEVICE = 1
    GUEST = 2
    CHANNEL = 3


@record
class ChannelOffer:
    """Names one channel of a client."""

    type: u8  # CHANNEL_TYPES
    id: u8


@record
class NamedVersion:
    """The newest version of one kind of state that the source writes."""

    name: Annotated[bytes, Counted(u8)]
    version: u32


@record
class NamedSetting:
    """A setting that both hosts must have alike."""

    name: Annotated[bytes, Counted(u8)]
    value: Annotated[bytes, Counted(u16)]


@record
class ClientOffer:
    """A client of the source, and what the target must know to let it in."""

    connection_id: u32
    name: Annotated[bytes, Counted(u16)]  # for reports: where it came from
    verifier: Annotated[bytes, Counted(u16)]  # checks the client's ticket without being it; empty: no ticket
    flags: u32  # OfferFlag
    channels: Annotated[list[ChannelOffer], Counted(u8)]
    mode: u8 = 0  # Mode, as the source chose it


@record
class ChannelBlock:
    """The exported state of one channel, whole."""

    channel: u8
    channel_id: u8
    data: Annotated[bytes, Counted(u32)]


@record
class Problem:
    """One thing that would make the handover fail, and what to do about it."""

    code: Annotated[bytes, Counted(u8)]
    text: Annotated[bytes, Counted(u16)]
    hint: Annotated[bytes, Counted(u16)]


@record
class ClientMode:
    """A client and how it is going to move."""

    connection_id: u32
    mode: u8  # Mode


@message("migration", to="server", number=101)
class Prepare:
    """What the source serves, and wants the target to take over."""

    version: u32  # PROTOCOL_VERSION
    migration_id: Annotated[bytes, Fixed(16)]
    dry_run: u8  # 1: answer, and forget it
    mode: u8  # Mode asked for
    transport: u8  # Transport
    epoch: u64  # the source's own
    seal_key: Annotated[bytes, Fixed(32)]  # for the blocks that travel through clients
    uuid: Annotated[bytes, Fixed(16)]
    name: Annotated[bytes, Counted(u16)]
    guest_kind: Annotated[bytes, Counted(u8)]
    guest_version: u32
    state_versions: Annotated[list[NamedVersion], Counted(u16)]
    settings: Annotated[list[NamedSetting], Counted(u16)]
    channels: Annotated[list[ChannelOffer], Counted(u8)]
    clients: Annotated[list[ClientOffer], Counted(u16)]


@message("migration", to="server", number=102)
class Invited:
    """All clients are being invited now; COMMIT will name this epoch."""

    epoch: u64
    clients: Annotated[list[ClientMode], Counted(u16)]


@message("migration", to="server", number=103)
class ClientChanged:
    """A client moves in another way than was said, or came late."""

    offer: ClientOffer


@message("migration", to="server", number=104)
class PixelBlock:
    """
    A rectangle of pixels of one surface, newer than all that were sent before.

    The surface's own size is told with every block, so that pixels may come
    before the commands that made the surface.
    """

    surface_id: u32
    width: u32  # of the surface, in pixels
    height: u32
    left: u32  # where the rectangle begins
    top: u32
    rows: u32
    stride: u32  # bytes of a row of the rectangle
    data: Annotated[Buffer, Rest()]  # rows * stride bytes


@message("migration", to="server", number=105)
class RoundEnd:
    """What was dirty when this round began has been sent."""

    round: u16
    dirty_bytes: u64  # became dirty meanwhile


@message("migration", to="server", number=106)
class Stopped:
    """The guest stands still; the last pixels and the states follow at once."""


@message("migration", to="server", number=107)
class StateChunk:
    """A piece of one state; pieces of one state come in order, the last says so."""

    kind: u8  # StateKind
    connection_id: u32  # with StateKind.CHANNEL
    channel_type: u8
    channel_id: u8
    last: u8
    data: Annotated[Buffer, Rest()]


@message("migration", to="server", number=108)
class Final:
    """Everything has been sent."""


@message("migration", to="server", number=109)
class Commit:
    """The guest is yours."""

    migration_id: Annotated[bytes, Fixed(16)]
    epoch: u64


@message("migration", to="server", number=110)
class Finished:
    """Every client has left the source or was given up; it forgets the guest."""


@message("migration", to="server", number=111)
class Cancel:
    """As if nothing had happened."""

    reason: Annotated[bytes, Counted(u16)]


@message("migration", to="server", number=112)
class Whose:
    """After a lost connection: did you become the owner? Opens a connection instead of Prepare."""

    migration_id: Annotated[bytes, Fixed(16)]
    epoch: u64


@message("migration", to="server", number=113)
class SourceAlive:
    """Nothing else to say."""


@message("migration", to="server", number=114)
class DictionaryBlock:
    """
    Pixels of an image in the window of a client's GLZ dictionary.

    The images of a client come in the order of their ids, each whole, in pieces.
    Rows have no padding and come in the order of the image's stream.
    """

    connection_id: u32
    window_pixels: u32  # the size of the window
    image_id: u64
    format: u8  # BitmapFormat
    width: u32
    height: u32
    first: u32  # where in the image these bytes belong
    data: Annotated[Buffer, Rest()]


@message("migration", to="client", number=101)
class PrepareAnswer:
    """The pre-flight: no problems, and where clients find the target; or the problems."""

    version: u32
    epoch: u64  # the target's own
    problems: Annotated[list[Problem], Counted(u16)]
    host: Annotated[bytes, Counted(u16)]  # empty: the name by which the source reached it
    port: u16  # 0: none
    sport: u16  # TLS; 0: none
    cert_subject: Annotated[bytes, Counted(u16)]  # empty: clients check the host name


@message("migration", to="client", number=102)
class ClientLinked:
    """All channels of this client are linked to the target."""

    connection_id: u32


@message("migration", to="client", number=103)
class RoundAck:
    """The target has applied this many bytes of pixels and images since the beginning."""

    applied_bytes: u64


@message("migration", to="client", number=104)
class Ready:
    """The target has loaded everything and can own the guest."""

    digest: Annotated[bytes, Fixed(32)]  # see spicemig.migration.digest


@message("migration", to="client", number=105)
class Owned:
    """The target owns, or owned, the guest of this epoch."""

    migration_id: Annotated[bytes, Fixed(16)]
    epoch: u64
    alive: u8 = 1  # 0: the guest ended with the target's process; asked with Whose


@message("migration", to="client", number=106)
class NeverOwned:
    """The target never owned the guest of this epoch, and never will."""

    migration_id: Annotated[bytes, Fixed(16)]
    epoch: u64


@message("migration", to="client", number=107)
class ClientSettled:
    """A client is served by the target with all its channels."""

    connection_id: u32
    bytes_resent: u64  # pixels sent again that it had at the source


@message("migration", to="client", number=108)
class Settled:
    """Every client that was expected has settled, or was given up."""


@message("migration", to="client", number=109)
class Refused:
    """The target cannot go on; it forgot what it had."""

    problem: Problem


@message("migration", to="client", number=110)
class TargetAlive:
    """Nothing else to say."""
