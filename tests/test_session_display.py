# SPDX-License-Identifier: LGPL-2.1-or-later
"""What clients see of one device, whatever happens to them and to their hosts."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.client.session import Abilities
from spicemig.devices.drawables import DeviceImage
from spicemig.guests.demo import DemoGuest
from spicemig.testing.guests import ListGuest, copy, copy_bits, fill, picture
from spicemig.testing.hosts import PORT, TwoHosts
from spicemig.testing.sessions import BareHost
from spicemig.wire.declare import CHANNEL_TYPES
from spicemig.wire.messages import base, display

WIDTH, HEIGHT = 320, 200
DISPLAY = (CHANNEL_TYPES["display"], 0)


class ShowTests(SynchronousTestCase):
    """One host and its clients."""

    def setUp(self):
        self.host = BareHost(ListGuest([fill(0, 0, WIDTH, HEIGHT, 0x224466)]))

    def test_late_client(self):
        """A client that comes late is told of surfaces, pixels and heads, and when it may show them."""
        self.host.guest.device.create_surface(5, 30, 30)
        self.host.guest.device.set_monitors(display.MonitorsConfig(1, [display.Head(0, 0, 320, 200, 0, 0)]))
        peer = self.host.client()
        kinds = peer["display"].heard_types()
        self.assertEqual(
            kinds,
            [
                base.SetAck,
                display.SurfaceCreate,
                display.SurfaceCreate,
                display.MonitorsConfig,
                display.DrawCopy,
                display.Mark,
                display.DrawCopy,
            ],
        )

    def test_no_screen(self):
        """Without a screen nothing is marked until there is one."""
        self.host.guest.device.destroy_primary()
        peer = self.host.client()
        self.assertEqual(peer["display"].heard_types(), [base.SetAck])
        self.host.guest.device.create_primary(40, 30)
        self.assertEqual(peer["display"].heard_types(), [display.SurfaceCreate, display.Mark])

    def test_silent_before_init(self):
        """A display channel hears nothing of the screen before its Init."""
        peer = self.host.client(("main",))
        channel = self.host.link("display", peer.id)
        self.host.guest.draw(fill(0, 0, 5, 5, 1))
        self.assertEqual(channel.heard_types(), [base.SetAck])

    def test_all_clients(self):
        """Every client sees the same, one that does not read delays no other."""
        peers = [self.host.client(), self.host.client()]
        for peer in peers:
            peer.ignore()
        peers[0]["display"].pause()
        for index in range(30):
            self.host.guest.draw(fill(index, 0, 1, 5, 1))
        self.assertEqual(len(peers[1]["display"].heard()), 30)
        peers[0]["display"].resume()
        self.assertEqual(len(peers[0]["display"].heard()), 30)

    def test_slow_client_is_painted(self):
        """A client that reads nothing for long costs a bounded amount, then gets the pixels as they are."""
        peer = self.host.client()
        peer.ignore()
        peer["display"].pause()
        for index in range(1200):
            self.host.guest.draw(fill(index % 300, index // 300, 3, 3, index))
        self.assertLess(len(peer["display"].core.pipe), 600)
        peer["display"].resume()
        self.assertEqual(set(peer["display"].heard_types()), {display.DrawCopy})

    def test_surface_goes_while_it_is_owed(self):
        """Nothing is painted on a surface that went while a client did not read."""
        peer = self.host.client()
        peer["display"].pause()
        device = self.host.guest.device
        device.create_surface(5, 100, 100)
        self.host.guest.draw(copy(DeviceImage(100, 100, surface=5), 0, 0))
        for index in range(600):
            self.host.guest.draw(fill(index % 300, index // 300, 3, 3, index))
        device.destroy_surface(5)
        peer["display"].resume()
        self.assertTrue(peer.open)

    def test_encoder_fails(self):
        """An image that cannot be encoded ends the channel that needs it, nothing else."""
        self.host.workers_wait = True
        peer, other = self.host.client(), self.host.client(("main",))
        self.host.guest.draw(copy(picture(9, 200, 100), 0, 0))
        for done, _run in self.host.jobs:
            done.errback(MemoryError())
        self.assertFalse(peer["display"].open)
        self.assertTrue(other.open)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), len(self.host.jobs))


class Life:
    """Random things that happen to a guest and its clients."""

    def __init__(self, case, seed, calm=True):
        self.calm = calm
        self.dice = random.Random(seed)
        self.case = case
        self.hosts = TwoHosts(case.mktemp())
        self.here = self.hosts.source
        self.viewers = []
        self.slow = []
        self.surfaces = set()
        self.images = [picture(number, 40, 30, seed=number) for number in range(1, 9)]
        self.join()

    def live(self, steps):
        """Some of it."""
        deeds = [self.draw] * 12 + [self.surface] * 4 + [self.slow_down, self.speed_up, self.move, self.join]
        for _ in range(steps):
            self.dice.choice(deeds)()
            self.hosts.run(self.dice.choice((0, 0, 0.001, 0.01)))
        self.speed_up()
        self.case.assertSamePictures(self.hosts, self.here, self.viewers)

    def at(self):
        return self.dice.randrange(WIDTH - 40), self.dice.randrange(HEIGHT - 40)

    def draw(self):
        for _ in range(self.dice.choice((1, 1, 5, 200))):
            messages = []
            for _ in range(self.dice.randrange(1, 4)):
                kind = self.dice.randrange(5)
                if kind == 0 and self.surfaces:
                    source = DeviceImage(40, 30, surface=self.dice.choice(sorted(self.surfaces)))
                    messages.append(copy(source, *self.at()))
                elif kind == 1:
                    messages.append(copy(self.dice.choice(self.images), *self.at()))
                elif kind == 2:
                    messages.append(copy_bits(*self.at(), 30, 30, *self.at()))
                else:
                    messages.append(fill(*self.at(), 20, 20, self.dice.randrange(1 << 24)))
                if kind != 2 and self.surfaces and self.dice.random() < 0.3:
                    messages[-1].base.surface_id = self.dice.choice(sorted(self.surfaces))
                    messages[-1].base.box = fill(0, 0, 40, 30, 0).base.box
            self.here.guest.draw(*messages)

    def surface(self):
        number = self.dice.randrange(1, 6)
        for _ in range(self.dice.choice((1, 1, 1, 300))):
            if number in self.surfaces:
                self.surfaces.discard(number)
                self.here.guest.device.destroy_surface(number)
            else:
                self.surfaces.add(number)
                self.here.guest.device.create_surface(number, 40, 30)

    def join(self):
        if len(self.viewers) < 3:
            self.viewers.append(
                self.hosts.viewer(host=self.here, abilities=Abilities(lz4=self.dice.random() < 0.5))
            )

    def display_end(self, viewer):
        return viewer.connections[DISPLAY].transport

    def slow_down(self):
        viewer = self.dice.choice(self.viewers)
        self.display_end(viewer).pauseProducing()
        self.slow.append(viewer)

    def speed_up(self):
        while self.slow:
            self.display_end(self.slow.pop()).resumeProducing()
        self.hosts.run(0.01)

    def move(self):
        self.speed_up()
        transport = self.dice.choice(("both", "stream", "client"))
        handover = self.hosts.migrate(self.here, transport=transport)
        for _ in range(self.dice.randrange(12)):
            self.dice.choice((self.draw_if_possible, self.draw_if_possible, *self.disturbances(handover)))()
            self.hosts.run(self.dice.choice((0, 0.001, 0.003)))
        self.hosts.wait(handover.done)
        self.hosts.run(0.3)
        (self.here,) = [host for host in (self.hosts.source, self.hosts.target) if host.sessions.owner]
        self.viewers = [viewer for viewer in self.viewers if DISPLAY in viewer.connections]
        if not self.viewers:
            self.join()

    def draw_if_possible(self):
        if self.here.guest is not None and self.here.guest.running:
            self.draw()

    def disturbances(self, handover):
        """What may go wrong while a guest moves."""
        return () if self.calm else (self.leave, handover.cancel, self.break_a_channel)

    def leave(self):
        if len(self.viewers) > 1:
            self.viewers.pop().disconnect()

    def break_a_channel(self):
        dice = self.dice
        ends = self.hosts.network.connections(dice.choice(("source", "target")))
        clients = [end for end in ends if end.here.port == PORT]
        if clients and dice.random() < 0.3:
            dice.choice(clients).abortConnection()


class SamePictureTests(SynchronousTestCase):
    """In the end clients show what the guest shows, whatever happened before."""

    def assertSamePictures(self, hosts, here, viewers):
        """All clients show the picture of the host."""
        hosts.run(0.05)
        wanted = here.screen().tobytes()
        for viewer in viewers:
            self.assertIsNone(viewer.failure)
            self.assertEqual(viewer.screen().tobytes(), wanted)

    def test_demo(self):
        """The demo guest's desk, for a late client too, and through handovers, while it draws."""
        hosts = TwoHosts.__new__(TwoHosts)
        desk = {"draws_per_second": 100, "width": 800, "height": 600}
        hosts.__init__(self.mktemp(), make_guest=lambda kind: DemoGuest(desk, hosts.clock))
        viewers = [hosts.viewer()]
        here = hosts.source
        for _ in range(3):
            hosts.run(0.05)
            self.assertEqual(hosts.moved(here)["outcome"], "completed")
            here = hosts.other(here)
            viewers.append(hosts.viewer(host=here))
        viewers[0].type_keys(30, 31, 28)
        hosts.run(0.05)
        here.guest.set_activity(0)
        self.assertSamePictures(hosts, here, viewers)

    def test_lives(self):
        """Random lives of a guest and its clients."""
        for seed in range(2):
            Life(self, seed).live(25)

    def test_wild_lives(self):
        """The same, while clients leave, connections break and handovers are cancelled."""
        for seed in range(2):
            Life(self, seed, calm=False).live(25)
