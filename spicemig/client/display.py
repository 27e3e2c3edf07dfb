# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's display channel: draws what the server says on its own surfaces.

Source: spice-gtk 0.42, channel-display.c. Draws that our own servers do not
send are counted, not drawn; their images are taken into the cache all the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from spicemig.client.caches import Cache
from spicemig.client.canvas import Box, Canvas, Picture
from spicemig.client.core import ClientChannel, handles
from spicemig.client.events import (
    Marked,
    MonitorsChanged,
    PictureChanged,
    SurfaceCreated,
    SurfaceDestroyed,
    WaitAsked,
)
from spicemig.client.images import ImageReader
from spicemig.client.streams import CODEC_CAPS, Streams
from spicemig.codecs.glz import GlzDecoderWindow
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.capabilities import DisplayCap
from spicemig.wire.drawing import Palette
from spicemig.wire.enums import BrushType, ClipType, ResourceType, Ropd, SurfaceFlags, SurfaceFormat
from spicemig.wire.messages import display

CACHE_PIXELS = 20 * 1024 * 1024  # what spice-gtk asks for by default: 80 MiB of 32-bit pixels
GLZ_WINDOW_PIXELS = 8 * 1024 * 1024


class DisplayChannel(ClientChannel):
    """Yields :class:`PictureChanged` and its kin; the picture is in ``canvas``."""

    channel = "display"
    capabilities = frozenset(
        {
            DisplayCap.SIZED_STREAM,
            DisplayCap.MONITORS_CONFIG,
            DisplayCap.A8_SURFACE,
            DisplayCap.LZ4_COMPRESSION,
            DisplayCap.MULTI_CODEC,
            *CODEC_CAPS,
        }
    )

    def __init__(
        self,
        *args,
        images: Cache[Picture] | None = None,
        glz_window: GlzDecoderWindow | None = None,
        **named,
    ) -> None:
        super().__init__(*args, **named)
        self.canvas = Canvas()
        self.images: Cache[Picture] = images if images is not None else Cache(counted=True)
        self.palettes: Cache[Palette] = Cache()
        self.streams = Streams(self.canvas)
        self.marked = False
        self.monitors = None
        self.cache_pixels = CACHE_PIXELS
        self.glz_window = glz_window if glz_window is not None else GlzDecoderWindow(GLZ_WINDOW_PIXELS)
        self._reader = ImageReader(self.images, self.palettes, self.glz_window, self.canvas, self.counters)

    def up(self) -> None:
        """Tell the server what we can keep."""
        self.answer(display.Init(1, self.cache_pixels, 1, GLZ_WINDOW_PIXELS))

    def reset(self) -> None:
        """Forget the server's side; see :class:`ClientChannel`."""
        super().reset()
        self.canvas.clear()
        self.streams.clear()
        self.palettes.clear()
        self.marked = False

    # -- surfaces ---------------------------------------------------------------

    @handles(display.SurfaceCreate)
    def surface_create(self, message):
        """A surface to draw on."""
        if message.format not in (SurfaceFormat.XRGB32, SurfaceFormat.ARGB32):
            raise ProtocolError(LinkError.INVALID_DATA, f"surface format {message.format} is not known here")
        primary = bool(message.flags & SurfaceFlags.PRIMARY)
        alpha = message.format == SurfaceFormat.ARGB32
        self.counters.surfaces_created += 1
        if self.canvas.create(message.surface_id, message.width, message.height, alpha, primary):
            yield SurfaceCreated(message.surface_id, message.width, message.height)

    @handles(display.SurfaceDestroy)
    def surface_destroy(self, message):
        """It is not needed any more."""
        self.counters.surfaces_destroyed += 1
        self.canvas.destroy(message.surface_id)
        yield SurfaceDestroyed(message.surface_id)

    @handles(display.Mark)
    def mark(self, message):
        """Show the primary."""
        self.marked = True
        yield Marked()

    @handles(display.MonitorsConfig)
    def monitors_config(self, message):
        """How the heads lie on the primary."""
        if message.heads:
            self.monitors = message
            yield MonitorsChanged(message)

    # -- caches -------------------------------------------------------------------

    @handles(display.InvalList)
    def inval_list(self, message):
        """Images that the server will not refer to any more."""
        self.counters.invalidations += 1
        for resource in message.resources:
            if resource.type == ResourceType.PIXMAP:
                self.images.remove(resource.id)

    @handles(display.InvalAllPixmaps)
    def inval_all_pixmaps(self, message):
        """No image is kept, once other channels have come so far."""
        self.counters.invalidations += 1
        self.images.clear()
        self.waits = [(wait.channel_type, wait.channel_id, wait.message_serial) for wait in message.wait_list]
        if self.waits:
            yield WaitAsked()

    @handles(display.InvalPalette)
    def inval_palette(self, message):
        """One palette is not needed any more."""
        self.counters.invalidations += 1
        self.palettes.remove(message.id)

    @handles(display.InvalAllPalettes)
    def inval_all_palettes(self, message):
        """No palette is."""
        self.counters.invalidations += 1
        self.palettes.clear()

    # -- video --------------------------------------------------------------------

    @handles(display.StreamCreate)
    def stream_create(self, message):
        """A video begins."""
        self.canvas.surface(message.surface_id)
        self.streams.create(message)

    @handles(display.StreamData)
    def stream_data(self, message):
        """A frame of it."""
        yield self._drew(*self.streams.show(message))

    @handles(display.StreamDataSized)
    def stream_data_sized(self, message):
        """A frame with a place of its own."""
        yield self._drew(*self.streams.show(message, Box.of(message.dest)))

    @handles(display.StreamClip)
    def stream_clip(self, message):
        """Where it is seen."""
        self.streams.clip(message)

    @handles(display.StreamDestroy)
    def stream_destroy(self, message):
        """It ends."""
        self.streams.destroy(message.id)

    @handles(display.StreamDestroyAll)
    def stream_destroy_all(self, message):
        """All of them do."""
        self.streams.clear()

    # -- draws -----------------------------------------------------------------------

    @handles(display.DrawFill)
    def draw_fill(self, message):
        """One colour, or a pattern."""
        self._no_mask(message.mask)
        yield from self._brush(message, message.brush, int(message.rop_descriptor))

    @handles(display.DrawCopy)
    def draw_copy(self, message):
        """An image."""
        self._no_mask(message.mask)
        picture = self._picture(message.src_bitmap)
        surface_id, box, clip = self._base(message)
        self.canvas.copy(
            surface_id,
            box,
            clip,
            picture,
            Box.of(message.src_area),
            int(message.rop_descriptor),
            int(message.scale_mode),
        )
        yield self._drew(surface_id, box)

    @handles(display.CopyBits)
    def copy_bits(self, message):
        """What is on the surface already, in another place."""
        surface_id, box, clip = self._base(message)
        self.canvas.copy_bits(surface_id, box, clip, message.src_pos.x, message.src_pos.y)
        yield self._drew(surface_id, box)

    @handles(display.DrawBlackness)
    def draw_blackness(self, message):
        """All bits off."""
        yield from self._plain(message, Ropd.OP_BLACKNESS)

    @handles(display.DrawWhiteness)
    def draw_whiteness(self, message):
        """All bits on."""
        yield from self._plain(message, Ropd.OP_WHITENESS)

    @handles(display.DrawInvers)
    def draw_invers(self, message):
        """All bits turned over."""
        yield from self._plain(message, Ropd.OP_INVERS)

    @handles(
        display.DrawOpaque,
        display.DrawBlend,
        display.DrawRop3,
        display.DrawStroke,
        display.DrawText,
        display.DrawTransparent,
        display.DrawAlphaBlend,
        display.DrawComposite,
    )
    def other_draw(self, message):
        """Known, counted, and not drawn."""
        name = type(message).__name__
        self.counters.undrawn[name] = self.counters.undrawn.get(name, 0) + 1
        brush = getattr(message, "brush", None)
        pattern = brush.pattern.pat if brush is not None and brush.type == BrushType.PATTERN else None
        for image in (getattr(message, "src_bitmap", None), getattr(message, "mask_bitmap", None), pattern):
            if image is not None:
                self._reader.read(image)
        if self.traffic is not None:
            self.traffic.drew(self.now)

    def _plain(self, message, rop: int):
        self._no_mask(message.mask)
        surface_id, box, clip = self._base(message)
        self.canvas.fill(surface_id, box, clip, 0, rop)
        yield self._drew(surface_id, box)

    def _brush(self, message, brush, rop: int):
        surface_id, box, clip = self._base(message)
        if brush.type == BrushType.SOLID:
            self.canvas.fill(surface_id, box, clip, brush.color, rop)
        elif brush.type == BrushType.PATTERN:
            pattern = self._picture(brush.pattern.pat)
            self.canvas.tile(surface_id, box, clip, pattern, brush.pattern.pos.x, brush.pattern.pos.y, rop)
        else:
            self.canvas.fill(surface_id, box, clip, 0, rop)
        yield self._drew(surface_id, box)

    def _picture(self, image) -> Picture:
        if image is None:
            raise ProtocolError(LinkError.INVALID_DATA, "a draw without its image")
        return self._reader.read(image)

    def _no_mask(self, mask) -> None:
        if mask.bitmap is not None:
            self._reader.read(mask.bitmap)
            self.counters.undrawn["mask"] = self.counters.undrawn.get("mask", 0) + 1

    def _base(self, message) -> tuple[int, Box, Iterable[Box] | None]:
        base = message.base
        clip = [Box.of(rect) for rect in base.clip.rects] if base.clip.type == ClipType.RECTS else None
        return base.surface_id, Box.of(base.box), clip

    def _drew(self, surface_id: int, box: Box) -> PictureChanged:
        if self.traffic is not None:
            self.traffic.drew(self.now)
        return PictureChanged(surface_id, box)
