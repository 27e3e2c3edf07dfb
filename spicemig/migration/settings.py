# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a handover is told about its host, and how it is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spicemig.wire.messages.migration import PROTOCOL_VERSION, Mode, Transport

MODES = {
    "auto": Mode.SEAMLESS,
    "seamless": Mode.SEAMLESS,
    "semi-seamless": Mode.SEMI_SEAMLESS,
    "switch-host": Mode.SWITCH_HOST,
}
MODE_NAMES = {
    Mode.SEAMLESS: "seamless",
    Mode.SEMI_SEAMLESS: "semi-seamless",
    Mode.SWITCH_HOST: "switch-host",
    Mode.STAYS: "cannot follow",
}
TRANSPORTS = {"client": Transport.CLIENT, "stream": Transport.STREAM, "both": Transport.BOTH}


@dataclass(frozen=True, slots=True)
class HandoverSettings:
    """The ``[migration]`` section, as far as the cores care."""

    mode: str = "auto"
    transport: str = "both"
    stage_timeout_seconds: float = 10.0
    precopy_timeout_seconds: float = 300.0  # however well it goes on
    invite_patience_seconds: float = 1.5  # for the other clients, once one has answered
    redial_seconds: float = 1.0
    pause_goal_ms: float = 20.0
    max_rounds: int = 8


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Where clients reach a host; what the target tells of itself."""

    host: str = ""  # empty: the name by which the source reached it
    port: int = 0  # 0: no plain port
    sport: int = 0  # 0: no TLS port
    cert_subject: str = ""  # empty: clients compare the host name


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What source and target compare before anything happens."""

    protocol: int = PROTOCOL_VERSION
    name: str = ""
    uuid: bytes = bytes(16)
    guest_kind: str = ""  # what is served; empty at a target
    guest_versions: Mapping[str, int] = field(
        default_factory=dict
    )  # kinds that can be made here, their state's version
    state_versions: Mapping[str, int] = field(default_factory=dict)  # of session states, by name
    channels: frozenset[tuple[int, int]] = frozenset()  # (type, id)
    same_settings: Mapping[str, str] = field(default_factory=dict)  # must be alike on both hosts
    max_clients: int = 64
    address: ClientAddress = ClientAddress()
