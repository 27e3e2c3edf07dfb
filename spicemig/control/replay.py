# SPDX-License-Identifier: LGPL-2.1-or-later
"""
``spicemig replay``: a trace through a device and its rasteriser, without a daemon.

Everything is drawn at the end, so that the time contains all that had to be drawn;
with a client, up to the last byte that is handed over to it.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spicemig.control.replay_client import ReplayClient
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.screenshot import png
from spicemig.devices.surfaces import PRIMARY
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.preloaded import Preloaded
from spicemig.devices.trace.reader import TraceReader
from spicemig.errors import GuestError


@dataclass(frozen=True, slots=True)
class Encode:
    """How a trace is played to a client, too; ``mode`` is an image compression mode."""

    mode: str
    pace: str = "paced"
    workers: int = 1
    streaming: bool = False


def run_replay(
    trace: str,
    *,
    until: int | None = None,
    screenshot: str | None = None,
    surface: int = PRIMARY,
    as_json: bool = False,
    encode: Encode | None = None,
) -> int:
    """Play, tell, and save a picture; 1 if the trace could not be read to its end."""
    device = QXLDevice()
    report: dict[str, Any] = {"commands": 0}
    trouble = ""
    try:
        reader = TraceReader(trace)
        try:
            if encode is None:
                report, trouble = _draw(reader, device, until)
            else:
                report, trouble = _encode(reader, device, until, encode)
        finally:
            reader.close()
    except GuestError as error:
        trouble = str(error)
    if report["commands"]:
        print(json.dumps(report) if as_json else text_of(report), flush=True)
        if screenshot is not None:
            trouble = _save(device, surface, screenshot) or trouble
    if trouble:
        print(f"spicemig: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


def _draw(reader: TraceReader, device: QXLDevice, until: int | None) -> tuple[dict[str, Any], str]:
    """Play everything and draw all of it; the report, and what went wrong."""
    player = Player(device)
    stopwatch = Stopwatch()
    trouble = ""
    try:
        play(reader, player, until)
    except GuestError as error:
        trouble = str(error)
    player.flush()
    for each in device.surfaces():
        device.render(each.id)
    return {**_played(player), **stopwatch.report(), "not_drawn": _sorted(player.not_drawn)}, trouble


def _encode(
    reader: TraceReader, device: QXLDevice, until: int | None, how: Encode
) -> tuple[dict[str, Any], str]:
    """Play everything to a client, from memory; the report, and what went wrong."""
    trace = Preloaded(reader, until, pauses=how.pace == "paced")
    return send(trace, device, how), trace.trouble


def send(trace: Preloaded, device: QXLDevice, how: Encode) -> dict[str, Any]:
    """
    Play a trace to a client; the report.

    What no client has to have drawn by the server is not drawn.
    """
    client = ReplayClient(device, how.mode, workers=how.workers, streaming=how.streaming)
    gc.collect()
    gc.freeze()  # the trace is the guest's memory
    loaded = rss_bytes()
    stopwatch = Stopwatch()
    try:
        for _ in trace.play(device):
            if how.pace == "paced":
                client.wait()
            else:
                client.serve()
        client.wait()
        measured = stopwatch.report()
    finally:
        client.close()
        gc.unfreeze()
    return {
        **_played(trace),
        **measured,
        "loaded_rss_bytes": loaded,
        "not_drawn": _sorted(trace.not_drawn),
        "mode": how.mode,
        "pace": how.pace,
        "workers": how.workers,
        "messages": client.messages,
        "bytes_sent": client.bytes_sent,
        "images_by_codec": client.images_by_codec,
    }


class Stopwatch:
    """Time of the clock and of all processors from now on."""

    def __init__(self) -> None:
        self._began, self._began_cpu = time.perf_counter(), time.process_time()

    def report(self) -> dict[str, Any]:
        """What was used up to now."""
        return {
            "seconds": round(time.perf_counter() - self._began, 6),
            "cpu_seconds": round(time.process_time() - self._began_cpu, 6),
            "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def rss_bytes() -> int:
    """How much memory this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _played(played: Any) -> dict[str, Any]:
    return {"commands": sum(played.by_type.values()), "by_type": _sorted(played.by_type)}


def play(reader: TraceReader, player: Player, until: int | None = None) -> None:
    """Play all records, or those up to the command with this number; the first has number 1."""
    while until is None or reader.commands < until:
        record = reader.next()
        if record is None:
            return
        player.play(record)


def _save(device: QXLDevice, surface: int, file: str) -> str:
    """Write the picture; what went wrong, if anything did."""
    if not any(each.id == surface for each in device.surfaces()):
        return f"there is no surface {surface} now"
    try:
        Path(file).write_bytes(png(device.render(surface)))
    except OSError as error:
        return f"{file}: {error.strerror}"
    return ""


def text_of(report: Mapping[str, Any]) -> str:
    """The report for people."""
    commands, seconds = report["commands"], report["seconds"]
    each = seconds / commands * 1e6 if commands else 0.0
    lines = [
        f"{commands} commands in {seconds:.3f} s, {each:.1f} us each; "
        f"{report['cpu_seconds']:.3f} s of CPU, {report['max_rss_bytes'] / 2**20:.0f} MiB at most"
    ]
    if "messages" in report:
        mib = report["bytes_sent"] / 2**20
        lines.append(f"{report['messages']} messages to a client of {report['mode']}, {mib:.2f} MiB")
        lines += [f"{count:10}  images: {kind}" for kind, count in report["images_by_codec"].items()]
    lines += [f"{count:10}  {kind}" for kind, count in report["by_type"].items()]
    lines += [f"{count:10}  not drawn: {kind}" for kind, count in report["not_drawn"].items()]
    return "\n".join(lines)
