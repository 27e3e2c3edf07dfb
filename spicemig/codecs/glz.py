# SPDX-License-Identifier: LGPL-2.1-or-later
"""
GLZ images: units that were seen before, in this image or in earlier ones, become references.

Server and client keep the same window of the latest images, the GLZ dictionary. A
stream is a header, all numbers big-endian (magic, version, a byte of type and
``top_down``, width, height, bytes of a row, 64-bit image id, distance to the oldest
image that the window has with this one) and the tokens of one or two planes; see
``glz_reference.py``. References are to images of the same type only.

ZLIB_GLZ is a GLZ stream, deflated.

Source: glz-encoder*.c of spice-server 0.15.1; decode-glz.c of spice-gtk 0.42, which
takes palette types apart but is never given a palette: they have no image type.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from threading import Lock
from typing import Any

from spicemig.codecs import kernels
from spicemig.codecs.glz_reference import HEADER, MAGIC, TOP_DOWN, VERSION
from spicemig.codecs.lz import PALETTE_TYPES, TYPES, LzType
from spicemig.codecs.pixels import MAX_IMAGE_BYTES, ImageError, Pixels, row_bytes
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat

FORMATS = frozenset((BitmapFormat.BIT16, BitmapFormat.BIT24, BitmapFormat.BIT32, BitmapFormat.RGBA))
MOST_WINDOW_PIXELS = 1 << 26
ZLIB_LEVEL = 3
MAX_EXPANSION = 256  # a byte of tokens makes no more units than this
MOST_HELD_IMAGES = 1 << 20  # that a client keeps for a server

_CODED_TYPES = {type: format for format, type in TYPES.items() if type <= LzType.RGBA}


@dataclass(frozen=True, slots=True)
class GlzImage:
    """An image of a window: rows without padding, in the order of its stream."""

    id: int
    format: int
    width: int
    height: int
    data: Buffer


class GlzWindow:
    """
    The encoder's window for one client, of at most so many ``pixels``. A client that
    keeps no image yet wants the first id to be 0, and none to be left out.

    Every method may be called from any thread. An image that was encoded is in the
    window, and later ones refer to it: it must reach the client, on each channel in
    the order of the ids.
    """

    def __init__(self, pixels: int, next_id: int = 0) -> None:
        if not 0 < pixels <= MOST_WINDOW_PIXELS:
            raise ValueError(f"a GLZ window of {pixels} pixels")
        self.size = pixels
        self._window = kernels.glz_window(pixels, next_id)
        self._lock = Lock()

    @property
    def next_id(self) -> int:
        """The id that the next image gets."""
        return self._state()[0]

    @property
    def oldest_id(self) -> int:
        """The id of the oldest image; :attr:`next_id` if there is none."""
        return self._state()[1]

    @property
    def taken(self) -> int:
        """How many pixels are in the window."""
        return self._state()[2]

    def _state(self) -> tuple[int, int, int]:
        with self._lock:
            state: tuple[int, int, int] = kernels.glz_state(self._window)
            return state

    @property
    def for_kernels(self) -> Any:
        """The window as kernels take it, for one that encodes many images in a call."""
        return self._window

    def takes(self, pixels: Pixels) -> bool:
        """Whether an image can be encoded: it has to fit into the window."""
        return pixels.format in FORMATS and pixels.width * pixels.height <= self.size

    def encode(self, pixels: Pixels) -> list[Buffer]:
        """
        The stream of an image, in parts; their sum may be larger than the bitmap.

        Raises ``ValueError`` for an image that is larger than the window.
        """
        type = TYPES.get(pixels.format)
        if type not in _CODED_TYPES:
            raise ValueError(f"bitmap format {pixels.format} has no GLZ form")
        pixels.check()
        rows = pixels.rows()
        with self._lock:
            return [
                kernels.glz_encode(self._window, rows, type, pixels.width, pixels.height, pixels.top_down)
            ]

    def probe(self, pixels: Pixels) -> float:
        """
        How much of an image the window has, from 0 to 1: which part of a sample of
        its places is found. Changes nothing, and is cheap for large images too.
        """
        if pixels.format not in FORMATS:
            return 0.0
        pixels.check()
        rows = pixels.rows()
        with self._lock:
            found, tried = kernels.glz_probe(self._window, rows, TYPES[pixels.format])
        return found / tried if tried else 0.0

    def images(self, first_id: int = 0) -> Iterator[GlzImage]:
        """
        What is in the window from an id on, the oldest first; copies.

        Encoding may go on meanwhile: an image that is gone is left out.
        """
        while True:
            with self._lock:
                found = kernels.glz_image(self._window, first_id)
            if found is None:
                return
            id, type, width, height, data = found
            yield GlzImage(id, _CODED_TYPES[LzType(type)], width, height, data)
            first_id = id + 1

    def forget(self, before: int) -> None:
        """Drop the images before this id."""
        with self._lock:
            kernels.glz_forget(self._window, before)

    def put(self, image: GlzImage) -> None:
        """
        Take in an image that the client has already, in the order of the ids; the
        first may have any. Raises ``ValueError``.
        """
        type = TYPES.get(image.format)
        if type not in _CODED_TYPES:
            raise ValueError(f"bitmap format {image.format} has no GLZ form")
        with self._lock:
            kernels.glz_put(self._window, image.data, type, image.width, image.height, image.id)


class MissingImage(ImageError):
    """A stream refers to an image that has not come yet, or is gone."""


class GlzDecoderWindow:
    """
    The decoder's window of a client, which all its display channels share.

    It holds at most twice as many pixels as the client asked for: on several
    channels, images can come before older ones. More is an error of the server.
    """

    def __init__(self, pixels: int = MOST_WINDOW_PIXELS) -> None:
        self.most_held = 2 * pixels
        self.held: dict[int, int] = {}  # pixels by image id
        self.taken = 0
        self._ids: list[int] = []  # of these, as a heap
        self._oldest: dict[int, int] = {}  # by image id, what the server had left with it
        self._next: int | None = None  # all images before this one have come
        self._window = kernels.glz_decoder_window()
        self._lock = Lock()

    def decode(self, payload: Buffer, width: int | None = None, height: int | None = None) -> Pixels:
        """
        The pixels of a stream, of this size if one is given; raises :class:`ImageError`.

        Rows have no padding, and bytes that the type does not code are 0.
        """
        data = memoryview(payload)
        if len(data) < HEADER.size:
            raise ImageError("GLZ without its header")
        magic, version, flags, columns, rows, stride, id, distance = HEADER.unpack_from(data)
        if (magic, version) != (MAGIC, VERSION):
            raise ImageError("not GLZ, or not its version 1.1")
        type = flags & (TOP_DOWN - 1)
        if type not in _CODED_TYPES or flags >= 2 * TOP_DOWN:
            raise ImageError(f"GLZ of type {flags}")
        format = _CODED_TYPES[LzType(type)]
        if (columns, rows) != (width or columns, height or rows):
            raise ImageError(f"a GLZ image of {columns}x{rows} where {width}x{height} was said")
        if not (0 < columns <= 0xFFFF and 0 < rows <= 0xFFFF and stride * rows <= MAX_IMAGE_BYTES):
            raise ImageError(f"GLZ of {columns}x{rows} pixels")
        if stride != row_bytes(format, columns):
            raise ImageError(f"GLZ of {stride} bytes a row for {columns} pixels of type {type}")
        if distance > id:
            raise ImageError(f"GLZ image {id} with {distance} images before it")
        units = stride * rows if type in PALETTE_TYPES else columns * rows
        tokens = data[HEADER.size :]
        if units > MAX_EXPANSION * len(tokens):
            raise ImageError(f"GLZ of {len(tokens)} bytes for {columns}x{rows} pixels")
        with self._lock:
            made = self._take(id, distance, type, units, tokens)
        return Pixels(columns, rows, format, stride, made, bool(flags & TOP_DOWN))

    def _take(self, id: int, distance: int, type: int, units: int, tokens: memoryview) -> bytes:
        if id in self.held:
            raise ImageError(f"a second GLZ image {id}")
        if self.taken + units > self.most_held or len(self.held) >= MOST_HELD_IMAGES:
            raise ImageError(f"a GLZ window of more than {self.most_held} pixels")
        made: bytes | None = kernels.glz_decode(self._window, id, type, units, tokens)
        if made is None:
            raise ImageError("GLZ tokens that do not make up the image, or refer to what is not there")
        self.held[id] = units
        self._oldest[id] = id - distance
        heappush(self._ids, id)
        self.taken += units
        if self._next is None:
            self._next = id
        while self._next in self.held:
            self._next += 1
        self._release(self._oldest.get(self._next - 1, 0))
        return made

    def _release(self, oldest: int) -> None:
        """Forget images that no later one refers to."""
        while self._ids and self._ids[0] < oldest:
            self._drop(heappop(self._ids))

    def _drop(self, id: int) -> None:
        self.taken -= self.held.pop(id)
        del self._oldest[id]
        kernels.glz_drop(self._window, id)

    def clear(self) -> None:
        """Forget everything; the next image may have any id."""
        with self._lock:
            while self._ids:
                self._drop(self._ids.pop())
            self._next = None


def deflate(stream: list[Buffer]) -> tuple[int, bytes]:
    """The size of a GLZ stream and its ZLIB_GLZ payload."""
    packer = zlib.compressobj(ZLIB_LEVEL)
    packed = [packer.compress(part) for part in stream]
    return sum(map(len, stream)), b"".join(packed) + packer.flush()


def inflate(payload: Buffer, size: int) -> bytes:
    """The GLZ stream of so many bytes in a ZLIB_GLZ payload; raises :class:`ImageError`."""
    if not HEADER.size < size <= MAX_IMAGE_BYTES:
        raise ImageError(f"ZLIB_GLZ of {size} bytes")
    opener: Any = zlib.decompressobj()
    try:
        stream: bytes = opener.decompress(payload, size)
        rest = opener.decompress(opener.unconsumed_tail, 1) if len(stream) == size else b""
    except zlib.error as error:
        raise ImageError(f"ZLIB_GLZ: {error}") from error
    if len(stream) != size or rest or not opener.eof:
        raise ImageError(f"ZLIB_GLZ that does not hold {size} bytes")
    return stream
