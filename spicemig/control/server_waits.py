# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the channels of a server can wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spicemig.channels.core import LeavingStage
from spicemig.control.waits import Cause


def in_stage(*stages: LeavingStage) -> Callable[[Any], bool]:
    """Whether a core is in one of these stages."""
    return lambda core: core.stage in stages


def has_work(core: Any) -> bool:
    """Whether something waits behind the core's window."""
    if core.channel == "display":
        return not core.idle
    return bool(core.channel == "cursor" and core.waiting)


def _acks_due(core: Any) -> bool:
    common = core.common
    return core.uses_acks and has_work(core) and common.unacknowledged > 2 * common.ack_window


def _flow_closed(core: Any) -> bool:
    settled = core.stage is LeavingStage.SETTLED
    return settled and core.flow is not None and has_work(core) and not core.flow.open


def _waits_for_other(core: Any) -> bool:
    if core.channel != "display" or not core.pipe.entries or not core.window_open:
        return False
    image = getattr(core.pipe.entries[0], "own", None)
    return image is not None and not core.glz_dictionary.turn_of(image)


def _encoding(core: Any) -> bool:
    return core.channel == "display" and bool(core.encoders.under_way) and not core.idle


CAUSES = (
    Cause("state", "its state, which the source of a handover sends", in_stage(LeavingStage.PARKED)),
    Cause(
        "block",
        "the state that the client brings from the source of a handover",
        in_stage(LeavingStage.AWAITING),
    ),
    Cause("handover", "the handover to go on or to be undone", in_stage(LeavingStage.FROZEN)),
    Cause(
        "flush mark",
        "the client's answer to MIGRATE; without it the client does not leave",
        in_stage(LeavingStage.FLUSHING, LeavingStage.FLUSHED),
    ),
    Cause("leaving", "the client to close the connection", in_stage(LeavingStage.HANDED_OVER)),
    Cause(
        "init",
        "the client's first message, without which it is shown nothing",
        lambda core: (
            core.channel == "display" and core.stage is LeavingStage.SETTLED and not core.state.initialised
        ),
    ),
    Cause(
        "socket",
        "the client to read: the kernel takes no more for it",
        lambda core: core.transport_paused,
        lambda core: f"{core.pending_bytes:,} bytes wait",
        lambda core: None if core.flow is None else core.flow.sent - core.pending_bytes,
    ),
    Cause(
        "acks",
        "acknowledgements; two windows of messages were sent without one",
        _acks_due,
        lambda core: f"{core.common.unacknowledged:,} messages, window {core.common.ack_window:,}",
        lambda core: core.common.serial_sent - core.common.unacknowledged,
    ),
    Cause(
        "line",
        "word that what was sent has arrived; the line is full, or the client does not read",
        _flow_closed,
        lambda core: f"{core.flow.on_the_way:,} bytes on their way, {core.flow.window:,} allowed",
        lambda core: core.flow.arrived,
    ),
    Cause(
        "other display",
        "an image that another display channel of this client must send first",
        _waits_for_other,
        progress=lambda core: core.common.serial_sent,
    ),
    Cause(
        "encoding",
        "a thread that compresses an image; see [display] workers",
        _encoding,
        lambda core: f"{core.encoders.under_way} jobs",
        lambda core: core.common.serial_sent,
    ),
    Cause(
        "ping",
        "the answer to a ping; 30 seconds without any sign, and the client is closed",
        lambda core: core.ping_sent is not None,
        since=lambda core: core.ping_sent,
    ),
)
