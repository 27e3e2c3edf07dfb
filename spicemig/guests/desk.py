# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo guest's desk: where things are, and how each is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from spicemig.devices.drawables import DeviceImage
from spicemig.guests import pictures
from spicemig.guests.painter import Box, Painter
from spicemig.guests.terminal import PAPER as TERMINAL_PAPER
from spicemig.guests.text import Colour, written

PANEL_HEIGHT = 30
TITLE_HEIGHT = 28
MARGIN = 24
LEFT_COLUMN = 360  # pixels: the photograph with its frame
DOCK_HEIGHT = 64

PANEL = (20, 24, 44)
DOCK = (44, 46, 80)
LIGHT = (226, 230, 240)
DIM = (150, 158, 184)
WHITE = (255, 255, 255)
PLAIN = (236, 238, 242)

PHOTOGRAPH = (336, 224)
DETAIL = (104, 72)
DETAILS = ((116, 44), (196, 104), (20, 126))  # where in the photograph the three details are cut out

QUILT_CELL = 20
QUILT_PAPER = (34, 36, 58)
QUILT_COLOURS: tuple[Colour, ...] = (
    (86, 104, 176),
    (122, 98, 176),
    (176, 104, 150),
    (222, 140, 122),
    (244, 188, 132),
    (92, 160, 166),
    (60, 68, 112),
    (48, 52, 88),
)
GRAPH_HEIGHT = 64  # at most; on small desks less
GRAPH_STEP = 4
GRAPH_PAPER = (26, 28, 46)
GRAPH_INK = (128, 206, 190)

PENS: tuple[Colour, ...] = (
    (38, 42, 66),
    (214, 74, 88),
    (240, 150, 70),
    (246, 206, 90),
    (92, 178, 116),
    (72, 136, 214),
    (138, 100, 200),
    WHITE,
)
PEN_SIZE = 4
SWATCH = 24


@dataclass(frozen=True)
class Layout:
    """Where everything is on a desk of this size."""

    width: int
    height: int

    @property
    def right_column(self) -> int:
        """Where the windows at the right begin."""
        return MARGIN + LEFT_COLUMN + MARGIN

    @property
    def photographs(self) -> Box:
        top = PANEL_HEIGHT + MARGIN - 2
        return MARGIN, top, MARGIN + LEFT_COLUMN, top + TITLE_HEIGHT + PHOTOGRAPH[1] + DETAIL[1] + 36

    @property
    def activity(self) -> Box:
        left, _top, right, bottom = self.photographs
        return left, bottom + MARGIN, right, self.height - MARGIN

    @property
    def _right_heights(self) -> tuple[int, int]:
        room = self.height - DOCK_HEIGHT - 2 * MARGIN - self.photographs[1] - MARGIN
        return room * 53 // 100, room - room * 53 // 100

    @property
    def terminal(self) -> Box:
        top = self.photographs[1]
        return self.right_column, top, self.width - MARGIN, top + self._right_heights[0]

    @property
    def paint(self) -> Box:
        top = self.terminal[3] + MARGIN
        return self.right_column, top, self.width - MARGIN, top + self._right_heights[1]

    @property
    def dock(self) -> Box:
        width = len(pictures.ICONS) * (pictures.ICON_SIZE + 12) + 12
        left = (self.right_column + self.width - MARGIN - width) // 2
        return left, self.height - DOCK_HEIGHT - MARGIN, left + width, self.height - MARGIN

    @property
    def text(self) -> Box:
        """The inside of the terminal."""
        left, top, right, bottom = self.terminal
        return left + 16, top + TITLE_HEIGHT + 10, right - 12, bottom - 10

    @property
    def canvas(self) -> Box:
        """Where the mouse paints."""
        left, top, right, bottom = self.paint
        return left + SWATCH + 24, top + TITLE_HEIGHT + 8, right - 8, bottom - 8

    @property
    def graph(self) -> Box:
        """The scrolling part of the activity window."""
        left, top, right, bottom = self.activity
        top += TITLE_HEIGHT + 10
        steps = (right - left - 20) // GRAPH_STEP
        return left + 10, top, left + 10 + steps * GRAPH_STEP, top + min(GRAPH_HEIGHT, (bottom - top) // 3)

    @property
    def quilt(self) -> Box:
        """The part of the activity window that is patched together of cells."""
        left, _top, right, bottom = self.activity
        top = self.graph[3] + 10
        columns, rows = (right - left - 20) // QUILT_CELL, (bottom - 10 - top) // QUILT_CELL
        return left + 10, top, left + 10 + columns * QUILT_CELL, top + rows * QUILT_CELL

    def pen_at(self, x: int, y: int) -> int | None:
        """Which of the pens lies there, if one does; the one after the last clears the canvas."""
        left, top = self.paint[0] + 12, self.canvas[1]
        index = (y - top) // SWATCH
        if left <= x < left + SWATCH and 0 <= index <= len(PENS) and self.pen_box(index)[3] <= self.canvas[3]:
            return index
        return None

    def pen_box(self, index: int) -> Box:
        """Where a pen lies."""
        left, top = self.paint[0] + 12, self.canvas[1] + index * SWATCH
        return left, top, left + SWATCH - 4, top + SWATCH - 4


def inside(box: Box, x: int, y: int) -> bool:
    """Whether this pixel is one of the box."""
    left, top, right, bottom = box
    return left <= x < right and top <= y < bottom


class Desk:
    """Draws the desk and its parts; keeps the images, but nothing that changes."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.image = cache(self._image)

    def _image(self, name: str, paper: Colour, size: int) -> DeviceImage:
        """An icon as a cached image, the same one each time."""
        return pictures.device_image(pictures.icon(name, paper, size), cached=True)

    def paint_all(self, painter: Painter, pen: int) -> None:
        """Everything that stands still."""
        layout = self.layout
        windows = [
            (layout.photographs, "Lake at sunrise"),
            (layout.activity, "Activity"),
            (layout.terminal, "Terminal"),
            (layout.paint, "Paint"),
        ]
        paper = pictures.wallpaper(layout.width, layout.height)
        background = pictures.desk_background(paper, windows, layout.dock, DOCK, TITLE_HEIGHT)
        painter.picture(0, 0, pictures.device_image(background))
        self._panel(painter)
        self._dock(painter)
        self._photographs(painter)
        self._terminal_paper(painter)
        self._canvas(painter)
        self.pens(painter, pen)
        self._graph_paper(painter)

    def _panel(self, painter: Painter) -> None:
        painter.fill((0, 0, self.layout.width, PANEL_HEIGHT), PANEL)
        name = written("spicemig", 15, LIGHT, PANEL)
        painter.picture(14, (PANEL_HEIGHT - name.height) // 2, pictures.device_image(name))
        words = written("a desk that travels", 13, DIM, PANEL)
        painter.picture(
            14 + name.width + 12, (PANEL_HEIGHT - words.height) // 2, pictures.device_image(words)
        )

    def _dock(self, painter: Painter) -> None:
        left, top, _right, _bottom = self.layout.dock
        for index, name in enumerate(pictures.ICONS):
            x = left + 12 + index * (pictures.ICON_SIZE + 12)
            painter.picture(
                x, top + (DOCK_HEIGHT - pictures.ICON_SIZE) // 2, self.image(name, DOCK, pictures.ICON_SIZE)
            )

    def _photographs(self, painter: Painter) -> None:
        """The photograph, and three details cut out of the same image."""
        left, top, _right, _bottom = self.layout.photographs
        photograph = pictures.device_image(pictures.photograph(*PHOTOGRAPH), cached=True)
        left, top = left + 12, top + TITLE_HEIGHT + 12
        painter.picture(left, top, photograph)
        top += PHOTOGRAPH[1] + 12
        for index, (x, y) in enumerate(DETAILS):
            part = (x, y, x + DETAIL[0], y + DETAIL[1])
            painter.picture(left + index * (DETAIL[0] + 12), top, photograph, part)

    def _terminal_paper(self, painter: Painter) -> None:
        left, top, right, bottom = self.layout.terminal
        painter.fill((left + 8, top + TITLE_HEIGHT + 4, right - 8, bottom - 8), TERMINAL_PAPER)

    def _canvas(self, painter: Painter) -> None:
        """An empty canvas with a flower on it, and a word of advice."""
        self.clear_canvas(painter)
        left, top, right, bottom = self.layout.canvas
        advice = written("Hold the left button and draw.", 13, (150, 154, 170), WHITE)
        painter.picture(left + 14, bottom - advice.height - 10, pictures.device_image(advice))
        centre_x, centre_y = right - (bottom - top) * 55 // 100, (top + bottom) // 2
        radius = (bottom - top) * 42 // 100
        before = (round(centre_x + radius), centre_y)
        for step in range(1, 421):
            angle = step * math.tau / 420
            reach = radius * abs(math.cos(2.5 * angle)) ** 0.6
            place = (round(centre_x + reach * math.cos(angle)), round(centre_y + reach * math.sin(angle)))
            self.line(painter, before, place, PENS[1 + int(abs(math.cos(2.5 * angle)) * 2.99)])
            before = place
        for step in range(60):
            angle = step * math.tau / 60
            self.dab(
                painter, round(centre_x + 9 * math.cos(angle)), round(centre_y + 9 * math.sin(angle)), PENS[3]
            )

    def clear_canvas(self, painter: Painter) -> None:
        """White paper."""
        painter.fill(self.layout.canvas, WHITE)

    def pens(self, painter: Painter, chosen: int) -> None:
        """The pens, the chosen one marked, and below them the one that clears."""
        for index in range(len(PENS) + 1):
            left, top, right, bottom = self.layout.pen_box(index)
            if bottom > self.layout.canvas[3]:
                break
            painter.fill((left - 6, top, left - 3, bottom), PENS[0] if index == chosen else PLAIN)
            painter.fill((left, top, right, bottom), (190, 194, 206))
            if index < len(PENS):
                painter.fill((left + 1, top + 1, right - 1, bottom - 1), PENS[index])
            else:
                word = written("x", 15, (120, 60, 70), (216, 219, 228))
                painter.fill((left + 1, top + 1, right - 1, bottom - 1), (216, 219, 228))
                painter.picture(
                    (left + right - word.width) // 2,
                    (top + bottom - word.height) // 2 - 1,
                    pictures.device_image(word),
                )

    def dab(self, painter: Painter, x: int, y: int, colour: Colour) -> None:
        """A touch of the pen, as much of it as is on the canvas."""
        left, top, right, bottom = self.layout.canvas
        half = PEN_SIZE // 2
        box = (max(x - half, left), max(y - half, top), min(x + half, right), min(y + half, bottom))
        if box[0] < box[2] and box[1] < box[3]:
            painter.fill(box, colour)

    def line(self, painter: Painter, start: tuple[int, int], end: tuple[int, int], colour: Colour) -> None:
        """Touches of the pen from one place to another, close enough to be a line."""
        (x0, y0), (x1, y1) = start, end
        steps = max(abs(x1 - x0), abs(y1 - y0)) // (PEN_SIZE // 2) or 1
        for step in range(1, steps + 1):
            self.dab(painter, x0 + (x1 - x0) * step // steps, y0 + (y1 - y0) * step // steps, colour)

    def _graph_paper(self, painter: Painter) -> None:
        painter.fill(self.layout.graph, GRAPH_PAPER)

    def graph_column(self, painter: Painter, level: int) -> None:
        """The newest column of the graph; ``level`` is from 0 to 100."""
        _left, top, right, bottom = self.layout.graph
        height = 2 + level * (bottom - top - 8) // 100
        painter.fill((right - GRAPH_STEP, top, right, bottom - height), GRAPH_PAPER)
        painter.fill((right - GRAPH_STEP, bottom - height, right - 1, bottom), GRAPH_INK)

    def graph_moves(self, painter: Painter) -> None:
        """Make room for another column."""
        left, top, right, bottom = self.layout.graph
        painter.move((left + GRAPH_STEP, top, right, bottom), -GRAPH_STEP, 0)

    def patch(self, painter: Painter, cell: int, colour: int) -> None:
        """One cell of the quilt in one of its colours."""
        x, y = self._quilt_place(cell)
        painter.fill(
            (x, y, x + QUILT_CELL - 1, y + QUILT_CELL - 1), QUILT_COLOURS[colour % len(QUILT_COLOURS)]
        )

    def patch_icon(self, painter: Painter, cell: int, which: int) -> None:
        """A small icon in one cell of the quilt."""
        x, y = self._quilt_place(cell)
        names = list(pictures.ICONS)
        painter.picture(x, y, self.image(names[which % len(names)], QUILT_PAPER, QUILT_CELL - 1))

    @property
    def quilt_cells(self) -> int:
        """How many cells the quilt has."""
        left, top, right, bottom = self.layout.quilt
        return max((right - left) // QUILT_CELL * ((bottom - top) // QUILT_CELL), 1)

    def _quilt_place(self, cell: int) -> tuple[int, int]:
        left, top, right, _bottom = self.layout.quilt
        columns = (right - left) // QUILT_CELL
        cell %= self.quilt_cells
        return left + cell % columns * QUILT_CELL, top + cell // columns * QUILT_CELL

    def clock(self, painter: Painter, text: str, before: str) -> None:
        """The time at the right of the panel; only the characters that changed."""
        place = self.layout.width - 14 - 9 * len(text)
        for index, character in enumerate(text):
            if index >= len(before) or before[index] != character:
                painter.picture(place + 9 * index, 7, self._digit(character))

    @cache  # noqa: B019 - a desk lives as long as its guest
    def _digit(self, character: str) -> DeviceImage:
        paper = pictures.Image.new("RGB", (9, 17), PANEL)
        glyph = written(character, 15, LIGHT, PANEL)
        paper.paste(glyph, (max(0, (9 - glyph.width) // 2), (17 - glyph.height) // 2))
        return pictures.device_image(paper, cached=True)
