# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a linked client can do to its channels: nothing but be closed."""

import random

from twisted.trial.unittest import SynchronousTestCase

from spicemig.channels.core import LeavingStage
from spicemig.channels.cursor import CursorCore
from spicemig.channels.inputs import InputsCore
from spicemig.channels.main import MainCore
from spicemig.errors import ProtocolError
from spicemig.testing.channels import framed
from spicemig.wire.declare import catalogue
from spicemig.wire.framing import HEADER_MINI
from spicemig.wire.messages import base

CORES = (MainCore, InputsCore, CursorCore)


def settled(core_type):
    """A channel that has said its first messages."""
    core = core_type()
    core.start(1.0)
    core.data_to_send()
    return core


def numbers(channel):
    """The numbers of all messages that a client may know, and some of none."""
    entries = catalogue.entries()
    known = {number for (where, to, number), _ in entries if to == "server" and where in (channel, "base")}
    return sorted(known | {0, 99, 65535})


def listen(core, data):
    """Let a client say this; whether the channel lives on."""
    try:
        list(core.receive(data, 2.0))
    except ProtocolError:
        return False
    return True


class HostileClientTests(SynchronousTestCase):
    """Only ``ProtocolError`` comes of what a client says."""

    def test_any_body(self):
        """Every message with bodies of any size, at every stage of a channel."""
        dice = random.Random(2)
        for core_type in CORES:
            for number in numbers(core_type.channel):
                for size in (0, 1, 2, 3, 4, 5, 8, 9, 11, 12, 100, 4096):
                    data = HEADER_MINI.pack(number, size) + dice.randbytes(size)
                    for core in self.at_every_stage(core_type):
                        listen(core, data)

    def at_every_stage(self, core_type):
        """Channels that are settled, frozen, leaving, left, arriving and arrived."""
        for turns in range(4):
            core = settled(core_type)
            if turns > 0:
                core.freeze()
            if turns > 1:
                core.leave()
            if turns > 2:
                list(core.receive(framed(base.MigrateFlushMark())))
            yield core
        yield core_type(arriving=True)
        arrived = core_type(arriving=True)
        arrived.restore(settled(core_type).export_state())
        yield arrived

    def test_noise(self):
        """Random bytes end a channel, or wait for more."""
        dice = random.Random(3)
        for core_type in CORES:
            for _ in range(200):
                core = settled(core_type)
                for _ in range(5):
                    if not listen(core, dice.randbytes(dice.randrange(1, 200))):
                        break

    def test_changed_blocks(self):
        """A block that was changed on its way is refused or is a state; nothing else happens."""
        dice = random.Random(4)
        for core_type in CORES:
            source = settled(core_type)
            source.freeze()
            for data in (framed(base.Ack()), framed(base.Pong(1, 2))):
                list(source.receive(data))
            block = source.export_state()
            for place in range(len(block)):
                for value in (0, 0x7F, 0xFF, dice.randrange(256)):
                    changed = bytearray(block)
                    changed[place] = value
                    core = core_type(arriving=True)
                    try:
                        core.restore(bytes(changed))
                        list(core.take_held(bytes(changed)))
                    except ProtocolError:
                        self.assertIn(core.stage, (LeavingStage.PARKED, LeavingStage.SETTLED))
                    else:
                        self.assertIs(core.stage, LeavingStage.SETTLED)
