# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a daemon takes over while it runs: on SIGHUP, and when its certificates change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.task import LoopingCall

LOOK_SECONDS = 30.0  # between two looks at the files of certificates

#: Sections and options that take no restart.
RELOADED: dict[str, tuple[str, ...]] = {
    "listen": ("max_clients", "multi_client"),
    "tls": ("certificate", "key", "ca", "client_ca", "minimum_version"),
    "auth": ("mode", "ticket_file", "ticket_expires_seconds"),
    "relay": (
        "routes",
        "follow",
        "ticket_file",
        "link_seconds",
        "handover_seconds",
        "hold_seconds",
        "silence_seconds",
    ),
    "web": ("token_file",),
}


def reloaded(now: Any, wanted: Any) -> Any:
    """The settings of a running daemon, with those that take no restart as they are wanted."""
    sections = {}
    for section in RELOADED:
        if hasattr(now, section):
            old, new = getattr(now, section), getattr(wanted, section)
            values = {name: getattr(new, name) for name in reloaded_options(section, type(new))}
            sections[section] = dataclasses.replace(old, **values)
    return dataclasses.replace(now, **sections)


def reloaded_options(section: str, declared: type) -> list[str]:
    """The options of a section, as a daemon declares it, that take no restart."""
    known = {field.name for field in dataclasses.fields(declared)}
    return [name for name in RELOADED.get(section, ()) if name in known]


def changed(now: Any, wanted: Any) -> Iterator[tuple[str, str]]:
    """Section and option of everything that differs."""
    for field in dataclasses.fields(now):
        old, new = getattr(now, field.name), getattr(wanted, field.name)
        if dataclasses.is_dataclass(old):
            for option in dataclasses.fields(old):
                if getattr(old, option.name) != getattr(new, option.name):
                    yield field.name, option.name
        elif isinstance(old, dict):  # guest_options, by kind
            for kind, values in old.items():
                yield from ((kind, name) for name, value in values.items() if new[kind][name] != value)


class CertificateWatch:
    """
    Calls ``renew`` when the files of certificates are others.

    Not while they are being replaced: only when two looks have found the same.
    """

    def __init__(self, credentials: Any, renew: Callable[[], None], clock: Any) -> None:
        self._credentials = credentials
        self._renew = renew
        self._loaded = self._seen = credentials.stamps()
        self._looking = LoopingCall(self.look)
        self._looking.clock = clock
        self._looking.start(LOOK_SECONDS, now=False)

    def look(self) -> None:
        """Compare."""
        before, self._seen = self._seen, self._credentials.stamps()
        if self._seen != self._loaded and self._seen == before:
            self._loaded = self._seen
            self._renew()

    def stop(self) -> None:
        """No more looks."""
        self._looking.stop()
