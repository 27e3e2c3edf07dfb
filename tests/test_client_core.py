# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the channels of a client have in common."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.client.core import TRANSITIONS, ClientChannel, Stage
from spicemig.client.cursor import CursorChannel
from spicemig.client.display import DisplayChannel
from spicemig.client.events import Noticed, SwapAsked, WaitAsked
from spicemig.client.inputs import InputsChannel, release_code
from spicemig.client.main import MainChannel
from spicemig.errors import ProtocolError
from spicemig.testing.channels import framed, messages
from spicemig.wire.enums import MigrateFlags
from spicemig.wire.messages import base, cursor, inputs, main

BOTH = MigrateFlags.NEED_FLUSH | MigrateFlags.NEED_DATA_TRANSFER


def linked(kind, mini=True, **named):
    """A channel on a connection."""
    channel = kind(**named)
    channel.attach(mini, frozenset())
    return channel


def take(channel, *said):
    """The events of these messages of the server."""
    data = b"".join(framed(message, mini=channel.mini, serial=n) for n, message in enumerate(said, 1))
    return list(channel.receive(data, 1.0))


def said(channel):
    """What the channel has to say."""
    return messages(b"".join(channel.data_to_send()), channel.channel, "server", channel.mini)


class AnswerTests(SynchronousTestCase):
    """Acknowledgements, pongs, notices."""

    def test_ack_window(self):
        """Every so many messages are acknowledged, counted from SetAck on."""
        channel = linked(CursorChannel)
        take(channel, base.Ping(1, 2), base.SetAck(generation=7, window=2))
        self.assertEqual(said(channel), [base.Pong(1, 2), base.AckSync(7)])
        take(channel, *[base.Ping(n, 0) for n in range(5)])
        self.assertEqual([type(answer) for answer in said(channel)].count(base.Ack), 2)

    def test_both_headers(self):
        """Full headers carry serials that count on in both directions."""
        channel = linked(CursorChannel, mini=False)
        take(channel, base.Ping(1, 2), base.Ping(3, 4))
        self.assertEqual(channel.last_serial, 2)
        self.assertEqual(said(channel), [base.Pong(1, 2), base.Pong(3, 4)])
        self.assertEqual(channel.serial_out, 2)

    def test_notice(self):
        """What the server wants to say comes through as text."""
        channel = linked(MainChannel)
        events = take(channel, base.Notify(0, 1, 1, 0, b"mind the gap"))
        self.assertEqual(events, [Noticed(1, "mind the gap")])

    def test_unknown_message(self):
        """A message that is not declared is the server's fault."""
        channel = linked(CursorChannel)
        self.assertRaises(ProtocolError, list, channel.receive(b"\xee\xee\0\0\0\0", 1.0))

    def test_byte_by_byte(self):
        """Messages may come in any pieces."""
        channel = linked(CursorChannel)
        for byte in framed(base.Ping(1, 2)):
            list(channel.receive(bytes([byte]), 1.0))
        self.assertEqual(said(channel), [base.Pong(1, 2)])


class WaitTests(SynchronousTestCase):
    """A channel that waits for others stands still."""

    def test_stands_still(self):
        """Nothing behind WaitForChannels is handled before the wait is over."""
        channel = linked(CursorChannel)
        self.assertEqual(
            take(channel, base.WaitForChannels([base.ChannelWait(2, 0, 5)]), base.Ping(1, 2)), [WaitAsked()]
        )
        self.assertEqual(said(channel), [])
        channel.waits = []
        list(channel.go_on(2.0))
        self.assertEqual(said(channel), [base.Pong(1, 2)])


class MoveTests(SynchronousTestCase):
    """A channel moves to another connection without losing what the user said."""

    def test_flush_data_swap(self):
        """Flush mark, migrate data, swap; then the data first, and then what was queued."""
        channel = linked(InputsChannel)
        take(channel, base.Migrate(BOTH))
        channel.key_down(30)
        self.assertEqual(said(channel), [base.MigrateFlushMark()])
        self.assertEqual(take(channel, base.MigrateData(b"block")), [SwapAsked(b"block")])
        self.assertEqual(said(channel), [])
        channel.swap(True, frozenset(), None, b"block")
        self.assertEqual(said(channel), [base.ClientMigrateData(b"block"), inputs.KeyDown(30)])

    def test_serials_go_on(self):
        """The serial that came last is counted on at the target."""
        channel = linked(InputsChannel)
        take(channel, inputs.Init(0), base.Migrate(BOTH))
        take(channel, base.MigrateData(b""))
        channel.swap(True, frozenset(), None, b"")
        take(channel, base.Ping(1, 2))
        self.assertEqual(channel.last_serial, 4)

    def test_without_data(self):
        """Flags 0: the channel is swapped at once, and says nothing of its own."""
        channel = linked(CursorChannel)
        self.assertEqual(take(channel, base.Migrate(0)), [SwapAsked(None)])
        channel.swap(True, frozenset(), None, None)
        self.assertEqual(said(channel), [])

    def test_only_data_may_follow(self):
        """After Migrate with data, anything but MigrateData is the source's fault."""
        channel = linked(CursorChannel)
        take(channel, base.Migrate(BOTH))
        self.assertRaises(ProtocolError, take, channel, base.Ping(1, 2))

    def test_rest_is_not_read(self):
        """What the source says after its migrate data reaches nobody."""
        channel = linked(CursorChannel)
        take(channel, base.Migrate(BOTH))
        self.assertEqual(take(channel, base.MigrateData(b""), cursor.InvalAll()), [SwapAsked(b"")])
        self.assertEqual(channel.counters.invalidations, 0)

    def test_every_step(self):
        """Steps that the table does not have are refused in every stage."""
        steps = {step for _, step in TRANSITIONS}
        for stage in Stage:
            for step in steps:
                channel = ClientChannel()
                channel.stage = stage
                if (stage, step) in TRANSITIONS:
                    channel._step(step)
                    self.assertIs(channel.stage, TRANSITIONS[stage, step])
                else:
                    self.assertRaises(ProtocolError, channel._step, step)


class ReadOnlyTests(SynchronousTestCase):
    """A read-only client is as silent as spice-gtk's."""

    def test_silent(self):
        """Keys stay here; so do the seamless answers that spice-gtk forgets to allow."""
        typist = linked(InputsChannel, read_only=True)
        typist.key_down(30)
        typist.motion(1, 1)
        talker = linked(MainChannel, read_only=True)
        talker.do_seamless(1)
        talker.tell_connected(seamless=True)
        talker.tell_connected(seamless=False)
        talker.attach_channels()
        self.assertEqual(said(typist), [])
        self.assertEqual(said(talker), [main.AttachChannels(), main.MigrateConnected()])

    def test_display_speaks(self):
        """The display channel still tells what it can keep."""
        channel = linked(DisplayChannel, read_only=True)
        channel.up()
        self.assertEqual(len(said(channel)), 1)


class MotionTests(SynchronousTestCase):
    """Only so many motions are under way."""

    def test_limit(self):
        """Motions over the limit are added up and follow the acknowledgement."""
        channel = linked(InputsChannel)
        for _ in range(11):
            channel.motion(1, 2)
        self.assertEqual(said(channel), [inputs.MouseMotion(1, 2, 0)] * 8)
        take(channel, inputs.MouseMotionAck())
        self.assertEqual(said(channel), [inputs.MouseMotion(3, 6, 0)])
        self.assertEqual(channel.motions_under_way, 5)

    def test_newest_position_counts(self):
        """Of positions over the limit only the last is sent, at the next button at the latest."""
        channel = linked(InputsChannel)
        for x in range(10):
            channel.position(x, 0)
        channel.press(1)
        last = said(channel)[-2:]
        self.assertEqual(last, [inputs.MousePosition(9, 0, 1, 0), inputs.MousePress(1, 1)])

    def test_release_code(self):
        """The bit of release goes into the last byte of a scan code."""
        self.assertEqual(release_code(0x1E), 0x9E)
        self.assertEqual(release_code(0x48E0), 0xC8E0)
