# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How an option is declared: once, with its kind, default and help.

A section of the INI file is a frozen dataclass whose fields are options. What
reads a file, what writes the sample and what writes the man page all walk the
same declarations; :mod:`spicemig.daemons.config` holds them.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from twisted.internet.endpoints import serverFromString

DAEMONS = ("source", "target", "relay")
_TRUE = {"yes": True, "on": True, "true": True, "1": True}
_CREDENTIALS = "$CREDENTIALS_DIRECTORY/"  # of systemd.exec(5); where it is, depends on the service
_FALSE = {"no": False, "off": False, "false": False, "0": False}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What values an option takes: a few words for the manual, and how the text is read."""

    words: str
    read: Callable[[str], Any]  # raises ValueError with the reason


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of one section."""

    name: str
    kind: Kind
    default: str  # as it would stand in the file; {daemon} is source, target or relay
    help: str
    target: str | None = None  # the default of spice-target, where it is another

    def default_for(self, daemon: str) -> str:
        """The default as text, for one of the daemons."""
        text = self.target if daemon == "target" and self.target is not None else self.default
        return text.replace("{daemon}", daemon)


def option(kind: Kind, default: str, help: str, *, target: str | None = None) -> Any:
    """Declare a field of a section; see :class:`Option`."""
    return dataclasses.field(metadata={Option: Option("", kind, default, " ".join(help.split()), target)})


def options_of(section: type) -> Iterator[Option]:
    """The options that a section declares, in order."""
    for field in dataclasses.fields(section):
        yield dataclasses.replace(field.metadata[Option], name=field.name)


# -- kinds ------------------------------------------------------------------------------------------


def choice(*names: str) -> Kind:
    """One of some words."""

    def read(value: str) -> str:
        if value not in names:
            raise ValueError(f"{value!r} is not one of {', '.join(names)}")
        return value

    return Kind("one of " + ", ".join(names), read)


def whole(low: int, high: int) -> Kind:
    """A whole number within bounds."""

    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a whole number") from None
        if not low <= number <= high:
            raise ValueError(f"{number} is not within {low} and {high}")
        return number

    return Kind(f"whole number, {low} to {high}", read)


def decimal(low: float, high: float) -> Kind:
    """A number within bounds."""

    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a number") from None
        if not low <= number <= high:
            raise ValueError(f"{value} is not within {low:g} and {high:g}")
        return number

    return Kind(f"number, {low:g} to {high:g}", read)


def several(words: str, read_one: Callable[[str], Any], gather: Callable = tuple) -> Kind:
    """Any number of values, separated by blanks or new lines."""
    return Kind(words, lambda value: gather(read_one(word) for word in value.split()))


def _read_yes_no(value: str) -> bool:
    try:
        return {**_TRUE, **_FALSE}[value.lower()]
    except KeyError:
        raise ValueError(f"{value!r} is neither yes nor no") from None


def _read_path(value: str) -> Path | None:
    if value.startswith(_CREDENTIALS):
        directory = os.environ.get(_CREDENTIALS[1:-1])
        if not directory:
            raise ValueError(f"{value!r} is for a service to which systemd gives credentials")
        return Path(directory) / value.removeprefix(_CREDENTIALS)
    return Path(value).expanduser() if value else None


def _read_uuid(value: str) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        raise ValueError(f"{value!r} is not a UUID such as 01234567-89ab-cdef-0123-456789abcdef") from None


def _read_network(value: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"{error} (write addresses or networks such as 192.0.2.0/24)") from None


def read_endpoint(value: str) -> str:
    """Check a Twisted server endpoint string without opening it."""
    if value.startswith("ssl:"):
        raise ValueError(f"{value!r}: write tcp:...; the certificate comes from [tls]")
    try:
        serverFromString(None, value)
    except (ValueError, TypeError, LookupError, OSError) as error:
        raise ValueError(
            f"{value!r} is not a Twisted endpoint such as tcp:5900:interface=127.0.0.1 ({error})"
        ) from None
    return value


class _Opened:
    """What an endpoint would open: takes the place of the reactor, and opens nothing."""

    def __init__(self) -> None:
        self.reason = "is neither a unix socket nor a TCP port"  # why it is not private; empty if it is

    def listenUNIX(self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, **_: Any) -> None:
        """See ``IReactorUNIX``."""
        self.reason = "may be opened by everybody: end it with :mode=600" if mode & 0o007 else ""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> None:
        """See ``IReactorTCP``."""
        try:
            near = ipaddress.ip_address(interface).is_loopback
        except ValueError:
            near = False
        self.reason = "" if near else "can be reached from elsewhere: add interface=127.0.0.1"


def why_not_private(value: str) -> str:
    """Why an endpoint can be reached from outside of this machine, or by everybody on it; empty if not."""
    opened = _Opened()
    serverFromString(opened, value).listen(None)
    return opened.reason


def read_private_endpoint(value: str) -> str:
    """The same for an endpoint that nobody outside of this machine can reach."""
    reason = why_not_private(read_endpoint(value))
    if reason:
        raise ValueError(
            f"{value!r} {reason} (only unix sockets and loopback are allowed, such as "
            "unix:/run/spicemig/source.manhole:mode=600 and tcp:6023:interface=127.0.0.1)"
        )
    return value


def read_host_port(value: str) -> tuple[str, int] | None:
    """HOST:PORT, or [IPV6]:PORT; None when empty."""
    if not value:
        return None
    host, colon, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""  # an IPv6 address without brackets is ambiguous
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{value!r} is not HOST:PORT (an IPv6 address goes in brackets)")
    return host, int(port)


text = Kind("text", str)
path = Kind("path", _read_path)
yes_no = Kind("yes or no", _read_yes_no)
uuid = Kind("UUID", _read_uuid)
host_port = Kind("HOST:PORT", read_host_port)
endpoints = several("Twisted endpoint strings", read_endpoint)
private_endpoints = several("Twisted endpoint strings", read_private_endpoint)
networks = several("addresses or networks", _read_network)
