# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may link to a host, and to which session."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import LinkError, ProtocolError
from spicemig.testing.guests import ListGuest
from spicemig.testing.sessions import BareHost
from spicemig.wire.messages import main


class AdmissionTests(SynchronousTestCase):
    """Links to a host that serves a guest."""

    def setUp(self):
        self.host = BareHost(ListGuest())

    def assertRefused(self, code, *args, **options):
        """A link is refused with this error, before or after its ticket."""
        error = self.assertRaises(ProtocolError, self.host.link, *args, **options)
        self.assertEqual(error.code, code)

    def test_session(self):
        """The main channel's Init names the session, and the other channels link to it."""
        channel = self.host.link("main")
        (init,) = [message for message in channel.heard() if isinstance(message, main.Init)]
        self.assertEqual(list(self.host.sessions.clients), [init.session_id])
        self.assertIs(self.host.link("inputs", init.session_id).client, channel.client)

    def test_no_session_yet(self):
        """A channel other than main needs a session, one that exists."""
        self.assertRefused(LinkError.BAD_CONNECTION_ID, "display")
        self.assertRefused(LinkError.BAD_CONNECTION_ID, "display", 4711)
        self.assertRefused(LinkError.BAD_CONNECTION_ID, "main", 4711)

    def test_no_such_channel(self):
        """Only the channels of the host's list can be linked."""
        peer = self.host.client()
        self.assertRefused(LinkError.CHANNEL_NOT_AVAILABLE, "playback", peer.id)
        self.assertRefused(LinkError.CHANNEL_NOT_AVAILABLE, "display", peer.id, channel_id=1)

    def test_twice(self):
        """A channel is linked once at a time; when it is gone it can be linked again."""
        peer = self.host.client()
        self.assertRefused(LinkError.ERROR, "inputs", peer.id)
        self.assertRefused(LinkError.BAD_CONNECTION_ID, "main", peer.id)
        peer["inputs"].lose()
        self.host.link("inputs", peer.id)

    def test_twice_at_once(self):
        """Of two links to one channel at the same time, the second to show its ticket is refused."""
        peer = self.host.client(("main",))
        request = self.host.request("inputs", peer.id)
        first, second = self.host.sessions.admit(request), self.host.sessions.admit(request)
        self.host.sessions.attached(request, second, _Deaf(), b"")
        self.assertRaises(ProtocolError, self.host.sessions.attached, request, first, _Deaf(), b"")
        self.assertIs(peer.session.cores["inputs", 0], second)

    def test_client_goes_while_linking(self):
        """A link whose client goes before the ticket came is refused, not served."""
        peer = self.host.client(("main",))
        request = self.host.request("inputs", peer.id)
        core = self.host.sessions.admit(request)
        peer.lose()
        error = self.assertRaises(ProtocolError, self.host.sessions.attached, request, core, _Deaf(), b"")
        self.assertEqual(error.code, LinkError.BAD_CONNECTION_ID)

    def test_guest_goes_while_linking(self):
        """A new client that was let in is refused if the guest has gone when its ticket comes."""
        request = self.host.request("main")
        core = self.host.sessions.admit(request)
        self.host.sessions.release()
        self.assertRaises(ProtocolError, self.host.sessions.attached, request, core, _Deaf(), b"")
        self.assertEqual(self.host.sessions.clients, {})

    def test_main_goes(self):
        """Without its main channel a client is gone whole."""
        peer = self.host.client()
        peer["main"].lose()
        self.assertFalse(peer["inputs"].open)
        self.host.turn()
        self.assertEqual(self.host.sessions.clients, {})
        self.assertEqual(self.host.observer.told, [("client_gone", peer.id)])

    def test_empty_host(self):
        """A host without a guest refuses everybody."""
        self.host = BareHost()
        self.assertRefused(LinkError.ERROR, "main")

    def test_max_clients(self):
        """No more clients than the settings allow, even if all link at the same moment."""
        self.host = BareHost(ListGuest(), max_clients=2)
        request = self.host.request("main")
        cores = [self.host.sessions.admit(request) for _ in range(3)]
        for core in cores[:2]:
            self.host.sessions.attached(request, core, _Deaf(), b"")
        self.assertRaises(ProtocolError, self.host.sessions.attached, request, cores[2], _Deaf(), b"")
        self.assertRefused(LinkError.ERROR, "main")
        self.assertEqual(len(self.host.sessions.clients), 2)

    def test_place_is_free_again(self):
        """A client that goes makes room."""
        self.host = BareHost(ListGuest(), max_clients=1)
        self.host.client().lose()
        self.assertTrue(self.host.client().open)

    def test_takes_the_place(self):
        """Without multi_client a new client takes the place of the one before, whatever the limit."""
        self.host = BareHost(ListGuest(), multi_client=False, max_clients=1)
        old = self.host.client()
        new = self.host.client()
        self.host.turn()
        self.assertFalse(old.open)
        self.assertTrue(new.open)
        self.assertEqual(list(self.host.sessions.clients), [new.id])

    def test_ids_differ(self):
        """Every session has an id of its own."""
        self.assertEqual(len({self.host.client().id for _ in range(20)}), 20)


class TicketTests(SynchronousTestCase):
    """The ticket of a host."""

    def test_wrong(self):
        """A wrong ticket is refused."""
        host = BareHost(ListGuest(), ticket=b"sesame")
        error = self.assertRaises(ProtocolError, host.link, "main", password=b"barley")
        self.assertEqual(error.code, LinkError.PERMISSION_DENIED)

    def test_changed(self):
        """After the ticket was changed a client links its channels with the one it came with."""
        host = BareHost(ListGuest(), ticket=b"sesame")
        peer = host.client(("main",), password=b"sesame")
        host.sessions.ticket = type(host.sessions.ticket)(b"barley")
        self.assertTrue(host.link("inputs", peer.id, password=b"sesame").open)
        self.assertRaises(ProtocolError, host.link, "cursor", peer.id, password=b"barley")


class _Deaf:
    """A protocol that goes nowhere."""

    def flush(self):
        pass

    def tell(self, told):
        list(told)

    def close(self):
        pass

    abort = close
