# SPDX-License-Identifier: LGPL-2.1-or-later
"""A running digest over all pixels and states of a handover, kept on both sides."""

from __future__ import annotations

import hashlib
import struct

from spicemig.wire.messages.migration import DictionaryBlock, PixelBlock, StateChunk

_PIXELS = struct.Struct("<BIIIIIIIQ")
_IMAGE = struct.Struct("<BIIQBIIIQ")
_STATE = struct.Struct("<BBIBBBQ")


class Digest:
    """SHA-256 over what was sent, in order; equal on both sides if nothing was lost or changed."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def pixels(self, block: PixelBlock) -> None:
        """Add a block of pixels."""
        self._hash.update(
            _PIXELS.pack(
                1,
                block.surface_id,
                block.width,
                block.height,
                block.left,
                block.top,
                block.rows,
                block.stride,
                len(block.data),
            )
        )
        self._hash.update(block.data)

    def image(self, block: DictionaryBlock) -> None:
        """Add a piece of an image of a GLZ dictionary."""
        self._hash.update(
            _IMAGE.pack(
                3,
                block.connection_id,
                block.window_pixels,
                block.image_id,
                block.format,
                block.width,
                block.height,
                block.first,
                len(block.data),
            )
        )
        self._hash.update(block.data)

    def state(self, chunk: StateChunk) -> None:
        """Add a piece of a state."""
        self._hash.update(
            _STATE.pack(
                2,
                chunk.kind,
                chunk.connection_id,
                chunk.channel_type,
                chunk.channel_id,
                chunk.last,
                len(chunk.data),
            )
        )
        self._hash.update(chunk.data)

    def value(self) -> bytes:
        """The digest so far."""
        return self._hash.digest()
