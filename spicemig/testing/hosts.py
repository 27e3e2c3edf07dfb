# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Whole hosts in memory: a source, a target and clients on one fake clock.

Everything but sockets, TLS and real guests is what the daemons run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from spicemig.channels.keys import KeyPool, TicketKey
from spicemig.channels.limits import LinkCounter, LinkLimits
from spicemig.channels.protocol import LinkFactory
from spicemig.channels.tickets import Ticket
from spicemig.client.hosts import Address
from spicemig.client.session import STOCK, Abilities, ViewerSession
from spicemig.devices.qxl import QXLDevice
from spicemig.migration.epoch import EpochFile
from spicemig.migration.protocol import Migrations
from spicemig.migration.settings import ClientAddress, HandoverSettings, HostFacts
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings
from spicemig.testing.guests import ListGuest
from spicemig.testing.network import MemoryNetwork
from spicemig.wire.declare import CHANNEL_TYPES

PORT = 5900
MIGRATION_PORT = 5999
SECRET = b"between hosts"
SETTINGS = SessionSettings(image_compression="lz4")
HANDOVERS = HandoverSettings()


class OneKey(KeyPool):
    """A pool that gives the same key to every link; making keys takes longer than whole tests."""

    _key: TicketKey | None = None

    def __init__(self) -> None:
        super().__init__(lambda make: Deferred())

    def take(self) -> TicketKey:
        """The key."""
        if OneKey._key is None:
            OneKey._key = TicketKey()
        return OneKey._key


class _Door:
    """Takes links of the migration channel only."""

    def __init__(self, migrations: Migrations) -> None:
        self.admit = migrations.admit

    def authenticate(self, request: Any, password: bytes, now: float) -> bool:
        """Whether the other host knows the secret."""
        return password == SECRET


class Host:
    """One daemon's inside: sessions, handovers and listeners on a :class:`MemoryNetwork`."""

    def __init__(
        self,
        name: str,
        network: MemoryNetwork,
        state_dir: str,
        *,
        make_guest: Callable[[str], Any] = lambda kind: ListGuest(),
        ticket: bytes | None = None,
        settings: SessionSettings = SETTINGS,
        handovers: HandoverSettings = HANDOVERS,
    ) -> None:
        self.name = name
        self.network = network
        self.address = Address(name, PORT)
        clock = network.clock
        Path(state_dir).mkdir(parents=True, exist_ok=True)
        self.epochs = EpochFile(state_dir)
        self.sessions = Sessions(
            QXLDevice,
            make_guest,
            settings,
            clock,
            maybeDeferred,
            None if ticket is None else Ticket(ticket),
        )
        self.migrations = Migrations(
            self.sessions, self.epochs, self._facts, handovers, clock, network.endpoint, SECRET
        )
        self.links = LinkCounter(LinkLimits())
        clients = LinkFactory(self.sessions, keys=OneKey(), counter=self.links, clock=clock)
        network.listen(name, PORT, clients)
        door = LinkFactory(_Door(self.migrations), secure=True, keys=OneKey(), clock=clock)
        network.listen(name, MIGRATION_PORT, door)

    @property
    def guest(self) -> Any:
        """The guest that is here, or None."""
        return self.sessions.guest

    @property
    def owner(self) -> bool:
        """Whether the guest is this host's to run."""
        return self.sessions.owner

    def power_on(self, kind: str = "list") -> None:
        """Begin as a source."""
        self.epochs.claim_first()
        self.sessions.power_on(kind)

    def screen(self) -> Any:
        """The guest's picture, RGB."""
        return self.sessions.device.render(0).image().convert("RGB")

    def _facts(self) -> HostFacts:
        sessions = self.sessions
        return HostFacts(
            name=self.name,
            guest_kind="" if sessions.guest is None else sessions.guest.kind,
            guest_versions={"list": 1, "demo": 1},
            channels=frozenset((CHANNEL_TYPES[channel], number) for channel, number in sessions.channel_set),
            address=ClientAddress(self.name, PORT),
        )


class TwoHosts:
    """
    A source with a running guest, an empty target, and clients.

    ``directory`` is the test's (``mktemp``). Time passes in :meth:`run` and
    :meth:`wait` only.
    """

    def __init__(self, directory: str, *, latency_seconds: float = 0.0, **options: Any) -> None:
        self.clock = Clock()
        self.network = MemoryNetwork(self.clock, latency_seconds)
        self.source = Host("source", self.network, f"{directory}/source", **options)
        self.target = Host("target", self.network, f"{directory}/target", **options)
        self.source.power_on()

    def other(self, host: Host) -> Host:
        """The host that is not this one."""
        return self.target if host is self.source else self.source

    def run(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        self.network.settle(seconds)

    def wait(self, awaited: Deferred, seconds: float = 30.0) -> Any:
        """Let time pass until the Deferred has a result; returns it or raises it."""
        results: list[Any] = []
        awaited.addBoth(results.append)
        end = self.clock.seconds() + seconds
        while not results and self.clock.seconds() < end:
            self.run(0.001)
        if not results:
            raise AssertionError(f"nothing came in {seconds} s")
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def viewer(
        self, *, host: Host | None = None, password: bytes = b"", abilities: Abilities = STOCK
    ) -> ViewerSession:
        """A client that is connected and shows the picture."""
        viewer = ViewerSession(self.network, password, self.clock, abilities=abilities)
        self.wait(viewer.connect((host or self.source).address))
        if "display" in abilities.channels:
            self.wait(viewer.until(lambda: viewer.display.marked))
        self.run(0.01)
        return viewer

    def migrate(self, host: Host | None = None, **options: Any) -> Any:
        """Begin to hand over from this host (by default the source) to the other; the source's handover."""
        leaving = host or self.source
        return leaving.migrations.start((self.other(leaving).name, MIGRATION_PORT), **options)

    def moved(self, host: Host | None = None, **options: Any) -> dict[str, Any]:
        """Hand over and wait for the end; the report."""
        return self.wait(self.migrate(host, **options).done)
