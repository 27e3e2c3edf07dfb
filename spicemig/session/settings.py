# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an operator may decide about the sessions of a host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The settings that sessions read; made by ``daemons.config``."""

    name: str = "spicemig"
    uuid: bytes = bytes(16)
    max_clients: int = 64
    multi_client: bool = True  # False: a new client takes the place of the one before
    image_compression: str = "auto_glz"
    jpeg_wan: str = "never"  # or auto, always
    zlib_glz_wan: str = "never"
    streaming: str = "off"
    video_codecs: tuple[str, ...] = ("mjpeg", "vp8", "h264", "vp9")  # best first
