# SPDX-License-Identifier: LGPL-2.1-or-later
"""``spicemig codec``."""

from __future__ import annotations

import io
import json
import random
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from spicemig.control import cli, codec

DATA = Path(__file__).parent / "data"
VECTORS = Path(__file__).parents[2] / "shared" / "vectors"


class CommandCase(SynchronousTestCase):
    """A directory for files, and the command."""

    def setUp(self) -> None:
        self.top = Path(self.mktemp())
        self.top.mkdir()

    def file(self, name: str, data: bytes) -> str:
        """A file with some bytes; its name."""
        path = self.top / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def run_codec(self, *arguments: object, status: int = 0) -> str:
        """What the command prints, to either side, with this exit status."""
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            self.assertEqual(cli.main(["codec", *map(str, arguments)]), status, said.getvalue())
        return said.getvalue()

    def there_and_back(self, raw: bytes, *options: object) -> bytes:
        """Encode a file, decode what comes out; what comes back."""
        source = self.file("raw", raw)
        self.run_codec("encode", *options, source, self.top / "coded")
        self.run_codec("decode", *options, self.top / "coded", self.top / "back")
        return (self.top / "back").read_bytes()


class VectorTests(CommandCase):
    """The command makes what the vectors have."""

    def test_quic(self) -> None:
        """The recorded QUIC streams, of every type."""
        data = (DATA / "quic" / "vectors.bin").read_bytes()
        vectors = json.loads((DATA / "quic" / "vectors.json").read_text())
        for vector in {each["type"]: each for each in vectors}.values():
            raw, coded = (data[start : start + size] for start, size in (vector["raw"], vector["coded"]))
            size = f"{vector['width']}x{vector['height']}"
            options = "--codec", "quic", "--type", vector["type"], "--size", size
            back = self.there_and_back(raw, *options, "--stride", vector["stride"])
            self.assertEqual((self.top / "coded").read_bytes(), coded)
            if "note" not in vector:
                self.assertEqual(back, raw)

    def test_lz4(self) -> None:
        """LZ4 as the display channel carries it, with the size in front, and without."""
        record = json.loads((DATA / "lz4_16bit_50x21.json").read_text())
        payload, raw = bytes.fromhex(record["payload"]), bytes.fromhex(record["pixels"])
        for coded in (payload, len(payload).to_bytes(4, "little") + payload):
            size = f"{record['width']}x{record['height']}"
            coded_file, out = self.file("coded", coded), self.top / "raw"
            self.run_codec("decode", "--codec", "lz4", "--type", "rgb16", "--size", size, coded_file, out)
            self.assertEqual(out.read_bytes(), raw)

    def test_shared(self) -> None:
        """Every shared vector of a codec and a type that the command has."""
        if not VECTORS.is_dir():
            raise SkipTest("the shared vectors are not here")
        found = 0
        windows: dict[str, codec.Decode] = {}  # by group, in whose order the vectors are
        for vector in json.loads((VECTORS / "index.json").read_text())["vectors"]:
            known = codec.CODECS.get(vector["codec"])
            if known is None or "note" in vector:
                continue
            self.assertIn(vector["type"], known.types)
            found += 1
            data = self.bytes_of(vector["file"])
            raw = data[vector["raw_offset"] :][: vector["raw_size"]]
            shape = codec.Shape(
                vector["type"], vector["width"], vector["height"], vector["stride"], bool(vector["top_down"])
            )
            coded = data[vector["enc_offset"] :][: vector["enc_size"]]
            decoder = known.decoder()
            if "group" in vector:
                decoder = windows.setdefault(vector["group"], decoder)
            pixels = decoder(coded, shape.type, shape.width, shape.height)
            back = shape.raw(pixels, as_coded=known.directed)
            if vector["type"] == "xxxa":  # the other three bytes are not coded
                raw, back = raw[3::4], back[3::4]
            self.assertEqual(back, raw, vector)
        self.assertGreater(found, 0)

    def bytes_of(self, name: str) -> bytes:
        """A file of the vectors, read once."""
        self.files = getattr(self, "files", {})
        if name not in self.files:
            self.files[name] = (VECTORS / name).read_bytes()
        return self.files[name]


class WindowTests(CommandCase):
    """GLZ images of one command share a window."""

    def setUp(self) -> None:
        super().setUp()
        self.raw = random.Random(2).randbytes(64 * 48 * 3)
        for name in "abc":
            self.file(f"in/{name}", self.raw)
        self.options = "--type", "rgb24", "--size", "64x48", "--bottom-up"

    def test_directory(self) -> None:
        """Later files refer to earlier ones, and come back with them only."""
        for name in ("glz", "zlib_glz"):
            options = "--codec", name, *self.options
            self.run_codec("encode", *options, self.top / "in", self.top / "coded")
            self.run_codec("decode", *options, self.top / "coded", self.top / "back")
            sizes = [(self.top / "coded" / each).stat().st_size for each in "abc"]
            self.assertGreater(sizes[0], 9000)
            self.assertLess(max(sizes[1:]), 100)
            for each in "abc":
                self.assertEqual((self.top / "back" / each).read_bytes(), self.raw)
            self.run_codec("decode", *options, self.top / "coded" / "b", self.top / "out", status=1)

    def test_payloads(self) -> None:
        """Payloads with the sizes that they have on the wire are taken, deflated or not."""
        for name in ("glz", "zlib_glz"):
            self.run_codec("encode", "--codec", name, *self.options, self.top / "in" / "a", self.top / name)
        stream = (self.top / "glz").read_bytes()
        sized = self.file("sized", len(stream).to_bytes(4, "little") + stream)
        for name in ("glz", "zlib_glz"):
            for coded in (sized, self.top / "glz", self.top / "zlib_glz"):
                self.run_codec("decode", "--codec", name, *self.options, coded, self.top / "out")
                self.assertEqual((self.top / "out").read_bytes(), self.raw)

    def test_bench(self) -> None:
        """Each round of a measurement begins with an empty window."""
        directory = self.top / "in"
        options = "--codec", "glz", *self.options
        self.run_codec("encode", *options, directory, self.top / "coded")
        coded = sum(path.stat().st_size for path in (self.top / "coded").iterdir())
        for action, place in (("encode", directory), ("decode", self.top / "coded")):
            report = json.loads(self.run_codec(action, *options, "--json", "--bench", "0.02", place))
            self.assertEqual((report["images"], report["coded_bytes"]), (3, coded))

    def test_mistakes(self) -> None:
        """What is no GLZ, or larger than the window, is told."""
        self.run_codec(
            "decode", "--codec", "glz", *self.options, self.top / "in" / "a", self.top / "o", status=1
        )
        large = self.file("large", bytes(4096 * 4097))
        options = "--codec", "glz", "--type", "plt8", "--size", "4096x4097"
        self.assertIn(
            "larger than the window", self.run_codec("encode", *options, large, self.top / "o", status=1)
        )


class RawTests(CommandCase):
    """Raw files have rows as they are in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.raw = random.Random(1).randbytes(5 * 12)  # 3x5 pixels of four bytes
        self.options = "--codec", "quic", "--type", "rgba", "--size", "3x5"

    def padded(self, order: int) -> bytes:
        """The rows in an order, each with a gap of zeros."""
        return b"".join(self.raw[start : start + 12] + bytes(2) for start in range(0, 60, 12)[::order])

    def test_stride(self) -> None:
        """Padding is left out of the stream, and is zeros when it comes back."""
        noisy = bytearray(self.padded(1))
        noisy[12] = 77
        self.assertEqual(self.there_and_back(bytes(noisy), *self.options, "--stride", 14), self.padded(1))
        padded = (self.top / "coded").read_bytes()
        self.assertEqual(self.there_and_back(self.raw, *self.options), self.raw)
        self.assertEqual((self.top / "coded").read_bytes(), padded)

    def test_last_padding(self) -> None:
        """The padding of the last row may be missing."""
        back = self.there_and_back(self.padded(1)[:-2], *self.options, "--stride", 14)
        self.assertEqual(back, self.padded(1))

    def test_bottom_up(self) -> None:
        """The first raw row can be the bottom row; a QUIC stream is the same."""
        upward = self.padded(-1)
        back = self.there_and_back(upward, *self.options, "--stride", 14, "--bottom-up")
        self.assertEqual(back, upward)
        coded = (self.top / "coded").read_bytes()
        self.there_and_back(self.raw, *self.options)
        self.assertEqual((self.top / "coded").read_bytes(), coded)

    def test_directory(self) -> None:
        """The files of a directory are taken in the order of their names, each with its own size."""
        self.file("in/b", self.raw[:24])
        self.file("in/a", self.raw)
        options = "--codec", "quic", "--type", "rgba", "--size", "3x5,6x1"
        self.run_codec("encode", *options, self.top / "in", self.top / "coded")
        self.run_codec("decode", *options, self.top / "coded", self.top / "back")
        self.assertEqual((self.top / "back" / "a").read_bytes(), self.raw)
        self.assertEqual((self.top / "back" / "b").read_bytes(), self.raw[:24])

    def test_jpeg(self) -> None:
        """JPEG loses something, but gives rows of the right size."""
        for type, size in (("rgb32", 16 * 8 * 4), ("rgb24", 16 * 8 * 3)):
            options = "--codec", "jpeg", "--type", type, "--size", "16x8"
            self.assertEqual(len(self.there_and_back(bytes(size), *options)), size)

    def test_jpeg_alpha(self) -> None:
        """With alpha, that comes back exactly, the top row first."""
        raw = bytes(range(256)) * 2
        options = "--codec", "jpeg_alpha", "--type", "rgba", "--size", "16x8"
        back = self.there_and_back(raw, *options)
        self.assertEqual((len(back), back[3::4]), (len(raw), raw[3::4]))
        self.run_codec("decode", *options, self.file("cut", b"\1\0"), self.top / "x", status=1)


class BenchTests(CommandCase):
    """``--bench`` measures instead of writing."""

    def test_both_ways(self) -> None:
        """It prints the speed and the ratio, as JSON if asked."""
        raw = self.file("raw", bytes(64 * 64 * 4))
        options = "--codec", "quic", "--type", "rgb32", "--size", "64x64"
        said = self.run_codec("encode", *options, "--bench", "0.01", raw)
        self.assertIn("MB/s", said)
        self.run_codec("encode", *options, raw, self.top / "coded")
        for action, file in (("encode", raw), ("decode", self.top / "coded")):
            report = json.loads(self.run_codec(action, *options, "--json", "--bench", "0.01", file))
            self.assertEqual((report["action"], report["raw_bytes"]), (action, 16384))
            self.assertEqual(report["coded_bytes"], (self.top / "coded").stat().st_size)
            self.assertGreater(report["mb_per_second"], 0)
            self.assertGreater(report["ratio"], 10)


class MistakeTests(CommandCase):
    """Mistakes are told, with the exit status."""

    def mistake(self, status: int, text: str, *arguments: object) -> None:
        """A command that fails says this."""
        self.assertIn(text, self.run_codec(*arguments, status=status))

    def test_usage(self) -> None:
        """Arguments that do not fit: 2."""
        raw, out = self.file("raw", bytes(48)), self.top / "out"

        def command(name: str, type: str, size: str, *more: object) -> list[object]:
            return ["encode", "--codec", name, "--type", type, "--size", size, *more, raw]

        self.mistake(2, "quic", *command("zip", "rgb32", "4x3"), out)
        self.mistake(2, "rgb16", *command("quic", "plt8", "4x3"), out)
        self.mistake(2, "OUT is missing", *command("quic", "rgb32", "4x3"))
        for size in ("4", "0x3", "4x-3", "65536x1"):
            self.mistake(2, "is not WxH", *command("quic", "rgb32", size), out)
        for stride in ("15", "x", "-16"):
            self.mistake(2, "a row has 16 bytes", *command("quic", "rgb32", "4x3", f"--stride={stride}"), out)
        self.mistake(2, "2 values for 1 files", *command("quic", "rgb32", "4x3,4x3"), out)

    def test_files(self) -> None:
        """Files that are not there, or hold something else: 1."""
        raw, out = self.file("raw", bytes(48)), self.top / "out"
        options = "--codec", "quic", "--type", "rgb32", "--size", "4x3"
        self.mistake(1, "No such file", "encode", *options, self.top / "none", out)
        self.mistake(1, "No such file", "encode", *options, raw, self.top / "none" / "out")
        self.mistake(1, "not QUIC", "decode", *options, raw, out)
        self.mistake(1, "48 bytes", "encode", *options[:-1], "4x4", raw, out)
        self.run_codec("encode", *options, raw, out)
        self.mistake(1, "4x3 pixels, not 3x4", "decode", *options[:-1], "3x4", out, raw)
        self.mistake(1, "rgb32", "decode", "--codec", "quic", "--type", "rgb24", "--size", "4x3", out, raw)
