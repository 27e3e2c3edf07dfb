# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Recorded traces to a client over TCP: what sockets and the reactor cost beyond ``spicemig replay``.

    python benchmarks/transport.py [--trace xterm,x11perf] [--mode glz,off] [--workers 1] [--reps 3]

Ours and libspice-server send the same traces to the same client on loopback, which reads,
acknowledges and keeps nothing (``../shared/tools/peer``). Commands are in memory; the guest draws
until 50 commands wait for the client, as the peer takes them ("burst"). Beside it stands the
same without sockets. Processor time is the host's, the best of the repetitions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import peer, replay, traces
from benchmarks.served import served
from benchmarks.tables import environment, markdown, save
from spicemig.wire.enums import ImageCompression

COLUMNS = (
    *("trace", "mode", "CPU", "wall", "bytes", "messages", "CPU in process", "wall in process"),
    *("peer CPU", "peer wall", "peer bytes", "CPU ratio", "wall ratio"),
)


def ours(trace: traces.Ready, mode: str, workers: int) -> dict[str, Any]:
    """One run over TCP."""
    _replaybench, sink = peer.build()
    with served("trace", str(trace.batches["burst"]), mode=mode, workers=workers) as host:
        command = [str(sink), str(host.told("port"))]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as client:
            try:
                began, done = host.told("began"), host.told("done")
                peer.await_quiet(client.pid)
                used = host.ask()
                client.terminate()
                shown = peer.display_of(json.loads(client.communicate()[0]))
            finally:
                client.kill()
    return {
        "cpu_seconds": used["cpu_seconds"],
        "seconds": max(done, shown["last"]) - began,
        "bytes_sent": shown["bytes"],
        "messages": shown["msgs"],
    }


def best(runs: list[dict[str, Any]], name: str) -> Any:
    """The least of some runs."""
    return min(run[name] for run in runs)


def measure(name: str, mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """A row of the table."""
    trace = traces.ready(name)
    number = ImageCompression[mode.upper()]
    over, within, theirs = [], [], []
    for _ in range(options.reps):
        theirs.append(peer.replay(trace.plain, number, "burst", trace.barriers, streaming=False))
        over.append(ours(trace, mode, options.workers))
        within.append(replay.in_process(trace, mode, "burst", options.workers, streaming=False))
    row = {
        "trace": name,
        "mode": mode,
        "bytes": best(over, "bytes_sent"),
        "messages": best(over, "messages"),
        "peer bytes": best(theirs, "bytes_sent"),
    }
    for short, long in (("CPU", "cpu_seconds"), ("wall", "seconds")):
        row[short], row[f"peer {short}"] = best(over, long), best(theirs, long)
        row[f"{short} in process"] = best(within, long)
        row[f"{short} ratio"] = row[short] / row[f"peer {short}"]
    return row


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--trace", default="xterm,x11perf", help="traces (xterm,x11perf)")
    parser.add_argument("--mode", default="glz,off", help="compression modes (glz,off)")
    parser.add_argument("--workers", type=int, default=1, help="our threads that encode (1)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions (3)")
    options = parser.parse_args()
    try:
        peer.build()
    except peer.NoPeer as error:
        raise SystemExit(f"there is no client to measure with: {error}") from None
    rows = [
        measure(name, mode, options) for name in options.trace.split(",") for mode in options.mode.split(",")
    ]
    table = markdown(COLUMNS, rows)
    print(table)
    save("transport", {"environment": environment(), "rows": rows}, table)


if __name__ == "__main__":
    main()
