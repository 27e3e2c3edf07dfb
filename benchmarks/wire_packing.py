# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How long it takes to pack and unpack display messages.

Run ``python benchmarks/wire_packing.py``; prints microseconds, the best of several rounds.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Any

from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import BinaryData, Brush, Clip, DrawBase, Image, ImageDescriptor, Rect
from spicemig.wire.enums import BrushType, ClipType, ImageType, Ropd
from spicemig.wire.messages.display import CopyBits, DrawCopy, DrawFill, Point
from spicemig.wire.messages.inputs import MouseMotion

CALLS = 10_000
ROUNDS = 7

BOX = Rect(10, 20, 30, 40)
CLIP = Clip(ClipType.RECTS, [Rect(1, 2, 3, 4)] * 4)
IMAGE = Image(ImageDescriptor(1, ImageType.LZ4, 1, 20, 20), BinaryData(bytes(100_000)))

MESSAGES: dict[str, Any] = {
    "DrawFill": DrawFill(DrawBase(0, BOX), Brush(BrushType.SOLID, 0xFF), Ropd.OP_PUT),
    "DrawFill, 4 clip rectangles": DrawFill(
        DrawBase(0, BOX, CLIP), Brush(BrushType.SOLID, 0xFF), Ropd.OP_PUT
    ),
    "DrawCopy": DrawCopy(DrawBase(0, BOX), Placeholder(None), Rect(0, 0, 20, 20)),
    "CopyBits": CopyBits(DrawBase(0, BOX), Point(1, 2)),
    "MouseMotion": MouseMotion(1, 2, 0),
}


def microseconds(call: Callable[[], Any]) -> float:
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    print(f"{'':<30}{'pack':>8}{'unpack':>8}")
    for name, message in MESSAGES.items():
        body, pointers = message.pack_template()
        places = {offset: placeholder.value for offset, placeholder in pointers}
        pack = microseconds(message.pack_template)
        unpack = microseconds(lambda m=message, b=body, p=places: m.unpack_template(b, p))
        print(f"{name:<30}{pack:8.2f}{unpack:8.2f}")
    draw = DrawCopy(DrawBase(0, BOX), IMAGE, Rect(0, 0, 20, 20))
    body = draw.pack()
    pack, unpack = microseconds(draw.pack_parts), microseconds(lambda: DrawCopy.unpack(body))
    print(f"{'DrawCopy with 100 kB of image':<30}{pack:8.2f}{unpack:8.2f}")


if __name__ == "__main__":
    main()
