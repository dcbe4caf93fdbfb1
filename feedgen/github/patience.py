"""When a failed call is tried again, and after which pause: pure.

GitHub's rules: wait as long as ``Retry-After`` says; when ``x-ratelimit-remaining`` is 0, until ``x-ratelimit-reset``;
after any other rate limit at least a minute, longer each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Failure", "Limits", "number", "pause_before_retry"]

_MINUTE = 60.0
_LONGEST_BACKOFF = 30.0
_RATE_LIMIT_WORDS = ("rate limit", "abuse detection", "wait a few minutes", "retry your request again later")


@dataclass(frozen=True)
class Limits:
    """How patient a run is: seconds, except ``attempts`` and ``min_rate`` (bytes a second).

    ``attempts``: how often one call may fail. ``longest_wait``: all pauses of one call together. ``min_rate``: the
    slowest average of an upload, once it has taken ``grace``. ``between_writes``: GitHub asks for a second between
    calls that change something.
    """

    connect: float = 20.0
    read: float = 120.0
    attempts: int = 7
    longest_wait: float = 900.0
    min_rate: float = 16 * 1024.0
    grace: float = 120.0
    between_writes: float = 1.0


@dataclass(frozen=True)
class Failure:
    """A call that failed. ``status`` 0: no answer came, ``reason`` says why.

    ``headers`` have lower-case names. ``final``: trying again cannot help. ``codes``: GitHub's words, such as
    ``already_exists``.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    codes: tuple[str, ...] = ()
    final: bool = False

    @property
    def rate_limited(self) -> bool:
        """Whether GitHub asks to slow down; a 403 without any sign of that is a missing permission."""
        if self.status == 429:
            return True
        return self.status == 403 and (
            "retry-after" in self.headers
            or number(self.headers, "x-ratelimit-remaining") == 0
            or any(words in self.reason.lower() for words in _RATE_LIMIT_WORDS)
        )

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed a little later."""
        return not self.final and (self.status in (0, 408) or self.status >= 500)

    @property
    def ambiguous(self) -> bool:
        """Whether the call may have had its effect all the same."""
        return self.transient


def number(headers: Mapping[str, str], name: str) -> float | None:
    """A header that holds a number; None when it is absent or holds something else."""
    try:
        return float(headers[name])
    except (KeyError, ValueError):
        return None


def pause_before_retry(failure: Failure, attempt: int, now: float) -> float | None:
    """Seconds to wait before the call is made again, or None when that cannot help.

    ``attempt``: how often it has failed, from 1. ``now``: seconds since the epoch.
    """
    asked = number(failure.headers, "retry-after")
    if failure.rate_limited:
        if asked is not None:
            return max(asked, 0.0)
        reset = number(failure.headers, "x-ratelimit-reset")
        if number(failure.headers, "x-ratelimit-remaining") == 0 and reset is not None:
            return max(reset - now, 0.0) + 1.0
        return float(_MINUTE * 2 ** (attempt - 1))
    if failure.transient:
        return max(asked or 0.0, min(2.0 ** (attempt - 1), _LONGEST_BACKOFF))
    return None
