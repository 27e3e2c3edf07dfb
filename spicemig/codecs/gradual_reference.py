# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernel of ``_kernels/gradual.c`` in Python: how gradually the colours of an image change.

Of every fifteenth pixel, row after row, its pairs with the right, the lower and the
lower right neighbour are compared. A pair of different pixels that are near to each
other scores less than nothing, equal ones some, contrasting ones most; three equal
pairs together do not count. Photographs end up below zero, text and drawings above.

Source: spice-server 0.15.1, spice-bitmap-utils.tmpl.c.
"""

from __future__ import annotations

from typing import Any

STEP = 15
SAME, CONTRAST, NEAR = 2, 4, -1  # what a pair scores, in quarters
CONTRASTING_555, CONTRASTING = 8, 60  # a component that differs by this


def gradual_score(src: Any, stride: int, width: int, height: int, pixel_bytes: int) -> tuple[int, int]:
    """What samples of an image score, in quarters, and how many pairs of pixels that were."""
    if pixel_bytes not in (2, 3, 4):
        raise ValueError(f"pixel_bytes: no pixels have {pixel_bytes}")
    if not (2 <= width <= 0xFFFF and 2 <= height <= 0xFFFF):
        raise ValueError("width: an image has 2 to 65535 pixels either way")
    rows = memoryview(src)
    if stride < width * pixel_bytes or (height - 1) * stride + width * pixel_bytes > len(rows):
        raise ValueError("src: the rows do not fit into the buffer")

    def components(at: int) -> tuple[int, ...]:
        if pixel_bytes == 2:
            pixel = rows[at] | rows[at + 1] << 8
            return pixel & 31, pixel >> 5 & 31, pixel >> 10 & 31
        return rows[at], rows[at + 1], rows[at + 2]

    def compared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
        largest = max(abs(a - b) for a, b in zip(one, other, strict=True))
        if largest >= (CONTRASTING_555 if pixel_bytes == 2 else CONTRASTING):
            return CONTRAST
        return NEAR if largest else SAME

    score = pairs = 0
    pixel = width // 2
    while pixel < (height - 1) * width:
        if (pixel + 1) % width == 0:
            pixel -= 1
        at = pixel // width * stride + pixel % width * pixel_bytes
        here = components(at)
        neighbours = at + pixel_bytes, at + stride, at + stride + pixel_bytes
        scores = [compared(here, components(neighbour)) for neighbour in neighbours]
        if scores != [SAME, SAME, SAME]:
            score += sum(scores)
        pairs += 3
        pixel += STEP if STEP % width else STEP - 1
    return score, pairs
