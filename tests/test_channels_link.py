# SPDX-License-Identifier: LGPL-2.1-or-later
"""The opening exchange of a connection, and what strangers can do to it."""

import random
import struct

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.keys import TicketKey
from spicemig.channels.limits import LinkCounter, LinkLimits
from spicemig.channels.link import LinkAsked, LinkCore, LinkPolicy, LinkRequest, PasswordShown
from spicemig.errors import LinkError, ProtocolError
from spicemig.wire.link import REPLY_HEAD, LinkMess

# from shared captures: spice-gtk 0.42 links to spice-server 0.15.1, main channel
LINK_OF_SPICE_GTK = bytes.fromhex(
    "5245445102000000020000001a0000000000000001000100000001000000120000000d0000000f000000"
)
REPLY_HEADER = bytes.fromhex("524544510200000002000000ba000000")
REPLY_TAIL = bytes.fromhex("0100000001000000b20000000b0000000f000000")
REPLY_TAIL_WITHOUT_CAPS = bytes.fromhex("0100000000000000b20000000b000000")

KEY = TicketKey()
AUTH_SPICE = struct.pack("<I", 1)
MINIMAL = LinkMess(0, 1, 0).pack()


class OneKey:
    """A pool with the same key for all."""

    def take(self):
        return KEY


def encrypted(password):
    """A ticket as a client makes it."""
    return load_der_public_key(KEY.public).encrypt(password, OAEP(MGF1(SHA1()), SHA1(), None))


def made(**options):
    """A link that has just begun."""
    link = LinkCore(OneKey(), **options)
    link.start(100.0)
    return link


def run(link, data, caps=(0, 1, 2, 3), password=b"secret", refusal=None):
    """Let a client say this to a host with a ticket; the events that came of it."""
    seen = []
    for event in link.receive(data):
        seen.append(event)
        if isinstance(event, LinkAsked):
            link.offer(caps) if refusal is None else link.refuse(ProtocolError(refusal))
        else:
            link.accept() if event.password == password else link.deny()
    return seen


def replied(link):
    """What the link has said."""
    return b"".join(link.data_to_send())


def error_reply(error):
    """A refusal as spice-server sends it."""
    return b"REDQ" + struct.pack("<III", 2, 2, 178) + struct.pack("<I", error) + bytes(174)


class ReplyTests(SynchronousTestCase):
    """A link that goes well is answered as spice-server would."""

    def test_main(self):
        """Header, key and capabilities stand where they stand in a capture of spice-server."""
        link = made()
        (asked,) = run(link, LINK_OF_SPICE_GTK)
        self.assertEqual(asked.request.channel, "main")
        self.assertEqual(asked.request.common_caps, {0, 2, 3})
        self.assertEqual(asked.request.channel_caps, {0, 1, 2, 3})
        self.assertTrue(asked.request.mini)
        self.assertEqual(replied(link), REPLY_HEADER + struct.pack("<I", 0) + KEY.public + REPLY_TAIL)

    def test_channel_without_caps(self):
        """A channel without capabilities names none."""
        link = made()
        run(link, LinkMess(5, 4, 0, {0, 3}).pack(), caps=())
        self.assertTrue(replied(link).endswith(KEY.public + REPLY_TAIL_WITHOUT_CAPS))

    def test_ticket(self):
        """The right ticket lets the client in; what it said after that is the channel's."""
        link = made()
        run(link, LINK_OF_SPICE_GTK)
        replied(link)
        (shown,) = run(link, AUTH_SPICE + encrypted(b"secret\0") + b"more")
        self.assertEqual(shown, PasswordShown(shown.request, b"secret"))
        self.assertTrue(link.linked)
        self.assertEqual(replied(link), struct.pack("<I", LinkError.OK))
        self.assertEqual(link.leftover(), b"more")
        self.assertIsNone(link.next_deadline())

    def test_byte_by_byte(self):
        """Bytes may come in any pieces."""
        link = made()
        for byte in LINK_OF_SPICE_GTK + AUTH_SPICE + encrypted(b"secret\0"):
            run(link, bytes([byte]))
        self.assertTrue(link.linked)

    def test_without_mechanism(self):
        """A client that cannot choose a mechanism sends its ticket at once."""
        link = made()
        run(link, MINIMAL + encrypted(b"secret\0"))
        self.assertTrue(link.linked)

    def test_connection(self):
        """A request says how it came."""
        link = made(secure=True, address="192.0.2.1:5", local=False)
        (asked,) = run(link, MINIMAL)
        self.assertEqual(
            asked.request, LinkRequest(0, "main", 0, frozenset(), frozenset(), True, "192.0.2.1:5")
        )
        self.assertFalse(asked.request.mini)


class ErrorTests(SynchronousTestCase):
    """Every link error, in the bytes that spice-server sends."""

    def refused(self, data, error, **options):
        link = made(**options)
        run(link, data)
        self.assertTrue(link.closed)
        self.assertEqual(replied(link), b"" if error is None else error_reply(error))

    def test_magic(self):
        """Something else than SPICE."""
        self.refused(b"GET / HTTP/1.1\r\n", LinkError.INVALID_MAGIC)
        self.refused(b"REDR", LinkError.INVALID_MAGIC)

    def test_version(self):
        """Another version; version 0 gets no answer."""
        for major, error in ((1, LinkError.VERSION_MISMATCH), (3, LinkError.VERSION_MISMATCH), (0, None)):
            self.refused(b"REDQ" + struct.pack("<III", major, 2, 18), error)

    def test_minor_version(self):
        """The minor version does not matter."""
        link = made()
        run(link, b"REDQ" + struct.pack("<III", 2, 77, 18) + MINIMAL[16:])
        self.assertFalse(link.closed)

    def test_sizes(self):
        """Link messages that are too small or too large, before they have come."""
        for size in (0, 17, 4097, 1 << 31, (1 << 32) - 1):
            self.refused(b"REDQ" + struct.pack("<III", 2, 2, size), LinkError.INVALID_DATA)

    def test_capabilities(self):
        """Capabilities that do not fit, lie outside, or are too many."""
        for common, channel, offset in (
            (1025, 0, 18),
            (0, 1025, 18),
            ((1 << 32) - 1, 1, 18),
            (1, 0, 17),
            (1, 0, 19),
            (2, 0, 18),
            (1, 1, 18),
            (1, 0, (1 << 32) - 1),
        ):
            body = struct.pack("<IBBIIII", 0, 1, 0, common, channel, offset, 0)
            self.refused(b"REDQ" + struct.pack("<III", 2, 2, len(body)) + body, LinkError.INVALID_DATA)

    def test_secured(self):
        """A channel that may come only over TLS, and one that may not."""
        policy = LinkPolicy(secure_channels=frozenset({"main"}), plain_channels=frozenset({"display"}))
        display = LinkMess(1, 2, 0).pack()
        self.refused(MINIMAL, LinkError.NEED_SECURED, policy=policy, secure=False)
        self.refused(display, LinkError.NEED_UNSECURED, policy=policy, secure=True)
        for data, secure in ((MINIMAL, True), (display, False)):
            link = made(policy=policy, secure=secure)
            run(link, data)
            self.assertFalse(link.closed)

    def test_mechanism(self):
        """A mechanism that we do not have."""
        for mechanism in (0, 2, 3, 1 << 31):
            link = made()
            run(link, LINK_OF_SPICE_GTK)
            replied(link)
            run(link, struct.pack("<I", mechanism))
            self.assertEqual(replied(link), error_reply(LinkError.INVALID_DATA))
            self.assertTrue(link.closed)

    def test_wrong_ticket(self):
        """A wrong password, one that is too long, and what is no ticket at all."""
        for ticket in (encrypted(b"wrong\0"), encrypted(b"x" * 61 + b"\0"), bytes(128), b"\xff" * 128):
            link = made()
            run(link, MINIMAL, password=b"x" * 61)
            replied(link)
            run(link, ticket, password=b"x" * 61)
            self.assertEqual(replied(link), struct.pack("<I", LinkError.PERMISSION_DENIED))
            self.assertTrue(link.closed)

    def test_longest_password(self):
        """A password may have sixty bytes."""
        link = made()
        run(link, MINIMAL + encrypted(b"x" * 60 + b"\0"), password=b"x" * 60)
        self.assertTrue(link.linked)

    def test_refused_by_host(self):
        """What the host refuses is told with the result, to those with a right ticket only."""
        for refusal in (LinkError.BAD_CONNECTION_ID, LinkError.CHANNEL_NOT_AVAILABLE):
            for password, error in ((b"secret\0", refusal), (b"wrong\0", LinkError.PERMISSION_DENIED)):
                link = made()
                run(link, MINIMAL, refusal=refusal)
                self.assertEqual(replied(link)[16:20], bytes(4))
                run(link, encrypted(password), refusal=refusal)
                self.assertEqual(replied(link), struct.pack("<I", error))
                self.assertTrue(link.closed)

    def test_unknown_channel(self):
        """A channel type that nobody knows is asked for by its number."""
        (asked,) = run(made(), LinkMess(0, 77, 3).pack())
        self.assertEqual((asked.request.channel, asked.request.channel_id), ("channel77", 3))


class HostileTests(SynchronousTestCase):
    """Strangers get little memory and little time."""

    def test_every_truncation(self):
        """A link that ends anywhere is not through, and has kept no more than was said."""
        whole = LINK_OF_SPICE_GTK + AUTH_SPICE + encrypted(b"secret\0")
        for length in range(len(whole)):
            link = made()
            run(link, whole[:length])
            self.assertFalse(link.linked)
            self.assertFalse(link.closed)
            self.assertLessEqual(len(link._buffer), length)

    def test_every_field(self):
        """Whatever stands in a link message, it is answered or refused, and nothing else happens."""
        head = bytearray(LINK_OF_SPICE_GTK)
        for place in range(len(head) - 3):
            for value in (0, 1, 0x7F, 0x80000000, 0xFFFFFFFF):
                changed = bytearray(head)
                struct.pack_into("<I", changed, place, value)
                link = made()
                run(link, bytes(changed) + bytes(200))
                replied(link)
                self.assertFalse(link.linked)

    def test_garbage(self):
        """Random bytes are refused, with at most one reply."""
        dice = random.Random(1)
        for _ in range(300):
            link = made()
            run(link, b"REDQ"[: dice.randrange(5)] + dice.randbytes(dice.randrange(5000)))
            self.assertFalse(link.linked)
            self.assertLessEqual(len(replied(link)), 2 * (16 + REPLY_HEAD.size) + 8)

    def test_memory(self):
        """A stranger who goes on talking after a refusal is not listened to."""
        link = made()
        for _ in range(100):
            run(link, bytes(65536))
        self.assertEqual(len(link._buffer), 0)
        self.assertEqual(len(link.data_to_send()), 1)

    def test_first_byte(self):
        """One who says nothing has three seconds."""
        link = made()
        self.assertEqual(link.next_deadline(), 103.0)
        link.deadline_passed(102.9)
        self.assertFalse(link.closed)
        link.deadline_passed(103.0)
        self.assertTrue(link.closed)
        self.assertIsNone(link.next_deadline())

    def test_authentication(self):
        """One who says a little has ten seconds for all of it, however slowly it goes on."""
        link = made()
        run(link, b"RED")
        self.assertEqual(link.next_deadline(), 110.0)
        run(link, b"Q")
        self.assertEqual(link.next_deadline(), 110.0)
        link.deadline_passed(110.0)
        self.assertTrue(link.closed)


class CounterTests(SynchronousTestCase):
    """How many links may be under way."""

    def test_per_address(self):
        """One address cannot take all the room."""
        counter = LinkCounter(LinkLimits(total=10, per_address=2))
        self.assertEqual([counter.enter("a") for _ in range(3)], [True, True, False])
        self.assertTrue(counter.enter("b"))
        counter.leave("a")
        self.assertTrue(counter.enter("a"))

    def test_total(self):
        """There is a limit to all of them together, unix sockets included."""
        counter = LinkCounter(LinkLimits(total=2, per_address=2))
        self.assertTrue(counter.enter(None))
        self.assertTrue(counter.enter("a"))
        self.assertFalse(counter.enter(None))
        counter.leave(None)
        self.assertTrue(counter.enter("b"))
        self.assertFalse(counter.enter("c"))

    def test_nothing_is_left(self):
        """Those who are gone take no memory."""
        counter = LinkCounter(LinkLimits())
        for number in range(1000):
            counter.enter(str(number % 200))
            counter.leave(str(number % 200))
        self.assertEqual(len(counter._by_address), 0)
