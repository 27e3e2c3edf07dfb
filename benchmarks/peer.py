# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The peer of replay: Debian's libspice-server, driven by the programs of ``../shared/tools/peer``.

They are compiled into ``build/peer``; without ``libspice-server-dev`` there is no
peer, and what was measured before (``../shared/baselines``) takes its place.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from typing import Any

from benchmarks.tables import PROJECT, SHARED

TOOLS = SHARED / "tools" / "peer"
BUILD = PROJECT / "build" / "peer"
PACKAGES = ("spice-server", "glib-2.0")
# how replaybench is paced: it stops after large records until what is under way has been sent
PACES: dict[str, tuple[str, ...]] = {"paced": ("-k", "4", "-m", "65536"), "burst": ()}
QUIET_SECONDS = 0.5  # without a byte for the client: all has arrived
PATIENCE_SECONDS = 60.0
ATTEMPTS = 3


class NoPeer(Exception):
    """Why there is none here."""


def build() -> tuple[Path, Path]:
    """The programs ``replaybench`` and ``sink``, compiled if they are not there; raises :class:`NoPeer`."""
    programs = (BUILD / "replaybench", BUILD / "sink")
    sources = tuple(TOOLS / f"{program.name}.c" for program in programs)
    for source in sources:
        if not source.exists():
            raise NoPeer(f"{source} is not there")
    if all(_newer(program, source) for program, source in zip(programs, sources, strict=True)):
        return programs
    compiler, pkg_config = shutil.which("gcc") or shutil.which("cc"), shutil.which("pkg-config")
    if compiler is None or pkg_config is None:
        raise NoPeer("gcc and pkg-config are needed to compile it")
    asked = subprocess.run(
        [pkg_config, "--cflags", "--libs", *PACKAGES], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise NoPeer("apt install libspice-server-dev libglib2.0-dev libssl-dev to have it measured, too")
    BUILD.mkdir(parents=True, exist_ok=True)
    flags = {"replaybench": [*asked.stdout.split(), "-lpthread"], "sink": ["-lcrypto"]}
    for program, source in zip(programs, sources, strict=True):
        command = [compiler, "-O2", "-w", "-o", str(program), str(source), *flags[program.name]]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise NoPeer(f"{source} cannot be compiled: {made.stderr.strip().splitlines()[0]}")
    return programs


def _newer(made: Path, source: Path) -> bool:
    return made.exists() and made.stat().st_mtime >= source.stat().st_mtime


def replay(trace: Path, mode: int, pace: str, barriers: Sequence[int], streaming: bool) -> dict[str, Any]:
    """As :func:`_replay`; begins again where it stood still, as it does now and then."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _replay(trace, mode, pace, barriers, streaming)
        except NoPeer as error:
            print(f"{trace.name}: {error}; once more", flush=True)
    return _replay(trace, mode, pace, barriers, streaming)


def _replay(trace: Path, mode: int, pace: str, barriers: Sequence[int], streaming: bool) -> dict[str, Any]:
    """
    Play a plain trace through libspice-server to a client that keeps nothing.

    ``cpu_seconds`` is the whole server's. Where it could not have all commands in
    memory before (``preloaded`` false) another thread reads the trace meanwhile, and
    it is that of the server's worker only.
    """
    server_program, client_program = build()
    port = _free_port()
    command = [str(server_program), "-f", str(trace), "-p", str(port), "-C", str(mode)]
    command += ["-S", "3" if streaming else "1", *PACES[pace]]
    if barriers:
        command += ["-b", ",".join(map(str, barriers))]
    events: dict[str, dict[str, Any]] = {}
    client = None
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as server:
        assert server.stdin is not None and server.stdout is not None

        watchdog = Timer(PATIENCE_SECONDS, server.kill)
        watchdog.start()

        def until(name: str) -> None:
            assert server.stdout is not None
            while name not in events:
                line = server.stdout.readline()
                if not line:
                    raise NoPeer(f"libspice-server ended or stood still before it was {name}")
                event = json.loads(line)
                events[event["ev"]] = event

        try:
            until("preloaded")
            client = subprocess.Popen(
                [str(client_program), str(port)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            until("consumed")
            await_quiet(client.pid)
            client.terminate()
            seen = json.loads(client.communicate()[0])
            server.stdin.write("q\n")
            until("final")
        finally:
            watchdog.cancel()
            server.kill()
            if client is not None and client.poll() is None:
                client.kill()
                client.wait()
    final = events["final"]
    shown = display_of(seen)
    preloaded = bool(events["preloaded"]["eof"])
    return {
        "seconds": max(final["t_last_pop"], shown["last"]) - final["t_start"],
        "cpu_seconds": final["cpu_process"] if preloaded else final["cpu_worker"],
        "preloaded": preloaded,
        "bytes_sent": shown["bytes"],
        "messages": shown["msgs"],
        "max_rss_bytes": final["maxrss_kb"] * 1024,
        "client_cpu_seconds": seen["cpu"],
    }


def display_of(seen: dict[str, Any]) -> dict[str, Any]:
    """The display channel of what ``sink`` tells."""
    found: dict[str, Any] = next(channel for channel in seen["channels"] if channel["type"] == 2)
    return found


def await_quiet(pid: int) -> None:
    """Wait until this process has read nothing for a while."""
    end = time.monotonic() + PATIENCE_SECONDS
    before, since = -1, time.monotonic()
    while time.monotonic() < end:
        read = int(Path(f"/proc/{pid}/io").read_text().split()[1])
        if read != before:
            before, since = read, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
