# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the channels of a relay can wait for; each is a :class:`spicemig.relay.pipe.Pipe`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spicemig.control.waits import Cause
from spicemig.relay.channel import ChannelStage
from spicemig.relay.connection import Valve
from spicemig.relay.handover import Stage
from spicemig.relay.session import MAIN


def in_stage(*stages: ChannelStage) -> Callable[[Any], bool]:
    """Whether a channel is in one of these stages."""
    return lambda pipe: pipe.core.stage in stages


def _session_in(*stages: Stage) -> Callable[[Any], bool]:
    """The same of its session, whose waits are its main channel's."""
    return lambda pipe: pipe.key == MAIN and pipe.session.stage in stages


def _still_at_source(pipe: Any) -> bool:
    session, target = pipe.session, pipe.session.target
    switching = session.stage is Stage.SWITCHING and target is not None and pipe.key in target.connections
    return switching and pipe.core.stage is ChannelStage.FORWARDING


def _target(pipe: Any) -> str:
    target = pipe.session.target
    return "" if target is None else str(target.address)


def _to_target(pipe: Any) -> str:
    target = pipe.session.target
    return (
        "" if target is None else f"{len(target.connections)} of {len(pipe.session.pipes)} to {_target(pipe)}"
    )


def _held(pipe: Any) -> str:
    return f"{pipe.core.held_bytes:,} bytes held"


CLIENT = Cause(
    "client",
    "the client to read: the kernel takes no more for it, so its server is not read",
    lambda pipe: Valve.SLOW in pipe.from_server.reasons,
    lambda pipe: f"{pipe.client.unsent_bytes:,} bytes wait",
    lambda pipe: (pipe.core.server_scan.messages, pipe.client.unsent_bytes),
)
SERVER = Cause(
    "server",
    "the server to read: the kernel takes no more for it, so its client is not read",
    lambda pipe: Valve.SLOW in pipe.from_client.reasons,
    lambda pipe: f"{pipe.server.unsent_bytes:,} bytes wait",
    lambda pipe: (pipe.core.client_scan.messages, pipe.server.unsent_bytes),
)
CAUSES = (
    CLIENT,
    Cause(
        "acks",
        "acknowledgements; two windows of messages were sent without one",
        lambda pipe: 0 < 2 * pipe.core.ack_window <= pipe.core.unacknowledged,
        lambda pipe: f"{pipe.core.unacknowledged:,} messages, window {pipe.core.ack_window:,}",
        lambda pipe: pipe.core.server_scan.messages - pipe.core.unacknowledged,
    ),
    SERVER,
    Cause(
        "links",
        "links of all its channels to the target of a handover",
        _session_in(Stage.LINKING, Stage.HURRIED),
        _to_target,
    ),
    Cause(
        "handover",
        "the server to send the channels over, or to undo the handover",
        _session_in(Stage.LINKED),
        _target,
    ),
    Cause("Migrate", "the server to send it over, as it has done with other channels", _still_at_source),
    Cause(
        "client's message",
        "the rest of a message of the client, without which the channel cannot leave its server",
        in_stage(ChannelStage.ENDING),
        lambda pipe: f"{pipe.core.client_scan.left:,} bytes",
        lambda pipe: pipe.core.client_scan.left,
    ),
    Cause(
        "migrate data",
        "the channel's state, which its server owes the target",
        in_stage(ChannelStage.AWAITING),
        _held,
    ),
    Cause(
        "target",
        "a link to the target; the channel has left its server already",
        in_stage(ChannelStage.READY),
        _held,
    ),
    Cause(
        "server's message",
        "the rest of a message of a server that is left; the client has the beginning",
        lambda pipe: pipe.core.stage is ChannelStage.RENEWING and not pipe.core.paused,
        lambda pipe: f"{pipe.core.server_scan.left:,} bytes",
        lambda pipe: pipe.core.server_scan.left,
    ),
    Cause(
        "next server",
        "a server that takes it; the one before is gone, or carries no state",
        lambda pipe: pipe.core.stage is ChannelStage.RENEWING and pipe.core.paused,
        _held,
    ),
)
