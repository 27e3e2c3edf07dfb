# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Which codec an image goes out with, and its encoding, made once for all clients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from time import perf_counter_ns
from typing import Any

from PIL import Image

from spicemig.codecs import glz, jpeg, lz, lz4, quic
from spicemig.codecs.kernels import gradual_score
from spicemig.codecs.pixels import BITS_PER_PIXEL, PALETTE_FORMATS, Pixels, row_bytes
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat, ImageCompression, ImageType

MIN_JPEG_PIXELS = 64 * 64  # below this a lossy image saves too little
BUSY_FROM = 8  # an image is busy if LZ leaves more than this part of it; JPEG takes a third of that
# a natural image scores less per pair of pixels, in quarters; with five bits a component and with eight
NATURAL_BELOW_555, NATURAL_BELOW = 0.0, -0.12

GLZ = "glz"  # the encoder that needs the dictionary of a client; see channels.display_encoding
BUSY = "busy"  # as NATURAL
NATURAL = "natural"  # where an image's ``encodings`` say whether it is

STRIPES, STRIPE_PIXELS = 8, 4 * 1024  # of a large image that are looked at for a guess

_GRADUAL_FORMATS = frozenset((BitmapFormat.BIT16, BitmapFormat.BIT24, BitmapFormat.BIT32, BitmapFormat.RGBA))


@dataclass(frozen=True, slots=True)
class Encoder:
    """
    A codec as the choice sees it: the type of image it makes, from which bitmap formats.

    One for ``natural`` images leaves the others to the next in line. The first part that
    one with a ``head`` makes stands in front of the payload's size.
    """

    image_type: int
    formats: frozenset[int]
    encode: Callable[[Pixels], list[Buffer]]
    lossy: bool = False
    natural: bool = False
    head: bool = False


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


def _of_one_client(pixels: Pixels) -> list[Buffer]:
    raise AssertionError("GLZ is encoded with a client's dictionary")


ENCODERS: dict[str, Encoder] = {
    "quic": Encoder(ImageType.QUIC, quic.FORMATS, quic.encode),
    GLZ: Encoder(ImageType.GLZ_RGB, glz.FORMATS, _of_one_client),
    "lz": Encoder(ImageType.LZ_RGB, lz.COLOUR_FORMATS, lz.encode),
    "lz_palette": Encoder(ImageType.LZ_PLT, PALETTE_FORMATS, lz.encode),
    "lz4": Encoder(ImageType.LZ4, lz4.FORMATS, _lz4),
    "jpeg": Encoder(ImageType.JPEG, jpeg.FORMATS, jpeg.encode, lossy=True, natural=True),
    "jpeg_alpha": Encoder(
        ImageType.JPEG_ALPHA, jpeg.ALPHA_FORMATS, jpeg.encode_alpha, lossy=True, natural=True, head=True
    ),
}
ENCODERS["quic_natural"] = replace(ENCODERS["quic"], natural=True)

# which lossless encoders a compression mode takes, best first; others take none
MODES: dict[int, tuple[str, ...]] = {
    mode: ("lz4", "lz", "lz_palette")
    for mode in ImageCompression
    if mode not in (ImageCompression.INVALID, ImageCompression.OFF)
}
MODES[ImageCompression.QUIC] = ("quic",)
MODES[ImageCompression.LZ] = ("lz", "lz_palette")
MODES[ImageCompression.AUTO_LZ] = ("quic_natural", "lz", "lz_palette")
MODES[ImageCompression.GLZ] = (GLZ, "lz", "lz_palette")
MODES[ImageCompression.AUTO_GLZ] = ("quic_natural", GLZ, "lz", "lz_palette")

LOSSY = ("jpeg", "jpeg_alpha")  # tried before those of any mode, where loss is allowed


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image payload and what it is; ``head`` stands in front of its size."""

    image_type: int
    parts: list[Buffer]
    size: int
    lossy: bool
    head: Buffer = b""


def candidates(pixels: Pixels, mode: int, *, client_lz4: bool, lossy: bool) -> tuple[str, ...]:
    """
    The names of the encoders to try for an image, best first; without any it goes out as a bitmap.

    All but the last, and GLZ before it, are for natural images. The client's dictionary
    may take what GLZ is named for; without it the others are left.
    """
    names = tuple(name for name in MODES.get(mode, ()) if name != "lz4" or client_lz4)
    if mode in MODES and lossy and pixels.width * pixels.height >= MIN_JPEG_PIXELS:
        names = (*LOSSY, *names)
    chosen: list[str] = []
    for name in names:
        if pixels.format in ENCODERS[name].formats and (pixels.palette or name != "lz_palette"):
            chosen.append(name)
            if not ENCODERS[name].natural and name != GLZ:
                break
    return tuple(chosen)


def is_natural(pixels: Pixels) -> bool:
    """
    Whether the colours of an image change gradually, as those of a photograph, or not,
    as in text and drawings: as spice-server 0.15.1 finds it, dcc.cpp.
    """
    below = natural_threshold(pixels.format)
    if below is None or pixels.width < 2 or pixels.height < 2:
        return False
    size = pixels.width, pixels.height
    score, pairs = gradual_score(pixels.data, pixels.stride, *size, BITS_PER_PIXEL[pixels.format] // 8)
    return bool(score < pairs * below)


def natural_threshold(format: int) -> float | None:
    """Below which score for a pair of pixels an image of this format is natural; None: it never is."""
    if format not in _GRADUAL_FORMATS:
        return None
    return NATURAL_BELOW_555 if format == BitmapFormat.BIT16 else NATURAL_BELOW


def image_is_natural(image: Any) -> bool:
    """As :func:`is_natural`, of a device's image; looked at once."""
    known: bool | None = image.encodings.get(NATURAL)
    if known is None:
        known = image.encodings[NATURAL] = is_natural(pixels_of(image))
    return known


def seems_natural(image: Any) -> bool:
    """
    As :func:`image_is_natural`; of a large image some stripes are looked at first.

    Where these are not natural that is the answer, as for most of what guests draw.
    """
    known: bool | None = image.encodings.get(NATURAL)
    if known is not None or image.width * image.height <= STRIPES * STRIPE_PIXELS:
        return image_is_natural(image)
    pixels = pixels_of(image)
    below = natural_threshold(pixels.format)
    rows = max(2, STRIPE_PIXELS // pixels.width)
    if below is None or STRIPES * rows > pixels.height:
        return image_is_natural(image)
    data, pixel_bytes = memoryview(pixels.data), BITS_PER_PIXEL[pixels.format] // 8
    score, pairs = 0.0, 0
    for number in range(STRIPES):
        start = (2 * number + 1) * pixels.height // (2 * STRIPES) - rows // 2
        stripe = data[start * pixels.stride : (start + rows) * pixels.stride]
        its_score, its_pairs = gradual_score(stripe, pixels.stride, pixels.width, rows, pixel_bytes)
        score, pairs = score + its_score, pairs + its_pairs
    return bool(score < pairs * below) and image_is_natural(image)


def is_busy(pixels: Pixels) -> bool:
    """Whether lossless codecs make little of an image, though its colours may not change gradually."""
    if pixels.format not in lz.COLOUR_FORMATS:
        return False
    plain = row_bytes(pixels.format, pixels.width) * pixels.height
    return sum(map(len, lz.encode(pixels))) * BUSY_FROM > plain


def is_lossy(name: str) -> bool:
    """Whether an encoder is."""
    return ENCODERS[name].lossy


def image_is_apart(image: Any, *, lossy: bool) -> bool:
    """Whether a device's image is for an encoder of natural ones; a ``lossy`` one takes busy ones, too."""
    if image_is_natural(image) or not lossy:
        return image_is_natural(image)
    known: bool | None = image.encodings.get(BUSY)
    if known is None:
        known = image.encodings[BUSY] = is_busy(pixels_of(image))
    return known


def encode(pixels: Pixels, names: tuple[str, ...], natural: bool | None = None) -> Encoded | None:
    """
    What the first of these encoders that helps makes of an image; None if none does.

    ``natural`` says whether it is, if that is known.
    """
    plain = row_bytes(pixels.format, pixels.width) * pixels.height
    if natural is None:
        natural = ENCODERS[names[0]].natural and is_natural(pixels)
    for name in names:
        encoder = ENCODERS[name]
        if encoder.natural and not natural and not (encoder.lossy and is_busy(pixels)):
            continue
        parts = encoder.encode(pixels)
        head = parts.pop(0) if encoder.head else b""
        size = sum(map(len, parts))
        if size < plain:
            return Encoded(encoder.image_type, parts, size, encoder.lossy, head)
    return None


class Encoding:
    """
    The one encoding of an image with certain encoders, made by whoever asks first.

    Lives in the image's ``encodings``. :meth:`make` may be called from any thread,
    by several at once: the work is done once.
    """

    __slots__ = ("_lock", "_nanoseconds", "done", "names", "natural", "pixels", "result")

    def __init__(self, pixels: Pixels, names: tuple[str, ...], natural: bool | None = None) -> None:
        self.pixels: Pixels | None = pixels
        self.names = names
        self.natural = natural  # if that is known
        self.done = False
        self.result: Encoded | None = None
        self._nanoseconds = 0  # that it took, until somebody has counted them
        self._lock = Lock()

    @classmethod
    def of(cls, image: Any, names: tuple[str, ...]) -> Encoding:
        """The encoding of a device's image; kernels leave what they make as type and payload, or None."""
        found = image.encodings.get(names, cls)
        if isinstance(found, Encoding):
            return found
        encoding = cls(pixels_of(image), names, image.encodings.get(NATURAL))
        if found is not cls:
            encoding.done, encoding.pixels = True, None
            if found is not None:
                encoding.result = Encoded(found[0], [found[1]], len(found[1]), lossy=False)
        image.encodings[names] = encoding
        return encoding

    def make(self) -> Encoded | None:
        """Encode unless that has been done; None if no encoder helps."""
        with self._lock:
            if not self.done:
                assert self.pixels is not None
                began = perf_counter_ns()
                self.result = encode(self.pixels, self.names, self.natural)
                self._nanoseconds = perf_counter_ns() - began
                self.pixels = None
                self.done = True
        return self.result

    def take_nanoseconds(self) -> int:
        """How long making it took, for the first who asks, so that it counts once."""
        taken, self._nanoseconds = self._nanoseconds, 0
        return taken


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
