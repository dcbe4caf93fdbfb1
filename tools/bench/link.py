"""A slow line on this machine: a TCP proxy with a delay and a rate, where the kernel has no network emulation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["slow_link"]

_PIECE = 16 * 1024


@contextmanager
def slow_link(port: int, *, bits_per_second: float = 20e6, round_trip: float = 0.040) -> Iterator[int]:
    """The port of 127.0.0.1 that leads to ``port`` over such a line. All connections share the rate, in each direction;
    a new connection pays one round trip more, as TCP's handshake does."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    line = _Line(port, bits_per_second / 8, round_trip / 2)
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(line.serve, "127.0.0.1", 0), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class _Line:
    def __init__(self, port: int, rate: float, delay: float) -> None:
        self._port, self._rate, self._delay = port, rate, delay
        self._free = {"up": 0.0, "down": 0.0}  # the moment from which each direction is free again

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._delay)
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(
            self._carry(reader, other_writer, "up"), self._carry(other_reader, writer, "down"), return_exceptions=True
        )

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        """Send on in order, each piece when the line has carried it and the delay has passed."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)
        deliver = asyncio.create_task(self._deliver(queue, writer))
        loop = asyncio.get_running_loop()
        try:
            while data := await reader.read(_PIECE):
                self._free[way] = max(self._free[way], loop.time()) + len(data) / self._rate
                await queue.put((self._free[way] + self._delay, data))
                await asyncio.sleep(max(0.0, self._free[way] - loop.time()))
        finally:
            await queue.put((0.0, b""))
            await deliver

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (entry := await queue.get())[1]:
                await asyncio.sleep(max(0.0, entry[0] - loop.time()))
                writer.write(entry[1])
                await writer.drain()
        finally:
            writer.close()
