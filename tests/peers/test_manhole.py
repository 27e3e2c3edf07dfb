# SPDX-License-Identifier: LGPL-2.1-or-later
"""OpenSSH's client in the manhole of a real daemon."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from spicemig.control import manual
from spicemig.wire.declare import CHANNEL_TYPES
from tests.peers.harness import CHECKOUT, Daemon, PeersTestCase, Program, Relay, eventually, why_no

MIXED = CHECKOUT / "tests" / "data" / "traces" / "mixed.trace.xz"
DISPLAY = (CHANNEL_TYPES["display"], 0)
PROMPT = "spicemig> "
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")
NUMBERS = re.compile(r"[0-9][0-9,.]*")
STEPS = ("sessions()", "stuck()", "channels({id})", "queues({id})", "clients[{id}].close()", "stuck()")

# joins standard input and output to a unix socket, as nc -U would
TO_UNIX = """
import os, select, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
while True:
    for ready in select.select([0, s], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else s.recv(65536)
        if not data: sys.exit()
        s.sendall(data) if ready == 0 else os.write(1, data)
"""


class Ssh(Program):
    """An ssh that was started; ``text`` is what it showed."""

    def __init__(self) -> None:
        super().__init__("ssh")
        self.raw = b""

    def childDataReceived(self, fd: int, data: bytes) -> None:
        self.raw += data

    @property
    def text(self) -> str:
        """What it showed, without what moves the cursor."""
        return ESCAPES.sub("", self.raw.decode("utf-8", "replace"))

    async def prompted(self, times: int) -> None:
        """Wait for a prompt."""

        def there() -> bool:
            assert self.running, self.text
            return self.text.count(PROMPT) >= times and self.text.endswith(PROMPT)

        await eventually(there, what=f"a prompt after {self.text!r}")

    async def type(self, line: str) -> None:
        """Type a line and wait for what follows."""
        times = self.text.count(PROMPT) + 1
        self.process.write(line.encode() + b"\r")
        await self.prompted(times)


class ManholeCase(PeersTestCase):
    """Daemons with a manhole, and keys."""

    def setUp(self) -> None:
        super().setUp()
        reason = why_no("ssh", "ssh-keygen")
        if reason:
            raise SkipTest(reason)
        self.keys = self.short_directory
        for name, kind in (("operator", "ed25519"), ("old", "rsa"), ("stranger", "ed25519")):
            self.make_key(name, kind)
        authorized = b"".join((self.keys / f"{name}.pub").read_bytes() for name in ("operator", "old"))
        (self.keys / "authorized").write_bytes(authorized)
        (self.keys / "authorized").chmod(0o600)

    def make_key(self, name: str, kind: str) -> None:
        """A key pair."""
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(self.keys / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    @property
    def manhole(self) -> dict[str, Any]:
        """The settings of a manhole that is a unix socket and a port."""
        listen = f"unix:{self.keys}/m.sock:mode=600 tcp:0:interface=127.0.0.1"
        return {"enabled": "yes", "listen": listen, "authorized_keys": self.keys / "authorized"}

    async def source(self, **demo: Any) -> Daemon:
        """A source with a manhole."""
        return await self.daemon("source", options={"manhole": self.manhole, "demo": demo})

    def ssh(self, to: Daemon, *command: str, key: str = "operator", unix: bool = False) -> Ssh:
        """OpenSSH's client, started with one key."""
        port = next(each for each in to.listening["manhole"] if ":" in each).rpartition(":")[2]
        options = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": self.keys / "known",
        }
        if unix:
            (self.keys / "pipe.py").write_text(TO_UNIX)
            options["ProxyCommand"] = f"{sys.executable} {self.keys}/pipe.py {self.keys}/m.sock"
        set_options = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        started = Ssh()
        arguments = ["/usr/bin/env", "ssh", "-F", "none", *set_options, "-i", str(self.keys / key)]
        started.start([*arguments, "-p", port, *(() if command else ("-tt",)), "root@127.0.0.1", *command])
        return self.program(started)

    async def ran(self, *arguments: Any, **named: Any) -> tuple[int, str]:
        """Exit status and output of an ssh that ends by itself."""
        started = self.ssh(*arguments, **named)
        return await started.when_ended(), started.text


class LoginTests(ManholeCase):
    """Who gets in."""

    async def test_keys(self) -> None:
        """Authorised keys of old and new kinds do, by TCP and by unix socket; others do not."""
        source = await self.source()
        for key, unix in (("operator", False), ("old", False), ("operator", True)):
            self.assertEqual(await self.ran(source, "guest.kind", key=key, unix=unix), (0, "'demo'\n"))
        status, said = await self.ran(source, "guest.kind", key="stranger")
        self.assertEqual(status, 255)
        self.assertIn("Permission denied (publickey)", said)
        self.assertTrue([line for line in source.lines if "was refused" in line])
        self.assertEqual((await self.ran(source, "1/0"))[0], 1)
        self.assertEqual((await self.ran(source, "exit()"))[0], 0)
        self.assertTrue(source.running)

    async def test_open_file(self) -> None:
        """A daemon whose list of keys others may write does not start, and says why."""
        (self.keys / "authorized").chmod(0o666)
        with self.assertRaises(AssertionError) as raised:
            await self.source()
        self.assertIn("[manhole] authorized_keys", str(raised.exception))


class StuckTests(ManholeCase):
    """What a manhole is for."""

    async def test_stuck_channel(self) -> None:
        """
        A viewer that reads no more is found among others: which channel, for what it waits, since when.

        What is seen here is a worked example of spicemig-manhole(7); with MANHOLE_SESSION=write
        in the environment it is written anew.
        """
        source = await self.source(draws_per_second=1000)
        well = await self.viewer(source.address())
        ill = await self.viewer(source.address())
        ill.connections[DISPLAY].transport.pauseProducing()
        text = await self.look(source, ill.connection_id, "acks|line|socket")
        self.assertNotIn(str(well.connection_id), stuck(text))
        self.check_example(text, manual.MANHOLE_SESSION)

    async def test_behind_a_relay(self) -> None:
        """
        At a relay it is found, too, who does not read: here a spice-gtk that is stopped, of two.

        The other worked example.
        """
        relay, ids = await self.relayed(
            unix=True,
            guest={"kind": "trace"},
            trace={"file": MIXED, "loop": "yes"},
            display={"image_compression": "off", "streaming": "off"},
        )
        text = await self.look(relay, ids["ill"], "client")
        self.assertNotIn(str(ids["well"]), stuck(text))
        self.assertRegex(text, r"  display:0 .* yes +no, \d+\.\d s\n")
        self.check_example(text, manual.MANHOLE_RELAY_SESSION)

    async def test_window_used_up(self) -> None:
        """It is found where the line has room for all that the server sends without acknowledgements."""
        relay, ids = await self.relayed()
        await self.found(relay, ids["ill"], "acks")

    async def relayed(self, unix: bool = False, **options: Any) -> tuple[Relay, dict[str, int]]:
        """A relay between a guest that draws a lot and two spice-gtk, one ill; and the clients' ids."""
        source = await self.daemon("source", options={"demo": {"draws_per_second": 1000}, **options})
        server = f"spice://127.0.0.1:{source.port('plain')}"
        relay = await self.relay(server, options={"manhole": self.manhole})
        ids: dict[str, int] = {}
        for name in ("well", "ill"):
            client = await self.gtk(name)
            await client.attach(**({"unix_path": relay.unix} if unix else {"port": relay.port("plain")}))
            sessions = (await relay.get("/v1/sessions"))["sessions"]
            (ids[name],) = {int(each["id"]) for each in sessions} - set(ids.values())
        client.kill(signal.SIGSTOP)
        return relay, ids

    async def found(self, daemon: Daemon, id: int, causes: str) -> None:
        """Wait until a client's display channel counts as stuck, for one of these causes."""
        row = rf"{id}  display:0  ({causes}) +\d+\.\d s  "

        async def there() -> bool:
            return re.search(row, (await self.ran(daemon, "stuck()"))[1]) is not None

        await eventually(there, 20, "the channel counts as stuck")

    async def look(self, daemon: Daemon, id: int, causes: str) -> str:
        """Look for the channel as an operator would, and end its connection; what was typed and shown."""
        ssh = self.ssh(daemon)
        await ssh.prompted(1)
        await self.found(daemon, id, causes)
        for step in STEPS:
            await ssh.type(step.format(id=id))
        ssh.process.write(b"\x04")
        self.assertEqual(await ssh.when_ended(), 0)
        self.assertRegex(stuck(ssh.text), rf"{id}  display:0  ({causes}) +\d+\.\d s  ")
        self.assertIn("No channel waits", ssh.text[ssh.text.rindex("> stuck()") :])
        return ssh.text

    def check_example(self, text: str, session: Path) -> None:
        """The manual shows the same but for numbers."""
        if os.environ.get("MANHOLE_SESSION") == "write":
            session.write_text(text.rstrip() + "\n", encoding="utf-8")
        self.assertEqual(heads(text), heads(session.read_text(encoding="utf-8")))


def stuck(text: str) -> str:
    """What was shown of channels that wait."""
    return text[text.index("> stuck()") : text.index("> channels(")]


def heads(text: str) -> list[str]:
    """What was typed, and the heads of the tables."""
    lines = [" ".join(NUMBERS.sub("N", line).split()) for line in text.splitlines()]
    return [line for line in lines if line.startswith((PROMPT.strip(), "client", "You", "No channel"))]
