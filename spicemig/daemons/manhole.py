# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The manhole of a daemon: who may come in, and by which door.

The keys are read and checked here; SSH itself is in :mod:`spicemig.daemons.manhole_ssh`,
which needs twisted[conch] and is imported only where a manhole is enabled.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.internet.task import LoopingCall

from spicemig.control.inspection import Inspection
from spicemig.errors import ConfigError

KEY_FILE = "manhole_key"  # in the state directory, if no other one is named
LOOK_SECONDS = 1.0  # between two looks at what channels wait for
MAX_KEYS_BYTES = 64 * 1024  # of authorized_keys

_NO_CONCH = (
    "needs Twisted's conch and bcrypt, of which one is missing ({}): install python3-bcrypt "
    "(Debian), or spicemig[manhole] from the package index"
)


class Manhole:
    """
    The way into one daemon, and what can be asked of it there; made only if it is enabled.

    Raises :class:`ConfigError` if a key file is missing, open to others or damaged.
    """

    def __init__(self, daemon: Any, inspection: Inspection) -> None:
        self._settings = daemon.settings
        try:
            from spicemig.daemons import manhole_ssh as ssh
        except ImportError as error:
            raise self._error("enabled", _NO_CONCH.format(error.name or error)) from error
        self._parse = ssh.parse_public_key
        self.authorized_keys()  # a mistake is to be found now, not at night
        host_key = self._read("host_key", self._host_key_file(), _is_secret)
        try:
            key = ssh.parse_private_key(host_key)
        except ValueError as error:
            raise self._error("host_key", f"{self._host_key_file()} is no private key: {error}") from error
        self.factory = ssh.ManholeFactory(key, self.authorized_keys, inspection.namespace, daemon.reactor)
        self._looking = LoopingCall(inspection.watch.look)
        self._looking.clock = daemon.reactor
        self._looking.start(LOOK_SECONDS, now=False)

    def add_to(self, listeners: Any) -> None:
        """Want the doors opened."""
        for description in self._settings.manhole.listen:
            listeners.add("manhole", ("manhole", "listen"), description, self.factory)

    def close(self) -> None:
        """Send everybody out."""
        if self._looking.running:
            self._looking.stop()
        self.factory.close()

    def authorized_keys(self) -> list[Any]:
        """The keys that open it, as the file has them now; raises :class:`ConfigError`."""
        file = self._settings.manhole.authorized_keys
        keys = []
        for number, line in enumerate(self._read("authorized_keys", file, _is_ours).splitlines(), 1):
            if line.strip() and not line.startswith(b"#"):
                try:
                    keys.append(self._parse(line))
                except ValueError as error:
                    reason = f"{file}: line {number} is no public key ({error}); options are not understood"
                    raise self._error("authorized_keys", reason) from error
        if not keys:
            raise self._error("authorized_keys", f"there is no key in {file}")
        return keys

    def _host_key_file(self) -> Path:
        file: Path | None = self._settings.manhole.host_key
        if file is None:
            file = self._settings.server.state_dir / KEY_FILE
            _make_key(file)
        return file

    def _read(self, option: str, file: Path, fits: Callable[[os.stat_result], str]) -> bytes:
        try:
            with open(file, "rb") as opened:
                reason = fits(os.fstat(opened.fileno()))
                data = opened.read(MAX_KEYS_BYTES + 1)
        except OSError as error:
            raise self._error(option, f"{file}: {error.strerror}") from error
        if len(data) > MAX_KEYS_BYTES:
            reason = "is too large"
        if reason:
            raise self._error(option, f"{file} {reason}")
        return data

    def _error(self, option: str, reason: str) -> ConfigError:
        return ConfigError(str(self._settings.file), "manhole", option, reason)


def _is_ours(status: os.stat_result) -> str:
    """Why nobody but us may have written this file; empty if all is well."""
    if not stat.S_ISREG(status.st_mode):
        return "is no file"
    if status.st_uid not in (0, os.geteuid()):
        return "belongs to somebody else than root and the daemon's user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "may be written by others; chmod go-w it"
    return ""


def _is_secret(status: os.stat_result) -> str:
    """The same of a file that others may not even read; a group may, as systemd's credentials have one."""
    return _is_ours(status) or ("may be read by others; chmod o= it" if status.st_mode & stat.S_IRWXO else "")


def _make_key(file: Path) -> None:
    """Make the host key at the first start."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return  # it is there, or reading it says what is wrong
    with open(descriptor, "wb") as out:
        out.write(
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            )
        )
