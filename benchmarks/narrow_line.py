# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A slow line on loopback: all connections through it share so many bytes a second.

    python benchmarks/narrow_line.py --to PORT [--rate 100000] [--round-trip 0.08] [--queue 32768]

Prints the port on which it listens. ``--queue`` is what the line holds in front of its
bottleneck for each direction, as a modem does; when it is full, nothing more is read.
"""

from __future__ import annotations

import argparse
import asyncio
import socket

PIECE_BYTES = 1448  # carried at a time: a segment
BUFFER_BYTES = 16 * 1024  # of a socket, so that nothing more is held on the way


class Direction:
    """One direction of the line; bytes leave one after the other and arrive a while later."""

    def __init__(self, rate: float, delay: float, queue: int) -> None:
        self.rate, self.delay, self.queue = rate, delay, queue
        self._free_at = 0.0

    async def carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Bring what one end says to the other until it ends."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.ensure_future(self._deliver(under_way, sink))
        try:
            while data := await source.read(PIECE_BYTES):
                while (waits := self._free_at - loop.time() - self.queue / self.rate) > 0:
                    await asyncio.sleep(waits)
                self._free_at = max(self._free_at, loop.time()) + len(data) / self.rate
                under_way.put_nowait((self._free_at + self.delay, data))
        except ConnectionError:
            pass
        under_way.put_nowait((loop.time() + self.delay, b""))
        await delivery

    async def _deliver(
        self, under_way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at, data = await under_way.get()
            if (waits := at - loop.time()) > 0:
                await asyncio.sleep(waits)
            try:
                if not data:
                    sink.close()
                    return
                sink.write(data)
                await sink.drain()
            except ConnectionError:
                return


async def serve(options: argparse.Namespace) -> None:
    """Take connections for ever."""
    there, back = (Direction(options.rate, options.round_trip / 2, options.queue) for _direction in range(2))

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        end.connect(("127.0.0.1", options.to))
        far_reader, far_writer = await asyncio.open_connection(sock=end, limit=BUFFER_BYTES)
        await asyncio.gather(there.carry(reader, far_writer), back.carry(far_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=BUFFER_BYTES)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Carry until it is ended."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--rate", type=float, default=100_000.0, help="bytes per second")
    parser.add_argument("--round-trip", type=float, default=0.08, help="seconds")
    parser.add_argument("--queue", type=int, default=32 * 1024)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
