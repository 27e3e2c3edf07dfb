# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The video streams that a client is shown. A frame is drawn when it comes: nothing here has
sound to wait for.

Source: spice-gtk 0.42, channel-display.c.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec

from spicemig.client.canvas import Box, Canvas
from spicemig.client.images import picture_of
from spicemig.codecs import video
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.enums import ClipType, ImageScaleMode, Ropd, StreamFlags

MAX_STREAMS = 64

CODEC_CAPS = frozenset({DisplayCap.CODEC_MJPEG}) | (
    {DisplayCap.CODEC_VP8, DisplayCap.CODEC_H264, DisplayCap.CODEC_VP9} if find_spec("av") else frozenset()
)


@dataclass(slots=True)
class ShownStream:
    """A stream that the server made."""

    surface_id: int
    codec: int
    top_down: bool
    dest: Box
    clip: list[Box] | None
    decoder: video.Decoder
    stamps: list[int] = field(default_factory=list)  # of all its frames
    sized: int = 0  # frames with a place of their own


class Streams:
    """The streams of one display channel; ``canvas`` is drawn on."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.streams: dict[int, ShownStream] = {}
        self.created = 0
        self.destroyed = 0

    def create(self, message) -> None:
        """A stream begins."""
        if message.id >= MAX_STREAMS or message.id in self.streams:
            raise ProtocolError(LinkError.INVALID_DATA, f"stream {message.id} cannot be created")
        try:
            decoder = video.Decoder(message.codec_type)
        except video.VideoError as error:
            raise ProtocolError(LinkError.INVALID_DATA, str(error)) from error
        self.created += 1
        self.streams[message.id] = ShownStream(
            message.surface_id,
            int(message.codec_type),
            bool(message.flags & StreamFlags.TOP_DOWN),
            Box.of(message.dest),
            _boxes(message.clip),
            decoder,
        )

    def find(self, stream_id: int) -> ShownStream:
        """A stream that there is."""
        try:
            return self.streams[stream_id]
        except KeyError:
            raise ProtocolError(LinkError.INVALID_DATA, f"there is no stream {stream_id}") from None

    def show(self, message, dest: Box | None = None) -> tuple[int, Box]:
        """Draw a frame; tells surface and place."""
        stream = self.find(message.base.id)
        stream.stamps.append(message.base.multi_media_time)
        stream.sized += dest is not None
        box = dest if dest is not None else stream.dest
        pixels = stream.decoder.decode(message.data)
        if pixels is not None:
            pixels.top_down = stream.top_down
            picture = picture_of(pixels)
            self.canvas.copy(
                stream.surface_id,
                box,
                stream.clip,
                picture,
                picture.box,
                Ropd.OP_PUT,
                ImageScaleMode.INTERPOLATE,
            )
        return stream.surface_id, box

    def clip(self, message) -> None:
        """Where a stream may draw from now on."""
        self.find(message.id).clip = _boxes(message.clip)

    def destroy(self, stream_id: int) -> None:
        """A stream ends."""
        self.find(stream_id)
        del self.streams[stream_id]
        self.destroyed += 1

    def clear(self) -> None:
        """All of them end."""
        self.destroyed += len(self.streams)
        self.streams.clear()


def _boxes(clip) -> list[Box] | None:
    return [Box.of(rect) for rect in clip.rects or []] if clip.type == ClipType.RECTS else None
