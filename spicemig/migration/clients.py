# SPDX-License-Identifier: LGPL-2.1-or-later
"""The clients of a handover as the source keeps book of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spicemig.migration.settings import MODE_NAMES
from spicemig.wire.declare import channel_name
from spicemig.wire.messages.migration import ClientOffer, Mode


@dataclass(slots=True, eq=False)
class MovingClient:
    """One client: how it moves, how far it is, what became of it."""

    offer: ClientOffer
    mode: Mode
    invited: bool = False
    answered: bool = False
    linked_at: float | None = None  # when the target said so
    gone: bool = False  # from the source
    settled: bool = False  # at the target
    outcome: str | None = None
    pause_ms: float | None = None
    bytes_resent: int | None = None
    flush_marks: int = 0

    @property
    def id(self) -> int:
        """Its connection id."""
        return self.offer.connection_id

    def report(self) -> dict[str, Any]:
        """What the report says of it."""
        return {
            "id": self.id,
            "name": bytes(self.offer.name).decode(errors="replace"),
            "mode": MODE_NAMES[self.mode],
            "pause_ms": self.pause_ms,
            "bytes_resent": self.bytes_resent,
            "channels": [f"{channel_name(channel.type)}:{channel.id}" for channel in self.offer.channels],
            "outcome": self.outcome,
        }
