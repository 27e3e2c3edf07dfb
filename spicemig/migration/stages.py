# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The stages of a handover, as two tables: one for the source, one for the target.

A table maps (stage, input) to (next stage, name of the action or None). Before
``COMMIT`` every fault leads to ``UNDONE``; from there on all roads lead forward,
but for the two ways back that are safe: the target says that it never owned the
guest, or the operator says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum


class Stage(Enum):
    """How far a handover is, on one of its two sides."""

    IDLE = "idle"
    PREPARE = "prepare"
    INVITE = "invite"
    PRECOPY = "precopy"
    STOP = "stop"
    READY = "ready"  # target: everything is loaded, the source may commit
    COMMIT = "commit"
    IN_DOUBT = "in doubt"  # source: the target was lost between COMMIT and OWNED
    SWITCH = "switch"
    SETTLED = "settled"  # target: all clients are served
    DONE = "done"
    UNDONE = "undone"  # as if nothing had happened
    LOST = "lost"  # source: the target owned the guest, and was never heard of again


class Input(Enum):
    """What can happen to a handover."""

    STARTED = "started"
    CONNECTED = "connected"
    PREPARE_RECEIVED = "prepare received"
    ACCEPTED = "accepted"
    CHECKED = "checked"  # a dry run ends here
    INVITED = "invited"
    CLIENTS_ANSWERED = "clients answered"
    PIXELS_RECEIVED = "pixels received"
    CLEAN_ENOUGH = "clean enough"
    STOPPED = "stopped"
    FROZEN = "frozen"
    STATE_RECEIVED = "state received"
    FINAL_RECEIVED = "final received"
    READY_RECEIVED = "ready received"
    COMMIT_RECEIVED = "commit received"
    WRITTEN = "epoch written"
    OWNED_RECEIVED = "owned received"
    NEVER_OWNED_RECEIVED = "never owned received"
    CLIENTS_SETTLED = "clients settled"
    FINISHED_RECEIVED = "finished received"
    ALL_LEFT = "all clients left and the target settled"
    REFUSED = "refused"
    FAILED = "failed"
    PEER_LOST = "peer lost"
    DEADLINE_PASSED = "deadline passed"
    REDIAL_DUE = "redial due"
    CANCELLED = "cancelled"
    RECOVERED = "recovered by the operator"


Table = Mapping[tuple[Stage, Input], tuple[Stage, "str | None"]]

SOURCE_BEFORE_COMMIT = (Stage.IDLE, Stage.PREPARE, Stage.INVITE, Stage.PRECOPY, Stage.STOP)
TARGET_BEFORE_COMMIT = (Stage.IDLE, Stage.PREPARE, Stage.INVITE, Stage.PRECOPY, Stage.STOP, Stage.READY)
ENDS = (Stage.DONE, Stage.UNDONE, Stage.LOST)
FAULTS = (Input.REFUSED, Input.FAILED, Input.PEER_LOST, Input.DEADLINE_PASSED, Input.CANCELLED)


def _faults(stages: tuple[Stage, ...], action: str) -> dict[tuple[Stage, Input], tuple[Stage, str | None]]:
    return {(stage, fault): (Stage.UNDONE, action) for stage in stages for fault in FAULTS}


def _ignored(
    stages: tuple[Stage, ...], *inputs: Input
) -> dict[tuple[Stage, Input], tuple[Stage, str | None]]:
    return {(stage, what): (stage, None) for stage in stages for what in inputs}


SOURCE: Table = {
    **_faults(SOURCE_BEFORE_COMMIT, "undo"),
    (Stage.IDLE, Input.STARTED): (Stage.PREPARE, "dial"),
    (Stage.PREPARE, Input.CONNECTED): (Stage.PREPARE, "send_prepare"),
    (Stage.PREPARE, Input.CHECKED): (Stage.DONE, "end_dry_run"),
    (Stage.PREPARE, Input.ACCEPTED): (Stage.INVITE, "invite_clients"),
    (Stage.INVITE, Input.CLIENTS_ANSWERED): (Stage.PRECOPY, "begin_precopy"),
    (Stage.PRECOPY, Input.CLEAN_ENOUGH): (Stage.STOP, "freeze"),
    (Stage.STOP, Input.FROZEN): (Stage.STOP, "send_final"),
    (Stage.STOP, Input.READY_RECEIVED): (Stage.COMMIT, "give_away"),
    (Stage.COMMIT, Input.FAILED): (Stage.UNDONE, "undo"),  # the epoch could not be written
    (Stage.COMMIT, Input.WRITTEN): (Stage.COMMIT, "send_commit"),
    (Stage.COMMIT, Input.OWNED_RECEIVED): (Stage.SWITCH, "switch_clients"),
    (Stage.COMMIT, Input.NEVER_OWNED_RECEIVED): (Stage.UNDONE, "take_back"),
    (Stage.COMMIT, Input.PEER_LOST): (Stage.IN_DOUBT, "redial_later"),
    (Stage.COMMIT, Input.DEADLINE_PASSED): (Stage.IN_DOUBT, "hang_up"),
    (Stage.IN_DOUBT, Input.PEER_LOST): (Stage.IN_DOUBT, "redial_later"),
    (Stage.IN_DOUBT, Input.REDIAL_DUE): (Stage.IN_DOUBT, "dial"),
    (Stage.IN_DOUBT, Input.CONNECTED): (Stage.IN_DOUBT, "ask_whose"),
    (Stage.IN_DOUBT, Input.OWNED_RECEIVED): (Stage.SWITCH, "switch_clients"),
    (Stage.IN_DOUBT, Input.NEVER_OWNED_RECEIVED): (Stage.UNDONE, "take_back"),
    (Stage.IN_DOUBT, Input.RECOVERED): (Stage.UNDONE, "take_back"),
    (Stage.SWITCH, Input.PEER_LOST): (Stage.SWITCH, "redial_later"),
    (Stage.SWITCH, Input.REDIAL_DUE): (Stage.SWITCH, "dial"),
    (Stage.SWITCH, Input.CONNECTED): (Stage.SWITCH, "ask_whose"),
    (Stage.SWITCH, Input.OWNED_RECEIVED): (Stage.SWITCH, None),
    (Stage.SWITCH, Input.ALL_LEFT): (Stage.DONE, "release"),
    (Stage.SWITCH, Input.DEADLINE_PASSED): (Stage.LOST, "give_up"),
    (Stage.SWITCH, Input.FAILED): (Stage.LOST, "give_up"),  # the guest ended with the target's process
    (Stage.LOST, Input.RECOVERED): (Stage.UNDONE, "take_back"),
    **_ignored((Stage.COMMIT, Stage.IN_DOUBT, Stage.SWITCH), Input.CANCELLED),
    **_ignored(ENDS, Input.CANCELLED, Input.PEER_LOST, Input.DEADLINE_PASSED, Input.FAILED),
}

TARGET: Table = {
    **_faults(TARGET_BEFORE_COMMIT, "abandon"),
    (Stage.IDLE, Input.PREPARE_RECEIVED): (Stage.PREPARE, "answer"),
    (Stage.PREPARE, Input.CHECKED): (Stage.DONE, None),
    (Stage.PREPARE, Input.INVITED): (Stage.INVITE, None),
    (Stage.INVITE, Input.PIXELS_RECEIVED): (Stage.PRECOPY, "apply_pixels"),
    (Stage.INVITE, Input.STOPPED): (Stage.STOP, None),
    (Stage.PRECOPY, Input.PIXELS_RECEIVED): (Stage.PRECOPY, "apply_pixels"),
    (Stage.PRECOPY, Input.STOPPED): (Stage.STOP, None),
    (Stage.STOP, Input.PIXELS_RECEIVED): (Stage.STOP, "apply_pixels"),
    (Stage.STOP, Input.STATE_RECEIVED): (Stage.STOP, "keep_state"),
    (Stage.STOP, Input.FINAL_RECEIVED): (Stage.READY, "load"),
    (Stage.READY, Input.COMMIT_RECEIVED): (Stage.COMMIT, "own"),
    (Stage.COMMIT, Input.WRITTEN): (Stage.SWITCH, "assume"),
    (Stage.SWITCH, Input.CLIENTS_SETTLED): (Stage.SETTLED, "say_settled"),
    (Stage.SWITCH, Input.DEADLINE_PASSED): (Stage.SETTLED, "say_settled"),
    (Stage.SETTLED, Input.FINISHED_RECEIVED): (Stage.DONE, "finish"),
    (Stage.SETTLED, Input.DEADLINE_PASSED): (Stage.DONE, "finish"),
    **_ignored((Stage.COMMIT, Stage.SWITCH, Stage.SETTLED), Input.CANCELLED, Input.PEER_LOST),
    (Stage.COMMIT, Input.FAILED): (Stage.UNDONE, "disown"),  # the epoch could not be written
    **_ignored(
        (Stage.DONE, Stage.UNDONE), Input.CANCELLED, Input.PEER_LOST, Input.DEADLINE_PASSED, Input.FAILED
    ),
}


def lines(table: Table) -> Iterator[str]:
    """The table as text, one move a line."""
    for (stage, what), (after, action) in table.items():
        doing = (action or "").replace("_", " ")
        yield f"{stage.value:10} {what.value:40} -> {after.value:10} {doing}".rstrip()
