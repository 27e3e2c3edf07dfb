# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the display channel.

Source: spice.proto, DisplayChannel. The drawings' fields that spice.proto puts
into a structure ``data`` are fields of the message here.
"""

from typing import Annotated, TypeAlias

from spicemig.wire.declare import (
    Buffer,
    Counted,
    Pointer,
    Rest,
    When,
    i32,
    i64,
    length_of,
    message,
    record,
    u8,
    u16,
    u32,
    u64,
)
from spicemig.wire.drawing import (
    Brush,
    Clip,
    DrawBase,
    ImagePointer,
    LineAttr,
    Path,
    Point,
    Point16,
    QMask,
    Rect,
    ResourceId,
    String,
    Transform,
)
from spicemig.wire.enums import (
    AlphaFlags,
    CompositeFlags,
    GlScanoutFlags,
    ImageCompression,
    ImageScaleMode,
    Ropd,
    StreamFlags,
    SurfaceFlags,
    SurfaceFormat,
    VideoCodec,
)
from spicemig.wire.messages.base import ChannelWait

Rop: TypeAlias = Annotated[u16, Ropd]


@record
class StreamDataHeader:
    """Which stream a frame belongs to, and when it is shown."""

    id: u32
    multi_media_time: u32


@record
class Head:
    """A monitor: a part of a surface."""

    monitor_id: u32
    surface_id: u32
    width: u32
    height: u32
    x: u32
    y: u32
    flags: u32 = 0


@message("display", to="client", number=101)
class Mode:
    """The size of the only surface; before surfaces had numbers."""

    x_res: u32
    y_res: u32
    bits: u32


@message("display", to="client", number=102)
class Mark:
    """Show the primary surface."""


@message("display", to="client", number=103)
class Reset:
    """Forget the primary surface; not sent any more."""


@message("display", to="client", number=104)
class CopyBits:
    """Copy inside the surface, from a rectangle as large as the box."""

    base: DrawBase
    src_pos: Point


@message("display", to="client", number=105)
class InvalList:
    """Forget these images."""

    resources: Annotated[list[ResourceId], Counted(u16)]


@message("display", to="client", number=106)
class InvalAllPixmaps:
    """Forget all images, when the other channels got so far."""

    wait_list: Annotated[list[ChannelWait], Counted(u8)] = []


@message("display", to="client", number=107)
class InvalPalette:
    """Forget one palette."""

    id: u64


@message("display", to="client", number=108)
class InvalAllPalettes:
    """Forget all palettes."""


# Streams of video.


@message("display", to="client", number=122)
class StreamCreate:
    """A stream begins; ids are below 64."""

    surface_id: u32
    id: u32
    flags: Annotated[u8, StreamFlags]
    codec_type: Annotated[u8, VideoCodec]
    stamp: u64
    stream_width: u32
    stream_height: u32
    src_width: u32
    src_height: u32
    dest: Rect
    clip: Clip = Clip()


@message("display", to="client", number=123)
class StreamData:
    """A frame."""

    base: StreamDataHeader
    data: Annotated[Buffer, Counted(u32)]


@message("display", to="client", number=124)
class StreamClip:
    """Where the stream is seen."""

    id: u32
    clip: Clip


@message("display", to="client", number=125)
class StreamDestroy:
    """A stream ends."""

    id: u32


@message("display", to="client", number=126)
class StreamDestroyAll:
    """All streams end."""


# Drawings.


@message("display", to="client", number=302)
class DrawFill:
    """Fill the box with a brush."""

    base: DrawBase
    brush: Brush
    rop_descriptor: Rop
    mask: QMask = QMask()


@message("display", to="client", number=303)
class DrawOpaque:
    """Combine an image with a brush, and put it into the box."""

    base: DrawBase
    src_bitmap: ImagePointer
    src_area: Rect
    brush: Brush
    rop_descriptor: Rop
    scale_mode: Annotated[u8, ImageScaleMode] = ImageScaleMode.INTERPOLATE
    mask: QMask = QMask()


@message("display", to="client", number=304)
class DrawCopy:
    """Put an area of an image into the box, scaled if the sizes differ."""

    base: DrawBase
    src_bitmap: ImagePointer
    src_area: Rect
    rop_descriptor: Rop = Ropd.OP_PUT
    scale_mode: Annotated[u8, ImageScaleMode] = ImageScaleMode.INTERPOLATE
    mask: QMask = QMask()


@message("display", to="client", number=305)
class DrawBlend:
    """Combine an area of an image with what is in the box."""

    base: DrawBase
    src_bitmap: ImagePointer
    src_area: Rect
    rop_descriptor: Rop
    scale_mode: Annotated[u8, ImageScaleMode] = ImageScaleMode.INTERPOLATE
    mask: QMask = QMask()


@message("display", to="client", number=306)
class DrawBlackness:
    """Make the box black."""

    base: DrawBase
    mask: QMask = QMask()


@message("display", to="client", number=307)
class DrawWhiteness:
    """Make the box white."""

    base: DrawBase
    mask: QMask = QMask()


@message("display", to="client", number=308)
class DrawInvers:
    """Invert the box."""

    base: DrawBase
    mask: QMask = QMask()


@message("display", to="client", number=309)
class DrawRop3:
    """Combine image, brush and box with one of the 256 ternary operations."""

    base: DrawBase
    src_bitmap: ImagePointer
    src_area: Rect
    brush: Brush
    rop3: u8
    scale_mode: Annotated[u8, ImageScaleMode] = ImageScaleMode.INTERPOLATE
    mask: QMask = QMask()


@message("display", to="client", number=310)
class DrawStroke:
    """Draw along a path."""

    base: DrawBase
    path: Annotated[Path, Pointer()]
    attr: LineAttr
    brush: Brush
    fore_mode: Rop
    back_mode: Rop


@message("display", to="client", number=311)
class DrawText:
    """Draw glyphs, with a background if its area is not empty."""

    base: DrawBase
    str: Annotated[String, Pointer()]
    back_area: Rect
    fore_brush: Brush
    back_brush: Brush
    fore_mode: Rop
    back_mode: Rop


@message("display", to="client", number=312)
class DrawTransparent:
    """Put an area of an image into the box, but for its pixels of one colour."""

    base: DrawBase
    src_bitmap: ImagePointer
    src_area: Rect
    src_color: u32
    true_color: u32


@message("display", to="client", number=313)
class DrawAlphaBlend:
    """Blend an area of an image over the box."""

    base: DrawBase
    alpha_flags: Annotated[u8, AlphaFlags]
    alpha: u8
    src_bitmap: ImagePointer
    src_area: Rect


@message("display", to="client", number=318)
class DrawComposite:
    """Combine images as the X Render extension does."""

    base: DrawBase
    flags: Annotated[u32, CompositeFlags]
    src_bitmap: ImagePointer
    mask_bitmap: Annotated[ImagePointer, When("flags", has=CompositeFlags.HAS_MASK)] = None
    src_transform: Annotated[Transform | None, When("flags", has=CompositeFlags.HAS_SRC_TRANSFORM)] = None
    mask_transform: Annotated[Transform | None, When("flags", has=CompositeFlags.HAS_MASK_TRANSFORM)] = None
    src_origin: Point16 = Point16(0, 0)
    mask_origin: Point16 = Point16(0, 0)


# Surfaces and monitors.


@message("display", to="client", number=314)
class SurfaceCreate:
    """A surface to draw on; 0 is the primary."""

    surface_id: u32
    width: u32
    height: u32
    format: Annotated[u32, SurfaceFormat]
    flags: Annotated[u32, SurfaceFlags] = 0


@message("display", to="client", number=315)
class SurfaceDestroy:
    """A surface is gone."""

    surface_id: u32


@message("display", to="client", number=316)
class StreamDataSized:
    """A frame with a size and a place of its own."""

    base: StreamDataHeader
    width: u32
    height: u32
    dest: Rect
    data: Annotated[Buffer, Counted(u32)]


@message("display", to="client", number=317)
class MonitorsConfig:
    """The monitors, as the guest has them."""

    count: u16 = length_of("heads")
    max_allowed: u16
    heads: Annotated[list[Head], Counted("count")]


@message("display", to="client", number=319)
class StreamActivateReport:
    """Send StreamReport about this stream."""

    stream_id: u32
    unique_id: u32
    max_window_size: u32
    timeout_ms: u32


@message("display", to="client", number=320)
class GlScanoutUnix:
    """A frame in graphics memory; its descriptor follows on the unix socket, outside the body."""

    width: u32
    height: u32
    stride: u32
    drm_fourcc_format: u32
    flags: Annotated[u32, GlScanoutFlags]


@message("display", to="client", number=321)
class GlDraw:
    """A part of that frame changed; answer with GlDrawDone."""

    x: u32
    y: u32
    w: u32
    h: u32


@message("display", to="client", number=322)
class QualityIndicator:
    """Free text about quality; no peer sends it."""

    data: Annotated[bytes, Rest()]


# From the client.


@message("display", to="server", number=101)
class Init:
    """The client's caches; its first message here."""

    pixmap_cache_id: u8
    pixmap_cache_size: i64  # pixels
    glz_dictionary_id: u8
    glz_dictionary_window_size: i32  # pixels


@message("display", to="server", number=102)
class StreamReport:
    """How a stream arrived; no frames and 0xffffffff drops: the client cannot decode it."""

    stream_id: u32
    unique_id: u32
    start_frame_mm_time: u32
    end_frame_mm_time: u32
    num_frames: u32
    num_drops: u32
    last_frame_delay: i32  # milliseconds
    audio_delay: u32  # milliseconds; 0xffffffff: no sound


@message("display", to="server", number=103)
class PreferredCompression:
    """How the client would like images."""

    image_compression: Annotated[u8, ImageCompression]


@message("display", to="server", number=104)
class GlDrawDone:
    """The frame was shown; the next may come."""


@message("display", to="server", number=105)
class PreferredVideoCodecType:
    """The codecs that the client would like, best first."""

    codecs: Annotated[list[Annotated[u8, VideoCodec]], Counted(u8)]
