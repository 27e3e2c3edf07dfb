# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where messages begin and end, with either header."""

from __future__ import annotations

import random
from struct import Struct

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import WireError
from spicemig.wire.framing import HEADER_FULL, HEADER_MINI, Deframer, frame, frame_body, sub_list
from spicemig.wire.messages.base import Ack, List, Ping, SetAck, WaitForChannels
from spicemig.wire.messages.display import DrawCopy, Mark, StreamData, StreamDataHeader
from spicemig.wire.messages.inputs import MouseMotion

MESSAGES = [SetAck(1, 20), Ping(1, 2, b"x" * 300), Mark(), Ping(2, 3)]


def stream(mini: bool) -> bytes:
    """The messages above as one run of bytes, with serials from 5 on."""
    return b"".join(b"".join(frame(m, mini, 5 + i)) for i, m in enumerate(MESSAGES))


class DeframerTests(SynchronousTestCase):
    """Frames do not depend on how the network cuts the stream."""

    def test_every_cut(self) -> None:
        """Whatever the pieces are, the same frames come out."""
        randomly = random.Random(1)
        for mini in (True, False):
            data = stream(mini)
            for most in (1, 2, 7, 50, len(data)):
                deframer = Deframer("display", "client", mini)
                if mini:
                    deframer.serial = 4
                found, at = [], 0
                while at < len(data):
                    size = randomly.randint(1, most)
                    found += deframer.feed(data[at : at + size])
                    at += size
                self.assertEqual([f.number for f in found], [m.number for m in MESSAGES])
                self.assertEqual([f.serial for f in found], [5, 6, 7, 8])
                self.assertEqual([bytes(f.body) for f in found], [m.pack() for m in MESSAGES])
                self.assertEqual(deframer.buffered_bytes, 0)

    def test_nothing_is_lost(self) -> None:
        """Frames that the caller did not take yet come with the next call."""
        deframer = Deframer("display", "client", True)
        first = next(deframer.feed(stream(True)))
        rest = list(deframer.feed(b""))
        self.assertEqual([first.number, *(f.number for f in rest)], [m.number for m in MESSAGES])

    def test_bodies_outlive_the_next_call(self) -> None:
        """A body that is kept does not change when more arrives."""
        deframer = Deframer("display", "client", True)
        data = stream(True)
        kept = [f.body for piece in (data[:10], data[10:]) for f in deframer.feed(piece)]
        list(deframer.feed(bytes(1000)))
        self.assertEqual([bytes(body) for body in kept], [m.pack() for m in MESSAGES])

    def test_too_large(self) -> None:
        """A header that announces too much is refused before anything is kept for it."""
        for mini, header in ((True, HEADER_MINI.pack(4, 1001)), (False, HEADER_FULL.pack(1, 4, 1001, 0))):
            deframer = Deframer("cursor", "client", mini, max_body_bytes=1000)
            error = self.assertRaises(WireError, list, deframer.feed(header))
            self.assertEqual(error.message_name, "cursor.Ping")

    def test_unknown_number(self) -> None:
        """A message that nobody declared is a frame all the same."""
        (found,) = Deframer("inputs", "server", True).feed(HEADER_MINI.pack(9999, 1) + b"x")
        self.assertEqual((found.number, bytes(found.body)), (9999, b"x"))


class SubMessageTests(SynchronousTestCase):
    """Some messages bring others with them, to be handled first."""

    waits = (WaitForChannels([]), SetAck(3, 4))

    def test_full_header(self) -> None:
        """The list follows the body, and the header says where."""
        data = b"".join(frame(MouseMotion(1, 2, 3), False, 9, sub=self.waits))
        (found,) = Deframer("inputs", "server", False).feed(data)
        self.assertEqual([(n, bytes(b)) for n, b in found.sub], [(m.number, m.pack()) for m in self.waits])
        self.assertEqual(MouseMotion.unpack(found.body), MouseMotion(1, 2, 3))

    def test_mini_header(self) -> None:
        """The list is the body of base.List."""
        data = b"".join(frame(List(sub_list(self.waits)), True, 0))
        (found,) = Deframer("display", "client", True).feed(data)
        self.assertEqual([(n, bytes(b)) for n, b in found.sub], [(m.number, m.pack()) for m in self.waits])

    def test_mini_header_has_no_place(self) -> None:
        """A list cannot be added to a message with a mini header."""
        self.assertRaises(ValueError, frame, Ack(), True, 0, sub=self.waits)

    def test_hostile_lists(self) -> None:
        """A list that points outside the body is refused."""
        good = sub_list(self.waits)
        for cut in range(len(good)):
            data = b"".join(frame(List(good[:cut]), True, 0))
            self.assertRaises(WireError, list, Deframer("display", "client", True).feed(data))
        for offset in (11, 2**31, 2**32 - 1):
            data = HEADER_FULL.pack(1, MouseMotion.number, 10, offset) + MouseMotion(1, 2, 3).pack()
            self.assertRaises(WireError, list, Deframer("inputs", "server", False).feed(data))
        lots = Struct("<HI").pack(65535, 2)
        self.assertRaises(
            WireError, list, Deframer("display", "client", True).feed(b"".join(frame(List(lots), True, 0)))
        )

    def test_overlapping(self) -> None:
        """A list cannot name one sub-message many times, and so be worth more than it is long."""
        one = sub_list([SetAck(3, 4)])
        at, body = len(one) - 14, one[-14:]
        many = Struct("<H").pack(500) + Struct("<I").pack(2 + 2000) * 500 + body
        self.assertEqual(at, 6)
        self.assertRaises(
            WireError, list, Deframer("display", "client", True).feed(b"".join(frame(List(many), True, 0)))
        )


class FrameTests(SynchronousTestCase):
    """What is written to the transport."""

    def test_payloads_are_not_copied(self) -> None:
        """A large payload is among the buffers as it was given."""
        payload = bytearray(100_000)
        parts = frame(StreamData(StreamDataHeader(1, 2), payload), True, 1)
        self.assertTrue(any(memoryview(part).obj is payload for part in parts))
        self.assertEqual(len(parts), 2)

    def test_packed_before(self) -> None:
        """A body that was packed elsewhere gets the same header; the caller's list stays as it was."""
        body = [MouseMotion(1, 2, 3).pack()]
        self.assertEqual(frame_body(111, body, False, 7), frame(MouseMotion(1, 2, 3), False, 7))
        self.assertEqual(body, [MouseMotion(1, 2, 3).pack()])

    def test_empty_body(self) -> None:
        """A message without fields is a header."""
        self.assertEqual(b"".join(frame(Ack(), True, 3)), HEADER_MINI.pack(2, 0))
        self.assertEqual(DrawCopy.number, 304)
