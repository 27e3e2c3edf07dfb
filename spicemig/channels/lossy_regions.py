# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where a client has a picture that is only like ours, because images went to it lossy.

What is copied from there is lossy as well, and what is blended over it or written on it
leaves it so. What computes with its bits (XOR and its kin, colour keys, ternary and
composite operations) would make something else of them: that is not drawn at the
client, which gets the pixels that we have, without loss. Whatever covers lossy parts
ends them; the rest is sent again, exactly, once the client has caught up.

Source: spice-server 0.15.1, dcc-send.cpp, for what may be lossy; it does not repair what
nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spicemig.channels.regions import Regions, common, moved
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import BitmapFormat, BrushType, ClipType, ImageFlags, Ropd, SurfaceFormat
from spicemig.wire.messages import display

MAX_CLIP_RECTS = 64  # of one drawing; with more only its box counts
LINEAR_OPERATORS = 13  # composite operators below this one only weigh and add

_COMPUTING = int(Ropd.OP_OR | Ropd.OP_AND | Ropd.OP_XOR)
_COVERING = int(Ropd.OP_PUT | Ropd.OP_BLACKNESS | Ropd.OP_WHITENESS)
_OPERATOR = 0xFF
_WITHOUT_ALPHA = frozenset((BitmapFormat.BIT24, BitmapFormat.BIT32))


@dataclass(frozen=True, slots=True)
class Way:
    """How a drawing treats what is there, and its image."""

    covers: bool = False  # nothing of what was there is left
    computes: bool = False  # with the bits that are there
    copies: bool = False  # its image shows as it is, or blended


_COVERS, _KEEPS = Way(covers=True), Way()


def _fill(message: Any) -> Way:
    rop = int(message.rop_descriptor)
    return Way(covers=bool(rop & _COVERING), computes=bool(rop & _COMPUTING))


def _copy(message: Any) -> Way:
    rop = int(message.rop_descriptor)
    return Way(bool(rop & _COVERING), bool(rop & _COMPUTING), copies=bool(rop & Ropd.OP_PUT))


def _opaque(message: Any) -> Way:
    return Way(covers=True, copies=not int(message.rop_descriptor) & _COMPUTING)


def _two_modes(message: Any) -> Way:
    return Way(computes=bool((int(message.fore_mode) | int(message.back_mode)) & _COMPUTING))


def _composite(message: Any) -> Way:
    return Way(computes=int(message.flags) & _OPERATOR >= LINEAR_OPERATORS)


_WAYS: dict[int, Callable[[Any], Way]] = {
    int(message.number): way
    for message, way in (
        (display.CopyBits, lambda message: Way(covers=True, copies=True)),
        (display.DrawFill, _fill),
        (display.DrawOpaque, _opaque),
        (display.DrawCopy, _copy),
        (display.DrawBlend, _copy),
        (display.DrawBlackness, lambda message: _COVERS),
        (display.DrawWhiteness, lambda message: _COVERS),
        (display.DrawInvers, lambda message: _KEEPS),
        (display.DrawRop3, lambda message: Way(computes=True)),
        (display.DrawTransparent, lambda message: _KEEPS),
        (display.DrawAlphaBlend, lambda message: Way(copies=True)),
        (display.DrawComposite, _composite),
        (display.DrawStroke, _two_modes),
        (display.DrawText, _two_modes),
    )
}

# drawings whose image may be lossy, if their way copies it
_MAY_BE_LOSSY = frozenset(
    int(message.number)
    for message in (display.DrawCopy, display.DrawBlend, display.DrawOpaque, display.DrawAlphaBlend)
)


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a surface that a drawing reads."""

    surface: int
    area: Rect
    copied: bool  # else it must be exact


EVERYWHERE = Rect(top=0, left=0, bottom=1 << 30, right=1 << 30)


def may_be_lossy(drawable: Any, surface_format: int) -> bool:
    """
    Whether the image of a drawable of the device may be sent lossy.

    It must show as it is, and bring the alpha that is read from its surface.
    """
    fixups = drawable.fixups()
    if drawable.number not in _MAY_BE_LOSSY or len(fixups) != 1:
        return False
    image = fixups[0][1]
    if image.surface is not None or image.flags & ImageFlags.HIGH_BITS_SET:
        return False
    if surface_format != SurfaceFormat.XRGB32 and (
        surface_format != SurfaceFormat.ARGB32 or image.format in _WITHOUT_ALPHA
    ):
        return False
    return _WAYS[drawable.number](drawable.message()).copies


class LossyRegions:
    """What one client has lossy, as of the last drawing that was sent to it."""

    def __init__(self) -> None:
        self.parts = Regions()
        self.wanted = Regions()  # what is to be painted again without loss

    def __bool__(self) -> bool:
        return bool(self.parts)

    def forget(self, surface: int) -> None:
        """The surface is gone, or new."""
        self.parts.forget(surface)
        self.wanted.forget(surface)

    def painted(self, surface: int, box: Rect, *, lossy: bool) -> None:
        """Pixels were sent."""
        if lossy:
            self.parts.add(surface, box)
        else:
            self.parts.remove(surface, box)
        self.wanted.remove(surface, box)

    def reads_lossy(self, drawable: Any) -> bool:
        """Whether something else than ours would come out of this drawing at the client."""
        if not self.parts or drawable.number not in _WAYS:
            return False
        message = drawable.message()
        way = _WAYS[drawable.number](message)
        if way.computes and self.parts.touches(drawable.surface, drawable.box):
            return True
        return any(
            not source.copied and self.parts.touches(source.surface, source.area)
            for source in _sources(message, way)
        )

    def drawn(self, drawable: Any, *, lossy: bool) -> None:
        """A drawable of the device was sent; ``lossy``: with an image that is."""
        if not (self.parts or lossy) or drawable.number not in _WAYS:
            return
        message = drawable.message()
        way = _WAYS[drawable.number](message)
        box, surface = drawable.box, drawable.surface
        parts = _clipped(message.base, box)
        spread = [box] if lossy else self._spread(message, way, box)
        mask = getattr(message, "mask", None)
        if way.covers and (mask is None or mask.bitmap is None) and parts is not None:
            for part in parts:
                self.parts.remove(surface, part)
        for rect in spread:
            for part in [box] if parts is None else parts:
                seen = common(part, rect)
                if seen is not None:
                    self.parts.add(surface, seen)

    def _spread(self, message: Any, way: Way, box: Rect) -> list[Rect]:
        """Where lossy parts come to that a drawing copies."""
        found: list[Rect] = []
        for source in _sources(message, way):
            if not source.copied:
                continue
            area = source.area
            inside = self.parts.within(source.surface, area)
            if (area.right - area.left, area.bottom - area.top) == (
                box.right - box.left,
                box.bottom - box.top,
            ):
                found += [moved(part, box.left - area.left, box.top - area.top) for part in inside]
            elif inside:
                return [box]  # it is scaled
        return found


def _clipped(base: Any, box: Rect) -> list[Rect] | None:
    """The parts of a box that are drawn; None if they are too many."""
    if base.clip.type != ClipType.RECTS:
        return [box]
    rects = base.clip.rects or []
    if len(rects) > MAX_CLIP_RECTS:
        return None
    return [part for part in (common(rect, box) for rect in rects) if part is not None]


def _sources(message: Any, way: Way) -> list[Source]:
    """The surfaces that a drawing reads, but for what is in its box."""
    if type(message) is display.CopyBits:
        box, corner = message.base.box, message.src_pos
        area = moved(box, corner.x - box.left, corner.y - box.top)
        return [Source(message.base.surface_id, area, copied=True)]
    found = []
    drawn: Rect | None = getattr(message, "src_area", None)
    for image, part, copied in (
        (getattr(message, "src_bitmap", None), drawn, way.copies),
        (getattr(message, "mask_bitmap", None), None, False),
        *((_pattern(getattr(message, brush, None)), None, False) for brush in _BRUSHES),
    ):
        if image is not None and image.value.surface is not None:
            found.append(Source(image.value.surface, EVERYWHERE if part is None else part, copied))
    return found


_BRUSHES = ("brush", "fore_brush", "back_brush")


def _pattern(brush: Any) -> Any:
    return brush.pattern.pat if brush is not None and brush.type == BrushType.PATTERN else None
