# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of the scan that finds messages in a stream that is passed on unread."""

from __future__ import annotations

import random
import struct

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import ProtocolError
from spicemig.relay import scan_reference
from spicemig.relay.scan import ALL, TAKEN_MAX_BYTES, Scan, Taken, mask
from tests.twins import TwinCase

WANTED = mask([2, 103, 320])


def message(number: int, body: bytes, mini: bool, serial: int = 0) -> bytes:
    """A message with its header."""
    if mini:
        return struct.pack("<HI", number, len(body)) + body
    return struct.pack("<QHII", serial, number, len(body), 0) + body


def pieces(dice: random.Random, data: bytes) -> list[bytes]:
    """The data as it may arrive: in many small pieces, or a few large ones."""
    found, most = [], dice.choice([1, 3, 20, 500])
    while data:
        count = dice.randint(1, most)
        found.append(data[:count])
        data = data[count:]
    return found


class TwinTests(TwinCase):
    """The kernel does what its twin does."""

    def test_random(self) -> None:
        """On streams and on noise, from any place."""
        for _ in range(2000):
            mini = self.dice.random() < 0.5
            data = self.dice.randbytes(self.dice.randrange(60))
            if self.dice.random() < 0.8:
                data = b"".join(
                    message(self.dice.choice([1, 2, 104, 300, 600]), data[: self.dice.randrange(30)], mini, 7)
                    for _ in range(self.dice.randrange(9))
                )
            at = self.dice.randrange(len(data) + 1) if self.dice.random() < 0.2 else 0
            whole = self.dice.choice([0, 20, 40, 1 << 17])
            wanted = self.dice.choice([WANTED, ALL, bytes(512)])
            results = [
                module.scan_headers(data, at, mini, whole, wanted)
                for module in (self.kernels(), scan_reference)
            ]
            self.assertEqual(results[0], results[1], (data, at, mini, whole))

    def test_refused(self) -> None:
        """Places outside the data, numbers below 0 and masks of another size are refused alike."""
        for arguments in (
            (b"abc", 4, True, 0, ALL),
            (b"abc", -1, True, 0, ALL),
            (b"abc", 0, True, -1, ALL),
            (b"", 0, True, 0, ALL[1:]),
        ):
            for module in (self.kernels(), scan_reference):
                self.assertRaises(ValueError, module.scan_headers, *arguments)


class ScanTests(SynchronousTestCase):
    """Whatever the pieces, the same is passed on and the same is taken."""

    def test_pieces(self) -> None:
        """What is passed on is the stream without the messages that are taken, in order."""
        dice = random.Random(5)
        for _ in range(300):
            mini = dice.random() < 0.5
            stream = expected = b""
            taken = []
            for serial in range(1, dice.randint(1, 12)):
                number, body = dice.choice([1, 2, 103, 104, 300, 600]), dice.randbytes(dice.randrange(40))
                whole = message(number, body, mini, serial)
                stream += whole
                if number in (2, 103):
                    taken.append(Taken(0 if mini else serial, number, whole, mini))
                    expected += b"<taken>"
                else:
                    expected += whole
            whole = dice.choice([0, 25, 1 << 17])
            scan, found, passed = Scan(mini, WANTED, whole_max_bytes=whole), [], b""
            for piece in pieces(dice, stream):
                for item in scan.feed(piece):
                    if isinstance(item, Taken):
                        found.append(item)
                        passed += b"<taken>"
                    else:
                        passed += item
            self.assertEqual((passed, found), (expected, taken))
            self.assertTrue(scan.at_boundary)
            self.assertEqual(scan.take_back(), b"")

    def test_not_copied(self) -> None:
        """A chunk without such messages is passed on as it is."""
        data = message(104, bytes(1000), True) * 3
        (item,) = Scan(True, WANTED).feed(data[:-5])
        self.assertEqual(item, data[:-5])
        scan = Scan(True, WANTED)
        self.assertIs(next(scan.feed(data)), data)
        self.assertEqual(scan.messages, 3)

    def test_boundary(self) -> None:
        """What was passed on ends with a message or inside a body, never inside a header."""
        scan = Scan(True, WANTED)
        self.assertEqual(
            list(scan.feed(message(104, b"abc", True) + b"\x68\0")), [message(104, b"abc", True)]
        )
        self.assertTrue(scan.at_boundary)
        self.assertEqual(b"".join(scan.feed(b"\3\0\0\0a")), b"\x68\0\3\0\0\0a")
        self.assertFalse(scan.at_boundary)
        self.assertEqual(scan.left, 2)

    def test_whole(self) -> None:
        """What has up to so many bytes is passed on when it is complete; what has more, as it comes."""
        for mini in (True, False):
            small, large = message(104, b"abcd", mini, 1), message(104, b"abcde", mini, 2)
            scan = Scan(mini, WANTED, whole_max_bytes=len(small))
            owed = []
            for number in range(len(small) - 1):
                self.assertEqual(list(scan.feed(small[number : number + 1])), [])
                owed.append(scan.owed_bytes)
            header = len(small) - 4
            self.assertEqual(owed, [*range(header - 1, 0, -1), 4, 3, 2, 1])
            self.assertTrue(scan.at_boundary)
            self.assertEqual(b"".join(scan.feed(small[-1:] + large[:-1])), small + large[:-1])
            self.assertEqual((scan.left, scan.messages), (1, 2))

    def test_changed_on_the_way(self) -> None:
        """A mask set when a message was taken counts from the next message on."""
        scan = Scan(True, WANTED)
        found = []
        for item in scan.feed(message(2, b"", True) + message(104, b"x", True)):
            scan.wanted = ALL
            found.append(item)
        self.assertEqual([(taken.number, taken.body) for taken in found], [(2, b""), (104, b"x")])

    def test_too_large(self) -> None:
        """A message that is to be taken and is too large is refused at its header."""
        header = struct.pack("<HI", 2, TAKEN_MAX_BYTES + 1)
        self.assertRaises(ProtocolError, list, Scan(True, WANTED).feed(header))
        huge = struct.pack("<HI", 104, 0xFFFFFFFF)
        scan = Scan(True, WANTED)
        self.assertEqual(list(scan.feed(huge)), [huge])
        self.assertEqual(scan.left, 0xFFFFFFFF)
