# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What guests, the QXL device and the display server ask of each other.

A guest drives a device; the device tells its displays; a display is whoever
shows the device to clients, as a session does. Nothing here knows of channels.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IDisplay(Interface):
    """Told of everything the device shows, in the order in which it happens."""

    def surface_created(surface):
        """A surface exists now; ``surface`` is a :class:`spicemig.devices.surfaces.Surface`."""

    def surface_destroyed(surface_id):
        """A surface is gone; drawables that read it came earlier."""

    def drawables(batch):
        """Some commands were taken from the ring: a :class:`spicemig.devices.drawables.Batch`."""

    def cursor(command):
        """The cursor changed: one of the commands of :mod:`spicemig.devices.cursor`."""

    def monitors(config):
        """The heads changed: a :class:`spicemig.wire.messages.display.MonitorsConfig`."""


class IDevice(Interface):
    """The QXL device, as sessions and migrations see it."""

    running = Attribute("Whether commands are taken from the rings.")

    def add_display(display):
        """Tell an :class:`IDisplay` from now on; it reads the present state from the methods below."""

    def remove_display(display):
        """Tell it no more."""

    def surfaces():
        """The live :class:`spicemig.devices.surfaces.Surface` objects, the primary (id 0) first."""

    def render(surface_id):
        """Draw what is waiting for this surface and return it; its ``pixels`` are current."""

    def cursor_state():
        """The last cursor as :class:`spicemig.devices.cursor.CursorState`."""

    def monitors_config():
        """The last ``MonitorsConfig``, or None."""

    def stop():
        """Take no more commands; those taken before have reached every display."""

    def resume():
        """Take commands again."""

    def begin_precopy():
        """From now on keep what was drawn since the last round; everything is dirty at first."""

    def next_round(limit_bytes):
        """
        Render and return what is dirty as a list of
        :class:`spicemig.devices.surfaces.PixelBlock`, at most about
        ``limit_bytes`` of pixels; what is left stays dirty. Empty when clean.
        """

    def dirty_bytes():
        """How many bytes of pixels the next rounds would carry."""

    def end_precopy():
        """Forget the dirty marks."""

    def export_state():
        """The remembered commands (surfaces, primary, monitors config, cursor) as bytes, without pixels."""

    def restore(state):
        """Make the surfaces that ``export_state`` told of, or raise ``WireError``; pixels come as blocks."""

    def apply_block(block):
        """Put a :class:`PixelBlock` into its surface; may come before ``restore`` has named the surface."""


class IGuest(Interface):
    """The machine on display: draws through a device, and gets what clients type and point."""

    kind = Attribute("The name under which the INI file asks for it.")
    absolute_pointer = Attribute(
        "Whether it takes pointer positions (client mouse mode) or motions (server mouse mode)."
    )

    def attach(device):
        """Draw on this device; called once, before anything else."""

    def power_on():
        """Begin from nothing: create the primary surface and draw."""

    def stop():
        """Stand still; returns a Deferred that fires when nothing more will be drawn."""

    def resume():
        """Go on: after ``stop``, or on the target after ``restore``."""

    def shut_down():
        """Give back timers and files; the guest is not used again."""

    def key_down(code):
        """A key went down; ``code`` is a PC set 1 scan code as SPICE sends it: a prefix is the low byte."""

    def key_up(code):
        """It went up."""

    def modifiers(mask):
        """The client wants these lock keys to be on; returns the mask now in force."""

    def pointer_moved(dx, dy, buttons):
        """Relative motion in pixels, in server mouse mode."""

    def pointer_set(x, y, buttons, display):
        """Absolute position in pixels, in client mouse mode."""

    def button_pressed(button, buttons):
        """A SPICE mouse button (1 left ... 5 wheel down) went down."""

    def button_released(button, buttons):
        """It went up."""

    def export_state():
        """All that the guest itself must remember, as bytes; the guest is stopped."""

    def restore(state):
        """Take over such a state instead of ``power_on``; raises ``GuestError`` or ``WireError``."""


class IGuestMaker(Interface):
    """A Twisted plugin that makes guests of one kind."""

    kind = Attribute("The name for the INI file's [guest] kind.")
    options = Attribute(
        "A tuple of spicemig.guests.options.GuestOption: what the section of that kind may say."
    )
    state_version = Attribute("The newest state that restore understands; source and target compare it.")

    def same_settings(settings):
        """What must be alike on both hosts for such a guest to move, as a dictionary of texts for people."""

    def make(settings, clock):
        """An :class:`IGuest`; ``settings`` maps option names to values, ``clock`` is an IReactorTime."""
