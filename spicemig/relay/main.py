# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The main channel between client and server: where the server tells of a migration.

Source: spice.proto, MainChannel; spice-gtk 0.42, channel-main.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from spicemig.errors import LinkError
from spicemig.relay.channel import ChannelRelay
from spicemig.relay.scan import Taken
from spicemig.wire.capabilities import MainCap
from spicemig.wire.messages import main

#: what the relay can do for every client, and asks of every server
OWN_CAPS = frozenset(
    {MainCap.SEMI_SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS, MainCap.SEAMLESS_MIGRATE}
)


@dataclass(frozen=True, slots=True)
class SessionBegan:
    """The server has given the session an id."""

    connection_id: int


@dataclass(frozen=True, slots=True)
class Invited:
    """Link to the target; ``version`` is None unless state is to be carried."""

    destination: Any
    version: int | None


@dataclass(frozen=True, slots=True)
class InvitationCancelled:
    """Forget the target."""


@dataclass(frozen=True, slots=True)
class SentOver:
    """Go to the target, where everything begins anew (semi-seamless)."""


@dataclass(frozen=True, slots=True)
class SentElsewhere:
    """Connect to this server from scratch (switch-host)."""

    destination: Any


class MainRelay(ChannelRelay):
    """
    A main channel. ``connection_id`` is what the client knows itself by, whatever
    its servers call it; ``caps`` are the client's.
    """

    renewable = True
    forbidden = ChannelRelay.forbidden | {
        main.MigrateConnected.number,
        main.MigrateConnectError.number,
        main.ClientMigrateEnd.number,
        main.MigrateDstDoSeamless.number,
        main.MigrateConnectedSeamless.number,
    }
    _takers: ClassVar[dict[int, str]] = {
        **ChannelRelay._takers,
        main.Init.number: "_init",
        main.AgentConnected.number: "_agent_connected",
        main.AgentConnectedTokens.number: "_agent_connected_tokens",
        main.AgentDisconnected.number: "_agent_disconnected",
        main.MigrateBegin.number: "_migrate_begin",
        main.MigrateBeginSeamless.number: "_migrate_begin_seamless",
        main.MigrateCancel.number: "_migrate_cancel",
        main.MigrateEnd.number: "_migrate_end",
        main.MigrateSwitchHost.number: "_switch_host",
    }

    taken_from_client: ClassVar[dict[int, str]] = {
        **ChannelRelay.taken_from_client,
        main.AgentStart.number: "_agent_start",
        main.ClientAgentData.number: "_to_agent",
        main.ClientAgentToken.number: "_to_agent",
    }

    def __init__(self, mini: bool, connection_id: int, caps: frozenset[int]) -> None:
        super().__init__("main", 0, mini)
        self.connection_id = connection_id
        self.caps = caps
        self._answers: list[Any] = []
        self._agent = False  # there is one, as far as the client knows
        self._agent_renewed = False  # and what the client says to it is for one before
        self._renewed = False  # the next INIT is not the client's first

    def _init(self, taken: Taken) -> Iterator[Any]:
        init = main.Init.unpack(taken.body)
        server_id, init.session_id = init.session_id, self.connection_id
        if self._renewed:
            self._tell_changes(init)
        else:
            self._agent = bool(init.agent_connected)
            self.tell_client(init, taken)
        self._renewed = False
        yield SessionBegan(server_id)

    def _tell_changes(self, init: Any) -> None:
        """What a client hears of a session that begins anew without its noticing."""
        self.say(main.MouseMode(init.supported_mouse_modes, init.current_mouse_mode))
        self.say(main.MultiMediaTime(init.multi_media_time))
        if self._agent:
            self.say(main.AgentDisconnected(LinkError.OK))
            self._agent_renewed = True
        self._agent = bool(init.agent_connected)
        if self._agent:
            self.say(self._connected(init.agent_tokens))

    def _connected(self, tokens: int) -> Any:
        known = MainCap.AGENT_CONNECTED_TOKENS in self.caps
        return main.AgentConnectedTokens(tokens) if known else main.AgentConnected()

    def _agent_connected(self, taken: Taken) -> Iterator[Any]:
        self._agent = True
        self.pass_on(taken)
        yield from ()

    def _agent_connected_tokens(self, taken: Taken) -> Iterator[Any]:
        self._agent = True
        self.tell_client(self._connected(main.AgentConnectedTokens.unpack(taken.body).num_tokens), taken)
        yield from ()

    def _agent_disconnected(self, taken: Taken) -> Iterator[Any]:
        self._agent = False
        self.pass_on(taken)
        yield from ()

    # from the client

    def _agent_start(self, taken: Taken) -> None:
        self._agent_renewed = False
        self.pass_to_server(taken)

    def _to_agent(self, taken: Taken) -> None:
        """What a client said before it heard that its agent is another one is for nobody."""
        if not self._agent_renewed:
            self.pass_to_server(taken)

    # the server sends the client elsewhere

    def _migrate_begin(self, taken: Taken) -> Iterator[Any]:
        self.fill(taken)
        yield Invited(main.MigrateBegin.unpack(taken.body).dst_info, None)

    def _migrate_begin_seamless(self, taken: Taken) -> Iterator[Any]:
        self.fill(taken)
        begin = main.MigrateBeginSeamless.unpack(taken.body)
        yield Invited(begin.dst_info, begin.src_mig_version)

    def _migrate_cancel(self, taken: Taken) -> Iterator[Any]:
        self.fill(taken)
        yield InvitationCancelled()

    def _migrate_end(self, taken: Taken) -> Iterator[Any]:
        self.fill(taken)
        yield SentOver()

    def _switch_host(self, taken: Taken) -> Iterator[Any]:
        self.fill(taken)
        yield SentElsewhere(main.MigrateSwitchHost.unpack(taken.body))

    # what the relay has to tell the server itself, between two messages of the client

    def answer(self, message: Any) -> None:
        """Tell the server, once the client's message under way is complete; a server left hears nothing."""
        if not self.client_held:
            self._answers.append(message)
            self._give_answers()

    def from_client(self, data: bytes) -> Iterator[Any]:
        if self._answers and not self.leaving:
            rest = self.client_scan.left
            self._forward(data[:rest])
            data = data[rest:]
            self._give_answers()
        yield from super().from_client(data)

    def _give_answers(self) -> None:
        if self.client_scan.at_boundary:
            answers, self._answers = self._answers, []
            for message in answers:
                self.tell_server(message)

    def _end(self) -> None:
        self._give_answers()
        super()._end()

    def tell_first(self, caps: frozenset[int]) -> None:
        self._renewed = True
        self._answers = []

    def go_over(self) -> None:
        """Tell a target, to which the channel is renewed, that it comes without its state."""
        self.tell_server(main.ClientMigrateEnd())
