# SPDX-License-Identifier: LGPL-2.1-or-later
"""The keys under which clients send their tickets."""

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.keys import KeyPool, TicketKey
from spicemig.wire.link import PUBLIC_KEY_BYTES, TICKET_BYTES


def encrypted(key, plain):
    """A ticket as a client makes it."""
    return load_der_public_key(key.public).encrypt(plain, OAEP(MGF1(SHA1()), SHA1(), None))


class FakeThreads:
    """Runs what is to be run in a thread when the test says so."""

    def __init__(self):
        self.waiting = []

    def __call__(self, function):
        done = Deferred()
        self.waiting.append((function, done))
        return done

    def run(self):
        """Run one."""
        function, done = self.waiting.pop(0)
        done.callback(function())


class KeyTests(SynchronousTestCase):
    """One key."""

    key = TicketKey()

    def test_sizes(self):
        """The public key fills its place in the link reply, a ticket its own."""
        self.assertEqual(len(self.key.public), PUBLIC_KEY_BYTES)
        self.assertEqual(len(encrypted(self.key, b"secret\0")), TICKET_BYTES)

    def test_decrypt(self):
        """A password comes out as it went in, up to its NUL."""
        self.assertEqual(self.key.decrypt(encrypted(self.key, b"secret\0")), b"secret")
        self.assertEqual(self.key.decrypt(encrypted(self.key, b"secret\0more")), b"secret")
        self.assertEqual(self.key.decrypt(encrypted(self.key, b"secret")), b"secret")
        self.assertEqual(self.key.decrypt(encrypted(self.key, b"\0")), b"")

    def test_zeros_left_out(self):
        """A ticket that begins with a zero is understood without it, with one more at its end."""
        while (ticket := encrypted(self.key, b"secret\0"))[0]:
            pass
        self.assertEqual(self.key.decrypt(ticket), b"secret")
        self.assertEqual(self.key.decrypt(ticket[1:] + b"\0"), b"secret")
        self.assertIsNone(self.key.decrypt(ticket[1:] + b"\1"))

    def test_garbage(self):
        """What was not encrypted for this key is no password."""
        for ticket in (bytes(TICKET_BYTES), b"\xff" * TICKET_BYTES, encrypted(TicketKey(), b"secret\0")):
            self.assertIsNone(self.key.decrypt(ticket))


class PoolTests(SynchronousTestCase):
    """Keys that are ready."""

    def test_filled_one_after_the_other(self):
        """Keys are made in one thread at a time, until enough are ready."""
        threads = FakeThreads()
        pool = KeyPool(threads, ready=2)
        pool.fill()
        pool.fill()
        self.assertEqual(len(threads.waiting), 1)
        threads.run()
        threads.run()
        self.assertEqual((len(pool), len(threads.waiting)), (2, 0))

    def test_taken_once(self):
        """Each link has a key of its own, and a new one is made for it."""
        threads = FakeThreads()
        pool = KeyPool(threads, ready=2)
        pool.fill()
        threads.run()
        threads.run()
        self.assertIsNot(pool.take(), pool.take())
        self.assertEqual(len(threads.waiting), 1)

    def test_not_while_enough_are_left(self):
        """A few links in a row do not compete with the making of keys."""
        threads = FakeThreads()
        pool = KeyPool(threads, ready=8)
        pool.fill()
        for _ in range(8):
            threads.run()
        for _ in range(3):
            pool.take()
        self.assertEqual(threads.waiting, [])
        pool.take()
        self.assertEqual(len(threads.waiting), 1)

    def test_never_waits(self):
        """In a rush the last key is given again."""
        threads = FakeThreads()
        pool = KeyPool(threads, ready=1)
        pool.fill()
        threads.run()
        key = pool.take()
        self.assertIs(pool.take(), key)
        threads.run()
        self.assertIsNot(pool.take(), key)

    def test_first_of_all(self):
        """A link that comes before any key is ready gets one all the same."""
        pool = KeyPool(FakeThreads())
        self.assertIs(pool.take(), pool.take())

    def test_failure(self):
        """A thread that failed does not stop the pool."""
        made = [fail(OSError("no threads"))]
        threads = FakeThreads()
        pool = KeyPool(lambda function: made.pop() if made else threads(function))
        pool.fill()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        pool.take()
        self.assertEqual(len(threads.waiting), 1)
