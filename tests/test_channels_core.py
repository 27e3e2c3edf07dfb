# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all channel cores share."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import events
from spicemig.channels.common import HELD_MAX, HELD_MAX_BYTES, CommonState
from spicemig.channels.core import (
    DEAD_AFTER_SECONDS,
    FIRST_PING_SECONDS,
    PING_SECONDS,
    TRANSITIONS,
    ChannelCore,
    LeavingStage,
    Turn,
    receives,
)
from spicemig.errors import LinkError, ProtocolError, WireError
from spicemig.state import carried, session_state
from spicemig.testing.channels import framed, sent
from spicemig.wire.declare import u32
from spicemig.wire.messages import base, cursor, inputs


@session_state(magic=b"TCOR", version=1)
class CountingState:
    """How many keys went down."""

    keys: u32 = carried(default=0)


class CountingCore(ChannelCore):
    """An inputs channel that only counts keys, and asks for acknowledgements."""

    channel = "inputs"
    state_type = CountingState
    uses_acks = True
    ping_seconds = PING_SECONDS

    opened = 0

    def started(self):
        self.send(inputs.Init(0))

    def window_opened(self):
        self.opened += 1

    @receives(inputs.KeyDown)
    def key_down(self, message):
        self.state.keys += 1
        yield events.KeyDown(message.code)


def settled(now=0.0, **options):
    """A core that has said its first messages."""
    core = CountingCore(**options)
    core.start(now)
    core.data_to_send()
    return core


def keys(core, *codes):
    """Let the client press these keys."""
    return list(core.receive(b"".join(framed(inputs.KeyDown(code)) for code in codes)))


def acknowledged(core):
    """Let the client acknowledge the present generation."""
    list(core.receive(framed(base.AckSync(core.common.ack_generation))))


class ReceiveTests(SynchronousTestCase):
    """From the client."""

    def test_pieces(self):
        """Messages are put together from any pieces."""
        data = framed(inputs.KeyDown(30)) + framed(inputs.KeyDown(31))
        core = settled()
        found = [event for byte in data for event in core.receive(bytes([byte]))]
        self.assertEqual(found, [events.KeyDown(30), events.KeyDown(31)])
        self.assertEqual(core.common.serial_received, 2)

    def test_full_headers(self):
        """Full headers are understood and made where the link agreed on them."""
        core = CountingCore(mini=False)
        core.start(0.0)
        self.assertEqual(sent(core), [base.SetAck(1, 20), inputs.Init(0)])
        found = list(core.receive(framed(inputs.KeyDown(30), mini=False, serial=1)))
        self.assertEqual(found, [events.KeyDown(30)])

    def test_unknown_message(self):
        """A message that the channel does not know closes it."""
        with self.assertRaises(ProtocolError) as caught:
            list(settled().receive(b"\x99\x03\x00\x00\x00\x00"))
        self.assertEqual(caught.exception.code, LinkError.INVALID_DATA)

    def test_large_body(self):
        """So does one that is larger than any of its kind, before it has come."""
        self.assertRaises(ProtocolError, list, settled().receive(b"\x68\x00\x01\x10\x00\x00"))

    def test_short_body(self):
        """So does one that is cut short."""
        self.assertRaises(WireError, list, settled().receive(framed(inputs.KeyDown(30), cut=1)))

    def test_disconnecting(self):
        """A client may say that it goes."""
        message = framed(base.ClientDisconnecting(0, LinkError.OK))
        self.assertEqual(list(settled().receive(message)), [events.ClientDisconnecting(0)])


class SendTests(SynchronousTestCase):
    """To the client."""

    def test_order_and_serial(self):
        """Messages leave in order and are counted."""
        core = settled()
        before = core.common.serial_sent
        core.send(inputs.KeyModifiers(1))
        core.send(inputs.KeyModifiers(2))
        self.assertGreater(core.pending_bytes, 0)
        self.assertEqual(sent(core), [inputs.KeyModifiers(1), inputs.KeyModifiers(2)])
        self.assertEqual(core.common.serial_sent, before + 2)
        self.assertEqual(core.pending_bytes, 0)
        self.assertEqual(core.data_to_send(), [])

    def test_packed_body(self):
        """A message that is packed already is sent and counted like any other."""
        for mini in (True, False):
            core = settled(mini=mini)
            core.send(inputs.KeyModifiers(1))
            core.send_body(inputs.KeyModifiers.number, [b"\x02", b"\x00"])
            self.assertEqual(sent(core), [inputs.KeyModifiers(1), inputs.KeyModifiers(2)])
            self.assertEqual(core.common.serial_sent, 4)

    def test_notify_and_disconnect(self):
        """The user can be told something, and why the connection ends."""
        core = settled(now=2.0)
        core.notify("the host goes down")
        core.refuse(ProtocolError(LinkError.INVALID_DATA, "no"))
        notice, goodbye = sent(core)
        self.assertEqual(bytes(notice.message), b"the host goes down")
        self.assertEqual(notice.time_stamp, 2_000_000_000)
        self.assertEqual(goodbye.reason, LinkError.INVALID_DATA)

    def test_wait_for_channels(self):
        """One channel can be made to wait for another."""
        core = settled()
        core.wait_for_channels([(2, 0, 77)])
        self.assertEqual(sent(core), [base.WaitForChannels([base.ChannelWait(2, 0, 77)])])


class WindowTests(SynchronousTestCase):
    """The ack window."""

    def fill(self, core):
        while core.window_open:
            core.send(inputs.KeyModifiers(0))
        core.data_to_send()

    def test_closes_and_opens(self):
        """After two windows nothing more is drawn until the client acknowledges one."""
        core = settled()
        acknowledged(core)
        self.fill(core)
        self.assertEqual(core.common.unacknowledged, 41)
        self.assertEqual(list(core.receive(framed(base.Ack()))), [events.WindowOpened()])
        self.assertEqual(core.opened, 1)
        self.assertTrue(core.window_open)
        self.assertEqual(list(core.receive(framed(base.Ack()))), [])

    def test_old_generation(self):
        """Acknowledgements of a generation that is over count nothing."""
        core = settled()
        acknowledged(core)
        core.ask_for_acks()
        self.fill(core)
        self.assertEqual(list(core.receive(framed(base.Ack()))), [])
        self.assertFalse(core.window_open)
        acknowledged(core)
        self.assertEqual(list(core.receive(framed(base.Ack()))), [events.WindowOpened()])

    def test_too_many(self):
        """A client that acknowledges what was not sent gains nothing."""
        core = settled()
        acknowledged(core)
        list(core.receive(framed(base.Ack()) * 5))
        self.assertEqual(core.common.unacknowledged, 0)

    def test_transport(self):
        """A transport that takes no more closes the window, too."""
        core = settled()
        core.transport_paused = True
        self.assertFalse(core.window_open)
        core.transport_paused = False
        self.assertTrue(core.window_open)
        self.assertEqual(core.opened, 1)


class PingTests(SynchronousTestCase):
    """Latency, and dead clients."""

    def test_latency(self):
        """A ping comes soon, its answer tells the latency, the next comes after a while."""
        core = settled(now=5.0)
        self.assertEqual(core.next_deadline(), 5.0 + FIRST_PING_SECONDS)
        self.assertEqual(list(core.deadline_passed(5.05)), [])
        self.assertEqual(list(core.deadline_passed(5.1)), [])
        (ping,) = sent(core)
        self.assertEqual(list(core.receive(framed(base.Pong(ping.id + 1, 0)), 5.2)), [])
        (measured,) = core.receive(framed(base.Pong(ping.id, ping.timestamp)), 5.35)
        self.assertAlmostEqual(measured.seconds, 0.25)
        self.assertAlmostEqual(core.latency_seconds, 0.25)
        self.assertAlmostEqual(core.next_deadline(), 5.35 + PING_SECONDS)
        self.assertEqual(list(core.receive(framed(base.Pong(ping.id, ping.timestamp)), 5.4)), [])

    def test_dead(self):
        """A client that answers no ping and says nothing else is dead after a while."""
        core = settled(now=5.0)
        list(core.deadline_passed(5.1))
        self.assertEqual(core.next_deadline(), 5.1 + DEAD_AFTER_SECONDS)
        list(core.receive(framed(inputs.KeyDown(30)), 20.0))
        self.assertEqual(core.next_deadline(), 20.0 + DEAD_AFTER_SECONDS)
        self.assertEqual(list(core.deadline_passed(49.9)), [])
        self.assertEqual(list(core.deadline_passed(50.0)), [events.ClientDead()])
        self.assertIsNone(core.next_deadline())

    def test_standing_still(self):
        """A channel that stands still, or is parked, counts nobody dead."""
        core = settled(now=5.0)
        core.freeze()
        self.assertIsNone(core.next_deadline())
        self.assertIsNone(CountingCore(arriving=True).next_deadline())


class FreezeTests(SynchronousTestCase):
    """Standing still, and going on."""

    def test_kept_in_order(self):
        """What the client says meanwhile is handled afterwards, in order."""
        core = settled()
        core.freeze()
        self.assertEqual(keys(core, 30, 31), [])
        self.assertEqual(core.state.keys, 0)
        self.assertEqual(list(core.thaw()), [events.KeyDown(30), events.KeyDown(31)])
        self.assertEqual(keys(core, 32), [events.KeyDown(32)])
        self.assertEqual(core.common.held, [])

    def test_bounded(self):
        """A client cannot make us keep any amount."""
        core = settled()
        core.freeze()
        keys(core, *range(HELD_MAX))
        self.assertRaises(ProtocolError, keys, core, 1)
        core = settled()
        core.freeze()
        large = framed(inputs.KeyScancode(bytes(4000)))
        self.assertRaises(ProtocolError, list, core.receive(large * (HELD_MAX_BYTES // 4000 + 1)))
        self.assertLessEqual(sum(len(held.body) for held in core.common.held), HELD_MAX_BYTES)

    def test_acks_are_kept(self):
        """Acknowledgements stand still like everything else."""
        core = settled()
        acknowledged(core)
        core.freeze()
        list(core.receive(framed(base.Ack())))
        self.assertEqual(len(core.common.held), 1)


class LeavingTests(SynchronousTestCase):
    """From the source's side."""

    def test_whole_way(self):
        """Migrate, the flush mark, the block; nothing else is said after Migrate."""
        core = settled()
        core.freeze()
        core.leave()
        self.assertEqual(sent(core), [base.Migrate(3)])
        core.send(inputs.KeyModifiers(1))
        core.ask_for_acks()
        self.assertEqual(core.data_to_send(), [])
        data = framed(inputs.KeyDown(30)) + framed(base.MigrateFlushMark())
        self.assertEqual(list(core.receive(data)), [events.FlushMarkReceived()])
        self.assertEqual(len(core.common.held), 1)
        core.hand_over(b"the block")
        self.assertEqual(sent(core), [base.MigrateData(b"the block")])
        self.assertIs(core.stage, LeavingStage.HANDED_OVER)
        core.connection_lost()
        core.connection_lost()
        self.assertIs(core.stage, LeavingStage.GONE)

    def test_after_the_mark(self):
        """A client that goes on after its flush mark breaks the protocol."""
        core = settled()
        core.leave()
        list(core.receive(framed(base.MigrateFlushMark())))
        self.assertRaises(ProtocolError, keys, core, 30)

    def test_unasked_mark(self):
        """So does one that sends a flush mark, or a block, that nobody asked for."""
        self.assertRaises(ProtocolError, list, settled().receive(framed(base.MigrateFlushMark())))
        self.assertRaises(ProtocolError, list, settled().receive(framed(base.ClientMigrateData(b"x"))))


class ArrivingTests(SynchronousTestCase):
    """From the target's side."""

    def leave(self, *held):
        """A source that was left, the stream copy of its state, and the block for the client."""
        source = settled()
        acknowledged(source)
        keys(source, 1)
        source.freeze()
        stream_copy = source.export_state()
        source.leave()
        keys(source, *held)
        list(source.receive(framed(base.MigrateFlushMark())))
        block = source.export_state()
        source.hand_over(block)
        return source, stream_copy, block

    def test_silent_until_restored(self):
        """A parked core says nothing, but what is to be said at once."""
        core = CountingCore(arriving=True)
        self.assertTrue(core.parked)
        core.send_now(inputs.KeyModifiers(1))
        core.send(inputs.KeyModifiers(2))
        self.assertEqual(sent(core), [inputs.KeyModifiers(1)])
        self.assertEqual(core.data_to_send(), [])
        self.assertFalse(core.window_open)

    def test_stream_first(self):
        """Restored from the stream copy the target speaks at once; what was held comes with the block."""
        source, stream_copy, block = self.leave(2, 3)
        core = CountingCore(arriving=True)
        core.restore(stream_copy)
        self.assertFalse(core.parked)
        self.assertEqual(sent(core), [base.SetAck(2, 20)])
        self.assertEqual(core.state.keys, 1)
        (brought,) = core.receive(framed(base.ClientMigrateData(block)))
        self.assertEqual(brought, events.MigrateDataReceived(block))
        self.assertEqual(keys(core, 4), [])
        found = list(core.take_held(brought.block))
        self.assertEqual(found, [events.KeyDown(2), events.KeyDown(3), events.KeyDown(4)])
        self.assertEqual(keys(core, 5), [events.KeyDown(5)])
        self.assertEqual(core.state.keys, 5)

    def test_block_only(self):
        """Without a stream copy the block is enough; what follows it comes after what it holds."""
        source, _copy, block = self.leave(2)
        core = CountingCore(arriving=True)
        found = []
        for event in core.receive(framed(base.ClientMigrateData(block)) + framed(inputs.KeyDown(3))):
            if isinstance(event, events.MigrateDataReceived):
                core.restore(event.block)
                found += core.take_held(event.block)
            else:
                found.append(event)
        self.assertEqual(found, [events.KeyDown(2), events.KeyDown(3)])

    def test_stream_only(self):
        """Without a block the stream copy is enough, too."""
        source = settled()
        source.freeze()
        keys(source, 2)
        core = CountingCore(arriving=True)
        core.restore(source.export_state())
        self.assertEqual(list(core.take_held()), [events.KeyDown(2)])

    def test_serials_go_on(self):
        """The target counts on from the source's MigrateData, whenever the state was exported."""
        source, stream_copy, block = self.leave()
        for state in (stream_copy, block, source.export_state()):
            core = CountingCore(arriving=True)
            core.restore(state)
            self.assertEqual(core.common.serial_sent, source.common.serial_sent + 1)  # SetAck

    def test_stale_acks(self):
        """Acknowledgements of what the source sent do not open the target's window."""
        source = settled()
        acknowledged(source)
        source.freeze()
        list(source.receive(framed(base.Ack())))
        core = CountingCore(arriving=True)
        core.restore(source.export_state())
        while core.window_open:
            core.send(inputs.KeyModifiers(0))
        self.assertEqual(list(core.take_held()), [])
        self.assertFalse(core.window_open)
        acknowledged(core)
        self.assertEqual(list(core.receive(framed(base.Ack()))), [events.WindowOpened()])

    def test_bad_block(self):
        """A block that is none leaves the core parked; each truncation is found out."""
        _source, _copy, block = self.leave(2)
        core = CountingCore(arriving=True)
        for length in range(len(block)):
            self.assertRaises(WireError, core.restore, block[:length])
        self.assertTrue(core.parked)
        self.assertEqual(core.data_to_send(), [])

    def test_large_block(self):
        """A block may be large, other messages of an arriving client may not."""
        core = CountingCore(arriving=True)
        block = bytes(100_000)
        self.assertEqual(
            list(core.receive(framed(base.ClientMigrateData(block)))), [events.MigrateDataReceived(block)]
        )
        self.assertRaises(ProtocolError, list, core.receive(framed(inputs.KeyScancode(bytes(5000)))))

    def test_started_afresh(self):
        """An arriving channel can begin anew, as after a semi-seamless migration."""
        core = CountingCore(arriving=True)
        core.start(1.0)
        self.assertEqual(sent(core), [base.SetAck(1, 20), inputs.Init(0)])
        self.assertEqual(keys(core, 30), [events.KeyDown(30)])

    def test_early_messages_of_a_fresh_start(self):
        """What a client said before its channel began anew is handled, once."""
        core = CountingCore(arriving=True)
        keys(core, 30)
        core.start(1.0)
        self.assertEqual(list(core.catch_up()), [events.KeyDown(30)])
        self.assertEqual(keys(core, 31), [events.KeyDown(31)])


class TransitionTests(SynchronousTestCase):
    """The table of stages."""

    def test_every_pair(self):
        """Each stage takes the inputs that the table lists, and no other."""
        for stage in LeavingStage:
            for turn in Turn:
                core = CountingCore()
                core.stage = stage
                if (stage, turn) in TRANSITIONS:
                    core._turn(turn)
                    self.assertIs(core.stage, TRANSITIONS[stage, turn][0])
                else:
                    self.assertRaises(AssertionError, core._turn, turn)
                    self.assertIs(core.stage, stage)

    def test_actions_exist(self):
        """Every action of the table is one that cores have."""
        for _stage, action in TRANSITIONS.values():
            self.assertTrue(action is None or callable(getattr(ChannelCore, action)))

    def test_every_stage_is_reached_and_left(self):
        """No stage is cut off, and each leads to the end."""
        reached = {LeavingStage.PARKED, LeavingStage.SETTLED}
        for _ in LeavingStage:
            reached |= {
                after for (before, _turn), (after, _action) in TRANSITIONS.items() if before in reached
            }
        self.assertEqual(reached, set(LeavingStage))
        for stage in set(LeavingStage) - {LeavingStage.GONE}:
            self.assertIs(TRANSITIONS[stage, Turn.CONNECTION_LOST][0], LeavingStage.GONE)

    def test_unsettled_channels_are_left_alone(self):
        """Freezing, thawing or sending away a channel that is not settled changes nothing."""
        core = CountingCore(arriving=True)
        core.freeze()
        self.assertEqual(list(core.thaw()), [])
        core.leave()
        self.assertTrue(core.parked)


class HandlerTests(SynchronousTestCase):
    """How messages find their methods."""

    def test_inherited(self):
        """A subclass has its base's handlers and may replace one."""

        class Deaf(CountingCore):
            @receives(inputs.KeyDown)
            def ignored(self, message):
                pass

        core = Deaf()
        self.assertEqual(keys(core, 30), [])
        self.assertEqual(len(keys(CountingCore(), 30)), 1)

    def test_other_channels(self):
        """What another channel's messages are called does not matter here."""
        self.assertNotEqual(cursor.Init, inputs.Init)
        self.assertEqual(CommonState().ack_window, 20)
