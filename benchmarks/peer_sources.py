# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The peer of the codecs: those of spice-server and spice-gtk, from their sources.

``peer_codecs.c`` is compiled together with them in ``build/peer``. On Debian
``apt-get source spice spice-gtk`` gives the sources.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peer import BUILD, NoPeer

DRIVER = Path(__file__).parent / "peer_codecs.c"
PACKAGES = ("glib-2.0", "gio-2.0", "pixman-1", "spice-protocol")
COMMON = ("quic", "lz", "log", "mem", "canvas_utils", "pixman_utils")
SERVER = ("glz-encoder", "glz-encoder-dict")
CLIENT = ("decode-glz",)


def build(folder: Path) -> Path:
    """The program, from the unpacked sources in a folder; raises :class:`NoPeer`."""
    server, client = _source(folder, "spice-0*"), _source(folder, "spice-gtk-*")
    common = server / "subprojects" / "spice-common"
    compiler, pkg_config = shutil.which("gcc") or shutil.which("cc"), shutil.which("pkg-config")
    if compiler is None or pkg_config is None:
        raise NoPeer("gcc and pkg-config are needed to compile it")
    asked = subprocess.run([pkg_config, "--cflags", "--libs", *PACKAGES], capture_output=True, text=True)
    if asked.returncode:
        raise NoPeer("apt install libglib2.0-dev libpixman-1-dev libspice-protocol-dev")
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "config.h").write_text("")
    program = BUILD / "peer_codecs"
    sources = [
        DRIVER,
        *(common / "common" / f"{name}.c" for name in COMMON),
        *(server / "server" / f"{name}.c" for name in SERVER),
        *(client / "src" / f"{name}.c" for name in CLIENT),
    ]
    folders = (BUILD, common, common / "common", client / "src", server / "server")
    command = [compiler, "-O2", "-w", '-DG_LOG_DOMAIN="peer"', *(f"-I{each}" for each in folders)]
    command += ["-o", str(program), *map(str, sources), *shlex.split(asked.stdout), "-lpthread", "-lm"]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise NoPeer(f"the sources in {folder} cannot be compiled: {made.stderr.strip().splitlines()[0]}")
    return program


def _source(folder: Path, pattern: str) -> Path:
    found = sorted(path for path in folder.glob(pattern) if path.is_dir())
    if not found:
        raise NoPeer(f"there is no {pattern} in {folder}; apt-get source spice spice-gtk")
    return found[-1]


def measure(
    program: Path, seconds: float, width: int, height: int, files: Sequence[Path]
) -> list[dict[str, Any]]:
    """What the program says of raw images of 32 bits: a row for each image (by number) and codec."""
    command = [str(program), str(seconds), str(width), str(height), *map(str, files)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in said.stdout.splitlines()]
