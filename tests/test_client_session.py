# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client as a whole, against hosts in memory."""

from twisted.internet.defer import TimeoutError
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from spicemig.client import events
from spicemig.client.hosts import Address, parse_subject
from spicemig.client.session import Abilities, SessionOver, ViewerSession
from spicemig.errors import LinkError, ProtocolError
from spicemig.testing.guests import ListGuest, copy, copy_bits, fill, picture
from spicemig.testing.hosts import TwoHosts
from spicemig.wire.messages.main import Destination


class SessionTests(SynchronousTestCase):
    """Connecting, looking, typing, leaving."""

    def setUp(self):
        self.hosts = TwoHosts(self.mktemp())
        self.guest = self.hosts.source.guest

    def assertSamePicture(self, viewer, host):
        """Client and guest show the same."""
        self.hosts.run(0.01)
        self.assertEqual(viewer.screen().tobytes(), host.screen().tobytes())

    def test_late_client(self):
        """A client that comes late has the whole picture at once."""
        self.guest.draw(fill(0, 0, 320, 200, 0x336699), copy(picture(5, 30, 20), 7, 9))
        viewer = self.hosts.viewer()
        self.assertSamePicture(viewer, self.hosts.source)
        self.assertEqual(viewer.screen().getpixel((0, 0)), (0x33, 0x66, 0x99))

    def test_follows_draws(self):
        """What is drawn while it looks on is drawn there too; a kept image is sent once."""
        viewer = self.hosts.viewer()
        kept = picture(5, 30, 20)
        self.guest.draw(copy(kept, 0, 0), fill(10, 10, 50, 50, 0xFF00FF))
        self.hosts.run(0.01)
        self.guest.draw(copy(kept, 100, 50), copy_bits(200, 100, 60, 60, 0, 0))
        self.assertSamePicture(viewer, self.hosts.source)
        self.assertEqual(viewer.counters.surprises()["images_received_again"], 0)
        self.assertGreaterEqual(viewer.counters.images_from_cache, 1)

    def test_full_headers(self):
        """Without mini headers everything works as well."""
        viewer = self.hosts.viewer(abilities=Abilities(mini_header=False))
        self.guest.draw(fill(0, 0, 10, 10, 0xFFFFFF))
        viewer.type_keys(30)
        self.assertSamePicture(viewer, self.hosts.source)
        self.assertEqual(self.guest.inputs, [("key_down", 30), ("key_up", 158)])

    def test_inputs(self):
        """Keys, positions and buttons reach the guest in order."""
        viewer = self.hosts.viewer()
        viewer.type_keys(30)
        viewer.do(viewer.inputs.position, 5, 6)
        viewer.do(viewer.inputs.press, 1)
        viewer.do(viewer.inputs.release, 1)
        self.hosts.run(0.01)
        self.assertEqual(
            self.guest.inputs,
            [
                ("key_down", 30),
                ("key_up", 158),
                ("pointer_set", 5, 6, 0, 0),
                ("button_pressed", 1, 1),
                ("button_released", 1, 0),
            ],
        )

    def test_read_only(self):
        """A read-only client sees everything and is not heard."""
        viewer = self.hosts.viewer(abilities=Abilities(read_only=True))
        viewer.type_keys(30)
        self.guest.draw(fill(0, 0, 10, 10, 0xFFFFFF))
        self.assertSamePicture(viewer, self.hosts.source)
        self.assertEqual(self.guest.inputs, [])

    def test_some_channels(self):
        """A client may leave channels alone."""
        viewer = self.hosts.viewer(abilities=Abilities(channels=frozenset({"display"})))
        self.assertIsNone(viewer.core("inputs"))
        self.assertEqual(len(viewer.connections), 2)

    def test_nobody_there(self):
        """Connecting to nobody fails with the reason, and leaves nothing behind."""
        viewer = ViewerSession(self.hosts.network, b"", self.hosts.clock)
        self.assertRaises(ConnectionRefusedError, self.hosts.wait, viewer.connect(Address("nowhere", 5900)))
        self.assertTrue(viewer.over)
        self.assertEqual(self.hosts.network.connections("client"), [])

    def test_deadline(self):
        """A server that accepts and says nothing is given up after the deadline."""
        from twisted.internet.protocol import Factory, Protocol

        self.hosts.network.listen("silent", 5900, Factory.forProtocol(Protocol))
        viewer = ViewerSession(self.hosts.network, b"", self.hosts.clock, link_seconds=2.0)
        self.assertRaises(TimeoutError, self.hosts.wait, viewer.connect(Address("silent", 5900)), 5.0)
        self.hosts.run(0.01)
        self.assertEqual(self.hosts.network.connections("client"), [])

    def test_cancel(self):
        """Connecting can be cancelled; nothing stays open."""
        viewer = ViewerSession(self.hosts.network, b"", self.hosts.clock)
        connecting = viewer.connect(self.hosts.source.address)
        connecting.cancel()
        self.failureResultOf(connecting)
        self.hosts.run(0.01)
        self.assertEqual(self.hosts.network.connections("client"), [])

    def test_disconnect(self):
        """Disconnecting closes every connection; who waits is told."""
        viewer = self.hosts.viewer()
        waiting = viewer.when(events.Moved)
        self.hosts.wait(viewer.disconnect())
        self.failureResultOf(waiting, SessionOver)
        self.hosts.run(0.01)
        self.assertEqual(self.hosts.source.sessions.clients, {})

    def test_server_goes(self):
        """When the server is gone the session is over."""
        viewer = self.hosts.viewer()
        self.hosts.network.cut("source")
        self.hosts.wait(viewer.when_over())
        self.assertIsNotNone(viewer.failure)


class TicketTests(SynchronousTestCase):
    """Who may connect."""

    def test_right_and_wrong(self):
        """The right ticket opens, a wrong one is refused with the link error for it."""
        hosts = TwoHosts(self.mktemp(), ticket=b"sesame")
        hosts.viewer(password=b"sesame")
        stranger = ViewerSession(hosts.network, b"barley", hosts.clock)
        refused = self.assertRaises(ProtocolError, hosts.wait, stranger.connect(hosts.source.address))
        self.assertEqual(refused.code, LinkError.PERMISSION_DENIED)


class HandoverTests(SynchronousTestCase):
    """The client's part of going to another host."""

    def setUp(self):
        self.hosts = TwoHosts(
            self.mktemp(), make_guest=lambda kind: ListGuest([fill(0, 0, 320, 200, 0x224466)])
        )

    def drawn(self, host, viewer):
        """The guest draws, and the client shows it."""
        host.guest.draw(fill(3, 4, 50, 60, 0xABCDEF))
        self.hosts.run(0.01)
        self.assertEqual(viewer.screen().tobytes(), host.screen().tobytes())

    def test_seamless(self):
        """State is carried: nothing is created, sent or forgotten again, and the image cache is used."""
        viewer = self.hosts.viewer()
        kept = picture(9, 40, 30)
        self.hosts.source.guest.draw(copy(kept, 0, 0))
        self.hosts.run(0.01)
        before = viewer.counters.surprises()
        self.assertEqual(self.hosts.moved()["outcome"], "completed")
        self.assertEqual(viewer.moves[-1].how, "seamless")
        self.assertEqual(set(viewer.moves[-1].swapped), {"main:0", "display:0", "inputs:0", "cursor:0"})
        self.hosts.target.guest.draw(copy(kept, 100, 100))
        self.drawn(self.hosts.target, viewer)
        self.assertEqual(viewer.counters.surprises(), before)
        self.assertEqual(viewer.address.host, "target")

    def test_there_and_back(self):
        """Many handovers in a row; every key comes once and in order."""
        viewer = self.hosts.viewer()
        here = self.hosts.source
        codes = []
        for code in range(2, 12):
            handover = self.hosts.migrate(here)
            viewer.type_keys(code, code + 20)
            codes += [code, code + 20]
            self.assertEqual(self.hosts.wait(handover.done)["outcome"], "completed")
            here = self.hosts.other(here)
        self.drawn(here, viewer)
        expected = [step for code in codes for step in (("key_down", code), ("key_up", code | 0x80))]
        self.assertEqual(here.guest.inputs, expected)

    def test_latency(self):
        """It works as well with a long line between all of them."""
        hosts = self.hosts = TwoHosts(self.mktemp(), latency_seconds=0.04)
        viewer = hosts.viewer()
        hosts.run(0.5)
        self.assertEqual(hosts.moved()["outcome"], "completed")
        self.assertEqual(viewer.moves[-1].how, "seamless")

    def test_full_headers(self):
        """Serials of full headers go on at the target."""
        viewer = self.hosts.viewer(abilities=Abilities(mini_header=False))
        serial = viewer.display.last_serial
        self.assertEqual(self.hosts.moved()["outcome"], "completed")
        self.drawn(self.hosts.target, viewer)
        self.assertGreater(viewer.display.last_serial, serial)

    def test_semi_seamless(self):
        """A client without the capability begins anew at the target, linked beforehand."""
        viewer = self.hosts.viewer(abilities=Abilities(seamless=False))
        self.assertEqual(self.hosts.moved()["outcome"], "completed")
        self.hosts.wait(viewer.until(lambda: viewer.moves and viewer.display.marked))
        self.assertEqual(viewer.moves[-1].how, "semi-seamless")
        self.drawn(self.hosts.target, viewer)
        viewer.type_keys(30)
        self.hosts.run(0.01)
        self.assertEqual(self.hosts.target.guest.inputs[-2:], [("key_down", 30), ("key_up", 158)])

    def test_switch_host(self):
        """A client without any capability is told to connect afresh, and does."""
        viewer = self.hosts.viewer(abilities=Abilities(seamless=False, semi_seamless=False))
        moved = viewer.when(events.Moved)
        self.assertEqual(self.hosts.moved()["outcome"], "completed")
        self.assertEqual(self.hosts.wait(moved).how, "switch-host")
        self.hosts.wait(viewer.until(lambda: viewer.display.marked))
        self.drawn(self.hosts.target, viewer)

    def test_read_only(self):
        """A read-only client, which cannot say that it is ready, is carried all the same."""
        viewer = self.hosts.viewer(abilities=Abilities(read_only=True))
        self.assertEqual(self.hosts.moved()["outcome"], "completed")
        self.assertEqual(viewer.moves[-1].how, "seamless")
        self.drawn(self.hosts.target, viewer)

    def test_target_out_of_reach(self):
        """A client that cannot reach the target says so, and stays."""
        viewer = self.hosts.viewer()
        told = viewer.when(events.LinkedToTarget)
        connection_id = viewer.connection_id
        nowhere = Destination(1, 0, b"nowhere")
        self.hosts.source.sessions.invite(connection_id, nowhere, True)
        self.hosts.run(0.01)
        self.assertFalse(self.successResultOf(told).connected)
        self.assertIsNone(viewer.handover)
        self.drawn(self.hosts.source, viewer)

    def test_cancelled(self):
        """When the source takes its invitation back the target is forgotten, and all goes on."""
        viewer = self.hosts.viewer()
        handover = self.hosts.migrate()
        handover.cancel()
        report = self.hosts.wait(handover.done)
        self.assertEqual(report["outcome"], "cancelled")
        self.hosts.run(0.05)
        self.assertIsNone(viewer.handover)
        self.assertEqual(viewer.moves, [])
        self.assertTrue(self.hosts.source.owner)
        self.drawn(self.hosts.source, viewer)
        self.assertEqual(self.hosts.moved()["outcome"], "completed")


class AddressTests(SynchronousTestCase):
    """Where servers are."""

    def test_of_destination(self):
        """No port may be written as 0 or as 65535."""
        address = Address.of(Destination(5900, 0xFFFF, b"host\0", b"CN=host\0"))
        self.assertEqual(address, Address("host", 5900, 0, "CN=host"))

    def test_subject(self):
        """A subject is read with its escapes."""
        self.assertEqual(parse_subject("C=XX,O=Some\\, Inc.,CN=a"), {"C": "XX", "O": "Some, Inc.", "CN": "a"})
