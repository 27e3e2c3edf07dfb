# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a trace says, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from spicemig.devices.cursor import CursorCommand


class Call(IntEnum):
    """Device calls that change something; the others are read past."""

    DESTROY_SURFACES = 19
    CREATE_PRIMARY = 20
    DESTROY_PRIMARY = 21
    RESET_CURSOR = 22
    DESTROY_SURFACES_ASYNC = 28
    CREATE_PRIMARY_ASYNC = 29
    DESTROY_PRIMARY_ASYNC = 30
    MONITORS_CONFIG_ASYNC = 35


class Draw(NamedTuple):
    """
    A drawing command; images of its display message are ``Placeholder`` of a ``DeviceImage``.

    ``name`` is that of the operation; the one that does nothing has no message.
    """

    name: str
    message: Any
    effect: int
    mm_time: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The pixels that a surface starts with: rows of ``|stride|`` bytes, the bottom one first if negative."""

    stride: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CreateSurface:
    """A surface command, or a device call that makes the primary surface."""

    id: int
    width: int
    height: int
    format: int
    contents: Contents | None = None  # None: zeros


@dataclass(frozen=True, slots=True)
class DestroySurface:
    """A surface command."""

    id: int


@dataclass(frozen=True, slots=True)
class Update:
    """The guest asked for a part of a surface to be drawn in its memory."""

    surface_id: int


@dataclass(frozen=True, slots=True)
class Message:
    """Text that the guest's driver logged."""

    text: bytes


@dataclass(frozen=True, slots=True)
class DeviceCall:
    """A device call; ``primary`` is what it made."""

    number: int
    primary: CreateSurface | None = None


class Nothing(NamedTuple):
    """A command that does nothing."""


Value = Draw | CreateSurface | DestroySurface | CursorCommand | Update | Message | DeviceCall | Nothing


class Record(NamedTuple):
    """
    One record: a command or a device call, where in the trace it begins, and when it came.

    ``time`` is in nanoseconds of some clock.
    """

    offset: int
    time: int
    is_command: bool
    value: Any
