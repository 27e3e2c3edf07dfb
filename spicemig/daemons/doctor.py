# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a daemon can find wrong with itself before a migration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from spicemig.codecs import video
from spicemig.daemons.tls import names_in
from spicemig.errors import ConfigError

SOON = timedelta(days=14)

Check = tuple[str, str, str]  # what is wrong (empty: nothing), what was found, what to do


def checks(daemon: Any) -> list[dict[str, Any]]:
    """Every check with its result; the other host is asked by a dry run of its own."""
    done = []
    for name, check in CHECKS.items():
        for wrong, found, hint in check(daemon):
            done.append(
                {"check": name, "ok": not wrong, "detail": wrong or found, "hint": hint if wrong else ""}
            )
    return done


def _ports(daemon: Any) -> Iterator[Check]:
    addresses = daemon.listeners.addresses()
    for kind in ("plain", "tls", "unix", "websocket", "migration"):
        if addresses.get(kind):
            yield "", f"{kind} on {' '.join(addresses[kind])}", ""
    if not addresses.get("migration"):
        yield (
            "no host can hand its guest to this one, or hand it back",
            "",
            "set [migration] listen, such as tcp:5950, if it should",
        )


def _certificates(daemon: Any) -> Iterator[Check]:
    credentials = daemon.credentials
    expires = credentials.expires()
    if expires is None:
        yield "there is no certificate", "", "set certificate and key in [tls]"
        return
    left = expires - datetime.now(UTC)
    if left < timedelta(0):
        yield f"the certificate expired on {expires:%Y-%m-%d}", "", "renew it and start again"
    else:
        soon = ": renew it soon" if left < SOON else ""
        yield "", f"valid until {expires:%Y-%m-%d}{soon}", ""
    names = names_in(credentials.chain[0])
    if names:
        yield "", "for " + ", ".join(sorted(names)), ""
    else:
        yield (
            "the certificate names no host",
            "",
            "make one with subjectAltName: other hosts compare it with the name that they connect to",
        )
    if credentials.ca:
        yield "", f"{len(credentials.ca)} authorities known for other hosts", ""
    else:
        yield "no authority is known for other hosts", "", "set ca in [tls]"


def _tickets(daemon: Any) -> Iterator[Check]:
    ticket = daemon.sessions.ticket
    now = daemon.reactor.seconds()
    if ticket is None:
        yield "", "clients need no ticket", ""
    elif not ticket.value:
        yield "no ticket is set, so no client can connect", "", "spicemig ticket set"
    elif ticket.expires_at is not None and ticket.expires_at < now:
        yield "the ticket has expired, so no new client can connect", "", "spicemig ticket set"
    else:
        yield "", "a ticket is set", ""
    if daemon.settings.migration.ticket_file is None:
        yield "there is no secret to show to another host", "", "set ticket_file in [migration]"
        return
    try:
        daemon.migration_ticket()
    except ConfigError as error:
        yield error.reason, "", "both hosts need the same secret in it"
    else:
        yield "", "the secret for other hosts can be read", ""


def _guest(daemon: Any) -> Iterator[Check]:
    sessions = daemon.sessions
    epoch = daemon.epochs.current
    if sessions.guest is not None:
        yield "", f"{sessions.guest.kind} is served here (epoch {epoch.epoch})", ""
    elif epoch.owner:
        yield "this host owns a guest that does not run", "", f"start it, or remove {daemon.epochs.path}"
    else:
        yield "", "none here; one can arrive", ""


def _clients(daemon: Any) -> Iterator[Check]:
    for client in daemon.sessions.clients.values():
        if client.local:
            yield f"{client.address}: a client on a unix socket cannot follow", "", "connect it by TCP"
        elif not (client.seamless or client.semi_seamless):
            yield "", f"{client.address} will have to connect anew", ""
        else:
            yield "", f"{client.address}: {'seamless' if client.seamless else 'semi-seamless'}", ""


def _video(daemon: Any) -> Iterator[Check]:
    settings = daemon.settings.display
    if settings.streaming == "off":
        yield "", "no part of the screen is sent as video", ""
        return
    reasons = {name: video.missing(video.NAMES[name]) for name in settings.video_codecs}
    usable = [name for name, reason in reasons.items() if not reason]
    if usable:
        yield "", f"sent as {', '.join(usable)}", ""
    else:
        yield "no video codec can be used", "", "add mjpeg to video_codecs in [display]"
    for name, reason in reasons.items():
        if reason:
            decoding = [
                client.address
                for client in daemon.sessions.clients.values()
                for core in client.channels("display")
                if core.streams.decodes(video.NAMES[name])
            ]
            who = f", though {', '.join(decoding)} could show it" if decoding else ""
            yield "", f"{name} is not sent{who}: {reason}", ""


def _etcd(daemon: Any) -> Iterator[Check]:
    if daemon.announcer is None:
        return
    said = daemon.announcer.status()
    if not said["connected"]:
        yield f"etcd is away: {said['error'] or 'not asked yet'}", "", "look at endpoints in [etcd]"
        return
    for name, reason in said["announced"].items():
        if reason and daemon.owner:
            yield f"not announced as {name}: {reason}", "", "set announce in [etcd] to another name"
        else:
            yield "", f"{name}: {reason or 'announced'}", ""


CHECKS: dict[str, Callable[[Any], Iterator[Check]]] = {
    "ports": _ports,
    "certificate": _certificates,
    "tickets": _tickets,
    "guest": _guest,
    "client": _clients,
    "video": _video,
    "etcd": _etcd,
}
