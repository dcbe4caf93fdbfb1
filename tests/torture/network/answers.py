"""Wrong answers of a server, each made for one offset in the file: up to there everything is as it should be.

``at`` is an offset in the file, not in the body: a fault at byte 1,000 strikes a request for the bytes from 5,000 on
with its first byte.
"""

from __future__ import annotations

import re
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.server import Behaviour, Exchange

__all__ = [
    "Right",
    "chunked_cut",
    "chunked_drip",
    "cut",
    "drip",
    "endless",
    "endless_chunked",
    "endless_trailers",
    "flipped",
    "garbage_chunk",
    "gzip_bomb",
    "hang",
    "inserted",
    "other_bytes",
    "reset",
    "right_answer",
    "short_file",
    "unannounced_cut",
    "zeros",
]

MOST_SENT = 64 << 20
"""Bytes after which an endless body ends after all: a client that takes so many has failed already."""

_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Right:
    """What a good server would answer. ``start``: offset in the file of the body's first byte."""

    status: int
    start: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def before(self, at: int) -> bytes:
        """The part of the body that lies before ``at``."""
        return self.body[: self.split(at)]

    def split(self, at: int) -> int:
        """``at``, counted in this body."""
        return min(max(0, at - self.start), len(self.body))

    def begin(self, exchange: Exchange, length: int | None = None, **headers: str) -> None:
        """Status and headers; ``length`` instead of the true one."""
        announced = {"Content-Length": str(len(self.body) if length is None else length)}
        exchange.start(self.status, announced | self.headers | headers)

    def begin_unannounced(self, exchange: Exchange, **headers: str) -> None:
        """Status and headers without a length."""
        exchange.hang_up()
        exchange.start(self.status, self.headers | headers)


def right_answer(exchange: Exchange, *, ranges: bool = True) -> Right:
    """The whole file or the range that was asked for; an empty 404 when there is no such file."""
    data = exchange.server.read(exchange.path)
    if data is None:
        return Right(404, 0, b"")
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.request.headers.get("range", ""))
    if match is None or not ranges:
        return Right(200, 0, data)
    start, end = int(match[1]), min(int(match[2] or len(data)) + 1, len(data))
    return Right(206, start, data[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})


def _reset(exchange: Exchange) -> None:
    """End the connection with RST instead of FIN."""
    exchange.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    exchange.hang_up()


def reset(at: int) -> Behaviour:
    """The connection is reset."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        answer.begin(exchange)
        exchange.write(answer.before(at))
        _reset(exchange)

    return behave


def cut(at: int) -> Behaviour:
    """The connection is closed before the announced length is reached."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        exchange.hang_up()
        answer.begin(exchange)
        exchange.write(answer.before(at))

    return behave


def unannounced_cut(at: int) -> Behaviour:
    """A body of unannounced length ends too early: nothing in HTTP shows it."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        answer.begin_unannounced(exchange)
        exchange.write(answer.before(at))

    return behave


def short_file(at: int) -> Behaviour:
    """The file on the server ends there: half an upload."""

    def behave(exchange: Exchange) -> None:
        data = (exchange.server.read(exchange.path) or b"")[:at]
        start = right_answer(exchange).start
        if "range" not in exchange.request.headers:
            Right(200, 0, data).begin(exchange)
            exchange.write(data)
        elif start >= at:
            exchange.start(416, {"Content-Length": "0", "Content-Range": f"bytes */{at}"})
        else:
            Right(206, start, data[start:], {"Content-Range": f"bytes {start}-{at - 1}/{at}"}).begin(exchange)
            exchange.write(data[start:])

    return behave


def _changed(at: int, change: Callable[[bytes], bytes]) -> Behaviour:
    """The right answer, with the bytes from ``at`` on changed and the length announced accordingly."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        if at < answer.start + len(answer.body) and answer.start <= at:
            split = answer.split(at)
            body = answer.body[:split] + change(answer.body[split:])
        else:
            body = answer.body
        answer.begin(exchange, len(body))
        exchange.write(body)

    return behave


def flipped(at: int) -> Behaviour:
    """One bit is wrong."""
    return _changed(at, lambda rest: bytes([rest[0] ^ 1]) + rest[1:])


def zeros(at: int) -> Behaviour:
    """Zeros instead of the rest: what a disk leaves after a crash (ones where there are zeros already)."""
    return _changed(at, lambda rest: bytes(len(rest)) if any(rest) else b"\xff" * len(rest))


def other_bytes(at: int) -> Behaviour:
    """The rest of another file of the same size."""
    return _changed(at, lambda rest: bytes(byte ^ 0x55 for byte in rest))


def inserted(at: int) -> Behaviour:
    """A kilobyte too many, announced as if it belonged there."""
    return _changed(at, lambda rest: b"\x00" * 1024 + rest)


def hang(at: int) -> Behaviour:
    """Nothing more comes, and the connection stays open."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        answer.begin(exchange)
        exchange.write(answer.before(at))
        exchange.hang_up()
        exchange.pause(60)

    return behave


def drip(at: int, delay: float = 0.05) -> Behaviour:
    """The rest comes byte by byte."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        answer.begin(exchange)
        exchange.write(answer.before(at))
        for byte in answer.body[answer.split(at) :]:
            if not exchange.pause(delay):
                return
            exchange.write(bytes([byte]))

    return behave


def _flood(exchange: Exchange, block: bytes) -> None:
    for _ in range(MOST_SENT // len(block)):
        if not exchange.pause(0):
            return
        exchange.write(block)


def endless(at: int) -> Behaviour:
    """A body of unannounced length that never ends."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        answer.begin_unannounced(exchange)
        exchange.write(answer.before(at))
        _flood(exchange, b"x" * 65536)

    return behave


def _begin_chunked(exchange: Exchange, at: int) -> Right:
    answer = right_answer(exchange)
    exchange.start(answer.status, {"Transfer-Encoding": "chunked", **answer.headers})
    exchange.hang_up()
    if head := answer.before(at):
        exchange.write(b"%x\r\n%b\r\n" % (len(head), head))
    return answer


def endless_chunked(at: int) -> Behaviour:
    """Chunks without end."""

    def behave(exchange: Exchange) -> None:
        _begin_chunked(exchange, at)
        _flood(exchange, b"10000\r\n" + b"x" * 65536 + b"\r\n")

    return behave


def chunked_cut(at: int) -> Behaviour:
    """The connection is closed in the middle of a chunk."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        exchange.start(answer.status, {"Transfer-Encoding": "chunked", **answer.headers})
        exchange.hang_up()
        exchange.write(b"%x\r\n" % len(answer.body) + answer.before(at))

    return behave


def garbage_chunk(at: int) -> Behaviour:
    """Something that is no chunk size."""

    def behave(exchange: Exchange) -> None:
        _begin_chunked(exchange, at)
        exchange.write(b"no number\r\n" + b"x" * 1000)

    return behave


def chunked_drip(at: int, delay: float = 0.05) -> Behaviour:
    """A chunk size whose digits come one by one."""

    def behave(exchange: Exchange) -> None:
        _begin_chunked(exchange, at)
        for _ in range(400):
            if not exchange.pause(delay):
                return
            exchange.write(b"0")

    return behave


def endless_trailers(at: int) -> Behaviour:
    """The body ends there, and then header lines come for ever."""

    def behave(exchange: Exchange) -> None:
        _begin_chunked(exchange, at)
        exchange.write(b"0\r\n")
        while exchange.pause(0.001):
            exchange.write(b"X-More: y\r\n" * 10)

    return behave


def gzip_bomb(size: int) -> bytes:
    """A small gzip stream of ``size`` zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
