# SPDX-License-Identifier: LGPL-2.1-or-later
"""The opening exchange."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import LinkError, ProtocolError, WireError
from spicemig.wire.capabilities import CommonCap, DisplayCap, caps_to_words, words_to_caps
from spicemig.wire.link import HEADER, MAGIC, LinkMess, LinkReply, take_link_message

MESS = LinkMess(7, 2, 1, frozenset({0, 1, 3}), frozenset({0, 14, 33}))
REPLY = LinkReply(LinkError.OK, bytes(range(162)), frozenset({3}), frozenset())


class LinkMessageTests(SynchronousTestCase):
    """Both messages, there and back."""

    def test_round_trip(self) -> None:
        """What was packed is unpacked as the same value."""
        for message in (MESS, REPLY):
            body, used = take_link_message(message.pack() + b"more")
            self.assertEqual(used, len(message.pack()))
            self.assertEqual(type(message).unpack(body), message)

    def test_layout(self) -> None:
        """The bytes are those of spice/protocol.h."""
        self.assertEqual(
            LinkMess(0, 1, 0, frozenset({0, 3})).pack().hex(),
            "5245445102000000020000001600000000000000010001000000000000001200000009000000",
        )
        self.assertEqual(len(LinkReply(LinkError.ERROR).pack()), 16 + 178)

    def test_incomplete(self) -> None:
        """A message that is not all there yet is None, at every byte."""
        data = MESS.pack()
        for length in range(len(data)):
            self.assertIsNone(take_link_message(data[:length]))

    def test_refusals(self) -> None:
        """Each mistake has the link error that clients know."""
        body = b"x" * 18
        cases = [
            (b"GET / HTTP/1.1", LinkError.INVALID_MAGIC),
            (b"RF", LinkError.INVALID_MAGIC),
            (HEADER.pack(MAGIC, 1, 0, 18) + body, LinkError.VERSION_MISMATCH),
            (HEADER.pack(MAGIC, 2, 2, 4097), LinkError.INVALID_DATA),
            (HEADER.pack(MAGIC, 2, 2, 2**32 - 1), LinkError.INVALID_DATA),
        ]
        for data, code in cases:
            self.assertEqual(self.assertRaises(ProtocolError, take_link_message, data).code, code)

    def test_minor_version(self) -> None:
        """Another minor version is accepted."""
        self.assertIsNotNone(take_link_message(HEADER.pack(MAGIC, 2, 9, 1) + b"x"))

    def test_hostile_bodies(self) -> None:
        """Any other body is a value or a ``WireError``."""
        randomly = random.Random(3)
        for message in (MESS, REPLY):
            good = message.pack()[HEADER.size :]
            for cut in range(len(good)):
                self.assertRaises(WireError, type(message).unpack, good[:cut])
            for _ in range(2000):
                bad = bytearray(good)
                for _ in range(randomly.randint(1, 4)):
                    bad[randomly.randrange(len(bad))] = randomly.choice((0, 1, 127, 255))
                try:
                    type(message).unpack(bytes(bad))
                except WireError:
                    pass

    def test_unknown_error(self) -> None:
        """A link error of a later protocol is an error."""
        body = b"\x63\0\0\0" + REPLY.pack()[HEADER.size + 4 :]
        self.assertEqual(LinkReply.unpack(body).error, LinkError.ERROR)

    def test_wrong_key(self) -> None:
        """A key of the wrong size is not packed."""
        self.assertRaises(WireError, LinkReply(LinkError.OK, b"short").pack)


class CapabilityTests(SynchronousTestCase):
    """Capabilities are bits in words."""

    def test_there_and_back(self) -> None:
        """As many words as the highest one needs."""
        self.assertEqual(caps_to_words([CommonCap.MINI_HEADER, CommonCap.AUTH_SPICE]), [10])
        self.assertEqual(caps_to_words([]), [])
        self.assertEqual(caps_to_words([40]), [0, 256])
        self.assertEqual(words_to_caps([10, 256]), {1, 3, 40})
        self.assertEqual(words_to_caps(caps_to_words(DisplayCap)), set(DisplayCap))
