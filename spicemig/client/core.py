# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What all channels of a client share: framing, acknowledgements, pings, and the
move of a channel to another host.

Source: spice-gtk 0.42, spice-channel.c (spice_channel_recv_msg, _swap) and
channel-base.c; a channel here behaves as one there, order of messages included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from spicemig.client.counters import Counters, Traffic
from spicemig.client.events import Event, Noticed, ServerLeaving, SwapAsked, WaitAsked
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire import framing
from spicemig.wire.declare import BASE_LAST, CHANNEL_TYPES, catalogue
from spicemig.wire.enums import MigrateFlags
from spicemig.wire.messages import base

MAX_BODY_BYTES = 256 * 1024 * 1024  # a whole 8192 x 8192 screen, uncompressed
HELD_BYTES_MAX = 2 * MAX_BODY_BYTES

# what spice-gtk sends in spite of being read-only (msg_check_read_only)
READ_ONLY_MAIN = frozenset({101, 102, 103, 104, 109})


class Stage(Enum):
    """How far the move of one channel has come."""

    SETTLED = "serving"
    AWAITING_DATA = "the source's migrate data is still to come"
    SWAPPING = "nothing more is read from the source"


TRANSITIONS = {
    (Stage.SETTLED, "migrate_received"): Stage.SWAPPING,
    (Stage.SETTLED, "migrate_with_data_received"): Stage.AWAITING_DATA,
    (Stage.AWAITING_DATA, "migrate_data_received"): Stage.SWAPPING,
    (Stage.SWAPPING, "swapped"): Stage.SETTLED,
}


def handles(*declared: type) -> Callable:
    """Mark the method that takes these messages of the server."""

    def mark(method):
        method.handled = declared
        return method

    return mark


class ClientChannel:
    """
    The client's side of one channel; no I/O and no clock.

    ``receive`` takes bytes and yields events, ``data_to_send`` gives what to
    write. Messages that answer the server go out at once; those of the user
    queue up while the channel moves to another host, and follow its migrate data there.
    """

    channel = ""
    capabilities: frozenset[int] = frozenset()

    def __init_subclass__(cls) -> None:
        handlers: dict[int, str] = {}
        for ancestor in reversed(cls.__mro__):
            for name, method in vars(ancestor).items():
                for declared in getattr(method, "handled", ()):
                    handlers[declared.number] = name
        cls._handlers = handlers

    _handlers: dict[int, str] = {}

    def __init__(
        self, channel_id: int = 0, *, counters: Counters | None = None, read_only: bool = False
    ) -> None:
        self.channel_id = channel_id
        self.counters = counters if counters is not None else Counters()
        self.read_only = read_only
        self.traffic: Traffic | None = None
        self.server_caps: frozenset[int] = frozenset()
        self.mini = True
        self.stage = Stage.SETTLED
        self.held = False  # messages wait; the main channel does this while it links to a target
        self.waits: list[tuple[int, int, int]] = []  # channel type, id, serial to wait for
        self.serial_in = 0
        self.last_serial = 0
        self.serial_out = 0
        self.ack_window = 0
        self.ack_count = 0
        self.now = 0.0
        self._deframer: framing.Deframer | None = None
        self._answers: list[Any] = []
        self._queue: list[Any] = []

    @property
    def name(self) -> str:
        """For logs: ``display:0``."""
        return f"{self.channel}:{self.channel_id}"

    @property
    def channel_type(self) -> int:
        """Its number in link messages."""
        return CHANNEL_TYPES[self.channel]

    @property
    def linked(self) -> bool:
        """Whether it has a connection to read from."""
        return self._deframer is not None

    # -- connections -----------------------------------------------------

    def attach(self, mini: bool, server_caps: frozenset[int], traffic: Traffic | None = None) -> None:
        """Serve a linked connection from its first message on."""
        self.mini = mini
        self.server_caps = server_caps
        self.traffic = traffic
        self._deframer = framing.Deframer(self.channel, "client", mini, MAX_BODY_BYTES)

    def up(self) -> None:
        """A fresh channel says its first words; see the channels."""

    def swap(
        self,
        mini: bool,
        server_caps: frozenset[int],
        traffic: Traffic | None,
        block: bytes | None,
        handshake: ClientChannel | None = None,
    ) -> None:
        """
        Go on, on the target's connection; the migrate data goes first, then what
        was queued. ``handshake`` is who has read from that connection before.
        """
        self._step("swapped")
        self.attach(mini, server_caps, traffic)
        if handshake is not None:
            self._deframer = handshake._deframer
        if block is not None:
            self._answers.append(base.ClientMigrateData(block))

    def take_over(self, handshake: ClientChannel) -> None:
        """Begin where another has begun to talk on the same connection."""
        self._deframer = handshake._deframer
        self.serial_in, self.last_serial = handshake.serial_in, handshake.last_serial
        self.serial_out = handshake.serial_out

    def reset(self) -> None:
        """Forget connection and state; ``attach`` and ``up`` begin anew."""
        self._deframer = None
        self._answers.clear()
        self._queue.clear()
        self.stage = Stage.SETTLED
        self.held = False
        self.waits = []
        self.serial_in = self.serial_out = self.last_serial = 0
        self.ack_window = self.ack_count = 0

    # -- in ----------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> Iterator[Event]:
        """Handle what came; raises ``ProtocolError`` for what a server must not say."""
        self.now = now
        deframer = self._deframer
        assert deframer is not None, "data on a channel that is not linked"
        frames = deframer.feed(data)
        # whoever swaps us to another connection has no use for the rest
        while self._deframer is deframer and not self._standing_still:
            frame = next(frames, None)
            if frame is None:
                return
            yield from self._frame(frame)
        if deframer.buffered_bytes > HELD_BYTES_MAX:
            raise ProtocolError(LinkError.INVALID_DATA, "the server sends too much while we wait")

    def go_on(self, now: float) -> Iterator[Event]:
        """Handle what has come while the channel stood still."""
        if self._deframer is not None:
            yield from self.receive(b"", now)

    @property
    def _standing_still(self) -> bool:
        return self.held or bool(self.waits) or self.stage is Stage.SWAPPING

    def _frame(self, frame) -> Iterator[Event]:
        header_bytes = framing.HEADER_MINI.size if self.mini else framing.HEADER_FULL.size
        declared = catalogue.find(self.channel, "client", frame.number)
        if self.traffic is not None:
            name = declared.__name__ if declared is not None else str(frame.number)
            self.traffic.received(name, header_bytes + len(frame.body), self.now)
        for number, body in frame.sub:
            yield from self._message(number, body)
        self._acknowledge()
        if frame.number != base.List.number:
            yield from self._message(frame.number, frame.body)
        self.serial_in += 1
        self.last_serial = self.serial_in if self.mini else frame.serial

    def _message(self, number: int, body) -> Iterator[Event]:
        declared = catalogue.find(self.channel, "client", number)
        if declared is None:
            raise ProtocolError(
                LinkError.INVALID_DATA, f"{self.name}: the server sent an unknown message {number}"
            )
        if self.stage is Stage.AWAITING_DATA and declared is not base.MigrateData:
            raise ProtocolError(
                LinkError.INVALID_DATA, f"{self.name}: {declared.__name__} in the place of MigrateData"
            )
        handler = self._handlers.get(number)
        message = declared.unpack(body)
        if handler is None:
            return
        events = getattr(self, handler)(message)
        if events is not None:
            yield from events

    def _acknowledge(self) -> None:
        if self.ack_count:
            self.ack_count -= 1
            if not self.ack_count:
                self.ack_count = self.ack_window
                self.counters.acknowledgements += 1
                self.answer(base.Ack())

    # -- out ---------------------------------------------------------------

    def answer(self, message) -> None:
        """Say something that belongs to the protocol, ahead of all that is queued."""
        if self._allowed(message):
            self._answers.append(message)

    def send(self, message) -> None:
        """Say something for the user."""
        if self._allowed(message):
            self._queue.append(message)

    def _allowed(self, message) -> bool:
        if not self.read_only or message.number <= BASE_LAST or self.channel == "display":
            return True
        return self.channel == "main" and message.number in READ_ONLY_MAIN

    def data_to_send(self) -> list:
        """Drain what can go now, as buffers."""
        messages, self._answers = self._answers, []
        if self.stage is Stage.SETTLED and self.linked:
            messages += self._queue
            self._queue = []
        buffers: list = []
        for message in messages:
            self.serial_out += 1
            framed = framing.frame(message, self.mini, self.serial_out)
            buffers += framed
            if self.traffic is not None:
                self.traffic.messages_out += 1
                self.traffic.bytes_out += sum(len(part) for part in framed)
        return buffers

    # -- the base channel's messages ---------------------------------------

    def _step(self, step: str) -> None:
        try:
            self.stage = TRANSITIONS[self.stage, step]
        except KeyError:
            raise ProtocolError(
                LinkError.INVALID_DATA, f"{self.name}: {step} while {self.stage.value}"
            ) from None

    @handles(base.SetAck)
    def set_ack(self, message):
        """A new window begins; messages so far do not count."""
        self.ack_window = self.ack_count = message.window
        self.answer(base.AckSync(message.generation))

    @handles(base.Ping)
    def ping(self, message):
        """The server measures; answer at once."""
        self.counters.pings += 1
        self.answer(base.Pong(message.id, message.timestamp))

    @handles(base.Notify)
    def notify(self, message):
        """A line for the user."""
        text = bytes(message.message).rstrip(b"\0").decode("utf-8", "replace")
        self.counters.notices.append(text)
        yield Noticed(int(message.severity), text)

    @handles(base.Disconnecting)
    def disconnecting(self, message):
        """The server takes its leave."""
        yield ServerLeaving(int(message.reason))

    @handles(base.WaitForChannels)
    def wait_for_channels(self, message):
        """Other channels first."""
        self.waits = [(wait.channel_type, wait.channel_id, wait.message_serial) for wait in message.wait_list]
        yield WaitAsked()

    @handles(base.Migrate)
    def migrate(self, message):
        """The source lets go of this channel; only its migrate data may follow."""
        if message.flags & MigrateFlags.NEED_FLUSH:
            self.answer(base.MigrateFlushMark())
        if message.flags & MigrateFlags.NEED_DATA_TRANSFER:
            self._step("migrate_with_data_received")
        else:
            self._step("migrate_received")
            yield SwapAsked(None)

    @handles(base.MigrateData)
    def migrate_data(self, message):
        """The state that the target needs; it is passed on unread."""
        self._step("migrate_data_received")
        yield SwapAsked(bytes(message.data))
