# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Ternary operations as clients can draw them.

Of the 256, clients have no code for the 38 that do not need all three operands,
and end when they get one; these become commands without the other operands. They
end, too, when the image is too small, and want a pattern to start left of the box
and above it.

Source: spice-common, canvas_base.c and rop3.c.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

from spicemig.devices.raster.rop import truth_table
from spicemig.wire.drawing import Brush, Pattern, Point
from spicemig.wire.enums import BrushType, Ropd
from spicemig.wire.messages.display import (
    DrawBlackness,
    DrawCopy,
    DrawFill,
    DrawInvers,
    DrawOpaque,
    DrawRop3,
    DrawWhiteness,
)

_CLEARS, _SETS, _INVERTS, _KEEPS = 0x00, 0xFF, 0x55, 0xAA


def simpler(message: Any) -> Any:
    """The same drawing as a client can draw it; None if it draws nothing. Most stay as they are."""
    if type(message) is not DrawRop3:
        return message
    code, base, mask = message.rop3, message.base, message.mask
    if code == _KEEPS:
        return None
    for whole, plain in ((_CLEARS, DrawBlackness), (_SETS, DrawWhiteness), (_INVERTS, DrawInvers)):
        if code == whole:
            return plain(base, mask)
    if (code >> 2 ^ code) & 0x33 == 0:  # of no image
        rop = _descriptor(_table(code, 4, 1), Ropd.INVERS_BRUSH, Ropd.INVERS_DEST)
        return DrawFill(base, message.brush, rop, mask)
    image = (message.src_bitmap, message.src_area)
    if (code >> 4 ^ code) & 0x0F == 0:  # of no brush
        rop = _descriptor(_table(code, 2, 1), Ropd.INVERS_SRC, Ropd.INVERS_DEST)
        return DrawCopy(base, *image, rop, message.scale_mode, mask)
    if (code >> 1 ^ code) & 0x55 == 0:  # of nothing that is there
        rop = _descriptor(_table(code, 4, 2), Ropd.INVERS_BRUSH, Ropd.INVERS_SRC)
        return DrawOpaque(base, *image, message.brush, rop, message.scale_mode, mask)
    return _safe(message)


def _safe(message: DrawRop3) -> DrawRop3 | None:
    box, area = message.base.box, message.src_area
    size = box.right - box.left, box.bottom - box.top
    image = getattr(message.src_bitmap, "value", None)
    if image is None:
        return None
    if (area.right - area.left, area.bottom - area.top) == size:
        inside = 0 <= area.left and area.right <= image.width and 0 <= area.top
        if not inside or area.bottom > image.height:
            return None
    brush = message.brush
    if brush.type == BrushType.PATTERN:
        pattern: Any = brush.pattern
        at, tile = pattern.pos, pattern.pat.value
        if at.x > box.left or at.y > box.top:
            if not (tile.width > 0 and tile.height > 0):
                return None
            x, y = box.left + (at.x - box.left) % -tile.width, box.top + (at.y - box.top) % -tile.height
            brush = Brush(BrushType.PATTERN, pattern=Pattern(pattern.pat, Point(x, y)))
            return DrawRop3(
                message.base, message.src_bitmap, area, brush, message.rop3, message.scale_mode, message.mask
            )
    return message


def _table(code: int, first: int, second: int) -> int:
    """The truth table of two operands, whose weights in ``code`` these are."""
    rows = ((code >> one * first + other * second & 1) for one, other in product((0, 1), repeat=2))
    return sum(bit << row for row, bit in enumerate(rows))


@cache
def _descriptor(table: int, inverted_source: int, inverted_below: int) -> int:
    """A raster operation descriptor that is this table; there is one for every table but _KEEPS."""
    operations = (Ropd.OP_PUT, Ropd.OP_OR, Ropd.OP_AND, Ropd.OP_XOR)
    flags = (0, inverted_source), (0, inverted_below), (0, Ropd.INVERS_RES)
    return next(
        operation | sum(chosen)
        for operation, *chosen in product(operations, *flags)
        if truth_table(operation | sum(chosen), inverted_source, inverted_below) == table
    )
