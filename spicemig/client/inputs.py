# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The client's inputs channel: what the user types and points.

Source: spice-gtk 0.42, channel-inputs.c. Motions that the server has not
acknowledged are limited; what the user moves meanwhile is added up (motions) or
replaced (positions), and sent with the next acknowledgement.
"""

from __future__ import annotations

from spicemig.client.core import ClientChannel, handles
from spicemig.client.events import ModifiersChanged
from spicemig.wire.capabilities import InputsCap
from spicemig.wire.messages import inputs

MOTION_ACK_BUNCH = 4  # motions per acknowledgement; SPICE_INPUT_MOTION_ACK_BUNCH
MOTIONS_UNACKNOWLEDGED_MAX = 2 * MOTION_ACK_BUNCH


class InputsChannel(ClientChannel):
    """Yields :class:`ModifiersChanged`; methods are what a user does."""

    channel = "inputs"
    capabilities = frozenset({InputsCap.KEY_SCANCODE})

    def __init__(self, *args, **named) -> None:
        super().__init__(*args, **named)
        self.modifiers = 0
        self.buttons = 0
        self.motions_under_way = 0
        self._moved = [0, 0]
        self._position: tuple[int, int, int] | None = None

    def reset(self) -> None:
        """Forget the server's side; see :class:`ClientChannel`."""
        super().reset()
        self.motions_under_way = 0
        self._moved = [0, 0]
        self._position = None

    # -- the user ------------------------------------------------------------

    def key_down(self, code: int) -> None:
        """Press the key with this PC set 1 scan code."""
        self.send(inputs.KeyDown(code))

    def key_up(self, code: int) -> None:
        """Release it; ``code`` is the code of pressing."""
        self.send(inputs.KeyUp(release_code(code)))

    def set_modifiers(self, mask: int) -> None:
        """Ask for these lock keys to be on."""
        self.send(inputs.ClientKeyModifiers(mask))

    def scancodes(self, data: bytes) -> None:
        """Send raw scan codes."""
        self.send(inputs.KeyScancode(data))

    def motion(self, dx: int, dy: int) -> None:
        """Move relatively (server mouse mode)."""
        if dx or dy:
            self._moved[0] += dx
            self._moved[1] += dy
            if self.motions_under_way < MOTIONS_UNACKNOWLEDGED_MAX:
                self._send_motion()

    def position(self, x: int, y: int, display: int = 0) -> None:
        """Move to a place (client mouse mode)."""
        self._position = (x, y, display)
        if self.motions_under_way < MOTIONS_UNACKNOWLEDGED_MAX:
            self._send_position()

    def press(self, button: int) -> None:
        """Press a mouse button: 1 left, 2 middle, 3 right, 4 wheel up, 5 wheel down."""
        self.buttons |= 1 << (button - 1)
        self._send_motion()
        self._send_position()
        self.send(inputs.MousePress(button, self.buttons))

    def release(self, button: int) -> None:
        """Release a mouse button."""
        self.buttons &= ~(1 << (button - 1))
        self._send_motion()
        self._send_position()
        self.send(inputs.MouseRelease(button, self.buttons))

    def _send_motion(self) -> None:
        if self.read_only or self._moved == [0, 0]:
            return
        self.send(inputs.MouseMotion(self._moved[0], self._moved[1], self.buttons))
        self._moved = [0, 0]
        self.motions_under_way += 1

    def _send_position(self) -> None:
        if self.read_only or self._position is None:
            return
        x, y, display = self._position
        self.send(inputs.MousePosition(x, y, self.buttons, display))
        self._position = None
        self.motions_under_way += 1

    # -- the server ------------------------------------------------------------

    @handles(inputs.Init)
    def init(self, message):
        """The lock keys at the beginning."""
        self.modifiers = int(message.keyboard_modifiers)
        yield ModifiersChanged(self.modifiers)

    @handles(inputs.KeyModifiers)
    def key_modifiers(self, message):
        """The lock keys changed."""
        self.modifiers = int(message.modifiers)
        yield ModifiersChanged(self.modifiers)

    @handles(inputs.MouseMotionAck)
    def mouse_motion_ack(self, message):
        """Room for more motions."""
        self.motions_under_way -= MOTION_ACK_BUNCH
        self._send_motion()
        self._send_position()


def release_code(code: int) -> int:
    """The scan code that tells of the release of a key: 0x80 set in its last byte."""
    return code | 0x8000 if code & 0xFF == 0xE0 else code | 0x80
