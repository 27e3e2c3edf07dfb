# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads a trace record by record, with no more in memory than one record and a piece of the file."""

from __future__ import annotations

import os
from collections.abc import Iterator

from spicemig.devices.trace.commands import HEAD, read_record
from spicemig.devices.trace.records import Record
from spicemig.devices.trace.source import TraceError, TraceSource
from spicemig.devices.trace.text import Short, Text


class TraceReader:
    """
    A trace file, plain or compressed.

    ``next`` gives one record after the other, None at the end, and raises
    :class:`TraceError` where the trace is damaged or cut short; nothing can be read
    after that. ``offset`` and ``commands`` say how far it got; another reader of the
    same file can go on there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._source = TraceSource(path)
        self._text = Text(self._source)
        self.commands = 0  # ring commands up to here
        self._text.more(len(HEAD.write()))
        try:
            self._text.take(HEAD)
        except (Short, TraceError):
            self.close()
            reason = self._source.trouble or "this is not a QXL trace: it does not begin with SPICE_REPLAY 1"
            raise TraceError(f"{path}: {reason}") from None

    def __iter__(self) -> Iterator[Record]:
        while (record := self.next()) is not None:
            yield record

    @property
    def offset(self) -> int:
        """Where in the plain trace the next record begins."""
        return self._text.offset

    def close(self) -> None:
        """Give the file back."""
        self._source.close()

    def next(self) -> Record | None:
        """The next record."""
        text = self._text
        start = text.pos
        while True:
            try:
                if text.pos == len(text.buffer):
                    if text.ended:
                        self._expect_a_good_end()
                        return None
                    raise Short(1)
                record = read_record(text)
            except Short as short:
                missing = text.pos - start
                text.pos = start
                text.more(missing + short.size)
                start = 0
                continue
            self.commands += record.is_command
            return record

    def _expect_a_good_end(self) -> None:
        if self._source.trouble:
            raise TraceError(self._source.trouble, self.offset)

    def skip_to(self, offset: int) -> bool:
        """
        Come a step closer to the record at this offset; whether it is reached.

        A step is short, so that others can work in between. Raises :class:`TraceError`
        if the trace is not that long, or was read further already.
        """
        missing = offset - self.offset
        if missing < 0 or (missing and not self._text.skip(missing)):
            raise TraceError(f"there is no record at byte {offset}", self.offset)
        return missing == 0
