# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Text as pictures, in the fonts that Pillow brings.

Newer Pillows bring an outline font for any size and the old one of fixed size;
older ones only that, which is then doubled for titles.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

BITMAP_SIZE = 11  # pixels from top to bottom of the font of fixed size
CELL_WIDTH = 7
CELL_HEIGHT = 15


@cache
def outline_font(size: int) -> Any | None:
    """The outline font at this size in pixels; None if this Pillow has none."""
    try:
        return ImageFont.load_default(size)  # type: ignore[call-arg,unused-ignore]
    except (TypeError, OSError, ImportError):
        return None


@cache
def fixed_font() -> Any:
    """The font of fixed size, whose characters all have the same width."""
    load = getattr(ImageFont, "load_default_imagefont", ImageFont.load_default)
    return load()


def written(text: str, size: int, colour: Colour, paper: Colour) -> Image.Image:
    """One line of text in a picture that is as large as the text."""
    font = outline_font(size)
    doubled = font is None and size >= 2 * BITMAP_SIZE - 4
    font = font or fixed_font()
    left, top, right, bottom = (round(side) for side in font.getbbox(text))
    ascent_box = font.getbbox("Ágjy|")  # so that lines of one size have one height
    height = max(bottom, round(ascent_box[3])) if outline_font(size) else max(bottom, BITMAP_SIZE)
    picture = Image.new("RGB", (max(right, 1), max(height, 1)), paper)
    ImageDraw.Draw(picture).text((0, 0), text, colour, font)
    if doubled:
        picture = picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST)
    return picture


def cell(character: str, colour: Colour, paper: Colour) -> Image.Image:
    """One character in the middle of a cell of a text box."""
    picture = Image.new("RGB", (CELL_WIDTH, CELL_HEIGHT), paper)
    font = fixed_font()
    left, _top, right, _bottom = font.getbbox(character)
    place = ((CELL_WIDTH - round(right - left)) // 2, (CELL_HEIGHT - BITMAP_SIZE) // 2)
    ImageDraw.Draw(picture).text(place, character, colour, font)
    return picture
