"""How long each role's metadata is valid and when it is signed again: pure (docs/formats.md section 8)."""

from __future__ import annotations

from datetime import datetime, timedelta

from updater.trust import CHANNELS

__all__ = ["CHANNELS", "LIFETIME_DAYS", "ONLINE", "RESIGN_DAYS", "days_left", "due", "expiry", "listed_in"]

ONLINE = ("snapshot", "timestamp")
"""The roles that share the online key."""

LIFETIME_DAYS = {
    "root": 365,
    "targets": 365,
    "stable": 180,
    "beta": 90,
    "alpha": 90,
    "snapshot": 180,
    "timestamp": 14,
}

RESIGN_DAYS = {"root": 60, "targets": 60, "stable": 60, "beta": 30, "alpha": 30, "snapshot": 60, "timestamp": 10}
"""Signed again with so many days left, or fewer: a third of the lifetime but at most 60 days. The timestamp has more,
so that ten days of a broken schedule pass unnoticed by sites."""


def expiry(role: str, now: datetime) -> datetime:
    """When metadata of ``role`` that is signed now expires; whole seconds, UTC."""
    return now.replace(microsecond=0) + timedelta(days=LIFETIME_DAYS[role])


def days_left(expires: datetime, now: datetime) -> float:
    """Days until ``expires``; negative afterwards."""
    return (expires - now) / timedelta(days=1)


def due(role: str, expires: datetime, now: datetime) -> bool:
    """Whether ``role`` should be signed again."""
    return days_left(expires, now) <= RESIGN_DAYS[role]


def listed_in(channel: str) -> tuple[str, ...]:
    """The feeds that list a release of ``channel``: its own and those that are less settled."""
    return CHANNELS[CHANNELS.index(channel) :]
