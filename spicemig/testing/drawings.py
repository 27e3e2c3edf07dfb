# SPDX-License-Identifier: LGPL-2.1-or-later
"""Drawings of every kind, made with dice: what a guest may ask for, sensible or not."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.wire.drawing import (
    Brush,
    Clip,
    DrawBase,
    LineAttr,
    Path,
    PathSegment,
    Pattern,
    Point,
    Point16,
    PointFix,
    QMask,
    RasterGlyphA1,
    RasterGlyphA4,
    RasterGlyphA8,
    Rect,
    String,
    Transform,
)
from spicemig.wire.enums import (
    BitmapFormat,
    BrushType,
    ClipType,
    CompositeFlags,
    LineFlags,
    PathFlags,
    Ropd,
    StringFlags,
)
from spicemig.wire.messages import display

_BITS = {1: 1, 2: 1, 3: 4, 4: 4, 5: 8, 6: 16, 7: 24, 8: 32, 9: 32, 10: 8}
_GLYPHS: tuple[tuple[Any, Any, int], ...] = (
    (StringFlags.RASTER_A1, RasterGlyphA1, 1),
    (StringFlags.RASTER_A4, RasterGlyphA4, 4),
    (StringFlags.RASTER_A8, RasterGlyphA8, 8),
)
_OPERATORS = (*range(14), *range(0x30, 0x3F))


class Drawings:
    """
    Makes drawings for surfaces of the given sizes.

    ``surfaces`` maps their ids to width and height; it may change.
    """

    def __init__(self, dice: random.Random, surfaces: Mapping[int, tuple[int, int]]) -> None:
        self.dice = dice
        self.surfaces = surfaces
        self._kinds = (
            self._fill,
            self._copy,
            self._opaque,
            self._masked,
            self._rop3,
            self._copy_bits,
            self._stroke,
            self._text,
            self._transparent,
            self._alpha_blend,
            self._composite,
        )

    def drawing(self) -> Any:
        """A drawing of any kind on any surface."""
        dice = self.dice
        surface = dice.choice(sorted(self.surfaces))
        width, height = self.surfaces[surface]
        clip = Clip()
        if dice.random() < 0.3:
            clip = Clip(ClipType.RECTS, [self._box(width, height) for _rect in range(dice.randrange(5))])
        return dice.choice(self._kinds)(DrawBase(surface, self._box(width, height), clip))

    def _box(self, width: int, height: int) -> Rect:
        left, top = self.dice.randrange(width), self.dice.randrange(height)
        return Rect(
            top, left, self.dice.randrange(top, height) + 1, min(left + self.dice.randrange(1, 40), width)
        )

    def _point(self, reach: int = 12) -> Point:
        return Point(self.dice.randrange(-reach, reach), self.dice.randrange(-reach, reach))

    def image(self, *, mask: bool = False, target: int | None = None) -> Placeholder:
        """An image: of any format, or a surface other than ``target``."""
        dice = self.dice
        others = [id for id in self.surfaces if id != target]
        if others and not mask and dice.random() < 0.15:
            id = dice.choice(others)
            return Placeholder(DeviceImage(*self.surfaces[id], surface=id))
        format = dice.choice((BitmapFormat.BIT1_LE, BitmapFormat.BIT1_BE) if mask else tuple(_BITS))
        bits = _BITS[format]
        width, height = dice.randrange(1, 40), dice.randrange(1, 40)
        stride = (width * bits + 7) // 8 + dice.choice((0, 0, 1, 4))
        palette: tuple[int, ...] = ()
        if bits <= 8 and format != BitmapFormat.BIT8_A:
            palette = tuple(dice.randrange(1 << 24) for _colour in range(1 << bits))
        data = dice.randbytes(stride * height)
        return Placeholder(
            DeviceImage(width, height, format, stride, data, dice.random() < 0.7, palette=palette)
        )

    def _source(self, target: int) -> dict[str, Any]:
        image = self.image(target=target)
        return {"src_bitmap": image, "src_area": self._box(image.value.width, image.value.height)}

    def brush(self, target: int | None = None) -> Brush:
        """A colour, a pattern, or nothing."""
        chance = self.dice.random()
        if chance < 0.6:
            return Brush(BrushType.SOLID, self.dice.randrange(1 << 24))
        if chance < 0.9:
            return Brush(BrushType.PATTERN, pattern=Pattern(self.image(target=target), self._point()))
        return Brush()

    def _mask(self) -> QMask:
        if self.dice.random() < 0.7:
            return QMask()
        return QMask(self.dice.randrange(2), self._point(), self.image(mask=True))

    def _rop(self) -> int:
        operation = self.dice.choice((8, 8, 8, 16, 32, 64, 128, 256, 512))
        invert = self.dice.choice((0, 0, 1, 2, 4, Ropd.INVERS_RES))
        return operation | invert

    def _fill(self, base: DrawBase) -> Any:
        return display.DrawFill(base, self.brush(base.surface_id), self._rop(), self._mask())

    def _copy(self, base: DrawBase) -> Any:
        message: Any = self.dice.choice((display.DrawCopy, display.DrawBlend))
        source = self._source(base.surface_id)
        if self.dice.random() < 0.5:  # not scaled
            box, area = base.box, source["src_area"]
            area.right = min(area.right, area.left + box.right - box.left)
            area.bottom = min(area.bottom, area.top + box.bottom - box.top)
            box.right = box.left + area.right - area.left
            box.bottom = box.top + area.bottom - area.top
        return message(
            base,
            **source,
            rop_descriptor=self._rop(),
            scale_mode=self.dice.randrange(2),
            mask=self._mask(),
        )

    def _opaque(self, base: DrawBase) -> Any:
        return display.DrawOpaque(
            base,
            **self._source(base.surface_id),
            brush=self.brush(base.surface_id),
            rop_descriptor=self._rop(),
            scale_mode=self.dice.randrange(2),
            mask=self._mask(),
        )

    def _masked(self, base: DrawBase) -> Any:
        message: Any = self.dice.choice((display.DrawBlackness, display.DrawWhiteness, display.DrawInvers))
        return message(base, self._mask())

    def _rop3(self, base: DrawBase) -> Any:
        return display.DrawRop3(
            base,
            **self._source(base.surface_id),
            brush=self.brush(base.surface_id),
            rop3=self.dice.randrange(256),
            scale_mode=self.dice.randrange(2),
            mask=self._mask(),
        )

    def _copy_bits(self, base: DrawBase) -> Any:
        return display.CopyBits(base, Point(self.dice.randrange(30), self.dice.randrange(30)))

    def _stroke(self, base: DrawBase) -> Any:
        segments = []
        for _segment in range(self.dice.randrange(1, 4)):
            curved = self.dice.random() < 0.2
            flags = PathFlags.BEGIN | PathFlags.END | (PathFlags.BEZIER if curved else 0)
            count = 4 if curved else self.dice.randrange(2, 7)
            points = [
                PointFix(self.dice.randrange(16 * 80), self.dice.randrange(16 * 60)) for _ in range(count)
            ]
            segments.append(PathSegment(flags | self.dice.choice((0, 0, PathFlags.CLOSE)), points))
        attr = LineAttr(0)
        if self.dice.random() < 0.4:
            style = [16 * self.dice.randrange(1, 9) for _dash in range(self.dice.choice((2, 4)))]
            attr = LineAttr(LineFlags.STYLED | self.dice.choice((0, LineFlags.START_WITH_GAP)), style)
        return display.DrawStroke(
            base, Path(segments), attr, self.brush(base.surface_id), self._rop(), self._rop()
        )

    def _text(self, base: DrawBase) -> Any:
        flag, kind, bits = self.dice.choice(_GLYPHS)
        glyphs = []
        for _glyph in range(self.dice.randrange(1, 5)):
            width, height = self.dice.randrange(1, 14), self.dice.randrange(1, 14)
            data = self.dice.randbytes((width * bits + 7) // 8 * height)
            place = Point(self.dice.randrange(80), self.dice.randrange(60))
            glyphs.append(kind(place, self._point(4), width, height, data))
        back = self.dice.choice((Rect(0, 0, 0, 0), base.box))
        return display.DrawText(
            base,
            String(flag, glyphs),
            Rect(back.top, back.left, back.bottom, back.right),
            self.brush(base.surface_id),
            self.brush(base.surface_id),
            Ropd.OP_PUT,
            Ropd.OP_PUT,
        )

    def _transparent(self, base: DrawBase) -> Any:
        colour = self.dice.choice((0, 0xFFFFFF, self.dice.randrange(1 << 24)))
        return display.DrawTransparent(
            base, **self._source(base.surface_id), src_color=colour, true_color=colour
        )

    def _alpha_blend(self, base: DrawBase) -> Any:
        return display.DrawAlphaBlend(
            base, self.dice.randrange(4), self.dice.randrange(256), **self._source(base.surface_id)
        )

    def _composite(self, base: DrawBase) -> Any:
        dice = self.dice
        flags = dice.choice(_OPERATORS) | dice.randrange(2) << 8 | dice.randrange(2) << 11
        flags |= dice.randrange(4) << 14 | dice.randrange(4) << 16
        mask = self.image(target=base.surface_id) if dice.random() < 0.4 else None
        source_transform, mask_transform = self._transform(), self._transform() if mask else None
        if mask:
            flags |= CompositeFlags.HAS_MASK | dice.choice((0, CompositeFlags.COMPONENT_ALPHA))
        if source_transform:
            flags |= CompositeFlags.HAS_SRC_TRANSFORM
        if mask_transform:
            flags |= CompositeFlags.HAS_MASK_TRANSFORM
        origin = Point16(dice.randrange(-5, 20), dice.randrange(-5, 20))
        return display.DrawComposite(
            base,
            flags,
            self.image(target=base.surface_id),
            mask,
            source_transform,
            mask_transform,
            origin,
            Point16(dice.randrange(-5, 20), dice.randrange(-5, 20)),
        )

    def _transform(self) -> Transform | None:
        if self.dice.random() < 0.6:
            return None
        one = 1 << 16
        return Transform(*(self.dice.randrange(2 * one) for _value in range(6)))
