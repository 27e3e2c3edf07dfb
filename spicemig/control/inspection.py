# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What one can ask of a daemon in its manhole: what is the same in all daemons.

The methods that are marked with :func:`shown` are the names that one types there.
The printed guide and ``spicemig-manhole(7)`` are made from them and from ``objects``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from spicemig.control.waits import Cause, Watch

STUCK_SECONDS = 2.0  # a wait that lasts so long is worth a look


def shown(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method is a name in the manhole; what it prints is what its docstring says."""
    method.shown = True  # type: ignore[attr-defined]
    return method


class Inspection:
    """
    The functions of a manhole; ``host`` is a daemon, and its reactor the clock.

    All print to ``sys.stdout``. They only look: nothing is changed by calling them.
    """

    #: what the channels of such a daemon can wait for
    causes: ClassVar[Sequence[Cause]] = ()
    #: what is there beside the functions: a few words, and how it is found in the daemon
    objects: ClassVar[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {}

    def __init__(self, host: Any) -> None:
        self.host = host
        self.watch = Watch(
            lambda: [channel for _id, _name, channel in self.all_channels()],
            self.causes,
            host.reactor.seconds,
        )

    def namespace(self) -> dict[str, Any]:
        """All names, for somebody who has just come."""
        functions = {name: getattr(self, name) for name, _method in functions_of(type(self))}
        return {**functions, **{name: find(self.host) for name, (_text, find) in self.objects.items()}}

    def all_channels(self, client: int | None = None) -> Iterator[tuple[int, str, Any]]:
        """The channels of one client, or of all: the client's id, the channel's name, and itself."""
        raise NotImplementedError

    @shown
    def guide(self) -> None:
        """This list."""
        print(guide_text(type(self)))

    @shown
    def stuck(self, seconds: float = STUCK_SECONDS) -> None:
        """Channels that wait for the same thing for so long: which, for what, since when."""
        waits, now = self.watch.look(), self.now
        found = [wait for wait in waits if now - wait.since >= seconds]
        names = {channel: (id, name) for id, name, channel in self.all_channels()}
        table(
            ("client", "channel", "waits for", "since", "details"),
            (
                (
                    *names[wait.channel],
                    wait.cause.name,
                    f"{now - wait.since:.1f} s",
                    wait.cause.details(wait.channel),
                )
                for wait in found
            ),
            empty=f"No channel waits for {seconds:g} s or longer.",
        )
        for cause in dict.fromkeys(wait.cause for wait in found):
            print(f"{cause.name}: {cause.help}.")

    @property
    def now(self) -> float:
        """Seconds of the daemon's clock."""
        return self.host.reactor.seconds()


def functions_of(inspection: type) -> Iterator[tuple[str, Any]]:
    """The names that one types, with their functions, in order: first what all daemons have."""
    for kind in reversed(inspection.__mro__):
        for name, method in vars(kind).items():
            if getattr(method, "shown", False):
                yield name, method


def signature_of(method: Any) -> str:
    """The arguments as one would type them, such as ``(client=None)``."""
    given = list(inspect.signature(method).parameters.values())[1:]
    return "(" + ", ".join(str(each.replace(annotation=each.empty)) for each in given) + ")"


def guide_lines(inspection: type[Inspection]) -> list[tuple[str, str]]:
    """Every name of the manhole and what it is."""
    functions = [
        (name + signature_of(method), " ".join((method.__doc__ or "").split()))
        for name, method in functions_of(inspection)
    ]
    objects = [(name, f"{text[0].upper()}{text[1:]}.") for name, (text, _find) in inspection.objects.items()]
    return functions + objects


def guide_text(inspection: type[Inspection]) -> str:
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


__all__ = ["Inspection", "guide_lines", "guide_text", "shown", "table"]
