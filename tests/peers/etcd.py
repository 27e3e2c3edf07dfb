# SPDX-License-Identifier: LGPL-2.1-or-later
"""etcd on loopback, for one test."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from spicemig.errors import EtcdError
from spicemig.etcd import calls
from spicemig.etcd.announcements import key_of
from spicemig.etcd.calls import Call
from spicemig.etcd.gateway import Gateway, connect
from tests.peers.certificates import Pair
from tests.peers.harness import END_SECONDS, START_SECONDS, Program, eventually

PREFIX = "/spicemig"


def free_port() -> int:
    """The number of a port that is free at the moment; etcd cannot be told to choose one, and say which."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Etcd:
    """
    A cluster of one member, with TLS if it has a pair.

    It keeps its ports when it is ended and started again.
    """

    def __init__(self, directory: Path, pair: Pair | None = None, ca: Path | None = None) -> None:
        self.directory = directory / "etcd"
        self.pair = pair
        self.ca = ca
        self.program = Program("etcd")
        scheme = "http" if pair is None else "https"
        self.url = f"{scheme}://127.0.0.1:{free_port()}"
        self._peer_url = f"http://127.0.0.1:{free_port()}"
        self.gateway = self.connect()

    def connect(self, user: str = "", password: str = "") -> Gateway:
        """The way to it, for this user."""
        from twisted.internet import ssl

        authorities = None
        if self.ca is not None:
            authorities = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(self.ca.read_bytes())])
        return connect((self.url,), reactor, authorities, user, password)

    async def up(self) -> Etcd:
        """Start it, and wait until it answers."""
        self.program = Program("etcd")
        arguments = [
            "etcd",
            *("--name", "test", "--data-dir", str(self.directory), "--log-level", "error"),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", self._peer_url, "--initial-advertise-peer-urls", self._peer_url),
            *("--initial-cluster", f"test={self._peer_url}"),
            *("--heartbeat-interval", "20", "--election-timeout", "100"),  # it has nobody to wait for
        ]
        if self.pair is not None:
            arguments += ["--cert-file", str(self.pair.certificate), "--key-file", str(self.pair.key)]
        program = shutil.which(arguments[0])
        assert program is not None
        self.program.start([program, *arguments[1:]])

        async def answers() -> bool:
            assert self.program.running, "\n".join(self.program.lines[-20:])
            try:
                await self.gateway.ask(calls.read(b"anything"))
            except EtcdError as error:
                return error.code != EtcdError.UNAVAILABLE  # it may want to know who asks
            return True

        await eventually(answers, START_SECONDS, "etcd answers")
        return self

    async def kill(self) -> None:
        """End it without a word."""
        if self.program.running:
            self.program.kill(signal.SIGKILL)
            await self.program.when_ended(END_SECONDS)

    async def end(self) -> None:
        """End it."""
        await self.kill()

    def lose_data(self) -> None:
        """Have it begin with an empty store."""
        shutil.rmtree(self.directory)

    async def value(self, name: str) -> bytes | None:
        """What is announced under a name."""
        found = calls.entries(await self.gateway.ask(calls.read(key_of(PREFIX, name))))
        return found[0].value if found else None

    async def add_user(self, name: str, password: str) -> None:
        """Have users from now on: root, and this one, who may read and write everything."""
        for path, body in (
            ("user/add", {"name": "root", "password": password}),
            ("role/add", {"name": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("user/add", {"name": name, "password": password}),
            ("user/grant", {"user": name, "role": "root"}),
            ("enable", {}),
        ):
            await self.gateway.ask(Call(f"/v3/auth/{path}", body))


def options(etcd: Etcd, **more: Any) -> dict[str, Any]:
    """The section of a daemon's settings."""
    return {"endpoints": etcd.url, "ca": etcd.ca, **more}
