# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The twins of the functions that keep the rasteriser's log.

Those in C also say in a command how to draw it, if it is one of the common ones;
here, each is drawn by opening its message.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spicemig.devices.drawables import EFFECT_OFFSET, HEADER, RELOCATION, Batch, Drawable, Effect
from spicemig.devices.raster.clip import Box
from spicemig.devices.raster.log import COMMAND, FARTHEST, READS, Command, CommandFlags, commands_of
from spicemig.devices.raster.opaque import is_opaque
from spicemig.devices.raster.rop import truth_table
from spicemig.devices.surfaces import Surface
from spicemig.errors import WireError
from spicemig.wire.enums import ClipType, Ropd, SurfaceFormat
from spicemig.wire.messages.display import CopyBits, DrawBlend, DrawCopy

TILE = 32  # pixels; that of devices.dirty
COVER_BOXES = 12

_PUT = 12
_EVERYWHERE = Box(0, 0, FARTHEST, FARTHEST)
_PLAIN = (SurfaceFormat.XRGB32, SurfaceFormat.ARGB32)


# taking


def take_batch(
    records: bytearray,
    index: list[int],
    images: list[Any],
    surfaces: list[Any],
    place_of: Mapping[int, int],
    number: int,
) -> tuple[bytes, list[int] | None, int, int]:
    """
    Make commands of the records of a batch.

    Returns the commands, leaving out those that draw nothing; the ``index`` of the
    records whose surfaces all exist, None if all do; how many bytes of records and
    images the batch holds; and how much work the commands are. Into the record of a
    command that says it is opaque, and is not, :attr:`Effect.BLEND` is written.
    ``surfaces`` has them by place, ``place_of`` the places
    by id. Raises ``ValueError`` for an index or a record that leads nowhere.
    """
    batch = Batch()
    batch.records, batch.images = records, images
    existing = {id: surfaces[place] for id, place in place_of.items()}
    commands, possible, work = [], [], 0
    for offset in index:
        drawable = _opened(batch, offset)
        sources = drawable.source_surfaces()
        if drawable.surface not in existing or any(source not in existing for source in sources):
            continue
        possible.append(offset)
        command = _command_of(drawable, number, existing, place_of)
        if command.box:
            commands.append(command.pack())
            work += command.work
    held = len(records) + sum(len(image.data) for image in images if image.surface is None)
    return b"".join(commands), None if len(possible) == len(index) else possible, held, work


def _opened(batch: Batch, offset: int) -> Drawable:
    size = len(batch.records)
    if not 0 <= offset <= size - HEADER.size:
        raise ValueError("index: there is no record")
    drawable = Drawable(batch, offset)
    told = HEADER.unpack_from(batch.records, offset)[0]
    if told > size - offset or told < HEADER.size + drawable.relocations * RELOCATION.size:
        raise ValueError("index: there is no record")
    if drawable.relocations > READS:
        raise ValueError("records: a drawable has too many images")
    try:
        drawable.fixups()
    except IndexError:
        raise ValueError("records: a drawable names no image of its batch") from None
    return drawable


def _command_of(
    drawable: Drawable, number: int, existing: Mapping[int, Surface], place_of: Mapping[int, int]
) -> Command:
    surface = existing[drawable.surface]
    try:
        message = drawable.message()
    except (ValueError, WireError):
        message = None
    opaque = message is not None and is_opaque(message, surface, existing)
    if drawable.effect == Effect.OPAQUE and not opaque:
        drawable.batch.records[drawable.offset + EFFECT_OFFSET] = Effect.BLEND
    box = Box(drawable.left, drawable.top, drawable.right, drawable.bottom)
    flags, dx, dy = (CommandFlags.COVERS if opaque else 0), 0, 0
    if message is not None:
        box = Box.of(message.base.box)
    drawn = box.within(Box(0, 0, surface.width, surface.height))
    if message is not None:
        drawn = drawn.within(_around(message.base.clip, drawn))
        more, dx, dy = _copied(message, drawable.surface, drawn, surface)
        flags |= more
    places = [place_of[id] for id in drawable.source_surfaces()]
    if drawable.number == CopyBits.number:
        places.insert(0, place_of[drawable.surface])
    reads = tuple(dict.fromkeys(places))
    return Command(number, drawable.offset, place_of[drawable.surface], reads, drawn, flags, dx, dy)


def _around(clip: Any, drawn: Box) -> Box:
    """The box around the rectangles of a clip."""
    if clip.type != ClipType.RECTS:
        return drawn
    boxes = [box for box in map(Box.of, clip.rects) if box]
    if not boxes:
        return Box(0, 0, 0, 0)
    left, top, right, bottom = zip(*boxes, strict=True)
    return Box(min(left), min(top), max(right), max(bottom))


def _copied(message: Any, id: int, drawn: Box, surface: Surface) -> tuple[int, int, int]:
    """Flags, and the distance of what a message copies from a surface without scaling it."""
    clip, whole = message.base.clip, Box.of(message.base.box)
    moves = False
    if clip.type not in (ClipType.NONE, ClipType.RECTS):
        return 0, 0, 0
    if isinstance(message, CopyBits):
        dx, dy = message.src_pos.x - whole.left, message.src_pos.y - whole.top
        flags, moves = int(CommandFlags.READS_BOX), True
    elif isinstance(message, (DrawCopy, DrawBlend)) and message.mask.bitmap is None:
        area = Box.of(message.src_area)
        image = getattr(message.src_bitmap, "value", None)
        if image is None or not area or (area.cols, area.rows) != (whole.cols, whole.rows):
            return 0, 0, 0
        dx, dy = area.left - whole.left, area.top - whole.top
        flags = int(CommandFlags.READS_BOX) if image.surface is not None else 0
        put = truth_table(message.rop_descriptor, Ropd.INVERS_SRC) == _PUT
        moves = image.surface == id and put and surface.format in _PLAIN
    else:
        return 0, 0, 0
    if abs(dx) > FARTHEST or abs(dy) > FARTHEST:
        return 0, 0, 0
    if (
        moves
        and (clip.type == ClipType.NONE or len(clip.rects) == 1)
        and Box(0, 0, surface.width, surface.height).covers(drawn.moved(dx, dy))
    ):
        flags |= CommandFlags.COVERS
    return flags, dx, dy


# culling


class _Cover:
    """Boxes of a surface that nobody looks at any more before they are drawn over."""

    def __init__(self, boxes: Sequence[Box] = ()) -> None:
        self.boxes = list(boxes)

    def covers(self, box: Box) -> bool:
        return any(each.covers(box) for each in self.boxes)

    def _forget(self, which: int) -> None:
        self.boxes[which] = self.boxes[-1]
        self.boxes.pop()

    def add(self, box: Box) -> None:
        """Add a box that no other covers; the smallest has to go if there are too many."""
        which = 0
        while which < len(self.boxes):
            joined = _joined(box, self.boxes[which])
            if box.covers(self.boxes[which]):
                self._forget(which)
            elif joined is not None:
                box = joined
                self._forget(which)
                which = 0
            else:
                which += 1
        if len(self.boxes) < COVER_BOXES:
            self.boxes.append(box)
            return
        smallest = min(range(COVER_BOXES), key=lambda each: _pixels(self.boxes[each]))
        if _pixels(self.boxes[smallest]) < _pixels(box):
            self.boxes[smallest] = box

    def uncover(self, box: Box) -> None:
        """Somebody looks at this box."""
        which = 0
        while which < len(self.boxes):
            if self.boxes[which].within(box):
                side = _largest_side(self.boxes[which], box)
                if side is None:
                    self._forget(which)
                    continue
                self.boxes[which] = side
            which += 1

    def add_new(self, box: Box) -> None:
        """Add what is not empty, and is not covered."""
        if box and not self.covers(box):
            self.add(box)

    def look(self, command: Command, below: _Cover) -> None:
        """
        A command looks at its box, moved, on this surface.

        What it puts where later ones cover it (``below``, before the command came to
        its own surface) it need not look at.
        """
        before = list(self.boxes)
        self.uncover(command.box.moved(command.dx, command.dy))
        for box in below.boxes:
            unseen = box.within(command.box).moved(command.dx, command.dy)
            for other in before:
                self.add_new(unseen.within(other))


def _pixels(box: Box) -> int:
    return box.cols * box.rows


def _joined(one: Box, other: Box) -> Box | None:
    """Both as one box, if they are one."""
    if (one.top, one.bottom) == (other.top, other.bottom):
        if one.left <= other.right and other.left <= one.right:
            return Box(min(one.left, other.left), one.top, max(one.right, other.right), one.bottom)
    elif (one.left, one.right) == (other.left, other.right):
        if one.top <= other.bottom and other.top <= one.bottom:
            return Box(one.left, min(one.top, other.top), one.right, max(one.bottom, other.bottom))
    return None


def _largest_side(box: Box, other: Box) -> Box | None:
    """The largest part of the box on one side of the other."""
    sides = (
        box._replace(bottom=other.top),
        box._replace(top=other.bottom),
        box._replace(right=other.left),
        box._replace(left=other.right),
    )
    return max((side for side in sides if side), key=_pixels, default=None)


def cull_log(commands: bytes, dead: bytes) -> tuple[bytes, bytearray, int]:
    """
    The commands that somebody needs, a byte for each place that says whether it is used, and the work.

    Needed is what stays visible on a surface that is not dead, or is read by another
    command that is needed. ``dead`` has a byte for each place, not 0 if its surface was
    destroyed after all commands.
    """
    covers = [_Cover([_EVERYWHERE] if gone else []) for gone in dead]
    used = bytearray(len(dead))
    keep, work = [], 0
    known = _known(commands, len(dead))
    for number in range(len(known) - 1, -1, -1):
        command = known[number]
        if covers[command.place].covers(command.box):
            continue
        keep.append(number)
        work += command.work
        below = _Cover(covers[command.place].boxes)
        if command.flags & CommandFlags.COVERS:
            covers[command.place].add(command.box)
        used[command.place] = 1
        for place in command.reads:
            used[place] = 1
            if command.flags & CommandFlags.READS_BOX:
                covers[place].look(command, below)
            else:
                covers[place].boxes.clear()
    return _chosen(commands, reversed(keep)), used, work


def _known(commands: bytes, places: int) -> list[Command]:
    if len(commands) % COMMAND.size:
        raise ValueError("commands: these are no whole commands")
    known = list(commands_of(commands))
    if any(place >= places for command in known for place in (command.place, *command.reads)):
        raise ValueError("commands: one names no surface")
    return known


def _chosen(commands: bytes, numbers: Any) -> bytes:
    size = COMMAND.size
    return b"".join(bytes(commands[number * size : (number + 1) * size]) for number in numbers)


def split_log(commands: bytes, places: int, place: int) -> tuple[bytes, bytes]:
    """
    The commands that have to do with the surface at ``place``, and those that do not.

    They have if they draw on it, on one that it reads or is read by, and so on.
    """
    if not 0 <= place < places:
        raise ValueError("place: there is no such place")
    known = _known(commands, places)
    groups = {each: {each} for each in range(places)}
    for command in known:
        for read in command.reads:
            one, other = groups[command.place], groups[read]
            if one is not other:
                one |= other
                groups.update(dict.fromkeys(other, one))
    mine = [command.place in groups[place] for command in known]
    return tuple(  # type: ignore[return-value]
        _chosen(commands, (number for number, is_mine in enumerate(mine) if is_mine is wanted))
        for wanted in (True, False)
    )


def renumber_log(commands: bytearray, batches: int) -> list[int]:
    """Number the batches that commands name from 0 on; returns the numbers that they had."""
    numbers: dict[int, int] = {}
    for start, command in zip(range(0, len(commands), COMMAND.size), commands_of(commands), strict=True):
        if command.batch >= batches:
            raise ValueError("commands: one is of no batch")
        number = numbers.setdefault(command.batch, len(numbers))
        commands[start : start + 4] = number.to_bytes(4, sys.byteorder)
    return list(numbers)


def mark_tiles(commands: bytes, surfaces: list[Any], dirty: Mapping[int, Any]) -> None:
    """Mark the tiles that commands draw on in ``dirty``, which has a :class:`DirtyTiles` for some ids."""
    for command in _known(commands, len(surfaces)):
        marks = dirty.get(surfaces[command.place].id)
        if marks is None:
            continue
        left, top, right, bottom = command.box
        first, last = left // TILE, (right - 1) // TILE
        end = (bottom - 1) // TILE * marks.across + last
        if left < 0 or top < 0 or not command.box or last >= marks.across or end >= len(marks.tiles):
            raise ValueError("commands: one leaves its surface")
        for row in range(top // TILE, (bottom - 1) // TILE + 1):
            start = row * marks.across
            marks.tiles[start + first : start + last + 1] = b"\1" * (last - first + 1)


# drawing


def draw_log(
    commands: bytes, batches: list[Batch], surfaces: list[Any], other: Callable[[int], None]
) -> None:
    """Draw commands in order; ``other`` draws each whose number it is called with."""
    for number in range(len(_known(commands, len(surfaces)))):
        other(number)


__all__ = ["cull_log", "draw_log", "mark_tiles", "renumber_log", "split_log", "take_batch"]
