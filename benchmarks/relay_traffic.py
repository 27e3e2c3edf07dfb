# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What goes through a proxy in ``relay.py``: a server with much to say, its clients, and the proxies themselves.

Server and clients are processes of their own, so that the processor time of a proxy is its alone.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spicemig.channels.keys import TicketKey
from spicemig.channels.link import LinkAsked, LinkCore
from spicemig.channels.link_client import LinkClient
from spicemig.testing.hosts import OneKey
from spicemig.wire.framing import HEADER_MINI, frame
from spicemig.wire.messages import base, main
from tests.peers.certificates import Authority, Pair

CHECKOUT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTION_ID = 77
DRAW_COPY = 304
CHUNK_BYTES = 1 << 18  # that the server writes at a time
CHANNELS = ("main", "display", "inputs", "cursor", "playback", "record")
PING_SECONDS = 10.0  # between two pings on a main or display channel that is idle
ANSWER = b"".join(frame(base.Pong(1, 2), True, 1))


def stream(sizes: list[int]) -> bytes:
    """Messages with bodies of these sizes, over and over."""
    messages = b"".join(HEADER_MINI.pack(DRAW_COPY, size) + bytes(size) for size in sizes)
    return messages * max(1, CHUNK_BYTES // len(messages))


@dataclass(frozen=True)
class Certificates:
    """What both sides of TLS need."""

    ca: Path
    server: Pair
    proxy: Pair

    @classmethod
    def make(cls, directory: Path) -> Certificates:
        """New ones."""
        authority = Authority(directory / "authority")
        return cls(authority.ca, authority.sign("server"), authority.sign("proxy"))


# -- the server ------------------------------------------------------------------------------------


class Server:
    """
    Takes connections for ever, in a process of its own.

    A display channel is told ``copies`` of ``traffic`` whenever its client says something; inputs are
    echoed; all others stay. ``context`` is for TLS. With ``pings``, main and display channels are
    pinged as an idle guest's are.
    """

    def __init__(self, traffic: bytes, copies: int, context: ssl.SSLContext | None, pings: bool) -> None:
        self.traffic = traffic
        self.copies = copies
        self.context = context
        self.pinged: list[socket.socket] | None = [] if pings else None
        OneKey._key = TicketKey()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = listener.getsockname()[1]
        self.pid = os.fork()
        if not self.pid:
            self._serve(listener)
        listener.close()

    def end(self) -> None:
        """End the process."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _serve(self, listener: socket.socket) -> None:
        threading.stack_size(1 << 17)
        if self.pinged is not None:
            threading.Thread(target=self._ping, daemon=True).start()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _ping(self) -> None:
        message = b"".join(frame(base.Ping(1, 2, b""), True, 1))
        while True:
            time.sleep(PING_SECONDS)
            for connection in list(self.pinged or ()):
                try:
                    connection.sendall(message)
                except OSError:
                    pass  # its client is gone

    def _serve_one(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            channel = self._link(connection)
            if channel == "main":
                connection.sendall(b"".join(frame(main.Init(CONNECTION_ID, 1, 3, 1, 0, 10, 0, 0), True, 1)))
            if self.pinged is not None and channel in ("main", "display"):
                self.pinged.append(connection)
            while data := connection.recv(4096):
                if channel == "inputs":
                    connection.sendall(data)
                elif channel == "display" and self.pinged is None:
                    for _ in range(self.copies):
                        connection.sendall(self.traffic)
        except OSError:
            pass  # its client is gone

    @staticmethod
    def _link(connection: socket.socket) -> str:
        core, channel = LinkCore(OneKey()), ""
        while not core.linked:
            data = connection.recv(4096)
            if not data:
                raise ConnectionError("closed during the link")
            for event in core.receive(data):
                if isinstance(event, LinkAsked):
                    channel = event.request.channel
                    core.offer(())
                else:
                    core.accept()
            connection.sendall(b"".join(core.data_to_send()))
        return channel


# -- the clients -----------------------------------------------------------------------------------


class Client:
    """One client with its channels."""

    def __init__(
        self,
        port: int,
        context: ssl.SSLContext | None,
        channels: tuple[str, ...] = ("main", "display", "inputs"),
    ) -> None:
        self.port = port
        self.context = context
        self.channels: dict[str, socket.socket] = {}
        self.id = 0
        for channel in channels:
            self.channels[channel] = self._link(channel)
            if channel == "main":
                init = _receive(self.channels["main"], HEADER_MINI.size + 32)
                (self.id,) = struct.unpack_from("<I", init, HEADER_MINI.size)

    def _link(self, channel: str) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_hostname="localhost")
        core = LinkClient(channel, connection_id=self.id)
        connection.sendall(b"".join(core.data_to_send()))
        while True:
            data = connection.recv(1)  # so that nothing is left over
            if not data:
                raise ConnectionError(f"{channel}: closed during the link")
            for _linked in core.receive(data):
                return connection
            connection.sendall(b"".join(core.data_to_send()))

    def echoes(self, count: int) -> list[float]:
        """How long small messages take there and back, in seconds."""
        inputs, took = self.channels["inputs"], []
        for _ in range(count):
            began = time.perf_counter()
            inputs.sendall(ANSWER)
            _receive(inputs, len(ANSWER))
            took.append(time.perf_counter() - began)
        return took

    def close(self) -> None:
        """Leave."""
        for connection in self.channels.values():
            connection.close()


def pull(clients: list[Client], expected: int) -> int:
    """Have the server send each of these clients so many bytes, and read them all, from whoever has some."""
    chooser, room, left = selectors.DefaultSelector(), bytearray(1 << 20), {}
    for client in clients:
        display = client.channels["display"]
        display.sendall(ANSWER)
        display.setblocking(False)
        left[display] = expected
        chooser.register(display, selectors.EVENT_READ)
    while left:
        for key, _ in chooser.select():
            display = key.fileobj
            while left[display]:
                try:
                    count = display.recv_into(room)
                except (BlockingIOError, ssl.SSLWantReadError):
                    break
                if not count:
                    raise ConnectionError("the proxy has closed the connection")
                left[display] -= count
            if not left[display]:
                chooser.unregister(display)
                del left[display]
    return expected * len(clients)


def stay(clients: list[Client], seconds: float) -> None:
    """Do for so long what clients do that are idle: answer pings."""
    chooser, end = selectors.DefaultSelector(), time.monotonic() + seconds
    for client in clients:
        for connection in client.channels.values():
            connection.setblocking(False)
            chooser.register(connection, selectors.EVENT_READ)
    while (left := end - time.monotonic()) > 0:
        for key, _ in chooser.select(left):
            try:
                data = key.fileobj.recv(4096)
            except ssl.SSLWantReadError:
                continue
            if not data:
                raise ConnectionError("the proxy has closed an idle connection")
            key.fileobj.send(ANSWER)


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError("the proxy has closed the connection")
        data += more
    return data


# -- the proxies -----------------------------------------------------------------------------------


def relay(directory: Path, port: int, server: int, certificates: Certificates | None) -> list[str]:
    """The command line of spice-relay."""
    ini = directory / f"relay-{port}.ini"
    where, scheme, tls = "plain", "spice", ""
    if certificates is not None:
        where, scheme = "plain =\ntls", "spice+tls"
        proxy = certificates.proxy
        tls = f"[tls]\ncertificate = {proxy.certificate}\nkey = {proxy.key}\nca = {certificates.ca}\n"
    ini.write_text(
        f"[server]\ncontrol = {directory}/control-{port}.sock\n[auth]\nmode = none\n"
        f"[listen]\nmax_clients = 2000\n{where} = tcp:{port}:interface=127.0.0.1:backlog=1000\n{tls}"
        f"[relay]\nroutes = * {scheme}://localhost:{server}\n"
    )
    twistd = ["-c", "from twisted.scripts.twistd import run; run()"]
    return [sys.executable, *twistd, "-n", "--pidfile=", "--logfile", f"{directory}/relay-{port}.log"] + [
        "spice-relay",
        "--config",
        str(ini),
    ]


def haproxy(directory: Path, port: int, server: int, certificates: Certificates | None) -> list[str]:
    """The command line of HAProxy, with one thread."""
    config = directory / f"haproxy-{port}.cfg"
    bind = there = ""
    if certificates is not None:
        pem = directory / "haproxy.pem"
        pem.write_text(certificates.proxy.certificate.read_text() + certificates.proxy.key.read_text())
        bind = f" ssl crt {pem}"
        there = f" ssl verify required ca-file {certificates.ca} sni str(localhost) verifyhost localhost"
    config.write_text(
        "global\n nbthread 1\n maxconn 8000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 300s\n"
        f" timeout server 300s\nlisten spice\n bind 127.0.0.1:{port}{bind}\n"
        f" server one 127.0.0.1:{server}{there}\n"
    )
    return ["haproxy", "-f", str(config), "-db"]


PROXIES = {"spice-relay": relay, "HAProxy": haproxy}


@contextmanager
def program(arguments: list[str], port: int) -> Iterator[int]:
    """A proxy that takes connections on this port; its process id."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    started = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > end or started.poll() is not None:
                    raise
                time.sleep(0.05)
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait()


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) * 1024
