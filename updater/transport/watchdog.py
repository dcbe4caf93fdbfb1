"""Ends transfers that take too long.

Socket timeouts do not: each received byte starts them anew, so a server that drips one byte now and then holds a
client for ever, in the headers as well as in the body. The watchdog shuts the socket down from a timer thread,
which wakes whichever call is blocked on it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from types import TracebackType

from updater.errors import DownloadTimeoutError
from updater.transport.base import Limits
from updater.transport.urls import shown

__all__ = ["RateMeter", "Watchdog", "current_watchdog"]

_thread = threading.local()


def current_watchdog() -> Watchdog | None:
    """The watchdog of the request that this thread is sending."""
    watchdog: Watchdog | None = getattr(_thread, "watchdog", None)
    return watchdog


class Watchdog:
    """Deadlines of one transfer: ``with Watchdog(limits, url) as watchdog``.

    ``headers()`` starts the time for the next response headers, ``body()`` ends it; the total deadline runs
    from the beginning. ``fired`` says which one passed (empty: none).
    """

    def __init__(self, limits: Limits, url: str) -> None:
        self._limits = limits
        self._url = url
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._socket: socket.socket | None = None
        self.fired = ""

    def __enter__(self) -> Watchdog:
        _thread.watchdog = self
        self.headers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _thread.watchdog = None
        with self._lock:
            self._stop_timer()
            self._drop_socket()

    def headers(self) -> None:
        """Await response headers."""
        left = self._left()
        if self._limits.headers < left:
            self._arm(self._limits.headers, f"no complete answer within {self._limits.headers:g} seconds")
        else:
            self._arm(left, self._total_message())

    def body(self) -> None:
        """Headers are complete: only the total deadline remains."""
        _thread.watchdog = None
        self._arm(self._left(), self._total_message())

    def attach(self, sock: socket.socket) -> None:
        """Make ``sock`` the one to shut down.

        A duplicate of it is kept: wrapping a socket in TLS replaces the original object, and a file number
        alone could by then belong to someone else.
        """
        with self._lock:
            self._drop_socket()
            self._socket = socket.fromfd(sock.fileno(), sock.family, sock.type)
            if self.fired:
                self._shut_down()

    def timeout_error(self) -> DownloadTimeoutError:
        """The error for the deadline that passed."""
        return DownloadTimeoutError(
            f"{shown(self._url)} took too long: {self.fired}",
            url=shown(self._url),
            hint="The server or the network is too slow at the moment. Try again later.",
        )

    def _left(self) -> float:
        return max(0.0, self._started + self._limits.total - time.monotonic())

    def _total_message(self) -> str:
        return f"not finished within {self._limits.total:g} seconds"

    def _arm(self, seconds: float, message: str) -> None:
        with self._lock:
            self._stop_timer()
            timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._fire, (message,))
            timer.daemon = True
            self._timer = timer
            timer.start()

    def _fire(self, message: str) -> None:
        with self._lock:
            if threading.current_thread() is self._timer:
                self.fired = message
                self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class RateMeter:
    """The minimum rate. ``add(waited, count)`` after each read: seconds waited for it, bytes received.

    Only time spent waiting for the server counts, so that a slow disk does not look like a slow network.
    """

    def __init__(self, limits: Limits, url: str) -> None:
        self._limits = limits
        self._url = url
        self._waited = 0.0
        self._received = 0
        self._marks: deque[tuple[float, int]] = deque([(0.0, 0)])

    def add(self, waited: float, count: int) -> None:
        """Record one read. ``DownloadTimeoutError`` when the average over the window is too low."""
        self._waited += waited
        self._received += count
        window = self._limits.window
        while len(self._marks) > 1 and self._marks[1][0] <= self._waited - window:
            self._marks.popleft()
        since, before = self._marks[0]
        elapsed = self._waited - since
        # One mark per twentieth of the window is enough, and keeps a byte-wise drip from filling memory.
        if self._waited - self._marks[-1][0] >= window / 20:
            self._marks.append((self._waited, self._received))
        if self._waited < self._limits.grace or elapsed <= 0:
            return
        if (self._received - before) / elapsed < self._limits.min_rate:
            raise DownloadTimeoutError(
                f"{shown(self._url)} arrives at less than {self._limits.min_rate:g} bytes per second",
                url=shown(self._url),
                hint="The server or the network is too slow at the moment. Try again later.",
            )
