# SPDX-License-Identifier: LGPL-2.1-or-later
"""The section ``[etcd]``: of all daemons, and what servers have in it besides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spicemig.client.hosts import Address
from spicemig.client.urls import read_server
from spicemig.daemons import options as kinds
from spicemig.daemons.options import option
from spicemig.etcd.announcements import MAX_NAME_CHARACTERS, MAX_SERVERS, read_name


def why_not() -> str | None:
    """Why etcd cannot be reached from here; None if it can."""
    try:
        import treq  # noqa: F401
    except ImportError as error:
        return f"needs treq (Debian: python3-treq): {error}"
    return None


def read_endpoint(value: str) -> str:
    """The address of etcd's gateway."""
    parts = urlsplit(value)
    try:
        complete = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        complete = False
    if not complete or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{value!r} is not http://HOST:PORT or https://HOST:PORT")
    if ":" in (parts.hostname or ""):
        raise ValueError(f"{value!r}: treq takes no IPv6 address; write the name of the host")
    return f"{parts.scheme}://{parts.netloc}"


def read_prefix(value: str) -> str:
    """What keys begin with, without a slash at the end."""
    prefix = value.rstrip("/")
    if not prefix.isprintable() or len(prefix) > MAX_NAME_CHARACTERS:
        raise ValueError("is not printable, or too long")
    return prefix


etcd_endpoints = kinds.several("http:// and https:// addresses", read_endpoint)
prefix = kinds.Kind("text", read_prefix)
names = kinds.several("words", read_name)
servers = kinds.several("spice:// addresses", read_server)


@dataclasses.dataclass(frozen=True)
class EtcdSettings:
    """
    Where servers announce their guests, and relays look for them.

    Servers put a guest there as long as they own it, with a lease that ends with them; see [relay] routes in
    spice-relay(8). Needs treq (Debian: python3-treq). Who may write there decides where clients are brought.
    """

    endpoints: tuple[str, ...] = option(
        etcd_endpoints,
        "",
        """The members of the etcd cluster, such as https://etcd.example:2379, which are tried in turn. Empty:
        there is none.""",
    )
    prefix: str = option(
        prefix, "/spicemig", "What keys begin with: a guest's is PREFIX/guests/NAME. The same on all hosts."
    )
    ca: Path | None = option(
        kinds.path,
        "",
        "Authorities (PEM) of etcd's certificates, for endpoints with https. Empty: those of the system.",
    )
    user: str = option(kinds.text, "", "Who asks, if etcd has users; needs password_file.")
    password_file: Path | None = option(
        kinds.path, "", "A file with the user's password on its first line, read at start."
    )


@dataclasses.dataclass(frozen=True)
class AnnouncingSettings(EtcdSettings):
    __doc__ = EtcdSettings.__doc__

    announce: tuple[str, ...] = option(
        names,
        "",
        """What clients of the relays come by to this guest, in lower case: the name of a host, the number of
        a port of the relays, the path of a unix socket, or *. Empty: name in [server].""",
    )
    advertise: tuple[Address, ...] = option(
        servers,
        "",
        """The addresses at which relays reach this host, as in their own table of routes: spice://HOST:PORT,
        spice+tls://HOST:PORT?tlsSubject=SUBJECT. Empty: the ports of [listen], only those with TLS if there
        are any, at public_host of [migration], the address that they listen on, or this host's name.""",
    )
    lease_seconds: int = option(
        kinds.whole(2, 3600),
        "10",
        "How long the announcement stays when this daemon has gone without a word.",
    )


def etcd_contradictions(etcd: EtcdSettings) -> Iterator[tuple[str, str, str]]:
    """Section, option and reason of everything that single options cannot show."""
    reason = why_not() if etcd.endpoints else None
    if reason:
        yield "etcd", "endpoints", reason
    for name in ("ca", "password_file"):
        file = getattr(etcd, name)
        if file and not file.is_file():
            yield "etcd", name, f"there is no file {file}"
    if bool(etcd.user) != bool(etcd.password_file):
        missing = "password_file" if etcd.user else "user"
        yield "etcd", missing, "user and password_file are only of use together"


def announcing_contradictions(settings: Any) -> Iterator[tuple[str, str, str]]:
    """The same of a server."""
    etcd: AnnouncingSettings = settings.etcd
    yield from etcd_contradictions(etcd)
    if etcd.endpoints and not (etcd.advertise or settings.listen.plain or settings.listen.tls):
        yield "etcd", "advertise", "must be set: there is neither plain nor tls in [listen]"
    if len(etcd.advertise) > MAX_SERVERS:
        yield "etcd", "advertise", f"{len(etcd.advertise)} addresses, more than {MAX_SERVERS}"
    if etcd.endpoints and not etcd.announce:
        try:
            read_name(settings.server.name.lower())
        except ValueError as error:
            yield "etcd", "announce", f"must be set: [server] name, {error}"
