# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The choice of encoders in the form that the kernels of display pipes take.

Made from what ``encoders.py`` says, for images whose format alone decides; the
rest is left to Python.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any

from lz4 import block

from spicemig.codecs import glz, lz, lz4, quic
from spicemig.codecs.encoders import ENCODERS, GLZ, candidates, natural_threshold
from spicemig.codecs.pixels import BITS_PER_PIXEL, PALETTE_FORMATS, Pixels
from spicemig.wire.enums import BitmapFormat

FORMATS = max(BitmapFormat) + 1

KIBIBYTE = 1024
# of pixels in an image that is encoded where it is packed: it takes less than a millisecond
LZ_BYTES, LZ4_BYTES, QUIC_BYTES, GLZ_BYTES = 512 * KIBIBYTE, 256 * KIBIBYTE, 128 * KIBIBYTE, 128 * KIBIBYTE


class Codec(IntEnum):
    """How a step is done in C."""

    LZ = 1
    QUIC = 2
    LZ4 = 3


# a codec, the type of image it makes, whether it is for natural images, how many bytes of pixels it takes;
# how its payload begins, what it has as planes or type, what is called
Step = tuple[int, int, bool, int, bytes, bytes, Callable[..., Any] | None]
# by what the encoding is known in the image; the steps; bytes of a pixel and where an image is natural, or 0;
# how many bytes of pixels the client's own dictionary is asked for first, as which type, and whether natural
# images may be for others
Choice = tuple[tuple[str, ...], tuple[Step, ...], int, float, int, int, bool]


def _lz(format: int) -> tuple[Codec, int, bytes, bytes, None]:
    type = lz.TYPES[format]
    return Codec.LZ, LZ_BYTES, struct.pack(">3I", lz.MAGIC, lz.VERSION, type), bytes(lz.planes(type)), None


def _quic(format: int) -> tuple[Codec, int, bytes, bytes, None]:
    type = quic.TYPES[format]
    return Codec.QUIC, QUIC_BYTES, struct.pack("<3I", quic.MAGIC, quic.VERSION, type), bytes((type,)), None


def _lz4(format: int) -> tuple[Codec, int, bytes, bytes, Any] | None:
    if format == BitmapFormat.BIT24:  # changed before it is encoded
        return None
    assert LZ4_BYTES <= lz4.BLOCK_BYTES
    return Codec.LZ4, LZ4_BYTES, b"", b"", partial(block.compress, store_size=False)


_COMPILED: dict[str, Callable[[int], Any]] = {"lz": _lz, "quic": _quic, "quic_natural": _quic, "lz4": _lz4}


@lru_cache(maxsize=64)
def choices(mode: int, client_lz4: bool) -> tuple[Choice | None, ...]:
    """By bitmap format, how images are encoded in a compression mode; None: Python does it."""
    return tuple(_choice(format, mode, client_lz4) for format in range(FORMATS))


def _choice(format: int, mode: int, client_lz4: bool) -> Choice | None:
    if format not in BITS_PER_PIXEL or format in PALETTE_FORMATS:
        return None
    any_image = Pixels(1, 1, format, 4, bytes(4))
    tried = candidates(any_image, mode, client_lz4=client_lz4, lossy=False)
    names = tuple(name for name in tried if name != GLZ)
    own = (GLZ_BYTES, int(glz.TYPES[format])) if GLZ in tried else (0, 0)
    apart = tried[:1] != (GLZ,)
    steps: list[Step] = []
    for name in names:
        compiled = _COMPILED[name](format) if name in _COMPILED else None
        if compiled is None:
            return None
        codec, *rest = compiled
        encoder = ENCODERS[name]
        steps.append((int(codec), int(encoder.image_type), encoder.natural, *rest))
    below = natural_threshold(format)
    if below is None:
        return names, tuple(steps), 0, 0.0, *own, apart
    return names, tuple(steps), BITS_PER_PIXEL[format] // 8, below, *own, apart
