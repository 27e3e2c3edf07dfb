# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stock QEMU with spice-server, and a guest of 63 bytes that shows what is typed, and moves if wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from tests.peers.harness import Program, eventually

QEMU = "qemu-system-x86_64"

BUSY = " "  # the key that has the guest change a character with every tick, and stop that
TICK_SECONDS = 0.055

# The character that changes is white on blue: after a seamless migration QEMU sends only what is not
# black any more, as its target takes the screen for black, and so leaves pixels of the source with clients.
ECHO = bytes.fromhex(
    "31c0 8ed8 b800b8 8ec0"  # xor ax,ax; mov ds,ax; mov ax,0b800h (the screen); mov es,ax
    "c606007e00"  # mov byte [7e00h],0 (whether it is busy)
    "26c6069f001f"  # mov byte es:[9fh],1fh (that character is white on blue)
    "fb f4"  # again: sti; hlt (for a tick of the clock)
    "f606007e01 7405"  # test byte [7e00h],1; jz keys
    "26fe069e00"  # inc byte es:[9eh] (the last character of the first line)
    "b401 cd16 74ec"  # keys: mov ah,1; int 16h (whether there is one); jz again
    "b400 cd16 3c20 7507"  # mov ah,0; int 16h (which one); cmp al,' '; jnz show
    "8036007e01 ebeb"  # xor byte [7e00h],1; jmp keys
    "b40e b700 cd10 ebe3"  # show: mov ah,0eh; mov bh,0; int 10h; jmp keys
)
SECTOR_BYTES, FLOPPY_BYTES = 512, 1440 * 1024
TEXT_ADDRESS, COLUMNS, ROWS = 0xB8000, 80, 25


class Monitor(LineOnlyReceiver):
    """QMP: commands, answers and events, a JSON object a line."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._answers: list[Deferred] = []

    def lineReceived(self, line: bytes) -> None:
        said = json.loads(line)
        if "event" in said:
            self.events.append(said)
        elif "return" in said or "error" in said:
            self._answers.pop(0).callback(said)

    async def do(self, command: str, **arguments: Any) -> Any:
        """Run a command; its answer."""
        answer: Deferred = Deferred()
        self._answers.append(answer)
        names = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.sendLine(json.dumps({"execute": command, "arguments": names}).encode())
        said = await answer.addTimeout(20, reactor)
        if "error" in said:
            raise AssertionError(f"{command}: {said['error']['desc']}")
        return said["return"]


class Qemu(Program):
    """
    A virtual machine; ``incoming`` ones wait for another to be moved to them.

    ``seamless`` is QEMU's own option. ``many_clients`` may connect at once if spice-server is
    asked for that, which it says is not finished. With a ticket, clients must know it.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        port: int,
        ticket: str = "",
        seamless: bool = True,
        many_clients: bool = False,
        incoming: int = 0,
    ) -> None:
        super().__init__(name)
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self.spice_port = port
        self.ticket = ticket
        self.seamless = seamless
        self.many_clients = many_clients
        self.incoming = incoming
        self.monitor: Monitor

    async def up(self) -> Qemu:
        """Start it, and wait until its monitor answers."""
        floppy, socket = self.directory / "floppy", self.directory / "monitor"
        sector = ECHO.ljust(SECTOR_BYTES - 2, b"\0") + b"\x55\xaa"
        floppy.write_bytes(sector.ljust(FLOPPY_BYTES, b"\0"))
        spice = f"addr=127.0.0.1,port={self.spice_port},seamless-migration={'on' if self.seamless else 'off'}"
        more = ["-incoming", f"tcp:127.0.0.1:{self.incoming}"] if self.incoming else []
        if self.ticket:
            more += ["-object", f"secret,id=ticket,data={self.ticket}"]
            spice += ",password-secret=ticket"
        else:
            spice += ",disable-ticketing=on"
        machine = ["-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-display", "none", "-vga", "qxl"]
        disk = ["-drive", f"file={floppy},format=raw,if=floppy,readonly=on", "-boot", "a"]
        self.start(
            ["/usr/bin/env", QEMU, *machine, *disk, "-spice", spice]
            + ["-qmp", f"unix:{socket},server=on,wait=off", *more],
            {"SPICE_DEBUG_ALLOW_MC": "1"} if self.many_clients else None,
        )

        endpoint = UNIXClientEndpoint(reactor, str(socket), timeout=5)

        async def answers() -> Monitor | None:
            assert self.running, "\n".join(self.lines)
            try:
                return await endpoint.connect(Factory.forProtocol(Monitor))
            except ConnectError:
                return None

        self.monitor = await eventually(answers, 20, f"{self.name} runs")
        await self.monitor.do("qmp_capabilities")
        return self

    async def end(self) -> None:
        if hasattr(self, "monitor"):
            self.monitor.transport.abortConnection()
        await super().end()

    async def text(self) -> str:
        """What stands on the screen of the guest."""
        dump = self.directory / "text"
        size = COLUMNS * ROWS * 2
        await self.monitor.do("pmemsave", val=TEXT_ADDRESS, size=size, filename=str(dump))
        return dump.read_bytes()[::2].decode("cp437")

    async def typed(self) -> str:
        """The letters at the end of the screen's text."""
        found = re.search(r"([a-z]*)[\s\0]*$", await self.text())
        return found[1] if found else ""

    async def screenshot(self) -> Image.Image:
        """The guest's picture."""
        file = self.directory / "screen.ppm"
        await self.monitor.do("screendump", filename=str(file))
        return Image.open(file).convert("RGB")

    async def migrate(
        self,
        to: Qemu,
        until_linked: Callable[[], Any],
        patience_seconds: float = 10.0,
        *,
        host: str = "127.0.0.1",
    ) -> None:
        """
        Move the machine and its clients as libvirt does: tell the clients first, and be
        done when spice-server says that they have left. ``until_linked`` takes the time
        that moving a larger machine takes; ``host`` is where clients find the target.
        """
        await self.monitor.do("client_migrate_info", protocol="spice", hostname=host, port=to.spice_port)
        await until_linked()
        await self.monitor.do("migrate", uri=f"tcp:127.0.0.1:{to.incoming}")

        def left() -> bool:
            return any(event["event"] == "SPICE_MIGRATE_COMPLETED" for event in self.monitor.events)

        await eventually(left, 10 + patience_seconds, "spice-server has let its clients go")

        async def runs() -> bool:
            return (await to.monitor.do("query-status"))["status"] == "running"

        await eventually(runs, 20, f"{to.name} runs the guest")
