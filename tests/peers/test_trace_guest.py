# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Recorded traces as guests of real daemons, with spice-gtk attached.

Where traces of real guests lie is ``$SPICEMIG_TRACES``, or ``shared/traces`` beside the
checkout. All of them take some minutes; those that have a short time are played.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from twisted.trial.unittest import SkipTest

from spicemig.devices.trace.commands import HEAD, write_record
from spicemig.devices.trace.reader import TraceReader
from spicemig.devices.trace.records import DeviceCall
from tests.peers.harness import CHECKOUT, Daemon, GtkClient, PeersTestCase, eventually, sleep, spicemig
from tests.trace_pictures import Shot, shots_of

TRACES = Path(os.environ.get("SPICEMIG_TRACES", CHECKOUT.parent / "shared" / "traces"))
MIXED = CHECKOUT / "tests" / "data" / "traces" / "mixed.trace.xz"
MIXED_COMMANDS = 384

ATTACH_SECONDS = 3.0  # in which the client comes, before the first drawing
LOOK_SECONDS = 2.0  # at every reference point, in which the pictures are compared
NAMES = ("browser", "guest", "video")


def paced(trace: Path, out: Path, stops: dict[int, float], step_seconds: float) -> None:
    """
    Write a trace anew with another pace.

    Between commands are ``step_seconds``, and behind the command with a number in
    ``stops`` there are so many seconds more.
    """
    reader = TraceReader(trace)
    now = 0
    attached = False
    with open(out, "wb") as file:
        file.write(HEAD.write())
        for counter, record in enumerate(reader):
            now += int(record.is_command * step_seconds * 1e9)
            file.writelines(write_record(counter, now, record.value))
            if not attached and isinstance(record.value, DeviceCall) and record.value.primary is not None:
                attached = True
                now += int(ATTACH_SECONDS * 1e9)
            if record.is_command:
                now += int(stops.pop(reader.commands, 0) * 1e9)
    reader.close()


class TraceCase(PeersTestCase):
    """A source that plays a trace, and a client that came before the first drawing."""

    timeout = 600

    async def played(self, trace: Path, stops: list[int], step_seconds: float) -> tuple[Daemon, GtkClient]:
        file = self.directory / "paced.trace"
        paced(trace, file, dict.fromkeys(stops, LOOK_SECONDS), step_seconds)
        source = await self.daemon("source", options=self.settings(file))
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        return source, client

    def settings(self, file: Path) -> dict[str, dict[str, Any]]:
        return {"guest": {"kind": "trace"}, "trace": {"file": file, "speed": "real"}}

    async def commands(self, source: Daemon, count: int, seconds: float) -> None:
        """Wait until so many were played."""

        async def there() -> bool:
            return (await source.get("/v1/guest"))["commands"] >= count

        await eventually(there, seconds, f"{count} commands were played")

    async def shows(self, client: GtkClient, wanted: Path, seconds: float) -> None:
        """Wait until the client shows this picture."""
        with Image.open(wanted) as opened:
            reference = opened.convert("RGB")
        shown: list[Image.Image] = []

        async def same() -> bool:
            picture = await client.picture(self.directory)
            shown[:] = [picture] if picture is not None else []
            return (
                picture is not None
                and picture.size == reference.size
                and picture.tobytes() == reference.tobytes()
            )

        try:
            await eventually(same, seconds, f"spice-gtk shows {wanted.name}")
        except AssertionError:
            for picture in shown:
                picture.save(self.directory / f"instead-of-{wanted.name}")
            raise


def shown_as_the_reference(name: str, step_seconds: float) -> Callable[[TraceCase], Any]:
    """A test of one trace."""

    async def test(self: TraceCase) -> None:
        trace = TRACES / f"{name}.trace.xz"
        if not trace.exists():
            raise SkipTest(f"there is no {trace}")
        shots: list[Shot] = shots_of(trace)
        _source, client = await self.played(trace, [shot.commands for shot in shots], step_seconds)
        for shot in shots:
            await self.commands(_source, shot.commands, 300)
            await self.shows(client, shot.picture, LOOK_SECONDS)

    test.__doc__ = f"At every reference point of {name} spice-gtk shows the reference picture."
    return test


class RecordedTests(TraceCase):
    """What real guests drew."""

    for _name in NAMES:
        locals()[f"test_{_name}"] = shown_as_the_reference(_name, 0.0001)


class MovingTests(TraceCase):
    """A trace as guest is handed over in the middle."""

    async def test_there_and_back(self) -> None:
        """A trace that is handed over six times while it plays ends with the picture of one that stayed."""
        file = self.directory / "slow.trace"
        paced(MIXED, file, {}, 0.02)
        source, target = await self.hosts(**self.settings(file))
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        here, there = source, target
        played = []
        for _ in range(6):
            report = await here.migrate(there)
            self.assertEqual(report["outcome"], "completed", report)
            self.assertEqual([each["mode"] for each in report["clients"]], ["seamless"])
            here, there = there, here
            played.append((await here.get("/v1/guest"))["commands"])
            await sleep(0.8)
        self.assertGreater(len(set(played)), 3, played)
        await self.commands(here, MIXED_COMMANDS, 60)
        expected = self.directory / "expected.png"
        await spicemig("replay", str(MIXED), "--screenshot", str(expected))
        await self.shows(client, expected, 5)

    async def test_another_file(self) -> None:
        """A target whose file is another one is found out before anything happens."""
        other = self.directory / "other.trace"
        other.write_bytes(HEAD.write())
        source = await self.daemon("source", options=self.settings(MIXED))
        target = await self.daemon("target", options=self.settings(other))
        report = await source.migrate(target)
        self.assertEqual(report["outcome"], "failed")
        self.assertIn("[trace] file", str(report["problems"]))


class LoadTests(TraceCase):
    """A trace that is played as fast as possible leaves time for everything else."""

    async def test_answers(self) -> None:
        """The control socket answers at once all the while."""
        settings = {"guest": {"kind": "trace"}, "trace": {"file": MIXED, "speed": "max", "loop": "yes"}}
        source = await self.daemon("source", options=settings)
        client = await self.gtk()
        await client.attach(port=source.port("plain"))
        worst = 0.0
        for _ in range(100):
            asked = time.monotonic()
            await source.get("/v1/status")
            worst = max(worst, time.monotonic() - asked)
        self.assertLess(worst, 0.5)
        self.assertGreater((await source.get("/v1/guest"))["passes"], 1)


class RecordTests(TraceCase):
    """``spicemig record`` with a real daemon."""

    async def test_demo(self) -> None:
        """What the demo guest drew can be replayed."""
        source = await self.daemon("source", options={"demo": {"draws_per_second": 100}})
        file = self.directory / "demo.trace.xz"
        _out, err, status = await spicemig(
            "--control", str(source.control), "record", str(file), "--seconds", "1.5"
        )
        self.assertEqual((err, status), ("", 0))
        picture = self.directory / "demo.png"
        out, err, status = await spicemig("--json", "replay", str(file), "--screenshot", str(picture))
        self.assertEqual((err, status), ("", 0))
        with Image.open(picture) as image:
            self.assertEqual(image.size, (1024, 768))
