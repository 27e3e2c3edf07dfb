# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Replays traces and compares the screen with their reference pictures.

::

    python -m tests.trace_pictures TRACE.xz ...       at each reference point of TRACE.shots.json
    python -m tests.trace_pictures --dir OUT TRACE.xz ... and keep pictures that differ

At the first difference of a picture it tells the pixel, both colours, and the
commands since the last reference point that may have touched it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageChops

from spicemig.devices.qxl import QXLDevice
from spicemig.devices.surfaces import PRIMARY
from spicemig.devices.trace.drawings import images_of
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.reader import TraceReader
from spicemig.devices.trace.records import Draw

SHOWN_COMMANDS = 12


class Shot(NamedTuple):
    """A reference point."""

    commands: int
    picture: Path


class Difference(NamedTuple):
    """Where and how a picture is wrong."""

    shot: Shot
    pixels: int
    x: int
    y: int
    ours: tuple[int, ...]
    reference: tuple[int, ...]
    commands: list[str]  # that may have touched it, the newest last

    def __str__(self) -> str:
        lines = [
            f"after {self.shot.commands} commands: {self.pixels} pixels differ from {self.shot.picture.name};"
            f" at x {self.x}, y {self.y} there is {self.ours}, not {self.reference}"
        ]
        return "\n    ".join(lines + self.commands[-SHOWN_COMMANDS:])


def shots_of(trace: Path) -> list[Shot]:
    """The reference points of a trace, from the JSON file beside it."""
    name = trace.name.split(".trace")[0]
    told = json.loads((trace.parent / f"{name}.shots.json").read_text())
    return [Shot(commands, trace.parent / picture) for commands, picture, _size in told["shots"]]


def differences(
    trace: Path, compared: Callable[[Shot], None] | None = None, keep: Path | None = None
) -> Iterator[Difference]:
    """Play a trace once, and tell every reference point where the screen is not as it should be."""
    device = QXLDevice()
    player = Player(device)
    reader = TraceReader(trace)
    try:
        for shot in shots_of(trace):
            drawn: list[tuple[int, Draw]] = []
            while reader.commands < shot.commands:
                record = reader.next()
                assert record is not None, "the trace is shorter than its reference points say"
                player.play(record)
                if isinstance(record.value, Draw):
                    drawn.append((reader.commands, record.value))
            player.flush()
            ours = device.render(PRIMARY).image().convert("RGB")
            if compared is not None:
                compared(shot)
            found = compare(shot, ours, drawn)
            if found is not None:
                if keep is not None:
                    _keep(keep, shot, ours)
                yield found
    finally:
        reader.close()


def compare(shot: Shot, ours: Image.Image, drawn: list[tuple[int, Draw]]) -> Difference | None:
    """How a picture differs from the reference; ``drawn`` are numbered commands to blame."""
    reference = Image.open(shot.picture).convert("RGB")
    if ours.size != reference.size:
        return Difference(shot, -1, 0, 0, ours.size, reference.size, ["the sizes differ"])
    wrong = _wrong_pixels(ours, reference)
    box = wrong.getbbox()
    if box is None:
        return None
    y = box[1]
    x = wrong.crop((0, y, wrong.width, y + 1)).getbbox()[0]
    blamed = [f"{number}: {tell(draw)}" for number, draw in drawn if _touches(draw, x, y)]
    pixels = wrong.histogram()[255]
    return Difference(shot, pixels, x, y, ours.getpixel((x, y)), reference.getpixel((x, y)), blamed)


def _wrong_pixels(ours: Image.Image, reference: Image.Image) -> Image.Image:
    """White where they differ."""
    red, green, blue = ImageChops.difference(ours, reference).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue).point(lambda value: 255 * (value > 0))


def _touches(draw: Draw, x: int, y: int) -> bool:
    if draw.message is None or draw.message.base.surface_id != PRIMARY:
        return False
    base = draw.message.base
    boxes = [base.box] if base.clip.rects is None else base.clip.rects
    return any(box.left <= x < box.right and box.top <= y < box.bottom for box in boxes)


def tell(draw: Draw) -> str:
    """A command in a line, without pixels."""
    message = draw.message
    box, clip = message.base.box, message.base.clip
    words = [f"{draw.name} to left {box.left} top {box.top} right {box.right} bottom {box.bottom}"]
    if clip.rects is not None:
        words.append(f"clip {len(clip.rects)} rects")
    for name in (
        "rop_descriptor",
        "rop3",
        "scale_mode",
        "flags",
        "alpha",
        "src_area",
        "src_origin",
        "fore_mode",
    ):
        value = getattr(message, name, None)
        if value is not None:
            words.append(f"{name} {value:#x}" if isinstance(value, int) else f"{name} {value}")
    for placed in images_of(message):
        image = placed.value
        kind = f"surface {image.surface}" if image.surface is not None else f"format {image.format}"
        words.append(f"image {image.width}x{image.height} {kind}")
    mask = getattr(message, "mask", None)
    if mask is not None and mask.bitmap is not None:
        words.append(f"mask flags {mask.flags} at {mask.pos.x},{mask.pos.y}")
    for name in ("brush", "fore_brush", "back_brush"):
        brush = getattr(message, name, None)
        if brush is not None:
            words.append(
                f"{name} {brush.color:#x}" if brush.color is not None else f"{name} type {brush.type}"
            )
    return ", ".join(words)


def _keep(folder: Path, shot: Shot, ours: Image.Image) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    reference = Image.open(shot.picture).convert("RGB")
    ours.save(folder / f"{shot.picture.stem}.ours.png")
    reference.save(folder / f"{shot.picture.stem}.reference.png")
    if ours.size == reference.size:
        _wrong_pixels(ours, reference).save(folder / f"{shot.picture.stem}.differ.png")


def main(arguments: list[str] | None = None) -> int:
    """Compare; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--dir", type=Path, help="keep pictures that differ here")
    parser.add_argument("traces", nargs="+", type=Path)
    parsed = parser.parse_args(arguments)
    wrong = 0
    for trace in parsed.traces:
        seen: list[Shot] = []
        found = []
        for difference in differences(trace, seen.append, parsed.dir):
            found.append(difference)
            print(f"{trace.name} {difference}", flush=True)
        print(f"{trace.name}: {len(seen) - len(found)} of {len(seen)} pictures are equal", flush=True)
        wrong += len(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
