# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where servers are and how to reach them: plain TCP, TLS, unix sockets.

As spice-gtk does: a server that answers NEED_SECURED is tried again over TLS; a
certificate is checked for its host name, or for its subject if one is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from zope.interface import implementer


@dataclass(frozen=True, slots=True)
class Address:
    """
    One server; port 0 is no such port. ``subject`` is what the server's
    certificate must say, like ``C=XX,O=Example,CN=host``; empty: the host name counts.
    """

    host: str = "localhost"
    port: int = 0
    tls_port: int = 0
    subject: str = ""
    unix: str = ""

    def __str__(self) -> str:
        return self.unix or f"{self.host}:{self.port or self.tls_port}"

    @classmethod
    def of(cls, destination: Any) -> Address:
        """The address in a server's ``Destination``."""
        host = bytes(destination.host).rstrip(b"\0").decode("utf-8", "replace")
        subject = bytes(destination.cert_subject or b"").rstrip(b"\0").decode("utf-8", "replace")
        port, tls_port = (
            0 if number == 0xFFFF else number for number in (destination.port, destination.sport)
        )
        return cls(host, port, tls_port, subject)

    def at(self, host: str) -> Address:
        """The same ports of another host."""
        return replace(self, host=host)


# makes the endpoint to one address; ``secure`` asks for TLS
EndpointMaker = Callable[[Address, bool], IStreamClientEndpoint]


@dataclass(frozen=True)
class Network:
    """Endpoints of the real network; ``ca_file`` holds the authorities to trust (PEM)."""

    reactor: Any
    ca_file: str | None = None
    connect_timeout_seconds: float = 10.0
    oldest_tls: Any = ssl.TLSVersion.TLSv1_2

    def __call__(self, address: Address, secure: bool) -> IStreamClientEndpoint:
        if address.unix:
            return UNIXClientEndpoint(self.reactor, address.unix, timeout=self.connect_timeout_seconds)
        port = address.tls_port if secure else address.port
        if not port:
            raise ValueError(f"{address} has no {'TLS' if secure else 'plain'} port")
        plain = HostnameEndpoint(self.reactor, address.host, port, timeout=self.connect_timeout_seconds)
        if not secure:
            return plain
        return wrapClientTLS(self._tls(address), plain)

    def _tls(self, address: Address):
        if address.subject:
            return SubjectChecked(self._authorities(), address.subject, self.oldest_tls)
        older = self.oldest_tls is ssl.TLSVersion.TLSv1_2  # which is Twisted's own limit
        return ssl.optionsForClientTLS(
            address.host,
            trustRoot=ssl.trustRootFromCertificates(self._authorities()),
            extraCertificateOptions={} if older else {"raiseMinimumTo": self.oldest_tls},
        )

    def _authorities(self) -> list[ssl.Certificate]:
        if self.ca_file is None:
            return []
        pem = Path(self.ca_file).read_bytes()
        mark = b"-----END CERTIFICATE-----"
        return [ssl.Certificate.loadPEM(part + mark + b"\n") for part in pem.split(mark)[:-1]]


@implementer(IOpenSSLClientConnectionCreator)
class SubjectChecked:
    """TLS to a server whose certificate has a given subject, signed by one of these authorities."""

    def __init__(
        self,
        authorities: list[ssl.Certificate],
        subject: str,
        oldest_tls: Any = ssl.TLSVersion.TLSv1_2,
    ) -> None:
        self._wanted = parse_subject(subject)
        self._context = SSL.Context(SSL.TLS_METHOD)
        newest_only = oldest_tls is ssl.TLSVersion.TLSv1_3
        self._context.set_min_proto_version(SSL.TLS1_3_VERSION if newest_only else SSL.TLS1_2_VERSION)
        store = self._context.get_cert_store()
        assert store is not None
        for authority in authorities:
            store.add_cert(authority.original)
        self._context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)

    def clientConnectionForTLS(self, tlsProtocol):
        """For Twisted."""
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        return connection

    def _verify(self, connection, certificate: crypto.X509, error: int, depth: int, good: int) -> bool:
        if not good:
            return False
        if depth > 0:
            return True
        told = {
            name.decode(): value.decode("utf-8", "replace")
            for name, value in certificate.get_subject().get_components()
        }
        return told == self._wanted


def parse_subject(subject: str) -> dict[str, str]:
    """``C=XX,CN=a\\,b`` as a dictionary; a backslash takes the next character as it is."""
    parts: dict[str, str] = {}
    key, text, characters = "", "", iter(subject)
    for character in characters:
        if character == "\\":
            text += next(characters, "")
        elif character == "=" and not key:
            key, text = text.strip(), ""
        elif character == ",":
            parts[key] = text
            key, text = "", ""
        else:
            text += character
    if key:
        parts[key] = text
    return parts
