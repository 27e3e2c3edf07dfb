# SPDX-License-Identifier: LGPL-2.1-or-later
"""One connection of the migration channel, and what a peer cannot do over it."""

import os
from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import spicemig.migration.states as states
import spicemig.migration.target as target
from spicemig.errors import ProtocolError, WireError
from spicemig.migration.channel import ALIVE_SECONDS, SILENT_TIMES, MigrationChannel, PeerSilent
from spicemig.migration.epoch import EpochFile
from spicemig.migration.precopy import pieces
from spicemig.migration.settings import HandoverSettings, HostFacts
from spicemig.migration.stages import Stage
from spicemig.migration.target import TargetHandover
from spicemig.testing.handover import FakeDevice, FakeHost, ScriptedClient, TwoHosts
from spicemig.wire.messages import migration as wire


class Recorder:
    """Remembers what it is told."""

    def __init__(self):
        self.messages, self.losses = [], 0

    def received(self, channel, message):
        self.messages.append(message)

    def lost(self, channel):
        self.losses += 1


class ChannelTests(SynchronousTestCase):
    """Framing and signs of life."""

    def setUp(self):
        self.source_side, self.target_side = Recorder(), Recorder()
        self.source = MigrationChannel("server", self.source_side)
        self.target = MigrationChannel("client", self.target_side)
        for channel in (self.source, self.target):
            channel.start(0.0)

    def carry(self, sender, receiver):
        for event in receiver.receive(b"".join(sender.data_to_send())):
            receiver.handle(receiver, event)

    def test_there_and_back(self):
        """What one side sends the other one gets."""
        self.source.send(wire.Whose(bytes(16), 3))
        self.carry(self.source, self.target)
        self.target.send(wire.NeverOwned(bytes(16), 3))
        self.carry(self.target, self.source)
        self.assertEqual(self.target_side.messages, [wire.Whose(bytes(16), 3)])
        self.assertEqual(self.source_side.messages, [wire.NeverOwned(bytes(16), 3)])

    def test_signs_of_life(self):
        """Who says nothing gives a sign of life, which the listener does not see; who speaks does not."""
        self.assertEqual(self.source.next_deadline(), ALIVE_SECONDS)
        self.assertEqual(list(self.source.deadline_passed(ALIVE_SECONDS)), [])
        self.assertGreater(self.source.pending_bytes, 0)
        self.carry(self.source, self.target)
        self.assertEqual(self.target_side.messages, [])
        self.source.send(wire.Stopped())
        self.source.data_to_send()
        self.assertEqual(list(self.source.deadline_passed(2 * ALIVE_SECONDS)), [])
        self.assertEqual(self.source.pending_bytes, 0)

    def test_silence(self):
        """A peer without a sign of life is lost after a while, told once."""
        events = []
        for number in range(1, SILENT_TIMES + 1):
            self.assertEqual(events, [])
            events += self.source.deadline_passed(number * ALIVE_SECONDS)
        (silent,) = events
        self.assertIsInstance(silent, PeerSilent)
        hung_up = []
        self.source.hang_up = lambda: hung_up.append(True)
        self.source.handle(self.source, silent)
        self.source.channel_lost(self.source, None)
        self.assertEqual((self.source_side.losses, hung_up), (1, [True]))
        self.assertIsNone(self.source.next_deadline())

    def test_too_early(self):
        """A timer that comes too early changes nothing."""
        self.assertEqual(list(self.source.deadline_passed(ALIVE_SECONDS / 2)), [])
        self.assertEqual(self.source.pending_bytes, 0)

    def test_closed(self):
        """A channel that was closed tells and sends nothing more."""
        self.source.close()
        self.source.send(wire.Stopped())
        self.assertEqual(self.source.data_to_send(), [])
        self.source.channel_lost(self.source, None)
        self.assertEqual(self.source_side.losses, 0)

    def refused(self, data):
        with self.assertRaises(ProtocolError):
            list(self.target.receive(data))

    def test_unknown_message(self):
        """A number that no message has."""
        self.refused(b"\xff\x00\0\0\0\0")

    def test_base_message(self):
        """Messages of other channels have no place here."""
        self.refused(b"\x01\x00\x04\0\0\0\0\0\0\0")

    def test_too_long(self):
        """A message above the limit is refused at its header."""
        self.refused((104).to_bytes(2, "little") + (wire.MESSAGE_BYTES + 1).to_bytes(4, "little"))

    def test_cut_short(self):
        """A message that is shorter than its declaration."""
        with self.assertRaises(WireError):
            list(self.target.receive(b"\x6d\x00\x01\0\0\0\0"))


class TargetLimitsTests(SynchronousTestCase):
    """What a source can make a target hold, and say, is bounded."""

    def setUp(self):
        self.hosts = TwoHosts(self._directory, (ScriptedClient(1),))
        self.hosts.start()
        self.hosts.run_until(lambda: self.hosts.target is not None and self.hosts.target.stage is Stage.STOP)
        self.target = self.hosts.target
        self.channel = self.hosts.at_target

    def _directory(self):
        directory = self.mktemp()
        os.makedirs(directory)
        return directory

    def refused(self, message):
        self.assertRaises(ProtocolError, self.target.received, self.channel, message)

    def chunk(self, **more):
        fields = {"kind": 3, "connection_id": 1, "channel_type": 1, "channel_id": 0, "last": 1, "data": b"x"}
        return wire.StateChunk(**{**fields, **more})

    def test_states(self):
        """Too many bytes of states."""
        self.patch(target, "MAX_STATE_BYTES", self.target.state_bytes + 2)
        self.target.received(self.channel, self.chunk(data=b"12"))
        self.refused(self.chunk(channel_id=1))

    def test_number_of_states(self):
        """Too many states."""
        self.patch(target, "MAX_STATES", 1)
        self.target.received(self.channel, self.chunk())
        self.refused(self.chunk(channel_id=1))

    def test_state_twice(self):
        """A state that was whole already, or of a kind that does not exist."""
        self.target.received(self.channel, self.chunk())
        self.refused(self.chunk())
        self.refused(self.chunk(kind=9, channel_id=2))

    def test_not_all_states(self):
        """An end before everything is whole."""
        self.refused(wire.Final())

    def test_pixels(self):
        """Pixels that are not what they say, or too many."""
        self.refused(wire.PixelBlock(0, 16, 16, 0, 0, 2, 64, bytes(64)))
        self.patch(target, "MAX_PIXEL_BYTES", 1 << 20)
        self.refused(wire.PixelBlock(7, 4096, 4096, 0, 0, 1, 64, bytes(64)))

    def test_out_of_order(self):
        """Messages that have no place in this stage."""
        for message in (
            wire.Invited(9, []),
            wire.Commit(self.target.migration_id, self.target.epoch),
            wire.Finished(),
            wire.Commit(bytes(16), 1),
            wire.Whose(bytes(16), 1),
            wire.Ready(bytes(32)),
        ):
            self.refused(message)

    def test_old_epoch(self):
        """An epoch that has been is not accepted."""
        epochs = EpochFile(self._directory())
        epochs.write(epochs.current.given_away(9, bytes(16)))
        host, clock = FakeHost(None, FakeDevice()), Clock()
        core = TargetHandover(host, HostFacts(), HandoverSettings(), epochs, clock.seconds)
        core.stage = Stage.PREPARE
        core.channel = self.channel
        self.assertRaises(ProtocolError, core.received, self.channel, wire.Invited(9, []))


class SourceLimitsTests(SynchronousTestCase):
    """What the source sends is bounded, and what the target may say too."""

    def _directory(self):
        directory = self.mktemp()
        os.makedirs(directory)
        return directory

    def test_states_too_large(self):
        """A guest with too much state stays where it is."""
        self.patch(states, "MAX_STATE_BYTES", 1000)
        hosts = TwoHosts(self._directory)
        hosts.start()
        self.assertTrue(hosts.run_until(lambda: hosts.report is not None))
        self.assertEqual(hosts.report["problems"][0]["code"], "state")
        self.assertTrue(hosts.source_host.serving)

    def test_pieces(self):
        """Pixels are cut into messages of bounded size, without loss."""
        rows, stride = 1000, 8192
        data = bytes(range(256)) * (rows * stride // 256)
        block = wire.PixelBlock(1, stride // 4, 2000, 0, 500, rows, stride, data)
        cut = list(pieces(block))
        self.assertEqual(b"".join(bytes(piece.data) for piece in cut), data)
        self.assertTrue(all(len(piece.pack()) <= wire.MESSAGE_BYTES for piece in cut))
        self.assertEqual(sum(piece.rows for piece in cut), rows)
        tops = [500 + sum(before.rows for before in cut[:index]) for index in range(len(cut))]
        self.assertEqual([piece.top for piece in cut], tops)

    def test_answers_out_of_order(self):
        """A target that says what has no place loses the connection, and nothing has happened."""
        for message in (
            wire.Ready(bytes(32)),
            wire.RoundAck(1 << 40),
            wire.Owned(bytes(16), 1),
            wire.NeverOwned(bytes(16), 1),
            wire.Settled(),
            wire.ClientLinked(77),
            wire.ClientSettled(77, 0),
            wire.PrepareAnswer(1, 1, [], b"", 1, 1, b""),
        ):
            hosts = TwoHosts(self._directory, (ScriptedClient(1),))
            hosts.start()
            hosts.run_until(lambda hosts=hosts: hosts.source.stage is Stage.PRECOPY)
            hosts.at_target.send(message)
            self.assertTrue(hosts.run_until(lambda hosts=hosts: hosts.report is not None))
            self.assertIs(hosts.source.stage, Stage.UNDONE, message)
            self.assertTrue(hosts.source_host.serving)

    def test_not_over_tls(self):
        """A migration that does not come over TLS is not admitted."""
        hosts = TwoHosts(self._directory)
        self.assertRaises(ProtocolError, hosts.migrations.admit, SimpleNamespace(secure=False))
