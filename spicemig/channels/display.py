# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The display channel: what one client sees of the guest's surfaces.

The core knows surfaces and drawables by their attributes only (see
``devices.drawables``) and keeps what the client has: surfaces, images, palettes.

Source: spice.proto, DisplayChannel; spice-server 0.15.1, dcc.cpp, dcc-send.cpp and
migration-protocol.h; spice-gtk 0.42, channel-display.c and canvas_base.c.
"""

from collections.abc import Collection, Iterator
from typing import Any

from spicemig.channels.bandwidth import Bandwidth
from spicemig.channels.core import ChannelCore, LeavingStage, receives
from spicemig.channels.display_bands import PRIMARY, bands
from spicemig.channels.display_batches import BatchPacker
from spicemig.channels.display_encoding import ImageEncoders, Job
from spicemig.channels.display_images import ImagePacker
from spicemig.channels.display_line import EXACT_AFTER_SECONDS, DisplayLine
from spicemig.channels.display_pipe import (
    Command,
    DisplayPipe,
    Entry,
    Waiting,
    clipped,
)
from spicemig.channels.display_state import DisplayState, OwedRegion, SurfaceAtClient, SurfaceIds
from spicemig.channels.display_stock import is_drawn_alike
from spicemig.channels.display_streams import MAX_PREFERRED, DisplayStreams
from spicemig.channels.events import (
    DisplayInitialised,
    PreferredCompression,
    PreferredVideoCodecs,
    WindowOpened,
)
from spicemig.channels.glz_dictionary import GlzDictionary
from spicemig.channels.palette_cache import PaletteCache
from spicemig.channels.pixmap_cache import CachedImage, PixmapCache
from spicemig.channels.stream_state import check_streams
from spicemig.channels.tallies import DisplayTally
from spicemig.channels.video_stream import Frame, FrameJob
from spicemig.errors import LinkError, ProtocolError, WireError
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.declare import (
    CHANNEL_TYPES,
)
from spicemig.wire.drawing import Rect, ResourceId
from spicemig.wire.enums import (
    ImageCompression,
    ResourceType,
    SurfaceFlags,
    SurfaceFormat,
)
from spicemig.wire.messages import display

# messages for an acknowledgement, each of which costs as much as some tens of drawings; how many bytes are
# on their way is the flow's to bound
ACK_WINDOW = 256
SPEAKING = (LeavingStage.SETTLED, LeavingStage.AWAITING)  # the stages in which drawings go out
ROUND_BYTES = 1024 * 1024  # packed before the transport is asked whether it takes more
MAX_FLUSH_BYTES = (
    1024 * 1024
)  # of pixels and commands that a handover still sends; more is painted by the target


class DisplayCore(ChannelCore):
    """
    The server's side of one display channel.

    Surfaces, drawables and pixels are queued in the order in which they are
    given; they are packed when the ack window lets them go. After any use the
    owner has the :meth:`jobs` run and the :meth:`take_owed` parts repainted.
    """

    channel = "display"
    ack_window = ACK_WINDOW
    state_type = DisplayState
    offered_caps = frozenset(
        (
            DisplayCap.MONITORS_CONFIG,
            DisplayCap.PREF_COMPRESSION,
            DisplayCap.STREAM_REPORT,
            DisplayCap.PREF_VIDEO_CODEC_TYPE,
        )
    )
    uses_acks = True

    def __init__(
        self,
        state: DisplayState | None = None,
        *,
        pixmap_cache: PixmapCache,
        glz_dictionary: GlzDictionary | None = None,
        settings: Any,
        bandwidth: Bandwidth | None = None,
        tally: DisplayTally | None = None,
        **common: Any,
    ) -> None:
        super().__init__(state, **common)
        self.pixmap_cache = pixmap_cache
        self.glz_dictionary = glz_dictionary if glz_dictionary is not None else GlzDictionary()
        self.settings = settings
        self.tally = tally = tally if tally is not None else DisplayTally()
        self.line = DisplayLine(settings, bandwidth)
        self.flow = self.line.flow
        self.pipe = DisplayPipe()
        self.palettes = PaletteCache()
        self.images = ImagePacker(
            pixmap_cache,
            self.palettes,
            client_lz4=DisplayCap.LZ4_COMPRESSION in self.caps,
            lossy=self.line.jpeg,
            tally=tally,
        )
        self._surfaces: dict[int, SurfaceAtClient] = {}
        self.packer = BatchPacker(
            self.glz_dictionary,
            self.line,
            self.channel_id,
            mini=self.mini,
            client_lz4=self.images.client_lz4,
            tally=tally,
        )
        self.encoders = ImageEncoders(self.pipe, self.images, self.glz_dictionary, self.line, self.channel_id)
        self.streams = DisplayStreams(
            self.pipe, self.send, self.line, self.caps, settings.streaming, settings.video_codecs, tally
        )

    # what is to be shown

    @property
    def compression(self) -> int:
        """The compression mode in force."""
        return self.state.compression or ImageCompression[self.settings.image_compression.upper()]

    @property
    def idle(self) -> bool:
        """Whether everything that was to be shown has been sent."""
        return not self.pipe.entries and not self.pipe.owed

    @property
    def unbounded(self) -> bool:
        """Whether drawings need no look before they are sent: the line is wide, and nothing is lossy."""
        return self.line.wide and not (self.images.lossy or self.line.lossy)

    def surface_created(self, surface: Any, primary: bool = False) -> None:
        """The client gets this surface, all black, unless it is of a kind that the client does not know."""
        if surface.id in self._surfaces:
            self.surface_destroyed(surface.id)
        if surface.format == SurfaceFormat.A8 and DisplayCap.A8_SURFACE not in self.caps:
            return
        self._surfaces[surface.id] = SurfaceAtClient(
            id=surface.id, width=surface.width, height=surface.height, format=surface.format
        )
        self.packer.tell_surfaces(self._surfaces.values())
        message = display.SurfaceCreate(
            surface_id=surface.id,
            width=surface.width,
            height=surface.height,
            format=surface.format,
            flags=SurfaceFlags.PRIMARY if primary else 0,
        )
        self.pipe.command(Command(message, surface.id, makes=True))

    def surface_destroyed(self, surface_id: int) -> None:
        """The surface goes, with what nobody has read from it."""
        if self._surfaces.pop(surface_id, None) is not None:
            self.packer.tell_surfaces(self._surfaces.values())
            self.streams.surface_destroyed(surface_id)
            self.pipe.destroy(surface_id)
            self.pipe.command(Command(display.SurfaceDestroy(surface_id=surface_id), surface_id, ends=True))

    def mark(self) -> None:
        """The primary surface may be shown now."""
        self.pipe.command(Command(display.Mark(), PRIMARY))

    def monitors(self, config: Any) -> None:
        """Where on the primary surface the heads are."""
        if DisplayCap.MONITORS_CONFIG in self.caps:
            self.pipe.replace(config)

    def drawables(self, batch: Any) -> None:
        """
        Draw a batch. What is on a surface that the client was not told of is left
        out; what cannot be sent as it is will be repainted.
        """
        at = 0
        self._pump()
        while at < len(batch):
            if self._goes_directly():
                at = self._send_directly(batch, at)
            elif self.pipe.owed:
                at = self._owe(batch, at)
            else:
                at = self._wait(batch, at)
            if at < len(batch):
                self._draw(batch[at])
                at += 1
            self._pump()

    def _wait(self, batch: Any, start: int) -> int:
        """Have drawings from this one on wait; returns the first one that must be looked at."""
        self.packer.stream_pixels = self.streams.frame_pixels
        next, entries = self.packer.waiting(batch, start)
        for entry in entries:
            self.pipe.draw(entry)
        return next

    def _owe(self, batch: Any, start: int) -> int:
        """Owe what drawings from this one on touch; returns the first one that must be looked at."""
        self.packer.stream_pixels = self.streams.frame_pixels
        next, boxes = self.packer.boxes(batch, start)
        for surface, packed in boxes.items():
            self.pipe.owed.add_boxes(surface, packed)
        return next

    def _draw(self, drawable: Any) -> None:
        """A drawable of the device that must be looked at, or wait."""
        surfaces = self._surfaces
        if drawable.surface not in surfaces:
            return
        frame = self.streams.frame(drawable) if self.streams.watching else None
        if frame is not None:
            self.pipe.draw_frame(frame)
            return
        waiting = Waiting.of(drawable)
        if (
            waiting.sound
            and waiting.reads <= surfaces.keys()
            and is_drawn_alike(drawable, surfaces, composite=DisplayCap.COMPOSITE in self.caps)
        ):
            self.pipe.draw(waiting)
        else:
            self.pipe.owe(waiting)

    def _goes_directly(self) -> bool:
        """Whether drawings need neither wait nor be looked at one by one; where streams are, they must."""
        return self.idle and self.unbounded and self._may_draw()

    def _send_directly(self, batch: Any, start: int) -> int:
        """Send drawings from this one on; returns the first one that was not sent or left out."""
        self.packer.stream_pixels = self.streams.frame_pixels
        self.packer.stream_boxes = self.streams.boxes()
        packed = self.packer.batch(batch, start, self.compression, self.common.serial_sent, self.room)
        self.send_packed(packed.messages, packed.parts)
        self.mark_flow(last=False)
        self.pipe.dropped += packed.dropped
        return packed.next

    def repaint(self, surface: Any, rects: Collection[Rect] | None = None) -> None:
        """Send a surface's pixels as they are now: these parts of it, or all of it."""
        if surface.id not in self._surfaces:
            return
        whole = Rect(top=0, left=0, bottom=surface.height, right=surface.width)
        if rects is None:
            self.pipe.owed.forget(surface.id)
            rects = [whole]
            if self.line.narrow:
                self.pipe.owed.add(surface.id, whole)
                return
        for rect in rects:
            for band in bands(surface, clipped(rect, surface.width, surface.height)):
                band.exact = self.line.lossy.wanted.touches(surface.id, band.box)
                self.pipe.show(band)

    def take_owed(self) -> dict[int, list[Rect]]:
        """
        What must be repainted now, by surface id; the caller does it before anything is drawn,
        and asks again.

        Empty while other drawings wait: only a client that has caught up is owed pixels. If it
        is owed none and got nothing lossy for a while, what it has lossy comes, in pieces.
        """
        line = self.line
        self.images.lossy = line.jpeg
        if line.became_narrow():
            self.pipe.collapse_all()  # whole surfaces may wait; newer parts of them are owed instead
        self.pipe.max_bytes = line.waiting_bytes
        self._pump()
        if self.pipe.entries or not self._may_draw():
            return {}
        if self.pipe.owed:
            return self.pipe.owed.take_piece(line.piece_pixels()) if line.narrow else self.pipe.owed.take()
        at = self._exact_at()
        return line.take_lossy() if at is not None and (self.now or 0.0) >= at else {}

    def _exact_at(self) -> float | None:
        """When lossy parts may be painted again, if nothing stands against it now."""
        line = self.line
        if not (line.lossy and self.idle and line.quiet):
            return None
        if self.stage is not LeavingStage.SETTLED or not self._may_draw():
            return None
        return line.lossy_at + EXACT_AFTER_SECONDS

    def tell_time(self, now: float, multi_media_time: int) -> None:
        """What time it is; to be told before anything is drawn."""
        self.now = now
        self.streams.tell_time(now, multi_media_time)

    def next_deadline(self) -> float | None:
        """See :class:`ChannelCore`."""
        streams = self.streams.next_deadline() if self.stage is LeavingStage.SETTLED else None
        deadlines = (super().next_deadline(), self._exact_at(), streams)
        return min((at for at in deadlines if at is not None), default=None)

    def deadline_passed(self, now: float) -> Iterator[Any]:
        """See :class:`ChannelCore`; lossy parts may be due, streams stand still."""
        yield from super().deadline_passed(now)
        owed = self.stage is LeavingStage.SETTLED and self.streams.deadline_passed(now)
        if owed or (at := self._exact_at()) is not None and now >= at:
            yield WindowOpened()

    # encoding

    def jobs(self) -> list[Job | FrameJob]:
        """Work that must be done before the next drawings can go; tell :meth:`encoded` when it is."""
        self._pump()
        if not self._may_draw():
            return []
        return [*self.streams.jobs(), *self.encoders.jobs(self.compression, self._may_be_lossy)]

    def encoded(self, job: Job | FrameJob, result: Any = None) -> None:
        """A job is done; what it made is kept where it was to be."""
        if not isinstance(job, FrameJob):
            self.encoders.done(job)
        self._pump()

    # sending

    def data_to_send(self) -> list[Any]:
        """As for any channel; drawings are packed now, if they may go."""
        self._pump()
        self.mark_flow(last=True, needed=bool(self.line.lossy))
        return super().data_to_send()

    def flush_all(self) -> bool:
        """
        Send all that waits, whatever the window; what is too much is owed instead.

        For a handover: afterwards nothing waits, and what is owed is part of the
        state. Returns False if other display channels of this client must come
        first, and this is to be called again then.
        """
        if not self.state.initialised:
            return True
        self.encoders.finish()
        weight = sum(entry.weight for entry in self.pipe.entries if isinstance(entry, Waiting))
        narrow = self.flow is not None and self.flow.narrow
        if weight > (self.flow.window if self.flow is not None and narrow else MAX_FLUSH_BYTES):
            self.pipe.collapse_all()
        while self.pipe.entries:
            if not self._ready(self.pipe.entries[0], at_once=True):
                return False
            self._send_next()
        return True

    def _may_draw(self) -> bool:
        return (
            self.stage in SPEAKING
            and self.window_open
            and bool(self.state.initialised)
            and self.pending_bytes < ROUND_BYTES
        )

    @property
    def room(self) -> tuple[int, int]:
        """How many messages, and about how many bytes, may be drawn now."""
        ways = self.flow.window - self.flow.on_the_way if self.flow is not None else ROUND_BYTES
        return self.window_room, min(ways, ROUND_BYTES - self.pending_bytes)

    def _pump(self) -> None:
        entries = self.pipe.entries
        while entries and self._may_draw():
            if type(entries[0]) is Waiting and self.unbounded and self._send_entries():
                continue
            if not self._ready(entries[0]):
                return
            self._send_next()
            entries = self.pipe.entries

    def _send_entries(self) -> int:
        """Send what stands first in the pipe and needs no look; how many that were."""
        entries = self.pipe.entries
        self.packer.stream_boxes = self.streams.boxes()
        packed = self.packer.entries(entries, Waiting, self.compression, self.common.serial_sent, self.room)
        self.pipe.sent(packed.next)
        self.send_packed(packed.messages, packed.parts)
        self.mark_flow(last=False)
        return packed.next

    def _ready(self, entry: Entry, *, at_once: bool = False) -> bool:
        if isinstance(entry, Command):
            return True
        if isinstance(entry, Frame) and entry.stream is not None:
            return self.streams.ready(entry) or at_once
        lossy = self._may_be_lossy(entry.drawable)
        return self.encoders.ready(entry, self.compression, lossy, at_once=at_once)

    def _send_next(self) -> None:
        lossy, entry = self.line.lossy, self.pipe.entries[0]
        if lossy and isinstance(entry, Waiting) and not entry.snapshot and lossy.reads_lossy(entry.drawable):
            lossy.wanted.add(entry.surface, entry.drawable.box)
            self.pipe.collapse()
            if not entry.pinned:
                return  # it is owed now
        self.pipe.pop()
        if isinstance(entry, Command):
            if (entry.makes or entry.ends) and entry.surface is not None:
                lossy.forget(entry.surface)
            self.send(entry.message)
        elif isinstance(entry, Frame) and self.streams.send(entry):
            pass
        elif self.streams.active and not self.streams.admit(entry.drawable):
            self.pipe.owe(entry)
            self.pipe.collapse()
            if entry.own is not None:  # the dictionary counts on it
                self._send_drawable(entry)
        else:
            self._send_drawable(entry)
        self.mark_flow(last=False)

    def _may_be_lossy(self, drawable: Any) -> bool:
        surface = self._surfaces.get(drawable.surface)
        return self.images.lossy and self.line.may_be_lossy(drawable, surface.format if surface else 0)

    def _send_drawable(self, entry: Waiting) -> None:
        drawable = entry.drawable
        lossy = self._may_be_lossy(drawable)
        packed = self.images.pack(drawable, self.compression, lossy=lossy, own=entry.own)
        for palette in packed.evicted_palettes:
            self.send(display.InvalPalette(id=palette))
        if packed.evicted:
            self._invalidate(packed.evicted)
        if entry.own is not None:
            self._wait_for(self.glz_dictionary.awaited_by(self.channel_id))
        self.send_body(drawable.number, packed.parts)
        self.line.sent(drawable, packed, self.now or 0.0)
        serial = self.common.serial_sent
        self.pixmap_cache.used(packed.images, self.channel_id, serial)
        self.encoders.sent(entry, serial)

    def _wait_for(self, uses: Collection[tuple[int, int]]) -> None:
        """Have the client come so far, (channel id, serial), on its other display channels first."""
        if uses:
            self.wait_for_channels((CHANNEL_TYPES["display"], *use) for use in uses)

    def _invalidate(self, evicted: list[CachedImage]) -> None:
        """Have the client drop images, after the client's other display channels have used them."""
        last: dict[int, int] = {}
        for image in evicted:
            for use in image.uses:
                if use.channel_id != self.channel_id:
                    last[use.channel_id] = max(last.get(use.channel_id, 0), use.serial)
        self._wait_for(sorted(last.items()))
        resources = [ResourceId(type=ResourceType.PIXMAP, id=image.id) for image in evicted]
        self.send(display.InvalList(resources=resources))

    # moving

    def export_state(self) -> bytes:
        """See :class:`ChannelCore`; :meth:`flush_all` comes before, or drawings that wait are owed."""
        state = self.state
        self.pipe.collapse_all()
        state.message_serial = self.common.serial_sent
        state.glz_last_image_id = self.glz_dictionary.next_id
        state.surfaces = list(self._surfaces.values())
        state.surface_ids = SurfaceIds(ids=list(self._surfaces))
        state.palettes = self.palettes.ids()
        state.streams = self.streams.export()
        state.video_codecs, state.refused_codecs = self.streams.export_choices()
        for entry in self.pipe.entries:  # the client's dictionary has them, but they were not flushed
            if isinstance(entry, Waiting):
                self.pipe.owe(entry)
        state.low_bandwidth = int(self.line.slow)
        state.owed = [OwedRegion(surface_id=surface, rects=list(rects)) for surface, rects in self.pipe.owed]
        lossy = self.line.lossy.parts
        state.lossy = [OwedRegion(surface_id=surface, rects=list(rects)) for surface, rects in lossy]
        return super().export_state()

    def check(self, state: Any) -> None:
        """See :class:`ChannelCore`; the surfaces and their parts must be possible."""
        ids = {surface.id for surface in state.surfaces}
        if len(ids) != len(state.surfaces) or not all(
            region.surface_id in ids for region in [*state.owed, *state.lossy]
        ):
            raise WireError("DisplayState", "surfaces", reason="a surface twice, or owed without being there")
        check_streams(state.streams, PRIMARY in ids)

    def restored(self) -> None:
        """See :class:`ChannelCore`; what the source owed is owed here."""
        state = self.state
        self._surfaces = {surface.id: surface for surface in state.surfaces}
        self.packer.tell_surfaces(self._surfaces.values())
        self.palettes = self.images.palettes = PaletteCache(state.palettes)
        for regions, parts in ((state.owed, self.pipe.owed), (state.lossy, self.line.lossy.parts)):
            for region in regions:
                surface = self._surfaces[region.surface_id]
                for rect in region.rects:
                    parts.add(surface.id, clipped(rect, surface.width, surface.height))
        self.streams.restore(state.streams, state.video_codecs, state.refused_codecs)

    # what the client says

    @receives(display.Init)
    def init(self, message: Any) -> Iterator[Any]:
        if self.state.initialised:
            raise ProtocolError(LinkError.INVALID_DATA, "a second Init")
        self.pixmap_cache.open(message.pixmap_cache_id, message.pixmap_cache_size)
        self.glz_dictionary.open(message.glz_dictionary_id, message.glz_dictionary_window_size)
        state = self.state
        state.initialised = 1
        state.pixmap_cache_id = message.pixmap_cache_id
        state.pixmap_cache_size = message.pixmap_cache_size
        state.glz_dictionary_id = message.glz_dictionary_id
        state.glz_window_size = max(0, message.glz_dictionary_window_size)
        yield DisplayInitialised(
            pixmap_cache_id=state.pixmap_cache_id,
            pixmap_cache_pixels=state.pixmap_cache_size,
            glz_dictionary_id=state.glz_dictionary_id,
            glz_window_pixels=state.glz_window_size,
        )

    @receives(display.PreferredCompression)
    def preferred_compression(self, message: Any) -> Iterator[Any]:
        self._expect_init()
        if message.image_compression in list(ImageCompression)[1:]:
            self.state.compression = message.image_compression
            yield PreferredCompression(message.image_compression)

    @receives(display.StreamReport)
    def stream_report(self, message: Any) -> Iterator[Any]:
        self._expect_init()
        if self.streams.reported(message):
            yield WindowOpened()  # for what is owed now

    @receives(display.GlDrawDone)
    def gl_draw_done(self, message: Any) -> Iterator[Any]:
        self._expect_init()
        yield from ()

    @receives(display.PreferredVideoCodecType)
    def preferred_video_codec_type(self, message: Any) -> Iterator[Any]:
        self._expect_init()
        if len(message.codecs) > MAX_PREFERRED:
            raise ProtocolError(LinkError.INVALID_DATA, f"{len(message.codecs)} video codecs")
        self.streams.prefer(message.codecs)
        yield PreferredVideoCodecs(tuple(message.codecs))

    def _expect_init(self) -> None:
        if not self.state.initialised:
            raise ProtocolError(LinkError.INVALID_DATA, "a display channel begins with Init")
