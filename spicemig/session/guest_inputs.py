# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's one keyboard and pointer, as its clients share them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, Any

from spicemig.channels import events
from spicemig.errors import WireError
from spicemig.session.carried import CarriedHost, HeldKeys
from spicemig.session.stage import Stage
from spicemig.wire.enums import MouseMode

if TYPE_CHECKING:
    from spicemig.session.sessions import Sessions


class GuestInputs:
    """
    Takes what clients do to the guest, and tells all of them what came of it.

    Nothing reaches a guest that stands still. Keys that a client held when it
    went are let go of as soon as the guest runs, wherever that is.
    """

    def __init__(self, host: Sessions) -> None:
        self.host = host
        self.reset()

    def reset(self) -> None:
        """Nothing is known of any guest."""
        self.mouse_mode = MouseMode.SERVER
        self.modifiers = 0  # the lock keys that are on in the guest
        self._keys_left: dict[int, list[int]] = {}  # by connection id: codes with which keys go up

    @property
    def supported_mouse_modes(self) -> MouseMode:
        """Mask of the mouse modes that the guest can do."""
        guest = self.host.guest
        if guest is not None and guest.absolute_pointer:
            return MouseMode.SERVER | MouseMode.CLIENT
        return MouseMode.SERVER

    @property
    def client_leads(self) -> bool:
        """Whether clients move the cursor themselves."""
        return self.mouse_mode is MouseMode.CLIENT

    def powered_on(self) -> None:
        """A guest has begun: it is pointed at in its best way."""
        can_be_led = MouseMode.CLIENT in self.supported_mouse_modes
        self.mouse_mode = MouseMode.CLIENT if can_be_led else MouseMode.SERVER

    def ask_mouse_mode(self, mode: int) -> None:
        """A client asks for a mouse mode; what the guest cannot do is not done."""
        if mode in list(self.supported_mouse_modes) and mode != self.mouse_mode:
            self.mouse_mode = MouseMode(mode)
            for client in list(self.host.clients.values()):
                client.tell_mouse_mode()

    def take(self, event: Any) -> None:
        """Hand one input event to the guest; motions count in server mouse mode, positions in client mode."""
        guest = self.host.guest
        if guest is None or self.host.stage is not Stage.SERVING:
            return
        match event:
            case events.KeyDown():
                guest.key_down(event.code)
            case events.KeyUp():
                guest.key_up(event.code)
            case events.KeyModifiers():
                self._set_modifiers(guest.modifiers(event.mask))
            case events.PointerMoved():
                if self.mouse_mode == MouseMode.SERVER:
                    guest.pointer_moved(event.dx, event.dy, event.buttons)
            case events.PointerSet():
                if self.mouse_mode == MouseMode.CLIENT:
                    guest.pointer_set(event.x, event.y, event.buttons, event.display)
            case events.ButtonPressed():
                guest.button_pressed(event.button, event.buttons)
            case events.ButtonReleased():
                guest.button_released(event.button, event.buttons)

    def _set_modifiers(self, modifiers: int) -> None:
        if modifiers != self.modifiers:
            self.modifiers = modifiers
            for client in list(self.host.clients.values()):
                client.tell_modifiers()

    # keys that nobody will let go of

    def keys_left(self, connection_id: int, codes: Iterable[int]) -> None:
        """A client is gone that held keys; ``codes`` let go of them."""
        if self.host.guest is None:
            return
        self._keys_left.setdefault(connection_id, []).extend(codes)
        if self.host.stage is Stage.SERVING:
            self.release_keys(connection_id)

    def keys_claimed(self, connection_id: int) -> None:
        """The client is here with its inputs channel and lets go of its keys itself."""
        self._keys_left.pop(connection_id, None)

    def release_keys(self, connection_id: int) -> None:
        """Let go of what a client held."""
        for code in self._keys_left.pop(connection_id, ()):
            self.take(events.KeyUp(code))

    def release_all_keys(self, but: Container[int] = ()) -> None:
        """Let go of what clients held, but for these."""
        for connection_id in list(self._keys_left):
            if connection_id not in but:
                self.release_keys(connection_id)

    # to another host

    def held_keys(self) -> list[HeldKeys]:
        """What clients hold now, and what those held who went while the guest stood still."""
        held = {connection_id: list(codes) for connection_id, codes in self._keys_left.items()}
        for client in self.host.clients.values():
            for core in client.channels("inputs"):
                held.setdefault(client.connection_id, []).extend(core.keys_to_release())
        return [HeldKeys(connection_id, codes) for connection_id, codes in held.items() if codes]

    def restore(self, carried: CarriedHost) -> None:
        """Go on as at the source; raises ``WireError``."""
        if carried.mouse_mode not in list(MouseMode):
            raise WireError("CarriedHost", "mouse_mode", reason=f"{carried.mouse_mode} is none")
        self.mouse_mode = MouseMode(carried.mouse_mode)
        self.modifiers = carried.modifiers
        self._keys_left = {held.connection_id: list(held.codes) for held in carried.keys}
