# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which pixels a drawable needs, and which it replaces.

Source: spice.proto, the drawing messages; spice-server 0.15.1, display-channel.cpp, for
what a drawable depends on.
"""

from __future__ import annotations

from typing import Any

from spicemig.channels.regions import common, less
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import ClipType

COPY_BITS = 104  # the number of the message that copies inside its surface
EFFECT_OPAQUE = 1
EVERYWHERE = Rect(top=-(1 << 31), left=-(1 << 31), bottom=(1 << 31) - 1, right=(1 << 31) - 1)

_CLIP_TYPE_OFFSET = 20  # in the body of every drawing message: behind surface id and box


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
