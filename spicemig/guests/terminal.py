# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo guest's text box: lines of cells, a caret, and a few words that are answered."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap

from spicemig.devices.drawables import DeviceImage
from spicemig.guests.painter import Box, Painter
from spicemig.guests.pictures import device_image
from spicemig.guests.text import CELL_HEIGHT, CELL_WIDTH, Colour, cell

PAPER = (27, 30, 43)
INK = (206, 214, 226)
PROMPT_INK = (128, 222, 160)
REMARK_INK = (126, 138, 166)
CARET = (236, 190, 110)

PROMPT = "$ "
REMARK = "# "
GREETING = (
    "Welcome to spicemig. What you type shows here; 'help' lists the words that are known. "
    "Hold the left button in the box below to draw."
)


class Terminal:
    """
    A box of ``columns`` by ``rows`` cells; ``lines`` is all it remembers.

    The last line is where typing goes on. ``answer`` says which lines a typed line gets.
    """

    def __init__(self, box: Box, answer: Callable[[str], list[str]]) -> None:
        left, top, right, bottom = box
        self.left, self.top = left, top
        self.columns = (right - left) // CELL_WIDTH
        self.rows = (bottom - top) // CELL_HEIGHT
        remarks = wrap(GREETING, min(self.columns, 72), initial_indent=REMARK, subsequent_indent=REMARK)
        self.lines = [*remarks, "", PROMPT]
        self._answer = answer
        self._glyphs: dict[tuple[str, Colour], DeviceImage] = {}

    def fits(self, lines: list[str]) -> bool:
        """Whether these lines could be what it remembers."""
        return 0 < len(lines) <= self.rows and all(len(line) <= self.columns for line in lines)

    def paint(self, painter: Painter) -> None:
        """Draw all of it; the paper is there."""
        for row in range(len(self.lines)):
            self._paint_line(painter, row)
        self._caret(painter, CARET)

    def type(self, painter: Painter, character: str) -> None:
        """A character was typed; a full line goes on in the next."""
        self._put(painter, character)
        self._caret(painter, CARET)

    def backspace(self, painter: Painter) -> None:
        """Take back the last character that was typed on this line."""
        line = self.lines[-1]
        if line in ("", PROMPT):
            return
        self._caret(painter, PAPER)
        self.lines[-1] = line[:-1]
        self._caret(painter, CARET)

    def enter(self, painter: Painter) -> None:
        """Answer the line, and begin another."""
        self._caret(painter, PAPER)
        typed = self.lines[-1].removeprefix(PROMPT).strip()
        if typed == "clear":
            self.clear(painter)
            return
        for line in self._answer(typed) if typed else []:
            self._new_line(painter, line[: self.columns])
        self._new_line(painter, PROMPT)
        self._caret(painter, CARET)

    def clear(self, painter: Painter) -> None:
        """Begin again with an empty box."""
        width, height = self.columns * CELL_WIDTH, self.rows * CELL_HEIGHT
        painter.fill((self.left, self.top, self.left + width, self.top + height), PAPER)
        self.lines = [PROMPT]
        self.paint(painter)

    def _put(self, painter: Painter, character: str) -> None:
        if len(self.lines[-1]) >= self.columns - 1:  # the last column is for the caret
            self._caret(painter, PAPER)
            self._new_line(painter, "")
        line = self.lines[-1]
        self.lines[-1] = line + character
        self._paint_cell(painter, len(self.lines) - 1, len(line))

    def _new_line(self, painter: Painter, text: str) -> None:
        if len(self.lines) == self.rows:
            self._scroll(painter)
        self.lines.append(text)
        self._paint_line(painter, len(self.lines) - 1)

    def _scroll(self, painter: Painter) -> None:
        right = self.left + self.columns * CELL_WIDTH
        bottom = self.top + self.rows * CELL_HEIGHT
        painter.move((self.left, self.top + CELL_HEIGHT, right, bottom), 0, -CELL_HEIGHT)
        painter.fill((self.left, bottom - CELL_HEIGHT, right, bottom), PAPER)
        del self.lines[0]

    def _paint_line(self, painter: Painter, row: int) -> None:
        for column in range(len(self.lines[row])):
            self._paint_cell(painter, row, column)

    def _paint_cell(self, painter: Painter, row: int, column: int) -> None:
        line = self.lines[row]
        character = line[column]
        left, top, right, bottom = self._cell(row, column)
        if character == " ":
            painter.fill((left, top, right, bottom), PAPER)
            return
        colour = INK
        if line.startswith(REMARK):
            colour = REMARK_INK
        elif column == 0 and line.startswith(PROMPT):
            colour = PROMPT_INK
        painter.picture(left, top, self._glyph(character, colour))

    def _glyph(self, character: str, colour: Colour) -> DeviceImage:
        """Every character is one image for ever, so that clients need it only once."""
        key = (character, colour)
        if key not in self._glyphs:
            self._glyphs[key] = device_image(cell(character, colour, PAPER), cached=True)
        return self._glyphs[key]

    def _caret(self, painter: Painter, colour: Colour) -> None:
        """Draw the place where typing goes on; with the paper's colour, take caret or character away."""
        left, top, right, bottom = self._cell(len(self.lines) - 1, len(self.lines[-1]))
        if colour == PAPER:
            painter.fill((left, top, right, bottom), PAPER)
        else:
            painter.fill((left, top + 2, right - 1, bottom - 2), colour)

    def _cell(self, row: int, column: int) -> Box:
        left, top = self.left + column * CELL_WIDTH, self.top + row * CELL_HEIGHT
        return left, top, left + CELL_WIDTH, top + CELL_HEIGHT
