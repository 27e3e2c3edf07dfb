# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What waits to be sent on a display channel.

Drawables wait in their compact form until the ack window lets them go, so that
later ones can still replace them. What is too much to keep is forgotten and
owed: those parts of the surfaces are sent as pixels once the client has caught up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from spicemig.channels.display_bands import Band
from spicemig.channels.display_images import is_sound
from spicemig.channels.display_kernels import covered
from spicemig.channels.display_reference import COVERS, DRAWS, NOTHING, ROW, moved_from, row_of
from spicemig.channels.glz_dictionary import InDictionary
from spicemig.channels.regions import Regions
from spicemig.wire.drawing import Rect

MAX_WAITING_DRAWABLES = 512  # per client
MAX_WAITING_BYTES = 64 * 1024 * 1024  # that they hold, per client
FEW_COMMANDS = 256  # waiting per client; with more, surfaces that come and go unseen are left out

COPY_BITS = 104  # the number of the message that copies inside its surface
EFFECT_OPAQUE = 1
CLIP_NONE = 0

_NOWHERE = Rect(top=0, left=0, bottom=0, right=0)
_CLIP_TYPE_OFFSET = 20  # in the body of every drawing message: behind surface id and box


class Waiting:
    """
    A drawable in the pipe, with what decides whether it may be dropped.

    ``pinned`` ones must be sent; see :meth:`DisplayPipe.pin`.
    """

    __slots__ = (
        "_drawable",
        "_make",
        "images",
        "opaque",
        "own",
        "passed_over",
        "pinned",
        "record",
        "row",
        "snapshot",
        "sound",
        "stream",
        "surface",
        "weight",
    )

    _make: Callable[[Any, list[Any]], Any]  # of the record and images, what to draw

    def __init__(self, drawable: Any, images: list[Any], *, opaque: bool, snapshot: bool = False) -> None:
        surface: int = drawable.surface
        reads = {image.surface for image in images if image.surface is not None}
        if drawable.number == COPY_BITS:
            reads.add(surface)
        moved = moved_from(drawable.number, drawable.body, len(images))
        row = row_of(surface, drawable.box, reads, draws=True, covers=opaque, moved=moved)
        self._begin(surface, row, len(drawable.body) + sum(len(image.data) for image in images), opaque)
        self._drawable = drawable
        self.images = images
        self.record: Any = None  # its own, once it waits; relocations count the images
        self.snapshot = snapshot
        self.sound = all(is_sound(image) for image in images)

    def _begin(self, surface: int, row: bytes, weight: int, opaque: bool) -> None:
        self.surface, self.row, self.weight, self.opaque = surface, row, weight, opaque
        self.snapshot = self.pinned = False
        self.own: InDictionary | None = None  # its only image, if the client's GLZ dictionary has it
        self.stream: Any = None  # that it is a frame of; see video_stream.Frame
        self.passed_over = False  # the dictionary does not take that

    @classmethod
    def of(cls, drawable: Any) -> Waiting:
        """A drawable of the device; :meth:`keep` it before it waits."""
        images = [image for _offset, image in drawable.fixups()] if drawable.relocations else []
        opaque = drawable.effect == EFFECT_OPAQUE and drawable.body[_CLIP_TYPE_OFFSET] == CLIP_NONE
        return cls(drawable, images, opaque=opaque)

    @classmethod
    def plain(
        cls,
        make: Callable[[Any, list[Any]], Any],
        surface: int,
        row: bytes,
        weight: int,
        opaque: bool,
        record: bytearray,
        images: list[Any],
    ) -> Waiting:
        """A drawable that was looked at; ``make`` is what opens its record."""
        waiting = cls.__new__(cls)
        waiting._begin(surface, row, weight, opaque)
        waiting._drawable, waiting._make = None, make
        waiting.record, waiting.images, waiting.sound = record, images, True
        return waiting

    @property
    def drawable(self) -> Any:
        """What to draw."""
        if self._drawable is None:
            self._drawable = self._make(self.record, self.images)
        return self._drawable

    @property
    def box(self) -> Rect:
        """What it touches at most."""
        return Rect(*ROW.unpack(self.row)[3:7])

    @property
    def reads(self) -> set[int]:
        """The surfaces that it reads."""
        _flags, count, _surface, _top, _left, _bottom, _right, *named = ROW.unpack(self.row)
        return set(named[:count])

    def keep(self) -> None:
        """Have a copy of the record, so that the batch it came with is not kept alive."""
        if not self.snapshot and self.record is None:
            self._drawable = alone = self.drawable.alone()
            self.record, self.images = alone.batch.records, alone.batch.images


@dataclass(slots=True, eq=False)
class Command:
    """A message that is not a drawing, in its place among them; ``surface`` is the one it is about."""

    message: Any
    surface: int | None = None
    makes: bool = False
    ends: bool = False
    row: ClassVar[bytes] = NOTHING


Entry = Waiting | Command


class DisplayPipe:
    """
    Entries in the order in which they are to be sent.

    While anything is owed, drawables are not kept but owed as well: they could
    read or blend with what the client has not got. ``entries`` is for looking at:
    beside it there are rows for the kernel that culls, so that only methods change it.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._rows = bytearray()  # of the entries; see display_reference.ROW
        self.owed = Regions()  # what the client has not got as it is: sent as pixels later
        self.dropped = 0  # drawables that were covered before they were sent
        self._drawables = 0
        self.max_bytes = MAX_WAITING_BYTES
        self._weight = 0
        self._many_commands = FEW_COMMANDS

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def weight(self) -> int:
        """How many bytes the waiting drawables hold."""
        return self._weight

    def command(self, command: Command) -> None:
        """Send it after what is waiting."""
        self._put(command)
        if len(self.entries) - self._drawables > self._many_commands:
            self._leave_out_unseen()
            if len(self.entries) - self._drawables > self._many_commands:
                self.collapse()
                self._leave_out_unseen()
            self._many_commands = max(FEW_COMMANDS, 2 * len(self.entries))

    def replace(self, message: Any) -> None:
        """Send a message that makes earlier ones of its kind pointless."""
        self._set(
            entry
            for entry in self.entries
            if isinstance(entry, Waiting) or type(entry.message) is not type(message)
        )
        self._put(Command(message))

    def draw(self, waiting: Waiting) -> None:
        """A drawable of the device."""
        if self.owed:
            self.owe(waiting)
            return
        self._append(waiting)
        if self._drawables > MAX_WAITING_DRAWABLES or self._weight > self.max_bytes:
            self.collapse()

    def draw_frame(self, waiting: Waiting) -> None:
        """A frame of a stream; it depends on nothing, so that it waits for nothing that is owed."""
        self._append(waiting)

    def remove(self, waiting: Waiting) -> None:
        """Drop one that is not needed any more."""
        self._set(entry for entry in self.entries if entry is not waiting)
        self._uncount(waiting)
        self.dropped += 1

    def show(self, band: Band) -> None:
        """Pixels as they are now; never given up for what is owed, so that there is always progress."""
        self._append(Waiting(band, [band.image], opaque=True, snapshot=True))

    def owe(self, waiting: Waiting) -> None:
        """Instead of drawing it, owe what it touches."""
        self.owed.add(waiting.surface, waiting.box)

    def pin(self, waiting: Waiting) -> None:
        """Have this one sent whatever comes: another image refers to what it brings."""
        if not waiting.pinned:
            waiting.pinned = True
            self._set_flags(waiting, waiting.row[0] & ~DRAWS)

    def unpin(self, waiting: Waiting) -> None:
        """It need not be sent after all."""
        if waiting.pinned:
            waiting.pinned = False
            self._set_flags(waiting, waiting.row[0] | DRAWS)

    def _set_flags(self, waiting: Waiting, flags: int) -> None:
        waiting.row = bytes((flags,)) + waiting.row[1:]
        at = self.entries.index(waiting) * ROW.size
        self._rows[at : at + ROW.size] = waiting.row

    def collapse(self) -> None:
        """Give up the waiting drawables and owe what they touch."""
        self._give_up(lambda waiting: not waiting.snapshot)

    def collapse_all(self) -> None:
        """As :meth:`collapse`, and the pixels that wait, too; only commands stay."""
        self._give_up(lambda waiting: True)

    def _give_up(self, chosen: Callable[[Waiting], bool]) -> None:
        """Owe what these drawables touch, but for surfaces that are gone by the end of the pipe."""
        entries = self.entries
        kept: list[Entry] = []
        last = {
            entry.surface: index
            for index, entry in enumerate(entries)
            if isinstance(entry, Command) and entry.ends
        }
        for index, entry in enumerate(entries):
            if isinstance(entry, Command):
                kept.append(entry)
                continue
            stays = entry.pinned or not chosen(entry)
            if stays:
                kept.append(entry)
            else:
                self._uncount(entry)
            # what stays may blend with what would have been drawn before it
            if not (stays and entry.opaque) and index > last.get(entry.surface, -1):
                self.owe(entry)
        self._set(kept)

    def destroy(self, surface: int) -> None:
        """The surface goes: what is drawn on it is not needed unless somebody reads it."""
        self.owed.forget(surface)
        self._drop(row_of(surface, _NOWHERE, (), draws=False, covers=False), whole=True)

    def _leave_out_unseen(self) -> None:
        """Forget surfaces that come and go while they wait, unless something is made of them."""
        begun: dict[int | None, int] = {}
        unseen: set[int] = set()
        for index, entry in enumerate(self.entries):
            if isinstance(entry, Waiting):
                for surface in entry.reads - {entry.surface}:
                    begun.pop(surface, None)
                if entry.pinned:
                    begun.pop(entry.surface, None)
                if entry.pinned:
                    begun.pop(entry.surface, None)
            elif entry.makes:
                begun[entry.surface] = index
            elif entry.ends and entry.surface in begun:
                first = begun.pop(entry.surface)
                unseen |= {n for n in range(first, index + 1) if self.entries[n].surface == entry.surface}
        for index in unseen:
            entry = self.entries[index]
            if isinstance(entry, Waiting):
                self._uncount(entry)
        self._set(entry for index, entry in enumerate(self.entries) if index not in unseen)

    def pop(self) -> Entry:
        """The first entry, to be sent now."""
        entry = self.entries.pop(0)
        del self._rows[: ROW.size]
        if isinstance(entry, Waiting):
            self._uncount(entry)
        return entry

    def sent(self, count: int) -> None:
        """The first so many entries, all drawables, are gone."""
        for entry in self.entries[:count]:
            assert isinstance(entry, Waiting)
            self._uncount(entry)
        del self.entries[:count]
        del self._rows[: count * ROW.size]

    def _put(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._rows += entry.row

    def _set(self, entries: Iterable[Entry]) -> None:
        self.entries = list(entries)
        self._rows = bytearray().join(entry.row for entry in self.entries)

    def _append(self, waiting: Waiting) -> None:
        if waiting.row[0] & COVERS:
            self._drop(waiting.row, whole=False)
        waiting.keep()
        self._put(waiting)
        if not waiting.snapshot:
            self._drawables += 1
            self._weight += waiting.weight

    def _uncount(self, waiting: Waiting) -> None:
        if not waiting.snapshot:
            self._drawables -= 1
            self._weight -= waiting.weight

    def _drop(self, row: bytes, *, whole: bool) -> None:
        """Drop what the drawable of this row covers; by ``whole`` all on its surface that nobody reads."""
        for index in covered(self._rows, row, whole):
            entry = self.entries.pop(index)
            del self._rows[index * ROW.size : (index + 1) * ROW.size]
            assert isinstance(entry, Waiting)
            self._uncount(entry)
            self.dropped += 1


def clipped(rect: Rect, width: int, height: int) -> Rect:
    """The part of a rectangle that lies on a surface of this size."""
    return Rect(
        top=max(0, rect.top),
        left=max(0, rect.left),
        bottom=min(height, rect.bottom),
        right=min(width, rect.right),
    )
