# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The cursor: its commands, and the state they leave.

Source: qxl_dev.h, QXLCursorCmd; spice.proto, CursorChannel. Commands are values:
they are not changed once they were given to a device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CursorShape:
    """
    What the cursor looks like.

    ``data`` is laid out as ``type`` (``CursorType``) says: for ALPHA, ``height`` rows
    of ``width`` pixels of blue, green, red and alpha, the colours multiplied by
    alpha. A ``unique`` other than 0 names the shape for the client's cursor cache.
    """

    unique: int
    type: int
    width: int
    height: int
    hot_spot_x: int
    hot_spot_y: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CursorSet:
    """Show this shape, its hot spot at this place."""

    x: int
    y: int
    visible: bool
    shape: CursorShape


@dataclass(frozen=True, slots=True)
class CursorMove:
    """Move the hot spot there; a hidden cursor shows again."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class CursorHide:
    """Show no cursor until it is set or moved."""


@dataclass(frozen=True, slots=True)
class CursorTrail:
    """Leave a trail of ``length`` cursors, ``frequency`` milliseconds apart."""

    length: int
    frequency: int


@dataclass(frozen=True, slots=True)
class CursorReset:
    """Forget shape and place, as after a reset of the device."""


CursorCommand = CursorSet | CursorMove | CursorHide | CursorTrail | CursorReset


@dataclass(frozen=True, slots=True)
class CursorState:
    """What all cursor commands up to now amount to."""

    shape: CursorShape | None = None
    x: int = 0
    y: int = 0
    visible: bool = False
    trail_length: int = 0
    trail_frequency: int = 0

    def after(self, command: CursorCommand) -> CursorState:
        """The state that this command leaves."""
        match command:
            case CursorSet():
                return replace(self, shape=command.shape, x=command.x, y=command.y, visible=command.visible)
            case CursorMove():
                return replace(self, x=command.x, y=command.y, visible=self.shape is not None)
            case CursorHide():
                return replace(self, visible=False)
            case CursorTrail():
                return replace(self, trail_length=command.length, trail_frequency=command.frequency)
            case CursorReset():
                return CursorState()
        raise TypeError(f"{command!r} is not a cursor command")
