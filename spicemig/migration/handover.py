# SPDX-License-Identifier: LGPL-2.1-or-later
"""What both sides of a handover have in common: a stage, a table, a timeline, a channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from spicemig.errors import LinkError, ProtocolError
from spicemig.migration.channel import MigrationChannel
from spicemig.migration.epoch import EpochFile
from spicemig.migration.interfaces import IHandoverHost
from spicemig.migration.settings import HandoverSettings, HostFacts
from spicemig.migration.stages import ENDS, Input, Stage, Table
from spicemig.wire.messages.migration import Problem

MAX_EVENTS = 1000  # kept of one handover for those who ask late


def problem(code: str, text: str, hint: str) -> Problem:
    """A :class:`Problem` of texts."""
    return Problem(code.encode(), text.encode()[:65535], hint.encode()[:65535])


def problem_texts(one: Problem) -> dict[str, str]:
    """A :class:`Problem` as it is reported."""
    names = ("code", "text", "hint")
    return {name: bytes(getattr(one, name)).decode(errors="replace") for name in names}


class Handover:
    """
    One side of one handover; it does no I/O.

    Messages come by ``received``, time by ``deadline_passed``, what clients do by
    the host's observer calls; messages go out by the channel that is attached.
    ``stage_hook(side, stage)`` is called whenever a stage is entered. ``done`` fires with
    the report when the handover has ended, well or not.
    """

    log = Logger()
    side: str
    table: Table
    handlers: dict[type, str]

    def __init__(
        self,
        host: IHandoverHost,
        facts: HostFacts,
        settings: HandoverSettings,
        epochs: EpochFile,
        seconds: Callable[[], float],
    ) -> None:
        self.host: Any = host
        self.facts = facts
        self.settings = settings
        self.epochs = epochs
        self.seconds = seconds
        self.migration_id = bytes(16)
        self.epoch = 0
        self.dry_run = False
        self.stage = Stage.IDLE
        self.stage_hook: Callable[[str, Stage], None] = lambda side, stage: None
        self.observer: Callable[[dict[str, Any]], None] = lambda event: None
        self.wake: Callable[[], None] = lambda: None
        self.events: list[dict[str, Any]] = []
        self.channel: MigrationChannel | None = None
        self.problems: list[Problem] = []
        self.failed_at: Stage | None = None
        self.done: Deferred[dict[str, Any]] = Deferred(lambda _: self.cancel())
        self.timeline: list[tuple[Stage, float]] = []
        self._began = seconds()
        self.ended_at: float | None = None
        self._deadlines: dict[str, float] = {}

    # stages

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.stage in ENDS

    def step(self, what: Input, *args: Any, peer: bool = False) -> None:
        """Make the move that the table has for this input."""
        move = self.table.get((self.stage, what))
        if move is None:
            if peer:
                raise ProtocolError(LinkError.INVALID_DATA, f"{what.value} in stage {self.stage.value}")
            raise AssertionError(f"{self.side}: {what} in {self.stage}")
        before, (self.stage, action) = self.stage, move
        if self.stage is not before:
            self._entered(before)
        if action is not None:
            getattr(self, "_" + action)(*args)

    def _entered(self, before: Stage) -> None:
        self.timeline.append((self.stage, self.seconds()))
        if self.stage in (Stage.UNDONE, Stage.LOST):
            self.failed_at = before
        self._deadlines.clear()
        self.log.info(
            "handover {id}, {side}: {stage}",
            id=self.migration_id.hex()[:8],
            side=self.side,
            stage=self.stage.value,
        )
        self.tell("stage", stage=self.stage.value)
        self.stage_hook(self.side, self.stage)
        self._set_deadlines()

    def _set_deadlines(self) -> None:
        """Give the stage that was entered its deadline."""
        raise NotImplementedError

    def fail(self, what: Input, *problems: Problem) -> None:
        """Something went wrong; the table says what that means now."""
        self.problems.extend(problems)
        self.step(what)

    def cancel(self) -> bool:
        """Stop it, if that is still possible; whether it was."""
        if self.ended:
            return False
        self.fail(Input.CANCELLED, *self._cancel_problem())
        return self.stage is Stage.UNDONE

    def _cancel_problem(self) -> list[Problem]:
        if (self.stage, Input.CANCELLED) in self.table and self.table[self.stage, Input.CANCELLED][
            0
        ] is Stage.UNDONE:
            return [
                problem("cancelled", f"cancelled in stage {self.stage.value}", "start it again when you like")
            ]
        return []

    # time

    def after(self, name: str, seconds: float) -> None:
        """Set a deadline; entering another stage clears all."""
        self._deadlines[name] = self.seconds() + seconds
        self.wake()

    def next_deadline(self) -> float | None:
        """When ``deadline_passed`` wants to be called, in seconds of the clock."""
        return min(self._deadlines.values(), default=None)

    def deadline_passed(self, now: float) -> None:
        """Time has come; too early a call does nothing."""
        for name in sorted(self._deadlines, key=self._deadlines.__getitem__):
            at = self._deadlines.get(name)
            if at is not None and at <= now:
                del self._deadlines[name]
                self.deadline(name)

    def deadline(self, name: str) -> None:
        """One deadline of this stage has passed."""
        text = f"nothing happened for too long in stage {self.stage.value}"
        self.fail(Input.DEADLINE_PASSED, *self._timeout_problem(text))

    def _timeout_problem(self, text: str) -> list[Problem]:
        move = self.table.get((self.stage, Input.DEADLINE_PASSED))
        if move is not None and move[0] in (Stage.UNDONE, Stage.LOST):
            return [
                problem(
                    "timeout", text, "look at the log of the other host, or give more time with --timeout"
                )
            ]
        return []

    # the channel

    def attach(self, channel: MigrationChannel) -> None:
        """Talk over this connection from now on; one that was there before is given up."""
        before, self.channel = self.channel, channel
        if before is not None and before is not channel:
            before.close()

    def send(self, message: Any) -> None:
        """Say something, if anybody is there."""
        if self.channel is not None:
            self.channel.send(message)

    def received(self, channel: MigrationChannel, message: Any) -> None:
        """A message of the peer; raises ``ProtocolError`` if it has no place here."""
        if channel is not self.channel:
            return
        handler = self.handlers.get(type(message))
        if handler is None:
            raise ProtocolError(LinkError.INVALID_DATA, f"{type(message).__name__} from the wrong side")
        getattr(self, handler)(message)

    def lost(self, channel: MigrationChannel) -> None:
        """The connection is gone."""
        if channel is self.channel:
            self.channel = None
            self.peer_lost()

    def peer_lost(self) -> None:
        """There is no connection to the other host any more."""
        text = f"the connection to the other host was lost in stage {self.stage.value}"
        move = self.table.get((self.stage, Input.PEER_LOST))
        undone = move is not None and move[0] is Stage.UNDONE
        hint = "look whether the other host still runs, then start the migration again"
        self.fail(Input.PEER_LOST, *([problem("lost", text, hint)] if undone else []))

    def hang_up(self) -> None:
        """End the connection from this side, as after a loss."""
        channel = self.channel
        if channel is not None:
            channel.lose()

    def close_channel(self) -> None:
        """End the connection because nothing is left to say."""
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.close()

    # reports

    def tell(self, event: str, **facts: Any) -> None:
        """Let whoever follows the handover know."""
        at_ms = round((self.seconds() - self._began) * 1000, 3)
        told = {"event": event, "id": self.migration_id.hex(), "at_ms": at_ms, **facts}
        if len(self.events) < MAX_EVENTS:
            self.events.append(told)
        self.observer(told)

    def timeline_ms(self) -> list[dict[str, Any]]:
        """When each stage was entered."""
        return [
            {"stage": stage.value, "at_ms": round((at - self._began) * 1000, 3)}
            for stage, at in self.timeline
        ]

    def duration_ms(self) -> float:
        """How long it took, or takes."""
        at = self.seconds() if self.ended_at is None else self.ended_at
        return round((at - self._began) * 1000, 3)

    def entered_at(self, stage: Stage) -> float | None:
        """When a stage was entered, or None."""
        return next((at for entered, at in self.timeline if entered is stage), None)

    def report(self) -> dict[str, Any]:
        """How it went, or goes."""
        raise NotImplementedError

    def _ended(self) -> None:
        """Say that it is over."""
        self.ended_at = self.seconds()
        self._deadlines.clear()
        report = self.report()
        self.tell("end", report=report)
        if not self.done.called:
            self.done.callback(report)
