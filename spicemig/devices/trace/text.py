# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The layer of a trace below its grammar: lines of numbers, and binary blocks.

:class:`Lines` declares some lines once, for reading and for writing. :class:`Text`
is a window on the bytes of a trace; what it cannot read because the bytes are not
there yet raises :class:`Short`, and the reader tries again with more.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from functools import cache

from spicemig.devices.trace.source import TraceError, TraceSource

LONGEST_TEXT = 4096  # bytes; no Lines are longer
BLOCK_BYTES = 1 << 30  # as much as the largest surface has
RECORD_BYTES = BLOCK_BYTES + (64 << 20)  # of one record, while it is looked at
SHOWN_BYTES = 40  # of what was found instead

_NUMBER = rb"(-?[0-9]{1,20})"


class Short(Exception):
    """So many more bytes are needed."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Lines:
    """Lines of text; every ``#`` stands for a number."""

    __slots__ = ("_template", "lines", "match")

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.match = re.compile(b"".join(map(_pattern, lines))).match
        self._template = b"".join(line.replace("#", "%d").encode() + b"\n" for line in lines)

    def __add__(self, other: Lines) -> Lines:
        return Lines(*self.lines, *other.lines)

    def write(self, *values: int) -> bytes:
        """The lines with these numbers."""
        return self._template % values


@cache
def _pattern(line: str) -> bytes:
    return re.escape(line.encode()).replace(rb"\#", _NUMBER) + b"\n"


@cache
def _block_header(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"binary (?:0|(1)) %s ([0-9]{1,20}):(?(1)([0-9]{1,20}):)" % re.escape(name.encode()))


CHUNKS = Lines("data_chunks # #")


class Text:
    """
    What is left to read of a trace, from ``pos`` in ``buffer``.

    ``take`` and its like read one element of the grammar and move on. They raise
    :class:`TraceError` with the offset in the trace if something else is there.
    """

    def __init__(self, source: TraceSource) -> None:
        self._source = source
        self._before = 0  # bytes of the trace in front of the buffer
        self.buffer = b""
        self.pos = 0
        self.ended = False

    @property
    def offset(self) -> int:
        """Where in the trace the next byte is."""
        return self._before + self.pos

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.ended and self.pos == len(self.buffer)

    def more(self, size: int) -> None:
        """Have so many bytes in the buffer from ``pos`` on, or all there are."""
        if size > RECORD_BYTES:
            raise self.wrong(f"this record has more than {RECORD_BYTES} bytes")
        pieces = [self.buffer[self.pos :]]
        have = len(pieces[0])
        self._before += self.pos
        while have < size and not self.ended:
            piece = self._source.read()
            pieces.append(piece)
            have += len(piece)
            self.ended = not piece
        self.buffer = b"".join(pieces)
        self.pos = 0

    def skip(self, size: int) -> int:
        """Leave out at most so many bytes, not more than a piece of the file; how many it were."""
        if self.pos == len(self.buffer) and not self.ended:
            self.more(1)
        step = min(size, len(self.buffer) - self.pos)
        self.pos += step
        return step

    def need(self, size: int) -> None:
        """Go on only if so many bytes, or all there are, can be looked at."""
        if len(self.buffer) - self.pos < size and not self.ended:
            raise Short(size)

    def may_take(self, lines: Lines) -> list[int] | None:
        """The numbers of these lines if they are next."""
        match = lines.match(self.buffer, self.pos)
        if match is None:
            return None
        self.pos = match.end()
        return [int(digits) for digits in match.groups()]

    def take(self, lines: Lines) -> list[int]:
        """The numbers of these lines, which must be next."""
        match = lines.match(self.buffer, self.pos)
        if match is None:
            raise self.none_of(lines)
        self.pos = match.end()
        return [int(digits) for digits in match.groups()]

    def block(self, name: str) -> bytes:
        """A binary block of this name."""
        match = _block_header(name).match(self.buffer, self.pos)
        if match is None:
            self.need(LONGEST_TEXT)
            raise self._expected(f"a binary block {name!r}")
        deflated, size, stored = match.group(1), int(match.group(2)), int(match.group(3) or 0)
        start = match.end()
        end = start + (stored if deflated else size)
        if max(size, stored) > BLOCK_BYTES:
            raise self.wrong(f"a block of {size} bytes is too long")
        self.need(end + 1 - self.pos)
        if self.buffer[end : end + 1] != b"\n":
            if end >= len(self.buffer):
                raise self._cut_short()
            raise self.wrong(f"block {name} of {end - start} bytes is not followed by a new line")
        data = self.buffer[start:end]
        if deflated:
            data = self._inflated(data, size)
        self.pos = end + 1
        return data

    def _inflated(self, data: bytes, size: int) -> bytes:
        inflater = zlib.decompressobj()
        try:
            plain = inflater.decompress(data, size + 1)
        except zlib.error as error:
            raise self.wrong(f"a compressed block is damaged: {error}") from error
        if len(plain) != size:
            raise self.wrong(f"a compressed block does not have the {size} bytes it says")
        return plain

    def chunks(self, name: str) -> bytes:
        """A chunk list of blocks with this name, put together."""
        after_first, total = self.take(CHUNKS)
        if after_first == 0:
            data = self.block(name)
        else:
            data = b"".join([self.block(name) for _ in range(after_first + 1)])
        if len(data) != total:
            raise self.wrong(f"{total} bytes of {name} were promised, but there are {len(data)}")
        return data

    def wrong(self, reason: str, offset: int | None = None) -> TraceError:
        """The error that says so of what is next."""
        return TraceError(reason, self.offset if offset is None else offset)

    def _cut_short(self) -> TraceError:
        return TraceError(self._source.trouble or "the trace ends in the middle of a record", self.offset)

    def none_of(self, *alternatives: Lines) -> TraceError:
        """The error that says that none of these are next; raises :class:`Short` if that is not sure yet."""
        self.need(LONGEST_TEXT)
        ends = [(self._common(lines), lines) for lines in alternatives]
        (self.pos, count), lines = max(ends, key=lambda end: end[0][0])
        return self._expected(repr(lines.lines[count]))

    def _common(self, lines: Lines) -> tuple[int, int]:
        """Where the first line that is not there should be, and which one it is."""
        at = self.pos
        for count, line in enumerate(lines.lines):
            match = re.compile(_pattern(line)).match(self.buffer, at)
            if match is None:
                return at, count
            at = match.end()
        raise AssertionError("all lines are there")

    def _expected(self, what: str) -> TraceError:
        rest = self.buffer[self.pos : self.pos + SHOWN_BYTES]
        if len(self.buffer) - self.pos < SHOWN_BYTES and b"\n" not in rest:
            return self._cut_short()
        return self.wrong(f"expected {what}, found {rest.split(bytes([10]))[0]!r}")


def write_block(name: str, data: bytes) -> Iterable[bytes]:
    """A binary block, in pieces."""
    return (b"binary 0 %s %d:" % (name.encode(), len(data)), data, b"\n")


def write_chunks(name: str, data: bytes) -> Iterable[bytes]:
    """A chunk list of one block, in pieces."""
    return (CHUNKS.write(0, len(data)), *write_block(name, data))
