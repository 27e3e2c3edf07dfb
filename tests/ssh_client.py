# SPDX-License-Identifier: LGPL-2.1-or-later
"""An SSH client with one key, for tests in memory; needs conch."""

from __future__ import annotations

from typing import Any

from twisted.conch.ssh import channel, connection, transport, userauth
from twisted.internet.defer import succeed


class _Authentication(userauth.SSHUserAuthClient):
    """Shows one key."""

    def __init__(self, key: Any, instance: Any) -> None:
        super().__init__(b"anybody", instance)
        self.key = key

    def getPublicKey(self) -> Any:
        key, self.key = self.key, None
        self.shown = key or getattr(self, "shown", None)
        return None if key is None else key.public()

    def getPrivateKey(self) -> Any:
        return succeed(self.shown)


class Channel(channel.SSHChannel):
    """One session; ``ask`` are the requests that are made when it is open."""

    name = b"session"

    def __init__(self, *ask: tuple[bytes, bytes], **named: Any) -> None:
        super().__init__(**named)
        self.ask = ask
        self.answers: list[bool] = []
        self.told: list[bytes] = []
        self.errors: list[bytes] = []
        self.status: int | None = None
        self.refused = self.ended = False

    @property
    def text(self) -> str:
        """What the session said."""
        return b"".join(self.told).decode()

    def channelOpen(self, data: bytes) -> None:
        for name, request in self.ask:
            answered = self.conn.sendRequest(self, name, request, wantReply=1)
            answered.addCallbacks(lambda _: self.answers.append(True), lambda _: self.answers.append(False))

    def openFailed(self, reason: Any) -> None:
        self.refused = True

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def extReceived(self, kind: int, data: bytes) -> None:
        self.errors.append(data)

    def request_exit_status(self, data: bytes) -> int:
        self.status = int.from_bytes(data, "big")
        return 1

    def closed(self) -> None:
        self.ended = True


class _Sessions(connection.SSHConnection):
    """What a client has once it is logged in."""

    logged_in = False

    def serviceStarted(self) -> None:
        super().serviceStarted()
        self.logged_in = True


class Client(transport.SSHClientTransport):
    """An SSH client with one key."""

    def __init__(self, key: Any) -> None:
        self.sessions = _Sessions()
        self.authentication = _Authentication(key, self.sessions)
        self.host_key = b""

    def verifyHostKey(self, host_key: bytes, fingerprint: str) -> Any:
        self.host_key = host_key
        return succeed(True)

    def connectionSecure(self) -> None:
        self.requestService(self.authentication)
