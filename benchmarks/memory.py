# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How much memory a session takes, beyond the surfaces themselves.

    python benchmarks/memory.py [--size 1920x1080] [--mode glz] [--turns 200]

A host serves a guest that scrolls pages of pictures and text and draws small things in
between, to a client that reads and acknowledges (``../shared/tools/peer``: pixmap cache of 20 Mi
pixels, GLZ window of 16 Mi). Told is how much the host has (RSS, from /proc) before a client
came, the page that it will draw included; how much more when all is drawn and sent, without
the pixels of the surfaces; and how much more it was at most. The goal: 150 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import peer
from benchmarks.served import served
from benchmarks.tables import environment, markdown, save

MIB = 1 << 20
GOAL_MB = 150
FORGET_HIGHEST = "5"  # to clear_refs: VmHWM begins anew
COLUMNS = ("mode", "before", "with client", "surfaces", "session", "highest", "goal")


def measure(mode: str, width: int, height: int, turns: int) -> dict[str, Any]:
    """A row of the table, in MB of 10^6 bytes."""
    _replaybench, sink = peer.build()
    with served("scrolling", width, height, turns, mode=mode, workers=2) as host:
        port = host.told("port")
        before = host.ask()["rss_bytes"]
        Path(f"/proc/{host.process.pid}/clear_refs").write_text(FORGET_HIGHEST)
        with subprocess.Popen([str(sink), str(port)], stdout=subprocess.PIPE, text=True) as client:
            try:
                host.told("done")
                time.sleep(1)
                used = host.ask()
                highest = _highest(host.process.pid)
            finally:
                client.terminate()
    row = {
        "before": before,
        "with client": used["rss_bytes"],
        "surfaces": used["surface_bytes"],
        "session": used["rss_bytes"] - before - used["surface_bytes"],
        "highest": highest - before - used["surface_bytes"],
    }
    return {"mode": mode, "goal": GOAL_MB, **{name: value / 1e6 for name, value in row.items()}}


def _highest(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--size", default="1920x1080", metavar="WxH", help="of the screen (1920x1080)")
    parser.add_argument("--mode", default="glz,auto_glz,lz", help="compression modes (glz,auto_glz,lz)")
    parser.add_argument("--turns", type=int, default=200, help="large pictures that are drawn (200)")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    try:
        rows = [measure(mode, width, height, options.turns) for mode in options.mode.split(",")]
    except peer.NoPeer as error:
        raise SystemExit(f"there is no client to measure with: {error}") from None
    table = markdown(COLUMNS, rows)
    print(table)
    save("memory", {"environment": environment(), "rows": rows}, table)


if __name__ == "__main__":
    main()
