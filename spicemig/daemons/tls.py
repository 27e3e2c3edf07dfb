# SPDX-License-Identifier: LGPL-2.1-or-later
"""
TLS for both kinds of connection: clients, and other hosts.

Everything is read when the contexts are made, so that a wrong file stops the
start, and again by :meth:`Credentials.reload`. Between hosts both sides show a
certificate; names are compared by service-identity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from spicemig.daemons.config import TLSSettings
from spicemig.errors import ConfigError

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
PARTIAL_WRITE = 1  # SSL_MODE_ENABLE_PARTIAL_WRITE of OpenSSL, for which pyOpenSSL has no name
FILES = ("certificate", "key", "ca", "client_ca")  # options that name one
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@implementer(IOpenSSLServerConnectionCreator)
class _Current:
    """A context factory that stays while what it gives changes."""

    def __init__(self, options: Callable[[], Any]) -> None:
        self._options = options

    def getContext(self) -> Any:
        """The newest context."""
        return self._options().getContext()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """See ``IOpenSSLServerConnectionCreator``."""
        return SSL.Connection(self.getContext(), None)


def _write_whole(context: SSL.Context) -> None:
    """Have OpenSSL take all records of a large write in one call, where pyOpenSSL can say so."""
    if hasattr(context, "clear_mode"):
        context.clear_mode(PARTIAL_WRITE)


def _stamp(file: Path | None) -> Any:
    try:
        status = None if file is None else file.stat()
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_size, status.st_ino)


class Credentials:
    """The files of the ``[tls]`` section, read and checked; raises :class:`ConfigError`."""

    def __init__(self, settings: Any) -> None:
        self._read_all(settings)

    def _read_all(self, settings: Any) -> None:
        self.settings: TLSSettings = settings.tls
        self._file = str(settings.file)
        self.key: Any = None
        self.chain: list[Any] = []
        self.ca: list[ssl.Certificate] = []
        self.client_ca: list[ssl.Certificate] = []
        if self.settings.certificate and self.settings.key:
            self.chain = [each.original for each in self._certificates("certificate")]
            self.key = self._private_key()
            self._check_pair()
        if self.settings.ca:
            self.ca = self._certificates("ca")
        if self.settings.client_ca:
            self.client_ca = self._certificates("client_ca")

        # made once, so that what OpenSSL does not like is found now; new connections take them from here
        self._for_clients = self._options(self.client_ca) if self.chain else None
        self._for_sources = self._options(self.ca) if self.chain else None
        # what HTTP agrees on beside is nothing to SPICE's clients
        self._for_web = self._options(self.client_ca) if self.chain else None
        for options in (self._for_clients, self._for_sources, self._for_web):
            if options is not None:
                _write_whole(options.getContext())

    def reload(self, settings: Any) -> None:
        """
        Read the files again, for connections that are made from now on.

        Raises :class:`ConfigError`, and leaves everything as it is, if one of them is wrong.
        """
        self.__dict__.update(vars(Credentials(settings)))

    def stamps(self) -> tuple[Any, ...]:
        """What changes when one of the files is written or replaced."""
        return tuple(_stamp(getattr(self.settings, name)) for name in FILES)

    def for_clients(self) -> Any:
        """The context factory of the listener for SPICE clients; always the newest context."""
        return _Current(lambda: self._for_clients)

    def for_sources(self) -> Any:
        """The same of the migration listener: who connects must show a certificate of the CA."""
        return _Current(lambda: self._for_sources)

    def for_web(self) -> Any:
        """The same of the control API for other hosts; as for clients."""
        return _Current(lambda: self._for_web)

    def for_target(self, name: str) -> Any:
        """The context for connecting to a target whose certificate must bear this name."""
        pair = ssl.PrivateCertificate.fromCertificateAndKeyPair(
            ssl.Certificate(self.chain[0]), ssl.KeyPair(self.key)
        )
        minimum = {"raiseMinimumTo": ssl.TLSVersion.TLSv1_3} if self.settings.minimum_version == "1.3" else {}
        return ssl.optionsForClientTLS(
            name,
            trustRoot=ssl.trustRootFromCertificates(self.ca),
            clientCertificate=pair,
            extraCertificateOptions={"extraCertChain": self.chain[1:], **minimum},
        )

    def expires(self) -> datetime | None:
        """When this host's certificate expires; None without one."""
        return _expiry(self.chain[0]) if self.chain else None

    def expiries(self) -> dict[str, datetime]:
        """When the first certificate expires of each file that has any, by the option that names it."""
        authorities = (("ca", self.ca), ("client_ca", self.client_ca))
        files = [
            ("certificate", self.chain),
            *((name, [each.original for each in ca]) for name, ca in authorities),
        ]
        return {option: min(map(_expiry, found)) for option, found in files if found}

    def _options(self, authorities: list[ssl.Certificate]) -> Any:
        return ssl.CertificateOptions(
            privateKey=self.key,
            certificate=self.chain[0],
            extraCertChain=self.chain[1:],
            raiseMinimumTo=_VERSIONS[self.settings.minimum_version]
            if self.settings.minimum_version == "1.3"
            else None,
            trustRoot=ssl.trustRootFromCertificates(authorities) if authorities else None,
        )

    def _certificates(self, option: str) -> list[ssl.Certificate]:
        return read_certificates(getattr(self.settings, option), lambda reason: self._error(option, reason))

    def _private_key(self) -> Any:
        try:
            pem = _read(self.settings.key, lambda reason: self._error("key", reason))
            return crypto.load_privatekey(crypto.FILETYPE_PEM, pem, b"")
        except (crypto.Error, ValueError, TypeError) as error:
            raise self._error("key", f"{self.settings.key} is no PEM key without a passphrase") from error

    def _check_pair(self) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.use_certificate(self.chain[0])
        try:
            context.use_privatekey(self.key)
            context.check_privatekey()
        except SSL.Error as error:
            reason = f"{self.settings.key} is not the key of {self.settings.certificate}"
            raise self._error("key", reason) from error

    def _error(self, option: str, reason: str) -> ConfigError:
        return ConfigError(self._file, "tls", option, reason)


def _expiry(certificate: Any) -> datetime:
    """When a certificate (of pyOpenSSL) expires."""
    opened = certificate.to_cryptography()
    if hasattr(opened, "not_valid_after_utc"):
        expiry: datetime = opened.not_valid_after_utc
        return expiry
    naive: datetime = opened.not_valid_after
    return naive.replace(tzinfo=UTC)


def _read(file: Path | None, mistake: Callable[[str], ConfigError]) -> bytes:
    assert file is not None
    try:
        return file.read_bytes()
    except OSError as error:
        raise mistake(f"{file}: {error.strerror}") from error


def read_certificates(file: Path, mistake: Callable[[str], ConfigError]) -> list[ssl.Certificate]:
    """The certificates in a PEM file; raises what ``mistake`` makes of the reason why there are none."""
    found = _CERTIFICATE.findall(_read(file, mistake))
    if not found:
        raise mistake(f"there is no PEM certificate in {file}")
    try:
        return [ssl.Certificate.loadPEM(each) for each in found]
    except (crypto.Error, ValueError) as error:
        raise mistake(f"{file} is damaged: {error}") from error


def names_in(certificate: Any) -> set[str]:
    """The host names and addresses that a certificate (of pyOpenSSL) is for."""
    try:
        names = (
            certificate.to_cryptography()
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
    except x509.ExtensionNotFound:
        return set()
    found = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    return found | {str(address) for address in names.get_values_for_type(x509.IPAddress)}


def bears_name(certificate: Any, accepted: Iterable[str]) -> bool:
    """Whether a certificate is for one of these names; any will do if there are none."""
    wanted = {name.lower() for name in accepted}
    return not wanted or bool(wanted & names_in(certificate))
