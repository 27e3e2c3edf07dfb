# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The clients of a host, and the guest they share.

Who may link is decided here; what the device shows goes from here to every
client, what clients type and point goes to the guest. A host serves its guest,
or is empty and waits for one; :mod:`spicemig.migration` takes it from one state
to the other by the methods of the last two parts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from spicemig.channels.glz_dictionary import GlzDictionary
from spicemig.channels.tallies import HostTally
from spicemig.codecs.glz import GlzImage
from spicemig.devices.interfaces import IDevice, IDisplay, IGuest
from spicemig.errors import LinkError, ProtocolError, SpicemigError
from spicemig.session.arrivals import Arrivals, OpenSeal
from spicemig.session.carried import CARRIED_HOST_VERSION, CarriedHost
from spicemig.session.client import ClientSession
from spicemig.session.guest_inputs import GuestInputs
from spicemig.session.settings import SessionSettings
from spicemig.session.stage import Stage
from spicemig.wire.declare import CHANNEL_TYPES
from spicemig.wire.messages.main import Destination
from spicemig.wire.messages.migration import ChannelBlock, ChannelOffer, ClientOffer, OfferFlag

if TYPE_CHECKING:
    from spicemig.channels.link import LinkRequest
    from spicemig.channels.tickets import Ticket

CHANNEL_SET = (("main", 0), ("display", 0), ("inputs", 0), ("cursor", 0))
MM_TIME_MASK = 0xFFFFFFFF


@implementer(IDisplay)
class Sessions:
    """
    All clients of this host.

    ``make_device`` and ``make_guest`` give new ones (a handover ends with both
    gone), ``workers`` runs a function in a worker thread and returns a Deferred.
    ``ticket`` is None where no ticket is asked for.
    """

    log = Logger()

    def __init__(
        self,
        make_device: Callable[[], IDevice],
        make_guest: Callable[[str], IGuest],
        settings: SessionSettings,
        clock: Any,
        workers: Callable[..., Deferred[Any]],
        ticket: Ticket | None = None,
    ) -> None:
        self.make_device = make_device
        self.make_guest = make_guest
        self.settings = settings
        self.clock = clock
        self.workers = workers
        self.ticket = ticket
        self.channel_set = CHANNEL_SET
        self.clients: dict[int, ClientSession] = {}
        self.tally = HostTally()
        self.arrivals = Arrivals(self)
        self.inputs = GuestInputs(self)
        self.stage = Stage.EMPTY
        self.guest: IGuest | None = None
        self.observer: Any = None
        self._mm_zero = clock.seconds()
        self._admitted: WeakKeyDictionary[Any, ClientSession] = WeakKeyDictionary()  # by core
        self._stopping = False  # a freeze was asked for and not undone
        self.device: IDevice
        self._new_device()

    def _new_device(self) -> None:
        self.device = self.make_device()
        self.device.add_display(self)

    def power_on(self, kind: str) -> None:
        """Start a guest of this kind from nothing, and serve it."""
        self.guest = self.make_guest(kind)
        self.guest.attach(self.device)
        self.inputs.powered_on()
        self.stage = Stage.SERVING
        self.guest.power_on()

    @property
    def owner(self) -> bool:
        """Whether the guest is this host's to run."""
        return self.stage in (Stage.SERVING, Stage.FROZEN)

    # links

    def admit(self, request: LinkRequest) -> Any:
        """The core for a link that is asked for; raises ``ProtocolError`` with the link error to answer."""
        if (request.channel, request.channel_id) not in self.channel_set:
            raise ProtocolError(
                LinkError.CHANNEL_NOT_AVAILABLE, f"no channel {request.channel}:{request.channel_id}"
            )
        client = self._client_of(request)
        core = client.make_core(request)
        self._admitted[core] = client
        return core

    def _client_of(self, request: LinkRequest) -> ClientSession:
        """The client that a link would belong to; raises ``ProtocolError``."""
        if request.connection_id in self.arrivals:
            client = self.arrivals.client_of(request)
        elif request.connection_id:
            client = self._known_client(request)
        elif request.channel == "main":
            self._check_room()
            return ClientSession(self, self._new_connection_id(), request.address)
        else:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "the main channel comes first")
        if (request.channel, request.channel_id) in client.cores:
            raise ProtocolError(LinkError.ERROR, f"channel {request.channel} is linked already")
        return client

    def _check_room(self) -> None:
        if self.stage not in (Stage.SERVING, Stage.FROZEN):
            raise ProtocolError(LinkError.ERROR, "no guest is served here now")
        if self.settings.multi_client and len(self.clients) >= self.settings.max_clients:
            raise ProtocolError(
                LinkError.ERROR, f"{len(self.clients)} clients are connected, the limit of this host"
            )

    def _new_connection_id(self) -> int:
        while True:
            connection_id = secrets.randbits(32)
            if connection_id and connection_id not in self.clients and connection_id not in self.arrivals:
                return connection_id

    def _known_client(self, request: LinkRequest) -> ClientSession:
        client = self.clients.get(request.connection_id)
        if client is None or client.main is None or request.channel == "main":
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "no client has this connection id")
        if client.closing or client.seal is not None:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "the client with this connection id is leaving")
        return client

    def authenticate(self, request: LinkRequest, password: bytes, now: float) -> bool:
        """Whether the password opens this link; an arriving client uses the one it had at the source."""
        if request.connection_id in self.arrivals:
            return self.arrivals.opens(request.connection_id, password)
        if self.ticket is None:
            return True
        client = self.clients.get(request.connection_id)
        if client is not None and client.verifier is not None:
            return client.verifier.matches(password)
        return self.ticket.check(password, now) or self.arrivals.opens_afresh(password)

    def attached(self, request: LinkRequest, core: Any, protocol: Any, password: bytes) -> ClientSession:
        """
        A link is through. Returns the session that the channel protocol reports to;
        raises ``ProtocolError`` if it has lost its place since it was admitted.
        """
        client = self._admitted.pop(core)
        if not request.connection_id:
            self._check_room()
            self._join(client, password)
        elif self._client_of(request) is not client:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "its client has gone")
        if not client.cores:
            client.address, client.local = request.address, request.local
        self.clients[client.connection_id] = client
        client.attach(core, protocol)
        self.log.info(
            "client {client}: channel {channel}:{id} linked",
            client=client.address,
            channel=core.channel,
            id=core.channel_id,
        )
        self.arrivals.look_whether_linked(client)
        return client

    def _join(self, client: ClientSession, password: bytes) -> None:
        if self.ticket is not None:
            client.verifier = self.ticket.verifier(password)
        if not self.settings.multi_client:
            for other in self._each():
                self.log.info("client {client}: another one takes its place", client=other.address)
                other.close()

    def client_lost(self, client: ClientSession) -> None:
        """A client has no channel left."""
        self.arrivals.client_lost(client)
        if self.clients.get(client.connection_id) is client:
            del self.clients[client.connection_id]
            self.log.info("client {client}: gone", client=client.address)
            self.notify_observer("client_gone", client.connection_id)

    def notify_observer(self, what: str, *args: Any) -> None:
        """Tell a migration under way, if there is one, what a client did."""
        if self.observer is not None:
            getattr(self.observer, what)(*args)

    def multi_media_time(self) -> int:
        """The multimedia clock in ms; it goes on over a handover."""
        return int((self.clock.seconds() - self._mm_zero) * 1000) & MM_TIME_MASK

    # the device (IDisplay)

    def _each(self) -> list[ClientSession]:
        return list(self.clients.values())

    def surface_created(self, surface: Any) -> None:
        """See :class:`IDisplay`."""
        for client in self._each():
            client.surface_created(surface)

    def surface_destroyed(self, surface_id: int) -> None:
        """See :class:`IDisplay`."""
        for client in self._each():
            client.surface_destroyed(surface_id)

    def drawables(self, batch: Any) -> None:
        """See :class:`IDisplay`."""
        for client in self._each():
            client.drawables(batch)

    def cursor(self, command: Any) -> None:
        """See :class:`IDisplay`."""
        for client in self._each():
            client.cursor(command)

    def monitors(self, config: Any) -> None:
        """See :class:`IDisplay`."""
        for client in self._each():
            client.monitors(config)

    # leaving: what a handover asks of its source

    def offers(self) -> list[ClientOffer]:
        """What the target must know of every client that could follow."""
        return [
            self._offer(client)
            for client in self._each()
            if client.main is not None and not client.arriving and not client.closing
        ]

    def _offer(self, client: ClientSession) -> ClientOffer:
        flags = OfferFlag(0)
        if client.seamless:
            flags |= OfferFlag.SEAMLESS
        if client.semi_seamless:
            flags |= OfferFlag.SEMI_SEAMLESS
        if client.local:
            flags |= OfferFlag.UNIX
        return ClientOffer(
            connection_id=client.connection_id,
            name=client.address.encode(),
            verifier=client.verifier.pack() if client.verifier is not None else b"",
            flags=flags,
            channels=[ChannelOffer(CHANNEL_TYPES[channel], number) for channel, number in client.cores],
        )

    def invite(self, connection_id: int, destination: Destination, seamless: bool) -> None:
        """Ask a client to link to the target; the observer hears how it went."""
        self._on_main(connection_id, lambda main: main.migrate_begin(destination, seamless))

    def cancel_invitation(self, connection_id: int) -> None:
        """Tell a client to stay."""
        self._on_main(connection_id, lambda main: main.migrate_cancel())

    def end(self, connection_id: int) -> None:
        """Send a semi-seamless client over."""
        self._on_main(connection_id, lambda main: main.migrate_end())

    def switch_host(self, connection_id: int, destination: Destination) -> None:
        """Tell a client to connect to the target from scratch."""
        self._on_main(connection_id, lambda main: main.switch_host(destination))

    def _on_main(self, connection_id: int, act: Callable[[Any], None]) -> None:
        client = self.clients.get(connection_id)
        if client is not None and client.main is not None:
            act(client.main)
            client.flush(client.main)

    def close_client(self, connection_id: int) -> None:
        """Drop a client at once."""
        client = self.clients.get(connection_id)
        if client is not None:
            client.abort()

    def freeze(self) -> Deferred[None]:
        """Stop the guest and the clients' channels; fires when all that was drawn has been sent off."""
        self._stopping = True
        stopped = maybeDeferred(self.guest.stop) if self.guest is not None else succeed(None)
        return stopped.addCallback(self._guest_stopped)

    def _guest_stopped(self, _: Any) -> None:
        if not self._stopping:
            return  # thawed meanwhile
        self.device.stop()
        self.stage = Stage.FROZEN
        for client in self._each():
            client.freeze()

    def thaw(self) -> None:
        """
        As if nothing had happened, however far a freeze or what followed it got.

        The guest runs, and what clients said meanwhile is handled.
        """
        if not self._stopping:
            return
        self._stopping = False
        self._run()
        for client in self._each():
            client.thaw()
        self.inputs.release_all_keys()

    def _run(self) -> None:
        self.stage = Stage.SERVING
        self.device.resume()
        if self.guest is not None:
            self.guest.resume()

    def export_host(self) -> bytes:
        """What all clients share, for the target."""
        return CarriedHost(
            version=CARRIED_HOST_VERSION,
            mouse_mode=self.inputs.mouse_mode,
            mm_time=self.multi_media_time(),
            modifiers=self.inputs.modifiers,
            keys=self.inputs.held_keys(),
        ).pack()

    def client_blocks(self, connection_id: int) -> list[ChannelBlock]:
        """The state of a frozen client's channels: the stream copy."""
        client = self.clients.get(connection_id)
        if client is None:
            return []
        return [
            ChannelBlock(CHANNEL_TYPES[channel], number, client.carried(core))
            for (channel, number), core in client.cores.items()
        ]

    def glz_dictionary(self, connection_id: int) -> GlzDictionary:
        """The GLZ dictionary of a client."""
        return self.clients[connection_id].glz_dictionary

    def give_away(self) -> None:
        """From now on another host owns the guest."""
        self.stage = Stage.GIVEN

    def switch(self, connection_id: int, seal: Callable[[str, int, bytes], bytes]) -> None:
        """Send a client's channels over, each with its sealed state."""
        client = self.clients.get(connection_id)
        if client is not None:
            client.leave(seal)

    def release(self) -> None:
        """Be empty: clients that are still here are dropped, the guest and its device go."""
        for client in self._each():
            client.abort()
        self._shut_down()

    def _shut_down(self) -> None:
        self.stage = Stage.EMPTY
        guest, self.guest = self.guest, None
        self.device.remove_display(self)
        if guest is not None:
            guest.shut_down()
        self._new_device()
        self.inputs.reset()
        self._stopping = False

    # arriving: what a handover asks of its target

    def expect(self, offer: ClientOffer, seamless: bool) -> None:
        """A client will link with this connection id."""
        if self.stage is Stage.EMPTY:
            self.stage = Stage.ARRIVING
        self.arrivals.expect(offer, seamless)

    def forget(self, connection_id: int) -> None:
        """It will not, or not in this way; its links are closed."""
        self.arrivals.forget(connection_id)

    def load(self, host_state: bytes, device_state: bytes, guest_kind: str, guest_state: bytes) -> None:
        """Take over the guest as the source stopped it; it does not run yet."""
        carried = CarriedHost.unpack(host_state)
        if carried.version > CARRIED_HOST_VERSION:
            raise SpicemigError(
                f"host state of version {carried.version}, this program knows {CARRIED_HOST_VERSION}"
            )
        self.stage = Stage.ARRIVING
        self.device.stop()
        self.device.restore(device_state)
        self.guest = self.make_guest(guest_kind)
        self.guest.attach(self.device)
        self.guest.restore(guest_state)
        self.inputs.restore(carried)
        self._mm_zero = self.clock.seconds() - carried.mm_time / 1000
        for client in self._each():
            client.tell_mouse_mode()

    def take_image(self, connection_id: int, pixels: int, image: GlzImage) -> None:
        """The next image in an expected client's GLZ window of so many pixels."""
        self.arrivals.take_image(connection_id, pixels, image)

    def stage_blocks(self, connection_id: int, blocks: Iterable[ChannelBlock]) -> None:
        """Keep the stream copy of a client's state until the guest is ours."""
        self.arrivals.stage_blocks(connection_id, blocks)

    def assume(self, open_seal: OpenSeal) -> None:
        """
        The guest is ours: run it, and serve the clients that are here.

        ``open_seal`` turns a block that came through a client into what the
        source sealed, or raises ``ProtocolError``.
        """
        self.arrivals.assume(open_seal)
        self._run()
        self.inputs.release_all_keys(but=self.arrivals.seamless_ids())

    def bytes_resent(self, connection_id: int) -> int:
        """How many bytes of pixels an arrived client was sent that it had at the source."""
        client = self.clients.get(connection_id)
        return client.bytes_resent if client is not None else 0

    def abandon(self) -> None:
        """Be empty again: nothing arrives."""
        self.arrivals.end()
        self._shut_down()

    def end_arrivals(self) -> None:
        """Whoever has not come by now comes as a new client."""
        self.arrivals.end()
