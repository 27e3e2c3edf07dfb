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
the other in the order of their ids. It looks at two colours, three 16-bit pixels or
four bytes. If they repeat the unit before them it takes that run; else it goes to
where they were last seen, in whatever image, by a table of their hashes. Where
neither saves anything it moves on by one unit, and by more after many such misses.

Source: glz-encoder.c, glz-encode-match.tmpl.c and glz-encoder-dict.c of spice-server
0.15.1; decode-glz-tmpl.c of spice-gtk 0.42. The encoder is our own.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
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
SLOTS_LOG = 16
PATIENCE_LOG = 6
PROBES, PROBE_STEPS, PROBE_LENGTH = 64, 16, 8
HASH_FACTOR = 0x9E3779B97F4A7C15


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


class Window:
    """The encoder's side: the images that the client has, oldest first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.next_id = 0
        self.taken = 0
        self.head = 0  # where the next image begins in the ring
        self.images: deque[Held] = deque()
        self.slots = [0] * (1 << SLOTS_LOG)

    def add(self, type: int, width: int, height: int, units: list[bytes]) -> Held:
        """Take an image in; the oldest ones make room."""
        while self.taken + len(units) > self.size or len(self.images) >= MOST_IMAGES:
            self.taken -= len(self.images.popleft().units)
        image = Held(self.next_id, type, width, height, self.head, units)
        self.images.append(image)
        self.taken += len(units)
        self.head = (self.head + len(units)) % self.size
        self.next_id += 1
        return image

    def at(self, position: int) -> Held | None:
        """The image that has a unit at this position of the ring."""
        for image in reversed(self.images):
            if (position - image.start) % self.size < len(image.units):
                return image
        return None


def _units_of(src: Any, type: int) -> list[bytes]:
    data, size = bytes(src), unit_bytes(type)
    padding = bytes(4 - size)
    return [data[at : at + size] + padding for at in range(0, len(data), size)]


class _Encoder:
    """One plane of the window's newest image, on its way to tokens."""

    def __init__(self, window: Window, image: Held, plane: Plane) -> None:
        self.window, self.image, self.plane = window, image, plane
        self.units = self.coded(image)
        self.count = len(self.units)
        self.out = bytearray()

    def coded(self, image: Held) -> list[bytes]:
        first, end = self.plane.first, self.plane.first + self.plane.size
        return [unit[first:end] for unit in image.units]

    def slot(self, at: int) -> int:
        padding = bytes(4 - self.plane.size) if self.plane.size == 3 else b""
        seen = b"".join(unit + padding for unit in self.units[at : at + self.plane.ahead])
        value = int.from_bytes(seen, "little") * HASH_FACTOR & 0xFFFFFFFFFFFFFFFF
        return value >> 64 - SLOTS_LOG

    def alike(self, seen: list[bytes], place: int, end: int, at: int) -> int:
        """How many units from two places on are equal, up to an end of the first."""
        length = 0
        while place + length < end and at + length < self.count:
            if seen[place + length] != self.units[at + length]:
                break
            length += 1
        return length

    def find(self, at: int) -> tuple[int, int, int]:
        """Image distance, place and length of what the table knows; from now on, it knows this place."""
        slot = self.slot(at)
        ring, position = self.window.size, self.window.slots[slot]
        self.window.slots[slot] = (self.image.start + at) % ring
        inside = (position - self.image.start) % ring
        if inside < at:
            return 0, at - inside - 1, self.alike(self.units, inside, self.count, at)
        image = self.window.at(position)
        if image is None or image is self.image or image.type != self.image.type:
            return 0, 0, 0
        place = (position - image.start) % ring
        if place >= FARTHEST_UNIT:
            return 0, 0, 0
        end = min(len(image.units), place + ring - position)  # not over the end of the ring
        return self.image.id - image.id, place, self.alike(self.coded(image), place, end, at)

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
            if (
                at
                and self.units[at - 1 : at - 1 + self.plane.ahead] == self.units[at : at + self.plane.ahead]
            ):
                length = self.alike(self.units, at - 1, self.count, at)
            else:
                distance, place, length = self.find(at)
            tail = reference_tail(distance, place)
            if length < self.plane.bias or length * self.plane.size <= len(tail):
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
            if at - 1 + self.plane.ahead <= self.count:
                slot = self.slot(at - 1)
                self.window.slots[slot] = (self.image.start + at - 1) % self.window.size
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


def glz_window(size: int) -> Window:
    """An empty window of so many units for the encoder; raises ``ValueError``."""
    if not 0 < size <= MOST_WINDOW_UNITS:
        raise ValueError(f"size: not 1 to {MOST_WINDOW_UNITS} units")
    return Window(size)


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
        for at in range(0, encoder.count - plane.ahead + 1):
            window.slots[encoder.slot(at)] = (image.start + at) % window.size


def glz_images(window: Window, first: int) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Id, type, width, height and units of the first image of at least this id, and so on."""
    for image in list(window.images):
        if image.id >= first:
            size = unit_bytes(image.type)
            yield image.id, image.type, image.width, image.height, b"".join(u[:size] for u in image.units)


def glz_probe(window: Window, src: Any, type: int) -> tuple[int, int]:
    """How many of some places of an image are found in the window, and how many were looked up."""
    units = _units_of(src, type)
    plane = planes_of(type)[0]
    image = Held(window.next_id, type, 0, 0, window.head, units)
    encoder = _Encoder(window, image, plane)
    found = tried = 0
    for first in range(0, len(units), max(1, len(units) // PROBES)):
        for at in range(first, min(first + PROBE_STEPS, len(units) - plane.ahead + 1)):
            if at and units[at] == units[at - 1]:
                continue
            before = window.slots[encoder.slot(at)]
            held = window.at(before)
            if held is not None and held.type == type:
                place = (before - held.start) % window.size
                if encoder.alike(encoder.coded(held), place, len(held.units), at) >= PROBE_LENGTH:
                    found += 1
                    break
        tried += 1
    return found, tried


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
