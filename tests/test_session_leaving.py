# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that stands still to give its guest away, or goes on after all."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.core import LeavingStage
from spicemig.errors import ProtocolError
from spicemig.session.carried import CarriedHost
from spicemig.session.stage import Stage
from spicemig.testing.guests import ListGuest, copy, fill, picture
from spicemig.testing.sessions import BareHost, seal_for
from spicemig.wire.capabilities import MainCap
from spicemig.wire.messages import base, display, inputs, main
from spicemig.wire.messages.main import Destination
from spicemig.wire.messages.migration import OfferFlag

THERE = Destination(5900, 0, b"target")


class SlowGuest(ListGuest):
    """Stops when the test says so."""

    def stop(self):
        super().stop()
        self.stopped = Deferred()
        return self.stopped


class HostTests(SynchronousTestCase):
    """What all tests here begin with."""

    def setUp(self):
        self.host = BareHost(ListGuest([fill(0, 0, 320, 200, 0x224466)]))
        self.sessions = self.host.sessions
        self.peer = self.host.client()
        self.peer.ignore()

    def press(self, *codes):
        """The client presses keys."""
        self.peer["inputs"].say(*(inputs.KeyDown(code) for code in codes))

    def assertGoesOn(self):
        """The guest runs, draws to its client, and hears it."""
        self.assertIs(self.sessions.stage, Stage.SERVING)
        self.assertTrue(self.sessions.owner)
        self.assertTrue(self.host.guest.running)
        self.peer.ignore()
        self.host.guest.draw(fill(0, 0, 5, 5, 1))
        self.assertEqual(self.peer["display"].heard_types(), [display.DrawFill])
        self.press(77)
        self.assertEqual(self.host.guest.inputs[-1], ("key_down", 77))


class OfferTests(HostTests):
    """What a target is told of the clients."""

    def test_flags(self):
        """What each client can do, where it came from, and its channels."""
        self.peer.lose()
        self.host.client(("main", "inputs"))
        self.host.link("main", caps=frozenset({MainCap.SEMI_SEAMLESS_MIGRATE}), local=True)
        first, second = self.sessions.offers()
        self.assertEqual(first.flags, OfferFlag.SEAMLESS | OfferFlag.SEMI_SEAMLESS)
        self.assertEqual([channel.type for channel in first.channels], [1, 3])
        self.assertEqual(second.flags, OfferFlag.SEMI_SEAMLESS | OfferFlag.UNIX)

    def test_not_arriving(self):
        """A client that is still on its way here is not offered to another host."""
        self.sessions.expect(self.sessions.offers()[0], True)
        self.assertEqual(len(self.sessions.offers()), 1)

    def test_invitation(self):
        """A client is invited, answers, and is told to stay."""
        self.sessions.invite(self.peer.id, THERE, True)
        self.sessions.invite(4711, THERE, True)
        self.peer["main"].say(main.MigrateConnectedSeamless())
        self.sessions.cancel_invitation(self.peer.id)
        self.assertEqual(self.peer["main"].heard_types(), [main.MigrateBeginSeamless, main.MigrateCancel])
        self.assertEqual(self.host.observer.told, [("client_connected", self.peer.id, True)])

    def test_unasked_answers(self):
        """Answers to a question that nobody asked go nowhere."""
        self.peer["main"].say(
            main.MigrateConnected(), main.MigrateConnectError(), main.MigrateConnectedSeamless()
        )
        self.assertEqual(self.host.observer.told, [])
        self.assertTrue(self.peer.open)


class FreezeTests(HostTests):
    """Standing still."""

    def test_all_sent(self):
        """All that was drawn has been packed when the host stands, encoded or not."""
        self.host.workers_wait = True
        self.host.guest.draw(copy(picture(9, 200, 100), 0, 0), fill(0, 0, 9, 9, 5))
        self.assertEqual(self.peer["display"].heard_types(), [])
        self.successResultOf(self.sessions.freeze())
        self.assertEqual(self.peer["display"].heard_types(), [display.DrawCopy, display.DrawFill])
        self.host.work()
        self.assertEqual(self.peer["display"].heard(), [])

    def test_client_over_its_window(self):
        """A client that reads nothing holds no freeze up; what it has not got is owed."""
        self.peer["display"].pause()
        for index in range(1000):
            self.host.guest.draw(fill(index % 300, index // 300, 5, 5, index))
        self.successResultOf(self.sessions.freeze())
        self.sessions.thaw()
        self.peer["display"].resume()
        self.assertEqual(set(self.peer["display"].heard_types()), {display.DrawCopy})

    def test_nothing_is_handled(self):
        """While the host stands, what clients say is kept; afterwards it is handled, in order, once."""
        self.successResultOf(self.sessions.freeze())
        self.press(30, 31)
        self.assertEqual(self.host.guest.inputs, [])
        self.sessions.thaw()
        self.press(32)
        self.assertEqual(self.host.guest.inputs, [("key_down", code) for code in (30, 31, 32)])

    def test_guest_does_not_stop(self):
        """A guest that cannot stop fails the freeze; the host can be thawed."""
        self.host.guest.stop = lambda: 1 / 0
        self.failureResultOf(self.sessions.freeze(), ZeroDivisionError)
        self.sessions.thaw()
        self.assertGoesOn()

    def test_no_guest(self):
        """A host without a guest can stand still, too."""
        self.successResultOf(BareHost().sessions.freeze())

    def test_newcomer(self):
        """Who links while the host stands is told the first things, and heard when it goes on."""
        self.successResultOf(self.sessions.freeze())
        self.peer = self.host.client()
        self.assertIn(main.Init, self.peer["main"].heard_types())
        self.press(30)
        self.peer["main"].say(main.AttachChannels())
        self.assertEqual(self.host.guest.inputs, [])
        self.sessions.thaw()
        self.assertIn(main.ChannelsList, self.peer["main"].heard_types())
        self.assertIn(display.Mark, self.peer["display"].heard_types())
        self.assertEqual(self.host.guest.inputs, [("key_down", 30)])
        self.assertGoesOn()

    def test_client_goes(self):
        """Keys of a client that goes while the host stands go up when the guest runs, not before."""
        self.press(30, 31)
        self.successResultOf(self.sessions.freeze())
        seen = len(self.host.guest.inputs)
        self.peer.lose()
        self.assertEqual(len(self.host.guest.inputs), seen)
        self.assertEqual(self.sessions.clients, {})
        self.sessions.thaw()
        self.assertEqual(self.host.guest.inputs[seen:], [("key_up", 159), ("key_up", 158)])

    def test_held_keys_are_exported(self):
        """A target learns which keys clients hold, also those who went while the host stood."""
        self.press(30)
        other = self.host.client()
        other["inputs"].say(inputs.KeyDown(31))
        self.successResultOf(self.sessions.freeze())
        other.lose()
        carried = CarriedHost.unpack(self.sessions.export_host())
        self.assertEqual(
            {held.connection_id: held.codes for held in carried.keys}, {self.peer.id: [158], other.id: [159]}
        )

    def test_too_much_said(self):
        """A client that says too much while the host stands is closed; others go on."""
        loud = self.host.client()
        self.successResultOf(self.sessions.freeze())
        for _ in range(1100):
            loud["inputs"].say(inputs.KeyDown(30))
        self.assertFalse(loud["inputs"].open)
        self.sessions.thaw()
        self.assertGoesOn()


class ThawTests(HostTests):
    """Going on, however far it went."""

    def test_not_frozen(self):
        """Without a freeze nothing happens."""
        self.sessions.thaw()
        self.assertEqual(self.host.guest.calls, ["power_on"])
        self.assertGoesOn()

    def test_guest_is_stopping(self):
        """While the guest is being stopped; that it stops later does no harm."""
        self.host = BareHost(SlowGuest())
        self.sessions = self.host.sessions
        self.peer = self.host.client()
        freezing = self.sessions.freeze()
        stopped = self.host.guest.stopped
        self.assertNoResult(freezing)
        self.sessions.thaw()
        stopped.callback(None)
        self.assertGoesOn()

    def test_freeze_is_cancelled(self):
        """After the freeze was cancelled, too."""
        self.host = BareHost(SlowGuest())
        self.sessions = self.host.sessions
        self.peer = self.host.client()
        freezing = self.sessions.freeze()
        freezing.cancel()
        self.failureResultOf(freezing)
        self.sessions.thaw()
        self.assertGoesOn()

    def test_frozen(self):
        """When everything stands."""
        self.sessions.freeze()
        self.sessions.client_blocks(self.peer.id)
        self.sessions.export_host()
        self.sessions.thaw()
        self.assertGoesOn()

    def test_again(self):
        """A host that went on can stand still again."""
        for _ in range(3):
            self.successResultOf(self.sessions.freeze())
            self.sessions.thaw()
        self.assertGoesOn()

    def test_jobs_under_way(self):
        """Images that were with the workers go out once, whenever they are done."""
        self.host.workers_wait = True
        self.host.guest.draw(copy(picture(9, 200, 100), 0, 0))
        self.sessions.freeze()
        self.sessions.thaw()
        self.host.work()
        self.assertEqual(self.peer["display"].heard_types(), [display.DrawCopy])
        self.assertGoesOn()

    def test_given_away(self):
        """After the guest was given away: who was sent away is closed, who stayed goes on."""
        gone = self.peer
        self.press(30)
        self.peer = self.host.client()
        self.sessions.freeze()
        self.sessions.give_away()
        self.assertFalse(self.sessions.owner)
        self.sessions.switch(gone.id, seal_for(gone.id))
        gone.take_blocks()
        self.sessions.thaw()
        self.assertNotIn(gone.id, self.sessions.clients)
        self.assertEqual(self.host.guest.inputs[-1], ("key_up", 158))
        self.assertGoesOn()

    def test_sent_away_and_still_here(self):
        """A client that has not confirmed that it goes is closed when the guest stays."""
        gone = self.peer
        self.peer = self.host.client()
        self.sessions.freeze()
        self.sessions.give_away()
        self.sessions.switch(gone.id, seal_for(gone.id))
        self.sessions.thaw()
        self.host.turn()
        self.assertNotIn(gone.id, self.sessions.clients)
        self.assertGoesOn()

    def test_nonsense_was_kept(self):
        """A client that said what it may not is closed when that is handled; others and the guest go on."""
        bad = self.peer
        self.peer = self.host.client()
        self.sessions.freeze()
        bad["inputs"].say(base.MigrateFlushMark())
        bad["display"].say(display.Init(1, 5, 1, 0))
        self.sessions.thaw()
        self.assertFalse(bad["inputs"].open)
        self.assertFalse(bad["display"].open)
        self.assertGoesOn()


class SwitchTests(HostTests):
    """Sending clients over."""

    def setUp(self):
        super().setUp()
        self.press(30)
        self.sessions.freeze()
        self.sessions.give_away()

    def test_blocks(self):
        """Every channel is sent MIGRATE, and its sealed block after its flush mark, with what was held."""
        self.press(31)
        self.sessions.switch(self.peer.id, seal_for(self.peer.id))
        self.sessions.switch(4711, seal_for(4711))
        self.press(32)
        for name, channel in self.peer.channels.items():
            self.assertEqual(channel.heard(), [base.Migrate(3)])
            channel.say(base.MigrateFlushMark())
            (block,) = channel.heard()
            self.assertTrue(bytes(block.data).startswith(f"{self.peer.id} {name} 0 ".encode()))
        self.assertEqual(
            self.host.observer.told, [("flush_mark", self.peer.id, name, 0) for name in self.peer.channels]
        )
        self.assertEqual(self.host.guest.inputs, [("key_down", 30)])
        self.assertEqual(len(self.peer["inputs"].core.common.held), 2)

    def test_too_many_marks(self):
        """A second flush mark closes the channel."""
        self.sessions.switch(self.peer.id, seal_for(self.peer.id))
        self.peer["inputs"].say(base.MigrateFlushMark(), base.MigrateFlushMark())
        self.assertFalse(self.peer["inputs"].open)

    def test_no_new_links(self):
        """A client that is sent over links nothing more here, and nobody new comes."""
        self.peer["cursor"].lose()
        self.sessions.switch(self.peer.id, seal_for(self.peer.id))
        self.assertRaises(ProtocolError, self.host.link, "cursor", self.peer.id)
        self.assertRaises(ProtocolError, self.host.link, "main")

    def test_main_goes_first(self):
        """The main channel may leave first; the others finish."""
        self.sessions.switch(self.peer.id, seal_for(self.peer.id))
        blocks = self.peer.take_blocks()
        self.assertEqual(set(blocks), set(self.peer.channels))
        self.assertEqual(self.host.observer.told[-1], ("client_gone", self.peer.id))
        self.assertEqual(self.sessions.clients, {})

    def test_client_goes_instead(self):
        """A client that breaks off is gone, and no key reaches the guest that is not ours any more."""
        self.sessions.switch(self.peer.id, seal_for(self.peer.id))
        self.peer.lose()
        self.assertEqual(self.host.guest.inputs, [("key_down", 30)])
        self.assertEqual(self.sessions.clients, {})

    def test_other_ways(self):
        """Clients that go semi-seamlessly or by switch-host are told so, though their channels stand."""
        self.sessions.end(self.peer.id)
        self.assertEqual(self.peer["main"].heard(), [main.MigrateEnd()])
        self.sessions.switch_host(self.peer.id, THERE)
        (message,) = self.peer["main"].heard()
        self.assertEqual((message.port, bytes(message.host)), (5900, b"target"))

    def test_closed(self):
        """A client can be dropped."""
        self.sessions.close_client(self.peer.id)
        self.sessions.close_client(4711)
        self.host.turn()
        self.assertEqual(self.sessions.clients, {})

    def test_released(self):
        """In the end the host is empty: no clients, no guest, a new device; it tells nobody anything."""
        guest, device = self.host.guest, self.sessions.device
        self.sessions.release()
        self.host.turn()
        self.assertIs(self.sessions.stage, Stage.EMPTY)
        self.assertEqual(guest.calls[-1], "shut_down")
        self.assertIsNot(self.sessions.device, device)
        self.assertEqual(self.sessions.clients, {})
        self.assertEqual(guest.inputs, [("key_down", 30)])
        self.assertEqual(self.sessions.inputs.held_keys(), [])

    def test_jobs_of_a_channel_that_left(self):
        """A worker that is done after its client went disturbs nobody."""
        host = BareHost(ListGuest(), workers_wait=True)
        peer = host.client()
        host.guest.draw(copy(picture(9, 200, 100), 0, 0))
        self.assertTrue(host.jobs)
        core = peer["display"].core
        peer.lose()
        host.work()
        self.assertIs(core.stage, LeavingStage.GONE)
