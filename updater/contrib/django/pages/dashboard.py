"""What the dashboard shows, gathered from files and tables into one plain dict for its template."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from updater.contrib.django.checked import Checked, read_checked
from updater.contrib.django.conf import Conf, conf
from updater.contrib.django.looking import SiteView
from updater.contrib.django.mirror import current_view, sync
from updater.contrib.django.models import UpdateLog, UpdateNotification, UpdateSettings
from updater.contrib.django.notes import notes_html
from updater.contrib.django.pages.access import may
from updater.contrib.django.pages.progress import ENGINE, PHASES, token_for
from updater.contrib.django.panel import effective
from updater.contrib.django.runs.folder import STALE
from updater.contrib.django.runs.record import RunRecord
from updater.install.component_changes import name_of
from updater.schema.document import parse_time

__all__ = ["PHASE_LABELS", "dashboard_context", "dashboard_link", "run_context", "status_context"]

PHASE_LABELS = {
    "check": gettext_lazy("Check"),
    "plan": gettext_lazy("Plan"),
    "download": gettext_lazy("Download"),
    "verify": gettext_lazy("Verify"),
    "backup": gettext_lazy("Backup"),
    "install": gettext_lazy("Install"),
    "migrate": gettext_lazy("Migrate"),
    "health": gettext_lazy("Health check"),
    "commit": gettext_lazy("Commit"),
    "cleanup": gettext_lazy("Clean up"),
}
_SHOWN_LOGS = 10
_SHOWN_POINTS = 5


def dashboard_context(request: HttpRequest) -> dict[str, Any]:
    """Everything for ``updates/dashboard.html``; ``problem`` alone when there is no site."""
    try:
        settings = conf()
        view = current_view(settings)
    except ImproperlyConfigured as error:
        return {"problem": str(error)}
    if view is None:
        advice = _("Run `manage.py update_status --sync` once as the user who owns the site.")
        return {"problem": _("The site cannot be read by the web server's user.") + " " + advice}
    known = read_checked(settings.require_folder())
    mirrored = _mirror(view, settings)
    row = effective(UpdateSettings.load())
    checked = known.get(view.component)
    updates = [update for one in known.values() if (update := _update(one, view, settings)) is not None]
    return {
        "view": view,
        "problem": view.problem,
        "checked": checked,
        "updates": updates,
        "together": _together(updates),
        "components": _components(known, view),
        "held_back": _held_back(checked, view),
        "advisories": _advisories(checked, view),
        "run": _run(settings),
        "policy": row,
        "notices": _notices(row) if mirrored else [],
        "logs": list(UpdateLog.objects.all()[:_SHOWN_LOGS]) if mirrored else [],
        "points": view.points[:_SHOWN_POINTS],
        "more_points": max(0, len(view.points) - _SHOWN_POINTS),
        "findings": _counted(checked),
        "allow": {
            "install": may(request, "install") and settings.allow_web_install,
            "rollback": may(request, "rollback") and settings.allow_web_install,
            "settings": may(request, "settings"),
        },
        "web_install": settings.allow_web_install,
        "reauthenticate": settings.reauthenticate,
        "now": timezone.now(),
    }


def run_context(run: RunRecord, settings: Conf) -> dict[str, Any]:
    """What the progress of one run needs: its phases with their state, and the address to ask."""
    phase = str(run.status.get("phase") or "")
    reached = PHASES.index(phase) if phase in PHASES else -1
    done = run.state == "done"
    phases = [
        {
            "name": name,
            "label": PHASE_LABELS[name],
            "state": "done" if done or place < reached else "current" if place == reached else "",
        }
        for place, name in enumerate(PHASES)
    ]
    waited = timezone.now() - run.requested_at
    return {
        "run": run,
        "phases": phases if run.action == "update" else [],
        "token": token_for(run.id),
        "result": settings.require_folder().result(run.id) if run.finished and run.id != ENGINE else {},
        "log": settings.require_folder().log(run.id)[0] if run.id != ENGINE else "",
        "not_taken": run.state == "requested" and waited.total_seconds() > 30,
        "too_old": run.state == "requested" and waited > STALE,
    }


def status_context() -> dict[str, Any]:
    """What the page of the system's status needs: the findings of the last check, the worst first."""
    try:
        view = current_view()
        known = read_checked(conf().require_folder())
    except ImproperlyConfigured as error:
        return {"problem": str(error)}
    checked = None if view is None else known.get(view.component)
    order = {"error": 0, "warning": 1, "ok": 2}
    findings = sorted(() if checked is None else checked.findings, key=lambda one: order.get(str(one["level"]), 3))
    return {"view": view, "checked": checked, "findings": findings, "runner": conf().runner}


def dashboard_link() -> str:
    """The URL name of the dashboard."""
    return "admin:updates_availableupdate_changelist"


def _mirror(view: SiteView, settings: Conf) -> bool:
    """Bring the tables up to date; the page is shown all the same when they cannot be written now."""
    try:
        sync(view, settings=settings)
    except DatabaseError:
        return False
    return True


def _update(checked: Checked, view: SiteView, settings: Conf) -> dict[str, Any] | None:
    version = checked.waiting(view.installed.get(checked.component))
    if version is None:
        return None
    answer = checked.answer or {}
    plan = checked.plan
    skipped = settings.require_folder().skipped().get(checked.component, {})
    return {
        "component": checked.component,
        "what": checked.what,
        "mark": "" if checked.is_core else f"-{checked.component}",
        "along": _along(checked, settings.require_folder().skipped()),
        "version": version,
        "answer": answer,
        "plan": plan,
        "stops": checked.stops,
        "blocked": checked.blocked,
        "skipped": skipped.get(version),
        "notes": [_notes(release) for release in checked.releases],
        "requirements": _requirements(answer, view),
        "needs_consent": plan is not None and _risky(plan),
        "download_size": (plan or {}).get("download_size", answer.get("file_size")),
    }


def _along(checked: Checked, skipped: Mapping[str, Any]) -> list[str]:
    """What would be installed together with it, because the two wait together and nobody skipped the other."""
    parts = (checked.plan or {}).get("components") or ()
    others = [part for part in parts if part["component"] != checked.component]
    return [
        name_of(one["component"], one["to"]) for one in others if one["to"] not in skipped.get(one["component"], {})
    ]


def _together(updates: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What one button installs at once, when more than one update waits."""
    offered = [update for update in updates if not update["skipped"]]
    if len(offered) < 2 or any(update["blocked"] for update in offered):
        return None
    return {"updates": offered, "needs_consent": any(update["needs_consent"] for update in offered)}


def _components(known: Mapping[str, Checked], view: SiteView) -> list[dict[str, Any]]:
    """Every plugin and theme: what is installed of it, what waits, and why something newer does not."""
    rows = []
    for one in view.components:
        checked = known.get(one.name)
        version = None if checked is None else checked.waiting(one.version)
        current = checked is not None and checked.installed == one.version
        answer = checked.answer or {} if checked is not None and current else {}
        stale = (answer.get("feed") or {}).get("state") == "stale"
        newer = answer.get("newest_version") not in (None, one.version)
        reasons = answer.get("reasons") or () if version is None and (newer or stale) else ()
        rows.append({"view": one, "version": version, "reasons": reasons})
    return rows


def _risky(plan: Any) -> bool:
    """Whether a person has to say that they have read it: data may go for good."""
    if not plan.get("migrations"):
        return False
    if plan.get("migrations_destructive"):
        return True
    return plan.get("database") == "none" and not plan.get("migrations_backward_compatible")


def _notes(release: Any) -> dict[str, Any]:
    translations = release.get("translations") or {}
    language = get_language() or ""
    text = translations.get(language) or translations.get(language.partition("-")[0]) or release.get("notes") or ""
    return {
        "version": release.get("version"),
        "published": parse_time(release["published"]) if release.get("published") else None,
        "critical": release.get("critical"),
        "security": release.get("security") or (),
        "html": notes_html(text),
        "url": release.get("notes_url"),
    }


def _requirements(answer: Any, view: SiteView) -> list[dict[str, Any]]:
    """Required against found: Python, the version that may jump here, packages."""
    wanted = answer.get("compatibility") or {}
    rows = []
    if wanted.get("python_version"):
        found = platform.python_version()
        rows.append({"what": _("Python"), "required": wanted["python_version"], "found": found, "ok": True})
    if wanted.get("min_version"):
        text = _("%(version)s or newer") % {"version": wanted["min_version"]}
        rows.append({"what": view.app, "required": text, "found": view.version, "ok": True})
    for row in wanted.get("packages") or ():
        rows.append({"what": _("Package"), "required": row["required"], "found": row["found"], "ok": row["ok"]})
    return rows


def _held_back(checked: Checked | None, view: SiteView) -> dict[str, Any] | None:
    """Something newer, but not for this site now, and why."""
    if checked is None or checked.answer is None or checked.waiting(view.version):
        return None
    newest = checked.answer.get("newest_version")
    if not newest or newest == checked.answer.get("installed_version") or checked.installed != view.version:
        return None
    return {"version": newest, "reasons": checked.answer.get("reasons") or ()}


def _advisories(checked: Checked | None, view: SiteView) -> list[dict[str, Any]]:
    """What the feed says about the version that is installed; links to https only."""
    if checked is None or checked.answer is None or checked.installed != view.version:
        return []
    told = checked.answer.get("notices") or ()
    return [
        {**notice, "link": url if (url := str(notice.get("url") or "")).startswith("https://") else ""}
        for notice in told
    ]


def _run(settings: Conf) -> RunRecord | None:
    """What goes on, or was left half-done."""
    run = settings.require_folder().current(timezone.now())
    return run if run is not None and not run.finished else None


def _counted(checked: Checked | None) -> dict[str, int]:
    levels = [str(finding.get("level")) for finding in (checked.findings if checked else ())]
    return {"error": levels.count("error"), "warning": levels.count("warning"), "ok": levels.count("ok")}


def _notices(row: UpdateSettings) -> list[UpdateNotification]:
    if not row.admin_notices:
        return []
    open_ones = UpdateNotification.objects.filter(dismissed_at=None)
    return list(open_ones.exclude(kind=UpdateNotification.Kind.AVAILABLE)[:5])
