# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sessions behind a relay that begin anew at a server."""

from __future__ import annotations

from spicemig.client.session import STOCK, Abilities, ViewerSession
from spicemig.relay import channel
from spicemig.relay.handover import Stage
from spicemig.testing.guests import copy, fill, picture
from spicemig.testing.network import MemoryTransport
from tests.test_relay_session import AT_RELAY, OLD, RelayCase


class RenewedTests(RelayCase):
    """Sessions begin anew at a server, and the client does not notice."""

    def renewed(self, viewers: list[ViewerSession], times: int = 1) -> None:
        """All viewers show the guest's picture and can type; each was renewed so many times."""
        self.hosts.run(2)
        owner = self.owner()
        owner.guest.draw(fill(3, 4, 50, 60, 0x998877), copy(picture(5, 30, 20), 70, 90))
        for viewer, session in zip(viewers, self.relay.sessions.values(), strict=True):
            self.assert_same_picture(viewer)
            self.assertEqual((viewer.moves, viewer.over, len(viewer.connections)), ([], False, 4))
            self.assertEqual((session.renewals, session.stage), (times, Stage.SETTLED))
            if not viewer.abilities.read_only:
                before = len(owner.guest.inputs)
                viewer.type_keys(30)
                self.hosts.run(0.01)
                self.assertEqual(owner.guest.inputs[before:], [("key_down", 30), ("key_up", 158)])

    def viewers(self) -> list[ViewerSession]:
        """Clients of all sorts."""
        self.hosts.source.guest.draw(copy(picture(5, 30, 20), 7, 9), fill(0, 0, 20, 20, 0x00FF00))
        return [self.viewer(abilities) for abilities in (STOCK, OLD, Abilities(read_only=True))]

    def test_semi_seamless(self) -> None:
        """Servers that carry no state: there and back."""
        viewers = self.viewers()
        for times in (1, 2):
            self.hosts.moved(self.owner(), mode="semi-seamless")
            self.renewed(viewers, times)

    def test_glz(self) -> None:
        """A new server refers to no images: those in the client's window are of the server before."""
        self.set_up(compression="glz")
        viewers = self.viewers()
        for times in (1, 2):
            self.hosts.moved(self.owner(), mode="semi-seamless")
            self.renewed(viewers, times)

    def test_switch_host(self) -> None:
        """Servers that only say where the guest has gone."""
        viewers = self.viewers()
        for times in (1, 2):
            self.hosts.moved(self.owner(), mode="switch-host")
            self.renewed(viewers, times)

    def test_then_seamless(self) -> None:
        """A renewed session can be handed over seamlessly."""
        viewers = self.viewers()
        self.hosts.moved(self.owner(), mode="semi-seamless")
        self.hosts.run(0.1)
        self.move()
        self.renewed(viewers)

    def test_server_gone(self) -> None:
        """A server that goes without a word and comes again soon finds its clients waiting."""
        viewers = self.viewers()
        self.hosts.network.cut("source")
        self.hosts.run(3)
        self.assertEqual({session.stage for session in self.relay.sessions.values()}, {Stage.RENEWING})
        for viewer in viewers:
            viewer.type_keys(31) if not viewer.abilities.read_only else None
        self.hosts.network.unreachable.clear()
        self.hosts.run(1)
        keys = [step for step in self.hosts.source.guest.inputs if step[0] == "key_down"]
        self.assertEqual(keys, [("key_down", 31)] * 2)
        self.renewed(viewers)

    def test_server_dies_piece_by_piece(self) -> None:
        """It makes no difference which of its connections is seen to be lost first."""
        for first in ("display", "inputs", "cursor"):
            self.set_up()
            viewer = self.viewer()
            (session,) = self.relay.sessions.values()
            session.pipes[first, 0].server.transport.abortConnection()
            self.hosts.run(0.2)
            self.hosts.network.cut("source")
            self.hosts.run(2)
            self.hosts.network.unreachable.clear()
            self.renewed([viewer])

    def test_one_channel_closed(self) -> None:
        """A server that closes one channel and goes on has closed that one."""
        viewer = self.viewer()
        (session,) = self.relay.sessions.values()
        (client,) = self.hosts.source.sessions.clients.values()
        client.close_channel(client.cores["cursor", 0])
        self.hosts.run(2)
        self.assertEqual((len(viewer.connections), viewer.over), (3, False))
        self.assertEqual((len(session.pipes), session.renewals), (3, 0))
        self.move()
        self.assert_same_picture(viewer)

    def test_line_broken(self) -> None:
        """If connections break, but the server is there, clients go on with it."""
        viewers = self.viewers()
        for end in self.hosts.network.connections("source"):
            end.abortConnection()
        self.renewed(viewers)

    def test_one_channel_broken(self) -> None:
        """So it is with a single channel, since a client could not get it again."""
        for name in ("display", "cursor"):
            self.set_up()
            viewer = self.viewer()
            (session,) = self.relay.sessions.values()
            session.pipes[name, 0].server.transport.other.abortConnection()
            self.renewed([viewer])

    def test_broken_again(self) -> None:
        """A server that breaks connections again and again does not want the client."""
        self.viewer()
        (session,) = self.relay.sessions.values()
        for _ in range(2):
            self.hosts.run(3)
            for end in self.hosts.network.connections("source"):
                end.abortConnection()
        self.hosts.run(0.1)
        self.assertEqual((self.relay.sessions, session.renewals), ({}, 1))

    def test_client_stalled(self) -> None:
        """A client that takes and says nothing any more is let go when its server has given it up."""
        for drawn, seconds in ((20, 60), (0, 100)):
            self.set_up()
            viewer = self.viewer()
            self.hosts.network.stall("relay")
            for seed in range(drawn):
                self.hosts.source.guest.draw(copy(picture(100 + seed, 100, 100, seed=seed), 0, 0))
                self.hosts.run(0.01)
            self.hosts.network.settle(seconds, 0.1)
            self.assertEqual(self.relay.sessions, {})
            self.assertEqual(self.hosts.source.sessions.clients, {})
            self.hosts.network.resume("relay")
            self.hosts.run(0.1)
            self.assertTrue(viewer.over)

    def test_server_stays_away(self) -> None:
        """If it does not, clients are let go after the time that is set."""
        self.set_up(hold_seconds=5.0)
        viewer = self.viewer()
        self.hosts.network.cut("source")
        self.hosts.network.cut("target")
        self.hosts.run(4)
        self.assertFalse(viewer.over)
        self.hosts.run(8)
        self.assertTrue(viewer.over)
        self.assertEqual(self.relay.sessions, {})

    def lost_in_a_message(self) -> ViewerSession:
        """A client whose server is left when all but the end of an image has come."""
        self.set_up(handover_seconds=1.0, hold_seconds=2.0)
        viewer = self.viewer()
        (session,) = self.relay.sessions.values()
        display = session.pipes["display", 0].server.transport
        cut = [False]

        def lose_the_rest(end: MemoryTransport) -> None:
            if end is display:
                end.lose(keep=0 if cut[0] else end.unread_bytes - 3)
                cut[0] = True

        self.hosts.network.watcher = lose_the_rest
        self.hosts.source.guest.draw(copy(picture(5, 30, 20), 7, 9))
        self.hosts.run(0.1)
        self.assertEqual(session.pipes["display", 0].core.server_scan.owed_bytes, 3)
        self.hosts.moved(mode="switch-host")
        self.hosts.run(5)
        self.assertEqual(len(self.relay.sessions), 1)
        self.assert_same_picture(viewer)
        return viewer

    def test_half_a_message(self) -> None:
        """Where the rest of a large message never comes, the client is told to come to the relay again."""
        self.patch(channel, "WHOLE_MAX_BYTES", 200)
        viewer = self.lost_in_a_message()
        self.assertEqual([move.target for move in viewer.moves], [str(AT_RELAY)])

    def test_half_a_small_message(self) -> None:
        """Where the rest of another never comes, the client has heard nothing of it, and goes on."""
        viewer = self.lost_in_a_message()
        self.assertEqual(viewer.moves, [])

    def test_motions(self) -> None:
        """A client never waits for acknowledgements of a server that is gone."""
        viewer = self.viewer()
        for number in range(40):
            viewer.do(viewer.inputs.position, number, number)
            if number % 13 == 7:
                self.hosts.moved(self.owner(), mode="switch-host")
            self.hosts.run(0.2)
        self.assertLess(viewer.inputs.motions_under_way, 8)
        positions = [step for step in self.owner().guest.inputs if step[0] == "pointer_set"]
        self.assertEqual(positions[-1][1:3], (39, 39))
