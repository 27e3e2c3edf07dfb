# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest and a device that do what a test says and remember what was asked of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from spicemig.devices.cursor import CursorState
from spicemig.devices.drawables import Batch, DeviceImage
from spicemig.devices.interfaces import IDevice, IGuest
from spicemig.devices.surfaces import PixelBlock, Surface
from spicemig.errors import GuestError
from spicemig.wire.declare import Placeholder
from spicemig.wire.drawing import Brush, Clip, DrawBase, Point, Rect
from spicemig.wire.enums import BrushType, ImageFlags, Ropd
from spicemig.wire.messages import display


def box(x: int, y: int, width: int, height: int) -> Rect:
    """A rectangle by corner and size."""
    return Rect(y, x, y + height, x + width)


def fill(x: int, y: int, width: int, height: int, color: int) -> display.DrawFill:
    """Fill part of the primary with 0x00RRGGBB."""
    return display.DrawFill(
        DrawBase(0, box(x, y, width, height), Clip()), Brush(BrushType.SOLID, color), Ropd.OP_PUT
    )


def copy_bits(x: int, y: int, width: int, height: int, from_x: int, from_y: int) -> display.CopyBits:
    """Move part of the primary."""
    return display.CopyBits(DrawBase(0, box(x, y, width, height), Clip()), Point(from_x, from_y))


def picture(identity: int, width: int, height: int, *, seed: int = 1) -> DeviceImage:
    """An image that clients are asked to keep; the same ``seed`` gives the same pixels."""
    value, data = seed & 0xFFFFFFFF or 1, bytearray()
    for _ in range(width * height):
        value = value * 1664525 + 1013904223 & 0xFFFFFFFF
        data += (value & 0xFFFFFF).to_bytes(4, "little")
    flags = ImageFlags.CACHE_ME
    return DeviceImage(width, height, stride=width * 4, data=bytes(data), id=identity, flags=flags)


def copy(image: DeviceImage, x: int, y: int) -> display.DrawCopy:
    """Draw a whole image."""
    base = DrawBase(0, box(x, y, image.width, image.height), Clip())
    return display.DrawCopy(base, Placeholder(image), Rect(0, 0, image.height, image.width))


@implementer(IGuest)
class ListGuest:
    """
    A guest whose commands come from a list: ``power_on`` draws ``first``, and the
    test draws the rest with :meth:`draw`. ``inputs`` has what clients did.
    """

    kind = "list"

    def __init__(
        self, first: Iterable[Any] = (), *, width: int = 320, height: int = 200, absolute_pointer: bool = True
    ) -> None:
        self.first = list(first)
        self.width = width
        self.height = height
        self.absolute_pointer = absolute_pointer
        self.inputs: list[tuple] = []
        self.running = False
        self.calls: list[str] = []
        self.lock_keys = 0
        self.device: Any = None

    def attach(self, device: Any) -> None:
        self.device = device

    def power_on(self) -> None:
        self.calls.append("power_on")
        self.device.create_primary(self.width, self.height)
        self.running = True
        self.draw(*self.first)

    def draw(self, *messages: Any) -> None:
        """Draw these as one batch."""
        if not self.running:
            raise GuestError("a guest that stands still draws nothing")
        if messages:
            self.device.draw(Batch.of(messages))

    def stop(self) -> Deferred:
        self.calls.append("stop")
        self.running = False
        return succeed(None)

    def resume(self) -> None:
        self.calls.append("resume")
        self.running = True

    def shut_down(self) -> None:
        self.calls.append("shut_down")
        self.running = False

    def key_down(self, code: int) -> None:
        self.inputs.append(("key_down", code))

    def key_up(self, code: int) -> None:
        self.inputs.append(("key_up", code))

    def modifiers(self, mask: int) -> int:
        self.inputs.append(("modifiers", mask))
        self.lock_keys = mask
        return mask

    def pointer_moved(self, dx: int, dy: int, buttons: int) -> None:
        self.inputs.append(("pointer_moved", dx, dy, buttons))

    def pointer_set(self, x: int, y: int, buttons: int, display: int) -> None:
        self.inputs.append(("pointer_set", x, y, buttons, display))

    def button_pressed(self, button: int, buttons: int) -> None:
        self.inputs.append(("button_pressed", button, buttons))

    def button_released(self, button: int, buttons: int) -> None:
        self.inputs.append(("button_released", button, buttons))

    def export_state(self) -> bytes:
        return json.dumps([self.width, self.height, self.lock_keys, self.inputs]).encode()

    def restore(self, state: bytes) -> None:
        try:
            self.width, self.height, self.lock_keys, inputs = json.loads(bytes(state))
        except ValueError as error:
            raise GuestError(f"not a list guest's state: {error}") from error
        self.inputs = [tuple(each) for each in inputs]


@implementer(IDevice)
class ListDevice:
    """A device that shows what the test gives it: ``live`` surfaces, and batches by :meth:`show`."""

    def __init__(self, *live: Surface) -> None:
        self.running = True
        self.live = {surface.id: surface for surface in live}
        self.displays: list[Any] = []
        self.cursor_now = CursorState(None, 0, 0, False, 0, 0)
        self.monitors: Any = None
        self.blocks: list[PixelBlock] = []
        self.calls: list[str] = []

    def show(self, *messages: Any) -> None:
        """Tell the displays of one batch."""
        batch = Batch.of(messages)
        for shown in self.displays:
            shown.drawables(batch)

    def add_display(self, display: Any) -> None:
        self.displays.append(display)

    def remove_display(self, display: Any) -> None:
        self.displays.remove(display)

    def surfaces(self) -> list[Surface]:
        return [self.live[number] for number in sorted(self.live)]

    def render(self, surface_id: int) -> Surface:
        return self.live[surface_id]

    def cursor_state(self) -> CursorState:
        return self.cursor_now

    def monitors_config(self) -> Any:
        return self.monitors

    def stop(self) -> None:
        self.calls.append("stop")
        self.running = False

    def resume(self) -> None:
        self.calls.append("resume")
        self.running = True

    def begin_precopy(self) -> None:
        self.calls.append("begin_precopy")

    def next_round(self, limit_bytes: int) -> list[PixelBlock]:
        taken, self.blocks = self.blocks, []
        return taken

    def dirty_bytes(self) -> int:
        return sum(len(block.data) for block in self.blocks)

    def end_precopy(self) -> None:
        self.calls.append("end_precopy")

    def export_state(self) -> bytes:
        return b"list"

    def restore(self, state: bytes) -> None:
        self.calls.append("restore")

    def apply_block(self, block: PixelBlock) -> None:
        self.blocks.append(block)
