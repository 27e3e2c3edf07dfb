# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a server announces: a guest, where its clients are served, and since which epoch.

The key is ``PREFIX/guests/NAME``, where NAME is what relays offer the guest under.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from spicemig.client.hosts import Address
from spicemig.client.urls import read_server, server_url

MAX_VALUE_BYTES = 4096
MAX_NAME_CHARACTERS = 255
MAX_SERVERS = 8
MAX_EPOCH = 2**63 - 1


def key_of(prefix: str, name: str = "") -> bytes:
    """The key of a guest; without a name, what the keys of all guests begin with."""
    return f"{prefix}/guests/{name}".encode()


def read_name(text: str) -> str:
    """What a route may be called; raises ``ValueError``."""
    if not text or len(text) > MAX_NAME_CHARACTERS or not text.isprintable() or " " in text:
        raise ValueError(f"{text[:MAX_NAME_CHARACTERS]!r} is no name of a route: one word, not too long")
    if not text.startswith("/") and text != text.lower():  # a path, or the name of a host
        raise ValueError(f"{text!r} must be in lower case")
    return text


@dataclass(frozen=True, slots=True)
class Announcement:
    """The value of a key."""

    servers: tuple[Address, ...]
    uuid: UUID  # of the host's settings; tells it from another one with the same epoch
    epoch: int

    def pack(self) -> bytes:
        """As JSON."""
        servers = [server_url(server) for server in self.servers]
        return json.dumps({"servers": servers, "uuid": str(self.uuid), "epoch": self.epoch}).encode()

    @classmethod
    def unpack(cls, value: bytes) -> Announcement:
        """Read a value; raises ``ValueError`` with what is wrong with it."""
        if len(value) > MAX_VALUE_BYTES:
            raise ValueError(f"it has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
        try:
            told = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("it is no JSON") from None
        if not isinstance(told, dict):
            raise ValueError("it is no JSON object")
        servers, uuid, epoch = told.get("servers"), told.get("uuid"), told.get("epoch")
        if not (isinstance(servers, list) and servers and all(isinstance(each, str) for each in servers)):
            raise ValueError("servers is no list of addresses")
        if len(servers) > MAX_SERVERS:
            raise ValueError(f"there are {len(servers)} servers, more than {MAX_SERVERS}")
        if not isinstance(uuid, str):
            raise ValueError("uuid is no text")
        if type(epoch) is not int or not 0 <= epoch <= MAX_EPOCH:
            raise ValueError("epoch is no whole number")
        return cls(tuple(read_server(each) for each in servers), UUID(uuid), epoch)


def objection(found: bytes, own: Announcement) -> str:
    """
    Why what is announced already must stay; empty if our own may take its place.

    The newer epoch wins. Of an equal one there is only one owner, so another host
    with it has a guest that is not ours.
    """
    try:
        other = Announcement.unpack(found)
    except ValueError:
        return ""
    where = " ".join(server_url(server) for server in other.servers)
    if other.epoch > own.epoch:
        return f"announced at {where} with the newer epoch {other.epoch}"
    if other.epoch == own.epoch and other.uuid != own.uuid:
        return f"announced at {where} as the guest of another host, {other.uuid}"
    return ""
