# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The main channel: what a client is told about its session, and the dance of migration.

Source: spice.proto, MainChannel; spice-server 0.15.1, main-channel.cpp,
main-channel-client.cpp and reds.cpp; spice-gtk 0.42, channel-main.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from spicemig.channels.bandwidth import PROBE_BYTES, PROBE_FROM, Bandwidth
from spicemig.channels.core import PING_SECONDS, ChannelCore, LeavingStage, receives
from spicemig.channels.events import (
    AgentData,
    AgentStarted,
    AgentTokens,
    ChannelsAsked,
    DoSeamless,
    Event,
    MigrateConnected,
    MigrateConnectFailed,
    MigrateEnded,
    MouseModeAsked,
)
from spicemig.channels.flow import Flow
from spicemig.errors import LinkError, ProtocolError
from spicemig.state import carried, local, session_state
from spicemig.wire.capabilities import MainCap
from spicemig.wire.declare import CHANNEL_TYPES, u8, u16, u32
from spicemig.wire.enums import MouseMode
from spicemig.wire.messages import main

MIGRATION_VERSION = 1  # of seamless migration; SPICE_MIGRATION_PROTOCOL_VERSION
AGENT_TOKENS = 10  # chunks that the client may send the agent; spice-server's REDS_AGENT_WINDOW_SIZE
AGENT_DATA_MAX_BYTES = 2048  # VD_AGENT_MAX_DATA_SIZE
DISPLAY_CHANNELS = 1


class Invitation(Enum):
    """What a client was told of a target."""

    NONE = "none"
    SEMI_SEAMLESS = "semi-seamless"
    SEAMLESS = "seamless"


@session_state(magic=b"SMMA", version=1)
class MainState:
    """What a main channel remembers."""

    connection_id: u32 = carried(default=0)
    supported_mouse_modes: u16 = carried(default=MouseMode.SERVER)
    current_mouse_mode: u16 = carried(default=MouseMode.SERVER)
    agent_started: u8 = carried(default=0)  # the client is ready for an agent
    agent_tokens: u32 = carried(default=0)  # chunks that it takes from the agent
    invitation: Invitation = local(default=Invitation.NONE, why="an invitation ends with the move it is for")


class MainCore(ChannelCore):
    """
    The server's side of one main channel.

    ``channels`` are (channel, id) pairs for the client's list. There is no
    agent; what a client says to it is told all the same, as it may come before
    the client has heard so.
    """

    channel = "main"
    state_type = MainState
    offered_caps = frozenset(
        {
            MainCap.SEMI_SEAMLESS_MIGRATE,
            MainCap.NAME_AND_UUID,
            MainCap.AGENT_CONNECTED_TOKENS,
            MainCap.SEAMLESS_MIGRATE,
        }
    )
    ping_seconds = PING_SECONDS
    answered_while_parked = frozenset({main.MigrateDstDoSeamless, main.ClientMigrateEnd})

    def __init__(
        self,
        state: Any = None,
        *,
        connection_id: int = 0,
        name: str = "",
        uuid: bytes | None = None,
        channels: Iterable[tuple[str, int]] = (),
        bandwidth: Bandwidth | None = None,
        **channel: Any,
    ) -> None:
        super().__init__(MainState(connection_id) if state is None else state, **channel)
        self.name = name
        self.uuid = uuid
        self.channels = tuple(channels)
        self.bandwidth = Bandwidth() if bandwidth is None else bandwidth
        self.seamless_answered = False
        self.flow = Flow(self.bandwidth, probe=True)
        self._probes: list[int] = []  # sizes that are still to be tried
        self._multi_media_time = 0

    @property
    def connection_id(self) -> int:
        """What the client's other channels name in their links."""
        return self.state.connection_id

    def tell_first(self, supported_mouse_modes: int, mouse_mode: int, multi_media_time: int) -> None:
        """What a channel that begins says of the guest."""
        self.state.supported_mouse_modes = int(supported_mouse_modes)
        self.state.current_mouse_mode = int(mouse_mode)
        self._multi_media_time = multi_media_time

    def started(self) -> None:
        self._probes = list(PROBE_BYTES)
        self.send(
            main.Init(
                session_id=self.state.connection_id,
                display_channels_hint=DISPLAY_CHANNELS,
                supported_mouse_modes=self.state.supported_mouse_modes,
                current_mouse_mode=self.state.current_mouse_mode,
                agent_connected=0,
                agent_tokens=AGENT_TOKENS,
                multi_media_time=self._multi_media_time,
                ram_hint=0,
            )
        )
        if MainCap.NAME_AND_UUID in self.caps:
            if self.name:
                self.send(main.Name(self.name.encode()))
            if self.uuid is not None:
                self.send(main.Uuid(self.uuid))

    def sign_given(self, seconds: float) -> None:
        """A round trip is known; try what the line carries, beside the session's start and without delay."""
        self.bandwidth.round_trip(seconds)
        if not self._probes and (self.bandwidth.questionable or self.bandwidth.bits_per_second is None):
            self._probes = [PROBE_BYTES[0]]
        self._probe()

    def _probe(self) -> None:
        """Two pings, of which the second is large: it takes longer by what it needs on the line."""
        if self._probes and self.stage is LeavingStage.SETTLED:
            padding = bytes(self._probes.pop(0))
            self.ping_flow()
            self.ping_flow(padding)

    def arrived(self) -> None:
        """The next probe is for a line that was fast enough for the last one."""
        if self.flow is not None and self.flow.quiet:
            if (self.bandwidth.bits_per_second or 0) < PROBE_FROM:
                self._probes.clear()
            self._probe()

    # the session

    @receives(main.AttachChannels)
    def attach_channels(self, message: Any) -> Iterator[Event]:
        self.send_channels()
        yield ChannelsAsked()

    def send_channels(self) -> None:
        """Tell the client which channels it may link to."""
        self.send(
            main.ChannelsList([main.ChannelId(CHANNEL_TYPES[name], number) for name, number in self.channels])
        )

    @receives(main.MouseModeRequest)
    def mouse_mode_request(self, message: Any) -> Iterator[Event]:
        yield MouseModeAsked(message.mode)

    def set_mouse_mode(self, supported: int, current: int) -> None:
        """Tell the client which mouse modes there are and which one is in force, if that is new to it."""
        state = self.state
        if (supported, current) != (state.supported_mouse_modes, state.current_mouse_mode):
            state.supported_mouse_modes, state.current_mouse_mode = int(supported), int(current)
            self.send(main.MouseMode(supported, current))

    def multi_media_time(self, milliseconds: int) -> None:
        """Set the client's multimedia clock."""
        self.send(main.MultiMediaTime(milliseconds & 0xFFFFFFFF))

    # the agent, which is absent

    @receives(main.AgentStart)
    def agent_start(self, message: Any) -> Iterator[Event]:
        self.state.agent_started = 1
        self.state.agent_tokens = message.num_tokens
        yield AgentStarted(message.num_tokens)

    @receives(main.ClientAgentData)
    def agent_data(self, message: Any) -> Iterator[Event]:
        if len(message.data) > AGENT_DATA_MAX_BYTES:
            raise ProtocolError(LinkError.INVALID_DATA, f"an agent chunk of {len(message.data)} bytes")
        yield AgentData(bytes(message.data))

    @receives(main.ClientAgentToken)
    def agent_token(self, message: Any) -> Iterator[Event]:
        self.state.agent_tokens = min(self.state.agent_tokens + message.num_tokens, 0xFFFFFFFF)
        yield AgentTokens(message.num_tokens)

    # migration: the source

    def migrate_begin(self, destination: Any, seamless: bool) -> None:
        """Ask the client to link to the target now; it answers when it has, or could not."""
        if seamless:
            self.state.invitation = Invitation.SEAMLESS
            self.send(main.MigrateBeginSeamless(destination, MIGRATION_VERSION))
        else:
            self.state.invitation = Invitation.SEMI_SEAMLESS
            self.send(main.MigrateBegin(destination))

    def migrate_cancel(self) -> None:
        """Tell an invited client to stay."""
        if self.state.invitation is not Invitation.NONE:
            self.state.invitation = Invitation.NONE
            self.send(main.MigrateCancel())

    def migrate_end(self) -> None:
        """Send a client over that is linked to the target semi-seamlessly."""
        self.state.invitation = Invitation.NONE
        self.send(main.MigrateEnd())

    def switch_host(self, destination: Any) -> None:
        """Tell the client to connect to the target from scratch."""
        self.state.invitation = Invitation.NONE
        self.send(
            main.MigrateSwitchHost(
                destination.port, destination.sport, destination.host, destination.cert_subject
            )
        )

    @receives(main.MigrateConnected)
    def migrate_connected(self, message: Any) -> Iterator[Event]:
        if self.state.invitation is not Invitation.NONE:
            yield MigrateConnected(seamless=False)

    @receives(main.MigrateConnectedSeamless)
    def migrate_connected_seamless(self, message: Any) -> Iterator[Event]:
        if self.state.invitation is Invitation.SEAMLESS:
            yield MigrateConnected(seamless=True)

    @receives(main.MigrateConnectError)
    def migrate_connect_error(self, message: Any) -> Iterator[Event]:
        if self.state.invitation is not Invitation.NONE:
            self.state.invitation = Invitation.NONE
            yield MigrateConnectFailed()

    # migration: the target

    @receives(main.MigrateDstDoSeamless)
    def migrate_dst_do_seamless(self, message: Any) -> Iterator[Event]:
        if self.parked:
            yield DoSeamless(message.src_version)

    @receives(main.ClientMigrateEnd)
    def migrate_end_received(self, message: Any) -> Iterator[Event]:
        if not self.parked:
            raise ProtocolError(LinkError.INVALID_DATA, "an end of a migration that is not under way")
        yield MigrateEnded()

    def seamless_ack(self) -> None:
        """Let an arriving client bring its state."""
        self._answer(main.MigrateDstSeamlessAck())

    def seamless_nack(self) -> None:
        """Let an arriving client come without its state."""
        self._answer(main.MigrateDstSeamlessNack())

    def _answer(self, message: Any) -> None:
        if not self.seamless_answered:
            self.seamless_answered = True
            self.send_now(message)
