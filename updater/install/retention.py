"""Which restore points go: by number, by age, and never the last good one (standard library only)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from updater.frozen import frozen
from updater.install.point_check import glance_at_all
from updater.install.restore_points import delete, finish_deletions, list_restore_points
from updater.schema.site_config import BackupConfig
from updater.site.site import Site

__all__ = ["PointFacts", "choose_to_prune", "prune"]


@frozen
class PointFacts:
    """What decides about one restore point. ``good``: it looks as if it could be restored."""

    id: str
    created: datetime
    good: bool


def choose_to_prune(
    points: Sequence[PointFacts], now: datetime, max_backups: int, max_age_days: int
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The ids that go, oldest first, and for every point the reason why it goes or stays: pure.

    0 means no limit. The newest that is good always stays, or the newest of all when none is: whatever the limits say,
    there is a way back. Order is that of ids, because clocks may be set back.
    """
    newest_first = sorted(points, key=lambda point: point.id, reverse=True)
    last_good = next((point.id for point in newest_first if point.good), newest_first[0].id if newest_first else "")
    oldest_moment = now - timedelta(days=max_age_days)
    gone: list[str] = []
    reasons: dict[str, str] = {}
    for position, point in enumerate(newest_first, start=1):
        too_many = 0 < max_backups < position
        too_old = max_age_days > 0 and point.created < oldest_moment
        why = f"it is number {position} of at most {max_backups}" if too_many else ""
        why = why or (f"it is older than {max_age_days} days" if too_old else "")
        if why and point.id == last_good:
            reasons[point.id] = f"stays although {why}: it is the newest good one"
        elif why:
            reasons[point.id] = f"goes: {why}"
            gone.append(point.id)
        else:
            reasons[point.id] = "stays"
    return tuple(reversed(gone)), reasons


def prune(site: Site, limits: BackupConfig, now: datetime) -> list[str]:
    """Remove what the limits say; the owner's edited files stay. Returns the ids. Raises OSError, StateError."""
    finish_deletions(site)
    points = list_restore_points(site, strict=True)
    if not _any_limit(limits, len(points)):
        return []
    good = glance_at_all(site, points)
    facts = [PointFacts(point.id, point.created, not good[point.id]) for point in points]
    gone, _ = choose_to_prune(facts, now, limits.max_backups, limits.max_age_days)
    for name in gone:
        delete(site, next(point for point in list_restore_points(site, strict=True) if point.id == name))
    return list(gone)


def _any_limit(limits: BackupConfig, count: int) -> bool:
    return limits.max_age_days > 0 or 0 < limits.max_backups < count
