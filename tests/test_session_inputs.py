# SPDX-License-Identifier: LGPL-2.1-or-later
"""One keyboard and one pointer, shared by all clients."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.testing.guests import ListGuest
from spicemig.testing.sessions import BareHost
from spicemig.wire.enums import MouseMode
from spicemig.wire.messages import cursor, inputs, main


class MouseModeTests(SynchronousTestCase):
    """Motions or positions."""

    def test_natural(self):
        """A guest with an absolute pointer begins in client mode, another one has server mode only."""
        for absolute, supported, current in ((True, 3, 2), (False, 1, 1)):
            peer = BareHost(ListGuest(absolute_pointer=absolute)).client(("main",))
            init = peer["main"].heard()[0]
            self.assertEqual((init.supported_mouse_modes, init.current_mouse_mode), (supported, current))

    def test_asked(self):
        """A client asks for a mode; all clients are told, once."""
        host = BareHost(ListGuest())
        peers = [host.client(), host.client()]
        for peer in peers:
            peer.ignore()
        for _ in range(2):
            peers[0]["main"].say(main.MouseModeRequest(MouseMode.SERVER))
        for peer in peers:
            self.assertEqual(peer["main"].heard(), [main.MouseMode(3, MouseMode.SERVER)])

    def test_impossible(self):
        """Modes that the guest cannot do, or that do not exist, are not taken."""
        host = BareHost(ListGuest(absolute_pointer=False))
        peer = host.client()
        peer.ignore()
        peer["main"].say(*(main.MouseModeRequest(mode) for mode in (0, 1, 2, 3, 4, 0xFFFF)))
        self.assertEqual(peer["main"].heard(), [])
        self.assertTrue(peer.open)

    def test_only_that_kind(self):
        """Positions count in client mode, motions in server mode."""
        host = BareHost(ListGuest())
        peer = host.client()
        both = inputs.MousePosition(3, 4, 0, 0), inputs.MouseMotion(1, 2, 0)
        peer["inputs"].say(*both)
        peer["main"].say(main.MouseModeRequest(MouseMode.SERVER))
        peer["inputs"].say(*both)
        self.assertEqual(host.guest.inputs, [("pointer_set", 3, 4, 0, 0), ("pointer_moved", 1, 2, 0)])


class KeyboardTests(SynchronousTestCase):
    """Keys and lock keys."""

    def setUp(self):
        self.host = BareHost(ListGuest())

    def test_once(self):
        """What one of several clients types reaches the guest once."""
        peers = [self.host.client(), self.host.client()]
        peers[1]["inputs"].say(inputs.KeyDown(30), inputs.KeyUp(158), inputs.KeyScancode(b"\xe0\x48\xe0\xc8"))
        self.assertEqual(
            self.host.guest.inputs,
            [("key_down", 30), ("key_up", 158), ("key_down", 0x48E0), ("key_up", 0xC8E0)],
        )

    def test_modifiers(self):
        """Every client is told of the lock keys, those who come later in their Init."""
        peers = [self.host.client(), self.host.client()]
        for peer in peers:
            peer.ignore()
        for _ in range(2):
            peers[0]["inputs"].say(inputs.ClientKeyModifiers(2))
        for peer in peers:
            self.assertEqual(peer["inputs"].heard(), [inputs.KeyModifiers(2)])
        self.assertEqual(self.host.client()["inputs"].heard(), [inputs.Init(2)])

    def test_released_with_the_client(self):
        """Keys that a client held go up when it goes; those of others stay down."""
        peers = [self.host.client(), self.host.client()]
        peers[0]["inputs"].say(inputs.KeyDown(30), inputs.KeyDown(31), inputs.KeyDown(0x48E0))
        peers[0]["inputs"].say(inputs.KeyUp(158))
        peers[1]["inputs"].say(inputs.KeyDown(40))
        del self.host.guest.inputs[:]
        peers[0].lose()
        self.assertEqual(self.host.guest.inputs, [("key_up", 0xC8E0), ("key_up", 159)])

    def test_released_with_the_channel(self):
        """It is enough that the inputs channel goes."""
        peer = self.host.client()
        peer["inputs"].say(inputs.KeyDown(30))
        peer["inputs"].lose()
        self.assertEqual(self.host.guest.inputs, [("key_down", 30), ("key_up", 158)])
        self.assertTrue(peer["main"].open)

    def test_flood(self):
        """A client that types very fast is heard out, and nothing piles up."""
        peer = self.host.client()
        for _ in range(1000):
            peer["inputs"].say(inputs.KeyDown(30))
        self.assertEqual(len(self.host.guest.inputs), 1000)
        self.assertEqual(peer["inputs"].core.keys_to_release(), [158])


class CursorTests(SynchronousTestCase):
    """The cursor that all clients see."""

    def test_late(self):
        """A client is told of the cursor at once."""
        peer = BareHost(ListGuest()).client()
        self.assertIn(cursor.Init, peer["cursor"].heard_types())
