# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig replay`` and ``spicemig record``."""

from __future__ import annotations

import contextlib
import io
import json
import lzma
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from spicemig.control import recording
from spicemig.control.cli import main
from spicemig.control.connection import ControlError
from spicemig.control.record import run_record
from spicemig.devices.drawables import DeviceImage
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.trace.preloaded import LARGE_RECORD_BYTES, Preloaded
from spicemig.devices.trace.reader import TraceReader
from spicemig.devices.trace.records import Draw, Record
from spicemig.guests import registry
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import DrawBase, Rect
from spicemig.wire.enums import BitmapFormat
from spicemig.wire.messages.display import DrawCopy
from tests.test_control_api import APICase, split
from tests.trace_pictures import Shot, compare, differences

MIXED = Path(__file__).parent / "data" / "traces" / "mixed.trace.xz"


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(arguments))
    return status, out.getvalue(), err.getvalue()


class ReplayTests(SynchronousTestCase):
    """A trace is played without a daemon."""

    def test_json(self) -> None:
        """The report counts commands by type, and tells time and memory."""
        for arguments in (("--json", "replay", str(MIXED)), ("replay", str(MIXED), "--json")):
            status, out, err = run(*arguments)
            self.assertEqual((status, err), (0, ""))
            report = json.loads(out)
            self.assertEqual(report["commands"], 384)
            self.assertEqual(sum(report["by_type"].values()), 384)
            self.assertEqual(report["by_type"]["copy"], 125)
            for measured in ("seconds", "cpu_seconds", "max_rss_bytes"):
                self.assertGreater(report[measured], 0)

    def test_text(self) -> None:
        """Without JSON it is for people."""
        status, out, _err = run("replay", str(MIXED), "--until", "20")
        self.assertEqual(status, 0)
        self.assertTrue(out.startswith("20 commands in "))

    def test_screenshot(self) -> None:
        """A picture of the screen, or of another surface, at any command."""
        name = self.mktemp() + ".png"
        self.assertEqual(run("replay", str(MIXED), "--screenshot", name)[0], 0)
        with Image.open(name) as picture:
            self.assertEqual((picture.size, picture.mode), ((300, 200), "RGB"))
        self.assertEqual(run("replay", str(MIXED), "--until", "343", "--screenshot", name)[0], 0)
        with Image.open(name) as picture:
            self.assertEqual(picture.size, (480, 360))
        run("replay", str(MIXED), "--until", "320", "--surface", "1", "--screenshot", name)
        with Image.open(name) as picture:
            self.assertNotEqual(picture.size, (480, 360))

    def test_no_such_surface(self) -> None:
        """A picture of nothing is an error."""
        status, _out, err = run("replay", str(MIXED), "--surface", "77", "--screenshot", "never.png")
        self.assertEqual((status, "no surface 77" in err), (1, True))

    def test_damaged(self) -> None:
        """A trace that is cut short is played as far as it goes, and the picture is made."""
        name = self.mktemp()
        Path(name).write_bytes(lzma.decompress(MIXED.read_bytes())[:1_500_000])
        status, out, err = run("--json", "replay", name, "--screenshot", name + ".png")
        self.assertEqual(status, 1)
        self.assertGreater(json.loads(out)["commands"], 50)
        self.assertRegex(err, r"at byte 1\d{6}: the trace ends in the middle of a record")
        self.assertTrue(Path(name + ".png").exists())

    def test_no_trace(self) -> None:
        """A file that is no trace is told so."""
        status, _out, err = run("replay", __file__)
        self.assertEqual((status, "not a QXL trace" in err), (1, True))


class Sized:
    """Reads the same record again and again, of these sizes in the trace."""

    def __init__(self, value: Any, sizes: tuple[int, ...]) -> None:
        self.value, self.sizes = value, list(sizes)
        self.offset = self.commands = 0

    def next(self) -> Record | None:
        """The next record."""
        if not self.sizes:
            return None
        self.offset += self.sizes.pop(0)
        self.commands += 1
        return Record(self.offset, 0, True, self.value)


class EncodeTests(SynchronousTestCase):
    """A trace is played to a client in the same process."""

    def report(self, *arguments: str) -> dict[str, Any]:
        """What ``replay --encode`` tells of the trace."""
        status, out, err = run("--json", "replay", str(MIXED), "--encode", *arguments)
        self.assertEqual((status, err), (0, ""))
        report: dict[str, Any] = json.loads(out)
        return report

    def test_counts(self) -> None:
        """Commands, messages, bytes and images by codec are counted."""
        report = self.report("off")
        self.assertEqual((report["commands"], report["by_type"]["copy"]), (384, 125))
        self.assertEqual(set(report["images_by_codec"]), {"bitmap", "surface"})
        self.assertGreater(report["messages"], 300)
        self.assertGreater(report["bytes_sent"], 3_000_000)
        for measured in ("seconds", "cpu_seconds", "max_rss_bytes"):
            self.assertGreater(report[measured], 0)

    def test_codecs(self) -> None:
        """Images go out in the codecs of the mode, which saves bytes."""
        plain = self.report("off", "--until", "150")
        packed = self.report("lz", "--until", "150")
        self.assertGreater(packed["images_by_codec"]["lz_rgb"], 30)
        self.assertEqual(packed["messages"], plain["messages"])
        self.assertLess(packed["bytes_sent"], plain["bytes_sent"] / 2)

    def test_paced(self) -> None:
        """With pauses the same is sent whatever the threads do."""
        first = self.report("lz", "--workers", "1")
        second = self.report("lz", "--workers", "3")
        for counted in ("messages", "bytes_sent", "images_by_codec"):
            self.assertEqual(first[counted], second[counted])

    def test_burst(self) -> None:
        """Without pauses everything comes to its end too, with fewer messages."""
        report = self.report("quic", "--pace", "burst")
        self.assertEqual(report["commands"], 384)
        self.assertGreater(report["messages"], 0)
        self.assertLessEqual(report["messages"], self.report("quic")["messages"])

    def test_batches(self) -> None:
        """With pauses, a batch ends with a command that is large in the trace; without, it does not."""
        box = Rect(0, 0, 4, 4)
        image = DeviceImage(4, 4, BitmapFormat.BIT32, 16, bytes(64))
        copy = Draw("copy", DrawCopy(DrawBase(0, box), Placeholder(image), box), 1, 0)
        small = LARGE_RECORD_BYTES - 1
        sizes = (small, LARGE_RECORD_BYTES, small, small, LARGE_RECORD_BYTES)
        for pauses, batches in ((True, [2, 3]), (False, [5])):
            device = mock.Mock()
            trace = Preloaded(Sized(copy, sizes), pauses=pauses)
            list(trace.play(device))
            self.assertEqual([len(call.args[0]) for call in device.draw.call_args_list], batches)
            self.assertEqual((len(trace), trace.by_type["copy"]), (0, 5))

    def test_screenshot(self) -> None:
        """The picture is what it is without a client."""
        names = [self.mktemp() + ".png" for _ in range(2)]
        run("replay", str(MIXED), "--screenshot", names[0])
        run("replay", str(MIXED), "--encode", "lz4", "--screenshot", names[1])
        self.assertEqual(*(Path(name).read_bytes() for name in names))


class PicturesTests(SynchronousTestCase):
    """The tool that compares with reference pictures finds differences."""

    def test_difference(self) -> None:
        """The first wrong pixel of a picture is told, with both colours."""
        name = self.mktemp() + ".png"
        Image.new("RGB", (4, 3), "#102030").save(name)
        ours = Image.new("RGB", (4, 3), "#102030")
        self.assertIsNone(compare(Shot(1, Path(name)), ours, []))
        ours.putpixel((2, 1), (1, 2, 3))
        found = compare(Shot(1, Path(name)), ours, [])
        self.assertEqual((found.pixels, found.x, found.y, found.ours), (1, 2, 1, (1, 2, 3)))

    def test_blame(self) -> None:
        """So are the commands that touch it."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "mixed.trace.xz").write_bytes(MIXED.read_bytes())
        Image.new("RGB", (480, 360)).save(folder / "black.png")
        shots = {"shots": [[17, "black.png", [480, 360]]]}
        (folder / "mixed.shots.json").write_text(json.dumps(shots))
        (found,) = differences(folder / "mixed.trace.xz")
        self.assertIn("copy to left 0 top 0 right 120 bottom 90", str(found))


class RecordingTests(APICase):
    """The control API sends a trace of what is drawn."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.host.sessions.clock = Clock()
        self.device = self.host.sessions.device = QXLDevice()
        self.guest = self.host.sessions.guest = registry.make("demo", {}, self.clock)
        self.addCleanup(self.guest.shut_down)
        self.guest.attach(self.device)
        self.guest.power_on()

    def trace(self, transport: StringTransport) -> int:
        """How many commands the trace in this answer has."""
        status, _head, body = split(transport.value())
        self.assertEqual(status, 200)
        name = self.mktemp()
        Path(name).write_bytes(body)
        reader = TraceReader(name)
        self.addCleanup(reader.close)
        list(reader)
        return reader.commands

    def test_until_ended(self) -> None:
        """It goes on until it is ended, and is whole then."""
        transport = self.send("GET", "/v1/recording")
        self.clock.advance(1)
        self.clock.advance(1)
        status, said = self.ask("DELETE", "/v1/recording")
        self.assertEqual(status, 200)
        self.assertEqual(self.trace(transport), said["recordings"][0]["commands"])
        self.assertGreater(said["recordings"][0]["commands"], 2)
        self.assertEqual(self.ask("DELETE", "/v1/recording")[1], {"recordings": []})

    def test_guest_leaves(self) -> None:
        """It ends when the guest has gone to another host."""
        transport = self.send("GET", "/v1/recording")
        self.host.sessions.device = QXLDevice()
        self.clock.advance(recording.LOOK_SECONDS)
        self.assertTrue(transport.disconnecting or transport.value().endswith(b"0\r\n\r\n"))
        self.assertGreater(self.trace(transport), 0)

    def test_reader_leaves(self) -> None:
        """It ends when nobody reads any more."""
        self.send("GET", "/v1/recording")
        self.assertEqual(len(self.device._displays), 1)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.device._displays, [])

    def test_slow_reader(self) -> None:
        """A reader that is too slow does not take all memory: it is cut off."""
        self.patch(recording, "BACKLOG_BYTES", 1000)
        transport = self.send("GET", "/v1/recording")
        transport.producer.pauseProducing()
        for _ in range(20):
            self.clock.advance(1)
        self.assertEqual(self.device._displays, [])
        self.assertTrue(transport.disconnecting)

    def test_nothing_lost_while_paused(self) -> None:
        """What is drawn while the reader rests comes when it goes on."""
        transport = self.send("GET", "/v1/recording")
        transport.producer.pauseProducing()
        size = len(transport.value())
        self.clock.advance(2)
        self.assertEqual(len(transport.value()), size)
        transport.producer.resumeProducing()
        self.ask("DELETE", "/v1/recording")
        self.assertGreater(self.trace(transport), 1)

    def test_no_guest(self) -> None:
        """Without a guest there is nothing to record."""
        self.host.sessions.guest = None
        self.assertEqual(self.ask("GET", "/v1/recording")[0], 404)


class Response(io.BytesIO):
    """An answer that is there at once."""

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)


class FakeControl:
    """A daemon that sends this."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def open(self, method: str, path: str) -> tuple[Any, Any]:
        return io.BytesIO(), Response(self.data)


class RecordTests(SynchronousTestCase):
    """The command writes what the daemon sends."""

    def test_compressed(self) -> None:
        """The file is compressed if it is called so."""
        data = b"SPICE_REPLAY 1\n" * 9
        plain, packed = self.mktemp(), self.mktemp() + ".xz"
        self.assertEqual(run_record(FakeControl(data), plain)["trace_bytes"], len(data))
        run_record(FakeControl(data), packed, 5)
        self.assertEqual(Path(plain).read_bytes(), data)
        self.assertEqual(lzma.decompress(Path(packed).read_bytes()), data)

    def test_no_place(self) -> None:
        """A file that cannot be written is told."""
        with self.assertRaisesRegex(ControlError, "no/where: No such file"):
            run_record(FakeControl(b""), "no/where")
