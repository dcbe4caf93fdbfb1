"""A transport that is slower on purpose: so many bytes per second over all its connections (standard library only)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from updater.transport.base import Response, Transport

__all__ = ["RateLimit", "ThrottledTransport"]

_BURST = 0.25
"""Seconds of the allowed rate that may come at once after a pause."""


class RateLimit:
    """A token bucket. ``take`` may be called from several threads."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free = clock()

    def take(self, count: int) -> None:
        """Account for ``count`` bytes that came, and wait as long as they should have taken."""
        with self._lock:
            now = self._clock()
            self._free = max(self._free, now - _BURST) + count / self._rate
            wait = self._free - now
        if wait > 0:
            self._sleep(wait)


class ThrottledTransport:
    """Another transport, with at most ``limit`` bytes per second of bodies."""

    def __init__(self, inner: Transport, limit: RateLimit) -> None:
        self._inner = inner
        self._limit = limit

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``."""
        with self._inner.open(url, max_bytes=max_bytes, start=start, end=end) as response:
            yield replace(response, chunks=self._slowly(response.chunks))

    def _slowly(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._limit.take(len(chunk))
            yield chunk
