# SPDX-License-Identifier: LGPL-2.1-or-later
"""The inputs channel."""

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import events
from spicemig.channels.inputs import (
    KEYS_DOWN_MAX,
    InputsCore,
    InputsState,
    pressed,
    released,
    split_scancodes,
)
from spicemig.channels.protocol import ChannelProtocol
from spicemig.testing.channels import RecordingSession, framed, sent
from spicemig.wire.messages import base, inputs


def settled(**options):
    """A channel that has said its first messages."""
    core = InputsCore(**options)
    core.start(0.0)
    core.data_to_send()
    return core


def say(core, *messages):
    """Let the client say these things."""
    return list(core.receive(b"".join(map(framed, messages))))


def move(core, times):
    """Let the client move its pointer one pixel to the right, some times."""
    return say(core, *[inputs.MouseMotion(1, 0, 0)] * times)


def moved_over(core):
    """The same channel at a target."""
    core.freeze()
    target = InputsCore(arriving=True)
    target.restore(core.export_state())
    list(target.take_held())
    return target


class EventTests(SynchronousTestCase):
    """What the client does reaches the session, in order and as it was sent."""

    def test_every_message(self):
        """Each message of the client has its event."""
        found = say(
            settled(),
            inputs.KeyDown(0x1D),
            inputs.KeyUp(0x9D),
            inputs.ClientKeyModifiers(2),
            inputs.KeyScancode(b"\xe0\x48"),
            inputs.MouseMotion(-1, 2, 1),
            inputs.MousePosition(7, 8, 0, 1),
            inputs.MousePress(1, 1),
            inputs.MouseRelease(1, 0),
        )
        self.assertEqual(
            found,
            [
                events.KeyDown(0x1D),
                events.KeyUp(0x9D),
                events.KeyModifiers(2),
                events.KeyDown(0x48E0),
                events.PointerMoved(-1, 2, 1),
                events.PointerSet(7, 8, 0, 1),
                events.ButtonPressed(1, 1),
                events.ButtonReleased(1, 0),
            ],
        )

    def test_first_words(self):
        """The channel begins with the lock keys, and tells of them when they change."""
        core = InputsCore()
        core.tell_first(2)
        core.start(0.0)
        core.set_modifiers(2)
        core.set_modifiers(3)
        self.assertEqual(sent(core), [inputs.Init(2), inputs.KeyModifiers(3)])

    def test_short_body(self):
        """A motion that is cut short closes the connection and reaches nobody."""
        session = RecordingSession()
        protocol = ChannelProtocol(InputsCore(), session, Clock())
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(framed(inputs.MouseMotion(1, 0, 0), cut=1))
        self.assertTrue(protocol.transport.disconnecting)
        self.assertEqual(session.events, [])


class MotionAcknowledgementTests(SynchronousTestCase):
    """The client may have only so many motions under way."""

    def test_bunches(self):
        """Motions and positions are acknowledged four at a time."""
        core = settled()
        move(core, 3)
        self.assertEqual(sent(core), [])
        say(core, inputs.MousePosition(1, 1, 0, 0))
        self.assertEqual(sent(core), [inputs.MouseMotionAck()])
        move(core, 9)
        self.assertEqual(sent(core), [inputs.MouseMotionAck()] * 2)

    def test_nothing_is_lost_on_the_way(self):
        """Motions that a leaving channel kept are handled, and acknowledged, at the target."""
        source = settled()
        move(source, 3)
        source.freeze()
        self.assertEqual(move(source, 6), [])
        self.assertEqual(sent(source), [])
        target = InputsCore(arriving=True)
        target.restore(source.export_state())
        self.assertEqual(len(list(target.take_held())), 6)
        self.assertEqual(sent(target), [inputs.MouseMotionAck()] * 2)
        self.assertEqual(target.state.motion_count, 1)

    def test_owed_at_the_target(self):
        """Acknowledgements that another server's block says are owed are sent."""
        target = InputsCore(arriving=True)
        source = InputsCore(InputsState(motion_count=5))
        target.restore(source.export_state())
        self.assertEqual(sent(target), [inputs.MouseMotionAck()])
        self.assertEqual(target.state.motion_count, 1)

    def test_published_layout(self):
        """Version 1 of the state is the block that spice-server reads and writes."""
        block = InputsState(motion_count=3, keys_down=[30]).export_state(version=1)
        self.assertEqual(block, b"ICMD\x01\0\0\0\x03\0")
        self.assertEqual(InputsState.restore(block), InputsState(motion_count=3))


class HeldKeyTests(SynchronousTestCase):
    """Keys that are held down."""

    def test_carried(self):
        """A held key stays held at the target, and can be let go there."""
        core = settled()
        say(core, inputs.KeyDown(0x2A), inputs.KeyDown(0x48E0), inputs.KeyDown(0x1E), inputs.KeyUp(0x9E))
        target = moved_over(core)
        self.assertEqual(target.state.keys_down, [0x2A, 0x48E0])
        say(target, inputs.KeyUp(0xC8E0))
        self.assertEqual(target.state.keys_down, [0x2A])

    def test_released_with_the_client(self):
        """The keys of a client that is gone can be let go of, the last one first."""
        core = settled()
        say(core, inputs.KeyDown(0x2A), inputs.KeyDown(0x2A), inputs.KeyScancode(b"\xe0\x48\x1e\x9e"))
        self.assertEqual(core.keys_to_release(), [0xC8E0, 0xAA])

    def test_bounded(self):
        """No client holds more keys than there are."""
        core = settled()
        say(core, *(inputs.KeyDown(0x100 + code) for code in range(KEYS_DOWN_MAX + 50)))
        self.assertEqual(len(core.state.keys_down), KEYS_DOWN_MAX)

    def test_odd_codes(self):
        """Codes that name no key do no harm."""
        core = settled()
        say(core, inputs.KeyDown(0), inputs.KeyUp(0), inputs.KeyUp(0xFFFFFFFF), inputs.KeyScancode(b"\xe1"))

    def test_codes(self):
        """Codes for going down and up are told from each other, prefixes and all."""
        for down, up in ((0x1E, 0x9E), (0x48E0, 0xC8E0), (0x451DE1, 0xC59DE1)):
            self.assertEqual(pressed(up), down)
            self.assertEqual(pressed(down), down)
            self.assertEqual(released(down), up)
        self.assertEqual(
            list(split_scancodes(b"\x1e\xe0\x48\xe1\x1d\x45\x9e")), [0x1E, 0x48E0, 0x451DE1, 0x9E]
        )


class FrozenTests(SynchronousTestCase):
    """A channel that stands still."""

    def test_rollback(self):
        """After a rollback the guest gets what was typed meanwhile, once."""
        core = settled()
        core.freeze()
        say(core, inputs.KeyDown(30), inputs.KeyUp(0x9E))
        self.assertEqual(list(core.thaw()), [events.KeyDown(30), events.KeyUp(0x9E)])
        self.assertEqual(list(core.thaw()), [])

    def test_whole_move(self):
        """Every key reaches exactly one of the hosts, in order."""
        source, target = settled(), InputsCore(arriving=True)
        found = say(source, inputs.KeyDown(1))
        source.freeze()
        stream_copy = source.export_state()
        say(source, inputs.KeyDown(2))
        target.restore(stream_copy)
        source.leave()
        say(source, inputs.KeyDown(3), base.MigrateFlushMark())
        block = source.export_state()
        source.hand_over(block)
        for event in target.receive(framed(base.ClientMigrateData(block)) + framed(inputs.KeyDown(4))):
            if isinstance(event, events.MigrateDataReceived):
                found += target.take_held(event.block)
            else:
                found.append(event)
        self.assertEqual(found, [events.KeyDown(code) for code in (1, 2, 3, 4)])
