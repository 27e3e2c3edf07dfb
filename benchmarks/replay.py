# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Recorded traces through our display pipe and through libspice-server, side by side.

    python benchmarks/replay.py [--trace xterm,guest] [--mode glz,lz] [--pace paced,burst]
                                [--workers 1,2] [--reps 3] [--streaming] [--no-peer]

For every trace, mode and pace one run of the peer and one of ours with each number of
workers, again for each repetition, so that both see the same machine. Ours is
``spicemig replay --encode``. The peer is a process with the library, a client on
loopback that reads and acknowledges, and commands from memory; its processor time is that of
the server, without the client (see ``../shared/tools/peer``). A ratio is ours by the
peer's, each the best of its repetitions; the goals are 1 for processor time and bytes,
and 0.7 for the time on the clock with two workers.

Writes ``build/bench/replay.json``, ``.md`` and ``.svg``. Where there is no peer, the
figures of ``../shared/baselines/replay`` stand for it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import peer, traces
from benchmarks.dots import Measure, draw_dots
from benchmarks.tables import SHARED, environment, markdown, save
from spicemig.control.replay import Encode, send
from spicemig.devices.qxl import QXLDevice
from spicemig.wire.enums import ImageCompression

MODES = [mode.name.lower() for mode in ImageCompression if mode]
BASELINES = SHARED / "baselines" / "replay" / "summary.json"
WALL_GOAL = 0.7  # of the peer's, with two workers
PATIENCE_SECONDS = 300

Run = dict[str, Any]
Case = tuple[str, str, str]  # trace, pace, mode


def measure(options: argparse.Namespace) -> list[Run]:
    """All runs, in the order in which they were made."""
    with_peer = not options.no_peer
    if with_peer:
        try:
            peer.build()
        except peer.NoPeer as error:
            with_peer = False
            print(f"libspice-server is not measured: {error}")
    runs: list[Run] = []
    for name in options.trace:
        trace = traces.ready(name)
        for repetition in range(options.reps):
            for pace in options.pace:
                for mode in options.mode:
                    for run in _runs_of(trace, mode, pace, options, with_peer):
                        about = {"trace": name, "pace": pace, "mode": mode, "repetition": repetition}
                        runs.append({**about, **run})
                        print(_line(runs[-1]), flush=True)
    return runs


def _runs_of(
    trace: traces.Ready, mode: str, pace: str, options: argparse.Namespace, with_peer: bool
) -> Iterator[Run]:
    size = {"commands": trace.commands, "pixel_bytes": trace.pixel_bytes}
    if with_peer:
        number = ImageCompression[mode.upper()]
        try:
            said = peer.replay(trace.plain, number, pace, trace.barriers, options.streaming)
            yield {"who": "peer", "workers": 1, **size, **said}
        except peer.NoPeer as error:
            print(f"{trace.name} {pace} {mode}: {error}")
    for workers in options.workers:
        yield {"who": "ours", **size, **in_process(trace, mode, pace, workers, options.streaming)}


def in_process(trace: traces.Ready, mode: str, pace: str, workers: int, streaming: bool) -> Run:
    """One run of ours, in a process of its own."""
    arguments = [str(trace.batches[pace]), mode, pace, str(workers), str(int(streaming))]
    said = subprocess.run(
        [sys.executable, __file__, "--play", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    if said.returncode:
        raise SystemExit(f"{trace.name} {mode} {pace}: {said.stderr}")
    run: Run = json.loads(said.stdout)
    return run


def _line(run: Run) -> str:
    return (
        f"{run['trace']:10} {run['pace']:6} {run['mode']:9} {run['who']} {run['workers']}  "
        f"{run['seconds']:7.3f} s  {run['cpu_seconds']:7.3f} s CPU  {run['bytes_sent']:>11} bytes  "
        f"{run['messages']:>7} messages"
    )


def play(batches: str, mode: str, pace: str, workers: str, streaming: str) -> None:
    """The process of one run; prints the report."""
    how = Encode(mode, pace, int(workers), bool(int(streaming)))
    print(json.dumps(send(traces.load(Path(batches)), QXLDevice(), how)))


def baselines() -> dict[Case, Run]:
    """What the peer did when it was measured before: medians."""
    try:
        rows = json.loads(BASELINES.read_text())["rows"]
    except OSError:
        return {}
    return {
        (row["trace"], row["mode"], row["compression"]): {
            "seconds": row["wall_s"],
            "cpu_seconds": row["cpu_process_s"] if row["preloaded_all"] else row["cpu_worker_s"],
            "bytes_sent": row["display_bytes"],
        }
        for row in rows
    }


def summary(runs: list[Run]) -> list[dict[str, Any]]:
    """A row for each case and number of workers: the best and the median of each, and ratios of the best."""
    known = baselines()
    rows = []
    cases = dict.fromkeys((run["trace"], run["pace"], run["mode"]) for run in runs)
    for case in cases:
        of_case = [run for run in runs if (run["trace"], run["pace"], run["mode"]) == case]
        theirs = [run for run in of_case if run["who"] == "peer"]
        if not theirs and case in known:
            theirs = [known[case]]
        for workers in dict.fromkeys(run["workers"] for run in of_case if run["who"] == "ours"):
            ours = [run for run in of_case if run["who"] == "ours" and run["workers"] == workers]
            best = min(run["seconds"] for run in ours)
            row: dict[str, Any] = {
                **dict(zip(("trace", "pace", "mode"), case, strict=True)),
                "workers": workers,
                "commands/s": round(ours[0]["commands"] / best),
                "MB/s": ours[0]["pixel_bytes"] / 1e6 / best,
                "peer": "now" if theirs and "who" in theirs[0] else "before" if theirs else "-",
            }
            for short, name in (("wall", "seconds"), ("CPU", "cpu_seconds"), ("bytes", "bytes_sent")):
                for who, of_whom in (("", ours), ("peer ", theirs)):
                    values = [run[name] for run in of_whom]
                    row[f"{who}{short}"] = min(values) if values else None
                    row[f"{who}{short} median"] = statistics.median(values) if values else None
                row[f"{short} ratio"] = row[short] / row[f"peer {short}"] if theirs else None
            rows.append(row)
    return rows


COLUMNS = (
    *(
        "trace",
        "pace",
        "mode",
        "workers",
        "commands/s",
        "MB/s",
        "bytes",
        "CPU",
        "CPU median",
        "wall",
        "wall median",
    ),
    *("peer bytes", "peer CPU", "peer wall", "CPU ratio", "bytes ratio", "wall ratio", "peer"),
)


def plot(rows: list[dict[str, Any]]) -> str:
    """The ratios: processor time and bytes with the fewest workers, time on the clock with the most."""
    shown = list(dict.fromkeys((row["trace"], row["mode"]) for row in rows))
    counts = sorted({row["workers"] for row in rows})
    measures = []
    for pace in dict.fromkeys(row["pace"] for row in rows):
        for title, workers in (("CPU", counts[0]), ("bytes", counts[0]), ("wall", counts[-1])):
            of_this = [row for row in rows if row["pace"] == pace and row["workers"] == workers]
            values = {
                f"{row['trace']}/{row['mode']}": row[f"{title} ratio"]
                for row in of_this
                if row[f"{title} ratio"]
            }
            threads = f"{workers} worker{'s' * (workers != 1)}"
            goal = WALL_GOAL if title == "wall" and workers > 1 else 1.0
            measures.append(Measure(f"{title}, {pace}, {threads}", values, goal))
    return draw_dots("spicemig replay: ours by libspice-server's, less is better", shown, measures)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])

    def several(name: str, choices: list[str], default: str, help: str) -> None:
        def chosen(text: str) -> list[str]:
            values = text.split(",")
            if any(value not in choices for value in values):
                raise argparse.ArgumentTypeError(f"choose from {', '.join(choices)}")
            return values

        parser.add_argument(name, type=chosen, default=chosen(default) if default else choices, help=help)

    several("--trace", traces.names(), "", "traces, with commas between (all)")
    several("--mode", MODES, "", "image compression modes (all)")
    several("--pace", ["paced", "burst"], "", "paces (both)")
    several("--workers", [str(number) for number in range(1, 65)], "1,2", "numbers of our threads (1,2)")
    parser.add_argument("--reps", type=int, default=3, help="repetitions (3)")
    parser.add_argument("--streaming", action="store_true", help="let both look for video")
    parser.add_argument("--no-peer", action="store_true", help="measure ours only")
    parser.add_argument("--name", default="replay", help="what the files in build/bench are called (replay)")
    options = parser.parse_args()
    options.workers = [int(number) for number in options.workers]
    runs = measure(options)
    rows = summary(runs)
    table = markdown(COLUMNS, rows)
    print(table)
    save(options.name, {"environment": environment(), "rows": rows, "runs": runs}, table, plot(rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--play"]:
        play(*sys.argv[2:])
    else:
        main()
