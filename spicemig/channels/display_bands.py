# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Parts of a surface, sent as the pixels that they have now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import Clip, DrawBase, QMask, Rect
from spicemig.wire.enums import BitmapFormat, ImageScaleMode, Ropd, SurfaceFormat
from spicemig.wire.messages import display

PIXEL_BYTES = 4  # of any surface
PRIMARY = 0  # the id of the surface that is the screen
BAND_BYTES = 512 * 1024  # of pixels in one message when a surface is sent as it is

# surfaces with alpha; of the others the fourth byte of a pixel means nothing
ALPHA_SURFACES = frozenset((SurfaceFormat.ARGB32, SurfaceFormat.A8, SurfaceFormat.A1))

# stock clients end when they are to draw on these, but for images that they scale
SCALED_ONLY = frozenset((SurfaceFormat.A1,))


@dataclass(slots=True, eq=False)
class PlainImage:
    """Pixels of a surface on their way to one client; has the attributes of a device's image."""

    width: int
    height: int
    format: int
    stride: int
    data: Any
    top_down: bool = True
    id: int = 0
    flags: int = 0
    palette: tuple[int, ...] = ()
    palette_id: int = 0
    surface: int | None = None
    encodings: dict[Any, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Band:
    """Some rows of a surface, to be drawn as an image; has the attributes of a drawable."""

    number: int
    surface: int
    box: Rect
    body: bytes
    pointer: int  # where in the body the pointer to the image goes
    image: PlainImage
    effect: int = 1  # QXL_EFFECT_OPAQUE
    exact: bool = False  # it is there to make the picture exact

    def fixups(self) -> list[tuple[int, PlainImage]]:
        """Where in the body the image goes."""
        return [(self.pointer, self.image)]


def bands(surface: Any, rect: Rect) -> Iterator[Band]:
    """A part of a surface as drawings of a bounded size; the pixels are copied."""
    pixels, stride = memoryview(surface.pixels), surface.stride
    width = rect.right - rect.left
    if width <= 0:
        return
    step = max(1, BAND_BYTES // (width * PIXEL_BYTES))
    for top in range(rect.top, rect.bottom, step):
        bottom = min(top + step, rect.bottom)
        if width * PIXEL_BYTES == stride:
            data = bytes(pixels[top * stride : bottom * stride])
        else:
            starts = range(top * stride + rect.left * PIXEL_BYTES, bottom * stride, stride)
            data = b"".join(pixels[start : start + width * PIXEL_BYTES] for start in starts)
        # codecs drop the fourth byte of plain pixels, which is seen where they come to a surface with alpha
        plain = surface.format not in ALPHA_SURFACES and (surface.id == PRIMARY or not any(data[3::4]))
        format = BitmapFormat.BIT32 if plain else BitmapFormat.RGBA
        rows = bottom - top
        if surface.format in SCALED_ONLY:
            width_bytes = width * PIXEL_BYTES
            data = b"".join(2 * data[at : at + width_bytes] for at in range(0, len(data), width_bytes))
            rows *= 2
        image = PlainImage(width, rows, format, width * PIXEL_BYTES, data)
        box = Rect(top=top, left=rect.left, bottom=bottom, right=rect.right)
        message = _put(surface, box, image)
        body, pointers = message.pack_template()
        yield Band(message.number, surface.id, box, body, pointers[0][0], image)


def _put(surface: Any, box: Rect, image: PlainImage) -> Any:
    """The message that puts an image there; it is as large as the box, or twice as high."""
    base = DrawBase(surface_id=surface.id, box=box, clip=Clip())
    return display.DrawCopy(
        base=base,
        src_bitmap=Placeholder(image),
        src_area=Rect(top=0, left=0, bottom=image.height, right=image.width),
        rop_descriptor=Ropd.OP_PUT,
        scale_mode=ImageScaleMode.NEAREST,
        mask=QMask(),
    )
