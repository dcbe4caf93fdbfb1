"""The notices that follow from what happened and from what waits: one for each, however often it is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from updater.contrib.django.models import AvailableUpdate, UpdateLog, UpdateNotification

__all__ = ["RECENT", "URGENT", "make_notices"]

RECENT = timedelta(days=7)
"""Older events make no notice: they are history."""

_Kind = UpdateNotification.Kind
URGENT = (_Kind.ROLLED_BACK, _Kind.FAILED, _Kind.NEEDS_HUMAN)
"""Told at once, whatever the digest says."""

_NO_NEWS = (UpdateLog.Event.REHEARSAL, UpdateLog.Event.INSTALL)
"""A rehearsal changes nothing, and whoever installs an app for the first time sits in front of it."""

_BY_RESULT = {
    UpdateLog.Result.DONE: _Kind.INSTALLED,
    UpdateLog.Result.ROLLED_BACK: _Kind.ROLLED_BACK,
    UpdateLog.Result.FAILED: _Kind.FAILED,
    UpdateLog.Result.NEEDS_HUMAN: _Kind.NEEDS_HUMAN,
    UpdateLog.Result.KEPT: _Kind.NEEDS_HUMAN,
}


def make_notices(now: datetime) -> list[UpdateNotification]:
    """Add what is missing and return it."""
    logs = UpdateLog.objects.filter(at__gte=now - RECENT).exclude(event__in=_NO_NEWS)
    wanted = [*_of_updates(AvailableUpdate.objects.filter(skipped=False)), *_of_logs(logs)]
    known = set(
        UpdateNotification.objects.filter(key__in=[notice.key for notice in wanted]).values_list("key", flat=True)
    )
    new = [notice for notice in wanted if notice.key not in known]
    UpdateNotification.objects.bulk_create(new, ignore_conflicts=True)
    return new


def _of_updates(updates: Iterable[AvailableUpdate]) -> Iterable[UpdateNotification]:
    for update in updates:
        yield UpdateNotification(
            key=f"available:{update.component}:{update.version}",
            kind=_Kind.AVAILABLE,
            component=update.component,
            version=update.version,
            critical=update.critical,
            created=update.found_at,
        )


def _of_logs(logs: Iterable[UpdateLog]) -> Iterable[UpdateNotification]:
    for log in logs:
        kind = _BY_RESULT.get(UpdateLog.Result(log.result)) if log.result else None
        if kind is None or (log.event == UpdateLog.Event.PROBATION and kind == _Kind.INSTALLED):
            continue
        yield UpdateNotification(
            key=f"{kind}:{log.key}",
            kind=kind,
            component=log.component,
            version=log.to_version,
            text=log.reason,
            created=log.at,
        )
