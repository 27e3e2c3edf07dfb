# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What one can ask of a daemon in its manhole: tables of what it has and does.

The methods that are marked with :func:`shown` are the names that one types there.
The printed guide and ``spicemig-manhole(7)`` are made from them and from ``OBJECTS``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from spicemig.channels.display_pipe import Waiting
from spicemig.control.waits import CAUSES, Watch
from spicemig.migration import stages as moves

STUCK_SECONDS = 2.0  # a wait that lasts so long is worth a look

#: The objects that are there beside the functions.
OBJECTS = {
    "daemon": "everything: the service itself",
    "clients": "the clients of the host by id, each a ClientSession with its cores",
    "guest": "what is on display, or None",
}


def shown(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method is a name in the manhole; what it prints is what its docstring says."""
    method.shown = True  # type: ignore[attr-defined]
    return method


class Inspection:
    """
    The functions of a manhole; ``host`` is a daemon (``IHost``).

    All print to ``sys.stdout``. They only look: nothing is changed by calling them.
    """

    def __init__(self, host: Any, watch: Watch) -> None:
        self.host = host
        self.watch = watch

    def namespace(self) -> dict[str, Any]:
        """All names, for somebody who has just come."""
        sessions = self.host.sessions
        functions = {name: getattr(self, name) for name, _method in functions_of(type(self))}
        return {**functions, "daemon": self.host, "clients": sessions.clients, "guest": sessions.guest}

    @shown
    def guide(self) -> None:
        """This list."""
        print(guide_text(type(self)))

    @shown
    def sessions(self) -> None:
        """The clients: where from, since when, how far away, how much they wait."""
        now, waits = self._now, self.watch.look()
        rows = []
        for client in self._clients():
            waiting = [wait.since for wait in waits if wait.core in client.cores.values()]
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
        now = self._now
        table(
            "client channel stage sent received unacknowledged pending heard".split(),
            (
                (
                    id,
                    _name(core),
                    core.stage.value,
                    core.common.serial_sent,
                    core.common.serial_received,
                    _unacknowledged(core),
                    core.pending_bytes,
                    "-" if core.heard is None else f"{now - core.heard:.1f} s ago",
                )
                for id, core in self._cores(client)
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
        for id, core in self._cores(client):
            if core.channel == "cursor":
                rows.append((id, _name(core), core.waiting, "-", "-", "-", "-", "-", "-"))
            elif core.channel == "display":
                pipe, flow = core.pipe, core.flow
                drawables = [entry for entry in pipe.entries if isinstance(entry, Waiting)]
                rows.append(
                    (
                        id,
                        _name(core),
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
    def stuck(self, seconds: float = STUCK_SECONDS) -> None:
        """Channels that wait for the same thing for so long: which, for what, since when."""
        now = self._now
        found = [wait for wait in self.watch.look() if now - wait.since >= seconds]
        owners = {core: id for id, core in self._cores(None)}
        table(
            ("client", "channel", "waits for", "since", "details"),
            (
                (
                    owners[wait.core],
                    _name(wait.core),
                    wait.cause.name,
                    f"{now - wait.since:.1f} s",
                    wait.cause.details(wait.core),
                )
                for wait in found
            ),
            empty=f"No channel waits for {seconds:g} s or longer.",
        )
        for name in dict.fromkeys(wait.cause.name for wait in found):
            cause = next(cause for cause in CAUSES if cause.name == name)
            print(f"{name}: {cause.help}.")

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
        now = self._now
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

    @property
    def _now(self) -> float:
        return self.host.sessions.clock.seconds()

    def _clients(self) -> list[Any]:
        return list(self.host.sessions.clients.values())

    def _cores(self, client: int | None) -> Iterator[tuple[int, Any]]:
        for each in self._clients():
            if client in (None, each.connection_id):
                for core in each.cores.values():
                    yield each.connection_id, core

    def _handovers(self) -> list[Any]:
        migrations = self.host.handovers.migrations
        arrival = [] if migrations.arrival is None else [migrations.arrival]
        return [*migrations.handovers.values(), *arrival]


def functions_of(inspection: type) -> Iterator[tuple[str, Any]]:
    """The names that one types, with their functions, in order."""
    for name, method in vars(inspection).items():
        if getattr(method, "shown", False):
            yield name, method


def signature_of(method: Any) -> str:
    """The arguments as one would type them, such as ``(client=None)``."""
    given = list(inspect.signature(method).parameters.values())[1:]
    return "(" + ", ".join(str(each.replace(annotation=each.empty)) for each in given) + ")"


def guide_lines(inspection: type = Inspection) -> list[tuple[str, str]]:
    """Every name of the manhole and what it is."""
    functions = [
        (name + signature_of(method), " ".join((method.__doc__ or "").split()))
        for name, method in functions_of(inspection)
    ]
    return [*functions, *((name, f"{text[0].upper()}{text[1:]}.") for name, text in OBJECTS.items())]


def guide_text(inspection: type = Inspection) -> str:
    """The printed guide."""
    lines = guide_lines(inspection)
    width = max(len(name) for name, _text in lines)
    listed = "\n".join(f"  {name:{width}}  {text.partition('. ')[0].rstrip('.')}" for name, text in lines)
    return (
        f"{listed}\n"
        "Any Python may be typed. The daemon stands still while it runs; clients, the picture and\n"
        "handovers wait for it. Control-D leaves."
    )


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "None.") -> None:
    """Print a table, numbers to the right; or say that there is nothing."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        print(empty)
        return
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    numbers = [all(row[at][:1].isdigit() or row[at] == "-" for row in cells) for at in range(len(head))]
    for row in [list(head), *cells]:
        aligned = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        )
        print("  ".join(aligned).rstrip())


def _name(core: Any) -> str:
    return f"{core.channel}:{core.channel_id}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _rate(bits_per_second: int | None) -> str:
    return "-" if bits_per_second is None else f"{bits_per_second / 1e6:.1f} Mbit/s"


def _unacknowledged(core: Any) -> str:
    return f"{core.common.unacknowledged}/{2 * core.common.ack_window}" if core.uses_acks else "-"


__all__ = ["Inspection", "guide_lines", "guide_text"]
