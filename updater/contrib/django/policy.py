"""When to check, and what may be installed without asking: pure decisions with their reasons. Needs no Django."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from updater.frozen import frozen
from updater.schema.policy_config import Window

__all__ = ["FREQUENCIES", "Frequency", "Policy", "Window", "is_due", "why_not_now"]

Frequency = Literal["six-hourly", "daily", "weekly", "monthly"]

FREQUENCIES: dict[Frequency, timedelta] = {
    "six-hourly": timedelta(hours=6),
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
}

_EARLY = timedelta(minutes=30)
"""A timer that runs at two every night must not find yesterday's check, of a second past two, too young."""


@frozen
class Policy:
    """What the owner decided: ``ordinary`` and ``critical`` say which updates install themselves."""

    auto_check: bool = True
    frequency: Frequency = "daily"
    ordinary: bool = False
    critical: bool = False
    window: Window | None = None


def is_due(policy: Policy, last: datetime | None, now: datetime) -> bool:
    """Whether it is time to check again. ``last`` is the last check (None: never); a clock that was set back makes it
    due."""
    if not policy.auto_check:
        return False
    return last is None or last > now or now - last >= FREQUENCIES[policy.frequency] - _EARLY


def why_not_now(policy: Policy, *, critical: bool, skipped: bool, now: datetime) -> str:
    """Why an update that waits does not install itself at ``now`` (a local time), as a sentence; empty when it may."""
    kind = "critical" if critical else "non-critical"
    if skipped:
        return "A person decided to skip this version."
    if not (policy.critical if critical else policy.ordinary):
        return f"The settings do not let {kind} updates install themselves."
    if policy.window is not None and not policy.window.contains(now):
        return f"The maintenance window ({policy.window.start:%H:%M} to {policy.window.end:%H:%M}) is not open."
    return ""
