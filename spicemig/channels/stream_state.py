# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a target must know of a client's video streams.
"""

from collections.abc import Iterable
from typing import Annotated

from spicemig.codecs import video
from spicemig.errors import WireError
from spicemig.wire.declare import Counted, i32, record, u8, u16, u32
from spicemig.wire.drawing import Rect

MAX_STREAMS = 64  # SPICE_MAX_NUM_STREAMS
MAX_SIDE = 1 << 16  # pixels from the corner of the screen


@record
class StreamAtClient:
    """A stream that the client has; with it the target goes on."""

    id: u32
    codec: u8
    width: u32
    height: u32
    dest: Rect
    clip: Annotated[list[Rect], Counted(u16)]
    visible: Annotated[list[Rect], Counted(u16)]
    report_id: u32
    bit_rate: u32
    fps: u16
    lead_ms: i32
    last_stamp: u32
    dropped: u32


def check_streams(streams: Iterable[StreamAtClient], primary: bool) -> None:
    """Raise :class:`WireError` unless these streams are possible; ``primary``: there is that surface."""
    ids: set[int] = set()
    for stream in streams:
        if (
            not primary
            or stream.id >= MAX_STREAMS
            or stream.id in ids
            or stream.codec not in video.NAMES.values()
            or not 0 < stream.width * stream.height <= video.MAX_FRAME_PIXELS
            or not 0 < stream.fps
            or not all(
                -MAX_SIDE <= rect.left < rect.right <= MAX_SIDE
                and -MAX_SIDE <= rect.top < rect.bottom <= MAX_SIDE
                for rect in (stream.dest, *stream.clip, *stream.visible)
            )
        ):
            raise WireError("DisplayState", "streams", reason=f"stream {stream.id} is not possible")
        ids.add(stream.id)
