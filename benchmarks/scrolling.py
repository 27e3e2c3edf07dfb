# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that draws as a browser does whose page is scrolled: large parts of the window, and small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PIL import Image

from benchmarks.tables import SHARED
from spicemig.devices.drawables import Batch, DeviceImage, Placeholder
from spicemig.wire.drawing import Brush, DrawBase, Rect
from spicemig.wire.enums import BitmapFormat, BrushType, Ropd
from spicemig.wire.messages.display import DrawCopy, DrawFill

PAGE_HEIGHTS = 6  # of the screen
LINE = 40  # pixels that one turn of the wheel scrolls
SMALL = 200  # fills between two pictures, as x11perf draws them


def scrolling(width: int, height: int, turns: int) -> Callable[[Any], Iterator[None]]:
    """So many turns of the wheel on a screen of this size; the page is made now."""
    page = _page(width, height * PAGE_HEIGHTS)
    row = 4 * width

    def steps(device: Any) -> Iterator[None]:
        device.create_primary(width, height)
        box = Rect(0, 0, height, width)
        for turn in range(turns):
            top = turn * LINE % (height * (PAGE_HEIGHTS - 1))
            data = page[top * row : (top + height) * row]
            image = DeviceImage(width, height, BitmapFormat.BIT32, row, data)
            device.draw(Batch.of([DrawCopy(DrawBase(0, box), Placeholder(image), box)]))
            yield
            fills = Batch()
            for number in range(SMALL):
                x, y = number * 7 % (width - 5), number * 11 % (height - 5)
                brush = Brush(BrushType.SOLID, number * 0x10203 & 0xFFFFFF)
                fills.append(DrawFill(DrawBase(0, Rect(y, x, y + 5, x + 5)), brush, int(Ropd.OP_PUT)))
            device.draw(fills)
            yield

    return steps


def _page(width: int, height: int) -> bytes:
    """Pictures below and beside one another."""
    page = Image.new("RGB", (width, height), "white")
    pictures = [Image.open(path).convert("RGB") for path in sorted((SHARED / "images").glob("*.png"))]
    if not pictures:
        raise SystemExit(f"there are no pictures in {SHARED / 'images'}")
    x = y = number = 0
    while y < height:
        picture = pictures[number % len(pictures)]
        page.paste(picture, (x, y))
        x, number = x + picture.width, number + 1
        if x >= width:
            x, y = 0, y + picture.height
    return page.tobytes("raw", "BGRX")
