# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a display channel does otherwise on a slow line."""

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display_line
from spicemig.channels.bandwidth import FIRST_WINDOW_BYTES, Bandwidth
from spicemig.channels.display import DisplayCore
from spicemig.channels.events import WindowOpened
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.devices.drawables import Batch, DeviceImage
from spicemig.devices.surfaces import Surface
from spicemig.testing.guests import ListGuest
from spicemig.testing.guests import fill as draw_fill
from spicemig.testing.sessions import BareHost, Move
from spicemig.wire.drawing import Brush, Clip, DrawBase, QMask, Rect
from spicemig.wire.enums import BrushType, ImageType, Ropd
from spicemig.wire.framing import frame
from spicemig.wire.messages import base, display
from tests.test_channels_display import CAPS, INIT, Peer, copy, fill, image, noise, ready, settings
from tests.test_channels_display_moving import moved

LOSSY = (ImageType.JPEG, ImageType.JPEG_ALPHA)


def rect(left, top, right, bottom):
    """A rectangle in the order in which people read."""
    return Rect(top=top, left=left, bottom=bottom, right=right)


def xor(left, top, right, bottom):
    """Turn some bits over."""
    brush = Brush(BrushType.SOLID, color=0x404040)
    return display.DrawFill(DrawBase(0, rect(left, top, right, bottom), Clip()), brush, Ropd.OP_XOR, QMask())


PHOTOGRAPH = noise(320, 240).data


def photo():
    """A surface that shows a photograph."""
    surface = Surface(0, 320, 240)
    surface.pixels[:] = PHOTOGRAPH
    return surface


def line_of(bits_per_second, round_trip=0.08):
    """A line of a known speed."""
    line = Bandwidth()
    line.round_trip(round_trip)
    line.transferred(bits_per_second // 8, 1.0, probe=True)
    return line


def on(line, **chosen):
    """A peer at the end of this line; its client has a primary surface."""
    core = DisplayCore(pixmap_cache=PixmapCache(), settings=settings(**chosen), bandwidth=line, caps=CAPS)
    peer = Peer(core)
    peer.core.start(0.0)
    peer.say(INIT, base.AckSync(1))
    peer.core.surface_created(photo(), primary=True)
    peer.work()
    return peer


def answer(peer, messages, now):
    """Answer the pings among these messages."""
    for message in messages:
        if isinstance(message, base.Ping):
            list(peer.core.receive(b"".join(_framed(base.Pong(message.id, message.timestamp))), now))


def _framed(message):
    return frame(message, True, 0)


def images(messages):
    """The types of images in these messages."""
    return [
        message.src_bitmap.descriptor.type for message in messages if isinstance(message, display.DrawCopy)
    ]


class SettingTests(SynchronousTestCase):
    """JPEG and deflated GLZ are for slow lines, or always, or never."""

    def test_by_setting(self):
        """Only auto looks at the line."""
        for setting, fast, slow in (("never", False, False), ("always", True, True), ("auto", False, True)):
            for line, expected in ((line_of(100_000_000), fast), (line_of(800_000), slow)):
                core = on(line, jpeg_wan=setting, zlib_glz_wan=setting).core
                self.assertEqual((core.line.jpeg, core.line.zlib_glz), (expected, expected))

    def test_follows_the_line(self):
        """A line that gets slow while the session runs has JPEG from then on."""
        line = line_of(100_000_000)
        peer = on(line, jpeg_wan="auto")
        for speed, kinds in ((None, (ImageType.LZ4, ImageType.BITMAP)), (800_000, LOSSY)):
            if speed:
                for _second in range(5):
                    line.transferred(speed // 8, 1.0, probe=True)
            peer.core.take_owed()
            peer.core.drawables(Batch.of([copy(noise(70, 70))]))
            (kind,) = images(peer.work())
            self.assertIn(kind, kinds)

    def test_published_state(self):
        """A block says that the line is slow where spice-server has it."""
        peer = on(line_of(800_000))
        peer.core.export_state()
        self.assertEqual(peer.core.state.low_bandwidth, 1)


class FlowTests(SynchronousTestCase):
    """Little is on its way, and newer drawings wait here."""

    def test_first_bytes(self):
        """Before anything is known only so much is sent; answers let more go."""
        peer = on(Bandwidth(), image_compression="off")
        peer.core.repaint(photo())
        peer.core.tell_time(1.0, 0)
        got = peer.work()
        self.assertEqual(len(images(got)), 1)  # a band that is larger than the window
        self.assertGreater(peer.core.flow.on_the_way, FIRST_WINDOW_BYTES)
        peer.core.drawables(Batch.of([fill(0, 0, 5, 5)]))
        self.assertEqual(peer.work(), [])
        answer(peer, got, 1.1)
        self.assertEqual([type(m) for m in peer.work() if not isinstance(m, base.Ping)], [display.DrawFill])

    def test_window_opens(self):
        """The session is told when the answer comes, so that it looks what is owed."""
        peer = on(Bandwidth(), image_compression="off")
        peer.core.repaint(photo())
        pings = [message for message in peer.work() if isinstance(message, base.Ping)]
        self.assertEqual(peer.say(base.Pong(pings[-1].id, 0)), [WindowOpened()])

    def test_pieces(self):
        """On a narrow line a surface is painted in pieces that take a moment each, until all is there."""
        peer = on(line_of(800_000), image_compression="off")
        surface, now, covered = photo(), 1.0, 0
        peer.core.repaint(surface)
        while True:
            now += 0.3
            peer.core.tell_time(now, 0)
            owed = peer.core.take_owed()
            for rects in owed.values():
                (piece,) = rects
                covered += (piece.right - piece.left) * (piece.bottom - piece.top)
                self.assertLess(4 * 320 * (piece.bottom - piece.top), 200_000)
                peer.core.repaint(surface, rects)
            answer(peer, peer.work(), now + 0.2)
            if not owed:
                break
        self.assertEqual(covered, 320 * 240)

    def test_large_images(self):
        """A large image does not wait on a narrow line: what it touches is painted as it is then."""
        peer = on(line_of(800_000))
        peer.core.take_owed()
        peer.core.drawables(Batch.of([copy(image(600, 400))]))
        self.assertEqual(dict(peer.core.pipe.owed), {0: [rect(0, 0, 600, 400)]})

    def test_becomes_narrow(self):
        """Whole surfaces that wait when a line turns out to be narrow are painted in pieces instead."""
        line = Bandwidth()
        peer = on(line, image_compression="off")
        peer.core.repaint(Surface(0, 640, 480))
        peer.core.repaint(Surface(0, 640, 480))
        peer.work()
        line.transferred(50_000, 0.5)
        peer.core.take_owed()
        self.assertTrue(peer.core.pipe.owed)
        self.assertEqual(peer.core.pipe.entries, [])


class ExactTests(SynchronousTestCase):
    """What was sent lossy is sent again without loss."""

    def setUp(self):
        self.surface = photo()
        self.peer = ready(jpeg_wan="always", image_compression="quic")
        self.core = self.peer.core
        list(self.core.deadline_passed(1.0))
        (ping,) = self.peer.sent()
        list(self.core.receive(b"".join(_framed(base.Pong(ping.id, 0))), 1.0))
        self.core.tell_time(10.0, 0)
        self.core.drawables(Batch.of([copy(noise(320, 240))]))
        self.assertEqual(images(self.peer.work()), [ImageType.JPEG])

    def pass_time(self, now):
        """What an owner does at a time; the messages that come of it."""
        found = []
        list(self.core.deadline_passed(now))
        self.core.tell_time(now, 0)
        while owed := self.core.take_owed():
            for rects in owed.values():
                self.core.repaint(self.surface, rects)
            found += self.peer.work()
        return found + self.peer.work()

    def test_after_a_while(self):
        """After some time without lossy images, in pieces and without loss, until nothing is lossy."""
        due = 10.0 + display_line.EXACT_AFTER_SECONDS
        self.assertEqual(self.core.next_deadline(), due)
        self.assertEqual(self.pass_time(due - 0.1), [])
        self.assertEqual(list(self.core.deadline_passed(due)), [WindowOpened()])
        kinds = images(self.pass_time(due))
        self.assertTrue(kinds)
        self.assertFalse(set(kinds) & set(LOSSY))
        self.assertFalse(self.core.line.lossy)
        self.assertNotEqual(self.core.next_deadline(), due)

    def test_other_drawings(self):
        """Drawings that are not lossy do not put it off; lossy ones do."""
        self.core.tell_time(10.4, 0)
        self.core.drawables(Batch.of([fill(0, 0, 3, 3)]))
        self.peer.work()
        self.assertEqual(self.core.next_deadline(), 10.0 + display_line.EXACT_AFTER_SECONDS)
        self.core.drawables(Batch.of([copy(noise(100, 100))]))
        self.peer.work()
        self.assertEqual(self.core.next_deadline(), 10.4 + display_line.EXACT_AFTER_SECONDS)

    def test_read(self):
        """What computes with lossy pixels is not sent: its box is painted, at once and exactly."""
        self.core.drawables(Batch.of([xor(10, 10, 60, 60), fill(0, 0, 4, 4)]))
        self.assertEqual(self.peer.work(), [])
        got = self.pass_time(10.1)
        self.assertNotIn(ImageType.JPEG, images(got))
        self.assertIn(rect(10, 10, 60, 60), [m.base.box for m in got if isinstance(m, display.DrawCopy)])
        self.assertFalse(self.core.line.lossy.parts.touches(0, rect(10, 10, 60, 60)))
        self.core.drawables(Batch.of([xor(10, 10, 60, 60)]))
        self.assertEqual([type(message) for message in self.peer.work()], [display.DrawFill])

    def test_covered(self):
        """What was covered meanwhile is not sent again, nor what was on a surface that is gone."""
        self.core.drawables(Batch.of([fill(0, 0, 640, 480)]))
        self.peer.work()
        self.assertFalse(self.core.line.lossy)
        self.core.surface_created(Surface(4, 100, 100))
        self.core.drawables(Batch.of([copy(noise(100, 100), surface=4)]))
        self.assertEqual(images(self.peer.work()), [ImageType.JPEG])
        self.core.surface_destroyed(4)
        self.peer.work()
        self.assertFalse(self.core.line.lossy)

    def test_moved(self):
        """A target makes exact what its source sent lossy."""
        target = moved(self.peer)
        self.assertEqual(dict(target.core.line.lossy.parts), dict(self.core.line.lossy.parts))
        self.peer, self.core = target, target.core
        target.work()
        list(target.core.take_held())
        target.core.tell_time(20.0, 0)
        self.assertTrue(images(self.pass_time(20.0)))
        self.assertFalse(target.core.line.lossy)

    def test_kept_images(self):
        """An image that the client keeps lossy is lossy wherever it is drawn."""
        self.pass_time(11.0)
        kept = noise(80, 80, identity=9)
        for left, kind in ((0, ImageType.JPEG), (100, ImageType.FROM_CACHE)):
            self.core.drawables(Batch.of([copy(kept, left=left)]))
            self.assertEqual(images(self.peer.work()), [kind])
            self.assertTrue(self.core.line.lossy.parts.touches(0, rect(left, 0, left + 80, 80)))


class SessionTests(SynchronousTestCase):
    """What is known of a line is known to all channels, and goes along."""

    def test_probe(self):
        """A new client's line is tried beside its start: large only if it is fast."""
        for seconds, sizes in ((1.0, [16 * 1024]), (0.001, [16 * 1024, 250 * 1024])):
            host = BareHost(ListGuest())
            peer = host.client(("main", "display"))
            peer["main"].heard()
            host.turn(0.1)
            padded = []
            for _round in range(5):
                pings = [message for message in peer["main"].heard() if isinstance(message, base.Ping)]
                for ping in pings:
                    if len(ping.data):
                        padded.append(len(ping.data))
                        host.turn(seconds)
                    peer["main"].say(base.Pong(ping.id, ping.timestamp))
            self.assertEqual(padded, sizes)
            self.assertEqual(peer.session.bandwidth.slow, seconds == 1.0)

    def test_asked_again(self):
        """What the display finds slow is tried on the main channel, with its next ping."""
        host = BareHost(ListGuest())
        peer = host.client(("main", "display"))
        peer.session.bandwidth.transferred(16_384, 0.001, probe=True)
        host.turn(0.1)
        for _round in range(5):
            for ping in peer["main"].heard():
                if isinstance(ping, base.Ping):
                    peer["main"].say(base.Pong(ping.id, ping.timestamp))
        for _second in range(10):
            peer.session.bandwidth.transferred(50_000, 1.0)
        host.turn(15.0)
        (ping,) = peer["main"].heard()
        peer["main"].say(base.Pong(ping.id, ping.timestamp))
        self.assertEqual([len(message.data) for message in peer["main"].heard()], [0, 16 * 1024])

    def test_moved(self):
        """The target knows the line before it has sent anything."""
        source, target = BareHost(ListGuest([draw_fill(0, 0, 9, 9, 1)])), BareHost()
        peer = source.client()
        peer.session.bandwidth.round_trip(0.08)
        peer.session.bandwidth.transferred(100_000, 1.0, probe=True)
        move = Move(source, target)
        move.expect()
        there = type(peer)(target, connection_id=peer.id)
        there.ask_seamless()
        move.all()
        there.bring(move.switch(peer))
        line = there.session.bandwidth
        self.assertEqual((line.bits_per_second, line.round_trip_seconds, line.slow), (800_000, 0.08, True))
        self.assertTrue(there["display"].core.line.narrow)


class DeviceImageTests(SynchronousTestCase):
    """Images of the device are left as they are."""

    def test_not_changed(self):
        """A lossy image keeps its pixels for other clients."""
        source: DeviceImage = noise(100, 100)
        before = bytes(source.data)
        peer = ready(jpeg_wan="always")
        peer.core.drawables(Batch.of([copy(source)]))
        peer.work()
        self.assertEqual(bytes(source.data), before)
