# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which pixels a drawable needs, and which it replaces.

Source: spice.proto, the drawing messages; spice-server 0.15.1, display-channel.cpp, for
what a drawable depends on.
"""

from __future__ import annotations

import struct
from typing import Any

from spicemig.channels.regions import common, less
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import ClipType, Ropd

COPY_BITS = 104  # the number of the message that copies inside its surface
EFFECT_OPAQUE = 1
EVERYWHERE = Rect(top=-(1 << 31), left=-(1 << 31), bottom=(1 << 31) - 1, right=(1 << 31) - 1)

_CLIP_TYPE_OFFSET = 20  # in the body of every drawing message: behind surface id and box
_SOURCE = struct.Struct("<20sB")  # what stands before the source of a DRAW_COPY that is not clipped
_COPIED = struct.Struct("<25x4iH")  # then, behind a pointer, its area and rop


def copied(drawable: Any) -> Rect | None:
    """The part of its only image that a DRAW_COPY puts as it is, without a mask; None if it does not."""
    body, ((pointer, _image),) = drawable.body, drawable.fixups()
    if body[_CLIP_TYPE_OFFSET] == ClipType.NONE and pointer == _SOURCE.size and len(body) >= _COPIED.size:
        # most are so; the only image is no mask then
        top, left, bottom, right, rop = _COPIED.unpack_from(body)
        return Rect(top=top, left=left, bottom=bottom, right=right) if rop == Ropd.OP_PUT else None
    message = drawable.message()
    if message.rop_descriptor != Ropd.OP_PUT or message.mask.bitmap is not None:
        return None
    area: Rect = message.src_area
    return area


def reads(drawable: Any) -> list[tuple[int, Rect]]:
    """
    The parts, with their surfaces, whose pixels have to be right before a drawable is drawn.

    Of another surface, all of it.
    """
    found: list[tuple[int, Rect]] = []
    box = drawable.box
    if drawable.effect != EFFECT_OPAQUE:
        found.append((drawable.surface, box))
    if drawable.number == COPY_BITS:
        at = drawable.message().src_pos
        source = Rect(
            top=at.y, left=at.x, bottom=at.y + box.bottom - box.top, right=at.x + box.right - box.left
        )
        found.append((drawable.surface, source))
    found += [(image.surface, EVERYWHERE) for _at, image in drawable.fixups() if image.surface is not None]
    return found


def replaces(drawable: Any) -> list[Rect]:
    """The parts, which do not overlap, that show nothing of what was there before once it is drawn."""
    if drawable.effect != EFFECT_OPAQUE:
        return []
    box = drawable.box
    if drawable.body[_CLIP_TYPE_OFFSET] == ClipType.NONE:
        return [box]
    parts: list[Rect] = []
    for rect in drawable.message().base.clip.rects or []:
        part = common(rect, box)
        if part is not None:
            parts += less([part], parts)
    return parts
