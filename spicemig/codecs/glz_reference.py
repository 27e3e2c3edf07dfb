# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/glz_*.c`` in Python: GLZ's coding of images, both ways.

An image is a row of units, as in ``lz_reference.py``: bytes of palette indexes,
16-bit pixels, or colours of three bytes; of RGBA pixels the alpha of all follows as
a plane of its own. The tokens are LZ's, but for the references. Behind the control
byte, whose lower four bits begin a number, the *place*, and the bytes of the length

* one byte goes on with the place at bit 4;
* in the next byte the two upper bits say how many bytes of the *image distance*
  follow, the low ones first. If bit 4 of the control byte is 0, the lower six bits
  begin the image distance. Else the lower five go on with the place at bit 12, and
  if the one above them is set, a byte behind all others goes on with it at bit 17.

With an image distance of 0 the units come from the place and one more back; else
from the unit of that place in the image whose id is so much lower. The length counts
from one less than the *bias*.

The encoder's window is a ring of units, in which images of any type lie one behind
the other in the order of their ids, each in one piece: what does not fit before the
end begins at 0 again. The encoder looks at two colours, three 16-bit pixels or four
bytes. If they repeat the unit before them it takes that run; else it compares with
the row above, and if not much is alike there it goes to where they were last seen, in
whatever image, by a table of their hashes. For colours there is a table of the hashes
of four, too, which is asked first. Where nothing saves anything it moves on by one
unit, and by more after many such misses.

Source: glz-encoder.c, glz-encode-match.tmpl.c and glz-encoder-dict.c of spice-server
0.15.1; decode-glz-tmpl.c of spice-gtk 0.42. The encoder is our own.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Any

RGB16, RGB24, RGB32, RGBA = 6, 7, 8, 9  # as codecs.lz.LzType; lower ones are palette indexes
HEADER = struct.Struct(">IIBIIIQI")  # magic, version, top_down and type, width, height, stride, id, distance
MAGIC, VERSION = 0x20205A4C, 0x00010001
TOP_DOWN = 16

MOST_WINDOW_UNITS = 1 << 26
MOST_IMAGES = 1 << 16  # that the window holds
FARTHEST_UNIT = 1 << 25  # a place is smaller

LITERALS = 32
LONG = 7
SLOTS_LOG = 16  # of each table of places that were seen
PLACE_BITS = 26  # of a slot: where in the ring; the others are of the hash
PATIENCE_LOG = 6
ABOVE_ENOUGH = 16  # units as in the row above: nothing better is looked for
LONG_AHEAD = 4  # units of a colour that the table of longer beginnings looks at
PROBES, PROBE_STEPS, PROBE_LENGTH = 64, 32, 32
HASH_FACTOR = 0x9E3779B97F4A7C15
_ALL_BITS = 0xFFFFFFFFFFFFFFFF


def unit_bytes(type: int) -> int:
    """Bytes from one unit to the next in memory; raises ``ValueError``."""
    if not 1 <= type <= RGBA:
        raise ValueError(f"type: GLZ has no type {type}")
    return {RGB16: 2, RGB24: 3, RGB32: 4, RGBA: 4}.get(type, 1)


@dataclass(frozen=True, slots=True)
class Plane:
    """What of the units is coded: ``size`` bytes from byte ``first`` on."""

    first: int
    size: int
    bias: int  # the units of the shortest reference
    ahead: int  # units that are looked at together


COLOURS = Plane(0, 3, 1, 2)
ALPHA = Plane(3, 1, 3, 4)
INDEXES = Plane(0, 1, 3, 4)
PIXELS16 = Plane(0, 2, 2, 3)


def planes_of(type: int) -> tuple[Plane, ...]:
    """The planes of a type, in the order in which a stream has them."""
    if type == RGBA:
        return COLOURS, ALPHA
    return ({RGB16: PIXELS16, RGB24: COLOURS, RGB32: COLOURS}.get(type, INDEXES),)


@dataclass(slots=True)
class Held:
    """An image in a window: ``units`` as planes take them apart, four bytes each."""

    id: int
    type: int
    width: int
    height: int
    start: int  # in the ring
    units: list[bytes]

    def overlaps(self, start: int, count: int) -> bool:
        """Whether it has some of so many units of the ring."""
        return self.start < start + count and start < self.start + len(self.units)


class Window:
    """The encoder's side: the images that the client has, oldest first."""

    def __init__(self, size: int, next_id: int) -> None:
        self.size = size
        self.next_id = next_id
        self.taken = 0
        self.head = 0  # where the next image may begin in the ring
        self.images: deque[Held] = deque()
        self.slots = [0] * (1 << SLOTS_LOG)
        self.long_slots = [0] * (1 << SLOTS_LOG)

    def drop_oldest(self) -> None:
        """Forget the oldest image."""
        self.taken -= len(self.images.popleft().units)

    def add(self, type: int, width: int, height: int, units: list[bytes]) -> Held:
        """Take an image in; the oldest ones make room."""
        count = len(units)
        if not self.images:
            self.head = 0
        while self.taken + count > self.size or len(self.images) >= MOST_IMAGES:
            self.drop_oldest()
        if self.size - self.head < count:
            while self.images and self.images[0].start >= self.head:
                self.drop_oldest()
            self.head = 0
        while self.images and self.images[0].overlaps(self.head, count):
            self.drop_oldest()
        image = Held(self.next_id, type, width, height, self.head, units)
        self.images.append(image)
        self.taken += count
        self.head += count
        self.next_id += 1
        return image

    def at(self, place: int) -> Held | None:
        """The image that has a unit at this place of the ring."""
        return next((image for image in self.images if image.overlaps(place, 1)), None)


def _units_of(src: Any, type: int) -> list[bytes]:
    data, size = bytes(src), unit_bytes(type)
    padding = bytes(4 - size)
    return [data[at : at + size] + padding for at in range(0, len(data), size)]


def _entry(value: int, place: int) -> int:
    """What a table has: a place, and some bits of the hash that do not choose the slot."""
    return (value >> 32 - SLOTS_LOG + PLACE_BITS & (1 << 32 - PLACE_BITS) - 1) << PLACE_BITS | place


class _Encoder:
    """One plane of the window's newest image, on its way to tokens."""

    def __init__(self, window: Window, image: Held, plane: Plane) -> None:
        self.window, self.image, self.plane = window, image, plane
        self.units = self.coded(image)
        self.count = len(self.units)
        self.row = self.count // max(1, image.height)
        self.out = bytearray()

    def coded(self, image: Held) -> list[bytes]:
        first, end = self.plane.first, self.plane.first + self.plane.size
        return [unit[first:end] for unit in image.units]

    def seen(self, at: int, count: int) -> int:
        """So many units as one number, colours as 32 bits each."""
        padding = bytes(4 - self.plane.size) if self.plane.size == 3 else b""
        return int.from_bytes(b"".join(unit + padding for unit in self.units[at : at + count]), "little")

    def hashes(self, at: int) -> list[tuple[list[int], int, int]]:
        """The tables that are asked for a place, each with the hash and how many units are in it."""
        ahead = self.plane.ahead
        value = self.seen(at, ahead) * HASH_FACTOR & _ALL_BITS
        found = [(self.window.slots, value, ahead)]
        if self.plane.size == 3 and at + LONG_AHEAD <= self.count:
            value ^= value >> 29
            value = (value + self.seen(at + 2, 2)) * HASH_FACTOR & _ALL_BITS
            found.insert(0, (self.window.long_slots, value, LONG_AHEAD))
        return found

    def alike(self, seen: list[bytes], place: int, at: int) -> int:
        """How many units from two places on are equal."""
        length = 0
        while place + length < len(seen) and at + length < self.count:
            if seen[place + length] != self.units[at + length]:
                break
            length += 1
        return length

    def meant(self, entry: int, value: int, at: int) -> tuple[int, int, int]:
        """Image distance, place and length of what an entry of a table says of a place."""
        if entry >> PLACE_BITS != _entry(value, 0) >> PLACE_BITS:
            return 0, 0, 0
        place = entry & (1 << PLACE_BITS) - 1
        inside = place - self.image.start
        if 0 <= inside < at:
            if at - inside > FARTHEST_UNIT:
                return 0, 0, 0
            return 0, at - inside - 1, self.alike(self.units, inside, at)
        image = self.window.at(place)
        if image is None or image is self.image or image.type != self.image.type:
            return 0, 0, 0
        place -= image.start
        if place >= FARTHEST_UNIT:
            return 0, 0, 0
        return self.image.id - image.id, place, self.alike(self.coded(image), place, at)

    def look_up(self, at: int) -> tuple[int, int, int]:
        """What the tables know of a place; from now on, they know it."""
        hashes = self.hashes(at)
        entries = [slots[value >> 64 - SLOTS_LOG] for slots, value, _count in hashes]
        self.remember(at)
        found = 0, 0, 0
        for (_slots, value, count), entry in zip(hashes, entries, strict=True):
            found = self.meant(entry, value, at)
            if found[2] >= count:
                break
        return found

    def remember(self, at: int) -> None:
        """Leave a place in the tables."""
        if at + self.plane.ahead <= self.count:
            for slots, value, _count in self.hashes(at):
                slots[value >> 64 - SLOTS_LOG] = _entry(value, self.image.start + at)

    def repeats(self, at: int) -> bool:
        """Whether what the encoder looks at repeats the unit before it."""
        return at > 0 and len(set(self.units[at - 1 : at + self.plane.ahead])) == 1

    def best(self, at: int) -> tuple[int, int, int]:
        """The best that is known of a place that does not repeat the unit before it."""
        row, ahead = self.row, self.plane.ahead
        above = 0
        if at >= row and self.units[at - row : at - row + ahead] == self.units[at : at + ahead]:
            above = self.alike(self.units, at - row, at)
        if above >= ABOVE_ENOUGH:
            self.remember(at)
            return 0, row - 1, above
        found = self.look_up(at)
        return found if found[2] > above else (0, row - 1, above)

    def put_literals(self, start: int, end: int) -> None:
        for first in range(start, end, LITERALS):
            behind = min(first + LITERALS, end)
            self.out.append(behind - first - 1)
            for unit in self.units[first:behind]:
                self.out += unit[::-1] if self.plane.size == 2 else unit

    def encode(self) -> bytes:
        literal, at, misses = 0, 0, 0
        while at + self.plane.ahead <= self.count:
            distance, place, length = 0, 0, 0
            if self.repeats(at):
                length = self.alike(self.units, at - 1, at)
            else:
                distance, place, length = self.best(at)
            tail = reference_tail(distance, place)
            if length < self.plane.bias or length * self.plane.size <= 1 + len(tail):
                at += 1 + (misses >> PATIENCE_LOG)
                misses += 1
                continue
            self.put_literals(literal, at)
            coded = length - self.plane.bias + 1
            bits = place & 15 | (16 if place >> 12 else 0)
            self.out.append(min(coded, LONG) << 5 | bits)
            if coded >= LONG:
                self.out += b"\xff" * ((coded - LONG) // 255) + bytes([(coded - LONG) % 255])
            self.out += tail
            at = literal = at + length
            misses = 0
            self.remember(at - 1)
        self.put_literals(literal, self.count)
        return bytes(self.out)


def reference_tail(distance: int, place: int) -> bytes:
    """What follows the length of a reference."""
    tail = bytes([place >> 4 & 255])
    if place >> 12 == 0:
        more = -(-max(0, distance.bit_length() - 6) // 8)
        return tail + bytes([more << 6 | distance & 63]) + (distance >> 6).to_bytes(more, "little")
    more = -(-distance.bit_length() // 8)
    far = place >> 17
    tail += bytes([more << 6 | (32 if far else 0) | place >> 12 & 31]) + distance.to_bytes(more, "little")
    return tail + bytes([far]) if far else tail


def glz_window(size: int, next_id: int) -> Window:
    """An empty window of so many units for the encoder; raises ``ValueError``."""
    if not 0 < size <= MOST_WINDOW_UNITS:
        raise ValueError(f"size: not 1 to {MOST_WINDOW_UNITS} units")
    if not 0 <= next_id < 1 << 63:
        raise ValueError("next_id: less than 0")
    return Window(size, next_id)


def glz_forget(window: Window, id: int) -> None:
    """Drop the images before this id."""
    while window.images and window.images[0].id < id:
        window.drop_oldest()


def glz_state(window: Window) -> tuple[int, int, int]:
    """The id of the next image, that of the oldest, and how many units the window holds."""
    return window.next_id, window.images[0].id if window.images else window.next_id, window.taken


def _add(window: Window, src: Any, type: int, width: int, height: int) -> Held:
    size = unit_bytes(type)
    row = (width * {1: 1, 2: 1, 3: 4, 4: 4}.get(type, 8 * size) + 7) // 8
    if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF) or len(src) != row * height:
        raise ValueError("src: not as many bytes as an image of this size and type has")
    if row // size * height > window.size:
        raise ValueError("src: larger than the window")
    return window.add(type, width, height, _units_of(src, type))


def glz_encode(window: Window, src: Any, type: int, width: int, height: int, top_down: int) -> bytes:
    """The stream of an image, which gets the next id and is in the window from now on."""
    image = _add(window, src, type, width, height)
    header = HEADER.pack(
        MAGIC,
        VERSION,
        type | (TOP_DOWN if top_down else 0),
        width,
        height,
        len(src) // height,
        image.id,
        image.id - window.images[0].id,
    )
    return header + b"".join(_Encoder(window, image, plane).encode() for plane in planes_of(type))


def glz_put(window: Window, src: Any, type: int, width: int, height: int, id: int) -> None:
    """Take in an image that the client has already; images come in order, in an empty window with any id."""
    if window.images and id != window.next_id or not 0 <= id < 1 << 63:
        raise ValueError("id: not that of the next image")
    before, window.next_id = window.next_id, id
    try:
        image = _add(window, src, type, width, height)
    except ValueError:
        window.next_id = before
        raise
    for plane in planes_of(type):
        encoder = _Encoder(window, image, plane)
        for at in range(encoder.count - plane.ahead + 1):
            if not encoder.repeats(at):
                encoder.remember(at)


def glz_image(window: Window, first: int) -> tuple[int, int, int, int, bytes] | None:
    """Id, type, width, height and units of the first image of at least this id; None if there is none."""
    for image in window.images:
        if image.id >= first:
            size = unit_bytes(image.type)
            units = b"".join(unit[:size] for unit in image.units)
            return image.id, image.type, image.width, image.height, units
    return None


def glz_probe(window: Window, src: Any, type: int) -> tuple[int, int]:
    """How many of some places of an image are found in the window, and how many were looked up."""
    if not src or len(src) % unit_bytes(type):
        raise ValueError("src: not whole units of a type that GLZ has")
    units = _units_of(src, type)
    places = range(0, len(units), max(1, len(units) // PROBES))
    found = 0
    for first in places:
        some = Held(-1, type, 0, 0, window.size, units[first : first + PROBE_STEPS + PROBE_LENGTH])
        found += _is_found(_Encoder(window, some, planes_of(type)[0]))
    return found, len(places)


def _is_found(encoder: _Encoder) -> bool:
    for at in range(min(PROBE_STEPS, encoder.count - encoder.plane.ahead + 1)):
        if not encoder.repeats(at):
            for slots, value, _count in encoder.hashes(at):
                if encoder.meant(slots[value >> 64 - SLOTS_LOG], value, at)[2] >= PROBE_LENGTH:
                    return True
    return False


class DecoderWindow:
    """The decoder's side: the units of images, as they lie in memory, by id."""

    def __init__(self) -> None:
        self.images: dict[int, tuple[int, bytes]] = {}


def glz_decoder_window() -> DecoderWindow:
    """An empty window for the decoder."""
    return DecoderWindow()


def glz_drop(window: DecoderWindow, id: int) -> None:
    """Forget an image."""
    window.images.pop(id, None)


class _Refused(Exception):
    """The tokens do not make up the image."""


def _decoded(window: DecoderWindow, id: int, type: int, count: int, plane: Plane, data: bytes, at: int):
    size = plane.size
    units: list[bytes] = []

    def byte() -> int:
        nonlocal at
        at += 1
        if at > len(data):
            raise _Refused
        return data[at - 1]

    while len(units) < count:
        control = byte()
        if control < LITERALS:
            for _each in range(control + 1):
                unit = data[at : at + size]
                at += size
                if at > len(data):
                    raise _Refused
                units.append(unit[::-1] if size == 2 else unit)
        else:
            length, more = control >> 5, 255 if control >> 5 == LONG else 0
            while more == 255:
                more = byte()
                length += more
                if length > count:
                    raise _Refused
            place = control & 15 | byte() << 4
            last = byte()
            distance, shift, far = 0, 0, False
            if control & 16:
                place |= (last & 31) << 12
                far = bool(last & 32)
            else:
                distance, shift = last & 63, 6
            for index in range(last >> 6):
                distance |= byte() << shift + 8 * index
            if far:
                place += byte() << 17
            length += plane.bias - 1
            if len(units) + length > count:
                raise _Refused
            if distance == 0:
                start = len(units) - place - 1
                if start < 0:
                    raise _Refused
                for index in range(start, start + length):
                    units.append(units[index])
            else:
                kind, pixels = window.images.get(id - distance, (0, b""))
                step = unit_bytes(type)
                if kind != type or (place + length) * step > len(pixels):
                    raise _Refused
                for index in range(place, place + length):
                    units.append(pixels[index * step :][plane.first : plane.first + size])
        if len(units) > count:
            raise _Refused
    return units, at


def glz_decode(window: DecoderWindow, id: int, type: int, count: int, data: Any) -> bytes | None:
    """
    The units of an image, as they lie in memory, which the window keeps; None if the
    tokens do not make up just that. Raises ``ValueError``.
    """
    step = unit_bytes(type)
    if not 0 < count <= 1 << 28:
        raise ValueError(f"count: not 1 to {1 << 28} units")
    tokens = bytes(data)
    at = 0
    made = bytearray(count * step)
    try:
        for plane in planes_of(type):
            units, at = _decoded(window, id, type, count, plane, tokens, at)
            for component in range(plane.size):
                made[plane.first + component :: step] = bytes(unit[component] for unit in units)
    except _Refused:
        return None
    if at != len(tokens):
        return None
    window.images[id] = type, bytes(made)
    return bytes(made)
