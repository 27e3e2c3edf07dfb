# SPDX-License-Identifier: LGPL-2.1-or-later
"""Declaring records, and what a declaration gives."""

from typing import Annotated, Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import WireError
from spicemig.wire.declare import (
    Counted,
    Field,
    Fixed,
    Placeholder,
    Pointed,
    Pointer,
    Rest,
    When,
    channel_name,
    compile_plan,
    i32,
    length_of,
    u8,
    u16,
    u32,
)
from spicemig.wire.declare import _declared as declared
from spicemig.wire.drawing import (
    Brush,
    Clip,
    DrawBase,
    Image,
    ImageDescriptor,
    Path,
    PathSegment,
    Pattern,
    Point,
    QMask,
    Rect,
)
from spicemig.wire.kinds import kind_of
from spicemig.wire.messages.base import Notify
from spicemig.wire.messages.display import DrawCopy, DrawFill, DrawStroke, MonitorsConfig
from spicemig.wire.messages.inputs import MouseMotion
from spicemig.wire.messages.main import Destination, MigrateBeginSeamless, Name, Uuid


def local_record(cls: Any) -> Any:
    """A record that is not entered in the catalogue."""
    return declared(cls, {})


class InstanceTests(SynchronousTestCase):
    """Instances of a declared class."""

    def test_construction(self) -> None:
        """Fields are given by position or name; a missing or unknown one is a TypeError."""
        self.assertEqual(MouseMotion(1, 2, buttons_state=3), MouseMotion(dx=1, dy=2, buttons_state=3))
        self.assertRaises(TypeError, MouseMotion, 1, 2)
        self.assertRaises(TypeError, MouseMotion, 1, 2, 3, 4)
        self.assertRaises(TypeError, MouseMotion, dz=1)

    def test_slots(self) -> None:
        """A name that was not declared cannot be set."""
        self.assertRaises(AttributeError, setattr, MouseMotion(1, 2, 3), "dz", 1)

    def test_repr(self) -> None:
        """The text shows the fields, and only the size of large ones."""
        self.assertEqual(repr(MouseMotion(1, -2, 3)), "MouseMotion(dx=1, dy=-2, buttons_state=3)")
        self.assertEqual(repr(Uuid(bytes(100))), "Uuid(uuid=<100 bytes>)")

    def test_equality(self) -> None:
        """Equal are instances of one class with equal fields."""
        self.assertNotEqual(Point(1, 2), Point(2, 1))
        self.assertNotEqual(Point(1, 2), (1, 2))

    def test_defaults_are_not_shared(self) -> None:
        """Changing one instance leaves the defaults of others alone."""
        first = DrawFill(DrawBase(0, Rect(0, 0, 1, 1)), Brush(), 8)
        first.mask.pos.x = 5
        first.base.clip.type = 1
        self.assertEqual(
            DrawFill(DrawBase(0, Rect(0, 0, 1, 1)), Brush(), 8).mask, QMask(0, Point(0, 0), None)
        )
        self.assertEqual(DrawBase(0, Rect(0, 0, 1, 1)).clip, Clip())

    def test_class_attributes(self) -> None:
        """A message knows its channel, number and receiver."""
        self.assertEqual((MouseMotion.channel, MouseMotion.to, MouseMotion.number), ("inputs", "server", 111))

    def test_lengths_are_computed(self) -> None:
        """A length that stands apart is no argument, and follows what it measures."""
        config = MonitorsConfig(max_allowed=4, heads=[])
        self.assertEqual(config.count, 0)
        self.assertRaises(TypeError, MonitorsConfig, count=1, max_allowed=4, heads=[])

    def test_channel_names(self) -> None:
        """Channel types have names, also unknown ones."""
        self.assertEqual(
            [channel_name(1), channel_name(0xE0), channel_name(77)], ["main", "migration", "channel77"]
        )


class DeclarationTests(SynchronousTestCase):
    """Mistakes are found when a module is imported."""

    def test_mistakes(self) -> None:
        """Each of these declarations is refused."""

        class WithoutLayout:
            data: bytes

        class WithText:
            x: "i32"

        class RequiredAfterDefault:
            x: i32 = 1
            y: i32

        class NotOnWire:
            x: dict

        class ItemsOfNothing:
            items: Annotated[list[Annotated[bytes, Rest()]], Counted(u32)]

        for cls in (WithoutLayout, WithText, RequiredAfterDefault, NotOnWire, ItemsOfNothing):
            self.assertRaises(TypeError, declared, cls, {})

    def test_reserved_names(self) -> None:
        """A field of a message may not be called like what every message has."""

        class Clash:
            number: u8

        self.assertRaises(TypeError, declared, Clash, {"number": 3})


class PackingTests(SynchronousTestCase):
    """Layouts, byte by byte."""

    def test_scalars(self) -> None:
        """Little-endian, without padding."""
        self.assertEqual(MouseMotion(1, -2, 3).pack().hex(), "01000000feffffff0300")

    def test_pointed_data(self) -> None:
        """Data goes behind the body in the order of its pointers, as spice-server puts it."""
        begin = MigrateBeginSeamless(Destination(5900, 0, b"ab", b"c"), 1)
        self.assertEqual(begin.pack().hex(), "0c1700000300000018000000020000001b000000010000006162006300")
        self.assertEqual(MigrateBeginSeamless.unpack(begin.pack()), begin)
        without = MigrateBeginSeamless(Destination(5900, 0, b"ab"), 1)
        self.assertIsNone(MigrateBeginSeamless.unpack(without.pack()).dst_info.cert_subject)

    def test_missing_nul(self) -> None:
        """A text that must end with NUL, and does not, is refused at its end."""
        body = MigrateBeginSeamless(Destination(5900, 0, b"ab", b"c"), 1).pack()
        error = self.assertRaises(WireError, MigrateBeginSeamless.unpack, body[:26] + b"x" + body[27:])
        self.assertEqual((error.field, error.offset), ("dst_info.host", 27))
        self.assertEqual(self.assertRaises(WireError, Name.unpack, b"\2\0\0\0ab").offset, 6)
        self.assertEqual(self.assertRaises(WireError, Name.unpack, bytes(4)).offset, 4)
        self.assertEqual(Name.unpack(b"\2\0\0\0a\0").name, b"a")

    def test_uncounted_nul(self) -> None:
        """The NUL after a notice is written, and may be missing."""
        notice = Notify(0, 0, 0, 0, b"hi")
        self.assertTrue(notice.pack().endswith(b"\2\0\0\0hi\0"))
        self.assertEqual([Notify.unpack(notice.pack()), Notify.unpack(notice.pack()[:-1])], [notice, notice])

    def test_unpacking_other_orders(self) -> None:
        """Pointed data may be anywhere in the body, also before it is expected."""
        body = MigrateBeginSeamless(Destination(1, 2, b"host", b"subject"), 3).pack()
        swapped = bytearray(body[:24] + body[29:] + body[24:29])
        swapped[8:12] = (24 + 8).to_bytes(4, "little")
        swapped[16:20] = (24).to_bytes(4, "little")
        self.assertEqual(MigrateBeginSeamless.unpack(swapped), MigrateBeginSeamless.unpack(body))

    def test_bytes_after_the_end(self) -> None:
        """What a newer peer may have added is left alone, unless nothing may follow."""
        body = MouseMotion(1, 2, 3).pack() + b"new"
        self.assertEqual(MouseMotion.unpack(body), MouseMotion(1, 2, 3))
        error = self.assertRaises(WireError, MouseMotion.__plan__.unpack, body, exact=True)
        self.assertEqual(error.offset, 10)

    def test_refused_values(self) -> None:
        """A value without bytes is a ``WireError`` that names the field."""
        rect = Rect(0, 0, 1, 1)
        cases = [
            (MouseMotion(1 << 31, 0, 0), "dx"),
            (MouseMotion(0, None, 0), "dy"),
            (MouseMotion(0, 0, -1), "buttons_state"),
            (Uuid(b"short"), "uuid"),
            (Uuid("text"), "uuid"),
            (DrawFill(DrawBase(0, Rect(0, 0, 1, 1 << 31)), Brush(), 8), "base.box.right"),
            (DrawFill(DrawBase(0, None), Brush(), 8), "base.box.top"),
            (
                DrawFill(DrawBase(0, rect, Clip(1, [rect, Rect(0, 0, 0, "x")])), Brush(), 8),
                "base.clip.rects[1].right",
            ),
            (DrawFill(DrawBase(0, rect, Clip(0, [rect])), Brush(), 8), "base.clip.rects"),
            (DrawFill(DrawBase(0, rect), Brush(1), 8), "brush.color"),
            (DrawFill(DrawBase(0, rect), Brush(2, None, Pattern(None, Point(0, 0))), 8), "brush.pattern.pat"),
            (DrawCopy(DrawBase(0, rect), Image(ImageDescriptor(0, 1, 0, 1, 1)), rect), "src_bitmap.data"),
            (MigrateBeginSeamless(Destination(1, 2, None), 1), "dst_info.host"),
        ]
        for message, field in cases:
            error = self.assertRaises(WireError, message.pack)
            self.assertEqual(error.field, field)

    def test_errors_name_the_place(self) -> None:
        """An error has message, field path and byte."""
        rect = Rect(0, 0, 1, 1)
        body = DrawFill(DrawBase(0, rect, Clip(1, [rect, rect])), Brush(), 8).pack()
        error = self.assertRaises(WireError, DrawFill.unpack, body[:30])
        self.assertEqual(
            (error.message_name, error.field, error.offset), ("display.DrawFill", "base.clip.rects", 21)
        )
        stroke = DrawStroke(
            DrawBase(0, rect), Path([PathSegment(0, [])]), _plain_line(), Brush(), 8, 8
        ).pack()
        error = self.assertRaises(WireError, DrawStroke.unpack, stroke[:-1])
        self.assertEqual((error.field, error.offset), ("path.segments", len(stroke) - 9))


def _plain_line() -> Any:
    return DrawStroke.__fields__[2].kind.cls()


class TemplateTests(SynchronousTestCase):
    """Images may come later."""

    def setUp(self) -> None:
        rect = Rect(0, 0, 2, 2)
        brush = Brush(2, None, Pattern(Placeholder("tile"), Point(0, 0)))
        self.draw = DrawFill(
            DrawBase(0, rect, Clip(1, [rect])), brush, 8, QMask(0, Point(0, 0), Placeholder("mask"))
        )

    def test_there_and_back(self) -> None:
        """Pointers to placeholders are 0, and are found again by their offsets."""
        body, pointers = self.draw.pack_template()
        self.assertEqual([p.value for _offset, p in pointers], ["tile", "mask"])
        self.assertEqual([body[at : at + 4] for at, _p in pointers], [bytes(4)] * 2)
        places = {offset: placeholder.value for offset, placeholder in pointers}
        self.assertEqual(DrawFill.unpack_template(body, places), self.draw)

    def test_filled_in(self) -> None:
        """Putting the image behind the body and its offset into the pointer makes the message."""
        image = Image(ImageDescriptor(3, 103, 0, 4, 4))
        body, pointers = self.draw.pack_template()
        made = bytearray(body)
        for at, _placeholder in pointers:
            made[at : at + 4] = len(made).to_bytes(4, "little")
            made += image.pack()
        draw = DrawFill.unpack(made)
        self.assertEqual([draw.brush.pattern.pat, draw.mask.bitmap], [image, image])

    def test_not_for_sending(self) -> None:
        """A message with placeholders has no body yet."""
        self.assertRaises(WireError, self.draw.pack)
        self.assertRaises(WireError, self.draw.pack_parts)


class HostilePointerTests(SynchronousTestCase):
    """Pointers cannot be used to make much out of little."""

    def test_shared_data(self) -> None:
        """Many pointers to the same points are refused, before there are many points."""
        segments, points = 20_000, 20_000
        pointers = kind_of(Annotated[list[Annotated[PathSegment, Pointer()]], Counted(u32)])
        plan = compile_plan("Shared", (Field("segments", pointers),), list)
        body = bytearray(segments.to_bytes(4, "little"))
        body += (4 + 4 * segments).to_bytes(4, "little") * segments
        body += PathSegment(0, []).pack()[:1] + points.to_bytes(4, "little") + bytes(8 * points)
        error = self.assertRaises(WireError, plan.unpack, body)
        self.assertIn("too many pointers", error.reason)

    def test_pointers_backwards(self) -> None:
        """A pointer may lead back into the body; what it leads to is read once more, no more."""
        draw = DrawCopy(DrawBase(0, Rect(0, 0, 1, 1)), None, Rect(0, 0, 1, 1))
        body = bytearray(draw.pack())
        body[21:25] = (1).to_bytes(4, "little")
        try:
            DrawCopy.unpack(body)
        except WireError as error:
            self.assertTrue(error.field.startswith("src_bitmap"))

    def test_required(self) -> None:
        """A pointer that must not be null is checked."""

        @local_record
        class Owner:
            target: Annotated[Point, Pointer()]

        self.assertRaises(WireError, Owner.unpack, bytes(4))
        self.assertRaises(WireError, Owner(None).pack)


class LayoutTests(SynchronousTestCase):
    """Layouts that are rare in the protocol."""

    def test_nested_lists(self) -> None:
        """Lists of lists and of bytes."""

        @local_record
        class Nested:
            rows: Annotated[list[Annotated[list[u16], Counted(u8)]], Counted(u8)]
            names: Annotated[list[Annotated[bytes, Counted(u8)]], Rest()]

        nested = Nested([[1, 2], [], [3]], [b"a", b"", b"bc"])
        self.assertEqual(Nested.unpack(nested.pack()), nested)
        self.assertEqual(nested.pack().hex(), "03020100020000010300016100026263")

    def test_pointed_list(self) -> None:
        """A list behind its length and offset."""

        @local_record
        class Styled:
            style: Annotated[list[i32] | None, Pointed(size=u8, optional=True)]
            last: u8

        for styled in (Styled([1, -1], 7), Styled(None, 7), Styled([], 7)):
            self.assertEqual(Styled.unpack(styled.pack()), styled)

    def test_fixed_list(self) -> None:
        """A list of always as many items."""

        @local_record
        class Matrix:
            cells: Annotated[list[u8], Fixed(4)]

        self.assertEqual(Matrix.unpack(b"\1\2\3\4").cells, [1, 2, 3, 4])
        self.assertRaises(WireError, Matrix([1]).pack)

    def test_two_lists_of_one_length(self) -> None:
        """Lists that share a length must agree."""

        @local_record
        class Pair:
            count: u8 = length_of("first")
            first: Annotated[list[u8], Counted("count")]
            second: Annotated[list[u8], Counted("count")]

        self.assertEqual(Pair.unpack(b"\1\2\3"), Pair([2], [3]))
        self.assertRaises(WireError, Pair([2], []).pack)

    def test_guards(self) -> None:
        """A field that depends on a tag is None without it."""

        @local_record
        class Guarded:
            tag: u8
            a: Annotated[u8 | None, When("tag", equals=1)]
            b: Annotated[u8 | None, When("tag", other_than=1)]
            c: Annotated[u8 | None, When("tag", has=4)]
            d: Annotated[u8 | None, When("tag", lacks=4)]

        self.assertEqual(Guarded.unpack(b"\1\2\3"), Guarded(1, a=2, d=3))
        self.assertEqual(Guarded.unpack(b"\4\2\3"), Guarded(4, b=2, c=3))

    def test_plan_for_any_class(self) -> None:
        """A plan serves a class that was not declared here."""
        plan = compile_plan("Pair", (Field("x", kind_of(u16)), Field("y", kind_of(i32))), lambda x, y: [x, y])
        self.assertEqual(plan.unpack(bytes.fromhex("0100feffffff"), exact=True), [1, -2])

        class Pair:
            x, y = 1, -2

        self.assertEqual(plan.pack(Pair()).hex(), "0100feffffff")
