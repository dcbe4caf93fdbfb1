"""How a run goes, as JSON: without login and database, so that it answers while both are away."""

from __future__ import annotations

from typing import Any

from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from updater.contrib.django.conf import conf
from updater.contrib.django.runs.folder import RunFolder
from updater.contrib.django.runs.record import RunRecord
from updater.schema.document import format_time
from updater.site.status import read_status

__all__ = ["ENGINE", "PHASES", "progress", "progress_json", "token_for"]

PHASES = ("check", "plan", "download", "verify", "backup", "install", "migrate", "health", "commit", "cleanup")
"""The steps of an update, in order (`updater.events.Phase`)."""

ENGINE = "engine"
"""Stands for what somebody started on the command line: the engine's own status file."""

_SALT = "updater.contrib.django.progress"
_VALID_SECONDS = 24 * 3600
_CANNOT_CANCEL = ("commit", "cleanup", "probation", "rollback", "recover")


def token_for(run_id: str) -> str:
    """What opens the progress of one run, for a day, to whoever has it."""
    return signing.TimestampSigner(salt=_SALT).sign(run_id)


@require_safe
def progress(request: HttpRequest, token: str) -> JsonResponse:
    """The state of the run that the token names; 404 for a token that is none, or too old. ``?offset=`` asks for what
    the log says from there on."""
    try:
        run_id = signing.TimestampSigner(salt=_SALT).unsign(token, max_age=_VALID_SECONDS)
        folder = conf().require_folder()
    except (signing.BadSignature, ImproperlyConfigured) as error:
        raise Http404 from error
    offset = request.GET.get("offset", "")
    answer = JsonResponse(progress_json(folder, run_id, int(offset) if offset.isdecimal() and len(offset) < 12 else 0))
    answer["Cache-Control"] = "no-store"
    return answer


progress.login_required = False  # what LoginRequiredMiddleware looks at


def progress_json(folder: RunFolder, run_id: str, offset: int = 0) -> dict[str, Any]:
    """The document: docs/django.md lists its members. A run that is not known (any more) is ``unknown``."""
    if run_id == ENGINE:
        return _of_engine()
    record = folder.record(run_id, timezone.now())
    if record is None:
        return {"run_id": run_id, "state": "unknown"}
    log, tail = folder.log(run_id, offset)
    return _of_status(record.status) | {
        "run_id": run_id,
        "action": record.action,
        "target": record.target,
        "state": record.state,
        "message": record.message or str(record.status.get("message") or ""),
        "why": record.why,
        "hint": record.hint,
        "started_at": _shown(record.started_at or record.requested_at),
        "heartbeat_at": _shown(record.heartbeat_at or record.requested_at),
        "can_cancel": _can_cancel(record),
        "log": log,
        "log_tail_offset": tail,
    }


def _of_engine() -> dict[str, Any]:
    status = read_status(conf().require_site().status_path)
    return _of_status(status) | {
        "run_id": ENGINE,
        "action": str(status.get("run_id", "")).partition("-")[0],
        "target": None,
        "state": status.get("state", "unknown"),
        "message": str(status.get("message") or ""),
        "why": "",
        "hint": "",
        "started_at": status.get("started_at"),
        "heartbeat_at": status.get("heartbeat_at"),
        "can_cancel": False,
        "log": "",
        "log_tail_offset": 0,
    }


def _of_status(status: Any) -> dict[str, Any]:
    bytes_counted = status.get("unit") == "bytes"
    return {
        "phase": status.get("phase"),
        "step": status.get("step"),
        "steps": len(PHASES),
        "percent": status.get("percent"),
        "bytes_done": status.get("done") if bytes_counted else None,
        "bytes_total": status.get("total") if bytes_counted else None,
    }


def _can_cancel(record: RunRecord) -> bool:
    """Before the commit point, and while nothing is being undone already."""
    return (
        record.state == "running"
        and record.action in ("update", "rehearse")
        and record.status.get("phase") not in _CANNOT_CANCEL
    )


def _shown(moment: Any) -> str | None:
    return None if moment is None else format_time(moment)
