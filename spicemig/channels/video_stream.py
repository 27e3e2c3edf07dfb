# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One video stream of one client, and its frames on their way.

Source: spice.proto, DisplayChannel; spice-server 0.15.1, video-stream.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import Any

from spicemig.channels.display_pipe import Waiting
from spicemig.channels.stream_rate import StreamRate
from spicemig.channels.video_detection import Place
from spicemig.codecs import video
from spicemig.codecs.encoders import pixels_of
from spicemig.codecs.pixels import ImageError
from spicemig.wire.drawing import Rect
from spicemig.wire.enums import VideoCodec

MAX_SCORE = 12  # natural frames more than others that count


class Stream:
    """One stream of one client."""

    def __init__(self, id: int, place: Place, codec: int, rate: StreamRate, now: float) -> None:
        self.id = id
        self.place = place
        self.codec = codec
        self.rate = rate
        self.created = False  # at the client
        self.clip: list[Rect] = []  # where the client lets it draw
        self.visible: list[Rect] = []  # where the client does not show what the surface has
        self.report_id = 0
        self.drawn_at = now
        self.paused = False
        self.score = MAX_SCORE // 2
        self.disturbed = 0.0
        self.sent = 0
        self.dropped = 0
        self.waiting: Frame | None = None  # the last one that was drawn
        self.encoded: Frame | None = None  # the last one that the encoder was given
        self.lock = Lock()  # held while a frame is encoded
        self._encoder: video.Encoder | None = None

    @property
    def dest(self) -> Rect:
        """Where its frames are, but for those that say something else."""
        return rect_at(self.place)

    def encoder(self) -> video.Encoder:
        """The encoder, with bit rate and frames per second as they are now; raises ``VideoError``."""
        if self._encoder is None:
            self._encoder = video.open_encoder(self.codec, self.rate.bit_rate, self.rate.fps)
        self._encoder.bit_rate = self.rate.bit_rate
        self._encoder.fps = self.rate.fps
        return self._encoder

    def describe(self) -> dict[str, Any]:
        """What to tell operators of it."""
        return {
            "id": self.id,
            "codec": next(name for name, codec in video.NAMES.items() if codec == self.codec),
            "size": f"{self.place[4]}x{self.place[5]}",
            "box": list(self.place[:4]),
            "fps": self.rate.fps,
            "bit_rate": self.rate.bit_rate,
            "lead_ms": self.rate.lead_ms,
            "frames": self.sent,
            "dropped": self.dropped,
        }


class Frame(Waiting):
    """
    A drawable in the pipe that is a frame of a stream, as long as :attr:`stream` is set.

    It depends on nothing, so that it is never given up for what is owed.
    """

    __slots__ = (
        "area",
        "data",
        "done",
        "drawn_mm",
        "key",
        "place",
        "region",
        "seconds",
        "started",
        "trouble",
        "went",
    )

    place: Place
    region: list[Rect]
    area: Rect  # of the image
    drawn_mm: int
    started: bool  # the encoder has been given it, or it is left out
    done: bool
    key: bool
    seconds: float  # that encoding it took
    data: bytes | None  # None when done: left out, or the encoder failed
    trouble: str  # why the encoder failed
    went: bool

    @property
    def quick(self) -> bool:
        """Whether encoding it takes less than to have a thread do it is worth."""
        stream = self.stream
        return stream is not None and stream.codec == VideoCodec.MJPEG and video.is_small(*self.place[4:])

    def begin(self, stream: Stream, place: Place, region: list[Rect], area: Rect, drawn_mm: int) -> None:
        """Say which stream it belongs to."""
        self.stream, self.place, self.region = stream, place, region
        self.area, self.drawn_mm = area, drawn_mm
        self.started = self.done = self.key = self.went = False
        self.data, self.trouble, self.seconds = None, "", 0.0
        self.keep()
        self.snapshot = True
        self.weight = stream.rate.bit_rate // 8 // stream.rate.fps  # of what is sent, about

    def run(self) -> None:
        """Encode it; may be called in any thread."""
        stream = self.stream
        if stream is None:
            return
        with stream.lock:
            if not self.done:
                began = perf_counter()
                try:
                    self.data = self._encode(stream)
                except (video.VideoError, ImageError) as error:
                    self.trouble = str(error)
                self.seconds = perf_counter() - began
                self.done = True

    def _encode(self, stream: Stream) -> bytes:
        encoder = stream.encoder()
        ((_offset, image),) = self.drawable.fixups()
        sharing = encoder.sharing
        if sharing is None:
            return encoder.encode(self._picture(image), self.drawn_mm, key=self.key)
        # clients with the same quality share a frame
        shared = image.encodings.setdefault((sharing, sides(self.area)), SharedFrame())
        with shared.lock:
            if shared.data is None:
                shared.data = encoder.encode(self._picture(image), self.drawn_mm)
            return shared.data

    def _picture(self, image: Any) -> Any:
        return video.crop(pixels_of(image), *sides(self.area))


class SharedFrame:
    """A frame that stands alone, made for the first client that wants it."""

    __slots__ = ("data", "lock")

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.lock = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class FrameJob:
    """Work for a thread: a frame to be encoded."""

    frame: Frame

    def run(self) -> None:
        """See :meth:`Frame.run`."""
        self.frame.run()


def sides(rect: Rect) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    return rect.left, rect.top, rect.right, rect.bottom


def rect_at(place: Place) -> Rect:
    """Where a place is."""
    left, top, right, bottom = place[:4]
    return Rect(top=top, left=left, bottom=bottom, right=right)
