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
from enum import Enum
from typing import TYPE_CHECKING, Any, Callable, Iterable

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from spicemig.channels import events
from spicemig.channels.inputs import goes_up, split_scancodes
from spicemig.devices.interfaces import IDevice, IDisplay, IGuest
from spicemig.errors import LinkError, ProtocolError, SpicemigError
from spicemig.session.arrivals import Arrival
from spicemig.session.carried import CARRIED_HOST_VERSION, CarriedHost
from spicemig.session.client import ClientSession
from spicemig.session.settings import SessionSettings
from spicemig.wire.declare import CHANNEL_TYPES
from spicemig.wire.enums import MouseMode
from spicemig.wire.messages.main import Destination
from spicemig.wire.messages.migration import ChannelBlock, ChannelOffer, ClientOffer, OfferFlag

if TYPE_CHECKING:
    from spicemig.channels.link import LinkRequest
    from spicemig.channels.tickets import Ticket

CHANNEL_SET = (("main", 0), ("display", 0), ("inputs", 0), ("cursor", 0))
SEAMLESS_VERSION = 1  # overall migration version of BEGIN_SEAMLESS; SPICE_MIGRATION_PROTOCOL_VERSION
MM_TIME_MASK = 0xFFFFFFFF


class Stage(Enum):
    """What the host is doing."""

    EMPTY = "empty"  # no guest; one may arrive
    SERVING = "serving"
    FROZEN = "frozen"  # the guest stands still, to be handed over or to go on
    GIVEN = "given"  # another host owns the guest; clients are being sent there
    ARRIVING = "arriving"  # a guest and its clients are on their way


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
        self.arrivals: dict[int, Arrival] = {}
        self.stage = Stage.EMPTY
        self.guest: IGuest | None = None
        self.observer: Any = None
        self.mouse_mode = MouseMode.SERVER
        self.modifiers = 0
        self._mm_zero = clock.seconds()
        self._open_seal: Callable[[int, str, int, bytes], bytes] | None = None
        self._pipes_empty: Deferred[None] | None = None
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
        self.mouse_mode = self._natural_mouse_mode()
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
        if request.connection_id in self.arrivals:
            client = self._arriving_client(request)
        elif request.connection_id:
            client = self._known_client(request)
        elif request.channel == "main":
            client = self._new_client(request)
        else:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "the main channel comes first")
        return client.make_core(request)

    def _new_client(self, request: LinkRequest) -> ClientSession:
        if self.stage is not Stage.SERVING and self.stage is not Stage.FROZEN:
            raise ProtocolError(LinkError.ERROR, "no guest is served here now")
        if len(self.clients) >= self.settings.max_clients:
            raise ProtocolError(
                LinkError.ERROR, f"{len(self.clients)} clients are connected, the limit of this host"
            )
        while True:
            connection_id = secrets.randbits(32)
            if connection_id and connection_id not in self.clients and connection_id not in self.arrivals:
                break
        client = ClientSession(self, connection_id, request.address)
        client.local = request.local
        return client

    def _known_client(self, request: LinkRequest) -> ClientSession:
        client = self.clients.get(request.connection_id)
        if client is None or request.channel == "main" or client.main is None:
            raise ProtocolError(LinkError.BAD_CONNECTION_ID, "no client has this connection id")
        if (request.channel, request.channel_id) in client.cores:
            raise ProtocolError(LinkError.ERROR, f"channel {request.channel} is linked already")
        return client

    def _arriving_client(self, request: LinkRequest) -> ClientSession:
        arrival = self.arrivals[request.connection_id]
        if arrival.client is None:
            arrival.client = ClientSession(self, request.connection_id, request.address, arriving=True)
            arrival.client.verifier = arrival.verifier
        if (request.channel, request.channel_id) in arrival.client.cores:
            raise ProtocolError(LinkError.ERROR, f"channel {request.channel} is linked already")
        return arrival.client

    def authenticate(self, request: LinkRequest, password: bytes, now: float) -> bool:
        """Whether the password opens this link; an arriving client uses the one it had at the source."""
        arrival = self.arrivals.get(request.connection_id)
        if arrival is not None:
            return arrival.verifier is None or arrival.verifier.matches(password)
        if self.ticket is None:
            return True
        client = self.clients.get(request.connection_id)
        if client is not None and client.verifier is not None:
            return client.verifier.matches(password)
        return self.ticket.check(password, now) or self._sent_here(password)

    def _sent_here(self, password: bytes) -> bool:
        """Whether a client that was told to come from scratch may use the password it had at the source."""
        return any(
            arrival.verifier is not None and not arrival.seamless and arrival.verifier.matches(password)
            for arrival in self.arrivals.values()
        )

    def attached(self, request: LinkRequest, core: Any, protocol: Any, password: bytes) -> Any:
        """A link is through. Returns the session that the channel protocol reports to."""
        arrival = self.arrivals.get(request.connection_id)
        if arrival is not None and arrival.client is not None:
            client = arrival.client
        elif request.connection_id:
            client = self.clients[request.connection_id]
        else:
            client = self._join(request, core, password)
        self.clients[client.connection_id] = client
        client.attach(core, protocol)
        self.log.info(
            "client {client}: channel {channel}:{id} linked",
            client=client.address,
            channel=core.channel,
            id=core.channel_id,
        )
        if arrival is not None:
            self._look_whether_linked(arrival)
        return client

    def _join(self, request: LinkRequest, core: Any, password: bytes) -> ClientSession:
        client = ClientSession(self, core.connection_id, request.address)
        client.local = request.local
        if self.ticket is not None:
            client.verifier = self.ticket.verifier(password)
        if not self.settings.multi_client:
            for other in list(self.clients.values()):
                self.log.info("client {client}: another one takes its place", client=other.address)
                other.close()
        return client

    def client_lost(self, client: ClientSession) -> None:
        """A client has no channel left."""
        if self.clients.get(client.connection_id) is client:
            del self.clients[client.connection_id]
        arrival = self.arrivals.get(client.connection_id)
        if arrival is not None and arrival.client is client:
            arrival.client = None
            if self._open_seal is not None:
                del self.arrivals[client.connection_id]
        self.log.info("client {client}: gone", client=client.address)
        self.display_progressed(client)
        self.notify_observer("client_gone", client.connection_id)

    def notify_observer(self, what: str, *args: Any) -> None:
        """Tell a migration under way, if there is one, what a client did."""
        if self.observer is not None:
            getattr(self.observer, what)(*args)

    # the guest

    @property
    def supported_mouse_modes(self) -> int:
        """Mask of the mouse modes that the guest can do."""
        if self.guest is not None and self.guest.absolute_pointer:
            return MouseMode.SERVER | MouseMode.CLIENT
        return MouseMode.SERVER

    def _natural_mouse_mode(self) -> int:
        return MouseMode.CLIENT if self.supported_mouse_modes & MouseMode.CLIENT else MouseMode.SERVER

    def ask_mouse_mode(self, mode: int) -> None:
        """A client asks for a mouse mode; what the guest cannot do is not done."""
        if (
            mode in (MouseMode.SERVER, MouseMode.CLIENT)
            and mode & self.supported_mouse_modes
            and mode != self.mouse_mode
        ):
            self.mouse_mode = MouseMode(mode)
            for client in self._each():
                client.set_mouse_mode(self.supported_mouse_modes, self.mouse_mode)

    def multi_media_time(self) -> int:
        """The multimedia clock in ms; it goes on over a handover."""
        return int((self.clock.seconds() - self._mm_zero) * 1000) & MM_TIME_MASK

    def input(self, client: ClientSession, event: Any) -> None:
        """Hand one input event to the guest; motions count in server mouse mode, positions in client mode."""
        guest = self.guest
        if guest is None:
            return
        match event:
            case events.KeyDown():
                guest.key_down(event.code)
            case events.KeyUp():
                guest.key_up(event.code)
            case events.KeyModifiers():
                self._set_modifiers(guest.modifiers(event.mask))
            case events.Scancodes():
                for code in split_scancodes(event.data):
                    (guest.key_up if goes_up(code) else guest.key_down)(code)
            case events.PointerMoved():
                if self.mouse_mode == MouseMode.SERVER:
                    guest.pointer_moved(event.dx, event.dy, event.buttons)
            case events.PointerSet():
                if self.mouse_mode == MouseMode.CLIENT:
                    guest.pointer_set(event.x, event.y, event.buttons, event.display)
            case events.ButtonPressed():
                guest.button_pressed(event.button, event.buttons)
            case events.ButtonReleased():
                guest.button_released(event.button, event.buttons)

    def _set_modifiers(self, modifiers: int) -> None:
        if modifiers == self.modifiers:
            return
        self.modifiers = modifiers
        for client in self.clients.values():
            for (channel, _id), core in list(client.cores.items()):
                if channel == "inputs" and not core.parked:
                    core.set_modifiers(modifiers)
                    client.flush(core)

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
            self._offer(client) for client in self._each() if client.main is not None and not client.arriving
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
        """Stop the guest and the clients' channels; fires when every display pipe has been sent off."""
        self._stopping = True
        stopped = maybeDeferred(self.guest.stop) if self.guest is not None else succeed(None)
        stopped.addCallback(lambda _: self._freeze())
        return stopped

    def _freeze(self) -> Deferred[None]:
        self.device.stop()
        self.stage = Stage.FROZEN
        for client in self._each():
            client.freeze()
        self._pipes_empty = Deferred()
        waiting = self._pipes_empty
        self.display_progressed(None)
        return waiting

    def display_progressed(self, client: ClientSession | None) -> None:
        """Some display pipe got shorter: look whether a freeze is complete."""
        if self._pipes_empty is not None and all(client.settled_pipes for client in self._each()):
            waiting, self._pipes_empty = self._pipes_empty, None
            waiting.callback(None)

    def thaw(self) -> None:
        """As if nothing had happened, however far a freeze got: the guest runs, what clients said meanwhile is handled."""
        self._pipes_empty = None
        if not self._stopping:
            return
        self._stopping = False
        self.stage = Stage.SERVING
        self.device.resume()
        for client in self._each():
            client.thaw()
        if self.guest is not None:
            self.guest.resume()

    def export_host(self) -> bytes:
        """What all clients share, for the target."""
        return CarriedHost(
            version=CARRIED_HOST_VERSION,
            mouse_mode=self.mouse_mode,
            mm_time=self.multi_media_time(),
            modifiers=self.modifiers,
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
        self.modifiers = 0
        self._pipes_empty = None
        self._stopping = False

    # arriving: what a handover asks of its target

    def expect(self, offer: ClientOffer, seamless: bool) -> None:
        """A client will link with this connection id."""
        self.stage = Stage.ARRIVING
        self.arrivals[offer.connection_id] = Arrival.of(offer, seamless)

    def forget(self, connection_id: int) -> None:
        """It will not, or not in this way; its links are closed."""
        arrival = self.arrivals.pop(connection_id, None)
        if arrival is not None and arrival.client is not None:
            arrival.client.abort()

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
        self.mouse_mode = MouseMode(carried.mouse_mode)
        self.modifiers = carried.modifiers
        self._mm_zero = self.clock.seconds() - carried.mm_time / 1000

    def stage_blocks(self, connection_id: int, blocks: Iterable[ChannelBlock]) -> None:
        """Keep the stream copy of a client's state until the guest is ours."""
        arrival = self.arrivals.get(connection_id)
        if arrival is not None:
            arrival.stage(blocks)

    def assume(self, open_seal: Callable[[int, str, int, bytes], bytes]) -> None:
        """
        The guest is ours: run it, and serve the clients that are here.

        ``open_seal`` turns a block that came through a client into what the
        source sealed, or raises ``ProtocolError``.
        """
        self._open_seal = open_seal
        self.stage = Stage.SERVING
        for arrival in self.arrivals.values():
            if arrival.client is not None and arrival.seamless:
                self._settle_from_stream(arrival, arrival.client)
        self.device.resume()
        if self.guest is not None:
            self.guest.resume()

    def _settle_from_stream(self, arrival: Arrival, client: ClientSession) -> None:
        if not arrival.blocks:
            client.expect_state()
            return
        try:
            client.restore(arrival.blocks)
        except ProtocolError as error:
            # the guest must run all the same; this client can only come anew
            self.log.error("client {client}: its state is not right: {error}", client=client.address, error=error)
            client.abort()

    def _look_whether_linked(self, arrival: Arrival) -> None:
        """
        Tell, once, that a client is linked with all it has at the source.

        A read-only spice-gtk does not say so itself: it may not send the source
        its MIGRATE_CONNECTED_SEAMLESS.
        """
        client = arrival.client
        if client is None or arrival.told_linked or not arrival.linked:
            return
        if arrival.seamless and not (client.main is not None and client.main.seamless_answered):
            return
        arrival.told_linked = True
        self.notify_observer("client_linked", client.connection_id)

    def answer_seamless(self, client: ClientSession, version: int) -> None:
        """A client asks the target whether it may bring its state."""
        arrival = self.arrivals.get(client.connection_id)
        if client.main is None or client.main.seamless_answered:
            return
        if (
            arrival is not None
            and arrival.seamless
            and version <= SEAMLESS_VERSION
            and self.stage is Stage.ARRIVING
        ):
            client.main.seamless_ack()
        else:
            if arrival is not None:
                arrival.seamless = False
            client.main.seamless_nack()
        client.flush(client.main)
        if arrival is not None:
            self._look_whether_linked(arrival)

    def migrate_data(self, client: ClientSession, core: Any, sealed: bytes) -> None:
        """A block came through its client."""
        if self._open_seal is None:
            raise ProtocolError(LinkError.INVALID_DATA, "migrate data before the handover was complete")
        block = self._open_seal(client.connection_id, core.channel, core.channel_id, sealed)
        key = (core.channel, core.channel_id)
        if key not in client.restored:
            client.restore({key: block})
        client.take_held(core, block)
        arrival = self.arrivals.get(client.connection_id)
        if arrival is not None:
            arrival.settled.add(key)
            if arrival.settled >= set(client.cores):
                client.arriving = False
                del self.arrivals[client.connection_id]
                self.notify_observer("client_settled", client.connection_id)

    def bytes_resent(self, connection_id: int) -> int:
        """How many bytes of pixels an arrived client was sent that it had at the source."""
        client = self.clients.get(connection_id)
        return client.bytes_resent if client is not None else 0

    def client_started_afresh(self, client: ClientSession) -> None:
        """A semi-seamless client is served from scratch."""
        if self.arrivals.pop(client.connection_id, None) is not None:
            self.notify_observer("client_settled", client.connection_id)

    def abandon(self) -> None:
        """Be empty again: nothing arrives."""
        for connection_id in list(self.arrivals):
            self.forget(connection_id)
        self._shut_down()

    def end_arrivals(self) -> None:
        """Whoever has not come by now comes as a new client."""
        for connection_id in list(self.arrivals):
            self.forget(connection_id)
        self._open_seal = None
