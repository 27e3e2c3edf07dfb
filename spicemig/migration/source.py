# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The source's side of a handover.

Until ``COMMIT`` everything it does can be undone, and is undone after any fault.
From then on the guest stands still here until the target has said whose it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from spicemig.errors import LinkError, ProtocolError, SpicemigError
from spicemig.migration.blocks import KEY_BYTES, Sealer
from spicemig.migration.channel import MigrationChannel
from spicemig.migration.clients import MovingClient
from spicemig.migration.dictionaries import OutgoingImages
from spicemig.migration.digest import Digest
from spicemig.migration.epoch import EpochFile
from spicemig.migration.handover import Handover, problem, problem_texts
from spicemig.migration.interfaces import IHandoverHost, IHandoverObserver
from spicemig.migration.precopy import PixelPump
from spicemig.migration.preflight import check_source, mode_for, prepare_message
from spicemig.migration.report import CANCELLED, COMPLETED, FAILED, source_report
from spicemig.migration.settings import MODES, TRANSPORTS, HandoverSettings, HostFacts
from spicemig.migration.stages import SOURCE, Input, Stage
from spicemig.migration.states import state_chunks
from spicemig.wire.messages.main import Destination
from spicemig.wire.messages.migration import (
    Cancel,
    ClientChanged,
    ClientLinked,
    ClientMode,
    ClientOffer,
    ClientSettled,
    Commit,
    Final,
    Finished,
    Invited,
    Mode,
    NeverOwned,
    Owned,
    PrepareAnswer,
    Problem,
    Ready,
    Refused,
    RoundAck,
    Settled,
    Stopped,
    Transport,
    Whose,
)

LINKED_GRACE_SECONDS = (
    0.1  # a linked client that says nothing itself (a read-only spice-gtk) counts as connected
)
SETTLING_SECONDS = 5.0  # for the target's SETTLED, after the last client's time is up


@implementer(IHandoverObserver)
class SourceHandover(Handover):
    """
    Hands the guest and the clients of a host over.

    While ``wants_connection`` is true somebody has to connect to the target and call
    ``connected`` or ``connect_failed``; ``wake`` tells that it may have changed.
    """

    side = "source"
    table = SOURCE
    handlers = {
        PrepareAnswer: "_prepare_answered",
        ClientLinked: "_client_is_linked",
        RoundAck: "_applied",
        Ready: "_target_ready",
        Owned: "_target_owns",
        NeverOwned: "_target_never_owned",
        ClientSettled: "_client_is_settled",
        Settled: "_target_settled",
        Refused: "_target_refuses",
    }

    def __init__(
        self,
        host: IHandoverHost,
        facts: HostFacts,
        settings: HandoverSettings,
        epochs: EpochFile,
        seconds: Callable[[], float],
        *,
        target_host: str = "",
        dry_run: bool = False,
    ) -> None:
        super().__init__(host, facts, settings, epochs, seconds)
        self.target_host = target_host
        self.dry_run = dry_run
        self.mode = MODES[settings.mode]
        self.transport = TRANSPORTS[settings.transport]
        self.migration_id = secrets.token_bytes(16)
        self.wants_connection = False
        self.destination: Destination | None = None
        self.clients: dict[int, MovingClient] = {}
        self.outcome: str | None = None
        self.pause_ms: float | None = None
        self.digest = Digest()
        self.pump: PixelPump | None = None
        self.precopy_bytes = 0
        self.state_bytes = 0
        self.seal_key = secrets.token_bytes(KEY_BYTES)
        self._sealer = Sealer(self.seal_key, self.migration_id)
        self._freezing: Deferred[Any] | None = None
        self._froze = False
        self._final_sent = False
        self._settled_there = False

    # from outside

    def start(self) -> None:
        """Begin; the report comes by ``done``."""
        problems = list(check_source(self.host, self.facts, self.epochs))
        if problems:
            self.fail(Input.REFUSED, *problems)
        else:
            self.step(Input.STARTED)

    def connected(self, channel: MigrationChannel) -> None:
        """A connection to the target is there."""
        self.wants_connection = False
        if self.ended:
            channel.close()
            return
        self.attach(channel)
        self.step(Input.CONNECTED)

    def connect_failed(self, why: Problem) -> None:
        """The target could not be reached, or refused the link."""
        self.wants_connection = False
        if self.ended:
            return
        self.fail(Input.PEER_LOST, *([why] if self.stage is Stage.PREPARE else []))

    def recover(self) -> bool:
        """The operator says that the target does not have the guest: take it back."""
        if self.stage not in (Stage.IN_DOUBT, Stage.LOST):
            return False
        if not self._reclaim("recovered by the operator"):
            return False
        self.step(Input.RECOVERED)
        return True

    # time

    def _set_deadlines(self) -> None:
        timeout = self.settings.stage_timeout_seconds
        if self.stage is Stage.INVITE:
            self.after("patience", timeout)
        elif self.stage is Stage.SWITCH:
            self.after("clients", timeout)
            self.after("stage", timeout + SETTLING_SECONDS)
        elif self.stage in (Stage.PREPARE, Stage.PRECOPY, Stage.STOP, Stage.COMMIT):
            self.after("stage", timeout)
            if self.stage is Stage.PRECOPY:
                self.after("precopy", self.settings.precopy_timeout_seconds)

    def deadline(self, name: str) -> None:
        """See :class:`Handover`."""
        if name == "patience":
            self._give_up_on_silent_clients()
        elif name == "linked":
            self._take_linked_as_connected()
        elif name == "clients":
            self._give_up_on_clients_that_stay()
        elif name == "redial":
            self.step(Input.REDIAL_DUE)
        elif self.stage is Stage.SWITCH:
            text = "the target owned the guest, and did not say that it serves all clients"
            hint = "look at the target; if it does not run the guest, `spicemig recover` runs it here"
            self.fail(Input.DEADLINE_PASSED, problem("not-settled", text, hint))
        else:
            super().deadline(name)

    # PREPARE

    def _dial(self) -> None:
        self.wants_connection = True
        self.wake()

    def _send_prepare(self) -> None:
        for offer in self.host.offers():
            self._add_client(offer, mode_for(offer, self.mode))
        self.send(prepare_message(self))

    def _add_client(self, offer: ClientOffer, mode: Mode) -> MovingClient:
        offer.mode = mode
        client = self.clients[offer.connection_id] = MovingClient(offer, mode)
        return client

    def _prepare_answered(self, answer: PrepareAnswer) -> None:
        if answer.problems:
            self.problems.extend(answer.problems)
            self.step(Input.REFUSED, peer=True)
            return
        self.epoch = max(self.epochs.current.epoch, answer.epoch) + 1
        self.destination = Destination(
            port=answer.port,
            sport=answer.sport,
            host=bytes(answer.host) or self.target_host.encode(),
            cert_subject=bytes(answer.cert_subject) or None,
        )
        self.step(Input.CHECKED if self.dry_run else Input.ACCEPTED, peer=True)

    def _end_dry_run(self) -> None:
        self._end(COMPLETED)

    # INVITE

    def _invite_clients(self) -> None:
        self.host.observer = self
        for client in self.clients.values():
            client.gone = client.id not in self.host.clients
        self.send(
            Invited(self.epoch, [ClientMode(client.id, client.mode) for client in self.clients.values()])
        )
        inviting = [
            client for client in self._staying() if client.mode in (Mode.SEAMLESS, Mode.SEMI_SEAMLESS)
        ]
        for client in inviting:
            client.invited = True
        for client in inviting:
            self.host.invite(client.id, self.destination, client.mode is Mode.SEAMLESS)
        self._look_whether_all_answered()

    def _staying(self) -> list[MovingClient]:
        return [client for client in self.clients.values() if not client.gone]

    def _waited_for(self) -> list[MovingClient]:
        return [client for client in self._staying() if client.invited and not client.answered]

    def _look_whether_all_answered(self) -> None:
        if self.stage is Stage.INVITE and not self._waited_for():
            self.step(Input.CLIENTS_ANSWERED)

    def _answered(self, client: MovingClient, mode: Mode) -> None:
        first = not any(other.answered for other in self.clients.values())
        client.answered = True
        if mode is not client.mode:
            self._change_mode(client, mode)
        self.tell("client", client=client.id, answer=client.report()["mode"])
        if first and self.stage is Stage.INVITE and self._waited_for():
            at = self._deadlines.get("patience", self.seconds())
            self.after("patience", min(self.settings.invite_patience_seconds, at - self.seconds()))
        self._look_whether_all_answered()

    def _change_mode(self, client: MovingClient, mode: Mode) -> None:
        client.mode = mode
        client.offer.mode = mode
        if mode is not Mode.SEMI_SEAMLESS:  # that the target has itself said to the client
            self.send(ClientChanged(client.offer))

    def client_connected(self, connection_id: int, seamless: bool) -> None:
        """See :class:`IHandoverObserver`."""
        client = self.clients.get(connection_id)
        if self.stage is Stage.INVITE and client is not None and client.invited and not client.answered:
            self._answered(client, client.mode if seamless else Mode.SEMI_SEAMLESS)

    def client_failed(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`."""
        client = self.clients.get(connection_id)
        if self.stage is Stage.INVITE and client is not None and client.invited and not client.answered:
            self._answered(client, Mode.SWITCH_HOST)

    def _client_is_linked(self, message: ClientLinked) -> None:
        client = self.clients.get(message.connection_id)
        if client is None:
            raise ProtocolError(LinkError.INVALID_DATA, "a client that nobody sent was linked")
        if client.linked_at is None:
            client.linked_at = self.seconds()
        self._take_linked_as_connected()

    def _take_linked_as_connected(self) -> None:
        if self.stage is not Stage.INVITE:
            return
        linked = [(client.linked_at, client) for client in self._waited_for() if client.linked_at is not None]
        for linked_at, client in linked:
            left = linked_at + LINKED_GRACE_SECONDS - self.seconds()
            if left <= 0:
                self._answered(client, client.mode)
            elif self._deadlines.get("linked", linked_at + 1) > linked_at + LINKED_GRACE_SECONDS:
                self.after("linked", left)

    def _give_up_on_silent_clients(self) -> None:
        for client in self._waited_for():
            client.answered = True
            self._change_mode(client, Mode.SWITCH_HOST)
            self.tell("client", client=client.id, answer="none, so switch-host")
        self._look_whether_all_answered()

    # PRECOPY

    def _begin_precopy(self) -> None:
        try:
            self.epochs.make_room()
        except OSError as error:
            self.fail(Input.FAILED, self._disk_problem(error))
            return
        images = OutgoingImages(self._moving_dictionaries)
        self.pump = PixelPump(self.host.device, images, self.send, self.digest, self.seconds)
        self.host.device.begin_precopy()
        self.pump.begin_round()
        self._precopy()

    def _moving_dictionaries(self) -> list[tuple[int, Any]]:
        return [
            (client.id, self.host.glz_dictionary(client.id))
            for client in self._staying()
            if client.mode is Mode.SEAMLESS and client.id in self.host.clients
        ]

    def _given_away(self) -> Any:
        return self.epochs.current.given_away(self.epoch, self.migration_id)

    def _precopy(self) -> None:
        pump = self.pump
        assert pump is not None
        while self._pumped(pump) and pump.in_flight == 0:
            last = pump.end_round(self.settings.pause_goal_ms / 2000, self.settings.max_rounds)
            self.tell(
                "round",
                number=pump.rounds,
                sent_bytes=pump.sent_bytes,
                dirty_bytes=pump.dirty_bytes(),
            )
            if last:
                self.precopy_bytes = pump.sent_bytes
                self.step(Input.CLEAN_ENOUGH)
                return
            pump.begin_round()

    def _pumped(self, pump: PixelPump) -> bool:
        try:
            return pump.pump()
        except SpicemigError as error:
            self._state_failed(error)
            return False

    def _state_failed(self, error: SpicemigError) -> None:
        self.fail(Input.FAILED, problem("state", f"the state could not be made: {error}", "look at the log"))

    def _applied(self, message: RoundAck) -> None:
        if self.pump is None or not self.pump.applied(message.applied_bytes):
            raise ProtocolError(LinkError.INVALID_DATA, "more pixels applied than sent")
        if self.stage is Stage.PRECOPY:
            self.after("stage", self.settings.stage_timeout_seconds)
            self._precopy()
        elif self.stage is Stage.STOP:
            self.after("stage", self.settings.stage_timeout_seconds)
            self._send_rest()

    # STOP

    def _freeze(self) -> None:
        self.send(Stopped())
        self._froze = True
        freezing = self._freezing = self.host.freeze()
        freezing.addCallbacks(self._frozen, self._freeze_failed)
        freezing.addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        """A fault of this program while the guest stands still: do not leave it so."""
        self.log.failure("handover {id} broke", failure, id=self.migration_id.hex()[:8])
        if self.stage is Stage.STOP:
            text = f"the source has a fault: {failure.getErrorMessage()}"
            self.fail(Input.FAILED, problem("bug", text, "report this as a bug of spicemig"))

    def _frozen(self, _result: Any) -> None:
        if self._freezing is not None:
            self._freezing = None
            self.step(Input.FROZEN)

    def _freeze_failed(self, failure: Failure) -> None:
        if self._freezing is not None:
            self._freezing = None
            self.fail(
                Input.FAILED,
                problem(
                    "guest", f"the guest could not be stopped: {failure.getErrorMessage()}", "look at the log"
                ),
            )

    def _send_final(self) -> None:
        assert self.pump is not None
        for client in self._late_clients():
            self.send(ClientChanged(client.offer))
        self.pump.begin_last()
        self._send_rest()

    def _late_clients(self) -> list[MovingClient]:
        """Clients that came while the handover was under way; they are told where to go."""
        late = [offer for offer in self.host.offers() if offer.connection_id not in self.clients]
        return [self._add_client(offer, mode_for(offer, Mode.SWITCH_HOST)) for offer in late]

    def _send_rest(self) -> None:
        assert self.pump is not None
        if self._freezing is not None or self._final_sent or not self._pumped(self.pump):
            return
        self._final_sent = True
        clients = [client.id for client in self._staying() if client.mode is Mode.SEAMLESS]
        try:
            for chunk in state_chunks(self.host, [] if self.transport is Transport.CLIENT else clients):
                self.state_bytes += len(chunk.data)
                self.digest.state(chunk)
                self.send(chunk)
        except SpicemigError as error:
            self._state_failed(error)
            return
        self.send(Final())

    def _target_ready(self, message: Ready) -> None:
        if not self._final_sent:
            raise ProtocolError(LinkError.INVALID_DATA, "ready before it has everything")
        if bytes(message.digest) != self.digest.value():
            self.fail(
                Input.FAILED,
                problem(
                    "digest", "the target has not what the source sent", "report this as a bug of spicemig"
                ),
            )
            return
        self.step(Input.READY_RECEIVED, peer=True)

    # COMMIT

    def _give_away(self) -> None:
        try:
            self.epochs.write(self._given_away())
        except OSError as error:
            self._reclaim("could not give away")
            self.fail(Input.FAILED, self._disk_problem(error))
            return
        self.step(Input.WRITTEN)

    def _disk_problem(self, error: OSError) -> Problem:
        return problem(
            "state-dir",
            f"the epoch cannot be written to {self.epochs.directory}: {error.strerror}",
            "make [server] state_dir writable, and look for free space",
        )

    def _send_commit(self) -> None:
        self.send(Commit(self.migration_id, self.epoch))

    def _check_named(self, message: Any) -> None:
        if bytes(message.migration_id) != self.migration_id or message.epoch != self.epoch:
            raise ProtocolError(LinkError.INVALID_DATA, "an answer about another handover")

    def _target_owns(self, message: Owned) -> None:
        self._check_named(message)
        if message.alive:
            self.step(Input.OWNED_RECEIVED, peer=True)
        elif self.stage is Stage.SWITCH:
            self.fail(Input.FAILED, self._fallen())
        else:
            # it may have run for a moment; clients and guest stand still until the operator decides
            self.tell("stage", stage=self.stage.value, **problem_texts(self._fallen()))
            self.hang_up()

    def _fallen(self) -> Problem:
        return problem(
            "fallen",
            "the target owned the guest, and has lost it",
            "`spicemig recover` runs it here again, as it was when it was stopped",
        )

    def _target_never_owned(self, message: NeverOwned) -> None:
        self._check_named(message)
        if (self.stage, Input.NEVER_OWNED_RECEIVED) not in self.table:
            raise ProtocolError(LinkError.INVALID_DATA, "the target takes back that it owns the guest")
        if self._reclaim("taken back"):
            self.problems.append(
                problem(
                    "never-owned",
                    "the target fell before it owned the guest",
                    "look at its log; then start again",
                )
            )
            self.step(Input.NEVER_OWNED_RECEIVED, peer=True)
        else:
            self.hang_up()

    def _reclaim(self, how: str) -> bool:
        """Write that the guest is ours again, if the file says otherwise; whether the disk took it."""
        try:
            if not self.epochs.current.owner:
                self.epochs.write(self.epochs.current.claimed(how))
        except OSError as error:
            self.log.error("epoch not written: {error}", error=error)
            return False
        return True

    def _redial_later(self) -> None:
        self.after("redial", self.settings.redial_seconds)

    def _hang_up(self) -> None:
        self.close_channel()
        self._redial_later()

    def _ask_whose(self) -> None:
        self.send(Whose(self.migration_id, self.epoch))

    # SWITCH

    def _switch_clients(self) -> None:
        stopped_at = self.entered_at(Stage.STOP)
        assert stopped_at is not None
        self.pause_ms = round((self.seconds() - stopped_at) * 1000, 3)
        self.host.device.end_precopy()
        self._late_clients()
        self.host.give_away()
        staying = self._staying()
        for client in staying:
            if client.mode is Mode.SEAMLESS:
                self.host.switch(client.id, self._seal_for(client.id))
        for client in staying:
            if client.mode is Mode.SEMI_SEAMLESS:
                self.host.end(client.id)
            elif client.mode is Mode.SWITCH_HOST:
                self.host.switch_host(client.id, self.destination)
            elif client.mode is Mode.STAYS:
                client.outcome = "cannot follow"
        self._look_whether_all_left()

    def _seal_for(self, connection_id: int) -> Callable[[str, int, bytes], bytes]:
        def seal(channel: str, channel_id: int, state: bytes) -> bytes:
            return self._sealer.seal(connection_id, channel, channel_id, state)

        return seal

    def flush_mark(self, connection_id: int, channel: str, channel_id: int) -> None:
        """See :class:`IHandoverObserver`."""
        client = self.clients.get(connection_id)
        if client is not None:
            client.flush_marks += 1

    def client_gone(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`."""
        client = self.clients.get(connection_id)
        if client is None or client.gone:
            return
        client.gone = True
        if self.stage is Stage.SWITCH:
            self._settle(client, client.mode is Mode.SWITCH_HOST)
            self._look_whether_all_left()
        elif not self.ended:
            client.outcome = "gone"
            if self.stage is not Stage.PREPARE:
                client.offer.mode = Mode.STAYS
                self.send(ClientChanged(client.offer))
            self._look_whether_all_answered()

    def _settle(self, client: MovingClient, enough: bool) -> None:
        if enough and client.outcome is None:
            client.outcome = COMPLETED
            stopped_at = self.entered_at(Stage.STOP)
            assert stopped_at is not None
            client.pause_ms = round((self.seconds() - stopped_at) * 1000, 3)
            self.tell("client", client=client.id, outcome=client.outcome, pause_ms=client.pause_ms)

    def _client_is_settled(self, message: ClientSettled) -> None:
        client = self.clients.get(message.connection_id)
        if client is None:
            raise ProtocolError(LinkError.INVALID_DATA, "a client that nobody sent has settled")
        client.settled = True
        client.bytes_resent = message.bytes_resent
        if self.stage is Stage.SWITCH:
            self._settle(client, True)

    def _give_up_on_clients_that_stay(self) -> None:
        for client in self._staying():
            if client.outcome is None:
                client.outcome = "timed out"
                self.tell("client", client=client.id, outcome=client.outcome)
            client.gone = True
            self.host.close_client(client.id)
        self._look_whether_all_left()

    def _target_settled(self, message: Settled) -> None:
        if self.stage is not Stage.SWITCH:
            raise ProtocolError(LinkError.INVALID_DATA, "settled, and owns nothing")
        self._settled_there = True
        self._look_whether_all_left()

    def _look_whether_all_left(self) -> None:
        waited_for = [client for client in self._staying() if client.mode is not Mode.STAYS]
        if self.stage is Stage.SWITCH and self._settled_there and not waited_for:
            self.step(Input.ALL_LEFT)

    def client_linked(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`; the source expects nobody."""

    def client_settled(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`; the source expects nobody."""

    # ends

    def _release(self) -> None:
        for client in self.clients.values():
            client.outcome = client.outcome or "lost"
        self.host.observer = None
        self.send(Finished())
        self._end(COMPLETED)
        self.host.release()

    def _give_up(self) -> None:
        self.host.observer = None
        self._end(FAILED)

    def _target_refuses(self, message: Refused) -> None:
        self.problems.append(message.problem)
        self.step(Input.REFUSED, peer=True)

    def _undo(self) -> None:
        reason = problem_texts(self.problems[-1])["text"] if self.problems else "cancelled"
        self._go_on_as_before()
        self.send(Cancel(reason.encode()))
        cancelled = any(bytes(one.code) == b"cancelled" for one in self.problems)
        self._end(CANCELLED if cancelled else FAILED)

    def _take_back(self) -> None:
        self._go_on_as_before()
        self._end(FAILED)

    def _go_on_as_before(self) -> None:
        self.wants_connection = False
        freezing, self._freezing = self._freezing, None
        if freezing is not None:
            freezing.cancel()
        if self._froze:
            self.host.thaw()
        if self.pump is not None:
            self.host.device.end_precopy()
        for client in self._staying():
            if client.invited:
                self.host.cancel_invitation(client.id)
            client.outcome = client.outcome or "stayed"
        self.host.observer = None

    def _end(self, outcome: str) -> None:
        self.outcome = outcome
        self.close_channel()
        self._ended()
        self.wake()

    def report(self) -> dict[str, Any]:
        """See :class:`Handover`; the names are fixed for users."""
        return source_report(self)
