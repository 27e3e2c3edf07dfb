# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host's sessions without network or link stage: a test says who says what, and when workers are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from spicemig.channels.link import LinkRequest
from spicemig.channels.protocol import ChannelProtocol
from spicemig.channels.tickets import Ticket
from spicemig.devices.qxl import QXLDevice
from spicemig.errors import LinkError, ProtocolError
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings
from spicemig.testing.channels import framed, messages
from spicemig.testing.guests import ListGuest
from spicemig.wire.capabilities import CommonCap, DisplayCap, MainCap
from spicemig.wire.messages import base, display, main

ALL_CHANNELS = ("main", "display", "inputs", "cursor")
CAPS = {
    "main": frozenset(
        {MainCap.SEMI_SEAMLESS_MIGRATE, MainCap.SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS}
    ),
    "display": frozenset({DisplayCap.MONITORS_CONFIG, DisplayCap.LZ4_COMPRESSION}),
}
CACHE_PIXELS = 1 << 20


class Recorder:
    """Stands for a handover: remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: self.told.append((name, *args))


class _Transport(StringTransport):
    """Loses its connection when the clock moves, as real ones do."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.gone = False

    def loseConnection(self) -> None:
        super().loseConnection()
        self.clock.callLater(0, self.lose)

    def abortConnection(self) -> None:
        self.clock.callLater(0, self.lose)

    def lose(self) -> None:
        """The connection is gone."""
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


class Channel:
    """One linked channel of a client."""

    def __init__(self, host: BareHost, core: Any, password: bytes, request: LinkRequest) -> None:
        self.core = core
        self.transport = _Transport(host.clock)
        self.protocol = ChannelProtocol(core, None, host.clock)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)
        self.protocol.session = self.client = host.sessions.attached(request, core, self.protocol, password)
        self.protocol.flush()

    @property
    def open(self) -> bool:
        """Whether the host still listens to it."""
        return not self.transport.gone and not self.transport.disconnecting

    def say(self, *said: Any) -> None:
        """The client says this."""
        for message in said:
            if not self.transport.gone:
                self.protocol.dataReceived(framed(message))

    def heard(self) -> list[Any]:
        """What the host has said since the last look."""
        data = self.transport.value()
        self.transport.clear()
        return messages(data, self.core.channel)

    def heard_types(self) -> list[type]:
        """The kinds of what the host has said since the last look."""
        return [type(message) for message in self.heard()]

    def pause(self) -> None:
        """The client reads no more."""
        self.protocol.pauseProducing()

    def resume(self) -> None:
        """It reads again."""
        self.protocol.resumeProducing()

    def lose(self) -> None:
        """The connection breaks."""
        self.transport.lose()


class BareHost:
    """
    Sessions with a real device. ``workers_wait``: what is given to workers is done
    in :meth:`work` only.
    """

    def __init__(
        self,
        guest: Any = None,
        *,
        ticket: bytes | None = None,
        workers_wait: bool = False,
        **settings: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.guests: list[Any] = []
        self.workers_wait = workers_wait
        self.jobs: list[tuple[Deferred, Callable[[], Any]]] = []
        self.sessions = Sessions(
            QXLDevice,
            self._make_guest,
            SessionSettings(**{"image_compression": "lz4", **settings}),
            self.clock,
            self._worker,
            None if ticket is None else Ticket(ticket),
        )
        self.observer = self.sessions.observer = Recorder()
        if guest is not None:
            self.guests.append(guest)
            self.sessions.power_on(guest.kind)

    @property
    def guest(self) -> Any:
        """The guest that is here."""
        return self.sessions.guest

    def _make_guest(self, kind: str) -> Any:
        return self.guests.pop() if self.guests else ListGuest()

    def _worker(self, run: Callable[[], Any]) -> Deferred:
        done: Deferred = Deferred()
        self.jobs.append((done, run))
        if not self.workers_wait:
            self.work()
        return done

    def work(self) -> None:
        """Let the workers finish."""
        while self.jobs:
            done, run = self.jobs.pop(0)
            done.callback(run())

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def request(self, channel: str, connection_id: int = 0, channel_id: int = 0, **more: Any) -> LinkRequest:
        """What a client asks for."""
        common = frozenset({CommonCap.MINI_HEADER})
        caps = more.pop("caps", CAPS.get(channel, frozenset()))
        return LinkRequest(connection_id, channel, channel_id, common, caps, address="client", **more)

    def link(self, channel: str, connection_id: int = 0, password: bytes = b"", **more: Any) -> Channel:
        """Link a channel as the link stage does; raises ``ProtocolError`` if it is refused."""
        request = self.request(channel, connection_id, **more)
        core = self.sessions.admit(request)
        if not self.sessions.authenticate(request, password, self.clock.seconds()):
            raise ProtocolError(LinkError.PERMISSION_DENIED, "wrong ticket")
        return Channel(self, core, password, request)

    def client(self, channels: Iterable[str] = ALL_CHANNELS, **more: Any) -> Peer:
        """A client with these channels that shows the picture."""
        peer = Peer(self, channels, **more)
        if "display" in peer.channels:
            peer["display"].say(display.Init(1, CACHE_PIXELS, 1, 0))
        return peer


class Peer:
    """A client: its channels by name. With ``connection_id`` it comes from another host."""

    def __init__(
        self, host: BareHost, channels: Iterable[str] = ALL_CHANNELS, connection_id: int = 0, **more: Any
    ) -> None:
        self.host = host
        self.channels: dict[str, Channel] = {}
        self.id = connection_id
        for name in channels:
            self.channels[name] = host.link(name, self.id, **more)
            if not self.id:
                self.id = self.channels[name].client.connection_id

    def __getitem__(self, name: str) -> Channel:
        return self.channels[name]

    @property
    def session(self) -> Any:
        """The host's side."""
        return self.channels["main"].client

    @property
    def open(self) -> bool:
        """Whether all its channels are."""
        return all(channel.open for channel in self.channels.values())

    def ignore(self) -> None:
        """Forget what was heard up to now."""
        for channel in self.channels.values():
            channel.heard()

    def lose(self) -> None:
        """All its connections break."""
        for channel in self.channels.values():
            channel.lose()

    def ask_seamless(self) -> None:
        """Ask the target whether the state may come."""
        self["main"].say(main.MigrateDstDoSeamless(1))

    def take_blocks(self) -> dict[str, bytes]:
        """Answer MIGRATE everywhere; the blocks that the host gives, by channel."""
        blocks = {}
        for name, channel in self.channels.items():
            channel.say(base.MigrateFlushMark())
            blocks[name] = next(bytes(m.data) for m in channel.heard() if type(m) is base.MigrateData)
            channel.lose()
        return blocks

    def bring(self, blocks: dict[str, bytes]) -> None:
        """Give the target the blocks."""
        for name, block in blocks.items():
            self[name].say(base.ClientMigrateData(block))


def seal_for(connection_id: int) -> Callable[[str, int, bytes], bytes]:
    """A seal that can be told from nothing and from another's."""
    return lambda channel, number, block: f"{connection_id} {channel} {number} ".encode() + block


def open_seal(connection_id: int, channel: str, number: int, sealed: bytes) -> bytes:
    """Opens what :func:`seal_for` sealed."""
    head = f"{connection_id} {channel} {number} ".encode()
    if not sealed.startswith(head):
        raise ProtocolError(LinkError.INVALID_DATA, "another seal")
    return sealed[len(head) :]


class Move:
    """A handover without a migration: what is asked of two hosts, step by step."""

    def __init__(self, source: BareHost, target: BareHost) -> None:
        self.source, self.target = source.sessions, target.sessions
        self.target_host = target

    def expect(self, seamless: bool = True) -> None:
        """The target hears of all clients."""
        for offer in self.source.offers():
            self.target.expect(offer, seamless)

    def freeze(self) -> Any:
        """The source stands still; what ``freeze`` returned."""
        return self.source.freeze()

    def load(self, blocks: bool = True) -> None:
        """The target has the stopped guest, its pixels, and the stream copy of the clients."""
        guest, device = self.source.guest, self.source.device
        assert guest is not None
        device.begin_precopy()
        while pixels := device.next_round(1 << 20):
            for block in pixels:
                self.target.device.apply_block(block)
        device.end_precopy()
        self.target_host.guests.append(type(guest)())
        self.target.load(self.source.export_host(), device.export_state(), guest.kind, guest.export_state())
        if blocks:
            for connection_id in self.source.clients:
                self.target.stage_blocks(connection_id, self.source.client_blocks(connection_id))

    def commit(self) -> None:
        """The target owns the guest."""
        self.target.assume(open_seal)
        self.source.give_away()

    def all(self, seamless: bool = True, blocks: bool = True) -> None:
        """Everything up to the moment at which clients are sent over."""
        self.freeze()
        self.load(blocks)
        self.commit()

    def switch(self, peer: Peer) -> dict[str, bytes]:
        """Send one client over; the blocks that it takes along."""
        self.source.switch(peer.id, seal_for(peer.id))
        return peer.take_blocks()
