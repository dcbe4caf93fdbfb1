"""Wrong answers of a server that replace the whole answer, whichever byte was asked for."""

from __future__ import annotations

import gzip
import itertools
from functools import cache

from tests.support.server import Behaviour, Exchange, status
from tests.torture.network.answers import MOST_SENT, Right, gzip_bomb, reset, right_answer

__all__ = [
    "after_a_cut",
    "announced",
    "bomb",
    "bytes_behind",
    "closed",
    "compressed",
    "continues",
    "endless_error_page",
    "endless_redirect",
    "first_only",
    "gone",
    "headers_without_end",
    "huge_header",
    "ignores_ranges",
    "no_http",
    "other_range",
    "overlong_range",
    "portal",
    "refuses_ranges",
    "slow_error_page",
    "to",
    "to_copy",
    "to_itself",
    "to_tls",
    "transfer_gzip",
    "unreadable_range",
]

_PORTAL = b"<!DOCTYPE html><html><title>Hotel Wi-Fi</title><form action=/login>Please accept our terms</form></html>\n"

portal = status(200, _PORTAL, Content_Type="text/html")
"""The page of a captive portal, as if it were the file."""


def after_a_cut(at: int, behave: Behaviour, path: str) -> Behaviour:
    """The connection is cut at ``at`` the first time ``path`` is asked for from its beginning; from then on
    ``behave``. So a download that is resumed at ``at`` meets it."""
    begun: list[Exchange] = []

    def staged(exchange: Exchange) -> None:
        if at > 0 and not begun and exchange.path == path and "range" not in exchange.request.headers:
            begun.append(exchange)
            reset(at)(exchange)
        else:
            behave(exchange)

    return staged


def first_only(behave: Behaviour, count: int = 1) -> Behaviour:
    """``behave`` for the first ``count`` requests, then as it should be."""
    counter = itertools.count()

    def staged(exchange: Exchange) -> None:
        if next(counter) < count:
            behave(exchange)
        else:
            exchange.server.serve(exchange)

    return staged


def gone(exchange: Exchange) -> None:
    """The server ends: this connection is reset, all others are refused."""
    exchange.server.go_away()
    exchange.handler.wfile.write(b"HTTP/1.1 2")
    reset(0)(exchange)


def closed(exchange: Exchange) -> None:
    """No answer, and the connection is closed."""
    exchange.hang_up()


def no_http(exchange: Exchange) -> None:
    """What HTTP/0.9 servers and other programs say."""
    exchange.hang_up()
    exchange.handler.wfile.write(b"SSH-2.0-OpenSSH_9.2p1\r\n\x00\xff<html>no status line here</html>\n")


def to(location: str) -> Behaviour:
    """Redirect there."""
    return status(302, b"moved\n", Location=location)


def to_itself(exchange: Exchange) -> None:
    """A redirect loop."""
    to(f"/{exchange.path}")(exchange)


def to_copy(exchange: Exchange) -> None:
    """To the same file on another host."""
    to(f"{exchange.server.url.replace('127.0.0.1', 'localhost')}copy/{exchange.path}?signature=x")(exchange)


def to_tls(exchange: Exchange) -> None:
    """To https on a port where nobody speaks TLS."""
    to(f"{exchange.server.url.replace('http:', 'https:')}copy/{exchange.path}")(exchange)


def endless_redirect(exchange: Exchange) -> None:
    """A good redirect whose own body never ends."""
    exchange.start(302, {"Location": f"/copy/{exchange.path}"})
    _flood(exchange)


def endless_error_page(exchange: Exchange) -> None:
    """A 503 whose page never ends."""
    exchange.start(503, {"Retry-After": "3600"})
    _flood(exchange)


def _flood(exchange: Exchange) -> None:
    exchange.hang_up()
    for _ in range(MOST_SENT // 65536):
        if not exchange.pause(0):
            return
        exchange.write(b"x" * 65536)


def slow_error_page(exchange: Exchange) -> None:
    """A 503 whose page comes byte by byte."""
    exchange.start(503, {"Content-Length": "1000", "Retry-After": "3600"})
    for _ in range(1000):
        if not exchange.pause(0.05):
            return
        exchange.write(b"x")


def huge_header(exchange: Exchange) -> None:
    """One header line of a megabyte."""
    exchange.hang_up()
    exchange.handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Huge: " + b"y" * (1 << 20) + b"\r\n\r\n")


def headers_without_end(exchange: Exchange) -> None:
    """Header lines without end."""
    exchange.hang_up()
    exchange.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(MOST_SENT // 12_000):
        if not exchange.pause(0):
            return
        exchange.handler.wfile.write(b"X-More: yes\r\n" * 1000)


def continues(exchange: Exchange) -> None:
    """ "100 Continue" again and again, never an answer."""
    exchange.hang_up()
    while exchange.pause(0.001):
        exchange.handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@cache
def _bomb() -> bytes:
    return gzip_bomb(64 << 20)


def bomb(exchange: Exchange) -> None:
    """A small body that unpacks to 64 mebibytes."""
    status(200, _bomb(), Content_Encoding="gzip")(exchange)


def compressed(exchange: Exchange) -> None:
    """The right body, compressed although the client ruled that out."""
    answer = right_answer(exchange)
    body = gzip.compress(answer.body)
    answer.begin(exchange, len(body), **{"Content-Encoding": "gzip"})
    exchange.write(body)


def transfer_gzip(exchange: Exchange) -> None:
    """A transfer coding that nobody asked for."""
    answer = right_answer(exchange)
    answer.begin_unannounced(exchange, **{"Transfer-Encoding": "gzip"})
    exchange.write(gzip.compress(answer.body))


def announced(length: str) -> Behaviour:
    """The right body under a Content-Length that is no length."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        exchange.hang_up()
        exchange.start(answer.status, answer.headers | {"Content-Length": length})
        exchange.write(answer.body)

    return behave


def other_range(exchange: Exchange) -> None:
    """A 206 with other bytes than those that were asked for (any 206 when no range was)."""
    data = exchange.server.read(exchange.path) or b""
    start = min(right_answer(exchange).start + 5, len(data) - 1)
    body = data[start:]
    Right(206, start, body, {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}).begin(exchange)
    exchange.write(body)


def overlong_range(exchange: Exchange) -> None:
    """A 206 that says it is the range, and announces more bytes than that has."""
    answer = right_answer(exchange)
    if answer.status != 206:
        exchange.server.serve(exchange)
        return
    answer.begin(exchange, len(answer.body) + 100)
    exchange.write(answer.body + bytes(100))


def unreadable_range(value: str, kind: str = "application/zip") -> Behaviour:
    """A 206 whose Content-Range says nothing (``multipart/byteranges`` has none of its own)."""

    def behave(exchange: Exchange) -> None:
        answer = right_answer(exchange)
        headers = {"Content-Range": value} if value else {}
        exchange.start(206, {"Content-Length": str(len(answer.body)), "Content-Type": kind, **headers})
        exchange.write(answer.body)

    return behave


def ignores_ranges(exchange: Exchange) -> None:
    """A 200 with the whole file, whatever was asked for."""
    answer = right_answer(exchange, ranges=False)
    answer.begin(exchange)
    exchange.write(answer.body)


def refuses_ranges(exchange: Exchange) -> None:
    """416 for every range."""
    if "range" in exchange.request.headers:
        status(416)(exchange)
    else:
        exchange.server.serve(exchange)


def bytes_behind(exchange: Exchange) -> None:
    """The right body, and behind its announced end more bytes on the same connection."""
    answer = right_answer(exchange)
    answer.begin(exchange)
    exchange.write(answer.body + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
