# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One connection of the migration channel: framing, signs of life, and nothing else.

What the messages mean is the business of the handover that listens. Both sides
say something at least every second, so that a silent peer is told from a busy one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.declare import catalogue
from spicemig.wire.framing import Deframer, frame
from spicemig.wire.messages.migration import MESSAGE_BYTES, SourceAlive, TargetAlive

ALIVE_SECONDS = 1.0  # between signs of life
SILENT_TIMES = 5  # intervals without a sign, after which the peer counts as lost


class PeerSilent:
    """Yielded when the peer gave no sign of life for too long; the connection is of no more use."""


class Listener(Protocol):
    """Who is told what comes over the channel."""

    def received(self, channel: MigrationChannel, message: Any) -> None:
        """A message came; may raise ``ProtocolError``."""

    def lost(self, channel: MigrationChannel) -> None:
        """The connection is gone; told once."""


class MigrationChannel:
    """
    One end of a connection. ``sends`` is the direction of what it says:
    "server" at the source, "client" at the target.

    It has the methods of a channel core, and of a core's session, so that the
    same :class:`spicemig.channels.protocol.ChannelProtocol` carries it.
    """

    channel = "migration"
    channel_id = 0
    offered_caps: frozenset[int] = frozenset()
    window_open = False  # it has nothing that waits for a window
    choked = False  # a handover bounds itself what waits
    parked = False

    def __init__(self, sends: str, listener: Listener) -> None:
        self.sends = sends
        self.listener: Listener | None = listener
        self.wake: Callable[[], None] = lambda: None
        self.hang_up: Callable[[], None] = lambda: None
        self.transport_paused = False
        self._alive = SourceAlive if sends == "server" else TargetAlive
        self._comes = "client" if sends == "server" else "server"
        self._deframer = Deframer("migration", self._comes, True, MESSAGE_BYTES)
        self._serial = 0
        self._out: list[Any] = []
        self._spoke = self._heard = False
        self._silent = 0
        self._check_at: float | None = None

    def start(self, now: float) -> None:
        """The link is through."""
        self._check_at = now + ALIVE_SECONDS

    def attached(self, protocol: Any) -> None:
        """The link is through; ``protocol`` carries this channel from now on."""

        def hang_up() -> None:
            protocol.flush()
            protocol.close()

        self.wake, self.hang_up = protocol.flush, hang_up
        self.start(protocol.clock.seconds())

    def receive(self, data: Any, now: float | None = None) -> Iterator[Any]:
        """The messages in what came; signs of life are not among them."""
        self._heard = True
        for received in self._deframer.feed(data):
            declared = catalogue.find("migration", self._comes, received.number)
            if declared is None or declared.channel != "migration":
                raise ProtocolError(
                    LinkError.INVALID_DATA, f"unknown message {received.number} on the migration channel"
                )
            message = declared.unpack(received.body)
            if not isinstance(message, (SourceAlive, TargetAlive)):
                yield message

    def send(self, message: Any) -> None:
        """Queue a message, and have it sent."""
        if self.listener is None:
            return
        self._spoke = True
        self._serial += 1
        self._out.extend(frame(message, True, self._serial))
        self.wake()

    def data_to_send(self) -> list[Any]:
        """What has been queued, as buffers."""
        out, self._out = self._out, []
        return out

    @property
    def pending_bytes(self) -> int:
        """How much has been queued."""
        return sum(len(buffer) for buffer in self._out)

    def next_deadline(self) -> float | None:
        """When to look again whether the peer lives."""
        return self._check_at if self.listener is not None else None

    def deadline_passed(self, now: float) -> Iterator[Any]:
        """Give a sign of life if nothing else was said, and look for the peer's."""
        if self._check_at is None or now < self._check_at:
            return
        self._check_at = now + ALIVE_SECONDS
        self._silent = 0 if self._heard else self._silent + 1
        self._heard = False
        if self._silent >= SILENT_TIMES:
            yield PeerSilent()
            return
        if not self._spoke:
            self.send(self._alive())
        self._spoke = False

    def lose(self) -> None:
        """The connection is gone, or is given up by us: tell the listener, once, and close it."""
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.lost(self)
            self.hang_up()

    def close(self) -> None:
        """Close without a word to the listener; what is queued is still sent."""
        if self.listener is not None:
            self.listener = None
            self.hang_up()

    def refuse(self, error: ProtocolError) -> None:
        """The peer broke the protocol; it learns of that by the end of the connection."""

    def connection_lost(self) -> None:
        """The transport is gone; :meth:`channel_lost` follows."""

    def channel_lost(self, core: Any, reason: Any) -> None:
        """The connection is gone."""
        self.lose()

    def handle(self, core: Any, event: Any) -> None:
        """Give one event to the listener."""
        if isinstance(event, PeerSilent):
            self.lose()
        elif self.listener is not None:
            self.listener.received(self, event)
