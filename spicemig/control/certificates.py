# SPDX-License-Identifier: LGPL-2.1-or-later
"""A certificate authority for an hour: what the demo's two hosts trust each other by."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LIFE = datetime.timedelta(days=2)
SKEW = datetime.timedelta(hours=1)


class Authority:
    """Signs certificates; its own is written to ``DIRECTORY/ca.pem``."""

    def __init__(self, directory: Path, name: str = "spicemig demo") -> None:
        self.directory = directory
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(self._name, self._name, self._key.public_key()).add_extension(usage, critical=True)
        self.file = directory / "ca.pem"
        self.file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, stem: str, *names: str) -> tuple[Path, Path]:
        """Write a certificate for host names or addresses, and its key: ``STEM.pem`` and ``STEM.key``."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = _builder(_name(names[0]), self._name, key.public_key()).add_extension(
            alternatives, critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        files = self.directory / f"{stem}.pem", self.directory / f"{stem}.key"
        files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        files[1].touch(mode=0o600)
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return files


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFE)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
