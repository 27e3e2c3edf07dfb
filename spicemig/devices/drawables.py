# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Drawables in their compact form: what travels from the ring to the display pipes.

A batch is one buffer of records, an index of where they start, and the images
they name. A record is a header that says all that culling needs, then a list
of relocations, then the body of the display message that draws it, packed by
its own plan with every image pointer left zero. To send it to a client, the
body is copied, that client's encodings of the images are put behind it, and the
pointers are filled in; nobody has to take the body apart for that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from spicemig.wire.declare import Placeholder, catalogue
from spicemig.wire.drawing import Rect

# size of the whole record, message number, effect, relocations, surface, top, left, bottom, right, mm_time
HEADER = struct.Struct("<IHBBI4iI")
EFFECT_OFFSET = 6
RELOCATION = struct.Struct("<II")  # offset of the pointer in the body, index of the image in the batch

NO_SURFACE = 0xFFFFFFFF


class Effect(IntEnum):
    """What a drawable does to the pixels below it; QXL_EFFECT_* of qxl_dev.h."""

    BLEND = 0
    OPAQUE = 1
    REVERT_ON_DUP = 2
    BLACKNESS_ON_DUP = 3
    WHITENESS_ON_DUP = 4
    NOP_ON_DUP = 5
    NOP = 6
    OPAQUE_BRUSH = 7


@dataclass(slots=True, eq=False)
class DeviceImage:
    """
    An image as the device has it: pixels, or another surface.

    ``data`` holds ``height`` rows of ``stride`` bytes, the bottom row first
    unless ``top_down``. With ``surface`` set there are no pixels and the image is
    what that surface shows. ``encodings`` is where encoders leave what they made,
    so that an image is encoded once for all clients; it goes with the image.
    """

    width: int
    height: int
    format: int = 8  # BitmapFormat
    stride: int = 0
    data: Any = b""
    top_down: bool = True
    id: int = 0  # with ImageFlags.CACHE_ME: names the content
    flags: int = 0  # ImageFlags
    palette: tuple[int, ...] = ()  # 0x00RRGGBB
    palette_id: int = 0
    surface: int | None = None
    encodings: dict[Any, Any] = field(default_factory=dict)


class Drawable:
    """One record of a batch, opened; attributes are read from the record."""

    __slots__ = (
        "batch",
        "bottom",
        "effect",
        "left",
        "mm_time",
        "number",
        "offset",
        "relocations",
        "right",
        "surface",
        "top",
    )

    def __init__(self, batch: Batch, offset: int) -> None:
        self.batch = batch
        self.offset = offset
        (
            _size,
            self.number,
            self.effect,
            self.relocations,
            self.surface,
            self.top,
            self.left,
            self.bottom,
            self.right,
            self.mm_time,
        ) = HEADER.unpack_from(batch.records, offset)

    def correct_effect(self, effect: int) -> None:
        """Write another effect into the record, for all who open it after this."""
        self.effect = effect
        self.batch.records[self.offset + EFFECT_OFFSET] = effect

    @property
    def box(self) -> Rect:
        """What it touches at most, in pixels of its surface."""
        return Rect(self.top, self.left, self.bottom, self.right)

    def fixups(self) -> list[tuple[int, DeviceImage]]:
        """Where in the body pointers to which images go."""
        start = self.offset + HEADER.size
        table = memoryview(self.batch.records)[start : start + self.relocations * RELOCATION.size]
        return [(offset, self.batch.images[index]) for offset, index in RELOCATION.iter_unpack(table)]

    @property
    def body(self) -> memoryview:
        """The display message, packed, with zero for every image pointer."""
        size = HEADER.unpack_from(self.batch.records, self.offset)[0]
        start = self.offset + HEADER.size + self.relocations * RELOCATION.size
        return memoryview(self.batch.records)[start : self.offset + size]

    def message(self) -> Any:
        """The display message as an object; its images are :class:`Placeholder` of a :class:`DeviceImage`."""
        declared: Any = catalogue.find("display", "client", self.number)
        return declared.unpack_template(self.body, dict(self.fixups()))

    def alone(self) -> Drawable:
        """The same in a batch of its own, so that it keeps no others alive."""
        images = self.fixups()
        size = HEADER.unpack_from(self.batch.records, self.offset)[0]
        record = self.batch.records[self.offset : self.offset + size]
        for index, (pointer, _image) in enumerate(images):
            RELOCATION.pack_into(record, HEADER.size + index * RELOCATION.size, pointer, index)
        return Batch.single(record, [image for _pointer, image in images])

    def source_surfaces(self) -> list[int]:
        """The surfaces it reads through its images (a copy inside its own surface is not among them)."""
        return [image.surface for _offset, image in self.fixups() if image.surface is not None]


class Batch:
    """Some drawables in the order in which the guest drew them."""

    __slots__ = ("images", "index", "records")

    def __init__(self) -> None:
        self.records = bytearray()
        self.index: list[int] = []
        self.images: list[DeviceImage] = []

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Drawable]:
        return (Drawable(self, offset) for offset in self.index)

    def __getitem__(self, place: int) -> Drawable:
        return Drawable(self, self.index[place])

    def append(self, message: Any, effect: int = Effect.OPAQUE, mm_time: int = 0) -> None:
        """Add a display message; images in it are ``Placeholder(DeviceImage)``."""
        body, pointers = message.pack_template()
        base = message.base
        offset = len(self.records)
        size = HEADER.size + len(pointers) * RELOCATION.size + len(body)
        box = base.box
        self.records += HEADER.pack(
            size,
            message.number,
            effect,
            len(pointers),
            base.surface_id,
            box.top,
            box.left,
            box.bottom,
            box.right,
            mm_time,
        )
        for where, placeholder in pointers:
            self.records += RELOCATION.pack(where, len(self.images))
            self.images.append(placeholder.value)
        self.records += body
        self.index.append(offset)

    @staticmethod
    def single(record: bytearray, images: list[DeviceImage]) -> Drawable:
        """The drawable of a record, in a batch of its own; its relocations count these images."""
        batch = Batch()
        batch.records, batch.images = record, images
        batch.index.append(0)
        return Drawable(batch, 0)

    @classmethod
    def of(cls, messages: Iterable[Any]) -> Batch:
        """A batch of these messages, each drawn opaquely."""
        batch = cls()
        for message in messages:
            batch.append(message)
        return batch


__all__ = ["NO_SURFACE", "Batch", "DeviceImage", "Drawable", "Effect", "Placeholder"]
