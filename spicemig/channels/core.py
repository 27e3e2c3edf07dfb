# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What all channel cores share: serials, ack window, pings, leaving and arriving.

A core takes bytes from one client and yields events; what it has to say is
collected until somebody drains it. It does no I/O and has no clock: it is told
the time whenever something happens, and names its next deadline.

Source: spice.proto, BaseChannel; spice-server 0.15.1, red-channel-client.cpp,
for the rules of acknowledgement; spice-gtk 0.42, spice-channel.c, for what is
counted at the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, ClassVar, TypeVar

from spicemig.channels.common import ACK_WINDOW, CommonState, CoreBlock, HeldMessage, keep
from spicemig.channels.events import (
    ClientDead,
    ClientDisconnecting,
    Event,
    FlushMarkReceived,
    LatencyMeasured,
    MigrateDataReceived,
    WindowOpened,
)
from spicemig.channels.flow import Flow
from spicemig.channels.tallies import Traffic
from spicemig.errors import LinkError, ProtocolError
from spicemig.state import session_state
from spicemig.wire.declare import catalogue
from spicemig.wire.enums import MigrateFlags, NotifySeverity, NotifyVisibility
from spicemig.wire.framing import Deframer, frame, frame_body
from spicemig.wire.messages import base

FIRST_PING_SECONDS = 0.1  # after a channel came to life
PING_SECONDS = 15.0  # between pings where the latency is watched
LONG_PING_SECONDS = 300.0  # elsewhere
DEAD_AFTER_SECONDS = 30.0  # without any sign while a ping is unanswered

BODY_MAX_BYTES = 4096  # of a message from a client; channels with larger ones say so
PENDING_MAX_BYTES = 2 * 1024 * 1024  # to be written; what a freeze still sends off is less
MIGRATE_DATA_MAX_BYTES = 16 * 1024 * 1024  # of a block that an arriving client brings

MANY_MESSAGES = 1 << 20  # may be sent at once where nobody counts

NANOSECONDS = 1_000_000_000
MIGRATE_FLAGS = MigrateFlags.NEED_FLUSH | MigrateFlags.NEED_DATA_TRANSFER

Handler = TypeVar("Handler", bound=Callable[..., Any])


class LeavingStage(Enum):
    """How far a channel has arrived at this host, or left it."""

    PARKED = "parked"  # linked; its state is still to come
    AWAITING = "awaiting"  # restored and speaking; the client has not brought its block yet
    SETTLED = "settled"
    FROZEN = "frozen"  # client messages are kept, to be handed over or handled later
    FLUSHING = "flushing"  # Migrate is sent; waiting for the flush mark
    FLUSHED = "flushed"  # the client has said its last
    HANDED_OVER = "handed over"
    GONE = "gone"


class Turn(Enum):
    """What moves a channel from stage to stage."""

    STARTED = "started"  # serve it from scratch
    RESTORED = "restored"
    BLOCK_TAKEN = "block taken"
    FROZEN = "frozen"
    THAWED = "thawed"
    MIGRATION_BEGAN = "migration began"
    FLUSH_MARK_RECEIVED = "flush mark received"
    BLOCK_SENT = "block sent"
    CONNECTION_LOST = "connection lost"


#: (stage, input): (next stage, name of the action)
TRANSITIONS: dict[tuple[LeavingStage, Turn], tuple[LeavingStage, str | None]] = {
    (LeavingStage.PARKED, Turn.STARTED): (LeavingStage.SETTLED, "_watch"),
    (LeavingStage.PARKED, Turn.RESTORED): (LeavingStage.AWAITING, "_speak_again"),
    (LeavingStage.AWAITING, Turn.BLOCK_TAKEN): (LeavingStage.SETTLED, "_watch"),
    (LeavingStage.SETTLED, Turn.FROZEN): (LeavingStage.FROZEN, "_forget_pings"),
    (LeavingStage.FROZEN, Turn.THAWED): (LeavingStage.SETTLED, "_watch"),
    (LeavingStage.SETTLED, Turn.MIGRATION_BEGAN): (LeavingStage.FLUSHING, "_send_migrate"),
    (LeavingStage.FROZEN, Turn.MIGRATION_BEGAN): (LeavingStage.FLUSHING, "_send_migrate"),
    (LeavingStage.FLUSHING, Turn.FLUSH_MARK_RECEIVED): (LeavingStage.FLUSHED, None),
    (LeavingStage.FLUSHED, Turn.BLOCK_SENT): (LeavingStage.HANDED_OVER, None),
    **{
        (stage, Turn.CONNECTION_LOST): (LeavingStage.GONE, "_forget_pings")
        for stage in LeavingStage
        if stage is not LeavingStage.GONE
    },
}

# stages in which a client's messages are kept for the target instead of being handled
_HOLDING = (LeavingStage.FROZEN, LeavingStage.FLUSHING)
# after Migrate nothing but MigrateData may be sent
_SILENT = (LeavingStage.FLUSHING, LeavingStage.FLUSHED, LeavingStage.HANDED_OVER, LeavingStage.GONE)


def receives(message: type[Any]) -> Callable[[Handler], Handler]:
    """The method handles this message from the client; it may yield events."""

    def mark(handler: Handler) -> Handler:
        handler.received_message = message  # type: ignore[attr-defined]
        return handler

    return mark


@session_state()
class NoState:
    """The state of a channel that has none of its own."""


class ChannelCore:
    """
    The server's side of one channel of one client.

    ``mini`` says which headers the link agreed on, ``caps`` what the client
    offered for this channel. An ``arriving`` core is parked: it keeps what its
    client says and says nothing until :meth:`restore` or :meth:`start`.
    """

    channel: ClassVar[str] = ""
    common_type: ClassVar[Any] = CommonState
    state_type: ClassVar[Any] = NoState
    offered_caps: ClassVar[frozenset[int]] = frozenset()  # channel capabilities for the link reply
    uses_acks: ClassVar[bool] = False  # whether the client is asked to acknowledge
    ack_window: ClassVar[int] = ACK_WINDOW
    body_max_bytes: ClassVar[int] = BODY_MAX_BYTES
    ping_seconds: ClassVar[float] = LONG_PING_SECONDS
    answered_while_parked: ClassVar[frozenset[type[Any]]] = frozenset()

    _handlers: ClassVar[dict[int, tuple[type[Any], str]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = dict(cls._handlers)
        cls._handlers.update(_marked(cls))

    def __init__(
        self,
        state: Any = None,
        *,
        mini: bool = True,
        caps: Iterable[int] = frozenset(),
        arriving: bool = False,
        channel_id: int = 0,
        traffic: Traffic | None = None,
    ) -> None:
        self.state: Any = self.state_type() if state is None else state
        self.common = self.common_type()
        self.common.ack_window = self.ack_window
        self.mini = mini
        self.caps = frozenset(caps)
        self.channel_id = channel_id
        self.traffic = traffic if traffic is not None else Traffic()
        self.stage = LeavingStage.PARKED if arriving else LeavingStage.SETTLED
        self.now: float | None = None
        self._transport_paused = False
        self.latency_seconds: float | None = None
        self.flow: Flow | None = None  # where what is on its way is bounded in bytes
        limit = MIGRATE_DATA_MAX_BYTES if arriving else self.body_max_bytes
        self._deframer = Deframer(self.channel, "server", mini, limit)
        self._early: list[HeldMessage] = []  # what an arriving client said before its turn
        self._out: list[Any] = []
        self._out_bytes = 0
        self._drained = 0  # how much of the queue may go out while parked
        self._ping_at: float | None = None
        self._ping_sent: float | None = None
        self._watch_id = 0  # of the ping that _ping_sent is about
        self._heard: float | None = None

    # the stage

    @property
    def parked(self) -> bool:
        """Whether the channel's state is still to come."""
        return self.stage is LeavingStage.PARKED

    @property
    def leaving(self) -> bool:
        """Whether what the client says now is for the target, if there is to be one."""
        return self.stage in _HOLDING or self.stage in _SILENT

    def _turn(self, turn: Turn) -> None:
        step = TRANSITIONS.get((self.stage, turn))
        assert step is not None, f"{self.channel}: {turn.value} while {self.stage.value}"
        self.stage, action = step
        if action is not None:
            getattr(self, action)()

    def start(self, now: float) -> None:
        """Speak first on a channel without a past; on a parked one, give up on its past."""
        self.now = now
        if self.parked:
            self._turn(Turn.STARTED)
            self._deframer.max_body_bytes = self.body_max_bytes
        else:
            self._watch()
        if self.uses_acks:
            self.ask_for_acks()
        self.started()

    def catch_up(self) -> Iterator[Event]:
        """Handle what the client said before the channel was started."""
        yield from self._handle_held()

    def started(self) -> None:
        """Hook: send the first messages of a channel without a past."""

    def freeze(self) -> None:
        """Handle nothing more from the client; a channel that is not settled yet is left alone."""
        if self.stage is LeavingStage.SETTLED:
            self._turn(Turn.FROZEN)

    def thaw(self) -> Iterator[Event]:
        """Go on as if nothing had happened; first with what was kept."""
        if self.stage is LeavingStage.FROZEN:
            self._turn(Turn.THAWED)
            yield from self._handle_held()

    def leave(self) -> None:
        """Ask the client for its flush mark. Nothing but the block is sent after this."""
        if self.stage in (LeavingStage.SETTLED, LeavingStage.FROZEN):
            self._turn(Turn.MIGRATION_BEGAN)

    def _send_migrate(self) -> None:
        self._forget_pings()
        self._queue(base.Migrate(flags=MIGRATE_FLAGS))

    def hand_over(self, block: Any) -> None:
        """Give the client this block for the target; the flush mark must have come."""
        self._turn(Turn.BLOCK_SENT)
        self._queue(base.MigrateData(data=block))

    def connection_lost(self) -> None:
        """The transport is gone."""
        if self.stage is not LeavingStage.GONE:
            self._turn(Turn.CONNECTION_LOST)

    # state

    def export_state(self) -> bytes:
        """
        All that the target must know, as bytes.

        The serial in it is the one that the client will have counted when it
        has read Migrate and MigrateData, whether they are sent yet or not.
        """
        ahead = {LeavingStage.HANDED_OVER: 0, LeavingStage.FLUSHING: 1, LeavingStage.FLUSHED: 1}.get(
            self.stage, 2
        )
        serial = self.common.serial_sent
        self.common.serial_sent = serial + ahead
        try:
            return CoreBlock(common=self.common.export_state(), own=self.state.export_state()).pack()
        finally:
            self.common.serial_sent = serial

    def restore(self, data: Any) -> None:
        """
        Take over a state from the source and speak to the client again.

        Raises :class:`WireError`, and stays parked, if it is not one. The
        messages held in it wait for :meth:`take_held`.
        """
        common, state = self._open(data)
        self.check(state)
        self.common, self.state = common, state
        self._turn(Turn.RESTORED)

    def _open(self, data: Any) -> tuple[CommonState, Any]:
        block = CoreBlock.unpack(data)
        return self.common_type.restore(block.common), self.state_type.restore(block.own)

    def check(self, state: Any) -> None:
        """Hook: raise :class:`WireError` if a state cannot be right although every field of it is."""

    def restored(self) -> None:
        """Hook: the state is here; send what is owed."""

    def take_held(self, data: Any = None) -> Iterator[Event]:
        """
        Handle what the client said to the source after that stood still.

        ``data`` is the block that came through the client; None takes what
        the restored state held. Then what the client said here meanwhile.
        """
        if data is not None:
            self.common.held = self._open(data)[0].held
        self._turn(Turn.BLOCK_TAKEN)
        self._deframer.max_body_bytes = self.body_max_bytes
        yield from self._handle_held()

    def _handle_held(self) -> Iterator[Event]:
        held, self.common.held = self.common.held, []
        early, self._early = self._early, []
        for message in [*held, *early]:
            yield from self._sort(message.type, message.body)

    def _speak_again(self) -> None:
        if self.uses_acks:
            self.ask_for_acks()
        self.restored()

    # from the client

    def receive(self, data: Any, now: float | None = None) -> Iterator[Event]:
        """Take bytes from the client; raises :class:`ProtocolError` if it may not say that."""
        if now is not None:
            self.now = self._heard = now
        self.traffic.received_bytes += len(data)
        for received in self._deframer.feed(data):
            self.common.serial_received += 1
            for number, body in received.sub:
                yield from self._sort(number, body)
            yield from self._sort(received.number, received.body)

    def _sort(self, number: int, body: Any) -> Iterator[Event]:
        """Handle one message, or keep it, as the stage demands."""
        if self.stage in _HOLDING:
            if number == base.MigrateFlushMark.number and self.stage is LeavingStage.FLUSHING:
                self._turn(Turn.FLUSH_MARK_RECEIVED)
                yield FlushMarkReceived()
            else:
                keep(self.common.held, number, body)
        elif self.stage in (LeavingStage.PARKED, LeavingStage.AWAITING):
            yield from self._arriving(number, body)
        elif self.stage is LeavingStage.SETTLED:
            yield from self._dispatch(number, body)
        elif self.stage is not LeavingStage.GONE:
            raise ProtocolError(
                LinkError.INVALID_DATA, f"{self.channel}: message {number} after the flush mark"
            )

    def _arriving(self, number: int, body: Any) -> Iterator[Event]:
        if number == base.ClientMigrateData.number:
            yield MigrateDataReceived(bytes(base.ClientMigrateData.unpack(body).data))
        elif len(body) > self.body_max_bytes:
            raise ProtocolError(LinkError.INVALID_DATA, f"{self.channel}: a message of {len(body)} bytes")
        elif self.parked and number in {message.number for message in self.answered_while_parked}:
            yield from self._dispatch(number, body)
        else:
            keep(self._early, number, body)

    def _dispatch(self, number: int, body: Any) -> Iterator[Event]:
        entry = self._handlers.get(number)
        if entry is None:
            known = catalogue.find(self.channel, "server", number)
            name = number if known is None else known.__name__
            raise ProtocolError(
                LinkError.INVALID_DATA, f"{self.channel}: a client may not send message {name} now"
            )
        message, handler = entry
        events = getattr(self, handler)(message.unpack(body))
        if events is not None:
            yield from events

    # to the client

    def send(self, message: Any) -> None:
        """Queue a message; one that comes after Migrate is not for this client any more and is dropped."""
        if self.stage not in _SILENT:
            self._queue(message)

    def send_now(self, message: Any) -> None:
        """Like :meth:`send`, but it leaves a parked core too."""
        self.send(message)
        self._drained = len(self._out)

    def send_body(self, number: int, parts: list[Any]) -> None:
        """:meth:`send` for a message that is packed already; ``parts`` are its buffers."""
        if self.stage not in _SILENT:
            self._count()
            self._put(frame_body(number, parts, self.mini, self.common.serial_sent))

    def send_packed(self, messages: int, parts: list[Any]) -> None:
        """:meth:`send_body` for some messages that are framed already, with the serials that follow."""
        if self.stage not in _SILENT:
            self._count(messages)
            self._put(parts)

    def _queue(self, message: Any) -> None:
        self._count()
        self._put(frame(message, self.mini, self.common.serial_sent))

    def _count(self, messages: int = 1) -> None:
        self.common.serial_sent += messages
        if self.uses_acks:
            self.common.unacknowledged += messages

    def _put(self, buffers: list[Any]) -> None:
        self._out += buffers
        size = sum(map(len, buffers))
        self._out_bytes += size
        if self.flow is not None:
            self.flow.count(size, self.now or 0.0)

    def data_to_send(self) -> list[Any]:
        """Take what waits to be written; a parked core lets nothing out but what is sent now."""
        if not self._out:
            return []
        if self.parked:
            out, self._out = self._out[: self._drained], self._out[self._drained :]
        else:
            out, self._out = self._out, []
        self._drained = 0
        size = sum(map(len, out))
        self._out_bytes -= size
        self.traffic.sent_bytes += size
        return out

    @property
    def pending_bytes(self) -> int:
        """How much waits in :meth:`data_to_send`."""
        return self._out_bytes

    @property
    def choked(self) -> bool:
        """Whether more waits for a client that does not read than one that reads can have asked for."""
        return self._out_bytes > PENDING_MAX_BYTES and not self.leaving

    def notify(
        self,
        text: str,
        severity: int = NotifySeverity.INFO,
        visibility: int = NotifyVisibility.MEDIUM,
        what: int = 0,
    ) -> None:
        """Show the user a text."""
        self.send(base.Notify(self._stamp(), severity, visibility, what, text.encode()))

    def wait_for_channels(self, waits: Iterable[tuple[int, int, int]]) -> None:
        """Let the client wait for (channel type, channel id, message serial) before it goes on here."""
        self.send(base.WaitForChannels([base.ChannelWait(*wait) for wait in waits]))

    def disconnect(self, reason: int = LinkError.OK) -> None:
        """Tell the client that we are about to close, and why."""
        self.send(base.Disconnecting(self._stamp(), reason))

    def _stamp(self) -> int:
        return int((self.now or 0.0) * NANOSECONDS)

    def refuse(self, error: ProtocolError) -> None:
        """Tell the client what it did wrong; the connection is closed after this."""
        if not self.parked:
            self.disconnect(error.code)

    # acknowledgement

    @property
    def window_open(self) -> bool:
        """Whether drawing may be sent: the client is not too far behind, the transport takes more."""
        if self._transport_paused or self.stage in _SILENT or self.parked:
            return False
        if self.flow is not None and self.stage is LeavingStage.SETTLED and not self.flow.open:
            return False
        return not self.uses_acks or self.common.unacknowledged <= 2 * self.common.ack_window

    @property
    def window_room(self) -> int:
        """How many messages may be drawn before the window is closed, while it is open."""
        if not self.uses_acks:
            return MANY_MESSAGES
        return max(0, 2 * self.common.ack_window - self.common.unacknowledged + 1)

    def window_opened(self) -> None:
        """Hook: drawing that waited may be sent."""

    @property
    def transport_paused(self) -> bool:
        """Whether the transport has taken all it can for now."""
        return self._transport_paused

    @transport_paused.setter
    def transport_paused(self, paused: bool) -> None:
        self._transport_paused = paused
        if self.window_open:
            self.window_opened()

    def ask_for_acks(self, window: int | None = None) -> None:
        """Begin a new generation of acknowledgements; those of the old one count no more."""
        if window is not None:
            self.common.ack_window = window
        self.common.ack_generation = (self.common.ack_generation + 1) & 0xFFFFFFFF
        self.send(base.SetAck(self.common.ack_generation, self.common.ack_window))
        self.common.unacknowledged = 0

    @receives(base.AckSync)
    def _ack_sync(self, message: Any) -> None:
        self.common.acknowledged_generation = message.generation

    @receives(base.Ack)
    def _ack(self, message: Any) -> Iterator[Event]:
        common = self.common
        if self.uses_acks and common.acknowledged_generation == common.ack_generation:
            was_open = self.window_open
            common.unacknowledged = max(0, common.unacknowledged - common.ack_window)
            if self.window_open and not was_open:
                self.window_opened()
                yield WindowOpened()

    # pings

    @property
    def ping_sent(self) -> float | None:
        """When the ping was sent whose answer is waited for, if one is."""
        return self._ping_sent

    @property
    def heard(self) -> float | None:
        """When the client last said something, or began to be listened to."""
        return self._heard

    def _watch(self) -> None:
        self._ping_sent = None
        self._ping_at = None if self.now is None else self.now + FIRST_PING_SECONDS
        self._heard = self.now
        if self.flow is not None:
            self.flow.forget()

    def _forget_pings(self) -> None:
        self._ping_sent = None
        self._ping_at = None
        if self.flow is not None:
            self.flow.forget()

    def next_deadline(self) -> float | None:
        """When :meth:`deadline_passed` wants to be called, if ever."""
        return self._sign_deadline()

    def _sign_deadline(self) -> float | None:
        """When a ping is due, or its answer overdue."""
        if self.stage is not LeavingStage.SETTLED:
            return None
        if self._ping_sent is not None:
            return max(self._ping_sent, self._heard or 0.0) + DEAD_AFTER_SECONDS
        return self._ping_at

    def deadline_passed(self, now: float) -> Iterator[Event]:
        """It is ``now``: send a ping that is due, or notice that the client is dead."""
        self.now = now
        deadline = self._sign_deadline()
        if deadline is None or now < deadline:
            return
        if self._ping_sent is not None:
            self._forget_pings()
            yield ClientDead()
        else:
            self._ping_sent = now
            self._watch_id = self._ping()

    def _ping(self, padding: bytes = b"") -> int:
        """Send a ping; its id."""
        self.common.ping_id = (self.common.ping_id + 1) & 0xFFFFFFFF
        self.send(base.Ping(self.common.ping_id, self._stamp(), padding))
        return self.common.ping_id

    def mark_flow(self, *, last: bool, needed: bool = False) -> None:
        """
        Put a ping behind what was sent if it is time for one.

        ``last``: nothing more follows for now; ``needed``: somebody waits for it to arrive.
        """
        flow = self.flow
        if flow is not None and self.stage is LeavingStage.SETTLED:
            if flow.wants_ping(last=last, needed=needed):
                self.ping_flow()

    def ping_flow(self, padding: bytes = b"") -> None:
        """Put a ping behind what was sent; its answer says that this has arrived."""
        assert self.flow is not None
        self.flow.pinged(self._ping(padding), self.now or 0.0)

    @receives(base.Pong)
    def _pong(self, message: Any) -> Iterator[Event]:
        now = self.now or 0.0
        if self.flow is not None and self.flow.answered(message.id, now):
            self.arrived()
            if self.window_open:
                self.window_opened()
                yield WindowOpened()
            return
        if self._ping_sent is None or message.id != self._watch_id:
            return  # of a ping that was sent before a move
        seconds = max(0.0, now - self._ping_sent)
        self._ping_sent = None
        self._ping_at = now + self.ping_seconds
        if self.latency_seconds is None or seconds < self.latency_seconds:
            self.latency_seconds = seconds
        self.sign_given(seconds)
        yield LatencyMeasured(seconds)

    def arrived(self) -> None:
        """Hook: a ping of :attr:`flow` was answered."""

    def sign_given(self, seconds: float) -> None:
        """Hook: any other ping was answered after this time."""

    # signs of leaving

    @receives(base.MigrateFlushMark)
    def _flush_mark(self, message: Any) -> None:
        raise ProtocolError(LinkError.INVALID_DATA, f"{self.channel}: a flush mark that nobody asked for")

    @receives(base.ClientMigrateData)
    def _migrate_data(self, message: Any) -> None:
        raise ProtocolError(LinkError.INVALID_DATA, f"{self.channel}: migrate data that nobody asked for")

    @receives(base.ClientDisconnecting)
    def _disconnecting(self, message: Any) -> Iterator[Event]:
        yield ClientDisconnecting(message.reason)


def _marked(cls: type[Any]) -> dict[int, tuple[type[Any], str]]:
    """The handlers that a class body declares, by message number."""
    found = {}
    for name, value in vars(cls).items():
        message = getattr(value, "received_message", None)
        if message is not None:
            found[message.number] = (message, name)
    return found


ChannelCore._handlers = _marked(ChannelCore)
