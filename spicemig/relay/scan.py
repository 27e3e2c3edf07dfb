# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Finding the few messages that matter in a stream that is passed on unread.

Only headers are looked at, by a kernel, a chunk at a time; what is passed on is
the chunk itself. Sub-messages are not looked into: no server hides those that
matter there.

Source: ``spice/protocol.h``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct
from types import ModuleType

from spicemig.errors import LinkError, ProtocolError
from spicemig.relay import scan_reference
from spicemig.relay.scan_reference import NUMBERS
from spicemig.wire.framing import HEADER_FULL, HEADER_MINI

native: ModuleType | None
try:
    from spicemig import _kernels as native
except ImportError:
    native = None

scan_headers = getattr(native, "scan_headers", scan_reference.scan_headers)

_SERIAL = Struct("<Q")  # with which a full header begins

TAKEN_MAX_BYTES = 20 << 20  # a body that is taken out; the largest is migrate data

ALL = bytes([1]) * NUMBERS


def mask(numbers: Iterable[int]) -> bytes:
    """What :func:`scan_headers` takes as ``wanted`` for these message numbers."""
    marks = bytearray(NUMBERS)
    for number in numbers:
        marks[number] = 1
    return bytes(marks)


def number_and_size(data: bytes | memoryview, at: int, mini: bool) -> tuple[int, int]:
    """What the header at this place says."""
    if mini:
        number, size = HEADER_MINI.unpack_from(data, at)
    else:
        _serial, number, size, _sub_list = HEADER_FULL.unpack_from(data, at)
    return number, size


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was taken out of the stream, whole."""

    serial: int  # 0 with mini headers
    number: int
    whole: bytes  # with its header
    mini: bool

    @property
    def body(self) -> bytes:
        """Without its header."""
        return self.whole[HEADER_MINI.size if self.mini else HEADER_FULL.size :]


class Scan:
    """
    One direction of a channel.

    ``wanted`` (see :func:`mask`) may be set at any time, and counts from the next
    header on. A header that has not come whole is kept back, and so is a message of
    up to ``whole_max_bytes`` with its header: whatever was passed on ends with a
    message, or inside the body of a larger one.
    """

    def __init__(
        self, mini: bool, wanted: bytes, taken_max_bytes: int = TAKEN_MAX_BYTES, whole_max_bytes: int = 0
    ) -> None:
        self.mini = mini
        self.taken_max_bytes = taken_max_bytes
        self.whole_max_bytes = whole_max_bytes
        self.wanted = wanted
        self.messages = 0  # passed on and taken
        self.serial = 0  # of the last message, with full headers
        self.left = 0  # bytes of a body that is under way
        self._header = HEADER_MINI if mini else HEADER_FULL
        self._kept: list[bytes] = []  # the beginning of a header, or of a message
        self._lacking = 0  # bytes of it that are still to come
        self._taking: list[bytes] | None = None  # pieces of a message to be taken, header and all
        self._taking_bytes = 0  # that are still to come

    @property
    def at_boundary(self) -> bool:
        """Whether what was passed on ends with a message."""
        return not self.left

    @property
    def owed_bytes(self) -> int:
        """How much of the message that is under way is still to come."""
        return self.left + self._taking_bytes + self._lacking

    def take_back(self) -> bytes:
        """What came last and was neither passed on nor taken, as if it had not come."""
        back = b"".join([*(self._taking or ()), *self._kept])
        self._taking, self._kept, self._lacking = None, [], 0
        return back

    def feed(self, data: bytes) -> Iterator[bytes | memoryview | Taken]:
        """What of this is to be passed on, and what was taken out, in order."""
        rest: bytes | memoryview = data
        while self._kept and rest:  # a header tells how much of its message is to be waited for
            piece, rest = bytes(rest[: self._lacking]), memoryview(rest)[self._lacking :]
            self._kept.append(piece)
            self._lacking -= len(piece)
            if not self._lacking:
                kept, self._kept = b"".join(self._kept), []
                yield from self._sort(kept)
        if rest:
            yield from self._sort(rest)

    def _sort(self, data: bytes | memoryview) -> Iterator[bytes | memoryview | Taken]:
        at = 0
        while at < len(data) and not self._kept:
            if self._taking is not None:
                at = self._take_more(data, at)
                if not self._taking_bytes:
                    yield self._taken()
            else:
                start, at = at, self._pass_on(data, at)
                if at > start:
                    yield data if at - start == len(data) else memoryview(data)[start:at]

    def _pass_on(self, data: bytes | memoryview, at: int) -> int:
        """Where what is passed on from here ends."""
        step = min(self.left, len(data) - at)
        self.left -= step
        at += step
        if at == len(data):
            return at
        at, messages, serial, found = scan_headers(data, at, self.mini, self.whole_max_bytes, self.wanted)
        self.messages += messages
        self.serial = serial or self.serial
        if found:
            self._begin_taking(data, at)
        elif at > len(data):
            self.left = at - len(data)
        elif at < len(data):
            self._keep(bytes(data[at:]))
        return min(at, len(data))

    def _keep(self, beginning: bytes) -> None:
        whole = self._header.size
        if len(beginning) >= whole:
            whole += number_and_size(beginning, 0, self.mini)[1]
        self._kept = [beginning]
        self._lacking = whole - len(beginning)

    def _begin_taking(self, data: bytes | memoryview, at: int) -> None:
        number, size = number_and_size(data, at, self.mini)
        if size > self.taken_max_bytes:
            raise ProtocolError(LinkError.INVALID_DATA, f"message {number} with {size} bytes")
        self._taking = []
        self._taking_bytes = self._header.size + size

    def _take_more(self, data: bytes | memoryview, at: int) -> int:
        assert self._taking is not None
        piece = bytes(data[at : at + self._taking_bytes])
        self._taking.append(piece)
        self._taking_bytes -= len(piece)
        return at + len(piece)

    def _taken(self) -> Taken:
        assert self._taking is not None
        whole, self._taking = b"".join(self._taking), None
        self.messages += 1
        number, _size = number_and_size(whole, 0, self.mini)
        if not self.mini:
            (self.serial,) = _SERIAL.unpack_from(whole)
        return Taken(self.serial, number, whole, self.mini)
