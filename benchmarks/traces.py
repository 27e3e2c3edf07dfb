# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The recorded traces, made ready once for all runs in ``build/traces``: plain for the
peer, and as batches in memory for us.
"""

from __future__ import annotations

import hashlib
import lzma
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import spicemig
from benchmarks.tables import PROJECT, SHARED
from spicemig.devices.trace.drawings import images_of
from spicemig.devices.trace.preloaded import Preloaded
from spicemig.devices.trace.reader import TraceReader
from spicemig.devices.trace.records import Call, DeviceCall, Draw, Record

FOLDER = SHARED / "traces"
READY = PROJECT / "build" / "traces"
# a call of these is made when all commands before it were taken
EMPTY_RING_CALLS = frozenset(
    (
        Call.DESTROY_SURFACES,
        Call.CREATE_PRIMARY,
        Call.DESTROY_PRIMARY,
        Call.DESTROY_SURFACES_ASYNC,
        Call.CREATE_PRIMARY_ASYNC,
        Call.DESTROY_PRIMARY_ASYNC,
    )
)


@dataclass(frozen=True, slots=True)
class Ready:
    """A trace and what is known of it."""

    name: str
    plain: Path
    batches: dict[str, Path]  # by pace: a pickled Preloaded
    commands: int
    pixel_bytes: int  # of the bitmaps in it
    barriers: tuple[int, ...]  # commands before which the ring was empty


def names() -> list[str]:
    """The traces that there are."""
    return sorted(path.name.removesuffix(".trace.xz") for path in FOLDER.glob("*.trace.xz"))


def ready(name: str) -> Ready:
    """Unpack and read a trace, unless that was done before with this source and this file."""
    packed = FOLDER / f"{name}.trace.xz"
    if not packed.exists():
        raise SystemExit(f"{packed} is not there; there are {', '.join(names()) or 'none'}")
    READY.mkdir(parents=True, exist_ok=True)
    plain = READY / f"{name}.trace"
    if not plain.exists() or plain.stat().st_mtime < packed.stat().st_mtime:
        print(f"unpacking {packed.name}", flush=True)
        part = plain.with_suffix(".part")
        with lzma.open(packed) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        part.rename(plain)
    known = READY / f"{name}.{_version()}.ready"
    batches = {pace: known.with_suffix(f".{pace}") for pace in ("paced", "burst")}
    if not known.exists() or known.stat().st_mtime < plain.stat().st_mtime:
        for old in READY.glob(f"{name}.*.*"):
            old.unlink()
        print(f"reading {plain.name}", flush=True)
        found = _look(name, plain, batches)
        for pace, path in batches.items():
            path.write_bytes(pickle.dumps(_preload(plain, pauses=pace == "paced"), protocol=5))
        known.write_bytes(pickle.dumps(found))
    described: Ready = pickle.loads(known.read_bytes())
    return described


def load(batches: Path) -> Preloaded:
    """A trace in memory."""
    with batches.open("rb") as file:
        loaded: Preloaded = pickle.load(file)
    return loaded


def _preload(plain: Path, *, pauses: bool) -> Preloaded:
    reader = TraceReader(plain)
    try:
        return Preloaded(reader, pauses=pauses)
    finally:
        reader.close()


def _look(name: str, plain: Path, batches: dict[str, Path]) -> Ready:
    commands = pixel_bytes = 0
    barriers: list[int] = []
    for record in _records(plain):
        if record.is_command:
            commands += 1
            if type(record.value) is Draw and record.value.message is not None:
                images = images_of(record.value.message)
                pixel_bytes += sum(len(image.value.data) for image in images if image.value.surface is None)
        elif type(record.value) is DeviceCall and record.value.number in EMPTY_RING_CALLS:
            if commands not in barriers[-1:]:
                barriers.append(commands)
    return Ready(name, plain, batches, commands, pixel_bytes, tuple(barriers))


def _records(plain: Path) -> Iterator[Record]:
    reader = TraceReader(plain)
    try:
        yield from reader
    finally:
        reader.close()


def _version() -> str:
    """Of what a trace is read with: the sources that decide how batches look."""
    package = Path(spicemig.__file__).parent
    sources = [
        *package.glob("devices/trace/*.py"),
        package / "devices/drawables.py",
        *package.glob("wire/**/*.py"),
    ]
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
