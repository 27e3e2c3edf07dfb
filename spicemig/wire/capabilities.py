# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Capabilities: what either side of a link can do, as bits in 32-bit words.

Source: ``spice/protocol.h``, ``spice/vd_agent.h`` of spice-protocol 0.14.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class CommonCap(IntEnum):
    """Valid on every channel."""

    PROTOCOL_AUTH_SELECTION = 0
    AUTH_SPICE = 1
    AUTH_SASL = 2
    MINI_HEADER = 3


class MainCap(IntEnum):
    SEMI_SEAMLESS_MIGRATE = 0
    NAME_AND_UUID = 1
    AGENT_CONNECTED_TOKENS = 2
    SEAMLESS_MIGRATE = 3


class DisplayCap(IntEnum):
    SIZED_STREAM = 0
    MONITORS_CONFIG = 1
    COMPOSITE = 2
    A8_SURFACE = 3
    STREAM_REPORT = 4
    LZ4_COMPRESSION = 5
    PREF_COMPRESSION = 6
    GL_SCANOUT = 7
    MULTI_CODEC = 8
    CODEC_MJPEG = 9
    CODEC_VP8 = 10
    CODEC_H264 = 11
    PREF_VIDEO_CODEC_TYPE = 12
    CODEC_VP9 = 13
    CODEC_H265 = 14


class InputsCap(IntEnum):
    KEY_SCANCODE = 0


class PlaybackCap(IntEnum):
    CELT_0_5_1 = 0
    VOLUME = 1
    LATENCY = 2
    OPUS = 3


class RecordCap(IntEnum):
    CELT_0_5_1 = 0
    VOLUME = 1
    OPUS = 2


class VmcCap(IntEnum):
    """Of usbredir, port and webdav."""

    DATA_COMPRESS_LZ4 = 0


class AgentCap(IntEnum):
    """Of client and guest agent to each other."""

    MOUSE_STATE = 0
    MONITORS_CONFIG = 1
    REPLY = 2
    CLIPBOARD = 3
    DISPLAY_CONFIG = 4
    CLIPBOARD_BY_DEMAND = 5
    CLIPBOARD_SELECTION = 6
    SPARSE_MONITORS_CONFIG = 7
    GUEST_LINEEND_LF = 8
    GUEST_LINEEND_CRLF = 9
    MAX_CLIPBOARD = 10
    AUDIO_VOLUME_SYNC = 11
    MONITORS_CONFIG_POSITION = 12
    FILE_XFER_DISABLED = 13
    FILE_XFER_DETAILED_ERRORS = 14
    GRAPHICS_DEVICE_INFO = 15
    CLIPBOARD_NO_RELEASE_ON_REGRAB = 16
    CLIPBOARD_GRAB_SERIAL = 17


CHANNEL_CAPS: dict[str, type[IntEnum]] = {
    "main": MainCap,
    "display": DisplayCap,
    "inputs": InputsCap,
    "playback": PlaybackCap,
    "record": RecordCap,
    "usbredir": VmcCap,
    "port": VmcCap,
    "webdav": VmcCap,
}
"""The capabilities that a channel has of its own; the others have none."""


def caps_to_words(caps: Iterable[int]) -> list[int]:
    """Capabilities as words, as few as possible."""
    words: list[int] = []
    for cap in caps:
        index, bit = divmod(int(cap), 32)
        words += [0] * (index + 1 - len(words))
        words[index] |= 1 << bit
    return words


def words_to_caps(words: Iterable[int]) -> frozenset[int]:
    """The bits that are set, also those that have no name here."""
    return frozenset(
        32 * index + bit for index, word in enumerate(words) for bit in range(32) if word >> bit & 1
    )
