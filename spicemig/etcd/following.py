# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a relay knows of the guests that are announced, as etcd tells it bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from spicemig.client.hosts import Address
from spicemig.etcd import calls
from spicemig.etcd.announcements import MAX_NAME_CHARACTERS, Announcement, key_of, read_name
from spicemig.etcd.calls import Call, Entry

MAX_GUESTS = 1000


class Following:
    """
    The announced guests by name, and which announcements are ``ignored`` and why.

    ``usable`` says which servers can be linked to at all.
    """

    def __init__(self, prefix: str, usable: Callable[[Address], bool] = lambda server: True) -> None:
        self.prefix = key_of(prefix)
        self.usable = usable
        self.revision = 0  # of etcd's store, as far as it is known
        self.guests: dict[str, Announcement] = {}
        self.ignored: dict[str, str] = {}

    def reading(self) -> Call:
        """What to ask for first, and when a watch is over."""
        return calls.read_under(self.prefix, MAX_GUESTS + 1)

    def watching(self) -> Call:
        """What to ask for then."""
        return calls.watch_under(self.prefix, self.revision + 1)

    def read(self, answer: dict[str, Any]) -> None:
        """
        Take what is there.

        An older revision than before is that of a store which was lost and made anew.
        What was known stays then, for the servers to announce it again, until the next reading.
        """
        revision, found = calls.revision(answer), calls.entries(answer)
        before = self.guests if revision < self.revision else {}
        self.guests, self.ignored, self.revision = dict(before), {}, revision
        self._take(found)

    def hear(self, line: bytes) -> bool:
        """Take a line of a watch; whether it goes on."""
        told = calls.heard(line)
        self.revision = max(self.revision, told.revision)
        self._take(told.entries)
        return not told.over

    def _take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            name = entry.key.removeprefix(self.prefix).decode(errors="replace")[: MAX_NAME_CHARACTERS + 1]
            self.ignored.pop(name, None)
            try:
                if entry.value is not None:
                    self._announced(read_name(name), entry.value)
                    continue
            except ValueError as error:
                if len(self.ignored) < MAX_GUESTS:
                    self.ignored[name] = str(error)
            self.guests.pop(name, None)

    def _announced(self, name: str, value: bytes) -> None:
        announcement = Announcement.unpack(value)
        servers = tuple(filter(self.usable, announcement.servers))
        if not servers:
            raise ValueError("its servers are reached over TLS only, which needs ca in [tls]")
        if name not in self.guests and len(self.guests) >= MAX_GUESTS:
            raise ValueError(f"there are {MAX_GUESTS} guests already")
        self.guests[name] = replace(announcement, servers=servers)
