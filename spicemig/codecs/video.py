# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Video codecs of display streams: pictures into frames and back.

MJPEG is made with Pillow. VP8, H264 and VP9 need PyAV, which is optional: without it
:func:`missing` says what is absent. An encoder belongs to one stream and makes its
frames in order; where a frame is made does not matter, and the GIL is released.

Source: spice.proto, video_codec_type; spice-server 0.15.1, mjpeg-encoder.c and
gstreamer-encoder.c; spice-gtk 0.42, channel-display-mjpeg.c and channel-display-gst.c: a
client takes the size of the picture from the frame and scales it to where it belongs.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from PIL import Image

from spicemig.codecs.pixels import ImageError, Pixels
from spicemig.wire.declare import Buffer
from spicemig.wire.enums import BitmapFormat, VideoCodec

QUALITIES = (20, 30, 40, 50, 60, 70, 80, 90)  # of MJPEG frames
START_QUALITY = 4  # as an index
STEP_GROWTH = 1.3  # a frame grows by less than this from one quality to the next, but for the last
ROOM = 0.9  # of the bytes that a frame may have: with less a better quality is tried

REOPEN_CHANGE = 0.25  # of the bit rate; an encoder that cannot change it begins anew with a key frame
KEY_FRAME_SECONDS = 20  # between key frames that nobody asked for
SMALL_PIXELS = 128 * 1024
MAX_FRAME_PIXELS = 8192 * 8192
MILLISECONDS = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class AVCodec:
    """How a codec is called in FFmpeg, and set up to encode at once and cheaply."""

    encoder: str
    decoder: str
    options: dict[str, str] = field(default_factory=dict)
    even: bool = False  # whether it takes even sizes only


AV_CODECS: dict[int, AVCodec] = {
    VideoCodec.VP8: AVCodec(
        "libvpx", "vp8", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
    ),
    VideoCodec.VP9: AVCodec(
        "libvpx-vp9", "vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "row-mt": "0"}
    ),
    VideoCodec.H264: AVCodec(
        "libx264",
        "h264",
        {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1"},
        even=True,
    ),
}

# bitmap formats of what may be a frame
FORMATS = frozenset((BitmapFormat.BIT16, BitmapFormat.BIT24, BitmapFormat.BIT32, BitmapFormat.RGBA))

# as they are written in settings
NAMES: dict[str, int] = {
    "mjpeg": VideoCodec.MJPEG,
    "vp8": VideoCodec.VP8,
    "h264": VideoCodec.H264,
    "vp9": VideoCodec.VP9,
}


class VideoError(Exception):
    """A frame cannot be encoded."""


class Encoder(Protocol):
    """
    Makes the frames of one stream.

    ``bit_rate`` (bits per second) and ``fps`` may be set at any time.
    """

    bit_rate: int
    fps: int

    @property
    def codec(self) -> int:
        """What its frames are."""

    def encode(self, picture: Pixels, pts: int, *, key: bool = False) -> bytes:
        """
        The frame of a picture, whose size may change; ``pts`` in ms, growing.

        A ``key`` frame needs none before it. Raises :class:`VideoError`.
        """

    def made(self, size: int) -> None:
        """The frame in turn has ``size`` bytes, whoever made it; choose the quality of the next one."""

    @property
    def sharing(self) -> Any:
        """Encoders for which this is equal make the same frame of the same picture; None: none do."""

    @property
    def at_worst(self) -> bool:
        """Whether its frames cannot be made smaller."""


def _av() -> ModuleType | None:
    try:
        return import_module("av")
    except ImportError:
        return None


def missing(codec: int) -> str:
    """Why this program cannot encode with a codec; empty if it can."""
    if codec == VideoCodec.MJPEG:
        return ""
    known = AV_CODECS.get(codec)
    if known is None:
        return f"video codec {codec} is not known"
    av = _av()
    if av is None:
        return "PyAV is not installed (pip install spicemig[video], or Debian's python3-av)"
    try:
        av.codec.Codec(known.encoder, "w")
    except (ValueError, LookupError):
        return f"FFmpeg has no {known.encoder}"
    return ""


def open_encoder(codec: int, bit_rate: int, fps: int) -> Encoder:
    """A new encoder; raises :class:`VideoError` if there is none for this codec."""
    reason = missing(codec)
    if reason:
        raise VideoError(reason)
    return MjpegEncoder(bit_rate, fps) if codec == VideoCodec.MJPEG else AVEncoder(codec, bit_rate, fps)


class MjpegEncoder:
    """Every frame a JPEG file; the quality follows the bit rate."""

    codec: int = VideoCodec.MJPEG

    def __init__(self, bit_rate: int, fps: int) -> None:
        self.bit_rate = bit_rate
        self.fps = fps
        self._quality = START_QUALITY

    @property
    def quality(self) -> int:
        """That of the next frame, as JPEG counts it."""
        return QUALITIES[self._quality]

    @property
    def sharing(self) -> Any:
        return "mjpeg", self.quality

    @property
    def at_worst(self) -> bool:
        return self._quality == 0

    def encode(self, picture: Pixels, pts: int, *, key: bool = False) -> bytes:
        try:
            return jpeg_file(_without_alpha(picture).image(), self.quality)
        except (OSError, ValueError, ImageError) as error:
            raise VideoError(f"MJPEG: {error}") from error

    def made(self, size: int) -> None:
        room = self.bit_rate / 8 / max(1, self.fps)
        while size > room and self._quality > 0:
            self._quality -= 1
            size = int(size / STEP_GROWTH)
        if size * STEP_GROWTH < ROOM * room and self._quality < len(QUALITIES) - 1:
            self._quality += 1


def is_small(width: int, height: int) -> bool:
    """Whether an MJPEG frame of this size is made within half a millisecond."""
    return width * height <= SMALL_PIXELS


def jpeg_file(image: Image.Image, quality: int) -> bytes:
    """A baseline JPEG file."""
    if is_small(*image.size) or not hasattr(os, "memfd_create"):
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality)
        return out.getvalue()
    # Pillow releases the GIL only where it writes to a file descriptor
    with open(os.memfd_create("frame"), "w+b", buffering=0) as file:
        image.save(file, "JPEG", quality=quality)
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _without_alpha(picture: Pixels) -> Pixels:
    """The same with colours only."""
    return replace(picture, format=BitmapFormat.BIT32) if picture.format == BitmapFormat.RGBA else picture


class AVEncoder:
    """Frames of one of :data:`AV_CODECS`."""

    def __init__(self, codec: int, bit_rate: int, fps: int) -> None:
        av = _av()
        assert av is not None
        self.codec = codec
        self.bit_rate = bit_rate
        self.fps = fps
        self._av = av
        self._how = AV_CODECS[codec]
        self._context: Any = None
        self._context_rate = 0
        self._picture_i = av.video.frame.PictureType.I
        self._picture_any = av.video.frame.PictureType.NONE

    def made(self, size: int) -> None:
        """FFmpeg has its own rate control."""

    @property
    def sharing(self) -> Any:
        return None  # a frame stands on those before it, which were made for one client

    @property
    def at_worst(self) -> bool:
        return False

    def encode(self, picture: Pixels, pts: int, *, key: bool = False) -> bytes:
        width, height = picture.width, picture.height
        if self._how.even:
            width, height = width + (width & 1), height + (height & 1)
        try:
            context = self._context_for(width, height)
            frame = self._frame(picture).reformat(width=width, height=height, format="yuv420p")
            frame.pts = pts
            frame.time_base = MILLISECONDS
            frame.pict_type = self._picture_i if key else self._picture_any
            return b"".join(bytes(packet) for packet in context.encode(frame))
        except (self._av.error.FFmpegError, ValueError, ImageError) as error:
            raise VideoError(f"{self._how.encoder}: {error}") from error

    def _context_for(self, width: int, height: int) -> Any:
        """The encoder for this size and about the wanted bit rate."""
        context = self._context
        if (
            context is None
            or (context.width, context.height) != (width, height)
            or abs(self.bit_rate - self._context_rate) > REOPEN_CHANGE * self._context_rate
        ):
            context = self._av.codec.CodecContext.create(self._how.encoder, "w")
            context.width, context.height = width, height
            context.pix_fmt = "yuv420p"
            context.time_base = MILLISECONDS
            context.framerate = Fraction(self.fps, 1)
            context.bit_rate = self._context_rate = self.bit_rate
            context.gop_size = KEY_FRAME_SECONDS * self.fps
            context.thread_count = 1
            context.options = dict(self._how.options)
            self._context = context
        return context

    def _frame(self, picture: Pixels) -> Any:
        """The picture as FFmpeg has it."""
        picture.check()
        width, height = picture.width, picture.height
        if picture.top_down and picture.format in (BitmapFormat.BIT32, BitmapFormat.RGBA):
            name, row, rows = "bgr0", width * 4, memoryview(picture.rows())
        else:
            name, row, rows = "rgb24", width * 3, memoryview(_without_alpha(picture).image().tobytes())
        frame = self._av.VideoFrame(width, height, name)
        plane = frame.planes[0]
        padding = bytes(plane.line_size - row)
        if padding:
            rows = memoryview(
                b"".join(bytes(rows[at : at + row]) + padding for at in range(0, row * height, row))
            )
        plane.update(rows)
        return frame


class Decoder:
    """Makes pictures of the frames of one stream; for our own client."""

    def __init__(self, codec: int) -> None:
        self.codec = codec
        self._context: Any = None
        if codec != VideoCodec.MJPEG:
            av = _av()
            if av is None or codec not in AV_CODECS:
                raise VideoError(missing(codec) or f"video codec {codec}")
            self._av = av
            self._context = av.codec.CodecContext.create(AV_CODECS[codec].decoder, "r")
            self._context.thread_count = 1
            # one frame in, one picture out
            self._context.flags |= 1 << 19  # AV_CODEC_FLAG_LOW_DELAY

    def decode(self, data: Buffer) -> Pixels | None:
        """
        The picture, as 32-bit rows with the top one first; None if it cannot be seen yet.

        Raises :class:`ImageError` for what is no frame.
        """
        if self._context is None:
            return _jpeg_picture(data)
        try:
            frames = self._context.decode(self._av.Packet(bytes(data)))
        except (self._av.error.FFmpegError, ValueError) as error:
            raise ImageError(f"video frame: {error}") from error
        if not frames:
            return None
        image = frames[-1].reformat(format="rgb24").to_image()
        return _pixels_of(image)


def _jpeg_picture(data: Buffer) -> Pixels:
    try:
        with Image.open(io.BytesIO(bytes(data)), formats=("JPEG",)) as image:
            if image.width * image.height > MAX_FRAME_PIXELS:
                raise ImageError(f"a frame of {image.width}x{image.height}")
            return _pixels_of(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"MJPEG: {error}") from error


def _pixels_of(image: Image.Image) -> Pixels:
    data = image.tobytes("raw", "BGRX")
    return Pixels(image.width, image.height, BitmapFormat.BIT32, image.width * 4, data)


def crop(pixels: Pixels, left: int, top: int, right: int, bottom: int) -> Pixels:
    """A part of a picture; raises :class:`ImageError` unless it lies inside."""
    if not (0 <= left < right <= pixels.width and 0 <= top < bottom <= pixels.height):
        raise ImageError("a frame of pixels that are not there")
    if (left, top, right, bottom) == (0, 0, pixels.width, pixels.height):
        return pixels
    return _pixels_of(_without_alpha(pixels).image().crop((left, top, right, bottom)))
