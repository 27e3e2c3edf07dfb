# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The inputs channel: keyboard and pointer of one client.

Source: spice.proto, InputsChannel; spice-server 0.15.1, inputs-channel.cpp and
inputs-channel-client.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from spicemig.channels.core import ChannelCore, receives
from spicemig.channels.events import (
    ButtonPressed,
    ButtonReleased,
    Event,
    KeyDown,
    KeyModifiers,
    KeyUp,
    PointerMoved,
    PointerSet,
)
from spicemig.errors import WireError
from spicemig.state import carried, session_state
from spicemig.wire.capabilities import InputsCap
from spicemig.wire.declare import Counted, u16, u32
from spicemig.wire.messages import inputs

MOTION_ACK_BUNCH = 4  # motions per acknowledgement; SPICE_INPUT_MOTION_ACK_BUNCH
KEYS_DOWN_MAX = 256  # a keyboard has fewer; a client that claims more is not believed
RELEASE = 0x80  # bit of a scan code: the key went up
PREFIXES = (0xE0, 0xE1)


@session_state(magic=b"ICMD", version=2)
class InputsState:
    """
    What an inputs channel remembers.

    Version 1 is SpiceMigrateDataInputs; the keys follow it.
    """

    motion_count: u16 = carried(default=0)  # motions not acknowledged yet
    # the codes with which the keys that are down went down
    keys_down: Annotated[list[u32], Counted(u16)] = carried(factory=list, since=2)
    modifiers: u16 = carried(default=0, since=2)  # lock keys, as the client was told


class InputsCore(ChannelCore):
    """
    The server's side of one inputs channel.

    Motions are acknowledged in bunches, wherever they are handled: a channel
    that stands still keeps them, and the target acknowledges what it handles.
    """

    channel = "inputs"
    state_type = InputsState
    offered_caps = frozenset({InputsCap.KEY_SCANCODE})

    def tell_first(self, modifiers: int) -> None:
        """What a channel that begins says of the lock keys."""
        self.state.modifiers = modifiers

    def started(self) -> None:
        self.send(inputs.Init(self.state.modifiers))

    def check(self, state: Any) -> None:
        if len(state.keys_down) > KEYS_DOWN_MAX:
            raise WireError(
                "InputsState", "keys_down", -1, f"{len(state.keys_down)} keys are more than any keyboard has"
            )

    def restored(self) -> None:
        self._acknowledge()

    def set_modifiers(self, mask: int) -> None:
        """Tell the client which lock keys are on in the guest."""
        if mask != self.state.modifiers:
            self.state.modifiers = mask
            self.send(inputs.KeyModifiers(mask))

    @receives(inputs.KeyDown)
    def key_down(self, message: Any) -> Iterator[Event]:
        self._went_down(message.code)
        yield KeyDown(message.code)

    @receives(inputs.KeyUp)
    def key_up(self, message: Any) -> Iterator[Event]:
        self._went_up(message.code)
        yield KeyUp(message.code)

    @receives(inputs.KeyScancode)
    def key_scancode(self, message: Any) -> Iterator[Event]:
        for code in split_scancodes(bytes(message.data)):
            if goes_up(code):
                self._went_up(code)
                yield KeyUp(code)
            else:
                self._went_down(code)
                yield KeyDown(code)

    @receives(inputs.ClientKeyModifiers)
    def key_modifiers(self, message: Any) -> Iterator[Event]:
        yield KeyModifiers(message.modifiers)

    @receives(inputs.MouseMotion)
    def mouse_motion(self, message: Any) -> Iterator[Event]:
        self.state.motion_count += 1
        self._acknowledge()
        yield PointerMoved(message.dx, message.dy, message.buttons_state)

    @receives(inputs.MousePosition)
    def mouse_position(self, message: Any) -> Iterator[Event]:
        self.state.motion_count += 1
        self._acknowledge()
        yield PointerSet(message.x, message.y, message.buttons_state, message.display_id)

    @receives(inputs.MousePress)
    def mouse_press(self, message: Any) -> Iterator[Event]:
        yield ButtonPressed(message.button, message.buttons_state)

    @receives(inputs.MouseRelease)
    def mouse_release(self, message: Any) -> Iterator[Event]:
        yield ButtonReleased(message.button, message.buttons_state)

    def keys_to_release(self) -> list[int]:
        """The codes with which the keys that the client holds go up, the last one first."""
        return [released(code) for code in reversed(self.state.keys_down)]

    def _acknowledge(self) -> None:
        while self.state.motion_count >= MOTION_ACK_BUNCH:
            self.state.motion_count -= MOTION_ACK_BUNCH
            self.send(inputs.MouseMotionAck())

    def _went_down(self, code: int) -> None:
        held = self.state.keys_down
        if code not in held and len(held) < KEYS_DOWN_MAX:
            held.append(code)

    def _went_up(self, code: int) -> None:
        code = pressed(code)
        if code in self.state.keys_down:
            self.state.keys_down.remove(code)


def _bytes_of(code: int) -> bytes:
    return code.to_bytes(4, "little").rstrip(b"\0")


def goes_up(code: int) -> bool:
    """Whether this code says that a key went up."""
    data = _bytes_of(code)
    return bool(data) and bool(data[-1] & RELEASE)


def pressed(code: int) -> int:
    """The code with which the key of this code goes down."""
    return int.from_bytes(bytes(b if b in PREFIXES else b & ~RELEASE for b in _bytes_of(code)), "little")


def released(code: int) -> int:
    """The code with which the key of this code goes up."""
    return int.from_bytes(bytes(b if b in PREFIXES else b | RELEASE for b in _bytes_of(code)), "little")


def split_scancodes(data: bytes) -> Iterator[int]:
    """The codes in a run of bytes; 0xe0 leads one more byte, 0xe1 two."""
    at = 0
    while at < len(data):
        size = {0xE0: 2, 0xE1: 3}.get(data[at], 1)
        yield int.from_bytes(data[at : at + size], "little")
        at += size
