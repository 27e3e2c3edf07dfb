# SPDX-License-Identifier: LGPL-2.1-or-later
"""
``spicemig codec``: raw pixels into a codec's bytes and back, outside any session.

Raw files have rows as they are in memory, every one of ``--stride`` bytes. A codec
is an entry of :data:`CODECS`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spicemig.codecs import glz, jpeg, lz, lz4, quic
from spicemig.codecs.pixels import ImageError, Pixels, row_bytes
from spicemig.errors import WireError
from spicemig.wire.declare import Buffer
from spicemig.wire.drawing import JpegAlphaData
from spicemig.wire.enums import BitmapFormat

# the pixel types' names, and what bitmaps call them; xxxa has only its fourth byte
PIXEL_TYPES: dict[str, BitmapFormat] = {
    "plt1_le": BitmapFormat.BIT1_LE,
    "plt1_be": BitmapFormat.BIT1_BE,
    "plt4_le": BitmapFormat.BIT4_LE,
    "plt4_be": BitmapFormat.BIT4_BE,
    "plt8": BitmapFormat.BIT8,
    "gray": BitmapFormat.BIT8_A,
    "a8": BitmapFormat.BIT8_A,
    "rgb16": BitmapFormat.BIT16,
    "rgb24": BitmapFormat.BIT24,
    "rgb32": BitmapFormat.BIT32,
    "rgba": BitmapFormat.RGBA,
    "xxxa": BitmapFormat.RGBA,
}
BENCH_UNIT = 10**6  # MB are millions of bytes of raw pixels

Encode = Callable[[Pixels, str], bytes]  # an image and the name of its pixel type
Decode = Callable[[bytes, str, int, int], Pixels]  # a stream, the name of the type, width and height


@dataclass(frozen=True, slots=True)
class Codec:
    """
    A codec as the command sees it. ``encoder()`` and ``decoder()`` begin anew: what
    they return is called for each image of a command, in order. A stream that says
    which row is first is decoded in its own order; ``directed`` ones do.
    """

    types: tuple[str, ...]
    encoder: Callable[[], Encode]
    decoder: Callable[[], Decode]
    directed: bool = True


def _encode_quic(pixels: Pixels, type: str) -> bytes:
    return b"".join(quic.encode_as(pixels, quic.QuicType[type.upper()]))


def _decode_quic(data: bytes, type: str, width: int, height: int) -> Pixels:
    return quic.decode_any(data, quic.QuicType[type.upper()])


def _encode_lz(pixels: Pixels, type: str) -> bytes:
    return b"".join(lz.encode_as(pixels, lz.LzType[type.upper()]))


def _decode_lz(data: bytes, type: str, width: int, height: int) -> Pixels:
    return lz.decode_any(data, lz.LzType[type.upper()])


SIZE_BYTES = 4  # little-endian, as the display channel has sizes in front of a payload


def _encode_lz4(pixels: Pixels, type: str) -> bytes:
    payload = b"".join(lz4.encode(pixels))
    return len(payload).to_bytes(SIZE_BYTES, "little") + payload


def _decode_lz4(data: bytes, type: str, width: int, height: int) -> Pixels:
    """With or without the size in front; a payload begins with 0 or 1 and a bitmap format."""
    payload = memoryview(data)
    size = int.from_bytes(payload[:SIZE_BYTES], "little")
    if size == len(data) - SIZE_BYTES and size > 1 and payload[4] < 2 and payload[5] in lz4.FORMATS:
        payload = payload[SIZE_BYTES:]
    return lz4.decode(payload, width, height)


def _encode_jpeg(pixels: Pixels, type: str) -> bytes:
    return b"".join(jpeg.encode(pixels))


def _decode_jpeg(data: bytes, type: str, width: int, height: int) -> Pixels:
    pixels = jpeg.decode(data, width, height)
    if type == "rgb24":
        tight = pixels.image().tobytes("raw", "BGR")
        return Pixels(width, height, BitmapFormat.BIT24, 3 * width, tight)
    return pixels


def _encode_jpeg_alpha(pixels: Pixels, type: str) -> bytes:
    """As the display channel carries it behind the descriptor: flags, both sizes, both streams."""
    head, *parts = jpeg.encode_alpha(pixels)
    payload = b"".join(parts)
    return bytes(head) + len(payload).to_bytes(4, "little") + payload


def _decode_jpeg_alpha(data: bytes, type: str, width: int, height: int) -> Pixels:
    try:
        record: Any = JpegAlphaData
        image = record.unpack(data)
    except WireError as error:
        raise ImageError(str(error)) from error
    return jpeg.decode_alpha(image.flags, image.jpeg_size, image.data, width, height)


GLZ_MAGIC = glz.MAGIC.to_bytes(4, "big")
GLZ_WINDOW_PIXELS = 16 * 1024 * 1024  # for all images of a command


def _glz_encoder(deflated: bool) -> Encode:
    """The images of a command share a window."""
    window = glz.GlzWindow(GLZ_WINDOW_PIXELS)

    def encode(pixels: Pixels, type: str) -> bytes:
        try:
            parts = window.encode(pixels)
        except ValueError as error:
            raise ImageError(f"GLZ: {error}") from error
        if not deflated:
            return b"".join(parts)
        size, packed = glz.deflate(parts)
        return size.to_bytes(SIZE_BYTES, "little") + len(packed).to_bytes(SIZE_BYTES, "little") + packed

    return encode


def _glz_decoder() -> Decode:
    """The images of a command share a window, whether deflated or not."""
    window = glz.GlzDecoderWindow()

    def decode(data: bytes, type: str, width: int, height: int) -> Pixels:
        return window.decode(_glz_stream(data), width, height)

    return decode


def _glz_stream(data: bytes) -> Buffer:
    """A stream, bare or with its size in front, or what is deflated behind two sizes."""
    payload = memoryview(data)
    sizes = [int.from_bytes(payload[at : at + SIZE_BYTES], "little") for at in (0, SIZE_BYTES)]
    if payload[:SIZE_BYTES] == GLZ_MAGIC:
        return payload
    if sizes[0] == len(data) - SIZE_BYTES and payload[SIZE_BYTES : 2 * SIZE_BYTES] == GLZ_MAGIC:
        return payload[SIZE_BYTES:]
    if sizes[1] == len(data) - 2 * SIZE_BYTES:
        return glz.inflate(payload[2 * SIZE_BYTES :], sizes[0])
    raise ImageError("neither GLZ nor sizes and what is deflated")


_GLZ_TYPES = tuple(type.name.lower() for type in lz.LzType if type <= lz.LzType.RGBA)

CODECS: dict[str, Codec] = {
    "quic": Codec(
        ("gray", "rgb16", "rgb24", "rgb32", "rgba"),
        lambda: _encode_quic,
        lambda: _decode_quic,
        directed=False,
    ),
    "lz": Codec(tuple(type.name.lower() for type in lz.LzType), lambda: _encode_lz, lambda: _decode_lz),
    "glz": Codec(_GLZ_TYPES, lambda: _glz_encoder(False), _glz_decoder),
    "zlib_glz": Codec(_GLZ_TYPES, lambda: _glz_encoder(True), _glz_decoder),
    "lz4": Codec(("rgb16", "rgb24", "rgb32", "rgba"), lambda: _encode_lz4, lambda: _decode_lz4),
    "jpeg": Codec(("rgb24", "rgb32"), lambda: _encode_jpeg, lambda: _decode_jpeg, directed=False),
    "jpeg_alpha": Codec(("rgba",), lambda: _encode_jpeg_alpha, lambda: _decode_jpeg_alpha, directed=False),
}


class UsageError(Exception):
    """The arguments do not fit together."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What raw bytes are: a type's name, a size, and rows of some bytes."""

    type: str
    width: int
    height: int
    stride: int
    top_down: bool

    def pixels(self, data: bytes) -> Pixels:
        """Raw bytes as an image; raises :class:`ImageError`."""
        pixels = Pixels(
            self.width, self.height, PIXEL_TYPES[self.type], self.stride, data, top_down=self.top_down
        )
        tight = row_bytes(pixels.format, self.width)
        missing = self.stride * self.height - len(data)
        if 0 < missing <= self.stride - tight:
            pixels.data = data + bytes(missing)  # the padding of the last row
        elif missing:
            raise ImageError(f"{len(data)} bytes for {self.height} rows of {self.stride}")
        pixels.check()
        return pixels

    def raw(self, pixels: Pixels, *, as_coded: bool) -> bytes:
        """
        An image as raw bytes, padded with zeros; ``as_coded`` in the order that it
        has. Raises :class:`ImageError`.
        """
        if (pixels.width, pixels.height) != (self.width, self.height):
            raise ImageError(f"{pixels.width}x{pixels.height} pixels, not {self.width}x{self.height}")
        if pixels.format != PIXEL_TYPES[self.type]:
            raise ImageError(f"pixels of bitmap format {pixels.format}, which is not {self.type}")
        tight = row_bytes(pixels.format, pixels.width)
        rows = pixels.rows()
        turned = not as_coded and pixels.top_down != self.top_down
        if self.stride == tight and not turned:
            return bytes(rows)
        order = range(self.height - 1, -1, -1) if turned else range(self.height)
        padding = bytes(self.stride - tight)
        return b"".join(bytes(rows[row * tight : (row + 1) * tight]) + padding for row in order)


def shapes_of(arguments: argparse.Namespace, count: int) -> list[Shape]:
    """The shape of each file: an option with commas has a value for each; raises :class:`UsageError`."""
    if arguments.codec not in CODECS:
        raise UsageError(f"there are the codecs {', '.join(sorted(CODECS))}, and not {arguments.codec}")
    codec = CODECS[arguments.codec]

    def each(option: str, value: str) -> list[str]:
        values = value.split(",")
        if len(values) not in (1, count):
            raise UsageError(f"{option} has {len(values)} values for {count} files")
        return values * count if len(values) == 1 else values

    types = each("--type", arguments.type)
    sizes = each("--size", arguments.size)
    strides = each("--stride", arguments.stride) if arguments.stride else [""] * count
    shapes = []
    for type, size, stride in zip(types, sizes, strides, strict=True):
        if type not in codec.types:
            raise UsageError(f"{arguments.codec} has the types {', '.join(codec.types)}, and not {type}")
        width, height = _size(size)
        tight = row_bytes(PIXEL_TYPES[type], width)
        bytes_ = int(stride) if stride.isdecimal() else tight
        if (stride and not stride.isdecimal()) or bytes_ < tight:
            raise UsageError(f"--stride {stride} is too small; a row has {tight} bytes")
        shapes.append(Shape(type, width, height, bytes_, not arguments.bottom_up))
    return shapes


def _size(text: str) -> tuple[int, int]:
    width, _x, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 0 < int(width) < 65536 and 0 < int(height) < 65536):
        raise UsageError(f"--size {text} is not WxH")
    return int(width), int(height)


def run_codec(arguments: argparse.Namespace) -> int:
    """The command: 0, 1 if a file cannot be read, written or decoded, 2 for wrong arguments."""
    source = Path(arguments.input)
    try:
        if arguments.output is None and not arguments.bench:
            raise UsageError("OUT is missing")
        files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else [source]
        shapes = shapes_of(arguments, len(files))
        images = [path.read_bytes() for path in files]
        if arguments.bench:
            report = bench(arguments, shapes, images)
            print(json.dumps(report) if arguments.json else text_of(report), flush=True)
            return 0
        made = convert(arguments, shapes, images)
        target = Path(arguments.output)
        if source.is_dir():
            target.mkdir(exist_ok=True)
        for path, data in zip(files, made, strict=True):
            (target / path.name if source.is_dir() else target).write_bytes(data)
    except UsageError as error:
        print(f"spicemig: {error}", file=sys.stderr)
        return 2
    except ImageError as error:
        print(f"spicemig: {arguments.input}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"spicemig: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def convert(arguments: argparse.Namespace, shapes: list[Shape], images: list[bytes]) -> list[bytes]:
    """Encode or decode all images, in order."""
    codec = CODECS[arguments.codec]
    if arguments.action == "encode":
        encode = codec.encoder()
        return [encode(shape.pixels(data), shape.type) for shape, data in zip(shapes, images, strict=True)]
    decode = codec.decoder()
    return [
        shape.raw(decode(data, shape.type, shape.width, shape.height), as_coded=codec.directed)
        for shape, data in zip(shapes, images, strict=True)
    ]


def repeat(prepare: Callable[[], Callable[[], Any]], seconds: float) -> tuple[int, float, float]:
    """
    Call what ``prepare`` returns, again and again for a while; how often, the processor
    time of this thread that it took, and the least time that one call took.
    """
    rounds, cpu, fastest = 0, 0.0, float("inf")
    end = time.monotonic() + seconds
    while rounds == 0 or time.monotonic() < end:
        step = prepare()
        began = time.thread_time()
        step()
        took = time.thread_time() - began
        rounds, cpu, fastest = rounds + 1, cpu + took, min(fastest, took)
    return rounds, cpu, fastest


def bench(arguments: argparse.Namespace, shapes: list[Shape], images: list[bytes]) -> dict[str, Any]:
    """Do it again and again for a while; how fast it went, and how much smaller images get."""
    codec = CODECS[arguments.codec]
    raw = sum(shape.stride * shape.height for shape in shapes)
    packed = sum(map(len, images))
    work: list[tuple[Any, ...]] = [
        (data, shape.type, shape.width, shape.height) for shape, data in zip(shapes, images, strict=True)
    ]
    begin: Callable[[], Callable[..., Any]] = codec.decoder
    if arguments.action == "encode":
        packed = sum(map(len, convert(arguments, shapes, images)))
        work = [(shape.pixels(data), shape.type) for shape, data in zip(shapes, images, strict=True)]
        begin = codec.encoder

    def prepare() -> Callable[[], None]:
        step = begin()

        def all_images() -> None:
            for each in work:
                step(*each)

        return all_images

    rounds, cpu, fastest = repeat(prepare, arguments.bench)
    return {
        "action": arguments.action,
        "codec": arguments.codec,
        "images": len(images),
        "rounds": rounds,
        "raw_bytes": raw,
        "coded_bytes": packed,
        "ratio": round(raw / packed, 3),
        "mb_per_second": round(raw * rounds / BENCH_UNIT / max(cpu, 1e-9), 1),
        "best_mb_per_second": round(raw / BENCH_UNIT / max(fastest, 1e-9), 1),
    }


def text_of(report: dict[str, Any]) -> str:
    """The report for people."""
    return (
        f"{report['codec']} {report['action']}: {report['mb_per_second']} MB/s of raw pixels and CPU time, "
        f"at best {report['best_mb_per_second']}; {report['raw_bytes']} bytes to {report['coded_bytes']}, "
        f"ratio {report['ratio']}; {report['rounds']} rounds"
    )
