# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that a daemon listens on, and under which addresses."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, UNIXServerEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.protocols.tls import TLSMemoryBIOFactory

from spicemig.errors import ConfigError

CONTROL_MODE = 0o600


class SecureFactory(TLSMemoryBIOFactory):
    """TLS before the protocols of a factory, which may refuse a connection; Twisted wraps the refusal."""

    def buildProtocol(self, addr: Any) -> Any:
        """A protocol, or None: the connection is closed."""
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)


class Listeners:
    """
    The listening ports of a daemon, by what they are for.

    ``add`` collects, ``open`` listens on all of them, ``close`` on none.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.ports: dict[str, list[IListeningPort]] = {}
        self.kept_ports: set[int] = set()  # which systemd goes on to listen on when we do not
        self._wanted: list[tuple[str, str, str, Any, Any]] = []

    def add(self, kind: str, where: tuple[str, str], description: str, factory: Any, tls: Any = None) -> None:
        """
        Want a Twisted endpoint with this factory, inside TLS if there is a context.

        ``where`` is the section and option that says so.
        """
        if tls is not None:
            factory = SecureFactory(tls, False, factory)
        endpoint = serverFromString(self.reactor, description)
        self._wanted.append((kind, *where, endpoint, factory))
        self.ports.setdefault(kind, [])

    def add_control(self, path: str, factory: Any) -> None:
        """Want the control socket."""
        endpoint = UNIXServerEndpoint(self.reactor, path, mode=CONTROL_MODE, wantPID=True)
        self._wanted.append(("control", "server", "control", endpoint, factory))
        self.ports.setdefault("control", [])

    def open(self, file: str) -> Deferred[Any]:
        """Listen; fires when all do, or fails with the ``ConfigError`` of the first that cannot."""
        return DeferredList(
            [self._open(file, *wanted) for wanted in self._wanted], fireOnOneErrback=True, consumeErrors=True
        )

    def _open(
        self, file: str, kind: str, section: str, option: str, endpoint: Any, factory: Any
    ) -> Deferred[Any]:
        def failed(failure: Any) -> None:
            raise ConfigError(file, section, option, failure.getErrorMessage()) from failure.value

        def listens(port: Any) -> None:
            if isinstance(endpoint, AdoptedStreamServerEndpoint):
                keep_path(port)
                self.kept_ports.add(getattr(port.getHost(), "port", 0))
            self.ports[kind].append(port)

        return endpoint.listen(factory).addCallbacks(listens, failed)

    def close(self, *kinds: str) -> Deferred[Any]:
        """Listen no more on ports of these kinds, or on any."""
        closing = []
        for kind in kinds or tuple(self.ports):
            ports, self.ports[kind] = self.ports[kind], []
            closing += [port.stopListening() for port in ports]
        return DeferredList([each for each in closing if each is not None], consumeErrors=True)

    def addresses(self) -> dict[str, list[str]]:
        """Where clients, hosts and the command line can connect, as text."""
        return {kind: [address_text(port.getHost()) for port in ports] for kind, ports in self.ports.items()}

    def tcp_port(self, kind: str) -> int:
        """The number of the first TCP port of a kind; 0 if it has none."""
        return next((address.port for address in self.tcp_addresses(kind)), 0)

    def tcp_addresses(self, kind: str) -> list[Any]:
        """Host and port of all TCP ports of a kind."""
        addresses = (port.getHost() for port in self.ports.get(kind, []))
        return [address for address in addresses if getattr(address, "port", 0)]


def keep_path(port: Any) -> None:
    """
    Leave the path of a unix socket alone when the port is closed.

    Twisted removes the path of every one; but systemd goes on to listen on its own,
    and clients must find it when the service starts again.
    """
    if isinstance(port.getHost(), UNIXAddress):
        # what Twisted takes for a name outside the file system; 22.4 asks the one, 26.10 the other
        port.port = port._bindPath = "\0"


def address_text(address: Any) -> str:
    """An address as people write it."""
    if isinstance(address, UNIXAddress):
        return (address.name or b"").decode(errors="replace")
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
