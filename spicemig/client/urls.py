# SPDX-License-Identifier: LGPL-2.1-or-later
"""Addresses of servers as people write them: ``spice://``, ``spice+tls://``, ``spice+unix://``."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlsplit

from spicemig.client.hosts import Address


def read_server(value: str) -> Address:
    """A server's address from ``spice://HOST:PORT``, ``spice+tls://HOST:PORT`` or ``spice+unix://PATH``."""
    parts = urlsplit(value)
    if parts.scheme == "spice+unix" and parts.path and not parts.netloc:
        return Address(unix=unquote(parts.path))
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("spice", "spice+tls") or not host or not port:
        raise ValueError(f"{value!r} is not spice://HOST:PORT, spice+tls://HOST:PORT or spice+unix:///PATH")
    query = parse_qs(parts.query, keep_blank_values=True)
    subject = query.pop("tlsSubject", [""])[-1]
    if query or (subject and parts.scheme != "spice+tls"):
        raise ValueError(f"{value!r}: only spice+tls takes something after ?, and that is tlsSubject=SUBJECT")
    if parts.scheme == "spice":
        return Address(host, port)
    return Address(host, tls_port=port, subject=subject)


def server_url(address: Address) -> str:
    """What :func:`read_server` reads; of an address with both ports, the secure one."""
    if address.unix:
        return f"spice+unix://{quote(address.unix)}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    if not address.tls_port:
        return f"spice://{host}:{address.port}"
    subject = f"?tlsSubject={quote(address.subject, safe='=,')}" if address.subject else ""
    return f"spice+tls://{host}:{address.tls_port}{subject}"
