# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A client's own copy of the screen: surfaces of 32-bit pixels and the few
operations that our servers draw with.

It is written apart from the server's rasteriser on purpose: a picture that both
agree on was not drawn by the same mistake. Source: spice-common, canvas_base.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from PIL import Image as Pillow

from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.enums import ImageScaleMode, Ropd

PIXEL_BYTES = 4
SURFACE_PIXELS_MAX = 8192 * 8192


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels; empty when it has no width or no height."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, rect) -> Box:
        """The box of a wire ``Rect``."""
        return cls(rect.left, rect.top, rect.right, rect.bottom)

    def __bool__(self) -> bool:
        return self.left < self.right and self.top < self.bottom

    def __and__(self, other: Box) -> Box:
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def moved(self, dx: int, dy: int) -> Box:
        """The same box elsewhere."""
        return Box(self.left + dx, self.top + dy, self.right + dx, self.bottom + dy)

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.bottom - self.top


@dataclass(slots=True)
class Picture:
    """``height`` rows, the top one first, of ``width`` pixels B G R X; ``alpha``: X is meant."""

    width: int
    height: int
    pixels: bytes | bytearray
    alpha: bool = False

    def row(self, y: int, left: int, right: int) -> bytes | bytearray:
        """The pixels from ``left`` up to, not including, ``right``."""
        start = (y * self.width + left) * PIXEL_BYTES
        return self.pixels[start : start + (right - left) * PIXEL_BYTES]

    def put_row(self, y: int, left: int, row: bytes | bytearray) -> None:
        """Replace pixels of one row."""
        start = (y * self.width + left) * PIXEL_BYTES
        self.pixels[start : start + len(row)] = row  # type: ignore[index]

    @property
    def box(self) -> Box:
        """All of it."""
        return Box(0, 0, self.width, self.height)

    def cut(self, box: Box) -> Picture:
        """A copy of a part, which must lie inside."""
        rows = b"".join(self.row(y, box.left, box.right) for y in range(box.top, box.bottom))
        return Picture(box.width, box.height, rows, self.alpha)

    def scaled(self, width: int, height: int, nearest: bool) -> Picture:
        """The whole in another size."""
        image = Pillow.frombytes("RGBA", (self.width, self.height), bytes(self.pixels))
        method = Pillow.Resampling.NEAREST if nearest else Pillow.Resampling.BILINEAR
        return Picture(width, height, image.resize((width, height), method).tobytes(), self.alpha)

    def image(self) -> Pillow.Image:
        """As an RGB image, without alpha."""
        return Pillow.frombytes("RGB", (self.width, self.height), bytes(self.pixels), "raw", "BGRX")


def combine(rop: int, source: bytes, below: bytes) -> bytes:
    """What a raster operation (``ropd`` bits) makes of source and destination bytes."""
    ones = (1 << 8 * len(below)) - 1
    over, under = int.from_bytes(source, "little"), int.from_bytes(below, "little")
    if rop & (Ropd.INVERS_SRC | Ropd.INVERS_BRUSH):
        over ^= ones
    if rop & Ropd.INVERS_DEST:
        under ^= ones
    if rop & Ropd.OP_PUT:
        made = over
    elif rop & Ropd.OP_OR:
        made = over | under
    elif rop & Ropd.OP_AND:
        made = over & under
    elif rop & Ropd.OP_XOR:
        made = over ^ under
    elif rop & Ropd.OP_BLACKNESS:
        made = 0
    elif rop & Ropd.OP_WHITENESS:
        made = ones
    elif rop & Ropd.OP_INVERS:
        made = under ^ ones
    else:
        made = under
    if rop & Ropd.INVERS_RES:
        made ^= ones
    return made.to_bytes(len(below), "little")


@dataclass(slots=True)
class Canvas:
    """The surfaces of one display channel."""

    surfaces: dict[int, Picture] = field(default_factory=dict)
    primary: int | None = None

    def create(self, surface_id: int, width: int, height: int, alpha: bool, primary: bool) -> bool:
        """
        Make a black surface. A primary of the size it has already is kept as it
        is, as spice-gtk does; tells whether there is a new one.
        """
        if width * height > SURFACE_PIXELS_MAX:
            raise ProtocolError(LinkError.INVALID_DATA, f"a surface of {width}x{height} is too large")
        old = self.surfaces.get(surface_id)
        if (
            primary
            and surface_id == self.primary
            and old is not None
            and (old.width, old.height) == (width, height)
        ):
            return False
        self.surfaces[surface_id] = Picture(width, height, bytearray(width * height * PIXEL_BYTES), alpha)
        if primary:
            self.primary = surface_id
        return True

    def destroy(self, surface_id: int) -> None:
        """Drop a surface; one that is not there is no fault."""
        self.surfaces.pop(surface_id, None)
        if surface_id == self.primary:
            self.primary = None

    def clear(self) -> None:
        """Drop everything."""
        self.surfaces.clear()
        self.primary = None

    def surface(self, surface_id: int) -> Picture:
        """A live surface; the server must not name another."""
        try:
            return self.surfaces[surface_id]
        except KeyError:
            raise ProtocolError(LinkError.INVALID_DATA, f"there is no surface {surface_id}") from None

    def fill(
        self, surface_id: int, box: Box, clip: Iterable[Box] | None, color: int, rop: int = Ropd.OP_PUT
    ) -> None:
        """Fill with one colour, 0x00RRGGBB."""
        self._tile(surface_id, box, clip, Picture(1, 1, color.to_bytes(PIXEL_BYTES, "little")), 0, 0, rop)

    def tile(
        self,
        surface_id: int,
        box: Box,
        clip: Iterable[Box] | None,
        pattern: Picture,
        x: int,
        y: int,
        rop: int,
    ) -> None:
        """Fill with a pattern one of whose corners lies at ``x``, ``y``."""
        self._tile(surface_id, box, clip, pattern, x, y, rop)

    def copy(
        self,
        surface_id: int,
        box: Box,
        clip: Iterable[Box] | None,
        picture: Picture,
        area: Box,
        rop: int = Ropd.OP_PUT,
        scale_mode: int = ImageScaleMode.NEAREST,
    ) -> None:
        """Draw the ``area`` of a picture into the box, scaled if the sizes differ."""
        if not area or area & picture.box != area:
            raise ProtocolError(LinkError.INVALID_DATA, "a copy from outside its image")
        if (area.width, area.height) != (box.width, box.height):
            if not box or box.width * box.height > SURFACE_PIXELS_MAX:
                raise ProtocolError(LinkError.INVALID_DATA, "a copy into an impossible box")
            picture = picture.cut(area).scaled(box.width, box.height, scale_mode == ImageScaleMode.NEAREST)
            area = picture.box
        target = self.surface(surface_id)
        dx, dy = area.left - box.left, area.top - box.top
        for part in self._parts(target, box, clip):
            for y in range(part.top, part.bottom):
                row = picture.row(y + dy, part.left + dx, part.right + dx)
                self._put(target, y, part.left, row, rop)

    def copy_bits(self, surface_id: int, box: Box, clip: Iterable[Box] | None, x: int, y: int) -> None:
        """Copy inside one surface from the box whose corner is ``x``, ``y``; they may overlap."""
        target = self.surface(surface_id)
        dx, dy = x - box.left, y - box.top
        inside = target.box.moved(-dx, -dy) & box
        parts = list(self._parts(target, inside, clip))
        sources = [target.cut(part.moved(dx, dy)) for part in parts]
        for part, source in zip(parts, sources, strict=True):
            for line in range(source.height):
                target.put_row(part.top + line, part.left, source.row(line, 0, source.width))

    def _tile(self, surface_id, box, clip, pattern, x, y, rop):
        target = self.surface(surface_id)
        for part in self._parts(target, box, clip):
            repeats = part.width // pattern.width + 2
            shift = (part.left - x) % pattern.width * PIXEL_BYTES
            for line in range(part.top, part.bottom):
                tiles = bytes(pattern.row((line - y) % pattern.height, 0, pattern.width)) * repeats
                self._put(target, line, part.left, tiles[shift : shift + part.width * PIXEL_BYTES], rop)

    @staticmethod
    def _put(target: Picture, y: int, left: int, row: bytes | bytearray, rop: int) -> None:
        if rop != Ropd.OP_PUT:
            row = combine(rop, bytes(row), bytes(target.row(y, left, left + len(row) // PIXEL_BYTES)))
        target.put_row(y, left, row)

    @staticmethod
    def _parts(target: Picture, box: Box, clip: Iterable[Box] | None) -> Iterator[Box]:
        visible = box & target.box
        for part in [visible] if clip is None else (visible & rect for rect in clip):
            if part:
                yield part
