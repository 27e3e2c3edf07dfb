# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests for ``spicemig.devices.trace``: reading and writing recorded commands."""

from __future__ import annotations

import lzma
import random
import zlib
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from spicemig.codecs import quic
from spicemig.codecs.pixels import Pixels
from spicemig.devices.cursor import CursorHide, CursorMove, CursorReset, CursorSet, CursorShape, CursorTrail
from spicemig.devices.drawables import DeviceImage, Placeholder
from spicemig.devices.qxl import QXLDevice
from spicemig.devices.trace import source, text
from spicemig.devices.trace.commands import HEAD, write_record
from spicemig.devices.trace.player import Player
from spicemig.devices.trace.reader import TraceReader
from spicemig.devices.trace.records import (
    Call,
    Contents,
    CreateSurface,
    DestroySurface,
    DeviceCall,
    Draw,
    Message,
    Nothing,
    Record,
    Update,
)
from spicemig.devices.trace.source import TraceError, TraceSource, fingerprint
from spicemig.wire.drawing import Brush, Clip, DrawBase, Rect
from spicemig.wire.enums import BitmapFormat, BrushType, ClipType, CompositeFlags, Ropd, SurfaceFormat
from spicemig.wire.messages.display import DrawAlphaBlend, DrawComposite, DrawCopy, DrawFill

MIXED = Path(__file__).parent / "data" / "traces" / "mixed.trace.xz"
START = b"SPICE_REPLAY 1\n"


class TraceCase(SynchronousTestCase):
    """Traces in files."""

    def plain(self) -> bytes:
        return lzma.decompress(MIXED.read_bytes())

    def file(self, data: bytes) -> str:
        name = self.mktemp()
        Path(name).write_bytes(data)
        return name

    def reader(self, path: object) -> TraceReader:
        reader = TraceReader(str(path))
        self.addCleanup(reader.close)
        return reader

    def read(self, data: bytes) -> tuple[list[Record], TraceError | None]:
        """What can be read, and what was wrong then."""
        records: list[Record] = []
        try:
            for record in self.reader(self.file(data)):
                records.append(record)
        except TraceError as error:
            return records, error
        return records, None

    def one(self, body: bytes, event: bytes = b"event 0 0 1 5\n") -> Record:
        """The only record of a trace."""
        records, error = self.read(START + event + body)
        self.assertIsNone(error)
        self.assertEqual(len(records), 1)
        return records[0]


class ReaderTests(TraceCase):
    """A trace is read record by record."""

    def test_counts(self) -> None:
        """Every command of a trace is read, and has its kind."""
        reader = self.reader(MIXED)
        kinds = Counter(
            record.value.name if isinstance(record.value, Draw) else type(record.value).__name__
            for record in reader
        )
        self.assertEqual(reader.commands, 384)
        self.assertEqual(reader.offset, len(self.plain()))
        self.assertEqual(
            kinds,
            {
                **dict.fromkeys(("composite", "stroke", "text"), 30),
                **dict.fromkeys(("alpha_blend", "blend", "transparent"), 10),
                **{"copy": 125, "fill": 63, "copy_bits": 28, "rop3": 16, "invers": 2, "opaque": 2},
                **{"blackness": 1, "whiteness": 1, "CursorMove": 9, "CursorSet": 2, "CursorHide": 1},
                **{"CursorTrail": 1, "CreateSurface": 8, "DestroySurface": 3, "Update": 1, "Message": 1},
                "DeviceCall": 14,
            },
        )

    def test_plain_and_compressed(self) -> None:
        """Whether a file is compressed is seen from its contents, and makes no difference."""
        plain = self.file(self.plain())
        self.assertEqual(
            [(record.offset, record.time) for record in self.reader(plain)],
            [(record.offset, record.time) for record in self.reader(MIXED)],
        )

    def test_small_pieces(self) -> None:
        """However the bytes come, the records are the same."""
        whole = [record.offset for record in self.reader(MIXED)]
        self.patch(source, "PIECE_BYTES", 1000)
        self.assertEqual([record.offset for record in self.reader(MIXED)], whole)

    def test_several_streams(self) -> None:
        """A file of several compressed streams is read as one."""
        plain = self.plain()
        joined = lzma.compress(plain[:100_000]) + lzma.compress(plain[100_000:])
        records, error = self.read(joined)
        self.assertIsNone(error)
        self.assertEqual(len(records), 398)

    def test_go_on_in_the_middle(self) -> None:
        """Another reader of the same file goes on where one stopped."""
        first = self.reader(MIXED)
        for _ in range(200):
            first.next()
        second = self.reader(MIXED)
        while not second.skip_to(first.offset):
            pass
        self.assertEqual([record.offset for record in second], [record.offset for record in first])

    def test_skip_too_far(self) -> None:
        """There is nothing to go on at behind the end, or in front of where one is."""
        reader = self.reader(MIXED)
        with self.assertRaisesRegex(TraceError, "no record at byte 99999999"):
            while not reader.skip_to(99_999_999):
                pass
        self.assertRaises(TraceError, reader.skip_to, 20)

    def test_old_layout(self) -> None:
        """Commands of old drivers have no surfaces and no alpha flags."""
        told = self.one(
            b"drawable\nrect bbox 1 2 3 4\ntype 0\neffect 1\nmm_time -1\nbitmap_offset 0\n"
            b"rect bitmap_area 0 0 0 0\ntype 13\nalpha 200\nimage 0\nrect src_area 0 0 2 2\n"
        ).value
        base = DrawBase(0, Rect(1, 2, 3, 4))
        expected = DrawAlphaBlend(base, 0, 200, None, Rect(0, 0, 2, 2))
        self.assertEqual(told, Draw("alpha_blend", expected, 1, 0xFFFFFFFF))

    def test_self_bitmap(self) -> None:
        """A command that asks for what its surface shows reads it from there."""
        told = self.one(
            b"drawable\nrect bbox 0 0 9 9\ntype 0\neffect 0\nmm_time 0\nself_bitmap 1\n"
            b"rect self_bitmap_area 10 20 19 29\nsurface_id 7\n"
            + b"surfaces_dest -1\nrect surfaces_rects 0 0 0 0\n"
            * 3
            + b"type 3\nimage 0\nrect src_area 0 0 9 9\nrop_descriptor 8\nscale_mode 1\n"
            b"flags 0\npoint 0 0\nimage 0\n"
        ).value
        self.assertEqual(told.message.src_bitmap.value.surface, 7)
        self.assertEqual(told.message.src_area, Rect(10, 20, 19, 29))

    def test_failed_primary(self) -> None:
        """A call for a primary surface that failed has no body."""
        records, error = self.read(START + b"event 0 1 20 5\nevent 1 1 2 6\n")
        self.assertIsNone(error)
        self.assertEqual([record.value for record in records], [DeviceCall(20), DeviceCall(2)])

    def test_compressed_block(self) -> None:
        """Blocks that are compressed one by one are read, too."""
        packed = zlib.compress(b"a driver's words")
        told = self.one(b"binary 1 message 16:%d:%s\n" % (len(packed), packed), b"event 0 0 4 5\n")
        self.assertEqual(told.value, Message(b"a driver's words"))

    def test_compressed_block_too_large(self) -> None:
        """A block does not become larger than it says."""
        packed = zlib.compress(bytes(1_000_000))
        trace = START + b"event 0 0 4 5\nbinary 1 message 16:%d:%s\n" % (len(packed), packed)
        self.assertIn("does not have the 16 bytes", str(self.read(trace)[1]))

    def compressed_copy(self, data: bytes) -> Record:
        """A copy of an image of 9 x 9 pixels that the guest compressed."""
        return self.one(
            b"drawable\nrect bbox 0 0 9 9\ntype 0\neffect 0\nmm_time 0\nbitmap_offset 0\n"
            b"rect bitmap_area 0 0 0 0\ntype 3\nimage 1\ndescriptor.id 5\ndescriptor.type 1\n"
            b"descriptor.flags 1\ndescriptor.width 9\ndescriptor.height 9\nquic.data_size %d\n"
            b"data_chunks 0 %d\nbinary 0 quic.data %d:%s\nrect src_area 0 0 9 9\nrop_descriptor 8\n"
            b"scale_mode 1\nflags 0\npoint 0 0\nimage 0\n" % (len(data), len(data), len(data), data)
        )

    def test_compressed_by_the_guest(self) -> None:
        """An image that the guest compressed is a bitmap from there on."""
        pixels = Pixels(9, 9, BitmapFormat.BIT32, 36, random.Random(5).randbytes(324))
        data = b"".join(quic.encode(pixels))
        image = self.compressed_copy(data).value.message.src_bitmap.value
        self.assertEqual((image.width, image.height, image.id, image.flags), (9, 9, 5, 1))
        self.assertEqual(image.format, BitmapFormat.BIT32)
        self.assertEqual(bytes(image.data)[0::4], bytes(pixels.data)[0::4])

    def test_damaged_image(self) -> None:
        """One that cannot be made a bitmap is no reason to stop."""
        told = self.compressed_copy(b"abcd")
        player = Player(QXLDevice())
        player.play(told)
        self.assertEqual(player.not_drawn, {"damaged image": 1})


class DamageTests(TraceCase):
    """What was read before a mistake stays, and the mistake has a place."""

    def test_another_file(self) -> None:
        """A file that is no trace is refused."""
        for data in (b"", b"SPICE", b"\x7fELF" + bytes(9000)):
            self.assertRaisesRegex(TraceError, "not a QXL trace", TraceReader, self.file(data))
        self.assertRaisesRegex(TraceError, "No such file", TraceReader, "nowhere.trace")

    def test_cut_short(self) -> None:
        """A trace that ends anywhere gives the records before that, and the byte at which it is not whole."""
        plain = self.plain()
        ends = [record.offset for record in self.reader(MIXED)][1:]
        dice = random.Random(1)
        for cut in [ends[10] - 1, ends[10] + 1] + dice.sample(range(ends[0], len(plain)), 20):
            whole = sum(end <= cut for end in ends)
            records, error = self.read(plain[:cut])
            if cut in ends:
                self.assertIsNone(error)
                continue
            self.assertEqual(len(records), whole, cut)
            self.assertIn("ends in the middle of a record", str(error))
            self.assertTrue(ends[whole - 1] <= error.offset <= cut)

    def test_compressed_file_cut_short(self) -> None:
        """A compressed file that ends too soon is read as far as it goes."""
        data = MIXED.read_bytes()
        records, error = self.read(data[: len(data) // 2])
        self.assertGreater(len(records), 20)
        self.assertIn("the compressed file is cut short", str(error))

    def test_compressed_file_damaged(self) -> None:
        """A compressed file with wrong bytes is read up to them."""
        data = bytearray(lzma.compress(self.plain(), check=lzma.CHECK_CRC64))
        for place in range(len(data) // 2, len(data) // 2 + 40):
            data[place] ^= 0x55
        _records, error = self.read(bytes(data))
        self.assertIsNotNone(error)
        self.assertGreaterEqual(error.offset, 0)

    def test_said_where(self) -> None:
        """A wrong line is told with its offset, what should be there, and what is."""
        trace = START + b"event 0 0 2 5\nupdate\nrect area 0 0 ten 10\nupdate_id 1\nsurface_id 0\n"
        records, error = self.read(trace)
        self.assertEqual(records, [])
        self.assertEqual(error.offset, trace.index(b"rect area"))
        self.assertEqual(
            str(error), f"at byte {error.offset}: expected 'rect area # # # #', found b'rect area 0 0 ten 10'"
        )

    def test_best_alternative(self) -> None:
        """Of several things that could stand there the most likely one is told."""
        trace = (
            START + b"event 0 0 1 5\ndrawable\nrect bbox 0 0 9 9\ntype 0\neffect 0\nmm_time 0\n"
            b"bitmap_offset 0\nrect bitmap_area 0 0 0 0\ntype 3\nimage 1\ndescriptor.id 5\n"
            b"descriptor.type 104\ndescriptor.flags 0\ndescriptor.width 9\ndescriptor.height nine\n"
        )
        self.assertIn("expected 'descriptor.height #'", str(self.read(trace)[1]))

    def test_unknown(self) -> None:
        """Events, commands and operations that do not exist are mistakes."""
        for event in (b"event 0 2 1 5\n", b"event 0 0 9 5\n"):
            records, error = self.read(START + event)
            self.assertIn("is not known", str(error))
            self.assertEqual(error.offset, len(START))

    def test_wrong_sizes(self) -> None:
        """Sizes that contradict each other are mistakes; so are those beyond all reason."""
        event = START + b"event 0 0 4 5\n"
        for block, told in (
            (b"binary 0 message 3:abcd\n", "is not followed by a new line"),
            (b"binary 0 message 99999999999:abcd\n", "too long"),
            (b"binary 0 message -1:abcd\n", "expected a binary block"),
            (b"binary 1 message 4:4:abcd\n", "damaged"),
        ):
            self.assertIn(told, str(self.read(event + block)[1]))

    def test_long_promises(self) -> None:
        """A block that promises much and does not keep it takes no memory."""
        trace = START + b"event 0 0 4 5\nbinary 0 message 1000000000:abc"
        self.assertIn("in the middle of a record", str(self.read(trace)[1]))

    def test_random_damage(self) -> None:
        """Whatever bytes are wrong, the reader ends, or says that it cannot."""
        plain = bytearray(self.plain()[:300_000])
        dice = random.Random(2)
        for _ in range(60):
            damaged = bytearray(plain)
            for _ in range(3):
                damaged[dice.randrange(len(START), len(plain))] = dice.randrange(256)
            _records, error = self.read(bytes(damaged))
            self.assertIsNotNone(error)


class WriterTests(TraceCase):
    """What is written reads as it was."""

    def test_mixed(self) -> None:
        """Every command of a trace, written and read again, is the same."""
        first = list(self.reader(MIXED))
        pieces = [HEAD.write()]
        for counter, record in enumerate(first):
            pieces += write_record(counter, record.time, record.value)
        second, error = self.read(b"".join(pieces))
        self.assertIsNone(error)
        self.assertEqual(len(second), len(first))
        for one, other in zip(first, second, strict=True):
            self.assertEqual(one[1:3], other[1:3])
            self.assertEqual(_comparable(one.value), _comparable(other.value))

    def test_rest(self) -> None:
        """So is what that trace does not have."""
        shape = CursorShape(2**63, 0, 1, 1, 0, 0, b"abcd")
        values = [
            CreateSurface(0, 2, 1, SurfaceFormat.XRGB32, Contents(-8, b"abcdefgh")),
            CreateSurface(3, 2, 1, SurfaceFormat.A8),
            DestroySurface(3),
            CursorSet(-1, 5, False, shape),
            CursorMove(-5, 7),
            CursorHide(),
            CursorTrail(1, 2),
            Update(0xFFFFFFFF),
            Message(b"\n\n"),
            Nothing(),
            DeviceCall(Call.MONITORS_CONFIG_ASYNC),
            Draw(
                "fill",
                DrawFill(
                    DrawBase(0xFFFFFFFF, Rect(-1, -2, 3, 4), Clip(ClipType.RECTS, [Rect(0, 0, 1, 1)])),
                    Brush(BrushType.SOLID, color=0xFF000000),
                    Ropd.OP_XOR,
                ),
                1,
                0x80000000,
            ),
        ]
        pieces = [HEAD.write()]
        for counter, value in enumerate(values):
            pieces += write_record(counter, counter, value)
        records, error = self.read(b"".join(pieces))
        self.assertIsNone(error)
        values[0] = DeviceCall(Call.CREATE_PRIMARY, values[0])
        self.assertEqual([record.value for record in records], values)

    def test_calls(self) -> None:
        """The primary surface is destroyed, and the cursor reset, by calls."""
        data = b"".join([*write_record(0, 0, DestroySurface(0)), *write_record(1, 0, CursorReset())])
        self.assertEqual(data, b"event 0 1 21 0\nevent 1 1 22 0\n")


class CompositeTests(TraceCase):
    """What a composite command has is told to clients by its flags."""

    def test_flags(self) -> None:
        """A mask sets the flag that says that one follows, and the trace need not have it."""
        image = DeviceImage(1, 1, 9, 4, b"abcd")
        message = DrawComposite(
            DrawBase(0, Rect(0, 0, 1, 1)),
            CompositeFlags.HAS_MASK | 3,
            Placeholder(image),
            Placeholder(image),
        )
        data = b"".join([HEAD.write(), *write_record(0, 0, Draw("composite", message, 0, 0))])
        self.assertIn(b"\nflags 3\n", data)
        records, _error = self.read(data)
        self.assertEqual(records[0].value.message.flags, CompositeFlags.HAS_MASK | 3)


class PlayerTests(TraceCase):
    """Records become what a device is given."""

    def play(self, *values: object) -> QXLDevice:
        device = QXLDevice()
        player = Player(device)
        for value in values:
            player.play(Record(0, 0, not isinstance(value, DeviceCall), value))
        player.flush()
        return device

    def test_contents(self) -> None:
        """A surface that keeps its data has it, whichever row comes first, in every format."""
        red, blue = bytes((0, 0, 255)), bytes((255, 0, 0))
        for format, stride, data in (
            (SurfaceFormat.XRGB32, 4, red + b"\0" + blue + b"\0"),
            (SurfaceFormat.XRGB32, -4, blue + b"\0" + red + b"\0"),
            (SurfaceFormat.RGB565, 2, b"\x00\xf8\x1f\x00"),
        ):
            device = self.play(CreateSurface(5, 1, 2, format, Contents(stride, data)))
            pixels = device.render(5).pixels
            self.assertEqual((pixels[:3], pixels[4:7]), (red, blue))

    def test_primary(self) -> None:
        """The primary surface comes with a head of its size, and goes with all surfaces or alone."""
        made = DeviceCall(Call.CREATE_PRIMARY_ASYNC, CreateSurface(0, 64, 48, SurfaceFormat.XRGB32))
        other = CreateSurface(1, 8, 8, SurfaceFormat.ARGB32)
        device = self.play(made, other)
        head = device.monitors_config().heads[0]
        self.assertEqual((head.width, head.height), (64, 48))
        device = self.play(made, other, DeviceCall(Call.DESTROY_PRIMARY))
        self.assertEqual([surface.id for surface in device.surfaces()], [1])
        device = self.play(made, other, DeviceCall(Call.DESTROY_SURFACES_ASYNC))
        self.assertEqual(device.surfaces(), [])

    def test_cursor(self) -> None:
        """Cursor commands, and the call that resets it, reach the device."""
        shape = CursorShape(1, 0, 1, 1, 0, 0, b"abcd")
        device = self.play(CursorSet(3, 4, True, shape), CursorMove(5, 6))
        state = device.cursor_state()
        self.assertEqual((state.shape, state.x, state.y), (shape, 5, 6))
        device = self.play(CursorSet(3, 4, True, shape), DeviceCall(Call.RESET_CURSOR))
        self.assertIsNone(device.cursor_state().shape)

    def test_impossible(self) -> None:
        """What cannot be made or drawn is counted, and the rest goes on."""
        device = QXLDevice()
        player = Player(device)
        values = (
            CreateSurface(4, 0, 1, 32),
            CreateSurface(0, 8, 8, 32),
            Draw("copy", DrawCopy(DrawBase(0, Rect(0, 0, 1, 2**40)), None, Rect(0, 0, 1, 1)), 0, 0),
        )
        for value in values:
            player.play(Record(0, 0, True, value))
        self.assertEqual(player.not_drawn, {"surface_create": 1, "copy with impossible values": 1})
        self.assertEqual([surface.id for surface in device.surfaces()], [0])


class SourceTests(TraceCase):
    """Files, plain and compressed."""

    def test_fingerprint(self) -> None:
        """Copies of a file are told from other files."""
        one, other = self.file(b"a" * 99), self.file(b"a" * 98 + b"b")
        self.assertEqual(fingerprint(one), fingerprint(self.file(b"a" * 99)))
        self.assertNotEqual(fingerprint(one), fingerprint(other))
        self.assertRaises(TraceError, fingerprint, "nowhere")

    def test_memory(self) -> None:
        """What a compressed file asks of its decoder is bounded."""
        self.patch(source, "DECODER_BYTES", 1 << 16)
        opened = TraceSource(MIXED)
        self.addCleanup(opened.close)
        self.assertEqual(opened.read(), b"")
        self.assertIn("damaged", opened.trouble)

    def test_lines(self) -> None:
        """Declared lines write what they read."""
        lines = text.Lines("event # # # #", "rect bbox # # # #")
        written = lines.write(0, 0, 1, 5, -1, 2, 3, 4)
        self.assertEqual(written, b"event 0 0 1 5\nrect bbox -1 2 3 4\n")


def _comparable(value: object) -> object:
    """The value with images that can be compared."""
    if not isinstance(value, Draw):
        return value
    body, images = value.message.pack_template()
    facts = [
        (offset, image.width, image.height, image.format, image.stride, image.data, image.top_down, image.id)
        + (image.flags, image.palette, image.palette_id, image.surface)
        for offset, image in ((offset, placed.value) for offset, placed in images)
    ]
    return value.name, body, facts, value.effect, value.mm_time
