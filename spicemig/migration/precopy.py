# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Pixels and dictionaries on their way to the target, in rounds, not faster than it takes them.

A round is what was dirty, or not sent yet, when it began. Rounds end when what is left can be sent
within the goal for the pause, when they no longer get smaller, or when there were too many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from spicemig.errors import MigrationError
from spicemig.migration.dictionaries import OutgoingImages
from spicemig.migration.digest import Digest
from spicemig.wire.messages.migration import (
    CHUNK_BYTES,
    MESSAGE_BYTES,
    DictionaryBlock,
    PixelBlock,
    RoundEnd,
)

WINDOW_BYTES = 4 << 20  # sent and not yet applied by the target
MIN_CLEAN_BYTES = CHUNK_BYTES  # so little is never worth another round
SHRINKING = 0.75  # a round that leaves more than this part of the one before does not get anywhere
PIXEL_HEADER_BYTES = 32


class PixelPump:
    """Sends the device's dirty pixels and the clients' ``images`` through ``send``, and counts."""

    def __init__(
        self,
        device: Any,
        images: OutgoingImages,
        send: Callable[[Any], None],
        digest: Digest,
        seconds: Callable[[], float],
    ) -> None:
        self.device = device
        self.images = images
        self.send = send
        self.digest = digest
        self.seconds = seconds
        self.rounds = 0
        self.sent_bytes = 0
        self.applied_bytes = 0
        self.bytes_per_second = 0.0
        self._pieces: deque[PixelBlock | DictionaryBlock] = deque()
        self._round_end: int | None = (
            None  # value of sent_bytes at which the round is over; None: at the last pixel
        )
        self._round_began = 0.0
        self._round_first = 0
        self._dirty_before = 0

    @property
    def in_flight(self) -> int:
        """Bytes the target has not applied yet."""
        return self.sent_bytes - self.applied_bytes

    def dirty_bytes(self) -> int:
        """What the target has not, or not as it is now; about."""
        dirty: int = self.device.dirty_bytes()
        return dirty + self.images.waiting_bytes()

    def begin_round(self) -> None:
        """Start a round with what is dirty now."""
        self.rounds += 1
        self._round_began = self.seconds()
        self._round_first = self.sent_bytes
        self._dirty_before = self.dirty_bytes()
        self.images.begin_round()
        self._round_end = self.sent_bytes + self._dirty_before

    def begin_last(self) -> None:
        """Start the last round: until nothing is dirty."""
        self.images.begin_round()
        self._round_end = None

    def applied(self, total: int) -> bool:
        """The target has applied so many bytes in all; False if that cannot be."""
        if not self.applied_bytes <= total <= self.sent_bytes:
            return False
        self.applied_bytes = total
        return True

    def pump(self) -> bool:
        """Send what the window lets through; True when all of the round is sent."""
        while self.in_flight < WINDOW_BYTES:
            piece = self._next()
            if piece is None:
                return True
            self.sent_bytes += len(piece.data)
            if isinstance(piece, PixelBlock):
                self.digest.pixels(piece)
            else:
                self.digest.image(piece)
            self.send(piece)
        return False

    def _next(self) -> PixelBlock | DictionaryBlock | None:
        if not self._pieces:
            self._pieces.extend(self.images.next_blocks())
        if not self._pieces:
            if self._round_end is not None and self.sent_bytes >= self._round_end:
                return None
            for block in self.device.next_round(CHUNK_BYTES):
                self._pieces.extend(pieces(block))
        return self._pieces.popleft() if self._pieces else None

    def end_round(self, goal_seconds: float, max_rounds: int) -> bool:
        """All of the round was applied. Whether it was the last before the guest is stopped."""
        taken = max(self.seconds() - self._round_began, 1e-6)
        if self.sent_bytes > self._round_first:
            self.bytes_per_second = (self.sent_bytes - self._round_first) / taken
        dirty = self.dirty_bytes()
        self.send(RoundEnd(self.rounds, dirty))
        if dirty <= MIN_CLEAN_BYTES or dirty <= self.bytes_per_second * goal_seconds:
            return True
        return self.rounds >= max_rounds or (self.rounds > 2 and dirty > self._dirty_before * SHRINKING)


def pieces(block: Any) -> Iterator[PixelBlock]:
    """Cut a device's block of rows into messages."""
    stride = block.stride
    if stride + PIXEL_HEADER_BYTES > MESSAGE_BYTES:
        raise MigrationError("precopy", f"surface {block.surface_id} has rows of {stride} bytes")
    rows_each = max(1, CHUNK_BYTES // max(stride, 1))
    data = memoryview(block.data)
    for first in range(0, block.rows, rows_each):
        rows = min(rows_each, block.rows - first)
        # copied: the surface may be drawn on before the transport has taken the bytes
        part = bytes(data[first * stride : (first + rows) * stride])
        yield PixelBlock(
            surface_id=block.surface_id,
            width=block.width,
            height=block.height,
            left=block.left,
            top=block.top + first,
            rows=rows,
            stride=stride,
            data=part,
        )
