# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/lz_*.c`` in Python: LZ's coding of one plane of an image.

A plane is a row of units: bytes (palette indexes, or the alpha of pixels), 16-bit
pixels, or the three bytes of a colour. Its tokens are

* a control byte below 32, then one unit more than it says, literally; of a 16-bit
  pixel the high byte comes first;
* or a reference: the upper three bits of the control byte are a length, and if they
  are 7, bytes are added to it up to the first that is not 255. The lower five bits
  and the next byte are a distance; if they are all ones, two bytes more, the high
  one first, are added to it. So many units and one more back the plane goes on
  likewise, for the length and one less than the *bias*.

The encoder looks at eight bytes of units. If they repeat the unit before them it
takes that run; else it goes back to where the same beginning of them (all eight of
colours, six, or four) was last seen, by a table of their hashes. Where neither saves
anything it moves on by one unit, and by more after many such misses.

Source: spice-common of spice 0.15.1, lz.c, lz_decompress_tmpl.c. The encoder is our own.
"""

from __future__ import annotations

from typing import Any

BYTES, RGB16, RGB24, RGB32, ALPHA = 1, 2, 3, 4, 5

UNIT_BYTES = {BYTES: 1, RGB16: 2, RGB24: 3, RGB32: 4, ALPHA: 4}  # from one unit to the next
CODED_BYTES = {BYTES: 1, RGB16: 2, RGB24: 3, RGB32: 3, ALPHA: 1}
BIAS = {BYTES: 3, RGB16: 2, RGB24: 1, RGB32: 1, ALPHA: 3}  # the units of the shortest reference
FAR_BIAS = {BYTES: 5, RGB16: 3, RGB24: 2, RGB32: 2, ALPHA: 5}  # shorter ones to far away save nothing

LITERALS = 32
LONG = 7
FAR_DISTANCE = 8191
FARTHEST = FAR_DISTANCE + 65536
MOST_UNITS = 1 << 28

SLOTS_LOG = 13
PATIENCE_LOG = 6
HASH_FACTOR = 0x9E3779B97F4A7C15
LOOKED_AT_BYTES = 8
HASHED_BYTES = {1: 4, 2: 6, 4: 8}


def _units_of(argument: str, size: int, plane: int) -> int:
    if plane not in UNIT_BYTES:
        raise ValueError(f"plane: LZ has no plane {plane}")
    count, rest = divmod(size, UNIT_BYTES[plane])
    if rest or not 0 < count <= MOST_UNITS:
        raise ValueError(f"{argument}: not 1 to {MOST_UNITS} whole units")
    return count


class _Encoder:
    """Units of one, two or four bytes, the fourth one zero, on their way to tokens."""

    def __init__(self, units: bytes, size: int, plane: int) -> None:
        self.units, self.size, self.plane = units, size, plane
        self.count = len(units) // size
        self.slots = [0] * (1 << SLOTS_LOG)
        self.out = bytearray()

    def unit(self, at: int) -> bytes:
        return self.units[at * self.size : (at + 1) * self.size]

    def eight(self, at: int) -> bytes:
        return self.units[at * self.size : at * self.size + LOOKED_AT_BYTES]

    def slot(self, at: int) -> int:
        hashed = int.from_bytes(self.eight(at)[: HASHED_BYTES[self.size]], "little")
        return (hashed * HASH_FACTOR & 0xFFFFFFFFFFFFFFFF) >> 64 - SLOTS_LOG

    def alike(self, seen: int, at: int) -> int:
        """How many units from two places on are equal."""
        length = 0
        while at + length < self.count and self.unit(seen + length) == self.unit(at + length):
            length += 1
        return length

    def put_literals(self, start: int, end: int) -> None:
        coded = CODED_BYTES[self.plane]
        for first in range(start, end, LITERALS):
            behind = min(first + LITERALS, end)
            self.out.append(behind - first - 1)
            for at in range(first, behind):
                unit = self.unit(at)[:coded]
                self.out += unit[::-1] if self.size == 2 else unit

    def put_reference(self, distance: int, length: int) -> None:
        distance -= 1
        length -= BIAS[self.plane] - 1
        far = distance >= FAR_DISTANCE
        self.out.append(min(length, LONG) << 5 | (31 if far else distance >> 8))
        if length >= LONG:
            self.out += b"\xff" * ((length - LONG) // 255) + bytes([(length - LONG) % 255])
        if far:
            self.out += b"\xff" + (distance - FAR_DISTANCE).to_bytes(2, "big")
        else:
            self.out.append(distance & 255)

    def encode(self) -> bytes:
        ahead = LOOKED_AT_BYTES // self.size
        literal, at, misses = 0, 1, 0
        while at + ahead <= self.count:
            distance, length = 1, 0
            if self.eight(at) == self.eight(at - 1):
                length = self.alike(at - 1, at)
            else:
                slot = self.slot(at)
                distance = at - self.slots[slot]
                self.slots[slot] = at
                if distance <= FARTHEST:
                    length = self.alike(at - distance, at)
            if length < (BIAS if distance <= FAR_DISTANCE else FAR_BIAS)[self.plane]:
                at += 1 + (misses >> PATIENCE_LOG)
                misses += 1
                continue
            self.put_literals(literal, at)
            self.put_reference(distance, length)
            at = literal = at + length
            misses = 0
            if at - 1 + ahead <= self.count:
                self.slots[self.slot(at - 1)] = at - 1
        self.put_literals(literal, self.count)
        return bytes(self.out)


def lz_encode(src: Any, plane: int) -> bytes:
    """The tokens of a plane of an image."""
    data = bytes(src)
    count = _units_of("src", len(data), plane)
    if plane == ALPHA:
        return _Encoder(data[3::4], 1, plane).encode()
    if plane in (RGB24, RGB32):
        wide = bytearray(4 * count)
        for component in range(3):
            wide[component::4] = data[component :: UNIT_BYTES[plane]]
        return _Encoder(bytes(wide), 4, plane).encode()
    return _Encoder(data, UNIT_BYTES[plane], plane).encode()


def _decoded(count: int, plane: int, data: bytes) -> tuple[list[bytes], int]:
    """The units as they are coded, and the bytes that they took; raises ``IndexError``."""
    size = CODED_BYTES[plane]
    units: list[bytes] = []
    at = 0
    while len(units) < count:
        control = data[at]
        at += 1
        if control < LITERALS:
            for _each in range(control + 1):
                if at + size > len(data):
                    raise IndexError("the data ends")
                units.append(data[at : at + size])
                at += size
        else:
            length, more = control >> 5, 255 if control >> 5 == LONG else 0
            while more == 255:
                more = data[at]
                length += more
                at += 1
                if length > count:
                    raise IndexError("too long")
            distance = (control & 31) << 8 | data[at]
            at += 1
            if distance == FAR_DISTANCE:
                distance += data[at] << 8 | data[at + 1]
                at += 2
            start = len(units) - distance - 1
            if start < 0:
                raise IndexError("before the first unit")
            for index in range(length + BIAS[plane] - 1):
                units.append(units[start + index])
        if len(units) > count:
            raise IndexError("more units than there are")
    return units, at


def lz_decode(dst: Any, plane: int, data: Any) -> int:
    """
    Fill a plane from tokens; returns how many bytes they are, 0 if they do not just
    fill it: what is in it then is undefined.
    """
    out = memoryview(dst)
    count = _units_of("dst", len(out), plane)
    try:
        units, taken = _decoded(count, plane, bytes(data))
    except IndexError:
        return 0
    if plane == ALPHA:
        out[3::4] = b"".join(units)
    elif plane == RGB16:
        out[:] = b"".join(unit[::-1] for unit in units)
    else:
        rest = bytes(UNIT_BYTES[plane] - CODED_BYTES[plane])
        out[:] = b"".join(unit + rest for unit in units)
    return taken
