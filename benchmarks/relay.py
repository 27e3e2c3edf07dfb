# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What passing a session on costs, beside HAProxy passing on its connections.

The same server and the same clients, through the one and through the other, by
turns: bytes that go through for a second of the proxy's processor time, as a
ratio, and how much longer a small message takes there and back. One thread each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spicemig.channels.keys import TicketKey
from spicemig.channels.link import LinkAsked, LinkCore
from spicemig.channels.link_client import LinkClient
from spicemig.testing.hosts import OneKey
from spicemig.wire.framing import HEADER_MINI, frame
from spicemig.wire.messages import base, main

CHECKOUT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTION_ID = 77
DRAW_COPY = 304
SIZES = {  # of bodies: as a desktop has them, as images come
    "small messages": [40, 60, 80, 120] * 20 + [2000],
    "large messages": [60_000],
}
ECHOES = 2000


# -- the server ------------------------------------------------------------------------------------


def serve(listener: socket.socket, traffic: bytes, copies: int) -> None:
    """Take connections for ever: main channels stay, displays are flooded, inputs are echoed."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(connection, traffic, copies), daemon=True).start()


def _serve_one(connection: socket.socket, traffic: bytes, copies: int) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link, channel = LinkCore(OneKey()), ""
    while not link.linked:
        data = connection.recv(4096)
        if not data:
            return
        for event in link.receive(data):
            if isinstance(event, LinkAsked):
                channel = event.request.channel
                link.offer(())
            else:
                link.accept()
        connection.sendall(b"".join(link.data_to_send()))
    if channel == "main":
        connection.sendall(b"".join(frame(main.Init(CONNECTION_ID, 1, 3, 1, 0, 10, 0, 0), True, 1)))
        _wait_for_end(connection)
    elif channel == "display":
        for _ in range(copies if connection.recv(1) else 0):
            connection.sendall(traffic)
        _wait_for_end(connection)
    else:
        while data := connection.recv(4096):
            connection.sendall(data)


def _wait_for_end(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def stream(sizes: list[int]) -> bytes:
    """Messages of these sizes, over and over."""
    messages = b"".join(HEADER_MINI.pack(DRAW_COPY, size) + bytes(size) for size in sizes)
    return messages * max(1, (1 << 18) // len(messages))


def server_process(traffic: bytes, copies: int) -> tuple[int, int]:
    """A server in a process of its own: its id and port."""
    listener = socket.create_server(("127.0.0.1", 0))
    OneKey._key = TicketKey()
    child = os.fork()
    if not child:
        serve(listener, traffic, copies)
    port = listener.getsockname()[1]
    listener.close()
    return child, port


# -- the clients -----------------------------------------------------------------------------------


def link(port: int, channel: str, connection_id: int = 0) -> socket.socket:
    """A linked channel."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    core = LinkClient(channel, connection_id=connection_id)
    connection.sendall(b"".join(core.data_to_send()))
    while True:
        for _linked in core.receive(connection.recv(1)):  # so that nothing is left over
            return connection
        connection.sendall(b"".join(core.data_to_send()))


class Client:
    """One client with its channels."""

    def __init__(self, port: int) -> None:
        self.main = link(port, "main")
        init = self.main.recv(38, socket.MSG_WAITALL)
        (self.id,) = struct.unpack_from("<I", init, HEADER_MINI.size)
        self.display = link(port, "display", self.id)
        self.inputs = link(port, "inputs", self.id)

    def pull(self, expected: int) -> int:
        """Have the server send so many bytes, and read them all."""
        self.display.sendall(b"".join(frame(base.Pong(1, 2), True, 1)))
        room, total = bytearray(1 << 20), 0
        while total < expected:
            count = self.display.recv_into(room)
            if not count:
                raise ConnectionError("the proxy has closed the connection")
            total += count
        return total

    def echoes(self, count: int) -> list[float]:
        """How long small messages take there and back, in seconds."""
        message = b"".join(frame(base.Pong(1, 2), True, 1))
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self.inputs.sendall(message)
            self.inputs.recv(len(message), socket.MSG_WAITALL)
            took.append(time.perf_counter() - began)
        return took

    def close(self) -> None:
        """Leave."""
        for connection in (self.display, self.inputs, self.main):
            connection.close()


# -- the proxies -----------------------------------------------------------------------------------


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def program(arguments: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """A proxy that takes connections on this port; its process id."""
    started = subprocess.Popen(arguments, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait()


def relay(directory: Path, port: int, server: int) -> list[str]:
    """The command line of spice-relay."""
    ini = directory / "relay.ini"
    ini.write_text(
        f"[server]\ncontrol = {directory}/control.sock\n[auth]\nmode = none\n"
        f"[listen]\nplain = tcp:{port}:interface=127.0.0.1\n[relay]\nroutes = * spice://127.0.0.1:{server}\n"
    )
    twistd = ["-c", "from twisted.scripts.twistd import run; run()"]
    return [sys.executable, *twistd, "-n", "--pidfile=", "spice-relay", "--config", str(ini)]


def haproxy(directory: Path, port: int, server: int) -> list[str]:
    """The command line of HAProxy."""
    config = directory / "haproxy.cfg"
    config.write_text(
        "global\n nbthread 1\n maxconn 4000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n"
        f" timeout server 60s\nlisten spice\n bind 127.0.0.1:{port}\n server one 127.0.0.1:{server}\n"
    )
    return ["haproxy", "-f", str(config), "-db"]


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


# -- the measurements ------------------------------------------------------------------------------


def throughput(port: int, pid: int, count: int, expected: int) -> float:
    """Megabytes for a second of the proxy's time, with so many clients pulling at once."""
    clients = [Client(port) for _ in range(count)]
    totals: list[int] = []
    before = processor_seconds(pid)
    threads = [
        threading.Thread(target=lambda c=client: totals.append(c.pull(expected))) for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = processor_seconds(pid) - before
    for client in clients:
        client.close()
    return sum(totals) / max(used, 1 / TICKS) / 1e6


def latency(port: int) -> tuple[float, float]:
    """Median and 99th percentile of an echo, in microseconds."""
    client = Client(port)
    client.echoes(100)
    took = sorted(client.echoes(ECHOES))
    client.close()
    return statistics.median(took) * 1e6, took[int(0.99 * len(took))] * 1e6


def compare(name: str, measure: Callable[[str, int, int], float], rounds: int) -> None:
    """One line: the best of each, and their ratio."""
    best = {which: max(measure(which, *proxies[which]) for _ in range(rounds)) for which in proxies}
    print(
        f"{name:32} spice-relay {best['relay']:8.0f}  HAProxy {best['haproxy']:8.0f}"
        f"  ratio {best['relay'] / best['haproxy']:5.2f}"
    )


proxies: dict[str, tuple[int, int]] = {}  # port and process id


def main_() -> int:
    """Measure all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--megabytes", type=int, default=200, help="that each client pulls")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    if shutil.which("haproxy") is None:
        print("needs haproxy", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for kind, sizes in SIZES.items():
            traffic = stream(sizes)
            copies = (arguments.megabytes << 20) // len(traffic)
            expected = copies * len(traffic)
            server, server_port = server_process(traffic, copies)
            environment = {"PYTHONPATH": str(CHECKOUT)}
            one, other = free_port(), free_port()
            try:
                with (
                    program(relay(directory, one, server_port), one, environment) as relay_pid,
                    program(haproxy(directory, other, server_port), other, environment) as haproxy_pid,
                ):
                    proxies.update(relay=(one, relay_pid), haproxy=(other, haproxy_pid))
                    for count in (1, 5):
                        compare(
                            f"{kind}, {count} clients, MB/s",
                            lambda _, port, pid, count=count, expected=expected: throughput(
                                port, pid, count, expected
                            ),
                            arguments.rounds,
                        )
                    if kind == "small messages":
                        for which, port in (("no proxy", server_port), ("relay", one), ("haproxy", other)):
                            median, worst = latency(port)
                            print(
                                f"echo, {which:20} median {median:6.0f} us  99th percentile {worst:6.0f} us"
                            )
            finally:
                os.kill(server, signal.SIGKILL)
                os.waitpid(server, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main_())
