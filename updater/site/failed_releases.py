"""``failed.json``: the releases that failed on this site, so that no automatic update tries one for ever.

Standard library only. Sources: update_engine gives up after 10 resumed attempts, Mender after 28 stored states; a
release whose failure takes the app down each time deserves fewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from updater.frozen import frozen
from updater.schema.document import dump_json, format_time, parse_time
from updater.site.files import write_atomic
from updater.site.reading import read_json

__all__ = [
    "MOST_ATTEMPTS",
    "Attempt",
    "FailedReleases",
    "forget_failures",
    "held_back",
    "read_failures",
    "record_failure",
]

MOST_ATTEMPTS = 3
"""Failures of one release, after which only a person tries it again."""

_PAUSES = (timedelta(hours=1), timedelta(hours=12))
"""How long an automatic update waits after the first and the second failure."""

_FORMAT = 1
_LONGEST_REASON = 1000


@frozen
class Attempt:
    """One failure: the transaction, when it ended (UTC), and why."""

    id: str
    at: datetime
    reason: str


FailedReleases = Mapping[str, tuple[Attempt, ...]]
"""Versions to their failures, oldest first."""


def held_back(attempts: tuple[Attempt, ...], now: datetime) -> str | None:
    """Why an automatic update must not try the release now, as a clause; None when it may."""
    if not attempts:
        return None
    times = "once" if len(attempts) == 1 else f"{len(attempts)} times"
    failed = f"it failed on this site {times}, last on {attempts[-1].at:%Y-%m-%d %H:%M} UTC ({attempts[-1].reason})"
    if len(attempts) >= MOST_ATTEMPTS:
        return f"{failed}; only `updater update --to` tries it again"
    if now < attempts[-1].at:  # a clock that was set back must not hold it for years
        return None
    until = attempts[-1].at + _PAUSES[len(attempts) - 1]
    if now >= until:
        return None
    return f"{failed}; tried again after {until:%Y-%m-%d %H:%M} UTC"


def read_failures(path: Path) -> FailedReleases:
    """What is recorded. A missing or damaged file is an empty record: it only ever holds something back."""
    try:
        found = read_json(path)
        if found["format"] != _FORMAT:
            return {}
        return {
            str(version): tuple(
                Attempt(str(attempt["id"]), parse_time(attempt["at"]), str(attempt["reason"])) for attempt in attempts
            )
            for version, attempts in found["releases"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def record_failure(path: Path, version: str, attempt: Attempt) -> None:
    """Add one failure, once for each transaction: a crash after writing it must not count it again."""
    known = dict(read_failures(path))
    attempts = known.get(version, ())
    if all(other.id != attempt.id for other in attempts):
        shortened = Attempt(attempt.id, attempt.at, attempt.reason[:_LONGEST_REASON])
        _write(path, known | {version: (*attempts, shortened)})


def forget_failures(path: Path, version: str) -> None:
    """The release was installed: what went wrong before is over."""
    known = dict(read_failures(path))
    if known.pop(version, None) is not None:
        _write(path, known)


def _write(path: Path, failures: Mapping[str, tuple[Attempt, ...]]) -> None:
    releases: dict[str, Any] = {
        version: [{"id": entry.id, "at": format_time(entry.at), "reason": entry.reason} for entry in attempts]
        for version, attempts in failures.items()
    }
    write_atomic(path, dump_json({"format": _FORMAT, "releases": releases}, ascii=True))
