# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The kernels of ``_kernels/quic_*.c`` in Python: QUIC's coding of rows.

An image is coded row by row. A row of colours is one *part* of three symbols a
pixel (red, green, blue); gray, and the alpha that follows each row of colours in
an RGBA image, are parts of one symbol a pixel. All parts share one stream of
bits; everything else that a coder remembers is a part's own.

A symbol is the difference between a component and what its neighbours foretell
(the left one in the first row, the upper one in the first column, else half the
sum of both), folded so that small differences of either sign are small. The
symbol that was last coded in the column to the left is its *context*, of which
one more than the logarithm to base 2 names a *bucket*; a bucket counts, for each
Golomb-Rice code, the bits that its symbols would have taken, and the best code is
used. Buckets learn from every pixel at first, later from one now and then, by a
fixed sequence of pauses.

Where the pixel above equals its left neighbour and the two pixels to the left are
equal, a *run* of pixels equal to the left one is coded, which may be empty.

Source: spice-common of spice 0.15.1, quic.c, quic_tmpl.c and quic_family_tmpl.c.
"""

from __future__ import annotations

from typing import Any

GRAY, RGB16, RGB24, RGB32, RGBA = 1, 2, 3, 4, 5

PIXEL_BYTES = {GRAY: 1, RGB16: 2, RGB24: 3, RGB32: 4, RGBA: 4}
LONGEST_CODE = 26  # bits
FIRST_RUN_COLUMN = 3  # no run begins to the left of it

# the pauses between lessons are bits of this sequence, more of them the further the image has come
CHAOS = bytes.fromhex(
    "021713150712280e0c202f2c2406120b04132a1d103f39331003050e0f1e1409242d03393d000805290e2b1b2b3b1f23"
    "273c2a260d363e011a030b3d34220730043b160c160832040a062c080b2e1f333511012b2e3c24360a1b272c16291702"
    "2c0028352830102b201c210c1402383e373a12140d37261d391331212f3f3b00233d13192e263c0423011a281c0a050e"
    "19123031143b3e222e072134223a091d08373e3c2524253206030a1c30181a3d391e0b360206322f07112335200c1711"
    "05153137332d341b2719273f16182a343826292938200d181a331b383a25182a0f1c111e1f0f101719362122011d1f32"
    "3515310f2f09003a252d1e0d092d3f15"
)
STAGE_PIXELS = 2048  # after as many the mask of the pauses gets one bit more, up to six
LAST_STAGE = 6
# a bucket's counts are halved when the least of them is above this; by stage
HALVED_ABOVE = (110, 550, 900, 800, 550, 400, 350)

# the logarithm of the run that one bit stands for; a step up after each such bit, one down after a run
RUN_STEPS = (0,) * 4 + (1,) * 4 + (2,) * 4 + (3,) * 4 + (4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15)


class Family:
    """The Golomb-Rice codes for symbols of some bits."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.mask = (1 << depth) - 1
        # by code: so many zero bits say that a symbol follows as it is, less those that have a code
        self.escape = [min(LONGEST_CODE - depth, (1 << depth - code) - 1) for code in range(depth)]
        self.coded = [zeros << code for code, zeros in enumerate(self.escape)]
        self.escaped_bits = [(self.mask - coded).bit_length() for coded in self.coded]
        self.codes = [[self._code(code, symbol) for symbol in range(1 << depth)] for code in range(depth)]

    def _code(self, code: int, symbol: int) -> tuple[int, int]:
        """A symbol's bits and their number."""
        if symbol < self.coded[code]:
            return 1 << code | symbol & (1 << code) - 1, (symbol >> code) + 1 + code
        return symbol - self.coded[code], self.escape[code] + self.escaped_bits[code]

    def bucket(self, context: int) -> int:
        """The bucket of a context."""
        return min((context + 1).bit_length() - 1, self.depth - 1)

    def folded(self, difference: int) -> int:
        """A difference as a symbol."""
        difference &= self.mask
        return difference << 1 if difference <= self.mask >> 1 else (self.mask - difference) << 1 | 1

    def unfolded(self, symbol: int) -> int:
        """The difference that a symbol stands for, modulo the number of symbols."""
        return self.mask - (symbol >> 1) if symbol & 1 else symbol >> 1


FAMILY = {depth: Family(depth) for depth in (5, 8)}
Pixel = tuple[int, ...]


class BitWriter:
    """Bits into 32-bit words, the first bit highest."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def put(self, value: int, count: int) -> None:
        """Some bits of a number."""
        if count:
            self._bits.append(f"{value:0{count}b}")

    def words(self) -> bytes:
        """All of it in whole words, and one more word of zeros."""
        bits = "".join(self._bits)
        bits += "0" * (-len(bits) % 32 + 32)
        return b"".join(
            int(bits[start : start + 32], 2).to_bytes(4, "little") for start in range(0, len(bits), 32)
        )


class BitReader:
    """The same back; zeros follow the end."""

    def __init__(self, data: bytes) -> None:
        self.words = len(data) // 4
        self._value = int.from_bytes(
            b"".join(data[4 * index : 4 * index + 4][::-1] for index in range(self.words)), "big"
        )
        self.read = 0

    def get(self, count: int) -> int:
        """The next bits as a number."""
        self.read += count
        shift = 32 * self.words - self.read
        value = self._value >> shift if shift >= 0 else self._value << -shift
        return value & (1 << count) - 1

    @property
    def past_end(self) -> bool:
        """Whether more was read than is there; a word that was begun is always followed by another."""
        return -(-self.read // 32) + 1 > self.words


class Part:
    """What is remembered of one part of the rows: of its pixels' symbols, buckets, pauses and runs."""

    def __init__(self, width: int, components: int, depth: int) -> None:
        self.width = width
        self.family = FAMILY[depth]
        self.components = range(components)
        self.buckets = [[_Bucket(self.family) for _code in range(depth)] for _each in self.components]
        self.symbols: list[list[int]] = [[0] * components for _column in range(width)]
        self.left = [0] * components  # the context of the first column
        self.above: list[Pixel] | None = None
        self.stage, self.stage_left = 0, STAGE_PIXELS
        self.pause, self._pauses = 0, 0
        self.run_step = 0

    def segments(self) -> list[tuple[int, int, int]]:
        """The row, cut as the stages go on: the stage, the first column, the one behind the last."""
        cut, start = [], 0
        while self.stage < LAST_STAGE and self.stage_left <= self.width - start:
            if self.stage_left:
                cut.append((self.stage, start, start + self.stage_left))
                start += self.stage_left
            self.stage += 1
            self.stage_left = STAGE_PIXELS
        if start < self.width:
            cut.append((self.stage, start, self.width))
            if self.stage < LAST_STAGE:
                self.stage_left -= self.width - start
        return cut

    def next_pause(self, stage: int) -> int:
        """How many pixels to code before the buckets learn again."""
        self._pauses += 1
        return CHAOS[(self._pauses - 1) % len(CHAOS)] & (1 << stage) - 1

    def context(self, column: int, component: int) -> int:
        """The symbol to the left."""
        return self.symbols[column - 1][component] if column else self.left[component]

    def code(self, column: int, component: int) -> int:
        """The code that is best here."""
        return self.buckets[component][self.family.bucket(self.context(column, component))].best

    def learn(self, column: int, stage: int) -> None:
        """Count the symbols of a pixel in their buckets."""
        for component in self.components:
            bucket = self.buckets[component][self.family.bucket(self.context(column, component))]
            bucket.learn(self.symbols[column][component], HALVED_ABOVE[stage])

    def foretold(self, row: list[Pixel], column: int, component: int) -> int:
        """What the neighbours say of a component."""
        if self.above is None:
            return row[column - 1][component] if column else 0
        if column == 0:
            return self.above[0][component]
        return row[column - 1][component] + self.above[column][component] >> 1

    def run_begins(self, row: list[Pixel], column: int) -> bool:
        """Whether the pixels that are known already promise a run."""
        return (
            self.above is not None
            and column >= FIRST_RUN_COLUMN
            and self.above[column - 1] == self.above[column]
            and row[column - 1] == row[column - 2]
        )

    def walk(self, row: list[Pixel], bits: Any) -> bool:
        """Code a row; whether it went well. :meth:`_pixel` and :meth:`_run` write or read."""
        for stage, start, end in self.segments():
            column, run_began = start, -1
            while column < end:
                if column != run_began and self.run_begins(row, column):
                    run_began = column
                    length = self._run(row, column, end, bits)
                    if length > end - column:
                        return False
                    column += length
                    continue
                self._pixel(row, column, bits)
                if self.pause:
                    self.pause -= 1
                else:
                    self.pause = self.next_pause(stage)
                    self.learn(column, stage)
                column += 1
        self.above = row
        self.left = self.symbols[0]
        return True

    def _pixel(self, row: list[Pixel], column: int, bits: Any) -> None:
        raise NotImplementedError

    def _run(self, row: list[Pixel], column: int, end: int, bits: Any) -> int:
        raise NotImplementedError

    def _step_up(self) -> None:
        self.run_step = min(self.run_step + 1, len(RUN_STEPS) - 1)

    def _step_down(self) -> None:
        self.run_step = max(self.run_step - 1, 0)


class _Bucket:
    """How many bits each code would have taken, and the best code; of equal ones the highest."""

    def __init__(self, family: Family) -> None:
        self.counts = [0] * family.depth
        self.best = family.depth - 1
        self._codes = family.codes

    def learn(self, symbol: int, halved_above: int) -> None:
        """Count one symbol."""
        for code, symbols in enumerate(self._codes):
            self.counts[code] += symbols[symbol][1]
        least = min(self.counts)
        self.best = max(code for code, count in enumerate(self.counts) if count == least)
        if least > halved_above:
            self.counts = [count >> 1 for count in self.counts]


class WrittenPart(Part):
    """A part on its way out."""

    def _pixel(self, row: list[Pixel], column: int, bits: BitWriter) -> None:
        made = []
        for component in self.components:
            symbol = self.family.folded(row[column][component] - self.foretold(row, column, component))
            bits.put(*self.family.codes[self.code(column, component)][symbol])
            made.append(symbol)
        self.symbols[column] = made

    def _run(self, row: list[Pixel], column: int, end: int, bits: BitWriter) -> int:
        length = 0
        while column + length < end and row[column + length] == row[column - 1]:
            length += 1
        left = length
        while left >= 1 << RUN_STEPS[self.run_step]:
            left -= 1 << RUN_STEPS[self.run_step]
            bits.put(1, 1)
            self._step_up()
        bits.put(left, RUN_STEPS[self.run_step] + 1)
        self._step_down()
        return length


class ReadPart(Part):
    """A part on its way in."""

    def _pixel(self, row: list[Pixel], column: int, bits: BitReader) -> None:
        made, family = [], self.family
        found: Pixel = ()
        for component in self.components:
            code, zeros = self.code(column, component), 0
            while zeros < family.escape[code] and not bits.get(1):
                zeros += 1
            if zeros < family.escape[code]:
                symbol = zeros << code | bits.get(code)
            else:
                symbol = family.coded[code] + bits.get(family.escaped_bits[code]) & family.mask
            made.append(symbol)
            found += (family.unfolded(symbol) + self.foretold(row, column, component) & family.mask,)
        self.symbols[column] = made
        row.append(found)

    def _run(self, row: list[Pixel], column: int, end: int, bits: BitReader) -> int:
        length = 0
        while length <= end - column and bits.get(1):
            length += 1 << RUN_STEPS[self.run_step]
            self._step_up()
        length += bits.get(RUN_STEPS[self.run_step])
        self._step_down()
        if length <= end - column:
            row.extend([row[column - 1]] * length)
        return length


def _depth(type: int) -> int:
    return 5 if type == RGB16 else 8


def _parts(maker: type[Part], width: int, type: int) -> list[Any]:
    """The parts of a row, in order."""
    if type == GRAY:
        return [maker(width, 1, 8)]
    colours = maker(width, 3, _depth(type))
    return [colours, maker(width, 1, 8)] if type == RGBA else [colours]


def _check(argument: str, size: int, stride: int, width: int, height: int, type: int) -> None:
    if type not in PIXEL_BYTES:
        raise ValueError(f"type: QUIC has no type {type}")
    if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF):
        raise ValueError("width: an image has 1 to 65535 pixels either way")
    tight = PIXEL_BYTES[type] * width
    if stride < tight or stride > 0x7FFFFFFF or size < (height - 1) * stride + tight:
        raise ValueError(f"{argument}: the rows do not fit into the buffer")


def quic_encode(src: Any, stride: int, width: int, height: int, type: int, top_down: bool) -> bytes:
    """
    The words that follow the header: ``height`` rows of ``width`` pixels, ``stride``
    bytes apart, the bottom row first unless ``top_down``.
    """
    data = memoryview(src).cast("B")
    _check("src", len(data), stride, width, height, type)
    bits, parts = BitWriter(), _parts(WrittenPart, width, type)
    for index in range(height):
        start = (index if top_down else height - 1 - index) * stride
        row = data[start : start + PIXEL_BYTES[type] * width]
        for part, pixels in zip(parts, _taken_apart(row, type), strict=True):
            part.walk(pixels, bits)
    return bits.words()


def quic_decode(dst: Any, stride: int, width: int, height: int, type: int, data: Any) -> int:
    """
    Rows ``stride`` bytes apart from the words that follow the header, the top row
    first; an unused byte or bit becomes 0. Returns how many rows are whole: fewer
    than ``height`` if the words end early or a run is longer than its row.
    """
    to = memoryview(dst).cast("B")
    _check("dst", len(to), stride, width, height, type)
    bits = BitReader(bytes(data))
    parts: list[Part] = _parts(ReadPart, width, type)
    for index in range(height):
        rows: list[list[Pixel]] = []
        for part in parts:
            rows.append([])
            if not part.walk(rows[-1], bits):
                return index
        if bits.past_end:
            return index
        to[index * stride : index * stride + PIXEL_BYTES[type] * width] = _put_together(rows, type)
    return height


def _taken_apart(row: memoryview, type: int) -> list[Any]:
    """A row's pixels as (red, green, blue), and as (alpha or gray,)."""
    if type == GRAY:
        return [[(value,) for value in row]]
    if type == RGB16:
        words = [row[at] | row[at + 1] << 8 for at in range(0, len(row), 2)]
        return [[(word >> 10 & 31, word >> 5 & 31, word & 31) for word in words]]
    step = PIXEL_BYTES[type]
    colours = list(zip(row[2::step], row[1::step], row[0::step], strict=True))
    return [colours, [(value,) for value in row[3::4]]] if type == RGBA else [colours]


def _put_together(rows: list[list[Pixel]], type: int) -> bytes:
    """A row's bytes."""
    if type == GRAY:
        return bytes(value for (value,) in rows[0])
    if type == RGB16:
        return b"".join((red << 10 | green << 5 | blue).to_bytes(2, "little") for red, green, blue in rows[0])
    if type == RGB24:
        return bytes(value for red, green, blue in rows[0] for value in (blue, green, red))
    alphas = [value for (value,) in rows[1]] if type == RGBA else [0] * len(rows[0])
    return bytes(
        value
        for (red, green, blue), alpha in zip(rows[0], alphas, strict=True)
        for value in (blue, green, red, alpha)
    )
