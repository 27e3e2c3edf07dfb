# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's part of a handover, as a table.

Source: spice-gtk 0.42, channel-main.c and spice-session.c; see
``channels/main.py`` for the servers' parts.
"""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """How far a session is on its way from one server to another."""

    SETTLED = "settled"
    LINKING = "linking"  # its channels to the target, while the source serves
    LINKED = "linked"
    HURRIED = "hurried"  # the source does not wait for the links
    SWITCHING = "switching"  # channel by channel
    RENEWING = "renewing"  # it begins anew at a server, without the client's noticing
    LOST = "lost"


class Input(Enum):
    """What can happen to a session."""

    INVITED = "invited"
    ALL_LINKED = "all channels are linked to the target"
    LINKING_FAILED = "the target cannot be linked to"
    CANCELLED = "cancelled by the source"
    CHANNEL_LEAVES = "a channel is sent to the target"
    CHANNEL_LEFT = "a channel has left the source"
    ALL_SWAPPED = "all channels are at the target"
    TARGET_LOST = "the target is lost"
    SOURCE_LOST = "the source is lost"
    SENT_AWAY = "the session is to begin anew at the target"
    RENEWED = "renewed"
    RENEWAL_FAILED = "it cannot be renewed"
    CLOSED = "the server has closed it on purpose"
    DEADLINE_PASSED = "deadline passed"


_FAILURES = (Input.LINKING_FAILED, Input.TARGET_LOST, Input.DEADLINE_PASSED)

#: (stage, input): (next stage, name of the action)
TRANSITIONS: dict[tuple[Stage, Input], tuple[Stage, str | None]] = {
    (Stage.SETTLED, Input.INVITED): (Stage.LINKING, "_link"),
    (Stage.LINKING, Input.INVITED): (Stage.LINKING, "_link"),
    (Stage.LINKED, Input.INVITED): (Stage.LINKING, "_link"),
    (Stage.LINKING, Input.ALL_LINKED): (Stage.LINKED, "_tell_linked"),
    **{(Stage.LINKING, what): (Stage.SETTLED, "_tell_failed") for what in _FAILURES},
    (Stage.LINKED, Input.TARGET_LOST): (Stage.SETTLED, "_tell_failed"),
    (Stage.SETTLED, Input.CANCELLED): (Stage.SETTLED, None),  # what has failed before
    (Stage.LINKING, Input.CANCELLED): (Stage.SETTLED, "_drop_target"),
    (Stage.LINKED, Input.CANCELLED): (Stage.SETTLED, "_drop_target"),
    (Stage.LINKING, Input.CHANNEL_LEAVES): (Stage.HURRIED, None),
    (Stage.HURRIED, Input.CHANNEL_LEAVES): (Stage.HURRIED, None),
    (Stage.HURRIED, Input.CHANNEL_LEFT): (Stage.HURRIED, None),
    (Stage.HURRIED, Input.ALL_LINKED): (Stage.SWITCHING, "_switch_late"),
    **{(Stage.HURRIED, what): (Stage.RENEWING, "_renew") for what in _FAILURES},
    (Stage.LINKED, Input.CHANNEL_LEAVES): (Stage.SWITCHING, "_switch"),
    (Stage.SWITCHING, Input.CHANNEL_LEAVES): (Stage.SWITCHING, None),
    (Stage.SWITCHING, Input.CHANNEL_LEFT): (Stage.SWITCHING, "_swap"),
    (Stage.SWITCHING, Input.ALL_SWAPPED): (Stage.SETTLED, "_settle"),
    (Stage.SWITCHING, Input.TARGET_LOST): (Stage.RENEWING, "_renew"),
    (Stage.SWITCHING, Input.DEADLINE_PASSED): (Stage.RENEWING, "_renew"),
    **{
        (stage, Input.SENT_AWAY): (Stage.RENEWING, "_renew")
        for stage in (Stage.SETTLED, Stage.LINKING, Stage.LINKED, Stage.RENEWING)
    },
    **{(stage, Input.SOURCE_LOST): (Stage.RENEWING, "_renew") for stage in Stage if stage is not Stage.LOST},
    (Stage.RENEWING, Input.INVITED): (Stage.RENEWING, "_tell_failed"),  # it is too early for that
    (Stage.RENEWING, Input.CANCELLED): (Stage.RENEWING, None),
    (Stage.RENEWING, Input.RENEWED): (Stage.SETTLED, "_settle_renewed"),
    (Stage.RENEWING, Input.RENEWAL_FAILED): (Stage.LOST, "_begin_anew"),
    (Stage.RENEWING, Input.CLOSED): (Stage.LOST, "close"),
    **{(Stage.LOST, what): (Stage.LOST, None) for what in Input},
}
