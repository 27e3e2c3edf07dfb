# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests of channel cores: bytes from messages, messages from bytes, and a session that only listens."""

from __future__ import annotations

from typing import Any

from spicemig.errors import WireError
from spicemig.wire.declare import catalogue
from spicemig.wire.framing import Deframer, frame

MAX_BODY_BYTES = 256 * 1024 * 1024


def framed(message: Any, *, cut: int = 0, mini: bool = True, serial: int = 1) -> bytes:
    """A message as it stands on the wire; ``cut``: body and size in the header are that many bytes short."""
    if not cut:
        return b"".join(frame(message, mini, serial))
    return b"".join(frame(_Short(message, cut), mini, serial))


def messages(data: Any, channel: str, to: str = "client", mini: bool = True) -> list[Any]:
    """
    The messages that these bytes are, sub-messages in their place; raises
    ``WireError`` for what is none and for bytes left over.
    """
    deframer = Deframer(channel, to, mini, MAX_BODY_BYTES)
    found = []
    whole = 0
    header_bytes = 6 if mini else 18
    for received in deframer.feed(data):
        whole += header_bytes + len(received.body)
        for number, body in (*received.sub, (received.number, received.body)):
            declared = catalogue.find(channel, to, number)
            if declared is None:
                raise WireError(channel, f"message {number}", 0, "is not declared")
            if not (received.sub and declared.__name__ == "List"):
                found.append(declared.unpack(bytes(body)))
    if whole != len(data):
        raise WireError(channel, "", whole, "a message is not complete")
    return found


def sent(core: Any) -> list[Any]:
    """What a core has to say, as messages; it has said it then."""
    return messages(b"".join(core.data_to_send()), core.channel, "client", core.mini)


class RecordingSession:
    """Takes events from channel cores and keeps them in ``events``; lost channels in ``lost``."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.lost: list[tuple[Any, Any]] = []

    def handle(self, core: Any, event: Any) -> None:
        """An event of a core."""
        self.events.append(event)

    def channel_lost(self, core: Any, reason: Any) -> None:
        """A channel's connection is gone."""
        self.lost.append((core, reason))


class _Short:
    """A message whose body ends early."""

    def __init__(self, message: Any, cut: int) -> None:
        self.channel, self.to, self.number = message.channel, message.to, message.number
        self._body = message.pack()[:-cut]

    def pack(self) -> bytes:
        return self._body

    def pack_parts(self) -> list[bytes]:
        return [self._body]
