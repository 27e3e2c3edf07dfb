# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Messages of the inputs channel.

Source: spice.proto, InputsChannel.
"""

from typing import Annotated

from spicemig.wire.declare import Rest, i32, message, u8, u16, u32
from spicemig.wire.enums import KeyboardModifiers, MouseButton, MouseButtonMask


@message("inputs", to="client", number=101)
class Init:
    """The lock keys at the start."""

    keyboard_modifiers: Annotated[u16, KeyboardModifiers]


@message("inputs", to="client", number=102)
class KeyModifiers:
    """The lock keys of the guest changed."""

    modifiers: Annotated[u16, KeyboardModifiers]


@message("inputs", to="client", number=111)
class MouseMotionAck:
    """A bunch of motions was consumed; see channels.inputs."""


@message("inputs", to="server", number=101)
class KeyDown:
    """A key went down; a PC set 1 scan code, its bytes in the order of the wire."""

    code: u32


@message("inputs", to="server", number=102)
class KeyUp:
    """A key went up; the scan code has its break bit set."""

    code: u32


@message("inputs", to="server", number=103)
class ClientKeyModifiers:
    """The lock keys as the client has them."""

    modifiers: Annotated[u16, KeyboardModifiers]


@message("inputs", to="server", number=104)
class KeyScancode:
    """Raw scan codes, one after the other."""

    data: Annotated[bytes, Rest()]


@message("inputs", to="server", number=111)
class MouseMotion:
    """The pointer moved by a relative amount (server mouse mode)."""

    dx: i32  # pixels, to the right
    dy: i32  # pixels, downwards
    buttons_state: Annotated[u16, MouseButtonMask]  # after the motion


@message("inputs", to="server", number=112)
class MousePosition:
    """The pointer is here now (client mouse mode)."""

    x: u32
    y: u32
    buttons_state: Annotated[u16, MouseButtonMask]
    display_id: u8


@message("inputs", to="server", number=113)
class MousePress:
    """A button went down; the wheel is a button, too."""

    button: Annotated[u8, MouseButton]
    buttons_state: Annotated[u16, MouseButtonMask]


@message("inputs", to="server", number=114)
class MouseRelease:
    """A button went up."""

    button: Annotated[u8, MouseButton]
    buttons_state: Annotated[u16, MouseButtonMask]
