# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The video streams of one display channel.

A drawable that is a frame of a stream waits in the display pipe as any other does, so
that order holds and the newest frame wins; when its turn comes it goes out as a frame. What
the client shows of a stream is lossy and may be late: frames wait for their stamps while
drawings take effect at once. So each stream knows where it may draw at the client (its
clip) and where the client's pixels are not right (what is visible of it). Every other drawing
that replaces pixels takes them out of both, first by STREAM_CLIP; one that reads pixels that
are not right has them, and itself, repainted instead.

Source: spice.proto, DisplayChannel; spice-server 0.15.1, video-stream.cpp; spice-gtk 0.42,
channel-display.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.logger import Logger

from spicemig.channels.display_line import DisplayLine
from spicemig.channels.display_pipe import DisplayPipe, Waiting
from spicemig.channels.display_reads import copied, reads, replaces
from spicemig.channels.regions import MAX_RECTS, around, holds, less, meet
from spicemig.channels.regions import pixels_of as area_of
from spicemig.channels.regions_reference import BOX
from spicemig.channels.stream_rate import NO_DECODER_DROPS, START_BIT_RATE, StreamRate
from spicemig.channels.stream_state import MAX_STREAMS, StreamAtClient
from spicemig.channels.tallies import DisplayTally
from spicemig.channels.video_detection import MIN_PIXELS, Place, VideoDetector
from spicemig.channels.video_stream import (
    MAX_SCORE,
    Frame,
    FrameJob,
    Stream,
    rect_at,
    sides,
)
from spicemig.codecs import video
from spicemig.codecs.encoders import seems_natural
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.drawing import Clip, Rect
from spicemig.wire.enums import ClipType, ImageFlags, StreamFlags, VideoCodec
from spicemig.wire.messages import display

PRIMARY = 0  # the only surface that has streams
PAUSE_SECONDS = 0.4  # without a frame: the last one is shown as it is
END_SECONDS = 5.0  # without a frame: the stream ends
MAX_GROWTH = 2  # times the area of its first frames that a frame of another size may have
LOOK_FRAMES = 4  # of which one is looked at, where all were natural before
MAX_DISTURBANCES = 8  # repaints in quick succession, because others read what is streamed
REPORT_FRAMES, REPORT_MS = 5, 1000  # after how many the client reports
MAX_PREFERRED = 32  # codecs that a client names

MAX_WAITING_FRAMES = 4  # of a stream, because others read them; with more these are repainted
LOOKAHEAD = 8  # entries of the pipe that may be encoded before it is their turn

DRAW_COPY = 304
EFFECT_OPAQUE = 1

CODEC_CAPS: dict[int, int] = {
    VideoCodec.MJPEG: DisplayCap.CODEC_MJPEG,
    VideoCodec.VP8: DisplayCap.CODEC_VP8,
    VideoCodec.H264: DisplayCap.CODEC_H264,
    VideoCodec.VP9: DisplayCap.CODEC_VP9,
}


class DisplayStreams:
    """
    The streams of one display channel, and the look-out for new ones.

    ``mode`` is off, filter or all, ``codecs`` what the host allows, best first. It
    has no clock: :meth:`tell_time` comes before anything else.
    """

    log = Logger()

    def __init__(
        self,
        pipe: DisplayPipe,
        send: Callable[[Any], None],
        line: DisplayLine,
        caps: Iterable[int],
        mode: str,
        codecs: Iterable[str],
        tally: DisplayTally,
    ) -> None:
        self.pipe = pipe
        self._send = send
        self._tally = tally
        self._line = line
        self._caps = frozenset(caps)
        self._allowed = tuple(video.NAMES[name] for name in codecs)
        self._mode = mode
        self._detector = VideoDetector(natural_only=mode != "all")
        self._streams: dict[int, Stream] = {}
        self._free = deque(range(MAX_STREAMS))  # the one that was free longest is first
        self._preferred: list[int] = []  # by the client
        self._refused: set[int] = set()  # codecs that the client turned out not to decode
        self._report_id = 0
        self.now = 0.0
        self._arrived = False  # streams came from another host, and the time is not known yet
        self.mm_now = 0
        self.codec = self._choose()

    @property
    def active(self) -> bool:
        """Whether there are streams."""
        return bool(self._streams)

    @property
    def blurred(self) -> bool:
        """Whether the client shows anything of a stream that is not as it was drawn."""
        return any(stream.visible for stream in self._streams.values())

    @property
    def watching(self) -> bool:
        """Whether a drawable may turn out to be a frame."""
        return self.codec is not None or bool(self._streams)

    @property
    def frame_pixels(self) -> int:
        """How many pixels an image has at least that may turn out to be a frame; 0: none can."""
        if not self.watching:
            return 0
        return MIN_PIXELS if self._detector.natural_only else 1

    def boxes(self) -> bytes:
        """Where streams are or were: what neither draws nor reads there is none of their business."""
        return b"".join(
            BOX.pack(rect.top, rect.left, rect.bottom, rect.right)
            for stream in self._streams.values()
            for rect in (stream.dest, *stream.clip, *stream.visible)
        )

    def tell_time(self, now: float, mm_now: int) -> None:
        """What time it is, and what the multimedia clock shows."""
        if self._arrived:
            self._arrived = False
            for stream in self._streams.values():
                stream.drawn_at = now
        self.now, self.mm_now = now, mm_now

    def describe(self) -> list[dict[str, Any]]:
        """What to tell operators of the streams."""
        return [stream.describe() for stream in self._streams.values()]

    def codecs(self) -> Iterator[int]:
        """The codec of each stream that the client has."""
        return (stream.codec for stream in self._streams.values() if stream.created)

    # codecs

    def prefer(self, codecs: Iterable[int]) -> None:
        """The client would like these codecs, best first; streams that are there stay as they are."""
        self._preferred = list(dict.fromkeys(codecs))[:MAX_PREFERRED]
        self.codec = self._choose()

    def _choose(self) -> int | None:
        """The codec of the next stream; None if there can be none."""
        if self._mode == "off":
            return None
        wanted = [codec for codec in self._preferred if codec in self._allowed]
        for codec in dict.fromkeys([*wanted, *self._allowed]):
            if codec not in self._refused and self.decodes(codec) and not video.missing(codec):
                return codec
        return None

    def decodes(self, codec: int) -> bool:
        """Whether the client says that it decodes a codec; old ones say nothing, and know MJPEG."""
        if DisplayCap.MULTI_CODEC not in self._caps:
            return codec == VideoCodec.MJPEG
        return CODEC_CAPS[codec] in self._caps

    # what is drawn

    def frame(self, drawable: Any) -> Frame | None:
        """The pipe's entry for a drawable if it is a frame of a stream; a new one may begin with it."""
        if drawable.number != DRAW_COPY or drawable.surface != PRIMARY or drawable.effect != EFFECT_OPAQUE:
            return None
        images = [image for _offset, image in drawable.fixups()]
        if len(images) != 1 or images[0].surface is not None or images[0].flags & ImageFlags.CACHE_ME:
            return None
        if images[0].format not in video.FORMATS:
            return None
        source = copied(drawable)
        if source is None:
            return None
        box = drawable.box
        place = (*sides(box), source.right - source.left, source.bottom - source.top)
        region = replaces(drawable)
        stream = self._stream_at(place)
        if len(region) > MAX_RECTS:
            return None
        if stream is None and region == [box]:
            stream = self._look(place, images[0])
        if stream is None or not self._still_video(stream, images[0], region):
            return None
        frame = Frame.of(drawable)
        assert isinstance(frame, Frame)
        if not frame.sound:
            return None
        frame.begin(stream, place, region, source, self.mm_now)
        self._drawn(stream, frame)
        return frame

    def _stream_at(self, place: Place) -> Stream | None:
        """The stream that a picture drawn there goes on with."""
        for stream in self._streams.values():
            if stream.place == place:
                return stream
        if DisplayCap.SIZED_STREAM in self._caps:
            box = rect_at(place)
            for stream in self._streams.values():
                if holds(box, stream.dest) and area_of(box) <= MAX_GROWTH * area_of(stream.dest):
                    return stream
        return None

    def _look(self, place: Place, image: Any) -> Stream | None:
        """Begin a stream if this is the place of a video."""
        if self.codec is None or not self._free:
            return None
        fps = self._detector.drawn(place, self.now, lambda: seems_natural(image))
        if not fps:
            return None
        mine = area_of(rect_at(place))
        others = sum(area_of(stream.dest) for stream in self._streams.values())
        rate = StreamRate(fps, START_BIT_RATE * mine // (mine + others))
        stream = Stream(self._free.popleft(), place, self.codec, rate, self.now)
        self._streams[stream.id] = stream
        return stream

    def _still_video(self, stream: Stream, image: Any, region: list[Rect]) -> bool:
        """Whether what is drawn at a stream's place still looks like a video; the stream ends if not."""
        if self._mode == "all" or stream.score == MAX_SCORE and stream.sent % LOOK_FRAMES:
            return True
        stream.score = min(MAX_SCORE, stream.score + (1 if seems_natural(image) else -1))
        if stream.score > 0:
            return True
        self._end(stream, region)
        return False

    def _drawn(self, stream: Stream, frame: Frame) -> None:
        stream.rate.drawn(self.now)
        stream.drawn_at = self.now
        stream.paused = False
        last, stream.waiting = stream.waiting, frame
        if last is not None and last.stream is stream and not last.went:
            self._left_out(stream)
            stream.rate.replaced(self.now)
            if self._supersede(stream, frame) > MAX_WAITING_FRAMES:
                self.pipe.collapse()  # what reads between them
                self._supersede(stream, frame)

    def _supersede(self, stream: Stream, frame: Frame) -> int:
        """
        Leave out the frames before this one that nobody reads; how many wait still.

        The frame may be clipped, so that for the pipe it does not cover them.
        """
        waiting, read = 0, False
        for entry in reversed(self.pipe.entries):
            if not isinstance(entry, Waiting):
                continue
            if isinstance(entry, Frame) and entry.stream is stream and not entry.started:
                if read:
                    waiting += 1
                else:
                    self.pipe.remove(entry)
                    stream.visible = bounded([*stream.visible, *less(entry.region, frame.region)])
            read = read or PRIMARY in entry.reads
        return waiting

    # what is sent

    def jobs(self) -> list[FrameJob]:
        """Work for threads: of each stream the frame whose turn comes first, unless that is under way."""
        if not self._streams:
            return []
        first: dict[Stream, Frame] = {}
        for entry in self.pipe.entries[:LOOKAHEAD]:
            if isinstance(entry, Frame) and entry.stream is not None:
                first.setdefault(entry.stream, entry)
        return [FrameJob(frame) for frame in first.values() if not frame.quick and self._start(frame)]

    def ready(self, frame: Frame) -> bool:
        """Whether a frame, whose turn it is, can be sent; one that is quickly encoded is so for that."""
        if frame.quick and self._start(frame):
            frame.run()
        return frame.done

    def _start(self, frame: Frame) -> bool:
        stream = frame.stream
        if stream is None or frame.started:
            return False
        frame.started = True
        bandwidth = self._line.bandwidth
        if bandwidth is not None and (bandwidth.slow or bandwidth.narrow):
            stream.rate.limit((bandwidth.bits_per_second or 0) / len(self._streams))
        if not stream.rate.due(self.now):
            frame.done = True
            return False
        # the frames after one that the client does not get would stand on nothing
        frame.key = stream.encoded is None or not stream.encoded.went
        stream.encoded = frame
        return True

    def send(self, frame: Frame) -> bool:
        """It is this frame's turn; False if it must be sent as the drawable that it is."""
        stream = frame.stream
        if stream is None:
            return False
        if self._start(frame) or not frame.done:
            frame.run()
        frame.went = True
        if frame.data is None:
            return self._not_sent(stream, frame)
        for other in self._streams.values():
            if other is not stream:
                self._cover(other, frame.region)
        if not stream.created:
            self._create(stream, frame)
        elif stream.clip != frame.region:
            self._clip(stream, frame.region)
        left = less(stream.visible, frame.region)
        if left:
            self._owe(left)  # frames that were larger, or elsewhere
        self._cover_with_lossy(stream, frame.region)
        self._send(self._data(stream, frame, frame.data))
        stream.sent += 1
        self._count(stream.codec, frame, len(frame.data))
        stream.disturbed = max(0.0, stream.disturbed - 0.5)
        encoder = stream.encoder()
        encoder.made(len(frame.data))
        stream.rate.sent(self.now, len(frame.data), smallest=encoder.at_worst)
        return True

    def _not_sent(self, stream: Stream, frame: Frame) -> bool:
        """The frame was left out, or the encoder failed."""
        if stream.encoded is frame:
            self.log.error("video cannot be encoded: {trouble}", trouble=frame.trouble)
            self._refused.add(stream.codec)
            self.codec = self._choose()
            self._end(stream, frame.region)
            return False
        self._left_out(stream)
        self._cover_with_lossy(stream, frame.region)
        return True

    def _left_out(self, stream: Stream) -> None:
        stream.dropped += 1
        self._tally.frames_left_out[stream.codec] += 1

    def _count(self, codec: int, frame: Frame, size: int) -> None:
        tally = self._tally
        tally.frames[codec] += 1
        tally.frame_bytes[codec] += size
        tally.frame_seconds[codec] += frame.seconds

    def _cover_with_lossy(self, stream: Stream, region: list[Rect]) -> None:
        stream.visible = bounded([*less(stream.visible, region), *region])

    def _create(self, stream: Stream, frame: Frame) -> None:
        width, height = stream.place[4:]
        stream.created = True
        stream.clip = frame.region
        self._send(
            display.StreamCreate(
                surface_id=PRIMARY,
                id=stream.id,
                flags=StreamFlags.TOP_DOWN,
                codec_type=stream.codec,
                stamp=0,
                stream_width=width,
                stream_height=height,
                src_width=width,
                src_height=height,
                dest=stream.dest,
                clip=_clip(stream.clip),
            )
        )
        if DisplayCap.STREAM_REPORT in self._caps:
            self._report_id = self._report_id % 0xFFFFFFFF + 1
            stream.report_id = self._report_id
            self._send(
                display.StreamActivateReport(
                    stream_id=stream.id,
                    unique_id=stream.report_id,
                    max_window_size=REPORT_FRAMES,
                    timeout_ms=REPORT_MS,
                )
            )

    def _data(self, stream: Stream, frame: Frame, data: bytes) -> Any:
        header = display.StreamDataHeader(
            id=stream.id, multi_media_time=stream.rate.stamp(frame.drawn_mm, self.mm_now)
        )
        if frame.place == stream.place:
            return display.StreamData(base=header, data=data)
        width, height = frame.place[4:]
        return display.StreamDataSized(
            base=header, width=width, height=height, dest=rect_at(frame.place), data=data
        )

    def _clip(self, stream: Stream, region: list[Rect]) -> None:
        """Let the client draw the stream there only."""
        stream.clip = region
        self._send(display.StreamClip(id=stream.id, clip=_clip(region)))

    def _owe(self, region: list[Rect]) -> None:
        for rect in region:
            self.pipe.owed.add(PRIMARY, rect)

    # other drawings

    def admit(self, drawable: Any) -> bool:
        """
        It is the turn of a drawable that is no frame: what it replaces is no stream's any more.

        False if it reads pixels that the client does not have as they are: these are
        owed now, and the drawable cannot be sent.
        """
        for surface, part in reads(drawable):
            if surface == PRIMARY and self._is_blurred(part):
                return False
        if drawable.surface == PRIMARY:
            box = drawable.box
            for stream in self._streams.values():
                if any(meet(rect, box) for rect in (*stream.clip, *stream.visible)):
                    self._cover(stream, replaces(drawable))
        return True

    def _is_blurred(self, part: Rect) -> bool:
        """Whether a stream is visible in a part of the screen; then it is owed."""
        streams = [
            stream for stream in self._streams.values() if any(meet(rect, part) for rect in stream.visible)
        ]
        for stream in streams:
            self._owe(stream.visible)
            self._disturb(stream)
        return bool(streams)

    def _cover(self, stream: Stream, region: list[Rect]) -> None:
        if stream.created:
            clip = less(stream.clip, region)
            if clip != stream.clip:
                # with too many parts it shows nothing before the next frame
                self._clip(stream, clip if len(clip) <= MAX_RECTS else [])
        stream.visible = bounded(less(stream.visible, region))

    def _disturb(self, stream: Stream) -> None:
        """Others read what is streamed; if that goes on, streaming costs more than it saves."""
        stream.disturbed += 1
        if stream.disturbed > MAX_DISTURBANCES:
            self._detector.avoid(stream.place, self.now)
            self._end(stream)

    # ends

    def surface_destroyed(self, surface_id: int) -> None:
        """Streams end with their surface."""
        if surface_id == PRIMARY:
            for stream in list(self._streams.values()):
                stream.visible = []
                self._end(stream)

    def _end(self, stream: Stream, drawn: Iterable[Rect] = ()) -> None:
        """
        The stream ends; what it has left is repainted, but for what is ``drawn`` now.

        Its frames that wait are drawn as images.
        """
        self._streams.pop(stream.id, None)
        self._free.append(stream.id)
        self._let_go(stream)
        if stream.created:
            self._send(display.StreamDestroy(id=stream.id))
        self._owe(less(stream.visible, drawn))

    def _let_go(self, stream: Stream) -> None:
        for entry in self.pipe.entries:
            if isinstance(entry, Frame) and entry.stream is stream:
                entry.stream = None
        stream.waiting = None

    def next_deadline(self) -> float | None:
        """When :meth:`deadline_passed` wants to be called, if ever."""
        if self._arrived:
            return None
        return min(
            (
                stream.drawn_at + (END_SECONDS if stream.paused else PAUSE_SECONDS)
                for stream in self._streams.values()
            ),
            default=None,
        )

    def deadline_passed(self, now: float) -> bool:
        """It is ``now``: show the last pictures of streams that stand still; whether any does."""
        found = False
        for stream in list(self._streams.values()):
            if now >= stream.drawn_at + END_SECONDS:
                self._end(stream)
                found = True
            elif now >= stream.drawn_at + PAUSE_SECONDS and not stream.paused:
                stream.paused = found = True
                self._let_go(stream)
                self._owe(stream.visible)
        return found

    # what the client says

    def reported(self, report: Any) -> bool:
        """
        A StreamReport; whether streams ended because the client cannot show them.

        One of a stream that is gone says nothing.
        """
        if report.stream_id >= MAX_STREAMS:
            raise ProtocolError(LinkError.INVALID_DATA, f"a report of stream {report.stream_id}")
        stream = self._streams.get(report.stream_id)
        if stream is None or not stream.created:
            return False
        if report.num_frames == 0 and report.num_drops == NO_DECODER_DROPS:
            self._refused.add(stream.codec)
            self.codec = self._choose()
            for each in [each for each in self._streams.values() if each.codec == stream.codec]:
                self._end(each)
            return True
        if report.unique_id == stream.report_id:
            stream.rate.reported(report, self.now)
        return False

    # moving

    def export(self) -> list[StreamAtClient]:
        """The streams that the client has."""
        return [
            StreamAtClient(
                id=stream.id,
                codec=stream.codec,
                width=stream.place[4],
                height=stream.place[5],
                dest=stream.dest,
                clip=stream.clip,
                visible=stream.visible,
                report_id=stream.report_id,
                bit_rate=stream.rate.bit_rate,
                fps=stream.rate.fps,
                lead_ms=stream.rate.lead_ms,
                last_stamp=stream.rate.last_stamp or 0,
                dropped=stream.dropped,
            )
            for stream in self._streams.values()
            if stream.created
        ]

    def export_choices(self) -> tuple[list[int], list[int]]:
        """The codecs that the client prefers, and those that it turned out not to decode."""
        return list(self._preferred), sorted(self._refused)

    def restore(
        self, streams: Iterable[StreamAtClient], preferred: Iterable[int], refused: Iterable[int]
    ) -> None:
        """Go on with the streams of a source; those that cannot go on here end."""
        self._arrived = True
        self._refused = set(refused)
        self.prefer(preferred)
        for told in streams:
            place = (*sides(told.dest), told.width, told.height)
            rate = StreamRate(told.fps, told.bit_rate, told.lead_ms)
            rate.last_stamp = told.last_stamp
            stream = Stream(told.id, place, told.codec, rate, self.now)
            stream.created = True
            stream.clip = list(told.clip)
            stream.visible = list(told.visible)
            stream.report_id = told.report_id
            stream.dropped = told.dropped
            self._report_id = max(self._report_id, told.report_id)
            self._streams[stream.id] = stream
            self._free.remove(stream.id)
        for stream in list(self._streams.values()):
            if self._mode == "off" or stream.codec not in self._allowed or video.missing(stream.codec):
                self._end(stream)


def bounded(region: list[Rect]) -> list[Rect]:
    """A region, or what is around it if it has too many parts."""
    while len(region) > MAX_RECTS:
        region = [*region[2:], around(region[0], region[1])]
    return region


def _clip(region: list[Rect]) -> Clip:
    return Clip(type=ClipType.RECTS, rects=region)
