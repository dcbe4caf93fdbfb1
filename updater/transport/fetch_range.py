"""A range of a file, into a part that can be continued; whoever knows what lies in it verifies that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from updater.errors import DownloadError, DownloadTruncatedError, RangesIgnoredError
from updater.frozen import frozen
from updater.transport.base import Transport
from updater.transport.part_file import PartFile, useful_size
from updater.transport.patience import Patience, too_late
from updater.transport.urls import shown

__all__ = ["RangeRequest", "fetch_range"]


@frozen
class RangeRequest:
    """Bytes ``start`` (inclusive) to ``end`` (exclusive) of a file of ``total`` bytes, and the part they go to.

    The part holds the file's bytes from ``start`` on, as far as they are here.
    """

    start: int
    end: int
    total: int
    part: Path

    @property
    def have(self) -> int:
        """Bytes that are here already."""
        return useful_size(self.part, self.end - self.start)


def fetch_range(
    transport: Transport,
    url: str,
    request: RangeRequest,
    patience: Patience,
    *,
    progress: Callable[[int], None],
    answered: Callable[[], None],
    stop: threading.Event,
) -> None:
    """Complete the part from ``url``, with further attempts as `Patience` has them; each follows redirects anew.

    ``progress`` gets the bytes that were added, ``answered`` is called when the server sends what was asked for, and
    ``stop`` ends it. Raises RangesIgnoredError when the server sends the whole file, whose body is not read; another
    DownloadError when it fails, StateError and OSError when the disk does. The part is kept.
    """
    waits = patience.begin()
    while True:
        before = request.have
        try:
            _transfer(transport, url, request, patience, progress=progress, answered=answered, stop=stop)
            return
        except DownloadError as error:
            if stop.is_set() or not waits.wait(error, brought=request.have - before):
                raise


def _transfer(
    transport: Transport,
    url: str,
    request: RangeRequest,
    patience: Patience,
    *,
    progress: Callable[[int], None],
    answered: Callable[[], None],
    stop: threading.Event,
) -> None:
    have, size = request.have, request.end - request.start
    if have == size:
        return
    begin = request.start + have
    with transport.open(url, max_bytes=size - have, start=begin, end=request.end) as response:
        if response.status != 206 or response.start != begin:
            raise RangesIgnoredError(
                f"{shown(url)} was asked for a part of the file, and answers with all of it",
                url=shown(url),
                hint="Ranges work with any plain web server; a proxy in between may take them away.",
            )
        if response.total not in (None, request.total):
            raise DownloadError(
                f"{shown(url)} has {response.total} bytes on the server, but {request.total} were signed",
                url=shown(url),
                hint="It may not be uploaded completely yet, or be another file. Try again later.",
            )
        answered()
        with PartFile(request.part, have) as part:
            for chunk in response.chunks:
                part.add(chunk)
                progress(len(chunk))
                if stop.is_set():
                    raise DownloadError("The download was stopped.", url=shown(url))
                if part.position < size and patience.late():
                    raise too_late(url)
            if part.position < size:
                raise DownloadTruncatedError(
                    f"{shown(url)} ended {size - part.position} bytes before the end of the range",
                    url=shown(url),
                    hint="Try again; the download continues where it stopped.",
                )
