# SPDX-License-Identifier: LGPL-2.1-or-later
"""A screen of its own (Xvfb) for programs with windows, and remote-viewer on it."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

from PIL import Image, ImageGrab
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutput

from tests.peers.harness import Program, eventually, why_no

NEEDED = ("Xvfb", "remote-viewer", "xdotool")


def why_no_windows() -> str | None:
    """Why remote-viewer cannot be tested here; None if it can."""
    return why_no(*NEEDED)


class XScreen(Program):
    """An X server without a screen; ``display`` is its name once it is up."""

    def __init__(self) -> None:
        super().__init__("Xvfb")
        self.display = ""

    async def up(self) -> XScreen:
        """Start it; it chooses its own number."""
        number = Path(tempfile.mkstemp(prefix="spicemig-display-")[1])
        with open(number, "w") as told:
            arguments = ["Xvfb", "-displayfd", "3", "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]
            arguments.append(
                "-noreset"
            )  # else it begins anew, and drops who is just coming, when a look at it is over
            self.process = reactor.spawnProcess(
                self,
                "/usr/bin/Xvfb",
                arguments,
                dict(os.environ),
                childFDs={0: "w", 1: "r", 2: "r", 3: told.fileno()},
            )
        await eventually(lambda: number.read_text().endswith("\n"), what="Xvfb has a display")
        self.display = ":" + number.read_text().strip()
        number.unlink()
        return self

    def picture(self) -> Image.Image:
        """All of the screen."""
        return ImageGrab.grab(xdisplay=self.display).convert("RGB")

    async def do(self, *arguments: str) -> str:
        """Run xdotool."""
        out = await getProcessOutput("/usr/bin/xdotool", arguments, {"DISPLAY": self.display}, errortoo=True)
        return out.decode()

    async def titles(self) -> list[str]:
        """The titles of the windows that are seen."""
        found = []
        for window in (await self.do("search", "--onlyvisible", "--name", ".")).split():
            found.append((await self.do("getwindowname", window)).strip())
        return found


class RemoteViewer(Program):
    """remote-viewer, unmodified, with a settings file of its own."""

    def __init__(self, screen: XScreen, directory: Path) -> None:
        super().__init__("remote-viewer")
        self.screen = screen
        self.directory = directory

    def open(self, **settings: Any) -> RemoteViewer:
        """Connect as a ``.vv`` file with these settings says."""
        file = self.directory / "connection.vv"
        lines = ["[virt-viewer]", "type=spice", *(f"{name}={value}" for name, value in settings.items())]
        file.write_text("\n".join(lines) + "\n")
        return self.open_address(str(file))

    def open_address(self, address: str, **more: str) -> RemoteViewer:
        """Connect to an address or by a file, with more in the environment."""
        environment = {
            "DISPLAY": self.screen.display,
            "GDK_BACKEND": "x11",
            "NO_AT_BRIDGE": "1",
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": str(self.directory),
            **more,
        }
        self.start(["/usr/bin/remote-viewer", address], environment)
        return self


def find(part: Image.Image, whole: Image.Image) -> tuple[int, int] | None:
    """Where a picture stands, pixel for pixel, inside another."""
    lines = [part.crop((0, y, part.width, y + 1)).tobytes() for y in range(part.height)]
    row = max(range(part.height), key=lambda y: len(zlib.compress(lines[y], 1)))  # not an empty one
    for y in range(whole.height):
        at = whole.crop((0, y, whole.width, y + 1)).tobytes().find(lines[row])
        left, top = at // 3, y - row
        if at < 0 or at % 3 or top < 0:
            continue
        if whole.crop((left, top, left + part.width, top + part.height)).tobytes() == part.tobytes():
            return left, top
    return None
