# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Doubles for handovers: hosts that only remember, clients that follow a script, and both joined in memory.

:class:`TwoHosts` carries messages one at a time between a real source's core and
a real target, on a fake clock, so that a test can stop the world at any message.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from spicemig.channels.glz_dictionary import GlzDictionary
from spicemig.errors import GuestError, ProtocolError
from spicemig.migration.channel import MigrationChannel
from spicemig.migration.epoch import EpochFile
from spicemig.migration.handover import problem
from spicemig.migration.interfaces import IHandoverHost
from spicemig.migration.protocol import Migrations
from spicemig.migration.settings import ClientAddress, HandoverSettings, HostFacts
from spicemig.migration.source import SourceHandover
from spicemig.wire.declare import CHANNEL_TYPES, catalogue, channel_name
from spicemig.wire.messages.migration import ChannelBlock, ChannelOffer, ClientOffer, OfferFlag, PixelBlock

STRIDE = 4096
CHANNELS = ("main", "display", "inputs")
FULL = OfferFlag.SEAMLESS | OfferFlag.SEMI_SEAMLESS


@dataclass
class ScriptedClient:
    """A client that answers an invitation, and leaves when it is sent over, as its script says."""

    id: int
    flags: int = FULL
    answer: str = "connected"  # connected, not seamless, failed, linked, silent
    leaves: bool = True  # when it is sent over
    told: list[str] = field(default_factory=list)
    blocks: dict[tuple[str, int], bytes] = field(default_factory=dict)  # what it carries

    def offer(self) -> ClientOffer:
        """What its host says of it."""
        channels = [ChannelOffer(CHANNEL_TYPES[name], 0) for name in CHANNELS]
        return ClientOffer(self.id, b"client %d" % self.id, b"verifier", int(self.flags), channels)


class FakeDevice:
    """A device of one surface; ``draws`` says how many rows become dirty by each look at it."""

    def __init__(self, rows: int = 256) -> None:
        self.rows = {row: bytes([row % 256]) * STRIDE for row in range(rows)}
        self.dirty: set[int] = set()
        self.draws: deque[int] = deque()
        self.precopying = False
        self.restored: bytes | None = None

    def begin_precopy(self) -> None:
        self.precopying = True
        self.dirty = set(self.rows)

    def next_round(self, limit_bytes: int) -> list[Any]:
        taken = sorted(self.dirty)[: max(1, limit_bytes // STRIDE)]
        self.dirty -= set(taken)
        blocks: list[PixelBlock] = []
        for row in taken:
            last = blocks[-1] if blocks else None
            if last is not None and last.top + last.rows == row:
                last.rows += 1
                last.data = bytes(last.data) + self.rows[row]
            else:
                blocks.append(PixelBlock(0, STRIDE // 4, len(self.rows), 0, row, 1, STRIDE, self.rows[row]))
        return blocks

    def dirty_bytes(self) -> int:
        if self.draws and self.precopying:
            rows = self.draws.popleft()
            self.dirty |= set(range(rows))
        return len(self.dirty) * STRIDE

    def end_precopy(self) -> None:
        self.precopying = False

    def export_state(self) -> bytes:
        return b"device state"

    def apply_block(self, block: PixelBlock) -> None:
        for row in range(block.rows):
            self.rows[block.top + row] = bytes(block.data[row * STRIDE : (row + 1) * STRIDE])


class FakeGuest:
    """A guest that runs or stands."""

    kind = "demo"

    def __init__(self) -> None:
        self.running = True
        self.state = b"guest state" * 100_000
        self.broken = False

    def export_state(self) -> bytes:
        if self.broken:
            raise GuestError("no state today")
        return self.state


@implementer(IHandoverHost)
class FakeHost:
    """A host that does what a handover asks, and remembers it. ``other`` is where its clients go."""

    def __init__(
        self, guest: FakeGuest | None, device: FakeDevice, clients: tuple[ScriptedClient, ...] = ()
    ) -> None:
        self.guest = guest
        self.device = device
        self.clients: dict[int, Any] = {client.id: client for client in clients}
        self.observer: Any = None
        self.other: FakeHost | None = None
        self.frozen = self.given = self.released = self.abandoned = False
        self.freezes: Callable[[Deferred[None]], None] = lambda frozen: frozen.callback(None)
        self.expected: dict[int, bool] = {}
        self.linked: set[int] = set()
        self.staged: dict[int, list[ChannelBlock]] = {}
        self.loaded: tuple[Any, ...] | None = None
        self.load_error: Exception | None = None
        self.settled: set[int] = set()
        self.dictionaries: dict[int, GlzDictionary] = {}
        self.images: list[Any] = []  # of dictionaries, that came
        self._open_seal: Any = None

    @property
    def owner(self) -> bool:
        return self.guest is not None and not self.given

    @property
    def serving(self) -> bool:
        """Whether guest and channels run here."""
        return self.guest is not None and self.guest.running and not self.frozen

    def offers(self) -> list[ClientOffer]:
        return [client.offer() for client in self.clients.values()]

    def invite(self, connection_id: int, destination: Any, seamless: bool) -> None:
        client = self.clients[connection_id]
        client.told.append("invited")
        if client.answer == "silent":
            return
        if client.answer != "failed":
            assert self.other is not None
            self.other.link(connection_id)
        if client.answer == "failed":
            self.observer.client_failed(connection_id)
        elif client.answer != "linked":
            self.observer.client_connected(connection_id, seamless and client.answer == "connected")

    def link(self, connection_id: int) -> None:
        """A client has linked all its channels to this target."""
        if connection_id in self.expected and self.observer is not None:
            self.linked.add(connection_id)
            self.observer.client_linked(connection_id)

    def cancel_invitation(self, connection_id: int) -> None:
        self.clients[connection_id].told.append("cancelled")

    def freeze(self) -> Deferred[None]:
        assert self.guest is not None
        self.guest.running = False
        self.frozen = True
        frozen: Deferred[None] = Deferred()
        self.freezes(frozen)
        return frozen

    def thaw(self) -> None:
        assert self.guest is not None
        self.guest.running = True
        self.frozen = self.given = False

    def export_host(self) -> bytes:
        return b"host state"

    def client_blocks(self, connection_id: int) -> list[ChannelBlock]:
        return [ChannelBlock(CHANNEL_TYPES[name], 0, self.state_of(connection_id, name)) for name in CHANNELS]

    @staticmethod
    def state_of(connection_id: int, channel: str) -> bytes:
        """What a fake channel exports."""
        return b"%d %s" % (connection_id, channel.encode())

    def glz_dictionary(self, connection_id: int) -> GlzDictionary:
        return self.dictionaries.setdefault(connection_id, GlzDictionary())

    def take_image(self, connection_id: int, pixels: int, image: Any) -> None:
        self.images.append((connection_id, pixels, image))

    def give_away(self) -> None:
        self.given = True

    def switch(self, connection_id: int, seal: Callable[[str, int, bytes], bytes]) -> None:
        client = self.clients[connection_id]
        client.told.append("switched")
        if not client.leaves:
            return
        for name in CHANNELS:
            client.blocks[name, 0] = seal(name, 0, self.state_of(connection_id, name))
            self.observer.flush_mark(connection_id, name, 0)
        self._leave(client)
        assert self.other is not None
        self.other.arrive(client)

    def _leave(self, client: ScriptedClient) -> None:
        del self.clients[client.id]
        if self.observer is not None:
            self.observer.client_gone(client.id)

    def arrive(self, client: ScriptedClient) -> None:
        """A client brings its blocks to this target."""
        if self._open_seal is None:
            return
        for (name, number), block in client.blocks.items():
            assert self._open_seal(client.id, name, number, block) == self.state_of(client.id, name)
        self.clients[client.id] = client
        self._settle(client.id)

    def _settle(self, connection_id: int) -> None:
        self.settled.add(connection_id)
        if self.observer is not None:
            self.observer.client_settled(connection_id)

    def end(self, connection_id: int) -> None:
        client = self.clients[connection_id]
        client.told.append("ended")
        if client.leaves:
            self._leave(client)
            assert self.other is not None
            self.other.arrive(client)

    def switch_host(self, connection_id: int, destination: Any) -> None:
        client = self.clients[connection_id]
        client.told.append("switch host")
        if client.leaves:
            self._leave(client)

    def close_client(self, connection_id: int) -> None:
        self.clients[connection_id].told.append("closed")
        self._leave(self.clients[connection_id])

    def release(self) -> None:
        self.released = True
        self.guest = None
        self.clients.clear()

    def expect(self, offer: ClientOffer, seamless: bool) -> None:
        self.expected[offer.connection_id] = seamless

    def forget(self, connection_id: int) -> None:
        self.expected.pop(connection_id, None)

    def load(self, host_state: bytes, device_state: bytes, guest_kind: str, guest_state: bytes) -> None:
        if self.load_error is not None:
            raise self.load_error
        self.loaded = (host_state, device_state, guest_kind, guest_state)
        self.guest = FakeGuest()
        self.guest.running = False
        self.guest.state = guest_state

    def stage_blocks(self, connection_id: int, blocks: Any) -> None:
        self.staged[connection_id] = list(blocks)
        for block in self.staged[connection_id]:
            assert block.data == self.state_of(connection_id, channel_name(block.channel))

    def assume(self, open_seal: Any) -> None:
        assert self.guest is not None
        self._open_seal = open_seal
        self.guest.running = True

    def abandon(self) -> None:
        self.abandoned = True
        self.guest = None
        self.expected.clear()
        self.staged.clear()

    def end_arrivals(self) -> None:
        self.expected.clear()

    def bytes_resent(self, connection_id: int) -> int:
        return 0


class TwoHosts:
    """A source with a guest and clients, an empty target, and a network between them that can fail."""

    def __init__(
        self,
        directory: Callable[[], str],
        clients: tuple[ScriptedClient, ...] = (),
        settings: HandoverSettings | None = None,
        **facts: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.settings = settings or HandoverSettings()
        self.source_facts = HostFacts(
            name="guest",
            guest_kind="demo",
            guest_versions={"demo": 1},
            state_versions={"inputs": 1},
            channels=frozenset((CHANNEL_TYPES[name], 0) for name in CHANNELS),
            same_settings={"display.jpeg_wan": "auto"},
        )
        self.target_facts = HostFacts(
            **{
                "guest_versions": {"demo": 1},
                "state_versions": {"inputs": 1},
                "channels": self.source_facts.channels,
                "same_settings": self.source_facts.same_settings,
                "address": ClientAddress(port=5900),
                **facts,
            }
        )
        self.source_host = FakeHost(FakeGuest(), FakeDevice(), clients)
        self.target_host = FakeHost(None, FakeDevice(0))
        self.source_host.other, self.target_host.other = self.target_host, self.source_host
        self.source_directory, self.target_directory = directory(), directory()
        self.source_epochs = EpochFile(self.source_directory)
        self.target_epochs = EpochFile(self.target_directory)
        self.source_epochs.claim_first()
        self.up = True  # whether the target can be reached
        self.swallowed: set[type] = set()  # messages that get lost, while all others arrive
        self.silent = False  # whether what is sent gets lost without a sign
        self.at_source: MigrationChannel | None = None
        self.at_target: MigrationChannel | None = None
        self.to_target: deque[bytes] = deque()
        self.to_source: deque[bytes] = deque()
        self.entered: list[tuple[str, str]] = []
        self.most_owners = 1
        self.report: dict[str, Any] | None = None
        self._next_tick = 0.0
        self.migrations = self._new_target()

    def _new_target(self) -> Migrations:
        migrations = Migrations(
            self.target_host,
            self.target_epochs,
            lambda: self.target_facts,
            self.settings,
            self.clock,
            endpoint_to=lambda host, port: None,
        )
        migrations.stage_hook = self._entered
        return migrations

    def _entered(self, side: str, stage: Any) -> None:
        self.entered.append((side, stage.value))
        self.count_owners()

    def count_owners(self) -> None:
        """Look at both files as they are on the disk."""
        owners = [
            EpochFile(self.source_directory).current.owner,
            EpochFile(self.target_directory).current.owner,
        ]
        self.most_owners = max(self.most_owners, sum(owners))

    def start(self, **more: Any) -> SourceHandover:
        """Begin a handover from source to target."""
        self.source = SourceHandover(
            self.source_host,
            self.source_facts,
            self.settings,
            self.source_epochs,
            self.clock.seconds,
            target_host="target.example",
            **more,
        )
        self.source.stage_hook = self._entered
        self.source.done.addCallback(self._done)
        self.source.start()
        return self.source

    def _done(self, report: dict[str, Any]) -> None:
        self.report = report

    @property
    def target(self) -> Any:
        """The target's core, or None."""
        return self.migrations.arrival

    # the network

    def _connect(self) -> None:
        self.cut()
        if not self.up:
            self.source.connect_failed(problem("refused", "nobody listens", "start it"))
            return
        self.at_source = MigrationChannel("server", self.source)
        self.at_target = self.migrations.admit(SimpleNamespace(secure=True))
        self.at_source.hang_up = self.at_target.hang_up = self.cut
        for channel in (self.at_source, self.at_target):
            channel.start(self.clock.seconds())
            channel.wake = self._collect  # so that every message travels alone
        self.source.connected(self.at_source)

    def cut(self) -> None:
        """The connection breaks; what was said before arrives, unless nothing does."""
        if self.at_source is None:
            return
        self._collect()
        ends = ((self.at_source, self.to_source), (self.at_target, self.to_target))
        self.at_source = self.at_target = None
        for channel, queue in ends:
            assert channel is not None
            while queue:
                self._give(channel, queue.popleft())
            channel.lose()

    def break_off(self) -> None:
        """The connection breaks, and what was under way is lost."""
        self._collect()
        self.to_source.clear()
        self.to_target.clear()
        self.cut()

    def _collect(self) -> None:
        for channel, queue in ((self.at_source, self.to_target), (self.at_target, self.to_source)):
            if channel is not None:
                data = b"".join(channel.data_to_send())
                if data and not self.silent and not self._swallows(channel, data):
                    queue.append(data)

    def _swallows(self, channel: MigrationChannel, data: bytes) -> bool:
        (number,) = struct.unpack_from("<H", data)
        return catalogue.find("migration", channel.sends, number) in self.swallowed

    def _give(self, channel: MigrationChannel, data: bytes) -> None:
        try:
            for message in channel.receive(data):
                channel.handle(channel, message)
        except ProtocolError:
            channel.lose()

    def step(self) -> bool:
        """Carry what one side has said to the other; whether there was anything."""
        if self.source.wants_connection:
            self._connect()
            return True
        self._collect()
        for channel, queue in ((self.at_target, self.to_target), (self.at_source, self.to_source)):
            if queue and channel is not None:
                self._give(channel, queue.popleft())
                self.count_owners()
                return True
        return False

    def settle(self) -> None:
        """Carry everything until nobody has anything to say."""
        while self.step():
            pass

    def run_until(self, condition: Callable[[], bool], seconds: float = 60.0, tick: float = 0.05) -> bool:
        """Let time pass until something is true; whether it became so in time."""
        end = self.clock.seconds() + seconds
        while not condition():
            if self.step():
                continue
            if self.clock.seconds() >= end:
                return False
            self.advance(tick)
        return True

    def advance(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.clock.advance(seconds)
        now = self.clock.seconds()
        self.source.deadline_passed(now)
        for channel in (self.at_source, self.at_target):
            if channel is not None:
                for event in list(channel.deadline_passed(now)):
                    channel.handle(channel, event)

    def kill_target(self) -> None:
        """The target's process ends and is started again, with nothing but its state directory."""
        self.break_off()
        if self.target is not None:
            self.target.stage_hook = lambda side, stage: None
            self.target.host = FakeHost(None, FakeDevice(0))  # of the process that is gone
        self.target_host = FakeHost(None, FakeDevice(0))
        self.source_host.other, self.target_host.other = self.target_host, self.source_host
        self.target_epochs = EpochFile(self.target_directory)
        self.migrations = self._new_target()
