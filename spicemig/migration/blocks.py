# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Sealed blocks: what a client carries from the source to the target, unread and unchanged.

A block is ``SMIG``, a version, a nonce, and the state under AES-256-GCM. The key
is made for one handover and travels on the migration channel only; the handover,
the client and the channel are authenticated with every block.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.declare import CHANNEL_TYPES

MAGIC = b"SMIG"
VERSION = 1
KEY_BYTES = 32
MAX_BLOCK_BYTES = 16 << 20  # one channel's state, sealed

_HEADER = struct.Struct("<4sI12s")  # magic, version, nonce
_BOUND = struct.Struct("<16sIBB")  # migration id, connection id, channel type, channel id
_NONCE = struct.Struct("<IQ")
_TAG_BYTES = 16


def is_sealed(block: bytes) -> bool:
    """Whether a block is ours, rather than a stock server's."""
    return bytes(block[:4]) == MAGIC


class _Blocks:
    def __init__(self, key: bytes, migration_id: bytes) -> None:
        self._cipher = AESGCM(key)
        self._migration_id = migration_id

    def _bound(self, connection_id: int, channel: str, channel_id: int) -> bytes:
        return _BOUND.pack(self._migration_id, connection_id, CHANNEL_TYPES[channel], channel_id)


class Sealer(_Blocks):
    """Closes blocks at the source."""

    def __init__(self, key: bytes, migration_id: bytes) -> None:
        super().__init__(key, migration_id)
        self._sealed = 0

    def seal(self, connection_id: int, channel: str, channel_id: int, state: bytes) -> bytes:
        """The block for one channel of one client."""
        self._sealed += 1
        header = _HEADER.pack(MAGIC, VERSION, _NONCE.pack(0, self._sealed))
        bound = self._bound(connection_id, channel, channel_id)
        return header + self._cipher.encrypt(header[-12:], bytes(state), header + bound)


class Opener(_Blocks):
    """Opens blocks at the target, each channel's once."""

    def __init__(self, key: bytes, migration_id: bytes) -> None:
        super().__init__(key, migration_id)
        self._opened: set[tuple[int, str, int]] = set()

    def open(self, connection_id: int, channel: str, channel_id: int, block: bytes) -> bytes:
        """The state in the block; ``ProtocolError`` if the source did not seal it for this channel."""
        place = (connection_id, channel, channel_id)
        if len(block) > MAX_BLOCK_BYTES:
            raise ProtocolError(LinkError.INVALID_DATA, f"a block of {len(block)} bytes")
        if len(block) < _HEADER.size + _TAG_BYTES:
            raise ProtocolError(LinkError.INVALID_DATA, "a block that is cut short")
        magic, version, nonce = _HEADER.unpack_from(block)
        if magic != MAGIC or version != VERSION:
            raise ProtocolError(LinkError.INVALID_DATA, "a block of another kind or version")
        if place in self._opened:
            raise ProtocolError(LinkError.INVALID_DATA, "a block that was used before")
        view = bytes(block)
        try:
            state = self._cipher.decrypt(
                nonce, view[_HEADER.size :], view[: _HEADER.size] + self._bound(*place)
            )
        except InvalidTag as error:
            raise ProtocolError(
                LinkError.INVALID_DATA, "a block that the source did not seal for this channel"
            ) from error
        self._opened.add(place)
        return state
