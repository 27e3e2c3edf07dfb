# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tickets."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.tickets import Ticket, TicketVerifier
from spicemig.errors import ProtocolError


class TicketTests(SynchronousTestCase):
    """The password of a host."""

    def test_right_and_wrong(self):
        """Only the whole password opens the host."""
        ticket = Ticket(b"secret")
        self.assertTrue(ticket.check(b"secret", 1e9))
        for wrong in (b"", b"secre", b"secrets", b"SECRET", b"secret\0"):
            self.assertFalse(ticket.check(wrong, 0.0))

    def test_expiry(self):
        """An expired ticket opens nothing."""
        ticket = Ticket(b"secret", expires_at=10.0)
        self.assertTrue(ticket.check(b"secret", 10.0))
        self.assertFalse(ticket.check(b"secret", 10.1))

    def test_empty(self):
        """A host whose ticket is not set yet is closed."""
        self.assertFalse(Ticket(b"").check(b"", 0.0))

    def test_never_shown(self):
        """A ticket does not appear in logs."""
        self.assertNotIn("secret", repr(Ticket(b"secret")))
        self.assertNotIn("digest", repr(TicketVerifier.of(b"secret")))


class VerifierTests(SynchronousTestCase):
    """What a target knows of a password."""

    def test_recognises(self):
        """It recognises the password after the way to the target, even when the ticket has expired."""
        verifier = TicketVerifier.unpack(Ticket(b"secret", expires_at=0.0).verifier(b"secret").pack())
        self.assertTrue(verifier.matches(b"secret"))
        self.assertFalse(verifier.matches(b"Secret"))

    def test_says_nothing(self):
        """Two verifiers of one password have nothing in common."""
        first, second = TicketVerifier.of(b"x"), TicketVerifier.of(b"x")
        self.assertNotEqual(first.salt, second.salt)
        self.assertNotEqual(first.digest, second.digest)

    def test_bad_bytes(self):
        """Other bytes are no verifier."""
        data = TicketVerifier.of(b"x").pack()
        for bad in (b"", data[:-1], data + b"x"):
            self.assertRaises(ProtocolError, TicketVerifier.unpack, bad)
