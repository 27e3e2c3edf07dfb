# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Clients that a target was told of and that are on their way.

Each links its channels while the guest is still the source's. Once the guest is
here it brings each channel's block, and is settled with the last one; or it says
that its migration has ended, and is served from scratch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from spicemig.channels.glz_dictionary import MAX_WINDOW_PIXELS
from spicemig.channels.main import MIGRATION_VERSION
from spicemig.channels.tickets import TicketVerifier
from spicemig.codecs.glz import GlzImage, GlzWindow
from spicemig.errors import LinkError, ProtocolError
from spicemig.session.client import ChannelKey, ClientSession
from spicemig.session.stage import Stage
from spicemig.wire.declare import channel_name
from spicemig.wire.messages.migration import ChannelBlock, ClientOffer

if TYPE_CHECKING:
    from spicemig.channels.link import LinkRequest
    from spicemig.session.sessions import Sessions

OpenSeal = Callable[[int, str, int, bytes], bytes]


@dataclass(slots=True, eq=False)
class Arrival:
    """One client on its way, from the offer to its settling."""

    client: ClientSession
    channels: frozenset[ChannelKey]  # that it has at the source
    seamless: bool
    told_linked: bool = False
    blocks: dict[ChannelKey, bytes] = field(default_factory=dict)  # the stream copy of its state
    settled: set[ChannelKey] = field(default_factory=set)

    @property
    def linked(self) -> bool:
        """Whether every channel that the client has at the source is linked here."""
        return self.channels <= self.client.cores.keys()


class Arrivals:
    """The clients that a host expects, by connection id."""

    log = Logger()

    def __init__(self, host: Sessions) -> None:
        self.host = host
        self._expected: dict[int, Arrival] = {}
        self._open_seal: OpenSeal | None = None  # once the guest is here

    def __contains__(self, connection_id: int) -> bool:
        return connection_id in self._expected

    def expect(self, offer: ClientOffer, seamless: bool) -> None:
        """A client will link with this connection id."""
        self.forget(offer.connection_id)
        client = ClientSession(self.host, offer.connection_id, arriving=True)
        if offer.verifier:  # else the source asked for no ticket
            client.verifier = TicketVerifier.unpack(bytes(offer.verifier))
        channels = frozenset((channel_name(channel.type), channel.id) for channel in offer.channels)
        self._expected[offer.connection_id] = Arrival(client, channels, seamless)

    def forget(self, connection_id: int) -> None:
        """It will not, or not in this way; its links are closed."""
        arrival = self._expected.pop(connection_id, None)
        if arrival is not None:
            arrival.client.abort()
            if self.host.stage is Stage.SERVING:
                self.host.inputs.release_keys(connection_id)

    def end(self) -> None:
        """Whoever has not come by now comes as a new client."""
        for connection_id in list(self._expected):
            self.forget(connection_id)
        self._open_seal = None

    # links

    def client_of(self, request: LinkRequest) -> ClientSession:
        """The client that a link belongs to; raises ``ProtocolError``."""
        arrival = self._expected[request.connection_id]
        if arrival.seamless and self._open_seal is not None:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "it links after its guest has come")
        return arrival.client

    def opens(self, connection_id: int, password: bytes) -> bool:
        """Whether the password is the one that an expected client had at the source."""
        verifier = self._expected[connection_id].client.verifier
        return verifier is None or verifier.matches(password)

    def opens_afresh(self, password: bytes) -> bool:
        """Whether a client that was told to come from scratch had this password at the source."""
        verifiers = (each.client.verifier for each in self._expected.values() if not each.seamless)
        return any(verifier is not None and verifier.matches(password) for verifier in verifiers)

    def _arrival_of(self, client: ClientSession) -> Arrival | None:
        arrival = self._expected.get(client.connection_id)
        return arrival if arrival is not None and arrival.client is client else None

    def look_whether_linked(self, client: ClientSession) -> None:
        """
        Tell, once, that a client is linked with all it has at the source.

        A read-only spice-gtk does not say so itself: it may not send the source
        its MIGRATE_CONNECTED_SEAMLESS.
        """
        arrival = self._arrival_of(client)
        if arrival is None or arrival.told_linked or not arrival.linked:
            return
        if arrival.seamless and not (client.main is not None and client.main.seamless_answered):
            return
        arrival.told_linked = True
        self.host.notify_observer("client_linked", client.connection_id)

    def answer_seamless(self, client: ClientSession, version: int) -> None:
        """A client asks whether it may bring its state."""
        main, arrival = client.main, self._arrival_of(client)
        if main is None or main.seamless_answered:
            return
        waiting = arrival is not None and self._open_seal is None
        if arrival is not None and arrival.seamless and waiting and version <= MIGRATION_VERSION:
            main.seamless_ack()
        else:
            if arrival is not None:
                arrival.seamless = False
            main.seamless_nack()
        client.flush(main)
        self.look_whether_linked(client)

    def client_lost(self, client: ClientSession) -> None:
        """A client has no channel left; until the guest is here it may link again."""
        arrival = self._arrival_of(client)
        if arrival is None:
            return
        if self._open_seal is not None:
            self.forget(client.connection_id)
        else:
            arrival.client = ClientSession(self.host, client.connection_id, arriving=True)
            arrival.client.verifier = client.verifier
            arrival.client.glz_contents = client.glz_contents
            arrival.told_linked = False

    # the guest comes

    def take_image(self, connection_id: int, pixels: int, image: GlzImage) -> None:
        """Put an image into the GLZ window of a client; raises ``ProtocolError``."""
        arrival = self._expected.get(connection_id)
        if arrival is None:
            return
        client = arrival.client
        try:
            if pixels > MAX_WINDOW_PIXELS:
                raise ValueError(f"a GLZ window of {pixels} pixels")
            window = client.glz_contents
            # where images are left out, the source's window has forgotten all that were before them
            if window is None or (window.size, window.next_id) != (pixels, image.id):
                window = client.glz_contents = GlzWindow(pixels)
            window.put(image)
        except ValueError as error:
            raise ProtocolError(LinkError.INVALID_DATA, str(error)) from error

    def stage_blocks(self, connection_id: int, blocks: Iterable[ChannelBlock]) -> None:
        """Keep blocks of the stream copy until the guest is ours."""
        arrival = self._expected.get(connection_id)
        if arrival is not None:
            for block in blocks:
                arrival.blocks[channel_name(block.channel), block.channel_id] = bytes(block.data)

    def assume(self, open_seal: OpenSeal) -> None:
        """
        The guest is here: serve those whose state came with it.

        ``open_seal`` turns a block that came through a client into what the
        source sealed, or raises ``ProtocolError``.
        """
        self._open_seal = open_seal
        for arrival in list(self._expected.values()):
            if arrival.seamless:
                self._restore(arrival)

    def _restore(self, arrival: Arrival) -> None:
        client = arrival.client
        client.expect_state()
        try:
            client.restore(arrival.blocks)
        except ProtocolError as error:
            self.log.error(
                "client {client}: its state is refused: {error}", client=client.address, error=error
            )
            client.abort()
        arrival.blocks = {}

    def seamless_ids(self) -> set[int]:
        """Those who are still to bring something."""
        return {connection_id for connection_id, arrival in self._expected.items() if arrival.seamless}

    def migrate_data(self, client: ClientSession, core: Any, sealed: bytes) -> None:
        """A block came through its client; raises ``ProtocolError``."""
        arrival = self._arrival_of(client)
        if arrival is None or self._open_seal is None:
            raise ProtocolError(LinkError.INVALID_DATA, "migrate data that is not waited for")
        block = self._open_seal(client.connection_id, core.channel, core.channel_id, sealed)
        key = (core.channel, core.channel_id)
        if key not in client.restored:
            client.restore({key: block})
        client.take_held(core, block)
        arrival.settled.add(key)
        self.look_whether_settled(client)

    def migrate_ended(self, client: ClientSession) -> None:
        """A client comes without its state; raises ``ProtocolError`` if it is not the time for that."""
        if self._open_seal is None or client.restored:
            raise ProtocolError(LinkError.INVALID_DATA, "an end of its migration that is not waited for")
        arrival = self._arrival_of(client)
        client.start_afresh()
        if arrival is not None:
            self._settled(client)

    def look_whether_settled(self, client: ClientSession) -> None:
        """Tell when every channel that the client has here is served."""
        arrival = self._arrival_of(client)
        if arrival is not None and arrival.settled and arrival.settled >= client.cores.keys():
            client.arriving = False
            self._settled(client)

    def _settled(self, client: ClientSession) -> None:
        self._expected.pop(client.connection_id, None)
        self.host.inputs.release_keys(client.connection_id)
        self.host.notify_observer("client_settled", client.connection_id)
