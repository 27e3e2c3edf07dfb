# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What passing sessions on costs, beside HAProxy passing on their connections.

The same server and the same clients, through the one and through the other, by
turns, without TLS and with it on both sides: bytes that go through for a second
of the proxy's processor time, how much longer a small message takes there and
back, and what a thousand idle sessions take. One thread each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import ssl
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import tables
from benchmarks.relay_traffic import (
    CHANNELS,
    PROXIES,
    TICKS,
    Certificates,
    Client,
    Server,
    free_port,
    processor_seconds,
    program,
    pull,
    resident_bytes,
    stay,
    stream,
)

SIZES = {  # of bodies: as a desktop has them, as images come
    "small": [40, 60, 80, 120] * 20 + [2000],
    "large": [60_000],
}
COUNTS = (1, 20)  # clients that pull at once
ECHOES, WARM_UP = 5000, 200
ECHOES_BESIDE, WARM_UP_BESIDE = 300, 20  # while others pull: each waits for its turn
COLUMNS = ("what", "spice-relay", "HAProxy", "ratio")


class Bench:
    """Both proxies before one server; ``certificates`` for TLS."""

    def __init__(self, directory: Path, certificates: Certificates | None, server: Server) -> None:
        self.server = server
        self.context: ssl.SSLContext | None = None
        if certificates is not None:
            self.context = ssl.create_default_context(cafile=str(certificates.ca))
        self.ports: dict[str, int] = {}
        self.pids: dict[str, int] = {}
        self._started = ExitStack()
        for name, command in PROXIES.items():
            port = self.ports[name] = free_port()
            arguments = command(directory, port, server.port, certificates)
            self.pids[name] = self._started.enter_context(program(arguments, port))

    def end(self) -> None:
        """End the proxies and the server."""
        self._started.close()
        self.server.end()

    def clients(self, name: str, count: int, channels: tuple[str, ...]) -> list[Client]:
        """So many, through this proxy."""
        return [Client(self.ports[name], self.context, channels) for _ in range(count)]

    def throughput(self, name: str, count: int, expected: int) -> float:
        """Megabytes for a second of the proxy's time, with so many clients pulling at once."""
        clients = self.clients(name, count, ("main", "display"))
        before = processor_seconds(self.pids[name])
        total = pull(clients, expected)
        used = processor_seconds(self.pids[name]) - before
        for client in clients:
            client.close()
        return total / max(used, 1 / TICKS) / 1e6

    def latency(self, name: str, beside: int = 0, expected: int = 0) -> list[float]:
        """Echoes through a proxy, in microseconds, sorted; ``beside`` so many clients that pull and pull."""
        client = Client(self.ports.get(name, self.server.port), self.context)
        pullers = self._pull_for_ever(name, beside, expected) if beside else 0
        client.echoes(WARM_UP_BESIDE if beside else WARM_UP)
        took = sorted(each * 1e6 for each in client.echoes(ECHOES_BESIDE if beside else ECHOES))
        if pullers:
            os.kill(pullers, signal.SIGKILL)
            os.waitpid(pullers, 0)
        client.close()
        return took

    def _pull_for_ever(self, name: str, count: int, expected: int) -> int:
        """A process with so many clients that pull; its id, once they do."""
        begun, begins = os.pipe()
        pid = os.fork()
        if not pid:
            clients = self.clients(name, count, ("main", "display"))
            os.write(begins, b"!")
            while True:
                pull(clients, expected)
        os.close(begins)
        if not os.read(begun, 1):
            raise ConnectionError("those that pull could not begin")
        os.close(begun)
        return pid

    def idle(self, name: str, count: int, seconds: float) -> tuple[float, float]:
        """What so many idle sessions hold, in MiB, and of a core."""
        clients = self.clients(name, count, CHANNELS)
        stay(clients, 1)
        before = processor_seconds(self.pids[name])
        stay(clients, seconds)
        used = processor_seconds(self.pids[name]) - before
        held = resident_bytes(self.pids[name])
        for client in clients:
            client.close()
        return held / (1 << 20), used / seconds


@contextmanager
def bench(sizes: list[int], megabytes: int, tls: bool, pings: bool = False) -> Iterator[tuple[Bench, int]]:
    """The proxies, and how many bytes the server sends a client."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        certificates = Certificates.make(directory) if tls else None
        context = None
        if certificates is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server.certificate, certificates.server.key)
        traffic = stream(sizes)
        copies = max(1, (megabytes << 20) // len(traffic))
        made = Bench(directory, certificates, Server(traffic, copies, context, pings))
        try:
            yield made, copies * len(traffic)
        finally:
            made.end()


def best(measure: Callable[[str], float], rounds: int) -> dict[str, float]:
    """Of each proxy, by turns."""
    found: dict[str, list[float]] = {name: [] for name in PROXIES}
    for _ in range(rounds):
        for name in PROXIES:
            found[name].append(measure(name))
    return {name: max(values) for name, values in found.items()}


def compare(rows: list[dict[str, object]], what: str, found: dict[str, float]) -> None:
    """A line of the table."""
    ours, theirs = (found[name] for name in PROXIES)
    rows.append({"what": what, **found, "ratio": ours / theirs if theirs else None})
    print(what, *(f"{name} {value:.1f}" for name, value in found.items()), sep=", ", flush=True)


def busy(rows: list[dict[str, object]], tls: bool, megabytes: int, rounds: int) -> None:
    """Throughput and latency."""
    way = "TLS" if tls else "plain"
    for kind, sizes in SIZES.items():
        with bench(sizes, megabytes, tls) as (made, expected):
            for count in COUNTS:

                def throughput(name: str, count: int = count, expected: int = expected) -> float:
                    return made.throughput(name, count, expected)

                compare(rows, f"{way}, {kind} messages, {count} clients, MB/s", best(throughput, rounds))
            if kind == "small":
                none, found = made.latency(""), {name: made.latency(name) for name in PROXIES}
                direct = statistics.median(none)
                for what, at in (("median", ECHOES // 2), ("99th percentile", ECHOES * 99 // 100)):
                    added = {name: took[at] - direct for name, took in found.items()}
                    compare(
                        rows, f"{way}, {what} of an echo, more than the median without a proxy, us", added
                    )
                beside = {name: made.latency(name, COUNTS[-1], expected) for name in PROXIES}
                for what, at in (
                    ("median", ECHOES_BESIDE // 2),
                    ("99th percentile", ECHOES_BESIDE * 99 // 100),
                ):
                    took = {name: each[at] for name, each in beside.items()}
                    compare(rows, f"{way}, an echo beside {COUNTS[-1]} clients, {what}, us", took)
                print(f"  (without a proxy: median {direct:.0f} us)")


def idle(rows: list[dict[str, object]], tls: bool, count: int, seconds: float) -> None:
    """Many sessions that do nothing."""
    way = "TLS" if tls else "plain"
    with bench([100], 1, tls, pings=True) as (made, _):
        found = {name: made.idle(name, count, seconds) for name in PROXIES}
    for at, what in enumerate(("MiB", "of a core")):
        values = {name: value[at] for name, value in found.items()}
        compare(rows, f"{way}, {count} idle sessions of {len(CHANNELS)} channels, {what}", values)


def main() -> int:
    """Measure all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--megabytes", type=int, default=100, help="that each client pulls")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=1000, help="that are idle; 0: leave that out")
    parser.add_argument("--seconds", type=float, default=30.0, help="that they are watched")
    parser.add_argument("--way", choices=("plain", "TLS"), action="append")
    arguments = parser.parse_args()
    if shutil.which("haproxy") is None:
        print("needs haproxy", file=sys.stderr)
        return 1
    rows: list[dict[str, object]] = []
    for way in arguments.way or ("plain", "TLS"):
        if arguments.megabytes:
            busy(rows, way == "TLS", arguments.megabytes, arguments.rounds)
        if arguments.sessions:
            idle(rows, way == "TLS", arguments.sessions, arguments.seconds)
    table = tables.markdown(COLUMNS, rows)
    print(table)
    tables.save("relay", {"environment": tables.environment(), "rows": rows}, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
