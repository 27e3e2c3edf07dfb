# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Twisted protocols around the cores."""

import struct

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_der_public_key
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import events
from spicemig.channels.core import DEAD_AFTER_SECONDS, FIRST_PING_SECONDS, PENDING_MAX_BYTES
from spicemig.channels.cursor import CursorCore
from spicemig.channels.inputs import InputsCore
from spicemig.channels.keys import TicketKey
from spicemig.channels.limits import LinkLimits
from spicemig.channels.link import LinkPolicy
from spicemig.channels.main import MainCore
from spicemig.channels.protocol import LINGER_SECONDS, TURN_SECONDS, ChannelProtocol, LinkFactory
from spicemig.errors import LinkError, ProtocolError
from spicemig.testing.channels import RecordingSession, framed, messages
from spicemig.wire.link import LinkMess
from spicemig.wire.messages import base, cursor, inputs, main

KEY = TicketKey()


class OneKey:
    """A pool with the same key for all."""

    filled = 0

    def fill(self):
        self.filled += 1

    def take(self):
        return KEY


class Transport(StringTransport):
    """A transport that notes how it was written to and cut."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.writes = 0
        self.aborted = False
        self.no_delay = None

    def write(self, data):
        self.writes += 1
        super().write(data)

    def writeSequence(self, data):
        self.writes += 1
        super().writeSequence(data)

    def abortConnection(self):
        self.aborted = True


class Host:
    """A host with one ticket that has inputs channels only."""

    def __init__(self):
        self.requests = []
        self.session = RecordingSession()
        self.protocols = []
        self.refusal = None

    def admit(self, request):
        self.requests.append(request)
        if request.channel not in ("inputs", "migration"):
            raise ProtocolError(LinkError.CHANNEL_NOT_AVAILABLE, "inputs only")
        return Lonely() if request.channel == "migration" else InputsCore(mini=request.mini)

    def authenticate(self, request, password, now):
        return password == b"secret"

    def attached(self, request, core, protocol, password):
        if self.refusal is not None:
            raise ProtocolError(self.refusal, "gone meanwhile")
        self.protocols.append(protocol)
        core.start(0.0)
        protocol.flush()
        return self.session


class Lonely(InputsCore):
    """Stands for a migration core: is its own session."""

    def attached(self, protocol):
        self.told = []

    def handle(self, core, event):
        self.told.append(event)

    def channel_lost(self, core, reason):
        self.told.append("lost")


def ticket(password=b"secret\0"):
    """A ticket as a client makes it."""
    return load_der_public_key(KEY.public).encrypt(password, OAEP(MGF1(SHA1()), SHA1(), None))


class LinkProtocolTests(SynchronousTestCase):
    """A connection, from the link to the end of its channel."""

    def setUp(self):
        self.clock = Clock()
        self.host = Host()
        self.factory = LinkFactory(
            self.host, limits=LinkLimits(total=3, per_address=2), keys=OneKey(), clock=self.clock
        )

    def connect(self, address="192.0.2.1"):
        protocol = self.factory.buildProtocol(IPv4Address("TCP", address, 1234))
        if protocol is not None:
            protocol.makeConnection(Transport())
        return protocol

    def link(self, channel=3, password=b"secret\0", more=b""):
        protocol = self.connect()
        protocol.dataReceived(LinkMess(0, channel, 0, {0, 3}).pack())
        self.reply = protocol.transport.value()
        protocol.transport.clear()
        protocol.dataReceived(struct.pack("<I", 1) + ticket(password) + more)
        return protocol

    def lose(self, protocol):
        protocol.connectionLost(Failure(ConnectionDone()))

    def test_whole_way(self):
        """After the right ticket come the result and the channel's first words; then the client is heard."""
        protocol = self.link(more=framed(inputs.KeyDown(30)))
        data = protocol.transport.value()
        self.assertEqual(data[:4], bytes(4))
        self.assertEqual(messages(data[4:], "inputs"), [inputs.Init(0)])
        protocol.dataReceived(framed(inputs.KeyDown(31)))
        self.assertEqual(self.host.session.events, [events.KeyDown(30), events.KeyDown(31)])
        (request,) = self.host.requests
        self.assertEqual(
            (request.channel, request.address, request.local), ("inputs", "192.0.2.1:1234", False)
        )
        self.lose(protocol)
        self.assertEqual(len(self.host.session.lost), 1)

    def test_capabilities_of_the_channel(self):
        """The reply names the capabilities of the channel's core."""
        self.link()
        self.assertTrue(self.reply.endswith(struct.pack("<II", 0b1011, 0b1)))

    def test_wrong_ticket(self):
        """With a wrong ticket the client is told so, and nothing else."""
        protocol = self.link(password=b"wrong\0")
        self.assertEqual(protocol.transport.value(), struct.pack("<I", LinkError.PERMISSION_DENIED))
        self.assertTrue(protocol.transport.disconnecting)
        self.assertEqual(self.host.protocols, [])

    def test_refused(self):
        """A channel that the host has not is refused with the link's result."""
        protocol = self.link(channel=2)
        self.assertEqual(protocol.transport.value(), struct.pack("<I", LinkError.CHANNEL_NOT_AVAILABLE))
        self.assertTrue(protocol.transport.disconnecting)

    def test_gone_meanwhile(self):
        """A session that ended during the link ends the connection."""
        self.host.refusal = LinkError.BAD_CONNECTION_ID
        protocol = self.link()
        self.assertTrue(protocol.transport.disconnecting)
        self.lose(protocol)
        self.assertEqual(self.host.session.lost, [])

    def test_error_reply(self):
        """A link error is written before the connection closes."""
        protocol = self.connect()
        protocol.dataReceived(b"GET /")
        self.assertEqual(len(protocol.transport.value()), 16 + 178)
        self.assertTrue(protocol.transport.disconnecting)

    def test_silent_stranger(self):
        """One who says nothing is cut off."""
        protocol = self.connect()
        self.clock.advance(3)
        self.assertTrue(protocol.transport.aborted)

    def test_slow_stranger(self):
        """So is one who does not come to an end."""
        protocol = self.connect()
        protocol.dataReceived(b"R")
        self.clock.advance(3)
        self.assertFalse(protocol.transport.aborted)
        self.clock.advance(7)
        self.assertTrue(protocol.transport.aborted)

    def test_no_timer_is_left(self):
        """A connection that is gone leaves nothing behind."""
        for protocol in (self.connect(), self.link()):
            self.lose(protocol)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limits(self):
        """Too many links at once are not taken, from one address or in all."""
        self.assertIsNotNone(self.connect())
        second = self.connect()
        self.assertIsNone(self.connect())
        self.assertIsNotNone(self.connect("192.0.2.2"))
        self.assertIsNone(self.factory.buildProtocol(UNIXAddress(None)))
        self.lose(second)
        self.assertIsNotNone(self.connect())

    def test_limits_are_for_strangers(self):
        """Linked channels count no more."""
        for _ in range(10):
            self.link()
        self.assertEqual(len(self.host.protocols), 10)

    def test_unix_socket(self):
        """A client of a unix socket is known as one."""
        protocol = self.factory.buildProtocol(UNIXAddress(None))
        protocol.makeConnection(Transport())
        protocol.dataReceived(LinkMess(0, 3, 0).pack())
        self.assertTrue(self.host.requests[0].local)

    def test_policy(self):
        """The factory's policy and kind of listener decide about TLS."""
        self.factory.policy = LinkPolicy(secure_channels=frozenset({"inputs"}))
        protocol = self.connect()
        protocol.dataReceived(LinkMess(0, 3, 0).pack())
        self.assertEqual(protocol.transport.value()[16:20], struct.pack("<I", LinkError.NEED_SECURED))
        self.assertEqual(self.host.requests, [])

    def test_migration_channel(self):
        """A migration core is its own session."""
        protocol = self.link(channel=0xE0)
        core = protocol.channel.core
        protocol.dataReceived(framed(inputs.KeyDown(30)))
        self.lose(protocol)
        self.assertEqual(core.told, [events.KeyDown(30), "lost"])

    def test_keys_are_made_early(self):
        """Keys are being made from the moment a listener opens."""
        self.factory.doStart()
        self.assertEqual(self.factory.keys.filled, 1)


class ChannelProtocolTests(SynchronousTestCase):
    """A channel on its transport."""

    def setUp(self):
        self.clock = Clock()
        self.session = RecordingSession()

    def protocol(self, core):
        core.start(self.clock.seconds())
        protocol = ChannelProtocol(core, self.session, self.clock)
        protocol.makeConnection(Transport())
        protocol.flush()
        return protocol

    def test_one_write(self):
        """All that waits is written at once."""
        protocol = self.protocol(InputsCore())
        before = protocol.transport.writes
        protocol.core.set_modifiers(1)
        protocol.core.set_modifiers(2)
        protocol.flush()
        protocol.flush()
        self.assertEqual(protocol.transport.writes, before + 1)

    def test_ping(self):
        """Pings are sent when they are due, and a dead client is told of."""
        protocol = self.protocol(InputsCore())
        protocol.transport.clear()
        self.clock.advance(FIRST_PING_SECONDS)
        (ping,) = messages(protocol.transport.value(), "inputs")
        self.assertIsInstance(ping, base.Ping)
        self.clock.advance(0.25)
        protocol.dataReceived(framed(base.Pong(ping.id, ping.timestamp)))
        (measured,) = self.session.events
        self.assertAlmostEqual(measured.seconds, 0.25)
        self.clock.pump([300, 0.1, DEAD_AFTER_SECONDS, 1])
        self.assertEqual(self.session.events[1:], [events.ClientDead()])

    def test_late_timer(self):
        """A client that says something now and then is not dead."""
        protocol = self.protocol(InputsCore())
        self.clock.advance(FIRST_PING_SECONDS)
        for _ in range(10):
            self.clock.advance(DEAD_AFTER_SECONDS - 1)
            protocol.dataReceived(framed(inputs.KeyDown(30)))
        self.assertNotIn(events.ClientDead(), self.session.events)

    def test_protocol_error(self):
        """A client that breaks the protocol is told so, and cut off if it does not leave."""
        protocol = self.protocol(InputsCore())
        protocol.transport.clear()
        protocol.dataReceived(framed(base.MigrateFlushMark()))
        (goodbye,) = messages(protocol.transport.value(), "inputs")
        self.assertEqual(goodbye.reason, LinkError.INVALID_DATA)
        self.assertTrue(protocol.transport.disconnecting)
        self.clock.advance(LINGER_SECONDS)
        self.assertTrue(protocol.transport.aborted)

    def test_session_that_objects(self):
        """So is one whose event the session does not take."""

        class Objecting(RecordingSession):
            def handle(self, core, event):
                raise ProtocolError(LinkError.ERROR, "no")

        self.session = Objecting()
        protocol = self.protocol(InputsCore())
        protocol.dataReceived(framed(inputs.KeyDown(30)))
        self.assertTrue(protocol.transport.disconnecting)

    def test_back_pressure(self):
        """While the transport takes no more nothing is written, and drawing stops; then both go on."""
        protocol = self.protocol(CursorCore())
        self.assertIs(protocol.transport.producer, protocol)
        self.assertTrue(protocol.transport.streaming)
        protocol.transport.clear()
        protocol.pauseProducing()
        protocol.core.send(cursor.Hide())
        protocol.flush()
        self.assertEqual(protocol.transport.value(), b"")
        self.assertFalse(protocol.core.window_open)
        protocol.resumeProducing()
        self.assertEqual(messages(protocol.transport.value(), "cursor"), [cursor.Hide()])
        self.assertEqual(self.session.events, [events.WindowOpened()])

    def test_never_reads(self):
        """A client that asks and asks and never reads is cut before its answers fill the memory."""
        protocol = self.protocol(MainCore(channels=[("display", 0)] * 50))
        protocol.core.start(0.0)
        protocol.pauseProducing()
        for _ in range(30):
            protocol.dataReceived(framed(main.AttachChannels()) * 1000)
        self.assertTrue(protocol.transport.aborted)
        self.assertLess(protocol.core.pending_bytes, PENDING_MAX_BYTES + 1000 * 200)

    def test_turns(self):
        """A client that keeps us busy is not read from while others have their turn; nothing is lost."""

        class Slow(RecordingSession):
            def handle(self, core, event):
                super().handle(core, event)
                clock.advance(TURN_SECONDS / 4)

        clock, self.session = self.clock, Slow()
        protocol = self.protocol(InputsCore())
        keys = [inputs.KeyDown(code) for code in range(1, 41)]
        protocol.dataReceived(b"".join(framed(key) * 2 for key in keys))
        protocol.dataReceived(framed(inputs.KeyUp(1)))
        self.assertEqual(protocol.transport.producerState, "paused")
        self.assertLess(len(self.session.events), 10)
        while protocol.transport.producerState == "paused":
            self.clock.advance(0)
        self.assertEqual(
            self.session.events,
            [events.KeyDown(key.code) for key in keys for _ in (1, 2)] + [events.KeyUp(1)],
        )

    def test_first_what_was_kept(self):
        """What a core tells by itself comes before what its client said and nobody has handled yet."""

        class Slow(RecordingSession):
            def handle(self, core, event):
                super().handle(core, event)
                clock.advance(TURN_SECONDS * 2)

        clock, self.session = self.clock, Slow()
        protocol = self.protocol(InputsCore())
        protocol.dataReceived(framed(inputs.KeyDown(1)) + framed(inputs.KeyDown(2)))
        protocol.tell(iter([events.KeyDown(3)]))
        self.assertEqual([event.code for event in self.session.events], [1, 3, 2])

    def test_fault_between_turns(self):
        """A fault of ours ends the connection in a later turn, too, and is told."""

        class Broken(RecordingSession):
            def handle(self, core, event):
                if event == events.KeyDown(2):
                    raise ZeroDivisionError
                clock.advance(TURN_SECONDS * 2)

        clock, self.session = self.clock, Broken()
        protocol = self.protocol(InputsCore())
        protocol.dataReceived(framed(inputs.KeyDown(1)) + framed(inputs.KeyDown(2)))
        self.assertRaises(ZeroDivisionError, self.clock.advance, 0)
        self.assertTrue(protocol.transport.aborted)

    def test_closed_between_turns(self):
        """A client that we close while others have their turn is read again, to see it go."""

        class Slow(RecordingSession):
            def handle(self, core, event):
                clock.advance(TURN_SECONDS * 2)

        clock, self.session = self.clock, Slow()
        protocol = self.protocol(InputsCore())
        protocol.dataReceived(framed(inputs.KeyDown(1)) + framed(inputs.KeyDown(2)))
        protocol.close()
        self.assertEqual(protocol.transport.producerState, "producing")
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_between_turns(self):
        """A client that goes while others have their turn is not heard any more; no timer is left."""

        class Slow(RecordingSession):
            def handle(self, core, event):
                super().handle(core, event)
                clock.advance(TURN_SECONDS * 2)

        clock, self.session = self.clock, Slow()
        protocol = self.protocol(InputsCore())
        protocol.dataReceived(framed(inputs.KeyDown(1)) + framed(inputs.KeyDown(2)))
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.session.events), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closing(self):
        """Closing writes what is left, lets go of the transport, and hears nothing more; no timer is left."""
        protocol = self.protocol(InputsCore())
        protocol.pauseProducing()
        protocol.transport.clear()
        protocol.core.set_modifiers(3)
        protocol.close()
        protocol.close()
        self.assertEqual(messages(protocol.transport.value(), "inputs"), [inputs.KeyModifiers(3)])
        self.assertIsNone(protocol.transport.producer)
        protocol.dataReceived(framed(inputs.KeyDown(30)))
        self.assertEqual(self.session.events, [])
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed_while_handling(self):
        """A session that closes its client in the middle hears no more of it."""

        class Closing(RecordingSession):
            def handle(self, core, event):
                super().handle(core, event)
                self.protocol.close()

        self.session = Closing()
        self.session.protocol = protocol = self.protocol(InputsCore())
        protocol.dataReceived(framed(inputs.KeyDown(30)) * 3)
        self.assertEqual(self.session.events, [events.KeyDown(30)])

    def test_nothing_after_the_end(self):
        """A connection that is gone is not written to, and its session hears of it once."""
        protocol = self.protocol(InputsCore())
        written = protocol.transport.value()
        protocol.connectionLost(Failure(ConnectionDone()))
        protocol.core.set_modifiers(1)
        protocol.flush()
        protocol.close()
        self.assertEqual(protocol.transport.value(), written)
        self.assertEqual(len(self.session.lost), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_while_handling(self):
        """A session that drops its client in the middle hears no more of it."""

        class Dropping(RecordingSession):
            def handle(self, core, event):
                super().handle(core, event)
                self.protocol.connectionLost(Failure(ConnectionDone()))

        self.session = Dropping()
        self.session.protocol = protocol = self.protocol(InputsCore())
        protocol.dataReceived(framed(inputs.KeyDown(30)) * 3)
        self.assertEqual(self.session.events, [events.KeyDown(30)])
