# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that a target was told of and that are on their way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable

from spicemig.channels.tickets import TicketVerifier
from spicemig.session.client import ChannelKey, ClientSession
from spicemig.wire.declare import channel_name
from spicemig.wire.messages.migration import ChannelBlock, ClientOffer


@dataclass(slots=True)
class Arrival:
    """One client on its way, from the offer to its settling."""

    channels: frozenset[ChannelKey]
    seamless: bool
    verifier: TicketVerifier | None  # None: the source asked for no ticket
    client: ClientSession | None = None  # once its first link is here
    told_linked: bool = False
    blocks: dict[ChannelKey, bytes] = field(default_factory=dict)  # the stream copy of its state
    settled: set[ChannelKey] = field(default_factory=set)

    @classmethod
    def of(cls, offer: ClientOffer, seamless: bool) -> Arrival:
        """What to expect after this offer."""
        return cls(
            channels=frozenset((channel_name(channel.type), channel.id) for channel in offer.channels),
            seamless=seamless,
            verifier=TicketVerifier.unpack(bytes(offer.verifier)) if offer.verifier else None,
        )

    @property
    def linked(self) -> bool:
        """Whether every channel that the client has at the source is linked here."""
        return self.client is not None and self.channels <= set(self.client.cores)

    def stage(self, blocks: Iterable[ChannelBlock]) -> None:
        """Keep blocks of the stream copy."""
        for block in blocks:
            self.blocks[channel_name(block.channel), block.channel_id] = bytes(block.data)
