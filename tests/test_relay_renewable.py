# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of channels that go on with a server that knows nothing of them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from spicemig.relay.channel import WHOLE_MAX_BYTES, ChannelRelay, Paused
from spicemig.relay.main import MainRelay, SessionBegan
from spicemig.relay.renewable import CursorRelay, DisplayRelay, InputsRelay, PlaybackRelay, RecordRelay
from spicemig.testing.channels import framed, messages
from spicemig.wire.capabilities import DisplayCap, MainCap
from spicemig.wire.enums import ImageCompression
from spicemig.wire.messages import base, cursor, display, inputs, main, playback, record

PRIMARY = display.SurfaceCreate(0, 640, 480, 32, 1)
OTHER = display.SurfaceCreate(5, 64, 48, 32)
FIRST = display.Init(1, 1000, 2, 2000)
AGAIN = display.Init(1, 1000, 2, 0)  # what the next server is told
ALL = frozenset(DisplayCap)


class RenewalCase(SynchronousTestCase):
    """A channel between a client and two servers, one after the other."""

    def make(self) -> ChannelRelay:
        raise NotImplementedError

    def setUp(self) -> None:
        self.core = self.make()

    def server(self, *said: Any) -> list[Any]:
        """The server says this; the events."""
        return list(self.core.from_server(b"".join(map(framed, said))))

    def client(self, *said: Any) -> None:
        """The client says this."""
        self.assertEqual(list(self.core.from_client(b"".join(map(framed, said)))), [])

    def told(self) -> tuple[list[Any], list[Any]]:
        """What client and server were told since this was asked last."""
        data = b"".join(self.core.to_client), b"".join(self.core.to_server)
        self.core.to_client.clear()
        self.core.to_server.clear()
        return messages(data[0], self.core.name), messages(data[1], self.core.name, "server")

    def renew(self, caps: frozenset[int] = frozenset()) -> tuple[list[Any], list[Any]]:
        """Leave the server for one that can do this; what both are told first."""
        self.told()
        self.core.leave()
        self.assertEqual(list(self.core.renew(caps)), [])
        return self.told()


class LeavingTests(RenewalCase):
    """What becomes of bytes that are on their way."""

    def make(self) -> ChannelRelay:
        return InputsRelay("inputs", 0, True)

    def test_held(self) -> None:
        """What the client says meanwhile is for the next server."""
        self.core.leave()
        self.client(inputs.KeyDown(30))
        self.assertTrue(self.core.client_held)
        self.assertEqual(self.told(), ([], []))
        list(self.core.renew(frozenset()))
        self.assertEqual(self.told(), ([], [inputs.KeyDown(30)]))

    def test_half_a_message_of_the_client(self) -> None:
        """No server is told the second half of a message of which another had the first."""
        for kind in (inputs.KeyDown(30), inputs.MouseMotion(1, 2, 0)):
            whole = framed(kind)
            for cut in range(len(whole)):
                self.core = self.make()
                list(self.core.from_client(whole[:cut]))
                passed = b"".join(self.core.to_server)
                self.core.to_server.clear()
                self.core.leave()
                list(self.core.renew(frozenset()))
                list(self.core.from_client(whole[cut:] + framed(inputs.KeyDown(31))))
                lost = [] if not passed else [kind]
                self.assertEqual(lost + self.told()[1], [kind, inputs.KeyDown(31)], cut)

    def test_half_a_message_of_the_server(self) -> None:
        """The client gets the rest of a large message that is under way, and nothing after it."""
        ping = base.Ping(1, 2, bytes(WHOLE_MAX_BYTES))
        whole = framed(ping)
        list(self.core.from_server(whole[:20]))
        self.core.leave()
        self.assertFalse(self.core.paused)
        self.assertEqual(list(self.core.from_server(whole[20:30])), [])
        self.assertEqual(list(self.core.from_server(whole[30:] + framed(inputs.KeyModifiers(1)))), [Paused()])
        self.assertEqual(self.server(inputs.KeyModifiers(2)), [])
        self.assertEqual(self.told()[0], [ping])

    def test_half_a_small_message_of_the_server(self) -> None:
        """The client gets nothing of a message that is not complete."""
        whole = framed(base.Ping(1, 2, b"x" * 50))
        list(self.core.from_server(whole[:20]))
        self.core.leave()
        self.assertTrue(self.core.paused)
        self.assertEqual(list(self.core.from_server(whole[20:])), [])
        self.assertEqual(self.told(), ([], []))

    def test_in_the_middle_of_a_handover(self) -> None:
        """Migrate data that nobody will take is forgotten, what the client said is not."""
        self.server(base.Migrate(3), base.MigrateData(b"state"))
        self.client(inputs.KeyDown(30))
        client, server = self.renew()
        self.assertEqual((client, server), ([], [inputs.KeyDown(30)]))
        self.server(base.Migrate(3))
        self.assertEqual(self.told()[1], [base.MigrateFlushMark()])


class InputsTests(RenewalCase):
    """Motions that wait for an acknowledgement."""

    def make(self) -> ChannelRelay:
        return InputsRelay("inputs", 0, True)

    def test_acknowledged(self) -> None:
        """The relay acknowledges what the server before has not; then servers do it themselves."""
        self.client(*[inputs.MouseMotion(1, 0, 0)] * 5, *[inputs.MousePosition(1, 2, 0, 0)] * 6)
        self.server(inputs.MouseMotionAck())
        self.assertEqual(self.renew(), ([inputs.MouseMotionAck()], []))
        self.assertEqual(self.renew(), ([], []))


class DisplayTests(RenewalCase):
    """What a client shows and keeps."""

    def make(self) -> ChannelRelay:
        return DisplayRelay("display", 0, True)

    def test_client(self) -> None:
        """Its caches are emptied, its surfaces destroyed but for the primary."""
        self.server(PRIMARY, OTHER, display.SurfaceCreate(6, 1, 1, 32), display.SurfaceDestroy(6))
        client, _ = self.renew(ALL)
        self.assertEqual(
            client,
            [
                display.StreamDestroyAll(),
                display.SurfaceDestroy(5),
                display.InvalAllPixmaps(),
                display.InvalAllPalettes(),
            ],
        )

    def test_same_primary(self) -> None:
        """A primary surface that is as large stays where it is; the client counts the message."""
        self.server(PRIMARY)
        self.renew(ALL)
        self.server(PRIMARY, display.Mark())
        self.assertEqual([type(each).__name__ for each in self.told()[0]], ["List", "Mark"])
        self.server(display.SurfaceDestroy(0), PRIMARY)
        self.assertEqual(self.told()[0], [display.SurfaceDestroy(0), PRIMARY])

    def test_other_primary(self) -> None:
        """One of another size takes its place."""
        self.server(PRIMARY)
        self.renew(ALL)
        larger = display.SurfaceCreate(0, 800, 600, 32, 1)
        self.server(larger)
        self.assertEqual(self.told()[0], [display.SurfaceDestroy(0), larger])

    def test_server(self) -> None:
        """The server is told what the client said first, but of no window for GLZ."""
        self.client(FIRST)
        self.assertEqual(self.renew(ALL)[1], [AGAIN])

    def test_preferences(self) -> None:
        """What the client would like otherwise is told again; what a server does not understand is not."""
        liked = display.PreferredCompression(ImageCompression.QUIC)
        self.client(FIRST, liked)
        self.assertEqual(self.renew(ALL)[1], [AGAIN, liked])
        self.assertEqual(self.renew()[1], [AGAIN])

    def test_not_begun(self) -> None:
        """A client that has not said its first words yet says them itself."""
        self.assertEqual(self.renew(ALL)[1], [])
        self.client(FIRST)
        self.assertEqual(self.told()[1], [FIRST])


class SmallTests(SynchronousTestCase):
    """Channels of which little is to be known."""

    def test_first_words(self) -> None:
        """Each client is told to forget what it has."""
        for kind, name, message in (
            (CursorRelay, "cursor", cursor.Reset()),
            (PlaybackRelay, "playback", playback.Stop()),
            (RecordRelay, "record", record.Stop()),
        ):
            core = kind(name, 0, True)
            core.leave()
            list(core.renew(frozenset()))
            self.assertEqual(messages(b"".join(core.to_client), name), [message])

    def test_others(self) -> None:
        """A channel of bytes cannot be renewed: nobody knows what they mean."""
        self.assertFalse(ChannelRelay("usbredir", 0, True).renewable)


class MainTests(RenewalCase):
    """The session's own channel."""

    def make(self) -> ChannelRelay:
        return MainRelay(True, 77, frozenset({MainCap.AGENT_CONNECTED_TOKENS}))

    def test_init(self) -> None:
        """Of the new server's INIT the client hears what may have changed; its id stays."""
        self.server(main.Init(5, 1, 3, 1, 0, 10, 99, 0))
        self.assertEqual(self.renew(), ([], []))
        self.assertEqual(self.server(main.Init(6, 1, 3, 2, 0, 10, 500, 0)), [SessionBegan(6)])
        self.assertEqual(self.told()[0], [main.MouseMode(3, 2), main.MultiMediaTime(500)])

    def test_agent(self) -> None:
        """The agent is told of anew; what was said to the one before does not reach it."""
        self.server(main.Init(5, 1, 3, 1, 1, 10, 99, 0))
        self.client(main.AgentStart(10), main.ClientAgentData(b"hello"))
        self.assertEqual(self.renew()[1], [])
        self.server(main.Init(6, 1, 3, 1, 1, 7, 99, 0))
        self.assertEqual(self.told()[0][2:], [main.AgentDisconnected(0), main.AgentConnectedTokens(7)])
        self.client(main.ClientAgentData(b" world"), main.ClientAgentToken(1), main.AgentStart(10))
        self.client(main.ClientAgentData(b"hello"))
        self.assertEqual(self.told()[1], [main.AgentStart(10), main.ClientAgentData(b"hello")])

    def test_agent_comes_and_goes(self) -> None:
        """It is not told of if it was not there, or is not there any more."""
        self.server(
            main.Init(5, 1, 3, 1, 0, 10, 99, 0), main.AgentConnectedTokens(10), main.AgentDisconnected(0)
        )
        self.renew()
        self.server(main.Init(6, 1, 3, 1, 0, 10, 99, 0), main.AgentConnected())
        self.assertEqual(self.told()[0][2:], [main.AgentConnected()])
        self.renew()
        self.server(main.Init(7, 1, 3, 1, 0, 10, 99, 0))
        self.assertEqual(self.told()[0][2:], [main.AgentDisconnected(0)])

    def test_semi_seamless(self) -> None:
        """A target hears that the client comes without its state."""
        self.renew()
        self.core.go_over()
        self.assertEqual(self.told()[1], [main.ClientMigrateEnd()])
