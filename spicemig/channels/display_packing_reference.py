# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The twins of the kernels that pack drawables for a client.

They do a part of what the display core does with ``display_stock.py`` and
``display_images.py``, for the drawables that need least; where they stop, the
core goes on. The layouts are explained in ``devices/drawables.py``,
``codecs/compiled.py`` and ``display_batches.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from spicemig.channels.display_images import CACHE_ME, HIGH_BITS_SET, TOP_DOWN, is_sound
from spicemig.channels.display_pipe import Waiting
from spicemig.channels.display_reference import COVERS, NOTHING, ROW, covered, moved_from, row_of
from spicemig.channels.regions import meet, moved
from spicemig.codecs.compiled import Codec
from spicemig.codecs.encoders import Encoding, pixels_of
from spicemig.codecs.glz_reference import glz_encode
from spicemig.codecs.kernels import gradual_score, lz_encode, quic_encode
from spicemig.codecs.pixels import PALETTE_FORMATS, row_bytes
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import ClipType, ImageType
from spicemig.wire.framing import frame_body

Tally = tuple[list[int], list[int], list[int]]  # by type, to be added to: images, bytes, nanoseconds

CHUNK = 128  # drawables among which covered ones are looked for
MOST_SURFACES = 32  # that one call can tell of

_HEADER = struct.Struct("<IHBBI4iI")
_RELOCATION = struct.Struct("<II")
_BASE = struct.Struct("<20sB")  # surface and box, type of clip
_RECT_BYTES = 16
_AREA = struct.Struct("<4i")
_POINT = struct.Struct("<2i")
_WORD = struct.Struct("<I")
_SURFACE = struct.Struct("<5I")
_DESCRIPTOR = struct.Struct("<QBBII")
_BITMAP = struct.Struct("<BBIIII")

COPY_BITS, DRAW_COPY, DRAW_ALPHA_BLEND = 104, 304, 313
_WITHOUT_IMAGE = frozenset((COPY_BITS, 302, 306, 307, 308))  # fill, blackness, whiteness, invers
_SOURCE_BEHIND = {303: 0, 304: 0, 305: 0, 312: 0, DRAW_ALPHA_BLEND: 2}  # bytes between clip and source
_OPAQUE = 1
_PRIMARY = 0
_FULL_DEPTH = 32


class _Record:
    """A record taken apart."""

    def __init__(self, records: Any, offset: int) -> None:
        try:
            self._read(memoryview(records), offset)
        except (struct.error, ValueError):
            raise ValueError("records: one that is not whole") from None
        self.images: list[Any] = []

    def find_images(self, images: list[Any]) -> _Record:
        self.images = [images[number] for _pointer, number in self.relocations]
        return self

    def _read(self, records: memoryview, offset: int) -> None:
        size, self.number, self.effect, count, self.surface, *box, _mm_time = _HEADER.unpack_from(
            records, offset
        )
        self.box = Rect(*box)
        start = offset + _HEADER.size
        end = start + count * _RELOCATION.size
        self.body = records[end : offset + size]
        if offset + size > len(records) or end > offset + size:
            raise ValueError
        self.relocations = list(_RELOCATION.iter_unpack(records[start:end]))
        place, self.clip = _BASE.unpack_from(self.body)
        self.told_twice = place == records[offset + 8 : offset + 8 + len(place)]
        self.behind_base = _BASE.size
        if self.clip == ClipType.RECTS:
            (rects,) = _WORD.unpack_from(self.body, _BASE.size)
            self.behind_base += _WORD.size + rects * _RECT_BYTES
        if self.behind_base > len(self.body) or any(at + 4 > len(self.body) for at, _ in self.relocations):
            raise ValueError

    def row(self) -> bytes:
        reads = {image.surface for image in self.images if image.surface is not None}
        if self.number == COPY_BITS:
            reads.add(self.surface)
        opaque = self.effect == _OPAQUE and self.clip == ClipType.NONE
        moved = moved_from(self.number, self.body, len(self.images))
        return row_of(self.surface, self.box, reads, draws=True, covers=opaque, moved=moved)

    def source(self) -> int:
        """Where in the body the pointer to the image is of which an area is drawn."""
        return self.behind_base + _SOURCE_BEHIND[self.number]

    def simple(self) -> bool:
        """Whether it has no image or one, an area of which it draws."""
        if not self.told_twice or self.clip > ClipType.RECTS:
            return False
        if not self.relocations:
            return self.number in _WITHOUT_IMAGE
        return (
            len(self.relocations) == 1
            and self.number in _SOURCE_BEHIND
            and self.source() + _WORD.size + _AREA.size <= len(self.body)
            and self.relocations[0][0] == self.source()
        )

    def inside(self, width: int, height: int) -> bool:
        """Whether the area lies in an image of this size."""
        top, left, bottom, right = _AREA.unpack_from(self.body, self.source() + _WORD.size)
        return bool(0 <= top < bottom <= height and 0 <= left < right <= width)


class _Packing:
    """Messages being packed for a client."""

    def __init__(self, client: tuple[Any, ...], serial: int, budget: int, tally: Tally) -> None:
        self.mini, self.min_encoded, self.max_padding, _separate, self.small = client[:5]
        self.stream_pixels, streamed, self.choices, self.own, self.window = client[5:]
        self.streamed = [Rect(*sides) for sides in _AREA.iter_unpack(streamed)]
        self.serial, self.budget = serial, budget
        self.images, self.image_bytes, self.nanoseconds = tally
        self.parts: list[Any] = []
        self.total = self.messages = self.own_pixels = 0

    def streams(self, record: _Record) -> bool:
        """Whether one that is simple changes or reads what is streamed."""
        if not self.streamed:
            return False
        if any(image.surface == _PRIMARY for image in record.images):
            return True
        if record.surface != _PRIMARY:
            return False
        boxes = [record.box]
        if record.number == COPY_BITS:
            if len(record.body) < record.behind_base + _POINT.size:
                return True
            left, top = _POINT.unpack_from(record.body, record.behind_base)
            boxes.append(moved(record.box, left - record.box.left, top - record.box.top))
        return any(meet(rect, box) for rect in self.streamed for box in boxes)

    def result(self, next: int, dropped: int = 0) -> tuple[int, int, int, list[Any], int, int]:
        return next, self.messages, self.total, self.parts, dropped, self.own_pixels

    def pack(self, record: _Record) -> bool:
        """Pack one; False if that is for others to do."""
        body = bytearray(record.body)
        payload: list[Any] | None = []
        if record.relocations:
            _WORD.pack_into(body, record.source(), len(body))
            payload = self._image(record, record.images[0])
        if payload is None:
            return False
        self.serial += 1
        self.messages += 1
        parts = frame_body(record.number, [bytes(body), *payload], self.mini, self.serial)
        self.parts += parts
        self.total += sum(map(len, parts))
        return True

    def _image(self, record: _Record, image: Any) -> list[Any] | None:
        flags = image.flags & HIGH_BITS_SET
        if image.surface is not None:
            head = _DESCRIPTOR.pack(image.id, ImageType.SURFACE, 0, image.width, image.height)
            return self._counted(ImageType.SURFACE, [head + _WORD.pack(image.surface)])
        if image.flags & CACHE_ME or not is_sound(image) or not record.inside(image.width, image.height):
            return None
        made = self._encoded(image, flags)
        if made is None:
            return None
        kind, parts = made
        head = _DESCRIPTOR.pack(image.id, kind, flags, image.width, image.height)
        return self._counted(kind, [head, *parts])

    def _counted(self, kind: int, parts: list[Any]) -> list[Any]:
        self.images[kind] += 1
        self.image_bytes[kind] += sum(map(len, parts))
        return parts

    def _bitmap(self, image: Any) -> tuple[int, list[Any]]:
        stride, data = image.stride, memoryview(image.data)[: image.stride * image.height]
        if stride - row_bytes(image.format, image.width) >= self.max_padding:
            stride, data = row_bytes(image.format, image.width), pixels_of(image).rows()
        flags = TOP_DOWN if image.top_down else 0
        head = _BITMAP.pack(image.format, flags, image.width, image.height, stride, 0)
        return ImageType.BITMAP, [head, data]

    def _affordable(self, plain: int, most: int) -> bool:
        if plain > most or (plain > self.small and plain > self.budget):
            return False
        if plain > self.small:
            self.budget -= plain
        return True

    def _into_window(self, image: Any, type: int) -> tuple[int, list[Any]]:
        """An image for the client's own dictionary, where nobody need be asked."""
        rows = bytes(pixels_of(image).rows())
        began = perf_counter_ns()
        stream = glz_encode(self.window, rows, type, image.width, image.height, bool(image.top_down))
        self.nanoseconds[ImageType.GLZ_RGB] += perf_counter_ns() - began
        self.own_pixels += image.width * image.height
        return ImageType.GLZ_RGB, [_WORD.pack(len(stream)), stream]

    def _encoded(self, image: Any, flags: int) -> tuple[int, list[Any]] | None:
        """The type of an image and what is behind its descriptor; None: others do that."""
        choice = self.choices[image.format]
        if choice is None:
            return None
        names, steps, pixel_bytes, below, own_bytes, own_type, natural_apart = choice
        plain = row_bytes(image.format, image.width) * image.height
        if plain < self.min_encoded:
            return self._bitmap(image)
        if own_bytes and self.own is not None and not flags:
            if not self._affordable(plain, own_bytes):
                return None
            apart = natural_apart and _is_natural(image, pixel_bytes, below)
            if self.window is not None and not apart and image.width * image.height <= self.window.size:
                return self._into_window(image, own_type)
            made = self.own(image, natural_apart)
            if made is NotImplemented or made is not None:
                return None if made is NotImplemented else made
        if not steps:
            return self._bitmap(image)
        if names in image.encodings:
            found = image.encodings[names]
            if isinstance(found, Encoding):
                if not found.done:
                    return None
                result = found.result
                if result is None:
                    return self._bitmap(image)
                if result.lossy:
                    return None
                return result.image_type, [bytes(result.head) + _WORD.pack(result.size), *result.parts]
        elif not self._affordable(plain, min(most for _codec, _type, _natural, most, *_ in steps)):
            return None
        else:
            began = perf_counter_ns()
            found = image.encodings[names] = _encode(image, choice)
            kind = ImageType.BITMAP if found is None else found[0]
            self.nanoseconds[kind] += perf_counter_ns() - began
        return self._bitmap(image) if found is None else (found[0], [_WORD.pack(len(found[1])), found[1]])


def _is_natural(image: Any, pixel_bytes: int, below: float) -> bool:
    if not pixel_bytes or image.width < 2 or image.height < 2:
        return False
    score, pairs = gradual_score(image.data, image.stride, image.width, image.height, pixel_bytes)
    return bool(score < pairs * below)


def _encode(image: Any, choice: tuple[Any, ...]) -> tuple[int, bytes] | None:
    """What the first step that helps makes of an image."""
    _names, steps, pixel_bytes, below, *_own = choice
    pixels = pixels_of(image)
    rows = bytes(pixels.rows())
    for codec, image_type, natural, _most, start, planes, call in steps:
        if natural and not _is_natural(image, pixel_bytes, below):
            continue
        size = image.width, image.height
        if codec == Codec.LZ:
            head = struct.pack(">4I", *size, row_bytes(image.format, image.width), bool(image.top_down))
            payload = b"".join([start, head, *(lz_encode(rows, plane) for plane in planes)])
        elif codec == Codec.QUIC:
            coded = quic_encode(image.data, image.stride, *size, planes[0], image.top_down)
            payload = start + struct.pack("<2I", *size) + coded
        else:
            block = call(rows)
            payload = bytes((image.top_down, image.format)) + struct.pack(">I", len(block)) + block
        if len(payload) < len(rows):
            return image_type, payload
    return None


def pack_batch(
    records: Any,
    index: list[int],
    start: int,
    images: list[Any],
    surfaces: bytes,
    client: tuple[Any, ...],
    serial: int,
    room: int,
    bytes_room: int,
    budget: int,
    tally: Tally,
) -> tuple[int, int, int, list[Any], int, int]:
    """
    Pack drawables of a batch from ``start`` on, up to the first one that is for Python.

    Returns the place of that one, how many messages and bytes there are, the
    buffers, how many were left out because later ones cover them, and how many
    pixels went into the window of the client's own dictionary unasked. Images are counted in ``tally``.
    """
    known = {row[0]: row for row in _SURFACE.iter_unpack(surfaces)}
    packing = _Packing(client, serial, budget, tally)
    dropped = 0
    while start < len(index):
        chunk = [_Record(records, offset) for offset in index[start : start + CHUNK]]
        for record in chunk:
            if record.surface in known:
                record.find_images(images)
        kept = [_may_be_streamed(record, packing.stream_pixels) for record in chunk]
        covers = _culled(chunk, kept, known)
        for record, keep, cover in zip(chunk, kept, covers, strict=True):
            if cover:
                dropped += 1
            elif record.surface in known:
                full = packing.messages >= room or packing.total >= bytes_room
                plain = not keep and _drawn_alike(record, known) and not packing.streams(record)
                if full or not plain or not packing.pack(record):
                    return packing.result(start, dropped)
            start += 1
    return packing.result(start, dropped)


def boxes_of_batch(
    records: Any, index: list[int], start: int, images: list[Any], surfaces: bytes, stream_pixels: int
) -> tuple[int, dict[int, bytes]]:
    """
    Where drawables from ``start`` on draw: by surface, boxes as they are in the records.

    Goes up to the first one that may be a frame of a stream, and returns its place, too.
    """
    known = {row[0] for row in _SURFACE.iter_unpack(surfaces)}
    boxes: dict[int, bytes] = {}
    for place in range(start, len(index)):
        record = _Record(records, index[place])
        if record.surface not in known:
            continue
        record.find_images(images)
        if _may_be_streamed(record, stream_pixels):
            return place, boxes
        if record.surface not in boxes and len(boxes) == MOST_SURFACES:
            return place, boxes
        boxes[record.surface] = boxes.get(record.surface, b"") + _AREA.pack(
            record.box.top, record.box.left, record.box.bottom, record.box.right
        )
    return max(start, len(index)), boxes


def entries_of_batch(
    records: Any,
    index: list[int],
    start: int,
    images: list[Any],
    surfaces: bytes,
    stream_pixels: int,
    plain: Callable[..., Any],
    make: Callable[..., Any],
) -> tuple[int, list[Any]]:
    """
    Entries for a pipe of drawables from ``start`` on, up to the first one that is for Python.

    Each is made by ``plain``, see :class:`Waiting`, and has its own record and images.
    """
    known = {row[0]: row for row in _SURFACE.iter_unpack(surfaces)}
    entries: list[Any] = []
    for place in range(start, len(index)):
        record = _Record(records, index[place])
        if record.surface not in known:
            continue
        record.find_images(images)
        if (
            _may_be_streamed(record, stream_pixels)
            or not _drawn_alike(record, known)
            or any(not _is_plain(record, image) for image in record.images)
        ):
            return place, entries
        size = _HEADER.unpack_from(records, index[place])[0]
        copy = bytearray(memoryview(records)[index[place] : index[place] + size])
        if record.relocations:
            _RELOCATION.pack_into(copy, _HEADER.size, record.source(), 0)
        opaque = record.effect == _OPAQUE and record.clip == ClipType.NONE
        weight = len(record.body) + sum(len(image.data) for image in record.images)
        entries.append(plain(make, record.surface, record.row(), weight, opaque, copy, record.images))
    return max(start, len(index)), entries


def _is_plain(record: _Record, image: Any) -> bool:
    if image.surface is not None:
        return True
    sound = is_sound(image) and image.format not in PALETTE_FORMATS
    return sound and record.inside(image.width, image.height)


def _may_be_streamed(record: _Record, stream_pixels: int) -> bool:
    if not stream_pixels or not record.images or not record.simple():
        return False
    image = record.images[0]
    plain = record.number == DRAW_COPY and record.surface == _PRIMARY and image.surface is None
    return plain and image.width > 0 and bool(image.height >= stream_pixels // image.width)


def _culled(chunk: list[_Record], kept: list[bool], known: dict[int, Any]) -> list[bool]:
    """Which ones are covered by later ones."""
    rows = bytearray()
    for record, keep in zip(chunk, kept, strict=True):
        row = record.row() if record.surface in known else NOTHING
        rows += bytes((row[0] & ~1,)) + row[1:] if keep else row
    found = [False] * len(chunk)
    for later in range(1, len(chunk)):
        row = bytes(rows[later * ROW.size : (later + 1) * ROW.size])
        if row[0] & COVERS:
            for place in covered(rows[: later * ROW.size], row, False):
                found[place] = True
                rows[place * ROW.size : (place + 1) * ROW.size] = NOTHING
    return found


def _drawn_alike(record: _Record, known: dict[int, Any]) -> bool:
    """A part of what ``display_stock.py`` asks."""
    _id, format, depth, _width, _height = known[record.surface]
    if not record.simple() or depth == 1:
        return False
    surface = record.images[0].surface if record.images else None
    if surface is None:
        return True
    if surface not in known or surface == record.surface:
        return False
    _id, its_format, its_depth, width, height = known[surface]
    alike = record.number == DRAW_ALPHA_BLEND or its_format == format or its_depth == depth == _FULL_DEPTH
    return record.inside(width, height) and alike


def pack_entries(
    entries: list[Any],
    kind: type,
    client: tuple[Any, ...],
    serial: int,
    room: int,
    bytes_room: int,
    budget: int,
    tally: Tally,
) -> tuple[int, int, int, list[Any], int, int]:
    """
    Pack entries of a pipe, up to the first one that is for Python; as :func:`pack_batch`.

    They are of just this class; whether they are drawn alike was asked when they came.
    """
    packing = _Packing(client, serial, budget, tally)
    for place, entry in enumerate(entries):
        if packing.messages >= room or packing.total >= bytes_room:
            return packing.result(place)
        if not isinstance(entry, Waiting) or type(entry) is not kind or entry.pinned or entry.snapshot:
            return packing.result(place)
        record = _Record(entry.record, 0).find_images(entry.images)
        if not record.simple() or packing.streams(record) or not packing.pack(record):
            return packing.result(place)
    return packing.result(len(entries))


__all__ = ["boxes_of_batch", "entries_of_batch", "pack_batch", "pack_entries"]
