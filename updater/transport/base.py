"""The interface of a transport, and the checks that every transport shares (standard library only)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from updater.errors import DownloadError, DownloadHTTPError, DownloadTooLargeError
from updater.frozen import frozen
from updater.transport.urls import shown

__all__ = ["CHUNK", "Limits", "Response", "Transport", "capped", "parse_content_range", "respond", "wants_range"]

CHUNK = 64 * 1024
"""Bytes asked of a source at once."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@frozen
class Limits:
    """When a transfer is given up. Times in seconds, rates in bytes per second.

    ``connect``: until a connection stands (per address). ``headers``: until the response headers are complete,
    per hop. ``total``: one transfer from start to end. ``min_rate``: the least average over the last ``window``
    seconds spent waiting for the server, judged once ``grace`` seconds have been waited; a server that is
    silent for ``window`` seconds is given up as well.

    DNS answers are waited for as long as the system's resolver does: nothing can interrupt it.
    """

    connect: float = 10.0
    headers: float = 30.0
    total: float = 6 * 3600.0
    min_rate: float = 256.0
    window: float = 30.0
    grace: float = 30.0


@frozen
class Response:
    """An open answer. Valid only inside the ``with`` block that opened it.

    ``url``: where the bytes come from, after redirects. ``status``: 200 (whole file) or 206 (the range asked
    for). ``start``: offset in the file of the first byte of ``chunks``; always 0 on a 200, even when a range
    was asked for. ``total``: size of the whole file, if the server says so. ``chunks``: the bytes, once; raises
    ``DownloadError`` and its subclasses.
    """

    url: str
    status: int
    start: int
    total: int | None
    chunks: Iterator[bytes]


class Transport(Protocol):
    """Reads files by URL. Implementations may be used from several threads."""

    def open(
        self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None
    ) -> AbstractContextManager[Response]:
        """Open the file at ``url``, or its bytes ``start`` (inclusive) to ``end`` (exclusive; None: to the end).

        A range is asked for only when ``start`` is above 0 or ``end`` is given, and never more than one. A
        server may ignore it and answer 200 with the whole file: look at ``Response.start``. ``max_bytes`` caps
        what ``chunks`` delivers; a body announced or found to be longer raises ``DownloadTooLargeError`` from
        ``chunks``, before the excess is delivered.

        Raises ``DownloadHTTPError`` (error status), ``DownloadTimeoutError``, or another ``DownloadError``;
        ``ValueError`` when the range is empty or negative.
        """
        ...


def wants_range(start: int, end: int | None) -> bool:
    """Whether these bounds need a Range request; ``ValueError`` when they are empty or negative."""
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"not a byte range: {start} to {end}")
    return start > 0 or end is not None


def capped(chunks: Iterator[bytes], max_bytes: int, *, url: str, announced: int | None = None) -> Iterator[bytes]:
    """Yield ``chunks`` until more than ``max_bytes`` came or are ``announced``: ``DownloadTooLargeError``."""
    too_large = DownloadTooLargeError(
        f"{shown(url)} is larger than the {max_bytes} bytes that are allowed for it",
        url=shown(url),
        hint="The server does not send the file that was published. Tell the publisher.",
    )
    if announced is not None and announced > max_bytes:
        raise too_large
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise too_large
        yield chunk


def parse_content_range(value: str | None, *, url: str, start: int, end: int | None) -> tuple[int, int | None]:
    """Check the Content-Range of a 206 against what was asked for (RFC 9110, section 14.4).

    Returns how many bytes the body announces, and the size of the whole file (None for ``*``). Raises
    ``DownloadError`` unless the range begins at ``start`` and does not reach beyond ``end``.
    """
    match = _CONTENT_RANGE.fullmatch((value or "").strip())
    if match is None:
        raise DownloadError(
            f"{shown(url)} was answered with an unreadable byte range ({value!r})",
            url=shown(url),
            hint="The server or a proxy in between mishandles range requests.",
        )
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    inside = first <= last and (total is None or last < total) and (end is None or last < end)
    if first != start or not inside:
        raise DownloadError(
            f"{shown(url)} was answered with bytes {first}-{last} instead of those from {start} on",
            url=shown(url),
            hint="The server or a proxy in between mishandles range requests.",
        )
    return last - first + 1, total


def respond(
    url: str,
    size: int,
    read: Callable[[int, int], Iterator[bytes]],
    *,
    max_bytes: int,
    start: int = 0,
    end: int | None = None,
) -> Response:
    """The answer of a source that knows its ``size`` and can ``read(start, end)``, with HTTP's range rules.

    For transports without a network. Raises ``DownloadHTTPError`` (416) when the range begins after the end.
    """
    ranged = wants_range(start, end)
    if ranged and start >= size:
        raise DownloadHTTPError(
            f"{shown(url)} has {size} bytes, none at offset {start} (HTTP 416)", status=416, url=shown(url)
        )
    stop = size if end is None else min(end, size)
    chunks = capped(read(start, stop), max_bytes, url=url, announced=stop - start)
    return Response(url=url, status=206 if ranged else 200, start=start, total=size, chunks=chunks)
