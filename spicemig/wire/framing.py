# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Data headers: where a message begins and ends in the stream of a channel.

With MINI_HEADER on both sides a header is number and size; without, it has the
serial too, and may point to a list of sub-messages behind the body, which are
to be handled before the message itself. With mini headers such a list is the
body of base.List.

Source: ``spice/protocol.h``; spice-gtk 0.42, ``src/spice-channel.c``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, NamedTuple

from spicemig.errors import WireError
from spicemig.wire.declare import Buffer, catalogue

HEADER_MINI = Struct("<HI")  # number, size
HEADER_FULL = Struct("<QHII")  # serial, number, size, offset of the sub-list in the body or 0
SUB_HEADER = HEADER_MINI
LIST_COUNT = Struct("<H")
LIST_NUMBER = 8  # base.List

MAX_BODY_BYTES = 64 << 20


class Frame(NamedTuple):
    """A message as it came: ``sub`` are the sub-messages, to be handled first."""

    serial: int
    number: int
    body: memoryview
    sub: tuple[tuple[int, memoryview], ...] = ()


class Deframer:
    """
    Takes the bytes of one direction of a channel and gives frames.

    ``to`` is who receives them, ``"client"`` or ``"server"``. With mini headers
    the serial is counted here; ``serial`` is that of the last frame and may be
    set. A body larger than ``max_body_bytes`` is a :class:`WireError`, as soon as
    its header is there.
    """

    def __init__(self, channel: str, to: str, mini: bool, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.channel = channel
        self.to = to
        self.mini = mini
        self.max_body_bytes = max_body_bytes
        self.serial = 0
        self._view = memoryview(b"")
        self._at = 0
        self._more: list[bytes] = []  # arrived since, not enough yet
        self._more_bytes = 0
        self._needed = 0

    @property
    def buffered_bytes(self) -> int:
        """How much has arrived that is no frame yet."""
        return len(self._view) - self._at + self._more_bytes

    def feed(self, data: Buffer) -> Iterator[Frame]:
        """The frames that are complete now. What the caller does not take comes with the next call."""
        self._more.append(bytes(data))
        self._more_bytes += len(data)
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        header = HEADER_MINI if self.mini else HEADER_FULL
        while self.buffered_bytes >= max(self._needed, header.size):
            if self._more:
                self._join()
            frame = self._frame(header)
            if frame is None:
                return
            yield frame

    def _join(self) -> None:
        """Make what was left and what has arrived one view."""
        rest = self._view[self._at :]
        whole = self._more[0] if not rest and len(self._more) == 1 else b"".join([rest, *self._more])
        self._view, self._at = memoryview(whole), 0
        self._more, self._more_bytes = [], 0

    def _frame(self, header: Struct) -> Frame | None:
        """The next frame, or None if it is not all here."""
        view, at = self._view, self._at
        if self.mini:
            number, size = header.unpack_from(view, at)
            serial, sub_list = self.serial + 1, 0
        else:
            serial, number, size, sub_list = header.unpack_from(view, at)
        if size > self.max_body_bytes:
            limit = f"a body of {size} bytes is more than {self.max_body_bytes}"
            raise WireError(self._name(number), "", 0, limit)
        start = at + header.size
        if start + size > len(view):
            self._needed = header.size + size
            return None
        self._needed = 0
        self._at = start + size
        self.serial = serial
        body = view[start : start + size]
        sub: tuple[tuple[int, memoryview], ...] = ()
        if sub_list or (number == LIST_NUMBER and self.to == "client"):
            sub = sub_messages(body, sub_list)
        return Frame(serial, number, body, sub)

    def _name(self, number: int) -> str:
        declared = catalogue.find(self.channel, self.to, number)
        return f"{self.channel}.{declared.__name__ if declared else number}"


def sub_messages(body: memoryview, offset: int) -> tuple[tuple[int, memoryview], ...]:
    """Number and body of each sub-message of the list at this offset; raises :class:`WireError`."""
    if offset + LIST_COUNT.size > len(body):
        raise WireError("base.List", "", offset, "the list is outside the body")
    (count,) = LIST_COUNT.unpack_from(body, offset)
    first = offset + LIST_COUNT.size
    if count * 4 > len(body) - first:
        raise WireError("base.List", "", offset, f"a length of {count} does not fit into the body")
    found: list[tuple[int, memoryview]] = []
    left = len(body)
    for (place,) in Struct("<I").iter_unpack(body[first : first + 4 * count]):
        if place + SUB_HEADER.size > len(body):
            raise WireError("base.List", f"[{len(found)}]", place, "the sub-message is outside the body")
        number, size = SUB_HEADER.unpack_from(body, place)
        start = place + SUB_HEADER.size
        if size > len(body) - start:
            raise WireError(
                "base.List", f"[{len(found)}]", place, f"a size of {size} does not fit into the body"
            )
        left -= SUB_HEADER.size + size
        if left < 0:
            raise WireError("base.List", f"[{len(found)}]", place, "the sub-messages overlap")
        found.append((number, body[start : start + size]))
    return tuple(found)


def sub_list(messages: Iterable[Any], offset: int = 0) -> bytes:
    """A list of these messages, to stand at this offset of a body (0: as the body of base.List)."""
    bodies = [(message.number, message.pack()) for message in messages]
    at = offset + LIST_COUNT.size + 4 * len(bodies)
    places, parts = [], []
    for number, body in bodies:
        places.append(at)
        parts += [SUB_HEADER.pack(number, len(body)), body]
        at += SUB_HEADER.size + len(body)
    return b"".join([LIST_COUNT.pack(len(bodies)), Struct(f"<{len(places)}I").pack(*places), *parts])


def frame(message: Any, mini: bool, serial: int, sub: Iterable[Any] = ()) -> list[Buffer]:
    """
    A message with its header, as buffers; large payloads are not copied.

    ``sub`` are messages to be handled before it, with full headers only.
    """
    sub = tuple(sub)
    if mini and sub:
        raise ValueError("with mini headers a list of sub-messages is a base.List of its own")
    parts = message.pack_parts()
    if sub:
        size = sum(map(len, parts))
        parts.append(sub_list(sub, size))
        return _framed(message.number, parts, False, serial, size)
    return _framed(message.number, parts, mini, serial)


def frame_body(number: int, parts: list[Buffer], mini: bool, serial: int) -> list[Buffer]:
    """A body that is packed already, with its header."""
    return _framed(number, list(parts), mini, serial)


def _framed(number: int, parts: list[Any], mini: bool, serial: int, sub_list_offset: int = 0) -> list[Buffer]:
    size = sum(map(len, parts))
    header = (
        HEADER_MINI.pack(number, size) if mini else HEADER_FULL.pack(serial, number, size, sub_list_offset)
    )
    if parts and type(parts[0]) is bytes:
        parts[0] = header + parts[0]
    else:
        parts.insert(0, header)
    return parts
