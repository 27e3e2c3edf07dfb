# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which codec an image goes out with, and its encoding, made once for all clients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from PIL import Image

from spicemig.codecs import jpeg, lz4, quic
from spicemig.codecs.pixels import Pixels, row_bytes
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat, ImageCompression, ImageType

MIN_JPEG_PIXELS = 64 * 64  # below this a lossy image saves too little
NATURAL_SAMPLE = 64  # the sample that decides is at most so many pixels wide and high
NATURAL_COLOURS = 0.25  # a natural image has more distinct colours than this, per pixel of the sample


@dataclass(frozen=True, slots=True)
class Encoder:
    """A codec as the choice sees it: the type of image it makes, from which bitmap formats."""

    image_type: int
    formats: frozenset[int]
    encode: Callable[[Pixels], list[Buffer]]
    lossy: bool = False


def _lz4(pixels: Pixels) -> list[Buffer]:
    """
    As LZ4, pixels of three bytes with a fourth one of zero.

    Stock clients would make that byte 255, though zero for a bitmap; it is seen
    where the pixels come to a surface with alpha.
    """
    if pixels.format == BitmapFormat.BIT24:
        size = pixels.width, pixels.height
        image = Image.frombuffer("RGB", size, bytes(pixels.rows()), "raw", "BGR", 0, 1)
        data = image.tobytes("raw", "BGRX")
        pixels = Pixels(*size, BitmapFormat.BIT32, pixels.width * 4, data, pixels.top_down)
    return lz4.encode(pixels)


ENCODERS: dict[str, Encoder] = {
    "quic": Encoder(ImageType.QUIC, quic.FORMATS, quic.encode),
    "lz4": Encoder(ImageType.LZ4, lz4.FORMATS, _lz4),
    "jpeg": Encoder(ImageType.JPEG, jpeg.FORMATS, jpeg.encode, lossy=True),
}

# which lossless encoders a compression mode tries, in this order; others try none
MODES: dict[int, tuple[str, ...]] = {
    mode: ("lz4",)
    for mode in ImageCompression
    if mode not in (ImageCompression.INVALID, ImageCompression.OFF)
}
MODES[ImageCompression.QUIC] = ("quic",)


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image payload and what it is."""

    image_type: int
    parts: list[Buffer]
    size: int
    lossy: bool


def candidates(pixels: Pixels, mode: int, *, client_lz4: bool, lossy: bool) -> tuple[str, ...]:
    """The names of the encoders to try for an image, best first; without any it goes out as a bitmap."""
    names = tuple(name for name in MODES.get(mode, ()) if name != "lz4" or client_lz4)
    if mode in MODES and lossy and pixels.width * pixels.height >= MIN_JPEG_PIXELS:
        names = ("jpeg", *names)
    return tuple(name for name in names if pixels.format in ENCODERS[name].formats)


def is_natural(pixels: Pixels) -> bool:
    """Whether an image looks like a photograph rather than like text or a drawing."""
    if pixels.format not in (BitmapFormat.BIT24, BitmapFormat.BIT32):
        return False
    image = pixels.image()
    width, height = min(image.width, NATURAL_SAMPLE), min(image.height, NATURAL_SAMPLE)
    sample = image.resize((width, height), Image.Resampling.NEAREST)
    return sample.getcolors(int(width * height * NATURAL_COLOURS)) is None


def encode(pixels: Pixels, names: tuple[str, ...]) -> Encoded | None:
    """What the first of these encoders that helps makes of an image; None if none does."""
    plain = row_bytes(pixels.format, pixels.width) * pixels.height
    for name in names:
        encoder = ENCODERS[name]
        if encoder.lossy and not is_natural(pixels):
            continue
        parts = encoder.encode(pixels)
        size = sum(map(len, parts))
        if size < plain:
            return Encoded(encoder.image_type, parts, size, encoder.lossy)
    return None


class Encoding:
    """
    The one encoding of an image with certain encoders, made by whoever asks first.

    Lives in the image's ``encodings``. :meth:`make` may be called from any thread,
    by several at once: the work is done once.
    """

    __slots__ = ("_lock", "done", "names", "pixels", "result")

    def __init__(self, pixels: Pixels, names: tuple[str, ...]) -> None:
        self.pixels: Pixels | None = pixels
        self.names = names
        self.done = False
        self.result: Encoded | None = None
        self._lock = Lock()

    @classmethod
    def of(cls, image: Any, names: tuple[str, ...]) -> Encoding:
        """The encoding of a device's image."""
        found: Encoding | None = image.encodings.get(names)
        if found is None:
            found = image.encodings.setdefault(names, cls(pixels_of(image), names))
        return found

    def make(self) -> Encoded | None:
        """Encode unless that has been done; None if no encoder helps."""
        with self._lock:
            if not self.done:
                assert self.pixels is not None
                self.result = encode(self.pixels, self.names)
                self.pixels = None
                self.done = True
        return self.result


def pixels_of(image: Any) -> Pixels:
    """The pixels of a device's image, not copied."""
    return Pixels(
        image.width,
        image.height,
        image.format,
        image.stride,
        image.data,
        image.top_down,
        tuple(image.palette),
    )
