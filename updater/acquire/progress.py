"""How far a download is, and how fast: figures for whoever shows them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from updater.events import Event, Phase, Reporter

__all__ = ["TransferProgress"]

_WINDOW = 8.0
"""Seconds over which the rate is averaged: long enough to be calm, short enough to follow the line."""

_FIRST = 0.5
"""Seconds after which there is a rate at all."""


class TransferProgress:
    """Tells of one download in parts. Bytes are counted that come now; what was here before is not part of the rate."""

    def __init__(self, report: Reporter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._total = 0
        self._done = 0
        self._marks: deque[tuple[float, int]] = deque()

    def start(self, message: str, total: int, done: int = 0) -> None:
        """A download of ``total`` bytes begins, of which ``done`` are here."""
        self._done, self._total = done, total
        self._marks = deque([(self._clock(), done)])
        self._report(Event(Phase.DOWNLOAD, "start", message, done, total, "bytes"))

    def reach(self, done: int) -> None:
        """So many bytes are here now."""
        self.add(done - self._done)

    def add(self, count: int) -> None:
        """So many bytes more have come (or fewer are here than was thought)."""
        self._done = max(0, self._done + count)
        now = self._clock()
        while len(self._marks) > 1 and self._marks[1][0] <= now - _WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        if now - self._marks[-1][0] >= _WINDOW / 32:
            self._marks.append((now, self._done))
        self._total = max(self._total, self._done)  # a part that was of no use is fetched again
        rate = (self._done - before) / (now - since) if now - since >= _FIRST else 0.0
        left = (self._total - self._done) / rate if rate > 0 else None
        self._report(
            Event(Phase.DOWNLOAD, "progress", "", self._done, self._total, "bytes", rate if rate > 0 else None, left)
        )

    def done(self) -> None:
        """All of it is here."""
        self._report(Event(Phase.DOWNLOAD, "done", "", self._total, self._total, "bytes"))
