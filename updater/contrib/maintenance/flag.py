"""The flag file, judged anew when it changes: is the maintenance page on? (docs/formats.md section 9.2)"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Flag", "FlagFile", "is_on", "read_flag"]

LONGEST = 24 * 3600.0
"""Seconds that a flag counts at most from when it was written, whatever it says: clocks jump."""

BY_HAND = 30 * 60.0
"""Seconds that a file which is no document of the updater's counts from its modification time."""

_SLACK = 300.0
_MOST = 64 * 1024


@dataclass(frozen=True)
class Flag:
    """What the file says. Times in seconds since the epoch; ``until`` is None for "until the file is gone"."""

    written: float
    until: float | None
    retry_after: int = 60
    probe_sha256: str = ""
    message: str = ""

    def lets_through(self, token: str) -> bool:
        """Whether ``token`` is the updater's own; compared in constant time."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest().encode()
        expected = self.probe_sha256.encode("utf-8", "replace")  # as text, anything but ASCII would raise TypeError
        return bool(token and self.probe_sha256) and hmac.compare_digest(digest, expected)


def read_flag(data: bytes, modified: float) -> Flag:
    """The flag in a file's bytes; ``modified`` is its modification time. Never raises: what is no document counts as
    made by hand."""
    by_hand = Flag(written=modified, until=modified + BY_HAND)
    try:
        document = json.loads(data)
        written = _seconds(document["written"])
        until = None if document["until"] is None else _seconds(document["until"])
        retry_after = document.get("retry_after", 60)
        return Flag(
            written=written,
            until=until,
            retry_after=min(max(int(retry_after), 1), 3600) if isinstance(retry_after, (int, float)) else 60,
            probe_sha256=str(document.get("probe_sha256", "")),
            message=str(document.get("message", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return by_hand


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def is_on(flag: Flag, now: float, seen_for: float) -> bool:
    """Whether the page is on at ``now``, the wall clock; ``seen_for``: seconds since this process first saw the flag,
    by a clock that never jumps."""
    if flag.until is None:
        return True
    lasts = min(flag.until - flag.written, LONGEST)
    if flag.written > now + _SLACK:  # the clock was set back since: only how long it is known can be told
        return seen_for < lasts
    return now < flag.written + lasts


class FlagFile:
    """One flag file, looked at whenever somebody asks: a ``stat``, and a read when it has changed. Safe in threads."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = os.fspath(path)
        self._clock = clock
        self._monotonic = monotonic
        self._known: tuple[Any, Flag, float] | None = None

    def current(self) -> Flag | None:
        """The flag when the page is on, else None."""
        try:
            status = os.stat(self._path)
        except (OSError, ValueError):  # absent; or nobody can look: an app that is always off would be worse
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        mark = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._known
        if known is None or known[0] != mark:
            known = (mark, read_flag(self._read(), status.st_mtime), self._monotonic())
            self._known = known
        _, flag, seen = known
        return flag if is_on(flag, self._clock(), self._monotonic() - seen) else None

    def _read(self) -> bytes:
        """Its bytes; none when it cannot be read, which counts as a file made by hand."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as file:
                return file.read(_MOST)
        except OSError:
            return b""
