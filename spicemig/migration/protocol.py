# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The handovers of one host, on the network: dialling, listening, timers.

The cores in :mod:`.source` and :mod:`.target` decide everything. The connection
is TLS with both certificates checked; who makes endpoints and listeners sees to that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from spicemig.channels.link_client import LinkClient
from spicemig.channels.protocol import ChannelProtocol, Deadline
from spicemig.errors import LinkError, MigrationError, ProtocolError
from spicemig.migration.channel import Listener, MigrationChannel
from spicemig.migration.epoch import EpochFile
from spicemig.migration.handover import Handover
from spicemig.migration.interfaces import IHandoverHost
from spicemig.migration.preflight import check_target
from spicemig.migration.reasons import reason_for
from spicemig.migration.settings import HandoverSettings, HostFacts
from spicemig.migration.source import SourceHandover
from spicemig.migration.stages import Stage
from spicemig.migration.tally import HandoverTally
from spicemig.migration.target import TargetHandover
from spicemig.wire.messages.migration import (
    PROTOCOL_VERSION,
    NeverOwned,
    Owned,
    Prepare,
    PrepareAnswer,
    Whose,
)

FIRST_MESSAGE_SECONDS = 10.0
DIAL_PART = 0.9  # of a stage's time, so that the reason is told rather than that the stage took too long
MAX_REPORTS = 100  # handovers that are remembered


class DialProtocol(Protocol):
    """
    The source's end of a connection: the link stage, then the channel.

    ``linked`` fires with the :class:`MigrationChannel`, or fails with why there is none.
    """

    def __init__(self, listener: Listener, ticket: bytes, clock: Any) -> None:
        self.linked: Deferred[MigrationChannel] = Deferred(lambda _: self._cut())
        self._listener = listener
        self._link = LinkClient("migration", password=ticket)
        self._clock = clock
        self._channel: ChannelProtocol | None = None

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._write()

    def dataReceived(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.dataReceived(data)
            return
        try:
            for linked in self._link.receive(data):
                if not linked.mini:
                    raise ProtocolError(LinkError.VERSION_MISMATCH, "the server has no mini headers")
                self._become_channel(linked.leftover)
        except ProtocolError:
            self._fail(Failure())
            self.transport.loseConnection()
            return
        self._write()

    def _write(self) -> None:
        data = self._link.data_to_send()
        if data:
            self.transport.writeSequence(data)

    def _become_channel(self, leftover: bytes) -> None:
        core = MigrationChannel("server", self._listener)
        self._channel = channel = ChannelProtocol(core, core, self._clock)
        channel.makeConnection(self.transport)
        core.attached(channel)
        self.linked.callback(core)
        if leftover:
            channel.dataReceived(leftover)

    def _fail(self, reason: Failure) -> None:
        if self._channel is None and not self.linked.called:
            self.linked.errback(reason)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._channel is not None:
            self._channel.connectionLost(reason)
        else:
            self._fail(reason)


class _Newcomer:
    """Listens to a connection until its first message says what it wants."""

    def __init__(self, migrations: Migrations) -> None:
        self.migrations = migrations

    def received(self, channel: MigrationChannel, message: Any) -> None:
        """See :class:`Listener`."""
        if isinstance(message, Prepare):
            self.migrations.prepare(channel, message)
        elif isinstance(message, Whose):
            self.migrations.whose(channel, message)
        else:
            raise ProtocolError(LinkError.INVALID_DATA, f"{type(message).__name__} as the first message")

    def lost(self, channel: MigrationChannel) -> None:
        """See :class:`Listener`."""


class Migrations:
    """
    The handovers of one host: at most one that leaves, and one that arrives.

    ``endpoint_to(host, port)`` gives a Twisted client endpoint to another host's
    migration listener, with TLS. ``facts`` tells what this host is now.
    """

    log = Logger()

    def __init__(
        self,
        host: IHandoverHost,
        epochs: EpochFile,
        facts: Callable[[], HostFacts],
        settings: HandoverSettings,
        clock: Any,
        endpoint_to: Callable[[str, int], Any],
        ticket: bytes = b"",
    ) -> None:
        self.host: Any = host
        self.epochs = epochs
        self.facts = facts
        self.settings = settings
        self.clock = clock
        self.endpoint_to = endpoint_to
        self.ticket = ticket
        self.departure: SourceHandover | None = None
        self.arrival: TargetHandover | None = None
        self.handovers: dict[str, SourceHandover] = {}  # by id, oldest first
        self.stage_hook: Callable[[str, Stage], None] = lambda side, stage: None
        self.tally = HandoverTally()
        self._dials: dict[SourceHandover, Deferred[Any]] = {}

    # leaving

    def start(
        self,
        to: tuple[str, int],
        *,
        mode: str | None = None,
        transport: str | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
        observer: Callable[[dict[str, Any]], None] | None = None,
    ) -> SourceHandover:
        """
        Begin to hand the guest over to another host; see :class:`SourceHandover` for how to follow it.

        Raises :class:`MigrationError` while another handover is under way.
        """
        self._check_idle()
        settings = replace(
            self.settings,
            mode=mode or self.settings.mode,
            transport=transport or self.settings.transport,
            stage_timeout_seconds=timeout or self.settings.stage_timeout_seconds,
        )
        handover = SourceHandover(
            self.host,
            self.facts(),
            settings,
            self.epochs,
            self.clock.seconds,
            target_host=to[0],
            dry_run=dry_run,
        )
        self.departure = handover
        self._remember(handover)
        if observer is not None:
            handover.observer = observer
        self._drive(handover, lambda: self._see_to_dialling(handover, to))
        self._count_at_end(handover)
        handover.start()
        return handover

    def _check_idle(self) -> None:
        for other, what in ((self.departure, "from"), (self.arrival, "to")):
            if other is not None and not other.ended:
                raise MigrationError(
                    Stage.PREPARE,
                    f"a handover {what} this host is under way, at {other.stage.value}",
                    "wait for its end, or cancel it",
                )
        if (
            self.departure is not None
            and self.departure.stage is Stage.LOST
            and not self.epochs.current.owner
        ):
            raise MigrationError(
                Stage.PREPARE,
                "the guest was given away, and its new owner was lost",
                "`spicemig recover` takes it back",
            )
        if self.arrival is not None:
            self.arrival.end_arrivals()

    def _remember(self, handover: SourceHandover) -> None:
        self.handovers[handover.migration_id.hex()] = handover
        while len(self.handovers) > MAX_REPORTS:
            del self.handovers[next(iter(self.handovers))]

    def _drive(self, handover: Handover, also: Callable[[], None]) -> None:
        """Give a core its timer, and look after its other wishes."""

        def passed(now: float) -> None:
            handover.deadline_passed(now)
            deadline.renew()

        def wake() -> None:
            deadline.renew()
            also()

        deadline = Deadline(self.clock, handover, passed)
        handover.stage_hook = lambda side, stage: self.stage_hook(side, stage)
        handover.wake = wake

    def _count_at_end(self, handover: Handover) -> None:
        def count(report: dict[str, Any]) -> dict[str, Any]:
            if not handover.dry_run:
                self.tally.count(handover.side, report)
            return report

        handover.done.addCallback(count)

    def _see_to_dialling(self, handover: SourceHandover, to: tuple[str, int]) -> None:
        dial = self._dials.get(handover)
        if handover.wants_connection and dial is None:
            self._dial(handover, to)
        elif dial is not None and not handover.wants_connection:
            del self._dials[handover]
            dial.cancel()

    def _dial(self, handover: SourceHandover, to: tuple[str, int]) -> None:
        where = f"{to[0]}:{to[1]}"
        factory = Factory.forProtocol(lambda: DialProtocol(handover, self.ticket, self.clock))
        factory.noisy = False
        dial: Deferred[Any] = self.endpoint_to(*to).connect(factory)
        dial.addCallback(lambda protocol: protocol.linked)
        dial.addTimeout(DIAL_PART * handover.settings.stage_timeout_seconds, self.clock)
        self._dials[handover] = dial

        def ended(result: Any) -> None:
            wanted = self._dials.pop(handover, None) is not None
            if isinstance(result, Failure):
                why = reason_for(result, where)
                self.log.info("no connection to {where}: {why}", where=where, why=bytes(why.text).decode())
                if wanted:
                    handover.connect_failed(why)
            elif wanted:
                handover.connected(result)
            else:
                result.close()

        dial.addBoth(ended)
        dial.addErrback(lambda failure: self.log.failure("the handover broke", failure))

    def recover(self) -> bool:
        """The operator says that no other host has the guest; whether there was anything to take back."""
        departure = self.departure
        if departure is not None and departure.stage in (Stage.IN_DOUBT, Stage.LOST):
            return departure.recover()
        return False

    # arriving

    def admit(self, request: Any) -> MigrationChannel:
        """The core for a link of the migration channel; ``ProtocolError`` if it does not come over TLS."""
        if not request.secure:
            raise ProtocolError(LinkError.NEED_SECURED, "migrations come over TLS")
        channel = MigrationChannel("client", _Newcomer(self))
        newcomer = channel.listener
        self.clock.callLater(
            FIRST_MESSAGE_SECONDS, lambda: channel.close() if channel.listener is newcomer else None
        )
        return channel

    def prepare(self, channel: MigrationChannel, message: Prepare) -> None:
        """A source wants to hand its guest over to us."""
        facts = self.facts()
        departing = self.departure is not None and not self.departure.ended
        if departing or (self.arrival is not None and not self.arrival.ended):
            problems = check_target(message, self.host, facts, self.epochs, arriving=True)
            channel.send(PrepareAnswer(PROTOCOL_VERSION, self.epochs.current.epoch, problems, b"", 0, 0, b""))
            channel.close()
            return
        self.arrival = arrival = TargetHandover(
            self.host, facts, self.settings, self.epochs, self.clock.seconds
        )
        self._drive(arrival, lambda: None)
        self._count_at_end(arrival)
        channel.listener = arrival
        arrival.attach(channel)
        arrival.received(channel, message)

    def whose(self, channel: MigrationChannel, message: Whose) -> None:
        """A source that lost us asks whether we came to own its guest."""
        migration_id = bytes(message.migration_id)
        arrival = self.arrival
        if arrival is not None and arrival.migration_id == migration_id:
            arrival.forsaken()
            if arrival.owns:
                channel.listener = arrival
                arrival.answer_whose(channel)
                return
        if self.epochs.current.took(migration_id):
            moved_on = not self.epochs.current.owner
            channel.send(Owned(migration_id, message.epoch, int(moved_on or self.host.owner)))
        else:
            channel.send(NeverOwned(migration_id, message.epoch))
