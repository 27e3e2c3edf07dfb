# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The numbers of the protocol that have names.

Source: spice.proto; ``spice/enums.h``, ``spice/vd_agent.h`` and
``spice/stream-device.h`` of spice-protocol 0.14.3.
"""

from enum import IntEnum, IntFlag

from spicemig.errors import LinkError

# base channel


class MigrateFlags(IntFlag):
    """What the client does when it gets Migrate."""

    NEED_FLUSH = 1  # send a flush mark
    NEED_DATA_TRANSFER = 2  # carry a MigrateData to the target


class NotifySeverity(IntEnum):
    INFO = 0
    WARN = 1
    ERROR = 2


class NotifyVisibility(IntEnum):
    LOW = 0
    MEDIUM = 1
    HIGH = 2


class DataCompression(IntEnum):
    NONE = 0
    LZ4 = 1


# main channel and inputs


class MouseMode(IntFlag):
    SERVER = 1  # the client sends motions
    CLIENT = 2  # the client sends positions


class KeyboardModifiers(IntFlag):
    SCROLL_LOCK = 1
    NUM_LOCK = 2
    CAPS_LOCK = 4


class MouseButton(IntEnum):
    INVALID = 0
    LEFT = 1
    MIDDLE = 2
    RIGHT = 3
    UP = 4
    DOWN = 5
    SIDE = 6
    EXTRA = 7


class MouseButtonMask(IntFlag):
    LEFT = 1
    MIDDLE = 2
    RIGHT = 4
    UP = 8
    DOWN = 16
    SIDE = 32
    EXTRA = 64


# display: images


class ImageType(IntEnum):
    BITMAP = 0
    QUIC = 1
    RESERVED = 2
    LZ_PLT = 100
    LZ_RGB = 101
    GLZ_RGB = 102
    FROM_CACHE = 103
    SURFACE = 104
    JPEG = 105
    FROM_CACHE_LOSSLESS = 106
    ZLIB_GLZ_RGB = 107
    JPEG_ALPHA = 108
    LZ4 = 109


class ImageFlags(IntFlag):
    CACHE_ME = 1
    HIGH_BITS_SET = 2
    CACHE_REPLACE_ME = 4


class ImageCompression(IntEnum):
    INVALID = 0
    OFF = 1
    AUTO_GLZ = 2
    AUTO_LZ = 3
    QUIC = 4
    GLZ = 5
    LZ = 6
    LZ4 = 7


class BitmapFormat(IntEnum):
    INVALID = 0
    BIT1_LE = 1
    BIT1_BE = 2
    BIT4_LE = 3
    BIT4_BE = 4
    BIT8 = 5  # index into a palette
    BIT16 = 6  # x555
    BIT24 = 7  # B, G, R
    BIT32 = 8  # B, G, R, unused
    RGBA = 9  # B, G, R, A
    BIT8_A = 10  # alpha only


class BitmapFlags(IntFlag):
    PAL_CACHE_ME = 1
    PAL_FROM_CACHE = 2
    TOP_DOWN = 4


class JpegAlphaFlags(IntFlag):
    TOP_DOWN = 1


# display: drawing


class SurfaceFormat(IntEnum):
    INVALID = 0
    A1 = 1
    A8 = 8
    RGB555 = 16
    XRGB32 = 32
    RGB565 = 80
    ARGB32 = 96


class SurfaceFlags(IntFlag):
    PRIMARY = 1
    STREAMING_MODE = 2


class ResourceType(IntEnum):
    INVALID = 0
    PIXMAP = 1


class ClipType(IntEnum):
    NONE = 0
    RECTS = 1


class BrushType(IntEnum):
    NONE = 0
    SOLID = 1
    PATTERN = 2


class MaskFlags(IntFlag):
    INVERS = 1


class ImageScaleMode(IntEnum):
    INTERPOLATE = 0
    NEAREST = 1


class Ropd(IntFlag):
    """How source, brush and destination are combined."""

    INVERS_SRC = 1 << 0
    INVERS_BRUSH = 1 << 1
    INVERS_DEST = 1 << 2
    OP_PUT = 1 << 3
    OP_OR = 1 << 4
    OP_AND = 1 << 5
    OP_XOR = 1 << 6
    OP_BLACKNESS = 1 << 7
    OP_WHITENESS = 1 << 8
    OP_INVERS = 1 << 9
    INVERS_RES = 1 << 10


class PathFlags(IntFlag):
    BEGIN = 1
    END = 2
    CLOSE = 8
    BEZIER = 16


class LineFlags(IntFlag):
    START_WITH_GAP = 4
    STYLED = 8


class StringFlags(IntFlag):
    RASTER_A1 = 1
    RASTER_A4 = 2
    RASTER_A8 = 4
    RASTER_TOP_DOWN = 8


class AlphaFlags(IntFlag):
    DEST_HAS_ALPHA = 1
    SRC_SURFACE_HAS_ALPHA = 2


class CompositeFlags(IntFlag):
    """The operator in the low byte, filters and repeats, and what is given."""

    OPERATOR = 0xFF
    SRC_FILTER = 0x700
    MASK_FILTER = 0x3800
    SRC_REPEAT = 0xC000
    MASK_REPEAT = 0x30000
    COMPONENT_ALPHA = 1 << 18
    HAS_MASK = 1 << 19
    HAS_SRC_TRANSFORM = 1 << 20
    HAS_MASK_TRANSFORM = 1 << 21
    SOURCE_OPAQUE = 1 << 22
    MASK_OPAQUE = 1 << 23
    DEST_OPAQUE = 1 << 24


class GlScanoutFlags(IntFlag):
    Y0TOP = 1


# display: streams


class VideoCodec(IntEnum):
    MJPEG = 1
    VP8 = 2
    H264 = 3
    VP9 = 4
    H265 = 5


class StreamFlags(IntFlag):
    TOP_DOWN = 1


# cursor


class CursorType(IntEnum):
    ALPHA = 0
    MONO = 1
    COLOR4 = 2
    COLOR8 = 3
    COLOR16 = 4
    COLOR24 = 5
    COLOR32 = 6


class CursorFlags(IntFlag):
    NONE = 1  # no cursor
    CACHE_ME = 2
    FROM_CACHE = 4


# playback and record


class AudioMode(IntEnum):
    INVALID = 0
    RAW = 1
    CELT_0_5_1 = 2
    OPUS = 3


class AudioFormat(IntEnum):
    INVALID = 0
    S16 = 1


# smartcard, port


class VscMessageType(IntEnum):
    INIT = 1
    ERROR = 2
    READER_ADD = 3
    READER_REMOVE = 4
    ATR = 5
    CARD_REMOVE = 6
    APDU = 7
    FLUSH = 8
    FLUSH_COMPLETE = 9


class PortEvents(IntEnum):
    OPENED = 0
    CLOSED = 1
    BREAK = 2


# agent


class AgentPort(IntEnum):
    CLIENT = 1
    SERVER = 2


class ClipboardType(IntEnum):
    NONE = 0
    UTF8_TEXT = 1
    IMAGE_PNG = 2
    IMAGE_BMP = 3
    IMAGE_TIFF = 4
    IMAGE_JPG = 5
    FILE_LIST = 6


class ClipboardSelection(IntEnum):
    CLIPBOARD = 0
    PRIMARY = 1
    SECONDARY = 2


class FileTransferResult(IntEnum):
    CAN_SEND_DATA = 0
    CANCELLED = 1
    ERROR = 2
    SUCCESS = 3
    NOT_ENOUGH_SPACE = 4
    SESSION_LOCKED = 5
    AGENT_NOT_CONNECTED = 6
    DISABLED = 7


class MonitorsConfigFlags(IntFlag):
    USE_POSITION = 1
    PHYSICAL_SIZE = 2


class DisplayConfigFlags(IntFlag):
    DISABLE_WALLPAPER = 1
    DISABLE_FONT_SMOOTH = 2
    DISABLE_ANIMATION = 4
    SET_COLOR_DEPTH = 8


class AgentResult(IntEnum):
    SUCCESS = 1
    ERROR = 2


__all__ = [
    "AgentPort",
    "AgentResult",
    "AlphaFlags",
    "AudioFormat",
    "AudioMode",
    "BitmapFlags",
    "BitmapFormat",
    "BrushType",
    "ClipType",
    "ClipboardSelection",
    "ClipboardType",
    "CompositeFlags",
    "CursorFlags",
    "CursorType",
    "DataCompression",
    "DisplayConfigFlags",
    "FileTransferResult",
    "GlScanoutFlags",
    "ImageCompression",
    "ImageFlags",
    "ImageScaleMode",
    "ImageType",
    "JpegAlphaFlags",
    "KeyboardModifiers",
    "LineFlags",
    "LinkError",
    "MaskFlags",
    "MigrateFlags",
    "MonitorsConfigFlags",
    "MouseButton",
    "MouseButtonMask",
    "MouseMode",
    "NotifySeverity",
    "NotifyVisibility",
    "PathFlags",
    "PortEvents",
    "ResourceType",
    "Ropd",
    "StreamFlags",
    "StringFlags",
    "SurfaceFlags",
    "SurfaceFormat",
    "VideoCodec",
    "VscMessageType",
]
