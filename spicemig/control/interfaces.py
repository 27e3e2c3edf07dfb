# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the control API asks of the daemon that it belongs to."""

from __future__ import annotations

from zope.interface import Attribute, Interface


class IDaemon(Interface):
    """Any daemon."""

    kind = Attribute("source, target or relay.")
    credentials = Attribute("Its spicemig.daemons.tls.Credentials.")
    links = Attribute("Its spicemig.channels.limits.LinkCounter of clients.")

    def status():
        """What ``GET /v1/status`` answers."""

    def set_ticket(ticket, expires_seconds):
        """Clients must know this from now on (bytes, or None: nobody is let in); None seconds: for ever."""


class IHost(IDaemon):
    """The daemon, as the API sees it."""

    sessions = Attribute("Its spicemig.session.sessions.Sessions.")
    migrations = Attribute("Handovers by id, oldest first: spicemig.control.following.Followed.")
    handovers = Attribute("Its spicemig.daemons.migrations.Handovers, the same with what they count.")
    epochs = Attribute("Its spicemig.migration.epoch.EpochFile.")
    owner = Attribute("Whether a guest is here, and on disk it is this host's.")

    def migrate(to, mode, transport, dry_run, timeout_seconds):
        """
        Start a handover and return it as :class:`spicemig.control.following.Followed`.

        None takes what the settings say. Raises ``MigrationError`` and, for ``to``, ``ValueError``.
        """

    def recover():
        """Serve the guest on the operator's word; says what was done. Raises ``MigrationError``."""

    def doctor():
        """A list of ``{"check", "ok", "detail", "hint"}``."""


class IRelayHost(IDaemon):
    """A relay, as its API sees it."""

    relay = Attribute("Its spicemig.relay.relay.Relay.")
