# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the control API asks of the daemon that it belongs to."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IHost(Interface):
    """The daemon, as the API sees it."""

    sessions = Attribute("Its spicemig.session.sessions.Sessions.")
    migrations = Attribute("Handovers by id, oldest first: spicemig.control.following.Followed.")

    def status():
        """What ``GET /v1/status`` answers."""

    def migrate(to, mode, transport, dry_run, timeout_seconds):
        """
        Start a handover and return it as :class:`spicemig.control.following.Followed`.

        None takes what the settings say. Raises ``MigrationError`` and, for ``to``, ``ValueError``.
        """

    def recover():
        """Serve the guest on the operator's word; says what was done. Raises ``MigrationError``."""

    def set_ticket(ticket, expires_seconds):
        """Clients must know this from now on (bytes, or None: nobody is let in); None seconds: for ever."""

    def doctor():
        """A list of ``{"check", "ok", "detail", "hint"}``."""


class IRelayHost(Interface):
    """A relay, as its API sees it."""

    relay = Attribute("Its spicemig.relay.relay.Relay.")

    def status():
        """What ``GET /v1/status`` answers."""

    def set_ticket(ticket, expires_seconds):
        """As :meth:`IHost.set_ticket`."""
