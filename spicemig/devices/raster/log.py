# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The log of commands that wait to be drawn: what each of them is in a few words.

A log is ``bytes`` or a ``bytearray`` of commands of :data:`COMMAND`, which name their
batches by number and their surfaces by places in a table, as ids can be used again.
Their records keep the rest. The same layout in C: ``_kernels/drawing.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntFlag
from typing import NamedTuple

from spicemig.devices.raster.clip import Box

# batch, offset of the record, place, three that are read, box, operation, rop, flags, unused,
# value, dx, dy, width, height, stride
COMMAND = struct.Struct("=2I4I4i4BI2i3I")
NO_PLACE = 0xFFFFFFFF
READS = 3  # surfaces that one command can read: its image, its brush, its mask
FARTHEST = 1 << 30
BY_OTHERS = 0  # the operation of a command whose message has to be opened
WORK_OPENED, WORK_DRAWN = 1 << 16, 1 << 7  # of one that has to be opened, and of one that has not


class CommandFlags(IntFlag):
    """What is known of a command without opening its message."""

    COVERS = 1  # nothing is left of what was in its box
    READS_BOX = 2  # of what it reads, its box moved by (dx, dy); else all of it
    CLIPPED = 4  # to the rectangles of its message
    BOTTOM_UP = 8  # its image has the last row first


class Command(NamedTuple):
    """A command of the log; ``box`` lies on its surface and is not empty."""

    batch: int
    offset: int
    place: int
    reads: tuple[int, ...]
    box: Box
    flags: int = 0
    dx: int = 0
    dy: int = 0
    operation: int = BY_OTHERS

    def pack(self) -> bytes:
        """As a command that has to be opened to be drawn."""
        reads = (*self.reads, NO_PLACE, NO_PLACE, NO_PLACE)[:READS]
        drawing = (BY_OTHERS, 0, self.flags, 0, 0)
        return COMMAND.pack(
            self.batch, self.offset, self.place, *reads, *self.box, *drawing, self.dx, self.dy, 0, 0, 0
        )

    @property
    def work(self) -> int:
        """About how much work it is to draw it: so many pixels could be filled meanwhile."""
        each = WORK_OPENED if self.operation == BY_OTHERS else WORK_DRAWN
        return self.box.cols * self.box.rows + each


def commands_of(log: bytes | bytearray) -> Iterator[Command]:
    """The commands, opened."""
    for words in COMMAND.iter_unpack(log):
        reads = tuple(place for place in words[3:6] if place != NO_PLACE)
        yield Command(
            batch=words[0],
            offset=words[1],
            place=words[2],
            reads=reads,
            box=Box(*words[6:10]),
            operation=words[10],
            flags=words[12],
            dx=words[15],
            dy=words[16],
        )
