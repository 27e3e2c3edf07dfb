# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever is dropped, owed or evicted on the way, the client ends with the device's picture."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels import display_pipe
from spicemig.channels.display import DisplayCore
from spicemig.channels.pixmap_cache import PixmapCache
from spicemig.codecs import images
from spicemig.devices.drawables import Batch, DeviceImage, Effect, Placeholder
from spicemig.devices.surfaces import Surface
from spicemig.wire.drawing import Brush, Clip, DrawBase, Point, QMask, Rect
from spicemig.wire.enums import BrushType, ClipType, ImageFlags, ImageType, ResourceType, Ropd
from spicemig.wire.messages import base, display
from tests.test_channels_display import CAPS, Peer, settings

SIDE = 16  # pixels of the surfaces here


class Canvas:
    """Surfaces as dictionaries of pixels, and the few drawings of these tests."""

    def __init__(self):
        self.surfaces = {}

    def draw(self, message, read):
        """Draw a message; ``read`` gives the pixels (a function of x, y) of an image."""
        surface, box = self.surfaces[message.base.surface_id], message.base.box
        spots = [(x, y) for y in range(box.top, box.bottom) for x in range(box.left, box.right)]
        if message.base.clip.type == ClipType.RECTS:
            spots = [spot for spot in spots if any(inside(spot, rect) for rect in message.base.clip.rects)]
        if isinstance(message, display.DrawFill):
            colours = [message.brush.color] * len(spots)
            if message.rop_descriptor == Ropd.OP_XOR:
                colours = [surface[spot] ^ message.brush.color for spot in spots]
        elif isinstance(message, display.CopyBits):
            dx, dy = message.src_pos.x - box.left, message.src_pos.y - box.top
            colours = [surface[x + dx, y + dy] for x, y in spots]
        else:
            pixel = read(message.src_bitmap)
            area = message.src_area
            colours = [pixel(x - box.left + area.left, y - box.top + area.top) for x, y in spots]
        surface.update(zip(spots, colours, strict=True))

    def create(self, surface_id):
        self.surfaces[surface_id] = {(x, y): 0 for x in range(SIDE) for y in range(SIDE)}

    def reader(self, surface_id):
        """The pixels of a surface as they are now."""
        now = dict(self.surfaces[surface_id])
        return lambda x, y: now[x, y]


def inside(spot, rect):
    """Whether a pixel lies in a rectangle."""
    return rect.left <= spot[0] < rect.right and rect.top <= spot[1] < rect.bottom


def reader_of(width, data, top_down=True, height=0):
    """The pixels of 32-bit rows."""

    def pixel(x, y):
        at = ((y if top_down else height - 1 - y) * width + x) * 4
        return int.from_bytes(data[at : at + 3], "little")

    return pixel


class Client(Peer):
    """A client that draws what it is sent, and keeps images as spice-gtk does."""

    def __init__(self, core=None, **options):
        super().__init__(core, **options)
        self.canvas = Canvas()
        self.kept = {}
        self.unacknowledged = 0

    def read(self, image):
        """The pixels of an image; fails for one that the client was not given."""
        descriptor = image.descriptor
        if descriptor.type == ImageType.SURFACE:
            return self.canvas.reader(image.data.surface_id)
        if descriptor.type == ImageType.FROM_CACHE:
            return self.kept[descriptor.id]
        pixels = images.decode(image)
        found = reader_of(pixels.width, bytes(pixels.rows()), pixels.top_down, pixels.height)
        if descriptor.flags & ImageFlags.CACHE_ME:
            assert descriptor.id not in self.kept
            self.kept[descriptor.id] = found
        return found

    def take(self):
        """Draw what was sent."""
        for message in self.work():
            self.unacknowledged += 1
            if isinstance(message, display.SurfaceCreate):
                self.canvas.create(message.surface_id)
            elif isinstance(message, display.SurfaceDestroy):
                del self.canvas.surfaces[message.surface_id]
            elif isinstance(message, display.InvalList):
                for resource in message.resources:
                    assert resource.type == ResourceType.PIXMAP
                    del self.kept[resource.id]
            elif isinstance(message, base.SetAck):
                self.unacknowledged = 0
                self.say(base.AckSync(message.generation))
            else:
                self.canvas.draw(message, self.read)

    def acknowledge(self):
        """Acknowledge what was drawn."""
        while self.unacknowledged >= self.core.common.ack_window:
            self.unacknowledged -= self.core.common.ack_window
            self.say(base.Ack())


class Host:
    """A device that draws at random, and serves one client."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.canvas = Canvas()
        self.client = Client()
        self.client.core.start(0.0)
        self.client.say(display.Init(1, 150, 0, 0))
        self.create(0)

    def create(self, surface_id):
        self.canvas.create(surface_id)
        self.client.core.surface_created(Surface(surface_id, SIDE, SIDE), primary=surface_id == 0)

    def destroy(self, surface_id):
        del self.canvas.surfaces[surface_id]
        self.client.core.surface_destroyed(surface_id)

    def box(self):
        left, right = sorted(self.chance.sample(range(SIDE + 1), 2))
        top, bottom = sorted(self.chance.sample(range(SIDE + 1), 2))
        return Rect(top=top, left=left, bottom=bottom, right=right)

    def message(self):
        """Something to draw, and its effect."""
        box = self.box()
        width, height = box.right - box.left, box.bottom - box.top
        clip = Clip() if self.chance.random() < 0.8 else Clip(ClipType.RECTS, [self.box()])
        where = DrawBase(self.chance.choice(list(self.canvas.surfaces)), box, clip)
        kind = self.chance.randrange(6)
        if kind == 0:
            at = Point(self.chance.randrange(SIDE - width + 1), self.chance.randrange(SIDE - height + 1))
            return display.CopyBits(where, at), Effect.OPAQUE
        if kind == 1:
            brush = Brush(BrushType.SOLID, color=self.chance.randrange(1 << 24))
            return display.DrawFill(where, brush, Ropd.OP_XOR, QMask()), Effect.BLEND
        if kind == 2:
            source = DeviceImage(SIDE, SIDE, surface=self.chance.choice(list(self.canvas.surfaces)))
            area = Rect(top=0, left=0, bottom=height, right=width)
        elif kind == 3:
            identity = self.chance.randrange(1, 8)
            side = 4 + identity
            data = random.Random(identity).randbytes(side * side * 4)
            source = DeviceImage(side, side, 8, side * 4, data, identity % 2 == 0, identity, 1)
            box.right, box.bottom = min(box.right, box.left + side), min(box.bottom, box.top + side)
            area = Rect(top=0, left=0, bottom=box.bottom - box.top, right=box.right - box.left)
        else:
            brush = Brush(BrushType.SOLID, color=self.chance.randrange(1 << 24))
            return display.DrawFill(where, brush, Ropd.OP_PUT, QMask()), Effect.OPAQUE
        return display.DrawCopy(where, Placeholder(source), area, Ropd.OP_PUT, 0, QMask()), Effect.OPAQUE

    def read(self, placeholder):
        image = placeholder.value
        if image.surface is not None:
            return self.canvas.reader(image.surface)
        return reader_of(image.width, image.data, image.top_down, image.height)

    def draw(self, count):
        """Some drawings in one batch."""
        batch = Batch()
        for _ in range(count):
            message, effect = self.message()
            self.canvas.draw(message, self.read)
            batch.append(message, effect)
        self.client.core.drawables(batch)

    def flush(self):
        """What an owner does after any use."""
        for surface_id, rects in self.client.core.take_owed().items():
            surface = Surface(surface_id, SIDE, SIDE)
            for (x, y), colour in self.canvas.surfaces[surface_id].items():
                start = (y * SIDE + x) * 4
                surface.pixels[start : start + 3] = colour.to_bytes(3, "little")
            self.client.core.repaint(surface, rects)
        self.client.take()

    def settle(self):
        """Let the client catch up."""
        while True:
            self.flush()
            if self.client.core.idle:
                return
            self.client.acknowledge()

    def move(self):
        """Hand the client over to another host."""
        old = self.client
        old.core.freeze()
        old.core.flush_all()
        old.take()
        pixmaps = PixmapCache.restore(old.pixmaps.export_state())
        core = DisplayCore(pixmap_cache=pixmaps, settings=settings(), caps=CAPS, arriving=True)
        core.restore(old.core.export_state())
        self.client = Client(core, pixmaps=pixmaps)
        self.client.canvas, self.client.kept = old.canvas, old.kept
        list(core.take_held())


class PictureTests(SynchronousTestCase):
    """The promise of the whole pipe."""

    def play(self, seed, *, moving):
        host = Host(seed)
        for _ in range(60):
            chance = host.chance.random()
            if chance < 0.05 and 1 not in host.canvas.surfaces:
                host.create(1)
            elif chance < 0.1 and 1 in host.canvas.surfaces:
                host.destroy(1)
            elif chance < 0.15 and moving:
                host.move()
            host.draw(host.chance.randrange(1, 12))
            if host.chance.random() < 0.5:
                host.flush()
            if host.chance.random() < 0.3:
                host.client.acknowledge()
        host.settle()
        self.assertEqual(host.client.canvas.surfaces, host.canvas.surfaces, seed)
        self.assertEqual(sorted(host.client.kept), sorted(host.client.pixmaps.ids()))

    def test_slow_client(self):
        """With a client that acknowledges seldom, and what waits dropped when it is covered."""
        for seed in range(12):
            self.play(seed, moving=False)

    def test_too_slow_client(self):
        """With one so slow that parts are owed again and again."""
        self.patch(display_pipe, "MAX_WAITING_DRAWABLES", 15)
        for seed in range(12):
            self.play(seed, moving=False)

    def test_moving(self):
        """With handovers in between, whether much or little is owed."""
        for limit in (15, 1000):
            self.patch(display_pipe, "MAX_WAITING_DRAWABLES", limit)
            for seed in range(6):
                self.play(seed, moving=True)
