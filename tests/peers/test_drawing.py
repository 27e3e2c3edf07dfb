# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Random commands of every operation, drawn by spice-gtk from the wire and by our rasteriser.

More of them, or those of another seed::

    python -m tests.peers.test_drawing --seed 7 --count 20000 [--operation text] [--target 1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.task import react

from spicemig.devices.drawables import DeviceImage
from spicemig.testing.commands import Commands
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import DrawBase, Rect
from spicemig.wire.enums import AlphaFlags, CompositeFlags, Ropd, SurfaceFormat
from spicemig.wire.messages import display
from tests.peers.harness import GtkClient, PeersTestCase
from tests.peers.studio import Studio, first_difference

SUITE_COMMANDS = 1200
EXACT = ("off", "lz4")  # other compressions lose the fourth byte of xRGB and 16-bit images, as everywhere
OVER = 3
PUT = int(Ropd.OP_PUT)
SCRATCH = 9  # a surface with alpha, on which other ones are laid bare


def reveal(commands: Commands, target: int) -> list[Any]:
    """
    Commands that show a surface on the primary: its colours, and all four bytes of its
    pixels, unless they are said to get lost.
    """
    kind = commands.surfaces[target]
    whole = Rect(0, 0, kind.height, kind.width)
    base, image = DrawBase(0, whole), Placeholder(commands.shown(target))
    if kind.format in (SurfaceFormat.A8, SurfaceFormat.A1):
        through = int(OVER | CompositeFlags.HAS_MASK)
        return [display.DrawComposite(base, through, Placeholder(commands.shown(2)), image)]
    if kind.format not in (SurfaceFormat.XRGB32, SurfaceFormat.ARGB32):  # clients cannot copy from these
        return [display.DrawAlphaBlend(base, 0, 255, image, whole)]
    shown = [display.DrawCopy(base, image, whole, PUT, 1)] if target else []
    if kind.format == SurfaceFormat.XRGB32 and not commands.fourth_bytes:
        return shown
    fourth = Placeholder(DeviceImage(160, 120, surface=SCRATCH))
    moved = DrawBase(0, Rect(60, 60, 60 + kind.height, 60 + kind.width))
    has_alpha = int(AlphaFlags.SRC_SURFACE_HAS_ALPHA)
    return [
        *shown,
        display.DrawCopy(DrawBase(SCRATCH, whole), image, whole, PUT, 1),
        display.DrawAlphaBlend(moved, has_alpha, 255, fourth, whole),
    ]


async def prepare(studio: Studio, commands: Commands) -> None:
    """Make the surfaces, with something on them."""
    studio.device.create_surface(SCRATCH, 160, 120, SurfaceFormat.ARGB32)
    for number, kind in commands.surfaces.items():
        if number:
            studio.device.create_surface(number, kind.width, kind.height, kind.format)
    studio.draw(*(commands.background(0, target) for target in commands.surfaces))


async def differences(
    studio: Studio,
    commands: Commands,
    numbers: range,
    folder: Path,
    operation: str | None = None,
    target: int | None = None,
) -> list[str]:
    """Draw commands one by one; what is told of those after which the client shows another picture."""
    await prepare(studio, commands)
    found = []
    if not await studio.equal():
        found.append(f"background: {first_difference(studio.ours(), await studio.theirs(folder))}")
    for number in numbers:
        message = commands.command(number, operation, target)
        if number % 16 == 0:
            studio.draw(commands.background(number))
        studio.draw(message, *reveal(commands, message.base.surface_id))
        if not await studio.equal():
            told = first_difference(studio.ours(), await studio.theirs(folder))
            found.append(f"{number}: {told}: {tell(message)}")
            for surface in commands.surfaces:  # so that the next ones are compared for themselves
                studio.core.repaint(studio.device.render(surface))
            studio.protocol.flush()
    return found


def tell(message: Any) -> str:
    """A command in a line, without pixels."""
    from tests.trace_pictures import tell as tell_draw

    class _Draw:
        name = type(message).__name__

    _Draw.message = message  # type: ignore[attr-defined]
    return f"on surface {message.base.surface_id} " + tell_draw(_Draw)  # type: ignore[arg-type]


class DrawingTests(PeersTestCase):
    """What spice-gtk makes of our messages is what our rasteriser draws."""

    async def compare(self, compression: str, seed: int, count: int = SUITE_COMMANDS) -> None:
        studio = Studio(compression)
        self.addCleanup(lambda: ensureDeferred(studio.close()))
        await studio.open(await self.gtk())
        commands = Commands(seed, fourth_bytes=compression in EXACT)
        found = await differences(studio, commands, range(count), self.directory)
        self.assertEqual(found, [], f"seed {seed}, {compression}")

    async def test_plain(self) -> None:
        """Without compression, random commands of all operations give the same pixels."""
        await self.compare("off", 1)

    async def test_lz4(self) -> None:
        """With LZ4 images, too."""
        await self.compare("lz4", 2)

    async def test_lz(self) -> None:
        """With LZ and QUIC images, too, but for bytes that are no colour."""
        await self.compare("auto_lz", 3, SUITE_COMMANDS // 2)


async def _run(reactor: Any, parsed: argparse.Namespace) -> None:
    studio = Studio(parsed.compression)
    gtk = GtkClient()
    await gtk.up()
    try:
        await studio.open(gtk)
        with tempfile.TemporaryDirectory() as folder:
            found = await differences(
                studio,
                Commands(parsed.seed, fourth_bytes=parsed.compression in EXACT),
                range(parsed.first, parsed.first + parsed.count),
                Path(folder),
                parsed.operation,
                parsed.target,
            )
        print("\n".join(found[: parsed.show]))
        names = Counter(line.split(": ")[2].split(" to ")[0] for line in found if line[0].isdigit())
        for kind, times in sorted(studio.drawn_messages.items()):
            print(f"{kind}: {times}, as pixels {studio.sent_as_pixels[kind]}")
        print(f"{len(found)} of {parsed.count} commands differ", dict(names))
        if found:
            raise SystemExit(1)
    finally:
        print("\n".join(gtk.lines[-20:]), file=sys.stderr)
        await gtk.end()
        await studio.close()


def main() -> None:
    """Draw as many as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--operation")
    parser.add_argument("--target", type=int)
    parser.add_argument("--show", type=int, default=40)
    parser.add_argument("--compression", default="off", choices=("off", "auto_lz", "quic", "lz", "lz4"))
    parsed = parser.parse_args()
    react(lambda reactor: ensureDeferred(_run(reactor, parsed)))


if __name__ == "__main__":
    main()
