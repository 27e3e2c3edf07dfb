# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How long a client waits in a handover.

Starts a source and a target on loopback with the demo guest drawing small things
(200 a second), attaches a client, and moves the session there and back:

    python benchmarks/pause.py [--moves 20] [--draws 200] [--client own|gtk] [--json FILE]

The pause is from the last draw that came from the old host to the first from the
new one, as the client's connections saw it. Beside it stand its parts from the
source's report, and how long it took to link all channels to the target. The last
column is QEMU 7.2 with spice-server 0.15.1 on the same kind of machine (load "pages",
shared/baselines/migration).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from spicemig.client.hosts import Network
from spicemig.client.session import ViewerSession
from tests.peers.certificates import Authority
from tests.peers.harness import Daemon, GtkClient, sleep
from tests.peers.tap import Tap

BETWEEN_SECONDS = 0.7  # for the draws of one host to be seen before the next handover
PEER = {"pause_ms": (60.5, 77.2), "link_ms": (93.9, 114.2), "bytes_resent": (1751707, 1767049)}
GOAL = {"pause_ms": (20.0, 60.0), "link_ms": (None, 25.0)}


async def measure(options: argparse.Namespace, directory: Path) -> list[dict[str, Any]]:
    """One row for each handover."""
    authority = Authority(directory / "authority")
    demo = {"demo": {"draws_per_second": options.draws}}
    daemons = [
        Daemon(directory, kind, pair=authority.sign(kind), ca=authority.ca, options=demo)
        for kind in ("source", "target")
    ]
    started: list[Any] = list(daemons)
    try:
        for daemon in daemons:
            await daemon.up()
        client = OwnClient() if options.client == "own" else StockClient()
        started.append(client)
        await client.attach(*daemons)
        rows = []
        here, there = daemons
        for number in range(options.moves):
            await sleep(BETWEEN_SECONDS)
            began = time.time()
            report = await here.migrate(there)
            await sleep(BETWEEN_SECONDS)
            if report["outcome"] != "completed":
                raise SystemExit(f"handover {number + 1}: {json.dumps(report, indent=1)}")
            rows.append({"number": number + 1, **client.seen(here, there, began), **parts(report)})
            here, there = there, here
        return rows
    finally:
        for program in reversed(started):
            await program.end()


def parts(report: dict[str, Any]) -> dict[str, Any]:
    """What the source's report says: when each stage began after the guest was stopped."""
    row: dict[str, Any] = {"guest_still_ms": report["pause_ms"], "whole_ms": report["duration_ms"]}
    times = {entry["stage"]: entry["at_ms"] for entry in report.get("timeline", ())}
    names = list(times)
    for stage, after in zip(names, names[1:], strict=False):
        row[f"{stage}_ms"] = round(times[after] - times[stage], 3)
    return row


class OwnClient:
    """Our own client, in this process."""

    async def attach(self, source: Daemon, target: Daemon) -> None:
        """Connect to the source."""
        self.viewer = ViewerSession(Network(reactor), b"", reactor)
        await self.viewer.connect(source.address())
        await self.viewer.until(lambda: self.viewer.display.marked)

    def seen(self, here: Daemon, there: Daemon, began: float) -> dict[str, Any]:
        """What it saw of the last handover."""
        move = self.viewer.moves[-1]
        assert move.pause_seconds is not None and move.link_seconds is not None and move.after is not None
        first = move.after.first_draw or 0.0
        return {
            "how": move.how,
            "pause_ms": round(move.pause_seconds * 1000, 3),
            "link_ms": round(move.link_seconds * 1000, 3),
            "bytes_in_1s": move.after.bytes_between(first, first + 1.0),
            "resent": self.viewer.counters.images_received_again,
        }

    async def end(self) -> None:
        """Disconnect."""
        await self.viewer.disconnect()


class StockClient:
    """spice-gtk behind a tap."""

    async def attach(self, source: Daemon, target: Daemon) -> None:
        """Connect to the source."""
        self.tap = Tap(reactor)
        port = await self.tap.stand_for("source", source.port("plain"))
        await self.tap.stand_for("target", target.port("plain"))
        self.client = await GtkClient().up()
        await self.client.attach(port=port)

    def seen(self, here: Daemon, there: Daemon, began: float) -> dict[str, Any]:
        """What went by in the last handover."""
        links = [each for each in self.tap.connections if each.opened >= began and each.server == there.name]
        linked = max(each.opened + (each.linked_seconds or 0.0) for each in links)
        first = next(
            each.time for each in self.tap.messages(since=began, server=there.name, to="client") if each.draws
        )
        second = self.tap.messages(since=first, until=first + 1.0, channel="display", to="client")
        return {
            "how": "seamless" if len(links) == 4 else "?",
            "pause_ms": round(self.tap.pause_seconds(here.name, there.name) * 1000, 3),
            "link_ms": round((linked - min(each.opened for each in links)) * 1000, 3),
            "bytes_in_1s": sum(each.size for each in second),
            "resent": len(self.tap.resent_images(began)),
        }

    async def end(self) -> None:
        """End the client and the tap."""
        await self.client.end()
        await self.tap.close()


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Median and worst of every number."""
    found = {}
    names = dict.fromkeys(
        name for row in rows for name, value in row.items() if isinstance(value, int | float)
    )
    for name in names:
        values = [row[name] for row in rows if row.get(name) is not None]
        if name != "number" and values:
            found[name] = {"median": statistics.median(values), "worst": max(values)}
    return found


def show(rows: list[dict[str, Any]], found: dict[str, dict[str, float]]) -> None:
    """The table."""
    print(f"{len(rows)} handovers, {', '.join(sorted({row['how'] for row in rows}))}")
    print(f"{'':24}{'median':>12}{'worst':>12}{'goal':>16}{'QEMU+spice-server':>22}")
    for name, values in found.items():
        goal = "/".join(f"{each:g}" for each in GOAL.get(name, ()) if each is not None)
        peer = "/".join(f"{each:g}" for each in PEER.get(name, ()))
        print(f"{name:24}{values['median']:12.3f}{values['worst']:12.3f}{goal:>16}{peer:>22}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--moves", type=int, default=20, help="handovers (20)")
    parser.add_argument("--draws", type=int, default=200, help="small draws a second (200)")
    parser.add_argument("--client", choices=("own", "gtk"), default="own", help="who looks on (own)")
    parser.add_argument("--json", metavar="FILE", help="write rows and summary here (- is standard output)")
    options = parser.parse_args()

    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="spicemig-") as directory:
            rows = await measure(options, Path(directory))
        found = summary(rows)
        show(rows, found)
        if options.json:
            text = json.dumps({"options": vars(options), "summary": found, "rows": rows}, indent=1)
            print(text) if options.json == "-" else Path(options.json).write_text(text + "\n")

    react(lambda _: ensureDeferred(run()))


if __name__ == "__main__":
    main()
