# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The target's side of a handover.

It collects until it has everything, and forgets everything if the source is lost
before COMMIT. From COMMIT on it owns the guest, whatever becomes of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from spicemig.errors import LinkError, ProtocolError, SpicemigError
from spicemig.migration.blocks import Opener
from spicemig.migration.channel import MigrationChannel
from spicemig.migration.dictionaries import IncomingImages
from spicemig.migration.digest import Digest
from spicemig.migration.epoch import EpochFile
from spicemig.migration.handover import Handover, problem, problem_texts
from spicemig.migration.interfaces import IHandoverHost, IHandoverObserver
from spicemig.migration.preflight import check_target
from spicemig.migration.settings import MODE_NAMES, HandoverSettings, HostFacts
from spicemig.migration.stages import TARGET, TARGET_BEFORE_COMMIT, Input, Stage
from spicemig.wire.messages.migration import (
    PROTOCOL_VERSION,
    Cancel,
    ChannelBlock,
    ClientChanged,
    ClientLinked,
    ClientOffer,
    ClientSettled,
    Commit,
    DictionaryBlock,
    Final,
    Finished,
    Invited,
    Mode,
    NeverOwned,
    Owned,
    PixelBlock,
    Prepare,
    PrepareAnswer,
    Problem,
    Ready,
    Refused,
    RoundAck,
    RoundEnd,
    Settled,
    StateChunk,
    StateKind,
    Stopped,
)

MAX_STATE_BYTES = 80 << 20  # of all states together; above what a source sends
MAX_PIXEL_BYTES = 1 << 30  # of all surfaces together
MAX_STATES = 4096  # channels of all clients, and the host's own
MARGIN_SECONDS = 2.0  # longer than the source's deadlines, so that it decides
LINGER_SECONDS = 10.0  # after the end: clients on their way by switch-host are still known

StateName = tuple[int, int, int, int]  # kind, connection id, channel, channel id


@implementer(IHandoverObserver)
class TargetHandover(Handover):
    """Takes a guest and its clients over from a source that has connected."""

    log = Logger()
    side = "target"
    table = TARGET
    handlers = {
        Prepare: "_prepare_received",
        Invited: "_invited",
        ClientChanged: "_client_changed",
        PixelBlock: "_pixels",
        DictionaryBlock: "_dictionary_block",
        RoundEnd: "_round_ended",
        Stopped: "_source_stopped",
        StateChunk: "_state_received",
        Final: "_final",
        Commit: "_commit",
        Finished: "_source_finished",
        Cancel: "_source_cancels",
    }

    def __init__(
        self,
        host: IHandoverHost,
        facts: HostFacts,
        settings: HandoverSettings,
        epochs: EpochFile,
        seconds: Callable[[], float],
    ) -> None:
        super().__init__(host, facts, settings, epochs, seconds)
        self.guest_kind = ""
        self.clients: dict[int, ClientOffer] = {}
        self.settled: dict[int, str] = {}  # client: what became of it
        self.digest = Digest()
        self.pixel_bytes = 0
        self.state_bytes = 0
        self.all_settled = False
        self._opener: Opener | None = None
        self._images = IncomingImages(host.take_image)
        self._extents: dict[int, int] = {}  # surface: bytes that its pixels take
        self._parts: dict[StateName, bytearray] = {}
        self._whole: set[StateName] = set()
        self._expecting = False

    # time

    def _set_deadlines(self) -> None:
        timeout = self.settings.stage_timeout_seconds
        if self.stage in TARGET_BEFORE_COMMIT:
            self.after("stage", timeout + MARGIN_SECONDS)
        elif self.stage is Stage.SWITCH:
            self.after("stage", timeout)
        elif self.stage is Stage.SETTLED:
            self.after("stage", timeout + MARGIN_SECONDS)

    def deadline(self, name: str) -> None:
        """See :class:`Handover`."""
        if name == "linger":
            self.end_arrivals()
        else:
            super().deadline(name)

    # PREPARE

    def _prepare_received(self, message: Prepare) -> None:
        self.step(Input.PREPARE_RECEIVED, message, peer=True)

    def _answer(self, message: Prepare) -> None:
        self.migration_id = bytes(message.migration_id)
        self.guest_kind = bytes(message.guest_kind).decode(errors="replace")
        self.dry_run = bool(message.dry_run)
        self._opener = Opener(bytes(message.seal_key), self.migration_id)
        problems = check_target(message, self.host, self.facts, self.epochs, arriving=False)
        if not problems and not self.dry_run:
            self._expect_clients(message.clients)
        address = self.facts.address
        self.send(
            PrepareAnswer(
                version=PROTOCOL_VERSION,
                epoch=self.epochs.current.epoch,
                problems=problems,
                host=address.host.encode(),
                port=address.port,
                sport=address.sport,
                cert_subject=address.cert_subject.encode(),
            )
        )
        if problems:
            self.fail(Input.FAILED, *problems)
        elif self.dry_run:
            self.step(Input.CHECKED)
            self._end()

    def _expect_clients(self, offers: list[ClientOffer]) -> None:
        self._expecting = True
        self.host.observer = self
        for offer in offers:
            self.clients[offer.connection_id] = offer
            if offer.mode != Mode.STAYS:
                self.host.expect(offer, offer.mode == Mode.SEAMLESS)

    # INVITE

    def _invited(self, message: Invited) -> None:
        if message.epoch <= self.epochs.current.epoch:
            raise ProtocolError(LinkError.INVALID_DATA, f"epoch {message.epoch} has been")
        self.epoch = message.epoch
        self.step(Input.INVITED, peer=True)
        try:
            self.epochs.make_room()
        except OSError as error:
            self._refuse(self._disk_problem(error))

    def _taken_over(self) -> Any:
        return self.epochs.current.taken_over(self.epoch, self.migration_id)

    def _disk_problem(self, error: OSError) -> Problem:
        return problem(
            "state-dir",
            f"the target cannot write its epoch to {self.epochs.directory}: {error.strerror}",
            "make [server] state_dir of the target writable, and look for free space",
        )

    def _client_changed(self, message: ClientChanged) -> None:
        offer = message.offer
        if not self._expecting or (offer.mode != Mode.STAYS and self.stage not in TARGET_BEFORE_COMMIT):
            return
        if offer.connection_id in self.clients:
            self.host.forget(offer.connection_id)
        elif len(self.clients) >= self.facts.max_clients:
            return
        self.clients[offer.connection_id] = offer
        if offer.mode != Mode.STAYS:
            self.host.expect(offer, offer.mode == Mode.SEAMLESS)
        self._look_whether_settled()

    def client_linked(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`."""
        if connection_id in self.clients:
            self.send(ClientLinked(connection_id))

    # PRECOPY

    def _pixels(self, message: PixelBlock) -> None:
        self.step(Input.PIXELS_RECEIVED, message, peer=True)

    def _dictionary_block(self, message: DictionaryBlock) -> None:
        self.step(Input.PIXELS_RECEIVED, message, peer=True)

    def _round_ended(self, message: RoundEnd) -> None:
        self.step(Input.PIXELS_RECEIVED, None, peer=True)
        self.tell("round", number=message.round, dirty_bytes=message.dirty_bytes)

    def _apply_pixels(self, block: PixelBlock | DictionaryBlock | None) -> None:
        self.after("stage", self.settings.stage_timeout_seconds + MARGIN_SECONDS)
        if block is None:
            return
        try:
            if isinstance(block, PixelBlock):
                self._apply_rows(block)
            else:
                self._apply_image(block)
        except ProtocolError:
            raise
        except (SpicemigError, ValueError) as error:
            self._refuse(self._load_problem(error))
            return
        self.pixel_bytes += len(block.data)
        self.send(RoundAck(self.pixel_bytes))

    def _apply_image(self, block: DictionaryBlock) -> None:
        self.digest.image(block)
        if block.connection_id in self.clients:
            self._images.take(block)

    def _apply_rows(self, block: PixelBlock) -> None:
        if block.rows * block.stride != len(block.data):
            raise ProtocolError(LinkError.INVALID_DATA, "pixels that are not so many rows")
        self._extents[block.surface_id] = block.width * block.height * 4
        if sum(self._extents.values()) > MAX_PIXEL_BYTES or len(self._extents) > MAX_STATES:
            raise ProtocolError(LinkError.INVALID_DATA, "more pixels than a target holds")
        self.digest.pixels(block)
        self.host.device.apply_block(block)

    # STOP

    def _source_stopped(self, message: Stopped) -> None:
        self.step(Input.STOPPED, peer=True)

    def _state_received(self, message: StateChunk) -> None:
        self.step(Input.STATE_RECEIVED, message, peer=True)

    def _keep_state(self, chunk: StateChunk) -> None:
        self.after("stage", self.settings.stage_timeout_seconds + MARGIN_SECONDS)
        name = (chunk.kind, chunk.connection_id, chunk.channel_type, chunk.channel_id)
        if name in self._whole or chunk.kind not in list(StateKind):
            raise ProtocolError(LinkError.INVALID_DATA, "a state that is whole already, or of no known kind")
        self.state_bytes += len(chunk.data)
        if self.state_bytes > MAX_STATE_BYTES or len(self._parts) >= MAX_STATES:
            raise ProtocolError(LinkError.INVALID_DATA, "more state than a target holds")
        self.digest.state(chunk)
        self._parts.setdefault(name, bytearray()).extend(chunk.data)
        if chunk.last:
            self._whole.add(name)

    def _final(self, message: Final) -> None:
        if self._whole != set(self._parts) or not {(kind, 0, 0, 0) for kind in (0, 1, 2)} <= self._whole:
            raise ProtocolError(LinkError.INVALID_DATA, "not all states are whole")
        self.step(Input.FINAL_RECEIVED, peer=True)

    def _load(self) -> None:
        parts = self._parts
        try:
            self.host.load(
                bytes(parts[StateKind.HOST, 0, 0, 0]),
                bytes(parts[StateKind.DEVICE, 0, 0, 0]),
                self.guest_kind,
                bytes(parts[StateKind.GUEST, 0, 0, 0]),
            )
            blocks: dict[int, list[ChannelBlock]] = {}
            for (kind, connection_id, channel, channel_id), data in parts.items():
                if kind == StateKind.CHANNEL:
                    blocks.setdefault(connection_id, []).append(
                        ChannelBlock(channel, channel_id, bytes(data))
                    )
            for connection_id, of_client in blocks.items():
                if connection_id in self.clients:
                    self.host.stage_blocks(connection_id, of_client)
        except (SpicemigError, ValueError) as error:
            self._refuse(self._load_problem(error))
            return
        self._parts = {}
        self.send(Ready(self.digest.value()))

    def _load_problem(self, error: Exception) -> Problem:
        return problem(
            "load", f"the target cannot load what it was sent: {error}", "look at the target's log"
        )

    def _refuse(self, why: Problem) -> None:
        self.log.error("refused: {why}", why=problem_texts(why)["text"])
        self.fail(Input.FAILED, why)

    # COMMIT

    def _commit(self, message: Commit) -> None:
        if bytes(message.migration_id) != self.migration_id or message.epoch != self.epoch:
            raise ProtocolError(LinkError.INVALID_DATA, "another guest is given than was offered")
        self.step(Input.COMMIT_RECEIVED, peer=True)

    def _own(self) -> None:
        try:
            self.epochs.write(self._taken_over())
        except OSError as error:
            self.problems.append(self._disk_problem(error))
            if not self.epochs.current.took(self.migration_id):
                self.step(Input.FAILED)
                return
        self.step(Input.WRITTEN)

    def _disown(self) -> None:
        self.send(NeverOwned(self.migration_id, self.epoch))
        self._abandon()

    def _assume(self) -> None:
        assert self._opener is not None
        try:
            self.host.assume(self._opener.open)
        except SpicemigError as error:
            # the guest is ours, whatever it was that went wrong with a client
            self.log.failure("not every client could be taken over")
            self.problems.append(self._load_problem(error))
        self.send(Owned(self.migration_id, self.epoch))
        self._look_whether_settled()

    # SWITCH

    def forsaken(self) -> None:
        """The source gave the connection up; without COMMIT that is the end."""
        if self.stage in TARGET_BEFORE_COMMIT:
            self.peer_lost()

    def answer_whose(self, channel: MigrationChannel) -> None:
        """The source asks on another connection; the guest is ours."""
        self.attach(channel)
        self.send(Owned(self.migration_id, self.epoch))
        for connection_id, outcome in self.settled.items():
            if outcome == "completed":
                self._say_client_settled(connection_id)
        if self.all_settled:
            self.send(Settled())

    @property
    def owns(self) -> bool:
        """Whether the guest came to be ours by this handover."""
        return self.stage in (Stage.SWITCH, Stage.SETTLED) or (self.stage is Stage.DONE and self._expecting)

    def client_settled(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`."""
        if connection_id in self.clients and self.settled.get(connection_id) != "completed":
            self.settled[connection_id] = "completed"
            self.tell("client", client=connection_id, outcome="completed")
            self._say_client_settled(connection_id)
            self._look_whether_settled()

    def _say_client_settled(self, connection_id: int) -> None:
        self.send(ClientSettled(connection_id, self.host.bytes_resent(connection_id)))

    def client_gone(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`."""
        if connection_id in self.clients and self.owns:
            self.settled.setdefault(connection_id, "gone")
            self._look_whether_settled()

    def _look_whether_settled(self) -> None:
        coming = (
            connection_id
            for connection_id, offer in self.clients.items()
            if offer.mode in (Mode.SEAMLESS, Mode.SEMI_SEAMLESS) and connection_id not in self.settled
        )
        if self.stage is Stage.SWITCH and not any(True for _ in coming):
            self.step(Input.CLIENTS_SETTLED)

    def _say_settled(self) -> None:
        self.all_settled = True
        self.send(Settled())

    def _source_finished(self, message: Finished) -> None:
        self.step(Input.FINISHED_RECEIVED, peer=True)

    def client_connected(self, connection_id: int, seamless: bool) -> None:
        """See :class:`IHandoverObserver`; the target invites nobody."""

    def client_failed(self, connection_id: int) -> None:
        """See :class:`IHandoverObserver`; the target invites nobody."""

    def flush_mark(self, connection_id: int, channel: str, channel_id: int) -> None:
        """See :class:`IHandoverObserver`; nobody leaves the target."""

    # ends

    def _finish(self) -> None:
        self.host.observer = None
        self._end()
        self.after("linger", LINGER_SECONDS)

    def end_arrivals(self) -> None:
        """Who has not come by now comes as a new client."""
        self._deadlines.pop("linger", None)
        if self.owns and self.stage is Stage.DONE:
            self.host.end_arrivals()

    def _source_cancels(self, message: Cancel) -> None:
        reason = bytes(message.reason).decode(errors="replace")
        self.problems.append(problem("cancelled", f"the source gave up: {reason}", "look at the source"))
        self.step(Input.REFUSED, peer=True)

    def _abandon(self) -> None:
        if self.problems:
            self.send(Refused(self.problems[-1]))
        if self._expecting:
            self._expecting = False
            self.host.observer = None
            self.host.abandon()
        self._parts = {}
        self._end()

    def _end(self) -> None:
        self.close_channel()
        self._ended()
        self.wake()

    def report(self) -> dict[str, Any]:
        """See :class:`Handover`."""
        outcome = {Stage.DONE: "completed", Stage.UNDONE: "failed"}.get(self.stage)
        return {
            "id": self.migration_id.hex(),
            "outcome": outcome,
            "stage": (self.failed_at or self.stage).value,
            "pixel_bytes": self.pixel_bytes,
            "state_bytes": self.state_bytes,
            "clients": [
                {
                    "id": offer.connection_id,
                    "name": bytes(offer.name).decode(errors="replace"),
                    "mode": MODE_NAMES.get(Mode(offer.mode), "unknown"),
                    "outcome": self.settled.get(offer.connection_id),
                }
                for offer in self.clients.values()
            ],
            "timeline": self.timeline_ms(),
            "problems": [problem_texts(one) for one in self.problems],
            "epoch": self.epoch,
        }
