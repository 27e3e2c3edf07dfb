# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest remembers of its inputs, so that one can prove that each came once and in order."""

from __future__ import annotations

import struct
from dataclasses import dataclass

LOG_LIMIT = 8192  # inputs; older ones are only counted

# the methods of IGuest that are inputs, and how many values each has
KINDS: tuple[tuple[str, int], ...] = (
    ("key_down", 1),
    ("key_up", 1),
    ("modifiers", 1),
    ("pointer_moved", 3),
    ("pointer_set", 4),
    ("button_pressed", 2),
    ("button_released", 2),
)
_NUMBERS = {name: number for number, (name, _count) in enumerate(KINDS)}
_ENTRY = struct.Struct("<B4I")
_SIGNED = ("pointer_moved", "pointer_set")


@dataclass(frozen=True, slots=True)
class InputsSeen:
    """
    All inputs up to now.

    ``log`` has the newest ones in order, as ``(kind, value, ...)`` with the values in
    the order of the method's arguments; ``counts`` has all that ever came, by kind.
    """

    total: int
    counts: dict[str, int]
    log: list[tuple]


class InputLog:
    """A bounded log of inputs; packed, so that it travels at the speed of a copy."""

    def __init__(self, counts: list[int] | None = None, entries: bytes = b"") -> None:
        self.counts = list(counts or [0] * len(KINDS))
        if len(self.counts) != len(KINDS) or len(entries) % _ENTRY.size:
            raise ValueError("this is not a log of inputs")
        self._entries = bytearray(entries)

    def add(self, kind: str, *values: int) -> None:
        """One more input."""
        number = _NUMBERS[kind]
        self.counts[number] += 1
        padded = [value & 0xFFFFFFFF for value in (*values, 0, 0, 0, 0)[:4]]
        self._entries += _ENTRY.pack(number, *padded)
        if len(self._entries) > 2 * LOG_LIMIT * _ENTRY.size:
            del self._entries[: -LOG_LIMIT * _ENTRY.size]

    def entries(self) -> bytes:
        """The log as bytes, for another host."""
        return bytes(self._entries[-LOG_LIMIT * _ENTRY.size :])

    def seen(self) -> InputsSeen:
        """The log for reading."""
        log: list[tuple] = []
        for number, *values in _ENTRY.iter_unpack(self.entries()):
            if number >= len(KINDS):
                continue
            kind, count = KINDS[number]
            if kind in _SIGNED:
                values[:2] = [value - 2**32 if value >= 2**31 else value for value in values[:2]]
            log.append((kind, *values[:count]))
        counts = {kind: count for (kind, _arity), count in zip(KINDS, self.counts, strict=True)}
        return InputsSeen(sum(self.counts), counts, log)
