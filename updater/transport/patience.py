"""When a failed request is sent again, and after which pause (standard library only)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from updater.errors import DownloadError, DownloadHTTPError, DownloadTimeoutError, RangesIgnoredError, UpdaterError
from updater.frozen import frozen
from updater.transport.urls import shown

__all__ = ["BACKOFF", "Patience", "Waits", "too_late"]

BACKOFF = (0.5, 2.0, 8.0)
"""Seconds between the attempts at one address."""

_TRANSIENT_STATUS = frozenset({408, 425, 429})
_LONGEST_WAIT = 30.0  # seconds; a server that asks for a longer pause (Retry-After) is left alone at once
_WORTH_GOING_ON = 1 << 20  # bytes; a connection that brought so many before it was cut is not a vain attempt


@frozen
class Patience:
    """The pauses between attempts (seconds), how to sleep, and until when (``time.monotonic``; None: for ever)."""

    backoff: tuple[float, ...] = BACKOFF
    sleep: Callable[[float], None] = time.sleep
    until: float | None = None

    @classmethod
    def until_deadline(cls, seconds: float) -> Patience:
        """The usual pauses, for so many seconds from now on."""
        return cls(BACKOFF, time.sleep, time.monotonic() + seconds)

    @property
    def left(self) -> float | None:
        """Seconds until the deadline; None when there is none."""
        return None if self.until is None else max(0.0, self.until - time.monotonic())

    def late(self, pause: float = 0.0) -> bool:
        """Whether the deadline has passed, or will have after a pause."""
        return self.until is not None and time.monotonic() + pause >= self.until

    def begin(self) -> Waits:
        """Begin with one address."""
        return Waits(self)


class Waits:
    """The pauses of one address."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._pauses: Iterator[float] = iter(patience.backoff)

    def wait(self, error: UpdaterError, *, brought: int = 0) -> bool:
        """Pause before another attempt; False when there is none, since it would be vain or too late.

        ``brought``: bytes that the failed attempt added. A mebibyte starts the pauses anew.
        """
        if brought >= _WORTH_GOING_ON:
            self._pauses = iter(self._patience.backoff)
        pause = next(self._pauses, None)
        if pause is None or not _transient(error):
            return False
        pause = max(pause, _asked_to_wait(error))
        if pause > _LONGEST_WAIT or self._patience.late(pause):
            return False
        self._patience.sleep(pause)
        return True


def too_late(url: str) -> DownloadTimeoutError:
    """The error for a deadline of the whole download that passed while ``url`` answered."""
    return DownloadTimeoutError(
        f"{shown(url)} was not finished in the time that is allowed for it",
        url=shown(url),
        hint="Try again: the download continues where it stopped. [download] deadline allows more time.",
    )


def _transient(error: UpdaterError) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, DownloadHTTPError):
        return error.status >= 500 or error.status in _TRANSIENT_STATUS
    return isinstance(error, DownloadError) and not isinstance(error, RangesIgnoredError)


def _asked_to_wait(error: UpdaterError) -> float:
    """Seconds that the server wants to be left alone."""
    return error.retry_after or 0.0 if isinstance(error, DownloadHTTPError) else 0.0
