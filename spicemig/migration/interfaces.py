# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a handover asks of the host whose guest and clients it moves, and what it is told."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IHandoverHost(Interface):
    """The clients and the guest of one host; :class:`spicemig.session.sessions.Sessions` is one."""

    owner = Attribute("Whether a guest is served here.")
    clients = Attribute("The clients, by connection id.")
    guest = Attribute("The guest (IGuest), or None.")
    device = Attribute(
        "The device (IDevice) of the guest, or the empty one of a host that waits for a guest."
    )
    observer = Attribute("An IHandoverObserver, or None.")

    # the source's side

    def offers():
        """A ``ClientOffer`` for every client."""

    def invite(connection_id, destination, seamless):
        """Ask a client to link to the target; the observer hears how it went."""

    def cancel_invitation(connection_id):
        """Tell an invited client to stay."""

    def freeze():
        """Stop guest and channels; a Deferred that fires when all that was drawn has been sent off."""

    def thaw():
        """Undo ``freeze``, also after ``give_away``; harmless without it."""

    def export_host():
        """What all clients share, as bytes."""

    def client_blocks(connection_id):
        """The ``ChannelBlock`` of each of a frozen client's channels."""

    def glz_dictionary(connection_id):
        """The GLZ dictionary of a client, whose window goes ahead of the client's state."""

    def give_away():
        """From now on another host owns the guest."""

    def switch(connection_id, seal):
        """Send a client over; ``seal(channel name, channel id, bytes)`` closes each block it carries."""

    def end(connection_id):
        """Send a semi-seamless client over."""

    def switch_host(connection_id, destination):
        """Tell a client to connect to the target from scratch."""

    def close_client(connection_id):
        """Drop a client at once."""

    def release():
        """Be empty: drop clients that are still here, shut the guest down."""

    # the target's side

    def expect(offer, seamless):
        """
        This client will come. Until ``end_arrivals`` its ticket is good, whether
        it links to its session or, by switch-host, afresh.
        """

    def forget(connection_id):
        """It will not; its links are closed."""

    def load(host_state, device_state, guest_kind, guest_state):
        """Take over the stopped guest, without running it."""

    def take_image(connection_id, pixels, image):
        """
        The next image (a ``GlzImage``) of an expected client's GLZ window of so many
        pixels; raises ``SpicemigError`` if it cannot be.
        """

    def stage_blocks(connection_id, blocks):
        """Keep a client's ``ChannelBlock`` until ``assume``."""

    def assume(open_seal):
        """
        Own the guest: run it, serve who is there. ``open_seal(connection id,
        channel name, channel id, block)`` opens what clients bring.
        """

    def abandon():
        """Be empty again."""

    def end_arrivals():
        """Who has not come by now comes as a new client."""

    def bytes_resent(connection_id):
        """How many bytes of images and pixels an arrived client was sent that it had at the source."""


class IHandoverObserver(Interface):
    """Told by the host what its clients do; both cores are one."""

    def client_connected(connection_id, seamless):
        """Source: a client says that it is linked to the target."""

    def client_failed(connection_id):
        """Source: a client says that it could not link to the target."""

    def client_gone(connection_id):
        """A client has no connection left here."""

    def flush_mark(connection_id, channel, channel_id):
        """Source: a channel was sent over, and the client confirmed."""

    def client_linked(connection_id):
        """Target: all channels of an expected client are linked."""

    def client_settled(connection_id):
        """Target: an expected client is served with all its channels."""
