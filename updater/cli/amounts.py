"""Sizes, times and counts for people (standard library, pure)."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["ago", "count", "duration", "moment", "size"]


def size(number: float) -> str:
    """A size in bytes: ``1.4 MB``."""
    if number < 1000:
        return f"{number:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.95 or unit == "GB":
            return f"{number:.1f} {unit}"
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    """A length of time: ``0:42``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(value: datetime) -> str:
    """A point in time: ``2026-01-20 10:00 UTC``."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(seconds: float) -> str:
    """How long ago something was: ``just now``, ``3 hours ago``, ``2 months ago``; ``in the future`` for a clock that
    was set back."""
    if seconds < -60:
        return "in the future"
    for length, one in ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            return f"{count(int(seconds // length), one)} ago"
    return "just now"


def count(number: int, one: str, many: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
