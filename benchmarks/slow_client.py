# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How soon a client on a slow line shows the newest picture, and what is held for it.

    python benchmarks/slow_client.py [--trace x11perf,browser,video] [--jpeg auto,never]
                                     [--mode auto_glz] [--rate 100000] [--round-trip 0.08]

Plays each trace as fast as it was recorded, to spice-gtk behind a line of that rate and
round trip (``narrow_line.py``), and stops the guest every few seconds. Told are:

* newest: seconds from the stop until the client has drawn all that it will be sent of the
  picture (it has answered a ping behind it), the median and the longest; the goal is 2;
* exact: the same, until nothing is lossy any more;
* held: the most bytes that waited for this client in the server: drawings with their
  pixels, and what the transport had not given to the system;
* under way: the most bytes between the server's socket and the client;
* wrong: pixels that were not as ours when the picture was exact.

Writes ``build/bench/slow_client.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import ImageChops
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from benchmarks import traces
from benchmarks.tables import RESULTS, environment, markdown
from spicemig.channels.display_pipe import Waiting
from spicemig.channels.protocol import LinkFactory
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.surfaces import PRIMARY
from spicemig.guests.trace import TraceGuest
from spicemig.session.sessions import Sessions
from spicemig.session.settings import SessionSettings
from spicemig.wire.enums import ImageType
from tests.peers.harness import GtkClient, eventually, sleep

SAMPLE_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
AFTERWARDS_SECONDS = 0.3  # for what was too little to be asked for
GOAL_SECONDS = 2.0
LINE = Path(__file__).resolve().parent / "narrow_line.py"


class Watch:
    """Looks again and again at what is held for a client."""

    def __init__(self, core: Any, protocol: Any) -> None:
        self.core, self.protocol = core, protocol
        self.held = self.under_way = 0
        self._needed = 0  # bytes with which the client has the newest picture, exact or not
        self._line_sent = core.line.sent
        core.line.sent = self._sent

    def _sent(self, drawable: Any, *more: Any) -> None:
        self._line_sent(drawable, *more)
        if not getattr(drawable, "exact", False):
            self._needed = self.core.flow.sent

    def look(self) -> None:
        """Once."""
        waiting = sum(entry.weight for entry in self.core.pipe.entries if isinstance(entry, Waiting))
        transport = self.protocol.transport
        unsent = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
        self.held = max(self.held, waiting + self.core.pending_bytes + unsent)
        self.under_way = max(self.under_way, self.core.flow.on_the_way - unsent)

    def tell(self) -> str:
        """What there is still to do."""
        core, owed = self.core, self.core.pipe.owed
        areas = [(r.right - r.left) * (r.bottom - r.top) for _id, rects in owed for r in rects]
        return (
            f"owed {sum(areas)} pixels in {len(areas)}, {len(core.pipe.entries)} waiting, "
            f"{core.flow.on_the_way} bytes on their way of {core.flow.window}, "
            f"a pixel takes {core.line._pixel_bytes[False]:.3f} bytes, slow {core.line.slow}"
        )

    @property
    def newest(self) -> bool:
        """Whether the client has the newest picture."""
        waiting = (entry for entry in self.core.pipe.entries if isinstance(entry, Waiting))
        return (
            not self.core.pipe.owed
            and all(getattr(entry.drawable, "exact", False) for entry in waiting)
            and (self.core.flow.arrived >= self._needed or self.core.line.quiet)
        )

    @property
    def exact(self) -> bool:
        """Whether it is exact."""
        core = self.core
        busy = core.pending_bytes or core.line.lossy or core.streams.blurred
        return bool(core.idle and core.line.quiet and not busy)


async def run(options: argparse.Namespace, name: str, jpeg: str, folder: Path) -> dict[str, Any]:
    """One trace; the row of the table."""
    settings = SessionSettings(
        image_compression=options.mode, jpeg_wan=jpeg, zlib_glz_wan="auto", streaming=options.streaming
    )
    guest = TraceGuest({"file": str(traces.ready(name).plain)}, reactor)
    sessions = Sessions(QXLDevice, lambda kind: guest, settings, reactor, deferToThread)
    port = reactor.listenTCP(0, LinkFactory(sessions), interface="127.0.0.1")
    line = subprocess.Popen(
        [
            *(sys.executable, str(LINE), "--to", str(port.getHost().port)),
            *("--rate", str(options.rate), "--round-trip", str(options.round_trip)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    gtk = GtkClient()
    try:
        assert line.stdout is not None
        there = int(line.stdout.readline())
        sessions.power_on("trace")
        await gtk.up()
        await gtk.attach(host="127.0.0.1", port=there)
        [client] = sessions.clients.values()
        [core] = client.channels("display")
        watch = Watch(core, client._protocols[core])
        newest, exact, wrong = [], [], 0
        while not guest.describe()["ended"] and len(newest) < options.stops:
            await wait(watch, options.seconds, lambda: guest.describe()["ended"])
            guest.stop()
            stopped = time.monotonic()
            if options.verbose:
                print(watch.tell(), flush=True)
            await wait(watch, PATIENCE_SECONDS, lambda: watch.newest)
            newest.append(time.monotonic() - stopped)
            await wait(watch, PATIENCE_SECONDS, lambda: watch.exact)
            exact.append(time.monotonic() - stopped)
            await sleep(AFTERWARDS_SECONDS)
            wrong = max(wrong, await differing(sessions, gtk, folder))
            guest.resume()
        sent = core.images.sent
        return {
            "trace": name,
            "jpeg_wan": jpeg,
            "stops": len(newest),
            "newest_s": round(statistics.median(newest), 2),
            "worst_s": round(max(newest), 2),
            "exact_s": round(max(exact), 2),
            "held_kb": watch.held // 1024,
            "under_way_kb": watch.under_way // 1024,
            "wrong": wrong,
            "line_kbit_s": (client.bandwidth.bits_per_second or 0) // 1000,
            "each": [round(seconds, 2) for seconds in newest],
            "images": {kind.name.lower(): sent[kind] for kind in ImageType if sent[kind]},
        }
    finally:
        await gtk.end()
        sessions.release()
        line.terminate()
        line.wait()
        await eventually(lambda: not sessions.clients)
        stopped_listening = port.stopListening()
        if stopped_listening is not None:
            await stopped_listening


async def wait(watch: Watch, seconds: float, done: Any) -> None:
    """Let time pass until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():
        watch.look()
        await sleep(SAMPLE_SECONDS)


async def differing(sessions: Sessions, gtk: GtkClient, folder: Path) -> int:
    """How many pixels of the client's picture are not as ours."""
    theirs = await gtk.picture(folder)
    ours = sessions.device.render(PRIMARY).image().convert("RGB")
    if theirs is None or theirs.size != ours.size:
        return ours.width * ours.height
    difference = ImageChops.difference(ours, theirs).convert("L").point(lambda value: 255 if value else 0)
    return difference.histogram()[255]


async def measure(options: argparse.Namespace) -> None:
    """All of them, and the table."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in options.trace:
        for jpeg in options.jpeg:
            rows.append(await run(options, name, jpeg, RESULTS))
            print(json.dumps(rows[-1]), flush=True)
    columns = [name for name in rows[0] if name not in ("each", "images")]
    table = markdown(columns, rows)
    print(table)
    late = [row for row in rows if row["worst_s"] > GOAL_SECONDS]
    print(f"goal: newest picture within {GOAL_SECONDS:g} s; missed by {len(late)} of {len(rows)}")
    result = {"environment": environment(), "options": vars(options), "rows": rows}
    (RESULTS / "slow_client.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "slow_client.md").write_text(table + "\n")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--trace", type=words, default=["x11perf", "browser", "video"])
    parser.add_argument("--jpeg", type=words, default=["auto", "never"])
    parser.add_argument("--mode", default="auto_glz", help="image_compression")
    parser.add_argument("--streaming", default="filter", choices=("off", "filter", "all"))
    parser.add_argument("--rate", type=float, default=100_000.0, help="bytes per second")
    parser.add_argument("--round-trip", type=float, default=0.08, help="seconds")
    parser.add_argument("--seconds", type=float, default=6.0, help="of the guest's drawing between two stops")
    parser.add_argument("--stops", type=int, default=8, help="at most")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    react(lambda _reactor: ensureDeferred(measure(options)))


if __name__ == "__main__":
    main()
