# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the main channel.

Source: spice.proto, MainChannel. That Name counts its closing NUL is how
spice-server 0.15.1 sends it.
"""

from typing import Annotated

from spicemig.wire import enums
from spicemig.wire.declare import Counted, Fixed, Pointed, Rest, message, record, u8, u16, u32, u64
from spicemig.wire.enums import LinkError


@record
class ChannelId:
    """A channel that the client may open."""

    type: u8
    id: u8


@record
class Destination:
    """Where the client finds the target host; DstInfo in spice.proto."""

    port: u16  # 0: no plain port
    sport: u16  # 0: no TLS port
    host: Annotated[bytes, Pointed(size=u32, nul=True)]
    cert_subject: Annotated[bytes | None, Pointed(size=u32, nul=True, optional=True)] = None


@message("main", to="client", number=101)
class MigrateBegin:
    """Connect to the target now, and stay here (semi-seamless)."""

    dst_info: Destination


@message("main", to="client", number=102)
class MigrateCancel:
    """Close what is open to the target; the session stays."""


@message("main", to="client", number=103)
class Init:
    """The session, to a client that did not migrate here."""

    session_id: u32
    display_channels_hint: u32
    supported_mouse_modes: Annotated[u32, enums.MouseMode]
    current_mouse_mode: Annotated[u32, enums.MouseMode]
    agent_connected: u32
    agent_tokens: u32
    multi_media_time: u32  # milliseconds
    ram_hint: u32


@message("main", to="client", number=104)
class ChannelsList:
    """The channels that the client may open now."""

    channels: Annotated[list[ChannelId], Counted(u32)]


@message("main", to="client", number=105)
class MouseMode:
    """The mouse modes possible, and the one in force."""

    supported_modes: Annotated[u16, enums.MouseMode]
    current_mode: Annotated[u16, enums.MouseMode]


@message("main", to="client", number=106)
class MultiMediaTime:
    """The clock of video and audio."""

    time: u32  # milliseconds


@message("main", to="client", number=107)
class AgentConnected:
    """The guest's agent runs now."""


@message("main", to="client", number=108)
class AgentDisconnected:
    """The guest's agent is gone."""

    error_code: Annotated[u32, LinkError]


@message("main", to="client", number=109)
class AgentData:
    """A piece of a message from the agent; see :mod:`.agent`."""

    data: Annotated[bytes, Rest()]


@message("main", to="client", number=110)
class AgentToken:
    """The client may send so many more ClientAgentData."""

    num_tokens: u32


@message("main", to="client", number=111)
class MigrateSwitchHost:
    """Drop everything and connect to the target from scratch."""

    port: u16
    sport: u16
    host: Annotated[bytes, Pointed(size=u32, nul=True)]
    cert_subject: Annotated[bytes | None, Pointed(size=u32, nul=True, optional=True)] = None


@message("main", to="client", number=112)
class MigrateEnd:
    """Go over to the target now (semi-seamless)."""


@message("main", to="client", number=113)
class Name:
    """What the guest is called."""

    name: Annotated[bytes, Counted(u32, nul=True)]


@message("main", to="client", number=114)
class Uuid:
    """The guest's UUID."""

    uuid: Annotated[bytes, Fixed(16)]


@message("main", to="client", number=115)
class AgentConnectedTokens:
    """The guest's agent runs now, and takes so many ClientAgentData."""

    num_tokens: u32


@message("main", to="client", number=116)
class MigrateBeginSeamless:
    """Connect to the target now, and ask it to take over the state of the channels."""

    dst_info: Destination
    src_mig_version: u32


@message("main", to="client", number=117)
class MigrateDstSeamlessAck:
    """The target will take over the state."""


@message("main", to="client", number=118)
class MigrateDstSeamlessNack:
    """The target will not; the migration is semi-seamless."""


@message("main", to="server", number=101)
class ClientInfo:
    """Historic; no peer sends it."""

    cache_size: u64


@message("main", to="server", number=102)
class MigrateConnected:
    """All channels are open to the target (semi-seamless)."""


@message("main", to="server", number=103)
class MigrateConnectError:
    """The target could not be reached."""


@message("main", to="server", number=104)
class AttachChannels:
    """Asks for ChannelsList."""


@message("main", to="server", number=105)
class MouseModeRequest:
    """Asks for a mouse mode."""

    mode: Annotated[u16, enums.MouseMode]


@message("main", to="server", number=106)
class AgentStart:
    """The client wants to talk to the agent; the agent may send so many AgentData."""

    num_tokens: u32


@message("main", to="server", number=107)
class ClientAgentData:
    """A piece of a message to the agent; see :mod:`.agent`."""

    data: Annotated[bytes, Rest()]


@message("main", to="server", number=108)
class ClientAgentToken:
    """The agent may send so many more AgentData."""

    num_tokens: u32


@message("main", to="server", number=109)
class ClientMigrateEnd:
    """To the target: this client has come over (semi-seamless)."""


@message("main", to="server", number=110)
class MigrateDstDoSeamless:
    """To the target: will you take over the state from a source of this version?"""

    src_version: u32


@message("main", to="server", number=111)
class MigrateConnectedSeamless:
    """To the source: all channels are open to the target, which takes over the state."""


@message("main", to="server", number=112)
class QualityIndicator:
    """Free text about quality; no peer sends it."""

    data: Annotated[bytes, Rest()]
