# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's main channel: what the server is, and where it goes.

Source: spice-gtk 0.42, channel-main.c.
"""

from __future__ import annotations

from spicemig.client.core import ClientChannel, handles
from spicemig.client.events import (
    ChannelsListed,
    ClockSet,
    Initialised,
    MigrateBegun,
    MigrateCancelled,
    MigrateEnded,
    MouseModeChanged,
    SeamlessAnswered,
    SwitchHostAsked,
)
from spicemig.wire.capabilities import MainCap
from spicemig.wire.messages import main


class MainChannel(ClientChannel):
    """
    Yields :class:`Initialised`, :class:`ChannelsListed`, :class:`MouseModeChanged`
    and what the server says of a migration.
    """

    channel = "main"
    capabilities = frozenset(
        {
            MainCap.SEMI_SEAMLESS_MIGRATE,
            MainCap.NAME_AND_UUID,
            MainCap.AGENT_CONNECTED_TOKENS,
            MainCap.SEAMLESS_MIGRATE,
        }
    )

    def __init__(self, *args, **named) -> None:
        super().__init__(*args, **named)
        self.server_name = ""
        self.server_uuid = b""
        self.mouse_modes = 0
        self.mouse_mode = 0
        self.mm_time = 0

    # -- the user ------------------------------------------------------------

    def ask_mouse_mode(self, mode: int) -> None:
        """Ask for server (1) or client (2) mouse mode."""
        self.send(main.MouseModeRequest(mode))

    def attach_channels(self) -> None:
        """Ask for the list of channels."""
        self.answer(main.AttachChannels())

    def do_seamless(self, version: int) -> None:
        """Tell the target that state is to be carried."""
        self.answer(main.MigrateDstDoSeamless(version))

    def tell_connected(self, seamless: bool) -> None:
        """Tell the source that all channels are linked to the target."""
        self.send(main.MigrateConnectedSeamless() if seamless else main.MigrateConnected())

    def tell_connect_error(self) -> None:
        """Tell the source that they are not."""
        self.send(main.MigrateConnectError())

    def tell_migrate_end(self) -> None:
        """Tell the target that a semi-seamless migration is over."""
        self.send(main.ClientMigrateEnd())

    # -- the server ------------------------------------------------------------

    @handles(main.Init)
    def init(self, message):
        """The server takes us for a new client."""
        self.mm_time = message.multi_media_time
        yield MouseModeChanged(*self._mouse_mode(message.supported_mouse_modes, message.current_mouse_mode))
        yield Initialised(message)

    @handles(main.ChannelsList)
    def channels_list(self, message):
        """What can be connected to."""
        yield ChannelsListed(tuple((channel.type, channel.id) for channel in message.channels))

    @handles(main.MouseMode)
    def mouse_mode_changed(self, message):
        """How the pointer is to be sent from now on."""
        yield MouseModeChanged(*self._mouse_mode(message.supported_modes, message.current_mode))

    @handles(main.MultiMediaTime)
    def multi_media_time(self, message):
        """The clock of sound and video."""
        self.mm_time = message.time
        yield ClockSet(message.time)

    @handles(main.Name)
    def name_told(self, message):
        """What the guest is called."""
        self.server_name = bytes(message.name).rstrip(b"\0").decode("utf-8", "replace")

    @handles(main.Uuid)
    def uuid_told(self, message):
        """Which guest it is."""
        self.server_uuid = bytes(message.uuid)

    @handles(main.MigrateBegin)
    def migrate_begin(self, message):
        """Link to the target; nothing is carried there."""
        yield MigrateBegun(message.dst_info, None)

    @handles(main.MigrateBeginSeamless)
    def migrate_begin_seamless(self, message):
        """Link to the target; state will be carried there."""
        yield MigrateBegun(message.dst_info, message.src_mig_version)

    @handles(main.MigrateDstSeamlessAck)
    def migrate_dst_seamless_ack(self, message):
        """The target agrees."""
        yield SeamlessAnswered(True)

    @handles(main.MigrateDstSeamlessNack)
    def migrate_dst_seamless_nack(self, message):
        """The target will not take state."""
        yield SeamlessAnswered(False)

    @handles(main.MigrateCancel)
    def migrate_cancel(self, message):
        """The source stays."""
        yield MigrateCancelled()

    @handles(main.MigrateEnd)
    def migrate_end(self, message):
        """The guest runs at the target: go there."""
        yield MigrateEnded()

    @handles(main.MigrateSwitchHost)
    def migrate_switch_host(self, message):
        """The guest runs elsewhere: connect afresh."""
        yield SwitchHostAsked(message)

    def _mouse_mode(self, supported, current):
        self.mouse_modes, self.mouse_mode = int(supported), int(current)
        return self.mouse_modes, self.mouse_mode
