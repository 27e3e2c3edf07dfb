# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One channel between its client and its server, of which there may be a second one.

Bytes go through unread but for their headers. What the client need not know of
is taken out, and an empty base.List put in its place: so the client goes on to
count what its servers count, whether for acknowledgements or for waits.

Source: spice.proto, BaseChannel; spice-gtk 0.42, spice-channel.c, for the
client's part of leaving a server and for what counts as a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from spicemig.errors import LinkError, ProtocolError
from spicemig.relay.scan import ALL, Scan, Taken, mask
from spicemig.wire.enums import MigrateFlags
from spicemig.wire.framing import frame, sub_list
from spicemig.wire.messages import base

# A message of a server goes to the client when all of it is here, if it has no more than this, header and
# all: it costs nothing then that the server is lost in the middle. The pings that servers begin with to
# measure the line have 256,000 bytes; that is 20 ms of 100 Mbit/s.
WHOLE_MAX_BYTES = 1 << 18
CLIENT_TAKEN_MAX_BYTES = 1 << 16  # of a client's message that is taken out; agent data has the largest


class ChannelStage(Enum):
    """How far a channel has left its server."""

    FORWARDING = "forwarding"
    ENDING = "ending"  # the server has said Migrate; the client is in the middle of a message
    AWAITING = "awaiting"  # the server's migrate data is still to come
    READY = "ready"  # nothing more comes from this server, nothing more goes to it
    RENEWING = "renewing"  # its server is of no use any more; the next one will know nothing of it
    GONE = "gone"


class Turn(Enum):
    """What moves a channel from stage to stage."""

    MIGRATE_RECEIVED = "Migrate received"
    CLIENT_PAUSED = "the client's message is complete"  # and all is here that the server owes
    CLIENT_PAUSED_DATA_OWED = "the client's message is complete, migrate data is owed"
    DATA_RECEIVED = "migrate data received"
    SWAPPED = "swapped"
    SERVER_LEFT = "the server is left without state"
    RENEWED = "renewed"
    LOST = "lost"


#: (stage, input): (next stage, name of the action)
TRANSITIONS: dict[tuple[ChannelStage, Turn], tuple[ChannelStage, str | None]] = {
    (ChannelStage.FORWARDING, Turn.MIGRATE_RECEIVED): (ChannelStage.ENDING, None),
    (ChannelStage.ENDING, Turn.CLIENT_PAUSED): (ChannelStage.READY, "_end"),
    (ChannelStage.ENDING, Turn.CLIENT_PAUSED_DATA_OWED): (ChannelStage.AWAITING, "_end"),
    (ChannelStage.ENDING, Turn.DATA_RECEIVED): (ChannelStage.ENDING, None),
    (ChannelStage.AWAITING, Turn.DATA_RECEIVED): (ChannelStage.READY, None),
    (ChannelStage.READY, Turn.SWAPPED): (ChannelStage.FORWARDING, "_begin"),
    **{
        (stage, Turn.SERVER_LEFT): (ChannelStage.RENEWING, "_leave")
        for stage in (
            ChannelStage.FORWARDING,
            ChannelStage.ENDING,
            ChannelStage.AWAITING,
            ChannelStage.READY,
        )
    },
    (ChannelStage.RENEWING, Turn.SERVER_LEFT): (ChannelStage.RENEWING, None),
    (ChannelStage.RENEWING, Turn.RENEWED): (ChannelStage.FORWARDING, "_begin_anew"),
    **{
        (stage, Turn.LOST): (ChannelStage.GONE, None)
        for stage in ChannelStage
        if stage is not ChannelStage.GONE
    },
}


@dataclass(frozen=True, slots=True)
class Leaves:
    """The server has said Migrate: the channel is on its way to the target."""


@dataclass(frozen=True, slots=True)
class Left:
    """Nothing is to be done any more at the server; swap the channel."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The message that the server was in the middle of when it was left is complete."""


_HOLDING = (ChannelStage.AWAITING, ChannelStage.READY, ChannelStage.RENEWING)

FILLER = base.List(sub_list(()))


class ChannelRelay:
    """
    What goes where on one channel; does no I/O.

    :meth:`from_server` and :meth:`from_client` take bytes and yield events;
    each event is to be handled before the next is asked for. What is to be
    written is in ``to_client`` and ``to_server`` until somebody takes it.
    """

    #: whether a new server's state of the channel can be made the client's
    renewable: ClassVar[bool] = False
    #: methods that take messages from the server out, by number
    _takers: ClassVar[dict[int, str]] = {
        base.Migrate.number: "_migrate",
        base.MigrateData.number: "_migrate_data",
        base.SetAck.number: "_set_ack",
    }
    #: the same of messages from the client
    taken_from_client: ClassVar[dict[int, str]] = {base.Ack.number: "_ack"}
    #: numbers of messages that no client sends who knows of no migration
    forbidden: ClassVar[frozenset[int]] = frozenset(
        {base.MigrateFlushMark.number, base.ClientMigrateData.number}
    )

    def __init__(self, channel: str, channel_id: int, mini: bool) -> None:
        self.name = channel
        self.channel_id = channel_id
        self.mini = mini
        self.stage = ChannelStage.FORWARDING
        self.to_client: list[Any] = []
        self.to_server: list[Any] = []
        self.ack_window = 0  # how many messages the client acknowledges at a time; 0: it does not
        self._acked_messages = 0  # of the server
        self._wanted = mask(self._takers)
        self.server_scan = self._scan_of_server()
        wanted = mask([*self.forbidden, *self.taken_from_client])
        self.client_scan = Scan(mini, wanted, CLIENT_TAKEN_MAX_BYTES)
        self._flags = MigrateFlags(0)
        self._data: bytes | None = None
        self._held: list[bytes] = []  # from the client, for the target
        self._skipped = 0  # bytes of the client's that are the end of a message which no server has whole

    @property
    def client_held(self) -> bool:
        """Whether what the client says now waits for the target; it need not be read."""
        return self.stage in _HOLDING

    @property
    def unacknowledged(self) -> int:
        """How many messages the client has not acknowledged, as far as they go by windows."""
        return self.server_scan.messages - self._acked_messages if self.ack_window else 0

    @property
    def held_bytes(self) -> int:
        """What is kept for the next server: migrate data, and what the client has said meanwhile."""
        return len(self._data or b"") + sum(map(len, self._held))

    @property
    def leaving(self) -> bool:
        """Whether the channel is on its way to the target."""
        return self.client_held or self.stage is ChannelStage.ENDING

    def _turn(self, turn: Turn) -> None:
        step = TRANSITIONS.get((self.stage, turn))
        if step is None:
            raise ProtocolError(
                LinkError.INVALID_DATA,
                f"{self.name}:{self.channel_id}: {turn.value} while {self.stage.value}",
            )
        self.stage, action = step
        if action is not None:
            getattr(self, action)()

    def lost(self) -> None:
        """One of the two sides is gone."""
        if self.stage is not ChannelStage.GONE:
            self._turn(Turn.LOST)

    # from the server

    def from_server(self, data: bytes) -> Iterator[Any]:
        """Bytes of the server; raises :class:`ProtocolError` for what it may not say."""
        if self.stage is ChannelStage.RENEWING:
            if not self.server_scan.left:
                return
            data = data[: self.server_scan.left]
        for item in self.server_scan.feed(data):
            if isinstance(item, Taken):
                yield from self._take(item)
            else:
                self.to_client.append(item)
        if self.stage is ChannelStage.RENEWING and self.paused:
            yield Paused()

    def _take(self, taken: Taken) -> Iterator[Any]:
        if self.leaving and taken.number != base.MigrateData.number:
            raise ProtocolError(
                LinkError.INVALID_DATA, f"{self.name}:{self.channel_id}: message {taken.number} after Migrate"
            )
        yield from getattr(self, self._takers[taken.number])(taken)

    def tell_client(self, message: Any, taken: Taken) -> None:
        """Say this instead of a message that was taken out."""
        self.to_client += frame(message, self.mini, taken.serial)

    def pass_on(self, taken: Taken) -> None:
        """Say a message that was taken out as it is."""
        self.to_client.append(taken.whole)

    def fill(self, taken: Taken) -> None:
        """Say nothing instead of a message that was taken out; the client counts it all the same."""
        self.tell_client(FILLER, taken)

    def _set_ack(self, taken: Taken) -> Iterator[Any]:
        self.ack_window = base.SetAck.unpack(taken.body).window
        self._acked_messages = self.server_scan.messages
        self.pass_on(taken)
        yield from ()

    def _migrate(self, taken: Taken) -> Iterator[Any]:
        self.fill(taken)
        self._flags = MigrateFlags(base.Migrate.unpack(taken.body).flags)
        self._turn(Turn.MIGRATE_RECEIVED)
        self.server_scan.wanted = ALL
        yield Leaves()
        yield from self._look_at_client()

    def _migrate_data(self, taken: Taken) -> Iterator[Any]:
        if self._data is not None or not self._flags & MigrateFlags.NEED_DATA_TRANSFER:
            raise ProtocolError(
                LinkError.INVALID_DATA, f"{self.name}:{self.channel_id}: unasked migrate data"
            )
        self.fill(taken)
        self._turn(Turn.DATA_RECEIVED)
        self._data = taken.body
        if self.stage is ChannelStage.READY:
            yield Left()

    # from the client

    def from_client(self, data: bytes) -> Iterator[Any]:
        """Bytes of the client; raises :class:`ProtocolError` for what it may not say."""
        if self._skipped:
            data, self._skipped = data[self._skipped :], max(0, self._skipped - len(data))
        if self.client_held:
            self._held.append(data)
            return
        if self.stage is ChannelStage.ENDING:
            rest = self.client_scan.left
            if len(data) > rest:
                data, held = data[:rest], data[rest:]
                self._held.append(held)
        self._forward(data)
        yield from self._look_at_client()

    def _forward(self, data: bytes) -> None:
        for item in self.client_scan.feed(data):
            if not isinstance(item, Taken):
                self.to_server.append(item)
            elif item.number in self.forbidden:
                raise ProtocolError(
                    LinkError.INVALID_DATA,
                    f"{self.name}:{self.channel_id}: the client says {item.number} unasked",
                )
            else:
                getattr(self, self.taken_from_client[item.number])(item)

    def _ack(self, taken: Taken) -> None:
        self._acked_messages += self.ack_window
        self.pass_to_server(taken)

    def pass_to_server(self, taken: Taken) -> None:
        """Say a message of the client that was taken out as it is."""
        self.to_server.append(taken.whole)

    def _look_at_client(self) -> Iterator[Any]:
        """Once the client's message is complete, end what is said to the server."""
        if self.stage is not ChannelStage.ENDING or not self.client_scan.at_boundary:
            return
        owed = self._flags & MigrateFlags.NEED_DATA_TRANSFER and self._data is None
        self._turn(Turn.CLIENT_PAUSED_DATA_OWED if owed else Turn.CLIENT_PAUSED)
        if self.stage is ChannelStage.READY:
            yield Left()

    def _end(self) -> None:
        if self._flags & MigrateFlags.NEED_FLUSH:
            self.tell_server(base.MigrateFlushMark())

    def tell_server(self, message: Any) -> None:
        """Say something of our own; what the client said must end with a message."""
        assert self.client_scan.at_boundary
        self.to_server += frame(message, self.mini, self.client_scan.serial + 1)

    # at the target

    def swap(self) -> Iterator[Any]:
        """
        Go on with the target, first with the source's migrate data, then with what the client said.

        From now on ``to_server`` is for the target; the source's part must have been written.
        """
        self._turn(Turn.SWAPPED)
        held, self._held = self._held, []
        for data in held:
            yield from self.from_client(data)

    def _begin(self) -> None:
        data, self._data = self._data, None
        self._scan_another_server()
        if data is not None:
            self.tell_server(base.ClientMigrateData(data))

    # at another server, which knows nothing of the channel

    @property
    def paused(self) -> bool:
        """Whether the client has no half message of a server that is left."""
        return not self.server_scan.left

    def leave(self) -> None:
        """
        This server is of no use any more; what the client says waits for the next.

        Of what the server says only the message that is under way goes to the client.
        """
        self._turn(Turn.SERVER_LEFT)

    def _leave(self) -> None:
        self._data = None
        self._skipped = self.client_scan.left
        self._held.insert(0, self.client_scan.take_back())

    def renew(self, caps: frozenset[int]) -> Iterator[Any]:
        """
        Go on with a server that takes the channel for a new one and can do this.

        The client is told what makes its state that of a new channel, and the
        server what a client says first; then what the client said meanwhile.
        """
        self._turn(Turn.RENEWED)
        self.tell_first(caps)
        held, self._held = self._held, []
        for data in held:
            yield from self.from_client(data)

    def _scan_of_server(self) -> Scan:
        return Scan(self.mini, self._wanted, whole_max_bytes=WHOLE_MAX_BYTES)

    def _scan_another_server(self) -> None:
        self._acked_messages -= self.server_scan.messages  # the client goes on to count
        self.server_scan = self._scan_of_server()

    def _begin_anew(self) -> None:
        self._scan_another_server()
        self.client_scan = Scan(self.mini, self.client_scan.wanted, CLIENT_TAKEN_MAX_BYTES)

    def tell_first(self, caps: frozenset[int]) -> None:
        """Hook: what to tell the client, and the server, when a channel is renewed."""

    def say(self, message: Any) -> None:
        """Tell the client something of our own."""
        self.to_client += frame(message, self.mini, self.server_scan.serial)
