# SPDX-License-Identifier: LGPL-2.1-or-later
"""The states that travel while the guest stands still, in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from spicemig.errors import MigrationError
from spicemig.wire.messages.migration import CHUNK_BYTES, StateChunk, StateKind

MAX_STATE_BYTES = 64 << 20  # of all states together

State = tuple[StateKind, int, int, int, bytes]  # kind, connection id, channel type and id, bytes


def state_chunks(host: Any, connection_ids: Iterable[int]) -> Iterator[StateChunk]:
    """
    The pieces of everything a stopped host hands over beside pixels, and of these
    clients' channels. Raises ``MigrationError`` if it is too much.
    """
    total = 0
    for kind, connection_id, channel, channel_id, data in _states(host, connection_ids):
        total += len(data)
        if total > MAX_STATE_BYTES:
            raise MigrationError("stop", f"the states have more than {MAX_STATE_BYTES} bytes")
        view = memoryview(data)
        for first in range(0, max(len(view), 1), CHUNK_BYTES):
            last = first + CHUNK_BYTES >= len(view)
            piece = view[first : first + CHUNK_BYTES]
            yield StateChunk(kind, connection_id, channel, channel_id, int(last), piece)


def _states(host: Any, connection_ids: Iterable[int]) -> Iterator[State]:
    yield StateKind.HOST, 0, 0, 0, host.export_host()
    yield StateKind.DEVICE, 0, 0, 0, host.device.export_state()
    yield StateKind.GUEST, 0, 0, 0, host.guest.export_state()
    for connection_id in connection_ids:
        for block in host.client_blocks(connection_id):
            yield StateKind.CHANNEL, connection_id, block.channel, block.channel_id, block.data
