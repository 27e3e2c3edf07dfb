# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole session over a line of 100 KB/s and 80 ms, in memory."""

import random

from PIL import ImageChops, ImageStat
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.display_pipe import Waiting
from spicemig.client.session import ViewerSession
from spicemig.devices.drawables import DeviceImage
from spicemig.session.settings import SessionSettings
from spicemig.testing.guests import ListGuest, copy, copy_bits, fill
from spicemig.testing.hosts import Host
from spicemig.testing.network import MemoryNetwork
from spicemig.wire.enums import ImageType

RATE, ONE_WAY = 100_000, 0.04
WIDTH, HEIGHT = 640, 480
GOAL_SECONDS = 2.0
HELD_BYTES = 1 << 20
LIKE = 6.0  # how far off components of a lossy picture may be, on average


def photographs():
    """Many large images like photographs, each another one."""
    dice = random.Random(3)
    rows = [b"".join(bytes((x + y & 255, 255 - x & 255, y & 255, 0)) for x in range(256)) for y in range(128)]
    grain = dice.randbytes(256 * 4)
    while True:
        shift = dice.randrange(128)
        lines = rows[shift:] + rows[:shift]
        data = b"".join(lines) + grain
        yield DeviceImage(256, 128, 8, 1024, data[: 1024 * 128])


class SlowLineTests(SynchronousTestCase):
    """The newest picture comes soon, and little is held for it."""

    def begin(self, **settings):
        """A host, and a client that shows the first picture."""
        self.clock = Clock()
        network = MemoryNetwork(self.clock, ONE_WAY, RATE)
        chosen = SessionSettings(image_compression="lz", **settings)
        guest = ListGuest([fill(0, 0, WIDTH, HEIGHT, 0x336699)], width=WIDTH, height=HEIGHT)
        self.host = Host("source", network, self.mktemp(), make_guest=lambda kind: guest, settings=chosen)
        self.network = network
        self.host.power_on()
        self.viewer = ViewerSession(network, b"", self.clock)
        connected = []
        self.viewer.connect(self.host.address).addBoth(connected.append)
        self.wait(lambda: connected and self.viewer.display.marked, 10.0)
        [self.client] = self.host.sessions.clients.values()
        [self.core] = self.client.channels("display")
        self.wait(lambda: self.client.bandwidth.slow, 5.0)

    def wait(self, done, seconds):
        """Let time pass until something is so; how long that took."""
        began = self.clock.seconds()
        while not done():
            self.network.settle(0.04, step=0.01)
            if self.clock.seconds() - began > seconds:
                self.fail(f"not so after {seconds} s")
        return self.clock.seconds() - began

    def difference(self):
        """By how much the client's picture is off, on average."""
        pictures = self.viewer.screen(), self.host.screen()
        return max(ImageStat.Stat(ImageChops.difference(*pictures)).mean)

    def draw_much(self, seconds):
        """Draw large images everywhere, far more than the line carries; the most that was held."""
        dice, images, most = random.Random(1), photographs(), 0
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            x, y = dice.randrange(WIDTH - 256), dice.randrange(HEIGHT - 128)
            self.host.guest.draw(
                copy(next(images), x, y), copy_bits(y, x % 200, 99, 99, x, y), fill(x, y, 20, 20, x * y)
            )
            self.network.settle(0.05, step=0.01)
            waiting = sum(entry.weight for entry in self.core.pipe.entries if isinstance(entry, Waiting))
            most = max(most, waiting + self.core.pending_bytes)
        return most

    def test_newest_picture(self):
        """Within two seconds after the guest stops the client has a picture like ours, and then ours."""
        self.begin(jpeg_wan="auto")
        self.assertLess(self.draw_much(2.0), HELD_BYTES)
        self.assertLess(self.wait(lambda: self.difference() < LIKE, 30.0), GOAL_SECONDS)
        self.assertGreater(self.core.images.tally.images[ImageType.JPEG], 5)
        self.wait(lambda: not self.core.line.lossy and self.difference() == 0, 30.0)

    def test_without_loss(self):
        """Without JPEG nothing is lossy, and as little is held."""
        self.begin(jpeg_wan="never")
        self.assertLess(self.draw_much(1.0), HELD_BYTES)
        self.wait(lambda: self.core.idle and self.difference() == 0, 30.0)
        self.assertEqual(self.core.images.tally.images[ImageType.JPEG], 0)

    def test_drawings_come_at_once(self):
        """While lossy parts are made exact, what is drawn anew waits half a second at most."""
        self.begin(jpeg_wan="auto")
        self.draw_much(1.0)
        self.wait(lambda: self.core.idle, 30.0)
        for _again in range(2):
            self.wait(lambda: self.core.flow.on_the_way > 5000 or not self.core.line.lossy, 30.0)
            colour = 0x112233 + _again
            self.host.guest.draw(fill(0, 0, 9, 9, colour))
            blue = colour & 255
            self.assertLess(self.wait(lambda b=blue: self.viewer.screen().getpixel((4, 4))[2] == b, 5.0), 0.6)
