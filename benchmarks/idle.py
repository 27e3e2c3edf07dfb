# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What an idle daemon costs: memory and processor time with no, one and fifty clients.

    python benchmarks/idle.py [--clients 0,1,50] [--seconds 10] [--json FILE]

Starts a source with the demo guest (whose clock is all that moves), attaches the
clients, waits until they are quiet, and then looks at the process for some seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from spicemig.client.hosts import Network
from spicemig.client.session import ViewerSession
from tests.peers.harness import Daemon, sleep

QUIET_SECONDS = 2.0
MEMORY = {"VmRSS": "rss_mib", "RssAnon": "anonymous_mib", "VmHWM": "peak_rss_mib", "Threads": "threads"}
TICKS = os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict[str, float]:
    """From /proc: sizes in MiB, and the number of threads."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in MEMORY:
            number = int(value.split()[0])
            found[MEMORY[name]] = number if name == "Threads" else round(number / 1024, 2)
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of the process up to now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def measure(options: argparse.Namespace, directory: Path) -> list[dict[str, Any]]:
    """One row for each number of clients."""
    daemon = await Daemon(directory, "source").up()
    viewers: list[ViewerSession] = []
    rows = []
    try:
        for clients in sorted(int(each) for each in options.clients.split(",")):
            while len(viewers) < clients:
                viewer = ViewerSession(Network(reactor), b"", reactor)
                viewers.append(viewer)
                await viewer.connect(daemon.address())
                await viewer.until(lambda viewer=viewer: viewer.display.marked)
            await sleep(QUIET_SECONDS)
            before = cpu_seconds(daemon.pid)
            await sleep(options.seconds)
            used = cpu_seconds(daemon.pid) - before
            row = {
                "clients": clients,
                **memory(daemon.pid),
                "cpu_percent": round(100 * used / options.seconds, 2),
            }
            rows.append(row)
        return rows
    finally:
        for viewer in viewers:
            await viewer.disconnect()
        await daemon.end()


def show(rows: list[dict[str, Any]]) -> None:
    """The table, and what one more client costs."""
    names = list(rows[0])
    print("".join(f"{name:>16}" for name in names))
    for row in rows:
        print("".join(f"{row[name]:>16}" for name in names))
    first, last = rows[0], rows[-1]
    more = last["clients"] - first["clients"]
    if more:
        print(f"per client: {(last['rss_mib'] - first['rss_mib']) / more:.2f} MiB")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--clients", default="0,1,50", help="numbers of clients (0,1,50)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look (10)")
    parser.add_argument("--json", metavar="FILE", help="write the rows here (- is standard output)")
    options = parser.parse_args()

    async def run() -> None:
        with tempfile.TemporaryDirectory(prefix="spicemig-") as directory:
            rows = await measure(options, Path(directory))
        show(rows)
        if options.json:
            text = json.dumps({"options": vars(options), "rows": rows}, indent=1)
            print(text) if options.json == "-" else Path(options.json).write_text(text + "\n")

    react(lambda _: ensureDeferred(run()))


if __name__ == "__main__":
    main()
