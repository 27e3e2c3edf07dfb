# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A host that serves a guest over TCP, in a process of its own, for what must be measured with sockets.

    python benchmarks/served.py KIND ARGUMENTS MODE WORKERS

It prints lines of JSON: ``port`` when clients may link; ``began`` (monotonic seconds) when
a client shows the display and the guest begins to draw; ``done`` when everything has
been handed to the transport. A line on standard input is answered with what was used up to then.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from twisted.internet import reactor as installed_reactor
from twisted.internet import stdio
from twisted.internet.threads import deferToThreadPool
from twisted.protocols.basic import LineReceiver
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from benchmarks import traces
from benchmarks.scrolling import scrolling
from spicemig.channels.protocol import LinkFactory
from spicemig.control.replay import rss_bytes
from spicemig.devices.interfaces import IGuest
from spicemig.devices.qxl import QXLDevice
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings

reactor: Any = installed_reactor

SETTLING_SECONDS = 0.3  # between a client's first picture and the first drawing
SLICE_SECONDS = 0.005  # of drawing, between two looks at the sockets
FULL_PIPE = 50  # entries that wait for the client: the guest draws no more then, as with spice-server
LOOK_SECONDS = 0.001  # between two looks whether it may draw again

# what the guest does to its device, and one step of it after the other
GUESTS: dict[str, Callable[..., Callable[[Any], Iterator[None]]]] = {
    "trace": lambda batches: traces.load(Path(batches)).play,
    "scrolling": scrolling,
}


def say(**event: Any) -> None:
    """A line for who started this."""
    print(json.dumps(event), flush=True)


@implementer(IGuest)
class StepGuest:
    """Draws a step after the other as soon as somebody looks on."""

    kind = "steps"
    absolute_pointer = False

    def __init__(self, steps: Callable[[Any], Iterator[None]]) -> None:
        self.steps = steps
        self.sessions: Any = None
        self._iterator: Iterator[None] = iter(())
        self._began_cpu = 0.0

    def attach(self, device: Any) -> None:
        self.device = device

    def power_on(self) -> None:
        reactor.callLater(LOOK_SECONDS, self._look)

    def _core(self) -> Any:
        for client in self.sessions.clients.values():
            for core in client.channels("display"):
                if core.state.initialised:
                    return core
        return None

    def _look(self) -> None:
        if self._core() is None:
            reactor.callLater(0.05, self._look)
        else:
            reactor.callLater(SETTLING_SECONDS, self._begin)

    def _begin(self) -> None:
        self._iterator = self.steps(self.device)
        gc.collect()
        gc.freeze()
        self._began_cpu = time.process_time()
        say(began=time.monotonic())
        self._draw()

    def _draw(self) -> None:
        core = self._core()
        if core is None:
            return say(done=time.monotonic(), lost=True)
        end = time.monotonic() + SLICE_SECONDS
        while time.monotonic() < end:
            if len(core.pipe) > FULL_PIPE:
                reactor.callLater(LOOK_SECONDS, self._draw)
                return None
            if next(self._iterator, self) is self:
                return self._end()
        reactor.callLater(0, self._draw)
        return None

    def _end(self) -> None:
        core = self._core()
        if core is None or core.idle and not core.pending_bytes:
            return say(done=time.monotonic(), lost=core is None)
        reactor.callLater(LOOK_SECONDS, self._end)
        return None

    def used(self) -> dict[str, Any]:
        """What it took since the guest began."""
        surfaces = sum(len(surface.pixels) for surface in self.device.surfaces())
        return {
            "cpu_seconds": time.process_time() - self._began_cpu,
            "rss_bytes": rss_bytes(),
            "surface_bytes": surfaces,
        }

    def nothing(self, *arguments: Any) -> None:
        """For what a guest is told and this one does not hear."""

    stop = resume = shut_down = key_down = key_up = pointer_moved = pointer_set = nothing
    button_pressed = button_released = export_state = restore = nothing

    def modifiers(self, mask: int) -> int:
        return 0


class Questions(LineReceiver):
    """Standard input: lines are questions, its end is the end."""

    delimiter = b"\n"

    def __init__(self, guest: StepGuest) -> None:
        self.guest = guest

    def lineReceived(self, line: bytes) -> None:
        say(used=self.guest.used())

    def connectionLost(self, reason: Any = None) -> None:
        if reactor.running:
            reactor.stop()


def main() -> None:
    """Serve until standard input ends."""
    kind, arguments, mode, workers = sys.argv[1:]
    guest = StepGuest(GUESTS[kind](*json.loads(arguments)))
    pool = ThreadPool(0, int(workers))
    pool.start()
    sessions = Sessions(
        QXLDevice,
        lambda kind: guest,
        SessionSettings(image_compression=mode),
        reactor,
        lambda function, *given: deferToThreadPool(reactor, pool, function, *given),
    )
    guest.sessions = sessions
    sessions.power_on(guest.kind)
    stdio.StandardIO(Questions(guest))
    port = reactor.listenTCP(0, LinkFactory(sessions), interface="127.0.0.1")
    reactor.callWhenRunning(lambda: say(port=port.getHost().port))
    reactor.run()
    pool.stop()


class Served:
    """The same, seen from who started it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def told(self, name: str) -> Any:
        """Wait until it tells this."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if name in event:
                if event.get("lost"):
                    raise RuntimeError("the client lost its connection")
                return event[name]
        raise RuntimeError("the host ended")

    def ask(self) -> dict[str, Any]:
        """What it has used."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        used: dict[str, Any] = self.told("used")
        return used


@contextmanager
def served(kind: str, *arguments: Any, mode: str, workers: int) -> Iterator[Served]:
    """Start one, and end it."""
    command = [sys.executable, __file__, kind, json.dumps(arguments), mode, str(workers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Served(process)
        except BaseException:
            process.kill()
            raise


if __name__ == "__main__":
    main()
