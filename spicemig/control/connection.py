# SPDX-License-Identifier: LGPL-2.1-or-later
"""The control socket, seen from the command line: blocking HTTP over AF_UNIX."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spicemig.errors import SpicemigError

RUN_DIR = Path("/run/spicemig")


class ControlError(SpicemigError):
    """The daemon did not do it, or cannot be reached; ``status`` is the HTTP status, 0 if there was none."""

    def __init__(self, reason: str, hint: str = "", status: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.status = status

    def __str__(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason


def find_socket(given: str | None, run_dir: Path = RUN_DIR) -> Path:
    """The control socket to use: the one that was named, or the only one that is there."""
    if given:
        return Path(given)
    found = sorted(path for path in run_dir.glob("*.sock") if path.is_socket())
    if len(found) == 1:
        return found[0]
    if not found:
        raise ControlError(
            f"there is no control socket in {run_dir}", "name the daemon's with --control PATH"
        )
    names = ", ".join(str(path) for path in found)
    raise ControlError(f"several daemons run here: {names}", "name one with --control PATH")


class Control:
    """Asks one daemon."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON that is answered; raises :class:`ControlError`."""
        return json.loads(self.fetch(method, path, body))

    def fetch(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """The bytes that are answered; raises :class:`ControlError`."""
        connection, response = self._request(method, path, body)
        try:
            return response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(f"the daemon at {self.path} went away: {error}") from error
        finally:
            connection.close()

    def open(self, method: str, path: str) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """An answer to be read as it comes, and the connection to close afterwards."""
        return self._request(method, path, None)

    def follow(self, path: str) -> Iterator[tuple[str, Any]]:
        """Server-sent events as they come: name and value."""
        connection, response = self._request("GET", path, None)
        try:
            yield from read_events(response)
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(f"the daemon at {self.path} went away: {error}") from error
        finally:
            connection.close()

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = _UnixConnection(self.path)
        payload = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            reason = getattr(error, "strerror", None) or str(error)
            hint = "is it running, and may you open its socket?"
            raise ControlError(f"no daemon answers at {self.path}: {reason}", hint) from error
        if response.status >= 400:
            text = response.read()
            connection.close()
            try:
                said = json.loads(text)
            except ValueError:
                said = {}
            raise ControlError(
                said.get("error", response.reason or "refused"), said.get("hint", ""), response.status
            )
        return connection, response


def read_events(lines: Any) -> Iterator[tuple[str, Any]]:
    """Take a text/event-stream apart."""
    name = ""
    for raw in lines:
        field, _, value = raw.decode().rstrip("\r\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP to a path instead of a host."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.connect(str(self.path))
