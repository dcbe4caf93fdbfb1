"""Filling the tables from the files: what is missing is added, what is there stays. Done twice, it is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.dispatch import Signal
from django.utils import timezone

from updater.contrib.django.checked import Checked, read_checked
from updater.contrib.django.conf import Conf, conf
from updater.contrib.django.looking import SiteView, can_read, look, read_view
from updater.contrib.django.models import AvailableUpdate, UpdateCheck, UpdateLog
from updater.contrib.django.notices.make import make_notices
from updater.contrib.django.runs.folder import RunFolder
from updater.contrib.django.runs.record import RunRecord
from updater.contrib.django.signals import update_available, update_failed, update_installed
from updater.frozen import frozen
from updater.schema.document import parse_time

__all__ = ["News", "current_view", "leave_view", "sync"]

_RECENT = timedelta(days=7)
"""Signals are sent for what happened lately: a database that was restored must not tell of the whole past again."""

_OF_RUNS = {
    "update": UpdateLog.Event.UPDATE,
    "rollback": UpdateLog.Event.ROLLBACK,
    "recover": UpdateLog.Event.RECOVER,
    "rehearse": UpdateLog.Event.REHEARSAL,
}
_RUN_RESULTS = {
    "done": UpdateLog.Result.DONE,
    "failed": UpdateLog.Result.FAILED,
    "rolled_back": UpdateLog.Result.ROLLED_BACK,
    "blocked": UpdateLog.Result.BLOCKED,
    "needs_human": UpdateLog.Result.NEEDS_HUMAN,
    "cancelled": UpdateLog.Result.CANCELLED,
    "interrupted": UpdateLog.Result.INTERRUPTED,
}


@frozen
class News:
    """What a sync found that the tables did not know."""

    logs: tuple[UpdateLog, ...] = ()
    updates: tuple[AvailableUpdate, ...] = ()


def current_view(settings: Conf | None = None, now: datetime | None = None) -> SiteView | None:
    """The site as it is, or (where this user may not look) as it was when somebody who may looked last."""
    settings = settings or conf()
    site, folder = settings.require_site(), settings.require_folder()
    if can_read(site):
        return look(site, now or timezone.now())
    return read_view(folder)


def sync(view: SiteView | None = None, *, settings: Conf | None = None, now: datetime | None = None) -> News:
    """Bring the tables up to date and send signals for what is new. ``view``: what was just read anyway.

    Raises ImproperlyConfigured without a site, DatabaseError when the tables cannot be written.
    """
    settings, now = settings or conf(), now or timezone.now()
    folder = settings.require_folder()
    view = view or current_view(settings, now)
    if view is None:
        return News()
    runs = folder.records(now)
    known = read_checked(folder)
    _sync_checks(view, known)
    logs = _sync_logs(view, runs)
    updates = _sync_updates(view, known, folder, now)
    make_notices(now)
    _send(logs, updates, now)
    return News(tuple(logs), tuple(updates))


def leave_view(settings: Conf | None = None, now: datetime | None = None) -> SiteView:
    """Look at the site and leave what was seen for a web process that may not look itself."""
    settings, now = settings or conf(), now or timezone.now()
    view = look(settings.require_site(), now)
    folder = settings.require_folder()
    folder.write_document(folder.view_path, view.to_json())
    return view


# checks


def _sync_checks(view: SiteView, checked: Mapping[str, Checked]) -> None:
    rows = {f"failed:{one.tried_at:%Y%m%dT%H%M%SZ}": _failed_check(one) for one in checked.values() if one.error}
    for entry in view.history:
        at = _time(entry)
        if entry.get("event") == "check" and at is not None:
            key = f"{at:%Y%m%dT%H%M%SZ}-{_digest(entry)}"
            rows[key] = UpdateCheck(
                key=key,
                at=at,
                component=view.component,
                installed=_text(entry, "installed", 64),
                available=_text(entry, "available", 64),
                feed_state=_text(entry, "feed", 16),
            )
    known = set(UpdateCheck.objects.filter(key__in=rows).values_list("key", flat=True))
    UpdateCheck.objects.bulk_create((row for key, row in rows.items() if key not in known), ignore_conflicts=True)


def _failed_check(checked: Checked) -> UpdateCheck:
    error = checked.error or {}
    return UpdateCheck(
        key=f"failed:{checked.tried_at:%Y%m%dT%H%M%SZ}",
        at=checked.tried_at,
        component=checked.component,
        error=" ".join(filter(None, (error.get("message"), error.get("hint")))),
    )


# the log


def _sync_logs(view: SiteView, runs: Iterable[RunRecord]) -> list[UpdateLog]:
    by_outcome = {run.outcome: run for run in runs if run.outcome}
    rows: dict[str, UpdateLog] = {}
    seen: set[str] = set()
    for entry in view.history:
        row = _from_history(entry, view.component, by_outcome)
        if row is not None:
            rows[row.key] = row
            seen.add(str(entry.get("id")))
    for run in runs:
        if run.outcome is None or run.outcome not in seen:
            row = _from_run(run, view)
            if row is not None:
                rows[row.key] = row
    known = set(UpdateLog.objects.filter(key__in=rows).values_list("key", flat=True))
    new = [row for key, row in rows.items() if key not in known]
    UpdateLog.objects.bulk_create(new, ignore_conflicts=True)
    return list(UpdateLog.objects.filter(key__in=[row.key for row in new]))


def _from_history(entry: Mapping[str, Any], component: str, runs: Mapping[str, RunRecord]) -> UpdateLog | None:
    event, at, outcome = str(entry.get("event")), _time(entry), str(entry.get("id") or "")
    if event not in UpdateLog.Event.values or at is None:
        return None
    run, change = runs.get(outcome), _main_change(entry)
    result = _text(entry, "result", 16)
    return UpdateLog(
        key=f"{event}:{outcome or f'{at:%Y%m%dT%H%M%SZ}-{_digest(entry)}'}"[:160],
        at=at,
        event=event,
        result=result if result in UpdateLog.Result.values else "",
        component=_text(change, "component", 64) or component,
        from_version=_text(change, "from", 64),
        to_version=_text(change, "to", 64),
        reason=_text(entry, "reason", 16_000),
        warnings=_texts(entry, "warnings"),
        edited=_texts(entry, "edited"),
        **({} if run is None else {"actor": run.actor, "address": run.address, "run": run.id}),
    )


def _main_change(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first of the components that an update changed, which is the core when that was among them; the entry itself
    where it names none."""
    changes = entry.get("components")
    first = changes[0] if isinstance(changes, list) and changes else None
    return first if isinstance(first, dict) else entry


def _from_run(run: RunRecord, view: SiteView) -> UpdateLog | None:
    """A run that left no line in the history: it failed before anything was begun, or was a rehearsal."""
    if run.action not in _OF_RUNS or run.state not in _RUN_RESULTS or (run.action == "recover" and run.exit_code == 0):
        return None
    if run.action == "update" and run.state == "done":
        return None  # there was nothing to do
    component = run.components[0] if run.components else view.component
    return UpdateLog(
        key=f"run:{run.id}",
        at=run.ended_at or run.requested_at,
        event=_OF_RUNS[run.action],
        result=_RUN_RESULTS[run.state],
        component=component,
        from_version=view.installed.get(component) or "",
        to_version=(run.target or "")[:64],
        reason="\n".join(part for part in (run.message, run.why) if part)[:16_000],
        actor=run.actor,
        address=run.address,
        run=run.id,
    )


# what waits


def _sync_updates(
    view: SiteView, known: Mapping[str, Checked], folder: RunFolder, now: datetime
) -> list[AvailableUpdate]:
    skipped = folder.skipped()
    installed = view.installed
    waiting = {name: checked for name, checked in known.items() if checked.waiting(installed.get(name))}
    AvailableUpdate.objects.exclude(component__in=waiting).delete()
    new = []
    for name, checked in waiting.items():
        values = _update_values(checked, skipped.get(name, {}))
        row = AvailableUpdate.objects.filter(component=name).first()
        if row is None:
            new.append(AvailableUpdate.objects.create(component=name, found_at=now, **values))
            continue
        is_new = row.version != values["version"]
        if is_new or any(getattr(row, field) != value for field, value in values.items()):
            for field, value in values.items():
                setattr(row, field, value)
            row.found_at = now if is_new else row.found_at
            row.save()
        if is_new:
            new.append(row)
    return new


def _update_values(checked: Checked, skipped: Mapping[str, Any]) -> dict[str, Any]:
    answer = checked.answer or {}
    version = str(answer.get("latest_version"))
    release: Mapping[str, Any] = next((one for one in checked.releases if one.get("version") == version), {})
    return {
        "installed": str(answer.get("installed_version") or ""),
        "version": version,
        "channel": str(answer.get("channel") or ""),
        "critical": bool(answer.get("critical")),
        "security": list(answer.get("security") or ()),
        "published": parse_time(release["published"]) if "published" in release else None,
        "download_size": int((checked.plan or {}).get("download_size") or answer.get("file_size") or 0),
        "releases": list(checked.releases),
        "plan": None if checked.plan is None else dict(checked.plan),
        "skipped": version in skipped,
        "checked_at": checked.at or checked.tried_at,
    }


# telling


def _send(logs: Iterable[UpdateLog], updates: Iterable[AvailableUpdate], now: datetime) -> None:
    for update in updates:
        _robustly(update_available, AvailableUpdate, update=update)
    for log in logs:
        if now - log.at < _RECENT and log.event != UpdateLog.Event.REHEARSAL and log.result:
            _robustly(update_installed if log.succeeded else update_failed, UpdateLog, log=log)


def _robustly(signal: Signal, sender: type, **named: Any) -> None:
    signal.send_robust(sender=sender, **named)


# reading what the engine wrote


def _time(entry: Mapping[str, Any]) -> datetime | None:
    try:
        return parse_time(str(entry.get("at"))).astimezone(UTC)
    except ValueError:
        return None


def _text(entry: Mapping[str, Any], key: str, most: int) -> str:
    return str(entry.get(key) or "")[:most].replace("\0", "")


def _texts(entry: Mapping[str, Any], key: str) -> list[str]:
    found = entry.get(key)
    return [str(item)[:2000] for item in found[:200]] if isinstance(found, list) else []


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]
