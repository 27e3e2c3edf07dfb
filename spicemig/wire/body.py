# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A body that is being unpacked or packed.

What is reached through pointers may not add up to more than :data:`OVERLAP`
times the body, so that a small body cannot make large values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from operator import attrgetter
from struct import Struct
from typing import Any

from spicemig.errors import WireError
from spicemig.wire.kinds import Placeholder

OVERLAP = 4  # how often, on average, a byte may be reached through pointers
OFFSET = Struct("<I")


class Reader:
    """A body being unpacked."""

    __slots__ = ("body", "budget", "end", "name", "placeholders")

    def __init__(self, name: str, data: Any, placeholders: Mapping[int, Any] | None = None) -> None:
        body = memoryview(data)
        self.body = body if body.format == "B" and body.ndim == 1 else body.cast("B")
        self.end = len(self.body)
        self.budget = OVERLAP * self.end
        self.name = name
        self.placeholders = placeholders

    def wrong(self, field: str, offset: int, reason: str) -> WireError:
        return WireError(self.name, field, offset, reason)

    def spend(self, field: str, offset: int, size: int) -> None:
        """Count bytes that a pointer leads to."""
        self.budget -= size
        if self.budget < 0:
            raise self.wrong(field, offset, "too many pointers lead to the same bytes")


class Writer:
    """A body being packed: its parts, and what its pointers wait for."""

    __slots__ = ("later", "name", "parts", "placeholders", "size")

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[Any] = []
        self.size = 0
        self.later: deque[tuple[int, int, str, Callable[[Writer, Any], None], Any]] = deque()
        self.placeholders: list[tuple[int, Placeholder]] = []

    def wrong(self, field: str, reason: str) -> WireError:
        return WireError(self.name, field, -1, reason)

    def write_pointed(self) -> None:
        """Put what was pointed to behind the body and set the pointers."""
        parts = self.parts
        while self.later:
            index, offset, path, write, value = self.later.popleft()
            part = parts[index]
            parts[index] = part[:offset] + OFFSET.pack(self.size) + part[offset + 4 :]
            try:
                write(self, value)
            except WireError as error:
                raise inside(error, path) from None


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def inside(error: WireError, path: str) -> WireError:
    """The same error, seen from outside the field at ``path``."""
    between = "." if path and error.field and error.field[0] != "[" else ""
    return WireError(error.message_name, f"{path}{between}{error.field}", error.offset, error.reason)


def getter(path: str) -> Callable[[Any], Any]:
    return attrgetter(path) if path else lambda value: value


def as_bytes(value: Any) -> Any:
    """The same buffer, counting in bytes."""
    if type(value) is bytes:
        return value
    view = memoryview(value)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")
