# SPDX-License-Identifier: LGPL-2.1-or-later
"""
``spicemig replay``: a trace through a device and its rasteriser, without a daemon.

Everything is drawn at the end, so that the time contains all that had to be drawn.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spicemig.devices.qxl import QXLDevice
from spicemig.devices.screenshot import png
from spicemig.devices.surfaces import PRIMARY
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.reader import TraceReader
from spicemig.errors import GuestError


def run_replay(
    trace: str,
    *,
    until: int | None = None,
    screenshot: str | None = None,
    surface: int = PRIMARY,
    as_json: bool = False,
) -> int:
    """Play, tell, and save a picture; 1 if the trace could not be read to its end."""
    device = QXLDevice()
    player = Player(device)
    trouble = ""
    began, began_cpu = time.perf_counter(), time.process_time()
    try:
        reader = TraceReader(trace)
        try:
            play(reader, player, until)
        finally:
            reader.close()
    except GuestError as error:
        trouble = str(error)
    player.flush()
    for each in device.surfaces():
        device.render(each.id)
    report = {
        "commands": sum(player.by_type.values()),
        "by_type": dict(sorted(player.by_type.items())),
        "seconds": round(time.perf_counter() - began, 6),
        "cpu_seconds": round(time.process_time() - began_cpu, 6),
        "max_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "not_drawn": dict(sorted(player.not_drawn.items())),
    }
    print(json.dumps(report) if as_json else text_of(report), flush=True)
    if screenshot is not None:
        trouble = _save(device, surface, screenshot) or trouble
    if trouble:
        print(f"spicemig: {trouble}", file=sys.stderr)
    return 1 if trouble else 0


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
    lines += [f"{count:10}  {kind}" for kind, count in report["by_type"].items()]
    lines += [f"{count:10}  not drawn: {kind}" for kind, count in report["not_drawn"].items()]
    return "\n".join(lines)
