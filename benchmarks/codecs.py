# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How fast our codecs are, and how small images get, beside spice-server's and spice-gtk's.

    python benchmarks/codecs.py [--sources FOLDER] [--codec quic_rgb32,glz_window] [--seconds 0.5]

Every codec takes the images of ``../shared/images`` whole, in one thread: the best
round, in processor time and MB of raw 32-bit pixels, 10^6 bytes each. Of GLZ,
``cold`` has an empty window, ``window`` one with the other images, ``repeat`` one with the same
image. A ratio of speeds is ours by the peer's, one of sizes the peer's bytes by ours;
more is better. The goals: 1.5 for encoders of QUIC and LZ, 2 for those of GLZ with a window,
1 for everything else.

The peer is compiled from FOLDER (``apt-get source spice spice-gtk`` there), and measured
in the same run; without it, and for codecs that are libraries', the figures of
``../shared/baselines/codecs`` stand for it, which another machine may have made.

Writes ``build/bench/codecs.json``, ``.md`` and ``.svg``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from benchmarks import peer_sources
from benchmarks.dots import Measure, draw_dots
from benchmarks.peer import NoPeer
from benchmarks.tables import SHARED, environment, markdown, save
from spicemig.codecs.glz import GlzDecoderWindow, GlzWindow, deflate, inflate
from spicemig.codecs.pixels import Pixels
from spicemig.control.codec import CODECS, repeat
from spicemig.wire.enums import BitmapFormat

IMAGES = SHARED / "images"
BASELINES = SHARED / "baselines" / "codecs" / "summary.json"
WINDOW_PIXELS = 16 << 20
MB = 1e6
GOALS = {"quic": 1.5, "lz": 1.5, "glz": 2.0}  # of encoders, by the first part of the name; others: 1

Images = Mapping[str, Pixels]
Prepare = Callable[[], Callable[[], Any]]  # what it returns is measured
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rounds:
    """An image and a codec: rounds of both directions, and what the image becomes."""

    encode: Prepare
    decode: Prepare
    coded_bytes: int


def plain(codec: str, type: str) -> Callable[[str, Images], Rounds]:
    """A codec that knows one image at a time."""

    def rounds(name: str, images: Images) -> Rounds:
        pixels, encode, decode = images[name], CODECS[codec].encoder(), CODECS[codec].decoder()
        if type == "rgba":
            pixels = replace(pixels, format=BitmapFormat.RGBA)
        stream = encode(pixels, type)
        size = pixels.width, pixels.height
        return Rounds(
            lambda: lambda: encode(pixels, type), lambda: lambda: decode(stream, type, *size), len(stream)
        )

    return rounds


def glz(before: str) -> Callable[[str, Images], Rounds]:
    """GLZ with a window of the other images, of the same, or of none."""

    def rounds(name: str, images: Images) -> Rounds:
        earlier = earlier_of(before, name, images)
        window = GlzWindow(WINDOW_PIXELS)
        streams = [b"".join(window.encode(pixels)) for pixels in [*earlier, images[name]]]

        def encode() -> Callable[[], Any]:
            window = GlzWindow(WINDOW_PIXELS)
            for pixels in earlier:
                window.encode(pixels)
            return lambda: window.encode(images[name])

        def decode() -> Callable[[], Any]:
            window = GlzDecoderWindow()
            for stream in streams[:-1]:
                window.decode(stream)
            return lambda: window.decode(streams[-1])

        return Rounds(encode, decode, len(streams[-1]))

    return rounds


def zlib_glz(name: str, images: Images) -> Rounds:
    """What ZLIB_GLZ does beyond GLZ."""
    window = GlzWindow(WINDOW_PIXELS)
    for pixels in earlier_of("others", name, images):
        window.encode(pixels)
    stream = window.encode(images[name])
    size, packed = deflate(stream)
    return Rounds(lambda: lambda: deflate(stream), lambda: lambda: inflate(packed, size), len(packed))


def earlier_of(before: str, name: str, images: Images) -> list[Pixels]:
    """The images that a window has before one comes."""
    others = [pixels for other, pixels in images.items() if other != name]
    return {"others": others, "same": [images[name]], "none": []}[before]


CASES = {
    "quic_rgb32": plain("quic", "rgb32"),
    "quic_rgba": plain("quic", "rgba"),
    "lz_rgb32": plain("lz", "rgb32"),
    "lz_rgba": plain("lz", "rgba"),
    "glz_cold": glz("none"),
    "glz_window": glz("others"),
    "glz_repeat": glz("same"),
    "lz4": plain("lz4", "rgb32"),
    "jpeg_q85": plain("jpeg", "rgb32"),
    "jpeg_alpha": plain("jpeg_alpha", "rgba"),
    "zlib_glz": zlib_glz,
}


def read_images(folder: Path) -> dict[str, Pixels]:
    """The pictures of a folder; the fourth byte of a pixel is 255."""
    images = {}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            data = picture.convert("RGBA").tobytes("raw", "BGRA")
            images[path.stem] = Pixels(*picture.size, BitmapFormat.BIT32, 4 * picture.width, data)
    return images


def ours(images: Images, codecs: list[str], seconds: float) -> dict[tuple[str, str], Row]:
    """By image and codec."""
    rows = {}
    for name, pixels in images.items():
        raw = len(pixels.data) / MB
        for codec in codecs:
            rounds = CASES[codec](name, images)
            encode, decode = (raw / repeat(way, seconds)[2] for way in (rounds.encode, rounds.decode))
            rows[name, codec] = {"encode": encode, "decode": decode, "coded_bytes": rounds.coded_bytes}
    return rows


def before() -> dict[tuple[str, str], Row]:
    """What the peer did when it was measured before."""
    try:
        rows = json.loads(BASELINES.read_text())["rows"]
    except OSError:
        return {}
    return {
        (row["image"], row["codec"]): {
            "encode": row["enc_MBps"],
            "decode": row["dec_MBps"],
            "coded_bytes": row["size"],
            "peer": "before",
        }
        for row in rows
        if row["codec"] in CASES
    }


def now(folder: Path, images: Images, seconds: float) -> dict[tuple[str, str], Row]:
    """What the peer does here; raises :class:`NoPeer`."""
    program = peer_sources.build(folder)
    names = list(images)
    first = images[names[0]]
    if len({(pixels.width, pixels.height) for pixels in images.values()}) != 1:
        raise NoPeer("the images have different sizes")
    with tempfile.TemporaryDirectory() as directory:
        files = []
        for name, pixels in images.items():
            files.append(Path(directory) / name)
            files[-1].write_bytes(pixels.data)
        said = peer_sources.measure(program, seconds, first.width, first.height, files)
    return {(names[row["image"]], row["codec"]): {**row, "peer": "now"} for row in said}


def compared(own: Mapping[tuple[str, str], Row], theirs: Mapping[tuple[str, str], Row]) -> list[Row]:
    """A row for each image and codec, with ratios."""
    rows = []
    for (image, codec), row in own.items():
        other = theirs.get((image, codec), {})
        found = {"image": image, "codec": codec, **row}
        found["goal"] = GOALS.get(codec.split("_")[0], 1.0) if codec != "glz_cold" else 1.0
        for what in ("encode", "decode", "coded_bytes"):
            found[f"peer {what}"] = other.get(what)
        for what in ("encode", "decode"):
            found[f"{what} ratio"] = row[what] / other[what] if other else None
        found["size ratio"] = other["coded_bytes"] / row["coded_bytes"] if other else None
        found["peer"] = other.get("peer", "-")
        rows.append(found)
    return rows


COLUMNS = (
    *("image", "codec", "encode", "decode", "coded_bytes", "peer encode", "peer decode", "peer coded_bytes"),
    *("encode ratio", "goal", "decode ratio", "size ratio", "peer"),
)


def plot(rows: list[Row]) -> str:
    """Ratios of both speeds and of the size."""
    shown = [(row["image"], row["codec"]) for row in rows if row["peer"] != "-"]
    measures = [
        Measure(
            title,
            {f"{row['image']}/{row['codec']}": row[name] for row in rows if row[name]},
            more_is_better=True,
        )
        for title, name in (("encode", "encode ratio"), ("decode", "decode ratio"), ("size", "size ratio"))
    ]
    return draw_dots("Codecs: ours by the peer's, more is better", shown, measures)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--sources", type=Path, metavar="FOLDER", help="where spice-* and spice-gtk-* are")
    parser.add_argument("--codec", default=",".join(CASES), help="codecs, with commas between (all)")
    parser.add_argument("--images", type=Path, default=IMAGES, metavar="FOLDER", help="pictures (the shared)")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each, there and back (0.3)")
    options = parser.parse_args()
    codecs = options.codec.split(",")
    if not set(codecs) <= CASES.keys():
        parser.error(f"there are the codecs {', '.join(CASES)}")
    images = read_images(options.images)
    if not images:
        raise SystemExit(f"there are no pictures in {options.images}")
    theirs = before()
    if options.sources is not None:
        try:
            theirs.update(now(options.sources, images, options.seconds))
        except NoPeer as error:
            print(f"the peer's codecs are not measured: {error}")
    rows = compared(ours(images, codecs, options.seconds), theirs)
    table = markdown(COLUMNS, rows)
    print(table)
    save("codecs", {"environment": environment(), "rows": rows}, table, plot(rows))


if __name__ == "__main__":
    main()
