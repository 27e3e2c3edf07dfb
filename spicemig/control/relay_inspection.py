# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one can ask of a relay in its manhole: tables of what it has and does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from spicemig.control.inspection import Inspection, shown, table
from spicemig.control.relay_waits import CAUSES, CLIENT
from spicemig.relay import channel, handover
from spicemig.relay.handover import Stage


class RelayInspection(Inspection):
    """The functions of a relay's manhole; ``host`` is a daemon (``IRelayHost``)."""

    causes = CAUSES
    objects = {
        "daemon": ("everything: the service itself", lambda host: host),
        "relay": ("what it relays by: its routes, its settings, its ticket", lambda host: host.relay),
        "clients": (
            "the clients by id, each a RelayedSession with its pipes",
            lambda host: host.relay.sessions,
        ),
    }

    def all_channels(self, client: int | None = None) -> Iterator[tuple[int, str, Any]]:
        for session in self._sessions():
            if client in (None, session.connection_id):
                for (name, number), pipe in session.pipes.items():
                    yield session.connection_id, f"{name}:{number}", pipe

    @shown
    def sessions(self) -> None:
        """
        The clients: where from, at which server, how far on the way to another one, how much they wait.

        How many channels they have and how many are being linked; how often they were handed over,
        and began anew because there was no state to carry.
        """
        waits, now = self.watch.look(), self.now
        rows = []
        for session in self._sessions():
            waiting = [wait.since for wait in waits if wait.channel.session is session]
            rows.append(
                (
                    session.connection_id,
                    session.peer,
                    session.address,
                    session.stage.value,
                    f"{now - session.connected_at:.0f} s",
                    len(session.pipes),
                    len(session.links_under_way),
                    session.handovers,
                    session.renewals,
                    f"{now - min(waiting):.1f} s" if waiting else "-",
                )
            )
        head = "client address server stage connected channels linking handovers renewals waits"
        table(head.split(), rows)

    @shown
    def channels(self, client: int | None = None) -> None:
        """
        Their channels: stage, messages both ways, bytes held, and who is not read since when.

        Messages count from the channel's present server on; of two windows, so many are not acknowledged.
        A client is not read while its server takes no more, or there is none; a server is not read while
        its client takes no more.
        """
        waits, now = self.watch.look(), self.now
        stopped: dict[Any, dict[bool, float]] = {}
        for wait in waits:  # the longest first
            stopped.setdefault(wait.channel, {}).setdefault(wait.cause is CLIENT, wait.since)

        def read(pipe: Any, valve: Any, by_client: bool) -> str:
            since = stopped.get(pipe, {}).get(by_client, now)
            return f"no, {now - since:.1f} s" if valve.reasons else "yes"

        head = ("client", "channel", "stage", "to client", "to server", "unacknowledged", "held")
        table(
            (*head, "client read", "server read"),
            (
                (
                    id,
                    name,
                    pipe.core.stage.value,
                    pipe.core.server_scan.messages,
                    pipe.core.client_scan.messages,
                    f"{pipe.core.unacknowledged}/{2 * pipe.core.ack_window}" if pipe.core.ack_window else "-",
                    pipe.core.held_bytes,
                    read(pipe, pipe.from_client, False),
                    read(pipe, pipe.from_server, True),
                )
                for id, name, pipe in self.all_channels(client)
            ),
        )

    @shown
    def queues(self, client: int | None = None) -> None:
        """
        What waits inside the relay, in bytes: for the client to read, for the server, for the next server.

        Beyond some hundred thousand, the other side is not read any more.
        """
        table(
            ("client", "channel", "to client", "to server", "held"),
            (
                (id, name, pipe.client.unsent_bytes, pipe.server.unsent_bytes, pipe.core.held_bytes)
                for id, name, pipe in self.all_channels(client)
            ),
        )

    @shown
    def channel(self, client: int, name: str = "main", number: int = 0) -> Any:
        """The pipe of one channel, to look into; not printed but given."""
        return self.host.relay.sessions[client].pipes[name, number]

    @shown
    def routes(self) -> None:
        """
        The routes: to which servers, in the order in which they are tried, and for how many clients.

        A route that was taken out of the table stays for the clients that came by it.
        """
        clients = Counter(session.route for session in self._sessions())
        listed = list(self.host.relay.routes)
        table(
            ("route", "servers", "last seen at", "ticket", "clients"),
            (
                (
                    route.key if route in listed else f"{route.key} (no more)",
                    " ".join(map(str, route.candidates())),
                    route.current or "-",
                    "yes" if route.password else "no",
                    clients[route],
                )
                for route in dict.fromkeys([*listed, *clients])
            ),
        )

    @shown
    def handovers(self) -> None:
        """The clients that are between two servers: from where to where, how far, and for how long still."""
        now = self.now
        table(
            ("client", "stage", "from", "to", "links", "state", "deadline"),
            (
                (
                    session.connection_id,
                    session.stage.value,
                    session.address,
                    "-" if session.target is None else session.target.address,
                    "-" if session.target is None else len(session.target.connections),
                    "carried" if session.target and session.target.seamless else "-",
                    "-" if (at := session.next_deadline()) is None else f"in {at - now:.1f} s",
                )
                for session in self._sessions()
                if session.stage is not Stage.SETTLED
            ),
            empty="No client is between two servers.",
        )

    @shown
    def stages(self, of: str | None = None) -> None:
        """The stage table of a "client" or of a "channel", and how many of them are where."""
        clients = Counter(session.stage for session in self._sessions())
        channels = Counter(pipe.core.stage for _id, _name, pipe in self.all_channels())
        tables: tuple[tuple[str, Any, Any], ...] = (
            ("client", handover.TRANSITIONS, clients),
            ("channel", channel.TRANSITIONS, channels),
        )
        for name, rows, there in tables:
            if of in (None, name):
                print(f"{name}s:")
                table(
                    ("", "stage", "input", "next", "action"),
                    (
                        (there[stage] or "", stage.value, what.value, after.value, action or "-")
                        for (stage, what), (after, action) in rows.items()
                    ),
                )

    def _sessions(self) -> list[Any]:
        return list(self.host.relay.sessions.values())
