# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of a channel between client and server, and of its leaving for another server."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.errors import ProtocolError
from spicemig.relay import handover
from spicemig.relay.channel import (
    FILLER,
    TRANSITIONS,
    WHOLE_MAX_BYTES,
    ChannelRelay,
    ChannelStage,
    Leaves,
    Left,
    Turn,
)
from spicemig.relay.main import (
    InvitationCancelled,
    Invited,
    MainRelay,
    SentElsewhere,
    SentOver,
    SessionBegan,
)
from spicemig.testing.channels import framed, messages
from spicemig.wire.capabilities import MainCap
from spicemig.wire.framing import Deframer
from spicemig.wire.messages import base, inputs, main
from spicemig.wire.messages.main import Destination

FLUSH, DATA = 1, 2
KEY = inputs.KeyDown(30)
LOCKS = inputs.KeyModifiers(0)
DESTINATION = Destination(5900, 0, b"target")


def taken(buffers: list[Any]) -> bytes:
    """What is to be written; it is written then."""
    data = b"".join(buffers)
    buffers.clear()
    return data


class ChannelCase(SynchronousTestCase):
    """An inputs channel."""

    mini = True

    def setUp(self) -> None:
        self.core = self.channel()

    def channel(self) -> ChannelRelay:
        return ChannelRelay("inputs", 0, self.mini)

    def server(self, *said: Any) -> list[Any]:
        """The server says this; the events."""
        return list(self.core.from_server(b"".join(framed(each, mini=self.mini) for each in said)))

    def client(self, data: bytes) -> list[Any]:
        """The client says this; the events."""
        return list(self.core.from_client(data))

    def to_server(self) -> list[Any]:
        """What the server is told."""
        return messages(taken(self.core.to_server), self.core.name, "server", self.mini)

    def key(self) -> bytes:
        """A key in bytes."""
        return framed(KEY, mini=self.mini)


class ForwardingTests(ChannelCase):
    """Without a migration nothing is changed."""

    def test_both_ways(self) -> None:
        """Bytes go through as they are, messages of a client and large ones of a server whole or not."""
        data = framed(inputs.Init(0)) + framed(base.Ping(1, 2, bytes(WHOLE_MAX_BYTES)))[:40]
        list(self.core.from_server(data))
        self.client(self.key()[:8])
        self.assertEqual(taken(self.core.to_client), data)
        self.assertEqual(taken(self.core.to_server), self.key()[:8])

    def test_client_out_of_place(self) -> None:
        """A client that carries on with a migration that it was not told of is refused."""
        for message in (base.MigrateFlushMark(), base.ClientMigrateData(b"x")):
            self.core = self.channel()
            self.assertRaises(ProtocolError, self.client, framed(message, mini=self.mini))

    def test_acknowledgements(self) -> None:
        """What the client has not acknowledged is known, from the server's setting of the window on."""
        self.server(LOCKS)
        self.assertEqual(self.core.unacknowledged, 0)
        self.server(base.SetAck(1, 20), *[LOCKS] * 25)
        self.assertEqual((self.core.ack_window, self.core.unacknowledged), (20, 25))
        self.client(framed(base.AckSync(1), mini=self.mini) + self.key())
        self.assertEqual(self.core.unacknowledged, 25)
        self.client(framed(base.Ack(), mini=self.mini))
        self.assertEqual(self.core.unacknowledged, 5)
        told = messages(taken(self.core.to_client), "inputs", "client", self.mini)
        self.assertEqual(told, [LOCKS, base.SetAck(1, 20), *[LOCKS] * 25])
        self.assertEqual(self.to_server(), [base.AckSync(1), KEY, base.Ack()])

    def test_acknowledgements_elsewhere(self) -> None:
        """A client goes on to count when its channel moves on, and so does the relay."""
        self.server(base.SetAck(1, 20), *[LOCKS] * 5, base.Migrate(0))
        before = self.core.unacknowledged
        list(self.core.swap())
        self.server(*[LOCKS] * 5)
        self.assertEqual(self.core.unacknowledged, before + 5)

    def test_large(self) -> None:
        """A client's message that is to be kept for a while must not be large; others may be."""
        self.core = MainRelay(self.mini, 77, frozenset())
        self.client(framed(main.QualityIndicator(bytes(1 << 17)), mini=self.mini))
        large = framed(main.ClientAgentData(bytes(1 << 17)), mini=self.mini)
        self.assertRaises(ProtocolError, self.client, large)


class LeavingTests(ChannelCase):
    """A server sends a channel to the target."""

    def test_flush_and_data(self) -> None:
        """Flush mark to the source, migrate data to the target, then what the client said meanwhile."""
        self.client(self.key())
        self.assertEqual(self.server(base.Migrate(FLUSH | DATA)), [Leaves()])
        self.assertEqual(self.to_server(), [KEY, base.MigrateFlushMark()])
        self.assertTrue(self.core.client_held)
        self.assertEqual(self.client(self.key()), [])
        self.assertEqual(self.server(base.MigrateData(b"state")), [Left()])
        self.assertEqual(self.to_server(), [])
        self.assertEqual(list(self.core.swap()), [])
        self.assertEqual(self.to_server(), [base.ClientMigrateData(b"state"), KEY])
        self.client(self.key())
        self.assertEqual(self.to_server(), [KEY])

    def test_held(self) -> None:
        """What is kept for the target is counted: migrate data, and what the client says meanwhile."""
        self.server(base.Migrate(FLUSH | DATA))
        self.client(self.key())
        self.assertEqual(self.core.held_bytes, len(self.key()))
        self.server(base.MigrateData(b"state"))
        self.assertEqual(self.core.held_bytes, len(self.key()) + len(b"state"))
        list(self.core.swap())
        self.assertEqual(self.core.held_bytes, 0)

    def test_nothing_needed(self) -> None:
        """A channel without state goes over at once."""
        self.assertEqual(self.server(base.Migrate(0)), [Leaves(), Left()])
        list(self.core.swap())
        self.assertEqual(self.to_server(), [])

    def test_in_the_middle_of_a_message(self) -> None:
        """The source gets the message that the client is in the middle of, and nothing after it."""
        key = self.key()
        for cut in range(1, len(key)):
            self.core = self.channel()
            self.client(key[:cut])
            self.assertEqual(self.server(base.Migrate(FLUSH | DATA)), [Leaves()])
            self.client(key[cut:] + key)
            self.server(base.MigrateData(b"state"))
            at_source = self.to_server()
            list(self.core.swap())
            at_target = self.to_server()
            self.assertEqual(at_source[-1], base.MigrateFlushMark())
            self.assertEqual(at_target[0], base.ClientMigrateData(b"state"))
            self.assertEqual(at_source[:-1] + at_target[1:], [KEY, KEY], cut)
            # a header that has not come whole is no message yet
            self.assertEqual(len(at_source), 2 if cut >= len(key) - 4 else 1, cut)

    def test_data_first(self) -> None:
        """A server that does not ask for a flush mark may send its data while the client is in a message."""
        self.client(self.key()[:-1])
        self.assertEqual(self.server(base.Migrate(DATA), base.MigrateData(b"s")), [Leaves()])
        self.assertEqual(self.client(self.key()[-1:] + self.key()), [Left()])
        self.assertEqual(self.to_server(), [KEY])
        list(self.core.swap())
        self.assertEqual(self.to_server(), [base.ClientMigrateData(b"s"), KEY])

    def test_counting(self) -> None:
        """The client counts as many messages as its servers have sent, and sees nothing of a migration."""
        self.server(LOCKS)
        self.server(base.Migrate(FLUSH | DATA))
        self.server(base.MigrateData(b"state"))
        list(self.core.swap())
        self.server(LOCKS)
        frames = list(Deframer("inputs", "client", self.mini).feed(taken(self.core.to_client)))
        self.assertEqual([frame.number for frame in frames], [102, 8, 8, 102])
        self.assertEqual([frame.sub for frame in frames], [()] * 4)

    def test_server_out_of_place(self) -> None:
        """After Migrate a server may send its data, once, and nothing else."""
        for said in (
            (base.Migrate(FLUSH), LOCKS),
            (base.Migrate(FLUSH | DATA), base.Migrate(0)),
            (base.Migrate(FLUSH | DATA), base.MigrateData(b""), base.MigrateData(b"")),
            (base.Migrate(FLUSH), base.MigrateData(b"")),
            (base.MigrateData(b"")),
        ):
            self.core = self.channel()
            said = said if isinstance(said, tuple) else (said,)
            self.assertRaises(ProtocolError, self.server, *said)

    def test_again(self) -> None:
        """A channel can go on from the target to the next one, and back."""
        for state in (b"one", b"two", b"three"):
            self.server(base.Migrate(FLUSH | DATA), base.MigrateData(state))
            self.assertEqual(self.to_server(), [base.MigrateFlushMark()])
            list(self.core.swap())
            self.assertEqual(self.to_server(), [base.ClientMigrateData(state)])


class FullHeaderTests(LeavingTests):
    """The same with full headers."""

    mini = False

    def test_in_the_middle_of_a_message(self) -> None:
        """As with mini headers, byte for byte of a longer header."""
        key = self.key()
        for cut in range(1, len(key)):
            self.core = self.channel()
            self.client(key[:cut])
            self.server(base.Migrate(FLUSH | DATA))
            self.client(key[cut:])
            self.server(base.MigrateData(b"state"))
            at_source = self.to_server()
            list(self.core.swap())
            self.assertEqual((at_source + self.to_server()).count(KEY), 1)

    def test_serials(self) -> None:
        """The client is told the serials of its servers; what is said in its name has serials too."""
        list(self.core.from_client(framed(KEY, mini=False, serial=7)))
        list(self.core.from_server(framed(base.Migrate(FLUSH | DATA), mini=False, serial=41)))
        list(self.core.from_server(framed(base.MigrateData(b""), mini=False, serial=42)))
        frames = list(Deframer("inputs", "client", False).feed(taken(self.core.to_client)))
        self.assertEqual([frame.serial for frame in frames], [41, 42])
        frames = list(Deframer("inputs", "server", False).feed(taken(self.core.to_server)))
        self.assertEqual([frame.serial for frame in frames], [7, 8])


class MainTests(ChannelCase):
    """The main channel, where servers tell of a migration."""

    def channel(self) -> MainRelay:
        return MainRelay(self.mini, 77, frozenset())

    def to_client(self) -> list[Any]:
        """What the client is told."""
        return messages(taken(self.core.to_client), "main", "client", self.mini)

    def test_init(self) -> None:
        """The client has an id of its own, whatever the server calls it."""
        self.assertEqual(self.server(main.Init(5, 1, 3, 1, 0, 10, 99, 0)), [SessionBegan(5)])
        self.assertEqual(self.to_client(), [main.Init(77, 1, 3, 1, 0, 10, 99, 0)])

    def test_migration(self) -> None:
        """The client is told nothing of where its server sends it."""
        said = (
            (main.MigrateBegin(DESTINATION), Invited(DESTINATION, None)),
            (main.MigrateBeginSeamless(DESTINATION, 1), Invited(DESTINATION, 1)),
            (main.MigrateCancel(), InvitationCancelled()),
            (main.MigrateEnd(), SentOver()),
            (
                main.MigrateSwitchHost(5900, 0, b"target"),
                SentElsewhere(main.MigrateSwitchHost(5900, 0, b"target")),
            ),
        )
        for message, event in said:
            self.assertEqual(self.server(message), [event])
        self.assertEqual(self.to_client(), [FILLER] * len(said))

    def test_agent(self) -> None:
        """A client that knows no tokens is told of the agent in the old way."""
        self.server(main.AgentConnectedTokens(10))
        self.assertEqual(self.to_client(), [main.AgentConnected()])
        self.core = MainRelay(True, 77, frozenset({MainCap.AGENT_CONNECTED_TOKENS}))
        self.server(main.AgentConnectedTokens(10))
        self.assertEqual(self.to_client(), [main.AgentConnectedTokens(10)])

    def test_answer(self) -> None:
        """What the relay tells a server stands between two messages of the client."""
        said = framed(main.AttachChannels()) + framed(main.MouseModeRequest(2))
        for cut in range(len(said)):
            self.core = self.channel()
            self.client(said[:cut])
            self.core.answer(main.MigrateConnectedSeamless())
            self.client(said[cut:])
            told = self.to_server()
            self.assertEqual(len(told), 3)
            told.remove(main.MigrateConnectedSeamless())
            self.assertEqual(told, [main.AttachChannels(), main.MouseModeRequest(2)])

    def test_answer_before_the_mark(self) -> None:
        """It is told before the flush mark, and not at all to a server that was left."""
        self.client(framed(main.AttachChannels())[:3])
        self.core.answer(main.MigrateConnectedSeamless())
        self.server(base.Migrate(FLUSH | DATA))
        self.core.answer(main.MigrateConnectError())
        self.client(framed(main.AttachChannels())[3:])
        told = self.to_server()
        self.assertEqual(told, [main.MigrateConnectedSeamless(), base.MigrateFlushMark()])

    def test_client_out_of_place(self) -> None:
        """A client does not answer for the relay."""
        for message in (main.MigrateConnected(), main.MigrateConnectError(), main.ClientMigrateEnd()):
            self.core = self.channel()
            self.assertRaises(ProtocolError, self.client, framed(message))


class TableTests(SynchronousTestCase):
    """Both tables are whole."""

    def test_channel(self) -> None:
        """Every action is there; every stage can be reached, and be lost."""
        self.assertEqual({after for after, _ in TRANSITIONS.values()}, set(ChannelStage))
        for (stage, _turn), (_after, action) in TRANSITIONS.items():
            self.assertTrue(action is None or hasattr(ChannelRelay, action))
            self.assertIn((stage, Turn.LOST), TRANSITIONS)

    def test_session(self) -> None:
        """The same of the session's; wherever a source is lost, the session is renewed until it is over."""
        from spicemig.relay.session import RelayedSession

        self.assertEqual({after for after, _ in handover.TRANSITIONS.values()}, set(handover.Stage))
        for (stage, _input), (_after, action) in handover.TRANSITIONS.items():
            self.assertTrue(action is None or hasattr(RelayedSession, action))
            after, _ = handover.TRANSITIONS[stage, handover.Input.SOURCE_LOST]
            over = stage is handover.Stage.LOST
            self.assertIs(after, handover.Stage.LOST if over else handover.Stage.RENEWING)
