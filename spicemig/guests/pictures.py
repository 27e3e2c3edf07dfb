# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo guest's pictures: all made by computation, the same on every host with the same Pillow."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from spicemig.devices.cursor import CursorShape
from spicemig.devices.drawables import DeviceImage
from spicemig.devices.surfaces import PIXEL_BYTES
from spicemig.guests.text import Colour, written
from spicemig.wire.enums import BitmapFormat, CursorType, ImageFlags

Box = tuple[int, int, int, int]  # left, top, right, bottom

SMOOTH = 4  # pictures with round edges are drawn this much larger first


def _named(data: bytes, *shape: int) -> int:
    """An id that only this content has; equal content has it on every host."""
    digest = blake2b(data, digest_size=8, person=b"spicemig")
    digest.update(repr(shape).encode())
    return int.from_bytes(digest.digest(), "little") or 1


def device_image(picture: Image.Image, cached: bool = False) -> DeviceImage:
    """The picture as the device wants it; a ``cached`` one is to be kept by clients."""
    data = picture.convert("RGB").tobytes("raw", "BGRX")
    image = DeviceImage(picture.width, picture.height, BitmapFormat.BIT32, picture.width * PIXEL_BYTES, data)
    if cached:
        image.id = _named(data, picture.width, picture.height)
        image.flags = ImageFlags.CACHE_ME
    return image


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two; ``share`` is that of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _gradient(size: tuple[int, int], stops: list[tuple[float, Colour]]) -> Image.Image:
    """Colours from top to bottom; ``stops`` are heights from 0 to 1 with the colour there."""
    column = Image.new("RGB", (1, size[1]))
    for y in range(size[1]):
        height = y / max(size[1] - 1, 1)
        below = next((index for index, stop in enumerate(stops) if stop[0] >= height), len(stops) - 1)
        (start, first), (end, last) = stops[max(below - 1, 0)], stops[below]
        share = (height - start) / (end - start) if end > start else 0.0
        column.putpixel((0, y), _mixed(first, last, min(max(share, 0.0), 1.0)))
    return column.resize(size)


def _ridge(width: int, base: float, heights: float, seed: int) -> list[tuple[int, float]]:
    """The upper edge of a mountain range, as points from left to right."""
    dice = random.Random(seed)
    waves = [(dice.uniform(0.6, 1.4) * 2**octave, dice.uniform(0, 7), 0.55**octave) for octave in range(7)]
    return [
        (
            x,
            base
            - heights * sum(size * math.sin(x / width * 4 * speed + start) for speed, start, size in waves),
        )
        for x in range(0, width + 1, 1)
    ]


def _glow(size: tuple[int, int], centre: tuple[int, int], radius: int) -> Image.Image:
    """A mask that is bright at the centre and fades to nothing at the radius."""
    spot = ImageChops.invert(Image.radial_gradient("L")).resize((2 * radius, 2 * radius))
    spot = spot.point([max(0, (value - 75) * 255 // 180) for value in range(256)])
    mask = Image.new("L", size)
    mask.paste(spot, (centre[0] - radius, centre[1] - radius))
    return mask


def wallpaper(width: int, height: int) -> Image.Image:
    """A quiet evening: from night blue to a warm horizon, hills in front."""
    picture = _gradient(
        (width, height),
        [
            (0.0, (22, 32, 66)),
            (0.45, (62, 74, 128)),
            (0.72, (176, 120, 140)),
            (0.86, (238, 172, 132)),
            (1.0, (250, 206, 150)),
        ],
    )
    sun = (width * 7 // 10, height * 8 // 10)
    picture.paste((255, 226, 178), (0, 0), _glow(picture.size, sun, height // 2).point(lambda v: v * 2 // 3))
    draw = ImageDraw.Draw(picture)
    dice = random.Random(7)
    for _star in range(width * height // 9000):
        x, y = dice.randrange(width), int(dice.random() ** 2 * height * 0.5)
        night: Any = picture.getpixel((x, y))
        draw.point((x, y), _mixed(night, (255, 255, 255), dice.uniform(0.15, 0.7)))
    for index, (base, colour) in enumerate(
        [(0.80, (122, 92, 128)), (0.87, (82, 70, 112)), (0.94, (46, 48, 86))]
    ):
        edge = _ridge(width, height * base, height * 0.028, seed=20 + index)
        draw.polygon([(0, height), *edge, (width, height)], fill=colour)
    return picture


def photograph(width: int, height: int) -> Image.Image:
    """A lake below mountains at sunrise, with the grain of film: hard to compress, as photographs are."""
    shore = height * 62 // 100
    sky = _gradient(
        (width, shore),
        [(0.0, (64, 116, 180)), (0.55, (150, 182, 206)), (0.85, (250, 208, 160)), (1.0, (252, 190, 130))],
    )
    sky.paste((255, 244, 214), (0, 0), _glow(sky.size, (width * 2 // 3, shore - 18), height // 2))
    clouds = _noise((width // 16 + 1, shore // 6 + 1), seed=9).resize(
        (width, shore), Image.Resampling.BICUBIC
    )
    clouds = clouds.point([max(0, min(150, (value - 140) * 3)) for value in range(256)])
    clouds = ImageChops.multiply(
        clouds, _gradient((width, shore), [(0, (255,) * 3), (1, (40,) * 3)]).convert("L")
    )
    sky.paste((255, 250, 244), (0, 0), clouds)
    draw = ImageDraw.Draw(sky)
    for base, heights, colour, seed in [
        (0.74, 0.13, (132, 146, 176), 3),
        (0.86, 0.09, (86, 104, 132), 11),
        (0.97, 0.06, (44, 66, 72), 31),
    ]:
        edge = _ridge(width, shore * base, shore * heights, seed)
        draw.polygon([(0, shore), *edge, (width, shore)], fill=colour)
    picture = Image.new("RGB", (width, height))
    picture.paste(sky, (0, 0))
    water = sky.transpose(Image.Transpose.FLIP_TOP_BOTTOM).crop((0, 0, width, height - shore))
    water = Image.blend(water, Image.new("RGB", water.size, (30, 62, 96)), 0.35)
    for y in range(water.height):  # ripples: rows pushed sideways, more so nearer to us
        push = round(math.sin(y * 0.9 + math.sin(y * 0.31) * 2) * (1 + y / 14))
        row = ImageChops.offset(water.crop((0, y, width, y + 1)), push, 0)
        picture.paste(row, (0, shore + y))
    grain = _grain(picture.size, seed=5)
    return ImageChops.add(picture, grain, 1, -128)


def _noise(size: tuple[int, int], seed: int) -> Image.Image:
    return Image.frombytes("L", size, random.Random(seed).randbytes(size[0] * size[1]))


def _grain(size: tuple[int, int], seed: int) -> Image.Image:
    """Grey noise around 128, the same every time."""
    noise = _noise(size, seed).filter(ImageFilter.GaussianBlur(0.7))
    return noise.point([128 + (value - 128) // 5 for value in range(256)]).convert("RGB")


def desk_background(
    paper: Image.Image, windows: list[tuple[Box, str]], dock: Box, dock_colour: Colour, bar_height: int
) -> Image.Image:
    """The wallpaper with the dock and the empty windows, their titles and shadows, but not their insides."""
    radius = 9
    shadows = Image.new("L", paper.size)
    draw = ImageDraw.Draw(shadows)
    for left, top, right, bottom in (dock, *(box for box, _title in windows)):
        draw.rounded_rectangle((left + 2, top + 8, right - 3, bottom + 8), radius, fill=150)
    picture = paper.copy()
    picture.paste((8, 10, 24), (0, 0), shadows.filter(ImageFilter.GaussianBlur(9)))
    for box, title in windows:
        window = _window((box[2] - box[0], box[3] - box[1]), title, bar_height)
        picture.paste(window, box[:2], _rounded(window.size, radius))
    picture.paste(dock_colour, dock, _rounded((dock[2] - dock[0], dock[3] - dock[1]), 16))
    return picture


def _window(size: tuple[int, int], title: str, bar_height: int) -> Image.Image:
    """A window with nothing in it."""
    window = Image.new("RGB", size, (236, 238, 242))
    window.paste(_gradient((size[0], bar_height), [(0, (250, 250, 252)), (1, (222, 225, 232))]), (0, 0))
    for index, colour in enumerate([(236, 106, 94), (244, 190, 80), (98, 197, 84)]):
        spot = (12 + index * 19, (bar_height - 12) // 2)
        window.paste(colour, (*spot, spot[0] + 12, spot[1] + 12), _rounded((12, 12), 6))
    paper = (235, 237, 242)
    name = written(title, 13, (64, 70, 92), paper)
    ink = ImageChops.difference(name, Image.new("RGB", name.size, paper)).convert("L")
    ink = ink.point([min(255, value * 255 // 160) for value in range(256)])
    window.paste((64, 70, 92), ((size[0] - name.width) // 2, (bar_height - name.height) // 2), ink)
    return window


def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """A mask of a rectangle with smooth round corners."""
    large = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH))
    box = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, radius * SMOOTH, fill=255)
    return large.resize(size, Image.Resampling.BOX)


Sketch = Callable[[ImageDraw.ImageDraw, int], None]


def _folder(draw: ImageDraw.ImageDraw, unit: int) -> None:
    draw.rounded_rectangle((8 * unit, 12 * unit, 22 * unit, 24 * unit), 2 * unit, fill=(255, 214, 120))
    draw.rounded_rectangle((8 * unit, 15 * unit, 40 * unit, 36 * unit), 3 * unit, fill=(255, 228, 158))


def _mountain(draw: ImageDraw.ImageDraw, unit: int) -> None:
    draw.ellipse((28 * unit, 10 * unit, 36 * unit, 18 * unit), fill=(255, 236, 170))
    draw.polygon(
        [(8 * unit, 37 * unit), (20 * unit, 16 * unit), (32 * unit, 37 * unit)], fill=(255, 255, 255)
    )
    draw.polygon(
        [(22 * unit, 37 * unit), (31 * unit, 23 * unit), (41 * unit, 37 * unit)], fill=(214, 232, 226)
    )


def _prompt(draw: ImageDraw.ImageDraw, unit: int) -> None:
    points = [(12 * unit, 15 * unit), (21 * unit, 24 * unit), (12 * unit, 33 * unit)]
    draw.line(points, fill=(140, 240, 170), width=4 * unit, joint="curve")
    draw.rectangle((24 * unit, 31 * unit, 36 * unit, 34 * unit), fill=(230, 240, 234))


def _brush(draw: ImageDraw.ImageDraw, unit: int) -> None:
    draw.line([(38 * unit, 9 * unit), (24 * unit, 25 * unit)], fill=(255, 255, 255), width=5 * unit)
    draw.ellipse((11 * unit, 22 * unit, 27 * unit, 38 * unit), fill=(255, 210, 90))


def _pulse(draw: ImageDraw.ImageDraw, unit: int) -> None:
    points = [(7, 26), (15, 26), (19, 14), (26, 36), (31, 22), (34, 26), (41, 26)]
    draw.line([(x * unit, y * unit) for x, y in points], fill=(255, 255, 255), width=3 * unit, joint="curve")


def _cup(draw: ImageDraw.ImageDraw, unit: int) -> None:
    draw.arc((28 * unit, 17 * unit, 41 * unit, 30 * unit), 0, 360, fill=(255, 255, 255), width=3 * unit)
    draw.rounded_rectangle((10 * unit, 14 * unit, 34 * unit, 36 * unit), 6 * unit, fill=(255, 255, 255))


ICON_SIZE = 48
ICONS: dict[str, tuple[Colour, Colour, Sketch]] = {
    "files": ((86, 150, 236), (58, 110, 206), _folder),
    "photographs": ((96, 190, 160), (44, 132, 130), _mountain),
    "terminal": ((70, 76, 92), (34, 38, 52), _prompt),
    "paint": ((236, 120, 130), (196, 72, 110), _brush),
    "activity": ((160, 124, 226), (112, 80, 190), _pulse),
    "tea": ((240, 168, 92), (216, 122, 60), _cup),
}


def icon(name: str, paper: Colour, size: int = ICON_SIZE) -> Image.Image:
    """An icon on plain paper; it was drawn for 48 pixels and can be smaller."""
    upper, lower, sketch = ICONS[name]
    large = _gradient((ICON_SIZE * SMOOTH, ICON_SIZE * SMOOTH), [(0, upper), (1, lower)])
    sketch(ImageDraw.Draw(large), SMOOTH)
    tile = large.resize((size, size), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (size, size), paper)
    picture.paste(tile, (0, 0), _rounded((size, size), size // 4))
    return picture


def _shape(size: int, hot_spot: tuple[int, int], sketch: Sketch) -> CursorShape:
    """A cursor of blue, green, red and alpha, multiplied by alpha."""
    large = Image.new("RGBA", (size * SMOOTH, size * SMOOTH))
    sketch(ImageDraw.Draw(large), SMOOTH)
    red, green, blue, alpha = large.resize((size, size), Image.Resampling.BOX).split()
    colours = [ImageChops.multiply(band, alpha) for band in (blue, green, red)]
    data = Image.merge("RGBA", (*colours, alpha)).tobytes()
    return CursorShape(_named(data, size, *hot_spot), CursorType.ALPHA, size, size, *hot_spot, data)


def _arrow(draw: ImageDraw.ImageDraw, unit: int) -> None:
    points = [(1, 1), (1, 19), (5.5, 15), (8.5, 21.5), (12, 20), (9, 13.5), (15, 13.5)]
    outline = [(x * unit, y * unit) for x, y in points]
    draw.polygon(outline, fill=(250, 250, 252, 255))
    draw.line([*outline, outline[0], outline[1]], fill=(24, 28, 44, 255), width=3 * unit // 2, joint="curve")


def _cross(draw: ImageDraw.ImageDraw, unit: int) -> None:
    for width, colour in ((5, (255, 255, 255, 255)), (2, (24, 28, 44, 255))):
        half = width * unit // 2
        for start, end in ((2, 9), (14, 21)):
            draw.rectangle(
                (start * unit, 23 * unit // 2 - half, end * unit, 23 * unit // 2 + half), fill=colour
            )
            draw.rectangle(
                (23 * unit // 2 - half, start * unit, 23 * unit // 2 + half, end * unit), fill=colour
            )


def _beam(draw: ImageDraw.ImageDraw, unit: int) -> None:
    for grow, colour in ((1, (255, 255, 255, 255)), (0, (24, 28, 44, 255))):
        for box in ((11, 3, 12, 20), (8, 2, 15, 3), (8, 20, 15, 21)):
            left, top, right, bottom = box
            draw.rectangle(
                ((left - grow) * unit, (top - grow) * unit, (right + grow) * unit, (bottom + grow) * unit),
                fill=colour,
            )


def cursor_shapes() -> dict[str, CursorShape]:
    """The cursors of the desk, by where they show."""
    return {
        "desk": _shape(24, (1, 1), _arrow),
        "paint": _shape(24, (11, 11), _cross),
        "terminal": _shape(24, (11, 11), _beam),
    }
