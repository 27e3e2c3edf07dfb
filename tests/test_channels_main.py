# SPDX-License-Identifier: LGPL-2.1-or-later
"""The main channel."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import events
from spicemig.channels.main import AGENT_DATA_MAX_BYTES, Invitation, MainCore
from spicemig.errors import ProtocolError
from spicemig.testing.channels import framed, sent
from spicemig.wire.capabilities import MainCap
from spicemig.wire.messages import base, main

CHANNELS = [("main", 0), ("display", 0), ("inputs", 0)]
TARGET = main.Destination(5900, 5901, b"target", b"CN=target")


def made(**options):
    """A core of a session with an id."""
    options = {
        "connection_id": 0x1234,
        "name": "desk",
        "uuid": bytes(range(16)),
        "channels": CHANNELS,
        **options,
    }
    core = MainCore(**options)
    core.tell_first(supported_mouse_modes=3, mouse_mode=2, multi_media_time=99)
    return core


def settled(**options):
    """One that has said its first messages."""
    core = made(**options)
    core.start(0.0)
    core.data_to_send()
    return core


def say(core, *messages):
    """Let the client say these things."""
    return list(core.receive(b"".join(map(framed, messages))))


class FirstWordsTests(SynchronousTestCase):
    """What a new client is told."""

    def test_init(self):
        """It is told its session, and nothing that it did not ask for."""
        core = made()
        core.start(0.0)
        self.assertEqual(sent(core), [main.Init(0x1234, 1, 3, 2, 0, 10, 99, 0)])

    def test_name_and_uuid(self):
        """A client that can show them gets name and UUID of the machine."""
        core = made(caps={MainCap.NAME_AND_UUID})
        core.start(0.0)
        _init, name, uuid = sent(core)
        self.assertEqual(name, main.Name(b"desk"))
        self.assertEqual(name.pack(), b"\x05\0\0\0desk\0")
        self.assertEqual(bytes(uuid.uuid), bytes(range(16)))

    def test_channels(self):
        """It is given the list of channels when it asks."""
        core = settled()
        self.assertEqual(say(core, main.AttachChannels()), [events.ChannelsAsked()])
        listed = [main.ChannelId(1, 0), main.ChannelId(2, 0), main.ChannelId(3, 0)]
        self.assertEqual(sent(core), [main.ChannelsList(listed)])


class SessionTests(SynchronousTestCase):
    """A session that goes on."""

    def test_mouse_mode(self):
        """A client's wish is told; the mode in force is sent when it changes."""
        core = settled()
        self.assertEqual(say(core, main.MouseModeRequest(1)), [events.MouseModeAsked(1)])
        core.set_mouse_mode(3, 1)
        core.set_mouse_mode(3, 1)
        self.assertEqual(sent(core), [main.MouseMode(3, 1)])

    def test_multi_media_time(self):
        """The clock can be set, and wraps."""
        core = settled()
        core.multi_media_time((1 << 32) + 5)
        self.assertEqual(sent(core), [main.MultiMediaTime(5)])

    def test_absent_agent(self):
        """A client may talk to an agent that is not there."""
        found = say(
            core := settled(), main.AgentStart(7), main.ClientAgentData(b"hello"), main.ClientAgentToken(2)
        )
        self.assertEqual(found, [events.AgentStarted(7), events.AgentData(b"hello"), events.AgentTokens(2)])
        self.assertEqual(core.state.agent_tokens, 9)
        say(core, main.AgentStart(0xFFFFFFFF), main.ClientAgentToken(5))
        self.assertEqual(core.state.agent_tokens, 0xFFFFFFFF)
        self.assertEqual(sent(core), [])

    def test_large_agent_chunk(self):
        """But not in chunks that are too large."""
        chunk = main.ClientAgentData(bytes(AGENT_DATA_MAX_BYTES + 1))
        self.assertRaises(ProtocolError, say, settled(), chunk)

    def test_historic_message(self):
        """ClientInfo, which no server takes any more, closes the channel."""
        self.assertRaises(ProtocolError, say, settled(), main.ClientInfo(0))


class SourceTests(SynchronousTestCase):
    """Sending a client to a target."""

    def test_seamless(self):
        """An invited client says when it is linked to the target."""
        core = settled()
        core.migrate_begin(TARGET, seamless=True)
        (begin,) = sent(core)
        self.assertEqual(begin, main.MigrateBeginSeamless(TARGET, 1))
        self.assertEqual(say(core, main.MigrateConnectedSeamless()), [events.MigrateConnected(True)])

    def test_target_said_no(self):
        """One that was invited seamlessly may come back semi-seamless."""
        core = settled()
        core.migrate_begin(TARGET, seamless=True)
        self.assertEqual(say(core, main.MigrateConnected()), [events.MigrateConnected(False)])

    def test_semi_seamless(self):
        """A client without the capability is invited in the other way."""
        core = settled()
        core.migrate_begin(TARGET, seamless=False)
        self.assertEqual(sent(core), [main.MigrateBegin(TARGET)])
        self.assertEqual(say(core, main.MigrateConnectedSeamless()), [])
        self.assertEqual(say(core, main.MigrateConnected()), [events.MigrateConnected(False)])
        core.migrate_end()
        self.assertEqual(sent(core), [main.MigrateEnd()])

    def test_failed(self):
        """A client that could not link says so, once."""
        core = settled()
        core.migrate_begin(TARGET, seamless=True)
        found = say(core, main.MigrateConnectError(), main.MigrateConnectError())
        self.assertEqual(found, [events.MigrateConnectFailed()])

    def test_cancelled(self):
        """After a cancellation late answers mean nothing."""
        core = settled()
        core.migrate_begin(TARGET, seamless=True)
        core.migrate_cancel()
        core.migrate_cancel()
        self.assertEqual(sent(core)[1:], [main.MigrateCancel()])
        late = (main.MigrateConnectedSeamless(), main.MigrateConnected(), main.MigrateConnectError())
        self.assertEqual(say(core, *late), [])

    def test_switch_host(self):
        """A client that can do nothing better is told the new address."""
        core = settled()
        core.switch_host(TARGET)
        self.assertEqual(sent(core), [main.MigrateSwitchHost(5900, 5901, b"target", b"CN=target")])
        self.assertIs(core.state.invitation, Invitation.NONE)


class TargetTests(SynchronousTestCase):
    """Taking a client from a source."""

    def test_handshake_while_parked(self):
        """An arriving client gets no Init, but an answer whether it may bring its state."""
        core = made(arriving=True)
        self.assertEqual(say(core, main.MigrateDstDoSeamless(1)), [events.DoSeamless(1)])
        core.seamless_ack()
        core.seamless_nack()
        self.assertTrue(core.seamless_answered)
        self.assertEqual(sent(core), [main.MigrateDstSeamlessAck()])
        self.assertTrue(core.parked)

    def test_refused(self):
        """Or that it may not."""
        core = made(arriving=True)
        core.seamless_nack()
        self.assertEqual(sent(core), [main.MigrateDstSeamlessNack()])

    def test_semi_seamless(self):
        """A client that comes without its state is told everything anew."""
        core = made(arriving=True)
        self.assertEqual(say(core, main.ClientMigrateEnd()), [events.MigrateEnded()])
        core.start(0.0)
        self.assertEqual(type(sent(core)[0]), main.Init)

    def test_everything_else_waits(self):
        """Other messages wait for the state."""
        core = made(arriving=True)
        self.assertEqual(say(core, main.AttachChannels()), [])
        source = settled()
        source.freeze()
        core.restore(source.export_state())
        self.assertEqual(list(core.take_held()), [events.ChannelsAsked()])

    def test_restored(self):
        """The session id and mouse mode come with the state."""
        source = settled(connection_id=77)
        source.freeze()
        core = made(arriving=True)
        core.restore(source.export_state())
        self.assertEqual(core.connection_id, 77)
        core.set_mouse_mode(3, 2)
        self.assertEqual(sent(core), [])

    def test_out_of_time(self):
        """A settled channel takes no end of a migration, and answers no late question."""
        core = settled()
        self.assertEqual(say(core, main.MigrateDstDoSeamless(1)), [])
        self.assertRaises(ProtocolError, say, core, main.ClientMigrateEnd())

    def test_leaving_again(self):
        """A target can send the client on."""
        core = made(arriving=True)
        source = settled()
        source.freeze()
        core.restore(source.export_state())
        list(core.take_held())
        core.migrate_begin(TARGET, seamless=True)
        core.freeze()
        core.leave()
        self.assertEqual([type(message) for message in sent(core)], [main.MigrateBeginSeamless, base.Migrate])
