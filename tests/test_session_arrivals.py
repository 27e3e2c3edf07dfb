# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that come from another host."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import LinkError, ProtocolError, SpicemigError
from spicemig.session.backlog import MAX_BATCHES, MAX_COMMANDS
from spicemig.session.carried import CarriedHost
from spicemig.session.stage import Stage
from spicemig.testing.guests import ListGuest, copy, fill, picture
from spicemig.testing.sessions import ALL_CHANNELS, BareHost, Move, Peer, seal_for
from spicemig.wire.enums import MouseMode
from spicemig.wire.messages import base, cursor, display, inputs, main


class Arriving(SynchronousTestCase):
    """A source with one client, and a target that it is linked to."""

    ticket = None
    seamless = True

    def setUp(self):
        self.source = BareHost(ListGuest([fill(0, 0, 320, 200, 0x224466)]), ticket=self.ticket)
        self.target = BareHost(ticket=self.ticket)
        self.there = self.target.sessions
        self.move = Move(self.source, self.target)
        password = {} if self.ticket is None else {"password": self.ticket}
        self.old = self.source.client(**password)
        self.old["inputs"].say(inputs.KeyDown(30))
        self.move.expect(self.seamless)
        self.new = Peer(self.target, connection_id=self.old.id, **password)
        self.old.ignore()

    def told(self, what):
        """How often the target's handover was told this."""
        return sum(entry[0] == what for entry in self.target.observer.told)

    def assertServed(self):
        """The client sees what the guest draws, and is heard."""
        self.new.ignore()
        self.target.guest.draw(fill(1, 1, 5, 5, 9))
        self.assertIn(display.DrawFill, self.new["display"].heard_types())
        self.new["inputs"].say(inputs.KeyDown(77))
        self.assertEqual(self.target.guest.inputs[-1], ("key_down", 77))


class LinkTests(Arriving):
    """Before the guest comes."""

    def test_silence(self):
        """An arriving client hears nothing, whatever it says, but the answer to its question."""
        self.new["inputs"].say(inputs.KeyDown(40))
        self.new["main"].say(main.AttachChannels(), main.MouseModeRequest(1))
        self.new.ask_seamless()
        self.new.ask_seamless()
        self.assertEqual(self.new["main"].heard(), [main.MigrateDstSeamlessAck()])
        self.assertEqual(self.new["inputs"].heard(), [])

    def test_told_once(self):
        """The source hears when all channels are linked and the question is answered, once."""
        self.assertEqual(self.told("client_linked"), 0)
        self.new.ask_seamless()
        self.assertEqual(self.told("client_linked"), 1)
        self.new["inputs"].lose()
        self.target.link("inputs", self.new.id)
        self.assertEqual(self.told("client_linked"), 1)

    def test_unknown_version(self):
        """A version that this target does not know is refused; the client may come without its state."""
        self.new["main"].say(main.MigrateDstDoSeamless(99))
        self.assertEqual(self.new["main"].heard(), [main.MigrateDstSeamlessNack()])

    def test_main_channel_is_not_needed_first(self):
        """Expected channels are linked in any order, each once."""
        self.there.forget(self.new.id)
        self.move.expect()
        self.new = Peer(self.target, reversed(ALL_CHANNELS), connection_id=self.old.id)
        error = self.assertRaises(ProtocolError, self.target.link, "inputs", self.new.id)
        self.assertEqual(error.code, LinkError.ERROR)

    def test_newcomers(self):
        """Nobody else is let in before the guest is here."""
        self.assertRaises(ProtocolError, self.target.link, "main")
        self.assertRaises(ProtocolError, self.target.link, "inputs", self.new.id + 1)

    def test_forgotten(self):
        """A client that is not to come is closed, and its id is good no more."""
        self.there.forget(self.new.id)
        self.target.turn()
        self.assertFalse(self.new.open)
        self.assertEqual(self.there.clients, {})
        self.assertRaises(ProtocolError, self.target.link, "main", self.old.id)

    def test_forgotten_while_linking(self):
        """A link to a client that is forgotten before the ticket came is refused."""
        self.new["inputs"].lose()
        request = self.target.request("inputs", self.new.id)
        core = self.there.admit(request)
        self.there.forget(self.new.id)
        self.assertRaises(ProtocolError, self.there.attached, request, core, None, b"")

    def test_lost_and_back(self):
        """A client whose links broke may link again, and is told of again."""
        self.new.ask_seamless()
        self.new.lose()
        self.assertEqual(self.there.clients, {})
        self.new = Peer(self.target, connection_id=self.old.id)
        self.new.ask_seamless()
        self.assertEqual(self.told("client_linked"), 2)
        self.move.all()
        self.new.bring(self.move.switch(self.old))
        self.assertServed()

    def test_abandoned(self):
        """When the handover fails, all who came are closed, and the host is empty."""
        self.move.freeze()
        self.move.load()
        self.there.abandon()
        self.target.turn()
        self.assertIs(self.there.stage, Stage.EMPTY)
        self.assertFalse(self.new.open)
        self.assertIsNone(self.target.guest)
        self.assertEqual(self.there.clients, {})
        self.assertRaises(ProtocolError, self.target.link, "main", self.old.id)

    def test_too_early(self):
        """Neither blocks nor ends of migrations are taken before the guest is here."""
        self.new["inputs"].say(base.ClientMigrateData(b"x"))
        self.assertFalse(self.new["inputs"].open)
        self.new["main"].say(main.ClientMigrateEnd())
        self.assertFalse(self.new["main"].open)
        self.assertEqual(self.told("client_settled"), 0)

    def test_expected_while_serving(self):
        """To expect somebody does not take a guest away that is here."""
        self.move.all()
        self.there.expect(self.source.sessions.offers()[0], True)
        self.assertTrue(self.there.owner)


class SeamlessTests(Arriving):
    """Clients that bring their state."""

    def setUp(self):
        super().setUp()
        self.new.ask_seamless()
        self.new.ignore()

    def test_at_once(self):
        """The client is spoken to as soon as the guest is here, with nothing it does not need."""
        self.move.all()
        self.target.guest.draw(fill(0, 0, 3, 3, 4))
        self.assertEqual(self.new["display"].heard_types(), [base.SetAck, display.DrawFill])
        self.assertEqual(self.new["main"].heard_types(), [])
        self.assertEqual(self.new["inputs"].heard_types(), [])

    def test_settled(self):
        """With its last block a client is settled, and what it said meanwhile is handled in order, once."""
        self.move.freeze()
        self.old["inputs"].say(inputs.KeyDown(31))
        self.move.load()
        self.old["inputs"].say(inputs.KeyUp(158))
        self.move.commit()
        self.source.sessions.switch(self.old.id, lambda channel, number, block: block)
        self.old["inputs"].say(inputs.KeyDown(32))
        blocks = self.old.take_blocks()
        self.there.arrivals._open_seal = lambda connection_id, channel, number, block: block
        for name in ("main", "display", "cursor"):
            self.new[name].say(base.ClientMigrateData(blocks[name]))
            self.assertEqual(self.told("client_settled"), 0)
        self.new["inputs"].say(inputs.KeyDown(33), base.ClientMigrateData(blocks["inputs"]))
        self.assertEqual(self.told("client_settled"), 1)
        self.assertEqual(
            self.target.guest.inputs,
            [("key_down", 30), ("key_down", 31), ("key_up", 158), ("key_down", 32), ("key_down", 33)],
        )
        self.assertFalse(self.new.session.arriving)
        self.assertServed()

    def test_tampered_block(self):
        """A block that was changed on its way closes its channel; the guest and others do not notice."""
        self.move.all()
        blocks = self.move.switch(self.old)
        self.new["main"].say(base.ClientMigrateData(b"?" + blocks["main"]))
        self.assertFalse(self.new["main"].open)
        self.target.turn()
        self.assertEqual(self.there.clients, {})
        self.assertEqual(self.target.observer.told[-1], ("client_gone", self.old.id))
        self.assertTrue(self.target.guest.running)

    def test_wrong_channel(self):
        """A block of another channel is not taken."""
        self.move.all()
        blocks = self.move.switch(self.old)
        self.new["inputs"].say(base.ClientMigrateData(blocks["cursor"]))
        self.assertFalse(self.new["inputs"].open)

    def test_twice(self):
        """A block is taken once."""
        self.move.all()
        blocks = self.move.switch(self.old)
        self.new["inputs"].say(*[base.ClientMigrateData(blocks["inputs"])] * 2)
        self.assertFalse(self.new["inputs"].open)

    def test_bad_stream_copy(self):
        """A client whose state is not right is dropped; the guest and the others are served."""
        other = self.source.client()
        self.there.expect(self.source.sessions.offers()[1], True)
        bad = Peer(self.target, connection_id=other.id)
        self.move.freeze()
        self.move.load()
        block = self.source.sessions.client_blocks(other.id)[2]
        block.data = b"\0" * len(block.data)
        self.there.stage_blocks(other.id, [block])
        self.move.commit()
        self.target.turn()
        self.assertFalse(bad.open)
        self.assertTrue(self.target.guest.running)
        self.new.bring(self.move.switch(self.old))
        self.assertServed()

    def test_channel_goes_before_its_block(self):
        """A client that loses a channel on the way is settled with the others."""
        self.move.all()
        blocks = self.move.switch(self.old)
        del blocks["cursor"]
        self.new.bring(blocks)
        self.assertEqual(self.told("client_settled"), 0)
        self.new["cursor"].lose()
        self.assertEqual(self.told("client_settled"), 1)
        self.there.end_arrivals()
        self.target.turn()
        self.assertServed()

    def test_never_comes(self):
        """Who has not brought its state in the end is closed; its keys go up."""
        self.move.all()
        self.there.end_arrivals()
        self.target.turn()
        self.assertFalse(self.new.open)
        self.assertEqual(self.target.guest.inputs, [("key_down", 30), ("key_up", 158)])

    def test_goes_before_its_blocks(self):
        """A client that goes after its guest has come is gone; its keys go up."""
        self.move.all()
        self.new.lose()
        self.assertEqual(self.told("client_gone"), 1)
        self.assertEqual(self.target.guest.inputs, [("key_down", 30), ("key_up", 158)])
        self.assertRaises(ProtocolError, self.target.link, "main", self.old.id)

    def test_was_not_there(self):
        """A client that was not linked when the guest came lets go of its keys, and may not link later."""
        self.new.lose()
        self.move.all()
        self.assertRaises(ProtocolError, self.target.link, "main", self.old.id)
        self.there.end_arrivals()
        self.assertEqual(self.target.guest.inputs, [("key_down", 30), ("key_up", 158)])

    def test_late_channel(self):
        """No channel is linked to a seamless client after its guest has come."""
        self.new["cursor"].lose()
        self.move.all()
        self.assertRaises(ProtocolError, self.target.link, "cursor", self.old.id)

    def test_modifiers(self):
        """The client is told of lock keys that changed, and not of those it knows."""
        self.old["inputs"].say(inputs.ClientKeyModifiers(2))
        self.move.all()
        self.assertEqual(self.new["inputs"].heard(), [])
        self.new.bring(self.move.switch(self.old))
        self.new["inputs"].say(inputs.ClientKeyModifiers(0))
        self.assertEqual(self.new["inputs"].heard(), [inputs.KeyModifiers(0)])

    def test_end_instead_of_blocks(self):
        """A client whose state is here already cannot begin anew."""
        self.move.all()
        self.new["main"].say(main.ClientMigrateEnd())
        self.assertEqual(self.new["main"].heard(), [])
        self.assertEqual(self.told("client_settled"), 0)

    def test_there_and_back(self):
        """The guest and its client can go back, with the same ids."""
        self.move.all()
        self.new.bring(self.move.switch(self.old))
        self.source.sessions.release()
        self.there.end_arrivals()
        back = Move(self.target, self.source)
        back.expect()
        home = Peer(self.source, connection_id=self.old.id)
        home.ask_seamless()
        back.all()
        home.bring(back.switch(self.new))
        self.assertEqual(self.source.observer.told[-1], ("client_settled", self.old.id))
        self.source.guest.draw(fill(0, 0, 3, 3, 4))
        self.assertIn(display.DrawFill, home["display"].heard_types())
        self.assertEqual(self.source.guest.inputs, [("key_down", 30)])


class ThroughClientTests(Arriving):
    """Clients that alone carry their state (transport ``client``)."""

    def setUp(self):
        super().setUp()
        self.new.ask_seamless()
        self.new.ignore()
        self.move.all(blocks=False)
        self.blocks = self.move.switch(self.old)

    def test_restored(self):
        """The state comes with the blocks; what was drawn meanwhile follows."""
        self.target.guest.draw(fill(0, 0, 3, 3, 4))
        self.assertEqual(self.new["display"].heard(), [])
        self.new.bring(self.blocks)
        self.assertEqual(self.new["display"].heard_types(), [base.SetAck, display.DrawFill])
        self.assertEqual(self.told("client_settled"), 1)
        self.assertServed()

    def test_surfaces_meanwhile(self):
        """Surfaces that were made and taken away meanwhile are so at the client."""
        self.target.guest.device.create_surface(5, 40, 40)
        self.target.guest.device.destroy_surface(5)
        self.target.guest.device.create_surface(6, 40, 40)
        self.new.bring(self.blocks)
        self.assertEqual(
            self.new["display"].heard_types(),
            [base.SetAck, display.SurfaceCreate, display.SurfaceDestroy, display.SurfaceCreate],
        )

    def test_too_much_to_keep(self):
        """What is too much to keep is given up, and the picture sent anew."""
        self.target.guest.device.create_surface(5, 40, 40)
        for index in range(MAX_BATCHES + 10):
            self.target.guest.draw(fill(index % 300, 0, 5, 5, index))
        self.assertEqual(len(self.new.session._backlog._shows), 1)
        self.new.bring(self.blocks)
        kinds = self.new["display"].heard_types()
        self.assertEqual(kinds[:2], [base.SetAck, display.SurfaceCreate])
        self.assertEqual(set(kinds[2:]), {display.DrawCopy})
        self.assertServed()

    def test_much_too_much(self):
        """A client for which not even the surfaces can be kept count of is closed."""
        for _ in range(MAX_COMMANDS // 2 + 1):
            self.target.guest.device.create_surface(5, 40, 40)
            self.target.guest.device.destroy_surface(5)
        self.target.turn()
        self.assertFalse(self.new.session.cores)

    def test_cursor_meanwhile(self):
        """The cursor is where the guest has put it meanwhile."""
        from spicemig.devices.cursor import CursorHide, CursorSet, CursorShape

        device = self.target.guest.device
        device.cursor_command(CursorHide())
        device.cursor_command(CursorSet(3, 4, True, CursorShape(7, 0, 1, 1, 0, 0, bytes(4))))
        self.assertEqual(self.new["cursor"].heard(), [])
        self.new.bring(self.blocks)
        self.assertIn(cursor.Set, self.new["cursor"].heard_types())

    def test_told_what_changed(self):
        """Mouse mode and lock keys that others changed meanwhile are told."""
        other = self.target.client()
        other["main"].say(main.MouseModeRequest(MouseMode.SERVER))
        other["inputs"].say(inputs.ClientKeyModifiers(4))
        self.new.bring(self.blocks)
        self.assertEqual(self.new["main"].heard(), [main.MouseMode(3, MouseMode.SERVER)])
        self.assertEqual(self.new["inputs"].heard(), [inputs.KeyModifiers(4)])

    def test_keys_wait(self):
        """Keys that the client holds stay down until it brings its inputs channel or goes."""
        self.assertEqual(self.target.guest.inputs, [("key_down", 30)])
        self.new.lose()
        self.assertEqual(self.target.guest.inputs, [("key_down", 30), ("key_up", 158)])

    def test_held(self):
        """Held keys are the client's again."""
        self.new.bring(self.blocks)
        self.new["inputs"].say(inputs.KeyUp(158))
        self.new.lose()
        self.assertEqual(self.target.guest.inputs, [("key_down", 30), ("key_up", 158)])

    def test_end_in_between(self):
        """A client that has brought one block cannot begin anew instead of bringing the others."""
        self.new["display"].say(base.ClientMigrateData(self.blocks["display"]))
        self.new["main"].say(main.ClientMigrateEnd())
        self.assertFalse(self.new["main"].open)

    def test_not_a_state(self):
        """A block that is no state closes its channel."""
        self.new["main"].say(base.ClientMigrateData(seal_for(self.old.id)("main", 0, b"nonsense")))
        self.assertFalse(self.new["main"].open)
        self.assertTrue(self.target.guest.running)


class AfreshTests(Arriving):
    """Clients that come without their state (semi-seamless)."""

    seamless = False

    def test_served_from_scratch(self):
        """At the end of its migration the client is told everything as a new one, and was heard before."""
        self.new["display"].say(display.Init(1, 1 << 20, 1, 0))
        self.new["main"].say(main.AttachChannels())
        self.old["inputs"].say(inputs.ClientKeyModifiers(2))
        self.source.clock.advance(7.0)
        self.move.all()
        self.assertEqual(self.new["main"].heard(), [])
        self.new["main"].say(main.ClientMigrateEnd())
        heard = self.new["main"].heard()
        init = heard[0]
        self.assertEqual(init.supported_mouse_modes, 3)
        self.assertEqual(init.current_mouse_mode, MouseMode.CLIENT)
        self.assertEqual(init.multi_media_time, 7000)
        self.assertIsInstance(heard[-1], main.ChannelsList)
        self.assertEqual(self.new["inputs"].heard(), [inputs.Init(2)])
        self.assertIn(display.Mark, self.new["display"].heard_types())
        self.assertEqual(self.told("client_settled"), 1)
        self.assertServed()

    def test_linked(self):
        """It is linked when all its channels are; nothing is asked."""
        self.assertEqual(self.told("client_linked"), 1)
        self.new.ask_seamless()
        self.assertEqual(self.new["main"].heard(), [main.MigrateDstSeamlessNack()])

    def test_keys(self):
        """Its keys go up when the guest comes: it brings no memory of them."""
        self.move.all()
        self.assertEqual(self.target.guest.inputs, [("key_down", 30), ("key_up", 158)])

    def test_refused_seamless(self):
        """A client that was asked to come seamlessly and was refused comes so, and keeps being served."""
        self.there.forget(self.old.id)
        self.move.expect(True)
        self.new = Peer(self.target, connection_id=self.old.id)
        self.move.all(blocks=False)
        self.new["main"].say(main.MigrateDstDoSeamless(1))
        self.new["display"].say(display.Init(1, 1 << 20, 1, 0))
        self.new["main"].say(main.ClientMigrateEnd())
        for index in range(MAX_BATCHES + MAX_COMMANDS):
            self.target.guest.draw(fill(index % 300, 0, 5, 5, index))
        self.assertIsNone(self.new.session._backlog)
        self.new["display"].core.ask_for_acks()
        self.assertTrue(self.new.open)

    def test_never_comes(self):
        """Who has not said that its migration has ended is closed in the end."""
        self.move.all()
        self.there.end_arrivals()
        self.target.turn()
        self.assertFalse(self.new.open)


class TicketTests(Arriving):
    """The ticket that a client had at the source."""

    ticket = b"sesame"

    def test_right(self):
        """It opens the target for its links, also after the ticket has changed; another does not."""
        self.new["inputs"].lose()
        self.there.ticket = type(self.there.ticket)(b"barley")
        self.assertRaises(ProtocolError, self.target.link, "inputs", self.old.id, b"barley")
        self.assertTrue(self.target.link("inputs", self.old.id, b"sesame").open)

    def test_stays_the_clients(self):
        """After its handover it still opens the target for this client."""
        self.new.ask_seamless()
        self.move.all()
        self.there.ticket = type(self.there.ticket)(b"barley")
        self.new.bring(self.move.switch(self.old))
        self.new["inputs"].lose()
        self.assertTrue(self.target.link("inputs", self.old.id, b"sesame").open)

    def test_sent_from_scratch(self):
        """A client that was told to connect afresh may use it until the arrivals end."""
        self.there.ticket = type(self.there.ticket)(b"barley")
        self.there.forget(self.old.id)
        self.move.expect(False)
        self.move.all()
        self.assertTrue(self.target.link("main", password=b"sesame").open)
        self.there.end_arrivals()
        self.assertRaises(ProtocolError, self.target.link, "main", password=b"sesame")


class LoadTests(SynchronousTestCase):
    """What comes from the source is checked."""

    def test_newer_host_state(self):
        """A host state of a newer version is refused."""
        target = BareHost()
        state = CarriedHost(99, 1, 0, 0).pack()
        self.assertRaises(SpicemigError, target.sessions.load, state, b"", "list", b"")

    def test_nonsense(self):
        """So is one that cannot be."""
        source, target = BareHost(ListGuest()), BareHost()
        guest, device = source.guest.export_state(), source.sessions.device
        for mode in (0, 3, 77):
            state = CarriedHost(1, mode, 0, 0).pack()
            self.assertRaises(
                SpicemigError, target.sessions.load, state, device.export_state(), "list", guest
            )
            target.sessions.abandon()

    def test_clock(self):
        """The multimedia clock goes on."""
        source, target = BareHost(ListGuest()), BareHost()
        source.clock.advance(12.5)
        Move(source, target).all()
        target.clock.advance(0.5)
        self.assertEqual(target.sessions.multi_media_time(), 13000)

    def test_images_of_the_source(self):
        """An image that the client keeps since the source is not sent again."""
        source, target = BareHost(ListGuest()), BareHost()
        old = source.client()
        kept = picture(9, 40, 30)
        source.guest.draw(copy(kept, 0, 0))
        move = Move(source, target)
        move.expect()
        new = Peer(target, connection_id=old.id)
        new.ask_seamless()
        move.all()
        new.bring(move.switch(old))
        new.ignore()
        target.guest.draw(copy(kept, 50, 50))
        self.assertLess(len(new["display"].transport.value()), 200)
        self.assertEqual(target.sessions.bytes_resent(old.id), 0)
