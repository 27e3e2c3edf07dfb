# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Recorded traces, shown by spice-gtk: at every reference point its screen is as it should be.

The traces of real guests take minutes::

    python -m tests.peers.test_traces [--compression lz4] TRACE.xz ...
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater, react
from twisted.trial.unittest import SkipTest

from spicemig.devices.surfaces import PRIMARY
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.reader import TraceReader
from spicemig.wire.enums import ImageCompression
from tests.peers.harness import GtkClient, PeersTestCase, eventually
from tests.peers.studio import Studio, first_difference
from tests.trace_pictures import Shot, shots_of

SYNTHETIC = Path(__file__).resolve().parents[3] / "shared" / "traces" / "synth"
NAMES = ("alpha", "composite", "copy", "fill", "rop3", "scale", "stroke", "surfaces", "text")
SLICE_COMMANDS = 48  # so many go out before the client must have drawn them


async def pictures(studio: Studio, trace: Path, folder: Path) -> AsyncIterator[tuple[Shot, str]]:
    """Play a trace; at each reference point, how the client's picture differs (``none``: not at all)."""
    player = Player(studio.device)
    reader = TraceReader(trace)
    try:
        for shot in shots_of(trace):
            while reader.commands < shot.commands:
                record = reader.next()
                assert record is not None, "the trace is shorter than its reference points say"
                player.play(record)
                if reader.commands % SLICE_COMMANDS == 0:
                    player.flush()
                    await studio.drawn()
            player.flush()
            await studio.drawn()
            if PRIMARY not in {surface.id for surface in studio.device.surfaces()}:
                continue
            reference = Image.open(shot.picture).convert("RGB")
            yield shot, first_difference(await studio.theirs(folder), reference)
    finally:
        reader.close()


class TraceTests(PeersTestCase):
    """What a stock client shows of a trace is what the reference renderer made of it."""

    timeout = 300

    async def play(self, compression: str) -> None:
        if not SYNTHETIC.exists():
            raise SkipTest(f"{SYNTHETIC} is not here")
        found = []
        for name in NAMES:  # each is another guest: their image ids say nothing of each other
            trace = SYNTHETIC / f"synth-{name}.trace.xz"
            studio = Studio(compression)
            self.addCleanup(lambda studio=studio: ensureDeferred(studio.close()))
            gtk = await self.gtk(name)
            await studio.open(gtk)
            async for shot, difference in pictures(studio, trace, self.directory):
                if difference != "none":
                    found.append(f"{shot.picture.name}: {difference}")
            await gtk.end()
            await studio.close()
        self.assertEqual(found, [])

    async def test_plain(self) -> None:
        """With images as they are, every operation is drawn by the client as by the reference."""
        await self.play("off")

    async def test_lz4(self) -> None:
        """With LZ4 images, too."""
        await self.play("lz4")

    async def test_daemon(self) -> None:
        """A daemon whose guest is a trace shows the trace's last picture."""
        trace = SYNTHETIC / "synth-surfaces.trace.xz"
        if not trace.exists():
            raise SkipTest(f"{trace} is not here")
        options = {"guest": {"kind": "trace"}, "trace": {"file": trace, "speed": "max"}}
        source = await self.daemon("source", options=options)
        gtk = await self.gtk()
        await gtk.attach(host="127.0.0.1", port=source.port("plain"))

        async def ended() -> bool:
            return bool((await source.get("/v1/guest"))["ended"])

        await eventually(ended, 30.0, "the trace has ended")
        reference = Image.open(shots_of(trace)[-1].picture).convert("RGB")

        async def shown() -> bool:
            picture = await gtk.picture(self.directory)
            return picture is not None and first_difference(picture, reference) == "none"

        await eventually(shown, 10.0, "spice-gtk shows the last picture")


async def _run(parsed: argparse.Namespace) -> None:
    wrong = 0
    for trace in parsed.traces:
        studio = Studio(parsed.compression)
        gtk = GtkClient()
        await gtk.up()
        try:
            await studio.open(gtk)
            with tempfile.TemporaryDirectory() as folder:
                async for shot, difference in pictures(studio, trace, Path(folder)):
                    print(f"{shot.picture.name}: {difference}", flush=True)
                    wrong += difference != "none"
        finally:
            print("\n".join(gtk.lines[-20:]), file=sys.stderr)
            await gtk.end()
            await studio.close()
            await deferLater(reactor, 0, lambda: None)
    if wrong:
        raise SystemExit(1)


def main() -> None:
    """Show traces, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    modes = [mode.name.lower() for mode in ImageCompression if mode]
    parser.add_argument("--compression", default="lz4", choices=modes)
    parser.add_argument("traces", nargs="+", type=Path)
    parsed = parser.parse_args()

    def run(_reactor: Any) -> Any:
        return ensureDeferred(_run(parsed))

    react(run)


if __name__ == "__main__":
    main()
