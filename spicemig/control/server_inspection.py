# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one can ask of a server in its manhole: tables of what it has and does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spicemig.channels.display_pipe import Waiting
from spicemig.control.inspection import Inspection, shown, table
from spicemig.control.server_waits import CAUSES
from spicemig.migration import stages as moves


class ServerInspection(Inspection):
    """The functions of a server's manhole; ``host`` is a daemon (``IHost``)."""

    causes = CAUSES
    objects = {
        "daemon": ("everything: the service itself", lambda host: host),
        "clients": (
            "the clients of the host by id, each a ClientSession with its cores",
            lambda host: host.sessions.clients,
        ),
        "guest": ("what is on display, or None", lambda host: host.sessions.guest),
    }

    def all_channels(self, client: int | None = None) -> Iterator[tuple[int, str, Any]]:
        for each in self._clients():
            if client in (None, each.connection_id):
                for core in each.cores.values():
                    yield each.connection_id, f"{core.channel}:{core.channel_id}", core

    @shown
    def sessions(self) -> None:
        """The clients: where from, since when, how far away, how much they wait."""
        waits, now = self.watch.look(), self.now
        rows = []
        for client in self._clients():
            waiting = [wait.since for wait in waits if wait.channel in client.cores.values()]
            rows.append(
                (
                    client.connection_id,
                    client.address,
                    "arriving" if client.arriving else "leaving" if client.seal else "served",
                    f"{now - client.connected_at:.0f} s",
                    _ms(client.latency_seconds),
                    _rate(client.bandwidth.bits_per_second),
                    len(client.cores),
                    f"{now - min(waiting):.1f} s" if waiting else "-",
                )
            )
        table("client address state connected latency line channels waits".split(), rows)

    @shown
    def channels(self, client: int | None = None) -> None:
        """Their channels: stage, serials, what is not acknowledged, when the client last spoke."""
        now = self.now
        table(
            "client channel stage sent received unacknowledged pending heard".split(),
            (
                (
                    id,
                    name,
                    core.stage.value,
                    core.common.serial_sent,
                    core.common.serial_received,
                    _unacknowledged(core),
                    core.pending_bytes,
                    "-" if core.heard is None else f"{now - core.heard:.1f} s ago",
                )
                for id, name, core in self.all_channels(client)
            ),
        )

    @shown
    def queues(self, client: int | None = None) -> None:
        """
        What waits to be sent on display and cursor channels, and what is on its way.

        Commands, drawables and the bytes that they hold, surfaces of which pixels are owed, jobs of
        threads; bytes on their way, of how many; drawables that were covered before they were sent.
        """
        rows: list[tuple[Any, ...]] = []
        for id, name, core in self.all_channels(client):
            if core.channel == "cursor":
                rows.append((id, name, core.waiting, "-", "-", "-", "-", "-", "-"))
            elif core.channel == "display":
                pipe, flow = core.pipe, core.flow
                drawables = [entry for entry in pipe.entries if isinstance(entry, Waiting)]
                rows.append(
                    (
                        id,
                        name,
                        len(pipe) - len(drawables),
                        len(drawables),
                        pipe.weight,
                        len(list(pipe.owed)),
                        core.encoders.under_way,
                        "-" if flow is None else f"{flow.on_the_way}/{flow.window}",
                        pipe.dropped,
                    )
                )
        head = ("client", "channel", "commands", "drawables", "bytes", "owed", "encoding", "on its way")
        table((*head, "dropped"), rows)

    @shown
    def channel(self, client: int, name: str = "main", number: int = 0) -> Any:
        """The core of one channel, to look into; not printed but given."""
        return self.host.sessions.clients[client].cores[name, number]

    @shown
    def device(self) -> None:
        """The QXL device: whether it runs, what waits in its rings, its surfaces."""
        sessions = self.host.sessions
        device = sessions.device
        commands, cursor = device.in_rings
        kind = "none" if sessions.guest is None else sessions.guest.kind
        print(f"guest {kind}, host {sessions.stage.value}, device {'runs' if device.running else 'stands'}")
        print(f"in the rings: {commands} commands, {cursor} of the cursor")
        print(f"to copy in a handover under way: {device.dirty_bytes()} bytes")
        table(
            ("surface", "size", "format", "bytes", "not drawn yet"),
            (
                (
                    surface.id,
                    f"{surface.width}x{surface.height}",
                    surface.format,
                    len(surface.pixels),
                    device.waiting(surface.id),
                )
                for surface in device.surfaces()
            ),
            empty="No surfaces.",
        )

    @shown
    def handovers(self) -> None:
        """The handovers that this host remembers: which side it was, and how far they are or got."""
        now = self.now
        table(
            ("handover", "side", "stage", "since", "failed at", "deadline", "problems"),
            (
                (
                    one.migration_id.hex()[:8],
                    one.side,
                    one.stage.value,
                    f"{now - one.timeline[-1][1]:.1f} s" if one.timeline else "-",
                    one.failed_at.value if one.failed_at else "-",
                    "-" if (at := one.next_deadline()) is None else f"in {at - now:.1f} s",
                    "; ".join(bytes(each.text).decode(errors="replace") for each in one.problems) or "-",
                )
                for one in self._handovers()
            ),
            empty="No handovers.",
        )

    @shown
    def stages(self, side: str | None = None) -> None:
        """The stage table of a handover, "source" or "target"; * marks where one under way is."""
        now = {one.side: one.stage for one in self._handovers() if not one.ended}
        for name, rows in (("source", moves.SOURCE), ("target", moves.TARGET)):
            if side in (None, name):
                print(f"{name}:")
                table(
                    ("", "stage", "input", "next", "action"),
                    (
                        (
                            "*" if now.get(name) is stage else "",
                            stage.value,
                            what.value,
                            after.value,
                            action or "-",
                        )
                        for (stage, what), (after, action) in rows.items()
                    ),
                )

    def _clients(self) -> list[Any]:
        return list(self.host.sessions.clients.values())

    def _handovers(self) -> list[Any]:
        migrations = self.host.handovers.migrations
        arrival = [] if migrations.arrival is None else [migrations.arrival]
        return [*migrations.handovers.values(), *arrival]


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _rate(bits_per_second: int | None) -> str:
    return "-" if bits_per_second is None else f"{bits_per_second / 1e6:.1f} Mbit/s"


def _unacknowledged(core: Any) -> str:
    return f"{core.common.unacknowledged}/{2 * core.common.ack_window}" if core.uses_acks else "-"
